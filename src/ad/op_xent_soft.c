/* Cross-entropy of weighted soft targets.  Row i has a weight q_iv for each class v:
 *
 *   loss = (1/z) sum_i sum_v -q_iv log p_iv      dx_iv = (Q_i p_iv - q_iv) / z      p = softmax(x), Q_i = sum_v q_iv
 *
 * Class weights w and smoothing e, as torch.nn.CrossEntropyLoss has them, are q_iv = (1-e) w_t [v = t] + e w_v / V
 * and z = sum_i w_t(i).  Summed in double. */
#include <math.h>

#include "ad/op.h"
#include "base/err.h"

typedef struct {
    const double *q;
    double z;
} SoftSaved;

/* log sum_v exp x_v */
static double log_sum(Tensor x, int64_t first, int64_t v)
{
    double most = tensor_get(x, first), sum = 0;
    for (int64_t j = 1; j < v; j++) most = fmax(most, tensor_get(x, first + j));
    for (int64_t j = 0; j < v; j++) sum += exp(tensor_get(x, first + j) - most);
    return most + log(sum);
}

static double total(const double *q, int64_t v)
{
    double sum = 0;
    for (int64_t j = 0; j < v; j++) sum += q[j];
    return sum;
}

static void soft_backward(Tape *t, Var *out)
{
    const SoftSaved *s = out->saved;
    Tensor x = out->in[0]->val, dx = tape_grad(t, out->in[0], NULL);
    int64_t v = tensor_last(x), rows = tensor_count(x) / v;
    double g = tensor_get(out->grad, 0) / s->z;
    for (int64_t i = 0; i < rows * v; i += v) {
        double all = log_sum(x, i, v), weight = total(s->q + i, v);
        for (int64_t j = i; j < i + v && weight > 0; j++)
            tensor_set(dx, j, tensor_get(dx, j) + g * (weight * exp(tensor_get(x, j) - all) - s->q[j]));
    }
}

static const Op SOFT = {"xent_soft", soft_backward};

Var *op_xent_soft(Tape *t, Var *logits, const double *q, double z)
{
    Tensor x = logits->val;
    CHECK(x.rank > 0 && tensor_last(x) > 0, "soft cross-entropy of a scalar");
    int64_t v = tensor_last(x), rows = tensor_count(x) / v;
    double sum = 0;
    for (int64_t i = 0; i < rows * v; i += v) {
        double all = log_sum(x, i, v);
        for (int64_t j = i; j < i + v; j++)
            if (q[j] > 0) sum += q[j] * (all - tensor_get(x, j));
    }
    SoftSaved saved = {q, z > 0 ? z : 1};
    Tensor mean = tape_alloc(t, x.dtype, SHAPE(1));
    tensor_set(mean, 0, sum / saved.z);
    Var *out = tape_push(t, &SOFT, mean, logits, NULL, NULL, NULL, KEEP_0);
    if (out->needs) {
        SoftSaved *s = NEW(tape_arena(t), SoftSaved, 1);
        *s = saved;
        out->saved = s;
    }
    return out;
}
