/* The properties of each method besides right gradients: where it starts, where it acts, and its limits.
 * Every test walks the registries. */
#include "tiny.h"

#include "nn/block.h"

/* A parameter named after a place acts there and nowhere before: with only that place's parameters stirred, the
 * values that the model computes in earlier layers of the part do not change. */
typedef struct {
    Arena *arena;
    Tensor value[8];
} Layers;

static Var *keep_layer(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)p, (void)in;
    Layers *l = user;
    if (at.layer >= 0) l->value[at.layer] = tensor_copy(l->arena, out->val);
    return out;
}

static void parameters_act_where_their_names_say(void **state)
{
    (void)state;
    Variant v[VARIANTS_MAX];
    int n = variants(v);
    for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++)
        for (int i = 0; i < n; i++)
            for (Part part = 0; part < PART_COUNT; part++) {
                Arenas a = arenas();
                Model *m = tiny(&a.run, *arch, F64);
                Hooks *hooks = hooks_new(&a.run);
                Layers before = {&a.run, {{0}}}, after = before;
                const Part stack = part == PART_CROSS ? PART_DECODER : part;
                const Batch *b = tiny_batch(&a.run, m, false, false);
                if (model_layers(m, part) >= 2 && attach_variant(&v[i], m, hooks)) {
                    stir(m, "peft.*", 0.4, 3);
                    int methods = hooks_n(hooks);
                    hook_observe(hooks, (Where){SITE_RESID, LAYER_ANY, stack}, keep_layer, &before);
                    logits_of(&a, m, hooks, b);
                    hooks_clear_from(hooks, methods);
                    hook_observe(hooks, (Where){SITE_RESID, LAYER_ANY, stack}, keep_layer, &after);
                    const char *second = str_print(&a.run, "peft.*.%s.layer.1.*", part_name(part));
                    stir(m, second, 0.4, 4);
                    logits_of(&a, m, hooks, b);
                    EXPECT(largest_gap(before.value[0], after.value[0]) == 0, "%s on %s: %s acts in layer 0",
                           v[i].name, (*arch)->name, second);
                    if (params_count(m->params, second, false))
                        EXPECT(largest_gap(before.value[1], after.value[1]) > 1e-6, "%s on %s: %s has no effect",
                               v[i].name, (*arch)->name, second);
                }
                err_clear();
                arenas_close(&a);
            }
}

/* ---- starts, merging, removal */

static void methods_start_at_the_base(void **state)
{
    (void)state;
    static const char *const exact[] = {"full",     "bitfit", "norms", "lora", "houlsby", "pfeiffer",
                                        "parallel", "ia3",    "dora",  "vera", "loreft",  NULL};
    for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++)
        for (int i = 0; exact[i]; i++)
            for (DType d = F32; d <= F64; d++) {
                Arenas a = arenas();
                Model *m = tiny(&a.run, *arch, d);
                const Batch *b = tiny_batch(&a.run, m, true, false);
                Hooks *hooks = hooks_new(&a.run);
                Tensor base = logits_of(&a, m, NULL, b);
                /* LoRA has a fused projection computed as one product, which a BLAS may round otherwise. */
                bool fused =
                    str_glob("lora|dora|vera", exact[i]) && model_linear(m, (Where){SITE_QKV, 0, m->arch->last});
                if (attach_variant(&(Variant){exact[i], exact[i], NULL}, m, hooks))
                    EXPECT(largest_gap(base, logits_of(&a, m, hooks, b)) <= (fused ? d == F32 ? 1e-5 : 1e-13 : 0),
                           "%s on %s in %s does not start at the base", exact[i], (*arch)->name, dtype_name(d));
                err_clear();
                arenas_close(&a);
            }
}

static void options_are_read_from_text(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 20);
    PeftConfig c = {.rank = 7};
    assert_int_equal(
        peft_set(&c, &a, "rank=4,alpha=0.5,target=*.c_fc|*.c_proj,kind=tied,act=silu,rslora=yes,cross=no"), OK);
    assert_true(c.rank == 4 && c.alpha == 0.5 && c.kind == PREFIX_TIED && c.act == ACT_SILU && c.rslora);
    assert_string_equal(c.target, "*.c_fc|*.c_proj");
    PeftConfig most = {0};
    assert_true(!peft_set(&most, &a, "rank=16777216,length=0") && most.rank == 1 << 24 && most.length == 0);
    assert_int_equal(peft_set(&c, &a, NULL), OK);
    assert_int_equal(peft_set(&c, &a, ""), OK);
    static const char *const wrong[] = {"rang=4",       "rank",     "rank=x",    "rank=-1", "kind=loose",
                                        "act=none2",    "rslora=1", "alpha=inf", "target=", "rank=99999999999",
                                        "rank=16777217"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        EXPECT(peft_set(&c, &a, wrong[i]) == E_CONFIG, "\"%s\" is taken", wrong[i]);
        err_clear();
    }
    assert_int_equal(c.rank, 4);
    arena_close(&a);
}

