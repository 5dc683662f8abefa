/* Encoding runs the texts in batches of nearly one length.  Sums over tokens are in double precision. */
#include "sentence/sentence.h"

#include <math.h>
#include <string.h>

#include "base/ranks.h"
#include "base/str.h"
#include "text/unicode.h"
#include "train/batch.h"

enum { BATCH_ROWS = 32 };

static int n_pooled(const Sentence *s)
{
    int n = 0;
    for (int k = 0; k < SENTENCE_POOLINGS; k++) n += s->pooled[k];
    return n;
}

/* Layers behind the pooling follow one another; the last one's size is the vector's. */
static Status check_steps(Sentence *s)
{
    s->dim = (int64_t)n_pooled(s) * s->model->config.dim;
    for (int i = 0; i < s->n_steps; i++) {
        Tensor w = s->step[i].w;
        if (!w.data) continue;
        if (w.dim[1] != s->dim)
            return err_fail(E_MISMATCH, "%s: a Dense module reads %lld channels, and %lld come before it", s->dir,
                            (long long)w.dim[1], (long long)s->dim);
        s->dim = w.dim[0];
    }
    return OK;
}

Status sentence_attach(Sentence *s, Arena *run, Model *m, const Hooks *hooks)
{
    if (m->arch->encode)
        return err_fail(E_MISMATCH, "%s: a %s model has an encoder and a decoder, expected one of the two",
                        s->model_dir, m->config.arch);
    s->model = m;
    s->hooks = hooks;
    int room = config_room(&m->config);
    TRY(check_steps(s));
    TRY(tokenizer_open(&s->tokenizer, run, s->model_dir));
    if (!s->most) s->most = s->tokenizer.most;
    if (room && (!s->most || room < s->most)) s->most = room;
    if (tokenizer_size(&s->tokenizer) <= m->config.vocab) return OK;
    Status status = err_fail(E_MISMATCH, "%s: the tokenizer has %lld ids, the model's vocabulary %d", s->model_dir,
                             (long long)tokenizer_size(&s->tokenizer), m->config.vocab);
    tokenizer_close(&s->tokenizer);
    return status;
}

Status sentence_open(Sentence *s, Arena *run, const char *dir)
{
    Model *m;
    TRY(sentence_read(s, run, dir));
    TRY(model_load_as(&m, run, s->model_dir, &(LoadOptions){.no_lm_head = true}));
    return sentence_attach(s, run, m, NULL);
}

void sentence_close(Sentence *s)
{
    tokenizer_close(&s->tokenizer);
}

/* ---- one text */

/* The text in lower case, the special tokens in it as they are. */
static Bytes lowered(Arena *a, const Sentence *s, Bytes text)
{
    Buf b = buf_open(a);
    size_t from = 0, at = 0, n;
    while (from < text.len) {
        const Special *special = special_next(tokenizer_specials(&s->tokenizer), text.text, from, text.len, &at);
        for (size_t end = special ? at : text.len; from < end; from += n) {
            uint32_t c[2];
            char utf8[4];
            size_t k = unicode_lower(c, unicode_next(text.text + from, text.len - from, &n));
            for (size_t i = 0; i < k; i++) buf_add(&b, utf8, unicode_put(utf8, c[i]));
        }
        if (special) buf_add(&b, text.text + at, special->len);
        from += special ? special->len : 0;
    }
    return (Bytes){b.len ? b.text : text.text, b.len};
}

static Status tokens(BpeText *out, Arena *a, const Sentence *s, Bytes text)
{
    Buf whole = buf_open(a);
    if (s->prompt) {
        buf_add(&whole, s->prompt, strlen(s->prompt));
        buf_add(&whole, text.text, text.len);
        text = (Bytes){whole.text, whole.len};
    }
    if (s->lower) text = lowered(a, s, text);
    BpeText x = tokenizer_encode(&s->tokenizer, a, text.text, text.len, true);
    TRY(tokenizer_wrap(out, &s->tokenizer, a, &x, NULL, NULL, (Limit){.most = s->most}));
    if (!out->n) return err_fail(E_FORMAT, "a text has no tokens");
    for (int64_t i = 0; i < out->n; i++)
        if (out->id[i] >= s->model->config.vocab)
            return err_fail(E_MISMATCH, "token %d is outside the model's vocabulary of %d", out->id[i],
                            s->model->config.vocab);
    return OK;
}

