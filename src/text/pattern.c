/* A regular expression is compiled once, with just-in-time code; its memory is the arena's but for that code, which
 * pattern_close gives back.  Bytes that are no UTF-8 match nothing. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pattern.h"

#include <pcre2.h>
#include <string.h>

#include "text/unicode.h"

#define SPACES "\\t-\\r\\x{85}\\p{Z}"
#define WORDS "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}"
#define LATIN1 "\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}" /* which count as letters outside of a class only */

struct Regex {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *limits;
};

static void *take(size_t bytes, void *arena)
{
    return arena_take(arena, bytes);
}

static void leave(void *block, void *arena)
{
    (void)block, (void)arena;
}

/* Escapes whose meaning differs between the two dialects are spelt out; within a class only those that can be. */
static char *translated(Arena *a, const char *regex)
{
    Buf b = buf_open(a);
    int class = 0;
    for (const char *p = regex; *p; p++) {
        if (*p == '[') class ++;
        if (*p == ']' && class) class --;
        bool escape = *p == '\\' && p[1];
        const char *inside = !escape       ? NULL
                             : p[1] == 's' ? SPACES
                             : p[1] == 'w' ? (class ? WORDS : WORDS LATIN1)
                                           : NULL;
        const char *outside = !escape || class ? NULL : p[1] == 'S' ? SPACES : p[1] == 'W' ? WORDS LATIN1 : NULL;
        if (inside)
            buf_print(&b, class ? "%s" : "[%s]", inside);
        else if (outside)
            buf_print(&b, "[^%s]", outside);
        else
            buf_add(&b, p, escape ? 2 : 1);
        p += escape;
    }
    return b.text ? b.text : str_copy(a, "", 0);
}

Status pattern_read(Pattern *out, Arena *a, const char *regex, const char *where)
{
    static const char *const OTHER_MEANING[] = {"&&", "(?m", "\\h", "\\H", "\\K", "(*"};
    for (int i = 0; i < SCANS; i++)
        if (!strcmp(regex, SCAN_PATTERN[i])) {
            *out = (Pattern){.kind = PATTERN_SCAN, .scan = (Scan)i};
            return OK;
        }
    for (size_t i = 0; i < sizeof OTHER_MEANING / sizeof *OTHER_MEANING; i++)
        if (strstr(regex, OTHER_MEANING[i]))
            return err_fail(E_FORMAT, "%s: the regular expression has %s, which is not supported", where,
                            OTHER_MEANING[i]);
    struct Regex *r = NEW(a, struct Regex, 1);
    int code;
    PCRE2_SIZE at;
    pcre2_general_context *memory = pcre2_general_context_create(take, leave, a);
    pcre2_compile_context *context = pcre2_compile_context_create(memory);
    r->code = pcre2_compile((PCRE2_SPTR)translated(a, regex), PCRE2_ZERO_TERMINATED,
                            PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_MATCH_INVALID_UTF, &code, &at, context);
    if (!r->code) {
        PCRE2_UCHAR message[120];
        pcre2_get_error_message(code, message, sizeof message);
        return err_fail(E_FORMAT, "%s: the regular expression is not valid: %s", where, (char *)message);
    }
    pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE); /* without it, matching is slower and no different */
    r->match = pcre2_match_data_create(1, memory);
    r->limits = pcre2_match_context_create(memory);
    pcre2_set_match_limit(r->limits, 1 << 20);
    *out = (Pattern){.kind = PATTERN_REGEX, .regex = r};
    return OK;
}

void pattern_close(Pattern *p)
{
    if (p->regex) pcre2_code_free(p->regex->code);
    p->regex = NULL;
}

/* An error (a limit, a stack that is too small) ends the search as if nothing were found. */
static bool next_regex(const struct Regex *r, const char *text, size_t len, size_t at, size_t *begin, size_t *end)
{
    int found = pcre2_match(r->code, (PCRE2_SPTR)text, len, at, 0, r->match, r->limits);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT)
        found = pcre2_match(r->code, (PCRE2_SPTR)text, len, at, PCRE2_NO_JIT, r->match, r->limits);
    if (found < 0) return false;
    const PCRE2_SIZE *span = pcre2_get_ovector_pointer(r->match);
    *begin = span[0];
    *end = span[1] > span[0] ? span[1] : span[0];
    return true;
}

static bool next_of_class(uint32_t class, const char *text, size_t len, size_t at, size_t *begin, size_t *end)
{
    for (size_t n; at < len; at += n) {
        uint32_t c = unicode_next(text + at, len - at, &n);
        if (!(unicode_class(c) & class)) continue;
        *begin = at;
        *end = at + n;
        return true;
    }
    return false;
}

/* The first match that begins at `at` or behind; it may be empty. */
static bool first_match(const Pattern *p, const char *text, size_t len, size_t at, size_t *begin, size_t *end)
{
    const char *found;
    switch (p->kind) {
    case PATTERN_TEXT:
        found = p->len && at < len ? memmem(text + at, len - at, p->text, p->len) : NULL;
        if (found) *begin = (size_t)(found - text), *end = *begin + p->len;
        return found != NULL;
    case PATTERN_CLASS: return next_of_class(p->class, text, len, at, begin, end);
    case PATTERN_SCAN: {
        Pretokens w = {p->scan, text, len, at};
        return pretoken_next(&w, begin, end);
    }
    case PATTERN_REGEX: return next_regex(p->regex, text, len, at, begin, end);
    }
    return false;
}

Matches pattern_matches(const Pattern *p, const char *text, size_t len)
{
    return (Matches){p, text, len, 0, SIZE_MAX};
}

bool matches_next(Matches *m, size_t *begin, size_t *end)
{
    while (m->at <= m->len && first_match(m->pattern, m->text, m->len, m->at, begin, end)) {
        bool empty = *begin == *end, beside = empty && *end == m->last;
        m->at = *end + empty;
        while (empty && m->at < m->len && ((unsigned char)m->text[m->at] & 0xC0) == 0x80) m->at++;
        m->last = *end;
        if (!beside) return true;
    }
    return false;
}
