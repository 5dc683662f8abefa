/* Building hand-written transformers, and running them on the library's ops or in rounded arithmetic. */
#include "theory/construct.h"

#include <math.h>

#include "base/err.h"

const Column COLUMN[COLUMNS] = {{"F64", .type = F64},
                                {"F32", .type = F32},
                                {"F16", .rounded = true, .format = FORMAT_F16},
                                {"hard-max", .type = F32, .hard = true}};

/* ---- building ---- */

Net construct_open(Arena *a, int64_t vocab)
{
    return (Net){.arena = a, .vocab = vocab};
}

void construct_block(Net *net, int layers)
{
    CHECK(net->blocks < MAX_BLOCKS, "a construction has at most %d blocks", MAX_BLOCKS);
    net->block[net->blocks++] = (Block){.layer = NEW(net->arena, BuiltLayer, layers), .room = layers};
}

Head *construct_head(Net *net, int64_t rows, int64_t cols, int64_t key_size)
{
    Block *b = &net->block[net->blocks - 1];
    CHECK(b->heads < MAX_HEADS, "a block has at most %d heads", MAX_HEADS);
    Head *h = &b->head[b->heads++];
    h->q = tensor_zero(net->arena, F64, SHAPE(rows, cols));
    h->k = tensor_zero(net->arena, F64, SHAPE(rows, cols));
    h->v = tensor_zero(net->arena, F64, SHAPE(rows, cols));
    h->key_size = key_size;
    return h;
}

BuiltLayer *construct_layer(Net *net, int64_t out, int64_t in, bool relu)
{
    Block *b = &net->block[net->blocks - 1];
    CHECK(b->layers < b->room, "a layer more than the %d announced", b->room);
    BuiltLayer *l = &b->layer[b->layers++];
    l->w = tensor_zero(net->arena, F64, SHAPE(out, in));
    l->b = tensor_zero(net->arena, F64, SHAPE(out));
    l->relu = relu;
    return l;
}

void construct_read(Net *net, int64_t n, int64_t width)
{
    BuiltLayer *select = construct_layer(net, n, width, true);
    matrix_identity(select->w, 0, 0, n, 1);
    tensor_fill(select->b, -1);
    BuiltLayer *sum = construct_layer(net, 1, n, true);
    tensor_fill(sum->w, 1);
    BuiltLayer *tangents = construct_layer(net, net->vocab, 1, false);
    for (int64_t j = 0; j < net->vocab; j++) {
        double at = (double)j / (double)net->vocab;
        tensor_set(tangents->w, j, 2 * at - 1);
        tensor_set(tangents->b, j, 0.25 - at * at);
    }
}

void matrix_identity(Tensor m, int64_t row, int64_t col, int64_t n, double value)
{
    for (int64_t i = 0; i < n; i++) tensor_set(m, (row + i) * m.dim[1] + col + i, value);
}

void matrix_row(Tensor m, int64_t row, int64_t col, int64_t n, double value)
{
    for (int64_t i = 0; i < n; i++) tensor_set(m, row * m.dim[1] + col + i, value);
}

Net construct_cast(Arena *a, const Net *net, DType type)
{
    Net out = *net;
    out.arena = a;
    for (int b = 0; b < net->blocks; b++) {
        Block *to = &out.block[b];
        to->layer = NEW(a, BuiltLayer, to->layers);
        for (int h = 0; h < to->heads; h++) {
            to->head[h].q = tensor_cast(a, to->head[h].q, type);
            to->head[h].k = tensor_cast(a, to->head[h].k, type);
            to->head[h].v = tensor_cast(a, to->head[h].v, type);
        }
        for (int l = 0; l < to->layers; l++) {
            const BuiltLayer *from = &net->block[b].layer[l];
            to->layer[l] = (BuiltLayer){tensor_cast(a, from->w, type), tensor_cast(a, from->b, type), from->relu};
        }
    }
    return out;
}

/* ---- on the library's ops ---- */

static double logit_scale(const Head *h, int64_t rows, BuiltAttention how)
{
    return how.temperature / sqrt((double)(how.scaling == BY_KEY_SIZE ? h->key_size : rows));
}

