/* ModernBERT (Warner et al. 2024): a pre-norm encoder with rotary positions.
 *
 *     x_0 = LN(tok_embeddings[id])
 *     x   = x + attn(LN(x));  x = x + Wo(gelu(u) * w), [u; w] = Wi LN(x)        in each layer
 *     h   = LN(x)
 *
 * The first layer has no norm before attention.  Every third layer sees all rows; the others see a window of
 * neighbours on both sides, and turn by rates of their own.  One layer makes queries, keys and values, and one both
 * halves of the gated feed-forward.  No norm has a bias.
 * Heads: masked tokens (dense, gelu, LN, tied decoder with a bias), and classes (the first token, or the mean of all:
 * dense, gelu, LN, dropout, classifier); both have the same dense layer and norm. */
#include <math.h>
#include <string.h>

#include "nn/build.h"
#include "nn/config.h"
#include "nn/rope.h"

typedef struct {
    Param *tokens, *head_dense, *decoder, *head_bias, *class_w, *class_b;
    Norm embed_norm, final, head_norm;
} ModernBert;

/* ModernBERT-base. */
static void defaults(Config *c)
{
    *c = (Config){.arch = "modernbert",
                  .vocab = 50368,
                  .positions = 8192,
                  .dim = 768,
                  .heads = 12,
                  .hidden = 1152,
                  .layers = 22,
                  .act = ACT_GELU,
                  .gated = true,
                  .tie_head = true,
                  .rope = {.share = 1, .base = 160000, .local_base = 10000},
                  .window = 65,
                  .global_every = 3,
                  .pooling = POOL_FIRST,
                  .pad = 50283,
                  .bos = 50281,
                  .eos = 50282,
                  .decoder_start = -1,
                  .eps = 1e-5,
                  .head_dropout = 0,
                  .init_sd = 0.02};
}

static Status check(const Config *c)
{
    if (c->positions < 1) return err_fail(E_CONFIG, "positions is %d, expected at least 1", c->positions);
    if (c->decoder_layers)
        return err_fail(E_CONFIG, "decoder_layers is %d, modernbert has one stack", c->decoder_layers);
    if (!c->gated) return err_fail(E_CONFIG, "gated is false, modernbert's feed-forward is gated");
    if (c->head_dim && c->head_dim * c->heads != c->dim)
        return err_fail(E_CONFIG, "head_dim %d times heads %d is not dim %d, as modernbert needs", c->head_dim,
                        c->heads, c->dim);
    if (c->kv_heads && c->kv_heads != c->heads)
        return err_fail(E_CONFIG, "kv_heads is %d, modernbert has as many as heads, %d", c->kv_heads, c->heads);
    if (c->rope.share != 1 || c->dim / c->heads % 2)
        return err_fail(E_CONFIG, "rope.share is %g of %d channels, modernbert's heads turn as a whole and are even",
                        c->rope.share, c->dim / c->heads);
    if (c->window_from || c->global_every < 1)
        return err_fail(E_CONFIG,
                        "window_from is %d and global_every %d; modernbert's first layer and each so many "
                        "have no window",
                        c->window_from, c->global_every);
    if (c->qkv_bias != c->out_bias || c->qk_norm || c->parallel)
        return err_fail(E_CONFIG, "modernbert has biases in all layers of attention or in none, no norms of queries, "
                                  "and sequential layers");
    if (c->pooling != POOL_FIRST && c->pooling != POOL_MEAN)
        return err_fail(E_CONFIG, "pooling is %d, modernbert's is the first token or the mean", (int)c->pooling);
    return OK;
}

/* ---- parameters */

static const Linear *linear(Model *m, Site site, int layer, const char *name, int64_t in, int64_t out, bool bias)
{
    return build_linear(m, NAMED(m, "layers.%d.%s", layer, name), (Where){site, layer, PART_ENCODER},
                        (Shape){in, out, OUT_IN, bias, m->config.init_sd});
}

static void build_layer(Model *m, StackLayer *l, int i)
{
    const Config *c = &m->config;
    const int64_t d = c->dim;
    StackAttention *a = &l->self;
    if (i) a->norm = build_norm_unbiased(m, NAMED(m, "layers.%d.attn_norm", i));
    a->qkv = linear(m, SITE_QKV, i, "attn.Wqkv", d, 3 * d, c->qkv_bias);
    a->q = build_part(m, a->qkv, NAMED(m, "layers.%d.attn.Wqkv.q", i), SITE_Q, 0, d);
    a->k = build_part(m, a->qkv, NAMED(m, "layers.%d.attn.Wqkv.k", i), SITE_K, d, d);
    a->v = build_part(m, a->qkv, NAMED(m, "layers.%d.attn.Wqkv.v", i), SITE_V, 2 * d, d);
    a->out = linear(m, SITE_ATTN_OUT, i, "attn.Wo", d, d, c->out_bias);
    l->ffn.norm = build_norm_unbiased(m, NAMED(m, "layers.%d.mlp_norm", i));
    l->ffn.up = linear(m, SITE_FFN_UP, i, "mlp.Wi", d, 2 * (int64_t)c->hidden, c->ffn_bias);
    l->ffn.halves = true;
    l->ffn.out = linear(m, SITE_FFN_OUT, i, "mlp.Wo", c->hidden, d, c->ffn_bias);
}

