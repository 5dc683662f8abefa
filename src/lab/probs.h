/* Attention maps of toy models, and measures of them. Keys are in the order of the map's columns: virtual keys of a
 * prefix, reserved positions, content. */
#ifndef LAB_PROBS_H
#define LAB_PROBS_H

#include "lab/digits.h"

/* The map of one layer on a batch, every row computed: (B,H,T,S) on `run`.  Hooks may be NULL. */
Tensor probs_of(Arena *run, Model *, Hooks *, const Batch *, int layer);

/* Mass on virtual keys and reserved positions together, mean over the batch: out[h * LENGTH + i] for output i. */
void probs_mass(double *out, Tensor probs, DigitLayout);
/* The standard deviation of that mass over the batch, mean over heads and outputs. */
double probs_spread(Tensor probs, DigitLayout);

/* Of the shares of virtual keys and reserved positions in their mass: exp of the entropy, mean over batch, heads,
 * outputs. */
double probs_slots_used(Tensor probs, DigitLayout);

/* Content attention, renormalised in each row, of two maps on the same tokens. */
typedef struct {
    double worst, variation; /* largest change of a weight; mean total variation over output rows */
} ProbsDrift;
ProbsDrift probs_drift(Tensor base, Tensor tuned, DigitLayout);

#endif
