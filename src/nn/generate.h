/* Generation with a key/value cache, for decoders (GPT-2), encoder-decoders (BART, T5) and UniXcoder, an encoder that
 * writes behind its prompt: the likeliest token at each step, a sample, or a beam search.
 *
 * Rows of a batch may have prompts of different lengths, padded on the right: each row writes its keys and values
 * behind its own last token.  Hooks apply as in any pass: LoRA, IA3, prefixes and virtual tokens work unchanged. */
#ifndef NN_GENERATE_H
#define NN_GENERATE_H

#include "nn/model.h"

typedef struct {    /* zero-initialise, then set fields; but see eos and start */
    int max_new;    /* new tokens of a row at most, the end-of-text token included */
    int eos;        /* ends a row; -1: none.  generate_defaults() takes the model's */
    int start;      /* first token of a decoder beside an encoder, where the batch brings no ids */
    bool both_ways; /* UniXcoder's encoder-decoder mode: the rows of the prompt see each other, not only backwards */
    bool force_eos; /* a row that reaches max_new ends with eos, as BART's and PLBART's do */
    /* Sampling: on when temperature > 0.  Logits are divided by it, then cut to the top_k likeliest (0: all), then to
     * the fewest whose probabilities reach top_p (0 or 1: all).  Row b at step i draws from (seed, b, i) alone. */
    double temperature, top_p;
    int top_k;
    uint64_t seed;
    /* Beam search (generate_beams): partial results kept a row, results wanted, and the exponent of the length by
     * which a result's log-probability is divided. */
    int beams, n_best;
    double length_penalty;
    /* UniXcoder's search: a result that ends keeps its beam and nothing follows it; a row is over once the likeliest
     * beam has ended and `beams` results are there; finished results come before those that were still open.  Where
     * nothing has ended, the authors' code (Beam.getFinal) lists its best open beam twice and loses the last one;
     * here every open beam is listed once, so all results differ. */
    bool ends_hold;
    bool early_stopping; /* stop a row at its first `beams` finished results, without asking whether more could win */
} GenerateConfig;
GenerateConfig generate_defaults(const Model *, int max_new);

/* Prompts: x->ids (B,T) and x->len; with an encoder x->src and x->src_len, and ids only to begin with more than
 * the start token.  out (B,max_new) receives the new tokens, padded; out_len (B) how many, eos included.
 * E_MISMATCH: no decoder.  E_CONFIG: an empty prompt, more positions than the model has, T5 with prompts of different
 * lengths, a setting out of range.  E_NUMERIC: a logit is NaN or +infinity. */
Status generate_tokens(int32_t *out, int32_t *out_len, Model *, const Hooks *, Arena *step, const Batch *x,
                       const GenerateConfig *);
/* The n_best results of each row, best first: out (B,n_best,max_new), out_len and score (B,n_best), where the score
 * is the sum of log-probabilities over (tokens, eos included)^length_penalty.  It stops as the Transformers library
 * does: when `beams` results are finished and the likeliest open one can no longer win at its present length. */
Status generate_beams(int32_t *out, int32_t *out_len, double *score, Model *, const Hooks *, Arena *step,
                      const Batch *x, const GenerateConfig *);

#endif
