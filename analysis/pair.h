/* The changes that tuning made, between two models that read the same tokens: quantities of the limitation theorem
 * (Petrov, Torr and Bibi 2024) and of representations, layer by layer.  measure/measure.h defines those of maps.
 *
 *   change       Q1 maximum absolute difference, Q3 KL and total variation of the content attention, all heads and
 *                each
 *   conditional  Q2: the maximum absolute difference when only this layer's virtual keys are removed and its inputs
 *                stay the same
 *   residual     Q4: the contribution of the virtual keys minus the mixture that the theorem predicts, relative
 *   rank, ...    Q5: of the addition to the residual stream (N,C): numerical rank, participation ratio, spectrum
 *   alpha        Q6: mass on virtual keys over rows and heads: mean, 1 % and 99 % quantiles
 *   logits       Q7: rank of the change of the content's logits, rows centred, the old logits regressed out, the
 *                largest over heads; -1 where some are masked, and without a layer below
 *   cka, procrustes   of the layers' outputs (analysis/similar.h)
 *
 * Q2, Q4 and Q6 are NaN where the tuned model has no virtual keys; Q5 is then of the whole change of the heads. */
#ifndef ANALYSIS_PAIR_H
#define ANALYSIS_PAIR_H

#include "measure/measure.h"

typedef struct {
    AttentionChange change, *head; /* head: (heads) */
    double *head_alpha;            /* (heads) */
    double conditional, residual, alpha, alpha_lo, alpha_hi;
    int64_t rank, most, logits; /* most: n_H n_S, or 0 where nothing is predicted */
    double participation;
    Tensor spectrum, space; /* (K) singular values; (C, rank) orthonormal, the added directions */
    Tensor mean;            /* (C) the mean addition */
    double cka, procrustes;
} LayerPair;

typedef struct {
    int layers, heads;
    int64_t virtual_keys, rows;
    double moved; /* largest change of a content logit in layer 0, over the largest: the theorem is about 0 */
    double own;   /* the same where a layer's own virtual keys are removed, over all layers: not 0 where the method
                     moves the content's logits itself, as by relative positions; NaN without virtual keys */
    LayerPair *layer;
} Compared;

/* base (layers): measure_pass() of the base.  relative: singular values below that share of the largest count as
 * zero.  E_MISMATCH: rows of the two passes differ, as where virtual tokens are among the text's own. */
Status pair_measure(Compared *out, Arena *run, const Seen *base, Model *tuned, Hooks *, Part, const Batch *,
                    double relative);

typedef struct { /* one linear layer's change; nothing where |change| is 0 */
    const char *name;
    Site site;
    int layer;
    double norm, relative; /* |change|, over |before|: Frobenius */
    int64_t rank;          /* singular values above 1e-5 of the largest */
    double participation, effective;
    Tensor s;     /* (K) */
    double angle; /* mean principal angle, degrees, between the change's leading directions and as many of W's own,
                     on the output's side; at most 8 */
} WeightChange;
/* Linear maps of the part that differ, at most `most`. */
Status pair_weights(WeightChange *out, int *n, int most, Arena *run, const Model *base, const Model *tuned, Part);

#endif
