/* The gradient conformance matrix: every architecture x every method x attention path, in F64 against central
 * differences, then F32 gradients against F64 gradients.  Architectures and methods come from their registries: one
 * that is added is tested.  Runs print their table of errors as comments. */
#include "tiny.h"

typedef struct {
    Model *model;
    const Hooks *hooks;
    const Batch *batch;
    bool train, checkpoint;
} Problem;

static Var *loss_of(Tape *t, void *ctx)
{
    const Problem *x = ctx;
    Pass p = {.tape = t, .hooks = x->hooks, .seed = 77, .train = x->train, .checkpoint = x->checkpoint};
    return model_loss(x->model, &p, x->batch);
}

typedef struct {
    bool open, ragged, labels, dropout;
    bool exact; /* DoRA's gradient goes through its norm: differences cannot hold it constant */
} Setting;

static bool open_setting(Setting s, Arenas *a, const Arch *arch, const Variant *v, DType dtype, Problem *out)
{
    Config c = tiny_config(arch);
    if (s.labels) c.classes = 2;
    if (s.dropout) c.dropout = c.attn_dropout = 0.2;
    Model *m = open_stirred(&a->run, &c, dtype);
    Hooks *hooks = hooks_new(&a->run);
    PeftConfig cfg = variant_config(v, m);
    if (s.dropout) cfg.dropout = 0.25;
    if (s.exact) cfg.norm_gradient = true;
    Status status = peft_attach(peft_find(v->method), m, hooks, &cfg);
    EXPECT(status == OK || (status == E_CONFIG && err_message()[0]), "%s on %s: %s", v->name, arch->name,
           err_message());
    err_clear();
    stir(m, "peft.*", 0.4, 8);
    if (s.open) open_paths(hooks);
    *out = (Problem){m, hooks, tiny_batch(&a->run, m, s.ragged, s.labels), s.dropout, false};
    return status == OK;
}

/* Relative error of gradients, worst of random directions and of single parameters; -1 where the method refuses. */
static double checked(Setting s, const Arch *arch, const Variant *v)
{
    Arenas a = arenas();
    Problem x;
    double worst = -1;
    s.exact = true;
    if ((!s.labels || arch->classify) && open_setting(s, &a, arch, v, F64, &x)) {
        GradCheck g = gradcheck_run(x.model->params, &a.step, loss_of, &x, 5, 3);
        worst = fmax(g.worst, g.worst_each);
        EXPECT(g.numbers > 0 && g.norm > 0, "%s on %s trains nothing", v->name, arch->name);
        EXPECT(worst < 1e-6, "%s on %s%s%s%s%s: %.2e along random directions, %.2e along %s", v->name, arch->name,
               s.open ? ", open path" : "", s.ragged ? ", ragged" : "", s.labels ? ", labels" : "",
               s.dropout ? ", dropout" : "", g.worst, g.worst_each, g.at);
    }
    arenas_close(&a);
    return worst;
}

/* One table: rows are methods, columns architectures. */
static void table(const char *title, double (*cell)(Setting, const Arch *, const Variant *), Setting s)
{
    Variant v[VARIANTS_MAX];
    int n = variants(v);
    printf("# %s\n# %-16s", title, "");
    for (const Arch *const *a = arch_begin(); a < arch_end(); a++) printf(" %10s", (*a)->name);
    printf("\n");
    for (int i = 0; i < n; i++) {
        printf("# %-16s", v[i].name);
        for (const Arch *const *a = arch_begin(); a < arch_end(); a++) {
            double e = cell(s, *a, &v[i]);
            if (e < 0)
                printf(" %10s", "-");
            else
                printf(" %10.1e", e);
        }
        printf("\n");
    }
}

static void gradients_fused(void **state)
{
    (void)state;
    table("F64 gradients against differences, fused attention", checked, (Setting){0});
}

static void gradients_fused_ragged(void **state)
{
    (void)state;
    table("the same with padding", checked, (Setting){.ragged = true});
}

static void gradients_open_ragged(void **state)
{
    (void)state;
    table("open attention, with padding", checked, (Setting){.open = true, .ragged = true});
}

static void gradients_labels(void **state)
{
    (void)state;
    table("classification head, with padding", checked, (Setting){.labels = true, .ragged = true});
}

