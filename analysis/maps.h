/* Attention maps of one part of a model on one input, and what a map says in a few numbers.
 *
 * Rows are queries, columns keys, each row sums to 1.  Where self-attention has more keys than queries, the first
 * keys are a prefix; the numbers below treat it apart from the text.  Maps live on the arena given. */
#ifndef ANALYSIS_MAPS_H
#define ANALYSIS_MAPS_H

#include "nn/model.h"

typedef struct {
    Part part;
    int layers, heads;
    int64_t t, s, prefix; /* queries; keys; keys in front of the text */
    Tensor *probs;        /* (layers) of (H,T,S) */
} Maps;

/* Runs the model once on a batch of one row.  The part must exist.  Observers are added to `hooks` and taken away
 * again. */
void maps_read(Maps *out, Arena *run, Model *, Hooks *, const Batch *, Part);
int maps_heads(const Model *, Part); /* per layer */

enum { HEAD_MEAN = -1 };
Tensor maps_head(const Maps *, Arena *, int layer, int head); /* (T,S), F64; HEAD_MEAN: the mean over heads */

typedef struct {
    double entropy;  /* of a row over all keys, in nats */
    double distance; /* |query - key| in tokens, weighted by attention within the text; NaN for cross-attention */
    double first;    /* mass on the first token of the text */
    double prefix;   /* mass in front of the text */
} HeadStats;         /* each the mean over rows */
HeadStats maps_stats(const Maps *, Tensor map);

/* Total variation distance between two rows, the share of mass that would have to move, in [0,1]: mean over rows. */
double maps_shift(Tensor a, Tensor b);
Tensor maps_difference(Arena *, Tensor a, Tensor b); /* a - b */
double maps_largest(Tensor);                         /* of the absolute values */

#endif