static void build(Model *m)
{
    const Config *c = &m->config;
    const Init normal = {INIT_NORMAL, c->init_sd}, zero = {INIT_ZERO, 0};
    ModernBert *g = m->blocks = NEW(m->run, ModernBert, 1);
    Stack *s = build_stack(m, PART_ENCODER, true);
    s->dropout = 0; /* the config's is that of the token vectors */
    g->tokens = build_param(m, "embeddings.tok_embeddings.weight", normal, SHAPE(c->vocab, c->dim));
    g->embed_norm = build_norm_unbiased(m, "embeddings.norm");
    for (int i = 0; i < s->n; i++) build_layer(m, &s->layer[i], i);
    g->final = build_norm_unbiased(m, "final_norm");
    if (!c->no_lm_head || c->classes) {
        g->head_dense = build_param(m, "head.dense.weight", normal, SHAPE(c->dim, c->dim));
        g->head_norm = build_norm_unbiased(m, "head.norm");
    }
    if (!c->no_lm_head) {
        g->decoder = c->tie_head ? g->tokens : build_param(m, "decoder.weight", normal, SHAPE(c->vocab, c->dim));
        g->head_bias = build_param(m, "decoder.bias", zero, SHAPE(c->vocab));
    }
    if (c->classes) {
        g->class_w = build_param(m, "classifier.weight", normal, SHAPE(c->classes, c->dim));
        g->class_b = build_param(m, "classifier.bias", zero, SHAPE(c->classes));
    }
}

static double untie(Model *m)
{
    ModernBert *g = m->blocks;
    g->decoder = build_copy(m, "decoder.weight", g->tokens, 1);
    return 1;
}

/* ---- passes */

static Var *hidden(Model *m, Pass *p, const Batch *x)
{
    const ModernBert *g = m->blocks;
    const Where embed = {SITE_RESID, LAYER_EMBED, PART_ENCODER};
    Rows r;
    int mark = tape_enter(p->tape);
    CHECK(!x->span, "a batch gives modernbert spans");
    Var *h = block_embed_tokens(p, PART_ENCODER, tape_param(p->tape, g->tokens), 1, x->ids, x->b, x->t, &r);
    rows_limit(p, &r, PART_ENCODER, x->len, x->mask);
    rows_see(p, &r, PART_ENCODER, x);
    rows_keep(p, &r, x->keep, x->k);
    h = block_dropout(p, m->config.dropout, embed, block_norm(p, &g->embed_norm, h, NULL));
    h = block_run(p, m->encoder, hook_run(p, embed, h, h), &r);
    return tape_leave(p->tape, mark, block_norm(p, &g->final, h, NULL));
}

/* What both heads begin with. */
static Var *transform(Model *m, Pass *p, Var *h)
{
    const ModernBert *g = m->blocks;
    h = op_linear(p->tape, h, tape_param(p->tape, g->head_dense), OUT_IN, NULL, ACT_GELU);
    return block_norm(p, &g->head_norm, h, NULL);
}

static Var *logits(Model *m, Pass *p, Var *h)
{
    const ModernBert *g = m->blocks;
    Tape *t = p->tape;
    return op_linear(t, transform(m, p, h), tape_param(t, g->decoder), OUT_IN, tape_param(t, g->head_bias), ACT_NONE);
}

static Var *head_loss(Model *m, Pass *p, Var *h, const int32_t *target)
{
    const ModernBert *g = m->blocks;
    Tape *t = p->tape;
    return op_head_xent(t, transform(m, p, h), tape_param(t, g->decoder), OUT_IN, tape_param(t, g->head_bias), target,
                        NULL);
}

static Var *classify(Model *m, Pass *p, const Batch *x)
{
    const ModernBert *g = m->blocks;
    Tape *t = p->tape;
    Var *h = transform(m, p, model_pooled(m, p, x, m->config.pooling));
    h = block_dropout(p, fmax(m->config.head_dropout, 0), (Where){SITE_LOGITS, 0, PART_ENCODER}, h);
    return op_linear(t, h, tape_param(t, g->class_w), OUT_IN, tape_param(t, g->class_b), ACT_NONE);
}

/* ---- files */

