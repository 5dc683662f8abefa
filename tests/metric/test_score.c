/* Measures of predicted classes and scores: by hand, against recorded values, and on a published model's scores. */
#include "expect.h"

#include <string.h>

#include "arena.h"
#include "base/rng.h"
#include "io/columns.h"
#include "io/json.h"
#include "num/stats.h"
#include "shared.h"
#include "metric/effort.h"
#include "metric/score.h"

/* Scores that are NaN compare with nothing, and are walked over all the same. */
static void scores_not_numbers(void **state)
{
    (void)state;
    const int32_t label[] = {0, 1, 1, 0};
    const double none[] = {NAN, NAN, NAN, NAN}, some[] = {NAN, 0.9, NAN, 0.1};
    BinaryScores s = score_binary(label, none, 4, 0.5);
    assert_true(s.n == 4 && s.positives == 2);
    near(s.recall, 0, 0, "recall");
    s = score_binary(label, some, 4, 0.5);
    near(s.recall, 0.5, 0, "recall of those that are numbers");
}

/* Commits of effort 1 2 3 4 10, defects are the second and the last; scores put them first and fourth by density. */
static void effort_by_hand(void **state)
{
    (void)state;
    const int32_t label[] = {0, 1, 0, 0, 1};
    const double effort[] = {1, 2, 3, 4, 10}, score[] = {0.1, 0.9, 0.6, 0.1, 0.9};
    /* densities .1 .45 .2 .025 .09: order 2nd, 3rd, 1st, 5th, 4th; cumulative effort 2 5 6 16 20, fifth of 20: 4 */
    EffortScores s = effort_scores(label, score, effort, 5);
    near(s.recall_at_20, 0.5, 0, "recall at 20 %");
    near(s.effort_at_20, 0.1, 0, "effort at 20 % recall");
    near(s.ifa, 0, 0, "false alarms");
    /* recall at 10 to 100 %: ours .5 from 10 %, 1 from 80 %; best .5 from 10 %, 1 from 60 %; worst 0 to 80 %, then
     * .5 (order 1 3 4 5 2: cumulative 1 4 8 18 20) from 90 %, 1 at 100 % */
    double ours = 0.1 * (0.5 * 6 + 0.75 + 2), best = 0.1 * (0.5 * 4 + 0.75 + 4), worst = 0.1 * (0.25 + 0.75);
    near(s.popt, 1 - (best - ours) / (best - worst), 1e-12, "Popt");
    const double idle[] = {1, 0, 3, 4, 10}; /* no effort comes first */
    near(effort_scores(label, score, idle, 5).effort_at_20, 0, 0, "a commit without effort");
    const int32_t none[5] = {0};
    assert_true(isnan(effort_scores(none, score, effort, 5).popt));
    const int32_t faulty[] = {0, 1, 0, 0, 0, 1, 0};
    const double line[] = {0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.95}; /* order: last, then by score: 0 0 1 0 0 0 1 */
    LineScores l = effort_lines(faulty, line, 7);
    near(l.ifa, 2, 0, "IFA");
    near(l.top_5, 0.2, 1e-15, "top 5");
    near(l.top_10, 2.0 / 7, 1e-15, "top 10 of seven");
    near(l.recall_at_20, 0, 0, "recall in the first line");
    near(l.effort_at_20, 3.0 / 7, 1e-15, "effort");
}

/* ---- ties: the expected value over every order */

enum { ROWS = 6, ORDERS = 720, MEASURES = 4 + 5 };

/* The k-th order of ROWS numbers. */
static void order_of(int *place, int k)
{
    int left[ROWS];
    for (int i = 0; i < ROWS; i++) left[i] = i;
    for (int i = 0, n = ROWS; i < ROWS; i++, n--) {
        place[i] = left[k % n];
        left[k % n] = left[n - 1];
        k /= n;
    }
}

