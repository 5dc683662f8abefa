/* Orthonormal rows from independent ones, by Gram and Schmidt: a = l q with q q' = 1 and l lower triangular, positive
 * on its diagonal.  The rows of q and of a have the same span, and a trained without constraints moves q
 * among all matrices with orthonormal rows.  Each row is made orthogonal twice, so q is so to rounding whatever a is.
 *
 * With n = dq q' and its lower triangle mirrored, s = tril(n) + tril(n, -1)':     l' da = dq - s q */
#include <math.h>

#include "ad/op.h"
#include "base/err.h"

/* A copy in double. */
static double *wide(Tape *t, Tensor x)
{
    double *y = NEW(tape_arena(t), double, tensor_count(x));
    for (int64_t i = 0; i < tensor_count(x); i++) y[i] = tensor_get(x, i);
    return y;
}

static double dot(const double *x, const double *y, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i] * y[i];
    return sum;
}

static void subtract(double *y, double s, const double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] -= s * x[i];
}

static void orthonormal_backward(Tape *t, Var *out)
{
    bool fresh;
    Tensor da = tape_grad(t, out->in[0], &fresh);
    int64_t r = da.dim[0], c = da.dim[1];
    ArenaMark mark = arena_mark(tape_arena(t));
    const double *a = wide(t, out->in[0]->val), *q = wide(t, out->val), *dq = wide(t, out->grad);
    double *z = wide(t, out->grad);
    for (int64_t i = 0; i < r; i++)
        for (int64_t j = 0; j < r; j++) /* z = dq - s q */
            subtract(z + i * c, j <= i ? dot(dq + i * c, q + j * c, c) : dot(dq + j * c, q + i * c, c), q + j * c, c);
    for (int64_t i = r - 1; i >= 0; i--) { /* l' z = z, l_ji = a_j q_i */
        for (int64_t j = i + 1; j < r; j++) subtract(z + i * c, dot(a + j * c, q + i * c, c), z + j * c, c);
        double l = dot(a + i * c, q + i * c, c);
        for (int64_t k = 0; k < c; k++) z[i * c + k] /= l;
    }
    for (int64_t i = 0; i < r * c; i++) tensor_set(da, i, z[i] + (fresh ? 0 : tensor_get(da, i)));
    arena_drop(tape_arena(t), mark);
}

static const Op ORTHONORMAL = {"orthonormal", orthonormal_backward};

Var *op_orthonormal(Tape *t, Var *a)
{
    CHECK(a->val.rank == 2 && a->val.dim[0] <= a->val.dim[1], "orthonormal rows of %s, expected (R,C), R at most C",
          tensor_shape(a->val));
    int64_t r = a->val.dim[0], c = a->val.dim[1];
    Tensor y = tape_alloc(t, a->val.dtype, 2, a->val.dim);
    ArenaMark mark = arena_mark(tape_arena(t));
    double *q = wide(t, a->val);
    for (int64_t i = 0; i < r; i++) {
        for (int again = 0; again < 2; again++)
            for (int64_t j = 0; j < i; j++) subtract(q + i * c, dot(q + i * c, q + j * c, c), q + j * c, c);
        double norm = sqrt(dot(q + i * c, q + i * c, c));
        for (int64_t k = 0; k < c; k++) q[i * c + k] /= norm;
    }
    for (int64_t i = 0; i < r * c; i++) tensor_set(y, i, q[i]);
    arena_drop(tape_arena(t), mark);
    return tape_push(t, &ORTHONORMAL, y, a, NULL, NULL, NULL, KEEP_0 | KEEP_OUT);
}
