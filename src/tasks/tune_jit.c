/* Defect prediction: a transformer with a head, or a baseline; selection by validation F1, of equals by AUC. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "tasks/jit_json.h"
#include "tasks/tune.h"
#include "tasks/tune_rows.h"

/* ---- reading */

static Status choose_head(TuneJob *j)
{
    TuneOptions *o = &j->o;
    bool there = j->train.features && j->valid.features;
    if (!o->head) o->head = JIT_HEAD[there ? JIT_CONCAT : JIT_SINGLE];
    while (j->p.head < JIT_HEADS && strcmp(JIT_HEAD[j->p.head], o->head) != 0) j->p.head++;
    if (j->p.head == JIT_HEADS) return err_fail(E_CONFIG, "--head %s: expected single, concat or expert", o->head);
    if (j->p.head == JIT_EXPERT && j->p.learner)
        return err_fail(E_CONFIG, "--head expert is for a network; %s reads words", j->p.method);
    if (jit_reads_features(j->p.head) && !there)
        return err_fail(E_MISMATCH,
                        "%s: not every commit has the features that --head %s reads (vernier data mine --features)",
                        j->train.features ? o->valid : o->train, o->head);
    return OK;
}

/* Reads the labelled commits for training and validation, and chooses the head. */
static Status read_defects(TuneJob *j)
{
    const TuneOptions *o = &j->o;
    TRY(tune_commits(j));
    j->p.per_split = o->per_split, j->p.features = o->features;
    j->p.threshold = 0.5;
    TRY(jit_labelled(&j->train, o->train));
    if (j->train.unknown + j->valid.unknown)
        tuning_remark(&j->watch, j->run, "%lld %s features that are unknown (null); each counts as its mean",
                      (long long)(j->train.unknown + j->valid.unknown),
                      str_plural(j->train.unknown + j->valid.unknown, "commit has", "commits have"));
    if (o->valid)
        TRY(jit_labelled(&j->valid, o->valid));
    else if (!j->valid.positives || j->valid.positives == j->valid.n)
        return err_fail(E_MISMATCH,
                        "%s: its last by time %s %lld %s, %lld defective; expected both classes (--valid, "
                        "--validation-fraction)",
                        o->train, str_plural(j->valid.n, "is", "are"), (long long)j->valid.n,
                        str_plural(j->valid.n, "commit", "commits"), (long long)j->valid.positives);
    return choose_head(j);
}

/* ---- training */

static Status plan(TuneJob *j)
{
    Predictor *p = &j->p;
    int most = config_room(&p->net->config), taken = tune_positions(j);
    p->plan = jit_plan(&p->text, p->net->config.vocab, most);
    if (most && p->plan.length > most - taken) p->plan.length = most - taken;
    if (p->plan.length < JIT_LEAST)
        return err_fail(E_CONFIG, "%d virtual tokens leave %d of the model's %d positions to a commit", taken,
                        most - taken, most);
    TRY(tune_number(&p->plan.length, "max-length", j->o.length, p->plan.length, JIT_LEAST,
                    most ? p->plan.length : 1 << 16));
    p->plan.language = j->o.language;
    int n = snprintf(j->shape, sizeof j->shape, "%s, length %d, %d features%s%s", JIT_HEAD[p->head], p->plan.length,
                     (int)p->features, j->o.focal ? ", focal loss" : "", j->o.as_published ? ", as published" : "");
    if (j->o.weight > 0) snprintf(j->shape + n, sizeof j->shape - (size_t)n, ", weight %g", j->o.weight);
    return OK;
}

static Status prepare(TuneJob *j)
{
    Predictor *p = &j->p;
    Examples train, valid;
    p->scale = jit_scale(&j->train, false);
    JitScale scale = predictor_scale(p, &j->train), valid_scale = predictor_scale(p, &j->valid);
    TRY(predictor_tokens(&train, p, j->run, &j->train));
    TRY(predictor_tokens(&valid, p, j->run, &j->valid));
    tuning_remark(&j->watch, j->run, "%lld of the commits to train on are defective, and %lld of those to select by",
                  (long long)j->train.positives, (long long)j->valid.positives);
    return tuning_show_defects(&j->t, &(JitShown){&j->train, &train, &scale},
                               &(JitShown){&j->valid, &valid, &valid_scale}, JIT_BY_F1);
}

