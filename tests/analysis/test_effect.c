/* Interventions of which the result is known: the other text's own output, a mean that is added, no prefix, another
 * prefix, a mass that is set. */
#include "expect.h"

#include <string.h>

#include "analysis/effect.h"
#include "base/str.h"
#include "adapter/adapter.h"

enum { DIM = 12, HEADS = 3, LAYERS = 2, SLOTS = 2, T = 5 };
static const int32_t IDS[T] = {3, 7, 3, 1, 7}, OTHER[T] = {3, 7, 9, 1, 7}, SHORT[] = {5, 2, 11};
static const Batch READ = {.b = 1, .t = T, .ids = IDS}, ELSE = {.b = 1, .t = T, .ids = OTHER},
                   LESS = {.b = 1, .t = 3, .ids = SHORT};

static Model *built(Arena *a, const char *arch, DType dtype)
{
    Config c = {0};
    arch_find(arch)->defaults(&c);
    c.vocab = 20, c.dim = DIM, c.heads = HEADS, c.hidden = 16, c.layers = LAYERS, c.positions = 16, c.init_sd = 0.5;
    if (c.decoder_layers) c.decoder_layers = LAYERS;
    c.decoder_heads = c.decoder_hidden = 0; /* as the encoder's, where there is a decoder */
    Model *m;
    EXPECT(!model_open(&m, a, &c, dtype, 4), "%s", err_message());
    return m;
}

static Model *model(Arena *a)
{
    return built(a, "gpt2", F64);
}

static Var *add_prefix(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    return op_prepend(p->tape, tape_leaf(p->tape, *(Tensor *)user), out, 0);
}

static EffectOutcome after(Arena *a, Model *m, Hooks *hooks, const char *words, int64_t extra)
{
    Do d;
    EffectOutcome out;
    int before = hooks_n(hooks);
    EXPECT(!do_parse(&d, a, words, m, PART_DECODER, extra), "%s", err_message());
    if (d.kind == DO_PATCH) EXPECT(!do_read(&d, a, m, hooks, &ELSE, T), "%s", err_message());
    if (d.kind == DO_STEER)
        EXPECT(!do_read_means(&d, a, m, hooks, &ELSE, d.less ? &LESS : NULL, T), "%s", err_message());
    do_attach(&d, hooks);
    outcome_read(&out, a, m, hooks, &READ, NULL, PART_DECODER);
    hooks_clear_from(hooks, before);
    return out;
}

static EffectOutcome plain(Arena *a, Model *m, Hooks *hooks, const Batch *b)
{
    EffectOutcome out;
    outcome_read(&out, a, m, hooks, b, NULL, PART_DECODER);
    return out;
}

static void patches_bring_the_other_text(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    Model *m = model(&a);
    Hooks *hooks = hooks_new(&a);
    EffectOutcome one = plain(&a, m, hooks, &READ), two = plain(&a, m, hooks, &ELSE);
    static const char *const whole[] = {"patch:resid:1=x", "patch:RESID:0=x", "patch:resid:embed=x"};
    for (int i = 0; i < 3; i++) EXPECT_NEAR(after(&a, m, hooks, whole[i], 0).logits, two.logits, 0);
    /* The texts differ at position 2: the positions before are the same, and rows of the first text remain elsewhere.
     * */
    EXPECT_NEAR(after(&a, m, hooks, "patch:resid:embed.2=x", 0).logits, two.logits, 0);
    EXPECT_NEAR(after(&a, m, hooks, "patch:resid:embed.1=x", 0).logits, one.logits, 0);
    Tensor part = after(&a, m, hooks, "patch:resid:1.2=x", 0).logits;
    for (int64_t k = 0; k < T * 20; k++)
        assert_true(tensor_get(part, k) == tensor_get(k / 20 == 2 ? two.logits : one.logits, k));
    EffectOutcome patched = after(&a, m, hooks, "patch:resid:0=x", 0);
    Effect e = effect_of(&a, &one, &patched), same = effect_of(&a, &one, &one);
    assert_true(e.kl > 1e-4 && e.output > 1e-3 && e.shift[0] == 0 && e.shift[1] > 1e-4);
    assert_true(same.kl < 1e-15 && same.top == 0 && same.output == 0 && same.shift[1] == 0);
    arena_close(&a);
}

