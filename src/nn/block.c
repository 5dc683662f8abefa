/* One layer, written once for both places of the norm:
 *
 *     pre-norm    x + join(sublayer(block_norm(x)))          GPT-2, T5, Llama, GPT-NeoX, ModernBERT
 *     post-norm   block_norm(x + join(sublayer(x)))          RoBERTa, BART
 *
 * In a parallel layer (GPT-NeoX) the feed-forward reads the layer's input, not the sum with attention's output.
 *
 * Rotary positions turn queries and keys between their projections (sites Q and K) and the cache, so KEYS sees keys
 * as attention reads them, and a prefix put there is not turned.
 *
 * Every sublayer is a scope of the tape, so its inner values are recycled as soon as it ends, and the run through the
 * stack carries one Var from layer to layer.
 *
 * Where only some rows of the last layer are wanted, its queries, feed-forward and everything after are computed for
 * those alone; keys and values still come from all rows.  T5 selects the rows after self-attention instead: its
 * position bias is shared by the rows of a batch and cannot follow a selection that differs between them. */
#include "nn/block.h"

#include <string.h>

#include "base/str.h"
#include "nn/rope.h"
#include "nn/trunk.h"

Var *block_site(Pass *p, Where at, Site site, Var *in, Var *out)
{
    at.site = site;
    return hook_run(p, at, in, out);
}

Var *block_part(Tape *t, const Linear *l, Var *whole)
{
    return l->run ? op_cols_runs(t, whole, l->first, l->out, l->run, l->step) : op_cols(t, whole, l->first, l->out);
}

Var *block_linear(Pass *p, const Linear *l, Var *x)
{
    Tape *t = p->tape;
    Var *w = tape_param(t, l->w), *b = tape_param(t, l->b);
    CHECK(!l->run, "%s is computed by itself, though its outputs lie in runs", l->name);
    return hook_run(p, l->at, x, op_linear_part(t, x, w, l->layout, b, ACT_NONE, l->first, l->out));
}

Var *block_norm(Pass *p, const Norm *n, Var *x, Var *residual)
{
    Var *bias = n->zero.data ? tape_leaf(p->tape, n->zero) : tape_param(p->tape, n->bias);
    return op_norm(p->tape, x, residual, tape_param(p->tape, n->gain), bias, n->eps);
}

/* Whether dropout is on at a place: not in a trunk, nor in the embeddings below it.  Heads are above every layer. */
static bool drops(const Pass *p, Where at)
{
    return p->train && (!p->below || at.site == SITE_LOGITS || at.layer >= p->below->quiet[at.part]);
}

Var *block_dropout(Pass *p, double rate, Where at, Var *x)
{
    return drops(p, at) ? pass_dropout(p, x, rate, pass_stream(p, at, "dropout")) : x;
}

static bool wants(const Pass *p, Where at, Site site)
{
    at.site = site;
    return hook_wants(p->hooks, at);
}

/* ---- attention */

/* A projection's output that was computed for all rows of the batch is put into the cache; attention then reads the
 * whole buffer, of which lengths show the filled part. */
static Var *through_cache(Pass *p, Tensor into, Var *x)
{
    const Cache *c = p->cache;
    int64_t t = x->val.dim[1];
    for (int64_t b = 0; b < c->b; b++) {
        CHECK(c->len[b] + t <= c->room, "a cache of %lld positions is given %lld", (long long)c->room,
              (long long)(c->len[b] + t));
        Tensor from = tensor_at(x->val, b), to = tensor_rows(tensor_at(into, b), c->len[b], t);
        memcpy(to.data, from.data, tensor_bytes(from));
    }
    return tape_leaf(p->tape, into);
}

static Tensor cache_tensor(Cache *c, Tensor *slot, Var *like, int64_t rows)
{
    if (!slot->data) *slot = tensor_zero(c->arena, like->val.dtype, SHAPE(c->b, rows, tensor_last(like->val)));
    return *slot;
}

typedef struct {
    Var *q, *k, *v;
} Projected;

