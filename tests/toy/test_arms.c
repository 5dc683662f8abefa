/* What a sweep hands back: the best rate of an arm among outcomes of any size, words of a list, means with ranges. */
#include "expect.h"

#include <stdlib.h>
#include <string.h>

#include "cli/run.h"
#include "toy/arms.h"

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

static Status none(Run *r)
{
    run_verdict(r, HOLDS, "nothing is run");
    return OK;
}
static const Experiment NOTHING = {.group = "test", .name = "sweep", .run = none};

static void best_rate(void **state)
{
    (void)state;
    char dir[] = "/tmp/vernier-sweep-XXXXXX", command[64];
    assert_non_null(mkdtemp(dir));
    Run *r;
    Request q = {.experiment = &NOTHING, .preset = SMOKE, .seeds = 2, .seed = 1, .dir = dir, .quiet = true};
    assert_int_equal(run_open(&r, &q), OK);
    Outcome all[2 * 3 * 2];
    memset(all, 0, sizeof all);
    for (int i = 0; i < 12; i++) {
        all[i] = (Outcome){.arm = i / 6, .rate = i / 2 % 3, .seed = i % 2};
        all[i].result.last = loss(all[i].arm, all[i].rate, all[i].seed);
    }
    Arms s = {.arms = 2, .rates = 3, .size = sizeof *all, .all = (char *)all};
    for (int arm = 0; arm < 2; arm++) {
        int rate, want = arm ? 2 : 0;
        const Outcome *best = arms_best(r, &s, arm, &rate);
        for (int i = 0; i < 2; i++)
            EXPECT(rate == want && best[i].arm == arm && best[i].rate == want && best[i].seed == i,
                   "arm %d: rate %d, outcome of arm %d rate %d seed %d", arm, rate, best[i].arm, best[i].rate,
                   best[i].seed);
    }
    run_close(r);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

static void words(void **state)
{
    (void)state;
    char word[2][24];
    int n;
    assert_int_equal(arms_words(word, 2, &n, "prefix,lora"), OK);
    EXPECT(n == 2 && !strcmp(word[0], "prefix") && !strcmp(word[1], "lora"), "%d: %s, %s", n, word[0], word[1]);
    assert_int_equal(arms_words(word, 2, &n, "prefix,lora,full"), E_CONFIG);
    err_clear();
    assert_int_equal(arms_words(word, 2, &n, "no-such-method"), E_CONFIG);
    err_clear();
    assert_int_equal(arms_words(word, 2, &n, ""), E_CONFIG);
    err_clear();
}

static void means(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 20);
    const double values[] = {1, 5, 3, 2, NAN, 4};
    Series s = arms_series(&a, values, 2, 3, "x");
    EXPECT(fabs(tensor_get(s.y, 0) - 3) < 1e-12 && fabs(tensor_get(s.lo, 0) - 1) < 1e-12 &&
               fabs(tensor_get(s.hi, 0) - 5) < 1e-12,
           "mean %g, range %g to %g", tensor_get(s.y, 0), tensor_get(s.lo, 0), tensor_get(s.hi, 0));
    EXPECT(isnan(tensor_get(s.y, 1)) && isnan(tensor_get(s.lo, 1)) && isnan(tensor_get(s.hi, 1)),
           "a diverged seed leaves mean %g, range %g to %g", tensor_get(s.y, 1), tensor_get(s.lo, 1),
           tensor_get(s.hi, 1));
    arena_close(&a);
}

SUITE(cmocka_unit_test(best_rate), cmocka_unit_test(words), cmocka_unit_test(means))
