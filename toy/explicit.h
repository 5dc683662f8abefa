/* One small transformer, written out: a GPT-2-like decoder whose forward pass and gradients are plain functions
 * over arrays of doubles.  It needs nothing of the engine in src/, and the engine is tested against it.
 *
 *     double *theta = arena_zero(&run, sizeof *theta * explicit_count(s));     every weight, in one array
 *     double *dtheta = arena_zero(&run, sizeof *theta * explicit_count(s));    their gradients, in the same order
 *     double loss = explicit_loss(s, theta, dtheta, b, t, ids, target, &step);
 *     for (int64_t i = 0; i < explicit_count(s); i++) theta[i] -= 0.1 * dtheta[i];
 *
 * That is one step of gradient descent, and the whole of training. */
#ifndef TOY_EXPLICIT_H
#define TOY_EXPLICIT_H

#include <stdint.h>

#include "base/arena.h"

enum { EXPLICIT_LAYERS = 2 }; /* at most */
typedef struct {
    int vocab, positions; /* V, P: different tokens; the longest sequence */
    int dim, heads;       /* C, H: numbers per position; attention heads, each of C / H of them */
    int hidden;           /* F: hidden size of the feed-forward */
    int layers;           /* L */
} ExplicitShape;

/* Names for the parts of theta.  The same struct names the parts of dtheta. */
typedef struct {
    double *gain1, *bias1;    /* (C)           the LayerNorm before attention */
    double *qkv, *qkv_bias;   /* (C,3C), (3C)  queries, keys and values, side by side */
    double *out, *out_bias;   /* (C,C), (C)    the output projection */
    double *gain2, *bias2;    /* (C)           the LayerNorm before the feed-forward */
    double *up, *up_bias;     /* (C,F), (F) */
    double *down, *down_bias; /* (F,C), (C) */
} ExplicitLayer;
typedef struct {
    double *token;    /* (V,C) a vector for each token */
    double *position; /* (P,C) and one for each position in the sequence */
    ExplicitLayer layer[EXPLICIT_LAYERS];
    double *gain, *bias; /* (C) the last LayerNorm */
    double *head;        /* (V,C) scores each token against the model's output */
} ExplicitWeights;

int64_t explicit_count(ExplicitShape); /* parameters in theta */
ExplicitWeights explicit_view(ExplicitShape, double *theta);

/* The mean of -log p(target) over B sequences of T tokens, ids and target (B,T); a target below 0 is not scored.
 * Adds the gradient to dtheta, so clear that first.  Its intermediate values lie on `step` until it returns. */
double explicit_loss(ExplicitShape, const double *theta, double *dtheta, int b, int t, const int32_t *ids,
                     const int32_t *target, Arena *step);

#endif
