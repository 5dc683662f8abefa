/* A CC2Vec (cc2vec.h) that is trained on commits: its words, its parameters, and the vectors that it gives.
 *
 *   TRY(commit_vectors_fit(&v, &run, &train, &(CommitVectorPlan){.epochs = 2, .rows = 32, .lr = 1e-3, ...}));
 *   TRY(commit_vectors(x, &v, &step, &test, NULL, NULL));              x (test.n, v.width) */
#ifndef TASKS_COMMIT_VECTOR_H
#define TASKS_COMMIT_VECTOR_H

#include "tasks/cc2vec.h"
#include "tasks/wordnet.h"

typedef struct {
    Words code, message;
    CodeRows rows;
    ParamSet *params;
    Cc2vec net;
    int64_t width;
} CommitVectors;

typedef struct {
    bool as_published; /* the published form, and batches whose commits are mixed up */
    int64_t epochs, rows;
    double lr;
    uint64_t seed;
    const TuneWatch *watch;
} CommitVectorPlan;
CommitVectorPlan commit_vector_plan(bool as_published); /* 2 epochs of 32 at 1e-3; as published 50 of 8 at 1e-5 */
Status commit_vectors_fit(CommitVectors *, Arena *run, const JitSet *, const CommitVectorPlan *);
Status commit_vectors(double *out, const CommitVectors *, Arena *step, const JitSet *,
                      bool (*each)(int64_t done, void *), void *user);

void commit_vectors_put(WordnetFile *, const CommitVectors *);
Status commit_vectors_get(CommitVectors *, Arena *run, const Weights *);

#endif
