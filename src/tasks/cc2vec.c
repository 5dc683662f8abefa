/* Lines with words are gathered from all commits of the batch into one run of the word level, in falling order of
 * length, which the GRU rewards.  Their vectors are looked up again, by file, for one run of the line level, and
 * those by side.  A lookup's gradient adds up at its row, so no other bookkeeping is needed on the way back.  As
 * published nothing is left out: the rows of both levels lie commit by commit, where a softmax over the batch finds
 * them. */
#include "tasks/cc2vec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

Cc2vecShape cc2vec_shape(int64_t vocabulary, int64_t message)
{
    return (Cc2vecShape){.vocabulary = vocabulary,
                         .message = message,
                         .files = 2,
                         .lines = 10,
                         .words = 64,
                         .embed = 64,
                         .hidden = 32,
                         .middle = 64};
}

static int64_t side_width(const Cc2vecShape *s)
{
    return 2 * s->hidden;
}

int64_t cc2vec_width(const Cc2vecShape *s)
{
    return 3 * side_width(s) + 4;
}

/* ---- parameters, initialised as PyTorch's layers are */

static Param *uniform(ParamSet *set, const char *name, double bound, int rank, const int64_t *dim)
{
    return param_add(set, str_copy(params_arena(set), name, strlen(name)), (Init){INIT_UNIFORM, bound}, rank, dim);
}

static void open_linear(Param **w, Param **bias, ParamSet *set, const char *name, int64_t out, int64_t in)
{
    Arena *a = params_arena(set);
    double bound = 1 / sqrt((double)in);
    *w = uniform(set, str_print(a, "%s.weight", name), bound, SHAPE(out, in));
    if (bias) *bias = uniform(set, str_print(a, "%s.bias", name), bound, SHAPE(out));
}

static void open_level(Cc2vecLevel *l, ParamSet *set, const char *name, int64_t in, int64_t hidden)
{
    Arena *a = params_arena(set);
    double bound = 1 / sqrt((double)hidden);
    for (int way = 0; way < 2; way++) {
        const char *end = way ? "_reverse" : "";
        l->input[way] = uniform(set, str_print(a, "%s.gru.weight_ih_l0%s", name, end), bound, SHAPE(3 * hidden, in));
        l->state[way] =
            uniform(set, str_print(a, "%s.gru.weight_hh_l0%s", name, end), bound, SHAPE(3 * hidden, hidden));
        l->input_bias[way] = uniform(set, str_print(a, "%s.gru.bias_ih_l0%s", name, end), bound, SHAPE(3 * hidden));
        l->state_bias[way] = uniform(set, str_print(a, "%s.gru.bias_hh_l0%s", name, end), bound, SHAPE(3 * hidden));
    }
    open_linear(&l->attention, &l->bias, set, str_print(a, "%s.attention", name), 2 * hidden, 2 * hidden);
    open_linear(&l->context, NULL, set, str_print(a, "%s.context", name), 2 * hidden, 2 * hidden);
}

void cc2vec_open(Cc2vec *c, ParamSet *set, const Cc2vecShape *s)
{
    int64_t d = side_width(s);
    *c = (Cc2vec){.shape = *s};
    c->embed = param_add(set, "embed.weight", (Init){INIT_NORMAL, 1}, SHAPE(s->vocabulary, s->embed));
    open_level(&c->word, set, "word", s->embed, s->hidden);
    open_level(&c->line, set, "line", d, s->hidden);
    open_linear(&c->standard, &c->standard_bias, set, "standard", d, 2 * d);
    open_linear(&c->tensor, &c->tensor_bias, set, "tensor", 2 * d, d);
    open_linear(&c->tensor_linear, &c->tensor_linear_bias, set, "tensor_linear", 2, 2 * d);
    open_linear(&c->hidden, &c->hidden_bias, set, "hidden", s->middle, cc2vec_width(s));
    open_linear(&c->out, &c->out_bias, set, "out", s->message, s->middle);
}

/* ---- one level: a bidirectional GRU and attention */

static Var *linear(Tape *t, Var *x, Param *w, Param *bias, Act act)
{
    return op_linear(t, x, tape_param(t, w), OUT_IN, tape_param(t, bias), act);
}

