/* Comparing a model with a reference's record of it: every layer, every attention map, loss and gradients. */
#ifndef TESTS_NN_GOLDEN_MODEL_H
#define TESTS_NN_GOLDEN_MODEL_H

#include "golden.h"

static inline Model *golden_model(Golden *g, const char *sub, const LoadOptions *options)
{
    Model *m;
    LoadOptions o = options ? *options : (LoadOptions){0};
    o.dtype = g->dtype;
    Status s = model_load_as(&m, &g->run, *sub ? str_print(&g->run, "%s/%s", g->dir, sub) : g->dir, &o);
    EXPECT(s == OK, "%s%s", err_message(), err_trace());
    return m;
}

/* Captures every map and layer output of a part. */
typedef struct {
    Capture probs[8], resid[8], embed;
} Seen;

static inline void watch(Golden *g, Hooks *h, Seen *seen, Part part)
{
    *seen = (Seen){.embed = {.arena = &g->run}};
    hook_observe(h, (Where){SITE_RESID, LAYER_EMBED, part}, hook_capture, &seen->embed);
    for (int l = 0; l < 8; l++) {
        seen->probs[l].arena = seen->resid[l].arena = &g->run;
        hook_observe(h, (Where){SITE_PROBS, l, part}, hook_capture, &seen->probs[l]);
        hook_observe(h, (Where){SITE_RESID, l, part}, hook_capture, &seen->resid[l]);
    }
}

/* prefix: "" or "encoder/"; the golden list of hidden states ends with the normed one, which is `last`. */
static inline void compare_part(Golden *g, const char *name, const char *prefix, const Seen *seen, int layers,
                                Tensor last, const int32_t *len)
{
    char key[64];
    if (golden_get(g, name, "arrays", (snprintf(key, sizeof key, "%sembeddings", prefix), key)))
        EXPECT_GOLDEN(seen->embed.value, g, name, key, len);
    for (int l = 0; l < layers; l++) {
        snprintf(key, sizeof key, "%sattention/%d", prefix, l);
        EXPECT_GOLDEN(seen->probs[l].value, g, name, key, len);
        snprintf(key, sizeof key, "%shidden/%d", prefix, l);
        if (golden_get(g, name, "arrays", key))
            EXPECT_GOLDEN(l == layers - 1 ? last : seen->resid[l].value, g, name, key, len);
    }
}

static inline const char *bare(const Model *m, const char *name)
{
    static const char *const PREFIX[] = {"transformer.", "roberta.", "bert.", "model."};
    for (int i = 0; i < 4; i++)
        if (!strncmp(name, PREFIX[i], strlen(PREFIX[i])) && !param_find(m->params, name))
            return name + strlen(PREFIX[i]);
    return name;
}

/* The reference's token table takes no gradient from looking up padding; ours does, so where padding is scored (as
 * PLBART's own loss does) that row, and the norm with it, differs. */
static inline void drop_padding_row(const Model *m, Tensor got, Tensor want)
{
    int64_t c = tensor_last(got);
    for (int64_t i = 0; i < c; i++) {
        tensor_set(got, m->config.pad * c + i, 0);
        tensor_set(want, m->config.pad * c + i, 0);
    }
}

static inline bool pads_scored(const Model *m, const char *name)
{
    return !strcmp(m->config.arch, "bart") && !strcmp(name, "seq2seq");
}

static inline void compare_gradients(Golden *g, Model *m, const char *name)
{
    const cJSON *j;
    int arrays = 0, norms = 0;
    Gap worst = {0};
    cJSON_ArrayForEach(j, cJSON_GetObjectItem(cJSON_GetObjectItem(g->cases, name), "arrays"))
    {
        if (strncmp(j->string, "grad/", 5)) continue;
        const Param *p = param_find(m->params, bare(m, j->string + 5));
        EXPECT(p != NULL, "no parameter %s", j->string);
        if (strstr(j->string, "key.bias")) continue; /* its gradient is zero but for rounding */
        Tensor want = golden_array(g, name, j->string);
        if (pads_scored(m, name) && !strcmp(p->name, "shared.weight")) drop_padding_row(m, p->grad, want);
        golden_compare(g, name, j->string, p->grad, want, NULL);
        arrays++;
    }
    cJSON_ArrayForEach(j, golden_get(g, name, "outputs", "grad_norms_f64"))
    {
        const Param *p = param_find(m->params, bare(m, j->string));
        EXPECT(p != NULL, "no parameter %s", j->string);
        if (pads_scored(m, name) && !strcmp(p->name, "shared.weight")) continue;
        double sum = 0;
        for (int64_t i = 0; i < tensor_count(p->grad); i++) sum += pow(tensor_get(p->grad, i), 2);
        double gap = fabs(sqrt(sum) - j->valuedouble), size = fabs(j->valuedouble);
        EXPECT(gap <= (g->dtype == F64 ? 1e-8 * size + 1e-10 : 2e-4 * size + 1e-6),
               "%s: gradient norm %.12g, expected %.12g", j->string, sqrt(sum), j->valuedouble);
        if (size > 1e-5) worst = (Gap){fmax(worst.abs, gap), fmax(worst.rel, gap / size)};
        norms++;
    }
    if (norms) golden_tell(g, name, "grad_norms", worst);
    EXPECT(arrays + norms > 3, "%s: only %d gradients compared", name, arrays + norms);
}

/* Loss and gradients of a case. */
static inline void compare_loss(Golden *g, Model *m, const char *name, const Batch *x)
{
    params_train(m->params, "*", true);
    params_zero_grad(m->params);
    ArenaMark mark = arena_mark(&g->step);
    Pass p = {.tape = tape_open(&g->step, true)};
    Var *loss = model_loss(m, &p, x);
    golden_number(g, name, "loss", tape_scalar(loss));
    tape_backward(p.tape, loss);
    if (golden_get(g, name, "outputs", "grad_norms_f64")) compare_gradients(g, m, name);
    arena_drop(&g->step, mark);
}

/* A comparison as two tests, in F32 and in F64. */
#define BOTH(family)                                                                                                 \
    static void family##_f32(void **state)                                                                           \
    {                                                                                                                \
        (void)state;                                                                                                 \
        family(F32);                                                                                                 \
    }                                                                                                                \
    static void family##_f64(void **state)                                                                           \
    {                                                                                                                \
        (void)state;                                                                                                 \
        family(F64);                                                                                                 \
    }
#define TWO(family) cmocka_unit_test(family##_f32), cmocka_unit_test(family##_f64)

#endif
