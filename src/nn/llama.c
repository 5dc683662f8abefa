/* Llama (Touvron et al. 2023) and its kin Mistral, Qwen2 and Qwen3: a pre-norm decoder with rotary positions.
 *
 *     x_0 = embed_tokens[id]
 *     x   = x + attn(rms(x));  x = x + down(silu(gate(rms(x))) * up(rms(x)))      in each layer, causal
 *     h   = rms(x)             logits = h lm_head', or h embed_tokens' where the head is tied
 *
 * Groups of neighbouring query heads share a head of keys and values, and heads times head size need not be the
 * hidden size.  The kin differ in switches, which the type of config.json sets: biases (Qwen2: those of queries, keys
 * and values), a norm of each head's query and key (Qwen3), a window of attention (Mistral; Qwen2 from some layer
 * on). The reference calls the layer that goes through the activation `gate_proj` and the one that multiplies it
 * `up_proj`. The classification head reads the last token (`score`, without bias). */
#include <stdio.h>
#include <string.h>

#include "nn/causal.h"
#include "nn/config.h"
#include "nn/rope.h"

/* SmolLM2-135M. */
static void defaults(Config *c)
{
    *c = (Config){.arch = "llama",
                  .vocab = 49152,
                  .positions = 8192,
                  .dim = 576,
                  .heads = 9,
                  .kv_heads = 3,
                  .hidden = 1536,
                  .layers = 30,
                  .act = ACT_SILU,
                  .gated = true,
                  .tie_head = true,
                  .rope = {.share = 1, .base = 100000},
                  .pad = -1,
                  .bos = 0,
                  .eos = 0,
                  .decoder_start = -1,
                  .eps = 1e-5,
                  .head_dropout = 0,
                  .init_sd = 0.041666666666666664};
}

/* What differs between the types, beside sizes: the class defaults and the switches that no key of a file changes. */
typedef struct {
    const char *type;
    int hidden, positions, vocab, kv_heads, head_dim, bos, eos, window;
    bool qkv_bias, qk_norm;
    bool chooses_bias;   /* attention_bias is read */
    bool chooses_window; /* use_sliding_window and max_window_layers are read */
} Kin;
static const Kin KIN[] = {{"llama", 11008, 2048, 32000, 0, 0, 1, 2, 0, false, false, true, false},
                          {"mistral", 14336, 131072, 32000, 8, 0, 1, 2, 4096, false, false, false, false},
                          {"qwen2", 22016, 32768, 151936, 32, 0, -1, -1, 4096, true, false, false, true},
                          {"qwen3", 22016, 32768, 151936, 32, 128, -1, -1, 4096, false, true, true, true}};
enum { N_KIN = sizeof KIN / sizeof *KIN };

/* The type whose switches are the config's; NULL where no file could say them. */
static const Kin *kin_for(const Config *c)
{
    enum { LLAMA, MISTRAL, QWEN2, QWEN3 };
    bool same = c->qkv_bias == c->out_bias, somewhere = c->window && (c->window_from || c->global_every);
    if (c->qk_norm) return same && !c->ffn_bias ? &KIN[QWEN3] : NULL;
    if (c->qkv_bias && !c->out_bias) return c->ffn_bias ? NULL : &KIN[QWEN2];
    if (!c->window) return same ? &KIN[LLAMA] : NULL;
    return c->qkv_bias || c->out_bias || c->ffn_bias || somewhere ? NULL : &KIN[MISTRAL];
}

static Status check(const Config *c)
{
    if (c->positions < 1) return err_fail(E_CONFIG, "positions is %d, expected at least 1", c->positions);
    if (c->decoder_layers) return err_fail(E_CONFIG, "decoder_layers is %d, llama has one stack", c->decoder_layers);
    if (!c->gated) return err_fail(E_CONFIG, "gated is false, llama's feed-forward is gated");
    if (c->rope.share != 1)
        return err_fail(E_CONFIG, "rope.share is %g, llama's heads turn as a whole", c->rope.share);
    if (c->parallel) return err_fail(E_CONFIG, "parallel is true, llama's layers are sequential");
    int head = c->head_dim ? c->head_dim : c->dim / c->heads;
    if (head % 2) return err_fail(E_CONFIG, "head_dim is %d, rotary positions need an even one", head);
    if (!kin_for(c))
        return err_fail(E_CONFIG, "these biases, norms and windows together are those of no type of config.json: "
                                  "llama, mistral, qwen2 or qwen3");
    return OK;
}

