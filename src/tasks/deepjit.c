/* A convolution of width k is a linear layer on k rows side by side: the rows themselves, and those that follow. */
#include "tasks/deepjit.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"

DeepjitShape deepjit_shape(int64_t message, int64_t code, int64_t vector)
{
    return (DeepjitShape){.message = message,
                          .code = code,
                          .longest = 256,
                          .lines = 10,
                          .words = 512,
                          .embed = 64,
                          .filters = 64,
                          .middle = 512,
                          .vector = vector};
}

/* ---- parameters */

static void open_linear(Param **w, Param **bias, ParamSet *set, const char *name, int64_t out, int64_t in)
{
    Arena *a = params_arena(set);
    Init init = {INIT_UNIFORM, 1 / sqrt((double)in)};
    *w = param_add(set, str_print(a, "%s.weight", name), init, SHAPE(out, in));
    *bias = param_add(set, str_print(a, "%s.bias", name), init, SHAPE(out));
}

static void open_conv(DeepjitConv *c, ParamSet *set, const char *name, int64_t filters, int64_t in)
{
    for (int k = 0; k < DEEPJIT_WIDTHS; k++)
        open_linear(&c->filter[k], &c->bias[k], set, str_print(params_arena(set), "%s.%d", name, k + 1), filters,
                    (k + 1) * in);
}

void deepjit_open(Deepjit *d, ParamSet *set, const DeepjitShape *s)
{
    int64_t c = DEEPJIT_WIDTHS * s->filters;
    *d = (Deepjit){.shape = *s};
    d->message = param_add(set, "message.embed.weight", (Init){INIT_NORMAL, 1}, SHAPE(s->message, s->embed));
    d->code = param_add(set, "code.embed.weight", (Init){INIT_NORMAL, 1}, SHAPE(s->code, s->embed));
    open_conv(&d->of_message, set, "message.conv", s->filters, s->embed);
    open_conv(&d->of_line, set, "line.conv", s->filters, s->embed);
    open_conv(&d->of_code, set, "code.conv", s->filters, c);
    open_linear(&d->hidden, &d->hidden_bias, set, "hidden", s->middle, 2 * c + s->vector);
    open_linear(&d->out, &d->out_bias, set, "out", 1, s->middle);
}

/* ---- convolution */

static Var *linear(Tape *t, Var *x, Param *w, Param *bias, Act act)
{
    return op_linear(t, x, tape_param(t, w), OUT_IN, tape_param(t, bias), act);
}

/* Row i becomes row i + by, zeros past the last. */
static Var *following(Tape *t, Var *x, int64_t by)
{
    int64_t b = x->val.dim[0], n = x->val.dim[1];
    int32_t *index = NEW(tape_arena(t), int32_t, b * n);
    for (int64_t i = 0; i < b * n; i++) index[i] = i % n + by < n ? (int32_t)(i % n + by) : -1;
    return op_rows(t, x, index, b, n);
}

/* The windows of each row that count. */
static const int32_t *windows(Tape *t, const int32_t *len, int64_t b, int width, bool whole)
{
    int32_t *n = NEW(tape_arena(t), int32_t, b);
    for (int64_t i = 0; i < b; i++) n[i] = whole ? len[i] - (width - 1) : len[i];
    return n;
}

/* (B,T,C) -> (B,1,3 filters).  whole: windows lie within the row; else one begins at each of its places. */
static Var *conv(const DeepjitConv *c, Tape *t, Var *x, const int32_t *len, bool whole)
{
    int mark = tape_enter(t);
    int64_t b = x->val.dim[0];
    Var *row[DEEPJIT_WIDTHS] = {x}, *most[DEEPJIT_WIDTHS];
    for (int k = 0; k < DEEPJIT_WIDTHS; k++) {
        if (k) row[k] = following(t, x, k);
        Var *y = linear(t, op_join(t, row, k + 1), c->filter[k], c->bias[k], ACT_RELU);
        most[k] = op_max(t, y, windows(t, len, b, k + 1, whole));
    }
    return tape_leave(t, mark, op_join(t, most, DEEPJIT_WIDTHS));
}