static Var *both_ways(const Cc2vecLevel *l, Tape *t, Var *x, const int32_t *len)
{
    Var *way[2];
    for (int i = 0; i < 2; i++)
        way[i] = op_gru(t, linear(t, x, l->input[i], l->input_bias[i], ACT_NONE), tape_param(t, l->state[i]),
                        tape_param(t, l->state_bias[i]), len, i == 1);
    return op_join(t, way, 2);
}

/* softmax_t(tanh(A y_t + a).u), as attention of one query u over the steps. */
static Var *attended(const Cc2vecLevel *l, Tape *t, Var *y, const int32_t *len)
{
    int64_t n = y->val.dim[0];
    int32_t *first = NEW(tape_arena(t), int32_t, n);
    Var *u = op_embed(t, tape_param(t, l->context), first, n, 1);
    Attn one = {.heads = 1, .head_dim = (int)tensor_last(y->val), .scale = 1, .klen = len};
    return op_attend(t, u, linear(t, y, l->attention, l->bias, ACT_TANH), y, NULL, one);
}

/* A weight for each channel, relative to the same place in the other elements of the batch. */
static Var *attended_as_published(const Cc2vecLevel *l, Tape *t, Var *y, int64_t b)
{
    Var *score = linear(t, linear(t, y, l->attention, l->bias, ACT_NONE), l->context, NULL, ACT_NONE);
    Var *weighted = op_mul(t, op_softmax_batch(t, score, b), y);
    return op_scale(t, op_pool(t, weighted, NULL), (double)y->val.dim[1]);
}

/* (N,T,C) -> (N,1,d); b elements of the batch have N/b rows each, which matters only as published. */
static Var *level_run(const Cc2vec *c, const Cc2vecLevel *l, Tape *t, Var *x, const int32_t *len, int64_t b)
{
    int mark = tape_enter(t);
    bool published = c->shape.as_published;
    Var *y = both_ways(l, t, x, published ? NULL : len);
    return tape_leave(t, mark, published ? attended_as_published(l, t, y, b) : attended(l, t, y, len));
}

/* ---- gathering */

typedef struct {
    int64_t n, longest;
    int32_t *index, *len; /* (n, longest) ids or rows, -1 or WORD_NONE behind the end; (n) */
} Gathered;

static Gathered gather_open(Arena *a, int64_t n, int64_t longest, int32_t fill)
{
    Gathered g = {n, longest, NEW(a, int32_t, n * longest + 1), NEW(a, int32_t, n + 1)};
    for (int64_t i = 0; i < n * longest; i++) g.index[i] = fill;
    return g;
}

typedef struct {
    IdRow row;
    int64_t place; /* among all places of the batch */
} Line;

