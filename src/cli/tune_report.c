/* How good a predictor is, as a table, as a sentence and as JSON, and the other views of a task. */
#include <math.h>

#include "base/print.h"
#include "cli/tune.h"

static void print_row(const char *name, const JitScores *s)
{
    double v[JIT_MEASURES];
    jit_values(v, s);
    print_out("%-10s", name);
    for (int k = 0; k < JIT_MEASURES; k++)
        if (isfinite(v[k]))
            print_out(k < JIT_MEASURES - 1 ? " %8.4f" : " %8.1f", v[k]);
        else
            print_out(" %8s", "n/a");
    print_out("\n");
}

void jit_print_scores(const char *what, const JitScores *s, const JitScores *random)
{
    print_out("%s: %lld %s, %lld of them defective; F1 from score %.4g on\n", what, (long long)s->at.n,
              str_plural(s->at.n, "commit", "commits"), (long long)s->at.positives, s->at.threshold);
    print_out("%-10s", "");
    for (int k = 0; k < JIT_MEASURES; k++) print_out(" %8s", JIT_MEASURE[k].name);
    print_out("\n");
    print_row("model", s);
    print_row("random", random);
    if (jit_missing(s)) print_out("n/a: %s\n", jit_missing(s));
}

static double measure(const cJSON *validation, const char *key)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(validation, key));
}

/* ---- defects */

static Status print_defects(const TuneJob *j, const cJSON *validation, const cJSON *card, const char *path)
{
    JitScores valid, random = jit_random(&j->valid, 1);
    TRY(jit_scores_read(&valid, validation, path));
    TRY(json_real(&valid.at.threshold, card, "threshold", 0, 1, path));
    jit_print_scores("validation", &valid, &random);
    return OK;
}

static const char *defects_sentence(const TuneJob *j, const cJSON *v)
{
    return str_print(j->run, "F1 %.4f and AUC %.4f on %lld validation commits", measure(v, "f1"), measure(v, "auc"),
                     (long long)j->valid.n);
}

static void defects_config(cJSON *c, const TuneJob *j)
{
    const TuneOptions *o = &j->o;
    cJSON_AddNumberToObject(c, "features", (double)o->features);
    cJSON_AddBoolToObject(c, "per-split", o->per_split);
    cJSON_AddBoolToObject(c, "best-threshold", o->best_threshold);
    cJSON_AddBoolToObject(c, "as-published", o->as_published);
    if (!j->p.peft) return;
    cJSON_AddStringToObject(c, "head", o->head);
    if (o->focal) cJSON_AddStringToObject(c, "loss", "focal");
    if (o->weight > 0) cJSON_AddNumberToObject(c, "positive-weight", o->weight);
    if (o->recipe) cJSON_AddStringToObject(c, "recipe", o->recipe->name);
    cJSON_AddNumberToObject(c, "max-length", j->p.plan.length);
}

static const TuneView JIT = {.tune = &TUNE_JIT,
                             .title = "Defect prediction",
                             .input = "change records, one a line",
                             .loss = "binary cross-entropy (nats)",
                             .scores = true,
                             .options = (const char *const[]){"head", "loss", "positive-weight", "best-threshold",
                                                              "per-split", "features", "encoder", "language",
                                                              "as-published", NULL},
                             .print = print_defects,
                             .sentence = defects_sentence,
                             .config = defects_config};

/* ---- messages */

static Status print_messages(const TuneJob *j, const cJSON *v, const cJSON *card, const char *path)
{
    (void)j, (void)card;
    const double most = 1e300;
    double messages = 0, scored = 0, perplexity = HUGE_VAL, accuracy = 0;
    TRY(json_real(&messages, v, "commits", 0, most, path));
    TRY(json_real(&scored, v, "tokens", 0, most, path));
    TRY(json_real(&perplexity, v, "perplexity", 0, most, path)); /* null where it is not finite */
    TRY(json_real(&accuracy, v, "accuracy", 0, 1, path));
    print_out("validation: %.0f messages of %.0f tokens; perplexity %.4g, %.1f %% of the tokens are the likeliest\n",
              messages, scored, perplexity, 100 * accuracy);
    return OK;
}

