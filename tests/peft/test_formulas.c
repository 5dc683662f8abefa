/* Each method's formula, recomputed with plain loops from the values at a join point before and after the method's
 * hook.  Gradient checks cannot find a wrong formula whose gradient is right. */
#include "tiny.h"

typedef struct {
    Arena *arena;
    Tensor in, out;
} Ends;

static Var *keep_ends(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)p, (void)at;
    Ends *e = user;
    e->in = tensor_copy(e->arena, in->val);
    e->out = tensor_copy(e->arena, out->val);
    return out;
}

/* y = W x + b on rows, W (O,C); b may be NULL. */
static Tensor plain_linear(Arena *a, Tensor x, const Param *w, const Param *b)
{
    int64_t c = tensor_last(x), o = w->val.dim[0], rows = tensor_count(x) / c;
    Tensor y = tensor_new(a, F64, SHAPE(rows, o));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < o; j++) {
            double sum = b ? tensor_get(b->val, j) : 0;
            for (int64_t i = 0; i < c; i++) sum += tensor_get(w->val, j * c + i) * tensor_get(x, r * c + i);
            tensor_set(y, r * o + j, sum);
        }
    return y;
}

static Tensor plain_sum(Arena *a, Tensor x, double s, Tensor y)
{
    Tensor z = tensor_copy(a, x);
    for (int64_t i = 0; i < tensor_count(z); i++) tensor_set(z, i, tensor_get(x, i) + s * tensor_get(y, i));
    return z;
}

static Tensor plain_norm(Arena *a, Tensor x, const Norm *n)
{
    Tensor y = tensor_copy(a, x);
    int64_t c = tensor_last(x);
    for (int64_t r = 0; r < tensor_count(x) / c; r++) {
        double mean = 0, var = 0;
        for (int64_t i = 0; i < c && n->bias; i++) mean += tensor_get(x, r * c + i) / (double)c;
        for (int64_t i = 0; i < c; i++) var += pow(tensor_get(x, r * c + i) - mean, 2) / (double)c;
        for (int64_t i = 0; i < c; i++)
            tensor_set(y, r * c + i,
                       (tensor_get(x, r * c + i) - mean) / sqrt(var + n->eps) * tensor_get(n->gain->val, i) +
                           (n->bias ? tensor_get(n->bias->val, i) : 0));
    }
    return y;
}

static void plain_each(Tensor x, double (*f)(double))
{
    for (int64_t i = 0; i < tensor_count(x); i++) tensor_set(x, i, f(tensor_get(x, i)));
}

static double relu(double x)
{
    return x > 0 ? x : 0;
}

static double silu(double x)
{
    return x / (1 + exp(-x));
}

static const Param *named(const Model *m, const char *name)
{
    const Param *p = param_find(m->params, name);
    EXPECT(p, "%s has no parameter %s", m->config.arch, name);
    return p;
}

/* Observe one place before and after whatever a variant hangs there. */
static bool both_sides(Arenas *a, Model *m, const Variant *v, Where at, Ends *before, Ends *after)
{
    Hooks *hooks = hooks_new(&a->run);
    before->arena = after->arena = &a->run;
    hook_observe(hooks, at, keep_ends, before);
    if (!attach_variant(v, m, hooks)) return false;
    stir(m, "peft.*", 0.4, 7);
    hook_observe(hooks, at, keep_ends, after);
    logits_of(a, m, hooks, tiny_batch(&a->run, m, false, false));
    return before->in.data != NULL;
}