/* All weight on the first of the largest scores of each row. */
static Tensor hardened(Arena *a, Tensor scores)
{
    int64_t s = tensor_last(scores), rows = tensor_count(scores) / s;
    Tensor map = tensor_zero(a, scores.dtype, scores.rank, scores.dim);
    Tensor flat = tensor_reshape(scores, SHAPE(rows, s));
    for (int64_t i = 0; i < rows; i++) tensor_set(map, i * s + tensor_argmax(tensor_at(flat, i)), 1);
    return map;
}

static Var *attend(Tape *t, const Head *h, Var *query, Var *x, BuiltAttention how)
{
    bool hard = how.scaling == HARD_MAX;
    Attn attn = {.heads = 1, .head_dim = (int)h->q.dim[0], .scale = hard ? 1 : logit_scale(h, x->val.dim[1], how)};
    Var *q = op_linear(t, query, tape_leaf(t, h->q), OUT_IN, NULL, ACT_NONE);
    Var *k = op_linear(t, x, tape_leaf(t, h->k), OUT_IN, NULL, ACT_NONE);
    Var *v = op_linear(t, x, tape_leaf(t, h->v), OUT_IN, NULL, ACT_NONE);
    if (!hard) return op_attend(t, q, k, v, NULL, attn);
    Tensor map = hardened(tape_arena(t), op_scores(t, q, k, NULL, attn)->val);
    return op_mix(t, tape_leaf(t, map), v, attn);
}

static Var *run_block(Tape *t, const Block *b, Var *query, Var *x, BuiltAttention how)
{
    Var *h = attend(t, &b->head[0], query, x, how);
    for (int i = 1; i < b->heads; i++) h = op_add(t, h, 1, attend(t, &b->head[i], query, x, how));
    for (int i = 0; i < b->layers; i++) {
        const BuiltLayer *l = &b->layer[i];
        h = op_linear(t, h, tape_leaf(t, l->w), OUT_IN, tape_leaf(t, l->b), l->relu ? ACT_RELU : ACT_NONE);
    }
    return h;
}

Var *construct_logits(Tape *t, const Net *net, Var *x, BuiltAttention how, bool last_only)
{
    int64_t b = x->val.dim[0];
    int32_t *last = arena_take(tape_arena(t), sizeof *last * (size_t)b);
    for (int64_t i = 0; i < b; i++) last[i] = (int32_t)(x->val.dim[1] - 1);
    for (int i = 0; i < net->blocks; i++) {
        bool narrow = last_only && i == net->blocks - 1;
        x = run_block(t, &net->block[i], narrow ? op_rows(t, x, last, b, 1) : x, x, how);
    }
    return x;
}

Var *construct_steered(Tape *t, const Net *net, Var *s, double c)
{
    Arena *a = tape_arena(t);
    int64_t b = s->val.dim[0], n = tensor_last(s->val);
    Tensor lift = tensor_zero(a, F64, SHAPE(2 * n, n)), places = tensor_zero(a, F64, SHAPE(n, 2 * n));
    matrix_identity(lift, 0, 0, n, 1);   /* the content part of a row */
    matrix_identity(places, 0, n, n, 1); /* the position part of row r: e_r */
    int32_t *only_first = arena_take(a, sizeof *only_first * (size_t)(b * n));
    for (int64_t i = 0; i < b * n; i++) only_first[i] = i % n ? -1 : 0;
    Var *content = op_rows(t, op_linear(t, s, tape_leaf(t, lift), OUT_IN, NULL, ACT_NONE), only_first, b, n),
        *x = op_add(t, content, 1, tape_leaf(t, places));
    return op_scale(t, construct_logits(t, net, x, (BuiltAttention){HARD_MAX, 1}, false), c);
}

