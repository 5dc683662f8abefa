/* Commits become rows of word ids once; a batch is their rows, and 0 or 1 for each word of a message. */
#include "tasks/commit_vector.h"

#include <string.h>

#include "base/rng.h"
#include "nn/hook.h"

enum { MESSAGE_WORDS = 256, SCORED_TOGETHER = 64 };
static const double DROPOUT = 0.5;

CommitVectorPlan commit_vector_plan(bool as_published)
{
    if (as_published) return (CommitVectorPlan){.as_published = true, .epochs = 50, .rows = 8, .lr = 1e-5};
    return (CommitVectorPlan){.epochs = 2, .rows = 32, .lr = 1e-3};
}

/* Parameters for these words; values are drawn from the seed. */
static void open_network(CommitVectors *v, Arena *run, uint64_t seed)
{
    Cc2vecShape s = cc2vec_shape(v->code.n, v->message.n);
    s.files = v->rows.files, s.as_published = v->rows.as_published;
    v->params = params_open(run, F32, seed);
    cc2vec_open(&v->net, v->params, &s);
    v->width = cc2vec_width(&s);
}

static CodeRows rows_of_files(int64_t files, bool as_published)
{
    Cc2vecShape s = cc2vec_shape(0, 0);
    return (CodeRows){files < 1         ? 1
                      : files < s.files ? files
                                        : s.files,
                      s.lines, s.words, .as_published = as_published};
}

/* ---- training */

typedef struct {
    const CommitVectors *v;
    const IdRow **rows; /* (n) code_rows() of each commit */
    IdRow *message;     /* (n) */
    Epochs epochs;
} Training;

static int64_t draw(int32_t *row, int64_t step, void *user)
{
    return epochs_draw(&((Training *)user)->epochs, row, step);
}

static int32_t word_at(IdRow row, int64_t i)
{
    return i < row.n ? row.id[i] : WORD_NONE;
}

/* The published slip: the (B,T) ids of a place are read as (T,B), so that each commit gets words of all of them. */
static void mix(const IdRow **rows, int64_t b, const CodeRows *shape, Arena *a)
{
    int64_t places = code_rows_n(shape), words = shape->words;
    IdRow *mixed = NEW(a, IdRow, b * places);
    for (int64_t p = 0; p < places; p++)
        for (int64_t i = 0; i < b; i++) {
            int32_t *id = NEW(a, int32_t, words);
            for (int64_t t = 0; t < words; t++) {
                int64_t from = t * b + i;
                id[t] = word_at(rows[from / words][p], from % words);
            }
            mixed[i * places + p] = (IdRow){id, (int32_t)words};
        }
    for (int64_t i = 0; i < b; i++) rows[i] = mixed + i * places;
}

static Var *loss(Model *none, Pass *p, const Batch *x, void *user)
{
    (void)none;
    const Training *w = user;
    const Cc2vec *net = &w->v->net;
    Arena *a = tape_arena(p->tape);
    const IdRow **rows = NEW(a, const IdRow *, x->b);
    float *label = NEW(a, float, x->b * net->shape.message);
    bool published = w->v->rows.as_published;
    for (int64_t i = 0; i < x->b; i++) {
        rows[i] = w->rows[x->row[i]];
        words_mark(label + i * net->shape.message, w->message[x->row[i]], published ? MESSAGE_WORDS : 0);
    }
    if (published) mix(rows, x->b, &w->v->rows, a);
    int mark = tape_enter(p->tape);
    Var *v = cc2vec_vector(net, p->tape, rows, x->b);
    v = op_dropout(p->tape, v, p->train ? DROPOUT : 0, rng_stream(p->seed, "cc2vec vector"));
    return tape_leave(p->tape, mark, cc2vec_loss(net, p->tape, cc2vec_logits(net, p->tape, v), label));
}

static int64_t most_files(const JitSet *s)
{
    int64_t most = 0;
    for (int64_t i = 0; i < s->n; i++)
        if (s->change[i].n_files > most) most = s->change[i].n_files;
    return most;
}

