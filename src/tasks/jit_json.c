/* One table names the measures, for columns and for JSON, where a measure that is not finite is null. */
#include "tasks/jit_json.h"

#include <math.h>

const JitMeasure JIT_MEASURE[JIT_MEASURES] = {{"F1", "f1"},
                                              {"precis.", "precision"},
                                              {"recall", "recall"},
                                              {"AUC", "auc"},
                                              {"paired", "paired_auc"},
                                              {"AP", "average_precision"},
                                              {"R@20%E", "recall_at_20_effort"},
                                              {"E@20%R", "effort_at_20_recall"},
                                              {"Popt", "popt"},
                                              {"IFA", "ifa"}};

/* Where the measures are. */
static void places(double *out[JIT_MEASURES], JitScores *s)
{
    double *const all[JIT_MEASURES] = {&s->at.f1,
                                       &s->at.precision,
                                       &s->at.recall,
                                       &s->at.auc,
                                       &s->paired,
                                       &s->at.average_precision,
                                       &s->effort.recall_at_20,
                                       &s->effort.effort_at_20,
                                       &s->effort.popt,
                                       &s->effort.ifa};
    for (int k = 0; k < JIT_MEASURES; k++) out[k] = all[k];
}

void jit_values(double out[JIT_MEASURES], const JitScores *s)
{
    JitScores copy = *s;
    double *place[JIT_MEASURES];
    places(place, &copy);
    for (int k = 0; k < JIT_MEASURES; k++) out[k] = *place[k];
}

/* Why measures have no value, NULL where all have one. */
const char *jit_missing(const JitScores *s)
{
    if (!s->at.positives) return "only clean commits are there: ranking and effort-aware measures have no value";
    if (s->at.positives == s->at.n) return "only defective commits are there: AUC has no value";
    if (isnan(s->paired))
        return "paired AUC has no value: no defective and clean commits of a project are close in time";
    if (isnan(s->effort.recall_at_20)) return "no commit changes a line: effort-aware measures have no value";
    return isnan(s->effort.popt) ? "Popt has no value: the best order is as good as the worst" : NULL;
}

cJSON *jit_scores_json(const JitScores *s)
{
    double v[JIT_MEASURES];
    cJSON *o = cJSON_CreateObject();
    jit_values(v, s);
    cJSON_AddNumberToObject(o, "commits", (double)s->at.n);
    cJSON_AddNumberToObject(o, "defective", (double)s->at.positives);
    for (int k = 0; k < JIT_MEASURES; k++)
        cJSON_AddItemToObject(o, JIT_MEASURE[k].key, isfinite(v[k]) ? cJSON_CreateNumber(v[k]) : cJSON_CreateNull());
    cJSON *remarks = cJSON_AddArrayToObject(o, "remarks");
    if (jit_missing(s)) cJSON_AddItemToArray(remarks, cJSON_CreateString(jit_missing(s)));
    return o;
}

Status jit_scores_read(JitScores *out, const cJSON *o, const char *path)
{
    const double most = 1e300;
    double commits = 0, defective = 0, *place[JIT_MEASURES];
    *out = (JitScores){0};
    places(place, out);
    TRY(json_real(&commits, o, "commits", 0, most, path));
    TRY(json_real(&defective, o, "defective", 0, most, path));
    out->at.n = (int64_t)commits, out->at.positives = (int64_t)defective;
    for (int k = 0; k < JIT_MEASURES; k++) {
        *place[k] = NAN; /* null: it has none */
        TRY(json_real(place[k], o, JIT_MEASURE[k].key, -most, most, path));
    }
    return OK;
}