/* ---- rows of a batch */

typedef struct {
    int64_t n, longest;
    int32_t *id, *len; /* (n,longest), (n) */
} Padded;

/* As published, every row is as long as the longest, which counts as filled up to `most` words. */
static Padded pad(Arena *a, const IdRow *row, int64_t n, int64_t most, bool as_published)
{
    Padded p = {.n = n, .longest = 1};
    for (int64_t i = 0; i < n; i++)
        if (row[i].n > p.longest) p.longest = row[i].n;
    if (as_published) p.longest += DEEPJIT_WIDTHS;
    if (p.longest > most) p.longest = most;
    p.id = NEW(a, int32_t, n * p.longest), p.len = NEW(a, int32_t, n);
    for (int64_t i = 0; i < n; i++) {
        int64_t own = row[i].n < p.longest ? row[i].n : p.longest;
        for (int64_t k = 0; k < p.longest; k++)
            p.id[i * p.longest + k] = k < own ? row[i].id[k] : as_published ? WORD_NONE : -1;
        p.len[i] = (int32_t)(as_published ? p.longest : own);
    }
    return p;
}

static Var *conv_of(const DeepjitConv *c, Tape *t, Param *embed, const Padded *p, bool as_published)
{
    return conv(c, t, op_embed(t, tape_param(t, embed), p->id, p->n, p->longest), p->len, as_published);
}

static Var *message_of(const Deepjit *d, Tape *t, const DeepjitCommit *const *commit, int64_t b)
{
    Arena *a = tape_arena(t);
    IdRow *row = NEW(a, IdRow, b);
    for (int64_t i = 0; i < b; i++) row[i] = commit[i]->message;
    Padded p = pad(a, row, b, d->shape.longest, d->shape.as_published);
    return conv_of(&d->of_message, t, d->message, &p, d->shape.as_published);
}

/* Lines with words become rows of the first convolution; as published all do. */
static Var *code_of(const Deepjit *d, Tape *t, const DeepjitCommit *const *commit, int64_t b)
{
    const DeepjitShape *s = &d->shape;
    Arena *a = tape_arena(t);
    IdRow *row = NEW(a, IdRow, b * s->lines);
    int32_t *at = NEW(a, int32_t, b * s->lines), *len = NEW(a, int32_t, b);
    int64_t n = 0;
    for (int64_t i = 0; i < b * s->lines; i++) at[i] = -1;
    for (int64_t i = 0; i < b; i++)
        for (int64_t l = 0; l < s->lines; l++) {
            if (!commit[i]->line[l].n && !s->as_published) continue;
            at[i * s->lines + len[i]++] = (int32_t)n;
            row[n++] = commit[i]->line[l];
        }
    if (!n) row[n++] = (IdRow){0};
    Padded p = pad(a, row, n, s->words, s->as_published);
    Var *line = conv_of(&d->of_line, t, d->code, &p, s->as_published);
    return conv(&d->of_code, t, op_embed(t, line, at, b, s->lines), len, s->as_published);
}

/* ---- the predictor */

static Var *dropped(Tape *t, Var *x, Drop drop, const char *purpose)
{
    return op_dropout(t, x, drop.share, rng_mix(drop.stream, rng_stream(0, purpose)));
}

Var *deepjit_logits(const Deepjit *d, Tape *t, const DeepjitCommit *const *commit, int64_t b, Var *vector, Drop drop)
{
    CHECK(vector ? tensor_last(vector->val) == d->shape.vector : !d->shape.vector, "a vector of %s, expected %lld",
          vector ? tensor_shape(vector->val) : "nothing", (long long)d->shape.vector);
    int mark = tape_enter(t);
    Var *parts[] = {message_of(d, t, commit, b), code_of(d, t, commit, b), vector};
    Var *x = dropped(t, op_join(t, parts, vector ? 3 : 2), drop, "deepjit joined");
    x = dropped(t, linear(t, x, d->hidden, d->hidden_bias, ACT_RELU), drop, "deepjit hidden");
    return tape_leave(t, mark, linear(t, x, d->out, d->out_bias, ACT_NONE));
}
