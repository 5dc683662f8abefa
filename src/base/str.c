/* Small string tools.  str_nearest serves "did you mean" with the Levenshtein distance. */
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

char *str_vprint(Arena *a, const char *fmt, va_list args, size_t *len)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    char *s = arena_take(a, (size_t)n + 1);
    vsnprintf(s, (size_t)n + 1, fmt, args);
    if (len) *len = (size_t)n;
    return s;
}

char *str_print(Arena *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *s = str_vprint(a, fmt, args, NULL);
    va_end(args);
    return s;
}

char *str_copy(Arena *a, const char *s, size_t n)
{
    char *copy = arena_take(a, n + 1);
    if (n) memcpy(copy, s, n);
    copy[n] = 0;
    return copy;
}

/* One alternative [p,end) against s: greedy with one point to go back to. */
static bool glob_one(const char *p, const char *end, const char *s)
{
    const char *star = NULL, *retry = NULL;
    while (*s) {
        if (p < end && *p == '*') {
            star = p++;
            retry = s;
        } else if (p < end && (*p == '?' || *p == *s)) {
            p++;
            s++;
        } else if (star) {
            p = star + 1;
            s = ++retry;
        } else {
            return false;
        }
    }
    while (p < end && *p == '*') p++;
    return p == end;
}

bool str_glob(const char *pattern, const char *s)
{
    for (;;) {
        size_t n = strcspn(pattern, "|");
        if (glob_one(pattern, pattern + n, s)) return true;
        if (!pattern[n]) return false;
        pattern += n + 1;
    }
}

bool str_real(const char *s, double *out)
{
    char *end;
    double x = strtod(s, &end);
    if (end == s || *end || !isfinite(x)) return false;
    *out = x;
    return true;
}

bool str_int(const char *s, int64_t *out)
{
    char *end;
    errno = 0;
    long long x = strtoll(s, &end, 10);
    if (end == s || *end || errno) return false;
    *out = x;
    return true;
}

const char *str_plural(int64_t n, const char *one, const char *many)
{
    return n == 1 ? one : many;
}

/* Part of a word or of a name such as "toy/e1". */
static bool is_letter(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("_-/", c)) || (unsigned char)c >= 0x80;
}

const char *str_word(const char *text, const char *word)
{
    const size_t n = strlen(word);
    bool capital = false;
    for (const char *s = word; *s; s++) capital |= isupper((unsigned char)*s) != 0;
    for (const char *at = text; *at; at++) {
        if ((at > text && is_letter(at[-1])) || (capital ? strncmp : strncasecmp)(at, word, n)) continue;
        const char *end = at + n + (at[n] == 's');
        if (!is_letter(*end)) return at;
    }
    return NULL;
}

/* Table 3-7 of the Unicode standard: no overlong forms, no surrogates, nothing above U+10FFFF. */
size_t utf8_length(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text;
    if (n == 0) return 0;
    if (p[0] < 0x80) return 1;
    size_t need = p[0] < 0xC2 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : p[0] < 0xF5 ? 4 : 0;
    if (need == 0 || need > n) return 0;
    unsigned char low = 0x80, high = 0xBF; /* the range of the second byte */
    if (p[0] == 0xE0) low = 0xA0;
    if (p[0] == 0xED) high = 0x9F;
    if (p[0] == 0xF0) low = 0x90;
    if (p[0] == 0xF4) high = 0x8F;
    if (p[1] < low || p[1] > high) return 0;
    for (size_t i = 2; i < need; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    return need;
}

char *utf8_repair(Arena *a, const char *s, size_t n, size_t *len, int64_t *replaced)
{
    static const char MARK[] = "\xef\xbf\xbd";
    size_t bad = 0, to = 0;
    for (size_t i = 0, step; i < n; i += step ? step : 1) {
        step = s[i] ? utf8_length(s + i, n - i) : 0;
        bad += !step;
    }
    char *out = arena_take(a, n + 2 * bad + 1);
    for (size_t i = 0, step; i < n; i += step ? step : 1) {
        step = s[i] ? utf8_length(s + i, n - i) : 0;
        memcpy(out + to, step ? s + i : MARK, step ? step : 3);
        to += step ? step : 3;
    }
    out[to] = 0;
    *len = to;
    *replaced += (int64_t)bad;
    return out;
}

static size_t distance(const char *a, const char *b)
{
    enum { MOST = 63 };
    size_t row[MOST + 1], n = strnlen(b, MOST);
    for (size_t j = 0; j <= n; j++) row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            size_t best = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (diagonal + 1 < best) best = diagonal + 1;
            row[j + 1] = best;
        }
    }
    return row[n];
}

bool str_next(const char **rest, const char *separators, const char **item, size_t *n)
{
    if (!*rest || !**rest) return false;
    *item = *rest;
    *n = strcspn(*rest, separators);
    *rest += *n + ((*rest)[*n] != 0);
    return true;
}

const char *str_nearest(const char *word, const char *const *list)
{
    const char *best = NULL;
    size_t least = strlen(word) / 2 + 1; /* further than that is another word */
    for (; *list; list++) {
        size_t d = distance(word, *list);
        if (d < least) {
            least = d;
            best = *list;
        }
    }
    return best;
}

Buf buf_open(Arena *a)
{
    Buf b = {a, NULL, 0, 0};
    buf_add(&b, "", 0);
    return b;
}

void buf_add(Buf *b, const char *bytes, size_t n)
{
    if (b->len + n + 1 > b->room) {
        size_t room = 2 * b->room > b->len + n + 1 ? 2 * b->room : b->len + n + 256;
        if (!b->room || !arena_stretch(b->arena, b->text, b->room, room)) {
            char *text = arena_take(b->arena, room);
            if (b->len) memcpy(text, b->text, b->len);
            b->text = text;
        }
        b->room = room;
    }
    if (n) memcpy(b->text + b->len, bytes, n);
    b->len += n;
    b->text[b->len] = 0;
}

void buf_print(Buf *b, const char *fmt, ...)
{
    char text[512];
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if ((size_t)n < sizeof text) {
        buf_add(b, text, (size_t)n);
    } else {
        size_t len;
        char *longer = str_vprint(b->arena, fmt, again, &len);
        buf_add(b, longer, len);
    }
    va_end(again);
}
