/* One job: a fresh copy of a base, a method, a task, a seed.  It is tuned, tested, frozen and probed. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "base/str.h"
#include "probe/classifier.h"
#include "probe/features.h"
#include "probes/study.h"
#include "tasks/tuning.h"

typedef struct {
    Run *r;
    const Study *s;
    const StudyJob *job;
    const StudyBase *base;
    StudyOutcome *out;
    Arena run, step;
    uint64_t seed;
    Model *m;
    Hooks *hooks;
    Tuning tuning;
    JitSet commits; /* to train on */
    JitScale scale; /* of their features */
    Examples train;
    double began, trained; /* processor time when training went on, and spent on it before */
} Work;

static double cpu(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* ---- the training set ---- */

/* A sample of the commits: as many of each class as their share says, at least one of each. */
static int64_t choose_commits(int32_t *index, const Work *w)
{
    const JitSet *all = &w->s->commits[SPLIT_TRAIN];
    int64_t n[2] = {0}, kept = 0, want[2], total = 0;
    for (int64_t i = 0; i < all->n; i++) {
        if (w->job->away && !w->s->home[i]) continue;
        index[kept++] = (int32_t)i;
        n[all->change[i].label == 1]++;
    }
    if (!w->job->size || w->job->size >= kept) return kept;
    want[1] = llround((double)w->job->size * (double)n[1] / (double)kept);
    if (want[1] < 1) want[1] = 1;
    want[0] = w->job->size - want[1];
    rng_shuffle(rng_stream(w->seed, "sample"), kept, index);
    for (int64_t i = 0; i < kept; i++) {
        int label = all->change[index[i]].label == 1;
        if (want[label]-- > 0) index[total++] = index[i];
    }
    return total;
}

/* Selects the job's training commits with their tokens. */
static void take_commits(Work *w)
{
    const JitSet *all = &w->s->commits[SPLIT_TRAIN];
    const Examples *tokens = &w->base->commits[SPLIT_TRAIN];
    int32_t *index = NEW(&w->run, int32_t, all->n);
    int64_t n = choose_commits(index, w);
    const int32_t **ids = NEW(&w->run, const int32_t *, n);
    int32_t *len = NEW(&w->run, int32_t, n);
    w->commits = (JitSet){.n = n, .change = NEW(&w->run, CodeChange, n)};
    for (int64_t i = 0; i < n; i++) {
        w->commits.change[i] = all->change[index[i]];
        ids[i] = tokens->ids[index[i]], len[i] = tokens->len[index[i]];
    }
    jit_count(&w->commits);
    w->train = (Examples){.n = n, .ids = ids, .len = len};
}

/* Selects a random sample of the job's training pairs. */
static void take_pairs(Work *w)
{
    const Examples *all = &w->base->pairs[w->job->language][SPLIT_TRAIN];
    int64_t n = w->job->size ? w->job->size : w->s->pairs;
    int32_t *index = NEW(&w->run, int32_t, all->n);
    if (n > all->n) n = all->n;
    for (int64_t i = 0; i < all->n; i++) index[i] = (int32_t)i;
    rng_shuffle(rng_stream(w->seed, "sample"), all->n, index);
    Examples x = {.n = n};
    const int32_t **ids = NEW(&w->run, const int32_t *, n), **src = NEW(&w->run, const int32_t *, n),
                  **target = NEW(&w->run, const int32_t *, n);
    int32_t *len = NEW(&w->run, int32_t, n), *src_len = NEW(&w->run, int32_t, n);
    for (int64_t i = 0; i < n; i++) {
        int64_t k = index[i];
        ids[i] = all->ids[k], src[i] = all->src[k], target[i] = all->target[k];
        len[i] = all->len[k], src_len[i] = all->src_len[k];
    }
    x.ids = ids, x.src = src, x.target = target, x.len = len, x.src_len = src_len;
    w->train = x;
}

/* ---- tuning ---- */

static void show_step(const TuneStep *s, void *user)
{
    run_progress(((Work *)user)->r, s->phase, s->step, s->total, s->loss);
}

static bool is_stopped(void *user)
{
    (void)user;
    return run_stopped();
}

/* Evaluations do not count as time of training. */
static void take_time(bool idle, void *user)
{
    Work *w = user;
    if (idle) w->trained += cpu() - w->began;
    w->began = cpu();
}

/* Attaches the job's tuning method with its options, and counts the trainable parameters. */
static Status attach(Work *w)
{
    const StudyMethod *how = &w->s->method[w->job->method];
    Tuning *t = &w->tuning;
    *t = (Tuning){.run = &w->run,
                  .model = w->m,
                  .hooks = w->hooks,
                  .peft = how->peft,
                  .seed = w->seed,
                  .watch = {.step = show_step, .stopped = is_stopped, .idle = take_time, .user = w}};
    how->peft->defaults(&t->cfg, &w->m->config);
    TRY(peft_set(&t->cfg, &w->run, how->options));
    TRY(w->job->task == STUDY_JIT ? tuning_attach_defects(t, w->job->head) : tuning_attach_messages(t));
    w->out->all = t->parameters, w->out->trained = t->trainable;
    return OK;
}

static Status show_commits(Work *w)
{
    take_commits(w);
    w->scale = jit_scale(&w->commits, false);
    return tuning_show_defects(&w->tuning, &(JitShown){&w->commits, &w->train, &w->scale},
                               &(JitShown){&w->s->commits[SPLIT_VALID], &w->base->commits[SPLIT_VALID], &w->scale},
                               JIT_BY_AUC);
}

static Status show_pairs(Work *w)
{
    take_pairs(w);
    return tuning_show_messages(&w->tuning, &w->train, &w->base->pairs[w->job->language][SPLIT_VALID]);
}

static void set_length(Work *w)
{
    const Run *r = w->r;
    Tuning *t = &w->tuning;
    int64_t least = run_int(r, "least-steps");
    t->rows = run_int(r, "batch");
    t->total = tuning_epoch(t) * run_int(r, w->job->task == STUDY_JIT ? "epochs" : "epochs-messages");
    if (t->total < least) t->total = least;
    t->every = t->total / run_int(r, "evaluations");
    t->lr = run_real(r, w->s->method[w->job->method].rate) * w->job->scale;
}

/* Tunes the model and restores its best evaluation; a run that diverges is a result, not an error. */
static Status tune(Work *w)
{
    Tuning *t = &w->tuning;
    TRY(attach(w));
    TRY(w->job->task == STUDY_JIT ? show_commits(w) : show_pairs(w));
    set_length(w);
    TRY(tuning_open(t));
    Kept kept = kept_open(&w->run, w->m->params);
    Status status = tuning_run(t, &(TuneSink){.keep = tuning_remember, .user = &kept});
    if (status == E_NUMERIC) { /* a rate that is too high is a result, like any other */
        err_clear();
        status = OK;
    }
    TRY(status);
    run_measure(w->r, "cpu_seconds", 0, w->trained / (double)t->trainer->step);
    w->out->steps = t->trainer->step, w->out->examples = w->train.n;
    w->out->valid = t->stand.score;
    if (t->stand.evaluations) kept_restore(&kept);
    return OK;
}

/* ---- testing ---- */

/* Computes the test metrics of defect prediction, also for the projects that some jobs do not see. */
static Status test_commits(Work *w)
{
    StudyOutcome *out = w->out;
    const JitSet *valid = &w->s->commits[SPLIT_VALID], *test = &w->s->commits[SPLIT_TEST];
    Tuning *t = &w->tuning;
    JitModel j = t->jit;
    double *score = NEW(&w->run, double, test->n), *some = NEW(&w->run, double, test->n);
    int32_t *label = NEW(&w->run, int32_t, test->n);
    TRY(jit_predict(t->score, &t->jit_valid, w->hooks, &w->step, NULL, NULL));
    double at = jit_best_threshold(valid, t->score);
    jit_model_show(&j, &w->run, test, &w->base->commits[SPLIT_TEST], &w->scale);
    TRY(jit_predict(score, &j, w->hooks, &w->step, NULL, NULL));
    JitScores x = jit_scores(test, score, 0.5), y = jit_scores(test, score, at);
    out->f1 = x.at.f1, out->f1_best = y.at.f1, out->auc = x.at.auc;
    out->recall_at_20 = x.effort.recall_at_20, out->popt = x.effort.popt;
    int64_t n = 0;
    for (int64_t i = 0; i < test->n; i++)
        if (w->s->other[i]) label[n] = test->change[i].label, some[n++] = score[i];
    out->auc_other = score_auc(label, some, n);
    return OK;
}

static bool told_row(int64_t done, void *user)
{
    Work *w = user;
    run_progress(w->r, "writing", done, w->s->language[0].n[SPLIT_TEST], (double)NAN);
    return !run_stopped();
}

/* Generates messages for the test changes of each language, and scores them. */
static Status test_messages(Work *w)
{
    w->out->loss = -w->out->valid;
    GenerateConfig how = generate_defaults(w->m, w->base->cmg.target);
    for (int l = 0; l < w->s->languages; l++) {
        const StudyLanguage *lang = &w->s->language[l];
        int64_t n = lang->n[SPLIT_TEST], *index = NEW(&w->run, int64_t, n);
        Bytes *message = NEW(&w->run, Bytes, n);
        MessageRows rows;
        TRY(cmg_write(message, &w->run, &w->step, w->m, w->hooks, &w->base->text, &w->base->pairs[l][SPLIT_TEST],
                      &how, told_row, w));
        for (int64_t i = 0; i < n; i++) index[i] = i;
        messages_score(&rows, &w->run, n, message, lang->reference, NULL, NULL);
        messages_stats(w->out->written[l], index, n, &rows);
    }
    return OK;
}

/* ---- probing ---- */

static bool told_features(int64_t done, void *user)
{
    Work *w = user;
    run_progress(w->r, "features", done, w->s->set[0].n, (double)NAN);
    return !run_stopped();
}

/* Fits a probe on each layer of the tuned model, and keeps the predictions of the best layer. */
static Status probe_task(Work *w, ProbeTask t)
{
    const Dataset *d = &w->s->set[t];
    StudyOutcome *out = w->out;
    Arena a = arena_open(0);
    Features f;
    Status status = features_extract(&f, &a, &w->step, w->m, w->hooks, &w->base->rows[t],
                                     feature_pooling(run_text(w->r, "pooling")), told_features, w);
    for (int l = 0; !status && l < w->base->layers; l++) {
        ArenaMark mark = arena_mark(&a);
        ProbeResult p;
        if (run_stopped()) status = run_interrupted();
        if (!status) status = probe_fit(&p, &a, f.layers ? f.layer[l] : f.decoder[l], d, NULL, NULL);
        if (status) break;
        memcpy(out->accuracy[t][l], p.accuracy, sizeof p.accuracy);
        if (!l || p.accuracy[SPLIT_VALID] > out->accuracy[t][out->best[t]][SPLIT_VALID]) {
            int64_t n = 0;
            out->best[t] = l;
            for (int64_t i = 0; i < d->n; i++)
                if (d->example[i].split == SPLIT_TEST) out->guess[t][n++] = (uint8_t)p.predicted[i];
        }
        arena_drop(&a, mark);
    }
    arena_close(&a);
    return status;
}

/* One job: tunes and tests the model, unless it is the untuned or random one, and probes its layers. */
static Status work(Work *w)
{
    const StudyJob *job = w->job;
    const StudyBase *b = w->base;
    double megabytes = run_peak_megabytes();
    w->hooks = hooks_new(&w->run);
    TRY(job->task == STUDY_RANDOM ? model_open(&w->m, &w->run, &b->config, F32, w->seed)
                                  : model_load_as(&w->m, &w->run, b->dir, &(LoadOptions){.seed = w->seed}));
    bool tuned = job->task == STUDY_JIT || job->task == STUDY_CMG;
    if (tuned) {
        TRY(tune(w));
        run_measure(w->r, "peak_megabytes", 0, run_peak_megabytes() - megabytes);
        if (job->rate_only) return OK;
        TRY(job->task == STUDY_JIT ? test_commits(w) : test_messages(w));
        if (job->size || job->away) return OK;
    }
    w->out->forgot = study_denoising_loss(b, w->m, w->hooks, &w->step);
    for (ProbeTask t = 0; t < TASKS; t++) TRY(probe_task(w, t));
    return OK;
}

Status study_job(Run *r, int i, void *result, void *user)
{
    const StudyJobs *jobs = user;
    const StudyJob *job = &jobs->job[i];
    Work w = {.r = r, .s = jobs->study, .job = job, .base = &jobs->study->base[job->base], .out = result};
    w.run = arena_open(0);
    w.step = arena_open((size_t)1 << 36);
    w.seed = run_seed(r, job->seed);
    w.out->forgot = NAN;
    Status status = work(&w);
    arena_close(&w.step);
    arena_close(&w.run);
    return status;
}