static void gradients_dropout(void **state)
{
    (void)state;
    table("dropout on, fused", checked, (Setting){.dropout = true, .ragged = true});
    table("dropout on, open", checked, (Setting){.dropout = true, .open = true, .ragged = true});
}

static void gradient(Problem *x, Arena *step)
{
    Tape *t = tape_open(step, true);
    params_zero_grad(x->model->params);
    tape_backward(t, loss_of(t, x));
}

/* |g32 - g64| / |g64| over all trainable parameters.  Norms over 12 channels amplify rounding by chance: over four
 * draws of the models the worst of all methods and families is 2.4e-5, the median 1e-6. */
static double single_against_double(Setting s, const Arch *arch, const Variant *v)
{
    Arenas a = arenas();
    Problem narrow, wide;
    double gap = 0, size = 0;
    bool there = open_setting(s, &a, arch, v, F64, &wide) && open_setting(s, &a, arch, v, F32, &narrow);
    if (there) {
        gradient(&wide, &a.step);
        gradient(&narrow, &a.step);
        for (int i = 0; i < params_n(wide.model->params); i++) {
            const Param *p = params_at(wide.model->params, i), *q = params_at(narrow.model->params, i);
            assert_string_equal(p->name, q->name);
            for (int64_t j = 0; p->trainable && j < tensor_count(p->val); j++) {
                double g = tensor_get(p->grad, j), d = tensor_get(q->grad, j) - g;
                gap += d * d;
                size += g * g;
            }
        }
    }
    arenas_close(&a);
    if (!there) return -1;
    double e = sqrt(gap / size);
    EXPECT(e < 5e-5, "%s on %s: F32 gradients are %.2e from F64", v->name, arch->name, e);
    return e;
}

static void single_precision(void **state)
{
    (void)state;
    table("F32 gradients against F64, relative L2", single_against_double, (Setting){.ragged = true});
    table("the same, open attention", single_against_double, (Setting){.open = true});
}

/* Layers run again while going back give the same gradients, dropout included: to the bit where a layer has one
 * input; a decoder's layers also read the encoder's result, whose gradients are then summed in another order. */
static void checkpointing_changes_nothing(void **state)
{
    (void)state;
    Variant v[VARIANTS_MAX];
    int n = variants(v);
    for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++)
        for (int i = 0; i < n; i++) {
            Arenas a = arenas();
            Problem x;
            double limit = (*arch)->decode ? 1e-4 : 0;
            if (open_setting((Setting){.ragged = true, .dropout = true}, &a, *arch, &v[i], F32, &x)) {
                ParamSet *set = x.model->params;
                Tensor *plain = NEW(&a.run, Tensor, params_n(set));
                gradient(&x, &a.step);
                for (int j = 0; j < params_n(set); j++)
                    if (params_at(set, j)->trainable) plain[j] = tensor_copy(&a.run, params_at(set, j)->grad);
                x.checkpoint = true;
                gradient(&x, &a.step);
                for (int j = 0; j < params_n(set); j++)
                    if (params_at(set, j)->trainable)
                        EXPECT(largest_gap(plain[j], params_at(set, j)->grad) <= limit,
                               "%s on %s: the gradient of %s changes with checkpointing", v[i].name, (*arch)->name,
                               params_at(set, j)->name);
            }
            arenas_close(&a);
        }
}

/* ---- rows without their padding */

/* All gradients, and the states of the rows: with `whole` the batch keeps its padding, because a hook may look at any
 * row of it. */
static Tensor gradients_and_states(Arenas *a, Setting s, const Arch *arch, const Variant *v, bool checkpoint,
                                   bool whole, Tensor *states)
{
    Problem x;
    if (!open_setting(s, a, arch, v, F64, &x)) return (Tensor){0};
    x.checkpoint = checkpoint;
    if (whole) hook_observe((Hooks *)(uintptr_t)x.hooks, (Where){SITE_RESID, LAYER_ANY, PART_ANY}, see_nothing, NULL);
    gradient(&x, &a->step);
    ParamSet *set = x.model->params;
    Tensor all = tensor_zero(&a->run, F64, SHAPE(params_count(set, NULL, true)));
    int64_t n = 0;
    for (int i = 0; i < params_n(set); i++) {
        const Param *p = params_at(set, i);
        for (int64_t j = 0; p->trainable && j < tensor_count(p->val); j++)
            tensor_set(all, n++, p->grad.data ? tensor_get(p->grad, j) : 0);
    }
    Pass p = {.tape = tape_open(&a->step, false), .hooks = x.hooks};
    *states = tensor_copy(&a->run, model_hidden(x.model, &p, x.batch)->val);
    return all;
}

