/* Commit messages: an encoder-decoder, or UniXcoder; selection by the perplexity of the validation messages. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/json.h"
#include "tasks/tune.h"

static Status check(TuneJob *j)
{
    if (j->o.model || j->p.peft->trains_all) return OK;
    return err_fail(E_CONFIG,
                    "without --model a randomly initialised model is trained, which needs --method full, not %s",
                    j->p.method);
}

/* ---- reading */

static Status check_messages(const JitSet *s, const char *path)
{
    for (int64_t i = 0; i < s->n; i++)
        if (!cmg_subject(&s->change[i]).len)
            return err_fail(E_MISMATCH, "%s: commit %.40s has no message, expected the one to learn", path,
                            s->change[i].id);
    return OK;
}

static Status read_messages(TuneJob *j)
{
    const TuneOptions *o = &j->o;
    TRY(tune_commits(j));
    TRY(check_messages(&j->train, o->train));
    TRY(check_messages(&j->valid, o->valid ? o->valid : o->train));
    return j->valid.n ? OK : err_fail(E_MISMATCH, "%s: too few commits to set some aside (--valid)", o->train);
}

/* ---- training */

/* UniXcoder: a change and its message share the positions. */
static bool together(const Predictor *p)
{
    return !p->net->arch->encode;
}

/* Sets the source and target lengths from the options and the positions that virtual tokens leave. */
static Status plan(TuneJob *j)
{
    Predictor *p = &j->p;
    CmgPlan *c = &p->cmg;
    int most = config_room(&p->net->config), taken = tune_positions(j), left = most ? most - taken : 1 << 16;
    *c = cmg_plan(p->net, &p->text);
    c->target = c->target < left ? c->target : left;
    TRY(tune_number(&c->target, "target", j->o.target, c->target, CMG_LEAST, left));
    if (together(p)) left -= c->target;
    c->source = c->source < left ? c->source : left;
    if (c->source < CMG_LEAST || c->target < CMG_LEAST)
        return err_fail(E_CONFIG, "%d virtual tokens leave %d of the model's %d positions to a change", taken, left,
                        most);
    TRY(tune_number(&c->source, "max-length", j->o.length, c->source, CMG_LEAST, left));
    c->language = j->o.language, c->review = j->o.review;
    snprintf(j->shape, sizeof j->shape, "lengths %d and %d%s", c->source, c->target, c->review ? ", review" : "");
    return OK;
}

static Status tokens(Examples *out, const TuneJob *j, const Predictor *p, const JitSet *s)
{
    return cmg_tokens(out, j->run, s->n, s->change, p->net, &p->text, &p->cmg);
}

static Status prepare(TuneJob *j)
{
    Examples train, valid;
    TRY(tokens(&train, j, &j->p, &j->train));
    TRY(tokens(&valid, j, &j->p, &j->valid));
    return tuning_show_messages(&j->t, &train, &valid);
}

/* The study's rate for every method; a larger one for weights that are random. */
static double rate(const TuneJob *t)
{
    return strcmp(t->p.model, TASK_CMG.base) ? 5e-4 : 1e-3;
}

/* ---- the end */

static Status measure(Evaluation *e, const TuneJob *j, Predictor *p)
{
    Examples x;
    Batcher *feed;
    TRY(tokens(&x, j, p, &j->valid));
    TRY(tuning_messages_feed(&feed, j->run, p->net, &x));
    Arena step = arena_open((size_t)1 << 36);
    Status s = cmg_evaluate(p->net, p->hooks, feed, &step, e);
    arena_close(&step);
    return s;
}

static cJSON *measures(const Evaluation *e)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "commits", (double)e->examples);
    cJSON_AddNumberToObject(o, "tokens", (double)e->scored);
    cJSON_AddItemToObject(o, "perplexity",
                          isfinite(e->perplexity) ? cJSON_CreateNumber(e->perplexity) : cJSON_CreateNull());
    cJSON_AddNumberToObject(o, "accuracy", e->accuracy);
    return o;
}

/* The files are read back once before anything relies on them. */
static Status finish(TuneJob *j)
{
    Predictor p;
    Evaluation e;
    Status s = predictor_open_draft(&p, j->p.task, j->run, j->p.dir, &j->o.load);
    if (!s) s = measure(&e, j, &p);
    if (!s) s = predictor_save(&p, measures(&e), j->run);
    predictor_close(&p);
    return s;
}

static Status make(TuneJob *j)
{
    TRY(tune_load(j));
    TRY(cmg_writes(j->p.net));
    TRY(plan(j));
    TRY(tuning_attach_messages(&j->t));
    TRY(prepare(j));
    TRY(tune_train(j, rate(j)));
    return finish(j);
}

const TuneTask TUNE_CMG = {.task = &TASK_CMG,
                           .about = "a message for each commit (commit-message generation)",
                           .one = "commit",
                           .many = "commits",
                           .method = "full",
                           .epochs = 10,
                           .batch = 32,
                           .evaluations = 5,
                           .least = CMG_LEAST,
                           .check = check,
                           .read = read_messages,
                           .make = make,
                           .begin = tune_writer};
REGISTER(tune_task, TUNE_CMG)
