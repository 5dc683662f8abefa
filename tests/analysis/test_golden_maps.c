/* Attention maps against third-party implementations, within 1e-5 of a weight: of a whole padded batch, and of one
 * text as `vernier attend` reads it.  Capturing takes the open path, and the output is the fused path's to rounding.
 * Skipped where the golden files are not at hand. */
#include "nn/golden_model.h"

#include "analysis/maps.h"

typedef struct {
    const char *name, *which; /* of the folder, of the case */
    bool pair;
} Source;

/* Rows of the golden array whose query is no padding; with `one`, row 0 of the batch alone, its padding cut away. */
static void compare_map(Tensor got, Tensor want, const int32_t *queries, const int32_t *keys, bool one,
                        const char *what)
{
    int64_t b = want.dim[0], h = want.dim[1], t = want.dim[2], s = want.dim[3], rows = 0;
    double worst = 0;
    for (int64_t i = 0; i < (one ? 1 : b) * h * t; i++) {
        int64_t row = i / h / t, n = keys ? keys[row] : s, q = queries ? queries[row] : t;
        if (i % t >= q) continue;
        for (int64_t j = 0; j < n; j++) {
            int64_t at = one ? (i / t * q + i % t) * n + j : i * s + j;
            double gap = fabs(tensor_get(got, at) - tensor_get(want, i * s + j));
            worst = isnan(gap) || gap > worst ? gap : worst;
        }
        rows++;
    }
    EXPECT(rows > 0 && worst <= 1e-5, "%s%s: %lld rows, off by %.3g", what, one ? ", one text" : "", (long long)rows,
           worst);
}

static const char *key_of(Golden *g, bool pair, Part part, int layer)
{
    static const char *const side[] = {
        [PART_ENCODER] = "encoder/", [PART_DECODER] = "decoder/", [PART_CROSS] = "cross/"};
    return str_print(&g->run, "%sattention/%d", pair ? side[part] : "", layer);
}

static Batch batch_of(Golden *g, const Source *c, const Model *m)
{
    Ids x = golden_ids(g, c->which, "inputs", "input_ids");
    int32_t *len = NEW(&g->run, int32_t, x.b);
    for (int64_t i = 0; i < x.b * x.t; i++) len[i / x.t] += x.id[i] != m->config.pad;
    if (golden_get(g, c->which, "inputs", "attention_mask")) len = golden_len(g, c->which, "attention_mask");
    const int32_t *type = golden_get(g, c->which, "inputs", "token_type_ids")
                              ? golden_ids(g, c->which, "inputs", "token_type_ids").id
                              : NULL;
    if (!c->pair) return (Batch){.b = x.b, .t = x.t, .ids = x.id, .len = len, .type = type};
    Ids d = golden_ids(g, c->which, "outputs", "decoder_input_ids");
    return (Batch){.b = x.b, .s = x.t, .src = x.id, .src_len = len, .t = d.t, .ids = d.id};
}

/* The first text of the batch by itself. */
static Batch first_of(const Batch *x)
{
    Batch one = *x;
    one.b = 1, one.len = one.src_len = NULL;
    if (x->len) one.t = x->len[0];
    if (x->src_len) one.s = x->src_len[0];
    return one;
}

static void compare_maps(Golden *g, const Source *c, Model *m, const Batch *x, Part part, const Seen *seen)
{
    const int32_t *queries = part == PART_ENCODER && c->pair ? x->src_len : c->pair ? NULL : x->len;
    const int32_t *keys = part == PART_DECODER && c->pair ? NULL : c->pair ? x->src_len : x->len;
    Batch one = first_of(x);
    Maps maps;
    maps_read(&maps, &g->run, m, hooks_new(&g->run), &one, part);
    for (int l = 0; l < model_layers(m, part); l++) {
        const char *key = key_of(g, c->pair, part, l), *what = str_print(&g->run, "%s %s", c->name, key);
        Tensor want = golden_array(g, c->which, key);
        EXPECT(tensor_same_shape(seen->probs[l].value, want), "%s has shape %s", what,
               tensor_shape(seen->probs[l].value));
        compare_map(seen->probs[l].value, want, queries, keys, false, what);
        compare_map(maps.probs[l], want, queries, keys, true, what);
    }
}

static void compare(const Source *c, DType dtype)
{
    Golden g;
    if (!golden_open(&g, c->name)) skip();
    g.dtype = dtype;
    Model *m = golden_model(&g, "", NULL);
    Batch x = batch_of(&g, c, m);
    Tensor fused = tensor_copy(&g.run, model_hidden(m, &(Pass){.tape = tape_open(&g.step, false)}, &x)->val);
    Hooks *hooks = hooks_new(&g.run);
    Seen seen[3];
    for (int p = 0; p < 3; p++) watch(&g, hooks, &seen[p], (Part)p);
    Tensor open = model_hidden(m, &(Pass){.tape = tape_open(&g.step, false), .hooks = hooks}, &x)->val;
    int parts = 0;
    for (int p = 0; p < 3; p++) {
        if (!model_layers(m, (Part)p)) continue;
        compare_maps(&g, c, m, &x, (Part)p, &seen[p]);
        parts++;
    }
    assert_int_equal(parts, c->pair ? 3 : 1);
    Gap gap = golden_gap(open, fused, x.len);
    EXPECT(gap.rel <= (dtype == F64 ? 1e-12 : 1e-5), "%s: capturing moves the output by %.3g", c->name, gap.rel);
    golden_close(&g);
}

static const Source SOURCES[] = {
    {"gpt2", "lm", false},       {"roberta", "mlm", false}, {"unixcoder", "encoder_only", false},
    {"plbart", "seq2seq", true}, {"t5", "seq2seq", true},   {"bert", "pretraining", false}};

#define FAMILY(k, family)                                                                                            \
    static void family(DType dtype)                                                                                  \
    {                                                                                                                \
        compare(&SOURCES[k], dtype);                                                                                 \
    }                                                                                                                \
    BOTH(family)
FAMILY(0, gpt2)
FAMILY(1, roberta)
FAMILY(2, unixcoder)
FAMILY(3, plbart)
FAMILY(4, t5)
FAMILY(5, bert)

SUITE(TWO(gpt2), TWO(roberta), TWO(unixcoder), TWO(plbart), TWO(t5), TWO(bert))
