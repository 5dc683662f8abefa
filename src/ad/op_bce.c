/* Binary cross-entropy on logits, the mean over labels that are not negative:
 *
 *   loss = (1/n) sum max(x,0) - x y + log(1 + exp(-|x|))      dx = (sigmoid(x) - y) / n
 *
 * The form under the sum is the stable one for either sign of x.  There are a few logits per example, so the
 * elements are taken one by one in double. */
#include <math.h>

#include "ad/op.h"
#include "base/err.h"

typedef struct {
    const float *label;
    int64_t n;
} BceSaved;

static void bce_backward(Tape *t, Var *out)
{
    const BceSaved *s = out->saved;
    Var *logits = out->in[0];
    Tensor dx = tape_grad(t, logits, NULL);
    double g = tensor_get(out->grad, 0) / (double)(s->n ? s->n : 1);
    for (int64_t i = 0; i < tensor_count(dx); i++) {
        if (s->label[i] < 0) continue;
        double p = 1 / (1 + exp(-tensor_get(logits->val, i)));
        tensor_set(dx, i, tensor_get(dx, i) + g * (p - (double)s->label[i]));
    }
}

static const Op BCE = {"bce", bce_backward};

Var *op_bce(Tape *t, Var *logits, const float *label)
{
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < tensor_count(logits->val); i++) {
        if (label[i] < 0) continue;
        CHECK(label[i] <= 1, "label %g of element %lld, expected 0 to 1", (double)label[i], (long long)i);
        double x = tensor_get(logits->val, i);
        sum += (x < 0 ? 0 : x) - x * (double)label[i] + log1p(exp(-fabs(x)));
        n++;
    }
    Tensor mean = tape_alloc(t, logits->val.dtype, SHAPE(1));
    tensor_set(mean, 0, n ? sum / (double)n : 0);
    Var *out = tape_push(t, &BCE, mean, logits, NULL, NULL, NULL, KEEP_0);
    if (out->needs) {
        BceSaved *s = NEW(tape_arena(t), BceSaved, 1);
        *s = (BceSaved){label, n};
        out->saved = s;
    }
    return out;
}
