/* Thin functions over gsl_statistics and gsl_cdf: they add the small-sample cases, where a formula
 * divides by n - 1 = 0 and the honest answer is NaN. */
#include "num/stats.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "num/stats_rng.h"

/* Runs before main, so no caller can meet the aborting handler. */
__attribute__((constructor)) static void quiet_gsl(void)
{
    gsl_set_error_handler_off();
}

Status stats_status(int code, const char *doing)
{
    return code == GSL_SUCCESS ? OK : err_fail(E_NUMERIC, "%s: %s", doing, gsl_strerror(code));
}

/* ---- means ---- */

static Interval t_interval(double mean, double sd, int64_t n)
{
    if (n < 2) return (Interval){NAN, NAN};
    double half = gsl_cdf_tdist_Pinv(0.975, (double)(n - 1)) * sd / sqrt((double)n);
    return (Interval){mean - half, mean + half};
}

Summary stats_summary(const double *x, int64_t n)
{
    Summary s = {n, NAN, NAN, {NAN, NAN}, NAN, NAN};
    if (n < 1) return s;
    s.mean = gsl_stats_mean(x, 1, (size_t)n);
    gsl_stats_minmax(&s.least, &s.most, x, 1, (size_t)n);
    if (n < 2) return s;
    s.sd = gsl_stats_sd_m(x, 1, (size_t)n, s.mean);
    s.ci95 = t_interval(s.mean, s.sd, n);
    return s;
}

Paired stats_paired(const double *a, const double *b, int64_t n)
{
    if (n < 1) return (Paired){NAN, NAN, NAN, {NAN, NAN}};
    Arena scratch = arena_open((size_t)n * sizeof(double) + ((size_t)1 << 20));
    double *d = arena_take(&scratch, (size_t)n * sizeof *d);
    for (int64_t i = 0; i < n; i++) d[i] = a[i] - b[i];
    Summary s = stats_summary(d, n);
    arena_close(&scratch);
    Paired r = {s.mean, NAN, NAN, s.ci95};
    if (n < 2 || isnan(s.sd)) return r;
    if (s.sd == 0) { /* equal signs of all differences are all that is known: the sign test */
        r.p = s.mean == 0 ? 1 : exp2(1 - (double)n);
        r.ci95 = (Interval){NAN, NAN};
        return r;
    }
    r.t = s.mean / (s.sd / sqrt((double)n));
    r.p = 2 * gsl_cdf_tdist_Q(fabs(r.t), (double)(n - 1));
    return r;
}

/* ---- proportions ---- */

/* Under the null hypothesis the discordant items are fair coin tosses. */
double stats_mcnemar(int64_t only_a, int64_t only_b)
{
    int64_t n = only_a + only_b, few = only_a < only_b ? only_a : only_b;
    if (n == 0) return 1;
    return fmin(1, 2 * gsl_cdf_binomial_P((unsigned)few, 0.5, (unsigned)n));
}

Interval stats_wilson(int64_t hits, int64_t n)
{
    if (n < 1) return (Interval){NAN, NAN};
    double z = gsl_cdf_ugaussian_Pinv(0.975), m = (double)n, p = (double)hits / m;
    double mid = (p + z * z / (2 * m)) / (1 + z * z / m);
    double half = z * sqrt(p * (1 - p) / m + z * z / (4 * m * m)) / (1 + z * z / m);
    return (Interval){fmax(0, mid - half), fmin(1, mid + half)};
}

/* The i-th smallest of n p-values (from 0) is multiplied by n - i; results never decrease and stay below 1. */
void stats_holm(double *adjusted, const double *p, int n)
{
    Arena scratch = arena_open((size_t)1 << 24);
    size_t *order = arena_take(&scratch, sizeof *order * (size_t)n);
    double *out = arena_take(&scratch, sizeof *out * (size_t)n), worst = 0;
    gsl_sort_index(order, p, 1, (size_t)n);
    for (int i = 0; i < n; i++) {
        worst = fmax(worst, fmin(1, p[order[i]] * (n - i)));
        out[order[i]] = worst;
    }
    if (n) memcpy(adjusted, out, sizeof *out * (size_t)n);
    arena_close(&scratch);
}

