/* Baselines of the loss on a set of texts (Q9 of the limitation theorem): the best loss of a model whose attention
 * reads nothing, as with a prefix that takes all of it (alpha = 1).  Entropies of the token y_i at place i of a text,
 * as counted from the texts, in nats a token:
 *
 *   place      H(y_i | i)            the position: all that an encoder has left of a token that is masked
 *   previous   H(y_i | i, y_{i-1})   and the token before, which a decoder's residual stream carries by itself
 *
 * Counting makes them too low where a place (and a token before) occurs only a few times: see `each`. */
#ifndef ANALYSIS_FLOORS_H
#define ANALYSIS_FLOORS_H

#include "analysis/ask.h"
#include "plot/report.h"

typedef struct {
    int64_t n; /* tokens */
    const int32_t *id;
    const bool *scored; /* (n), or NULL: all but the first, as a decoder is scored */
} Target;

typedef struct {
    double place, previous; /* previous: NaN for an encoder */
    Tensor at;              /* (P,2) F64: both at each place; NaN where nothing is scored */
    int64_t texts, tokens;  /* tokens: scored */
    double each;            /* tokens for each place, and token before where there is `previous` */
} Floors;

Floors floors_of(Arena *, int64_t n, const Target *, bool previous);

/* The texts of --texts and their baselines, and the loss of a model on them. */
typedef struct {
    Floors floors;
    const Tokenizer *tokenizer;
    Batch *read;      /* (floors.texts) one row each */
    int64_t *count;   /* of tokens scored */
    int64_t left_out; /* texts with nothing to predict, or with more tokens than the model has positions for */
    int64_t most;     /* tokens in a text */
} FloorTexts;
Status floor_texts(FloorTexts *out, Ask *); /* E_CONFIG: an encoder-decoder, no tokenizer, no loss */
Status floor_loss(double *out, const FloorTexts *, Model *, Hooks *); /* nats a token */

/* The losses of n models, to compare with the baselines. */
typedef struct {
    const char *name;
    double loss;
} Reached;
Fig *floors_draw(const char *path, Arena *, const Floors *, int n, const Reached *);
Status floors_csv(const char *path, const Floors *);
const char *floors_sentence(Arena *, const Floors *, const Reached *); /* compares the model with them */

#endif
