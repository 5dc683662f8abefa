/* What greedy decoding, sampling and beam search share: checks, passes and prompts.  Internal to generate*.c.
 *
 * The first pass reads the whole prompt, keeping the last row of each; every further pass reads one token a row.  The
 * encoder runs once.  Memory that outlives a pass (keys, values, the encoder's result) is on an arena of the call. */
#ifndef NN_GENERATE_PASS_H
#define NN_GENERATE_PASS_H

#include "nn/block.h"
#include "nn/generate_rules.h"

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
/* Whether a row is over with its n new tokens: the last is an end, or the settings' own test says so. */
bool generate_ends(const GenerateConfig *, const int32_t *new, int n);
int32_t generate_pad(const GenerateConfig *);

#endif
