/* The information that one attention head of layer 1 has about its content, and pairs of inputs that it cannot
 * distinguish.
 *
 * At a readout the head forms a query q, a function of the readout's own token and position, and from the content
 *
 *     Z = sum_j exp(q.k_j / sqrt(d)),   h = (sum_j exp(q.k_j / sqrt(d)) v_j) / Z.
 *
 * Any prefix, of any length, turns its output into (Z h + b) / (Z + a), where a and b are sums over the prefix that
 * depend on q alone.  So the content enters through (q, h, log Z) only.  In a model of one layer and one head, two
 * inputs for which the three agree have the same distribution over the next token under every prefix.
 *
 * When the query is the same and the prefix's values have norm <= V, with g = b / a, alpha = a / (Z + a),
 *
 *     |o - o'| <= (1 - alpha) |h - h'| + |alpha - alpha'| |g - h'| <= |h - h'| + (H + V)/4 |log Z - log Z'|
 *
 * since alpha is a logistic function of log a - log Z, whose slope is at most 1/4 (Mondal and Shihab 2026): the
 * slack.
 *
 * Keys and values of layer 1 depend on token and position alone, so tables of them make a summary cheap.  The pad
 * token in front is left out of the sums: it is the same for all inputs, one more fixed token like a prefix's. */
#ifndef TOY_FIBRE_H
#define TOY_FIBRE_H

#include "lab/digits.h"

enum { FIBRE_WIDEST = 96, FIBRE_SLOTS = 1, FIBRE_PLACES = FIBRE_SLOTS + 2 * LENGTH - 1 };
typedef struct Fibre Fibre;
Fibre *fibre_open(Arena *run, Model *); /* F64, one layer, one head, LayerNorm before attention, C <= FIBRE_WIDEST */

typedef struct {
    double h[FIBRE_WIDEST], log_z;
} Sigma;
/* Of the tokens FIBRE_SLOTS..at of a row, read out at position `at`. */
void fibre_summary(Sigma *, const Fibre *, const int32_t *row, int at);

typedef struct {
    double head, mass, norm; /* |h - h'|; |log Z - log Z'|; the larger of |h|, |h'| */
} Gap;
double fibre_slack(Gap, double cap); /* for prefixes whose values have norm <= cap */

typedef struct {
    int32_t in[2][LENGTH], row[2][FIBRE_PLACES]; /* inputs; tokens with the task's outputs as context */
    int at, output;                              /* position of the readout; which output it predicts */
    int32_t want[2];                             /* they differ; the readout's tokens agree */
    Gap gap;                                     /* before any shift */
    double shift[FIBRE_PLACES][FIBRE_WIDEST];    /* added to the embeddings of the second row by fibre_meet */
    double moved;     /* the largest of those shifts, over half the least distance between two digits' embeddings */
    double left;      /* |h - h'| + |log Z - log Z'| after the shift */
    double unrelated; /* median slack of pairs with this query and different targets, for scale */
} Pair;

/* For each output of the task the `each` pairs with the least slack among `inputs` drawn; returns how many. */
int fibre_search(Pair *out, Arena *step, const Fibre *, const DigitTask *, int inputs, int each, double cap,
                 uint64_t stream);
/* Exchanges single digits of either input as long as that lowers the slack and the targets still differ. */
void fibre_climb(Pair *, const Fibre *, const DigitTask *, double cap);
/* Shifts the second row's content embeddings by as little as makes the two summaries equal (Gauss-Newton). */
Status fibre_meet(Pair *, Arena *step, const Fibre *);

#endif
