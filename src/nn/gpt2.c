/* GPT-2 (Radford et al. 2019): a pre-norm decoder with learned positions.
 *
 *     x_0 = block_dropout(wte[id] + wpe[position])
 *     x   = x + attn(ln_1(x));  x = x + mlp(ln_2(x))        in each layer, causal
 *     h   = ln_f(x)             logits = h wte'              or an own head without bias
 *
 * Matrices are stored (in, out), and one layer, c_attn, makes queries, keys and values; its thirds are linear layers
 * with names and places of their own.  The classification head reads the last token (`score`, without bias).
 * `no_attn_norm` leaves ln_1 out: a toy of the theory papers. */
#include <math.h>
#include <string.h>

#include "nn/causal.h"
#include "nn/config.h"

static void defaults(Config *c)
{
    *c = (Config){.arch = "gpt2",
                  .vocab = 50257,
                  .positions = 1024,
                  .dim = 768,
                  .heads = 12,
                  .layers = 12,
                  .act = ACT_GELU_TANH,
                  .tie_head = true,
                  .pad = -1,
                  .bos = 50256,
                  .eos = 50256,
                  .decoder_start = -1,
                  .eps = 1e-5,
                  .dropout = 0.1,
                  .attn_dropout = 0.1,
                  .head_dropout = 0,
                  .init_sd = 0.02};
}

static Status check(const Config *c)
{
    if (c->positions < 1) return err_fail(E_CONFIG, "positions is %d, expected at least 1", c->positions);
    if (c->decoder_layers) return err_fail(E_CONFIG, "decoder_layers is %d, gpt2 has one stack", c->decoder_layers);
    if (c->gated) return err_fail(E_CONFIG, "gpt2 has no gated feed-forward");
    if (c->head_dim && c->head_dim * c->heads != c->dim)
        return err_fail(E_CONFIG, "head_dim %d times heads %d is not dim %d, as gpt2 needs", c->head_dim, c->heads,
                        c->dim);
    return OK;
}

/* ---- parameters */

static void build_layer(Model *m, StackLayer *l, int i)
{
    const Config *c = &m->config;
    const int64_t d = c->dim;
    const Where at = {.layer = i, .part = PART_DECODER};
#define AT(s) ((Where){SITE_##s, at.layer, at.part})
    double residual_sd = c->init_sd / sqrt(2.0 * c->layers);
    StackAttention *a = &l->self;
    if (!c->no_attn_norm) a->norm = build_norm(m, NAMED(m, "h.%d.ln_1", i), true);
    a->qkv = build_linear(m, NAMED(m, "h.%d.attn.c_attn", i), AT(QKV), (Shape){d, 3 * d, IN_OUT, true, c->init_sd});
    a->q = build_part(m, a->qkv, NAMED(m, "h.%d.attn.c_attn.q", i), SITE_Q, 0, d);
    a->k = build_part(m, a->qkv, NAMED(m, "h.%d.attn.c_attn.k", i), SITE_K, d, d);
    a->v = build_part(m, a->qkv, NAMED(m, "h.%d.attn.c_attn.v", i), SITE_V, 2 * d, d);
    a->out = build_linear(m, NAMED(m, "h.%d.attn.c_proj", i), AT(ATTN_OUT), (Shape){d, d, IN_OUT, true, residual_sd});
    l->ffn.norm = build_norm(m, NAMED(m, "h.%d.ln_2", i), true);
    l->ffn.up =
        build_linear(m, NAMED(m, "h.%d.mlp.c_fc", i), AT(FFN_UP), (Shape){d, c->hidden, IN_OUT, true, c->init_sd});
    l->ffn.out = build_linear(m, NAMED(m, "h.%d.mlp.c_proj", i), AT(FFN_OUT),
                              (Shape){c->hidden, d, IN_OUT, true, residual_sd});
#undef AT
}

