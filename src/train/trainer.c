/* One step: forward and backward over its batches, the norm of the gradient, the rate of this step, the update.
 * Nothing is changed before loss and gradient are known to be finite, so a run that diverges ends in the last good
 * parameters. */
#include <math.h>

#include "base/clock.h"
#include "base/ranks.h"
#include "base/rng.h"
#include "train/optim.h"
#include "train/shards.h"

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

/* The part that a batch has in each term of the loss of a step, or how much it weighs there. */
typedef struct {
    double term[LOSS_TERMS];
} Share;
static const Share WHOLE = {{1, 1}};

/* Adds the gradient of one batch, as much of it as its share, and returns as much of its loss.  Dropout is drawn from
 * (seed, step, part). */
static double accumulate(Trainer *t, Arena *step, const Batch *batch, int64_t part, const Share *share)
{
    Tape *tape = tape_open(step, true);
    uint64_t seed = rng_mix(rng_mix(rng_stream(t->config.seed, "train/pass"), (uint64_t)t->step), (uint64_t)part);
    Pass pass = {.tape = tape,
                 .hooks = t->hooks,
                 .seed = seed,
                 .train = !t->config.no_dropout,
                 .checkpoint = t->config.checkpoint,
                 .share = share == &WHOLE ? NULL : share->term};
    Var *loss =
        t->config.loss ? t->config.loss(t->model, &pass, batch, t->config.user) : model_loss(t->model, &pass, batch);
    double value = tape_scalar(loss), whole = t->config.weigh ? 1 : share->term[0];
    if (isfinite(value)) tape_backward(tape, whole == 1 ? loss : op_scale(tape, loss, whole));
    return whole * value;
}

/* The number of rows or of scored targets over which a batch's loss is a mean. */
static double scored_in(const Batch *x)
{
    if (x->label || !x->target) return (double)x->b;
    double scored = 0;
    for (int64_t i = 0; i < x->b * (x->keep ? x->k : x->t); i++) scored += x->target[i] >= 0;
    return scored;
}

static Share weight_of(const Trainer *t, const Batch *x)
{
    Share w = {{0}};
    if (t->config.weigh)
        t->config.weigh(w.term, x, t->config.user);
    else
        w.term[0] = scored_in(x);
    return w;
}

/* Of one of n batches; where none has anything to score, each has as much as the others. */
static Share share_of(const Trainer *t, const Batch *x, const Share *all, int64_t n)
{
    Share s = weight_of(t, x);
    for (int k = 0; k < LOSS_TERMS; k++)
        s.term[k] = all->term[k] > 0 ? s.term[k] / all->term[k] : t->config.weigh ? 0 : 1.0 / (double)n;
    return s;
}

static bool is_void(const Trainer *t, const Share *s)
{
    return s->term[0] == 0 && (!t->config.weigh || s->term[1] == 0);
}

