/* Measures of a task of the user's own on rows, as statistics of any choice of them, so that scores_compute() gives
 * intervals and paired differences (metric/scores.h).  Each kind of row has its measures in a table with a key, under
 * which results store them.
 *
 *     ClassRows rows = {.n = n, .classes = 3, .truth = truth, .predicted = predicted, .scratch = &step};
 *     Scores s = {.n = CLASS_MEASURES};
 *     measures_name(&s, CLASS_MEASURE, CLASS_MEASURES);
 *     scores_compute(&s, &run, &(ScoreDraws){.draws = 1000, .seed = 1}, n, class_stats, &rows, NULL); */
#ifndef METRIC_MEASURES_H
#define METRIC_MEASURES_H

#include "metric/scores.h"

typedef struct {
    const char *key, *name, *variant; /* "macro_f1", "macro F1", a phrase */
    bool less;                        /* less is better */
} Measure;
void measures_name(Scores *, const Measure *, int n);
int measure_find(const Measure *, int n, const char *key); /* -1: none; '-' and '_' are the same */

/* ---- classes (class_rows.c) */

enum { CLASS_ACCURACY, CLASS_MACRO_F1, CLASS_MCC, CLASS_AUC, CLASS_LOSS, CLASS_MEASURES };
extern const Measure CLASS_MEASURE[CLASS_MEASURES];
typedef struct {
    int64_t n;
    int classes;
    const int32_t *truth, *predicted; /* (n) */
    const double *probability;        /* (n, classes), for AUC and loss; or NULL: these are NaN */
    Arena *scratch;
} ClassRows;
/* AUC is that of class 1 where the classes are two, else the mean over classes of one against the others (Hand and
 * Till's mean over pairs is another number); NaN where a class is missing. */
StatsFn class_stats; /* user: ClassRows * */

/* ---- numbers (number_rows.c) */

enum { NUMBER_PEARSON, NUMBER_SPEARMAN, NUMBER_RMSE, NUMBER_MAE, NUMBER_R2, NUMBER_MEASURES };
extern const Measure NUMBER_MEASURE[NUMBER_MEASURES];
typedef struct {
    int64_t n;
    const double *truth, *predicted; /* (n) */
    Arena *scratch;
} NumberRows;
StatsFn number_stats; /* user: NumberRows * */

#endif
