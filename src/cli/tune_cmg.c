/* Commit messages as a task of tune: an encoder-decoder, or UniXcoder; selection by the perplexity of the validation
 * messages. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/print.h"
#include "base/str.h"
#include "cli/tune.h"

enum { LEAST = 8, EVALUATION_TOKENS = 8192 };

/* ---- cmg.json */

static void put(const Predictor *p, cJSON *root)
{
    if (p->cmg.language) cJSON_AddStringToObject(root, "language", p->cmg.language);
    cJSON_AddNumberToObject(root, "source", p->cmg.source);
    cJSON_AddNumberToObject(root, "target", p->cmg.target);
    cJSON_AddNumberToObject(root, "keep", p->cmg.keep);
    cJSON_AddNumberToObject(root, "add", p->cmg.add);
    cJSON_AddNumberToObject(root, "del", p->cmg.del);
}

static Status get(Predictor *p, Arena *a, const cJSON *root, const char *path)
{
    const char *language = NULL;
    int mark[3] = {-1, -1, -1};
    if (!p->peft) return fail(E_FORMAT, "%s: method '%.40s' writes no messages", path, p->method);
    p->cmg = (CmgPlan){.source = 512, .target = 128};
    TRY(json_text(&language, root, "language", path));
    if (language) p->cmg.language = str_copy(a, language, strlen(language));
    TRY(json_int(&p->cmg.source, root, "source", LEAST, 1 << 20, path));
    TRY(json_int(&p->cmg.target, root, "target", LEAST, 1 << 20, path));
    TRY(json_int(&mark[0], root, "keep", -1, MOST_IDS, path));
    TRY(json_int(&mark[1], root, "add", -1, MOST_IDS, path));
    TRY(json_int(&mark[2], root, "del", -1, MOST_IDS, path));
    p->cmg.keep = mark[0], p->cmg.add = mark[1], p->cmg.del = mark[2];
    return OK;
}

/* UniXcoder: a change and its message share the positions. */
static bool together(const Predictor *p)
{
    return !p->net->arch->encode;
}

static Status check(const Predictor *p, int taken)
{
    const CmgPlan *c = &p->cmg;
    int most = config_room(&p->net->config), rows = p->net->config.vocab;
    if (c->keep >= rows || c->add >= rows || c->del >= rows)
        return fail(E_MISMATCH, "%s/cmg.json: marks %d, %d and %d lie behind the %d rows of the model's token table",
                    p->dir, c->keep, c->add, c->del, rows);
    if (most && (c->source + taken > most || c->target + taken > most))
        return fail(E_MISMATCH,
                    "%s/cmg.json: lengths %d and %d and %d virtual tokens, but the model has positions for %d",
                    p->dir, c->source, c->target, taken, most);
    return OK;
}

static LoadOptions load(const Predictor *p)
{
    return (LoadOptions){.writes_from_encoder = cmg_prompts(&p->text)};
}

static Status open_head(Predictor *p)
{
    return cmg_writes(p->net);
}

static Status load_head(Predictor *p, Arena *run)
{
    (void)p, (void)run;
    return OK;
}

/* ---- reading */

static Status check_messages(const JitSet *s, const char *path)
{
    for (int64_t i = 0; i < s->n; i++)
        if (!cmg_subject(&s->change[i]).len)
            return fail(E_MISMATCH, "%s: commit %.40s has no message, expected the one to learn", path,
                        s->change[i].id);
    return OK;
}

static Status read(Tuning *t)
{
    static const char *const OTHERS[] = {"head", "best-threshold", "per-split", "features"};
    for (size_t k = 0; k < sizeof OTHERS / sizeof *OTHERS; k++)
        if (args_given(t->args, OTHERS[k])) return fail(E_CONFIG, "--%s is for --task jit", OTHERS[k]);
    TRY(check_messages(&t->train, t->train_path));
    TRY(check_messages(&t->valid, args_text(t->args, "valid", t->train_path)));
    return t->valid.n ? OK : fail(E_MISMATCH, "%s: too few commits to set some aside (--valid)", t->train_path);
}

/* ---- training */

