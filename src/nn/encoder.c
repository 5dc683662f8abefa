/* x_0 = dropout(LN(word[id] + position + type))
 * x   = LN(x + attn(x));  x = LN(x + ffn(x))            in each layer
 *
 * With virtual tokens in front, positions run on through all rows, and a virtual token has type 0: the references
 * count and type ready-made vectors so. */
#include "nn/encoder.h"

/* ---- parameters */

static const Linear *linear(Model *m, Site site, int layer, const char *name, int64_t in, int64_t out)
{
    return build_linear(m, NAMED(m, "encoder.layer.%d.%s", layer, name), (Where){site, layer, PART_ENCODER},
                        (Shape){in, out, OUT_IN, true, m->config.init_sd});
}

static void build_layer(Model *m, const Stack *s, StackLayer *l, int i)
{
    const int64_t d = m->config.dim, inner = (int64_t)s->heads * s->head_dim, f = m->config.hidden;
    l->self.q = linear(m, SITE_Q, i, "attention.self.query", d, inner);
    l->self.k = linear(m, SITE_K, i, "attention.self.key", d, inner);
    l->self.v = linear(m, SITE_V, i, "attention.self.value", d, inner);
    l->self.out = linear(m, SITE_ATTN_OUT, i, "attention.output.dense", inner, d);
    l->self.norm = build_norm(m, NAMED(m, "encoder.layer.%d.attention.output.LayerNorm", i), true);
    l->ffn.up = linear(m, SITE_FFN_UP, i, "intermediate.dense", d, f);
    l->ffn.out = linear(m, SITE_FFN_OUT, i, "output.dense", f, d);
    l->ffn.norm = build_norm(m, NAMED(m, "encoder.layer.%d.output.LayerNorm", i), true);
}

Dense build_dense(Model *m, const char *name, int64_t out)
{
    return (Dense){build_param(m, NAMED(m, "%s.weight", name), (Init){INIT_NORMAL, m->config.init_sd},
                               SHAPE(out, m->config.dim)),
                   build_param(m, NAMED(m, "%s.bias", name), (Init){INIT_ZERO, 0}, SHAPE(out))};
}

void encoder_build(Model *m, Encoder *e)
{
    const Config *c = &m->config;
    const Init normal = {INIT_NORMAL, c->init_sd};
    Stack *s = build_stack(m, PART_ENCODER, false);
    e->word = build_param(m, "embeddings.word_embeddings.weight", normal, SHAPE(c->vocab, c->dim));
    e->position = build_param(m, "embeddings.position_embeddings.weight", normal, SHAPE(c->positions, c->dim));
    e->type = build_param(m, "embeddings.token_type_embeddings.weight", normal, SHAPE(c->types, c->dim));
    e->norm = build_norm(m, "embeddings.LayerNorm", true);
    for (int i = 0; i < s->n; i++) build_layer(m, s, &s->layer[i], i);
    if (c->pooler) e->pooler = build_dense(m, "pooler.dense", c->dim);
}

/* ---- passes */

/* Rows of the position table for tokens that are not padding, behind the cached ones. */
static int32_t *counted_positions(Pass *p, const Config *c, const Batch *x, int first)
{
    int32_t *id = NEW(tape_arena(p->tape), int32_t, x->b * x->t);
    int32_t shift = (int32_t)hooks_shifted(p->hooks, PART_ENCODER);
    for (int64_t b = 0; b < x->b; b++) {
        int32_t next = first + shift + (p->cache ? p->cache->len[b] : 0);
        for (int64_t i = b * x->t; i < (b + 1) * x->t; i++) id[i] = x->ids[i] == c->pad ? c->pad : next++;
    }
    return id;
}

static bool has_padding(const Config *c, const Batch *x)
{
    for (int64_t i = 0; i < x->b * x->t; i++)
        if (x->ids[i] == c->pad) return true;
    return false;
}