static const char *messages_sentence(const TuneJob *j, const cJSON *v)
{
    return str_print(j->run, "Perplexity %.4g on %lld validation messages", measure(v, "perplexity"),
                     (long long)j->valid.n);
}

static void messages_config(cJSON *c, const TuneJob *j)
{
    cJSON_AddNumberToObject(c, "max-length", j->p.cmg.source);
    cJSON_AddNumberToObject(c, "target", j->p.cmg.target);
    if (j->p.cmg.review) cJSON_AddStringToObject(c, "form", "review");
}

static const TuneView CMG = {.tune = &TUNE_CMG,
                             .title = "Commit messages",
                             .input = "change records, one a line",
                             .loss = "loss (nats per token)",
                             .options = (const char *const[]){"target", "form", "encoder", "language", NULL},
                             .print = print_messages,
                             .sentence = messages_sentence,
                             .config = messages_config};

/* ---- texts */

static Status print_texts(const TuneJob *j, const cJSON *v, const cJSON *card, const char *path)
{
    (void)j, (void)card;
    const double most = 1e300;
    double texts = 0, scored = 0, accuracy = 0, loss = HUGE_VAL, perplexity = HUGE_VAL, was = HUGE_VAL;
    double perplexity_was = HUGE_VAL;
    TRY(json_real(&texts, v, "texts", 0, most, path));
    TRY(json_real(&scored, v, "tokens", 0, most, path));
    TRY(json_real(&loss, v, "loss", 0, most, path));
    TRY(json_real(&perplexity, v, "perplexity", 0, most, path));
    TRY(json_real(&was, v, "untuned_loss", 0, most, path));
    TRY(json_real(&perplexity_was, v, "untuned_perplexity", 0, most, path));
    TRY(json_real(&accuracy, v, "accuracy", 0, 1, path));
    print_out("validation: %.0f %s, %.0f scored %s, %.1f %% predicted first\n", texts,
              str_plural((int64_t)texts, "text", "texts"), scored, str_plural((int64_t)scored, "token", "tokens"),
              100 * accuracy);
    print_out("%-10s %22s %12s\n", "", "loss (nats per token)", "perplexity");
    print_out("%-10s %22.4f %12.4g\n%-10s %22.4f %12.4g\n", "untuned", was, perplexity_was, "tuned", loss,
              perplexity);
    return OK;
}

static const char *texts_sentence(const TuneJob *j, const cJSON *v)
{
    return str_print(j->run, "Perplexity %.4g on %.0f tokens of %.0f validation texts, %.4g before tuning",
                     measure(v, "perplexity"), measure(v, "tokens"), measure(v, "texts"),
                     measure(v, "untuned_perplexity"));
}

static void texts_config(cJSON *c, const TuneJob *j)
{
    cJSON_AddNumberToObject(c, "max-length", j->p.lm.length);
    cJSON_AddStringToObject(c, "score", LM_SCORE[j->p.lm.score_all]);
    cJSON_AddStringToObject(c, "text-key", j->p.key);
}

/* How the result writes. */
static const char *texts_next(const TuneJob *j, const char *out)
{
    const TuneOptions *o = &j->o;
    const char *tokenizer = o->tokenizer ? o->tokenizer : o->model;
    if (predictor_whole(j->p.peft))
        return str_print(j->run, "vernier generate %s/model --tokenizer %s", out, tokenizer);
    return str_print(j->run, "vernier generate %s --adapter %s", o->model, out);
}

static const TuneView LM = {.tune = &TUNE_LM,
                            .title = "Language modelling",
                            .input = "texts as JSON Lines, or plain text",
                            .loss = "loss (nats per token)",
                            .options = (const char *const[]){"score", "text-key", "text-column", NULL},
                            .print = print_texts,
                            .sentence = texts_sentence,
                            .config = texts_config,
                            .next = texts_next};

/* ---- pretraining */

