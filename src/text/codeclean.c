/* One pass for each rule, in the order of the published code: each sees what the one before has left. */
#include "text/codeclean.h"

#include <glib.h>
#include <string.h>

#include "text/unicode.h"

static Buf separated(Arena *a, const char *s, size_t n)
{
    Buf b = buf_open(a);
    buf_add(&b, s, n);
    for (size_t i = 0; i < b.len; i++)
        if (b.text[i] && strchr("(){}[].:;,", b.text[i])) b.text[i] = ' ';
    return b;
}

static Buf underscores_joined(Arena *a, Buf from)
{
    Buf b = buf_open(a);
    for (size_t i = 0; i < from.len;) {
        bool apart = from.len - i >= 3 && !memcmp(from.text + i, " _ ", 3);
        buf_add(&b, from.text + i + apart, 1);
        i += apart ? 3 : 1;
    }
    return b;
}

/* Everything from the first `quote` to the last one that does not overlap with it. */
static Buf strings_hidden(Arena *a, Buf from, const char *quote)
{
    size_t n = strlen(quote);
    const char *first = memmem(from.text, from.len, quote, n), *last = NULL;
    for (const char *p = first ? first + n : NULL; p; p = last + 1) {
        const char *next = memmem(p, from.len - (size_t)(p - from.text), quote, n);
        if (!next) break;
        last = next;
    }
    if (!last) return from;
    Buf b = buf_open(a);
    buf_add(&b, from.text, (size_t)(first - from.text));
    buf_print(&b, "<STR>");
    buf_add(&b, last + n, from.len - (size_t)(last + n - from.text));
    return b;
}

static Buf digits_hidden(Arena *a, Buf from)
{
    Buf b = buf_open(a);
    bool within = false;
    for (size_t i = 0, n; i < from.len; i += n) {
        bool digit = g_unichar_isdigit(unicode_next(from.text + i, from.len - i, &n));
        if (digit && !within) buf_print(&b, "<NUM>");
        if (!digit) buf_add(&b, from.text + i, n);
        within = digit;
    }
    return b;
}

/* White space as Python splits at it: Unicode's, and the four separators of ASCII. */
static bool is_space(uint32_t c)
{
    return (unicode_class(c) & UC_SPACE) != 0 || (c >= 0x1c && c <= 0x1f);
}

static Buf words_joined(Arena *a, Buf from)
{
    Buf b = buf_open(a);
    bool apart = false;
    for (size_t i = 0, n; i < from.len; i += n) {
        bool space = is_space(unicode_next(from.text + i, from.len - i, &n));
        if (!space && apart && b.len) buf_add(&b, " ", 1);
        if (!space) buf_add(&b, from.text + i, n);
        apart = space;
    }
    return b;
}

char *code_clean(Arena *a, const char *line, size_t n, size_t *len)
{
    Buf b = underscores_joined(a, separated(a, line, n));
    static const char *const QUOTE[] = {"``", "'", "\""};
    for (int i = 0; i < 3; i++) b = strings_hidden(a, b, QUOTE[i]);
    b = words_joined(a, digits_hidden(a, b));
    *len = b.len;
    return b.text;
}
