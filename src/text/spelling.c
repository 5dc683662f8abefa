/* One table each way would do as well; the rule is as short. */
#include "text/spelling.h"

#include <stdbool.h>
#include <string.h>

#include "text/unicode.h"

static bool printable(int byte)
{
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

static int spelling(int byte)
{
    if (printable(byte)) return byte;
    int c = 256;
    for (int b = 0; b < byte; b++) c += !printable(b);
    return c;
}

size_t bpe_spell(char out[2], int byte)
{
    int c = spelling(byte);
    if (c < 128) {
        out[0] = (char)c;
        return 1;
    }
    out[0] = (char)(0xC0 | c >> 6);
    out[1] = (char)(0x80 | (c & 63));
    return 2;
}

/* The byte that a character spells, or -1. */
static int byte_of(uint32_t c)
{
    if (c < 256) return printable((int)c) ? (int)c : -1;
    if (c <= 0x120) return (int)c - 0x100;
    if (c == 0x143) return 173;
    return c < 0x143 ? (int)(127 + c - 0x121) : -1; /* 127-160 */
}

size_t bpe_unspell(char *out, const char *piece, size_t len)
{
    size_t n = 0, width;
    for (size_t at = 0; at < len; at += width) {
        int byte = byte_of(unicode_next(piece + at, len - at, &width));
        if (byte < 0) {
            memcpy(out, piece, len);
            return len;
        }
        out[n++] = (char)byte;
    }
    return n;
}
