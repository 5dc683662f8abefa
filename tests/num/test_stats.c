/* Statistics and linear algebra against values worked out by hand or printed in tables, and against identities. */
#include "expect.h"

#include <gsl/gsl_errno.h>
#include <gsl/gsl_randist.h>
#include <string.h>

#include "num/linalg.h"
#include "num/stats.h"
#include "num/stats_rng.h"

static void close_to(double got, double want, double tol, const char *what)
{
    EXPECT(fabs(got - want) <= tol, "%s is %.12g, expected %.12g", what, got, want);
}

/* 1..5: mean 3, variance 10/4; t(0.975, 4) = 2.776445 in any table. */
static void summary_by_hand(void **state)
{
    (void)state;
    const double x[] = {5, 1, 4, 2, 3};
    Summary s = stats_summary(x, 5);
    close_to(s.mean, 3, 1e-15, "mean");
    close_to(s.sd, sqrt(2.5), 1e-15, "sd");
    close_to(s.ci95.hi - 3, 2.7764451052 * sqrt(2.5 / 5), 1e-9, "half width");
    close_to(s.ci95.lo + s.ci95.hi, 6, 1e-14, "centre");
    assert_true(s.least == 1 && s.most == 5);
    s = stats_summary(x, 1);
    assert_true(s.mean == 5 && isnan(s.sd) && isnan(s.ci95.lo));
    assert_true(isnan(stats_summary(x, 0).mean));
}

/* Student's own data (Biometrika 1908): extra hours of sleep under two drugs; t = 4.0621, p = 0.002833. */
static void paired_sleep(void **state)
{
    (void)state;
    const double a[] = {1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4};
    const double b[] = {0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0};
    Paired r = stats_paired(a, b, 10);
    close_to(r.difference, 1.58, 1e-12, "difference");
    close_to(r.t, 4.0621, 5e-5, "t");
    close_to(r.p, 0.002833, 5e-7, "p");
    close_to(r.ci95.lo, 0.7001142, 5e-8, "lower end");
    assert_true(stats_paired(a, a, 10).p == 1);
    assert_true(isnan(stats_paired(a, b, 1).p));
}

static void proportions(void **state)
{
    (void)state;
    close_to(stats_mcnemar(1, 8), 2 * 10 / 512.0, 1e-12, "McNemar 1:8"); /* 2 (1 + 9) / 2^9 */
    close_to(stats_mcnemar(5, 5), 1, 0, "McNemar 5:5");
    close_to(stats_mcnemar(0, 0), 1, 0, "McNemar 0:0");
    close_to(stats_mcnemar(8, 1), stats_mcnemar(1, 8), 0, "its symmetry");
    Interval w = stats_wilson(0, 10);
    close_to(w.lo, 0, 1e-12, "Wilson 0/10");
    close_to(w.hi, 0.277533, 1e-6, "Wilson 0/10"); /* z^2 / (n + z^2) */
    w = stats_wilson(81, 263);
    close_to(w.lo, 0.2553, 5e-5, "Newcombe 1998"); /* table I, method 3 */
    close_to(w.hi, 0.3662, 5e-5, "Newcombe 1998");
    double p[] = {0.01, 0.04, 0.03, 0.005};
    stats_holm(p, p, 4);
    const double want[] = {0.03, 0.06, 0.06, 0.02};
    for (int i = 0; i < 4; i++) close_to(p[i], want[i], 1e-15, "Holm");
}

static void association(void **state)
{
    (void)state;
    const double x[] = {1, 2, 3, 4}, y[] = {1, 8, 27, 64}, z[] = {4, 3, 2, 1}, tie[] = {1, 1, 2, 3},
                 flat[4] = {2, 2, 2, 2};
    close_to(stats_spearman(x, y, 4), 1, 1e-15, "Spearman of a cube");
    close_to(stats_spearman(y, z, 4), -1, 1e-15, "Spearman, reversed");
    close_to(stats_spearman(x, tie, 4), 4.5 / sqrt(5 * 4.5), 1e-12, "Spearman with ranks 1.5 1.5 3 4");
    close_to(stats_pearson(x, z, 4), -1, 1e-15, "Pearson");
    assert_true(isnan(stats_pearson(x, flat, 4)));
    close_to(stats_quantile(z, 4, 0.5), 2.5, 1e-15, "median");
    int64_t count[2];
    const double v[] = {0, 0.49, 0.5, 1, -0.1, NAN};
    assert_int_equal(stats_histogram(count, 2, 0, 1, v, 6), 2);
    assert_true(count[0] == 2 && count[1] == 2);
}

