/* Sequences of coin tosses whose bias is drawn first, and the exact Bayes predictors of them. */
#ifndef THEORY_COINS_H
#define THEORY_COINS_H

#include <stdint.h>

#include "base/arena.h"

enum { ROOM = 256 };                            /* tokens of a sequence at most */
typedef enum { UNIFORM, COIN, MIXTURE } Source; /* where a bias comes from: Beta(1,1), the coin .2, .2 or .8 */

/* Sequence `index` of a stream, n tokens; returns its bias, which only the oracle is given. */
double coin_draw(int32_t *x, int64_t n, Source, uint64_t stream, uint64_t index);
/* Log-probabilities of the tokens under Beta(a, b)-Bernoulli, the Bayes predictor of a Beta prior. */
void coin_beta(double *logp, const int32_t *x, int64_t n, double a, double b);
/* The same under a prior that gives the coins .2 and .8 weights w and 1 - w. */
void coin_pair(double *logp, const int32_t *x, int64_t n, double w);

typedef struct {
    float mean[ROOM], lo[ROOM], hi[ROOM]; /* cumulative regret after each token: mean and middle half of sequences */
} Regret;
/* Turns log-probabilities (N,T) of the tokens drawn into cumulative regrets against the oracle. */
void coin_settle(Regret *out, Arena *, double *logp, Source, int64_t n, int64_t t, uint64_t stream);

typedef struct {
    double a, b;
} Beta;
/* The prior with least loss on sequences of t tokens, over a grid of a and b from 1/16 to 4096. */
Beta coin_best_beta(Source, int64_t t);

#endif