void construct_maps(Arena *a, const Net *net, Tensor x, BuiltAttention how, int block, Tensor map[MAX_HEADS])
{
    Tape *t = tape_open(a, false);
    Var *in = tape_leaf(t, x);
    for (int i = 0; i < block; i++) in = run_block(t, &net->block[i], in, in, how);
    int64_t p = x.dim[1];
    for (int i = 0; i < net->block[block].heads; i++) {
        const Head *h = &net->block[block].head[i];
        Attn attn = {.heads = 1, .head_dim = (int)h->q.dim[0], .scale = logit_scale(h, p, how)};
        Var *q = op_linear(t, in, tape_leaf(t, h->q), OUT_IN, NULL, ACT_NONE);
        Var *k = op_linear(t, in, tape_leaf(t, h->k), OUT_IN, NULL, ACT_NONE);
        Var *scores = op_scores(t, q, k, NULL, attn);
        Tensor seen = how.scaling == HARD_MAX ? hardened(a, scores->val) : op_softmax(t, scores)->val;
        map[i] = tensor_copy(a, tensor_reshape(seen, SHAPE(p, p)));
    }
}

void construct_answer(Arena *step, const Net *net, DType type, Tensor x, BuiltAttention how, int32_t *y)
{
    ArenaMark mark = arena_mark(step);
    Net cast = type == F64 ? *net : construct_cast(step, net, type);
    Tape *t = tape_open(step, false);
    Tensor in = type == F64 ? x : tensor_cast(step, x, type);
    Tensor logits = construct_logits(t, &cast, tape_leaf(t, in), how, true)->val;
    for (int64_t i = 0; i < x.dim[0]; i++) y[i] = (int32_t)tensor_argmax(tensor_at(logits, i));
    arena_drop(step, mark);
}

/* ---- rounded after every operation ---- */

/* A matrix of few entries, row by row; multiplying by zero and adding zero are exact, so nothing is lost. */
typedef struct {
    int64_t rows, cols;
    int32_t *start, *col;
    double *value, *bias;
} Sparse;

static Sparse sparse(Arena *a, Format f, Tensor w, Tensor bias)
{
    int64_t n = 0, count = tensor_count(w), cols = w.dim[1];
    for (int64_t i = 0; i < count; i++) n += tensor_get(w, i) != 0;
    Sparse s = {w.dim[0],
                cols,
                NEW(a, int32_t, w.dim[0] + 1),
                NEW(a, int32_t, n),
                NEW(a, double, n),
                NEW(a, double, w.dim[0])};
    n = 0;
    for (int64_t i = 0; i < count; i++) {
        double v = tensor_get(w, i);
        if (v != 0) s.col[n] = (int32_t)(i % cols), s.value[n++] = format_round(f, v);
        if (i % cols == cols - 1) s.start[i / cols + 1] = (int32_t)n;
    }
    for (int64_t i = 0; bias.data && i < w.dim[0]; i++) s.bias[i] = format_round(f, tensor_get(bias, i));
    return s;
}

/* y = W x + b: products in the order of the columns, then the bias. */
static void apply(Format f, double *y, const Sparse *s, const double *x, bool relu)
{
    for (int64_t i = 0; i < s->rows; i++) {
        double sum = 0;
        for (int32_t e = s->start[i]; e < s->start[i + 1]; e++)
            sum = format_round(f, sum + format_round(f, s->value[e] * x[s->col[e]]));
        sum = format_round(f, sum + s->bias[i]);
        y[i] = relu && sum < 0 ? 0 : sum;
    }
}

typedef struct {
    Sparse q, k, v, layer;
} Part; /* a head or a layer */

/* Softmax over p scores, in place; with `hard`, all weight on the first of the largest. */
static void softmax(Format f, double *w, int64_t p, bool hard)
{
    int64_t best = 0;
    for (int64_t j = 1; j < p; j++)
        if (w[j] > w[best]) best = j;
    double top = w[best], sum = 0;
    for (int64_t j = 0; j < p; j++) {
        w[j] = hard ? (double)(j == best) : format_round(f, exp(format_round(f, w[j] - top)));
        sum = format_round(f, sum + w[j]);
    }
    for (int64_t j = 0; j < p; j++) w[j] = format_round(f, w[j] / sum);
}