/* One product for queries, keys and values, then the parts, each a join point of its own: where somebody wants the
 * fused projection, or where the parts lie in runs.  Otherwise the parts are layers like any others, and queries that
 * nobody reads are not computed. */
static Projected project_fused(Pass *p, const StackAttention *w, Where at, Var *x, const Rows *r, bool prune)
{
    Tape *t = p->tape;
    Var *all = block_linear(p, w->qkv, x);
    Var *q = block_part(t, w->q, all);
    Var *xq = x;
    if (prune) {
        q = rows_kept(t, q, r);
        if (wants(p, at, SITE_Q)) xq = rows_kept(t, x, r);
    }
    return (Projected){
        .q = hook_run(p, w->q->at, xq, q),
        .k = hook_run(p, w->k->at, x, block_part(t, w->k, all)),
        .v = hook_run(p, w->v->at, x, block_part(t, w->v, all)),
    };
}

/* Queries, keys and values of one attention.  While decoding, keys and values of the encoder are computed once. */
static Projected project(Pass *p, const StackAttention *w, Where at, Var *x, Var *source, const Rows *r, bool prune)
{
    if (w->qkv && (w->q->run || wants(p, at, SITE_QKV))) return project_fused(p, w, at, x, r, prune);
    Cache *c = p->cache;
    Projected y = {.q = block_linear(p, w->q, prune ? rows_kept(p->tape, x, r) : x)};
    bool cross = at.part == PART_CROSS, known = cross && c && c->memory_keys[at.layer].data;
    if (known) {
        y.k = tape_leaf(p->tape, c->memory_keys[at.layer]);
        y.v = tape_leaf(p->tape, c->memory_values[at.layer]);
        return y;
    }
    y.k = block_linear(p, w->k, source);
    y.v = block_linear(p, w->v, source);
    if (cross && c) {
        c->memory_keys[at.layer] = tensor_copy(c->arena, y.k->val);
        c->memory_values[at.layer] = tensor_copy(c->arena, y.v->val);
    }
    return y;
}

/* The rows of the batch's own mask that are queries. */
static const uint8_t *query_sees(Pass *p, const Rows *r, int64_t n, bool prune)
{
    if (!prune || !r->sees) return r->sees;
    uint8_t *kept = NEW(tape_arena(p->tape), uint8_t, r->b * r->k * n);
    for (int64_t i = 0; i < r->b * r->k; i++)
        if (r->keep[i] >= 0) memcpy(kept + i * n, r->sees + (i / r->k * r->t + r->keep[i]) * n, (size_t)n);
    return kept;
}

/* The queries, zero for rows that attend evenly. */
static Var *quiet(Pass *p, const Rows *r, Var *q, bool prune)
{
    if (!r->even) return q;
    int64_t n = prune ? r->k : r->t;
    int32_t *index = NEW(tape_arena(p->tape), int32_t, r->b * n);
    for (int64_t i = 0; i < r->b * n; i++) {
        int64_t row = prune ? r->keep[i] : i % n;
        index[i] = row >= 0 && r->even[i / n * r->t + row] ? -1 : (int32_t)(i % n);
    }
    return op_rows(p->tape, q, index, r->b, n);
}

/* Queries and keys as the scores need them: normed head by head, then turned by their positions. */
static void place(Pass *p, const Stack *s, const StackLayer *l, Projected *y, const Rows *r, bool prune)
{
    const StackAttention *w = &l->self;
    if (w->q_norm.gain) y->q = block_norm(p, &w->q_norm, y->q, NULL);
    if (w->k_norm.gain) y->k = block_norm(p, &w->k_norm, y->k, NULL);
    if (!s->rope_dims) return;
    Turn turn = r->turn[l->local];
    y->k = op_rope(p->tape, y->k, turn);
    if (prune) turn.row = rows_angles(p, r, &turn);
    y->q = op_rope(p->tape, y->q, turn);
}

static Var *attend(Pass *p, Where at, Projected x, Var *bias, Attn a)
{
    Tape *t = p->tape;
    if (!wants(p, at, SITE_SCORES) && !wants(p, at, SITE_PROBS)) return op_attend(t, x.q, x.k, x.v, bias, a);
    Var *scores = block_site(p, at, SITE_SCORES, x.q, op_scores(t, x.q, x.k, bias, a));
    Var *probs = block_site(p, at, SITE_PROBS, scores, op_softmax(t, scores));
    return op_mix(t, probs, x.v, a);
}

