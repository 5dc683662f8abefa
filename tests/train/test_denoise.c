/* Span corruption: nothing is lost, the share and the spans are as set, and it repeats. */
#include "expect.h"

#include <string.h>

#include "base/rng.h"
#include "train/denoise.h"

enum { B = 64, T = 50, FIRST = 500, PAD = 1, END = 2 };

static Model model_of(void)
{
    return (Model){.config = {.arch = "t5", .pad = PAD, .eos = END, .decoder_start = PAD}};
}

static DenoisePlan plan_of(int sentinels)
{
    DenoisePlan p = {.share = 0.15, .mean = 3, .sentinels = sentinels, .eos = END};
    for (int i = 0; i < sentinels; i++) p.sentinel[i] = FIRST + i;
    return p;
}

static Batch sample(Arena *a)
{
    int32_t *ids = NEW(a, int32_t, B * T), *len = NEW(a, int32_t, B);
    for (int r = 0; r < B; r++) {
        len[r] = r < 4 ? r + 1 : 5 + (int32_t)rng_below(1, (uint64_t)r, T - 5);
        for (int i = 0; i < T; i++) ids[r * T + i] = i < len[r] ? 10 + i : PAD;
    }
    return (Batch){.b = B, .t = T, .ids = ids, .len = len};
}

/* Puts the target's tokens in the place of each sentinel of the source. */
static int mended(int32_t out[2 * T], const Batch *x, int r)
{
    int n = 0;
    const int32_t *target = x->target + r * x->t;
    for (int i = 0; i < x->src_len[r]; i++) {
        int32_t id = x->src[r * x->s + i];
        if (id < FIRST) {
            out[n++] = id;
            continue;
        }
        assert_int_equal(*target++, id);
        while (*target < FIRST && *target != END) out[n++] = *target++;
    }
    assert_int_equal(*target, END);
    return n;
}

static void source_and_target_make_the_text(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    Model m = model_of();
    Batch clean = sample(&a);
    for (int sentinels = 2; sentinels <= 32; sentinels += 30) {
        DenoisePlan p = plan_of(sentinels);
        Batch x = denoise_corrupt(&a, &m, &clean, &p, 7, 3);
        for (int r = 0; r < B; r++) {
            int32_t out[2 * T];
            assert_int_equal(mended(out, &x, r), clean.len[r]);
            assert_memory_equal(out, clean.ids + r * T, sizeof *out * (size_t)clean.len[r]);
            assert_int_equal(x.ids[r * x.t], PAD); /* the decoder starts, and sees its target moved right */
            for (int k = 1; k < x.len[r]; k++) assert_int_equal(x.ids[r * x.t + k], x.target[r * x.t + k - 1]);
            for (int64_t k = x.len[r]; k < x.t; k++) assert_int_equal(x.target[r * x.t + k], -1);
        }
    }
    arena_close(&a);
}

/* 20 of 40 tokens in spans of one would be 20 spans; with three sentinels they are three, of all 20 tokens. */
static void spans_are_no_more_than_sentinels(void **state)
{
    (void)state;
    enum { N = 40, SENTINELS = 3 };
    Arena a = arena_open(1 << 24);
    Model m = model_of();
    DenoisePlan p = plan_of(SENTINELS);
    p.share = 0.5, p.mean = 1;
    int32_t *ids = NEW(&a, int32_t, N);
    for (int i = 0; i < N; i++) ids[i] = 10 + i;
    for (uint64_t k = 0; k < 20; k++) {
        Batch clean = {.b = 1, .t = N, .ids = ids}, x = denoise_corrupt(&a, &m, &clean, &p, 7, k);
        assert_int_equal(x.src_len[0], N / 2 + SENTINELS);
        assert_int_equal(x.len[0], N / 2 + SENTINELS + 1);
        int next = 0;
        for (int i = 0; i < x.src_len[0]; i++)
            if (x.src[i] >= FIRST || x.src[i] < 10) assert_int_equal(x.src[i], FIRST + next++);
        assert_int_equal(next, SENTINELS);
        int32_t out[2 * T];
        assert_int_equal(mended(out, &x, 0), N);
        assert_memory_equal(out, ids, sizeof *out * N);
    }
    arena_close(&a);
}

static void as_much_is_hidden_as_asked(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    Model m = model_of();
    DenoisePlan p = plan_of(32);
    Batch clean = sample(&a), x = denoise_corrupt(&a, &m, &clean, &p, 7, 3),
          again = denoise_corrupt(&a, &m, &clean, &p, 7, 3), other = denoise_corrupt(&a, &m, &clean, &p, 7, 4);
    int64_t all = 0, hidden = 0, spans = 0;
    for (int r = 4; r < B; r++) {
        all += clean.len[r];
        for (int k = 0; k < x.len[r]; k++) {
            int32_t id = x.target[r * x.t + k];
            spans += id >= FIRST;
            hidden += id < FIRST && id != END;
        }
    }
    EXPECT(fabs((double)hidden / (double)all - 0.15) < 0.02, "%g of the tokens", (double)hidden / (double)all);
    EXPECT(fabs((double)hidden / (double)spans - 3) < 0.6, "%g tokens a span", (double)hidden / (double)spans);
    assert_memory_equal(x.src, again.src, sizeof *x.src * (size_t)(x.b * x.s));
    assert_true(other.s != x.s || memcmp(x.src, other.src, sizeof *x.src * (size_t)(x.b * x.s)) != 0);
    arena_close(&a);
}

SUITE(cmocka_unit_test(spans_are_no_more_than_sentinels), cmocka_unit_test(source_and_target_make_the_text),
      cmocka_unit_test(as_much_is_hidden_as_asked))
