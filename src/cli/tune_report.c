/* How good a predictor is, as a table and as JSON. */
#include <math.h>

#include "cli/tune.h"

#include "base/print.h"

enum { COLUMNS = 9 };
static const struct {
    const char *name, *key;
} COLUMN[COLUMNS] = {{"F1", "f1"},
                     {"precis.", "precision"},
                     {"recall", "recall"},
                     {"AUC", "auc"},
                     {"AP", "average_precision"},
                     {"R@20%E", "recall_at_20_effort"},
                     {"E@20%R", "effort_at_20_recall"},
                     {"Popt", "popt"},
                     {"IFA", "ifa"}};

/* Where the measures of the columns are. */
static void places(double *out[COLUMNS], JitScores *s)
{
    double *const all[COLUMNS] = {&s->at.f1,
                                  &s->at.precision,
                                  &s->at.recall,
                                  &s->at.auc,
                                  &s->at.average_precision,
                                  &s->effort.recall_at_20,
                                  &s->effort.effort_at_20,
                                  &s->effort.popt,
                                  &s->effort.ifa};
    for (int k = 0; k < COLUMNS; k++) out[k] = all[k];
}

static void values(double out[COLUMNS], const JitScores *s)
{
    JitScores copy = *s;
    double *place[COLUMNS];
    places(place, &copy);
    for (int k = 0; k < COLUMNS; k++) out[k] = *place[k];
}

static void print_row(const char *name, const JitScores *s)
{
    double v[COLUMNS];
    values(v, s);
    print_out("%-10s", name);
    for (int k = 0; k < COLUMNS; k++)
        if (isfinite(v[k]))
            print_out(k < COLUMNS - 1 ? " %8.4f" : " %8.1f", v[k]);
        else
            print_out(" %8s", "n/a");
    print_out("\n");
}

/* Why measures have no value, NULL where all have one. */
static const char *missing(const JitScores *s)
{
    if (!s->at.positives) return "only clean commits are there: ranking and effort-aware measures have no value";
    if (s->at.positives == s->at.n) return "only defective commits are there: AUC has no value";
    if (isnan(s->effort.recall_at_20)) return "no commit changes a line: effort-aware measures have no value";
    return isnan(s->effort.popt) ? "Popt has no value: the best order is as good as the worst" : NULL;
}

void jit_print_scores(const char *what, const JitScores *s, const JitScores *random)
{
    print_out("%s: %lld commits, %lld of them defective; F1 from score %.4g on\n", what, (long long)s->at.n,
              (long long)s->at.positives, s->at.threshold);
    print_out("%-10s", "");
    for (int k = 0; k < COLUMNS; k++) print_out(" %8s", COLUMN[k].name);
    print_out("\n");
    print_row("model", s);
    print_row("random", random);
    if (missing(s)) print_out("n/a: %s\n", missing(s));
}

cJSON *jit_scores_json(const JitScores *s)
{
    double v[COLUMNS];
    cJSON *o = cJSON_CreateObject();
    values(v, s);
    cJSON_AddNumberToObject(o, "commits", (double)s->at.n);
    cJSON_AddNumberToObject(o, "defective", (double)s->at.positives);
    for (int k = 0; k < COLUMNS; k++)
        cJSON_AddItemToObject(o, COLUMN[k].key, isfinite(v[k]) ? cJSON_CreateNumber(v[k]) : cJSON_CreateNull());
    cJSON *remarks = cJSON_AddArrayToObject(o, "remarks");
    if (missing(s)) cJSON_AddItemToArray(remarks, cJSON_CreateString(missing(s)));
    return o;
}

Status jit_scores_read(JitScores *out, const cJSON *o, const char *path)
{
    const double most = 1e300;
    double commits = 0, defective = 0, *place[COLUMNS];
    *out = (JitScores){0};
    places(place, out);
    TRY(json_real(&commits, o, "commits", 0, most, path));
    TRY(json_real(&defective, o, "defective", 0, most, path));
    out->at.n = (int64_t)commits, out->at.positives = (int64_t)defective;
    for (int k = 0; k < COLUMNS; k++) {
        *place[k] = NAN; /* null: it has none */
        TRY(json_real(place[k], o, COLUMN[k].key, -most, most, path));
    }
    return OK;
}
