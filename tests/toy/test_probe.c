/* The probe of E1 and E2: maps of one input and the positions of errors. */
#include "expect.h"

#include <string.h>

#include "base/rng.h"
#include "toy/probe.h"

static Model *small(Arena *run, uint64_t seed)
{
    Config c = {0};
    arch_find("gpt2")->defaults(&c);
    c.vocab = DIGIT_VOCAB, c.positions = PROBE_T, c.dim = 16, c.heads = 2, c.layers = 1, c.hidden = 32;
    c.tie_head = false, c.init_sd = 0.5;
    Model *m;
    assert_int_equal(model_open(&m, run, &c, F32, seed), OK);
    return m;
}

static void maps(void **state)
{
    (void)state;
    Arena run = arena_open(0);
    Model *m = small(&run, 1), *other = small(&run, 2);
    Probe p = {0};
    assert_int_equal(probe_look(&p, &run, m, hooks_new(&run), m), OK);
    assert_true(p.gap == 0);
    static const int32_t row[] = {0, 2, 6, 0, 1, 4, 6, 3, 0, 1, 2};
    int32_t said[LENGTH];
    assert_memory_equal(p.token, row, sizeof row);
    digits_decode(said, &run, m, NULL, row + 1, 1, (DigitLayout){PROBE_SLOTS, 0});
    assert_memory_equal(p.token + 1 + LENGTH, said, sizeof *said * (LENGTH - 1));
    for (int h = 0; h < 2; h++) {
        Tensor c = probe_content(&run, &p, h);
        for (int i = 0; i < PROBE_T - 1; i++) {
            double all = 0, content = 0;
            for (int j = 0; j < PROBE_T; j++) all += (double)p.map[h][i + 1][j];
            for (int j = 0; j < PROBE_T - 1; j++) content += tensor_get(c, i * (PROBE_T - 1) + j);
            EXPECT(fabs(all - 1) < 1e-6 && fabs(content - 1) < 1e-12, "head %d row %d: %g, content %g", h, i, all,
                   content);
            double kept = 1 - (double)p.map[h][i + 1][0];
            EXPECT(fabs(tensor_get(c, i * (PROBE_T - 1)) * kept - (double)p.map[h][i + 1][1]) < 1e-6,
                   "head %d row %d is not scaled by the mass of the content", h, i);
        }
    }
    assert_int_equal(probe_look(&p, &run, m, hooks_new(&run), other), OK);
    assert_true(p.gap > 1e-2);
    arena_close(&run);
}

/* With one virtual token of any strength content attention stays: the theorem, at rounding of F32. */
static void a_prefix_leaves_no_gap(void **state)
{
    (void)state;
    Arena run = arena_open(0);
    Model *m = small(&run, 3), *base = small(&run, 3);
    Hooks *hooks = hooks_new(&run);
    const LabModel l = {.layout = {PROBE_SLOTS, 0}};
    const LabArm arm = lab_arm("prefix-tied");
    Probe p = {0}, without = {0};
    assert_int_equal(probe_look(&without, &run, base, hooks_new(&run), base), OK);
    assert_int_equal(lab_attach(m, hooks, &l, &arm), OK);
    assert_int_equal(probe_look(&p, &run, m, hooks, base), OK);
    EXPECT(p.gap < 5e-7, "content attention moves by %g", p.gap);
    EXPECT(fabs((double)(p.map[0][5][0] - without.map[0][5][0])) > 1e-3, "the prefix is not in use: %g",
           (double)p.map[0][5][0]);
    arena_close(&run);
}

/* Right tokens as digits_score has them; a model is always wrong in the way of the task that its output follows. */
static void places(void **state)
{
    (void)state;
    Arena run = arena_open(0);
    Model *m = small(&run, 4);
    const LabModel l = {.layout = {PROBE_SLOTS, 0}, .test = 150};
    const DigitTask *copy = digit_task("copy"), *mode = digit_task("mode");
    DigitScore score[2];
    digits_score(score, &run, m, NULL, &(DigitMix){{copy, mode}, 2}, l.layout, l.test, rng_stream(1, "test"));
    Places p, q;
    probe_places(&p, m, NULL, &l, copy, mode);
    double wrong = 0;
    for (int i = 0; i < LENGTH; i++) {
        EXPECT(fabs(p.right[i] - score[0].place[i]) < 1e-12, "position %d: %g right, expected %g", i, p.right[i],
               score[0].place[i]);
        assert_true(p.former[i] >= 0 && p.former[i] <= 1);
        wrong += 1 - p.right[i];
    }
    double former = 0;
    for (int i = 0; i < LENGTH; i++) former += p.former[i] / wrong;
    EXPECT(fabs(former - p.wrong) < 1e-12, "%g of all wrong tokens, the positions say %g", p.wrong, former);
    probe_places(&q, m, NULL, &l, copy, copy); /* nothing wrong can be right */
    assert_true(q.wrong == 0);
    /* a token correct for the mode is correct for the copy too, or is the mode's error there */
    probe_places(&q, m, NULL, &l, mode, copy);
    double to_mode = 0, to_copy = 0;
    for (int i = 0; i < LENGTH; i++) {
        to_mode += p.right[i] + p.former[i];
        to_copy += q.right[i] + q.former[i];
    }
    EXPECT(fabs(to_mode - to_copy) < 1e-9, "right for either task: %g, and %g", to_mode, to_copy);
    arena_close(&run);
}

SUITE(cmocka_unit_test(maps), cmocka_unit_test(a_prefix_leaves_no_gap), cmocka_unit_test(places))
