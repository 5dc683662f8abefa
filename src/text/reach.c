/* U+2581 needs a rule of its own, because its first byte begins many other characters. */
#include <string.h>

#include "text/cutting.h"

/* Whether U+2581 stands behind another character, or behind itself, within the piece. */
static WordsAt words_of(const char *text, int64_t len)
{
    WordsAt w = WORDS_EACH;
    for (const char *at = text, *end = at + len; (at = memmem(at, (size_t)(end - at), SPACE, 3)); at += 3) {
        if (at == text) continue;
        if (at < text + 3 || memcmp(at - 3, SPACE, 3) != 0) return WORDS_NONE;
        w = WORDS_AFTER_TEXT;
    }
    return w;
}

void reach_add(Reach *r, const char *piece, int64_t len, bool words)
{
    for (int64_t i = 1; i < len; i++) {
        unsigned char a = (unsigned char)piece[i - 1], b = (unsigned char)piece[i];
        r->inside[a][b >> 3] |= (uint8_t)(1 << (b & 7));
    }
    WordsAt w = words ? words_of(piece, len) : WORDS_EACH;
    if (w < r->words) r->words = w;
}

static bool is_space(const char *text, int64_t at, int64_t to)
{
    return at + 3 <= to && !memcmp(text + at, SPACE, 3);
}

int64_t reach_end(const Reach *r, const char *text, int64_t from, int64_t to)
{
    for (int64_t at = from + 1; at < to; at++) {
        unsigned char a = (unsigned char)text[at - 1], b = (unsigned char)text[at];
        if ((b & 0xC0) != 0x80 && !(r->inside[a][b >> 3] >> (b & 7) & 1)) return at;
        if (r->words == WORDS_NONE || text[at] != SPACE[0] || !is_space(text, at, to)) continue;
        bool after_space = at - 3 >= from && is_space(text, at - 3, to);
        if (r->words == WORDS_EACH || !after_space) return at;
    }
    return to;
}