static double rate(const TuneJob *j)
{
    return peft_lr(j->p.peft, !strcmp(j->p.model, TASK_JIT.base));
}

/* ---- the end */

/* The measures of the predictor on disk: it is read back once before anything relies on it. */
static Status finish(TuneJob *j)
{
    Predictor p;
    Arena step = arena_open((size_t)1 << 36);
    double *score = NEW(j->run, double, j->valid.n);
    Status s = predictor_open_draft(&p, j->p.task, j->run, j->p.dir, &j->o.load);
    if (!s) s = predictor_score(score, &p, j->run, &step, &j->valid, tuning_goes_on, &j->watch);
    if (!s) {
        JitScores valid = jit_scores(&j->valid, score, p.threshold);
        s = tune_rows_defects(j, score, p.threshold);
        if (!s) s = predictor_save(&p, jit_scores_json(&valid), j->run);
    }
    predictor_close(&p);
    arena_close(&step);
    return s;
}

static Status make_network(TuneJob *j)
{
    TRY(tune_load(j));
    TRY(plan(j));
    j->t.recipe = j->o.recipe, j->t.as_published = j->p.as_published = j->o.as_published;
    TRY(tuning_attach_defects(&j->t, j->p.head));
    j->t.jit.focal = j->o.focal, j->t.jit.weight = j->o.weight;
    TRY(prepare(j));
    TRY(tune_train(j, rate(j)));
    return finish(j);
}

/* ---- learners */

static Status score_learner(JitScores *out, TuneJob *j)
{
    Predictor *p = &j->p;
    Arena step = arena_open((size_t)1 << 36);
    double *score = NEW(j->run, double, j->valid.n);
    Status s = predictor_score(score, p, j->run, &step, &j->valid, tuning_goes_on, &j->watch);
    bool best = j->o.best_threshold || (p->learner->best_threshold && !j->o.as_published);
    if (!s && best) p->threshold = jit_best_threshold(&j->valid, score);
    if (!s) *out = jit_scores(&j->valid, score, p->threshold);
    if (!s) s = tune_rows_defects(j, score, p->threshold);
    arena_close(&step);
    return s;
}

/* The validation commits choose settings and threshold and judge a fit on the others; where they were cut from the
 * training file, the model that is kept is fitted to them, too, with the settings that were chosen. */
static Status make_learner(TuneJob *j)
{
    Predictor *p = &j->p;
    JitScores valid;
    LearnJob job = {.train = &j->train,
                    .valid = &j->valid,
                    .option = p->option,
                    .features = p->head == JIT_CONCAT,
                    .as_published = j->o.as_published,
                    .no_fix = p->features < N_FEATURES,
                    .seed = (uint64_t)j->o.seed,
                    .watch = &j->watch};
    p->as_published = j->o.as_published;
    TRY(p->learner->fit(&p->learned, j->run, &job));
    TRY(score_learner(&valid, j));
    job.former = p->learned, job.valid = NULL, job.train = &j->all;
    if (j->all.n) TRY(p->learner->fit(&p->learned, j->run, &job));
    TRY(p->learner->save(p->learned, p->dir));
    return predictor_save(p, jit_scores_json(&valid), j->run);
}

static Status make(TuneJob *j)
{
    return j->p.peft ? make_network(j) : make_learner(j);
}

const TuneTask TUNE_JIT = {.task = &TASK_JIT,
                           .about = "does a commit introduce a defect? (just-in-time defect prediction)",
                           .one = "commit",
                           .many = "commits",
                           .method = "lora",
                           .epochs = 10,
                           .batch = 32,
                           .evaluations = 5,
                           .least = JIT_LEAST,
                           .encoder_alone = true,
                           .baselines = true,
                           .read = read_defects,
                           .make = make,
                           .begin = tune_encoder};
REGISTER(tune_task, TUNE_JIT)
