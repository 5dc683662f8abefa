/* GPT-NeoX (Black et al. 2022) and Pythia: a pre-norm decoder with rotary positions.
 *
 *     x_0 = embed_in[id]
 *     x   = x + attn(input_layernorm(x)) + mlp(post_attention_layernorm(x))        in each layer, causal
 *     h   = final_layer_norm(x)       logits = h embed_out'
 *
 * Where the layers are not parallel, the feed-forward reads the sum of x and attention instead.  Only a share of each
 * head's channels turns.  One layer, query_key_value, makes queries, keys and values, head by head: the outputs of a
 * head are its query, its key and its value.  The classification head reads the last token (`score`, no bias). */
#include <string.h>

#include "nn/causal.h"
#include "nn/config.h"
#include "nn/rope.h"

/* Pythia-160m. */
static void defaults(Config *c)
{
    *c = (Config){.arch = "gpt_neox",
                  .vocab = 50304,
                  .positions = 2048,
                  .dim = 768,
                  .heads = 12,
                  .hidden = 3072,
                  .layers = 12,
                  .act = ACT_GELU,
                  .rope = {.share = 0.25, .base = 10000},
                  .qkv_bias = true,
                  .out_bias = true,
                  .ffn_bias = true,
                  .parallel = true,
                  .pad = -1,
                  .bos = 0,
                  .eos = 0,
                  .decoder_start = -1,
                  .eps = 1e-5,
                  .head_dropout = 0,
                  .init_sd = 0.02};
}

static Status check(const Config *c)
{
    if (c->positions < 1) return err_fail(E_CONFIG, "positions is %d, expected at least 1", c->positions);
    if (c->decoder_layers)
        return err_fail(E_CONFIG, "decoder_layers is %d, gpt_neox has one stack", c->decoder_layers);
    if (c->gated) return err_fail(E_CONFIG, "gpt_neox has no gated feed-forward");
    if (c->head_dim && c->head_dim * c->heads != c->dim)
        return err_fail(E_CONFIG, "head_dim %d times heads %d is not dim %d, as gpt_neox needs", c->head_dim,
                        c->heads, c->dim);
    if (c->kv_heads && c->kv_heads != c->heads)
        return err_fail(E_CONFIG, "kv_heads is %d, gpt_neox has as many as heads, %d", c->kv_heads, c->heads);
    if (!rope_dims(c) || (int)(c->rope.share * (c->dim / c->heads)) % 2)
        return err_fail(E_CONFIG, "rope.share is %g, expected to turn an even number of each head's %d channels",
                        c->rope.share, c->dim / c->heads);
    if (c->qkv_bias != c->out_bias || !c->ffn_bias || c->qk_norm || c->window)
        return err_fail(E_CONFIG, "gpt_neox has biases in the feed-forward, and in attention all or none; it has no "
                                  "norms of queries and no window");
    return OK;
}

/* ---- parameters */

static void build_attention(Model *m, StackAttention *a, int i)
{
    const Config *c = &m->config;
    const int64_t d = c->dim, size = d / c->heads;
    const Where qkv = {SITE_QKV, i, PART_DECODER}, out = {SITE_ATTN_OUT, i, PART_DECODER};
    const char *name = NAMED(m, "layers.%d.attention.query_key_value", i);
    a->norm = build_norm(m, NAMED(m, "layers.%d.input_layernorm", i), true);
    a->qkv = build_linear(m, name, qkv, (Shape){d, 3 * d, OUT_IN, c->qkv_bias, c->init_sd});
    a->q = build_part_runs(m, a->qkv, NAMED(m, "%s.q", name), SITE_Q, 0, d, size, 3 * size);
    a->k = build_part_runs(m, a->qkv, NAMED(m, "%s.k", name), SITE_K, size, d, size, 3 * size);
    a->v = build_part_runs(m, a->qkv, NAMED(m, "%s.v", name), SITE_V, 2 * size, d, size, 3 * size);
    a->out = build_linear(m, NAMED(m, "layers.%d.attention.dense", i), out,
                          (Shape){d, d, OUT_IN, c->out_bias, c->init_sd});
}

static void build_ffn(Model *m, FeedForward *f, int i)
{
    const Config *c = &m->config;
    const Where up = {SITE_FFN_UP, i, PART_DECODER}, out = {SITE_FFN_OUT, i, PART_DECODER};
    f->norm = build_norm(m, NAMED(m, "layers.%d.post_attention_layernorm", i), true);
    f->up = build_linear(m, NAMED(m, "layers.%d.mlp.dense_h_to_4h", i), up,
                         (Shape){c->dim, c->hidden, OUT_IN, true, c->init_sd});
    f->out = build_linear(m, NAMED(m, "layers.%d.mlp.dense_4h_to_h", i), out,
                          (Shape){c->hidden, c->dim, OUT_IN, true, c->init_sd});
}

