/* The results of a sweep: the best learning rate of an arm among outcomes of any size, words of a list, means with
 * ranges. */
#include "expect.h"

#include <string.h>

#include "lab/sweep.h"

typedef struct {
    LabResult result;
    int arm, rate, seed;
} Outcome;

/* Arm 1 is best at rate 2; at rate 0 one of its seeds has the least loss of all, but the other diverged. */
static double loss(int arm, int rate, int seed)
{
    static const double table[2][3][2] = {{{1, 1}, {2, 2}, {3, 3}}, {{0.1, NAN}, {2, 1}, {1, 1.5}}};
    return table[arm][rate][seed];
}

static void best_rate(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    Outcome all[2 * 3 * 2];
    memset(all, 0, sizeof all);
    for (int i = 0; i < 12; i++) {
        all[i] = (Outcome){.arm = i / 6, .rate = i / 2 % 3, .seed = i % 2};
        all[i].result.last = loss(all[i].arm, all[i].rate, all[i].seed);
    }
    Sweep s = {.arms = 2, .rates = 3, .scale = {1, 2, 4}, .size = sizeof *all};
    for (int arm = 0; arm < 2; arm++) s.arm[arm].arm.lr = 0.5;
    SweepBest best[2];
    sweep_choose(&a, &s, all, 2, best);
    for (int arm = 0; arm < 2; arm++) {
        int want = arm ? 2 : 0;
        const Outcome *o = best[arm].outcome;
        EXPECT(best[arm].edge && best[arm].lr == (arm ? 2 : 0.5), "arm %d: rate %g", arm, best[arm].lr);
        for (int i = 0; i < 2; i++)
            EXPECT(o[i].arm == arm && o[i].rate == want && o[i].seed == i &&
                       best[arm].result[i].last == o[i].result.last,
                   "arm %d: outcome of arm %d rate %d seed %d", arm, o[i].arm, o[i].rate, o[i].seed);
    }
    arena_close(&a);
}

/* The rate that matches first has the least `last`; those that do not match come after all that do. */
static void match_orders_rates(void **state)
{
    (void)state;
    const LabArm arm = {.until = 0.8, .steps = 100};
    LabResult fast = {.points = 2, .step = {10, 20}, .watched = {0.5F, 0.9F}},
              slow = {.points = 2, .step = {10, 90}, .watched = {0.5F, 0.8125F}},
              never = {.points = 1, .step = {100}, .watched = {0.75F}}, none = {0}, gone = fast;
    gone.diverged = true;
    EXPECT(sweep_match(&fast, &arm) && sweep_match(&slow, &arm), "two that reach the match");
    EXPECT(!sweep_match(&never, &arm) && !sweep_match(&none, &arm) && !sweep_match(&gone, &arm), "three that do not");
    EXPECT(fast.last == 20 && slow.last == 90 && never.last == 125 && none.last == 200, "%g %g %g %g", fast.last,
           slow.last, never.last, none.last);
}

/* Of three tasks the target is left out, and of the outputs the first half. */
static void old_loss(void **state)
{
    (void)state;
    DigitMix mix;
    LabHeld each[3] = {0};
    assert_int_equal(digits_mix(&mix, "asc,desc,add1"), OK);
    for (int i = 0; i < LENGTH; i++)
        for (int k = 0; k < 3; k++) each[k].place_loss[i] = i < LENGTH / 2 ? 100 : k == 1 ? 50 : k + 1;
    EXPECT(fabs(lab_old_loss(each, &mix, "desc") - 2) < 1e-12, "%g", lab_old_loss(each, &mix, "desc"));
    mix.n = 1;
    EXPECT(isnan(lab_old_loss(each, &mix, "asc")), "no other task, and a loss");
}

static void series_have_mean_and_range(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    LabResult result[3] = {0};
    for (int i = 0; i < 3; i++) result[i].last = 1 + i * i, result[i].score[0].exact = 0.1 * i;
    SweepBest best = {.result = result};
    Series s = sweep_series(&a, &best, 1, 3, SWEEP_LOSS, "x");
    EXPECT(fabs(tensor_get(s.y, 0) - 8.0 / 3) < 1e-12 && tensor_get(s.lo, 0) == 1 && tensor_get(s.hi, 0) == 5,
           "%g in %g..%g", tensor_get(s.y, 0), tensor_get(s.lo, 0), tensor_get(s.hi, 0));
    EXPECT(fabs(sweep_exact(&best, 3) - 10) < 1e-9, "%g", sweep_exact(&best, 3));
    arena_close(&a);
}

static void words(void **state)
{
    (void)state;
    char word[2][24];
    int n;
    assert_int_equal(sweep_methods(word, 2, &n, "prefix,lora"), OK);
    EXPECT(n == 2 && !strcmp(word[0], "prefix") && !strcmp(word[1], "lora"), "%d: %s, %s", n, word[0], word[1]);
    assert_int_equal(sweep_methods(word, 2, &n, "prefix,lora,full"), E_CONFIG);
    err_clear();
    assert_int_equal(sweep_methods(word, 2, &n, "no-such-method"), E_CONFIG);
    err_clear();
    assert_int_equal(sweep_methods(word, 2, &n, ""), E_CONFIG);
    err_clear();
}

static void means(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    const double values[] = {1, 5, 3, 2, NAN, 4};
    Series s = seeds_series(&a, values, 2, 3, "x");
    EXPECT(fabs(tensor_get(s.y, 0) - 3) < 1e-12 && fabs(tensor_get(s.lo, 0) - 1) < 1e-12 &&
               fabs(tensor_get(s.hi, 0) - 5) < 1e-12,
           "mean %g, range %g to %g", tensor_get(s.y, 0), tensor_get(s.lo, 0), tensor_get(s.hi, 0));
    EXPECT(isnan(tensor_get(s.y, 1)) && isnan(tensor_get(s.lo, 1)) && isnan(tensor_get(s.hi, 1)),
           "a diverged seed leaves mean %g, range %g to %g", tensor_get(s.y, 1), tensor_get(s.lo, 1),
           tensor_get(s.hi, 1));
    arena_close(&a);
}

SUITE(cmocka_unit_test(match_orders_rates), cmocka_unit_test(old_loss), cmocka_unit_test(best_rate),
      cmocka_unit_test(series_have_mean_and_range), cmocka_unit_test(words), cmocka_unit_test(means))