/* The published vocabularies have every word; the plain ones those that can be learnt. */
Status commit_vectors_fit(CommitVectors *v, Arena *run, const JitSet *s, const CommitVectorPlan *p)
{
    Arena scratch = arena_open(0);
    v->rows = rows_of_files(most_files(s), p->as_published);
    v->code = words_of_code(run, s, &v->rows, p->as_published ? 1 : 2);
    v->message = words_of_messages(run, s, MESSAGE_WORDS, p->as_published ? 1 : 3);
    open_network(v, run, p->seed);
    Training w = {.v = v, .rows = NEW(&scratch, const IdRow *, s->n), .message = NEW(&scratch, IdRow, s->n)};
    for (int64_t i = 0; i < s->n; i++) {
        w.rows[i] = code_rows(&scratch, &s->change[i], &v->code, &v->rows);
        w.message[i] = message_row(&scratch, &s->change[i], &v->message, MESSAGE_WORDS, p->as_published);
    }
    w.epochs = epochs_of(&scratch, s->n, p->rows, rng_stream(p->seed, "cc2vec batches"), p->as_published);
    Status status = wordnet_train(v->params, &(WordnetPlan){.phase = "training of commit vectors",
                                                            .rows = p->rows,
                                                            .total = p->epochs * epochs_steps(&w.epochs),
                                                            .lr = p->lr,
                                                            .seed = p->seed,
                                                            .draw = draw,
                                                            .loss = loss,
                                                            .user = &w,
                                                            .watch = p->watch});
    arena_close(&scratch);
    return status;
}

/* ---- vectors */

Status commit_vectors(double *out, const CommitVectors *v, Arena *step, const JitSet *s,
                      bool (*each)(int64_t, void *), void *user)
{
    const IdRow *rows[SCORED_TOGETHER];
    for (int64_t first = 0, b; first < s->n; first += b) {
        ArenaMark mark = arena_mark(step);
        b = v->rows.as_published ? 1 : s->n - first < SCORED_TOGETHER ? s->n - first : SCORED_TOGETHER;
        for (int64_t i = 0; i < b; i++) rows[i] = code_rows(step, &s->change[first + i], &v->code, &v->rows);
        Tensor y = cc2vec_vector(&v->net, tape_open(step, false), rows, b)->val;
        for (int64_t i = 0; i < b * v->width; i++) out[first * v->width + i] = tensor_get(y, i);
        Status status = tensor_finite(y, "the vectors of commits");
        arena_drop(step, mark);
        TRY(status);
        if (each && !each(first + b, user)) return err_fail(E_INTERRUPT, "interrupted before the end");
    }
    return OK;
}

/* ---- on disk */

void commit_vectors_put(WordnetFile *f, const CommitVectors *v)
{
    const double shape[] = {(double)v->rows.files, v->rows.as_published};
    wordnet_put(f, "cc2vec.shape", 2, shape);
    wordnet_put_words(f, "cc2vec.code", &v->code);
    wordnet_put_words(f, "cc2vec.message", &v->message);
    wordnet_put_params(f, "cc2vec.", v->params);
}

Status commit_vectors_get(CommitVectors *v, Arena *run, const Weights *w)
{
    double shape[2];
    int64_t files, as_published;
    TRY(wordnet_get(shape, 2, w, "cc2vec.shape"));
    TRY(wordnet_whole(&files, shape[0], w, "the number of files", 1, cc2vec_shape(0, 0).files));
    TRY(wordnet_whole(&as_published, shape[1], w, "the form", 0, 1));
    v->rows = rows_of_files(files, as_published);
    TRY(wordnet_get_words(&v->code, run, w, "cc2vec.code"));
    TRY(wordnet_get_words(&v->message, run, w, "cc2vec.message"));
    open_network(v, run, 0);
    return wordnet_get_params(v->params, w, "cc2vec.");
}
