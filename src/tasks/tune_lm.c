/* Language modelling on the user's own texts: a decoder alone, selected by the perplexity of the validation texts. */
#include <math.h>
#include <stdio.h>

#include "base/str.h"
#include "io/json.h"
#include "tasks/tune.h"
#include "tasks/tune_rows.h"

static Status check(TuneJob *j)
{
    if (j->o.model) return OK;
    return err_fail(E_CONFIG, "--task lm needs --model DIR: a pretrained decoder-only model (gpt2, llama, gpt_neox)");
}

static Status read_texts(TuneJob *j)
{
    const TuneOptions *o = &j->o;
    j->p.key = o->key, j->p.lm.score_all = o->score_all;
    TRY(lm_read(&j->train_texts, j->run, o->train, o->key));
    if (o->valid) return lm_read(&j->valid_texts, j->run, o->valid, o->key);
    LmSet all = j->train_texts;
    lm_cut(&j->train_texts, &j->valid_texts, j->run, &all, o->cut, (uint64_t)o->seed);
    if (j->train_texts.n && j->valid_texts.n) return OK;
    return err_fail(E_MISMATCH, "%s: too few texts to set some aside (--valid, --validation-fraction)", o->train);
}

/* ---- training */

static Status plan(TuneJob *j)
{
    Predictor *p = &j->p;
    TRY(tune_length(&p->lm.length, j, LM_LEAST, LM_MOST));
    p->lm.end = lm_end(p->net, &p->text);
    if (p->lm.end < 0)
        tuning_remark(&j->watch, j->run,
                      "neither tokenizer nor model name an end-of-text token, so none follows a text");
    snprintf(j->shape, sizeof j->shape, "length %d, %s scored", p->lm.length, LM_SCORE[p->lm.score_all]);
    return OK;
}

static void remark_texts(const TuneJob *j, const LmTexts *x, const LmSet *s)
{
    int64_t all = x->x.n + x->empty;
    if (x->cut)
        tuning_remark(&j->watch, j->run, "%s: %lld of %lld %s more than %d tokens; the rest is cut (--max-length)",
                      s->path, (long long)x->cut, (long long)all, str_plural(all, "text has", "texts have"),
                      j->p.lm.length);
    if (x->empty)
        tuning_remark(&j->watch, j->run, "%s: %lld of %lld %s no token to score, and %s left out", s->path,
                      (long long)x->empty, (long long)all, str_plural(all, "text has", "texts have"),
                      str_plural(x->empty, "is", "are"));
}

/* Layers are run again in the backward pass where the values of all of them would take more than a gigabyte. */
static bool wants_checkpoints(const TuneJob *j, const LmTexts *train)
{
    const Config *c = &j->p.net->config;
    double longest = 0, parts = j->o.parts > 1 ? (double)j->o.parts : 1;
    for (int64_t i = 0; i < train->x.n; i++) longest = fmax(longest, train->x.len[i]);
    double rows = ceil((double)j->o.batch / parts), hidden = c->hidden ? c->hidden : 4 * c->dim;
    return rows * longest * c->layers * (10.0 * c->dim + 3 * hidden) * sizeof(float) > 1 << 30;
}

static Status evaluate(Evaluation *out, const Predictor *p, const Hooks *hooks, const LmTexts *valid)
{
    Arena step = arena_open((size_t)1 << 36);
    Status s = lm_evaluate(out, p->net, hooks, &valid->x, &step);
    arena_close(&step);
    return s;
}

/* Shows the tuning its texts, and measures the model as it is before anything is attached. */
static Status prepare(TuneJob *j)
{
    Predictor *p = &j->p;
    LmTexts train, valid;
    TRY(predictor_texts(&train, p, j->run, &j->train_texts));
    TRY(predictor_texts(&valid, p, j->run, &j->valid_texts));
    remark_texts(j, &train, &j->train_texts);
    remark_texts(j, &valid, &j->valid_texts);
    j->n_train = train.x.n, j->n_valid = valid.x.n;
    TRY(evaluate(&j->untuned, p, NULL, &valid));
    tuning_remark(
        &j->watch, j->run,
        "%lld %s scored in training, %lld in validation; before tuning the validation loss is %.4f nats per "
        "token, perplexity %.4g",
        (long long)train.scored, str_plural(train.scored, "token is", "tokens are"), (long long)valid.scored,
        j->untuned.loss, j->untuned.perplexity);
    j->t.checkpoint = wants_checkpoints(j, &train);
    return tuning_show_texts(&j->t, &train.x, &valid.x);
}

/* ---- the end */

static void add_finite(cJSON *o, const char *key, double x)
{
    cJSON_AddItemToObject(o, key, isfinite(x) ? cJSON_CreateNumber(x) : cJSON_CreateNull());
}

static cJSON *measures(const TuneJob *j, const Evaluation *e)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "texts", (double)e->examples);
    cJSON_AddNumberToObject(o, "tokens", (double)e->scored);
    add_finite(o, "loss", e->loss);
    add_finite(o, "perplexity", e->perplexity);
    cJSON_AddNumberToObject(o, "accuracy", e->accuracy);
    add_finite(o, "untuned_loss", j->untuned.loss);
    add_finite(o, "untuned_perplexity", j->untuned.perplexity);
    return o;
}

static Status measure(Evaluation *e, TuneJob *j, Predictor *p, Arena *a)
{
    LmTexts x;
    TRY(predictor_texts(&x, p, a, &j->valid_texts));
    TRY(tune_rows_texts(j, p, &x));
    return evaluate(e, p, p->hooks, &x);
}

/* The files are read back once before anything relies on them. */
static Status finish(TuneJob *j)
{
    Predictor p;
    Evaluation e;
    Arena a = arena_open(0);
    Status s = predictor_open_draft(&p, j->p.task, &a, j->p.dir, &j->o.load);
    if (!s) s = measure(&e, j, &p, &a);
    if (!s) s = predictor_save(&p, measures(j, &e), &a);
    predictor_close(&p);
    arena_close(&a);
    return s;
}

static Status make(TuneJob *j)
{
    TRY(tune_load(j));
    TRY(lm_writes(j->p.net));
    TRY(plan(j));
    TRY(prepare(j));
    TRY(tuning_attach_messages(&j->t));
    TRY(tune_train(j, peft_lr(j->p.peft, false)));
    return finish(j);
}

const TuneTask TUNE_LM = {.task = &TASK_LM,
                          .about = "language modelling of texts by a decoder",
                          .one = "text",
                          .many = "texts",
                          .method = "lora",
                          .epochs = 3,
                          .batch = 8,
                          .evaluations = 2,
                          .least = LM_LEAST,
                          .check = check,
                          .read = read_texts,
                          .make = make};
REGISTER(tune_task, TUNE_LM)