static double always_seven(const int64_t *index, int64_t n, void *user)
{
    (void)index, (void)n, (void)user;
    return 7;
}

/* The bootstrap of a mean of 400 normals is close to the t interval; of a constant it has no width. */
static void bootstrap(void **state)
{
    (void)state;
    enum { N = 400 };
    double x[N];
    for (int i = 0; i < N; i++) x[i] = 2 + rng_normal(9, (uint64_t)i);
    Interval b = stats_bootstrap_mean(x, N, 2000, 1), again = stats_bootstrap_mean(x, N, 2000, 1);
    Summary s = stats_summary(x, N);
    close_to(b.lo, s.ci95.lo, 0.015, "lower end");
    close_to(b.hi, s.ci95.hi, 0.015, "upper end");
    assert_true(b.lo == again.lo && b.hi == again.hi);
    b = stats_bootstrap(N, always_seven, NULL, 10, 1);
    assert_true(b.lo == 7 && b.hi == 7);
}

/* GSL draws from the counter: draw k is the k-th of the stream, and its normals have the moments of normals. */
static void gsl_draws_from_the_counter(void **state)
{
    (void)state;
    gsl_rng *r = stats_rng(42);
    for (uint64_t k = 0; k < 10; k++) assert_true(gsl_rng_get(r) == rng_bits(42, k));
    close_to(gsl_rng_uniform(r), rng_uniform(42, 10), 0, "uniform");
    double m = 0, v = 0;
    enum { N = 20000 };
    for (int i = 0; i < N; i++) {
        double z = gsl_ran_gaussian(r, 2);
        m += z / N;
        v += z * z / N;
    }
    EXPECT(fabs(m) < 0.06 && fabs(v - 4) < 0.16, "moments %g %g", m, v);
    gsl_rng_free(r);
    assert_int_equal(stats_status(GSL_SUCCESS, "x"), OK);
    assert_int_equal(stats_status(GSL_ENOPROG, "fitting"), E_NUMERIC);
    assert_non_null(strstr(err_message(), "fitting: "));
    err_clear();
}

/* ---- linear algebra ---- */

static Tensor product(Arena *a, Tensor x, Tensor y)
{
    Tensor z = tensor_zero(a, F64, SHAPE(x.dim[0], y.dim[1]));
    for (int64_t i = 0; i < x.dim[0]; i++)
        for (int64_t j = 0; j < y.dim[1]; j++)
            for (int64_t k = 0; k < x.dim[1]; k++) {
                int64_t at = i * y.dim[1] + j;
                tensor_set(z, at,
                           tensor_get(z, at) + tensor_get(x, i * x.dim[1] + k) * tensor_get(y, k * y.dim[1] + j));
            }
    return z;
}

static Tensor transposed(Arena *a, Tensor x)
{
    Tensor t = tensor_new(a, F64, SHAPE(x.dim[1], x.dim[0]));
    for (int64_t i = 0; i < x.dim[0]; i++)
        for (int64_t j = 0; j < x.dim[1]; j++) tensor_set(t, j * x.dim[0] + i, tensor_get(x, i * x.dim[1] + j));
    return t;
}

static Tensor identity(Arena *a, int64_t n)
{
    Tensor t = tensor_zero(a, F64, SHAPE(n, n));
    for (int64_t i = 0; i < n; i++) tensor_set(t, i * n + i, 1);
    return t;
}