/* Spec of the adapters library, for the sublayer that ends at `at`. */
static Tensor plain_adapter(Arena *a, const Model *m, const char *method, const char *sub, Where at, Ends e)
{
    const char *stem = str_print(a, "peft.%s.%s.layer.%d.%s", method, part_name(at.part), at.layer, sub);
    bool houlsby = !strcmp(method, "houlsby"), parallel = !strcmp(method, "parallel");
    const Norm *norm = m->norm_at(m, at);
    Tensor z = houlsby ? e.out : parallel ? e.in : plain_sum(a, e.out, 1, e.in);
    if (!houlsby && !parallel && norm) z = plain_norm(a, z, norm);
    Tensor low = plain_linear(a, z, named(m, str_print(a, "%s.down.weight", stem)),
                              named(m, str_print(a, "%s.down.bias", stem)));
    plain_each(low, houlsby ? silu : relu);
    Tensor o = plain_linear(a, low, named(m, str_print(a, "%s.up.weight", stem)),
                            named(m, str_print(a, "%s.up.bias", stem)));
    return plain_sum(a, e.out, parallel ? 4 : 1, o);
}

static void adapters_compute_their_formula(void **state)
{
    (void)state;
    static const struct {
        const char *method, *sub;
        Site site;
    } cases[] = {{"houlsby", "attn", SITE_ATTN_JOIN},
                 {"houlsby", "ffn", SITE_FFN_JOIN},
                 {"pfeiffer", "ffn", SITE_FFN_JOIN},
                 {"parallel", "ffn", SITE_FFN_JOIN}};
    for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            for (Part part = 0; part < PART_CROSS; part++) {
                Arenas a = arenas();
                Model *m = tiny(&a.run, *arch, F64);
                const Where at = {cases[i].site, 1, part};
                Ends before, after;
                if (model_layers(m, part)) {
                    assert_true(
                        both_sides(&a, m, &(Variant){cases[i].method, cases[i].method, NULL}, at, &before, &after));
                    Tensor expected = plain_adapter(&a.run, m, cases[i].method, cases[i].sub, at, before);
                    EXPECT_NEAR(after.out, expected, 1e-12);
                    assert_true(largest_gap(after.out, before.out) > 1e-2);
                }
                arenas_close(&a);
            }
}

/* delta = (alpha / rank) B A x at every adapted map, whichever layout and third. */
static void lora_computes_its_formula(void **state)
{
    (void)state;
    static const Variant v[] = {
        {"lora", "lora", NULL}, {"lora", "lora thirds", set_thirds}, {"lora", "all", set_all_linears}};
    for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++)
        for (int i = 0; i < 3; i++)
            for (int j = 0;; j++) {
                Arenas a = arenas();
                Model *m = tiny(&a.run, *arch, F64);
                if (j == m->n_linears) {
                    arenas_close(&a);
                    break;
                }
                const Linear *l = &m->linears[j];
                Ends before = {0}, after = {0};
                assert_true(both_sides(&a, m, &v[i], l->at, &before, &after));
                const Param *down = param_find(m->params, str_print(&a.run, "peft.lora.%s.A", l->name));
                if (down) {
                    const Param *up = named(m, str_print(&a.run, "peft.lora.%s.B", l->name));
                    double scale = i == 2 ? 3 / sqrt(2) : 3.0 / 2; /* alpha 3, rank 2; the last is rank-stabilised */
                    Tensor low = plain_linear(&a.run, before.in, down, NULL);
                    Tensor expected = plain_sum(&a.run, before.out, scale, plain_linear(&a.run, low, up, NULL));
                    EXPECT_NEAR(after.out, expected, 1e-12);
                } else {
                    EXPECT(largest_gap(after.out, before.out) == 0, "%s on %s changes %s, which it does not adapt",
                           v[i].name, (*arch)->name, l->name);
                }
                arenas_close(&a);
            }
}

/* DoRA with the norm held is LoRA on a base whose rows, and whose B, are scaled by m/n: the same logits, and the same
 * gradient of A; B's is m/n times that of the scaled B. */
