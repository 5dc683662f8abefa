/* Bottleneck adapters: A(x) = up(act(down(x))), hung on the join of a sublayer with the residual stream.  With x the
 * residual, s the sublayer's output after dropout and LN the frozen norm that ends the sublayer (post-norm models):
 *
 *     ADAPT_OUTPUT    s + scale A(s)            Houlsby
 *     ADAPT_SUM       s + scale A(LN(s + x))    Pfeiffer; without such a norm (pre-norm models) s + scale A(s + x)
 *     ADAPT_PARALLEL  s + scale A(x)            He
 *
 * which the model adds to x (and, post-norm, normalises: Pfeiffer passes the same norm twice).  These are the exact
 * forms of the adapters library.  Its variants, too: ADAPT_SUM may add A to s + x or to the adapter's own input in
 * place of s; A may begin and end with a LayerNorm of its own; its scale may be learned, one number or one a channel;
 * `target` chooses the layers and sublayers (PART.layer.L.attn, .ffn), and rules give some of them a width of their
 * own.
 *
 * Start: down is kaiming-uniform, biases are zero, up is zero (init_sd 0, the default) so that the start equals the
 * base exactly, or N(0, init_sd^2), the near-identity start of the Houlsby paper.
 *
 * Parameters: peft.METHOD.PART.layer.L.{attn,ffn}.{down,up,norm_before,norm_after}.{weight,bias} and .scale. */
#ifndef PEFT_BOTTLENECK_H
#define PEFT_BOTTLENECK_H

#include "peft/peft.h"

typedef enum { ADAPT_OUTPUT, ADAPT_SUM, ADAPT_PARALLEL } AdaptForm;
typedef struct {
    const char *method;
    AdaptForm form;
    bool attn, ffn; /* the sublayers adapted where there is no target; cross-attention has no feed-forward */
} Bottleneck;

Status bottleneck_attach(const Bottleneck *, Model *, Hooks *, const PeftConfig *);
int64_t bottleneck_count(const Bottleneck *, const Model *, const PeftConfig *);
void bottleneck_defaults(PeftConfig *, Act, int reduction, double scale);
int *bottleneck_knob(PeftConfig *);

#endif
