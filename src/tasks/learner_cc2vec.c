/* Logistic regression on the vector of a commit that CC2Vec has learnt from messages (commit_vector.h), with the
 * fourteen features beside it where commits have them. */
#include <string.h>

#include "num/logistic.h"
#include "tasks/commit_vector.h"
#include "tasks/learner.h"

#define FILE_NAME "cc2vec.safetensors"
static const double PENALTY = 3e-4;

enum { EPOCHS, BATCH, RATE };
static const LearnerOption OPTIONS[] = {
    {.name = "epochs", .about = "epochs of the vectors; 0: 2, as published 50", .most = 1000},
    {.name = "batch", .about = "commits in a step; 0: 32, as published 8", .most = 4096},
    {.name = "lr", .about = "learning rate; 0: 1e-3, as published 1e-5", .most = 1, .real = true},
    {.name = NULL}};

typedef struct {
    CommitVectors vectors;
    bool features;
    JitScale scale;
    Logistic logistic;
} Cc2vecModel;

static int64_t columns(const Cc2vecModel *m)
{
    return m->vectors.width + (m->features ? N_FEATURES : 0);
}

/* (n, columns): each commit's vector, then its features. */
static Status inputs(double **out, const Cc2vecModel *m, Arena *a, Arena *step, const JitSet *s,
                     const JitScale *scale, bool (*each)(int64_t, void *), void *user)
{
    int64_t width = m->vectors.width, all = columns(m);
    double *vector = NEW(a, double, s->n *width), *x = NEW(a, double, s->n *all);
    TRY(commit_vectors(vector, &m->vectors, step, s, each, user));
    for (int64_t i = 0; i < s->n; i++) {
        memcpy(x + i * all, vector + i * width, sizeof *x * (size_t)width);
        if (m->features) jit_features(x + i * all + width, &s->change[i], scale);
    }
    *out = x;
    return OK;
}

static CommitVectorPlan plan_of(const LearnJob *j)
{
    CommitVectorPlan p = commit_vector_plan(j->as_published);
    if (j->option[EPOCHS] > 0) p.epochs = (int64_t)j->option[EPOCHS];
    if (j->option[BATCH] > 0) p.rows = (int64_t)j->option[BATCH];
    if (j->option[RATE] > 0) p.lr = j->option[RATE];
    p.seed = j->seed, p.watch = j->watch;
    return p;
}

/* The regression upon vectors that are learnt. */
static Status fit_logistic(Cc2vecModel *m, Arena *run, Arena *scratch, const LearnJob *j)
{
    const JitSet *s = j->train;
    double *x;
    int *label = NEW(scratch, int, s->n);
    Minimum found;
    Arena step = arena_open((size_t)1 << 36);
    for (int64_t i = 0; i < s->n; i++) label[i] = s->change[i].label == 1;
    Status status = inputs(&x, m, scratch, &step, s, &m->scale, NULL, NULL);
    arena_close(&step);
    TRY(status);
    TRY(logistic_fit(&m->logistic, &found, run, x, label, s->n, columns(m), PENALTY));
    if (!found.converged)
        tuning_remark(j->watch, run, "the regression stopped after %d iterations before it had converged",
                      found.iterations);
    return OK;
}

static Status fit(void **model, Arena *run, const LearnJob *j)
{
    Cc2vecModel *m = NEW(run, Cc2vecModel, 1);
    CommitVectorPlan p = plan_of(j);
    m->features = j->features;
    m->scale = jit_scale(j->train, true);
    if (j->no_fix) jit_scale_drop(&m->scale, FEATURE_fix);
    TRY(commit_vectors_fit(&m->vectors, run, j->train, &p));
    Arena scratch = arena_open(0);
    Status s = fit_logistic(m, run, &scratch, j);
    arena_close(&scratch);
    *model = m;
    return s;
}

static Status score(double *out, void *model, Arena *step, const JitSet *s, const LearnView *v,
                    bool (*each)(int64_t, void *), void *user)
{
    const Cc2vecModel *m = model;
    JitScale scale = v->per_split ? jit_scale(s, true) : m->scale;
    double *x;
    for (int64_t i = 0; i < s->n && m->features; i++)
        if (!s->change[i].has_features)
            return err_fail(E_MISMATCH,
                            "commit %.40s lacks the features that the model reads (vernier data mine --features)",
                            s->change[i].id);
    if (v->no_fix) jit_scale_drop(&scale, FEATURE_fix);
    Arena scratch = arena_open(0);
    Status status = inputs(&x, m, &scratch, step, s, &scale, each, user);
    for (int64_t i = 0; i < s->n && !status; i++) out[i] = logistic_score(&m->logistic, x + i * columns(m));
    arena_close(&scratch);
    return status;
}

/* ---- on disk */

static Status save(const void *model, const char *dir)
{
    const Cc2vecModel *m = model;
    Arena a = arena_open(0);
    WordnetFile f = {.arena = &a};
    double features = m->features;
    commit_vectors_put(&f, &m->vectors);
    wordnet_put(&f, "features", 1, &features);
    wordnet_put(&f, "features.mean", N_FEATURES, m->scale.mean);
    wordnet_put(&f, "features.sd", N_FEATURES, m->scale.sd);
    wordnet_put(&f, "logistic.mean", columns(m), m->logistic.mean);
    wordnet_put(&f, "logistic.scale", columns(m), m->logistic.scale);
    wordnet_put(&f, "logistic.weight", columns(m) + 1, m->logistic.weight);
    Status s = wordnet_save(&f, str_print(&a, "%s/" FILE_NAME, dir));
    arena_close(&a);
    return s;
}

static Status read(Cc2vecModel *m, Arena *run, const Weights *w)
{
    double number;
    int64_t features;
    TRY(commit_vectors_get(&m->vectors, run, w));
    TRY(wordnet_get(&number, 1, w, "features"));
    TRY(wordnet_whole(&features, number, w, "features", 0, 1));
    m->features = features, m->scale.log = true;
    TRY(wordnet_get(m->scale.mean, N_FEATURES, w, "features.mean"));
    TRY(wordnet_get(m->scale.sd, N_FEATURES, w, "features.sd"));
    m->logistic = logistic_blank(run, columns(m));
    TRY(wordnet_get(m->logistic.mean, columns(m), w, "logistic.mean"));
    TRY(wordnet_get(m->logistic.scale, columns(m), w, "logistic.scale"));
    return wordnet_get(m->logistic.weight, columns(m) + 1, w, "logistic.weight");
}

static Status open_model(void **model, Arena *run, const char *dir)
{
    Weights *w;
    TRY(weights_open(&w, run, str_print(run, "%s/" FILE_NAME, dir)));
    *model = NEW(run, Cc2vecModel, 1);
    Status s = read(*model, run, w);
    weights_close(w);
    return s;
}

static const Learner CC2VEC = {.name = "cc2vec",
                               .title = "logistic regression on a vector that is learnt by predicting message words",
                               .source = "Hoang et al., ICSE 2020",
                               .options = OPTIONS,
                               .seeded = true,
                               .published = true,
                               .fit = fit,
                               .score = score,
                               .save = save,
                               .open = open_model};
REGISTER(learner, CC2VEC)