static void dora_is_lora_on_a_scaled_base(void **state)
{
    (void)state;
    for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++) {
        Arenas a = arenas();
        Model *m = tiny(&a.run, *arch, F64), *scaled = tiny(&a.run, *arch, F64);
        Hooks *hooks = hooks_new(&a.run), *plain = hooks_new(&a.run);
        assert_true(attach_variant(&(Variant){"dora", "dora", NULL}, m, hooks));
        assert_true(attach_variant(&(Variant){"lora", "lora", NULL}, scaled, plain));
        stir(m, "peft.*", 0.3, 4);
        for (int i = 0; i < m->n_linears; i++) {
            const Linear *l = &m->linears[i], *k = &scaled->linears[i];
            const Param *mag = param_find(m->params, str_print(&a.run, "peft.dora.%s.magnitude", l->name));
            if (!mag) continue;
            const Param *down = named(m, str_print(&a.run, "peft.dora.%s.A", l->name));
            const Param *up = named(m, str_print(&a.run, "peft.dora.%s.B", l->name));
            Tensor da = named(scaled, str_print(&a.run, "peft.lora.%s.A", l->name))->val;
            Tensor db = named(scaled, str_print(&a.run, "peft.lora.%s.B", l->name))->val;
            for (int64_t j = 0; j < tensor_count(da); j++) tensor_set(da, j, tensor_get(down->val, j));
            for (int64_t o = 0; o < l->out; o++) {
                double sum = 0;
                for (int64_t c = 0; c < l->in; c++) {
                    int64_t at = l->layout == OUT_IN ? o * l->in + c : c * tensor_last(l->w->val) + o;
                    double v = tensor_get(l->w->val, at);
                    for (int64_t r = 0; r < 2; r++)
                        v += 1.5 * tensor_get(up->val, o * 2 + r) * tensor_get(down->val, r * l->in + c);
                    sum += v * v;
                }
                double gain = tensor_get(mag->val, o) / sqrt(sum);
                for (int64_t c = 0; c < l->in; c++) {
                    int64_t at = l->layout == OUT_IN ? o * l->in + c : c * tensor_last(l->w->val) + o;
                    tensor_set(k->w->val, at, gain * tensor_get(l->w->val, at));
                }
                for (int64_t r = 0; r < 2; r++) tensor_set(db, o * 2 + r, gain * tensor_get(up->val, o * 2 + r));
            }
        }
        const Batch *b = tiny_batch(&a.run, m, true, false);
        EXPECT_NEAR(logits_of(&a, m, hooks, b), logits_of(&a, scaled, plain, b), 1e-11);
        for (int i = 0; i < 2; i++) {
            Model *x = i ? scaled : m;
            Tape *t = tape_open(&a.step, true);
            params_zero_grad(x->params);
            tape_backward(t, model_loss(x, &(Pass){.tape = t, .hooks = i ? plain : hooks}, b));
        }
        for (int i = 0; i < params_n(m->params); i++) {
            const Param *p = params_at(m->params, i);
            if (!str_glob("peft.dora.*.A", p->name)) continue;
            EXPECT_NEAR(p->grad, named(scaled, str_print(&a.run, "peft.lora.%s", p->name + 10))->grad, 1e-11);
        }
        arenas_close(&a);
    }
}

/* GPT-2's fused map and its thirds are one matrix: a target that names both adapts it once. */
static void a_matrix_is_adapted_once(void **state)
{
    (void)state;
    Arenas a = arenas();
    Model *m = tiny(&a.run, arch_find("gpt2"), F32);
    assert_true(attach_variant(&(Variant){"lora", "lora all", set_all_linears}, m, hooks_new(&a.run)));
    assert_non_null(param_find(m->params, "peft.lora.h.0.attn.c_attn.A"));
    assert_null(param_find(m->params, "peft.lora.h.0.attn.c_attn.q.A"));
    arenas_close(&a);
}

/* The prompt's table stands before unchanged word vectors, and the logits are those of the tokens. */
static void a_prompt_stands_in_front(void **state)
{
    (void)state;
    for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++) {
        Arenas a = arenas();
        Model *m = tiny(&a.run, *arch, F64);
        const Part part = model_layers(m, PART_ENCODER) ? PART_ENCODER : PART_DECODER;
        Ends before, after;
        assert_true(both_sides(&a, m, &(Variant){"prompt", "prompt", NULL}, (Where){SITE_EMBED, LAYER_EMBED, part},
                               &before, &after));
        const Param *table = named(m, str_print(&a.run, "peft.prompt.%s.table", part_name(part)));
        for (int64_t b = 0; b < TINY_B; b++) {
            Tensor got = tensor_at(after.out, b), content = tensor_at(before.out, b);
            assert_int_equal(got.dim[0], content.dim[0] + 3);
            EXPECT_NEAR(tensor_rows(got, 0, 3), table->val, 0);
            EXPECT_NEAR(tensor_rows(got, 3, content.dim[0]), content, 0);
        }
        arenas_close(&a);
    }
}

