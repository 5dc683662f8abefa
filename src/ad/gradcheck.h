/* Is a whole model's gradient right?  Compares the tape's gradient g with central differences of the loss along
 * directions u: the slope of f(w + h u) at h = 0 against g.u, over all trainable parameters of a set.
 *
 * Two kinds of direction: random ones over everything at once, and one for each parameter alone, so that a wrong
 * small gradient cannot hide behind a large right one.  The error of a direction is the difference relative to the
 * larger of the two slopes, or to the slope a random direction would have on average where chance made both tiny.
 *
 * The loss is a function the caller supplies; it builds the same graph on every call (dropout draws come from names,
 * so dropout may be on).  Only F64 sets give meaningful answers.  Values are restored; gradients are left as the last
 * backward made them. */
#ifndef AD_GRADCHECK_H
#define AD_GRADCHECK_H

#include "ad/tape.h"

typedef Var *LossFn(Tape *, void *ctx); /* a (1) loss */
typedef struct {
    double worst, worst_each; /* relative error over random directions, and over single parameters */
    const char *at;           /* the parameter behind worst_each, or NULL where none is trainable */
    double loss, norm;        /* the loss, and the length of its gradient */
    int64_t numbers;          /* trainable elements */
} GradCheck;

/* `step` is used and dropped back to where it was. */
GradCheck gradcheck_run(ParamSet *, Arena *step, LossFn *, void *ctx, int directions, uint64_t seed);

#endif