/* Whether the last row of the states, which is padding, is the zeros that unpacking leaves there. */
static bool was_packed(Tensor states)
{
    Tensor last = tensor_at(tensor_at(states, TINY_B - 1), states.dim[1] - 1);
    for (int64_t i = 0; i < tensor_count(last); i++)
        if (tensor_get(last, i) != 0) return false;
    return true;
}

/* Whether the batch was packed; whether or not, everything is as it is with padding. */
static bool packed_as_padded(Setting s, const Arch *arch, const Variant *v, bool checkpoint)
{
    Arenas a = arenas();
    Tensor states[2], packed = gradients_and_states(&a, s, arch, v, checkpoint, false, &states[0]),
                      padded = gradients_and_states(&a, s, arch, v, checkpoint, true, &states[1]);
    bool was = false;
    if (packed.data) {
        double gap = largest_gap(packed, padded);
        EXPECT(gap < 1e-11, "%s on %s: packing moves gradients by %.2e", v->name, arch->name, gap);
        for (int b = 0; b < TINY_B; b++) {
            int64_t n = states[0].dim[1] - (b ? 2 : 0); /* with prompts in front */
            gap = largest_gap(tensor_rows(tensor_at(states[0], b), 0, n), tensor_rows(tensor_at(states[1], b), 0, n));
            EXPECT(gap < 1e-12, "%s on %s: packing moves states by %.2e", v->name, arch->name, gap);
        }
        EXPECT(!was_packed(states[1]), "%s on %s: the padding that a hook looks at is left out", v->name, arch->name);
        was = was_packed(states[0]);
    }
    arenas_close(&a);
    return was;
}

static void packing_changes_nothing(void **state)
{
    (void)state;
    Variant v[VARIANTS_MAX];
    int n = variants(v), packed = 0;
    for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++)
        for (int i = 0; i < n; i++) {
            packed += packed_as_padded((Setting){.ragged = true}, *arch, &v[i], i % 2);
            Setting s = {.ragged = true, .labels = (*arch)->classify != NULL, .dropout = true};
            packed_as_padded(s, *arch, &v[i], i % 2 == 0);
        }
    assert_true(packed > 50); /* BERT and RoBERTa with most methods */
}

/* MAM: two methods on one Hooks. */
static void methods_combine(void **state)
{
    (void)state;
    for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++) {
        if (tiny_config(*arch).window) continue; /* has no prefix */
        Arenas a = arenas();
        Problem x;
        assert_true(
            open_setting((Setting){.ragged = true}, &a, *arch, &(Variant){"prefix", "prefix", NULL}, F64, &x));
        Hooks *both = (Hooks *)(uintptr_t)x.hooks;
        assert_true(attach_variant(&(Variant){"parallel", "parallel", NULL}, x.model, both));
        assert_true(attach_variant(&(Variant){"lora", "lora", NULL}, x.model, both));
        stir(x.model, "peft.parallel.*|peft.lora.*", 0.4, 8);
        GradCheck g = gradcheck_run(x.model->params, &a.step, loss_of, &x, 5, 3);
        EXPECT(g.worst < 1e-6 && g.worst_each < 1e-6, "prefix, parallel and lora on %s: %.2e, %.2e along %s",
               (*arch)->name, g.worst, g.worst_each, g.at);
        arenas_close(&a);
    }
}

SUITE(cmocka_unit_test(gradients_fused), cmocka_unit_test(gradients_fused_ragged),
      cmocka_unit_test(gradients_open_ragged), cmocka_unit_test(gradients_labels),
      cmocka_unit_test(gradients_dropout), cmocka_unit_test(single_precision),
      cmocka_unit_test(checkpointing_changes_nothing), cmocka_unit_test(packing_changes_nothing),
      cmocka_unit_test(methods_combine))