/* All measures when row i of equal score / effort, or of equal score, is read place[i]-th; place NULL: ties. */
static void measures(double out[MEASURES], const int32_t *label, const double *density, const double *effort,
                     const int *place)
{
    double score[ROWS], line[ROWS];
    for (int i = 0; i < ROWS; i++) {
        line[i] = density[i] - (place ? 1e-6 * place[i] : 0);
        score[i] = (line[i] + 1) * effort[i];
    }
    EffortScores s = effort_scores(label, score, effort, ROWS);
    LineScores l = effort_lines(label, line, ROWS);
    const double all[] = {s.recall_at_20, s.effort_at_20, s.popt,         s.ifa,         l.ifa,
                          l.top_5,        l.top_10,       l.recall_at_20, l.effort_at_20};
    memcpy(out, all, sizeof all);
}

static void ties_are_expected_values(void **state)
{
    (void)state;
    for (uint64_t c = 0; c < 60; c++) {
        int32_t label[ROWS];
        double density[ROWS], effort[ROWS], mean[MEASURES] = {0}, tied[MEASURES], one[MEASURES];
        bool equal = c % 3 == 0;
        for (int i = 0; i < ROWS; i++) {
            label[i] = i == 0 || rng_below(c, (uint64_t)i, 3) == 0;
            density[i] = (double)rng_below(c, 10 + (uint64_t)i, 1 + (int64_t)c % 3);
            effort[i] = equal ? 4 : 1 << rng_below(c, 20 + (uint64_t)i, 6); /* powers of two: densities are exact */
        }
        for (int k = 0, place[ROWS]; k < ORDERS; k++) {
            order_of(place, k);
            measures(one, label, density, effort, place);
            for (int m = 0; m < MEASURES; m++) mean[m] += one[m] / ORDERS;
        }
        measures(tied, label, density, effort, NULL);
        for (int m = 0; m < MEASURES; m++)
            EXPECT((isnan(tied[m]) && isnan(mean[m])) || fabs(tied[m] - mean[m]) < 1e-9,
                   "case %d: measure %d is %.9g, and %.9g over all orders", (int)c, m, tied[m], mean[m]);
    }
}

/* Many commits of one density and unlike efforts, as where a classifier gives 0: near the mean of random orders. */
static void large_ties(void **state)
{
    (void)state;
    enum { N = 80, SAMPLES = 4000 };
    int32_t label[N];
    double effort[N], zero[N] = {0}, score[N];
    for (int i = 0; i < N; i++) label[i] = i % 3 == 0, effort[i] = 1 + (double)rng_below(5, (uint64_t)i, 300);
    EffortScores tied = effort_scores(label, zero, effort, N), mean = {0};
    for (uint64_t d = 0; d < SAMPLES; d++) {
        for (int i = 0; i < N; i++) score[i] = effort[i] * rng_uniform(rng_mix(6, d), (uint64_t)i);
        EffortScores s = effort_scores(label, score, effort, N);
        mean.recall_at_20 += s.recall_at_20 / SAMPLES, mean.effort_at_20 += s.effort_at_20 / SAMPLES;
        mean.popt += s.popt / SAMPLES, mean.ifa += s.ifa / SAMPLES;
    }
    near(tied.recall_at_20, mean.recall_at_20, 0.006, "recall");
    near(tied.popt, mean.popt, 0.006, "Popt");
    near(tied.effort_at_20, mean.effort_at_20, 0.006, "effort");
    near(tied.ifa, mean.ifa, 0.15, "false alarms");
}

/* The same rows in another order, efforts that are no whole numbers among them, give the same bits. */
static void rows_in_any_order(void **state)
{
    (void)state;
    enum { N = 200 };
    int32_t label[N], other_label[N];
    double score[N], effort[N], other_score[N], other_effort[N];
    for (int i = 0; i < N; i++) {
        label[i] = rng_below(1, (uint64_t)i, 4) == 0;
        score[i] = (double)rng_below(2, (uint64_t)i, 3) / 2;
        effort[i] = 0.1 * (double)rng_below(3, (uint64_t)i, 40);
    }
    for (int i = 0; i < N; i++) { /* 77 and 200 have no common divisor */
        int to = i * 77 % N;
        other_label[to] = label[i], other_score[to] = score[i], other_effort[to] = effort[i];
    }
    EffortScores a = effort_scores(label, score, effort, N);
    EffortScores b = effort_scores(other_label, other_score, other_effort, N);
    assert_memory_equal(&a, &b, sizeof a);
    LineScores x = effort_lines(label, score, N), y = effort_lines(other_label, other_score, N);
    assert_memory_equal(&x, &y, sizeof x);
    for (int i = 0; i < N; i++)
        score[i] = other_score[i * 77 % N] = (score[i] + effort[i] / 40) / 3; /* rounded squares */
    BinaryScores p = score_binary(label, score, N, 0.4), q = score_binary(other_label, other_score, N, 0.4);
    assert_memory_equal(&p, &q, sizeof p);
    assert_true(p.brier > 0);
    const double same[] = {2, 2};
    const int32_t all[] = {1, 1};
    EffortScores s = effort_scores(all, same, same, 2);
    assert_true(isnan(s.popt) && s.recall_at_20 == 0); /* the best order is the worst */
}