/* ---- parameters */

static const Linear *linear(Model *m, Site site, int layer, const char *name, int64_t in, int64_t out, bool bias)
{
    return build_linear(m, NAMED(m, "layers.%d.%s", layer, name), (Where){site, layer, PART_DECODER},
                        (Shape){in, out, OUT_IN, bias, m->config.init_sd});
}

static void build_layer(Model *m, const Stack *s, StackLayer *l, int i)
{
    const Config *c = &m->config;
    const int64_t d = c->dim, f = c->hidden, inner = (int64_t)s->heads * s->head_dim;
    const int64_t shared = (int64_t)s->kv_heads * s->head_dim;
    StackAttention *a = &l->self;
    a->norm = build_norm(m, NAMED(m, "layers.%d.input_layernorm", i), false);
    a->q = linear(m, SITE_Q, i, "self_attn.q_proj", d, inner, c->qkv_bias);
    a->k = linear(m, SITE_K, i, "self_attn.k_proj", d, shared, c->qkv_bias);
    a->v = linear(m, SITE_V, i, "self_attn.v_proj", d, shared, c->qkv_bias);
    a->out = linear(m, SITE_ATTN_OUT, i, "self_attn.o_proj", inner, d, c->out_bias);
    if (c->qk_norm) {
        a->q_norm = build_norm_of(m, NAMED(m, "layers.%d.self_attn.q_norm", i), s->head_dim);
        a->k_norm = build_norm_of(m, NAMED(m, "layers.%d.self_attn.k_norm", i), s->head_dim);
    }
    l->ffn.norm = build_norm(m, NAMED(m, "layers.%d.post_attention_layernorm", i), false);
    l->ffn.up = linear(m, SITE_FFN_UP, i, "mlp.gate_proj", d, f, c->ffn_bias);
    l->ffn.gate = linear(m, SITE_FFN_GATE, i, "mlp.up_proj", d, f, c->ffn_bias);
    l->ffn.out = linear(m, SITE_FFN_OUT, i, "mlp.down_proj", f, d, c->ffn_bias);
}

static void build(Model *m)
{
    Stack *s = causal_begin(m, "embed_tokens.weight", NULL);
    for (int i = 0; i < s->n; i++) build_layer(m, s, &s->layer[i], i);
    causal_end(m, "norm", false, "lm_head.weight");
}

/* ---- files */

static const Field FIELDS[] = {FIELD("vocab_size", INT, vocab, 1, 1e8),
                               FIELD("max_position_embeddings", INT, positions, 1, 1e8),
                               FIELD("hidden_size", INT, dim, 1, 1e6),
                               FIELD("intermediate_size", INT, hidden, 1, 1e7),
                               FIELD("num_hidden_layers", INT, layers, 1, 4096),
                               FIELD("num_attention_heads", INT, heads, 1, 4096),
                               FIELD("num_key_value_heads", INT, kv_heads, 1, 4096),
                               FIELD("head_dim", INT, head_dim, 1, 65536),
                               FIELD("hidden_act", ACT, act, 0, 0),
                               FIELD("attention_dropout", REAL, attn_dropout, 0, 1),
                               FIELD("rms_norm_eps", REAL, eps, 0, 1),
                               FIELD("initializer_range", REAL, init_sd, 0, 1e3),
                               FIELD("pad_token_id", INT, pad, -1, 1e8),
                               FIELD("bos_token_id", INT, bos, -1, 1e8),
                               FIELD("eos_token_id", INT, eos, -1, 1e8),
                               FIELD("tie_word_embeddings", BOOL, tie_head, 0, 0),
                               {0}};

static const Alias ALIAS[] = {{"embed_tokens.weight", "lm_head.weight"}, {0}};

static const Fixed FIXED[] = {
    {"is_encoder_decoder", "false"}, {"num_experts", ""}, {"num_local_experts", ""}, {"rope_waveform", ""}, {0}};

static const Kin *kin_of(const char *type)
{
    for (int i = 0; i < N_KIN; i++)
        if (!strcmp(KIN[i].type, type)) return &KIN[i];
    return &KIN[0];
}

static void absent(Config *c, const char *type)
{
    const Kin *k = kin_of(type);
    c->vocab = k->vocab, c->positions = k->positions;
    c->dim = 4096, c->hidden = k->hidden, c->layers = 32;
    c->heads = 32, c->kv_heads = k->kv_heads, c->head_dim = k->head_dim;
    c->rope.base = 10000;
    c->eps = 1e-6;
    c->tie_head = false;
    c->bos = k->bos, c->eos = k->eos;
    c->init_sd = 0.02;
    c->qkv_bias = k->qkv_bias, c->qk_norm = k->qk_norm;
    c->window = k->window;
}

