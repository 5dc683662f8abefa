/* The families with rotary positions against third-party implementations: every layer, every attention map, logits,
 * losses, gradients, padding in front, a cached prefix, greedy decoding.  Skipped where the golden files are not at
 * hand. */
#include "golden_model.h"

/* The reference's cosines and sines are single numbers, right to their last bit or the one before. */
#define OPEN(name, g, type)                                                                                          \
    Golden g;                                                                                                        \
    if (!golden_open(&g, name)) skip();                                                                              \
    g.dtype = type;                                                                                                  \
    g.slack = 1e-6

/* The prefix of a case as rows (P,C) of one layer; the file has them head by head. */
static Tensor prefix_rows(Golden *g, const char *what, int layer)
{
    Tensor x = golden_array(g, "prefix", str_print(&g->run, "%s/%d", what, layer));
    int64_t h = x.dim[0], p = x.dim[1], d = x.dim[2];
    Tensor y = tensor_new(&g->run, g->dtype, SHAPE(p, h * d));
    for (int64_t i = 0; i < p * h * d; i++)
        tensor_set(y, i, tensor_get(x, (i % (h * d) / d * p + i / (h * d)) * d + i % d));
    return y;
}

static Var *put_in_front(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    return op_prepend(p->tape, tape_leaf(p->tape, *(Tensor *)user), out, 0);
}

/* Keys and values that were there before the text, whose positions therefore begin behind them. */
static void behind_prefix(Golden *g, Model *m)
{
    const char *name = "prefix";
    Hooks *h = hooks_new(&g->run);
    int layers = model_layers(m, PART_DECODER);
    Tensor *rows = NEW(&g->run, Tensor, 2 * layers);
    for (int l = 0; l < 2 * layers; l++) {
        rows[l] = prefix_rows(g, l % 2 ? "value" : "key", l / 2);
        hook_add(h, (Where){l % 2 ? SITE_VALUES : SITE_KEYS, l / 2, PART_DECODER}, put_in_front, &rows[l]);
    }
    hooks_shift(h, PART_DECODER, golden_get(g, name, "inputs", "tokens")->valueint);
    Seen seen;
    watch(g, h, &seen, PART_DECODER);
    Ids x = golden_ids(g, name, "inputs", "input_ids");
    bool padded = golden_get(g, name, "inputs", "attention_mask") != NULL;
    Batch batch = {.b = x.b, .t = x.t, .ids = x.id, .len = padded ? golden_len(g, name, "attention_mask") : NULL};
    Pass p = {.tape = tape_open(&g->step, false), .hooks = h};
    EXPECT_GOLDEN(model_logits(m, &p, &batch)->val, g, name, "logits", batch.len);
    for (int l = 0; l < layers; l++) {
        const char *key = str_print(&g->run, "attention/%d", l);
        if (golden_get(g, name, "arrays", key)) EXPECT_GOLDEN(seen.probs[l].value, g, name, key, batch.len);
    }
}

static void decoder(const char *family, DType dtype)
{
    OPEN(family, g, dtype);
    Model *m = golden_model(&g, "", NULL);
    Ids x = golden_ids(&g, "lm", "inputs", "input_ids");
    Batch batch = {.b = x.b, .t = x.t, .ids = x.id, .len = golden_len(&g, "lm", "attention_mask")};
    Hooks *h = hooks_new(&g.run);
    Seen seen;
    watch(&g, h, &seen, PART_DECODER);
    Pass p = {.tape = tape_open(&g.step, false), .hooks = h};
    Var *hidden = model_hidden(m, &p, &batch);
    compare_part(&g, "lm", "", &seen, model_layers(m, PART_DECODER), hidden->val, batch.len);
    EXPECT_GOLDEN(model_logits(m, &p, &batch)->val, &g, "lm", "logits", batch.len);
    batch.target = next_labels(&g, golden_ids(&g, "lm", "inputs", "labels"));
    compare_loss(&g, m, "lm", &batch);
    left_padded(&g, m);
    behind_prefix(&g, m);
    compare_greedy(&g, m);
    golden_close(&g);
}

static void llama(DType dtype)
{
    decoder("llama", dtype);
}

static void llama_wide(DType dtype)
{
    decoder("llama-wide", dtype);
}

static void qwen2(DType dtype)
{
    decoder("qwen2", dtype);
}

static void mistral(DType dtype)
{
    decoder("mistral", dtype);
}

static void gpt_neox(DType dtype)
{
    decoder("gpt_neox", dtype);
}

/* Hidden states of a restatement: the embeddings, then every layer, the last after the final norm, which `normed`
 * says to be one more. */
static void compare_states(Golden *g, const char *name, const Seen *seen, Tensor last, int layers, const int32_t *len,
                           bool normed)
{
    for (int l = 0; l <= layers + normed; l++) {
        Tensor got = l == layers + normed ? last : l ? seen->resid[l - 1].value : seen->embed.value;
        EXPECT_GOLDEN(got, g, name, str_print(&g->run, "hidden/%d", l), len);
    }
}

/* Restated in double precision, the angles too, where the library's and ours are single numbers. */
static void qwen3(DType dtype)
{
    OPEN("qwen3", g, dtype);
    Model *m = golden_model(&g, "", NULL);
    Ids x = golden_ids(&g, "lm", "inputs", "input_ids");
    Batch batch = {.b = x.b, .t = x.t, .ids = x.id};
    Hooks *h = hooks_new(&g.run);
    Seen seen;
    watch(&g, h, &seen, PART_DECODER);
    Pass p = {.tape = tape_open(&g.step, false), .hooks = h};
    Var *hidden = model_hidden(m, &p, &batch);
    compare_states(&g, "lm", &seen, hidden->val, model_layers(m, PART_DECODER), NULL, false);
    EXPECT_GOLDEN(model_logits(m, &p, &batch)->val, &g, "lm", "logits", NULL);
    batch.target = next_labels(&g, x);
    double loss = tape_scalar(model_loss(m, &p, &batch));
    double want = golden_get(&g, "lm", "outputs", "loss_f64")->valuedouble;
    EXPECT(fabs(loss - want) < 1e-5 * want, "loss %.9g, expected %.9g", loss, want);
    behind_prefix(&g, m);
    compare_greedy(&g, m);
    golden_close(&g);
}

static void modernbert(DType dtype)
{
    OPEN("modernbert", g, dtype);
    Model *m = golden_model(&g, "", NULL);
    Ids x = golden_ids(&g, "mlm", "inputs", "input_ids");
    Batch batch = {.b = x.b, .t = x.t, .ids = x.id, .len = golden_len(&g, "mlm", "attention_mask")};
    Hooks *h = hooks_new(&g.run);
    Seen seen;
    watch(&g, h, &seen, PART_ENCODER);
    Pass p = {.tape = tape_open(&g.step, false), .hooks = h};
    Var *hidden = model_hidden(m, &p, &batch);
    compare_states(&g, "mlm", &seen, hidden->val, model_layers(m, PART_ENCODER), batch.len, true);
    EXPECT_GOLDEN(model_logits(m, &p, &batch)->val, &g, "mlm", "logits", batch.len);
    golden_close(&g);
}

BOTH(llama)
BOTH(llama_wide)
BOTH(qwen2)
BOTH(mistral)
BOTH(gpt_neox)
BOTH(qwen3)
BOTH(modernbert)

SUITE(TWO(llama), TWO(llama_wide), TWO(qwen2), TWO(mistral), TWO(gpt_neox), TWO(qwen3), TWO(modernbert))
