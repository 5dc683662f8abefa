/* The published regular expression, compiled once by PCRE2 with its just-in-time compiler.  White space is
 * spelt as a class because PCRE2's \s also takes U+180E, which Unicode no longer counts as white space.
 *
 * PCRE2 validates a whole subject on every call, which would make cutting quadratic.  The cursor therefore
 * finds stretches of valid UTF-8 itself, once, and matches inside them with the check switched off. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pretoken.h"

#include <pcre2.h>
#include <pthread.h>
#include <stdint.h>

#include "base/err.h"

#define SPACE "\\p{Z}\\t-\\r\\x{85}"
static const char PATTERN[] = "'(?:s|t|re|ve|m|ll|d)| ?\\p{L}+| ?\\p{N}+| ?[^" SPACE "\\p{L}\\p{N}]+"
                              "|[" SPACE "]+(?![^" SPACE "])|[" SPACE "]+";

static pcre2_code *pattern; /* a constant, shared by all threads once compiled */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void compile(void)
{
    int code;
    PCRE2_SIZE at;
    pattern = pcre2_compile((PCRE2_SPTR)PATTERN, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &code,
                            &at, NULL);
    CHECK(pattern, "the pre-tokeniser's pattern does not compile: code %d at byte %zu", code, at);
    pcre2_jit_compile(pattern, PCRE2_JIT_COMPLETE); /* where there is no compiler, the interpreter serves */
}

/* Bytes of the white-space character at p, or 0. */
static size_t space_length(const char *text, size_t n)
{
    size_t len = utf8_length(text, n);
    const unsigned char *p = (const unsigned char *)text;
    if (len == 1) return p[0] == ' ' || (p[0] >= '\t' && p[0] <= '\r');
    if (len == 2) return p[0] == 0xC2 && (p[1] == 0x85 || p[1] == 0xA0) ? 2 : 0;
    if (len != 3) return 0;
    uint32_t c = (uint32_t)(p[0] & 15) << 12 | (uint32_t)(p[1] & 63) << 6 | (uint32_t)(p[2] & 63);
    bool space = c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
                 c == 0x205F || c == 0x3000;
    return space ? 3 : 0;
}

size_t space_skip(const char *text, size_t from, size_t to)
{
    for (size_t n; from < to && (n = space_length(text + from, to - from)) > 0;) from += n;
    return from;
}

size_t space_back(const char *text, size_t from, size_t to)
{
    while (to > from) {
        size_t p = to - 1;
        while (p > from && to - p < 3 && ((unsigned char)text[p] & 0xC0) == 0x80) p--;
        if (space_length(text + p, to - p) != to - p) break;
        to = p;
    }
    return to;
}

Words words_open(const char *text, size_t len)
{
    pthread_once(&once, compile);
    pcre2_match_data *m = pcre2_match_data_create(1, NULL);
    CHECK(m, "PCRE2 has no memory left");
    return (Words){.text = text, .len = len, .match = m};
}

bool words_next(Words *w, size_t *begin, size_t *end)
{
    *begin = *end = w->at;
    if (w->at == w->len) return false;
    if (w->at == w->valid_end) { /* how far is the text valid from here? */
        size_t p = w->at;
        for (size_t n; p < w->len && (n = utf8_length(w->text + p, w->len - p)) > 0;) p += n;
        w->valid_end = p;
    }
    if (w->at == w->valid_end) { /* not at all: the malformed run is the word */
        while (*end < w->len && utf8_length(w->text + *end, w->len - *end) == 0) ++*end;
        w->valid_end = *end;
    } else {
        int found = pcre2_match(pattern, (PCRE2_SPTR)w->text + w->at, w->valid_end - w->at, 0, PCRE2_NO_UTF_CHECK,
                                w->match, NULL);
        /* The pattern matches every character, so anything else is one of PCRE2's limits: cut after one. */
        *end += found > 0 ? pcre2_get_ovector_pointer(w->match)[1] : utf8_length(w->text + w->at, w->len - w->at);
    }
    w->at = *end;
    return true;
}

void words_close(Words *w)
{
    pcre2_match_data_free(w->match);
    w->match = NULL;
}