/* Adds one head's output at rows first..p-1 of x (p rows) to h (D per row). */
static void head_rounded(Arena *step, Format f, double *h, const Head *head, const Part *part, const double *x,
                         int64_t first, int64_t p, BuiltAttention how)
{
    int64_t d = part->q.rows, c = part->q.cols;
    double *k = NEW(step, double, p *d), *v = NEW(step, double, p *d), *q = NEW(step, double, d),
           *w = NEW(step, double, p);
    bool hard = how.scaling == HARD_MAX;
    double scale = hard ? 1 : format_round(f, logit_scale(head, p, how));
    for (int64_t j = 0; j < p; j++) {
        apply(f, k + j * d, &part->k, x + j * c, false);
        apply(f, v + j * d, &part->v, x + j * c, false);
    }
    for (int64_t i = first; i < p; i++) {
        apply(f, q, &part->q, x + i * c, false);
        for (int64_t j = 0; j < p; j++) {
            double dot = 0;
            for (int64_t e = 0; e < d; e++)
                if (q[e] != 0) dot = format_round(f, dot + format_round(f, q[e] * k[j * d + e]));
            w[j] = format_round(f, scale * dot);
        }
        softmax(f, w, p, hard);
        for (int64_t e = 0; e < d; e++) {
            double mix = 0;
            for (int64_t j = 0; j < p; j++)
                if (v[j * d + e] != 0) mix = format_round(f, mix + format_round(f, w[j] * v[j * d + e]));
            h[(i - first) * d + e] = format_round(f, h[(i - first) * d + e] + mix);
        }
    }
}

/* One block on p rows; only rows first..p-1 are computed, and returned. */
static double *block_rounded(Arena *step, Format f, const Block *b, const Part *part, const double *x, int64_t first,
                             int64_t p, BuiltAttention how)
{
    int64_t rows = p - first;
    double *h = NEW(step, double, rows * part->q.rows);
    for (int i = 0; i < b->heads; i++) head_rounded(step, f, h, &b->head[i], &part[i], x, first, p, how);
    for (int i = 0; i < b->layers; i++) {
        const Sparse *s = &part[b->heads + i].layer;
        double *y = NEW(step, double, rows * s->rows);
        for (int64_t r = 0; r < rows; r++) apply(f, y + r * s->rows, s, h + r * s->cols, b->layer[i].relu);
        h = y;
    }
    return h;
}

void construct_answer_rounded(Arena *step, const Net *net, Format f, Tensor x, BuiltAttention how, int32_t *y)
{
    ArenaMark all = arena_mark(step);
    Part *part[MAX_BLOCKS];
    for (int i = 0; i < net->blocks; i++) {
        const Block *b = &net->block[i];
        part[i] = NEW(step, Part, b->heads + b->layers);
        for (int h = 0; h < b->heads; h++)
            part[i][h] = (Part){.q = sparse(step, f, b->head[h].q, (Tensor){0}),
                                .k = sparse(step, f, b->head[h].k, (Tensor){0}),
                                .v = sparse(step, f, b->head[h].v, (Tensor){0})};
        for (int l = 0; l < b->layers; l++)
            part[i][b->heads + l].layer = sparse(step, f, b->layer[l].w, b->layer[l].b);
    }
    int64_t p = x.dim[1], n = p * x.dim[2];
    for (int64_t i = 0; i < x.dim[0]; i++) {
        ArenaMark mark = arena_mark(step);
        double *row = NEW(step, double, n);
        for (int64_t e = 0; e < n; e++) row[e] = format_round(f, tensor_get(x, i * n + e));
        for (int b = 0; b < net->blocks; b++)
            row = block_rounded(step, f, &net->block[b], part[b], row, b == net->blocks - 1 ? p - 1 : 0, p, how);
        y[i] = (int32_t)tensor_argmax(tensor_over(row, F64, SHAPE(net->vocab)));
        arena_drop(step, mark);
    }
    arena_drop(step, all);
}

void construct_answer_column(Arena *step, const Net *net, const Column *c, Tensor x, BuiltAttention how, int32_t *y)
{
    if (c->hard) how.scaling = HARD_MAX;
    if (c->rounded)
        construct_answer_rounded(step, net, c->format, x, how, y);
    else
        construct_answer(step, net, c->type, x, how, y);
}
