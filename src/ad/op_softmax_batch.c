/* Softmax over the first dimension, which counts batch elements: the weights of one place over the batch add up to 1.
 * CC2Vec's published attention is one of these, by mistake.
 *
 *   y_bi = exp(x_bi) / sum_b exp(x_bi)      dx = y (dy - sum_b y dy) */
#include <math.h>
#include <string.h>

#include "ad/op.h"
#include "base/err.h"

/* One element of the batch after another, so that the places, which lie side by side, are read in order. */
#define SOFTMAX(suffix, REAL, EXP)                                                                                   \
    static void forward_##suffix(REAL *y, const REAL *x, REAL *sum, int64_t b, int64_t n)                            \
    {                                                                                                                \
        memcpy(sum, x, sizeof *x *(size_t)n); /* the largest first */                                                \
        for (int64_t i = n; i < b * n; i++)                                                                          \
            if (x[i] > sum[i % n]) sum[i % n] = x[i];                                                                \
        for (int64_t i = 0; i < b * n; i++) y[i] = EXP(x[i] - sum[i % n]);                                           \
        memset(sum, 0, sizeof *sum *(size_t)n);                                                                      \
        for (int64_t i = 0; i < b * n; i++) sum[i % n] += y[i];                                                      \
        for (int64_t i = 0; i < b * n; i++) y[i] /= sum[i % n];                                                      \
    }                                                                                                                \
                                                                                                                     \
    static void back_##suffix(REAL *dx, const REAL *y, const REAL *dy, REAL *sum, int64_t b, int64_t n)              \
    {                                                                                                                \
        memset(sum, 0, sizeof *sum *(size_t)n);                                                                      \
        for (int64_t i = 0; i < b * n; i++) sum[i % n] += y[i] * dy[i];                                              \
        for (int64_t i = 0; i < b * n; i++) dx[i] += y[i] * (dy[i] - sum[i % n]);                                    \
    }
SOFTMAX(f32, float, expf)
SOFTMAX(f64, double, exp)

static void softmax_batch_backward(Tape *t, Var *out)
{
    Tensor dx = tape_grad(t, out->in[0], NULL);
    int64_t b = *(const int64_t *)out->saved, n = tensor_count(dx) / b;
    Tensor sum = tape_alloc(t, dx.dtype, SHAPE(n));
    if (dx.dtype == F32)
        back_f32(dx.data, out->val.data, out->grad.data, sum.data, b, n);
    else
        back_f64(dx.data, out->val.data, out->grad.data, sum.data, b, n);
    tape_free(t, sum);
}

static const Op SOFTMAX_BATCH = {"softmax_batch", softmax_batch_backward};

Var *op_softmax_batch(Tape *t, Var *x, int64_t b)
{
    CHECK(x->val.rank > 0 && b > 0 && tensor_count(x->val) && x->val.dim[0] % b == 0,
          "softmax over a batch of %lld in %s", (long long)b, tensor_shape(x->val));
    int64_t n = tensor_count(x->val) / b;
    Tensor y = tape_alloc(t, x->val.dtype, x->val.rank, x->val.dim), sum = tape_alloc(t, y.dtype, SHAPE(n));
    if (y.dtype == F32)
        forward_f32(y.data, x->val.data, sum.data, b, n);
    else
        forward_f64(y.data, x->val.data, sum.data, b, n);
    tape_free(t, sum);
    Var *out = tape_push(t, &SOFTMAX_BATCH, y, x, NULL, NULL, NULL, KEEP_OUT);
    if (out->needs) {
        int64_t *saved = NEW(tape_arena(t), int64_t, 1);
        *saved = b;
        out->saved = saved;
    }
    return out;
}