/* Gradients of one batch lie among the step's own values; those of several have to outlive each of them. */
static double go_back(Trainer *t, Arena *step, const Batch *batches, int n)
{
    ParamSet *params = t->model->params;
    params_drop_grad(params);
    if (n > 1) params_zero_grad(params);
    double loss = 0;
    Share all = {{0}};
    for (int i = 0; i < n; i++) {
        Share one = weight_of(t, &batches[i]);
        for (int k = 0; k < LOSS_TERMS; k++) all.term[k] += one.term[k];
    }
    for (int i = 0; i < n && isfinite(loss); i++) {
        Share share = share_of(t, &batches[i], &all, n);
        if (n > 1 && is_void(t, &share)) continue;
        ArenaMark mark = arena_mark(step);
        loss += accumulate(t, step, &batches[i], i, n == 1 ? &WHOLE : &share);
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

/* A step once its gradients have been computed, or were not. */
static Status end_step(Trainer *t, StepStats *s, double start, Status status, StepStats *out)
{
    if (!status) status = update(t, s);
    params_drop_grad(t->model->params);
    s->seconds = clock_now() - start;
    if (out && !status) *out = *s;
    return status;
}

static StepStats begin_step(const Trainer *t)
{
    return (StepStats){.step = t->step, .lr = schedule_lr(&t->config, t->step)};
}

Status trainer_step_many(Trainer *t, Arena *step, const Batch *batches, int n, StepStats *out)
{
    CHECK(n > 0, "a training step of %d batches", n);
    ArenaMark mark = arena_mark(step);
    StepStats s = begin_step(t);
    double start = clock_now();
    s.loss = go_back(t, step, batches, n);
    Status status = end_step(t, &s, start, OK, out);
    arena_drop(step, mark);
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
    FROM(type, x->t);
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

/* ---- shards */

/* The gradients, one behind the other in `vector`, to which the next backward adds; the vector's size in elements.
 * NULL: none are laid. */
static int64_t lay_gradients(const Trainer *t, void *vector)
{
    enum { LINE = 16 }; /* elements: each gradient begins a cache line */
    int64_t at = 0;
    for (int i = 0; i < t->n_slots; i++) {
        Param *p = t->slots[i].param;
        char *place = (char *)vector + (size_t)at * dtype_size(p->val.dtype);
        if (vector) p->grad = tensor_over(place, p->val.dtype, p->val.rank, p->val.dim);
        at += (tensor_count(p->val) + LINE - 1) / LINE * LINE;
    }
    return at;
}

/* One shard, whose share of the parts of the batch it is taken in. */
static double go_back_shard(Trainer *t, Arena *step, const Batch *x, int64_t shard, const Share *all)
{
    int64_t n = t->config.shards, each = t->config.parts > n ? (t->config.parts + n - 1) / n : 1;
    int64_t parts = each < x->b ? each : x->b;
    double loss = 0;
    for (int64_t i = 0; i < parts && isfinite(loss); i++) {
        int64_t first = i * x->b / parts, end = (i + 1) * x->b / parts;
        Batch part = some_rows(x, first, end - first);
        Share share = share_of(t, &part, all, n * each);
        if (is_void(t, &share)) continue;
        ArenaMark mark = arena_mark(step);
        loss += accumulate(t, step, &part, shard * each + i, &share);
        arena_drop(step, mark);
    }
    return loss;
}

/* This rank computes its shards; then all have the loss and the gradients of the batch. */
static Status go_back_shards(Trainer *t, Arena *step, const Batch *x, double *sum)
{
    int64_t n = t->config.shards, end = shards_first(n, ranks_rank() + 1, ranks_size());
    const Batch *shard = shards_cut(step, x, n);
    double *loss = NEW(step, double, n);
    Share all = weight_of(t, x);
    ShardSum grads = shard_sum(step, t->slots->param->val.dtype, lay_gradients(t, NULL));
    params_drop_grad(t->model->params);
    for (int64_t i = shards_first(n, ranks_rank(), ranks_size()); i < end; i++) {
        void *vector = shard_zero(&grads);
        lay_gradients(t, vector);
        loss[i] = go_back_shard(t, step, &shard[i], i, &all);
        shard_add(&grads, (ShardNode){i, 1, vector});
    }
    TRY(ranks_unite(OK, loss, sizeof *loss * (size_t)n));
    *sum = 0;
    for (int64_t i = 0; i < n; i++) *sum += loss[i];
    if (isfinite(*sum)) lay_gradients(t, shard_total_of_ranks(&grads, n));
    return OK;
}

static void count_traffic(Trainer *t, RanksCount before, double seconds, double processor)
{
    RanksCount now = ranks_count();
    t->traffic.steps++, t->traffic.seconds += seconds, t->traffic.processor += processor;
    t->traffic.messages += now.messages - before.messages;
    t->traffic.bytes += now.bytes - before.bytes;
    t->traffic.exchanging += now.seconds - before.seconds;
}

static Status step_in_shards(Trainer *t, Arena *step, const Batch *x, StepStats *out)
{
    ArenaMark mark = arena_mark(step);
    StepStats s = begin_step(t);
    RanksCount before = ranks_count();
    double start = clock_now(), processor = clock_processor();
    Status status = go_back_shards(t, step, x, &s.loss);
    status = end_step(t, &s, start, status, out);
    ranks_check(s.grad_norm);
    count_traffic(t, before, s.seconds, clock_processor() - processor);
    arena_drop(step, mark);
    return status;
}

Status trainer_step(Trainer *t, Arena *step, const Batch *batch, StepStats *out)
{
    if (t->config.shards > 1) return step_in_shards(t, step, batch, out);
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
