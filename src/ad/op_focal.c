/* Focal loss on logits (Lin et al., ICCV 2017), the mean over labels that are not negative.  With p the probability
 * of the label that an element has, and a = alpha for label 1, 1 - alpha for 0:
 *
 *   loss = (1/n) sum -a (1-p)^g log p      dlogit = +-(a/n) (1-p)^g (g p log p - (1-p)),  + for label 1
 *
 * g = 0 and alpha = 1/2 is half of op_bce().  A label between 0 and 1 is a mixture of both. */
#include <math.h>

#include "ad/op.h"
#include "base/err.h"

typedef struct {
    const float *label;
    int64_t n;
    double alpha, gamma;
} FocalSaved;

/* The loss of a logit z whose sign is that of its label, and its slope. */
static double term(double z, double gamma, double *slope)
{
    double log_p = -(z < 0 ? -z : 0) - log1p(exp(-fabs(z))), p = exp(log_p), rest = 1 / (1 + exp(z));
    double weight = pow(rest, gamma);
    *slope = weight * (gamma * p * log_p - rest);
    return -weight * log_p;
}

static double both(double x, double y, const FocalSaved *s, double *slope)
{
    double of_one, of_zero, one = term(x, s->gamma, &of_one), zero = term(-x, s->gamma, &of_zero);
    *slope = y * s->alpha * of_one - (1 - y) * (1 - s->alpha) * of_zero;
    return y * s->alpha * one + (1 - y) * (1 - s->alpha) * zero;
}

static void focal_backward(Tape *t, Var *out)
{
    const FocalSaved *s = out->saved;
    Var *logits = out->in[0];
    Tensor dx = tape_grad(t, logits, NULL);
    double g = tensor_get(out->grad, 0) / (double)(s->n ? s->n : 1), slope;
    for (int64_t i = 0; i < tensor_count(dx); i++) {
        if (s->label[i] < 0) continue;
        both(tensor_get(logits->val, i), (double)s->label[i], s, &slope);
        tensor_set(dx, i, tensor_get(dx, i) + g * slope);
    }
}

static const Op FOCAL = {"focal", focal_backward};

Var *op_focal(Tape *t, Var *logits, const float *label, double alpha, double gamma)
{
    CHECK(alpha >= 0 && alpha <= 1 && gamma >= 0, "a focal loss with alpha %g and gamma %g", alpha, gamma);
    FocalSaved s = {label, 0, alpha, gamma};
    double sum = 0, slope;
    for (int64_t i = 0; i < tensor_count(logits->val); i++) {
        if (label[i] < 0) continue;
        CHECK(label[i] <= 1, "label %g of element %lld, expected 0 to 1", (double)label[i], (long long)i);
        sum += both(tensor_get(logits->val, i), (double)label[i], &s, &slope);
        s.n++;
    }
    Tensor mean = tape_alloc(t, logits->val.dtype, SHAPE(1));
    tensor_set(mean, 0, s.n ? sum / (double)s.n : 0);
    Var *out = tape_push(t, &FOCAL, mean, logits, NULL, NULL, NULL, KEEP_0);
    if (out->needs) {
        FocalSaved *saved = NEW(tape_arena(t), FocalSaved, 1);
        *saved = s;
        out->saved = saved;
    }
    return out;
}
