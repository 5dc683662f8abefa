/* Encoded texts, the tokens that a model wants around them, and cutting to a length.
 *
 * Tokens that a frame adds stand for no bytes: begin and end are -1. */
#ifndef TEXT_FRAME_H
#define TEXT_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

enum { MOST_IDS = 1 << 24 }; /* of any vocabulary */

typedef struct {
    int64_t n;
    int32_t *id;          /* (n) */
    int64_t *begin, *end; /* (n) bytes of the source; -1 for a token that a frame added */
    int64_t second;       /* the first token of the second of two texts; 0: there is one text */
    int32_t *type;        /* (n) token types (segments), of a framed text; NULL: 0 */
} BpeText;

BpeText text_new(Arena *, int64_t n);
void text_put(BpeText *to, int64_t at, const BpeText *from, int64_t first, int64_t n);

enum { FRAME_MOST = 8 };
typedef struct { /* before the first text, behind it, and behind the second where there are two */
    int32_t id[3][FRAME_MOST];
    int n[3];
    int32_t type[3][FRAME_MOST], text_type[2]; /* token types of these tokens, and of the two texts */
} TokenFrame;

typedef enum { CUT_LONGEST, CUT_FIRST, CUT_SECOND } Cut; /* which of two texts gives way */
typedef struct {
    int64_t most; /* ids in all, 0: any number */
    Cut cut;
    bool left; /* a text loses its beginning, not its end */
} Limit;

/* CUT_LONGEST levels the longer with the shorter, then takes from both in turn, the second first.  E_CONFIG: the
 * limit does not hold the frame, or the text that shall give way is too short. */
Status frame_put(BpeText *out, Arena *, const TokenFrame *, const BpeText *a, const BpeText *b, Limit);

#endif