static const Field FIELDS[] = {FIELD("vocab_size", INT, vocab, 1, 1e8),
                               FIELD("max_position_embeddings", INT, positions, 1, 1e8),
                               FIELD("hidden_size", INT, dim, 1, 1e6),
                               FIELD("intermediate_size", INT, hidden, 1, 1e7),
                               FIELD("num_hidden_layers", INT, layers, 1, 4096),
                               FIELD("num_attention_heads", INT, heads, 1, 4096),
                               FIELD("hidden_activation", ACT, act, 0, 0),
                               FIELD("embedding_dropout", REAL, dropout, 0, 1),
                               FIELD("attention_dropout", REAL, attn_dropout, 0, 1),
                               FIELD("mlp_dropout", REAL, act_dropout, 0, 1),
                               FIELD("classifier_dropout", REAL, head_dropout, 0, 1),
                               FIELD("norm_eps", REAL, eps, 0, 1),
                               FIELD("initializer_range", REAL, init_sd, 0, 1e3),
                               FIELD("global_attn_every_n_layers", INT, global_every, 1, 4096),
                               FIELD("global_rope_theta", REAL, rope.base, 1e-3, 1e12),
                               FIELD("local_rope_theta", REAL, rope.local_base, 1e-3, 1e12),
                               FIELD("attention_bias", BOOL, qkv_bias, 0, 0),
                               FIELD("mlp_bias", BOOL, ffn_bias, 0, 0),
                               FIELD("pad_token_id", INT, pad, -1, 1e8),
                               FIELD("bos_token_id", INT, bos, -1, 1e8),
                               FIELD("eos_token_id", INT, eos, -1, 1e8),
                               FIELD("tie_word_embeddings", BOOL, tie_head, 0, 0),
                               {0}};

static const Alias ALIAS[] = {{"embeddings.tok_embeddings.weight", "decoder.weight"}, {0}};

static const Fixed FIXED[] = {{"is_encoder_decoder", "false"},   {"norm_bias", "false"},
                              {"classifier_bias", "false"},      {"decoder_bias", "true"},
                              {"classifier_activation", "gelu"}, {0}};

static Status read_pooling(Config *c, const cJSON *root, const char *path)
{
    const char *pooling = "cls";
    TRY(json_text(&pooling, root, "classifier_pooling", path));
    c->pooling = !strcmp(pooling, "mean") ? POOL_MEAN : POOL_FIRST;
    return !strcmp(pooling, "mean") || !strcmp(pooling, "cls")
               ? OK
               : err_fail(E_FORMAT, "%s: classifier_pooling is '%.30s', expected cls or mean", path, pooling);
}

/* local_attention counts the neighbours on both sides together. */
static Status read_config(Config *c, const cJSON *root, const char *path)
{
    int both = 2 * (c->window - 1);
    TRY(json_int(&both, root, "local_attention", 0, 1 << 28, path));
    c->window = both / 2 + 1;
    c->out_bias = c->qkv_bias;
    if (cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(root, "local_rope_theta"))) c->rope.local_base = 0;
    TRY(read_pooling(c, root, path));
    TRY(window_read(c, root, path));
    if (!c->window || (c->window_from == 1 && !c->global_every)) c->global_every = c->layers, c->window_from = 0;
    return rope_read(&c->rope, root, path);
}

static void write_config(const Config *c, cJSON *root)
{
    config_put(root, "model_type", "modernbert");
    config_put_architecture(root, c->classes      ? "ModernBertForSequenceClassification"
                                  : c->no_lm_head ? "ModernBertModel"
                                                  : "ModernBertForMaskedLM");
    cJSON_AddNumberToObject(root, "local_attention", c->window ? 2 * (c->window - 1) : 2 * c->positions);
    config_put(root, "classifier_pooling", c->pooling == POOL_MEAN ? "mean" : "cls");
    if (c->classes) cJSON_AddNumberToObject(root, "num_labels", c->classes);
}

static void adapt(Config *c, const Weights *w)
{
    const Stored *out = weights_find(w, "classifier.weight");
    c->classes = out && out->rank == 2 ? (int)out->dim[0] : 0;
    c->no_lm_head = !weights_find(w, "decoder.bias");
    if (!weights_find(w, "decoder.weight")) c->tie_head = true;
}

static const Sublayer SUBLAYERS[] = {{0}};

static const Head OTHERS[] = {{"head", "masked tokens or classes"}, {"decoder", "masked tokens"}, {0}};

static const Format FORMAT = {.types = "modernbert",
                              .prefix = "model.",
                              .fields = FIELDS,
                              .fixed = FIXED,
                              .alias = ALIAS,
                              .ignore = "*.rotary_emb.inv_freq",
                              .heads = OTHERS,
                              .sublayers = SUBLAYERS,
                              .read = read_config,
                              .write = write_config,
                              .adapt = adapt};

static int room(const Config *c)
{
    return c->positions;
}

const Arch ARCH_MODERNBERT = {.name = "modernbert",
                              .summary = "encoder, pre-norm, rotary positions, local and global attention",
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
                              .last = PART_ENCODER,
                              .targets = "*.Wqkv",
                              .length_penalty = 1};
REGISTER(arch, ARCH_MODERNBERT)
