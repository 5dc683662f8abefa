/* The rule of verdicts, and by simulation the coverage of its intervals and the size and power of its tests. */
#include "expect.h"

#include <gsl/gsl_randist.h>

#include "num/claim.h"
#include "num/stats_rng.h"

static void the_rule(void **state)
{
    (void)state;
    const struct {
        Claim claim;
        Interval ci;
        Verdict verdict;
    } CASE[] = {
        {{MORE_THAN, 1}, {1.1, 2}, SUPPORTED},      {{MORE_THAN, 1}, {1, 2}, INCONCLUSIVE},
        {{MORE_THAN, 1}, {0, 1}, NOT_SUPPORTED},    {{MORE_THAN, 1}, {0.9, 1.1}, INCONCLUSIVE},
        {{LESS_THAN, -1}, {-3, -1.1}, SUPPORTED},   {{LESS_THAN, -1}, {-1, 4}, NOT_SUPPORTED},
        {{LESS_THAN, -1}, {-2, 0}, INCONCLUSIVE},   {{WITHIN, 1}, {-0.9, 0.9}, SUPPORTED},
        {{WITHIN, 1}, {-1, 0.5}, INCONCLUSIVE},     {{WITHIN, 1}, {1, 3}, NOT_SUPPORTED},
        {{WITHIN, 1}, {-3, -1}, NOT_SUPPORTED},     {{WITHIN, 1}, {-2, 2}, INCONCLUSIVE},
        {{MORE_THAN, 0}, {NAN, NAN}, INCONCLUSIVE}, {{WITHIN, 1}, {NAN, 0}, INCONCLUSIVE},
        {{MORE_THAN, 0}, {2, 1}, INCONCLUSIVE},
    };
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++)
        EXPECT(claim_verdict(CASE[i].claim, CASE[i].ci) == CASE[i].verdict, "case %zu", i);
    const Verdict V[] = {SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE};
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) {
            Verdict both = V[a] == NOT_SUPPORTED || V[b] == NOT_SUPPORTED ? NOT_SUPPORTED
                           : V[a] == SUPPORTED && V[b] == SUPPORTED       ? SUPPORTED
                                                                          : INCONCLUSIVE;
            assert_int_equal(claim_all(V[a], V[b]), both);
        }
}

static void intervals_keep_to_their_range(void **state)
{
    (void)state;
    const double share[] = {0.99, 0.999, 0.8}, tiny[] = {1e-9, 2e-4, 3e-9}, same[] = {5, 5, 5}, zero[] = {0, 0, 0};
    Interval s = claim_interval(share, 3, RANGE_SHARE, 0.95), t = claim_interval(tiny, 3, RANGE_POSITIVE, 0.95);
    EXPECT(s.lo > 0 && s.hi < 1 && s.lo < 0.93 && s.hi > 0.93, "share %g %g", s.lo, s.hi);
    EXPECT(t.lo > 0 && t.lo < 6e-5 && t.hi > 7e-5, "positive %g %g", t.lo, t.hi);
    double percent[3];
    for (int i = 0; i < 3; i++) percent[i] = 100 * share[i];
    Interval p = claim_interval(percent, 3, RANGE_PERCENT, 0.95);
    EXPECT(fabs(p.lo - 100 * s.lo) < 1e-9 && fabs(p.hi - 100 * s.hi) < 1e-9, "percent %g %g", p.lo, p.hi);
    assert_true(isnan(claim_interval(same, 3, RANGE_ANY, 0.95).lo));
    assert_true(claim_interval(zero, 3, RANGE_SHARE, 0.95).hi == 0);
    assert_true(isnan(claim_interval(share, 1, RANGE_SHARE, 0.95).lo));
    Summary x = stats_summary(share, 3);
    Interval any = claim_interval(share, 3, RANGE_ANY, 0.95);
    EXPECT(fabs(any.lo - x.ci95.lo) < 1e-12 && fabs(any.hi - x.ci95.hi) < 1e-12, "t %g %g", any.lo, any.hi);
}

