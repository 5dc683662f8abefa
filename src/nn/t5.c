/* T5 (Raffel et al. 2020), CodeT5, CodeT5+ up to 770M, MT5 and UMT5: a pre-norm encoder and decoder without biases.
 *
 *     x_0 = block_dropout(shared[id])
 *     x   = x + attn(rms(x));  [x = x + cross(rms(x), memory);]  x = x + ffn(rms(x))
 *     h   = block_dropout(rms(x))       logits = d^-1/2 h shared'       or an own head, then without the factor
 *
 * Positions enter as a bias on the scores of self-attention alone, a function of key minus query position that the
 * first layer owns and all layers share (UMT5: each layer owns one); scores are not divided by sqrt(D).  Heads times
 * head size need not be d. The feed-forward is relu, or gated: act(wi_0 x) * wi_1 x (version 1.1). The classification
 * head is CodeT5's: one linear layer on the decoder's state at the source's last end-of-text token, the decoder being
 * fed the source itself, moved right. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nn/build.h"
#include "nn/config.h"

typedef struct {
    Param *shared, *head, *table[2]; /* table: of the encoder and of the decoder, where it is not the shared one */
    Param **relpos[2];               /* of the encoder's layers, of the decoder's; NULL where a layer owns none */
    Norm final[2];
    Param *class_w, *class_b;
} T5;

/* t5-small. */
static void defaults(Config *c)
{
    *c = (Config){.arch = "t5",
                  .vocab = 32128,
                  .dim = 512,
                  .heads = 8,
                  .layers = 6,
                  .decoder_layers = 6,
                  .act = ACT_RELU,
                  .tie_head = true,
                  .rel_buckets = 32,
                  .rel_distance = 128,
                  .pad = 0,
                  .bos = -1,
                  .eos = 1,
                  .decoder_start = 0,
                  .eps = 1e-6,
                  .dropout = 0.1,
                  .attn_dropout = 0.1,
                  .act_dropout = 0.1,
                  .head_dropout = 0,
                  .init_sd = 1};
}

static Status check(const Config *c)
{
    if (c->decoder_layers < 1)
        return err_fail(E_CONFIG, "decoder_layers is %d, expected at least 1", c->decoder_layers);
    if (c->rel_buckets < 4 || c->rel_buckets > 1 << 16 || c->rel_buckets % 2)
        return err_fail(E_CONFIG, "rel_buckets is %d, expected an even number from 4 to 65536", c->rel_buckets);
    if (c->rel_distance <= c->rel_buckets / 2)
        return err_fail(E_CONFIG, "rel_distance is %d, expected more than half of rel_buckets %d", c->rel_distance,
                        c->rel_buckets);
    if (c->decoder_start < 0 || c->pad < 0)
        return err_fail(E_CONFIG, "decoder_start is %d and pad %d, expected token ids", c->decoder_start, c->pad);
    return OK;
}

/* ---- parameters */

static const Linear *map(Model *m, Where at, Site site, const char *name, int64_t in, int64_t out, double variance)
{
    at.site = site;
    return build_linear(m, name, at, (Shape){in, out, OUT_IN, false, m->config.init_sd * sqrt(variance)});
}

static StackAttention build_attention(Model *m, const Stack *s, Where at, const char *name, const char *norm_name)
{
    const int64_t d = m->config.dim, inner = (int64_t)s->heads * s->head_dim;
    const double dd = (double)d, kv = s->head_dim;
    return (StackAttention){.q = map(m, at, SITE_Q, NAMED(m, "%s.q", name), d, inner, 1 / (dd * kv)),
                            .k = map(m, at, SITE_K, NAMED(m, "%s.k", name), d, inner, 1 / dd),
                            .v = map(m, at, SITE_V, NAMED(m, "%s.v", name), d, inner, 1 / dd),
                            .out = map(m, at, SITE_ATTN_OUT, NAMED(m, "%s.o", name), inner, d, 1 / (double)inner),
                            .norm = build_norm(m, norm_name, false)};
}

static FeedForward build_ffn(Model *m, Where at, const char *block, int sub)
{
    const Config *c = &m->config;
    const char *dense = NAMED(m, "%s.layer.%d.DenseReluDense", block, sub);
    const double in = 1 / (double)c->dim;
    FeedForward f = {0};
    f.up = map(m, at, SITE_FFN_UP, NAMED(m, "%s.%s", dense, c->gated ? "wi_0" : "wi"), c->dim, c->hidden, in);
    if (c->gated) f.gate = map(m, at, SITE_FFN_GATE, NAMED(m, "%s.wi_1", dense), c->dim, c->hidden, in);
    f.out = map(m, at, SITE_FFN_OUT, NAMED(m, "%s.wo", dense), c->hidden, c->dim, 1 / (double)c->hidden);
    f.norm = build_norm(m, NAMED(m, "%s.layer.%d.layer_norm", block, sub), false);
    return f;
}

