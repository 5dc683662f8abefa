/* What both normalisers share: the character map, a double array that is walked for the longest prefix, and the text
 * that they write, each byte with its place in the source. */
#include <string.h>

#include "text/spm_model.h"

/* A unit of the double array: its label, whether a value hangs on it, and where its children begin. */
static uint32_t label_of(uint32_t unit)
{
    return unit & (1U << 31 | 0xff);
}

static uint32_t offset_of(uint32_t unit)
{
    return (unit >> 10) << ((unit & 1U << 9) >> 6);
}

/* The longest key of the map that begins the text; its bytes, and where its replacement begins. */
int64_t spm_map_longest(const Spm *s, const char *at, int64_t left, const char **to)
{
    int64_t longest = 0;
    if (!s->map) return 0;
    uint32_t node = offset_of(s->map[0]);
    for (int64_t i = 0; i < left; i++) {
        unsigned char c = (unsigned char)at[i];
        node ^= c;
        if (node >= s->map_units || label_of(s->map[node]) != c) break;
        uint32_t unit = s->map[node];
        node ^= offset_of(unit);
        if (!(unit >> 8 & 1) || node >= s->map_units) continue;
        int64_t value = s->map[node] & 0x7fffffff;
        if (value >= s->replacements) continue;
        longest = i + 1;
        *to = s->replacement + value;
    }
    return longest;
}

void normal_reserve(Writing *w, int64_t n)
{
    if (w->out.len + n <= w->room) return;
    Normal old = w->out;
    w->room = 2 * (w->room + n) + 64;
    w->out.text = arena_take(w->a, (size_t)w->room);
    w->out.from = arena_take(w->a, sizeof(int64_t) * (size_t)w->room);
    w->out.to = arena_take(w->a, sizeof(int64_t) * (size_t)w->room);
    if (!old.len) return;
    memcpy(w->out.text, old.text, (size_t)old.len);
    memcpy(w->out.from, old.from, sizeof(int64_t) * (size_t)old.len);
    memcpy(w->out.to, old.to, sizeof(int64_t) * (size_t)old.len);
}

void normal_put(Writing *w, const char *bytes, int64_t n, int64_t from, int64_t to)
{
    normal_reserve(w, n);
    for (int64_t i = 0; i < n; i++) {
        w->out.text[w->out.len] = bytes[i];
        w->out.from[w->out.len] = from;
        w->out.to[w->out.len++] = to;
    }
}
