/* What a model computes on a few random tokens, to compare two models that should be the same map. */
#ifndef CLI_ANSWERS_H
#define CLI_ANSWERS_H

#include "nn/model.h"

enum { ANSWER_OUTPUTS = 3 };
typedef struct {
    Tensor of[ANSWER_OUTPUTS]; /* hidden states, logits, scores of classes; data NULL: the model lacks them */
} Answers;

Answers answers(Model *, const Hooks *, Arena *);
double answers_difference(const Answers *, const Answers *); /* the largest, relative to the largest value */

#endif