static void build_side(Model *m, Part part, const char *side)
{
    const Config *c = &m->config;
    T5 *g = m->blocks;
    Stack *s = build_stack(m, part, true);
    s->scale = 1;
    g->relpos[part] = NEW(m->run, Param *, s->n);
    for (int i = 0; i < s->n; i++) {
        StackLayer *l = &s->layer[i];
        const Where at = {.layer = i, .part = part}, cross = {.layer = i, .part = PART_CROSS};
        const char *block = NAMED(m, "%s.block.%d", side, i), *self = NAMED(m, "%s.layer.0.SelfAttention", block);
        l->self = build_attention(m, s, at, self, NAMED(m, "%s.layer.0.layer_norm", block));
        if (!i || c->rel_by_layer)
            g->relpos[part][i] =
                build_param(m, NAMED(m, "%s.relative_attention_bias.weight", self),
                            (Init){INIT_NORMAL, c->init_sd / sqrt((double)c->dim)}, SHAPE(c->rel_buckets, s->heads));
        if (part == PART_DECODER)
            l->cross = build_attention(m, s, cross, NAMED(m, "%s.layer.1.EncDecAttention", block),
                                       NAMED(m, "%s.layer.1.layer_norm", block));
        l->ffn = build_ffn(m, at, block, part == PART_DECODER ? 2 : 1);
    }
    g->final[part] = build_norm(m, NAMED(m, "%s.final_layer_norm", side), false);
}

static void build(Model *m)
{
    const Config *c = &m->config;
    const Init normal = {INIT_NORMAL, c->init_sd};
    T5 *g = m->blocks = NEW(m->run, T5, 1);
    g->shared = build_param(m, "shared.weight", normal, SHAPE(c->vocab, c->dim));
    build_side(m, PART_ENCODER, "encoder");
    build_side(m, PART_DECODER, "decoder");
    if (!c->no_lm_head)
        g->head = c->tie_head ? g->shared : build_param(m, "lm_head.weight", normal, SHAPE(c->vocab, c->dim));
    if (c->classes) {
        const Init small = {INIT_NORMAL, 0.02};
        g->class_w = build_param(m, "classifier.weight", small, SHAPE(c->classes, c->dim));
        g->class_b = build_param(m, "classifier.bias", (Init){INIT_ZERO, 0}, SHAPE(c->classes));
    }
    if (c->state_classes) {
        build_param(m, "cls_head.weight", (Init){INIT_NORMAL, 0.02}, SHAPE(c->state_classes, c->dim));
        build_param(m, "cls_head.bias", (Init){INIT_ZERO, 0}, SHAPE(c->state_classes));
    }
}

static double untie(Model *m)
{
    T5 *g = m->blocks;
    double factor = 1 / sqrt((double)m->config.dim);
    g->head = build_copy(m, "lm_head.weight", g->shared, factor);
    return factor;
}

static void part_tables(Model *m)
{
    T5 *g = m->blocks;
    g->table[PART_ENCODER] = build_copy(m, "encoder.embed_tokens.weight", g->shared, 1);
    g->table[PART_DECODER] = build_copy(m, "decoder.embed_tokens.weight", g->shared, 1);
}

/* ---- passes */

/* With a cache the queries' positions are given; one bias serves all rows, so these must agree. */
static Var *position_bias(Model *m, Pass *p, Part part, int layer, const Rows *r)
{
    const T5 *g = m->blocks;
    for (int64_t i = 0; r->at && i < r->b * r->t; i++)
        CHECK(r->at[i] == r->at[i % r->t], "t5 decodes rows of different lengths; prompts must be equally long");
    RelPos at = {.t = r->t,
                 .n = block_content_keys(p, part, r),
                 .max_distance = m->config.rel_distance,
                 .bidirectional = part == PART_ENCODER,
                 .qpos = r->at};
    return op_relpos(p->tape, tape_param(p->tape, g->relpos[part][layer]), at);
}

static Var *embed(Model *m, Pass *p, Part part, const int32_t *ids, int64_t b, int64_t t, const int32_t *len,
                  const uint8_t *mask, Rows *r)
{
    const T5 *g = m->blocks;
    const Where at = {SITE_RESID, LAYER_EMBED, part};
    int mark = tape_enter(p->tape);
    Var *table = tape_param(p->tape, g->table[part] ? g->table[part] : g->shared);
    Var *h = block_embed_tokens(p, part, table, 1, ids, b, t, r);
    rows_limit(p, r, part, len, mask);
    h = block_dropout(p, m->config.dropout, at, h);
    return tape_leave(p->tape, mark, hook_run(p, at, h, h));
}

