/* Attention through all layers: how much of each token's input reaches each position of the last layer.
 *
 * Abnar and Zuidema 2020, "Quantifying attention flow in transformers": with A_l the mean over heads, and half of
 * each position going past attention along the residual stream,  W_l = (A_l + I) / 2:
 *
 *   rollout   W_L ... W_2 W_1
 *   flow      (i,j): the most that can flow from position i of the last layer down to input j when the edge from
 *             (l, a) to (l-1, b) carries at most W_l[a,b]; rows are then divided by their sums
 *
 * relevance is the same walk with gradients (Chefer, Gur and Wolf 2021, eq. 5 and 6): R = I; R += mean over heads of
 * max(0, A_l * d loss / d A_l) times R, layer by layer; the identity is taken away at the end and rows are divided by
 * their sums.
 *
 * Self-attention only.  Mass on a prefix is left out: rows of A_l are divided by their mass on the text. */
#ifndef ANALYSIS_ROLLOUT_H
#define ANALYSIS_ROLLOUT_H

#include "analysis/maps.h"

Tensor rollout_maps(Arena *, const Maps *); /* (T,T), F64, rows sum to 1 */
enum { FLOW_MOST = 32 };                    /* tokens; twice as many take fifteen times as long */
Tensor rollout_flow(Arena *, const Maps *);
Tensor rollout_relevance(Arena *, const Maps *, const Tensor *times_gradient); /* (layers) of (H,T,S): A * dL/dA */

#endif