static void merging_is_the_same_map(void **state)
{
    (void)state;
    Variant v[VARIANTS_MAX];
    int n = variants(v), merged = 0;
    for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++)
        for (int i = 0; i < n; i++) {
            const Peft *method = peft_find(v[i].method);
            if (!method->merge) continue;
            for (DType d = F32; d <= F64; d++) {
                Arenas a = arenas();
                Model *m = tiny(&a.run, *arch, d);
                const Batch *b = tiny_batch(&a.run, m, true, false);
                Hooks *hooks = hooks_new(&a.run);
                PeftConfig cfg = variant_config(&v[i], m);
                Tensor base = logits_of(&a, m, NULL, b);
                assert_int_equal(peft_attach(method, m, hooks, &cfg), OK);
                stir(m, "peft.*", 0.3, 4);
                Tensor tuned = logits_of(&a, m, hooks, b);
                EXPECT(largest_gap(tuned, base) > 1e-2, "%s on %s changes nothing", v[i].name, (*arch)->name);
                assert_int_equal(method->merge(m, &cfg), OK);
                double gap = largest_gap(tuned, logits_of(&a, m, NULL, b)), limit = d == F64 ? 1e-12 : 1e-4;
                EXPECT(gap < limit, "%s on %s in %s: merged is %.2e from unmerged", v[i].name, (*arch)->name,
                       dtype_name(d), gap);
                assert_int_equal(method->unmerge(m, &cfg), OK);
                gap = largest_gap(base, logits_of(&a, m, NULL, b));
                EXPECT(gap < limit, "%s on %s in %s: unmerged is %.2e from the base", v[i].name, (*arch)->name,
                       dtype_name(d), gap);
                merged++;
                arenas_close(&a);
            }
        }
    assert_true(merged > 0);
}

static void removing_hooks_restores_the_base(void **state)
{
    (void)state;
    Variant v[VARIANTS_MAX];
    int n = variants(v);
    for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++)
        for (int i = 0; i < n; i++) {
            Arenas a = arenas();
            Model *m = tiny(&a.run, *arch, F32);
            const Batch *b = tiny_batch(&a.run, m, true, false);
            Hooks *hooks = hooks_new(&a.run);
            Tensor base = logits_of(&a, m, hooks, b);
            if (attach_variant(&v[i], m, hooks)) {
                stir(m, "peft.*", 0.4, 4);
                if (hooks_n(hooks))
                    EXPECT(largest_gap(base, logits_of(&a, m, hooks, b)) > 1e-3, "%s on %s changes nothing",
                           v[i].name, (*arch)->name);
                hooks_clear_from(hooks, 0);
                EXPECT(largest_gap(base, logits_of(&a, m, hooks, b)) == 0, "%s leaves traces in %s", v[i].name,
                       (*arch)->name);
            }
            err_clear();
            arenas_close(&a);
        }
}

/* ---- the effect of a prefix on the attention of the first layer */

typedef struct {
    Tensor probs, heads; /* (B,H,T,S), (B,T,H*D) of layer 0 of one part */
} Seen;

static Seen first_layer(Arenas *a, Model *m, Hooks *hooks, const Batch *b, Part part)
{
    int n = hooks_n(hooks);
    Capture probs = {.arena = &a->run}, heads = probs;
    hook_observe(hooks, (Where){SITE_PROBS, 0, part}, hook_capture, &probs);
    hook_observe(hooks, (Where){SITE_HEADS, 0, part}, hook_capture, &heads);
    logits_of(a, m, hooks, b);
    hooks_clear_from(hooks, n);
    return (Seen){probs.value, heads.value};
}

/* Mass on the first p keys of row r. */
static double prefix_mass(Tensor probs, int64_t r, int64_t p)
{
    double mass = 0;
    for (int64_t j = 0; j < p; j++) mass += tensor_get(probs, r * tensor_last(probs) + j);
    return mass;
}

