/* What each method promises besides right gradients: where it starts, what it can and cannot change, how its numbers
 * are counted and named, and what it refuses.  Every test walks the registries. */
#include "tiny.h"

#define EACH_ARCH(a) (const Arch *const *a = arch_begin(); a < arch_end(); a++)

/* ---- counting uses: the linker sends every call of tape_param here (see the Makefile) */

Var *__real_tape_param(Tape *, Param *);
Var *__wrap_tape_param(Tape *, Param *);
enum { COUNTED = 512 };
static struct {
    const Param *param[COUNTED];
    int uses[COUNTED], n;
    bool on;
} counter;

Var *__wrap_tape_param(Tape *t, Param *p)
{
    if (counter.on && p && !strncmp(p->name, "peft.", 5)) {
        int i = 0;
        while (i < counter.n && counter.param[i] != p) i++;
        if (i == counter.n) {
            assert_true(counter.n < COUNTED);
            counter.param[counter.n++] = p;
            counter.uses[i] = 0;
        }
        counter.uses[i]++;
    }
    return __real_tape_param(t, p);
}

static int uses_of(const Param *p)
{
    for (int i = 0; i < counter.n; i++)
        if (counter.param[i] == p) return counter.uses[i];
    return 0;
}

/* How often one pass uses a parameter: once, except that a tied slot makes a key and a value, and the MLP of a part
 * serves the keys and values of all its layers. */
static int promised_uses(const Model *m, const char *name)
{
    if (str_glob("peft.prefix.*.slots", name)) return 2;
    if (str_glob("peft.prefix.*.table|peft.prefix.*.mlp.*", name))
        for (Part p = 0; p < PART_COUNT; p++)
            if (str_glob(str_print(m->run, "peft.prefix.%s.*", part_name(p)), name)) return 2 * model_layers(m, p);
    return 1;
}

static void each_parameter_is_used_as_often_as_promised(void **state)
{
    (void)state;
    Variant v[VARIANTS_MAX];
    int n = variants(v);
    for
        EACH_ARCH(arch)
    for (int i = 0; i < n; i++) {
        Arenas a = arenas();
        Model *m = tiny(&a.run, *arch, F32);
        Hooks *hooks = hooks_new(&a.run);
        if (attach_variant(&v[i], m, hooks)) {
            counter.n = 0;
            counter.on = true;
            logits_of(&a, m, hooks, tiny_batch(&a.run, m, false, false));
            counter.on = false;
            for (int j = 0; j < params_n(m->params); j++) {
                const Param *p = params_at(m->params, j);
                if (strncmp(p->name, "peft.", 5) != 0) continue;
                EXPECT(uses_of(p) == promised_uses(m, p->name), "%s: %s is used %d times, expected %d", (*arch)->name,
                       p->name, uses_of(p), promised_uses(m, p->name));
            }
        }
        err_clear();
        arenas_close(&a);
    }
}

/* A parameter named after a place acts there and nowhere before: with only that place's parameters stirred, what the
 * model computes in earlier layers of the part stays what it was. */
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
    for
        EACH_ARCH(arch)
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
                EXPECT(largest_gap(before.value[0], after.value[0]) == 0, "%s on %s: %s acts in layer 0", v[i].name,
                       (*arch)->name, second);
                if (params_count(m->params, second, false))
                    EXPECT(largest_gap(before.value[1], after.value[1]) > 1e-6, "%s on %s: %s has no effect",
                           v[i].name, (*arch)->name, second);
            }
            err_clear();
            arenas_close(&a);
        }
}