static void svd_puts_together_again(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    const int64_t SIZE[][2] = {{7, 3}, {3, 7}, {5, 5}, {1, 4}, {4, 1}};
    for (size_t c = 0; c < sizeof SIZE / sizeof *SIZE; c++) {
        Tensor m = noise(&a, F64, c, 2, SIZE[c]), s;
        Svd d;
        assert_int_equal(linalg_svd(&d, &a, m), OK);
        int64_t k = d.s.dim[0];
        Tensor us = tensor_copy(&a, d.u);
        for (int64_t i = 0; i < us.dim[0]; i++)
            for (int64_t j = 0; j < k; j++) tensor_set(us, i * k + j, tensor_get(us, i * k + j) * tensor_get(d.s, j));
        EXPECT_NEAR(product(&a, us, d.vt), m, 1e-13);
        EXPECT_NEAR(product(&a, transposed(&a, d.u), d.u), identity(&a, k), 1e-13);
        EXPECT_NEAR(product(&a, d.vt, transposed(&a, d.vt)), identity(&a, k), 1e-13);
        assert_int_equal(linalg_singular(&s, &a, m), OK);
        EXPECT_NEAR(s, d.s, 1e-13);
        for (int64_t j = 0; j + 1 < k; j++) assert_true(tensor_get(s, j) >= tensor_get(s, j + 1));
    }
    arena_close(&a);
}

/* (3 0; 4 5) has singular values sqrt(45) and sqrt(5). */
static void ranks_by_hand(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    float two[] = {3, 0, 4, 5};
    Tensor s;
    assert_int_equal(linalg_singular(&s, &a, tensor_over(two, F32, SHAPE(2, 2))), OK);
    close_to(tensor_get(s, 0), sqrt(45), 1e-12, "sigma 1");
    close_to(tensor_get(s, 1), sqrt(5), 1e-12, "sigma 2");
    Tensor low = product(&a, noise(&a, F64, 1, SHAPE(20, 4)), noise(&a, F64, 2, SHAPE(4, 30)));
    assert_int_equal(linalg_singular(&s, &a, low), OK);
    assert_int_equal(linalg_rank(s, 1e-10), 4);
    double equal[] = {2, 2, 2}, one[] = {5, 0, 0}, zero[] = {0, 0};
    close_to(linalg_effective_rank(tensor_over(equal, F64, SHAPE(3))), 3, 1e-12, "effective rank");
    close_to(linalg_participation(tensor_over(equal, F64, SHAPE(3))), 3, 1e-12, "participation");
    close_to(linalg_effective_rank(tensor_over(one, F64, SHAPE(3))), 1, 1e-12, "effective rank of one");
    close_to(linalg_participation(tensor_over(one, F64, SHAPE(3))), 1, 1e-12, "participation of one");
    assert_int_equal(linalg_rank(tensor_over(zero, F64, SHAPE(2)), 1e-6), 0);
    two[2] = NAN;
    assert_int_equal(linalg_singular(&s, &a, tensor_over(two, F32, SHAPE(2, 2))), E_NUMERIC);
    err_clear();
    assert_int_equal(linalg_singular(&s, &a, tensor_new(&a, F64, SHAPE(0, 3))), OK);
    assert_int_equal(tensor_count(s), 0);
    arena_close(&a);
}

static void least_squares(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    double line[] = {1, 0, 1, 1, 1, 2, 1, 3}, y[] = {1, 3, 4, 8}; /* the best line is 0.7 + 2.2 t */
    Tensor x;
    int64_t rank;
    assert_int_equal(linalg_least_squares(&x, &rank, &a, tensor_over(line, F64, SHAPE(4, 2)),
                                          tensor_over(y, F64, SHAPE(4, 1)), -1),
                     OK);
    close_to(tensor_get(x, 0), 0.7, 1e-12, "intercept");
    close_to(tensor_get(x, 1), 2.2, 1e-12, "slope");
    assert_int_equal(rank, 2);
    double wide[] = {1, 1}, two[] = {2, 4}; /* one equation, two unknowns, two right sides: the shortest */
    assert_int_equal(linalg_least_squares(&x, NULL, &a, tensor_over(wide, F64, SHAPE(1, 2)),
                                          tensor_over(two, F64, SHAPE(1, 2)), -1),
                     OK);
    const double want[] = {1, 2, 1, 2};
    for (int i = 0; i < 4; i++) close_to(tensor_get(x, i), want[i], 1e-12, "the shortest solution");
    arena_close(&a);
}

SUITE(cmocka_unit_test(summary_by_hand), cmocka_unit_test(paired_sleep), cmocka_unit_test(proportions),
      cmocka_unit_test(association), cmocka_unit_test(bootstrap), cmocka_unit_test(gsl_draws_from_the_counter),
      cmocka_unit_test(svd_puts_together_again), cmocka_unit_test(ranks_by_hand), cmocka_unit_test(least_squares))
