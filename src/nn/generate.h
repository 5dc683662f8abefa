/* Greedy generation with a key/value cache, for decoders (GPT-2) and encoder-decoders (BART, T5).
 *
 * Rows of a batch may have prompts of different lengths, padded on the right: each row writes its keys and values
 * behind its own last token.  Hooks apply as in any pass: LoRA, IA3, prefixes and virtual tokens work unchanged. */
#ifndef NN_GENERATE_H
#define NN_GENERATE_H

#include "nn/model.h"

typedef struct {    /* zero-initialise, then set what differs; but see eos and start */
    int max_new;    /* new tokens of a row at most, the end-of-text token included */
    int eos;        /* ends a row; -1: none.  generate_defaults() takes the model's */
    int start;      /* first token of a decoder beside an encoder, where the batch brings no ids */
    bool force_eos; /* a row that reaches max_new ends with eos, as BART's and PLBART's do */
} GenerateConfig;
GenerateConfig generate_defaults(const Model *, int max_new);

/* Prompts: x->ids (B,T) and x->len; with an encoder x->src and x->src_len, and ids only to begin with more than the
 * start token.  out (B,max_new) receives the new tokens, padded; out_len (B) how many, eos included.
 * E_CONFIG: no decoder, an empty prompt, more positions than the model has, T5 with prompts of different lengths. */
Status generate(int32_t *out, int32_t *out_len, Model *, const Hooks *, Arena *step, const Batch *x,
                const GenerateConfig *);

#endif