/* A key that is null means no window; one that is absent means the class's. */
static Status read_window(Config *c, const Kin *k, const cJSON *root, const char *path)
{
    if (cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(root, "sliding_window"))) c->window = 0;
    if (k->window) TRY(json_int(&c->window, root, "sliding_window", 1, 1 << 28, path));
    if (!k->chooses_window) return OK;
    bool use = false;
    int from = 28;
    TRY(json_bool(&use, root, "use_sliding_window", path));
    TRY(json_int(&from, root, "max_window_layers", 0, 4096, path));
    if (!use) c->window = 0;
    if (!c->window) return OK;
    c->window_from = from < c->layers ? from : c->layers;
    return window_read(c, root, path);
}

static Status read_config(Config *c, const cJSON *root, const char *path)
{
    const char *type = "llama";
    TRY(json_text(&type, root, "model_type", path));
    const Kin *k = kin_of(type);
    if (k->chooses_bias) TRY(json_bool(&c->qkv_bias, root, "attention_bias", path));
    c->out_bias = k->chooses_bias && c->qkv_bias;
    if (k == &KIN[0]) TRY(json_bool(&c->ffn_bias, root, "mlp_bias", path));
    TRY(read_window(c, k, root, path));
    TRY(rope_read(&c->rope, root, path));
    if (c->rope.share != 1)
        return err_fail(E_FORMAT, "%s: partial_rotary_factor is %g, only 1 is supported", path, c->rope.share);
    return OK;
}

static void write_config(const Config *c, cJSON *root)
{
    static const char *const CLASS[] = {"Llama", "Mistral", "Qwen2", "Qwen3"};
    const Kin *k = kin_for(c);
    char name[64];
    snprintf(name, sizeof name, "%sFor%s", CLASS[k - KIN], c->classes ? "SequenceClassification" : "CausalLM");
    config_put(root, "model_type", k->type);
    config_put_architecture(root, name);
    if (k->chooses_bias) cJSON_AddBoolToObject(root, "attention_bias", c->qkv_bias);
    if (k == &KIN[0]) cJSON_AddBoolToObject(root, "mlp_bias", c->ffn_bias);
    if (c->window)
        cJSON_AddNumberToObject(root, "sliding_window", c->window);
    else
        cJSON_AddNullToObject(root, "sliding_window");
    if (k->chooses_window) {
        cJSON_AddBoolToObject(root, "use_sliding_window", c->window > 0);
        window_write(c, root);
    }
    rope_write(&c->rope, root);
    if (c->classes) cJSON_AddNumberToObject(root, "num_labels", c->classes);
}

/* A file of the stack alone, or of a classifier, has no LM head; any other without one has lost it. */
static void adapt(Config *c, const Weights *w)
{
    const Stored *head = weights_find(w, "score.weight");
    bool bare = !weights_find(w, "model.embed_tokens.weight");
    c->classes = head && head->rank == 2 ? (int)head->dim[0] : 0;
    c->no_lm_head = !c->tie_head && (bare || head) && !weights_find(w, "lm_head.weight");
}

static const Sublayer SUBLAYERS[] = {{PART_DECODER, "attn", "layers.", ".attention_adapters"},
                                     {PART_DECODER, "ffn", "layers.", ".output_adapters"},
                                     {0}};

static const Format FORMAT = {.types = "llama|mistral|qwen2|qwen3",
                              .prefix = "model.",
                              .fields = FIELDS,
                              .fixed = FIXED,
                              .absent = absent,
                              .alias = ALIAS,
                              .ignore = "*.rotary_emb.inv_freq",
                              .refuses_stale_head = true,
                              .sublayers = SUBLAYERS,
                              .gated_lora = {SITE_FFN_OUT, SITE_FFN_GATE},
                              .read = read_config,
                              .write = write_config,
                              .adapt = adapt};

static int room(const Config *c)
{
    return c->positions;
}

const Arch ARCH_LLAMA = {.name = "llama",
                         .summary = "decoder, pre-norm, rotary positions, grouped keys and values",
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
                         .targets = "*.q_proj|*.v_proj",
                         .length_penalty = 1};
REGISTER(arch, ARCH_LLAMA)
