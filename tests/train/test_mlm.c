/* Masked-language-model corruption: the choice of tokens, their replacements, and reproducibility. */
#include "expect.h"

#include <string.h>

#include "train/mlm.h"

enum { B = 200, T = 40, VOCAB = 100, MASK = 99 };
static const MlmPlan PLAN = {.share = 0.15, .mask = MASK, .first = 4, .last = MASK};

static Batch sample(Arena *a)
{
    int32_t *ids = NEW(a, int32_t, B * T), *len = NEW(a, int32_t, B);
    for (int r = 0; r < B; r++) {
        len[r] = (int32_t)(r == 0 ? 3 : 3 + rng_below(1, (uint64_t)r, T - 2));
        for (int i = 0; i < T; i++) {
            bool edge = i == 0 || i == len[r] - 1;
            ids[r * T + i] = i >= len[r] ? 1 : edge ? 0 : 4 + (int32_t)rng_below(2, (uint64_t)(r * T + i), VOCAB - 5);
        }
    }
    return (Batch){.b = B, .t = T, .ids = ids, .len = len};
}

static void chosen_positions_are_scored(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    Batch clean = sample(&a), x = mlm_corrupt(&a, &clean, &PLAN, 7, 3);
    int64_t chosen = 0, eligible = 0, masked = 0, kept = 0;
    for (int64_t r = 0; r < B; r++) {
        bool is_chosen[T] = {false};
        int64_t mine = 0;
        for (int64_t k = 0; k < x.k; k++) {
            int32_t at = x.keep[r * x.k + k];
            if (at < 0) {
                assert_int_equal(x.target[r * x.k + k], -1);
                continue;
            }
            assert_true(at < clean.len[r] && (!k || at > x.keep[r * x.k + k - 1]));
            assert_int_equal(x.target[r * x.k + k], clean.ids[r * T + at]);
            assert_true(clean.ids[r * T + at] >= PLAN.first);
            is_chosen[at] = true;
            mine++;
            masked += x.ids[r * T + at] == MASK;
            kept += x.ids[r * T + at] == clean.ids[r * T + at];
        }
        assert_true(mine >= 1); /* even of the row with a single token between its edges */
        chosen += mine;
        eligible += clean.len[r] - 2;
        for (int i = 0; i < T; i++)
            if (!is_chosen[i]) assert_int_equal(x.ids[r * T + i], clean.ids[r * T + i]);
    }
    double share = (double)chosen / (double)eligible, mask = (double)masked / (double)chosen;
    EXPECT(share > 0.13 && share < 0.18, "%.3f chosen", share);
    EXPECT(mask > 0.74 && mask < 0.86, "%.3f of them masked", mask);
    EXPECT((double)kept / (double)chosen > 0.05 && (double)kept / (double)chosen < 0.16, "%lld kept",
           (long long)kept);
    arena_close(&a);
}

static void choices_depend_on_stream_and_index_alone(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    Batch clean = sample(&a), x = mlm_corrupt(&a, &clean, &PLAN, 7, 3), same = mlm_corrupt(&a, &clean, &PLAN, 7, 3),
          other = mlm_corrupt(&a, &clean, &PLAN, 7, 4);
    assert_int_equal(x.k, same.k);
    assert_memory_equal(x.ids, same.ids, sizeof *x.ids * B * T);
    assert_memory_equal(x.keep, same.keep, sizeof *x.keep * (size_t)(B * x.k));
    assert_int_not_equal(memcmp(x.ids, other.ids, sizeof *x.ids * B * T), 0);
    arena_close(&a);
}

SUITE(cmocka_unit_test(chosen_positions_are_scored), cmocka_unit_test(choices_depend_on_stream_and_index_alone))
