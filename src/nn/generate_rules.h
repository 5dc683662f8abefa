/* The parts of generation: the passes, the rules on logits, and the draw.  Internal to generate*.c and their tests. */
#ifndef NN_GENERATE_RULES_H
#define NN_GENERATE_RULES_H

#include "nn/block.h"
#include "nn/generate.h"

/* What stands before the next token of one row. */
typedef struct {
    const int32_t *prompt, *new, *source; /* source: the encoder's ids, or the prompt where there is no encoder */
    int64_t n_prompt, n_source;
    int n_new;
} Written;

/* Changes the logits (or log-probabilities, in a beam search) z (V) of the next token by every rule of the settings
 * that is on.  A token that must not follow gets -infinity. */
void generate_rules(double *z, int64_t v, const Written *, const GenerateConfig *, Arena *step);
/* A draw by u in [0,1) from the softmax of z that temperature, top-k, top-p and their kin leave. */
int32_t generate_draw(const double *z, int64_t v, const GenerateConfig *, Arena *step, double u);
void generate_log_softmax(double *z, int64_t v);

/* ---- passes, in generate.c */

typedef struct {
    Model *model;
    const Hooks *hooks;
    Arena *step;
    Cache *cache;
    Tensor memory; /* of the encoder; data NULL without one */
} Decoder;

Status generate_check(const Model *, const Batch *x, const GenerateConfig *);
Batch generate_first_batch(Arena *, const Model *, const Batch *x, const GenerateConfig *); /* the prompts */
Batch generate_next_batch(const Model *, const Batch *, int64_t b, const int32_t *next);    /* one token a row */
void generate_encode(Decoder *, Arena *keep, const Batch *x);
Cache *generate_cache(Arena *, const Model *, int64_t b, int64_t room);
/* The logits (B,V) of the next token of each row, on the step arena.  One of -infinity is a token never chosen. */
Status generate_logits(Tensor *out, Decoder *, const Batch *x);
/* The prompt and the source of row b; `prompts` is generate_first_batch()'s. */
Written generate_written(const Batch *prompts, int64_t b);
int32_t generate_pad(const GenerateConfig *);

#endif
