/* DeepJIT (deepjit.h) as a learner, alone and joined with the vectors of CC2Vec, which are learnt first and then
 * stand still.  A step takes as many defective commits as clean ones, drawn with replacement.  The plain form keeps
 * the parameters of the epoch with the best validation AUC; as published those of the last one. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "nn/hook.h"
#include "tasks/commit_vector.h"
#include "tasks/deepjit.h"
#include "tasks/learner.h"
#include "train/fit.h"

enum { SCORED_TOGETHER = 64 };
static const double DROPOUT = 0.5;

enum { EPOCHS, BATCH, RATE, ROWS, LINES, VECTOR_EPOCHS };
#define OF_BOTH                                                                                                      \
    {.name = "epochs", .about = "epochs at most; 0: 5, as published 25, with CC2Vec 50", .most = 1000},              \
        {.name = "batch", .about = "commits in a step", .otherwise = 64, .least = 2, .most = 4096},                  \
        {.name = "lr", .about = "learning rate; 0: 1e-4, as published 1e-5", .most = 1, .real = true},               \
        {.name = "rows", .about = "what a row of words is: a side of a file, or a line", .words = "side|line"},      \
    {                                                                                                                \
        .name = "lines", .about = "rows of a commit that are read", .otherwise = 10, .least = 1, .most = 1000        \
    }
static const LearnerOption OPTIONS[] = {OF_BOTH, {.name = NULL}};
static const LearnerOption OPTIONS_JOINED[] = {
    OF_BOTH,
    {.name = "vector_epochs", .about = "epochs of the vectors; 0: 2, as published 50", .most = 1000},
    {.name = NULL}};

typedef struct {
    bool joined;
    CommitVectors vectors; /* where joined */
    Words message, code;
    CodeRows rows;
    ParamSet *params;
    Deepjit net;
    int64_t epochs; /* after which the parameters were taken */
} DeepjitModel;

static void open_network(DeepjitModel *m, Arena *run, uint64_t seed)
{
    DeepjitShape s = deepjit_shape(m->message.n, m->code.n, m->joined ? m->vectors.width : 0);
    s.lines = m->rows.lines, s.as_published = m->rows.as_published;
    m->params = params_open(run, F32, seed);
    deepjit_open(&m->net, m->params, &s);
}

static CodeRows text_rows(int64_t lines, bool whole, bool as_published)
{
    int64_t words = deepjit_shape(0, 0, 0).words;
    return (CodeRows){1, lines, words, .joined = true, .whole = whole, .as_published = as_published};
}

/* ---- commits as the network reads them */

typedef struct {
    DeepjitCommit *commit; /* (n) */
    double *vector;        /* (n, width) where joined */
} Inputs;

static Status inputs(Inputs *out, const DeepjitModel *m, Arena *a, const JitSet *s, bool (*each)(int64_t, void *),
                     void *user)
{
    int64_t longest = m->net.shape.longest;
    *out = (Inputs){.commit = NEW(a, DeepjitCommit, s->n)};
    for (int64_t i = 0; i < s->n; i++) {
        const CodeChange *c = &s->change[i];
        out->commit[i].message = message_row(a, c, &m->message, longest, m->rows.as_published);
        out->commit[i].line = code_rows(a, c, &m->code, &m->rows);
    }
    if (!m->joined) return OK;
    Arena step = arena_open((size_t)1 << 36);
    out->vector = NEW(a, double, s->n * m->vectors.width);
    Status status = commit_vectors(out->vector, &m->vectors, &step, s, each, user);
    arena_close(&step);
    return status;
}

static Var *logits(const DeepjitModel *m, Tape *t, const Inputs *in, const int32_t *row, int64_t b, Drop drop)
{
    Arena *a = tape_arena(t);
    int64_t width = m->net.shape.vector;
    const DeepjitCommit **commit = NEW(a, const DeepjitCommit *, b);
    Tensor vector = tensor_new(a, F32, SHAPE(b, 1, width));
    for (int64_t i = 0; i < b; i++) {
        commit[i] = &in->commit[row[i]];
        for (int64_t k = 0; k < width; k++) tensor_set(vector, i * width + k, in->vector[row[i] * width + k]);
    }
    return deepjit_logits(&m->net, t, commit, b, width ? tape_leaf(t, vector) : NULL, drop);
}

static Status probabilities(double *out, const DeepjitModel *m, Arena *step, const Inputs *in, int64_t n,
                            bool (*each)(int64_t, void *), void *user)
{
    int32_t row[SCORED_TOGETHER];
    for (int64_t first = 0, b; first < n; first += b) {
        ArenaMark mark = arena_mark(step);
        b = n - first < SCORED_TOGETHER ? n - first : SCORED_TOGETHER;
        for (int64_t i = 0; i < b; i++) row[i] = (int32_t)(first + i);
        Tensor y = logits(m, tape_open(step, false), in, row, b, (Drop){0})->val;
        for (int64_t i = 0; i < b; i++) out[first + i] = 1 / (1 + exp(-tensor_get(y, i)));
        Status status = tensor_finite(y, "the logits of commits");
        arena_drop(step, mark);
        TRY(status);
        if (each && !each(first + b, user)) return err_fail(E_INTERRUPT, "interrupted before the end");
    }
    return OK;
}