static Var *run(Model *m, Pass *p, const Stack *s, Var *h, Rows *r)
{
    const T5 *g = m->blocks;
    int mark = tape_enter(p->tape);
    if (m->config.rel_by_layer) {
        r->layer_bias = NEW(tape_arena(p->tape), Var *, s->n);
        for (int i = 0; i < s->n; i++) r->layer_bias[i] = position_bias(m, p, s->part, i, r);
    } else {
        r->bias = position_bias(m, p, s->part, 0, r);
    }
    h = block_norm(p, &g->final[s->part], block_run(p, s, h, r), NULL);
    return tape_leave(p->tape, mark, block_dropout(p, s->dropout, (Where){SITE_RESID, s->n, s->part}, h));
}

static Var *encode(Model *m, Pass *p, const Batch *x)
{
    Rows r;
    int mark = tape_enter(p->tape);
    Var *h = embed(m, p, PART_ENCODER, x->src, x->b, x->s, x->src_len, NULL, &r);
    return tape_leave(p->tape, mark, run(m, p, m->encoder, h, &r));
}

static Var *decode(Model *m, Pass *p, const Batch *x, Var *memory)
{
    Rows r;
    int mark = tape_enter(p->tape);
    Var *h = embed(m, p, PART_DECODER, x->ids, x->b, x->t, x->len, x->mask, &r);
    CHECK(!x->position && !x->span && !x->type, "a batch gives %s positions, spans or types", m->config.arch);
    rows_see(p, &r, PART_DECODER, x);
    rows_keep(p, &r, x->keep, x->k);
    rows_memory(p, &r, memory, x);
    h = run(m, p, m->decoder, h, &r);
    if (p->cache) cache_advance(p->cache, &r, x->len);
    return tape_leave(p->tape, mark, h);
}

static Var *hidden(Model *m, Pass *p, const Batch *x)
{
    int mark = tape_enter(p->tape);
    return tape_leave(p->tape, mark, decode(m, p, x, encode(m, p, x)));
}

/* A tied head reads states made smaller, because the token table is drawn with variance 1. */
static Var *before_head(Model *m, Pass *p, Var *h)
{
    return m->config.tie_head ? op_scale(p->tape, h, 1 / sqrt((double)m->config.dim)) : h;
}

static Var *logits(Model *m, Pass *p, Var *h)
{
    const T5 *g = m->blocks;
    return op_linear(p->tape, before_head(m, p, h), tape_param(p->tape, g->head), OUT_IN, NULL, ACT_NONE);
}

static Var *head_loss(Model *m, Pass *p, Var *h, const int32_t *target)
{
    const T5 *g = m->blocks;
    return op_head_xent(p->tape, before_head(m, p, h), tape_param(p->tape, g->head), OUT_IN, NULL, target, NULL);
}

static Var *classify(Model *m, Pass *p, const Batch *x)
{
    const T5 *g = m->blocks;
    Tape *t = p->tape;
    Batch y = batch_source_as_target(m, p, x);
    return op_linear(t, hidden(m, p, &y), tape_param(t, g->class_w), OUT_IN, tape_param(t, g->class_b), ACT_NONE);
}

/* ---- files */

static const Field FIELDS[] = {FIELD("vocab_size", INT, vocab, 1, 1e8),
                               FIELD("d_model", INT, dim, 1, 1e6),
                               FIELD("d_kv", INT, head_dim, 1, 65536),
                               FIELD("d_ff", INT, hidden, 1, 1e7),
                               FIELD("num_layers", INT, layers, 1, 4096),
                               FIELD("num_decoder_layers", INT, decoder_layers, 1, 4096),
                               FIELD("num_heads", INT, heads, 1, 4096),
                               FIELD("relative_attention_num_buckets", INT, rel_buckets, 1, 65536),
                               FIELD("relative_attention_max_distance", INT, rel_distance, 1, 1e8),
                               FIELD("dropout_rate", REAL, dropout, 0, 1),
                               FIELD("layer_norm_epsilon", REAL, eps, 0, 1),
                               FIELD("initializer_factor", REAL, init_sd, 0, 1e3),
                               FIELD("pad_token_id", INT, pad, 0, 1e8),
                               FIELD("bos_token_id", INT, bos, -1, 1e8),
                               FIELD("eos_token_id", INT, eos, -1, 1e8),
                               FIELD("decoder_start_token_id", INT, decoder_start, 0, 1e8),
                               FIELD("tie_word_embeddings", BOOL, tie_head, 0, 0),
                               {0}};