/* `prune`: x has all rows, but only r->keep of them are queries. */
static Var *attention(Pass *p, const Stack *s, const StackAttention *w, Where at, Var *x, const Rows *r, bool prune)
{
    bool cross = at.part == PART_CROSS;
    Var *source = cross ? r->memory : x;
    Projected y = project(p, w, at, x, source, r, prune);
    if (!cross) {
        place(p, s, &s->layer[at.layer], &y, r, prune);
        y.q = quiet(p, r, y.q, prune);
    }
    if (p->cache && !cross) {
        Cache *c = p->cache;
        y.k = through_cache(p, cache_tensor(c, &c->keys[at.layer], y.k, c->room), y.k);
        y.v = through_cache(p, cache_tensor(c, &c->values[at.layer], y.v, c->room), y.v);
    }
    int64_t n = cross || r->pack ? source->val.dim[1] : block_content_keys(p, s->part, r);
    y.k = block_site(p, at, SITE_KEYS, source, y.k);
    y.v = block_site(p, at, SITE_VALUES, source, y.v);
    CHECK(y.k->val.dim[1] >= n && y.v->val.dim[1] == y.k->val.dim[1],
          "hooks made keys %s and values %s of %lld content rows", tensor_shape(y.k->val), tensor_shape(y.v->val),
          (long long)n);
    at.site = SITE_PROBS;
    Attn a = {.heads = s->heads,
              .queries = prune ? r->kept : r->pack,
              .keys = r->pack,
              .head_dim = s->head_dim,
              .kv_heads = cross ? 0 : s->kv_heads,
              .window = cross ? 0 : s->layer[at.layer].window,
              .scale = s->scale,
              .causal = (s->causal || r->causal) && !cross,
              .prefix = y.k->val.dim[1] - n,
              .klen = cross ? r->memory_len : r->len,
              .mask = cross ? NULL : r->mask,
              .sees = cross ? NULL : query_sees(p, r, n, prune),
              .qpos = cross ? NULL : rows_positions(p, r, prune),
              .dropout = drops(p, at) ? s->attn_dropout : 0,
              .stream = pass_stream(p, at, "attention")};
    Var *mixed = block_site(p, at, SITE_HEADS, y.q, attend(p, at, y, cross ? NULL : r->bias, a));
    return block_linear(p, w->out, mixed);
}

/* ---- feed-forward */

static Var *gated_halves(Pass *p, const Stack *s, const Linear *up, Var *x)
{
    Tape *t = p->tape;
    int64_t n = up->out / 2;
    Var *both = block_linear(p, up, x);
    return op_mul(t, op_act(t, s->act, op_cols(t, both, 0, n)), op_cols(t, both, n, n));
}

static Var *feed_forward(Pass *p, const Stack *s, const FeedForward *w, Where at, Var *x)
{
    Tape *t = p->tape;
    const Linear *up = w->up;
    Var *h;
    if (w->halves)
        h = gated_halves(p, s, up, x);
    else if (wants(p, at, SITE_FFN_UP))
        h = op_act(t, s->act, block_linear(p, up, x));
    else
        h = op_linear(t, x, tape_param(t, up->w), up->layout, tape_param(t, up->b), s->act);
    if (w->gate) h = op_mul(t, h, block_linear(p, w->gate, x));
    h = block_site(p, at, SITE_FFN_ACT, x, h);
    at.site = SITE_FFN_ACT;
    return block_linear(p, w->out, block_dropout(p, s->act_dropout, at, h));
}

/* ---- layers */

static Var *begin(Pass *p, const Stack *s, const Norm *n, Var *x)
{
    return s->pre_norm && n->gain ? block_norm(p, n, x, NULL) : x;
}

static Var *finish(Pass *p, const Stack *s, const Norm *n, Where join, Var *x, Var *y)
{
    y = hook_run(p, join, x, block_dropout(p, s->dropout, join, y));
    return s->pre_norm ? op_add(p->tape, x, 1, y) : block_norm(p, n, y, x);
}