/* ---- steering */

/* The output of the last layer, plus `s` times the mean of the rows of `plus` minus that of `less` at one position,
 * or at all (-1). */
static Tensor steered(Arena *a, Tensor x, double s, Tensor plus, Tensor less, int64_t position)
{
    Tensor y = tensor_copy(a, x);
    for (int64_t k = 0; k < T * DIM; k++) {
        double more = 0;
        for (int64_t i = 0; i < plus.dim[1]; i++) more += tensor_get(plus, i * DIM + k % DIM) / (double)plus.dim[1];
        for (int64_t i = 0; less.data && i < less.dim[1]; i++)
            more -= tensor_get(less, i * DIM + k % DIM) / (double)less.dim[1];
        if (position < 0 || k / DIM == position) tensor_set(y, k, tensor_get(x, k) + s * more);
    }
    return y;
}

static void steering_adds_the_difference_of_means(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    Model *m = model(&a);
    Hooks *hooks = hooks_new(&a);
    EffectOutcome one = plain(&a, m, hooks, &READ);
    Tensor plus = plain(&a, m, hooks, &ELSE).last, less = plain(&a, m, hooks, &LESS).last, none = {0};
    static const struct {
        const char *words;
        double s;
        bool less;
        int64_t position;
    } c[] = {{"steer:resid:1=2*x minus y", 2, true, -1},
             {"steer:RESID:1=-0.5*x minus y", -0.5, true, -1},
             {"steer:resid:1=1e1*x", 10, false, -1},
             {"steer:resid:1.3=2*x minus y", 2, true, 3},
             {"steer:resid:1.0=1*x", 1, false, 0}};
    for (size_t i = 0; i < sizeof c / sizeof *c; i++)
        EXPECT_NEAR(after(&a, m, hooks, c[i].words, 0).last,
                    steered(&a, one.last, c[i].s, plus, c[i].less ? less : none, c[i].position), 1e-13);
    static const char *const nothing[] = {"steer:resid:0=0*x minus y", "steer:resid:embed=0*x", "steer:q:1.2=-0*x"};
    for (int i = 0; i < 3; i++) EXPECT_NEAR(after(&a, m, hooks, nothing[i], 0).logits, one.logits, 0);
    static const char *const more[] = {"steer:resid:0=0.05*x minus y", "steer:resid:0=0.2*x minus y",
                                       "steer:resid:0=1*x minus y"};
    double last = 1e-3; /* it is not just above rounding */
    for (int i = 0; i < 3; i++) {
        EffectOutcome there = after(&a, m, hooks, more[i], 0);
        Effect e = effect_of(&a, &one, &there);
        assert_true(e.output > 1.5 * last && e.kl > 0 && e.shift[0] == 0 && e.shift[1] > 0);
        last = e.output;
    }
    EffectOutcome far = one; /* steering can go past the largest number */
    far.logits = tensor_copy(&a, one.logits);
    tensor_set(far.logits, 0, NAN);
    assert_true(isnan(effect_of(&a, &one, &far).kl) && isnan(effect_of(&a, &one, &far).top));
    arena_close(&a);
}

static void steering_that_cannot_be_is_refused(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    Model *m = model(&a), *pair = built(&a, "bart", F64);
    Do d;
    static const char *const bad[] = {"steer:probs:0=1*x", "steer:resid:0.5=1*x", "steer:embed:0=1*x"};
    for (int i = 0; i < 3; i++) {
        EXPECT(!do_parse(&d, &a, bad[i], m, PART_DECODER, 0), "%s", err_message());
        EXPECT(do_read_means(&d, &a, m, hooks_new(&a), &ELSE, NULL, T) == E_CONFIG, "%s", bad[i]);
        err_clear();
    }
    /* A source as long as the text does not make its keys the text's. */
    const Batch both = {.b = 1, .t = T, .ids = IDS, .s = T, .src = OTHER};
    EXPECT(!do_parse(&d, &a, "steer:values:0=1*x", pair, PART_CROSS, 0), "%s", err_message());
    assert_int_equal(do_read_means(&d, &a, pair, hooks_new(&a), &both, NULL, T), E_CONFIG);
    err_clear();
    EXPECT(!do_parse(&d, &a, "steer:heads:0=1*x", pair, PART_CROSS, 0), "%s", err_message());
    assert_int_equal(do_read_means(&d, &a, pair, hooks_new(&a), &both, NULL, T), OK);
    arena_close(&a);
}

