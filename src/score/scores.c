/* The table of vernier score, printed and as JSON; the options of its intervals. */
#include "score/scores.h"

#include <math.h>

#include "base/print.h"

Status scores_measure(Scores *t, const Args *args, int64_t n, const int32_t *stratum, StatsFn *stat, void *a, void *b)
{
    int64_t draws, seed;
    TRY(args_int(&draws, args, "bootstrap-samples", 1000, 0, 1000000));
    TRY(args_int(&seed, args, "seed", 1, 0, INT64_MAX));
    scores_compute(t, args_arena(args), &(ScoreDraws){(int)draws, (uint64_t)seed, stratum}, n, stat, a, b);
    return OK;
}

/* ---- printing */

/* 23 columns. */
static void print_interval(Interval i, bool drawn)
{
    if (drawn && isfinite(i.lo))
        print_out("%11.4f to %8.4f", i.lo, i.hi);
    else
        print_out("%23s", drawn ? "n/a" : "");
}

static void print_contrast(const Contrast *c, bool drawn)
{
    if (isfinite(c->difference))
        print_out(" %+12.4f ", c->difference);
    else
        print_out(" %12s ", "n/a");
    print_interval(c->ci95, drawn);
    if (drawn && isfinite(c->p))
        print_out(" %8.3g", c->p);
    else
        print_out(" %8s", drawn ? "n/a" : "");
}

void scores_print(const Scores *t, const char *against)
{
    print_out("%-24s %10s %23s", "measure", "value", t->drawn ? "95 % interval" : "");
    if (t->paired) print_out(" %12s %23s %8s", "difference", t->drawn ? "95 % interval" : "", t->drawn ? "p" : "");
    print_out("  variant\n");
    for (int k = 0; k < t->n; k++) {
        if (!isfinite(t->value[k])) continue;
        print_out("%-24s %10.4f ", t->name[k].name, t->value[k]);
        print_interval(t->ci95[k], t->drawn);
        if (t->paired) print_contrast(&t->contrast[k], t->drawn);
        print_out("  %s\n", t->name[k].variant);
    }
    if (t->paired) print_out("difference: minus %s, on the same rows\n", against);
    for (int k = 0; k < t->remarks; k++) print_out("- %s\n", t->remark[k]);
}

static void add_number(cJSON *o, const char *key, double x)
{
    if (isfinite(x))
        cJSON_AddNumberToObject(o, key, x);
    else
        cJSON_AddNullToObject(o, key);
}

static void add_interval(cJSON *o, const char *key, Interval i)
{
    cJSON *pair = isfinite(i.lo) ? cJSON_CreateDoubleArray((const double[]){i.lo, i.hi}, 2) : cJSON_CreateNull();
    cJSON_AddItemToObject(o, key, pair);
}

/* Adds each metric with its interval, and the difference to --against, then prints the document. */
void scores_json(const Scores *t, cJSON *root)
{
    cJSON *list = cJSON_AddArrayToObject(root, "metrics");
    for (int k = 0; k < t->n; k++) {
        cJSON *m = cJSON_CreateObject();
        cJSON_AddStringToObject(m, "name", t->name[k].name);
        cJSON_AddStringToObject(m, "variant", t->name[k].variant);
        add_number(m, "value", t->value[k]);
        if (t->drawn) add_interval(m, "ci95", t->ci95[k]);
        if (t->paired) add_number(m, "difference", t->contrast[k].difference);
        if (t->paired && t->drawn) {
            add_interval(m, "difference_ci95", t->contrast[k].ci95);
            add_number(m, "p", t->contrast[k].p);
        }
        cJSON_AddItemToArray(list, m);
    }
    cJSON *remarks = cJSON_AddArrayToObject(root, "remarks");
    for (int k = 0; k < t->remarks; k++) cJSON_AddItemToArray(remarks, cJSON_CreateString(t->remark[k]));
    json_print(root);
    cJSON_Delete(root);
}
