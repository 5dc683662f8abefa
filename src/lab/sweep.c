/* Sweeps: one job per (arm, rate, seed), seeds innermost, so the results of one rate are neighbours. */
#include "lab/sweep.h"

#include <math.h>

#include "base/str.h"

typedef struct {
    LabResult result;
    double extra[SWEEP_EXTRA];
} Cell;

static Status job(Run *r, int i, void *out, void *user)
{
    const Sweep *s = user;
    Cell *cell = out;
    int seeds = run_seeds(r), rate = i / seeds % s->rates;
    const SweepArm *a = &s->arm[i / seeds / s->rates];
    uint64_t seed = run_seed(r, i % seeds);
    Arena run = arena_open(0);
    Hooks *hooks = hooks_new(&run);
    Model *m;
    DigitMix target;
    TRY(digits_mix(&target, a->arm.target ? a->arm.target : a->model->tasks));
    TRY(lab_open(&m, &run, r, a->model, seed));
    LabArm arm = a->arm;
    arm.name = str_print(&run, "%s, rate %g", arm.name, s->scale[rate]);
    arm.lr *= s->scale[rate];
    TRY(s->attach ? s->attach(m, hooks, a, seed, s->user) : lab_attach(m, hooks, a->model, &arm));
    if (arm.steps && params_count(m->params, NULL, true))
        TRY(lab_train(r, &run, m, hooks, a->model, &arm, seed, &cell->result));
    lab_score(m, hooks, a->model, &target, cell->result.score);
    if (s->measure) TRY(s->measure(&run, m, hooks, a, seed, cell->extra, s->user));
    arena_close(&run);
    return OK;
}

Status sweep_run(Run *r, const Sweep *s, SweepBest *out)
{
    Arena *a = run_arena(r);
    int seeds = run_seeds(r), each = s->rates * seeds;
    Cell *all = NEW(a, Cell, s->arms * each);
    TRY(run_parallel(r, s->arms * each, sizeof *all, job, (void *)(uintptr_t)s, all));
    for (int k = 0; k < s->arms; k++) {
        LabResult *result = NEW(a, LabResult, each);
        double(*extra)[SWEEP_EXTRA] = (double(*)[SWEEP_EXTRA])NEW(a, double, seeds *SWEEP_EXTRA);
        for (int i = 0; i < each; i++) result[i] = all[k * each + i].result;
        int best = lab_best(result, s->rates, seeds);
        for (int i = 0; i < seeds; i++)
            for (int x = 0; x < SWEEP_EXTRA; x++) extra[i][x] = all[k * each + best * seeds + i].extra[x];
        out[k] = (SweepBest){.result = result + best * seeds,
                             .extra = (const double(*)[SWEEP_EXTRA])extra,
                             .all = result,
                             .lr = s->arm[k].arm.lr * s->scale[best],
                             .edge = s->rates > 1 && (!best || best == s->rates - 1)};
    }
    return OK;
}

/* ---- what is made of it */

static double value(const SweepBest *b, int seed, SweepWhat what)
{
    const LabResult *o = &b->result[seed];
    return what == SWEEP_LOSS ? o->last : 100 * (what == SWEEP_EXACT ? o->score[0].exact : o->score[0].token);
}

static double mean(const SweepBest *b, int seeds, SweepWhat what)
{
    double sum = 0;
    for (int i = 0; i < seeds; i++) sum += value(b, i, what) / seeds;
    return sum;
}

double sweep_loss(const SweepBest *b, int seeds)
{
    return mean(b, seeds, SWEEP_LOSS);
}

double sweep_exact(const SweepBest *b, int seeds)
{
    return mean(b, seeds, SWEEP_EXACT);
}

double sweep_token(const SweepBest *b, int seeds)
{
    return mean(b, seeds, SWEEP_TOKEN);
}

double sweep_extra(const SweepBest *b, int seeds, int which)
{
    double sum = 0;
    for (int i = 0; i < seeds; i++) sum += b->extra[i][which] / seeds;
    return sum;
}

void sweep_record(Run *r, const Sweep *s, const SweepBest *best)
{
    static const char *const WHAT[] = {"late loss (nats per token)", "exact match (%)", "tokens right (%)"};
    Arena *a = run_arena(r);
    Buf note = buf_open(a);
    for (int k = 0; k < s->arms; k++) {
        const char *name = s->arm[k].arm.name;
        bool trained = best[k].result->points > 0;
        for (int i = 0; i < run_seeds(r); i++)
            for (int w = trained ? 0 : 1; w < 3; w++)
                run_metric(r, str_print(a, "%s: %s", name, WHAT[w]), i, value(&best[k], i, (SweepWhat)w));
        if (trained)
            buf_print(&note, "%s%s %.2g%s (%lld)", note.len ? ", " : "", name, best[k].lr, best[k].edge ? "*" : "",
                      (long long)best[k].result->params);
    }
    run_note(r, "Best rate of %d (* at an end of the range), and trainable numbers in brackets: %s.", s->rates,
             note.text);
}

Series sweep_series(Arena *a, const SweepBest *best, int n, int seeds, SweepWhat what, const char *label)
{
    Series s = {.y = tensor_new(a, F64, SHAPE(n)),
                .lo = tensor_new(a, F64, SHAPE(n)),
                .hi = tensor_new(a, F64, SHAPE(n)),
                .label = label};
    for (int k = 0; k < n; k++) {
        double least = INFINITY, most = -INFINITY;
        for (int i = 0; i < seeds; i++) {
            double x = value(&best[k], i, what);
            least = fmin(least, x), most = fmax(most, x);
        }
        tensor_set(s.y, k, mean(&best[k], seeds, what)), tensor_set(s.lo, k, least), tensor_set(s.hi, k, most);
    }
    return s;
}
