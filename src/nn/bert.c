/* BERT (Devlin et al. 2019): the post-norm encoder of nn/encoder.h.  MiniLM, BGE, GTE and E5 are BERTs.
 *
 * Positions are 0, 1, ... for all tokens, padding too.  A text alone has token type 0, whose row is added like any
 * other; the second of two texts has type 1.
 * Heads: masked tokens (dense, the model's activation, LN, tied decoder with a bias); pooler (token 0: dense, tanh);
 * on the pooler's vector the next sentence (two classes) and classes (dropout, one linear layer). */
#include "nn/encoder.h"

typedef struct {
    Encoder base;
    MaskedHead head;
    Dense next, classes;
} Bert;

/* BERT base, uncased. */
static void defaults(Config *c)
{
    *c = (Config){.arch = "bert",
                  .vocab = 30522,
                  .positions = 512,
                  .dim = 768,
                  .heads = 12,
                  .layers = 12,
                  .types = 2,
                  .act = ACT_GELU,
                  .tie_head = true,
                  .pooler = true,
                  .pad = 0,
                  .bos = -1,
                  .eos = -1,
                  .decoder_start = -1,
                  .eps = 1e-12,
                  .dropout = 0.1,
                  .attn_dropout = 0.1,
                  .head_dropout = -1,
                  .init_sd = 0.02};
}

static Status check(const Config *c)
{
    if (c->decoder_layers) return err_fail(E_CONFIG, "decoder_layers is %d, bert has one stack", c->decoder_layers);
    if (c->gated) return err_fail(E_CONFIG, "bert has no gated feed-forward");
    if (c->plain_head) return err_fail(E_CONFIG, "plain_head is true, and bert's LM head has layers of its own");
    if (c->pad < 0 || c->pad >= c->vocab) return err_fail(E_CONFIG, "pad is %d, expected 0 to vocab - 1", c->pad);
    if (c->positions < 1) return err_fail(E_CONFIG, "positions is %d, expected at least 1", c->positions);
    if (c->types < 1 || c->types > 1 << 16) return err_fail(E_CONFIG, "types is %d, expected 1 to 65536", c->types);
    return OK;
}

/* ---- parameters */

/* Two of the heads read the pooler's vector, so a model with one of them has a pooler. */
static void build(Model *m)
{
    Config *c = &m->config;
    Bert *g = m->blocks = NEW(m->run, Bert, 1);
    if (c->classes || c->next_sentence) c->pooler = true;
    encoder_build(m, &g->base);
    g->head = (MaskedHead){.act = c->act, .table = g->base.word};
    if (!c->no_lm_head) {
        g->head.dense = build_dense(m, "cls.predictions.transform.dense", c->dim);
        g->head.norm = build_norm(m, "cls.predictions.transform.LayerNorm", true);
        g->head.bias = build_param(m, "cls.predictions.bias", (Init){INIT_ZERO, 0}, SHAPE(c->vocab));
        if (!c->tie_head)
            g->head.table = build_param(m, "cls.predictions.decoder.weight", (Init){INIT_NORMAL, c->init_sd},
                                        SHAPE(c->vocab, c->dim));
    }
    if (c->next_sentence) g->next = build_dense(m, "cls.seq_relationship", 2);
    if (c->classes) g->classes = build_dense(m, "classifier", c->classes);
}

static double untie(Model *m)
{
    Bert *g = m->blocks;
    g->head.table = build_copy(m, "cls.predictions.decoder.weight", g->base.word, 1);
    return 1;
}

/* ---- passes */

static Var *hidden(Model *m, Pass *p, const Batch *x)
{
    const Bert *g = m->blocks;
    return encoder_hidden(m, p, x, &g->base);
}

static Var *logits(Model *m, Pass *p, Var *h)
{
    const Bert *g = m->blocks;
    return masked_logits(p, &g->head, h);
}

static Var *head_loss(Model *m, Pass *p, Var *h, const int32_t *target)
{
    const Bert *g = m->blocks;
    return masked_loss(p, &g->head, h, target);
}

static Var *pool(Model *m, Pass *p, Var *first)
{
    const Bert *g = m->blocks;
    return dense_run(p->tape, first, g->base.pooler, ACT_TANH);
}

static Var *next(Model *m, Pass *p, Var *pooled)
{
    const Bert *g = m->blocks;
    return dense_run(p->tape, pooled, g->next, ACT_NONE);
}

static Var *classify(Model *m, Pass *p, const Batch *x)
{
    const Bert *g = m->blocks;
    Var *pooled = pool(m, p, encoder_first(m, p, x));
    return dense_run(p->tape, encoder_dropout(m, p, 0, pooled), g->classes, ACT_NONE);
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
                               {0}};

static const Alias ALIAS[] = {{"cls.predictions.bias", "cls.predictions.decoder.bias"},
                              {"embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"},
                              {0}};

static const Fixed FIXED[] = {{"is_encoder_decoder", "false"}, {0}};

static void absent(Config *c, const char *type)
{
    (void)type;
    c->hidden = 3072;
}

static void write_config(const Config *c, cJSON *root)
{
    config_put_type(root, c, "bert", "Bert",
                    c->classes                          ? "ForSequenceClassification"
                    : c->next_sentence && c->no_lm_head ? "ForNextSentencePrediction"
                    : c->next_sentence                  ? "ForPreTraining"
                    : c->no_lm_head                     ? "Model"
                                                        : "ForMaskedLM");
    if (c->classes) cJSON_AddNumberToObject(root, "num_labels", c->classes);
}

/* Without a pooler `classifier` is the head of another task, such as labels of tokens. */
static void adapt(Config *c, const Weights *w)
{
    const Stored *out = weights_find(w, "classifier.weight");
    c->pooler = weights_find(w, "pooler.dense.weight") || weights_find(w, "bert.pooler.dense.weight");
    c->classes = c->pooler && out && out->rank == 2 ? (int)out->dim[0] : 0;
    c->no_lm_head = !weights_find(w, "cls.predictions.transform.dense.weight");
    c->next_sentence = weights_find(w, "cls.seq_relationship.weight") != NULL;
    if (!weights_find(w, "cls.predictions.decoder.weight")) c->tie_head = true;
}

static const Format FORMAT = {.types = "bert",
                              .prefix = "bert.",
                              .fields = FIELDS,
                              .fixed = FIXED,
                              .absent = absent,
                              .alias = ALIAS,
                              .ignore = "embeddings.position_ids|embeddings.token_type_ids",
                              .sublayers = ENCODER_SUBLAYERS,
                              .write = write_config,
                              .adapt = adapt};

static int room(const Config *c)
{
    return c->positions;
}

const Arch ARCH_BERT = {.name = "bert",
                        .summary = "encoder, post-norm, learned positions, token types",
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
                        .next = next,
                        .last = PART_ENCODER,
                        .targets = "*.query|*.value"};
REGISTER(arch, ARCH_BERT)
