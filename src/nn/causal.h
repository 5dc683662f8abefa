/* The pre-norm decoder that GPT-2, Llama and GPT-NeoX have in common: token vectors, with learned positions or
 * without, the layers, a norm behind them, an LM head without bias, and a classification head that reads the last
 * token (`score`).  The families differ in their layers and in names. */
#ifndef NN_CAUSAL_H
#define NN_CAUSAL_H

#include "nn/build.h"

typedef struct {
    Param *tokens, *positions; /* positions NULL: none, or rotary ones */
    Param *head, *score;
    Norm final;
    const char *head_name;
} Causal;

/* Before the layers and behind them; the stack's layers are the caller's.  m->blocks is the Causal. */
Stack *causal_begin(Model *, const char *tokens, const char *positions);
void causal_end(Model *, const char *final, bool bias, const char *head);

/* As an Arch has them. */
double causal_untie(Model *);
Var *causal_hidden(Model *, Pass *, const Batch *);
Var *causal_logits(Model *, Pass *, Var *hidden);
Var *causal_loss(Model *, Pass *, Var *hidden, const int32_t *target);
Var *causal_classify(Model *, Pass *, const Batch *);

#endif
