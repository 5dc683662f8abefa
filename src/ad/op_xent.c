/* Cross-entropy over classes, the mean over rows whose target is not negative:
 *
 *   loss = (1/n) sum_i (log sum_v exp x_iv - x_i,target)      dx_iv = (softmax(x_i)_v - [v = target]) / n
 *
 * One kernel call gives both, so the gradient is made in the forward and scaled in the backward. */
#include <string.h>

#include "ad/op.h"
#include "base/err.h"

typedef struct {
    Tensor d; /* dloss / dlogits */
} XentSaved;

static void xent_backward(Tape *t, Var *out)
{
    const XentSaved *s = out->saved;
    bool fresh;
    Tensor dx = tape_grad(t, out->in[0], &fresh);
    kernels_of(dx.dtype)->scale(dx.data, tensor_get(out->grad, 0), s->d.data, tensor_count(dx), !fresh);
    tape_free(t, s->d);
}

static const Op XENT = {"xent", xent_backward};

Var *op_xent(Tape *t, Var *logits, const int32_t *target)
{
    Tensor x = logits->val;
    CHECK(x.rank > 0, "cross-entropy of a scalar");
    int64_t v = tensor_last(x), r = v ? tensor_count(x) / v : 0, n = 0;
    for (int64_t i = 0; i < r; i++) {
        CHECK(target[i] < v, "target %d of row %lld with %lld classes", target[i], (long long)i, (long long)v);
        n += target[i] >= 0;
    }
    bool recorded = tape_needs(t, logits, NULL, NULL, NULL);
    Tensor d = tape_alloc(t, x.dtype, x.rank, x.dim), loss = tape_alloc(t, F64, SHAPE(r));
    memcpy(d.data, x.data, tensor_bytes(x)); /* the kernel works in place */
    kernels_of(x.dtype)->xent(loss.data, d.data, target, n ? 1 / (double)n : 0, recorded, r, v);
    double sum = 0;
    for (int64_t i = 0; i < r; i++) sum += ((const double *)loss.data)[i];
    tape_free(t, loss);
    Tensor mean = tape_alloc(t, x.dtype, SHAPE(1));
    tensor_set(mean, 0, n ? sum / (double)n : 0);
    Var *out = tape_push(t, &XENT, mean, logits, NULL, NULL, NULL, 0);
    if (out->needs) {
        XentSaved *s = NEW(tape_arena(t), XentSaved, 1);
        s->d = d;
        out->saved = s;
    } else {
        tape_free(t, d);
    }
    return out;
}