static Status print_objective(const cJSON *one, const char *path)
{
    const double most = 1e300;
    const char *name = "";
    double tokens = 0, loss = 0, unigram = 0, accuracy = 0, majority = 0;
    TRY(json_text(&name, one, "objective", path));
    TRY(json_real(&tokens, one, "tokens", 0, most, path));
    TRY(json_real(&loss, one, "loss", 0, most, path));
    TRY(json_real(&unigram, one, "unigram", 0, most, path));
    TRY(json_real(&accuracy, one, "accuracy", 0, 1, path));
    TRY(json_real(&majority, one, "majority", 0, 1, path));
    print_out("%-16s %8.0f %10.4f %10.4f %10.4f %10.4f\n", name, tokens, loss, unigram, accuracy, majority);
    return OK;
}

static Status print_objectives(const TuneJob *j, const cJSON *v, const cJSON *card, const char *path)
{
    (void)j, (void)card;
    const cJSON *one;
    print_out("%-16s %8s %10s %10s %10s %10s\n", "", "tokens", "loss", "unigram", "accuracy", "majority");
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(v, "objectives")) TRY(print_objective(one, path));
    print_out(
        "loss: nats a token on the validation changes; unigram: the entropy of these tokens; majority: the share "
        "of the most frequent\n");
    return OK;
}

static const char *objectives_sentence(const TuneJob *j, const cJSON *v)
{
    return str_print(j->run, "Validation loss %.4g nats per token, the mean over the objectives", measure(v, "loss"));
}

static void objectives_config(cJSON *c, const TuneJob *j)
{
    cJSON_AddStringToObject(c, "objectives", REVIEW_FORM[j->p.objectives]);
}

/* A task that begins with the result. */
static const char *objectives_next(const TuneJob *j, const char *out)
{
    const char *tokenizer = j->o.tokenizer ? j->o.tokenizer : j->o.model;
    if (!predictor_whole(j->p.peft)) return str_print(j->run, "vernier adapter merge %s %s MODEL", j->o.model, out);
    return str_print(j->run, "vernier tune --task cmg --form review --model %s/model --tokenizer %s ...", out,
                     tokenizer ? tokenizer : str_print(j->run, "%s/writer", out));
}

static const TuneView PRETRAIN = {.tune = &TUNE_PRETRAIN,
                                  .title = "Pretraining on changes",
                                  .input = "change records, one a line",
                                  .base = true,
                                  .loss = "loss (nats per token)",
                                  .options = (const char *const[]){"objectives", "target", "encoder", NULL},
                                  .print = print_objectives,
                                  .sentence = objectives_sentence,
                                  .config = objectives_config,
                                  .next = objectives_next};

/* ---- any task */

static const TuneView *const VIEWS[] = {&LM, &JIT, &CMG, &PRETRAIN};

const TuneView *tune_view(const TuneTask *task)
{
    const TuneView *const *v = VIEWS;
    if (task->task->own) return &TUNE_OWN_VIEW;
    while ((*v)->tune != task) v++;
    return *v;
}

const char *tune_title(const TuneTask *task)
{
    return task->title ? task->title : tune_view(task)->title;
}

const char *tune_loss(const TuneTask *task)
{
    return task->loss ? task->loss : tune_view(task)->loss;
}

Status tune_print(const TuneJob *j, const cJSON *card, const char *path)
{
    return tune_view(j->o.task)->print(j, cJSON_GetObjectItemCaseSensitive(card, "validation"), card, path);
}

cJSON *tune_json(const TuneJob *j, cJSON *card)
{
    cJSON *root = cJSON_CreateObject();
    for (const char *const *key = (const char *const[]){"threshold", "validation", NULL}; *key; key++) {
        cJSON *x = cJSON_DetachItemFromObjectCaseSensitive(card, *key);
        if (x) cJSON_AddItemToObject(root, *key, x);
    }
    if (tune_view(j->o.task)->scores) {
        JitScores random = jit_random(&j->valid, 1);
        cJSON_AddItemToObject(root, "random", jit_scores_json(&random));
    }
    cJSON_AddStringToObject(root, "task", j->p.task->name);
    cJSON_AddStringToObject(root, "method", j->p.method);
    return root;
}