static void build(Model *m)
{
    Stack *s = causal_begin(m, "wte.weight", "wpe.weight");
    for (int i = 0; i < s->n; i++) build_layer(m, &s->layer[i], i);
    causal_end(m, "ln_f", true, "lm_head.weight");
}

/* ---- files */

static const Field FIELDS[] = {FIELD("vocab_size", INT, vocab, 1, 1e8),
                               FIELD("n_positions", INT, positions, 1, 1e8),
                               FIELD("n_embd", INT, dim, 1, 1e6),
                               FIELD("n_layer", INT, layers, 1, 4096),
                               FIELD("n_head", INT, heads, 1, 4096),
                               FIELD("n_inner", INT, hidden, 1, 1e7),
                               FIELD("activation_function", ACT, act, 0, 0),
                               FIELD("resid_pdrop", REAL, dropout, 0, 1),
                               FIELD("attn_pdrop", REAL, attn_dropout, 0, 1),
                               FIELD("layer_norm_epsilon", REAL, eps, 0, 1),
                               FIELD("initializer_range", REAL, init_sd, 0, 1e3),
                               FIELD("pad_token_id", INT, pad, -1, 1e8),
                               FIELD("bos_token_id", INT, bos, -1, 1e8),
                               FIELD("eos_token_id", INT, eos, -1, 1e8),
                               FIELD("tie_word_embeddings", BOOL, tie_head, 0, 0),
                               FIELD("no_attn_norm", BOOL, no_attn_norm, 0, 0),
                               {0}};

static const Alias GENERAL[] = {{"n_embd", "hidden_size"},
                                {"n_positions", "max_position_embeddings"},
                                {"n_head", "num_attention_heads"},
                                {"n_layer", "num_hidden_layers"},
                                {0}};

static const Alias ALIAS[] = {{"wte.weight", "lm_head.weight"}, {0}};

/* Two switches of the reference change the scores. */
static const Fixed FIXED[] = {{"scale_attn_weights", "true"},
                              {"scale_attn_by_inverse_layer_idx", "false"},
                              {"is_encoder_decoder", "false"},
                              {0}};

static void write_config(const Config *c, cJSON *root)
{
    config_put(root, "model_type", "gpt2");
    config_put_architecture(root, c->classes ? "GPT2ForSequenceClassification" : "GPT2LMHeadModel");
    config_put_real(root, "embd_pdrop", c->dropout);
    if (c->classes) cJSON_AddNumberToObject(root, "num_labels", c->classes);
}

static const Format FORMAT;

/* A model whose head is not the token table and is not there is refused, unless none belongs to it. */
static void adapt(Config *c, const Weights *w)
{
    const Stored *head = weights_find(w, "score.weight");
    c->classes = head && head->rank == 2 ? (int)head->dim[0] : 0;
    if (!c->tie_head && !weights_find(w, "lm_head.weight")) c->no_lm_head = c->classes || format_is_base(&FORMAT, w);
}

static const Sublayer SUBLAYERS[] = {
    {PART_DECODER, "attn", "h.", ".attention_adapters"}, {PART_DECODER, "ffn", "h.", ".output_adapters"}, {0}};

static const Head OTHERS[] = {{"multiple_choice_head", "multiple choice"}, {0}};

static const Format FORMAT = {.types = "gpt2",
                              .prefix = "transformer.",
                              .fields = FIELDS,
                              .fixed = FIXED,
                              .general = GENERAL,
                              .alias = ALIAS,
                              .ignore = "*.attn.bias|*.attn.masked_bias",
                              .heads = OTHERS,
                              .sublayers = SUBLAYERS,
                              .write = write_config,
                              .adapt = adapt};

static int room(const Config *c)
{
    return c->positions;
}

const Arch ARCH_GPT2 = {.name = "gpt2",
                        .summary = "decoder, pre-norm, learned positions",
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
                        .targets = "*.c_attn",
                        .length_penalty = 1};
REGISTER(arch, ARCH_GPT2)
