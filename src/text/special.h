/* Added tokens ("</s>", "<mask>", "__java__", runs of blanks): texts that become one token wherever they are spelt.
 * They are looked for before anything else, the longest where several begin; some take the white space on one side
 * with them.  Those with `normalized` are looked for in the normalised text, after the others.  Only a special one
 * ("</s>") is a token that a text may have been meant to spell or not. */
#ifndef TEXT_SPECIAL_H
#define TEXT_SPECIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

typedef struct {
    const char *text; /* on the arena, NUL-ended */
    size_t len;
    int32_t id;
    bool strip_left, strip_right; /* takes the white space on that side with it */
    bool single_word;             /* only where no letter, digit or mark is beside it */
    bool normalized, special;
    const char *form; /* as it is looked for; NULL: the text */
    size_t form_len;
} Special;

typedef struct {
    Special *at; /* longest first */
    int64_t n;
    uint8_t starts[256][32]; /* bit b of [a]: some token begins with the bytes a and b; all bits of a: with a alone */
    uint8_t first[256];      /* 1: some token begins with that byte */
} Specials;

/* The roles that a model's special tokens have. */
typedef enum { NAME_BOS, NAME_EOS, NAME_UNK, NAME_SEP, NAME_PAD, NAME_CLS, NAME_MASK, NAME_ROLES } TokenName;

typedef enum { SPECIAL_ORDINARY, SPECIAL_ALL, SPECIAL_ONLY } SpecialKind; /* which tokens a search is for */

void special_add(Specials *, Arena *, Special); /* copies the text; a text that is there already keeps its id */
void special_put(Specials *, Arena *, Special); /* the same, but the new one takes the place of the old */
void special_form(Specials *, int64_t i, const char *form, size_t len); /* on the arena */
const Special *special_of(const Specials *, int32_t id);                /* NULL: that id is none */
const Special *special_find(const Specials *, const char *text, size_t len);
/* The first one spelt out in [from,len), and where; NULL when there is none. */
const Special *special_next(const Specials *, const char *text, size_t from, size_t len, size_t *at);
/* The same among those of a kind that are, or are not, looked for in normalised text. */
const Special *special_search(const Specials *, SpecialKind, bool normalized, const char *text, size_t from,
                              size_t len, size_t *at);
int64_t special_count(const Specials *, const char *text, size_t len); /* of special ones only */

#endif
