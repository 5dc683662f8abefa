/* RoBERTa (Liu et al. 2019), and CodeBERT, GraphCodeBERT, UniXcoder, XLM-RoBERTa and CamemBERT, which are RoBERTas:
 * the post-norm encoder of nn/encoder.h.
 *
 * UniXcoder writes too: causal rows continue a prompt that was read causally, or both ways, through a cache, and its
 * LM head is the token table alone.  GraphCodeBERT's data flow is a matter of the batch (nn/flow.h).
 *
 * Positions count the tokens that are not padding, from pad + 1 on; padding sits at row `pad`.
 * Heads: masked tokens (dense, gelu, LN, tied decoder with a bias), classes (token 0: dropout, dense, tanh, dropout,
 * out_proj), and an optional pooler (token 0: dense, tanh). */
#include "nn/encoder.h"

typedef struct {
    Encoder base;
    MaskedHead head;
    Dense class_dense, class_out;
} Roberta;

static void defaults(Config *c)
{
    *c = (Config){.arch = "roberta",
                  .vocab = 50265,
                  .positions = 514,
                  .dim = 768,
                  .heads = 12,
                  .layers = 12,
                  .types = 1,
                  .act = ACT_GELU,
                  .tie_head = true,
                  .pad = 1,
                  .bos = 0,
                  .eos = 2,
                  .decoder_start = -1,
                  .eps = 1e-5,
                  .dropout = 0.1,
                  .attn_dropout = 0.1,
                  .head_dropout = -1,
                  .init_sd = 0.02};
}

static Status check(const Config *c)
{
    if (c->decoder_layers)
        return err_fail(E_CONFIG, "decoder_layers is %d, roberta has one stack", c->decoder_layers);
    if (c->gated) return err_fail(E_CONFIG, "roberta has no gated feed-forward");
    if (c->pad < 0 || c->pad >= c->vocab) return err_fail(E_CONFIG, "pad is %d, expected 0 to vocab - 1", c->pad);
    if (c->positions < c->pad + 2)
        return err_fail(E_CONFIG, "positions is %d; roberta's begin at pad + 1, so it needs at least %d",
                        c->positions, c->pad + 2);
    if (c->plain_head && !c->tie_head)
        return err_fail(E_CONFIG, "plain_head shares the token table, so tie_head is true");
    if (c->types < 1 || c->types > 1 << 16) return err_fail(E_CONFIG, "types is %d, expected 1 to 65536", c->types);
    return OK;
}

/* ---- parameters */

static void build(Model *m)
{
    const Config *c = &m->config;
    Roberta *g = m->blocks = NEW(m->run, Roberta, 1);
    g->base.first_position = c->pad + 1;
    g->base.skips_padding = true;
    encoder_build(m, &g->base);
    g->head = (MaskedHead){.act = ACT_GELU, .table = g->base.word};
    if (!c->no_lm_head && !c->plain_head) {
        g->head.dense = build_dense(m, "lm_head.dense", c->dim);
        g->head.norm = build_norm(m, "lm_head.layer_norm", true);
        g->head.bias = build_param(m, "lm_head.bias", (Init){INIT_ZERO, 0}, SHAPE(c->vocab));
        if (!c->tie_head)
            g->head.table =
                build_param(m, "lm_head.decoder.weight", (Init){INIT_NORMAL, c->init_sd}, SHAPE(c->vocab, c->dim));
    }
    if (c->classes) {
        g->class_dense = build_dense(m, "classifier.dense", c->dim);
        g->class_out = build_dense(m, "classifier.out_proj", c->classes);
    }
}

static double untie(Model *m)
{
    Roberta *g = m->blocks;
    g->head.table = build_copy(m, "lm_head.decoder.weight", g->base.word, 1);
    return 1;
}

/* ---- passes */

static Var *hidden(Model *m, Pass *p, const Batch *x)
{
    const Roberta *g = m->blocks;
    return encoder_hidden(m, p, x, &g->base);
}

static Var *logits(Model *m, Pass *p, Var *h)
{
    const Roberta *g = m->blocks;
    return masked_logits(p, &g->head, h);
}

static Var *head_loss(Model *m, Pass *p, Var *h, const int32_t *target)
{
    const Roberta *g = m->blocks;
    return masked_loss(p, &g->head, h, target);
}

static Var *pool(Model *m, Pass *p, Var *first)
{
    const Roberta *g = m->blocks;
    return dense_run(p->tape, first, g->base.pooler, ACT_TANH);
}