/* The first rows of keys and values are up(tanh(mlp(table))), the rest are untouched. */
static void the_mlp_makes_keys_and_values(void **state)
{
    (void)state;
    for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++)
        for (Part part = 0; part < PART_COUNT; part++)
            for (Site site = SITE_KEYS; site <= SITE_VALUES; site++) {
                Arenas a = arenas();
                Model *m = tiny(&a.run, *arch, F64);
                Ends before, after;
                if (model_layers(m, part) && !m->config.window) {
                    assert_true(both_sides(&a, m, &(Variant){"prefix", "mlp", set_mlp}, (Where){site, 1, part},
                                           &before, &after));
                    const char *stem = str_print(&a.run, "peft.prefix.%s", part_name(part));
                    const char *up = str_print(&a.run, "%s.layer.1.%s", stem, site == SITE_KEYS ? "keys" : "values");
                    Tensor h = plain_linear(&a.run, named(m, str_print(&a.run, "%s.table", stem))->val,
                                            named(m, str_print(&a.run, "%s.mlp.weight", stem)),
                                            named(m, str_print(&a.run, "%s.mlp.bias", stem)));
                    plain_each(h, tanh);
                    Tensor rows = plain_linear(&a.run, h, named(m, str_print(&a.run, "%s.weight", up)),
                                               named(m, str_print(&a.run, "%s.bias", up)));
                    for (int64_t b = 0; b < TINY_B; b++) {
                        Tensor got = tensor_at(after.out, b), content = tensor_at(before.out, b);
                        EXPECT_NEAR(tensor_rows(got, 0, 3), rows, 1e-13);
                        EXPECT_NEAR(tensor_rows(got, 3, content.dim[0]), content, 0);
                    }
                }
                arenas_close(&a);
            }
}

/* ---- dropout, scales and starts */

/* Both sides of a hook in a pass that trains, on a batch without padding. */
static void train_sides(Arenas *a, Model *m, const char *method, const PeftConfig *cfg, Where at, bool train,
                        Ends *before, Ends *after)
{
    Hooks *hooks = hooks_new(&a->run);
    *before = *after = (Ends){.arena = &a->run};
    hook_observe(hooks, at, keep_ends, before);
    EXPECT(peft_find(method)->attach(m, hooks, cfg) == OK, "%s: %s", method, err_message());
    stir(m, "peft.*", 0.4, 7);
    for (int i = 0; i < params_n(m->params); i++) { /* a map that reads one channel alone, in every row */
        Param *p = params_at(m->params, i);
        bool reads = !strcmp(p->name, "peft.vera.A") || str_glob("peft.lora.*.A", p->name);
        int64_t c = tensor_last(p->val);
        for (int64_t j = 0; reads && j < tensor_count(p->val); j++) tensor_set(p->val, j, j % c == 3);
    }
    hook_observe(hooks, at, keep_ends, after);
    Pass p = {.tape = tape_open(&a->step, false), .hooks = hooks, .train = train, .seed = 6};
    model_hidden(m, &p, tiny_batch(&a->run, m, false, false));
}

/* In training each number that dropout sees is 0 or 1 / (1 - p) of itself, and outside of training all stay.  LoRA's
 * and VeRA's inputs are dropped: through a map that reads one channel whole rows vanish.  Adapters drop their output,
 * each number alone. */
