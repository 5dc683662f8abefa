/* The digit tasks against hand-made answers, the split, the layout, and the published entropy baselines. */
#include "expect.h"

#include <stdlib.h>
#include <string.h>

#include "lab/digits.h"

static void maps(void **state)
{
    (void)state;
    static const int32_t in[LENGTH] = {2, 6, 0, 1, 4, 6, 3, 0, 1, 2};
    static const struct {
        const char *task;
        int32_t out[LENGTH];
    } want[] = {{"asc", {0, 0, 1, 1, 2, 2, 3, 4, 6, 6}},         {"desc", {6, 6, 4, 3, 2, 2, 1, 1, 0, 0}},
                {"add1", {3, 7, 1, 2, 5, 7, 4, 1, 2, 3}},        {"add2", {4, 8, 2, 3, 6, 8, 5, 2, 3, 4}},
                {"asc-add1", {1, 1, 2, 2, 3, 3, 4, 5, 7, 7}},    {"histogram", {2, 2, 2, 2, 1, 2, 1, 2, 2, 2}},
                {"copy", {2, 6, 0, 1, 4, 6, 3, 0, 1, 2}},        {"reverse", {2, 1, 0, 3, 6, 4, 1, 0, 6, 2}},
                {"shift", {6, 0, 1, 4, 6, 3, 0, 1, 2, 2}},       {"shift2", {0, 1, 4, 6, 3, 0, 1, 2, 2, 6}},
                {"mode", {0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},        {"sum", {2, 0, 0, 1, 5, 3, 6, 6, 7, 1}},
                {"max", {2, 6, 6, 6, 6, 6, 6, 6, 6, 6}},         {"difference", {0, 4, 2, 1, 3, 2, 5, 5, 1, 1}},
                {"palindrome", {1, 0, 1, 0, 0, 0, 0, 1, 0, 1}},  {"desc-add1", {7, 7, 5, 4, 3, 3, 2, 2, 1, 1}},
                {"reverse-add1", {3, 2, 1, 4, 7, 5, 2, 1, 7, 3}}};
    int tasks = 0;
    while (DIGIT_TASKS[tasks].name) tasks++;
    assert_int_equal(tasks, sizeof want / sizeof *want + 1); /* and asc-other, below */
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        int32_t out[LENGTH];
        digit_task(want[i].task)->map(in, out);
        for (int j = 0; j < LENGTH; j++)
            EXPECT(out[j] == want[i].out[j], "%s: output %d is %d, expected %d", want[i].task, j, out[j],
                   want[i].out[j]);
    }
    assert_null(digit_task("shuffle"));
}

/* Labels that the input does not determine: sorted, the same each time, and of other digits than the input's. */
static void labels_of_another_input(void **state)
{
    (void)state;
    enum { N = 200 };
    int same = 0;
    for (int i = 0; i < N; i++) {
        int32_t in[LENGTH], sorted[LENGTH], out[LENGTH], again[LENGTH];
        digits_draw(in, 4, (uint64_t)i, false);
        digit_task("asc")->map(in, sorted);
        digit_task("asc-other")->map(in, out);
        digit_task("asc-other")->map(in, again);
        assert_memory_equal(out, again, sizeof out);
        for (int j = 1; j < LENGTH; j++) assert_true(out[j - 1] <= out[j]);
        same += !memcmp(out, sorted, sizeof out);
    }
    assert_true(same < N / 20);
}

/* A quarter of the inputs are for testing; draws come from the given split.  A share p = 0.323 of all inputs has
 * at most five distinct digits; rejecting half of the others raises it to 2p/(1+p) = 0.488. */
static void draws(void **state)
{
    (void)state;
    int in_test = 0, few = 0;
    enum { N = 20000 };
    uint64_t s = rng_stream(3, "draws");
    for (int i = 0; i < N; i++) {
        int32_t x[LENGTH], again[LENGTH];
        for (int j = 0; j < LENGTH; j++) x[j] = (int32_t)rng_below(s, (uint64_t)(i * LENGTH + j), DIGITS);
        in_test += digits_in_test(x);
        digits_draw(x, s, (uint64_t)i, i & 1);
        digits_draw(again, s, (uint64_t)i, i & 1);
        assert_memory_equal(x, again, sizeof x);
        assert_int_equal(digits_in_test(x), i & 1);
        unsigned seen = 0;
        for (int j = 0; j < LENGTH; j++) seen |= 1u << x[j];
        few += __builtin_popcount(seen) <= 5;
    }
    EXPECT(abs(in_test - N / 4) < N / 50, "%d of %d in the test split", in_test, N);
    EXPECT(few > 0.47 * N && few < 0.51 * N, "%d of %d with at most five distinct digits", few, N);
}

