/* BART (Lewis et al. 2020) and PLBART, which has its shape: a post-norm encoder and decoder; and MBart, where each
 * norm stands in front of its sublayer and one more follows each stack.
 *
 *     x_0 = block_dropout(LN(sqrt(d) shared[id] + position))            the factor only with scale_embedding
 *     x   = LN(x + attn(x));  [x = LN(x + cross(x, memory));]  x = LN(x + ffn(x))
 *     logits = h shared' + final_logits_bias
 *
 * Row 0 of a position table is position -2: two rows are left over from padding ids.  The classification head reads
 * the decoder at the source's last end-of-text token, the decoder being fed the source itself, moved right. */
#include <math.h>
#include <string.h>

#include "nn/build.h"
#include "nn/config.h"

enum { POSITION_OFFSET = 2 };
typedef struct {
    Param *shared, *position[2];  /* encoder's, decoder's */
    Param *table[2];              /* of tokens, where it is not the shared one */
    Norm embed_norm[2], final[2]; /* final: MBart's */
    Param *head, *head_bias;
    Param *class_dense, *class_dense_bias, *class_out, *class_out_bias;
} Bart;

/* PLBART-base. */
static void defaults(Config *c)
{
    *c = (Config){.arch = "bart",
                  .vocab = 50005,
                  .positions = 1024,
                  .dim = 768,
                  .heads = 12,
                  .layers = 6,
                  .decoder_layers = 6,
                  .act = ACT_GELU,
                  .tie_head = true,
                  .scale_embedding = true,
                  .pad = 1,
                  .bos = 0,
                  .eos = 2,
                  .decoder_start = -1,
                  .eps = 1e-5,
                  .dropout = 0.1,
                  .attn_dropout = 0.1,
                  .head_dropout = 0,
                  .init_sd = 0.02};
}

static Status check(const Config *c)
{
    if (c->decoder_layers < 1)
        return err_fail(E_CONFIG, "decoder_layers is %d, expected at least 1", c->decoder_layers);
    if (c->positions < 1) return err_fail(E_CONFIG, "positions is %d, expected at least 1", c->positions);
    if (c->gated) return err_fail(E_CONFIG, "bart has no gated feed-forward");
    if (c->pad < 0) return err_fail(E_CONFIG, "pad is %d, expected a token id", c->pad);
    return OK;
}

/* ---- parameters */

static const Linear *map(Model *m, Where at, Site site, const char *name, int64_t in, int64_t out)
{
    const char *side = at.part == PART_ENCODER ? "encoder" : "decoder";
    at.site = site;
    return build_linear(m, NAMED(m, "%s.layers.%d.%s", side, at.layer, name), at,
                        (Shape){in, out, OUT_IN, true, m->config.init_sd});
}

static Norm layer_norm(Model *m, Where at, const char *name)
{
    const char *side = at.part == PART_ENCODER ? "encoder" : "decoder";
    return build_norm(m, NAMED(m, "%s.layers.%d.%s", side, at.layer, name), true);
}

static StackAttention build_attention(Model *m, const Stack *s, Where at, const char *name)
{
    const int64_t d = m->config.dim, inner = (int64_t)s->heads * s->head_dim;
    return (StackAttention){.q = map(m, at, SITE_Q, NAMED(m, "%s.q_proj", name), d, inner),
                            .k = map(m, at, SITE_K, NAMED(m, "%s.k_proj", name), d, inner),
                            .v = map(m, at, SITE_V, NAMED(m, "%s.v_proj", name), d, inner),
                            .out = map(m, at, SITE_ATTN_OUT, NAMED(m, "%s.out_proj", name), inner, d),
                            .norm = layer_norm(m, at, NAMED(m, "%s_layer_norm", name))};
}

