/* Frozen features for probing: the hidden states of every layer of the encoder and of the decoder, pooled over the
 * tokens of a text, from one forward pass per batch.  Layer 0 is the input of the first layer; layer l is the output
 * of layer l. */
#ifndef PROBE_FEATURES_H
#define PROBE_FEATURES_H

#include "nn/model.h"
#include "train/batch.h"

/* Over a row's own tokens, without padding and virtual tokens.  The first three have the
 * values of POOL_FIRST, POOL_LAST and POOL_MEAN.  `attended` weighs a token by the attention that it receives from
 * the row's tokens in that layer, mean over heads and queries; in layer 0, where nothing has attended yet, it is the
 * mean. */
typedef enum {
    FEATURE_FIRST,
    FEATURE_LAST,
    FEATURE_MEAN,
    FEATURE_MAX,
    FEATURE_ATTENDED,
    FEATURE_POOLINGS
} FeaturePooling;
extern const char *const FEATURE_POOLING[FEATURE_POOLINGS + 1]; /* their names; ends with NULL */
FeaturePooling feature_pooling(const char *name);               /* the mean for an unknown name */

typedef struct {
    int32_t from, to; /* the tokens [from,to) of a row; none: its features are 0 */
} TokenSpan;

typedef struct {        /* a part that the model lacks, or that did not run, has 0 layers */
    int layers;         /* the encoder's layers + 1 */
    Tensor *layer;      /* layers tensors (N,C), F32, rows in the order of the examples */
    int decoder_layers; /* the decoder's layers + 1 */
    Tensor *decoder;
} Features;

/* Hooks are run and left as they were found (hooks_new() for the bare model).  An encoder-decoder needs examples
 * with a src for both its stacks to run; with ids alone they go to the encoder, and the decoder does not run.
 * `each`, when not NULL, gets the number of examples done and may stop the work by returning false: E_INTERRUPT. */
Status features_extract(Features *out, Arena *run, Arena *step, Model *, Hooks *, const Examples *, FeaturePooling,
                        bool (*each)(int64_t done, void *user), void *user);

/* The same over parts of the rows' tokens: (N) spans, such as that of a mask, or NULL: all tokens.  With `b` features
 * are those of a pair, (N,4C): [u; v; |u-v|; u*v] of the pooled parts u of `a` and v of `b` (Conneau et al., EMNLP
 * 2017), without which a linear classifier cannot compare u with v.  Examples have ids alone. */
Status features_of_parts(Features *out, Arena *run, Arena *step, Model *, Hooks *, const Examples *, FeaturePooling,
                         const TokenSpan *a, const TokenSpan *b, bool (*each)(int64_t done, void *user), void *user);

/* Writes DIR/encoder-00.npy, ... and DIR/decoder-00.npy, ...: NumPy arrays (N,C) of float32. */
Status features_export(const Features *, const char *dir);

#endif
