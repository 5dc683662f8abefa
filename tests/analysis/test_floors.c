/* Baselines of the loss: entropies by hand, those of the sorting task as lab/digits.h counts them, and the mean over
 * texts of different lengths. */
#include "expect.h"

#include "analysis/floors.h"
#include "analysis/importance.h"
#include "lab/digits.h"

static void entropies_by_hand(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    /* Place 1: two tokens, evenly.  Place 2: behind a 1 two tokens, evenly, behind a 2 always the same. */
    static const int32_t id[4][3] = {{9, 1, 3}, {9, 1, 4}, {9, 2, 5}, {9, 2, 5}};
    Target t[4];
    for (int k = 0; k < 4; k++) t[k] = (Target){.n = 3, .id = id[k]};
    Floors f = floors_of(&a, 4, t, true);
    assert_true(f.texts == 4 && f.tokens == 8 && fabs(f.each - 8 / 3.0) < 1e-12);
    assert_true(fabs(f.place - 1.25 * log(2)) < 1e-12 && fabs(f.previous - 0.75 * log(2)) < 1e-12);
    const double at[] = {NAN, NAN, 1, 1, 1.5, 0.5};
    for (int k = 0; k < 6; k++) {
        double got = tensor_get(f.at, k);
        assert_true(k < 2 ? isnan(got) : fabs(got - at[k] * log(2)) < 1e-12);
    }
    /* An encoder: the ends are no targets, and the token before a masked token does not count. */
    static const bool inner[3] = {false, true, false};
    for (int k = 0; k < 4; k++) t[k].scored = inner;
    f = floors_of(&a, 4, t, false);
    assert_true(f.tokens == 4 && f.each == 4 && fabs(f.place - log(2)) < 1e-12 && isnan(f.previous));
    assert_true(isnan(tensor_get(f.at, 3)) && isnan(tensor_get(f.at, 4)));
    arena_close(&a);
}

/* 1.367 and 0.937 nats: the baselines of the published prefix experiment on sorting. */
static void floors_of_sorting(void **state)
{
    (void)state;
    enum { N = 20000 };
    Arena a = arena_open(0);
    Target *t = NEW(&a, Target, N);
    const DigitTask *task = digit_task("desc");
    for (int s = 0; s < N; s++) {
        int32_t in[LENGTH], *id = NEW(&a, int32_t, LENGTH + 1);
        digits_draw(in, 1, (uint64_t)s, false);
        task->map(in, id + 1);
        id[0] = DIGIT_VOCAB;
        t[s] = (Target){.n = LENGTH + 1, .id = id};
    }
    Floors f = floors_of(&a, N, t, true);
    DigitFloors want = digits_floors(task, N, 1);
    assert_true(fabs(f.place - want.position) < 1e-9 && fabs(f.previous - want.previous) < 1e-9);
    EXPECT(fabs(f.place - 1.367) < 0.01 && fabs(f.previous - 0.937) < 0.01, "%g and %g", f.place, f.previous);
    arena_close(&a);
}

static void loss_is_the_mean_over_tokens(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    Config c = {0};
    arch_find("gpt2")->defaults(&c);
    c.vocab = 20, c.dim = 12, c.heads = 3, c.hidden = 16, c.layers = 1, c.positions = 16, c.init_sd = 0.5;
    Model *m;
    EXPECT(!model_open(&m, &a, &c, F64, 4), "%s", err_message());
    static const int32_t id[] = {3, 7, 3, 1, 7, 2};
    Batch read[] = {{.b = 1, .t = 2, .ids = id}, {.b = 1, .t = 6, .ids = id}};
    Batch scored;
    int64_t count[] = {1, 5};
    double loss[2], mean;
    for (int i = 0; i < 2; i++) {
        EXPECT(!importance_loss_batch(&scored, &a, m, NULL, &read[i], NULL), "%s", err_message());
        loss[i] = importance_loss(m, NULL, &scored);
    }
    const FloorTexts x = {.floors = {.texts = 2, .tokens = 6}, .read = read, .count = count};
    EXPECT(!floor_loss(&mean, &x, m, NULL), "%s", err_message());
    assert_true(fabs(mean - (loss[0] + 5 * loss[1]) / 6) < 1e-12);
    assert_true(fabs(loss[0] - loss[1]) > 1e-3);
    arena_close(&a);
}

static void sentences_say_where_a_loss_stands(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    const Floors f = {.place = 2, .previous = 1}, alone = {.place = 2, .previous = NAN};
    assert_string_equal(floors_sentence(&a, &f, &(Reached){"m", 0.5}),
                        "m: 0.5000, below both baselines, so it uses attention");
    assert_string_equal(floors_sentence(&a, &f, &(Reached){"m", 1.5}),
                        "m: 1.5000, not below the baseline of the previous token");
    assert_string_equal(floors_sentence(&a, &f, &(Reached){"m", 3}),
                        "m: 3.0000, not below the baselines of the position and of the previous token");
    assert_string_equal(floors_sentence(&a, &alone, &(Reached){"m", 1.5}),
                        "m: 1.5000, below the baseline, so it uses attention");
    assert_string_equal(floors_sentence(&a, &alone, &(Reached){"m", 2.5}),
                        "m: 2.5000, not below the baseline of the position");
    arena_close(&a);
}

SUITE(cmocka_unit_test(entropies_by_hand), cmocka_unit_test(floors_of_sorting),
      cmocka_unit_test(loss_is_the_mean_over_tokens), cmocka_unit_test(sentences_say_where_a_loss_stands))
