/* Linear CKA is computed from the inner products of rows, the Procrustes distance and the angles from singular
 * values. */
#include "analysis/similar.h"

#include <math.h>

#include "num/gemm.h"
#include "num/linalg.h"

static Tensor centred(Arena *a, Tensor x) /* F64, with norm 1 */
{
    int64_t n = x.dim[0], c = x.dim[1];
    Tensor y = tensor_cast(a, x, F64);
    double norm = 0;
    for (int64_t j = 0; j < c; j++) {
        double mean = 0;
        for (int64_t i = 0; i < n; i++) mean += tensor_get(y, i * c + j) / (double)n;
        for (int64_t i = 0; i < n; i++) {
            double v = tensor_get(y, i * c + j) - mean;
            tensor_set(y, i * c + j, v);
            norm += v * v;
        }
    }
    for (int64_t k = 0; k < n * c; k++) tensor_set(y, k, tensor_get(y, k) / sqrt(norm));
    return y;
}

static Tensor product(Arena *a, Tensor x, bool xt, Tensor y, bool yt)
{
    int64_t m = xt ? x.dim[1] : x.dim[0], k = xt ? x.dim[0] : x.dim[1], n = yt ? y.dim[0] : y.dim[1];
    Tensor z = tensor_new(a, F64, SHAPE(m, n));
    gemm_parallel(F64, m, n, k, 1, (Mat){x.data, x.dim[1], xt}, (Mat){y.data, y.dim[1], yt}, 0, z.data, n);
    return z;
}

static double dot(Tensor x, Tensor y)
{
    double sum = 0;
    for (int64_t k = 0, n = tensor_count(x); k < n; k++) sum += tensor_get(x, k) * tensor_get(y, k);
    return sum;
}

double similar_cka(Arena *scratch, Tensor x, Tensor y)
{
    ArenaMark mark = arena_mark(scratch);
    Tensor u = centred(scratch, x), v = centred(scratch, y);
    Tensor k = product(scratch, u, false, u, true), l = product(scratch, v, false, v, true); /* (N,N) */
    double out = dot(k, l) / sqrt(dot(k, k) * dot(l, l));
    arena_drop(scratch, mark);
    return out;
}

/* With thin decompositions X = U S V', Y = P T Q' the singular values of X'Y are those of S U' P T, (K,K). */
Status similar_procrustes(double *out, Arena *scratch, Tensor x, Tensor y)
{
    ArenaMark mark = arena_mark(scratch);
    Tensor u = centred(scratch, x), v = centred(scratch, y), s;
    Svd a, b;
    *out = NAN;
    if (isnan(tensor_get(u, 0)) || isnan(tensor_get(v, 0))) return OK;
    TRY(linalg_svd(&a, scratch, u));
    TRY(linalg_svd(&b, scratch, v));
    Tensor m = product(scratch, a.u, true, b.u, false);
    int64_t n = m.dim[1];
    for (int64_t k = 0; k < tensor_count(m); k++)
        tensor_set(m, k, tensor_get(m, k) * tensor_get(a.s, k / n) * tensor_get(b.s, k % n));
    TRY(linalg_singular(&s, scratch, m));
    double nuclear = 0;
    for (int64_t k = 0; k < tensor_count(s); k++) nuclear += tensor_get(s, k);
    arena_drop(scratch, mark);
    *out = fmax(0, 2 - 2 * nuclear);
    return OK;
}

Tensor similar_columns(Arena *a, Tensor u, int64_t n)
{
    int64_t k = u.dim[1];
    CHECK(n <= k, "%lld of the columns of %s", (long long)n, tensor_shape(u));
    Tensor out = tensor_new(a, F64, SHAPE(u.dim[0], n));
    for (int64_t i = 0; i < u.dim[0] * n; i++) tensor_set(out, i, tensor_get(u, i / n * k + i % n));
    return out;
}

Status similar_angles(Tensor *out, Arena *a, Tensor u, Tensor v)
{
    CHECK(u.dim[0] == v.dim[0], "spans in %s and %s", tensor_shape(u), tensor_shape(v));
    TRY(linalg_singular(out, a, product(a, u, true, v, false)));
    for (int64_t k = 0; k < tensor_count(*out); k++)
        tensor_set(*out, k, acos(fmin(1, tensor_get(*out, k))) * 180 / M_PI);
    return OK;
}
