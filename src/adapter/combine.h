/* One LoRA of several, as add_weighted_adapter of Hugging Face PEFT makes it.  With the scale s_i and the weight w_i
 * of each, and c_i = w_i s_i:
 *
 *   cat       A = [c_1 A_1; c_2 A_2; ..], B = [B_1, B_2, ..]: exactly the weighted sum of the changes; ranks add up
 *   linear    A = sum sign(c_i) sqrt|c_i| A_i, B = sum sqrt|c_i| B_i: products of different adapters come along
 *   ties      the same sums, in which of each tensor only the `density` largest entries count, and of those only the
 *             ones with the elected sign, as their mean (Yadav et al., TIES-Merging, NeurIPS 2023)
 *
 * A layer that some of them adapt is combined of those. */
#ifndef ADAPTER_COMBINE_H
#define ADAPTER_COMBINE_H

#include "adapter/adapter.h"

typedef enum { COMBINE_LINEAR, COMBINE_CAT, COMBINE_TIES } CombineType;
extern const char *const COMBINE_TYPE[4]; /* "linear", "cat", "ties"; ends with NULL */
typedef struct {
    CombineType type;
    const double *weight; /* (n) */
    double density;       /* ties: the share of entries that count */
    bool frequency;       /* ties: the sign of most entries is elected, not that of their sum */
} Combination;

/* The n adapters are attached, each to its own model of one shape; `to` is such a model without any, on which the
 * result is attached.  E_MISMATCH: an adapter that is no plain LoRA, or has other ranks where they must agree; more
 * than one that brings a head or other modules of the base. */
Status adapter_combine(Adapter **out, Model *to, int n, Adapter *const *in, const Combination *);

/* A LoRA of the given rank that is nearest, matrix by matrix, to the change of the linear layers from one model to
 * another of the same shape, whatever made it: the largest singular values of the difference.  Biases that changed
 * are kept.  Other changes of the base have no place in a LoRA. */
typedef struct {
    const char *name;
    bool linear;     /* a layer's weight; else a parameter that the LoRA lacks */
    double norm;     /* Frobenius norm of the change */
    int64_t rank;    /* its numerical rank */
    double residual; /* share of that norm which the LoRA lacks */
} Approximated;
Status adapter_approximate(Adapter **out, Approximated **rows, int *n, Model *to, const Model *before,
                           const Model *after, int rank);

#endif
