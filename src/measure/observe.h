/* Looks into a model: one forward pass, and copies of the values at named join points.
 *
 *     Tensor keys = observe_one(run, m, hooks, &batch, (Where){SITE_KEYS, 0, PART_DECODER});
 *
 * The pass records no gradients, and dropout is off.  Observers come after the hooks that are there, so they see the
 * values that the rest of the model sees, and they are gone when a function returns.  `hooks` NULL is the base model.
 *
 * The pass computes no more than the places need: the language-model head for LOGITS alone; of an encoder-decoder the
 * encoder alone where all places lie in it, or where the batch has no target (t = 0).  SCORES and PROBS make
 * attention take the open path, whose values differ from those of the fused path by rounding. */
#ifndef MEASURE_OBSERVE_H
#define MEASURE_OBSERVE_H

#include "nn/model.h"

/* out[i] is a copy, on `keep`, of what leaves the place at[i]; its data is NULL where the model has no such place. */
void observe_many(Tensor *out, Arena *keep, Model *, Hooks *, const Batch *, const Where *at, int n);
Tensor observe_one(Arena *keep, Model *, Hooks *, const Batch *, Where at);
/* Shows `peek` the input and the output at every place that one of n rules matches; they may have LAYER_ANY and
 * PART_ANY.  Nothing is copied. */
void observe_peek(Model *, Hooks *, const Batch *, const Where *rule, int n, Peek *peek);

#endif
