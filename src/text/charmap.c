/* A unit of the double array holds its label, whether a value hangs on it, and where its children begin. */
#include "text/charmap.h"

#include <stdbool.h>
#include <string.h>

#include "base/str.h"

static uint32_t label_of(uint32_t unit)
{
    return unit & (1U << 31 | 0xff);
}

static uint32_t offset_of(uint32_t unit)
{
    return (unit >> 10) << ((unit & 1U << 9) >> 6);
}

static int64_t walk(const CharMap *m, const char *at, int64_t left, const char **to, bool first)
{
    int64_t longest = 0;
    if (!m->unit) return 0;
    uint32_t node = offset_of(m->unit[0]);
    for (int64_t i = 0; i < left && !(first && longest); i++) {
        unsigned char c = (unsigned char)at[i];
        node ^= c;
        if (node >= m->units || label_of(m->unit[node]) != c) break;
        uint32_t unit = m->unit[node];
        node ^= offset_of(unit);
        if (!(unit >> 8 & 1) || node >= m->units) continue;
        int64_t value = m->unit[node] & 0x7fffffff;
        if (value >= m->bytes) continue;
        longest = i + 1;
        *to = m->replacement + value;
    }
    return longest;
}

int64_t charmap_longest(const CharMap *m, const char *at, int64_t left, const char **to)
{
    return walk(m, at, left, to, false);
}

int64_t charmap_shortest(const CharMap *m, const char *at, int64_t left, const char **to)
{
    return walk(m, at, left, to, true);
}

Status charmap_read(CharMap *m, Arena *a, const char *bytes, size_t n, const char *path)
{
    uint32_t size = 0;
    if (!n) return OK;
    if (n >= 4) memcpy(&size, bytes, 4);
    if (n < 4 || size % 4 || size > n - 4 || size < 1024)
        return err_fail(E_FORMAT, "%s: the character map of %zu bytes is cut, or its header gives another size", path,
                        n);
    uint32_t *units = arena_take(a, size);
    memcpy(units, bytes + 4, size);
    size_t rest = n - 4 - size;
    *m = (CharMap){units, size / 4, str_copy(a, bytes + 4 + size, rest),
                   (int64_t)rest}; /* ends in a NUL in any case */
    return OK;
}

static int digit64(char c)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(DIGITS, c) : NULL;
    return at ? (int)(at - DIGITS) : -1;
}

Status charmap_read_base64(CharMap *m, Arena *a, const char *text, const char *path)
{
    size_t len = strlen(text), n = 0;
    while (len && text[len - 1] == '=') len--;
    char *out = arena_take(a, len + 1);
    unsigned bits = 0;
    for (size_t i = 0; i < len; i++) {
        int d = digit64(text[i]);
        if (d < 0) return err_fail(E_FORMAT, "%s: normalizer.precompiled_charsmap: byte %zu is no base64", path, i);
        bits = bits << 6 | (unsigned)d;
        if (i % 4) out[n++] = (char)(bits >> (6 - 2 * (i % 4)));
    }
    return charmap_read(m, a, out, n, path);
}
