/* The table of all prefixes against prefixes, measures of attention maps of known shape, rows with fillers
 * between their digits, tied virtual tokens past LayerNorm, and the summary of a sweep. */
#include "expect.h"

#include "lab/lab.h"
#include "lab/probs.h"
#include "lab/table.h"

static const LabModel SMALL = {.tasks = "asc", .layers = 1, .heads = 2, .dim = 12, .layout = {.slots = 2}};

static Model *small(Arena *a)
{
    Config c = {0};
    Model *m;
    arch_find("gpt2")->defaults(&c);
    c.vocab = DIGIT_VOCAB, c.positions = (int)digits_positions(SMALL.layout);
    c.dim = SMALL.dim, c.heads = SMALL.heads, c.layers = 1, c.hidden = 2 * c.dim, c.init_sd = 0.5;
    assert_int_equal(model_open(&m, a, &c, F32, 7), OK);
    return m;
}

static Batch some(Arena *a)
{
    DigitMix desc = {{digit_task("desc")}, 1};
    return digits_batch(a, &desc, SMALL.layout, 5, 3, 0, false);
}

static Tensor logits(Arena *a, Model *m, const Hooks *h, const Batch *b)
{
    return model_logits(m, &(Pass){.tape = tape_open(a, false), .hooks = h}, b)->val;
}

static void an_empty_table_changes_nothing(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    Model *m = small(&a);
    Batch b = some(&a);
    Hooks *h = hooks_new(&a);
    PrefixTable *t;
    Tensor before = logits(&a, m, NULL, &b);
    assert_int_equal(table_attach(&t, m, h, (DigitLayout){.slots = 1}, 0, 1), OK);
    EXPECT_NEAR(logits(&a, m, h, &b), before, 1e-5);
    assert_int_equal(table_attach(&t, m, h, (DigitLayout){0}, 0, 1), E_CONFIG);
    arena_close(&a);
}

static void a_prefix_is_a_table(void **state)
{
    (void)state;
    static const char *const OPTIONS[] = {"kind=free,length=5,init_sd=1", "kind=tied,length=2,init_sd=2",
                                          "kind=tied,length=3,init_sd=2,no_norm=yes",
                                          "kind=mlp,length=4,width=6,init_sd=3"};
    for (int i = 0; i < 4; i++) {
        Arena a = arena_open(1 << 24);
        Model *m = small(&a), *copy = small(&a);
        Hooks *h = hooks_new(&a), *tabled = hooks_new(&a);
        Batch b = some(&a);
        PrefixTable *t;
        LabArm arm = {.name = "prefix", .method = "prefix", .options = OPTIONS[i]};
        Tensor before = logits(&a, m, NULL, &b);
        assert_int_equal(lab_attach(m, h, &SMALL, &arm), OK);
        assert_int_equal(table_attach(&t, copy, tabled, SMALL.layout, 0, 1), OK);
        assert_int_equal(table_from_prefix(t, m, h), OK);
        Tensor with = logits(&a, m, h, &b);
        EXPECT_NEAR(logits(&a, copy, tabled, &b), with, 1e-5);
        double gap = 0;
        for (int64_t k = 0; k < tensor_count(with); k++)
            gap = fmax(gap, fabs(tensor_get(with, k) - tensor_get(before, k)));
        EXPECT(gap > 0.01, "prefix %d moves logits by %g only", i, gap);
        arena_close(&a);
    }
}

static void mass_saturates(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    Model *m = small(&a);
    Hooks *h = hooks_new(&a);
    Batch b = some(&a);
    PrefixTable *t;
    assert_int_equal(table_attach(&t, m, h, SMALL.layout, 0, 1), OK);
    tensor_fill(param_find(m->params, "peft.table.mass")->val, 40);
    logits(&a, m, h, &b);
    for (int64_t i = 0; i < tensor_count(table_alpha(t)); i++) assert_true(tensor_get(table_alpha(t), i) > 0.999);
    arena_close(&a);
}

