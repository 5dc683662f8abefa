/* The importance of heads for the loss.  The loss of one text, in nats a token:
 *
 *   decoder            of each token given those before it; an encoder-decoder's: of its target
 *   encoder            of each token that is not special, masked alone (pseudo-likelihood, Salazar et al. 2020)
 *
 *   zeroed     the loss with the head's output set to zero, minus the loss (Michel et al. 2019, "Are sixteen heads
 *              really better than one?", section 3)
 *   gradient   |d loss / d m|, m = 1 the factor of the head's output: |Att_h . d loss / d Att_h| (section 4.1) */
#ifndef ANALYSIS_IMPORTANCE_H
#define ANALYSIS_IMPORTANCE_H

#include "analysis/maps.h"
#include "analysis/tokens.h"

/* The batch of the loss: `read` is the batch of the maps, `target` (read->t) the tokens that a decoder should output,
 * or NULL: its own next tokens.  E_CONFIG: the model has no head to predict tokens with, no mask token, or
 * one token. */
Status importance_loss_batch(Batch *out, Arena *, const Model *, const Tokenizer *, const Batch *read,
                             const int32_t *target);
double importance_loss(Model *, Hooks *, const Batch *);

/* Fills zeroed and gradient of out[layer * heads + head].  `each` is called after each head, or NULL; its error ends
 * the work. */
typedef Status EachHead(int done, int all, void *user);
Status head_importance(HeadStats *out, Model *, Hooks *, const Batch *, Part, EachHead *each, void *user);
/* (layers) of (H,T,S), F64: A * d loss / d A, summed over the batch's rows. */
void attention_gradient(Tensor *out, Arena *run, Model *, Hooks *, const Batch *, Part);

/* A hook that multiplies a head's output, for SITE_HEADS of the layer. */
typedef struct {
    int head, heads;
    double factor;
} HeadScale;
HookFn hook_scale_head;

#endif
