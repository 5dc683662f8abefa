/* Span corruption, the pretraining of T5 and CodeT5 (Raffel et al. 2020): spans of a few tokens give way to one
 * sentinel each, and the decoder writes the sentinels with the tokens that they hide.
 *
 *   clean     a b c d e f g h          src      a <0> e f <1>
 *                                      target   <0> b c d <1> g h </s>
 *
 * Spans take up `share` of the tokens with about `mean` tokens each; there are at most `sentinels` of them. */
#ifndef TRAIN_DENOISE_H
#define TRAIN_DENOISE_H

#include "nn/model.h"

enum { MOST_SENTINELS = 100 };
typedef struct {
    double share, mean;               /* 0.15 and 3 */
    int sentinels;                    /* how many there are */
    int32_t sentinel[MOST_SENTINELS]; /* their ids */
    int32_t eos;
} DenoisePlan;

/* A batch (src; ids and target) on `step` from rows of clean ids.  Choices depend on (stream, index) alone. */
Batch denoise_corrupt(Arena *step, const Model *, const Batch *clean, const DenoisePlan *, uint64_t stream,
                      uint64_t index);

#endif
