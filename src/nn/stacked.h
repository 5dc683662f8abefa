/* A classification head of any number of linear layers, in the place of the family's own: the adapters library's
 * flexible heads.  It reads the first token (a decoder: the last) or the pooler:
 *
 *     y = W_n dropout(act(W_n-1 ... act(W_1 dropout(x) + b_1) ...)) + b_n
 *
 * Parameters: classifier.stacked.I.weight and .bias.  model_classes() runs it. */
#ifndef NN_STACKED_H
#define NN_STACKED_H

#include "nn/model.h"

enum { STACKED_MOST = 16 };
typedef struct {
    int layers, classes;
    Act act;
    bool bias, pooler; /* bias: of the last layer, the others have one */
} StackedConfig;
typedef struct Stacked {
    StackedConfig config;
    Param *w[STACKED_MOST], *b[STACKED_MOST];
} Stacked;

Status stacked_build(Model *, const StackedConfig *); /* E_CONFIG: the model has nothing that it could read */

#endif
