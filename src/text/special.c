/* A list: vocabularies have a hundred special tokens at most, and few texts spell any. */
#include "text/special.h"

#include <string.h>

#include "base/str.h"

const Special *special_find(const Specials *s, const char *text, size_t len)
{
    for (int64_t i = 0; i < s->n; i++)
        if (s->at[i].len == len && memcmp(s->at[i].text, text, len) == 0) return &s->at[i];
    return NULL;
}

const Special *special_of(const Specials *s, int32_t id)
{
    for (int64_t i = 0; i < s->n; i++)
        if (s->at[i].id == id) return &s->at[i];
    return NULL;
}

void special_add(Specials *s, Arena *a, Special new)
{
    if (special_find(s, new.text, new.len)) return;
    Special *more = arena_take(a, sizeof *more * (size_t)(s->n + 1));
    int64_t at = 0;
    while (at < s->n && s->at[at].len >= new.len) at++;
    if (at) memcpy(more, s->at, sizeof *more * (size_t)at);
    if (at < s->n) memcpy(more + at + 1, s->at + at, sizeof *more * (size_t)(s->n - at));
    new.text = str_copy(a, new.text, new.len);
    more[at] = new;
    s->at = more;
    s->n++;
    s->starts[(unsigned char)new.text[0]] = true;
}

const Special *special_next(const Specials *s, const char *text, size_t from, size_t len, size_t *at)
{
    for (size_t i = from; s->n && i < len; i++) {
        if (!s->starts[(unsigned char)text[i]]) continue;
        for (int64_t k = 0; k < s->n; k++) {
            const Special *x = &s->at[k];
            if (x->len > len - i || memcmp(x->text, text + i, x->len) != 0) continue;
            *at = i;
            return x;
        }
    }
    return NULL;
}

int64_t special_count(const Specials *s, const char *text, size_t len)
{
    int64_t n = 0;
    size_t from = 0, at;
    for (const Special *x; (x = special_next(s, text, from, len, &at)); from = at + x->len) n++;
    return n;
}