static void classes_by_hand(void **state)
{
    (void)state;
    const int32_t label[] = {1, 1, 0, 0, 0};
    const double score[] = {0.9, 0.4, 0.4, 0.6, 0.1}; /* pairs won: 3 and 1.5 of 6 */
    BinaryScores s = score_binary(label, score, 5, 0.5);
    near(s.auc, 4.5 / 6, 1e-15, "AUC with a tie");
    near(s.precision, 0.5, 0, "precision");
    near(s.f1, 0.5, 0, "F1");
    near(s.mcc, (1.0 * 2 - 1 * 1) / 6, 1e-15, "MCC");
    near(s.brier, (0.01 + 0.36 + 0.16 + 0.36 + 0.01) / 5, 1e-15, "Brier");
    near(s.average_precision, 0.5 * 1 + 0.5 * 0.5, 1e-15, "average precision");
    const int32_t one[] = {1, 1, 1, 1, 1};
    s = score_binary(one, score, 5, 2);
    assert_true(isnan(s.auc) && s.f1 == 0 && s.mcc == 0);
}

static const cJSON *cases_of(cJSON **root, const char *name)
{
    if (json_read(root, &arena, str_print(&arena, "%s/metrics/%s.json", golden_root(&arena), name))) {
        err_clear();
        return NULL;
    }
    return cJSON_GetObjectItem(*root, "cases");
}

static double *numbers(const cJSON *list)
{
    double *x = NEW(&arena, double, cJSON_GetArraySize(list) + 1);
    const cJSON *e;
    int64_t i = 0;
    cJSON_ArrayForEach(e, list) x[i++] = e->valuedouble;
    return x;
}

static int32_t *whole(const cJSON *list)
{
    double *x = numbers(list);
    int32_t *y = NEW(&arena, int32_t, cJSON_GetArraySize(list) + 1);
    for (int64_t i = 0; i < cJSON_GetArraySize(list); i++) y[i] = (int32_t)x[i];
    return y;
}

static void expect(const cJSON *expected, const char *key, double got)
{
    const cJSON *want = cJSON_GetObjectItem(expected, key);
    if (cJSON_IsNumber(want))
        near(got, want->valuedouble, 1e-9, key);
    else if (cJSON_IsNull(want))
        EXPECT(isnan(got), "%s is %g, expected none", key, got);
}

static void golden_classes(void **state)
{
    (void)state;
    cJSON *root;
    const cJSON *c, *cases = cases_of(&root, "classification");
    if (!cases) skip();
    cJSON_ArrayForEach(c, cases)
    {
        const cJSON *e = cJSON_GetObjectItem(c, "expected"), *truth = cJSON_GetObjectItem(c, "y_true");
        int64_t n = cJSON_GetArraySize(truth), *confusion = NEW(&arena, int64_t, 64 * 64);
        bool binary = !strcmp(cJSON_GetObjectItem(c, "kind")->valuestring, "binary");
        int classes = binary ? 2 : cJSON_GetObjectItem(c, "classes")->valueint;
        score_confusion(confusion, classes, whole(truth), whole(cJSON_GetObjectItem(c, "y_pred")), n);
        ClassScores s = score_classes(confusion, classes);
        expect(e, "accuracy", s.accuracy), expect(e, "mcc", s.mcc), expect(e, "f1_macro", s.macro_f1);
        expect(e, "f1_weighted", s.weighted_f1), expect(e, "f1_micro", s.accuracy);
        if (!binary) {
            expect(e, "precision_macro", s.macro_precision), expect(e, "recall_macro", s.macro_recall);
            expect(e, "precision_weighted", s.weighted_precision), expect(e, "recall_weighted", s.weighted_recall);
            const cJSON *each = cJSON_GetObjectItem(e, "f1_per_class");
            for (int k = 0; k < classes; k++)
                near(score_f1(confusion, classes, k), cJSON_GetArrayItem(each, k)->valuedouble, 1e-9,
                     "F1 of a class");
            continue;
        }
        BinaryScores b = score_binary(whole(truth), numbers(cJSON_GetObjectItem(c, "score")), n,
                                      cJSON_GetObjectItem(c, "threshold")->valuedouble);
        expect(e, "f1", b.f1), expect(e, "precision", b.precision), expect(e, "recall", b.recall);
        expect(e, "auc_roc", b.auc), expect(e, "average_precision", b.average_precision), expect(e, "brier", b.brier);
        expect(e, "accuracy", b.accuracy), expect(e, "mcc", b.mcc);
    }
    cJSON_Delete(root);
}

