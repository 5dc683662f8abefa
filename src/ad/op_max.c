/* The largest of the first n_b rows of each batch element, channel by channel, zeros where n_b is 0:
 *
 *   y_bc = max_{i < n_b} x_bic      dx_bic = dy_bc for the first i that attains it, else 0 */
#include <string.h>

#include "ad/op.h"
#include "base/err.h"

typedef struct {
    const int32_t *row; /* (B,C) the first row that attains the maximum, or -1 */
} MaxSaved;

static void max_backward(Tape *t, Var *out)
{
    const MaxSaved *s = out->saved;
    Tensor dx = tape_grad(t, out->in[0], NULL), dy = out->grad;
    int64_t c = tensor_last(dx);
    for (int64_t i = 0; i < tensor_count(dy); i++) {
        if (s->row[i] < 0) continue;
        int64_t from = (i / c * dx.dim[1] + s->row[i]) * c + i % c;
        tensor_set(dx, from, tensor_get(dx, from) + tensor_get(dy, i));
    }
}

/* A NaN is the largest of all, so that it is seen. */
#define LARGEST(name, REAL)                                                                                          \
    static void name(REAL *y, int32_t *row, const REAL *x, int64_t n, int64_t c)                                     \
    {                                                                                                                \
        for (int64_t i = 0; i < n; i++)                                                                              \
            for (int64_t k = 0; k < c; k++)                                                                          \
                if (i == 0 || x[i * c + k] > y[k] || x[i * c + k] != x[i * c + k])                                   \
                    y[k] = x[i * c + k], row[k] = (int32_t)i;                                                        \
    }
LARGEST(largest_f32, float)
LARGEST(largest_f64, double)

static const Op MAX = {"max", max_backward};

Var *op_max(Tape *t, Var *x, const int32_t *len)
{
    CHECK(x->val.rank == 3, "maximum of %s, expected (B,T,C)", tensor_shape(x->val));
    int64_t b = x->val.dim[0], most = x->val.dim[1], c = x->val.dim[2];
    Tensor y = tape_alloc(t, x->val.dtype, SHAPE(b, 1, c));
    int32_t *row = NEW(tape_arena(t), int32_t, b * c);
    memset(y.data, 0, tensor_bytes(y));
    memset(row, -1, sizeof *row * (size_t)(b * c));
    for (int64_t i = 0; i < b; i++) {
        int64_t n = len ? len[i] : most;
        CHECK(n >= 0 && n <= most, "maximum over %lld rows of %s", (long long)n, tensor_shape(x->val));
        if (y.dtype == F32)
            largest_f32(tensor_place(y, i * c), row + i * c, tensor_place(x->val, i * most * c), n, c);
        else
            largest_f64(tensor_place(y, i * c), row + i * c, tensor_place(x->val, i * most * c), n, c);
    }
    Var *out = tape_push(t, &MAX, y, x, NULL, NULL, NULL, 0);
    if (out->needs) {
        MaxSaved *s = NEW(tape_arena(t), MaxSaved, 1);
        s->row = row;
        out->saved = s;
    }
    return out;
}
