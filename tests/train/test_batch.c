/* Batches: every example once per epoch, budgets kept, little padding, the same order again from any point. */
#include "expect.h"

#include <string.h>

#include "train/batch.h"

enum { N = 1000 };

/* Example i has tokens all equal to i.  Its last position is scored, in every third example the first one too. */
static Examples some_examples(Arena *a, bool pairs)
{
    int32_t *len = NEW(a, int32_t, N), *src_len = NEW(a, int32_t, N), *label = NEW(a, int32_t, N);
    const int32_t **ids = NEW(a, const int32_t *, N), **target = NEW(a, const int32_t *, N);
    for (int32_t i = 0; i < N; i++) {
        uint64_t s = rng_stream(1, "lengths");
        len[i] = 2 + (int32_t)rng_below(s, (uint64_t)i, 60);
        src_len[i] = 1 + (int32_t)rng_below(s, (uint64_t)(i + N), 40);
        label[i] = i % 7;
        int32_t *tokens = NEW(a, int32_t, 64), *wanted = NEW(a, int32_t, 64);
        for (int j = 0; j < 64; j++) {
            tokens[j] = i;
            wanted[j] = j == len[i] - 1 || (i % 3 == 0 && j == 0) ? 5 + j : -1;
        }
        ids[i] = tokens;
        target[i] = wanted;
    }
    return (Examples){.n = N,
                      .ids = ids,
                      .len = len,
                      .target = target,
                      .label = label,
                      .src = pairs ? ids : NULL,
                      .src_len = pairs ? src_len : NULL};
}

/* Takes one epoch; returns padded positions over real ones. */
static double check_epoch(Arena *a, Batcher *f, const Examples *x, const BatchPlan *plan, int32_t *order)
{
    char seen[N] = {0};
    double padded = 0, real = 0;
    int64_t taken = 0;
    for (int64_t left = batcher_in_epoch(f); left > 0; left--) {
        Batch b;
        const int32_t *rows;
        batcher_next(f, a, &b, &rows);
        assert_true(b.b == 1 || !plan->rows || b.b <= plan->rows);
        assert_true(b.b == 1 || !plan->tokens || b.b * (b.t + b.s) <= plan->tokens);
        int64_t t = 0;
        for (int64_t i = 0; i < b.b; i++) {
            assert_false(seen[rows[i]]);
            seen[rows[i]] = 1;
            order[taken++] = rows[i];
            assert_int_equal(b.len[i], x->len[rows[i]]);
            assert_int_equal(b.label[i], x->label[rows[i]]);
            for (int64_t j = 0; j < b.t; j++)
                assert_int_equal(b.ids[i * b.t + j], j < b.len[i] ? rows[i] : plan->pad);
            for (int64_t j = 0; j < b.s; j++)
                assert_int_equal(b.src[i * b.s + j], j < b.src_len[i] ? rows[i] : plan->pad);
            if (b.len[i] > t) t = b.len[i];
            real += b.len[i] + (b.s ? b.src_len[i] : 0);
        }
        assert_int_equal(b.t, t); /* as wide as the longest row and no wider */
        padded += (double)(b.b * (b.t + b.s));
    }
    assert_int_equal(taken, N);
    return padded / real;
}

static void each_example_once_per_epoch(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 28);
    const BatchPlan plans[] = {{.rows = 16, .shuffle = true, .seed = 3, .pad = -7},
                               {.tokens = 512, .shuffle = true, .seed = 3},
                               {.rows = 9, .tokens = 300, .shuffle = true, .seed = 4},
                               {.rows = 16},
                               {.tokens = 30, .shuffle = true}};
    for (int pairs = 0; pairs < 2; pairs++) {
        Examples x = some_examples(&a, pairs);
        for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
            int32_t first[N], second[N];
            Batcher *f;
            assert_int_equal(batcher_open(&f, &a, &x, &plans[i]), OK);
            double waste = check_epoch(&a, f, &x, &plans[i], first);
            check_epoch(&a, f, &x, &plans[i], second);
            EXPECT(waste < (pairs ? 1.25 : 1.05), "plan %zu pads %.3f-fold", i, waste);
            assert_true(plans[i].shuffle == !!memcmp(first, second, sizeof first)); /* epochs differ */
        }
    }
    arena_close(&a);
}

static void seeking_finds_the_same_batches(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 28);
    Examples x = some_examples(&a, false);
    const BatchPlan plan = {.tokens = 700, .shuffle = true, .seed = 11};
    enum { TAKE = 150 };
    Batcher *f, *g;
    Batch batch[TAKE];
    assert_int_equal(batcher_open(&f, &a, &x, &plan), OK);
    for (int i = 0; i < TAKE; i++) batcher_next(f, &a, &batch[i], NULL);
    assert_true(TAKE > 2 * batcher_in_epoch(f));
    assert_int_equal(batcher_open(&g, &a, &x, &plan), OK);
    for (int at = TAKE - 1; at > 0; at = at * 3 / 4) {
        Batch b;
        batcher_seek(g, at);
        batcher_next(g, &a, &b, NULL);
        assert_int_equal(b.b, batch[at].b);
        assert_int_equal(b.t, batch[at].t);
        assert_memory_equal(b.ids, batch[at].ids, sizeof *b.ids * (size_t)(b.b * b.t));
    }
    arena_close(&a);
}

/* Only scored positions are kept, in order, with their targets beside them. */
static void unscored_positions_are_left_out(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    Examples x = some_examples(&a, false);
    const int32_t rows[] = {1, 3, 4};
    Batch b = batch_of(&a, &x, &(BatchPlan){0}, rows, 3);
    assert_int_equal(b.k, 2);
    const int32_t keep[] = {x.len[1] - 1, -1, 0, x.len[3] - 1, x.len[4] - 1, -1};
    const int32_t target[] = {x.len[1] + 4, -1, 5, x.len[3] + 4, x.len[4] + 4, -1};
    assert_memory_equal(b.keep, keep, sizeof keep);
    assert_memory_equal(b.target, target, sizeof target);
    b = batch_of(&a, &x, &(BatchPlan){.all_positions = true}, rows, 3);
    assert_null(b.keep);
    assert_int_equal(b.target[x.len[1] - 1], x.len[1] + 4);
    assert_int_equal(b.target[b.t + 1], -1);
    arena_close(&a);
}

static void impossible_sets_are_refused(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    Batcher *f;
    assert_int_equal(batcher_open(&f, &a, &(Examples){0}, &(BatchPlan){0}), E_CONFIG);
    err_clear();
    const int32_t len[] = {3, 0};
    assert_int_equal(batcher_open(&f, &a, &(Examples){.n = 2, .len = len}, &(BatchPlan){0}), E_CONFIG);
    assert_string_equal(err_message(), "example 1 has no tokens");
    err_clear();
    arena_close(&a);
}

SUITE(cmocka_unit_test(each_example_once_per_epoch), cmocka_unit_test(seeking_finds_the_same_batches),
      cmocka_unit_test(unscored_positions_are_left_out), cmocka_unit_test(impossible_sets_are_refused))
