/* One step: the loss, its gradient, the gradient's norm, the update of every trainable parameter. */
#include "theory/fit.h"

#include <math.h>

#include "run/experiment.h"
#include "num/kernels.h"
#include "train/train.h"

typedef struct
{ /* of one parameter: running means of the gradient and its square; frozen ones never get a gradient */
    Param *param;
    Tensor m, v;
} Slot;

Param *fit_param(ParamSet *params, const char *name, Init init, int rank, const int64_t *dim)
{
    Param *p = param_add(params, name, init, rank, dim);
    p->trainable = true;
    return p;
}

static int open_slots(Slot *slots, Arena *a, ParamSet *params)
{
    int n = 0;
    for (int i = 0; i < params_n(params); i++) {
        Param *p = params_at(params, i);
        Tensor w = p->val;
        slots[n++] = (Slot){p, tensor_zero(a, w.dtype, w.rank, w.dim), tensor_zero(a, w.dtype, w.rank, w.dim)};
    }
    return n;
}

/* False when the gradient is not finite. */
static bool update(const Slot *slots, int n, const TrainConfig *c, int64_t step)
{
    double square = 0;
    for (int i = 0; i < n; i++) {
        Tensor g = slots[i].param->grad;
        if (g.data) square += kernels(g.dtype)->sum_squares(g.data, tensor_count(g));
    }
    if (!isfinite(square)) return false;
    double clip = fmin(1, 1 / (sqrt(square) + 1e-12));
    for (int i = 0; i < n; i++) {
        Tensor w = slots[i].param->val, g = slots[i].param->grad;
        if (g.data)
            kernels(w.dtype)->adamw(w.data, g.data, slots[i].m.data, slots[i].v.data, schedule_lr(c, step), c->beta1,
                                    c->beta2, c->eps, 0, clip, step + 1, tensor_count(w));
    }
    return true;
}

Status fit(double *best, ParamSet *params, FitLoss *loss, void *user, Fit f)
{
    Arena arena = arena_open(0);
    Slot *slots = NEW(&arena, Slot, params_n(params));
    int n = open_slots(slots, &arena, params);
    TrainConfig c = train_defaults();
    c.lr = f.lr, c.total = f.steps, c.schedule = SCHEDULE_COSINE;
    *best = NAN;
    bool going = true;
    for (int64_t i = 0; i < f.steps && going && !run_stopped(); i++) {
        ArenaMark mark = arena_mark(&arena);
        Tape *t = tape_open(&arena, true);
        Var *l = loss(t, i, user);
        double value = tape_scalar(l);
        going = isfinite(value);
        if (going) {
            *best = fmin(*best, value);
            tape_backward(t, l);
            going = update(slots, n, &c, i);
        }
        params_drop_grad(params);
        arena_drop(&arena, mark);
    }
    arena_close(&arena);
    return run_stopped() ? run_interrupted() : OK;
}