/* ---- simulation ---- */

enum { TRIALS = 8000 };
typedef double Draw(gsl_rng *);

static double normal(gsl_rng *r)
{
    return 3 + gsl_ran_gaussian(r, 2);
}
static double share(gsl_rng *r) /* of a hundred rows, about a true share that varies from seed to seed */
{
    return gsl_ran_binomial(r, gsl_ran_beta(r, 16, 4), 100) / 100.0;
}
static double positive(gsl_rng *r)
{
    return gsl_ran_lognormal(r, 0, 0.5);
}

static double correlation(gsl_rng *r) /* of 30 pairs with correlation .6 */
{
    double x[30], y[30];
    for (int i = 0; i < 30; i++) gsl_ran_bivariate_gaussian(r, 1, 1, .6, &x[i], &y[i]);
    return stats_pearson(x, y, 30);
}
static double nearly_all(gsl_rng *r) /* of 500 rows, most seeds at the end of the range */
{
    return gsl_ran_binomial(r, 1 - gsl_ran_exponential(r, .002), 500) / 500.0;
}

static double coverage(gsl_rng *r, Draw *draw, double mean, int n, ClaimRange range)
{
    int inside = 0;
    for (int i = 0; i < TRIALS; i++) {
        double x[16];
        for (int k = 0; k < n; k++) x[k] = draw(r);
        Interval ci = claim_interval(x, n, range, 0.95);
        inside += ci.lo <= mean && mean <= ci.hi;
    }
    return (double)inside / TRIALS;
}

/* At three, five and ten seeds; what is skewed is covered less than nominally by so few, and not by less than
 * said. */
static void coverage_of_intervals(void **state)
{
    (void)state;
    const struct {
        const char *name;
        Draw *draw;
        double mean, least;
        ClaimRange range;
    } KIND[] = {{"normal, any", normal, 3, .945, RANGE_ANY},
                {"share, logit", share, .8, .935, RANGE_SHARE},
                {"positive, log", positive, exp(0.125), .93, RANGE_POSITIVE},
                {"correlation, z", correlation, .5897, .935, RANGE_CORRELATION}};
    const int N[] = {3, 5, 10};
    gsl_rng *r = stats_rng(7);
    for (size_t k = 0; k < sizeof KIND / sizeof *KIND; k++)
        for (int i = 0; i < 3; i++) {
            double c = coverage(r, KIND[k].draw, KIND[k].mean, N[i], KIND[k].range);
            print_message("%s, n %d: %.3f\n", KIND[k].name, N[i], c);
            EXPECT(c >= KIND[k].least && c <= .97, "%s at n %d covers %.3f", KIND[k].name, N[i], c);
        }
    gsl_rng_free(r);
}

/* At an end of the range the interval covers less than it says: three seeds that have every row right leave [1, 1].
 * Its coverage is stated here, so that nobody takes it for 95 %. */
static void coverage_at_an_end(void **state)
{
    (void)state;
    gsl_rng *r = stats_rng(11);
    double c = coverage(r, nearly_all, .998, 3, RANGE_SHARE), d = coverage(r, nearly_all, .998, 10, RANGE_SHARE);
    print_message("share .998, n 3: %.3f, n 10: %.3f\n", c, d);
    EXPECT(c > .7 && d > .9, "a share of .998 is covered %.3f by 3, %.3f by 10", c, d);
    gsl_rng_free(r);
}

static double supported(gsl_rng *r, Claim c, double effect, double sd, int n)
{
    int times = 0;
    for (int i = 0; i < TRIALS; i++) {
        double x[16];
        for (int k = 0; k < n; k++) x[k] = effect + gsl_ran_gaussian(r, sd);
        times += claim_verdict(c, claim_interval(x, n, RANGE_ANY, claim_level(c))) == SUPPORTED;
    }
    return (double)times / TRIALS;
}