static Status plan(Tuning *t, int taken)
{
    Predictor *p = &t->p;
    CmgPlan *c = &p->cmg;
    int most = config_room(&p->net->config), left = most ? most - taken : 1 << 16;
    int64_t source, target;
    *c = cmg_plan(p->net, &p->text);
    c->target = c->target < left ? c->target : left;
    TRY(args_int(&target, t->args, "target", c->target, LEAST, left));
    if (together(p)) left -= (int)target;
    c->source = c->source < left ? c->source : left;
    if (c->source < LEAST || c->target < LEAST)
        return fail(E_CONFIG, "%d virtual tokens leave %d of the model's %d positions to a change", taken, left,
                    most);
    TRY(args_int(&source, t->args, "length", c->source, LEAST, left));
    c->source = (int)source, c->target = (int)target;
    c->language = args_text(t->args, "language", NULL);
    snprintf(t->shape, sizeof t->shape, "lengths %d and %d", c->source, c->target);
    return OK;
}

static Status tokens(Examples *out, Tuning *t, const JitSet *s)
{
    return cmg_tokens(out, t->run, s->n, s->change, t->p.net, &t->p.text, &t->p.cmg);
}

static Status open_valid(Batcher **out, Arena *a, const Predictor *p, const Examples *x)
{
    return batcher_open(out, a, x, &(BatchPlan){.tokens = EVALUATION_TOKENS, .pad = p->net->config.pad});
}

static Status prepare(Tuning *t)
{
    Examples valid;
    Batcher *feed;
    TRY(tokens(&t->tokens, t, &t->train));
    TRY(tokens(&valid, t, &t->valid));
    TRY(open_valid(&feed, t->run, &t->p, &valid));
    t->own = feed;
    t->loss = cmg_loss;
    return OK;
}

/* The study's rate for every method; a larger one for weights that are random. */
static double rate(const Tuning *t)
{
    return strcmp(t->p.model, TASK_CMG.base) ? 5e-4 : 1e-3;
}

static Status evaluate_cmg(double *score, double *tie, Arena *step, Tuning *t)
{
    Evaluation e;
    cmg_evaluate(t->p.net, t->p.hooks, t->own, step, &e);
    *score = isfinite(e.loss) ? -e.loss : -HUGE_VAL;
    *tie = e.accuracy;
    snprintf(t->measured, sizeof t->measured, "validation perplexity %.4g, %.1f %% of the tokens", e.perplexity,
             100 * e.accuracy);
    return OK;
}

/* ---- the end */

static Status measure(Evaluation *e, Tuning *t, Predictor *p)
{
    Examples x;
    Batcher *feed;
    TRY(cmg_tokens(&x, t->run, t->valid.n, t->valid.change, p->net, &p->text, &p->cmg));
    TRY(open_valid(&feed, t->run, p, &x));
    Arena step = arena_open((size_t)1 << 36);
    cmg_evaluate(p->net, p->hooks, feed, &step, e);
    arena_close(&step);
    return OK;
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

/* What is on disk is read once before anybody relies on it. */
static Status finish(Tuning *t)
{
    Predictor p;
    Evaluation e;
    Status s = predictor_open_draft(&p, t->p.task, t->run, t->p.dir, t->args);
    if (!s) s = measure(&e, t, &p);
    if (!s) s = predictor_save(&p, measures(&e), t->run);
    predictor_close(&p);
    TRY(s);
    if (args_given(t->args, "json")) {
        cJSON *root = cJSON_CreateObject();
        cJSON_AddItemToObject(root, "validation", measures(&e));
        tune_end(t, root);
        return OK;
    }
    print_out("validation: %lld messages of %lld tokens; perplexity %.4g, %.1f %% of the tokens are the likeliest\n",
              (long long)e.examples, (long long)e.scored, e.perplexity, 100 * e.accuracy);
    return OK;
}

const Task TASK_CMG = {.name = "cmg",
                       .base = "./writer",
                       .load = load,
                       .put = put,
                       .get = get,
                       .begin = tune_writer,
                       .open_head = open_head,
                       .load_head = load_head,
                       .check = check,
                       .read = read,
                       .plan = plan,
                       .prepare = prepare,
                       .rate = rate,
                       .evaluate = evaluate_cmg,
                       .finish = finish};