static int longer_first(const void *a, const void *b)
{
    const Line *x = a, *y = b;
    if (x->row.n != y->row.n) return x->row.n > y->row.n ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

/* The ids of the lines that count; at[place] becomes the line's row, or -1. */
static Gathered gather_lines(const Cc2vecShape *s, Arena *a, const IdRow *const *rows, int64_t b, int32_t *at)
{
    int64_t places = 2 * s->files * s->lines, n = 0, longest = s->as_published ? s->words : 0;
    Line *line = NEW(a, Line, b * places);
    for (int64_t i = 0; i < b * places; i++) {
        IdRow row = rows[i / places][i % places];
        if (row.n > s->words) row.n = (int32_t)s->words;
        at[i] = -1;
        if (row.n > longest) longest = row.n;
        if (row.n > 0 || s->as_published) line[n++] = (Line){row, i};
    }
    if (!s->as_published) qsort(line, (size_t)n, sizeof *line, longer_first);
    Gathered g = gather_open(a, n, longest, WORD_NONE);
    for (int64_t i = 0; i < n; i++) {
        g.len[i] = line[i].row.n;
        at[line[i].place] = (int32_t)i;
        if (line[i].row.n) memcpy(g.index + i * longest, line[i].row.id, sizeof *g.index * (size_t)line[i].row.n);
    }
    return g;
}

/* Groups of `size` places each: those of its places that have a row.  at[group] becomes the group's own row, or -1
 * for one without any, which is left out; without `at` none is. */
static Gathered gather_groups(Arena *a, const int32_t *place, int64_t groups, int64_t size, int32_t *at)
{
    Gathered g = gather_open(a, groups, size, -1);
    g.n = 0;
    for (int64_t i = 0; i < groups; i++) {
        int32_t n = 0;
        for (int64_t k = 0; k < size; k++)
            if (place[i * size + k] >= 0) g.index[g.n * size + n++] = place[i * size + k];
        if (at) at[i] = n ? (int32_t)g.n : -1;
        if (n || !at) g.len[g.n++] = n;
    }
    return g;
}

static Var *gathered(Tape *t, Var *table, const Gathered *g)
{
    return op_embed(t, table, g->index, g->n, g->longest);
}

Var *cc2vec_sides(const Cc2vec *c, Tape *t, const IdRow *const *rows, int64_t b)
{
    const Cc2vecShape *s = &c->shape;
    Arena *a = tape_arena(t);
    int64_t files = 2 * b * s->files;
    int32_t *line = NEW(a, int32_t, files * s->lines), *file = NEW(a, int32_t, files);
    Gathered words = gather_lines(s, a, rows, b, line), lines = gather_groups(a, line, files, s->lines, file);
    Gathered sides = gather_groups(a, file, 2 * b, s->files, NULL);
    if (!words.n) return tape_leaf(t, tensor_zero(a, c->embed->val.dtype, SHAPE(2 * b, 1, side_width(s))));
    int mark = tape_enter(t);
    Var *x = level_run(c, &c->word, t, gathered(t, tape_param(t, c->embed), &words), words.len, b);
    x = level_run(c, &c->line, t, gathered(t, x, &lines), lines.len, b);
    return tape_leave(t, mark, op_pool(t, gathered(t, x, &sides), sides.len));
}

/* ---- comparison and message */

/* (W_k r + w_k).a for both k: the product of W r + w with a twice over, added up by a layer of ones and zeros. */
static Var *slices(const Cc2vec *c, Tape *t, Var *r, Var *a)
{
    int64_t d = tensor_last(r->val);
    Tensor ones = tensor_zero(tape_arena(t), r->val.dtype, SHAPE(2, 2 * d));
    for (int64_t k = 0; k < 2; k++)
        for (int64_t i = 0; i < d; i++) tensor_set(ones, k * 2 * d + k * d + i, 1);
    Var *product = op_mul(t, linear(t, r, c->tensor, c->tensor_bias, ACT_NONE), op_join(t, (Var *[]){a, a}, 2));
    return op_linear(t, product, tape_leaf(t, ones), OUT_IN, NULL, ACT_NONE);
}

Var *cc2vec_compared(const Cc2vec *c, Tape *t, Var *sides, int64_t b)
{
    int mark = tape_enter(t);
    int32_t *removed = NEW(tape_arena(t), int32_t, b), *added = NEW(tape_arena(t), int32_t, b);
    for (int64_t i = 0; i < b; i++) removed[i] = (int32_t)(2 * i), added[i] = (int32_t)(2 * i + 1);
    Var *r = op_embed(t, sides, removed, b, 1), *a = op_embed(t, sides, added, b, 1);
    Var *both = op_join(t, (Var *[]){r, a}, 2);
    Var *standard = linear(t, both, c->standard, c->standard_bias, ACT_RELU);
    Var *tensor =
        op_add(t, slices(c, t, r, a), 1, linear(t, both, c->tensor_linear, c->tensor_linear_bias, ACT_NONE));
    Var *parts[] = {op_compare(t, a, r), standard, op_act(t, ACT_RELU, tensor)};
    return tape_leave(t, mark, op_join(t, parts, 3));
}

Var *cc2vec_vector(const Cc2vec *c, Tape *t, const IdRow *const *rows, int64_t b)
{
    return cc2vec_compared(c, t, cc2vec_sides(c, t, rows, b), b);
}

Var *cc2vec_logits(const Cc2vec *c, Tape *t, Var *vector)
{
    return linear(t, linear(t, vector, c->hidden, c->hidden_bias, ACT_RELU), c->out, c->out_bias, ACT_NONE);
}

/* sigmoid(x) = (1 + tanh(x/2)) / 2 */
static Var *sigmoid(Tape *t, Var *x)
{
    Tensor half = tensor_new(tape_arena(t), x->val.dtype, SHAPE(tensor_last(x->val)));
    tensor_fill(half, 0.5);
    return op_add(t, op_scale(t, op_act(t, ACT_TANH, op_scale(t, x, 0.5)), 0.5), 1, tape_leaf(t, half));
}

Var *cc2vec_loss(const Cc2vec *c, Tape *t, Var *logits, const float *label)
{
    return op_bce(t, c->shape.as_published ? sigmoid(t, logits) : logits, label);
}