static const Alias GENERAL[] = {{"d_model", "hidden_size"},
                                {"num_heads", "num_attention_heads"},
                                {"num_layers", "num_hidden_layers"},
                                {"d_kv", "head_dim"},
                                {0}};

static const Alias ALIAS[] = {{"shared.weight", "encoder.embed_tokens.weight"},
                              {"shared.weight", "decoder.embed_tokens.weight"},
                              {"shared.weight", "lm_head.weight"},
                              {0}};

static const Fixed FIXED[] = {{"is_encoder_decoder", "true"}, {0}};

/* MT5 and UMT5 are T5 1.1 with a vocabulary of many languages; only MT5's class has a head of its own. */
static void absent(Config *c, const char *type)
{
    config_set_type(c, type, "t5");
    c->hidden = 2048;
    c->head_dim = 64;
    if (!*c->type) return;
    c->vocab = 250112;
    c->hidden = 1024;
    c->layers = 8;
    c->heads = 6;
    c->tie_head = strcmp(type, "mt5") != 0;
    c->rel_by_layer = !strcmp(type, "umt5");
}

static Status read_config(Config *c, const cJSON *root, const char *path)
{
    const char *form = *c->type ? "gated-gelu" : "relu";
    TRY(json_text(&form, root, "feed_forward_proj", path));
    c->gated = !strncmp(form, "gated-", 6);
    if (c->gated && !strcmp(form, "gated-gelu"))
        c->act = ACT_GELU_TANH; /* the reference's reading of the word in this one place */
    else
        TRY(act_from_hf(&c->act, form + (c->gated ? 6 : 0), "feed_forward_proj", path));
    if (!json_has(root, "num_decoder_layers")) c->decoder_layers = c->layers;
    c->attn_dropout = c->act_dropout = c->dropout;
    /* transformers 5 ties every table by its own rule and says here whether the config did */
    return json_bool(&c->tie_head, root, "scale_decoder_outputs", path);
}

static void write_config(const Config *c, cJSON *root)
{
    config_put_type(root, c, "t5", "T5", "ForConditionalGeneration");
    char form[64];
    snprintf(form, sizeof form, "%s%s", c->gated ? "gated-" : "",
             c->gated && c->act == ACT_GELU_TANH ? "gelu" : act_to_hf(c->act));
    config_put(root, "feed_forward_proj", form);
    cJSON_AddBoolToObject(root, "is_encoder_decoder", true);
}

static void adapt(Config *c, const Weights *w)
{
    const Stored *out = weights_find(w, "classifier.weight"), *own = weights_find(w, "cls_head.weight");
    c->classes = out && out->rank == 2 ? (int)out->dim[0] : 0;
    c->state_classes = own && own->rank == 2 ? (int)own->dim[0] : 0;
}

static const Sublayer SUBLAYERS[] = {
    {PART_ENCODER, "attn", "encoder.block.", ".layer.0"}, {PART_ENCODER, "ffn", "encoder.block.", ".layer.1"},
    {PART_DECODER, "attn", "decoder.block.", ".layer.0"}, {PART_DECODER, "ffn", "decoder.block.", ".layer.2"},
    {PART_CROSS, "attn", "decoder.block.", ".layer.1"},   {0}};

static const Head OTHERS[] = {{"cls_head", "CCT5's classification of a change and its features"},
                              {"proj", "a projection, as of CodeT5+ for text matching"},
                              {"itm_head", "CodeT5+'s matching of text and code"},
                              {"decoder.block.0.layer.1.EncDecAttention.relative_attention_bias",
                               "a table that the first T5 files have and no T5 reads"},
                              {0}};

static const Format FORMAT = {.types = "t5|mt5|umt5",
                              .prefix = "",
                              .fields = FIELDS,
                              .fixed = FIXED,
                              .general = GENERAL,
                              .absent = absent,
                              .alias = ALIAS,
                              .ignore = "",
                              .heads = OTHERS,
                              .sublayers = SUBLAYERS,
                              .gated_lora = {SITE_FFN_GATE, SITE_FFN_OUT},
                              .read = read_config,
                              .write = write_config,
                              .adapt = adapt};

const Arch ARCH_T5 = {.name = "t5",
                      .summary = "encoder-decoder, pre-norm, relative positions, no biases",
                      .format = &FORMAT,
                      .defaults = defaults,
                      .check = check,
                      .build = build,
                      .hidden = hidden,
                      .encode = encode,
                      .decode = decode,
                      .logits = logits,
                      .head_loss = head_loss,
                      .classify = classify,
                      .untie = untie,
                      .part_tables = part_tables,
                      .last = PART_DECODER,
                      .targets = "*.q|*.v",
                      .length_penalty = 1,
                      .equal_prompts = true}; /* relative positions are shared by the rows of a batch */
REGISTER(arch, ARCH_T5)
