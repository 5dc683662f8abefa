/* A frozen model that reads random tokens: the subject of the experiments on attention and prefixes. */
#ifndef THEORY_SUBJECT_H
#define THEORY_SUBJECT_H

#include "measure/measure.h"
#include "peft/peft.h"
#include "run/experiment.h"

typedef struct {
    Model *m;
    Part part;  /* whose attention is observed */
    int layers; /* of that part */
    uint64_t seed;
    Batch batch;
    Hooks *hooks; /* the prefix's, two per layer in the order of layers; NULL before subject_prefix */
    int slots;
    double sd; /* of the prefix's parameters */
} Subject;

typedef struct {
    int dim, heads, layers, vocab, tokens, rows;
    int spare;      /* learned positions beyond the tokens */
    bool bare;      /* without the LayerNorm before attention */
    double init_sd; /* of the weights; biases are N(0, 0.1) */
} NetShape;

Status subject_random(Subject *, Arena *run, NetShape, DType, uint64_t seed); /* a GPT-2 with random weights */
/* A model directory: F64 while its weights stay below 2 GB.  part: "encoder", "decoder", "cross", or "auto", the
 * decoder's self-attention where there is one.  Errors are model_load's; E_CONFIG for a part it has not. */
Status subject_load(Subject *, Arena *run, const char *dir, const char *part, uint64_t seed, int rows, int tokens);
/* A prefix in every layer of the part, its parameters N(0, sd). */
Status subject_prefix(Subject *, Arena *run, PrefixKind, int slots, double sd);
/* One forward pass with the hooks: the captures of s->layers layers, on `into`. */
Seen *subject_observe(const Subject *, Arena *into);

Status subject_input(Run *, const char *dir); /* notes the model's config.json, or its GGUF, as an input of the run */
void normal_fill(Model *, const char *glob, double sd, uint64_t seed); /* every parameter whose name matches */

/* Tokens behind the content: a batch with `more` of them (token 0) at the end of each row, and a hook at EMBED that
 * writes vectors (B,n,C), user: Tensor *, over the last n. */
Batch longer_batch(Arena *run, Batch, int64_t more);
HookFn append_vectors;

#endif
