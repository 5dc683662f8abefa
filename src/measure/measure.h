/* Measures of attention: the values of a layer in one forward pass, the difference of two passes in their weights on
 * the content, and the term that a prefix added to the heads' outputs.
 *
 *     Seen without[L], with[L];                              L = model_layers(m, PART_DECODER)
 *     measure_pass(without, run, m, NULL, PART_DECODER, &batch);
 *     measure_pass(with, run, m, hooks, PART_DECODER, &batch);
 *     Map a = {.seen = &with[l], .extra = n_slots}, b = {.seen = &without[l]};
 *     double largest = measure_change(a, b, -1).gap;         zero to rounding where the two layers had the same input
 *     Tensor d = measure_added(run, a, b);                   the term that the prefix added, per head
 *     Tensor added = measure_projected(run, m, (Where){.layer = l, .part = PART_DECODER}, d, -1);
 *     TRY(linalg_singular(&s, run, added));                  its directions in the residual stream
 *
 * Columns of a map of weights (B,H,T,S) are, in this order: `extra` virtual ones that hooks put in front of the keys,
 * `reserved` ones of the sequence itself that are no content (pad tokens of the toy layout, overwritten by a tied
 * prefix or not), and the content, which is all the rest: n columns.  Two maps are compared over content columns
 * alone, each row divided by the mass its content has.  That mass is a sum over the content: one minus the mass of
 * the others would lose every digit when a prefix takes nearly everything.
 *
 * Rows that see no content (queries at reserved positions, padding), or whose content has so little mass that its
 * weights underflow, have no renormalised weights: NaN, left out of every maximum and mean.  All results are F64, on
 * the arena given; masses and weights are probabilities, divergences are in nats. */
#ifndef MEASURE_MEASURE_H
#define MEASURE_MEASURE_H

#include "nn/model.h"

/* ---- one pass */

typedef struct {          /* the values of one attention and its layer; copies in the model's dtype */
    Tensor scores, probs; /* (B,H,T,S): logits, -inf where unseen; weights */
    Tensor values;        /* (B,S,H*D) as attention read them, virtual ones first */
    Tensor heads;         /* (B,T,H*D) before the output projection */
    Tensor resid;         /* (B,T,C) output of the layer; of the decoder layer for PART_CROSS */
} Seen;

/* Runs the model once with `hooks` (NULL: none) and fills out[0 .. model_layers(m, part)-1].  The copies go to
 * `run`.  With batch->keep the last layer has K rows of queries.  observe.h says how much of the model runs. */
void measure_pass(Seen *out, Arena *run, Model *, Hooks *, Part, const Batch *);

/* ---- weights over the content */

typedef struct {
    const Seen *seen;
    int64_t extra, reserved; /* leading columns that are not content */
    const uint8_t *row;      /* (B,T) 1 where a query counts, or NULL: all */
} Map;

int64_t measure_columns(Map);         /* n, how many columns are content */
Tensor measure_mass(Arena *, Map);    /* (B,H,T) mass on the content: 1 - alpha */
Tensor measure_alpha(Arena *, Map);   /* (B,H,T) mass on all other columns; NaN where `row` is 0 */
Tensor measure_content(Arena *, Map); /* (B,H,T,n) content weights, rows summing to 1 */

typedef struct {
    double gap;   /* largest change of a renormalised content weight */
    double kl;    /* mean over rows of KL(without, with), nats; weights below the dtype's least normal number count
                       as that */
    double tv;    /* mean over rows of half the summed absolute change */
    int64_t rows; /* how many were compared; 0: the three are NaN */
} AttentionChange;
AttentionChange measure_change(Map with, Map without, int head); /* head -1: over all heads */

/* ---- the term added to the heads' outputs */

/* The mixture of the columns that are not content, sum_p A_ip v_p: (B*T, H*D). */
Tensor measure_mixture(Arena *, Map);
/* D = t' - (1 - a) t, where t is the head's output from content alone without the prefix and 1 - a the content mass
 * with it: (B*T, H*D).  By the theorem it equals measure_mixture(with) where both layers had the same input. */
Tensor measure_added(Arena *, Map with, Map without);
/* The distance of D from that mixture: largest difference over largest |t'|. */
double measure_residual(Arena *step, Map with, Map without);
/* d (N, H*D) through the output projection of an attention (its bias left out): (N,C).  head >= 0: that head's share
 * alone; -1: the sum over heads, as it enters the residual stream. */
Tensor measure_projected(Arena *, const Model *, Where, Tensor d, int head);

typedef struct {
    double cosine; /* the largest |cosine| of two rows */
    double apart;  /* the least distance of a row, scaled to length 1, from the span of the others */
} Directions;
/* The differences of the rows of b (P,C), P >= 2, as directions: biases of several prefixes, say. */
Status measure_directions(Directions *out, Arena *step, Tensor b);

#endif