/* ---- association and order ---- */

double stats_pearson(const double *x, const double *y, int64_t n)
{
    if (n < 2) return NAN;
    double sx = gsl_stats_sd(x, 1, (size_t)n), sy = gsl_stats_sd(y, 1, (size_t)n);
    return sx > 0 && sy > 0 ? gsl_stats_correlation(x, 1, y, 1, (size_t)n) : (double)NAN;
}

/* Ranks from 1; equal values share the mean of the ranks that they occupy. */
static double *ranks(Arena *a, const double *x, int64_t n)
{
    double *rank = arena_take(a, sizeof *rank * (size_t)n);
    size_t *order = arena_take(a, sizeof *order * (size_t)n);
    gsl_sort_index(order, x, 1, (size_t)n);
    for (int64_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && x[order[j]] == x[order[i]];) j++;
        for (int64_t k = i; k < j; k++) rank[order[k]] = 0.5 * (double)(i + 1 + j);
    }
    return rank;
}

double stats_slope(const double *x, const double *y, int64_t n)
{
    double mx = 0, my = 0, xy = 0, xx = 0;
    for (int64_t i = 0; i < n; i++) mx += x[i] / (double)n, my += y[i] / (double)n;
    for (int64_t i = 0; i < n; i++) xy += (x[i] - mx) * (y[i] - my), xx += (x[i] - mx) * (x[i] - mx);
    return xy / xx;
}

double stats_spearman(const double *x, const double *y, int64_t n)
{
    if (n < 2) return NAN;
    Arena scratch = arena_open((size_t)n * 64 + ((size_t)1 << 20));
    double r = stats_pearson(ranks(&scratch, x, n), ranks(&scratch, y, n), n);
    arena_close(&scratch);
    return r;
}

double stats_quantile(const double *x, int64_t n, double q)
{
    if (n < 1) return NAN;
    Arena scratch = arena_open((size_t)n * sizeof(double) + ((size_t)1 << 20));
    double *sorted = arena_take(&scratch, sizeof *sorted * (size_t)n);
    memcpy(sorted, x, sizeof *sorted * (size_t)n);
    gsl_sort(sorted, 1, (size_t)n);
    double value = gsl_stats_quantile_from_sorted_data(sorted, 1, (size_t)n, q);
    arena_close(&scratch);
    return value;
}

int64_t stats_histogram(int64_t *count, int bins, double lo, double hi, const double *x, int64_t n)
{
    CHECK(bins > 0 && hi > lo, "a histogram of %d bins from %g to %g", bins, lo, hi);
    int64_t outside = 0;
    memset(count, 0, sizeof *count * (size_t)bins);
    for (int64_t i = 0; i < n; i++) {
        if (!(x[i] >= lo && x[i] <= hi)) { /* NaN is outside */
            outside++;
            continue;
        }
        int cell = (int)((x[i] - lo) / (hi - lo) * bins);
        count[cell < bins ? cell : bins - 1]++;
    }
    return outside;
}

/* ---- the bootstrap ---- */

static void draw_rows(int64_t *index, int64_t n, uint64_t stream, int draw)
{
    for (int64_t i = 0; i < n; i++) index[i] = rng_below(stream, (uint64_t)draw * (uint64_t)n + (uint64_t)i, n);
}

/* value (draws) is sorted in place; NaN somewhere is NaN at both ends. */
static Interval middle(double *value, int draws)
{
    for (int d = 0; d < draws; d++)
        if (isnan(value[d])) return (Interval){NAN, NAN};
    gsl_sort(value, 1, (size_t)draws);
    return (Interval){gsl_stats_quantile_from_sorted_data(value, 1, (size_t)draws, 0.025),
                      gsl_stats_quantile_from_sorted_data(value, 1, (size_t)draws, 0.975)};
}

