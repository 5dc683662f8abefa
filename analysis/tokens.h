/* The input of a model: ids and a label for each, from a text and a tokenizer or from ids as the user gives them. */
#ifndef ANALYSIS_TOKENS_H
#define ANALYSIS_TOKENS_H

#include "nn/model.h"
#include "text/tokenizer.h"

typedef struct {
    int64_t n;
    int32_t *id;
    const char **label;  /* the token's own bytes, perhaps not UTF-8; its id where there is no tokenizer */
    const char **piece;  /* as in the vocabulary, always UTF-8 */
    const bool *special; /* (n), or NULL where there is no tokenizer */
    const char *text;    /* `len` bytes: the text, or the labels of ids in a row; NULL without a tokenizer */
    size_t len;
    int64_t *begin, *end; /* (n) the bytes of it that a token covers; -1: none, a special token around a text */
} Tokens;

/* The tokenizer in `dir`, of any kind: *out is NULL when there are no such files. */
Status tokens_open(Tokenizer **out, Arena *, const char *dir);
/* With the special tokens that the model has around a text; E_CONFIG: empty, or PLBART without its language. */
Status tokens_of_text(Tokens *out, Arena *, const Tokenizer *, const char *option, const char *text,
                      const char *language);
Status tokens_of_ids(Tokens *out, Arena *, const Tokenizer *, const char *option,
                     const char *list); /* "1,2,3"; the tokenizer may be NULL and gives the labels */
/* Ids the model has and no more tokens than it has positions for; E_CONFIG or E_MISMATCH. */
Status tokens_check(const Tokens *, const Model *, Part, const char *option);
Tokens tokens_shifted(Arena *, const Tokens *, const Config *, const Tokenizer *); /* as a decoder reads its target */

#endif
