/* Masked-language-model corruption (Devlin et al. 2019, as RoBERTa draws it anew each time): of the tokens chosen,
 * 80 % become the mask, 10 % a random token, 10 % stay; all of them are to be predicted. */
#ifndef TRAIN_MLM_H
#define TRAIN_MLM_H

#include "nn/model.h"
#include "text/bpe.h"

typedef struct {
    double share;        /* of the tokens to choose, 0.15 */
    int32_t mask;        /* its id */
    int32_t first, last; /* ids that may be chosen and drawn: first <= id < last; special tokens lie outside */
} MlmPlan;
MlmPlan mlm_plan(const Bpe *); /* 0.15 of the ids between <unk> and <mask>, as bpe_train orders them */

/* A corrupted copy of a batch on `step`, with keep and target of the chosen positions (B,K).  Choices depend on
 * (stream, index) alone; a row of at least one eligible token gets at least one choice. */
Batch mlm_corrupt(Arena *step, const Batch *clean, const MlmPlan *, uint64_t stream, uint64_t index);

#endif
