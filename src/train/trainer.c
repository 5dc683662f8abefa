/* One step: forward and backward over its batches, the norm of the gradient, the rate of this step, the update.
 * Nothing is changed before loss and gradient are known to be finite, so a run that diverges ends in the last good
 * parameters. */
#include <math.h>

#include "base/clock.h"
#include "base/rng.h"
#include "train/optim.h"

/* Written so that NaN fails. */
static Status check_range(const char *name, double x, double low, double high)
{
    if (x >= low && x <= high) return OK;
    return err_fail(E_CONFIG, "training: %s is %g, expected %g to %g", name, x, low, high);
}

static Status check_config(const TrainConfig *c)
{
    const double below1 = 1 - 0x1p-53, any = 1e300;
    TRY(check_range("lr", c->lr, 0, any));
    TRY(check_range("decay", c->decay, 0, any));
    TRY(check_range("clip", c->clip, 0, any));
    TRY(check_range("warmup", (double)c->warmup, 0, any));
    if (c->optim == OPTIM_SGD) {
        TRY(check_range("momentum", c->momentum, 0, below1));
    } else {
        TRY(check_range("beta1", c->beta1, 0, below1));
        TRY(check_range("beta2", c->beta2, 0, below1));
        TRY(check_range("eps", c->eps, 1e-300, any));
    }
    if (c->schedule != SCHEDULE_CONSTANT && c->total <= c->warmup)
        return err_fail(E_CONFIG, "training: total is %lld steps, expected more than the %lld of the warm-up",
                        (long long)c->total, (long long)c->warmup);
    return OK;
}

Status trainer_open(Trainer **out, Arena *run, Model *model, const Hooks *hooks, const TrainConfig *config)
{
    TRY(check_config(config));
    Trainer *t = NEW(run, Trainer, 1);
    *t = (Trainer){.model = model, .hooks = hooks, .config = *config};
    TRY(slots_new(&t->slots, &t->n_slots, run, model->params, config));
    *out = t;
    return OK;
}

/* Adds share times the gradient of one batch; returns its loss.  Dropout is drawn from (seed, step, part). */
static double accumulate(Trainer *t, Arena *step, const Batch *batch, int part, double share)
{
    Tape *tape = tape_open(step, true);
    uint64_t seed = rng_mix(rng_mix(rng_stream(t->config.seed, "train/pass"), (uint64_t)t->step), (uint64_t)part);
    Pass pass = {.tape = tape,
                 .hooks = t->hooks,
                 .seed = seed,
                 .train = !t->config.no_dropout,
                 .checkpoint = t->config.checkpoint};
    Var *loss =
        t->config.loss ? t->config.loss(t->model, &pass, batch, t->config.user) : model_loss(t->model, &pass, batch);
    double value = tape_scalar(loss);
    if (isfinite(value)) tape_backward(tape, share == 1 ? loss : op_scale(tape, loss, share));
    return value;
}

/* The number of rows or of scored targets over which a batch's loss is a mean. */
static double weight_of(const Batch *x)
{
    if (x->label || !x->target) return (double)x->b;
    double scored = 0;
    for (int64_t i = 0; i < x->b * (x->keep ? x->k : x->t); i++) scored += x->target[i] >= 0;
    return scored;
}

/* Gradients of one batch lie among the step's own values; those of several have to outlive each of them. */
static double go_back(Trainer *t, Arena *step, const Batch *batches, int n)
{
    ParamSet *params = t->model->params;
    params_drop_grad(params);
    if (n > 1) params_zero_grad(params);
    double loss = 0, all = 0;
    for (int i = 0; i < n; i++) all += weight_of(&batches[i]);
    for (int i = 0; i < n && isfinite(loss); i++) {
        double share = n == 1 ? 1 : all > 0 ? weight_of(&batches[i]) / all : 1.0 / n;
        if (share == 0) continue;
        ArenaMark mark = arena_mark(step);
        loss += share * accumulate(t, step, &batches[i], i, share);
        if (n > 1) arena_drop(step, mark);
    }
    for (int i = 0; i < t->n_slots; i++) { /* parameters that the loss does not depend on */
        Param *p = t->slots[i].param;
        if (!p->grad.data) p->grad = tensor_zero(step, p->val.dtype, p->val.rank, p->val.dim);
    }
    return loss;
}

static Status update(Trainer *t, StepStats *s)
{
    const TrainConfig *c = &t->config;
    if (!isfinite(s->loss))
        return err_fail(E_NUMERIC, "training diverged: the loss of step %lld is %g", (long long)s->step, s->loss);
    s->grad_norm = slots_grad_norm(t->slots, t->n_slots);
    if (!isfinite(s->grad_norm))
        return err_fail(E_NUMERIC, "training diverged: the gradient norm of step %lld is %g at loss %g",
                        (long long)s->step, s->grad_norm, s->loss);
    double coefficient = c->clip > 0 ? fmin(1, c->clip / (s->grad_norm + 1e-6)) : 1;
    slots_update(t->slots, t->n_slots, c, s->lr, coefficient, ++t->step);
    return OK;
}

Status trainer_step_many(Trainer *t, Arena *step, const Batch *batches, int n, StepStats *out)
{
    CHECK(n > 0, "a training step of %d batches", n);
    ArenaMark mark = arena_mark(step);
    StepStats s = {.step = t->step, .lr = schedule_lr(&t->config, t->step)};
    double start = clock_now();
    s.loss = go_back(t, step, batches, n);
    Status status = update(t, &s);
    params_drop_grad(t->model->params);
    arena_drop(step, mark);
    s.seconds = clock_now() - start;
    if (out && !status) *out = s;
    return status;
}

/* `n` rows of a batch from row `first` on. */
static Batch some_rows(const Batch *x, int64_t first, int64_t n)
{
    Batch y = *x;
    int64_t scored = x->keep ? x->k : x->t;
    y.b = n;
#define FROM(field, width)                                                                                           \
    if (y.field) y.field += first * (width)
    FROM(ids, x->t);
    FROM(len, 1);
    FROM(mask, x->t);
    FROM(sees, x->t * x->t);
    FROM(position, x->t);
    FROM(span, 2 * x->t);
    FROM(src, x->s);
    FROM(src_len, 1);
    FROM(keep, x->k);
    FROM(target, scored);
    FROM(label, 1);
    FROM(row, 1);
#undef FROM
    return y;
}

Status trainer_step(Trainer *t, Arena *step, const Batch *batch, StepStats *out)
{
    int64_t parts = t->config.parts < batch->b ? t->config.parts : batch->b;
    if (parts <= 1) return trainer_step_many(t, step, batch, 1, out);
    ArenaMark mark = arena_mark(step);
    Batch *part = NEW(step, Batch, parts);
    for (int64_t i = 0; i < parts; i++) {
        int64_t first = i * batch->b / parts, end = (i + 1) * batch->b / parts;
        part[i] = some_rows(batch, first, end - first);
    }
    Status status = trainer_step_many(t, step, part, (int)parts, out);
    arena_drop(step, mark);
    return status;
}
