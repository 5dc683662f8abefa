/* Softmax over the first dimension, which counts batch elements: the weights of one place over the batch add up to 1.
 * CC2Vec's published attention is one of these, by mistake.
 *
 *   y_bi = exp(x_bi) / sum_b exp(x_bi)      dx = y (dy - sum_b y dy) */
#include <string.h>

#include "ad/op.h"
#include "base/err.h"

/* x (n,c) as (c,n), in a new buffer. */
static Tensor turned(Tape *t, Tensor x, int64_t n, int64_t c)
{
    Tensor y = tape_alloc(t, x.dtype, SHAPE(c, n));
    size_t size = dtype_size(x.dtype);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < c; k++) memcpy(tensor_place(y, k * n + i), tensor_place(x, i * c + k), size);
    return y;
}

static void softmax_batch_backward(Tape *t, Var *out)
{
    Tensor dx = tape_grad(t, out->in[0], NULL);
    int64_t b = *(const int64_t *)out->saved, c = tensor_count(dx) / b;
    Tensor y = turned(t, out->val, b, c), d = turned(t, out->grad, b, c);
    kernels_of(dx.dtype)->softmax_bwd(d.data, d.data, y.data, c, b, false);
    Tensor back = turned(t, d, c, b);
    kernels_of(dx.dtype)->add(dx.data, dx.data, 1, back.data, b * c);
    tape_free(t, y);
    tape_free(t, d);
    tape_free(t, back);
}

static const Op SOFTMAX_BATCH = {"softmax_batch", softmax_batch_backward};

Var *op_softmax_batch(Tape *t, Var *x, int64_t b)
{
    CHECK(x->val.rank > 0 && b > 0 && tensor_count(x->val) && x->val.dim[0] % b == 0,
          "softmax over a batch of %lld in %s", (long long)b, tensor_shape(x->val));
    int64_t c = tensor_count(x->val) / b;
    Tensor in = turned(t, x->val, b, c);
    kernels_of(in.dtype)->softmax(in.data, in.data, c, b);
    Tensor back = turned(t, in, c, b), y = tape_alloc(t, x->val.dtype, x->val.rank, x->val.dim);
    memcpy(y.data, back.data, tensor_bytes(y));
    tape_free(t, in);
    tape_free(t, back);
    Var *out = tape_push(t, &SOFTMAX_BATCH, y, x, NULL, NULL, NULL, KEEP_OUT);
    if (out->needs) {
        int64_t *saved = NEW(tape_arena(t), int64_t, 1);
        *saved = b;
        out->saved = saved;
    }
    return out;
}