static void dropout_acts_in_training_alone(void **state)
{
    (void)state;
    enum { P_INVERSE = 4 }; /* p = 3/4 */
    static const struct {
        const char *method;
        Site site;
    } CASES[] = {{"lora", SITE_Q},
                 {"vera", SITE_Q},
                 {"houlsby", SITE_ATTN_JOIN},
                 {"pfeiffer", SITE_FFN_JOIN},
                 {"parallel", SITE_FFN_JOIN}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Arenas a = arenas();
        const Where at = {CASES[i].site, 0, PART_ENCODER};
        Ends before[2], after[2];
        for (int train = 0; train < 2; train++) {
            Model *m = tiny(&a.run, arch_find("roberta"), F64);
            PeftConfig cfg = variant_config(&(Variant){CASES[i].method, CASES[i].method, NULL}, m);
            cfg.dropout = 0.75;
            train_sides(&a, m, CASES[i].method, &cfg, at, train, &before[train], &after[train]);
        }
        EXPECT_NEAR(before[1].out, before[0].out, 0);
        int64_t n = tensor_count(after[0].out), c = tensor_last(after[0].out), gone = 0, kept = 0;
        for (int64_t k = 0; k < n; k++) {
            double plain = tensor_get(after[0].out, k) - tensor_get(before[0].out, k),
                   dropped = tensor_get(after[1].out, k) - tensor_get(before[1].out, k);
            bool zero = fabs(dropped) < 1e-12;
            EXPECT(fabs(plain) < 1e-9 || zero || fabs(dropped / plain - P_INVERSE) < 1e-6, "%s: %g becomes %g",
                   CASES[i].method, plain, dropped);
            gone += zero, kept += !zero;
        }
        EXPECT(gone > 0 && kept > 0 && gone % (CASES[i].site == SITE_Q ? c : 1) == 0, "%s: %lld of %lld are dropped",
               CASES[i].method, (long long)gone, (long long)n);
        arenas_close(&a);
    }
}

/* DoRA scales the output of the linear layer; with A read through dropout a pass in training differs, one outside
 * does not. */
static void dora_drops_in_training_alone(void **state)
{
    (void)state;
    for (int train = 0; train < 2; train++) {
        Arenas a = arenas();
        const Where at = {SITE_Q, 0, PART_ENCODER};
        Ends before, with[2];
        for (int k = 0; k < 2; k++) {
            Model *m = tiny(&a.run, arch_find("roberta"), F64);
            PeftConfig cfg = variant_config(&(Variant){"dora", "dora", NULL}, m);
            cfg.dropout = k ? 0.5 : 0;
            train_sides(&a, m, "dora", &cfg, at, train, &before, &with[k]);
        }
        assert_true((largest_gap(with[0].out, with[1].out) > 1e-3) == train);
        arenas_close(&a);
    }
}

/* The adapters library's order: down of LN(z), the activation, up, the scale, the adapter's own LN, the residual.  A
 * scale behind the LN would multiply it; before it, it does nearly nothing. */
static void own_norms_stand_around_the_scale(void **state)
{
    (void)state;
    static const ScaleMode MODES[] = {SCALE_FIXED, SCALE_LEARNED, SCALE_CHANNEL};
    static const double BY = 3;
    for (int mode = 0; mode < 3; mode++)
        for (int norms = 0; norms < 4; norms++) { /* 1: before, 2: after */
            Arenas a = arenas();
            Arena *run = &a.run;
            Model *m = tiny(run, arch_find("roberta"), F64);
            const Where at = {SITE_ATTN_JOIN, 0, PART_ENCODER};
            PeftConfig cfg = variant_config(&(Variant){"houlsby", "houlsby", NULL}, m);
            cfg.norm_before = norms & 1, cfg.norm_after = norms & 2;
            cfg.scaling = MODES[mode], cfg.scale = BY;
            Ends before, after;
            train_sides(&a, m, "houlsby", &cfg, at, false, &before, &after);
            const char *stem = "peft.houlsby.encoder.layer.0.attn.";
#define OWN(what) param_find(m->params, str_print(run, "%s%s", stem, what))
            Tensor z = before.out;
            if (norms & 1) z = plain_norm(run, z, &(Norm){OWN("norm_before.weight"), OWN("norm_before.bias"), 1e-5});
            Tensor low = plain_linear(run, z, OWN("down.weight"), OWN("down.bias"));
            plain_each(low, silu);
            Tensor o = plain_linear(run, low, OWN("up.weight"), OWN("up.bias"));
            int64_t c = tensor_last(o);
            for (int64_t i = 0; i < tensor_count(o); i++) {
                double by = mode ? tensor_get(OWN("scale")->val, mode == 2 ? i % c : 0) : BY;
                tensor_set(o, i, by * tensor_get(o, i));
            }
            if (norms & 2) o = plain_norm(run, o, &(Norm){OWN("norm_after.weight"), OWN("norm_after.bias"), 1e-5});
#undef OWN
            EXPECT_NEAR(after.out, plain_sum(run, before.out, 1, o), 1e-12);
            arenas_close(&a);
        }
}

