/* RoBERTa (Liu et al. 2019), and CodeBERT, GraphCodeBERT and UniXcoder, which are RoBERTas: a post-norm encoder.
 *
 *     x_0 = block_dropout(LN(word[id] + position + type[0]))
 *     x   = LN(x + attn(x));  x = LN(x + ffn(x))            in each layer
 *
 * UniXcoder writes too: causal rows continue a prompt that was read causally, or both ways, through a cache, and its
 * LM head is the token table alone.  GraphCodeBERT's data flow is a matter of the batch (nn/flow.h).
 *
 * Positions count the tokens that are not padding, from pad + 1 on; padding sits at row `pad`.  With virtual tokens
 * in front they run on through all rows, as the reference's do for ready-made vectors.
 * Heads: masked tokens (dense, gelu, LN, tied decoder with a bias), classes (token 0: dropout, dense, tanh, dropout,
 * out_proj), and an optional pooler (token 0: dense, tanh). */
#include <string.h>

#include "nn/build.h"
#include "nn/config.h"

typedef struct {
    Param *word, *position, *type;
    Norm embed_norm, head_norm;
    Param *head_dense, *head_dense_bias, *decoder, *head_bias;
    Param *pooler, *pooler_bias;
    Param *class_dense, *class_dense_bias, *class_out, *class_out_bias;
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

static const Linear *map(Model *m, Site site, int layer, const char *name, int64_t in, int64_t out)
{
    return build_linear(m, NAMED(m, "encoder.layer.%d.%s", layer, name), (Where){site, layer, PART_ENCODER},
                        (Shape){in, out, OUT_IN, true, m->config.init_sd});
}

static void build_layer(Model *m, const Stack *s, StackLayer *l, int i)
{
    const int64_t d = m->config.dim, inner = (int64_t)s->heads * s->head_dim, f = m->config.hidden;
    l->self.q = map(m, SITE_Q, i, "attention.self.query", d, inner);
    l->self.k = map(m, SITE_K, i, "attention.self.key", d, inner);
    l->self.v = map(m, SITE_V, i, "attention.self.value", d, inner);
    l->self.out = map(m, SITE_ATTN_OUT, i, "attention.output.dense", inner, d);
    l->self.norm = build_norm(m, NAMED(m, "encoder.layer.%d.attention.output.LayerNorm", i), true);
    l->ffn.up = map(m, SITE_FFN_UP, i, "intermediate.dense", d, f);
    l->ffn.out = map(m, SITE_FFN_OUT, i, "output.dense", f, d);
    l->ffn.norm = build_norm(m, NAMED(m, "encoder.layer.%d.output.LayerNorm", i), true);
}

static void dense(Model *m, const char *name, Param **w, Param **b, int64_t out)
{
    *w = build_param(m, NAMED(m, "%s.weight", name), (Init){INIT_NORMAL, m->config.init_sd},
                     SHAPE(out, m->config.dim));
    *b = build_param(m, NAMED(m, "%s.bias", name), (Init){INIT_ZERO, 0}, SHAPE(out));
}

static void build(Model *m)
{
    const Config *c = &m->config;
    const Init normal = {INIT_NORMAL, c->init_sd};
    Roberta *g = m->blocks = NEW(m->run, Roberta, 1);
    Stack *s = build_stack(m, PART_ENCODER, false);
    g->word = build_param(m, "embeddings.word_embeddings.weight", normal, SHAPE(c->vocab, c->dim));
    g->position = build_param(m, "embeddings.position_embeddings.weight", normal, SHAPE(c->positions, c->dim));
    g->type = build_param(m, "embeddings.token_type_embeddings.weight", normal, SHAPE(c->types, c->dim));
    g->embed_norm = build_norm(m, "embeddings.LayerNorm", true);
    for (int i = 0; i < s->n; i++) build_layer(m, s, &s->layer[i], i);
    if (c->pooler) dense(m, "pooler.dense", &g->pooler, &g->pooler_bias, c->dim);
    if (c->plain_head) g->decoder = g->word;
    if (!c->no_lm_head && !c->plain_head) {
        dense(m, "lm_head.dense", &g->head_dense, &g->head_dense_bias, c->dim);
        g->head_norm = build_norm(m, "lm_head.layer_norm", true);
        g->head_bias = build_param(m, "lm_head.bias", (Init){INIT_ZERO, 0}, SHAPE(c->vocab));
        g->decoder =
            c->tie_head ? g->word : build_param(m, "lm_head.decoder.weight", normal, SHAPE(c->vocab, c->dim));
    }
    if (c->classes) {
        dense(m, "classifier.dense", &g->class_dense, &g->class_dense_bias, c->dim);
        dense(m, "classifier.out_proj", &g->class_out, &g->class_out_bias, c->classes);
    }
}

static double untie(Model *m)
{
    Roberta *g = m->blocks;
    g->decoder = build_copy(m, "lm_head.decoder.weight", g->word, 1);
    return 1;
}

/* ---- passes */

/* Rows of the position table: pad + 1, pad + 2, ... for tokens, behind the cached ones, and pad for padding. */
static int32_t *position_ids(Pass *p, const Config *c, const Batch *x)
{
    int32_t *id = NEW(tape_arena(p->tape), int32_t, x->b * x->t);
    int32_t shift = (int32_t)hooks_shifted(p->hooks, PART_ENCODER);
    for (int64_t b = 0; b < x->b; b++) {
        int32_t n = p->cache ? p->cache->len[b] : 0;
        for (int64_t i = b * x->t; i < (b + 1) * x->t; i++)
            id[i] = x->ids[i] == c->pad ? c->pad : c->pad + shift + ++n;
    }
    return id;
}

static bool has_padding(const Config *c, const Batch *x)
{
    for (int64_t i = 0; i < x->b * x->t; i++)
        if (x->ids[i] == c->pad) return true;
    return false;
}

/* Token, position and type vectors, then their norm and dropout; data flow averages tokens first. */
static Var *embed(Model *m, Pass *p, const Batch *x, Rows *r)
{
    const Config *c = &m->config;
    const Roberta *g = m->blocks;
    const Where at = {SITE_RESID, LAYER_EMBED, PART_ENCODER};
    Tape *t = p->tape;
    int mark = tape_enter(t);
    Var *h = op_embed(t, tape_param(t, g->word), x->ids, x->b, x->t);
    h = block_embed_vectors(p, PART_ENCODER, x->span ? op_spans(t, h, x->span) : h, r);
    rows_limit(p, r, PART_ENCODER, x->len, x->mask);
    rows_see(p, r, PART_ENCODER, x);
    if (!x->position && !r->prompt && has_padding(c, x))
        h = op_add(t, h, 1, op_embed(t, tape_param(t, g->position), position_ids(p, c, x), x->b, x->t));
    else
        h = block_add_positions(p, PART_ENCODER, h, g->position, c->pad + 1, r);
    const int32_t first_type = 0;
    h = op_add(t, h, 1, op_embed(t, tape_param(t, g->type), &first_type, 1, 1));
    h = block_dropout(p, c->dropout, at, block_norm(p, &g->embed_norm, h, NULL));
    return tape_leave(t, mark, hook_run(p, at, h, h));
}

static Var *hidden(Model *m, Pass *p, const Batch *x)
{
    Rows r;
    int mark = tape_enter(p->tape);
    Var *h = embed(m, p, x, &r);
    rows_keep(p, &r, x->keep, x->k);
    h = block_run(p, m->encoder, h, &r);
    if (p->cache) cache_advance(p->cache, &r, x->len);
    return tape_leave(p->tape, mark, h);
}

static Var *layer(Tape *t, Var *x, Param *w, Param *b, Act act)
{
    return op_linear(t, x, tape_param(t, w), OUT_IN, tape_param(t, b), act);
}

static Var *transform(Model *m, Pass *p, Var *h)
{
    const Roberta *g = m->blocks;
    if (m->config.plain_head) return h;
    return block_norm(p, &g->head_norm, layer(p->tape, h, g->head_dense, g->head_dense_bias, ACT_GELU), NULL);
}

static Var *logits(Model *m, Pass *p, Var *h)
{
    const Roberta *g = m->blocks;
    return layer(p->tape, transform(m, p, h), g->decoder, g->head_bias, ACT_NONE);
}

static Var *head_loss(Model *m, Pass *p, Var *h, const int32_t *target)
{
    const Roberta *g = m->blocks;
    Tape *t = p->tape;
    return op_head_xent(t, transform(m, p, h), tape_param(t, g->decoder), OUT_IN, tape_param(t, g->head_bias), target,
                        NULL);
}

static Var *pool(Model *m, Pass *p, Var *first)
{
    const Roberta *g = m->blocks;
    return layer(p->tape, first, g->pooler, g->pooler_bias, ACT_TANH);
}

static Var *classify(Model *m, Pass *p, const Batch *x)
{
    const Roberta *g = m->blocks;
    const Config *c = &m->config;
    double rate = c->head_dropout < 0 ? c->dropout : c->head_dropout;
    Batch first = *x;
    first.keep = NEW(tape_arena(p->tape), int32_t, x->b);
    first.k = 1;
    Var *h = block_dropout(p, rate, (Where){SITE_LOGITS, 0, PART_ENCODER}, hidden(m, p, &first));
    h = layer(p->tape, h, g->class_dense, g->class_dense_bias, ACT_TANH);
    h = block_dropout(p, rate, (Where){SITE_LOGITS, 1, PART_ENCODER}, h);
    return layer(p->tape, h, g->class_out, g->class_out_bias, ACT_NONE);
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
    (void)type;
    c->positions = 512;
    c->types = 2;
    c->hidden = 3072;
    c->eps = 1e-12;
}

static void write_config(const Config *c, cJSON *root)
{
    config_put(root, "model_type", "roberta");
    config_put_architecture(root, c->classes                       ? "RobertaForSequenceClassification"
                                  : c->no_lm_head || c->plain_head ? "RobertaModel"
                                                                   : "RobertaForMaskedLM");
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

static const Sublayer SUBLAYERS[] = {{PART_ENCODER, "attn", "encoder.layer.", ".attention.output"},
                                     {PART_ENCODER, "ffn", "encoder.layer.", ".output"},
                                     {0}};

static const Head OTHERS[] = {{"bias", "the mask of UniXcoder's decoder"},
                              {"dense", "the layer that UniXcoder's decoder does not use"},
                              {0}};

static const Format FORMAT = {.types = "roberta",
                              .prefix = "roberta.",
                              .fields = FIELDS,
                              .fixed = FIXED,
                              .absent = absent,
                              .alias = ALIAS,
                              .ignore = "embeddings.position_ids|embeddings.token_type_ids",
                              .heads = OTHERS,
                              .sublayers = SUBLAYERS,
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