/* ---- heads and prefixes */

static void a_head_times_one_is_the_head(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    Model *m = model(&a);
    Hooks *hooks = hooks_new(&a);
    EffectOutcome one = plain(&a, m, hooks, &READ);
    EXPECT_NEAR(after(&a, m, hooks, "head:0.1=1", 0).logits, one.logits, 1e-15);
    EffectOutcome zero = after(&a, m, hooks, "head:1.2=0", 0);
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
    EffectOutcome set = after(&a, m, hooks, "mass:0.3", SLOTS);
    for (int l = 0; l < LAYERS; l++)
        for (int h = 0; h < HEADS; h++) {
            HeadStats s = maps_stats(&set.maps, maps_head(&set.maps, &a, l, h));
            assert_true(fabs(s.prefix - 0.3) < 1e-12);
        }
    arena_close(&a);
}

typedef struct {
    Model *m;
    Hooks *hooks;
    PeftConfig cfg;
} Prefixed;

/* The same base each time, with a prefix drawn from `stream`. */
static Prefixed prefixed(Arena *a, Model *base, const char *settings, uint64_t stream)
{
    Prefixed x = {.m = base, .hooks = hooks_new(a)};
    const Peft *prefix = peft_find("prefix");
    prefix->defaults(&x.cfg, &base->config);
    EXPECT(!peft_set(&x.cfg, a, settings) && !peft_attach(prefix, base, x.hooks, &x.cfg), "%s", err_message());
    for (int i = 0; i < params_n(base->params); i++) {
        Param *p = params_at(base->params, i);
        for (int64_t k = 0; str_glob("peft.*", p->name) && k < tensor_count(p->val); k++)
            tensor_set(p->val, k, rng_normal(rng_stream(stream, p->name), (uint64_t)k));
    }
    return x;
}

static EffectOutcome swapped(Arena *a, Prefixed x, Prefixed y, const Batch *b, Part part)
{
    Do d;
    EffectOutcome out;
    int before = hooks_n(x.hooks);
    EXPECT(!do_parse(&d, a, "prefix=swap:DIR", x.m, part, SLOTS), "%s", err_message());
    EXPECT(!do_read_keys(&d, a, x.m, x.hooks, y.m, y.hooks, b), "%s", err_message());
    do_attach(&d, x.hooks);
    outcome_read(&out, a, x.m, x.hooks, b, NULL, part);
    hooks_clear_from(x.hooks, before);
    return out;
}

static void a_swapped_prefix_is_the_other_adapter(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    const Batch pair = {.b = 1, .t = T, .ids = IDS, .s = 3, .src = SHORT};
    static const struct {
        const char *arch, *one, *two;
    } c[] = {{"gpt2", "length=2", "length=2"},
             {"gpt2", "length=2,kind=mlp,width=4", "length=2,kind=tied"},
             {"bart", "length=2", "length=2"},
             {"t5", "length=2,shift_positions=yes", "length=2,shift_positions=yes"}};
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        const Batch *b = strcmp(c[i].arch, "gpt2") ? &pair : &READ;
        Prefixed x = prefixed(&a, built(&a, c[i].arch, F64), c[i].one, 1),
                 y = prefixed(&a, built(&a, c[i].arch, F64), c[i].two, 2);
        EffectOutcome own, other;
        outcome_read(&own, &a, x.m, x.hooks, b, NULL, PART_DECODER);
        outcome_read(&other, &a, y.m, y.hooks, b, NULL, PART_DECODER);
        EXPECT_NEAR(swapped(&a, x, x, b, PART_DECODER).logits, own.logits, 0);
        EXPECT_NEAR(swapped(&a, x, y, b, PART_DECODER).logits, other.logits, 1e-14);
        assert_true(effect_of(&a, &own, &other).output > 1e-2);
    }
    arena_close(&a);
}