static Var *attention_sublayer(Pass *p, const Stack *s, const StackAttention *w, Where at, Var *x, const Rows *r,
                               bool prune)
{
    int mark = tape_enter(p->tape);
    at.site = SITE_ATTN_JOIN;
    Var *y = attention(p, s, w, at, begin(p, s, &w->norm, x), r, prune);
    Var *residual = prune ? rows_kept(p->tape, x, r) : x;
    return tape_leave(p->tape, mark, finish(p, s, &w->norm, at, residual, y));
}

/* `source`: the rows that the feed-forward reads, to whose sum with attention, x, it is added. */
static Var *ffn_sublayer(Pass *p, const Stack *s, const FeedForward *w, Where at, Var *source, Var *x)
{
    int mark = tape_enter(p->tape);
    at.site = SITE_FFN_JOIN;
    Var *y = feed_forward(p, s, w, at, begin(p, s, &w->norm, source));
    return tape_leave(p->tape, mark, finish(p, s, &w->norm, at, x, y));
}

typedef struct { /* a layer as a segment that can run again */
    Pass pass;
    const Stack *stack;
    Rows rows;
    int layer;
} Call;

/* One layer: self-attention, cross-attention where there is any, feed-forward.  The last one computes kept rows
 * alone. */
static Var *run_layer(Tape *t, Var *const in[MAX_IN], void *ctx)
{
    const Call *c = ctx;
    const Stack *s = c->stack;
    const StackLayer *w = &s->layer[c->layer];
    Pass pass = c->pass, *p = &pass;
    Rows rows = c->rows, *r = &rows;
    p->tape = t;
    Var *x = in[0];
    r->memory = in[1];
    r->bias = in[2];
    const Where self = {.layer = c->layer, .part = s->part}, cross = {.layer = c->layer, .part = PART_CROSS};
    bool prune = r->keep && c->layer == s->n - 1;
    p->rows = r, p->pruned = prune;

    int mark = tape_enter(t);
    if (r->memory) r->memory = tape_view(t, r->memory); /* all layers share these two */
    if (r->bias) r->bias = tape_view(t, r->bias);
    Var *y = attention_sublayer(p, s, &w->self, self, x, r, prune && !r->bias);
    if (prune && r->bias) y = rows_kept(t, y, r);
    if (w->cross.q) y = attention_sublayer(p, s, &w->cross, cross, y, r, false);
    Var *source = !s->parallel ? y : prune ? rows_kept(t, x, r) : x;
    y = ffn_sublayer(p, s, &w->ffn, self, source, y);
    return tape_leave(t, mark, block_site(p, self, SITE_RESID, x, y));
}

/* The positions of all rows (b,T), moved by `offset` and as hooks require, except those that the batch names; b is 1
 * where the rows of a batch agree. */
static int32_t *row_positions(Pass *p, Part part, const Rows *r, int64_t offset, int64_t *b)
{
    int64_t own = r->t - r->prompt;
    *b = r->at || r->position ? r->b : 1;
    int32_t *id = NEW(tape_arena(p->tape), int32_t, *b * r->t);
    offset += hooks_shifted(p->hooks, part);
    for (int64_t i = 0; i < *b * r->t; i++) {
        int64_t row = i % r->t - r->prompt;
        bool given = r->position && row >= 0;
        id[i] = given ? r->position[i / r->t * own + row] : (int32_t)(offset + (r->at ? r->at[i] : i % r->t));
    }
    return id;
}

/* The angles of a pass, which all its layers share. */
static void turn_rows(Pass *p, const Stack *s, Rows *r)
{
    int64_t b;
    const int32_t *position = row_positions(p, s->part, r, 0, &b);
    for (int i = 0; i < 2; i++) {
        if (!s->rates[i]) continue;
        r->turn[i] = rope_turn(tape_arena(p->tape), s->rates[i], s->rope_dims, position, b * r->t);
        r->turn[i].head_dim = s->head_dim;
    }
}

