/* Information beyond a baseline where it is known: a copy of the baseline has none, a further bit has one bit. */
#include "expect.h"

#include <math.h>

#include "arenas.h"
#include "base/rng.h"
#include "num/stats.h"
#include "probe/beyond.h"

enum { N = 600, TRAIN = 360, VALID = 120 };

/* Labels 2 b + x of two fair bits. */
static Dataset two_bits(uint64_t stream, Tensor *b, Tensor *x)
{
    static const char *const NAME[] = {"00", "01", "10", "11"};
    Dataset d = {.name = "bits", .n = N, .example = NEW(&run, Example, N), .n_labels = 4, .label = NAME};
    *b = tensor_zero(&run, F64, SHAPE(N, 1)), *x = tensor_zero(&run, F64, SHAPE(N, 1));
    for (int i = 0; i < N; i++) {
        int64_t both = rng_below(stream, (uint64_t)i, 4);
        d.example[i] = (Example){i < TRAIN           ? SPLIT_TRAIN
                                 : i < TRAIN + VALID ? SPLIT_VALID
                                                     : SPLIT_TEST,
                                 (int32_t)both, "", 0};
        tensor_set(*b, i, (double)(both / 2)), tensor_set(*x, i, (double)(both % 2));
    }
    dataset_count(&d, &run);
    return d;
}

static Tensor noise_of(uint64_t stream, int64_t dim)
{
    Tensor t = tensor_zero(&run, F64, SHAPE(N, dim));
    for (int64_t i = 0; i < N * dim; i++) tensor_set(t, i, rng_normal(stream, (uint64_t)i));
    return t;
}

static void a_further_bit_is_one_bit(void **state)
{
    (void)state;
    Tensor b, x;
    Beyond first, more;
    Dataset d = two_bits(1, &b, &x);
    assert_int_equal(beyond_fit(&first, &run, NULL, b, &d, true), OK);
    EXPECT(fabs(first.before - 2) < 0.05 && fabs(first.gain - 1) < 0.05, "the baseline has %g of %g bits", first.gain,
           first.before);
    assert_int_equal(beyond_fit(&more, &run, &first.logit, x, &d, false), OK);
    EXPECT(fabs(more.before - 1) < 0.05 && fabs(more.gain - 1) < 0.05, "the other bit adds %g of %g bits", more.gain,
           more.before);
    double sum = 0;
    for (int i = TRAIN + VALID; i < N; i++) sum += more.row[i] / (N - TRAIN - VALID);
    EXPECT(fabs(sum - more.gain) < 1e-12, "the rows' mean is %g, not %g", sum, more.gain);
}

/* A bit that is right on nine of ten rows has 1 - H(.1) = .531 bits. */
static void a_noisy_bit_has_its_share(void **state)
{
    (void)state;
    double sum = 0;
    for (uint64_t k = 0; k < 10; k++) {
        Tensor b, x;
        Beyond first, more;
        Dataset d = two_bits(10 + k, &b, &x);
        for (int i = 0; i < N; i++)
            if (rng_below(90 + k, (uint64_t)i, 10) == 0) tensor_set(x, i, 1 - tensor_get(x, i));
        assert_int_equal(beyond_fit(&first, &run, NULL, b, &d, true), OK);
        assert_int_equal(beyond_fit(&more, &run, &first.logit, x, &d, false), OK);
        sum += more.gain / 10;
    }
    EXPECT(fabs(sum - 0.531) < 0.06, "a noisy bit adds %g bits, expected .531", sum);
}

/* Copies of the baseline among noise add nothing, and noise is seldom told from nothing. */
static void a_copy_adds_nothing(void **state)
{
    (void)state;
    enum { RUNS = 40 };
    double sum = 0;
    int above = 0;
    for (uint64_t k = 0; k < RUNS; k++) {
        Tensor b, x, copy = noise_of(1000 + k, 24);
        Beyond first, more;
        Dataset d = two_bits(200 + k, &b, &x);
        for (int i = 0; i < N; i++) tensor_set(copy, i * 24, tensor_get(b, i));
        assert_int_equal(beyond_fit(&first, &run, NULL, b, &d, true), OK);
        assert_int_equal(beyond_fit(&more, &run, &first.logit, copy, &d, false), OK);
        sum += more.gain / RUNS;
        Interval ci = stats_bootstrap_mean(more.row + TRAIN + VALID, N - TRAIN - VALID, 400, k);
        above += ci.lo > 0;
    }
    EXPECT(fabs(sum) < 0.02, "a copy of the baseline adds %g bits", sum);
    EXPECT(above <= 4, "in %d of %d runs a copy is significantly above nothing", above, RUNS);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
SUITE(TEST(a_further_bit_is_one_bit), TEST(a_noisy_bit_has_its_share), TEST(a_copy_adds_nothing))
