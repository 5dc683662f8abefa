/* Frozen features for probing: the hidden states of every layer, pooled over the tokens of a text, from one forward
 * pass per batch.  Layer 0 is what enters the first layer; layer l is the output of layer l. */
#ifndef TASKS_FEATURES_H
#define TASKS_FEATURES_H

#include "nn/model.h"
#include "train/batch.h"

typedef struct {
    int layers;    /* the encoder's layers + 1 */
    Tensor *layer; /* layers tensors (N,C), F32, rows in the order of the examples */
} Features;

/* Hooks are run and left as they were found (hooks_new() for the bare model).  `each`, when not NULL, is told how
 * many examples are done and may stop the work by returning false: E_INTERRUPT. */
Status features_extract(Features *out, Arena *run, Arena *step, Model *, Hooks *, const Examples *, Pooling,
                        bool (*each)(int64_t done, void *user), void *user);

#endif
