/* One step: the loss, its gradient, the gradient's norm, the update of every trainable parameter. */
#include "theory/fit.h"

#include <math.h>

#include "run/experiment.h"
#include "train/optim.h"

Param *fit_param(ParamSet *params, const char *name, Init init, int rank, const int64_t *dim)
{
    Param *p = param_add(params, name, init, rank, dim);
    p->trainable = true;
    return p;
}

/* False when the gradient is not finite. */
static bool update(Slot *slots, int n, const TrainConfig *c, int64_t step)
{
    double norm = slots_grad_norm(slots, n);
    if (!isfinite(norm)) return false;
    slots_update(slots, n, c, schedule_lr(c, step), fmin(1, 1 / (norm + 1e-12)), step + 1);
    return true;
}

Status fit_descend(double *best, ParamSet *params, FitLoss *loss, void *user, Fit f)
{
    Arena arena = arena_open(0);
    Slot *slots;
    int n;
    TrainConfig c = train_defaults();
    c.lr = f.lr, c.total = f.steps, c.schedule = SCHEDULE_COSINE;
    *best = NAN;
    Status status = slots_new(&slots, &n, &arena, params, &c);
    bool going = !status;
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
    return !status && run_stopped() ? run_interrupted() : status;
}