/* Past LayerNorm, a tied virtual token's key is W_K s + b. */
static void no_norm_goes_past_the_norm(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    Model *m = small(&a);
    Hooks *h = hooks_new(&a);
    LabArm arm = {.name = "bare", .method = "prefix", .options = "kind=tied,length=3,init_sd=2,no_norm=yes"};
    assert_int_equal(lab_attach(m, h, &SMALL, &arm), OK);
    Capture keys = {.arena = &a};
    hook_observe(h, (Where){SITE_KEYS, 0, PART_DECODER}, hook_capture, &keys);
    Batch b = some(&a);
    logits(&a, m, h, &b);
    Tensor s = param_find(m->params, "peft.prefix.decoder.layer.0.slots")->val;
    Tensor w = param_find(m->params, "h.0.attn.c_attn.weight")->val;
    Tensor bias = param_find(m->params, "h.0.attn.c_attn.bias")->val;
    int64_t c = SMALL.dim;
    for (int64_t i = 0; i < 3; i++)
        for (int64_t o = 0; o < c; o++) {
            double want = tensor_get(bias, c + o);
            for (int64_t k = 0; k < c; k++) want += tensor_get(s, i * c + k) * tensor_get(w, k * 3 * c + c + o);
            EXPECT(fabs(tensor_get(keys.value, i * c + o) - want) < 1e-4, "slot %lld, key %lld: %g, expected %g",
                   (long long)i, (long long)o, tensor_get(keys.value, i * c + o), want);
        }
    arena_close(&a);
}

/* One head; the first row of the output sees 1 virtual key, 1 filler token and ten digits, all alike. */
static void readings_of_a_flat_map(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 22);
    DigitLayout l = {.slots = 1};
    int64_t t = digits_positions(l);
    Tensor base = tensor_zero(&a, F64, SHAPE(2, 1, t, t)), tuned = tensor_zero(&a, F64, SHAPE(2, 1, t, t + 1));
    for (int64_t b = 0; b < 2; b++)
        for (int64_t i = 0; i < t; i++) {
            for (int64_t j = 0; j <= i; j++) tensor_set(base, (b * t + i) * t + j, 1 / (double)(i + 1));
            for (int64_t j = 0; j <= i + 1; j++) tensor_set(tuned, (b * t + i) * (t + 1) + j, 1 / (double)(i + 2));
        }
    double mass[LENGTH];
    probs_mass(mass, tuned, l);
    for (int i = 0; i < LENGTH; i++)
        EXPECT(fabs(mass[i] - 2.0 / (LENGTH + 2 + i)) < 1e-12, "mass %d is %g", i, mass[i]);
    EXPECT(fabs(probs_slots_used(tuned, l) - 2) < 1e-12, "%g slots used", probs_slots_used(tuned, l));
    ProbsDrift none = probs_drift(base, tuned, l);
    EXPECT(none.worst < 1e-12 && none.variation < 1e-12, "drift %g %g", none.worst, none.variation);
    /* In one row of the output two content weights swap 1/22 of mass: 20 of 22 rows of content, each sum 21/22. */
    int64_t last = (t - 1) * (t + 1);
    tensor_set(tuned, last + 5, tensor_get(tuned, last + 5) + 0.01);
    tensor_set(tuned, last + 6, tensor_get(tuned, last + 6) - 0.01);
    ProbsDrift some_drift = probs_drift(base, tuned, l);
    double of_content = 1 - 2 / (double)(t + 1);
    EXPECT(fabs(some_drift.worst - 0.01 / of_content) < 1e-12, "worst %g", some_drift.worst);
    EXPECT(fabs(some_drift.variation - 0.01 / of_content / (2 * LENGTH)) < 1e-12, "variation %g",
           some_drift.variation);
    arena_close(&a);
}

static void a_woven_row(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    DigitLayout l = {.slots = 1, .gap = 2, .weave = 1};
    DigitMix desc = {{digit_task("desc")}, 1};
    Batch b = digits_batch(&a, &desc, l, 1, 5, 100, false);
    int32_t in[LENGTH], out[LENGTH];
    digits_draw(in, 5, 100, false);
    digit_task("desc")->map(in, out);
    assert_int_equal(digits_start(l), 1 + 2 * LENGTH + 2);
    assert_int_equal(b.t, digits_start(l) + LENGTH - 1);
    for (int i = 0; i < LENGTH; i++) {
        assert_int_equal(b.ids[1 + 2 * i], in[i]);
        assert_int_equal(b.ids[2 + 2 * i], 0);
        assert_int_equal(b.keep[i], digits_start(l) - 1 + i);
        if (i < LENGTH - 1) assert_int_equal(b.ids[digits_start(l) + i], out[i]);
    }
    arena_close(&a);
}

SUITE(cmocka_unit_test(an_empty_table_changes_nothing), cmocka_unit_test(a_prefix_is_a_table),
      cmocka_unit_test(mass_saturates), cmocka_unit_test(no_norm_goes_past_the_norm),
      cmocka_unit_test(readings_of_a_flat_map), cmocka_unit_test(a_woven_row))
