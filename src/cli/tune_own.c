/* The views of the tasks on the user's own tables. */
#include <math.h>

#include "base/print.h"
#include "cli/tune.h"
#include "io/json.h"

static double measure(const cJSON *v, const char *key)
{
    const cJSON *x = cJSON_GetObjectItemCaseSensitive(v, key);
    return cJSON_IsNumber(x) ? x->valuedouble : (double)NAN;
}

static void print_value(double x)
{
    if (isfinite(x))
        print_out(" %10.4f", x);
    else
        print_out(" %10s", "n/a");
}

static void print_interval(const cJSON *intervals, const char *key)
{
    const cJSON *pair = cJSON_GetObjectItemCaseSensitive(intervals, key);
    if (cJSON_GetArraySize(pair) == 2)
        print_out("  %8.4f to %8.4f", cJSON_GetArrayItem(pair, 0)->valuedouble,
                  cJSON_GetArrayItem(pair, 1)->valuedouble);
    else
        print_out("  %20s", "");
}

/* Sentences on the virtual tokens, where the method has some. */
static void print_theory(const cJSON *v)
{
    const cJSON *theory = cJSON_GetObjectItemCaseSensitive(v, "theory"), *one;
    if (!theory) return;
    print_out("\nThe theory about this run\n");
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(theory, "sentences")) if (cJSON_IsString(one))
        print_item("-", 2, one->valuestring);
}

static Status print_own(const TuneJob *j, const cJSON *v, const cJSON *card, const char *path)
{
    (void)card;
    const OwnKind *k = j->p.task->own;
    const cJSON *baselines = cJSON_GetObjectItemCaseSensitive(v, "baselines"), *one;
    double rows = 0;
    TRY(json_real(&rows, v, "rows", 0, 1e15, path));
    print_out("validation: %.0f %s\n", rows, str_plural((int64_t)rows, "row", "rows"));
    print_out("%-12s %10s  %20s", "measure", "value", "95 % interval    ");
    cJSON_ArrayForEach(one, baselines) print_out("  %19s", one->string);
    print_out("\n");
    for (int m = 0; m < k->measures; m++) {
        print_out("%-12s", k->measure[m].name);
        print_value(measure(v, k->measure[m].key));
        print_interval(cJSON_GetObjectItemCaseSensitive(v, "intervals"), k->measure[m].key);
        cJSON_ArrayForEach(one, baselines)
        {
            print_out("%10s", "");
            print_value(measure(one, k->measure[m].key));
        }
        print_out("\n");
    }
    print_theory(v);
    return OK;
}

/* "Macro F1 0.9100 on 200 validation rows, 0.3100 for the most frequent class" */
static const char *own_sentence(const TuneJob *j, const cJSON *v)
{
    const OwnKind *k = j->p.task->own;
    const Measure *m = &k->measure[j->own_measure];
    const cJSON *first = cJSON_GetObjectItemCaseSensitive(v, "baselines");
    const char *said =
        str_print(j->run, "Validation %s %.4f on %.0f rows", m->name, measure(v, m->key), measure(v, "rows"));
    if (first) first = first->child;
    if (first && isfinite(measure(first, m->key)))
        said = str_print(j->run, "%s; the baseline `%s` has %.4f", said, first->string, measure(first, m->key));
    return said;
}

static void own_config(cJSON *c, const TuneJob *j)
{
    const TuneOptions *o = &j->o;
    const OwnPlan *p = &j->p.own;
    cJSON_AddStringToObject(c, "text-column", p->text);
    if (p->pair) cJSON_AddStringToObject(c, "text-pair-column", p->pair);
    cJSON_AddStringToObject(c, "label-column", p->label);
    cJSON_AddNumberToObject(c, "max-length", p->length);
    cJSON_AddStringToObject(c, "metric", p->kind->measure[j->own_measure].key);
    if (p->window) cJSON_AddBoolToObject(c, "window", true);
    if (o->class_weights) cJSON_AddStringToObject(c, "class-weights", o->class_weights);
    if (o->smoothing > 0) cJSON_AddNumberToObject(c, "label-smoothing", o->smoothing);
}

const TuneView TUNE_OWN_VIEW = {.input = "a table of texts and labels: CSV, TSV or JSON Lines",
                                .curve = true,
                                .options = (const char *const[]){"text-column", "text-pair-column", "label-column",
                                                                 "class-weights", "label-smoothing", "metric",
                                                                 "window", "encoder", "language", NULL},
                                .print = print_own,
                                .sentence = own_sentence,
                                .config = own_config};
