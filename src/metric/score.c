/* Class measures come from one confusion matrix, rank measures from one walk over the scores in descending order. */
#include "metric/score.h"

#include <gsl/gsl_sort.h>
#include <math.h>
#include <string.h>

void score_confusion(int64_t *confusion, int classes, const int32_t *truth, const int32_t *predicted, int64_t n)
{
    for (int64_t i = 0; i < n; i++) confusion[truth[i] * classes + predicted[i]]++;
}

typedef struct {
    double truth, said, both;
} Counts;

static Counts counts_of(const int64_t *confusion, int classes, int k)
{
    Counts c = {0, 0, (double)confusion[k * classes + k]};
    for (int j = 0; j < classes; j++) {
        c.truth += (double)confusion[k * classes + j];
        c.said += (double)confusion[j * classes + k];
    }
    return c;
}

static double over(double a, double b)
{
    return b > 0 ? a / b : 0;
}

double score_f1(const int64_t *confusion, int classes, int class)
{
    Counts c = counts_of(confusion, classes, class);
    return over(2 * c.both, c.truth + c.said);
}

ClassScores score_classes(const int64_t *confusion, int classes)
{
    ClassScores s = {0};
    double n = 0, used = 0, right = 0, chance = 0, truths = 0, saids = 0; /* the last three: sums of squares */
    for (int k = 0; k < classes; k++) {
        Counts c = counts_of(confusion, classes, k);
        double precision = over(c.both, c.said), recall = over(c.both, c.truth);
        double f1 = over(2 * c.both, c.truth + c.said);
        n += c.truth;
        right += c.both;
        chance += c.truth * c.said, truths += c.truth * c.truth, saids += c.said * c.said;
        if (c.truth + c.said <= 0) continue;
        used++;
        s.macro_precision += precision, s.macro_recall += recall, s.macro_f1 += f1;
        s.weighted_precision += c.truth * precision, s.weighted_recall += c.truth * recall;
        s.weighted_f1 += c.truth * f1;
    }
    s.accuracy = over(right, n);
    s.macro_precision = over(s.macro_precision, used), s.macro_recall = over(s.macro_recall, used);
    s.macro_f1 = over(s.macro_f1, used);
    s.weighted_precision = over(s.weighted_precision, n), s.weighted_recall = over(s.weighted_recall, n);
    s.weighted_f1 = over(s.weighted_f1, n);
    double spread = (n * n - truths) * (n * n - saids);
    s.mcc = spread > 0 ? (right * n - chance) / sqrt(spread) : 0;
    return s;
}

/* The rows from the highest score down. */
static size_t *descending(Arena *a, const double *score, int64_t n)
{
    size_t *order = arena_take(a, sizeof *order * (size_t)(n + 1));
    double *down = arena_take(a, sizeof *down * (size_t)(n + 1));
    for (int64_t i = 0; i < n; i++) down[i] = -score[i];
    gsl_sort_index(order, down, 1, (size_t)n);
    return order;
}

typedef struct {
    double auc, average_precision, brier;
} Ranked;

/* One walk over the distinct scores, from the highest: pairs in the right order, precision at each gain, and squared
 * errors.  Rows of one score enter as their numbers, so the sums do not depend on the order of the rows. */
static Ranked ranked(const int32_t *label, const double *score, int64_t n)
{
    Arena scratch = arena_open(0);
    size_t *order = descending(&scratch, score, n);
    double hits = 0, misses = 0, pairs = 0, area = 0, squares = 0;
    for (int64_t i = 0, j; i < n; i = j) {
        double hit = 0, miss = 0;
        j = i;
        do ++*(label[order[j]] ? &hit : &miss); /* at least one: NaN equals nothing */
        while (++j < n && score[order[j]] == score[order[i]]);
        pairs += miss * (hits + hit / 2);
        hits += hit, misses += miss;
        area += hit * hits / (hits + misses);
        double p = score[order[i]];
        squares += p >= 0 && p <= 1 ? hit * (p - 1) * (p - 1) + miss * p * p : (double)NAN;
    }
    arena_close(&scratch);
    return (Ranked){hits > 0 && misses > 0 ? pairs / (hits * misses) : (double)NAN,
                    hits > 0 ? area / hits : (double)NAN, n ? squares / (double)n : 0};
}

double score_auc(const int32_t *label, const double *score, int64_t n)
{
    return ranked(label, score, n).auc;
}

BinaryScores score_binary(const int32_t *label, const double *score, int64_t n, double threshold)
{
    BinaryScores s = {.n = n, .threshold = threshold};
    int64_t confusion[4] = {0};
    for (int64_t i = 0; i < n; i++) {
        int32_t said = score[i] >= threshold;
        score_confusion(confusion, 2, &label[i], &said, 1);
        s.positives += label[i];
    }
    Counts c = counts_of(confusion, 2, 1);
    ClassScores both = score_classes(confusion, 2);
    s.accuracy = both.accuracy, s.mcc = both.mcc;
    s.precision = over(c.both, c.said), s.recall = over(c.both, c.truth);
    s.f1 = over(2 * c.both, c.truth + c.said);
    Ranked r = ranked(label, score, n);
    s.auc = r.auc, s.average_precision = r.average_precision, s.brier = r.brier;
    return s;
}
