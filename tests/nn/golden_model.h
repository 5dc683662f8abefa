/* Comparing a model with a reference's record of it: every layer, every attention map, loss and gradients. */
#ifndef TESTS_NN_GOLDEN_MODEL_H
#define TESTS_NN_GOLDEN_MODEL_H

#include "golden.h"
#include "nn/generate.h"

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
    static const char *const PREFIX[] = {"transformer.", "roberta.", "bert.", "model.", "gpt_neox."};
    for (int i = 0; i < 5; i++)
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
        EXPECT(gap <= (g->dtype == F64 ? (1e-8 + 5 * g->slack) * size + 1e-10 : 2e-4 * size + 1e-6),
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

/* HF's labels of a decoder-only model are its inputs: the target of a position is the next label. */
static inline int32_t *next_labels(Golden *g, Ids labels)
{
    int32_t *target = NEW(&g->run, int32_t, labels.b * labels.t);
    for (int64_t i = 0; i < labels.b * labels.t; i++) target[i] = (i + 1) % labels.t ? labels.id[i + 1] : -1;
    return target;
}

/* Padding in front is a mask and positions of the caller's; rows of padding are left out. */
static inline void left_padded(Golden *g, Model *m)
{
    const char *name = "left_padded";
    Ids x = golden_ids(g, name, "inputs", "input_ids"), mask = golden_ids(g, name, "inputs", "attention_mask");
    uint8_t *seen = NEW(&g->run, uint8_t, x.b * x.t);
    for (int64_t i = 0; i < x.b * x.t; i++) seen[i] = mask.id[i] != 0;
    Batch batch = {.b = x.b, .t = x.t, .ids = x.id, .mask = seen};
    batch.position = golden_ids(g, name, "inputs", "position_ids").id;
    Pass p = {.tape = tape_open(&g->step, false)};
    Tensor got = tensor_copy(&g->run, model_logits(m, &p, &batch)->val), want = golden_array(g, name, "logits");
    for (int64_t i = 0; i < tensor_count(got); i++)
        if (!seen[i / tensor_last(got)]) tensor_set(got, i, tensor_get(want, i));
    golden_compare(g, name, "logits", got, want, NULL);
}

/* ---- greedy decoding, batched, with the cache */

static inline void expect_row(const char *name, int64_t row, const int32_t *got, int32_t n, const cJSON *want,
                              int skip_first, int eos)
{
    const cJSON *x;
    int i = -skip_first;
    cJSON_ArrayForEach(x, want)
    {
        if (i >= 0 && i < n)
            EXPECT(got[i] == (int32_t)x->valuedouble, "%s row %lld: token %d is %d, expected %d", name,
                   (long long)row, i, got[i], (int32_t)x->valuedouble);
        if (i >= n) EXPECT(got[n - 1] == eos, "%s row %lld ends after %d tokens", name, (long long)row, n);
        i++;
    }
}

static inline double number_or(const cJSON *how, const char *key, double otherwise)
{
    const cJSON *x = cJSON_GetObjectItem(how, key);
    return cJSON_IsTrue(x) ? 1 : cJSON_IsNumber(x) ? x->valuedouble : otherwise;
}

/* Prompts of different lengths in one batch, padded on the right. */
static inline Batch ragged(Golden *g, const char *name)
{
    const cJSON *prompts = golden_get(g, name, "inputs", "prompts"), *row, *x;
    Batch batch = {.b = cJSON_GetArraySize(prompts)};
    cJSON_ArrayForEach(row, prompts) batch.t = cJSON_GetArraySize(row) > batch.t ? cJSON_GetArraySize(row) : batch.t;
    int32_t *ids = NEW(&g->run, int32_t, batch.b * batch.t), *len = NEW(&g->run, int32_t, batch.b);
    int64_t b = 0;
    cJSON_ArrayForEach(row, prompts)
    {
        cJSON_ArrayForEach(x, row) ids[b * batch.t + len[b]++] = (int32_t)x->valuedouble;
        b++;
    }
    batch.ids = ids;
    batch.len = len;
    return batch;
}

/* The case generate_greedy of a decoder. */
static inline void compare_greedy(Golden *g, Model *m)
{
    const char *name = "generate_greedy";
    Batch batch = ragged(g, name);
    const cJSON *how = golden_get(g, name, "inputs", "generate"), *row;
    GenerateConfig c = generate_defaults(m, (int)number_or(how, "new_tokens", 0));
    c.eos = (int)number_or(how, "eos_token_id", cJSON_HasObjectItem(how, "eos_token_id") ? -1 : c.eos);
    int32_t *out = NEW(&g->run, int32_t, batch.b * c.max_new), *n = NEW(&g->run, int32_t, batch.b);
    EXPECT(generate_tokens(out, n, m, NULL, &g->step, &batch, &c) == OK, "%s", err_message());
    int64_t b = 0;
    cJSON_ArrayForEach(row, golden_get(g, name, "outputs", "sequences"))
    {
        expect_row(name, b, out + b * c.max_new, n[b], row, batch.len[b], c.eos);
        b++;
    }
    assert_int_equal(b, batch.b);
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