Var *block_turn_keys(Pass *p, const Stack *s, int layer, Var *keys)
{
    if (!s->rope_dims) return keys;
    int64_t n = keys->val.dim[0], b;
    const int32_t *position = row_positions(p, s->part, &(Rows){.t = n}, 0, &b);
    Turn turn = rope_turn(tape_arena(p->tape), s->rates[s->layer[layer].local], s->rope_dims, position, n);
    turn.head_dim = s->head_dim;
    return op_rope(p->tape, keys, turn);
}

static Var *run_layers(const Pass *p, const Stack *s, Var *x, const Rows *r)
{
    Tape *t = p->tape;
    Call *calls = NEW(tape_arena(t), Call, s->n);
    int mark = tape_enter(t);
    const Below *w = p->below;
    bool mine = w && w->part == s->part, known = mine && w->in.data, ends = mine && w->out, needs = x->needs;
    if (known) x = tape_leaf(t, w->in);
    if (r->pack) x = op_pack(t, x, r->pack);
    for (int l = known ? w->layers : 0; l < (ends ? w->layers : s->n); l++) {
        calls[l] = (Call){*p, s, *r, l};
        calls[l].pass.pack = r->pack;
        Var *bias = r->layer_bias ? r->layer_bias[l] : r->bias;
        if (p->checkpoint && tape_records(t))
            x = tape_checkpoint(t, run_layer, &calls[l], x, r->memory, bias, NULL);
        else
            x = run_layer(t, (Var *[MAX_IN]){x, r->memory, bias, NULL}, &calls[l]);
        if (w && w->frozen && !(needs |= x->needs)) w->frozen[s->part] = l + 1;
        tape_renew(t, mark, x);
    }
    if (ends) *w->out = tensor_copy(tape_arena(t), x->val);
    if (known && w->layers == s->n && r->keep) x = rows_kept(t, x, r);
    return tape_leave(t, mark, x);
}

/* Rows of unequal length run without their padding, whose rows of the result are zeros. */
Var *block_run(Pass *p, const Stack *s, Var *x, const Rows *rows)
{
    Tape *t = p->tape;
    Rows own = *rows, *r = &own;
    if (s->rope_dims) turn_rows(p, s, r);
    if (!rows_pack(p, s, r)) return run_layers(p, s, x, r);
    int mark = tape_enter(t);
    Var *y = run_layers(p, s, x, r);
    return tape_leave(t, mark, op_unpack(t, y, r->keep ? r->kept : r->pack));
}

/* ---- the input of a stack */

/* The cache, where it is this side's. */
static Cache *cache_of(const Pass *p, Part part)
{
    return p->cache && p->cache->part == part ? p->cache : NULL;
}

Var *block_embed_tokens(Pass *p, Part part, Var *table, double scale, const int32_t *ids, int64_t b, int64_t t,
                        Rows *r)
{
    Var *x = op_embed(p->tape, table, ids, b, t);
    return block_embed_vectors(p, part, scale == 1 ? x : op_scale(p->tape, x, scale), r);
}

Var *block_embed_vectors(Pass *p, Part part, Var *x, Rows *r)
{
    int64_t b = x->val.dim[0], t = x->val.dim[1];
    x = hook_run(p, (Where){SITE_EMBED, LAYER_EMBED, part}, x, x);
    *r = (Rows){.b = b, .t = x->val.dim[1], .prompt = x->val.dim[1] - t};
    CHECK(x->val.rank == 3 && x->val.dim[0] == b && r->prompt >= 0, "hooks made %s of %lld x %lld token vectors",
          tensor_shape(x->val), (long long)b, (long long)t);
    Cache *c = cache_of(p, part);
    if (!c || !r->prompt) return x;
    if (!c->prompt) { /* the first pass: the prompt goes into the cache */
        CHECK(!c->layers || !c->keys[0].data, "a hook puts virtual tokens in front, but not in the first pass");
        c->prompt = r->prompt;
        c->room += r->prompt;
        return x;
    }
    int32_t *rows = NEW(tape_arena(p->tape), int32_t, b * t);
    for (int64_t i = 0; i < b * t; i++) rows[i] = (int32_t)(r->prompt + i % t);
    *r = (Rows){.b = b, .t = t};
    return op_rows(p->tape, x, rows, b, t);
}