/* Row by row q of the rows of a, by Gram and Schmidt. */
static Tensor plain_orthonormal(Arena *a, Tensor x)
{
    Tensor q = tensor_copy(a, x);
    int64_t c = tensor_last(x);
    for (int64_t i = 0; i < x.dim[0]; i++) {
        double norm = 0;
        for (int64_t j = 0; j < i; j++) {
            double dot = 0;
            for (int64_t k = 0; k < c; k++) dot += tensor_get(q, i * c + k) * tensor_get(q, j * c + k);
            for (int64_t k = 0; k < c; k++)
                tensor_set(q, i * c + k, tensor_get(q, i * c + k) - dot * tensor_get(q, j * c + k));
        }
        for (int64_t k = 0; k < c; k++) norm += pow(tensor_get(q, i * c + k), 2);
        for (int64_t k = 0; k < c; k++) tensor_set(q, i * c + k, tensor_get(q, i * c + k) / sqrt(norm));
    }
    return q;
}

/* h + R' (W h + b - R h) at every row of h. */
static Tensor plain_loreft(Arena *a, const Model *m, Where at, Tensor h)
{
    const char *stem = str_print(a, "peft.loreft.%s.layer.%d", part_name(at.part), at.layer);
    Param r = *named(m, str_print(a, "%s.rotation", stem));
    r.val = plain_orthonormal(a, r.val);
    Tensor low = plain_sum(
               a,
               plain_linear(a, h, named(m, str_print(a, "%s.source", stem)), named(m, str_print(a, "%s.bias", stem))),
               -1, plain_linear(a, h, &r, NULL)),
           y = tensor_copy(a, h);
    int64_t c = tensor_last(h), n = r.val.dim[0];
    for (int64_t i = 0; i < tensor_count(y); i++)
        for (int64_t k = 0; k < n; k++)
            tensor_set(y, i, tensor_get(y, i) + tensor_get(r.val, k * c + i % c) * tensor_get(low, i / c * n + k));
    return y;
}

static void loreft_computes_its_formula(void **state)
{
    (void)state;
    for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++)
        for (Part part = 0; part < PART_CROSS; part++) {
            Arenas a = arenas();
            Model *m = tiny(&a.run, *arch, F64);
            const Where at = {SITE_RESID, 1, part};
            Ends before, after;
            if (model_layers(m, part)) {
                assert_true(both_sides(&a, m, &(Variant){"loreft", "loreft", NULL}, at, &before, &after));
                EXPECT_NEAR(after.out, plain_loreft(&a.run, m, at, before.out), 1e-12);
                assert_true(largest_gap(after.out, before.out) > 1e-2);
            }
            arenas_close(&a);
        }
}

/* Of a text of five tokens and one of three, the first two and the last are edited; a head that reads the first token
 * sees it edited, too. */
