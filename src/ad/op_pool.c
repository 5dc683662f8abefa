/* The mean of the first n_b rows of each batch element, zeros where n_b is 0:
 *
 *   y_b = (1/n_b) sum_{i < n_b} x_bi      dx_bi = dy_b / n_b for i < n_b, else 0 */
#include <string.h>

#include "ad/op.h"
#include "base/err.h"

typedef struct {
    const int32_t *len;
} PoolSaved;

static void *row(Tensor x, int64_t i)
{
    return tensor_place(x, i * tensor_last(x));
}

static void pool_backward(Tape *t, Var *out)
{
    const PoolSaved *s = out->saved;
    bool fresh;
    Tensor dy = out->grad, dx = tape_grad(t, out->in[0], &fresh);
    int64_t most = dx.dim[1], c = dx.dim[2];
    for (int64_t b = 0; b < dx.dim[0]; b++) {
        int64_t n = s->len ? s->len[b] : most;
        for (int64_t i = 0; i < n; i++)
            kernels_of(dx.dtype)->scale(row(dx, b * most + i), 1 / (double)n, row(dy, b), c, !fresh);
        if (fresh) memset(row(dx, b * most + n), 0, (size_t)((most - n) * c) * dtype_size(dx.dtype));
    }
}

static const Op POOL = {"pool", pool_backward};

Var *op_pool(Tape *t, Var *x, const int32_t *len)
{
    CHECK(x->val.rank == 3, "pool of %s, expected (B,T,C)", tensor_shape(x->val));
    int64_t most = x->val.dim[1], c = x->val.dim[2];
    Tensor y = tape_alloc(t, x->val.dtype, SHAPE(x->val.dim[0], 1, c));
    memset(y.data, 0, tensor_bytes(y));
    for (int64_t b = 0; b < x->val.dim[0]; b++) {
        int64_t n = len ? len[b] : most;
        CHECK(n >= 0 && n <= most, "pool over %lld rows of %s", (long long)n, tensor_shape(x->val));
        if (n == 0) continue;
        kernels_of(y.dtype)->sum_cols(row(y, b), row(x->val, b * most), n, c);
        kernels_of(y.dtype)->scale(row(y, b), 1 / (double)n, row(y, b), c, false);
    }
    Var *out = tape_push(t, &POOL, y, x, NULL, NULL, NULL, 0);
    if (out->needs) {
        PoolSaved *s = NEW(tape_arena(t), PoolSaved, 1);
        s->len = len;
        out->saved = s;
    }
    return out;
}
