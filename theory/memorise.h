/* How many of n random bags of tokens with random labels a random transformer gets right through a trained prompt or
 * LoRA.  Settings of the run: pairs (n), memory-steps, memory-lr. */
#ifndef THEORY_MEMORISE_H
#define THEORY_MEMORISE_H

#include "run/experiment.h"

enum { MEMORISE_WIDTH = 16 }; /* hidden size */
typedef struct {
    double fraction, chance; /* right; the share of the most frequent label */
    int64_t numbers;         /* trainable parameters */
} Memory;
/* The best fraction of several learning rates, after training a prompt of `size` tokens or LoRA of rank `size`. */
Status memorise(Memory *out, Run *, int layers, bool lora, int size, uint64_t seed);

#endif