static const int32_t *all_but_prompt(Arena *a, const Rows *r)
{
    int64_t n = r->t - r->prompt;
    int32_t *keep = NEW(a, int32_t, r->b * n);
    for (int64_t i = 0; i < r->b * n; i++) keep[i] = (int32_t)(r->prompt + i % n);
    return keep;
}

static const int32_t *behind_prompt(Arena *a, const Rows *r, const int32_t *keep, int64_t k, bool first_is_virtual)
{
    int32_t *moved = NEW(a, int32_t, r->b * k);
    for (int64_t i = 0; i < r->b * k; i++) {
        CHECK(keep[i] < r->t - r->prompt, "row %d kept of %lld", keep[i], (long long)(r->t - r->prompt));
        bool stays = keep[i] < 0 || (keep[i] == 0 && first_is_virtual);
        moved[i] = stays ? keep[i] : keep[i] + (int32_t)r->prompt;
    }
    return moved;
}

static const uint8_t *mask_with_prompt(Arena *a, const Rows *r, const uint8_t *mask)
{
    int64_t n = r->t - r->prompt;
    uint8_t *wide = NEW(a, uint8_t, r->b * r->t);
    for (int64_t b = 0; b < r->b; b++)
        for (int64_t i = 0; i < r->t; i++) wide[b * r->t + i] = i < r->prompt || mask[b * n + i - r->prompt];
    return wide;
}

void rows_limit(Pass *p, Rows *r, Part part, const int32_t *len, const uint8_t *mask)
{
    Arena *a = tape_arena(p->tape);
    const Cache *c = cache_of(p, part);
    CHECK(!c || (!mask && !tape_records(p->tape)), "decoding with a cache takes lengths and records nothing");
    if (c || (len && r->prompt)) {
        int32_t *longer = NEW(a, int32_t, r->b);
        for (int64_t b = 0; b < r->b; b++)
            longer[b] = (c ? c->len[b] : 0) + (int32_t)r->prompt + (len ? len[b] : (int32_t)(r->t - r->prompt));
        r->len = longer;
    } else {
        r->len = len;
    }
    if (c) {
        int32_t *at = NEW(a, int32_t, r->b * r->t);
        for (int64_t i = 0; i < r->b * r->t; i++) at[i] = c->len[i / r->t] + (int32_t)(i % r->t);
        r->at = at;
    }
    r->mask = mask && r->prompt ? mask_with_prompt(a, r, mask) : mask;
}

/* One row of the mask: the `before` first keys are visible, and so are those of this pass that the row and the limits
 * allow.  A row that sees nothing at all attends evenly to the whole pass, padding too: so do the references, whose
 * masks add a number so low that all scores become the same. */
static bool see_row(uint8_t *to, int64_t before, int64_t own, const uint8_t *sees, int64_t len, const uint8_t *mask)
{
    bool any = before > 0;
    memset(to, 1, (size_t)before);
    for (int64_t j = 0; j < own; j++) any |= to[before + j] = sees[j] && j < len && (!mask || mask[j]);
    if (!any) memset(to, 1, (size_t)own);
    return any;
}

void rows_see(Pass *p, Rows *r, Part part, const Batch *x)
{
    const Cache *c = cache_of(p, part);
    Arena *a = tape_arena(p->tape);
    r->causal = x->causal;
    r->position = x->position;
    if (!x->sees) return;
    int64_t n = block_content_keys(p, part, r), own = r->t - r->prompt;
    uint8_t *wide = NEW(a, uint8_t, r->b * r->t * n), *even = NEW(a, uint8_t, r->b * r->t);
    for (int64_t i = 0; i < r->b * r->t; i++) {
        int64_t b = i / r->t, row = i % r->t - r->prompt, before = (c ? c->len[b] : 0) + r->prompt;
        if (row < 0)
            memset(wide + i * n, 1, (size_t)n);
        else
            even[i] = !see_row(wide + i * n, before, own, x->sees + (b * own + row) * own, x->len ? x->len[b] : own,
                               x->mask ? x->mask + b * own : NULL);
    }
    r->sees = wide;
    r->even = even;
    r->mask = NULL;
    if (!c && !r->prompt) r->len = NULL; /* the mask holds it */
}