/* ---- training */

typedef struct {
    DeepjitModel *m;
    const LearnJob *job;
    Inputs train, valid;
    int32_t *of[2];            /* the commits of each class */
    int64_t n[2], rows, steps; /* of an epoch */
    uint64_t stream;
    Kept best;
    double auc;
} Training;

static int64_t draw(int32_t *row, int64_t step, void *user)
{
    const Training *w = user;
    uint64_t stream = rng_mix(w->stream, (uint64_t)step);
    for (int64_t i = 0; i < w->rows; i++) {
        int class = i % 2 == 0;
        row[i] = w->of[class][rng_below(stream, (uint64_t)i, w->n[class])];
    }
    return w->rows;
}

static Var *loss(Model *none, Pass *p, const Batch *x, void *user)
{
    (void)none;
    const Training *w = user;
    float *label = NEW(tape_arena(p->tape), float, x->b);
    for (int64_t i = 0; i < x->b; i++) label[i] = w->job->train->change[x->row[i]].label == 1;
    int mark = tape_enter(p->tape);
    Drop drop = {p->train ? DROPOUT : 0, p->seed};
    return tape_leave(p->tape, mark, op_bce(p->tape, logits(w->m, p->tape, &w->train, x->row, x->b, drop), label));
}

/* The end of an epoch: the parameters are kept where the validation commits are ranked best so far. */
static Status judge(int64_t step, void *user)
{
    Training *w = user;
    const JitSet *valid = w->job->valid;
    const TuneWatch *watch = w->job->watch;
    Arena a = arena_open((size_t)1 << 36);
    double *score = NEW(&a, double, valid->n);
    Status status = probabilities(score, w->m, &a, &w->valid, valid->n, tuning_goes_on, (void *)watch);
    double auc = status ? 0 : jit_scores(valid, score, 0.5).at.auc;
    if (!status && auc > w->auc) {
        w->auc = auc, w->m->epochs = step / w->steps;
        kept_take(&w->best);
    }
    if (!status) tuning_remark(watch, &a, "epoch %lld: validation AUC %.4f", (long long)(step / w->steps), auc);
    arena_close(&a);
    return status;
}

static void split_classes(Training *w, Arena *a)
{
    const JitSet *s = w->job->train;
    for (int class = 0; class < 2; class ++) w->of[class] = NEW(a, int32_t, s->n);
    for (int64_t i = 0; i < s->n; i++) {
        int class = s->change[i].label == 1;
        w->of[class][w->n[class]++] = (int32_t)i;
    }
}

static int64_t epochs_at_most(const DeepjitModel *m, const LearnJob *j)
{
    if (!j->valid && j->former) return ((const DeepjitModel *)j->former)->epochs;
    if (j->option[EPOCHS] > 0) return (int64_t)j->option[EPOCHS];
    return !j->as_published ? 5 : m->joined ? 50 : 25;
}

static Status train(DeepjitModel *m, Arena *scratch, const LearnJob *j)
{
    Training w = {.m = m, .job = j, .rows = (int64_t)j->option[BATCH], .auc = -1};
    bool choose = j->valid && !j->as_published;
    w.steps = j->train->n / w.rows + 1, w.stream = rng_stream(j->seed, "deepjit batches");
    split_classes(&w, scratch);
    TRY(inputs(&w.train, m, scratch, j->train, tuning_goes_on, (void *)j->watch));
    if (choose) TRY(inputs(&w.valid, m, scratch, j->valid, tuning_goes_on, (void *)j->watch));
    params_train(m->params, "*", true);
    w.best = kept_open(scratch, m->params);
    m->epochs = epochs_at_most(m, j);
    TRY(wordnet_train(m->params, &(WordnetPlan){.phase = "training",
                                                .rows = w.rows,
                                                .total = m->epochs * w.steps,
                                                .lr = j->option[RATE] > 0 ? j->option[RATE]
                                                      : j->as_published   ? 1e-5
                                                                          : 1e-4,
                                                .seed = j->seed,
                                                .draw = draw,
                                                .loss = loss,
                                                .user = &w,
                                                .watch = j->watch,
                                                .pause = choose ? w.steps : 0,
                                                .paused = judge}));
    if (choose) kept_restore(&w.best);
    return OK;
}