Interval stats_bootstrap(int64_t n, StatFn *stat, void *user, int draws, uint64_t stream)
{
    if (n < 1 || draws < 2) return (Interval){NAN, NAN};
    Arena scratch = arena_open((size_t)(n + draws) * 16 + ((size_t)1 << 20));
    int64_t *index = arena_take(&scratch, sizeof *index * (size_t)n);
    double *value = arena_take(&scratch, sizeof *value * (size_t)draws);
    for (int d = 0; d < draws; d++) {
        draw_rows(index, n, stream, d);
        value[d] = stat(index, n, user);
    }
    Interval r = middle(value, draws);
    arena_close(&scratch);
    return r;
}

static double mean_at(const int64_t *index, int64_t n, void *user)
{
    const double *x = user;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[index[i]];
    return sum / (double)n;
}

Interval stats_bootstrap_mean(const double *x, int64_t n, int draws, uint64_t stream)
{
    union { /* the callback's argument is not const; mean_at only reads it */
        const double *in;
        void *out;
    } user = {.in = x};
    return stats_bootstrap(n, mean_at, user.out, draws, stream);
}

/* Rows ordered by stratum, and for each place the stratum's first place and size. */
typedef struct {
    int64_t *row, *first, *size; /* (n) */
} Strata;

static Strata strata_of(Arena *a, int64_t n, const int32_t *stratum)
{
    Strata s = {NEW(a, int64_t, n), NEW(a, int64_t, n), NEW(a, int64_t, n)};
    int64_t at = 0;
    for (int32_t k = 0; at < n; k++) {
        int64_t first = at;
        for (int64_t i = 0; i < n; i++)
            if (stratum ? stratum[i] == k : k == 0) s.row[at++] = i;
        for (int64_t i = first; i < at; i++) s.first[i] = first, s.size[i] = at - first;
    }
    return s;
}

static void draw_strata(int64_t *index, int64_t n, const Strata *s, uint64_t stream, int draw)
{
    for (int64_t i = 0; i < n; i++)
        index[i] = s->row[s->first[i] + rng_below(stream, (uint64_t)draw * (uint64_t)n + (uint64_t)i, s->size[i])];
}

/* value (k,draws) of stat on drawn rows, less that of b where there is a b. */
static void draw_all(double *value, Arena *a, int k, int64_t n, StatsFn *stat, void *user, void *other,
                     const Bootstrap *how)
{
    Strata strata = strata_of(a, n, how->stratum);
    int64_t *index = arena_take(a, sizeof *index * (size_t)n);
    double *mine = arena_zero(a, sizeof *mine * (size_t)k), *theirs = arena_zero(a, sizeof *mine * (size_t)k);
    for (int d = 0; d < how->draws; d++) {
        draw_strata(index, n, &strata, how->stream, d);
        stat(mine, index, n, user);
        if (other) stat(theirs, index, n, other);
        for (int i = 0; i < k; i++) value[i * how->draws + d] = mine[i] - theirs[i];
    }
}

/* Moves the values that are no NaN to the front; how many. */
static int defined(double *value, int draws)
{
    int n = 0;
    for (int d = 0; d < draws; d++)
        if (!isnan(value[d])) value[n++] = value[d];
    return n;
}

/* The k statistics on all rows. */
static double *on_all_rows(Arena *a, int k, int64_t n, StatsFn *stat, void *user)
{
    int64_t *all = arena_take(a, sizeof *all * (size_t)n);
    double *out = arena_zero(a, sizeof *out * (size_t)k);
    for (int64_t i = 0; i < n; i++) all[i] = i;
    stat(out, all, n, user);
    return out;
}