/* ---- formulas, recomputed with plain loops from what the join point saw before and after the method's hook */

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
    for
        EACH_ARCH(arch)
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
    for
        EACH_ARCH(arch)
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
    for
        EACH_ARCH(arch)
        {
            Arenas a = arenas();
            Model *m = tiny(&a.run, *arch, F64);
            const Part part = model_layers(m, PART_ENCODER) ? PART_ENCODER : PART_DECODER;
            Ends before, after;
            assert_true(both_sides(&a, m, &(Variant){"prompt", "prompt", NULL},
                                   (Where){SITE_EMBED, LAYER_EMBED, part}, &before, &after));
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
    for
        EACH_ARCH(arch)
    for (Part part = 0; part < PART_COUNT; part++)
        for (Site site = SITE_KEYS; site <= SITE_VALUES; site++) {
            Arenas a = arenas();
            Model *m = tiny(&a.run, *arch, F64);
            Ends before, after;
            if (model_layers(m, part)) {
                assert_true(
                    both_sides(&a, m, &(Variant){"prefix", "mlp", set_mlp}, (Where){site, 1, part}, &before, &after));
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

/* ---- starts, merging, removal */

static void methods_start_at_the_base(void **state)
{
    (void)state;
    static const char *const exact[] = {"full",     "bitfit",   "norms", "lora", "houlsby",
                                        "pfeiffer", "parallel", "ia3",   NULL};
    for
        EACH_ARCH(arch)
    for (int i = 0; exact[i]; i++)
        for (DType d = F32; d <= F64; d++) {
            Arenas a = arenas();
            Model *m = tiny(&a.run, *arch, d);
            const Batch *b = tiny_batch(&a.run, m, true, false);
            Hooks *hooks = hooks_new(&a.run);
            Tensor base = logits_of(&a, m, NULL, b);
            if (attach_variant(&(Variant){exact[i], exact[i], NULL}, m, hooks))
                EXPECT(largest_gap(base, logits_of(&a, m, hooks, b)) == 0,
                       "%s on %s in %s does not start at the base", exact[i], (*arch)->name, dtype_name(d));
            err_clear();
            arenas_close(&a);
        }
}

static void merging_is_the_same_map(void **state)
{
    (void)state;
    Variant v[VARIANTS_MAX];
    int n = variants(v), merged = 0;
    for
        EACH_ARCH(arch)
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
    for
        EACH_ARCH(arch)
    for (int i = 0; i < n; i++) {
        Arenas a = arenas();
        Model *m = tiny(&a.run, *arch, F32);
        const Batch *b = tiny_batch(&a.run, m, true, false);
        Hooks *hooks = hooks_new(&a.run);
        Tensor base = logits_of(&a, m, hooks, b);
        if (attach_variant(&v[i], m, hooks)) {
            stir(m, "peft.*", 0.4, 4);
            if (hooks_n(hooks))
                EXPECT(largest_gap(base, logits_of(&a, m, hooks, b)) > 1e-3, "%s on %s changes nothing", v[i].name,
                       (*arch)->name);
            hooks_clear_from(hooks, 0);
            EXPECT(largest_gap(base, logits_of(&a, m, hooks, b)) == 0, "%s leaves traces in %s", v[i].name,
                   (*arch)->name);
        }
        err_clear();
        arenas_close(&a);
    }
}

/* ---- what a prefix does to the attention of the first layer */

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
            EXPECT(fabs(gap) < 1e-14, "%s: content attention of row %lld moves by %.1e", what, (long long)r, gap);
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
    for
        EACH_ARCH(arch)
    for (int i = 0; i < 3; i++)
        for (Part part = 0; part < PART_COUNT; part++) {
            if (part == PART_CROSS) continue; /* its queries have passed a prefixed self-attention */
            Arenas a = arenas();
            Model *m = tiny(&a.run, *arch, F64);
            const Batch *b = tiny_batch(&a.run, m, false, false);
            Hooks *hooks = hooks_new(&a.run);
            if (model_layers(m, part)) {
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
    for
        EACH_ARCH(arch)
    for (Part part = 0; part < PART_CROSS; part++) {
        Arenas a = arenas();
        Model *m = tiny(&a.run, *arch, F64);
        const Batch *b = tiny_batch(&a.run, m, true, false);
        Hooks *hooks = hooks_new(&a.run);
        if (model_layers(m, part)) {
            Seen base = first_layer(&a, m, hooks, b, part);
            assert_true(attach_variant(&(Variant){"prefix", "prefix", NULL}, m, hooks));
            stir(m, "peft.*", 0.5, 2);
            Seen with = first_layer(&a, m, hooks, b, part);
            Tensor v =
                param_find(m->params, str_print(&a.run, "peft.prefix.%s.layer.0.values", part_name(part)))->val;
            int64_t h = with.probs.dim[1], t = with.probs.dim[2], s = with.probs.dim[3], hd = tensor_last(v),
                    d = hd / h;
            for (int64_t i = 0; i < tensor_count(with.heads); i++) {
                int64_t row = i / t / hd, head = i % hd / d, query = i / hd % t, r = (row * h + head) * t + query;
                double mine = 0;
                for (int64_t j = 0; j < 3; j++)
                    mine += tensor_get(with.probs, r * s + j) * tensor_get(v, j * hd + i % hd);
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
static void reserved_slots_are_inputs(void **state)
{
    (void)state;
    for
        EACH_ARCH(arch)
        {
            Arenas a = arenas();
            Config c = tiny_config(*arch);
            c.layers = 1;
            if (c.decoder_layers) c.decoder_layers = 1;
            Model *m = open_stirred(&a.run, &c, F64);
            const Batch *b = tiny_batch(&a.run, m, false, false);
            Hooks *hooks = hooks_new(&a.run), *inputs = hooks_new(&a.run);
            const Part part = c.decoder_layers || !model_layers(m, PART_ENCODER) ? PART_DECODER : PART_ENCODER;
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
                if (i / v % t < 2)
                    continue; /* the slots' own rows differ: only their keys and values are overwritten */
                double gap = tensor_get(overwritten, i) - tensor_get(replaced, i);
                EXPECT(fabs(gap) < 1e-12, "%s: logit %lld differs by %.1e", (*arch)->name, (long long)i, gap);
            }
            arenas_close(&a);
        }
}

/* ---- counts */

static void counts_agree_with_what_is_attached(void **state)
{
    (void)state;
    Variant v[VARIANTS_MAX];
    int n = variants(v);
    for
        EACH_ARCH(arch)
    for (int i = 0; i < n; i++) {
        Arenas a = arenas();
        Config c = tiny_config(*arch);
        c.classes = (*arch)->classify ? 3 : 0;
        Model *m = open_stirred(&a.run, &c, F32);
        Hooks *hooks = hooks_new(&a.run);
        PeftConfig cfg = variant_config(&v[i], m);
        if (attach_variant(&v[i], m, hooks)) {
            int64_t counted = peft_find(v[i].method)->count(m, &cfg), trains = params_count(m->params, NULL, true);
            EXPECT(counted + peft_head_count(m) == trains, "%s on %s counts %lld and a head of %lld, trains %lld",
                   v[i].name, (*arch)->name, (long long)counted, (long long)peft_head_count(m), (long long)trains);
            if (c.classes) EXPECT(peft_head_count(m) > 0, "%s: the head is not found", (*arch)->name);
        }
        err_clear();
        arenas_close(&a);
    }
}

/* Published counts, on one layer of each stack at full width; all but the MLP prefix and BitFit grow with layers. */
static const struct {
    const char *arch;
    int layers, decoder_layers, dim, heads, hidden;
} REAL[] = {{"roberta", 12, 0, 768, 12, 3072}, {"bart", 6, 6, 768, 12, 3072}, {"t5", 12, 12, 768, 12, 3072}};
static const struct {
    const char *method;
    int width;
    int64_t count[3]; /* CodeBERT, PLBART, CodeT5-base; 0: not listed */
} PUBLISHED[] = {{"lora", 0, {294912, 442368, 884736}},       {"pfeiffer", 0, {894528, 894528, 1789056}},
                 {"houlsby", 0, {1789056, 1789056, 3578112}}, {"parallel", 0, {7091712, 7091712, 14183424}},
                 {"prefix", 0, {368640, 552960, 1105920}},    {"ia3", 0, {55296, 0, 0}}};

static Model *one_layer(Arena *run, int i, int layers)
{
    const Arch *arch = arch_find(REAL[i].arch);
    Config c = {0};
    arch->defaults(&c);
    c.vocab = 16;
    if (c.positions) c.positions = 32;
    c.dim = REAL[i].dim;
    c.heads = REAL[i].heads;
    c.head_dim = 0;
    c.hidden = REAL[i].hidden;
    c.layers = layers;
    if (REAL[i].decoder_layers) c.decoder_layers = layers;
    Model *m = NULL;
    Status s = model_open(&m, run, &c, F32, 1);
    EXPECT(s == OK, "%s: %s", REAL[i].arch, err_message());
    return m;
}

static int64_t count_of(const Model *m, const char *method, void (*set)(PeftConfig *))
{
    const Peft *p = peft_find(method);
    PeftConfig cfg = {0};
    p->defaults(&cfg, &m->config);
    if (set) set(&cfg);
    return p->count(m, &cfg);
}

static void mlp_of_30(PeftConfig *cfg)
{
    cfg->kind = PREFIX_MLP;
    cfg->length = 30;
    cfg->width = 512;
}

static void published_counts(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        if (!arch_find(REAL[i].arch)) continue;
        Arenas a = arenas();
        Model *m = one_layer(&a.run, i, 1);
        for (size_t j = 0; j < sizeof PUBLISHED / sizeof *PUBLISHED; j++) {
            int64_t n = REAL[i].layers * count_of(m, PUBLISHED[j].method, NULL);
            EXPECT(!PUBLISHED[j].count[i] || n == PUBLISHED[j].count[i],
                   "%s on %s has %lld parameters, published %lld", PUBLISHED[j].method, REAL[i].arch, (long long)n,
                   (long long)PUBLISHED[j].count[i]);
        }
        arenas_close(&a);
    }
    if (!arch_find("roberta")) return;
    Arenas a = arenas();
    const Model *one = one_layer(&a.run, 0, 1), *two = one_layer(&a.run, 0, 2);
    int64_t bias1 = count_of(one, "bitfit", NULL), bias2 = count_of(two, "bitfit", NULL);
    assert_int_equal(bias1 + 11 * (bias2 - bias1), 102144);
    int64_t mlp1 = count_of(one, "prefix", mlp_of_30), mlp2 = count_of(two, "prefix", mlp_of_30);
    assert_int_equal(mlp1 + 11 * (mlp2 - mlp1), 9872384);
    arenas_close(&a);
}

static void a_budget_is_met_from_below(void **state)
{
    (void)state;
    for
        EACH_ARCH(arch)
    for (const Peft *const *p = peft_begin(); p < peft_end(); p++) {
        Arenas a = arenas();
        Model *m = tiny(&a.run, *arch, F32);
        PeftConfig cfg = {0};
        (*p)->defaults(&cfg, &m->config);
        Status s = peft_fit(*p, m, &cfg, 5000);
        if ((*p)->knob) {
            assert_int_equal(s, OK);
            int64_t fits = (*p)->count(m, &cfg);
            ++*(*p)->knob(&cfg);
            EXPECT(fits <= 5000 && (*p)->count(m, &cfg) > 5000, "%s on %s: %lld for a budget of 5000", (*p)->name,
                   (*arch)->name, (long long)fits);
            assert_int_equal(peft_fit(*p, m, &cfg, 3), E_CONFIG);
        } else
            assert_int_equal(s, E_CONFIG);
        err_clear();
        arenas_close(&a);
    }
}

/* ---- refusals */

static void zero_rank(PeftConfig *c)
{
    c->rank = 0;
}
static void wrong_target(PeftConfig *c)
{
    c->target = "*.qurey";
}
static void no_length(PeftConfig *c)
{
    c->length = 0;
}
static void too_long(PeftConfig *c)
{
    c->length = 1000;
}
static void no_part(PeftConfig *c)
{
    memset(c->on, 0, sizeof c->on);
}
static void reserved_but_free(PeftConfig *c)
{
    c->reserved = c->length;
}
static void reserved_but_other(PeftConfig *c)
{
    c->kind = PREFIX_TIED;
    c->reserved = c->length - 1;
}
static void full_dropout(PeftConfig *c)
{
    c->dropout = 1;
}
static void no_width(PeftConfig *c)
{
    c->width = -1;
}

static void impossible_settings_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *method, *says;
        void (*set)(PeftConfig *);
    } cases[] = {{"lora", "rank is 0", zero_rank},
                 {"lora", "nearest is \"*.query\"", wrong_target},
                 {"lora", "their names end in", wrong_target},
                 {"lora", "dropout is 1", full_dropout},
                 {"lora", "none of the parts", no_part},
                 {"ia3", "none of the parts", no_part},
                 {"prefix", "length is 0", no_length},
                 {"prefix", "only a tied prefix", reserved_but_free},
                 {"prefix", "19 reserved", reserved_but_other},
                 {"prefix", "none of the parts", no_part},
                 {"prompt", "length is 0", no_length},
                 {"prompt", "1000 virtual tokens", too_long},
                 {"houlsby", "no bottleneck", no_width},
                 {"pfeiffer", "none of the parts", no_part}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Arenas a = arenas();
        Model *m = tiny(&a.run, arch_find("roberta"), F32);
        const Peft *p = peft_find(cases[i].method);
        PeftConfig cfg = {0};
        p->defaults(&cfg, &m->config);
        cases[i].set(&cfg);
        int before = params_n(m->params);
        assert_int_equal(peft_attach(p, m, hooks_new(&a.run), &cfg), E_CONFIG);
        EXPECT(strstr(err_message(), cases[i].says), "expected \"%s\" in: %s", cases[i].says, err_message());
        assert_int_equal(params_n(m->params), before);
        err_clear();
        arenas_close(&a);
    }
}

static void t5_has_no_biases(void **state)
{
    (void)state;
    Arenas a = arenas();
    Model *m = tiny(&a.run, arch_find("t5"), F32);
    PeftConfig cfg = {0};
    assert_int_equal(peft_attach(peft_find("bitfit"), m, hooks_new(&a.run), &cfg), E_CONFIG);
    assert_non_null(strstr(err_message(), "t5 has none: take norms"));
    err_clear();
    assert_int_equal(peft_attach(peft_find("norms"), m, hooks_new(&a.run), &cfg), OK);
    arenas_close(&a);
}

static void a_method_attaches_once(void **state)
{
    (void)state;
    Arenas a = arenas();
    Model *m = tiny(&a.run, arch_find("gpt2"), F32);
    Hooks *hooks = hooks_new(&a.run);
    const Variant lora = {"lora", "lora", NULL};
    assert_true(attach_variant(&lora, m, hooks));
    assert_false(attach_variant(&lora, m, hooks));
    assert_non_null(strstr(err_message(), "attached to this model already"));
    err_clear();
    arenas_close(&a);
}

SUITE(cmocka_unit_test(each_parameter_is_used_as_often_as_promised),
      cmocka_unit_test(parameters_act_where_their_names_say), cmocka_unit_test(adapters_compute_their_formula),
      cmocka_unit_test(lora_computes_its_formula), cmocka_unit_test(a_matrix_is_adapted_once),
      cmocka_unit_test(a_prompt_stands_in_front), cmocka_unit_test(the_mlp_makes_keys_and_values),
      cmocka_unit_test(methods_start_at_the_base), cmocka_unit_test(merging_is_the_same_map),
      cmocka_unit_test(removing_hooks_restores_the_base), cmocka_unit_test(a_prefix_keeps_content_ratios),
      cmocka_unit_test(a_prefix_mixes_into_the_output), cmocka_unit_test(reserved_slots_are_inputs),
      cmocka_unit_test(counts_agree_with_what_is_attached), cmocka_unit_test(published_counts),
      cmocka_unit_test(a_budget_is_met_from_below), cmocka_unit_test(impossible_settings_are_refused),
      cmocka_unit_test(t5_has_no_biases), cmocka_unit_test(a_method_attaches_once))