static void build_layers(Model *m, Part part)
{
    const Config *c = &m->config;
    Stack *s = build_stack(m, part, c->pre_norm);
    int64_t f = part == PART_DECODER && c->decoder_hidden ? c->decoder_hidden : c->hidden;
    for (int i = 0; i < s->n; i++) {
        StackLayer *l = &s->layer[i];
        const Where at = {.layer = i, .part = part}, cross = {.layer = i, .part = PART_CROSS};
        l->self = build_attention(m, s, at, "self_attn");
        if (part == PART_DECODER) l->cross = build_attention(m, s, cross, "encoder_attn");
        l->ffn.up = map(m, at, SITE_FFN_UP, "fc1", c->dim, f);
        l->ffn.out = map(m, at, SITE_FFN_OUT, "fc2", f, c->dim);
        l->ffn.norm = layer_norm(m, at, "final_layer_norm");
    }
}

static void build(Model *m)
{
    static const char *const SIDE[] = {"encoder", "decoder"};
    const Config *c = &m->config;
    const Init normal = {INIT_NORMAL, c->init_sd}, zero = {INIT_ZERO, 0};
    Bart *g = m->blocks = NEW(m->run, Bart, 1);
    g->shared = build_param(m, "shared.weight", normal, SHAPE(c->vocab, c->dim));
    for (int i = 0; i < 2; i++) {
        g->position[i] = build_param(m, NAMED(m, "%s.embed_positions.weight", SIDE[i]), normal,
                                     SHAPE(c->positions + POSITION_OFFSET, c->dim));
        g->embed_norm[i] = build_norm(m, NAMED(m, "%s.layernorm_embedding", SIDE[i]), true);
        build_layers(m, i ? PART_DECODER : PART_ENCODER);
        if (c->pre_norm) g->final[i] = build_norm(m, NAMED(m, "%s.layer_norm", SIDE[i]), true);
    }
    if (!c->no_lm_head) {
        g->head = c->tie_head ? g->shared : build_param(m, "lm_head.weight", normal, SHAPE(c->vocab, c->dim));
        g->head_bias = build_param(m, "final_logits_bias", zero, SHAPE(1, c->vocab));
    }
    if (c->classes) {
        g->class_dense = build_param(m, "classification_head.dense.weight", normal, SHAPE(c->dim, c->dim));
        g->class_dense_bias = build_param(m, "classification_head.dense.bias", zero, SHAPE(c->dim));
        g->class_out = build_param(m, "classification_head.out_proj.weight", normal, SHAPE(c->classes, c->dim));
        g->class_out_bias = build_param(m, "classification_head.out_proj.bias", zero, SHAPE(c->classes));
    }
}

static double untie(Model *m)
{
    Bart *g = m->blocks;
    g->head = build_copy(m, "lm_head.weight", g->shared, 1);
    return 1;
}

static void part_tables(Model *m)
{
    Bart *g = m->blocks;
    g->table[PART_ENCODER] = build_copy(m, "encoder.embed_tokens.weight", g->shared, 1);
    g->table[PART_DECODER] = build_copy(m, "decoder.embed_tokens.weight", g->shared, 1);
}

/* ---- passes */

static Var *embed(Model *m, Pass *p, Part part, const int32_t *ids, int64_t b, int64_t t, const int32_t *len,
                  const uint8_t *mask, Rows *r)
{
    const Bart *g = m->blocks;
    const Config *c = &m->config;
    const Where at = {SITE_RESID, LAYER_EMBED, part};
    int side = part == PART_DECODER, mark = tape_enter(p->tape);
    double scale = c->scale_embedding ? sqrt((double)c->dim) : 1;
    Var *table = tape_param(p->tape, g->table[part] ? g->table[part] : g->shared);
    Var *h = block_embed_tokens(p, part, table, scale, ids, b, t, r);
    rows_limit(p, r, part, len, mask);
    h = block_add_positions(p, part, h, g->position[side], POSITION_OFFSET, r);
    h = block_dropout(p, c->dropout, at, block_norm(p, &g->embed_norm[side], h, NULL));
    return tape_leave(p->tape, mark, hook_run(p, at, h, h));
}