void rows_keep(Pass *p, Rows *r, const int32_t *keep, int64_t k)
{
    Arena *a = tape_arena(p->tape);
    if (keep) {
        r->keep = r->prompt ? behind_prompt(a, r, keep, k, hooks_reads_virtual(p->hooks)) : keep;
        r->k = k;
    } else if (r->prompt) {
        r->keep = all_but_prompt(a, r);
        r->k = r->t - r->prompt;
    }
}

void rows_memory(Pass *p, Rows *r, Var *memory, const Batch *x)
{
    int64_t prompt = memory->val.dim[1] - x->s;
    CHECK(prompt >= 0 && memory->val.dim[0] == x->b, "the encoder made %s of %lld x %lld tokens",
          tensor_shape(memory->val), (long long)x->b, (long long)x->s);
    r->memory = memory;
    r->memory_len = x->src_len;
    if (!x->src_len || !prompt) return;
    int32_t *len = NEW(tape_arena(p->tape), int32_t, x->b);
    for (int64_t b = 0; b < x->b; b++) len[b] = x->src_len[b] + (int32_t)prompt;
    r->memory_len = len;
}

int64_t block_content_keys(const Pass *p, Part part, const Rows *r)
{
    const Cache *c = cache_of(p, part);
    return c ? c->room : r->t;
}

Var *block_add_positions(Pass *p, Part part, Var *x, Param *table, int64_t offset, const Rows *r)
{
    int64_t b;
    const int32_t *id = row_positions(p, part, r, offset, &b);
    return op_add(p->tape, x, 1, op_embed(p->tape, tape_param(p->tape, table), id, b, r->t));
}

/* ---- the cache */

Cache *cache_new(Arena *a, int layers, int64_t b, int64_t room)
{
    Cache *c = NEW(a, Cache, 1);
    Tensor *t = NEW(a, Tensor, 4 * layers);
    *c = (Cache){.arena = a,
                 .part = PART_DECODER,
                 .b = b,
                 .room = room,
                 .len = NEW(a, int32_t, b),
                 .layers = layers,
                 .keys = t,
                 .values = t + layers,
                 .memory_keys = t + 2 * layers,
                 .memory_values = t + 3 * layers};
    return c;
}

void cache_advance(Cache *c, const Rows *r, const int32_t *len)
{
    int64_t fresh = r->t - r->prompt;
    for (int64_t b = 0; b < c->b; b++) c->len[b] += (int32_t)r->prompt + (len ? len[b] : (int32_t)fresh);
}

/* The rows in use move; a row that stays where it is costs nothing. */
static void reorder(Tensor t, const Cache *c, const int32_t *len, Arena *scratch, const int32_t *from)
{
    if (!t.data) return;
    size_t row = tensor_bytes(t) / (size_t)c->b, step = row / (size_t)c->room;
    char *data = t.data, *copy = arena_take(scratch, tensor_bytes(t));
    for (int64_t b = 0; b < c->b; b++)
        if (from[b] != b) memcpy(copy + (size_t)b * row, data + (size_t)from[b] * row, step * (size_t)len[from[b]]);
    for (int64_t b = 0; b < c->b; b++)
        if (from[b] != b) memcpy(data + (size_t)b * row, copy + (size_t)b * row, step * (size_t)len[from[b]]);
}

void cache_reorder(Cache *c, Arena *scratch, const int32_t *from)
{
    ArenaMark mark = arena_mark(scratch);
    int32_t *len = NEW(scratch, int32_t, c->b);
    memcpy(len, c->len, sizeof *len * (size_t)c->b);
    for (int l = 0; l < c->layers; l++) {
        reorder(c->keys[l], c, len, scratch, from);
        reorder(c->values[l], c, len, scratch, from);
    }
    for (int64_t b = 0; b < c->b; b++) c->len[b] = len[from[b]];
    arena_drop(scratch, mark);
}
