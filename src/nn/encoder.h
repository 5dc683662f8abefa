/* The post-norm encoder that BERT and RoBERTa have in common: embeddings with token types, layers, pooler, and the
 * head for masked tokens.  The families differ in the numbering of positions, in names, and in their other heads. */
#ifndef NN_ENCODER_H
#define NN_ENCODER_H

#include "nn/build.h"
#include "nn/config.h"

typedef struct {
    Param *w, *b;
} Dense;
Dense build_dense(Model *, const char *name, int64_t out); /* NAME.weight (out,dim) and NAME.bias, of a head */
Var *dense_run(Tape *, Var *x, Dense, Act);

typedef struct {
    Param *word, *position, *type;
    Norm norm;          /* of the sum of the three */
    Dense pooler;       /* without parameters where Config.pooler is false */
    int first_position; /* row of the position table for the first token */
    bool skips_padding; /* positions count the tokens that are not padding, and padding has position `pad` */
} Encoder;
void encoder_build(Model *, Encoder *); /* after the two rules of positions are set */
Var *encoder_hidden(Model *, Pass *, const Batch *, const Encoder *);
Var *encoder_first(Model *, Pass *, const Batch *);      /* hidden states of the first tokens (B,1,C) */
Var *encoder_dropout(Model *, Pass *, int step, Var *x); /* of the classification head, before its layer `step` */

/* logits = table norm(act(dense h)) + bias; without `dense.w` the table alone. */
typedef struct {
    Dense dense;
    Norm norm;
    Act act;
    Param *table, *bias;
} MaskedHead;
Var *masked_logits(Pass *, const MaskedHead *, Var *h);
Var *masked_loss(Pass *, const MaskedHead *, Var *h, const int32_t *target);

extern const Sublayer ENCODER_SUBLAYERS[]; /* as Format.sublayers has them */

#endif