void stats_bootstrap_all(Interval *ci95, int k, int64_t n, StatsFn *stat, void *user, const Bootstrap *how)
{
    for (int i = 0; i < k; i++) ci95[i] = (Interval){NAN, NAN};
    if (n < 1 || how->draws < 2) return;
    Arena scratch = arena_open(0);
    const double *whole = on_all_rows(&scratch, k, n, stat, user);
    double *value = arena_take(&scratch, sizeof *value * (size_t)k * (size_t)how->draws);
    draw_all(value, &scratch, k, n, stat, user, NULL, how);
    for (int i = 0; i < k; i++) {
        int used = defined(value + i * how->draws, how->draws);
        if (how->left_out) how->left_out[i] = how->draws - used;
        if (!isnan(whole[i]) && used >= 2) ci95[i] = middle(value + i * how->draws, used);
    }
    arena_close(&scratch);
}

void stats_bootstrap_paired(Contrast *out, int k, int64_t n, StatsFn *stat, void *a, void *b, const Bootstrap *how)
{
    for (int i = 0; i < k; i++) out[i] = (Contrast){NAN, NAN, {NAN, NAN}};
    if (n < 1) return;
    Arena scratch = arena_open(0);
    const double *mine = on_all_rows(&scratch, k, n, stat, a), *theirs = on_all_rows(&scratch, k, n, stat, b);
    for (int i = 0; i < k; i++) out[i].difference = mine[i] - theirs[i];
    double *value = arena_take(&scratch, sizeof *value * (size_t)k * (size_t)how->draws);
    if (how->draws >= 2) draw_all(value, &scratch, k, n, stat, a, b, how);
    for (int i = 0; i < k && how->draws >= 2; i++) {
        double *at = value + i * how->draws;
        int used = defined(at, how->draws), below = 0, above = 0;
        if (how->left_out) how->left_out[i] = how->draws - used;
        if (isnan(out[i].difference) || used < 2) continue;
        out[i].ci95 = middle(at, used);
        for (int d = 0; d < used; d++) below += at[d] <= 0, above += at[d] >= 0;
        out[i].p = fmin(1, 2.0 * ((below < above ? below : above) + 1) / (used + 1));
    }
    arena_close(&scratch);
}

double stats_randomisation(int64_t n, DifferenceFn *gap, void *user, int draws, uint64_t stream)
{
    if (n < 1 || draws < 1) return NAN;
    Arena scratch = arena_open((size_t)n + ((size_t)1 << 20));
    bool *exchanged = arena_zero(&scratch, (size_t)n);
    double found = fabs(gap(exchanged, n, user));
    int64_t as_far = 1;
    for (int d = 0; d < draws; d++) {
        for (int64_t i = 0; i < n; i++) exchanged[i] = rng_bits(stream, (uint64_t)d * (uint64_t)n + (uint64_t)i) & 1;
        as_far += fabs(gap(exchanged, n, user)) >= found * (1 - 1e-12); /* sums in another order are equals */
    }
    arena_close(&scratch);
    return (double)as_far / (draws + 1);
}

/* ---- our generator as one of GSL's ---- */

typedef struct {
    uint64_t stream, next;
} Counter;

static void counter_set(void *state, unsigned long seed)
{
    *(Counter *)state = (Counter){seed, 0};
}

static unsigned long counter_get(void *state)
{
    Counter *c = state;
    return rng_bits(c->stream, c->next++);
}

static double counter_real(void *state)
{
    Counter *c = state;
    return rng_uniform(c->stream, c->next++);
}

static const gsl_rng_type COUNTER = {"philox4x32-10", UINT64_MAX,  0,           sizeof(Counter),
                                     counter_set,     counter_get, counter_real};

gsl_rng *stats_rng(uint64_t stream)
{
    gsl_rng *r = gsl_rng_alloc(&COUNTER);
    if (!r) err_no_memory("GSL has none for a generator");
    *(Counter *)gsl_rng_state(r) = (Counter){stream, 0}; /* not gsl_rng_set: it replaces a zero seed */
    return r;
}
