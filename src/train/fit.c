/* One loop: a step, and then the events due at this step: an evaluation, a checkpoint, the end. */
#include "train/fit.h"

#include <math.h>
#include <string.h>

FitStand fit_begin(void)
{
    return (FitStand){.score = -INFINITY, .tie = -INFINITY};
}

static Status evaluate_now(const Trainer *tr, Arena *step, const FitPlan *p, FitStand *s)
{
    if (!p->evaluate) return OK;
    double score = NAN, tie = 0;
    ArenaMark mark = arena_mark(step);
    TRY(p->evaluate(&score, &tie, step, p->user));
    arena_drop(step, mark);
    bool better = score > s->score || (!(score < s->score) && tie > s->tie);
    s->step = tr->step;
    s->evaluations++;
    s->since = better ? 0 : s->since + 1;
    if (better) {
        s->score = score, s->tie = tie, s->best_step = tr->step;
        TRY(p->better(p->user));
    }
    return p->told ? p->told(s, better, p->user) : OK;
}

static Status save_now(const FitPlan *p)
{
    return p->save ? p->save(p->user) : OK;
}

static Status one_step(StepStats *out, Trainer *tr, Batcher *feed, Arena *step, const FitPlan *p)
{
    ArenaMark mark = arena_mark(step);
    Batch x;
    batcher_next(feed, step, &x, NULL);
    if (p->batch) x = p->batch(step, &x, tr->step, p->user);
    TRY(trainer_step(tr, step, &x, out));
    arena_drop(step, mark);
    return OK;
}

static Status run(Trainer *tr, Batcher *feed, Arena *step, const FitPlan *p, FitStand *s)
{
    int64_t total = tr->config.total;
    while (tr->step < total && !(p->patience && s->since >= p->patience)) {
        StepStats stats;
        TRY(one_step(&stats, tr, feed, step, p));
        bool pause = tr->step % p->every == 0 || tr->step == total;
        if (pause) TRY(evaluate_now(tr, step, p, s));
        bool stop = p->each && !p->each(tr, &stats, p->user) && tr->step < total;
        if (pause || stop) TRY(save_now(p));
        if (stop)
            return err_fail(E_INTERRUPT, "interrupted at step %lld of %lld", (long long)tr->step, (long long)total);
    }
    return OK;
}

Status fit_run(Trainer *tr, Batcher *feed, const FitPlan *p, FitStand *s)
{
    CHECK(p->every > 0 && !p->evaluate == !p->better, "a fit needs pauses, and somewhere to keep the best");
    Arena step = arena_open((size_t)1 << 36);
    Status status = run(tr, feed, &step, p, s);
    arena_close(&step);
    return status;
}

/* ---- in memory ---- */

Kept kept_open(Arena *a, const ParamSet *params)
{
    int all = params_n(params);
    Kept k = {NEW(a, Param *, all), NEW(a, Tensor, all), 0};
    for (int i = 0; i < all; i++) {
        Param *p = params_at(params, i);
        if (!p->trainable) continue;
        k.param[k.n] = p;
        k.value[k.n++] = tensor_copy(a, p->val);
    }
    return k;
}

static void copy(Tensor to, Tensor from)
{
    memcpy(to.data, from.data, tensor_bytes(from));
}

void kept_take(Kept *k)
{
    for (int i = 0; i < k->n; i++) copy(k->value[i], k->param[i]->val);
}

void kept_restore(const Kept *k)
{
    for (int i = 0; i < k->n; i++) copy(k->param[i]->val, k->value[i]);
}