/* All layers, and MBart's norm behind them. */
static Var *run(Model *m, Pass *p, const Stack *s, Var *h, const Rows *r)
{
    const Bart *g = m->blocks;
    const Norm *n = &g->final[s->part == PART_DECODER];
    int mark = tape_enter(p->tape);
    h = block_run(p, s, h, r);
    return tape_leave(p->tape, mark, n->gain ? block_norm(p, n, h, NULL) : h);
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

/* A buffer of the checkpoint, not a parameter: it takes no gradient. */
static Var *head_bias(Model *m, Pass *p)
{
    const Bart *g = m->blocks;
    return tape_leaf(p->tape, tensor_reshape(g->head_bias->val, SHAPE(m->config.vocab)));
}

static Var *logits(Model *m, Pass *p, Var *h)
{
    const Bart *g = m->blocks;
    return op_linear(p->tape, h, tape_param(p->tape, g->head), OUT_IN, head_bias(m, p), ACT_NONE);
}

static Var *head_loss(Model *m, Pass *p, Var *h, const int32_t *target)
{
    const Bart *g = m->blocks;
    return op_head_xent(p->tape, h, tape_param(p->tape, g->head), OUT_IN, head_bias(m, p), target, NULL);
}

static Var *classify(Model *m, Pass *p, const Batch *x)
{
    const Bart *g = m->blocks;
    const Config *c = &m->config;
    Tape *t = p->tape;
    double rate = c->head_dropout < 0 ? c->dropout : c->head_dropout;
    Batch y = batch_source_as_target(m, p, x);
    Var *h = block_dropout(p, rate, (Where){SITE_LOGITS, 0, PART_DECODER}, hidden(m, p, &y));
    h = op_linear(t, h, tape_param(t, g->class_dense), OUT_IN, tape_param(t, g->class_dense_bias), ACT_TANH);
    h = block_dropout(p, rate, (Where){SITE_LOGITS, 1, PART_DECODER}, h);
    return op_linear(t, h, tape_param(t, g->class_out), OUT_IN, tape_param(t, g->class_out_bias), ACT_NONE);
}

/* ---- files */

static const Field FIELDS[] = {FIELD("vocab_size", INT, vocab, 1, 1e8),
                               FIELD("max_position_embeddings", INT, positions, 1, 1e8),
                               FIELD("d_model", INT, dim, 1, 1e6),
                               FIELD("encoder_layers", INT, layers, 1, 4096),
                               FIELD("decoder_layers", INT, decoder_layers, 1, 4096),
                               FIELD("encoder_attention_heads", INT, heads, 1, 4096),
                               FIELD("decoder_attention_heads", INT, decoder_heads, 0, 4096),
                               FIELD("encoder_ffn_dim", INT, hidden, 1, 1e7),
                               FIELD("decoder_ffn_dim", INT, decoder_hidden, 0, 1e7),
                               FIELD("activation_function", ACT, act, 0, 0),
                               FIELD("dropout", REAL, dropout, 0, 1),
                               FIELD("attention_dropout", REAL, attn_dropout, 0, 1),
                               FIELD("activation_dropout", REAL, act_dropout, 0, 1),
                               FIELD("classifier_dropout", REAL, head_dropout, 0, 1),
                               FIELD("init_std", REAL, init_sd, 0, 1e3),
                               FIELD("scale_embedding", BOOL, scale_embedding, 0, 0),
                               FIELD("pad_token_id", INT, pad, 0, 1e8),
                               FIELD("bos_token_id", INT, bos, -1, 1e8),
                               FIELD("eos_token_id", INT, eos, -1, 1e8),
                               FIELD("tie_word_embeddings", BOOL, tie_head, 0, 0),
                               {0}};

static const Alias GENERAL[] = {{"d_model", "hidden_size"}, {"encoder_attention_heads", "num_attention_heads"}, {0}};

static const Alias ALIAS[] = {{"shared.weight", "encoder.embed_tokens.weight"},
                              {"shared.weight", "decoder.embed_tokens.weight"},
                              {"shared.weight", "lm_head.weight"},
                              {0}};

/* Switches of the first BARTs that make other models of them. */
static const Fixed FIXED[] = {{"is_encoder_decoder", "true"},          {"normalize_embedding", "true"},
                              {"static_position_embeddings", "false"}, {"add_bias_logits", "false"},
                              {"extra_pos_embeddings", "2"},           {0}};

/* BART proper and MBart are larger than PLBART, and BART's targets begin with a fixed token. */
static void absent(Config *c, const char *type)
{
    c->hidden = c->decoder_hidden = 3072;
    c->decoder_heads = 12;
    if (!strcmp(type, "plbart")) return;
    c->vocab = 50265;
    c->dim = 1024;
    c->layers = c->decoder_layers = 12;
    c->heads = c->decoder_heads = 16;
    c->hidden = c->decoder_hidden = 4096;
    c->attn_dropout = 0;
    c->scale_embedding = false;
    c->pre_norm = !strcmp(type, "mbart");
    if (c->pre_norm)
        config_set_type(c, type, "");
    else
        c->decoder_start = 2;
}

/* The type decides where the norms stand; old files say it once more. */
static Status check_norms(const Config *c, const cJSON *root, const char *path)
{
    static const char *const KEYS[] = {"normalize_before", "add_final_layer_norm"};
    for (int i = 0; i < 2; i++) {
        bool before = c->pre_norm;
        TRY(json_bool(&before, root, KEYS[i], path));
        if (before != c->pre_norm)
            return err_fail(E_FORMAT, "%s: %s is %s, only %s is supported for this model_type", path, KEYS[i],
                            before ? "true" : "false", before ? "false" : "true");
    }
    return OK;
}

static Status read_config(Config *c, const cJSON *root, const char *path)
{
    TRY(check_norms(c, root, path));
    if (c->decoder_start < 0) return OK; /* PLBART, MBart */
    return json_int(&c->decoder_start, root, "decoder_start_token_id", 0, 100000000, path);
}

static void write_config(const Config *c, cJSON *root)
{
    bool plain = c->decoder_start >= 0;
    config_put_type(root, c, plain ? "bart" : "plbart", plain ? "Bart" : "PLBart",
                    c->classes ? "ForSequenceClassification" : "ForConditionalGeneration");
    if (plain) cJSON_AddNumberToObject(root, "decoder_start_token_id", c->decoder_start);
    cJSON_AddNumberToObject(root, "num_hidden_layers", c->layers);
    cJSON_AddBoolToObject(root, "is_encoder_decoder", true);
    if (c->classes) cJSON_AddNumberToObject(root, "num_labels", c->classes);
}

static const Format FORMAT;

/* A model whose head is not the token table and is not there is refused, unless none belongs to it. */
static void adapt(Config *c, const Weights *w)
{
    const Stored *out = weights_find(w, "classification_head.out_proj.weight");
    c->classes = out && out->rank == 2 ? (int)out->dim[0] : 0;
    bool head = weights_find(w, "lm_head.weight"), bias = weights_find(w, "final_logits_bias");
    c->no_lm_head = !head && (c->tie_head ? c->classes && !bias : c->classes || format_is_base(&FORMAT, w));
}

static const Sublayer SUBLAYERS[] = {{PART_ENCODER, "attn", "encoder.layers.", ".attention_adapters"},
                                     {PART_ENCODER, "ffn", "encoder.layers.", ".output_adapters"},
                                     {PART_DECODER, "attn", "decoder.layers.", ".attention_adapters"},
                                     {PART_DECODER, "ffn", "decoder.layers.", ".output_adapters"},
                                     {PART_CROSS, "attn", "decoder.layers.", ".cross_attention_adapters"},
                                     {0}};

static const Format FORMAT = {.types = "bart|plbart|mbart",
                              .prefix = "model.",
                              .fields = FIELDS,
                              .fixed = FIXED,
                              .general = GENERAL,
                              .absent = absent,
                              .alias = ALIAS,
                              .parts_tables = true,
                              .ignore = "encoder.version|decoder.version",
                              .sublayers = SUBLAYERS,
                              .read = read_config,
                              .write = write_config,
                              .adapt = adapt};

static int room(const Config *c)
{
    return c->positions;
}

const Arch ARCH_BART = {.name = "bart",
                        .summary = "encoder-decoder, post-norm (MBart: pre-norm), learned positions",
                        .format = &FORMAT,
                        .defaults = defaults,
                        .check = check,
                        .room = room,
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
                        .targets = "*.q_proj|*.v_proj",
                        .force_eos = true,
                        .length_penalty = 1};
REGISTER(arch, ARCH_BART)
