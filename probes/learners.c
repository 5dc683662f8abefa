/* Fits of one learner are one job of the run, so that they share the cores and a resumed run repeats none. */
#include "probes/learners.h"

#include <string.h>

#include "base/str.h"

static bool go_on(int64_t done, void *user)
{
    (void)done, (void)user;
    return !run_stopped();
}

static bool stopped(void *user)
{
    (void)user;
    return run_stopped();
}

Status learner_scores(double *score, double *threshold, void **model, const LearnerFit *f, const Learner *l,
                      Arena *run, Arena *step)
{
    const TuneWatch watch = {.stopped = stopped};
    const LearnView view = {0};
    double option[LEARNER_OPTIONS], *before = NEW(run, double, f->valid->n);
    TRY(learner_set(option, l, ""));
    LearnJob job = {.train = f->train,
                    .valid = f->valid,
                    .option = option,
                    .features = f->features && f->train->features && f->valid->features && f->test->features,
                    .as_published = f->as_published,
                    .seed = f->seed,
                    .watch = &watch};
    TRY(l->fit(model, run, &job));
    TRY(l->score(before, *model, step, f->valid, &view, go_on, NULL));
    *threshold = jit_best_threshold(f->valid, before);
    if (f->both) {
        job.former = *model, job.valid = NULL, job.train = f->both;
        TRY(l->fit(model, run, &job));
    }
    return l->score(score, *model, step, f->test, &view, go_on, NULL);
}

/* ---- rows ---- */

typedef struct {
    LearnerFit fit;
    const Learner *learner;
    int row, seed;
} Job;

static Status job(Run *r, int i, void *out, void *user)
{
    const Job *j = (const Job *)user + i;
    LearnerFit fit = j->fit;
    Arena run = arena_open((size_t)1 << 37), step = arena_open((size_t)1 << 37);
    double *score = NEW(&run, double, fit.test->n), threshold = 0.5, *at = out;
    void *model;
    fit.seed = run_seed(r, j->seed);
    Status s = learner_scores(score, &threshold, &model, &fit, j->learner, &run, &step);
    JitScores x = jit_scores(fit.test, score, 0.5), y = jit_scores(fit.test, score, threshold);
    const double value[5] = {x.at.f1, y.at.f1, x.at.auc, x.effort.recall_at_20, x.effort.popt};
    memcpy(at, value, sizeof value);
    arena_close(&step);
    arena_close(&run);
    return s;
}

static void add_row(LearnerRow *row, int *n, Arena *a, const Learner *l, const char *name, int seeds)
{
    CHECK(*n < MOST_LEARNERS, "more than %d rows of learners", MOST_LEARNERS);
    row[*n] = (LearnerRow){.name = name, .seeds = l->seeded ? seeds : 1};
    for (int k = 0; k < 5; k++) row[*n].at[k] = NEW(a, double, seeds);
    ++*n;
}

Status learner_rows(LearnerRow row[MOST_LEARNERS], int *n, Run *r, Arena *a, const LearnerFit *fit)
{
    Job *all = NEW(a, Job, (int64_t)MOST_LEARNERS * run_seeds(r));
    int jobs = 0;
    *n = 0;
    for (const Learner *const *l = learner_begin(); l < learner_end(); l++) {
        const bool twice = !strcmp((*l)->name, "words") && fit->features && fit->test->features;
        for (int k = 0; run_has(r, "baselines", (*l)->name) && k <= twice; k++) {
            LearnerFit own = *fit;
            own.features = own.features && !k;
            add_row(row, n, a, *l, k ? str_print(run_arena(r), "%s, no features", (*l)->name) : (*l)->name,
                    run_seeds(r));
            for (int s = 0; s < row[*n - 1].seeds; s++) all[jobs++] = (Job){own, *l, *n - 1, s};
        }
    }
    double *out = NEW(a, double, 5 * (int64_t)jobs + 1);
    TRY(run_parallel(r, jobs, sizeof *out * 5, job, all, out));
    for (int i = 0; i < jobs; i++)
        for (int k = 0; k < 5; k++) row[all[i].row].at[k][all[i].seed] = out[5 * i + k];
    return OK;
}
