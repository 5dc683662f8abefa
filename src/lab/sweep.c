/* Sweeps: one job per (arm, rate, seed), seeds innermost, so the outcomes of one rate are neighbours. */
#include "lab/sweep.h"

#include <math.h>
#include <string.h>

#include "base/str.h"

Status sweep_train(Run *r, const SweepJob *j, LabResult *out)
{
    return lab_tune(r, j->run, j->m, j->hooks, j->model, &j->arm, NULL, j->seed, out);
}

bool sweep_match(LabResult *o, const LabArm *arm)
{
    double value = lab_watched(o);
    bool matched = o->points && !o->diverged && value >= arm->until;
    o->last = matched ? (double)o->step[o->points - 1] : (2 - value) * (double)arm->steps;
    return matched;
}

static Status job(Run *r, int i, void *out, void *user)
{
    const Sweep *s = user;
    int seeds = run_seeds(r), rate = i / seeds % s->rates, index = i / seeds / s->rates;
    const SweepArm *a = &s->arm[index];
    Arena run = arena_open(0);
    SweepJob j = {.run = &run,
                  .hooks = hooks_new(&run),
                  .model = a->model,
                  .arm = a->arm,
                  .index = index,
                  .tag = a->tag,
                  .seed_index = i % seeds,
                  .seed = run_seed(r, i % seeds)};
    j.arm.name = str_print(&run, "%s, rate %g", a->arm.name, s->scale[rate]);
    j.arm.lr *= s->scale[rate];
    TRY(lab_open(&j.m, &run, r, j.model, j.seed));
    TRY(s->tune ? s->tune(r, &j, out, s->user) : sweep_train(r, &j, out));
    arena_close(&run);
    return OK;
}

void sweep_choose(Arena *a, const Sweep *s, const void *all, int seeds, SweepBest *out)
{
    int each = s->rates * seeds;
    for (int k = 0; k < s->arms; k++) {
        const char *mine = (const char *)all + s->size * (size_t)(k * each);
        LabResult *result = NEW(a, LabResult, each);
        for (int i = 0; i < each; i++) memcpy(&result[i], mine + s->size * (size_t)i, sizeof *result);
        int best = lab_best(result, s->rates, seeds);
        out[k] = (SweepBest){.result = result + best * seeds,
                             .outcome = mine + s->size * (size_t)(best * seeds),
                             .all = result,
                             .lr = s->arm[k].arm.lr * s->scale[best],
                             .edge = s->rates > 1 && (!best || best == s->rates - 1)};
    }
}

Status sweep_run(Run *r, Sweep *s, SweepBest *best)
{
    if (!s->size) s->size = sizeof(LabResult);
    CHECK(s->arms <= SWEEP_ARMS && s->size >= sizeof(LabResult), "%d methods, outcomes of %zu bytes", s->arms,
          s->size);
    int n = s->arms * s->rates * run_seeds(r);
    void *all = arena_zero(run_arena(r), s->size * (size_t)n);
    TRY(run_parallel(r, n, s->size, job, s, all));
    sweep_choose(run_arena(r), s, all, run_seeds(r), best);
    return OK;
}

/* ---- the results */

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

void sweep_record(Run *r, const Sweep *s, const SweepBest *best)
{
    static const char *const WHAT[] = {"late loss (nats per token)", "exact match (%)", "token accuracy (%)"};
    static const ClaimRange RANGE[] = {RANGE_POSITIVE, RANGE_PERCENT, RANGE_PERCENT};
    Arena *a = run_arena(r);
    Buf note = buf_open(a);
    for (int k = 0; k < s->arms; k++) {
        const char *name = s->arm[k].arm.name;
        bool trained = best[k].result->points > 0;
        for (int i = 0; i < run_seeds(r); i++)
            for (int w = trained ? 0 : 1; w < 3; w++)
                run_metric(r, RANGE[w], str_print(a, "%s: %s", name, WHAT[w]), i, value(&best[k], i, (SweepWhat)w));
        if (trained)
            buf_print(&note, "%s%s %.2g%s (%lld)", note.len ? ", " : "", name, best[k].lr, best[k].edge ? "*" : "",
                      (long long)best[k].result->params);
    }
    run_note(r, "Best learning rate of %d (* at an end of the range), and trainable parameters in brackets: %s.",
             s->rates, note.text);
}

Series sweep_series(Arena *a, const SweepBest *best, int n, int seeds, SweepWhat what, const char *label)
{
    double *values = NEW(a, double, n *seeds);
    for (int k = 0; k < n; k++)
        for (int i = 0; i < seeds; i++) values[k * seeds + i] = value(&best[k], i, what);
    return seeds_series(a, values, n, seeds, label);
}

Series seeds_series(Arena *a, const double *values, int points, int seeds, const char *label)
{
    Tensor at = tensor_new(a, F64, SHAPE(points)), lo = tensor_new(a, F64, SHAPE(points)),
           hi = tensor_new(a, F64, SHAPE(points));
    for (int p = 0; p < points; p++) {
        double least = INFINITY, most = -INFINITY;
        for (int i = 0; i < seeds; i++) {
            double x = values[p * seeds + i];
            least = x < least || isnan(x) ? x : least, most = x > most || isnan(x) ? x : most;
        }
        tensor_set(at, p, seeds_mean(values + p * seeds, seeds)), tensor_set(lo, p, least), tensor_set(hi, p, most);
    }
    return (Series){.y = at, .lo = lo, .hi = hi, .label = label};
}

const double *sweep_values(Arena *a, const SweepBest *b, int seeds, SweepWhat what)
{
    double *v = NEW(a, double, seeds);
    for (int i = 0; i < seeds; i++) v[i] = value(b, i, what);
    return v;
}

const double *lab_values(Arena *a, const LabResult *o, int seeds, int task)
{
    double *v = NEW(a, double, seeds);
    for (int i = 0; i < seeds; i++) v[i] = 100 * o[i].score[task].exact;
    return v;
}

const double *seeds_less(Arena *a, const double *x, const double *y, int n)
{
    double *v = NEW(a, double, n);
    for (int i = 0; i < n; i++) v[i] = x[i] - y[i];
    return v;
}

const double *seeds_most(Arena *a, const double *x, const double *y, int n)
{
    double *v = NEW(a, double, n);
    for (int i = 0; i < n; i++) v[i] = fmax(x[i], y[i]);
    return v;
}

double seeds_mean(const double *values, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += values[i] / n;
    return sum;
}

const char *seeds_text(Arena *a, const double *values, int n)
{
    double least = values[0], most = values[0];
    for (int i = 1; i < n; i++) least = fmin(least, values[i]), most = fmax(most, values[i]);
    return n > 1 ? str_print(a, "%.1f (%.1f to %.1f)", seeds_mean(values, n), least, most)
                 : str_print(a, "%.1f", values[0]);
}

Status sweep_methods(char word[][24], int most, int *n, const char *list)
{
    *n = 0;
    size_t len;
    for (const char *rest = list, *at; str_next(&rest, ",", &at, &len);) {
        if (*n == most || len >= sizeof word[0])
            return err_fail(E_CONFIG, "\"%s\": at most %d words of %zu bytes", list, most, sizeof word[0] - 1);
        memcpy(word[*n], at, len), word[*n][len] = 0;
        const char *method = lab_arm(word[*n]).method;
        if (method && !peft_find(method))
            return err_fail(E_CONFIG, "unknown method \"%s\"; expected one of `vernier list`", word[*n]);
        ++*n;
    }
    return *n ? OK : err_fail(E_CONFIG, "expected at least one method");
}
