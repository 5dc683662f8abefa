/* What a model makes of a word: tokens with the bytes of the word that each takes.  Also where a long word may be cut
 * before the model sees it: between two characters that stand side by side in no piece of the vocabulary. */
#ifndef TEXT_CUTTING_H
#define TEXT_CUTTING_H

#include <stdbool.h>
#include <stdint.h>

#define SPACE "\xe2\x96\x81" /* U+2581, which stands for a blank within pieces */

enum { CUT_UNKNOWN = -1, CUT_NOTHING = -2 }; /* in place of an id: the unknown token; no token at all */
typedef struct {
    int32_t id, len; /* bytes of the word */
} Cutting;

typedef enum { WORDS_NONE, WORDS_AFTER_TEXT, WORDS_EACH } WordsAt;
typedef struct {
    WordsAt words;           /* before which U+2581 no piece can reach: none, those after something else, each */
    uint8_t inside[256][32]; /* bit b of [a]: some piece has byte b behind byte a */
} Reach;
void reach_add(Reach *, const char *piece, int64_t len, bool words);          /* words: it can be cut from text */
int64_t reach_end(const Reach *, const char *text, int64_t from, int64_t to); /* of the part that begins at `from` */

#endif
