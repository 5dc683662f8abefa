/* Scanners over classes of characters; matching the patterns word by word would cost several times as much as the
 * merges. */
#include "text/pretoken.h"

#include "text/unicode.h"

enum { LETTER, NUMBER, BLANK, OTHER, MALFORMED }; /* the first three as the bits of UC_ */

const char *const SCAN_PATTERN[SCANS] = {
    [SCAN_GPT2] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
    [SCAN_LLAMA3] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
                    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    [SCAN_QWEN2] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"
                   " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
};

/* Bytes of the white-space character at p, or 0. */
static size_t space_length(const char *text, size_t n)
{
    size_t len = 0;
    return n && (unicode_class(unicode_next(text, n, &len)) & UC_SPACE) ? len : 0;
}

size_t pretoken_space_skip(const char *text, size_t from, size_t to)
{
    for (size_t n; from < to && (n = space_length(text + from, to - from)) > 0;) from += n;
    return from;
}

size_t pretoken_space_back(const char *text, size_t from, size_t to)
{
    for (size_t n; to > from && (unicode_class(unicode_before(text + from, to - from, &n)) & UC_SPACE);) to -= n;
    return to;
}

/* The class of the character at p < end, and its bytes; of malformed text one byte. */
static inline int next_class(const char *p, const char *end, size_t *n)
{
    const uint32_t none = 1 << OTHER, known = none - 1;
    *n = 1;
    if (!(*p & 0x80)) return __builtin_ctz((UNICODE_ASCII[(unsigned char)*p] & known) | none);
    uint32_t c = unicode_next_beyond(p, (size_t)(end - p), n);
    return c == 0xFFFD && *n == 1 ? MALFORMED : __builtin_ctz((unicode_class(c) & known) | none);
}

static const char *skip_class(const char *p, const char *end, int class)
{
    for (size_t n; p < end && next_class(p, end, &n) == class;) p += n;
    return p;
}

/* The last character of white space stays with the text that follows; malformed bytes end a text as its end does. */
static const char *skip_blanks(const char *p, const char *end)
{
    const char *last = p;
    size_t n = 0;
    int class = BLANK, count = 0;
    for (; p < end && (class = next_class(p, end, &n)) == BLANK; p += n, count++) last = p;
    return p == end || class == MALFORMED || count == 1 ? p : last;
}

static size_t contraction(const char *p, size_t left)
{
    if (left < 2 || *p != '\'') return 0;
    if (p[1] == 's' || p[1] == 't' || p[1] == 'm' || p[1] == 'd') return 2;
    bool two =
        left > 2 && ((p[1] == 'r' && p[2] == 'e') || (p[1] == 'v' && p[2] == 'e') || (p[1] == 'l' && p[2] == 'l'));
    return two ? 3 : 0;
}

/* The same in any case: the long s (U+017F) folds to s, and no other character beyond ASCII to one of these. */
static size_t folded_contraction(const char *p, size_t left)
{
    char low[3] = {0};
    if (left < 2 || *p != '\'') return 0;
    if (left > 2 && p[1] == '\xC5' && p[2] == '\xBF') return 3;
    for (size_t i = 0; i < 3 && i < left; i++) low[i] = (char)(p[i] >= 'A' && p[i] <= 'Z' ? p[i] + 32 : p[i]);
    return contraction(low, left < 3 ? left : 3);
}

static bool ends_line(char c)
{
    return c == '\r' || c == '\n';
}

static const char *gpt2_word(const char *p, const char *stop)
{
    size_t n, m;
    int class = next_class(p, stop, &n);
    if (class == OTHER && (m = contraction(p, (size_t)(stop - p))) > 0) return p + m;
    if (class != BLANK) return skip_class(p + n, stop, class);
    class = *p == ' ' && p + 1 < stop ? next_class(p + 1, stop, &m) : BLANK;
    return class == BLANK || class == MALFORMED ? skip_blanks(p, stop) : skip_class(p + 1 + m, stop, class);
}

static const char *symbols(const char *p, const char *stop)
{
    p = skip_class(p, stop, OTHER);
    while (p < stop && ends_line(*p)) p++;
    return p;
}

/* White space up to the last end of a line in it, or else as GPT-2 has it. */
static const char *blanks(const char *p, const char *stop)
{
    const char *last = NULL;
    size_t n;
    for (const char *q = p; q < stop && next_class(q, stop, &n) == BLANK; q += n)
        if (ends_line(*q)) last = q + 1;
    return last ? last : skip_blanks(p, stop);
}

static const char *llama_word(const char *p, const char *stop, int digits)
{
    size_t n, m = 0;
    int class = next_class(p, stop, &n);
    if (class == OTHER && (m = folded_contraction(p, (size_t)(stop - p))) > 0) return p + m;
    if (class == LETTER || class == MALFORMED) return skip_class(p + n, stop, class);
    if (class == NUMBER) {
        for (p += n; --digits && p < stop && next_class(p, stop, &n) == NUMBER;) p += n;
        return p;
    }
    int after = p + n < stop ? next_class(p + n, stop, &m) : MALFORMED;
    if (after == LETTER && !ends_line(*p)) return skip_class(p + n + m, stop, LETTER);
    if (class == OTHER) return symbols(p, stop);
    return *p == ' ' && after == OTHER ? symbols(p + 1, stop) : blanks(p, stop);
}

Pretokens pretoken_open(Scan scan, const char *text, size_t len)
{
    return (Pretokens){.scan = scan, .text = text, .len = len};
}

bool pretoken_next(Pretokens *w, size_t *begin, size_t *end)
{
    *begin = *end = w->at;
    if (w->at == w->len) return false;
    const char *p = w->text + w->at, *stop = w->text + w->len;
    const char *q = w->scan == SCAN_GPT2 ? gpt2_word(p, stop) : llama_word(p, stop, w->scan == SCAN_LLAMA3 ? 3 : 1);
    *end = w->at = (size_t)(q - w->text);
    return true;
}