/* Channel c of the vectors of n tokens, pooled in one way. */
static double pool_channel(SentencePooling how, Tensor hidden, int64_t row, int64_t n, int64_t c)
{
    int64_t t = hidden.dim[1], dim = hidden.dim[2], first = row * t;
    if (how == SENTENCE_CLS) return tensor_get(hidden, first * dim + c);
    if (how == SENTENCE_LAST) return tensor_get(hidden, (first + n - 1) * dim + c);
    double sum = 0, weights = 0, most = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        double x = tensor_get(hidden, (first + i) * dim + c), w = how == SENTENCE_WEIGHTED ? (double)i + 1 : 1;
        sum += w * x;
        weights += w;
        most = x > most ? x : most;
    }
    return how == SENTENCE_MAX ? most : sum / (how == SENTENCE_MEAN_SQRT ? sqrt(weights) : weights);
}

/* (B,1,K C): the ways of pooling side by side. */
static Tensor pool(Arena *a, const Sentence *s, Tensor hidden, const int32_t *len)
{
    int64_t b = hidden.dim[0], c = hidden.dim[2], at = 0;
    Tensor out = tensor_new(a, F32, SHAPE(b, 1, n_pooled(s) * c));
    for (int64_t row = 0; row < b; row++)
        for (int k = 0; k < SENTENCE_POOLINGS; k++)
            for (int64_t j = 0; s->pooled[k] && j < c; j++)
                tensor_set(out, at++,
                           pool_channel((SentencePooling)k, hidden, row, len ? len[row] : hidden.dim[1], j));
    return out;
}

static void to_unit(Tensor x)
{
    int64_t d = tensor_last(x);
    for (int64_t i = 0; i < tensor_count(x) / d; i++) {
        double sum = 0;
        for (int64_t j = i * d; j < (i + 1) * d; j++) sum += pow(tensor_get(x, j), 2);
        double length = fmax(sqrt(sum), 1e-12); /* as torch.nn.functional.normalize */
        for (int64_t j = i * d; j < (i + 1) * d; j++) tensor_set(x, j, tensor_get(x, j) / length);
    }
}

static Tensor step(Tape *t, const SentenceStep *step, Tensor x)
{
    if (!step->w.data) {
        to_unit(x);
        return x;
    }
    Var *b = step->b.data ? tape_leaf(t, step->b) : NULL;
    return op_linear(t, tape_leaf(t, x), tape_leaf(t, step->w), OUT_IN, b, step->act)->val;
}

/* ---- all texts */

static Tensor run_batch(Arena *a, const Sentence *s, const Batch *x)
{
    Pass p = {.tape = tape_open(a, false), .hooks = s->hooks};
    Tensor v = pool(a, s, model_hidden(s->model, &p, x)->val, x->len);
    for (int i = 0; i < s->n_steps; i++) v = step(p.tape, &s->step[i], v);
    return v;
}

static Status encode(Tensor out, const Sentence *s, Arena *ids, Arena *step, const Bytes *text, int64_t n)
{
    const int32_t **id = NEW(ids, const int32_t *, n);
    int32_t *len = NEW(ids, int32_t, n);
    for (int64_t i = 0; i < n; i++) {
        BpeText x;
        TRY(tokens(&x, ids, s, text[i]));
        id[i] = x.id;
        len[i] = (int32_t)x.n;
    }
    Examples examples = {.n = n, .ids = id, .len = len};
    const BatchPlan plan = {
        .rows = BATCH_ROWS, .pad = s->model->config.pad < 0 ? 0 : s->model->config.pad, .all_positions = true};
    Batcher *feed;
    TRY(batcher_open(&feed, ids, &examples, &plan));
    for (int64_t i = 0, batches = batcher_in_epoch(feed); i < batches; i++) {
        ArenaMark mark = arena_mark(step);
        Batch x;
        const int32_t *row;
        batcher_next(feed, step, &x, &row);
        Tensor v = ranks_own(i) ? run_batch(step, s, &x) : (Tensor){0};
        for (int64_t b = 0; ranks_own(i) && b < x.b; b++)
            memcpy((float *)out.data + row[b] * s->dim, (const float *)v.data + b * s->dim,
                   sizeof(float) * (size_t)s->dim);
        arena_drop(step, mark);
    }
    return ranks_unite(OK, out.data, tensor_bytes(out));
}

Status sentence_encode(Tensor *out, Arena *a, const Sentence *s, const Bytes *text, int64_t n)
{
    *out = tensor_zero(a, F32, SHAPE(n, s->dim));
    if (!n) return OK;
    Arena ids = arena_open(0), step = arena_open(0);
    Status status = encode(*out, s, &ids, &step, text, n);
    arena_close(&step);
    arena_close(&ids);
    return status;
}

double sentence_cosine(Tensor rows, int64_t i, int64_t j)
{
    int64_t d = tensor_last(rows);
    double ab = 0, aa = 0, bb = 0;
    for (int64_t k = 0; k < d; k++) {
        double a = tensor_get(rows, i * d + k), b = tensor_get(rows, j * d + k);
        ab += a * b, aa += a * a, bb += b * b;
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}