static void expect_ratios_kept(Tensor base, Tensor with, int64_t p, const char *what)
{
    int64_t s = tensor_last(base), rows = tensor_count(base) / s;
    assert_int_equal(tensor_last(with), s + p);
    double most = 0;
    for (int64_t r = 0; r < rows; r++) {
        double mass = prefix_mass(with, r, p);
        most = fmax(most, mass);
        for (int64_t j = 0; j < s; j++) {
            double gap = tensor_get(with, r * (s + p) + p + j) / (1 - mass) - tensor_get(base, r * s + j);
            EXPECT(fabs(gap) < 5e-14, "%s: content attention of row %lld moves by %.1e", what, (long long)r, gap);
        }
    }
    EXPECT(most > 0.05, "%s: the prefix takes %.3f of the attention at most, too little to test anything", what,
           most);
}

/* The prefix cannot reorder content: renormalised, the first layer's attention is the base's (theory, section 3). */
static void a_prefix_keeps_content_ratios(void **state)
{
    (void)state;
    static const Variant kinds[] = {
        {"prefix", "prefix", NULL}, {"prefix", "prefix tied", set_tied}, {"prefix", "prefix mlp", set_mlp}};
    for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++)
        for (int i = 0; i < 3; i++)
            for (Part part = 0; part < PART_COUNT; part++) {
                if (part == PART_CROSS) continue; /* its queries have passed a prefixed self-attention */
                Arenas a = arenas();
                Model *m = tiny(&a.run, *arch, F64);
                const Batch *b = tiny_batch(&a.run, m, false, false);
                Hooks *hooks = hooks_new(&a.run);
                if (model_layers(m, part) && !m->config.window) {
                    Seen base = first_layer(&a, m, hooks, b, part);
                    assert_true(attach_variant(&kinds[i], m, hooks));
                    stir(m, "peft.*", 0.5, 2);
                    Seen with = first_layer(&a, m, hooks, b, part);
                    expect_ratios_kept(base.probs, with.probs, 3,
                                       str_print(&a.run, "%s on %s", kinds[i].name, (*arch)->name));
                }
                arenas_close(&a);
            }
}

/* out = mass * (prefix part) + (1 - mass) * (base's output), head by head. */
static void a_prefix_mixes_into_the_output(void **state)
{
    (void)state;
    for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++)
        for (Part part = 0; part < PART_CROSS; part++) {
            Arenas a = arenas();
            Model *m = tiny(&a.run, *arch, F64);
            const Batch *b = tiny_batch(&a.run, m, true, false);
            Hooks *hooks = hooks_new(&a.run);
            if (model_layers(m, part) && !m->config.window) {
                Seen base = first_layer(&a, m, hooks, b, part);
                assert_true(attach_variant(&(Variant){"prefix", "prefix", NULL}, m, hooks));
                stir(m, "peft.*", 0.5, 2);
                Seen with = first_layer(&a, m, hooks, b, part);
                Tensor v =
                    param_find(m->params, str_print(&a.run, "peft.prefix.%s.layer.0.values", part_name(part)))->val;
                int64_t h = with.probs.dim[1], t = with.probs.dim[2], s = with.probs.dim[3], wide = tensor_last(v),
                        hd = tensor_last(with.heads), d = hd / h, group = hd / wide;
                for (int64_t i = 0; i < tensor_count(with.heads); i++) {
                    int64_t row = i / t / hd, head = i % hd / d, query = i / hd % t, r = (row * h + head) * t + query;
                    double mine = 0;
                    for (int64_t j = 0; j < 3; j++)
                        mine +=
                            tensor_get(with.probs, r * s + j) * tensor_get(v, j * wide + head / group * d + i % d);
                    double gap = mine + (1 - prefix_mass(with.probs, r, 3)) * tensor_get(base.heads, i) -
                                 tensor_get(with.heads, i);
                    EXPECT(fabs(gap) < 1e-13, "%s, %s: element %lld of the heads is off by %.1e", (*arch)->name,
                           part_name(part), (long long)i, gap);
                }
            }
            arenas_close(&a);
        }
}

static Var *overwrite_rows(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    Param *slots = user;
    return op_prepend(p->tape, tape_param(p->tape, slots), out, slots->val.dim[0]);
}