static void prefixes_of_other_shapes_do_not_swap(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    static const struct {
        const char *one, *two;
        Status status;
        const char *says;
    } c[] = {{"length=2", "length=3", E_MISMATCH, "3 virtual keys in layer 0 of the decoder, and the model 2"},
             {"length=2", NULL, E_MISMATCH, "it has 0 virtual keys"},
             {NULL, "length=2", E_CONFIG, "no virtual keys to swap"},
             {"length=2", "length=2,shift_positions=yes", E_MISMATCH, "moves positions by 2"}};
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        Prefixed x = {.m = model(&a), .hooks = hooks_new(&a)}, y = {.m = model(&a), .hooks = hooks_new(&a)};
        if (c[i].one) x = prefixed(&a, x.m, c[i].one, 1);
        if (c[i].two) y = prefixed(&a, y.m, c[i].two, 1);
        Do d;
        EXPECT(!do_parse(&d, &a, "prefix=swap:DIR", x.m, PART_DECODER, SLOTS), "%s", err_message());
        assert_int_equal(do_read_keys(&d, &a, x.m, x.hooks, y.m, y.hooks, &READ), c[i].status);
        EXPECT(strstr(err_message(), c[i].says), "%s", err_message());
        err_clear();
        y.m->config.positions = T - 1; /* the text does not fit */
        assert_int_equal(do_read_keys(&d, &a, x.m, x.hooks, y.m, y.hooks, &READ), E_MISMATCH);
        EXPECT(strstr(err_message(), "it leaves 4 positions"), "%s", err_message());
        err_clear();
    }
    arena_close(&a);
}

static void what_cannot_be_done_is_refused(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    Model *m = model(&a);
    static const char *const bad[] = {"",
                                      "head:0=1",
                                      "head:2.0=0",
                                      "head:0.3=0",
                                      "head:0.0=x",
                                      "head:embed.0=0",
                                      "head:0.0",
                                      "mass:1.5",
                                      "mass:nan",
                                      "prefix=scale",
                                      "patch:foo:0=x",
                                      "patch:resid=x",
                                      "mass:0.5=1",
                                      "patch:resid:2=x",
                                      "patch:resid:0.-1=x",
                                      "patch:resid:0",
                                      "steer:resid:0=x",
                                      "steer:resid:0=2",
                                      "steer:resid:0=int *x",
                                      "steer:resid:0=inf*x",
                                      "steer:resid=1*x",
                                      "steer:foo:0=1*x",
                                      "steer:resid:0=1*x minus y minus z",
                                      "prefix=swap:",
                                      "prefix=swap"};
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

/* ---- the fixture of the script: a base and prefixes on it */

static int save_prefixes(const char *dir)
{
    static const struct {
        const char *name, *settings;
    } c[] = {{"one", "length=2"}, {"two", "length=2"}, {"long", "length=3"}};
    Arena a = arena_open(0);
    EXPECT(!model_save(built(&a, "gpt2", F32), str_print(&a, "%s/base", dir)), "%s", err_message());
    for (int i = 0; i < 3; i++) {
        Prefixed x = prefixed(&a, built(&a, "gpt2", F32), c[i].settings, (uint64_t)i);
        Adapter *out = adapter_of(x.m, peft_find("prefix"), &x.cfg, "mine");
        EXPECT(!adapter_convert(&out, out, library_find("adapters"), false) &&
                   !adapter_save(out, str_print(&a, "%s/%s", dir, c[i].name)),
               "%s", err_message());
    }
    arena_close(&a);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1) return save_prefixes(argv[1]);
    const struct CMUnitTest tests[] = {cmocka_unit_test(patches_bring_the_other_text),
                                       cmocka_unit_test(steering_adds_the_difference_of_means),
                                       cmocka_unit_test(steering_that_cannot_be_is_refused),
                                       cmocka_unit_test(a_head_times_one_is_the_head),
                                       cmocka_unit_test(the_prefix_is_scaled_and_its_mass_set),
                                       cmocka_unit_test(a_swapped_prefix_is_the_other_adapter),
                                       cmocka_unit_test(prefixes_of_other_shapes_do_not_swap),
                                       cmocka_unit_test(what_cannot_be_done_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
