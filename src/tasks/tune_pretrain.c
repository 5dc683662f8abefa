/* Pretraining on changes without labels, with the objectives of CodeReviewer or CCT5; selection by the mean of their
 * validation losses.  Its model is one that other tasks begin with. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "io/json.h"
#include "tasks/review_set.h"
#include "tasks/tune.h"

typedef struct {
    ReviewSet train, valid;
} Sets;

/* ---- training */

static Status check(TuneJob *j)
{
    j->p.objectives = j->o.objectives;
    if (j->o.model || j->p.peft->trains_all) return OK;
    return err_fail(E_CONFIG,
                    "without --model a randomly initialised model is trained, which needs --method full, not %s",
                    j->p.method);
}

static Status read_changes(TuneJob *j)
{
    TRY(tune_commits(j));
    return j->valid.n ? OK : err_fail(E_MISMATCH, "%s: too few commits to set some aside (--valid)", j->o.train);
}

/* A change and its comment, cut to --max-length and --target; the published lengths are 512 and 128. */
static Status plan(ReviewPlan *out, TuneJob *j)
{
    const Predictor *p = &j->p;
    int most = config_room(&p->net->config), taken = tune_positions(j), left = most ? most - taken : 1 << 16;
    TRY(review_plan(out, &p->text, p->objectives, p->net->config.vocab));
    TRY(tune_number(&out->source, "max-length", j->o.length, out->source < left ? out->source : left, 64, left));
    TRY(tune_number(&out->target, "target", j->o.target, out->target < left ? out->target : left, CMG_LEAST, left));
    snprintf(j->shape, sizeof j->shape, "%s, lengths %d and %d", REVIEW_FORM[p->objectives], out->source,
             out->target);
    return OK;
}

static double mean_of(const ReviewScore *s, bool loss)
{
    double sum = 0;
    int n = 0;
    for (int o = 0; o < REVIEW_OBJECTIVE_COUNT; o++)
        if (s[o].scored) sum += loss ? s[o].loss : s[o].accuracy, n++;
    return n ? sum / n : 0;
}

static Status judge(double *score, double *tie, TuneMeasured *m, Arena *step, Tuning *t)
{
    const Sets *sets = t->judged;
    ReviewScore x[REVIEW_OBJECTIVE_COUNT];
    TRY(review_measure(x, t->model, t->hooks, &sets->valid, step));
    double loss = mean_of(x, true);
    *score = isfinite(loss) ? -loss : -HUGE_VAL, *tie = mean_of(x, false);
    m->text =
        str_print(step, "validation loss %.4f, %.1f %% of the tokens, means over the objectives", loss, 100 * *tie);
    m->name[0] = "loss", m->value[0] = loss;
    m->name[1] = "accuracy", m->value[1] = *tie;
    m->n = 2;
    return OK;
}

static Status sets_of(Sets *out, TuneJob *j, const Model *m)
{
    ReviewPlan p;
    uint64_t seed = (uint64_t)j->o.seed;
    TRY(plan(&p, j));
    TRY(review_set(&out->train, j->run, j->train.n, j->train.change, m, &p, rng_stream(seed, "pretrain/train")));
    return review_set(&out->valid, j->run, j->valid.n, j->valid.change, m, &p, rng_stream(seed, "pretrain/valid"));
}

static void show(TuneJob *j, Sets *sets)
{
    Tuning *t = &j->t;
    t->train = sets->train.x;
    t->loss = review_loss, t->weigh = review_weigh, t->loss_user = &sets->train;
    t->judge = judge, t->judged = sets;
    tuning_remark(&j->watch, j->run, "%lld hunks, %lld of them with a message, give %lld examples to train on",
                  (long long)sets->train.hunks, (long long)sets->train.messages, (long long)sets->train.x.n);
}

/* ---- the end */

static cJSON *measures(const ReviewScore *score)
{
    cJSON *o = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(o, "objectives");
    cJSON_AddNumberToObject(o, "loss", mean_of(score, true));
    cJSON_AddNumberToObject(o, "accuracy", mean_of(score, false));
    for (int i = 0; i < REVIEW_OBJECTIVE_COUNT; i++) {
        if (!score[i].scored) continue;
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "objective", REVIEW_OBJECTIVE[i]);
        cJSON_AddNumberToObject(one, "examples", (double)score[i].examples);
        cJSON_AddNumberToObject(one, "tokens", (double)score[i].scored);
        cJSON_AddNumberToObject(one, "loss", score[i].loss);
        cJSON_AddNumberToObject(one, "unigram", score[i].unigram);
        cJSON_AddNumberToObject(one, "accuracy", score[i].accuracy);
        cJSON_AddNumberToObject(one, "majority", score[i].majority);
        cJSON_AddItemToArray(list, one);
    }
    return o;
}

/* The files are read back once before anything relies on them. */
static Status finish(TuneJob *j, const Sets *sets)
{
    Predictor p;
    ReviewScore score[REVIEW_OBJECTIVE_COUNT];
    Arena step = arena_open((size_t)1 << 36);
    Status s = predictor_open_draft(&p, j->p.task, j->run, j->p.dir, &j->o.load);
    if (!s) s = review_measure(score, p.net, p.hooks, &sets->valid, &step);
    if (!s) s = predictor_save(&p, measures(score), j->run);
    predictor_close(&p);
    arena_close(&step);
    return s;
}

static Status make(TuneJob *j)
{
    Sets sets;
    TRY(tune_load(j));
    TRY(cmg_writes(j->p.net));
    TRY(tuning_attach_messages(&j->t));
    TRY(sets_of(&sets, j, j->p.net));
    show(j, &sets);
    TRY(tune_train(j, strcmp(j->p.model, TASK_PRETRAIN.base) ? 3e-4 : 1e-3));
    return finish(j, &sets);
}

const TuneTask TUNE_PRETRAIN = {.task = &TASK_PRETRAIN,
                                .about = "pretraining of an encoder-decoder on changes, as CodeReviewer or CCT5",
                                .one = "commit",
                                .many = "commits",
                                .method = "full",
                                .epochs = 5,
                                .batch = 32,
                                .evaluations = 1,
                                .least = 64,
                                .check = check,
                                .read = read_changes,
                                .make = make,
                                .begin = tune_writer};
REGISTER(tune_task, TUNE_PRETRAIN)
