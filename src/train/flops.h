/* Floating-point operations of the matrix products that a training step needs at least.
 *
 * A product (m,k)(k,n) counts 2 m k n.  Work that no gradient needs is not counted: no weight gradients of frozen
 * weights, nothing below the lowest trainable point, in the last layer only the rows that are scored or pooled.
 * Attention is counted without the second computation of the scores in a backward pass that saves memory.  Causal
 * attention counts half. */
#ifndef TRAIN_FLOPS_H
#define TRAIN_FLOPS_H

#include <stdbool.h>

typedef struct {
    double fwd, dx, dw; /* forward, gradients of inputs, gradients of weights */
} Flops;

/* What of a layer trains: nothing (a forward pass); all of it; low-rank products at the queries and values; keys and
 * values in front; a bottleneck behind the feed-forward. */
typedef enum { TRAINS_NOTHING, TRAINS_ALL, TRAINS_LOW_RANK, TRAINS_KEYS, TRAINS_BOTTLENECK } Trains;

typedef struct {
    double b, t;               /* batch */
    double dim, hidden, vocab; /* model */
    int layers;
    double scored; /* rows per sequence that the last layer must yield */
    double out;    /* columns of the map that reads them; 0: none */
    Trains trains;
    double size;       /* rank, width or length of what is added */
    bool causal, tied; /* tied: `out` columns are trained with the token table */
} Work;

static inline void flops_linear(Flops *f, double rows, double in, double out, bool dx, bool dw)
{
    double n = 2 * rows * in * out;
    f->fwd += n;
    f->dx += dx ? n : 0;
    f->dw += dw ? n : 0;
}

/* Layer l.  `below`: a gradient is wanted at its input; `inside`: at the output of its attention. */
static inline void flops_layer(Flops *f, const Work *w, int l)
{
    bool full = w->trains == TRAINS_ALL, lora = w->trains == TRAINS_LOW_RANK, prefix = w->trains == TRAINS_KEYS;
    bool adapter = w->trains == TRAINS_BOTTLENECK, train = w->trains != TRAINS_NOTHING;
    bool below = full || (train && l > 0), inside = full || lora || prefix || below;
    double all = w->b * w->t, rows = l == w->layers - 1 ? w->b * w->scored : all;
    flops_linear(f, rows, w->dim, w->dim, below, full); /* queries */
    flops_linear(f, all, w->dim, w->dim, below, full);  /* keys */
    flops_linear(f, all, w->dim, w->dim, below, full);  /* values */
    for (int i = 0; lora && i < 2; i++) {               /* on queries and values */
        flops_linear(f, i ? all : rows, w->dim, w->size, below, true);
        flops_linear(f, i ? all : rows, w->size, w->dim, true, true);
    }
    double keys = w->t + (prefix ? w->size : 0), product = 2 * rows * keys * w->dim * (w->causal ? 0.5 : 1);
    f->fwd += 2 * product;
    f->dx += below || full ? 4 * product : lora ? 3 * product : prefix ? 3 * product * w->size / keys : 0;
    flops_linear(f, rows, w->dim, w->dim, inside, full);
    flops_linear(f, rows, w->dim, w->hidden, inside, full);
    flops_linear(f, rows, w->hidden, w->dim, inside, full);
    if (!adapter) return;
    flops_linear(f, rows, w->dim, w->size, below, true);
    flops_linear(f, rows, w->size, w->dim, true, true);
}

static inline Flops flops_of(const Work *w)
{
    Flops f = {0};
    bool train = w->trains != TRAINS_NOTHING;
    for (int l = 0; l < w->layers; l++) flops_layer(&f, w, l);
    flops_linear(&f, w->b * w->scored, w->dim, w->out, train, train && (w->tied ? w->trains == TRAINS_ALL : true));
    return f;
}

#endif