/* At the margin itself a claim is supported in at most 5 % of runs, and beyond it as often as the power says. */
static void size_and_power(void **state)
{
    (void)state;
    gsl_rng *r = stats_rng(8);
    const Claim CLAIM[] = {{MORE_THAN, 1}, {LESS_THAN, 1}, {WITHIN, 1}};
    const double BEYOND[] = {2, 0, 0.2};
    const int N[] = {3, 5, 10};
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 3; i++) {
            double size = supported(r, CLAIM[k], 1, 0.7, N[i]), power = supported(r, CLAIM[k], BEYOND[k], 0.7, N[i]);
            double said = claim_power(CLAIM[k], BEYOND[k], 0.7, N[i], claim_level(CLAIM[k]));
            EXPECT(size <= 0.06, "form %d at n %d: size %.3f", CLAIM[k].form, N[i], size);
            EXPECT(fabs(power - said) < 0.015, "form %d at n %d: power %.3f, said %.3f", CLAIM[k].form, N[i], power,
                   said);
        }
    gsl_rng_free(r);
}

/* The same of shares and of positive values, whose intervals are on another scale. */
static void size_on_other_scales(void **state)
{
    (void)state;
    const struct {
        Draw *draw;
        double mean;
        ClaimRange range;
    } KIND[] = {
        {share, .8, RANGE_SHARE}, {positive, exp(0.125), RANGE_POSITIVE}, {correlation, .5897, RANGE_CORRELATION}};
    const int N[] = {3, 5, 10};
    gsl_rng *r = stats_rng(12);
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 3; i++) {
            int more = 0, less = 0;
            for (int t = 0; t < TRIALS; t++) {
                double x[16];
                for (int j = 0; j < N[i]; j++) x[j] = KIND[k].draw(r);
                Interval ci = claim_interval(x, N[i], KIND[k].range, .95);
                more += claim_verdict((Claim){MORE_THAN, KIND[k].mean}, ci) == SUPPORTED;
                less += claim_verdict((Claim){LESS_THAN, KIND[k].mean}, ci) == SUPPORTED;
            }
            EXPECT(more <= .06 * TRIALS && less <= .06 * TRIALS, "%s at n %d: more %.3f, less %.3f",
                   claim_range_name(KIND[k].range), N[i], (double)more / TRIALS, (double)less / TRIALS);
        }
    gsl_rng_free(r);
}

/* A difference of nothing: the paired test rejects in at most 6 %, also where accuracies come in steps of 1/200. */
static void paired_under_the_null(void **state)
{
    (void)state;
    gsl_rng *r = stats_rng(9);
    const int N[] = {3, 5, 10};
    for (int i = 0; i < 3; i++) {
        int normal = 0, steps = 0;
        for (int t = 0; t < TRIALS; t++) {
            double a[16], b[16], c[16], d[16];
            for (int k = 0; k < N[i]; k++) {
                a[k] = gsl_ran_gaussian(r, 1), b[k] = gsl_ran_gaussian(r, 1);
                c[k] = gsl_ran_binomial(r, .02, 200) / 200.0, d[k] = gsl_ran_binomial(r, .02, 200) / 200.0;
            }
            normal += stats_paired(a, b, N[i]).p < .05;
            steps += stats_paired(c, d, N[i]).p < .05;
        }
        EXPECT(normal <= .06 * TRIALS && steps <= .06 * TRIALS, "n %d: %g and %g of runs", N[i],
               (double)normal / TRIALS, (double)steps / TRIALS);
    }
    gsl_rng_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rule),
        cmocka_unit_test(intervals_keep_to_their_range),
        cmocka_unit_test(coverage_of_intervals),
        cmocka_unit_test(coverage_at_an_end),
        cmocka_unit_test(size_and_power),
        cmocka_unit_test(size_on_other_scales),
        cmocka_unit_test(paired_under_the_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