/* In one layer, overwriting the keys and values of reserved positions is the same as overwriting their inputs. */
static void expect_slots_are_inputs(const Arch *arch, bool no_attn_norm)
{
    Arenas a = arenas();
    Config c = tiny_config(arch);
    c.no_attn_norm = no_attn_norm;
    c.layers = 1;
    if (c.decoder_layers) c.decoder_layers = 1;
    Model *m = open_stirred(&a.run, &c, F64);
    const Batch *b = tiny_batch(&a.run, m, false, false);
    Hooks *hooks = hooks_new(&a.run), *inputs = hooks_new(&a.run);
    const Part part = m->decoder ? PART_DECODER : PART_ENCODER;
    PeftConfig cfg = variant_config(&(Variant){"prefix", "reserved", set_reserved}, m);
    memset(cfg.on, 0, sizeof cfg.on);
    cfg.on[part] = true;
    assert_int_equal(peft_attach(peft_find("prefix"), m, hooks, &cfg), OK);
    stir(m, "peft.*", 1, 2);
    Param *slots = param_find(m->params, str_print(&a.run, "peft.prefix.%s.layer.0.slots", part_name(part)));
    assert_non_null(slots);
    hook_add(inputs, (Where){SITE_RESID, LAYER_EMBED, part}, overwrite_rows, slots);
    Tensor overwritten = logits_of(&a, m, hooks, b), replaced = logits_of(&a, m, inputs, b);
    Tensor base = logits_of(&a, m, NULL, b);
    assert_true(largest_gap(base, overwritten) > 1e-2);
    int64_t v = tensor_last(base), t = base.dim[1];
    for (int64_t i = 0; i < tensor_count(base); i++) {
        if (i / v % t < 2) continue; /* their own rows differ: only keys and values are overwritten */
        double gap = tensor_get(overwritten, i) - tensor_get(replaced, i);
        EXPECT(fabs(gap) < 1e-12, "%s: logit %lld differs by %.1e", arch->name, (long long)i, gap);
    }
    arenas_close(&a);
}

static void reserved_slots_are_inputs(void **state)
{
    (void)state;
    for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++) expect_slots_are_inputs(*arch, false);
    expect_slots_are_inputs(arch_find("gpt2"), true); /* the theory papers' toy: virtual tokens pass no norm */
}

/* ---- decoding */

/* Hidden states of tokens first..first+n-1 of every row. */
static Var *some_tokens(Model *m, Pass *p, const Batch *all, int64_t first, int64_t n, Var *memory)
{
    int32_t *ids = NEW(tape_arena(p->tape), int32_t, all->b * n);
    for (int64_t i = 0; i < all->b * n; i++) ids[i] = all->ids[i / n * all->t + first + i % n];
    Batch some = *all;
    some.ids = ids;
    some.t = n;
    return memory ? m->arch->decode(m, p, &some, memory) : m->arch->hidden(m, p, &some);
}

/* Feeding tokens a few at a time, keys and values of the earlier ones in a cache, computes the full pass. */
static void decoding_with_a_cache_is_the_full_pass(void **state)
{
    (void)state;
    static const int64_t first[] = {0, 2, 3}, many[] = {2, 1, 2};
    Variant v[VARIANTS_MAX];
    int n = variants(v);
    for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++)
        for (int i = 0; i < n; i++) {
            Arenas a = arenas();
            Model *m = tiny(&a.run, *arch, F64);
            Hooks *hooks = hooks_new(&a.run);
            if (m->decoder && attach_variant(&v[i], m, hooks)) {
                stir(m, "peft.*", 0.4, 3);
                const Batch *b = tiny_batch(&a.run, m, false, false);
                Pass p = {.tape = tape_open(&a.step, false), .hooks = hooks};
                Tensor full = model_hidden(m, &p, b)->val;
                Var *memory = (*arch)->encode ? (*arch)->encode(m, &p, b) : NULL;
                p.cache = cache_new(&a.run, m->decoder->n, TINY_B, TINY_T + 4);
                for (int step = 0; step < 3; step++) {
                    Tensor part = some_tokens(m, &p, b, first[step], many[step], memory)->val;
                    for (int64_t row = 0; row < TINY_B; row++)
                        EXPECT_NEAR(tensor_at(part, row), tensor_rows(tensor_at(full, row), first[step], many[step]),
                                    1e-12);
                }
            }
            err_clear();
            arenas_close(&a);
        }
}

SUITE(cmocka_unit_test(parameters_act_where_their_names_say), cmocka_unit_test(methods_start_at_the_base),
      cmocka_unit_test(options_are_read_from_text), cmocka_unit_test(merging_is_the_same_map),
      cmocka_unit_test(removing_hooks_restores_the_base), cmocka_unit_test(a_prefix_keeps_content_ratios),
      cmocka_unit_test(a_prefix_mixes_into_the_output), cmocka_unit_test(reserved_slots_are_inputs),
      cmocka_unit_test(decoding_with_a_cache_is_the_full_pass))