static void loreft_acts_at_its_positions(void **state)
{
    (void)state;
    static const bool CHOSEN[TINY_B][TINY_T] = {{1, 1, 0, 0, 1}, {1, 1, 1, 0, 0}};
    for (int layer = 0; layer < 2; layer++) {
        Arenas a = arenas();
        Config c = tiny_config(arch_find("roberta"));
        c.classes = 2;
        Model *m = open_stirred(&a.run, &c, F64);
        const Where at = {SITE_RESID, layer, PART_ENCODER};
        Hooks *hooks = hooks_new(&a.run);
        Ends before = {.arena = &a.run}, after = before;
        hook_observe(hooks, at, keep_ends, &before);
        assert_true(attach_variant(&(Variant){"loreft", "ends", set_ends}, m, hooks));
        stir(m, "peft.*", 0.4, 7);
        hook_observe(hooks, at, keep_ends, &after);
        Pass p = {.tape = tape_open(&a.step, false), .hooks = hooks};
        model_classes(m, &p, tiny_batch(&a.run, m, true, true));
        Tensor edited = plain_loreft(&a.run, m, at, before.out);
        int64_t rows = tensor_count(before.out) / c.dim;
        assert_int_equal(rows, layer ? TINY_B : TINY_B * TINY_T); /* the last layer has the rows that are read */
        for (int64_t i = 0; i < rows * c.dim; i++) {
            int64_t row = i / c.dim;
            bool chosen = layer || CHOSEN[row / TINY_T][row % TINY_T];
            near(tensor_get(after.out, i), tensor_get(chosen ? edited : before.out, i), 1e-12, "edited state");
        }
        arenas_close(&a);
    }
}

/* As published: LoRA's B and VeRA's b are zero, VeRA's d is 0.1 (PEFT's d_initial), DoRA's magnitudes are the norms
 * of the base's rows. */
static void methods_start_as_published(void **state)
{
    (void)state;
    static const char *const METHODS[] = {"lora", "vera", "dora"};
    for (int k = 0; k < 3; k++) {
        Arenas a = arenas();
        Model *m = tiny(&a.run, arch_find("roberta"), F64);
        PeftConfig cfg = variant_config(&(Variant){METHODS[k], METHODS[k], NULL}, m);
        assert_int_equal(peft_attach(peft_find(METHODS[k]), m, hooks_new(&a.run), &cfg), OK);
        int seen = 0;
        for (int i = 0; i < params_n(m->params); i++) {
            const Param *p = params_at(m->params, i);
            bool zero = str_glob("peft.lora.*.B|peft.dora.*.B|peft.vera.*.b", p->name);
            if (!zero && !str_glob("peft.vera.*.d", p->name)) continue;
            seen++;
            for (int64_t j = 0; j < tensor_count(p->val); j++)
                near(tensor_get(p->val, j), zero ? 0 : 0.1, 1e-15, p->name);
        }
        assert_true(seen > 0);
        Param *norms = param_find(m->params, "peft.dora.encoder.layer.0.attention.self.query.magnitude");
        const Tensor w = param_find(m->params, "encoder.layer.0.attention.self.query.weight")->val;
        for (int64_t o = 0; norms && o < w.dim[0]; o++) {
            double sum = 0;
            for (int64_t j = 0; j < w.dim[1]; j++) sum += pow(tensor_get(w, o * w.dim[1] + j), 2);
            near(tensor_get(norms->val, o), sqrt(sum), 1e-12, "magnitude");
        }
        assert_true((norms != NULL) == (k == 2));
        arenas_close(&a);
    }
}

SUITE(cmocka_unit_test(adapters_compute_their_formula), cmocka_unit_test(lora_computes_its_formula),
      cmocka_unit_test(dora_is_lora_on_a_scaled_base), cmocka_unit_test(a_matrix_is_adapted_once),
      cmocka_unit_test(a_prompt_stands_in_front), cmocka_unit_test(the_mlp_makes_keys_and_values),
      cmocka_unit_test(dropout_acts_in_training_alone), cmocka_unit_test(dora_drops_in_training_alone),
      cmocka_unit_test(own_norms_stand_around_the_scale), cmocka_unit_test(methods_start_as_published),
      cmocka_unit_test(loreft_computes_its_formula), cmocka_unit_test(loreft_acts_at_its_positions))