/* x plus a row of the type table for each token; without types, row 0 for all. */
static Var *add_types(Pass *p, const Encoder *e, Var *x, const int32_t *type, const Rows *r)
{
    Tape *t = p->tape;
    const int32_t none = 0;
    if (!type) return op_add(t, x, 1, op_embed(t, tape_param(t, e->type), &none, 1, 1));
    int64_t own = r->t - r->prompt;
    int32_t *id = NEW(tape_arena(t), int32_t, r->b * r->t); /* zeros */
    for (int64_t i = 0; i < r->b * own; i++) id[i / own * r->t + r->prompt + i % own] = type[i];
    return op_add(t, x, 1, op_embed(t, tape_param(t, e->type), id, r->b, r->t));
}

/* Token, position and type vectors, then their norm and dropout; data flow averages tokens first. */
static Var *embed(Model *m, Pass *p, const Batch *x, const Encoder *e, Rows *r)
{
    const Config *c = &m->config;
    const Where at = {SITE_RESID, LAYER_EMBED, PART_ENCODER};
    Tape *t = p->tape;
    int mark = tape_enter(t);
    Var *h = op_embed(t, tape_param(t, e->word), x->ids, x->b, x->t);
    h = block_embed_vectors(p, PART_ENCODER, x->span ? op_spans(t, h, x->span) : h, r);
    rows_limit(p, r, PART_ENCODER, x->len, x->mask);
    rows_see(p, r, PART_ENCODER, x);
    if (e->skips_padding && !x->position && !r->prompt && has_padding(c, x)) {
        const int32_t *id = counted_positions(p, c, x, e->first_position);
        h = op_add(t, h, 1, op_embed(t, tape_param(t, e->position), id, x->b, x->t));
    } else {
        h = block_add_positions(p, PART_ENCODER, h, e->position, e->first_position, r);
    }
    h = add_types(p, e, h, x->type, r);
    h = block_dropout(p, c->dropout, at, block_norm(p, &e->norm, h, NULL));
    return tape_leave(t, mark, hook_run(p, at, h, h));
}

Var *encoder_hidden(Model *m, Pass *p, const Batch *x, const Encoder *e)
{
    Rows r;
    int mark = tape_enter(p->tape);
    Var *h = embed(m, p, x, e, &r);
    rows_keep(p, &r, x->keep, x->k);
    h = block_run(p, m->encoder, h, &r);
    if (p->cache) cache_advance(p->cache, &r, x->len);
    return tape_leave(p->tape, mark, h);
}

Var *dense_run(Tape *t, Var *x, Dense d, Act act)
{
    return op_linear(t, x, tape_param(t, d.w), OUT_IN, tape_param(t, d.b), act);
}

Var *encoder_first(Model *m, Pass *p, const Batch *x)
{
    Batch first = *x;
    first.keep = NEW(tape_arena(p->tape), int32_t, x->b); /* zeros */
    first.k = 1;
    return m->arch->hidden(m, p, &first);
}

Var *encoder_dropout(Model *m, Pass *p, int step, Var *x)
{
    const Config *c = &m->config;
    return block_dropout(p, c->head_dropout < 0 ? c->dropout : c->head_dropout,
                         (Where){SITE_LOGITS, step, PART_ENCODER}, x);
}

/* ---- the head for masked tokens */

static Var *transform(Pass *p, const MaskedHead *head, Var *h)
{
    return head->dense.w ? block_norm(p, &head->norm, dense_run(p->tape, h, head->dense, head->act), NULL) : h;
}

Var *masked_logits(Pass *p, const MaskedHead *head, Var *h)
{
    return dense_run(p->tape, transform(p, head, h), (Dense){head->table, head->bias}, ACT_NONE);
}

Var *masked_loss(Pass *p, const MaskedHead *head, Var *h, const int32_t *target)
{
    Tape *t = p->tape;
    return op_head_xent(t, transform(p, head, h), tape_param(t, head->table), OUT_IN, tape_param(t, head->bias),
                        target, NULL);
}

/* ---- files */

const Sublayer ENCODER_SUBLAYERS[] = {{PART_ENCODER, "attn", "encoder.layer.", ".attention.output"},
                                      {PART_ENCODER, "ffn", "encoder.layer.", ".output"},
                                      {0}};