static Var *classify(Model *m, Pass *p, const Batch *x)
{
    const Roberta *g = m->blocks;
    Var *h = dense_run(p->tape, encoder_dropout(m, p, 0, encoder_first(m, p, x)), g->class_dense, ACT_TANH);
    return dense_run(p->tape, encoder_dropout(m, p, 1, h), g->class_out, ACT_NONE);
}

/* ---- files */

static const Field FIELDS[] = {FIELD("vocab_size", INT, vocab, 1, 1e8),
                               FIELD("max_position_embeddings", INT, positions, 1, 1e8),
                               FIELD("hidden_size", INT, dim, 1, 1e6),
                               FIELD("num_hidden_layers", INT, layers, 1, 4096),
                               FIELD("num_attention_heads", INT, heads, 1, 4096),
                               FIELD("intermediate_size", INT, hidden, 1, 1e7),
                               FIELD("type_vocab_size", INT, types, 1, 65536),
                               FIELD("hidden_act", ACT, act, 0, 0),
                               FIELD("hidden_dropout_prob", REAL, dropout, 0, 1),
                               FIELD("attention_probs_dropout_prob", REAL, attn_dropout, 0, 1),
                               FIELD("classifier_dropout", REAL, head_dropout, 0, 1),
                               FIELD("layer_norm_eps", REAL, eps, 0, 1),
                               FIELD("initializer_range", REAL, init_sd, 0, 1e3),
                               FIELD("pad_token_id", INT, pad, 0, 1e8),
                               FIELD("bos_token_id", INT, bos, -1, 1e8),
                               FIELD("eos_token_id", INT, eos, -1, 1e8),
                               FIELD("tie_word_embeddings", BOOL, tie_head, 0, 0),
                               FIELD("plain_head", BOOL, plain_head, 0, 0),
                               FIELD("writes_from_encoder", BOOL, writes_from_encoder, 0, 0),
                               {0}};

static const Alias ALIAS[] = {
    {"lm_head.bias", "lm_head.decoder.bias"}, {"embeddings.word_embeddings.weight", "lm_head.decoder.weight"}, {0}};

static const Fixed FIXED[] = {{"is_encoder_decoder", "false"}, {0}};

static void absent(Config *c, const char *type)
{
    config_set_type(c, type, "roberta");
    c->positions = 512;
    c->types = 2;
    c->hidden = 3072;
    c->eps = 1e-12;
}

static void write_config(const Config *c, cJSON *root)
{
    config_put_type(root, c, "roberta", "Roberta",
                    c->classes                       ? "ForSequenceClassification"
                    : c->no_lm_head || c->plain_head ? "Model"
                                                     : "ForMaskedLM");
    if (c->classes) cJSON_AddNumberToObject(root, "num_labels", c->classes);
}

static void adapt(Config *c, const Weights *w)
{
    const Stored *out = weights_find(w, "classifier.out_proj.weight");
    c->classes = out && out->rank == 2 ? (int)out->dim[0] : 0;
    c->no_lm_head = !c->plain_head && !weights_find(w, "lm_head.dense.weight");
    c->pooler = weights_find(w, "pooler.dense.weight") || weights_find(w, "roberta.pooler.dense.weight");
    if (c->no_lm_head || c->plain_head) c->tie_head = true;
}

static const Head OTHERS[] = {{"bias", "the mask of UniXcoder's decoder"},
                              {"dense", "the layer that UniXcoder's decoder does not use"},
                              {0}};

static const Format FORMAT = {.types = "roberta|xlm-roberta|camembert",
                              .prefix = "roberta.",
                              .fields = FIELDS,
                              .fixed = FIXED,
                              .absent = absent,
                              .alias = ALIAS,
                              .ignore = "embeddings.position_ids|embeddings.token_type_ids",
                              .heads = OTHERS,
                              .sublayers = ENCODER_SUBLAYERS,
                              .write = write_config,
                              .adapt = adapt};

/* Positions begin behind that of padding. */
static int room(const Config *c)
{
    return c->positions - c->pad - 1;
}

const Arch ARCH_ROBERTA = {.name = "roberta",
                           .summary = "encoder, post-norm, learned positions",
                           .format = &FORMAT,
                           .defaults = defaults,
                           .check = check,
                           .room = room,
                           .build = build,
                           .hidden = hidden,
                           .logits = logits,
                           .head_loss = head_loss,
                           .classify = classify,
                           .untie = untie,
                           .pool = pool,
                           .last = PART_ENCODER,
                           .targets = "*.query|*.value",
                           .ends_hold =
                               true, /* as UniXcoder, which does not divide log-probabilities by a length either */
                           .encoder_writes = true,
                           .reads_data_flow = true};
REGISTER(arch, ARCH_ROBERTA)
