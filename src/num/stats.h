/* Statistics of a handful of runs or a few thousand examples, over GSL.
 *
 * Inputs are plain arrays of double in the caller's unit; results are in the same unit.  Nothing here removes
 * non-finite values: a diverged run is NaN, and the mean over it is NaN.  An interval or test that the data are
 * too few for is NaN, never zero.
 *
 * GSL's own error handler, which would abort the program, is switched off when the program starts; a function
 * of GSL that fails returns a code, which stats_status() turns into a Status.  GSL's distributions can draw from
 * the project's counter-based generator through stats_rng() of num/stats_rng.h. */
#ifndef NUM_STATS_H
#define NUM_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

typedef struct {
    double lo, hi;
} Interval;

typedef struct {
    int64_t n;
    double mean, sd; /* sd over n - 1; NaN for n < 2 */
    Interval ci95;   /* of the mean, Student's t with n - 1 degrees of freedom; NaN for n < 2 */
    double least, most;
} Summary;
Summary stats_summary(const double *x, int64_t n);

/* Paired t-test of mean(a - b) = 0, two-sided.  Differences that are all equal have no t and no interval, since n of
 * them do not show that nothing varies; p is that of the sign test, 2^(1 - n), or 1 when they are 0. */
typedef struct {
    double difference, t, p;
    Interval ci95; /* of the difference */
} Paired;
Paired stats_paired(const double *a, const double *b, int64_t n);

double stats_mcnemar(int64_t only_a, int64_t only_b); /* exact two-sided p; counts of items one alone got right */
Interval stats_wilson(int64_t hits, int64_t n);       /* 95 % for a proportion (Wilson 1927) */
void stats_holm(double *adjusted, const double *p, int n); /* step-down for n tests (Holm 1979); may be in place */
double stats_pearson(const double *x, const double *y, int64_t n);  /* NaN when either is constant */
double stats_spearman(const double *x, const double *y, int64_t n); /* the same on ranks, ties averaged */
double stats_slope(const double *x, const double *y, int64_t n);    /* of y over x, by least squares */
double stats_quantile(const double *x, int64_t n, double q);        /* interpolated between order statistics */

/* Percentile bootstrap, 95 %: `stat` is called with n indices drawn with replacement from 0..n-1. */
typedef double StatFn(const int64_t *index, int64_t n, void *user);
Interval stats_bootstrap(int64_t n, StatFn *stat, void *user, int draws, uint64_t stream);
Interval stats_bootstrap_mean(const double *x, int64_t n, int draws, uint64_t stream);

/* The same for k statistics of the same drawn rows at once: out[0..k-1] of `stat`.  A draw in which a statistic is
 * NaN is left out of that statistic's interval and counted; one that is NaN on all rows has no interval. */
typedef struct {
    int draws;
    uint64_t stream;
    const int32_t *stratum; /* (n) 0, 1, ..: each is drawn from as often as it has rows; NULL: all rows are one */
    int *left_out;          /* (k) draws without that statistic; NULL: nobody counts */
} Bootstrap;
typedef void StatsFn(double *out, const int64_t *index, int64_t n, void *user);
void stats_bootstrap_all(Interval *ci95, int k, int64_t n, StatsFn *stat, void *user, const Bootstrap *);

/* Two systems scored on the same rows: k statistics of `a` less those of `b`, both on the same draws.  p is
 * two-sided, twice the smaller share of draws on either side of 0, at least 2 / (draws + 1). */
typedef struct {
    double difference, p;
    Interval ci95;
} Contrast;
void stats_bootstrap_paired(Contrast *out, int k, int64_t n, StatsFn *stat, void *a, void *b, const Bootstrap *);

/* Randomisation test (Fisher; Noreen 1989): under the null hypothesis the two systems' outputs may be exchanged in
 * any row.  `gap` gives the difference when the marked rows are exchanged; p is the share of random exchanges, and
 * the outcome itself, that differ at least as much as no exchange. */
typedef double DifferenceFn(const bool *exchanged, int64_t n, void *user);
double stats_randomisation(int64_t n, DifferenceFn *gap, void *user, int draws, uint64_t stream);

/* Counts of x in `bins` equal cells of [lo,hi); hi itself falls in the last.  Returns how many fell outside. */
int64_t stats_histogram(int64_t *count, int bins, double lo, double hi, const double *x, int64_t n);

Status stats_status(int gsl_code, const char *doing); /* E_NUMERIC "doing: GSL's reason"; OK for GSL_SUCCESS */

#endif
