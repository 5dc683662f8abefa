/* Patterns of attention heads from the literature, and the mass of a map on one.
 *
 *   diagonal    j = i
 *   previous    j = i - 1                             TransformerLens head_detector "previous_token_head"
 *   next        j = i + 1
 *   identical   key_j = query_i, j other than i       (cross-attention: any j)
 *   duplicate   key_j = query_i, j < i                "duplicate_token_head"
 *   induction   key_(j-1) = query_i, j <= i           "induction_head": behind an earlier copy (Olsson et al. 2022)
 *
 * The detector divides the mass by that of the whole map; here rows that have no key of the pattern are left out, so
 * that a head that always follows the pattern scores 1 on any text.  On random sequences that repeat once, as
 * TransformerLens's demonstrations use them, the induction number is the mean of the stripe one behind the copies. */
#ifndef ANALYSIS_PATTERNS_H
#define ANALYSIS_PATTERNS_H

#include "analysis/maps.h"
#include "text/tokenizer.h"

typedef enum {
    PATTERN_DIAGONAL,
    PATTERN_PREVIOUS,
    PATTERN_NEXT, /* those up to here need only positions: ids may be NULL */
    PATTERN_IDENTICAL,
    PATTERN_DUPLICATE,
    PATTERN_INDUCTION
} Pattern;

/* map (T, prefix + n), query (T), key (n): mean over rows that have a key of the pattern; NaN when none has. */
double pattern_mass(Pattern, Tensor map, int64_t prefix, const int32_t *query, const int32_t *key);

/* Runs the model on a few random sequences, each twice in a row behind the token that begins a text, and fills the
 * repeat_* numbers of out[layer * heads + head] (the head HEAD_MEAN is out[layers * heads + layer]).  Special tokens
 * are not drawn if there is a tokenizer, which may be NULL.  Self-attention; false: no room for such a sequence, or
 * cross-attention, and nothing is filled. */
bool pattern_repeats(HeadStats *out, Model *, Hooks *, Part, const Tokenizer *);

#endif