static Status fit(void **model, Arena *run, const LearnJob *j, bool joined)
{
    DeepjitModel *m = NEW(run, DeepjitModel, 1);
    bool published = j->as_published;
    int64_t longest = deepjit_shape(0, 0, 0).longest;
    m->joined = joined;
    m->rows = text_rows((int64_t)j->option[LINES], j->option[ROWS] < 1, published);
    CommitVectorPlan vectors = commit_vector_plan(published);
    vectors.seed = j->seed, vectors.watch = j->watch;
    if (j->option[VECTOR_EPOCHS] > 0) vectors.epochs = (int64_t)j->option[VECTOR_EPOCHS];
    if (joined) TRY(commit_vectors_fit(&m->vectors, run, j->train, &vectors));
    m->code = words_of_code(run, j->train, &m->rows, published ? 1 : 2);
    m->message = words_of_messages(run, j->train, longest, published ? 1 : 2);
    open_network(m, run, j->seed);
    Arena scratch = arena_open(0);
    Status s = train(m, &scratch, j);
    arena_close(&scratch);
    *model = m;
    return s;
}

static Status fit_alone(void **model, Arena *run, const LearnJob *j)
{
    return fit(model, run, j, false);
}

static Status fit_joined(void **model, Arena *run, const LearnJob *j)
{
    return fit(model, run, j, true);
}

static Status score(double *out, void *model, Arena *step, const JitSet *s, const LearnView *v,
                    bool (*each)(int64_t, void *), void *user)
{
    (void)v; /* it reads no features */
    Arena scratch = arena_open(0);
    Inputs in;
    Status status = inputs(&in, model, &scratch, s, each, user);
    if (!status) status = probabilities(out, model, step, &in, s->n, each, user);
    arena_close(&scratch);
    return status;
}

/* ---- on disk */

#define ALONE "deepjit.safetensors"
#define JOINED "cc2vec-deepjit.safetensors"

static const char *path_in(Arena *a, const char *dir, bool joined)
{
    return str_print(a, "%s/%s", dir, joined ? JOINED : ALONE);
}

static Status save(const void *model, const char *dir)
{
    const DeepjitModel *m = model;
    Arena a = arena_open(0);
    WordnetFile f = {.arena = &a};
    const double shape[] = {(double)m->rows.lines, m->rows.as_published, (double)m->epochs, m->rows.whole};
    wordnet_put(&f, "deepjit.shape", 4, shape);
    wordnet_put_words(&f, "deepjit.message", &m->message);
    wordnet_put_words(&f, "deepjit.code", &m->code);
    wordnet_put_params(&f, "deepjit.", m->params);
    if (m->joined) commit_vectors_put(&f, &m->vectors);
    Status s = wordnet_save(&f, path_in(&a, dir, m->joined));
    arena_close(&a);
    return s;
}

static Status read(DeepjitModel *m, Arena *run, const Weights *w)
{
    double shape[4];
    int64_t lines, as_published, whole;
    TRY(wordnet_get(shape, 4, w, "deepjit.shape"));
    TRY(wordnet_whole(&lines, shape[0], w, "the number of lines", 1, (int64_t)OPTIONS[LINES].most));
    TRY(wordnet_whole(&as_published, shape[1], w, "the form", 0, 1));
    TRY(wordnet_whole(&m->epochs, shape[2], w, "the number of epochs", 0, INT32_MAX));
    TRY(wordnet_whole(&whole, shape[3], w, "the kind of rows", 0, 1));
    m->rows = text_rows(lines, whole, as_published);
    TRY(wordnet_get_words(&m->message, run, w, "deepjit.message"));
    TRY(wordnet_get_words(&m->code, run, w, "deepjit.code"));
    if (m->joined) TRY(commit_vectors_get(&m->vectors, run, w));
    open_network(m, run, 0);
    return wordnet_get_params(m->params, w, "deepjit.");
}

static Status open_model(void **model, Arena *run, const char *dir, bool joined)
{
    Weights *w;
    DeepjitModel *m = NEW(run, DeepjitModel, 1);
    TRY(weights_open(&w, run, path_in(run, dir, joined)));
    m->joined = joined;
    *model = m;
    Status s = read(m, run, w);
    weights_close(w);
    return s;
}

static Status open_alone(void **model, Arena *run, const char *dir)
{
    return open_model(model, run, dir, false);
}

static Status open_joined(void **model, Arena *run, const char *dir)
{
    return open_model(model, run, dir, true);
}

static const Learner DEEPJIT = {.name = "deepjit",
                                .title = "convolutions over the words of message and lines",
                                .source = "Hoang et al., MSR 2019",
                                .options = OPTIONS,
                                .best_threshold = true,
                                .seeded = true,
                                .published = true,
                                .fit = fit_alone,
                                .score = score,
                                .save = save,
                                .open = open_alone};
REGISTER(learner, DEEPJIT)

static const Learner CC2VEC_DEEPJIT = {.name = "cc2vec-deepjit",
                                       .title = "DeepJIT with the vector of CC2Vec beside its convolutions",
                                       .source = "Hoang et al., ICSE 2020",
                                       .options = OPTIONS_JOINED,
                                       .best_threshold = true,
                                       .seeded = true,
                                       .published = true,
                                       .fit = fit_joined,
                                       .score = score,
                                       .save = save,
                                       .open = open_joined};
REGISTER(learner, CC2VEC_DEEPJIT)
