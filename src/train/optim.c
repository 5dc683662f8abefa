/* AdamW and SGD with momentum, as PyTorch defines them.
 *
 *   AdamW   m = b1 m + (1-b1) g,  v = b2 v + (1-b2) g^2,
 *           w -= lr (m / (1-b1^t) / (sqrt(v / (1-b2^t)) + eps) + decay w)
 *   SGD     v = momentum v + (g + decay w),  w -= lr v
 *
 * where g is the gradient after clipping: decay is apart from the gradient in AdamW and part of it in SGD. */
#include "train/optim.h"

#include <math.h>

#include "base/str.h"

TrainConfig train_defaults(void)
{
    return (TrainConfig){.optim = OPTIM_ADAMW, .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .clip = 1};
}

static int group_of(const Group *groups, const Param *p)
{
    for (int i = 0; groups && groups[i].glob; i++)
        if (str_glob(groups[i].glob, p->name)) return i;
    return -1;
}

static Slot slot_new(Arena *run, Param *p, const TrainConfig *c)
{
    Slot s = {.param = p, .lr_scale = 1, .decay = c->decay};
    int g = group_of(c->groups, p);
    if (g >= 0) {
        s.lr_scale = c->groups[g].lr_scale;
        if (c->groups[g].decay >= 0) s.decay = c->groups[g].decay;
    }
    if (!p->decay) s.decay = 0;
    Tensor w = p->val;
    if (c->optim == OPTIM_ADAMW || c->momentum > 0) s.m = tensor_zero(run, w.dtype, w.rank, w.dim);
    if (c->optim == OPTIM_ADAMW) s.v = tensor_zero(run, w.dtype, w.rank, w.dim);
    return s;
}

static Status check_groups(const Group *groups, const Slot *slots, int n)
{
    for (int i = 0; groups && groups[i].glob; i++) {
        int taken = 0;
        for (int k = 0; k < n; k++) taken += group_of(groups, slots[k].param) == i;
        if (!taken) return err_fail(E_CONFIG, "parameter group '%s' takes no trainable parameter", groups[i].glob);
    }
    return OK;
}

Status slots_new(Slot **out, int *n, Arena *run, const ParamSet *params, const TrainConfig *config)
{
    Slot *slots = NEW(run, Slot, params_n(params));
    *n = 0;
    for (int i = 0; i < params_n(params); i++) {
        Param *p = params_at(params, i);
        if (p->trainable) slots[(*n)++] = slot_new(run, p, config);
    }
    if (!*n) return err_fail(E_CONFIG, "no parameter of the model is trainable");
    *out = slots;
    return check_groups(config->groups, slots, *n);
}

double slots_grad_norm(const Slot *slots, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        Tensor g = slots[i].param->grad;
        if (g.data) sum += kernels_of(g.dtype)->sum_squares(g.data, tensor_count(g));
    }
    return sqrt(sum);
}

/* In units of the coefficient, so that each line writes only where it reads its first operand. */
static void sgd(const Slot *s, double lr, double momentum, double coefficient)
{
    Tensor w = s->param->val, g = s->param->grad;
    const Kernels *k = kernels_of(w.dtype);
    int64_t n = tensor_count(w);
    if (s->decay > 0) k->add(g.data, g.data, s->decay / coefficient, w.data, n);
    if (!s->m.data) {
        k->add(w.data, w.data, -lr * coefficient, g.data, n);
        return;
    }
    k->add(g.data, g.data, momentum / coefficient, s->m.data, n);
    k->scale(s->m.data, coefficient, g.data, n, false);
    k->add(w.data, w.data, -lr, s->m.data, n);
}

void slots_update(Slot *slots, int n, const TrainConfig *c, double lr, double coefficient, int64_t step)
{
    for (int i = 0; i < n; i++) {
        Slot *s = &slots[i];
        Tensor w = s->param->val, g = s->param->grad;
        double rate = lr * s->lr_scale;
        if (!g.data) continue;
        if (c->optim == OPTIM_SGD)
            sgd(s, rate, c->momentum, coefficient);
        else
            kernels_of(w.dtype)->adamw(w.data, g.data, s->m.data, s->v.data, rate, c->beta1, c->beta2, c->eps,
                                       s->decay, coefficient, step, tensor_count(w));
    }
}