static void build(Model *m)
{
    Stack *s = causal_begin(m, "embed_in.weight", NULL);
    for (int i = 0; i < s->n; i++) {
        build_attention(m, &s->layer[i].self, i);
        build_ffn(m, &s->layer[i].ffn, i);
    }
    causal_end(m, "final_layer_norm", true, "embed_out.weight");
}

/* ---- files */

static const Field FIELDS[] = {FIELD("vocab_size", INT, vocab, 1, 1e8),
                               FIELD("max_position_embeddings", INT, positions, 1, 1e8),
                               FIELD("hidden_size", INT, dim, 1, 1e6),
                               FIELD("intermediate_size", INT, hidden, 1, 1e7),
                               FIELD("num_hidden_layers", INT, layers, 1, 4096),
                               FIELD("num_attention_heads", INT, heads, 1, 4096),
                               FIELD("hidden_act", ACT, act, 0, 0),
                               FIELD("hidden_dropout", REAL, dropout, 0, 1),
                               FIELD("attention_dropout", REAL, attn_dropout, 0, 1),
                               FIELD("layer_norm_eps", REAL, eps, 0, 1),
                               FIELD("initializer_range", REAL, init_sd, 0, 1e3),
                               FIELD("rotary_pct", REAL, rope.share, 0, 1),
                               FIELD("rotary_emb_base", REAL, rope.base, 1e-3, 1e12),
                               FIELD("use_parallel_residual", BOOL, parallel, 0, 0),
                               FIELD("attention_bias", BOOL, qkv_bias, 0, 0),
                               FIELD("pad_token_id", INT, pad, -1, 1e8),
                               FIELD("bos_token_id", INT, bos, -1, 1e8),
                               FIELD("eos_token_id", INT, eos, -1, 1e8),
                               FIELD("tie_word_embeddings", BOOL, tie_head, 0, 0),
                               {0}};

static const Alias ALIAS[] = {{"embed_in.weight", "embed_out.weight"}, {0}};

static const Fixed FIXED[] = {{"is_encoder_decoder", "false"}, {0}};

static void absent(Config *c, const char *type)
{
    (void)type;
    c->vocab = 50432;
    c->dim = 6144, c->hidden = 24576, c->layers = 44, c->heads = 64;
    c->bos = 0, c->eos = 2;
}

static Status read_config(Config *c, const cJSON *root, const char *path)
{
    c->out_bias = c->qkv_bias;
    return rope_read(&c->rope, root, path);
}

static void write_config(const Config *c, cJSON *root)
{
    config_put(root, "model_type", "gpt_neox");
    config_put_architecture(root, c->classes ? "GPTNeoXForSequenceClassification" : "GPTNeoXForCausalLM");
    rope_write(&c->rope, root);
    if (c->classes) cJSON_AddNumberToObject(root, "num_labels", c->classes);
}

/* A file of the stack alone, or of a classifier, has no LM head; any other without one has lost it. */
static void adapt(Config *c, const Weights *w)
{
    const Stored *head = weights_find(w, "score.weight");
    bool bare = !weights_find(w, "gpt_neox.embed_in.weight");
    c->classes = head && head->rank == 2 ? (int)head->dim[0] : 0;
    c->no_lm_head = !c->tie_head && (bare || head) && !weights_find(w, "embed_out.weight");
}

static const Sublayer SUBLAYERS[] = {{0}};

static const Format FORMAT = {.types = "gpt_neox",
                              .prefix = "gpt_neox.",
                              .fields = FIELDS,
                              .fixed = FIXED,
                              .absent = absent,
                              .alias = ALIAS,
                              .ignore = "*.attention.bias|*.attention.masked_bias|*.rotary_emb.inv_freq",
                              .sublayers = SUBLAYERS,
                              .read = read_config,
                              .write = write_config,
                              .adapt = adapt};

static int room(const Config *c)
{
    return c->positions;
}

const Arch ARCH_GPT_NEOX = {.name = "gpt_neox",
                            .summary = "decoder, pre-norm, rotary positions, parallel sublayers",
                            .format = &FORMAT,
                            .defaults = defaults,
                            .check = check,
                            .room = room,
                            .build = build,
                            .hidden = causal_hidden,
                            .logits = causal_logits,
                            .head_loss = causal_loss,
                            .classify = causal_classify,
                            .untie = causal_untie,
                            .last = PART_DECODER,
                            .targets = "*.query_key_value",
                            .length_penalty = 1};
REGISTER(arch, ARCH_GPT_NEOX)