static void layout(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    Batch b = digits_batch(&a, &(DigitMix){{digit_task("desc")}, 1}, (DigitLayout){2, 0}, 3, 5, 100, false);
    assert_int_equal(b.t, 2 + 2 * LENGTH - 1);
    for (int r = 0; r < 3; r++) {
        const int32_t *row = b.ids + r * b.t;
        int32_t in[LENGTH], out[LENGTH];
        digits_draw(in, 5, 100 + (uint64_t)r, false);
        digit_task("desc")->map(in, out);
        assert_int_equal(row[0] | row[1], 0);
        assert_memory_equal(row + 2, in, sizeof in);
        assert_memory_equal(row + 2 + LENGTH, out, sizeof *out * (LENGTH - 1));
        assert_memory_equal(b.target + r * LENGTH, out, sizeof out);
        assert_int_equal(b.keep[r * LENGTH], 2 + LENGTH - 1);
        assert_int_equal(b.keep[r * LENGTH + LENGTH - 1], b.t - 1);
    }
    arena_close(&a);
}

/* Filler tokens separate input and output; a mixture labels each example by one of its tasks. */
static void gaps_and_mixtures(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 22);
    enum { N = 400, GAP = 3, T = GAP + 2 * LENGTH - 1 };
    DigitMix mix;
    assert_int_equal(digits_mix(&mix, "add1,reverse"), OK);
    Batch b = digits_batch(&a, &mix, (DigitLayout){0, GAP}, N, 5, 0, true);
    assert_int_equal(b.t, T);
    int added = 0;
    for (int r = 0; r < N; r++) {
        const int32_t *row = b.ids + r * T;
        int32_t in[LENGTH], out[2][LENGTH];
        digits_draw(in, 5, (uint64_t)r, true);
        for (int k = 0; k < 2; k++) mix.task[k]->map(in, out[k]);
        assert_memory_equal(row, in, sizeof in);
        for (int g = 0; g < GAP; g++) assert_int_equal(row[LENGTH + g], 0);
        bool first = !memcmp(b.target + r * LENGTH, out[0], sizeof *out);
        assert_true(first || !memcmp(b.target + r * LENGTH, out[1], sizeof *out));
        assert_memory_equal(row + LENGTH + GAP, b.target + r * LENGTH, sizeof *out * (LENGTH - 1) / LENGTH);
        assert_int_equal(b.keep[r * LENGTH], LENGTH + GAP - 1);
        added += first;
    }
    EXPECT(abs(added - N / 2) < N / 8, "%d of %d by the first task", added, N);
    assert_int_equal(digits_mix(&mix, "asc,dsc"), E_CONFIG);
    assert_non_null(strstr(err_message(), "\"dsc\""));
    assert_int_equal(digits_mix(&mix, ""), E_CONFIG);
    err_clear();
    arena_close(&a);
}

/* Published for this distribution: 1.367 and 0.937 nats for sorting, 2.079 = ln 8 for adding 1, 1.388 and 1.310 for
 * the histogram. */
static void floors(void **state)
{
    (void)state;
    DigitFloors sort = digits_floors(digit_task("desc"), 100000, 1),
                add = digits_floors(digit_task("add1"), 100000, 1),
                count = digits_floors(digit_task("histogram"), 100000, 1);
    EXPECT(fabs(sort.position - 1.367) < 0.01 && fabs(sort.previous - 0.937) < 0.01, "sorting: %.4f %.4f",
           sort.position, sort.previous);
    EXPECT(fabs(add.position - 2.079) < 0.005, "adding: %.4f", add.position);
    EXPECT(fabs(count.position - 1.388) < 0.01 && fabs(count.previous - 1.310) < 0.01, "histogram: %.4f %.4f",
           count.position, count.previous);
}

SUITE(cmocka_unit_test(maps), cmocka_unit_test(labels_of_another_input), cmocka_unit_test(draws),
      cmocka_unit_test(layout), cmocka_unit_test(gaps_and_mixtures), cmocka_unit_test(floors))
