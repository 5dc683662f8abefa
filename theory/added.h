/* The effect of a method on the one head of a one-layer model: its attention map, and the term that it adds to the
 * head's output. A prefix takes the share a of a row's attention and leaves (1 - a) t of the content's own term t, so
 * it adds t' - (1 - a) t. For methods without a prefix a is 0 and this is the whole change. */
#ifndef THEORY_ADDED_H
#define THEORY_ADDED_H

#include "nn/model.h"

typedef struct {
    Tensor probs, heads; /* (B,1,K,S), (B,K,C) */
} AddedSeen;

AddedSeen added_look(Arena *run, Model *, Hooks *, const Batch *); /* one pass; leaves the hooks as they were */
double added_left(Tensor probs, int64_t i, int64_t n);             /* mass of row i on its last n columns */
double added_content_gap(const AddedSeen *with,
                         const AddedSeen *without); /* largest change of renormalised content attention */
/* Eigenvalues of the covariance of the added term, descending, as shares of their sum; at most `room`. */
Status added_spectrum(float *share, int64_t room, Arena *run, const AddedSeen *with, const AddedSeen *without);

#endif
