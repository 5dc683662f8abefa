/* All prefixes of all lengths at once, for the first layer of a decoder.
 *
 * The query of the first layer depends on (token, position) alone.  A prefix of any length, its keys and values tied
 * or free, enters a head through two functions of the query only: the mass a = sum_p exp(q k_p) beside the content's
 * Z = sum_j exp(q k_j), and the mean value g = sum_p exp(q k_p) v_p / a.  The head's output becomes
 *
 *     t' = (1 - alpha) t + alpha g,    alpha = a / (Z + a),    t the content's own mixture.
 *
 * So a table with a free a > 0 and a free g for each (token, position) and head contains every prefix.  Here the
 * table also replaces the reserved filler tokens, which thereby leave the content sums: with a = a_0 exp(d), where
 * a_0 is the mass the pretrained model gives them, alpha = sigmoid(logit alpha_0 + d), and d = 0, g = their mean
 * value is the pretrained model.  The parameters are d, "peft.table.mass" (V*T,H), and g, "peft.table.value"
 * (V*T,H*D), with row token * positions + position.
 *
 * Training the table estimates the best loss of the class from above: a lower loss may exist. */
#ifndef LAB_TABLE_H
#define LAB_TABLE_H

#include "lab/digits.h"

typedef struct PrefixTable PrefixTable;
/* Freezes the base and attaches a table to the first layer: d ~ N(0, sd^2), g = the first filler token's value + N(0,
 * sd^2) times the root mean square of all values.  `start` names one of several starts.  E_CONFIG without reserved
 * filler tokens. */
Status table_attach(PrefixTable **, Model *, Hooks *, DigitLayout, double sd, uint64_t start);
/* Fills the table with the prefix attached by `hooks`: its effect on each (token, position), measured on rows of
 * random tokens.  `into` is attached to a model with the same base. */
Status table_from_prefix(PrefixTable *into, Model *, Hooks *hooks);
/* alpha of the last pass, (B,T,H) or of the kept rows: on the arena of that pass's step. */
Tensor table_alpha(const PrefixTable *);

#endif
