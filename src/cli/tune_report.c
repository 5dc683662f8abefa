/* How good a predictor is, as a table and as JSON. */
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

static Status print_defects(const TuneJob *j, const cJSON *card, const char *path)
{
    const cJSON *validation = cJSON_GetObjectItemCaseSensitive(card, "validation");
    JitScores valid, random = jit_random(&j->valid, 1);
    TRY(jit_scores_read(&valid, validation, path));
    TRY(json_real(&valid.at.threshold, card, "threshold", 0, 1, path));
    jit_print_scores("validation", &valid, &random);
    return OK;
}

static Status print_messages(const cJSON *card, const char *path)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(card, "validation");
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

Status tune_print(const TuneJob *j, const cJSON *card, const char *path)
{
    return j->o.task == &TASK_JIT ? print_defects(j, card, path) : print_messages(card, path);
}

cJSON *tune_json(const TuneJob *j, cJSON *card)
{
    cJSON *root = cJSON_CreateObject();
    for (const char *const *key = (const char *const[]){"threshold", "validation", NULL}; *key; key++) {
        cJSON *x = cJSON_DetachItemFromObjectCaseSensitive(card, *key);
        if (x) cJSON_AddItemToObject(root, *key, x);
    }
    if (j->o.task == &TASK_JIT) {
        JitScores random = jit_random(&j->valid, 1);
        cJSON_AddItemToObject(root, "random", jit_scores_json(&random));
    }
    cJSON_AddStringToObject(root, "task", j->o.task->name);
    cJSON_AddStringToObject(root, "method", j->p.method);
    return root;
}
