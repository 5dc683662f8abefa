/* Generation with a key/value cache, for decoders (GPT-2), encoder-decoders (BART, T5) and UniXcoder, an encoder that
 * writes behind its prompt: the likeliest token at each step, a sample, or a beam search.
 *
 * Rows of a batch may have prompts of different lengths, padded on the right: each row writes its keys and values
 * behind its own last token.  Hooks apply as in any pass: LoRA, IA3, prefixes and virtual tokens work unchanged.
 *
 * The settings are those of the Transformers library, under shorter names; nn/generate_config.h reads them from a
 * model's folder.  Before a token is chosen, rules change the logits in the library's order: nn/generate_rules.c. */
#ifndef NN_GENERATE_H
#define NN_GENERATE_H

#include "nn/model.h"

typedef struct {
    const int32_t *id;
    int n;
} IdList;
typedef enum { STOP_WHEN_WORSE, STOP_WHEN_FULL, STOP_NEVER } BeamStop; /* early_stopping false, true, "never" */

typedef struct {     /* zero-initialise, then set fields; but see eos, start and penalties: generate_defaults() */
    int max_new;     /* new tokens of a row at most, the end-of-text token included */
    int eos;         /* ends a row; -1: none.  generate_defaults() takes the model's */
    IdList more_eos; /* further ids that end a row */
    int start;       /* first token of a decoder beside an encoder, where the batch brings no ids */
    int pad;         /* stands behind a row that has ended; -1: eos */
    bool (*ends)(const int32_t *new, int n, void *user); /* whether a row ends behind its n new ones; NULL: never */
    void *user;
    bool both_ways; /* UniXcoder's encoder-decoder mode: the rows of the prompt see each other, not only backwards */
    int max_length, min_length; /* of prompt and new tokens together; 0: none.  generate_fit() applies the former */

    /* Rules on logits, in the order in which they apply.  The library applies the first to one beam of a search
     * alone, and here it applies to all; a decayed end that a rule forbids stays forbidden here, where the library's
     * arithmetic makes it certain. */
    double encoder_repetition_penalty; /* > 1 makes the ids of the source likelier; 0 or 1: none */
    double repetition_penalty;         /* > 1 makes ids that stand in prompt or result less likely; 0 or 1: none */
    int no_repeat_ngram;               /* no n-gram of this size twice in prompt and result; 0: none */
    int encoder_no_repeat_ngram;       /* none of the source's n-grams of this size */
    const IdList *bad_words;           /* (n_bad_words) sequences that are never written */
    int n_bad_words;
    int min_new;           /* new tokens before an end */
    int forced_bos;        /* the first token behind a prompt of one; -1: none */
    IdList forced_eos;     /* a row that reaches max_new ends with one of these */
    int decay_start;       /* new tokens after which ... */
    double decay_factor;   /* ... the logits of an end grow by this factor with each token; 0 or 1: none */
    IdList suppress;       /* never written */
    IdList begin_suppress; /* never written first */
    bool renormalize;      /* beam search: log-probabilities are normalised again behind the rules */

    /* Sampling: on when temperature > 0.  Logits are divided by it, then cut to the top_k likeliest (0: all), then to
     * the fewest whose probabilities reach top_p (0 or 1: all), and so on in this order; 0 turns each off.  Row b at
     * step i draws from (seed, b, i) alone. */
    double temperature;
    int top_k;
    double top_p;
    double min_p;     /* of the likeliest token's probability */
    double typical_p; /* the tokens whose surprise is nearest to the entropy, until their probabilities reach this */
    double epsilon, eta; /* least probability, fixed or by the entropy */
    uint64_t seed;

    /* Beam search (generate_beams): partial results kept a row, results wanted, and the exponent of the length by
     * which a result's log-probability is divided. */
    int beams, n_best;
    double length_penalty;
    /* A row with `beams` finished results is over when the likeliest open one is worse at its present length, at
     * once, or when it would be worse at the greatest length too. */
    BeamStop early_stopping;
    /* The likeliest continuation counts as open though it ends, so that a row goes on longer: version 4.47 of the
     * library, which generate_defaults() follows.  Version 4.57 counts those alone that go on. */
    bool ends_count;
    /* UniXcoder's search: a result that ends keeps its beam and nothing follows it; a row is over once the likeliest
     * beam has ended and `beams` results are there; finished results come before those that were still open.  Where
     * nothing has ended, the authors' code (Beam.getFinal) lists its best open beam twice and loses the last one;
     * here every open beam is listed once, so all results differ. */
    bool ends_hold;
} GenerateConfig;
GenerateConfig generate_defaults(const Model *, int max_new);
/* max_new, where it is 0: by max_length for a prompt of n tokens (a decoder's start token counts), or else
 * `otherwise` or as many as the model has positions for.  E_CONFIG: the prompt alone reaches max_length. */
Status generate_fit(GenerateConfig *, const Model *, int64_t n, int otherwise);
bool generate_is_end(const GenerateConfig *, int32_t id);

/* Prompts: x->ids (B,T) and x->len; with an encoder x->src and x->src_len, and ids only to begin with more than
 * the start token.  out (B,max_new) receives the new tokens, padded; out_len (B) how many, eos included.
 * E_MISMATCH: no decoder.  E_CONFIG: an empty prompt, more positions than the model has, T5 with prompts of different
 * lengths, a setting out of range.  E_NUMERIC: a logit is NaN or +infinity. */
Status generate_tokens(int32_t *out, int32_t *out_len, Model *, const Hooks *, Arena *step, const Batch *x,
                       const GenerateConfig *);
/* The n_best results of each row, best first: out (B,n_best,max_new), out_len and score (B,n_best), where the score
 * is the sum of log-probabilities over (tokens, eos included)^length_penalty.  The rules change log-probabilities, as
 * the library's do in a beam search. */
Status generate_beams(int32_t *out, int32_t *out_len, double *score, Model *, const Hooks *, Arena *step,
                      const Batch *x, const GenerateConfig *);

#endif
