/* Measures of predicted classes; the table's sums are those of score_classes(). */
#include <math.h>
#include <string.h>

#include "metric/measures.h"
#include "metric/score.h"

const Measure CLASS_MEASURE[CLASS_MEASURES] = {
    [CLASS_ACCURACY] = {"accuracy", "accuracy", "share of the rows whose class is right", false},
    [CLASS_MACRO_F1] = {"macro_f1", "macro F1", "mean of F1 over the classes that occur", false},
    [CLASS_MCC] = {"mcc", "MCC", "Matthews' correlation, for any number of classes", false},
    [CLASS_AUC] = {"auc", "AUC", "one class against the others, the mean over classes where there are more than two",
                   false},
    [CLASS_LOSS] = {"loss", "loss", "cross-entropy, nats per row", true}};

void measures_name(Scores *s, const Measure *m, int n)
{
    for (int k = 0; k < n; k++) s->name[k] = (MetricName){m[k].name, m[k].variant};
    s->n = n;
}

int measure_find(const Measure *m, int n, const char *key)
{
    for (int k = 0; k < n; k++) {
        const char *a = m[k].key, *b = key;
        while (*a && (*a == *b || (*a == '_' && *b == '-'))) a++, b++;
        if (!*a && !*b) return k;
    }
    return -1;
}

/* Of class c against all others. */
static double auc_of(const ClassRows *r, const int64_t *index, int64_t n, int c)
{
    int32_t *label = NEW(r->scratch, int32_t, n);
    double *score = NEW(r->scratch, double, n);
    for (int64_t i = 0; i < n; i++) {
        label[i] = r->truth[index[i]] == c;
        score[i] = r->probability[index[i] * r->classes + c];
    }
    return score_auc(label, score, n);
}

static double auc(const ClassRows *r, const int64_t *index, int64_t n)
{
    double sum = 0;
    if (!r->probability) return NAN;
    if (r->classes == 2) return auc_of(r, index, n, 1);
    for (int c = 0; c < r->classes; c++) {
        ArenaMark mark = arena_mark(r->scratch);
        sum += auc_of(r, index, n, c);
        arena_drop(r->scratch, mark);
    }
    return sum / r->classes;
}

static double loss(const ClassRows *r, const int64_t *index, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; r->probability && i < n; i++)
        sum -= log(fmax(r->probability[index[i] * r->classes + r->truth[index[i]]], 0x1p-1022));
    return r->probability ? sum / (double)n : (double)NAN;
}

void class_stats(double *out, const int64_t *index, int64_t n, void *user)
{
    const ClassRows *r = user;
    int64_t cells = (int64_t)r->classes * r->classes;
    ArenaMark mark = arena_mark(r->scratch);
    int64_t *confusion = NEW(r->scratch, int64_t, cells);
    memset(confusion, 0, sizeof *confusion * (size_t)cells);
    for (int64_t i = 0; i < n; i++) confusion[r->truth[index[i]] * r->classes + r->predicted[index[i]]]++;
    ClassScores s = score_classes(confusion, r->classes);
    out[CLASS_ACCURACY] = s.accuracy, out[CLASS_MACRO_F1] = s.macro_f1, out[CLASS_MCC] = s.mcc;
    out[CLASS_AUC] = auc(r, index, n);
    out[CLASS_LOSS] = loss(r, index, n);
    arena_drop(r->scratch, mark);
}
