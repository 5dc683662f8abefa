/* A text as normalising leaves it, each byte with its place in the source.  As long as no step has moved a byte,
 * there are no places to store: byte i of the text is byte i of the source. */
#ifndef TEXT_NORMAL_H
#define TEXT_NORMAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

typedef struct {
    char *text;
    int64_t len;
    int64_t *from, *to; /* (len) bytes of the source that a byte here stands for; NULL: itself */
} Normal;

static inline int64_t normal_begin(const Normal *x, int64_t at)
{
    return x->from ? x->from[at] : at;
}

/* Where the byte before `at` > 0 ends in the source. */
static inline int64_t normal_end(const Normal *x, int64_t at)
{
    return x->to ? x->to[at - 1] : at;
}

typedef struct { /* a Normal being written */
    Arena *a;
    Normal out;
    int64_t room;
    bool moved; /* places are stored */
} Writing;
Writing normal_open(Arena *, int64_t expected, bool moved);
/* n bytes that stand for [from,to) of the source. */
void normal_put(Writing *, const char *bytes, int64_t n, int64_t from, int64_t to);
/* One byte, which nearly always finds room. */
static inline void normal_put_byte(Writing *w, char byte, int64_t from, int64_t to)
{
    if (!w->moved || w->out.len == w->room) {
        normal_put(w, &byte, 1, from, to);
        return;
    }
    w->out.text[w->out.len] = byte;
    w->out.from[w->out.len] = from;
    w->out.to[w->out.len++] = to;
}
/* n bytes in the place of `took` bytes of x from `at` on. */
void normal_write(Writing *, const Normal *x, int64_t at, int64_t took, const char *bytes, int64_t n);
void normal_copy(Writing *, const Normal *x, int64_t at, int64_t n);
/* Bytes that are no UTF-8 become U+FFFD each. */
Normal normal_of(Arena *, const char *text, int64_t len, bool repair);

#endif