static void golden_effort(void **state)
{
    (void)state;
    cJSON *root;
    const cJSON *c, *cases = cases_of(&root, "effort");
    if (!cases) skip();
    cJSON_ArrayForEach(c, cases)
    {
        const cJSON *e = cJSON_GetObjectItem(c, "expected"), *label = cJSON_GetObjectItem(c, "label");
        int64_t n = cJSON_GetArraySize(label);
        double *score = numbers(cJSON_GetObjectItem(c, "prob"));
        BinaryScores b = score_binary(whole(label), score, n, 0.5);
        for (int64_t i = 0; i < n; i++)
            score[i] *= 1 - 1e-13 * (double)i; /* it reads ties in the order of the rows */
        EffortScores s = effort_scores(whole(label), score, numbers(cJSON_GetObjectItem(c, "loc")), n);
        expect(e, "f1", b.f1), expect(e, "auc", b.auc), expect(e, "popt", s.popt);
        expect(e, "recall_at_20_effort", s.recall_at_20), expect(e, "effort_at_20_recall", s.effort_at_20);
    }
    cJSON_Delete(root);
}

static void published_scores(void **state)
{
    (void)state;
    static const char *const WANTED[] = {"label", "ref_prob", "features.la+features.ld"};
    double *column[3];
    int64_t n;
    if (columns_read(column, &n, &arena, shared_path(&arena, "data/jit/test.jsonl"), 3, WANTED)) {
        err_clear();
        skip();
    }
    assert_int_equal(n, 5480);
    int32_t *label = NEW(&arena, int32_t, n);
    for (int64_t i = 0; i < n; i++) label[i] = (int32_t)column[0][i];
    BinaryScores b = score_binary(label, column[1], n, 0.5);
    EffortScores s = effort_scores(label, column[1], column[2], n);
    near(b.precision, 0.619, 0.0005, "precision"), near(b.recall, 0.4653, 0.00005, "recall");
    near(b.f1, 0.5312, 0.00005, "F1"), near(b.auc, 0.8990, 0.00005, "AUC");
    near(s.recall_at_20, 0.800, 0.0005, "recall at 20 %"), near(s.effort_at_20, 0.0093, 0.00005, "effort at 20 %");
    near(s.popt, 0.9366, 0.00005, "Popt");
}

/* ---- tests between two systems */

typedef struct {
    const double *a, *b;
} Pair;

static void mean_of(double *out, const int64_t *index, int64_t n, void *user)
{
    *out = 0;
    for (int64_t i = 0; i < n; i++) *out += ((const double *)user)[index[i]] / (double)n;
}

static double mean_gap(const bool *exchanged, int64_t n, void *user)
{
    const Pair *p = user;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (exchanged[i] ? -1 : 1) * (p->a[i] - p->b[i]);
    return sum / (double)n;
}

