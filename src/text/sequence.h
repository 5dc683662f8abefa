/* A model's input, built from texts and special tokens up to a limit: text that would be cut is not encoded.
 *
 *     Sequence s = sequence_open(&scratch, &tokenizer, 512);
 *     sequence_mark(&s, plan->add, "<add>");
 *     sequence_add(&s, line->text, line->len, s.room);       then tokenizer_wrap(..., &s.text, ...) */
#ifndef TEXT_SEQUENCE_H
#define TEXT_SEQUENCE_H

#include "text/tokenizer.h"

typedef struct {
    Arena *arena;
    const Tokenizer *tokenizer;
    BpeText text; /* begin and end count tokens of this sequence, not bytes */
    int64_t room; /* tokens in all */
} Sequence;
Sequence sequence_open(Arena *, const Tokenizer *, int64_t room);
/* At most `most` tokens of a text whose runs of white space become one blank each, and none at its ends. */
void sequence_add(Sequence *, const char *text, size_t len, int64_t most);
void sequence_mark(Sequence *, int32_t id, const char *text); /* the id, or when it is -1 the text */

int32_t sequence_free_id(const Tokenizer *); /* the first that the tokenizer has no use for */
/* E_MISMATCH: an id for which a table of `vocab` rows has none. */
Status sequence_fits(const int32_t *id, int64_t n, int vocab);
/* E_CONFIG where the tokenizer has a token for each language, PLBART's, and neither `language` nor its files say
 * which one the texts have: the model was never without. */
Status sequence_language(const Tokenizer *, const char *language);

#endif
