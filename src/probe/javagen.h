/* Synthetic Java methods, and the TYP probing task made from them.
 *
 * A method is one line of tokens with single spaces between, as in the published probing data: modifiers, types,
 * parameters, and a body of declarations, arithmetic, loops, branches, array and string operations over the
 * variables in scope.  It always has a primitive type keyword.  Methods are a function of the stream alone.
 *
 * TYP (invalid type detection; Karmakar and Robbes, ASE 2021, arXiv:2108.11308):
 * in a FAULT method every primitive type keyword is misspelt by one swap of two adjacent letters, drawn anew for each
 * occurrence (int: nit or itn); an ORIG method is left alone.  The published set is 600/200/200 real methods with
 * a median of 216 tokens; ours are shorter (median about 80), so that a small encoder is trained in a minute. */
#ifndef TASKS_JAVAGEN_H
#define TASKS_JAVAGEN_H

#include "base/file.h"
#include "probe/dataset.h"

char *javagen_method(Arena *, uint64_t stream);

/* The same text with every primitive type keyword misspelt; *changed counts them and may be NULL. */
char *javagen_misspell(Arena *, const char *method, uint64_t stream, int *changed);

/* n distinct methods, for training a tokenizer and an encoder. */
void javagen_corpus(Bytes *out, Arena *, uint64_t seed, int64_t n);

/* size[s] distinct methods in split s, ORIG and FAULT in turn; no method is in two splits or under both labels.
 * Its methods come from another stream than the corpus of the same seed. */
void javagen_typ(Dataset *out, Arena *, uint64_t seed, const int64_t size[SPLITS]);
extern const int64_t JAVAGEN_TYP_SIZES[SPLITS]; /* 600, 200, 200 */

#endif