/* Ten rows that all favour one side by the same amount: 2 of 1024 exchanges are as far. */
static void paired(void **state)
{
    (void)state;
    enum { N = 10, DRAWS = 20000 };
    double a[N], b[N];
    for (int i = 0; i < N; i++) a[i] = i, b[i] = i - 0.5;
    Pair both = {a, b};
    near(stats_randomisation(N, mean_gap, &both, DRAWS, 1), 2.0 / 1024, 4 * sqrt(2.0 / 1024 / DRAWS), "all one way");
    Contrast c;
    stats_bootstrap_paired(&c, 1, N, mean_of, a, b, &(Bootstrap){2000, 2});
    near(c.difference, 0.5, 1e-12, "difference");
    near(c.ci95.lo, 0.5, 1e-12, "a difference without spread");
    Interval all, one = stats_bootstrap_mean(a, N, 500, 5);
    stats_bootstrap_all(&all, 1, N, mean_of, a, &(Bootstrap){500, 5});
    near(all.lo, one.lo, 1e-12, "the same draws"), near(all.hi, one.hi, 1e-12, "the same draws");
    near(c.p, 2.0 / 2001, 1e-12, "its p");
    for (int i = 0; i < N; i++) b[i] = a[i] + (i % 2 ? 1 : -1);
    EXPECT(stats_randomisation(N, mean_gap, &both, 2000, 3) == 1, "no difference: p below 1");
    stats_bootstrap_paired(&c, 1, N, mean_of, a, b, &(Bootstrap){2000, 4});
    EXPECT(c.p > 0.5 && c.ci95.lo < 0 && c.ci95.hi > 0, "no difference: p %g", c.p);
}

/* Mean over the rows of class 1, NaN where none was drawn; and how many were. */
static void mean_of_class(double *out, const int64_t *index, int64_t n, void *user)
{
    const Pair *p = user; /* a the labels, b the values */
    double sum = 0;
    out[1] = 0;
    for (int64_t i = 0; i < n; i++) out[1] += p->a[index[i]], sum += p->a[index[i]] * p->b[index[i]];
    out[0] = sum / out[1];
    out[2] = NAN;
}

/* Two rows of twenty are of class 1: (18/20)^20 = .1216 of the draws lack it, and none of the stratified ones. */
static void draws_without_a_class(void **state)
{
    (void)state;
    enum { N = 20, DRAWS = 10000 };
    double class[N] = {[3] = 1, [11] = 1}, value[N] = {[3] = 5, [11] = 7};
    int32_t stratum[N] = {[3] = 1, [11] = 1};
    Pair both = {class, value};
    Interval ci[3];
    int left_out[3];
    stats_bootstrap_all(ci, 3, N, mean_of_class, &both, &(Bootstrap){DRAWS, 1, NULL, left_out});
    near(left_out[0] / (double)DRAWS, pow(0.9, N), 0.015, "share of draws without the class");
    near(ci[0].lo, 5, 0, "lower end"), near(ci[0].hi, 7, 0, "upper end");
    assert_true(left_out[1] == 0 && ci[1].hi >= 5 && left_out[2] == DRAWS && isnan(ci[2].lo));
    stats_bootstrap_all(ci, 3, N, mean_of_class, &both, &(Bootstrap){DRAWS, 1, stratum, left_out});
    assert_true(left_out[0] == 0 && ci[1].lo == 2 && ci[1].hi == 2);
    near(ci[0].lo, 5, 0, "lower end"), near(ci[0].hi, 7, 0, "upper end");
    Contrast c[3];
    double other[N] = {[3] = 4, [11] = 6};
    Pair against = {class, other};
    stats_bootstrap_paired(c, 3, N, mean_of_class, &both, &against, &(Bootstrap){DRAWS, 1, NULL, left_out});
    assert_true(left_out[0] > 0 && c[0].ci95.lo == 1 && c[0].ci95.hi == 1);
    near(c[0].p, 2.0 / (DRAWS - left_out[0] + 1), 1e-12, "p over the draws that count");
    double nothing[N] = {0};
    Pair none = {nothing, value};
    stats_bootstrap_all(ci, 3, N, mean_of_class, &none, &(Bootstrap){DRAWS, 1, NULL, left_out});
    assert_true(isnan(ci[0].lo) && left_out[0] == DRAWS);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
SUITE(T(classes_by_hand), T(scores_not_numbers), T(effort_by_hand), T(ties_are_expected_values), T(large_ties),
      T(rows_in_any_order), T(golden_classes), T(golden_effort), T(published_scores), T(paired),
      T(draws_without_a_class))
