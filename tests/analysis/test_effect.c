/* Interventions of which the result is known: the other text's own output, no prefix, a mass that is set. */
#include "expect.h"

#include <string.h>

#include "analysis/effect.h"

enum { DIM = 12, HEADS = 3, LAYERS = 2, SLOTS = 2, T = 5 };
static const int32_t IDS[T] = {3, 7, 3, 1, 7}, OTHER[T] = {3, 7, 9, 1, 7};
static const Batch READ = {.b = 1, .t = T, .ids = IDS}, ELSE = {.b = 1, .t = T, .ids = OTHER};

static Model *model(Arena *a)
{
    Config c = {0};
    arch_find("gpt2")->defaults(&c);
    c.vocab = 20, c.dim = DIM, c.heads = HEADS, c.hidden = 16, c.layers = LAYERS, c.positions = 16, c.init_sd = 0.5;
    Model *m;
    EXPECT(!model_open(&m, a, &c, F64, 4), "%s", err_message());
    return m;
}

static Var *add_prefix(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    return op_prepend(p->tape, tape_leaf(p->tape, *(Tensor *)user), out, 0);
}

static Outcome after(Arena *a, Model *m, Hooks *hooks, const char *words, int64_t extra)
{
    Do d;
    Outcome out;
    int before = hooks_n(hooks);
    EXPECT(!do_parse(&d, a, words, m, PART_DECODER, extra), "%s", err_message());
    if (d.kind == DO_PATCH) EXPECT(!do_read(&d, a, m, hooks, &ELSE, T), "%s", err_message());
    do_attach(&d, hooks);
    outcome_read(&out, a, m, hooks, &READ, NULL, PART_DECODER);
    hooks_clear_from(hooks, before);
    return out;
}

static Outcome plain(Arena *a, Model *m, Hooks *hooks, const Batch *b)
{
    Outcome out;
    outcome_read(&out, a, m, hooks, b, NULL, PART_DECODER);
    return out;
}

static void patches_bring_the_other_text(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    Model *m = model(&a);
    Hooks *hooks = hooks_new(&a);
    Outcome one = plain(&a, m, hooks, &READ), two = plain(&a, m, hooks, &ELSE);
    static const char *const whole[] = {"patch:resid:1=x", "patch:RESID:0=x", "patch:resid:embed=x"};
    for (int i = 0; i < 3; i++) EXPECT_NEAR(after(&a, m, hooks, whole[i], 0).logits, two.logits, 0);
    /* The texts differ at position 2: what stands before is the same, and rows of the first text remain elsewhere. */
    EXPECT_NEAR(after(&a, m, hooks, "patch:resid:embed.2=x", 0).logits, two.logits, 0);
    EXPECT_NEAR(after(&a, m, hooks, "patch:resid:embed.1=x", 0).logits, one.logits, 0);
    Tensor part = after(&a, m, hooks, "patch:resid:1.2=x", 0).logits;
    for (int64_t k = 0; k < T * 20; k++)
        assert_true(tensor_get(part, k) == tensor_get(k / 20 == 2 ? two.logits : one.logits, k));
    Outcome patched = after(&a, m, hooks, "patch:resid:0=x", 0);
    Effect e = effect_of(&a, &one, &patched), same = effect_of(&a, &one, &one);
    assert_true(e.kl > 1e-4 && e.output > 1e-3 && e.shift[0] == 0 && e.shift[1] > 1e-4);
    assert_true(same.kl < 1e-15 && same.top == 0 && same.output == 0 && same.shift[1] == 0);
    arena_close(&a);
}

static void a_head_times_one_is_the_head(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    Model *m = model(&a);
    Hooks *hooks = hooks_new(&a);
    Outcome one = plain(&a, m, hooks, &READ);
    EXPECT_NEAR(after(&a, m, hooks, "head:0.1=1", 0).logits, one.logits, 1e-15);
    Outcome zero = after(&a, m, hooks, "head:1.2=0", 0);
    const Linear *o = model_linear(m, (Where){SITE_ATTN_OUT, 1, PART_DECODER});
    for (int64_t k = 2 * 4 * DIM; k < 3 * 4 * DIM; k++) tensor_set(o->w->val, k, 0);
    EXPECT_NEAR(zero.logits, plain(&a, m, hooks, &READ).logits, 1e-13);
    arena_close(&a);
}

static void the_prefix_is_scaled_and_its_mass_set(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    Model *m = model(&a);
    Hooks *hooks = hooks_new(&a), *none = hooks_new(&a), *no_values = hooks_new(&a);
    Tensor rows = noise(&a, F64, 7, SHAPE(SLOTS, DIM)), zeros = tensor_zero(&a, F64, SHAPE(SLOTS, DIM));
    hook_add(hooks, (Where){SITE_KEYS, LAYER_ANY, PART_DECODER}, add_prefix, &rows);
    hook_add(hooks, (Where){SITE_VALUES, LAYER_ANY, PART_DECODER}, add_prefix, &rows);
    hook_add(no_values, (Where){SITE_KEYS, LAYER_ANY, PART_DECODER}, add_prefix, &rows);
    hook_add(no_values, (Where){SITE_VALUES, LAYER_ANY, PART_DECODER}, add_prefix, &zeros);
    EXPECT_NEAR(after(&a, m, hooks, "mass:0", SLOTS).logits, plain(&a, m, none, &READ).logits, 1e-13);
    EXPECT_NEAR(after(&a, m, hooks, "prefix=scale:0", SLOTS).logits, plain(&a, m, no_values, &READ).logits, 1e-13);
    Outcome set = after(&a, m, hooks, "mass:0.3", SLOTS);
    for (int l = 0; l < LAYERS; l++)
        for (int h = 0; h < HEADS; h++) {
            HeadStats s = maps_stats(&set.maps, maps_head(&set.maps, &a, l, h));
            assert_true(fabs(s.prefix - 0.3) < 1e-12);
        }
    arena_close(&a);
}

static void what_cannot_be_done_is_refused(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    Model *m = model(&a);
    static const char *const bad[] = {"",           "head:0=1",        "head:2.0=0",         "head:0.3=0",
                                      "head:0.0=x", "head:embed.0=0",  "head:0.0",           "mass:1.5",
                                      "mass:nan",   "prefix=scale",    "patch:foo:0=x",      "patch:resid=x",
                                      "mass:0.5=1", "patch:resid:2=x", "patch:resid:0.-1=x", "patch:resid:0"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        Do d;
        EXPECT(do_parse(&d, &a, bad[i], m, PART_DECODER, SLOTS) == E_CONFIG, "%s", bad[i]);
        err_clear();
    }
    static const char *const prefix[] = {"mass:0.5", "prefix=scale:1"};
    for (int i = 0; i < 2; i++) {
        Do d;
        EXPECT(do_parse(&d, &a, prefix[i], m, PART_DECODER, 0) == E_CONFIG, "%s", prefix[i]);
        assert_non_null(strstr(err_message(), "no virtual keys"));
        err_clear();
    }
    Do d;
    EXPECT(!do_parse(&d, &a, "patch:ffn_gate:0=x", m, PART_DECODER, 0), "%s", err_message());
    assert_int_equal(do_read(&d, &a, m, hooks_new(&a), &ELSE, T), E_CONFIG);
    err_clear();
    arena_close(&a);
}

SUITE(cmocka_unit_test(patches_bring_the_other_text), cmocka_unit_test(a_head_times_one_is_the_head),
      cmocka_unit_test(the_prefix_is_scaled_and_its_mass_set), cmocka_unit_test(what_cannot_be_done_is_refused))
