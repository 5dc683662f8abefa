/* Writing starts without places and stores them from the first byte on that lands elsewhere. */
#include "text/normal.h"

#include <string.h>

#include "base/str.h"

static void reserve(Writing *w, int64_t n)
{
    if (w->out.len + n <= w->room) return;
    size_t was = (size_t)w->room, is = (size_t)(w->room = 2 * (w->room + n) + 64);
    w->out.text = arena_grow(w->a, w->out.text, was, is);
    if (!w->moved) return;
    w->out.from = arena_grow(w->a, w->out.from, sizeof(int64_t) * was, sizeof(int64_t) * is);
    w->out.to = arena_grow(w->a, w->out.to, sizeof(int64_t) * was, sizeof(int64_t) * is);
}

/* From here on places are stored, those of the bytes written so far included. */
static void move(Writing *w)
{
    if (w->moved) return;
    w->moved = true;
    w->out.from = arena_take(w->a, sizeof(int64_t) * (size_t)w->room);
    w->out.to = arena_take(w->a, sizeof(int64_t) * (size_t)w->room);
    for (int64_t i = 0; i < w->out.len; i++) w->out.from[i] = i, w->out.to[i] = i + 1;
}

Writing normal_open(Arena *a, int64_t expected, bool moved)
{
    Writing w = {.a = a};
    reserve(&w, expected / 2 + 1);
    if (moved) move(&w);
    return w;
}

void normal_put(Writing *w, const char *bytes, int64_t n, int64_t from, int64_t to)
{
    if (from != w->out.len || to != from + n) move(w);
    reserve(w, n);
    memcpy(w->out.text + w->out.len, bytes, (size_t)n);
    for (int64_t i = w->out.len; w->moved && i < w->out.len + n; i++) w->out.from[i] = from, w->out.to[i] = to;
    w->out.len += n;
}

void normal_write(Writing *w, const Normal *x, int64_t at, int64_t took, const char *bytes, int64_t n)
{
    int64_t from = at < x->len ? normal_begin(x, at) : x->len ? normal_end(x, x->len) : 0;
    normal_put(w, bytes, n, from, took ? normal_end(x, at + took) : from);
}

void normal_copy(Writing *w, const Normal *x, int64_t at, int64_t n)
{
    if (x->from || at != w->out.len) move(w);
    reserve(w, n);
    memcpy(w->out.text + w->out.len, x->text + at, (size_t)n);
    for (int64_t i = 0; w->moved && i < n; i++) {
        w->out.from[w->out.len + i] = normal_begin(x, at + i);
        w->out.to[w->out.len + i] = normal_end(x, at + i + 1);
    }
    w->out.len += n;
}

Normal normal_of(Arena *a, const char *text, int64_t len, bool repair)
{
    const Normal x = {(char *)(uintptr_t)text, len, NULL, NULL};
    int64_t at = 0, good = 0;
    for (int64_t n; repair && at < len && (n = (int64_t)utf8_length(text + at, (size_t)(len - at))) > 0;) at += n;
    if (!repair || at == len) return x;
    Writing w = normal_open(a, 2 * len, false);
    for (at = 0; at < len;) {
        int64_t n = (int64_t)utf8_length(text + at, (size_t)(len - at));
        at += n;
        if (n && at < len) continue;
        normal_copy(&w, &x, good, at - good);
        if (at < len) normal_put(&w, "\xef\xbf\xbd", 3, at, at + 1), at++;
        good = at;
    }
    return w.out;
}
