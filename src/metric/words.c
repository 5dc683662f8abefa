/* Splitting and lower-casing follow the tools whose scores are compared with, down to Python's final sigma; glib and
 * PCRE2 have the Unicode tables. */
#include "metric/words.h"

#include <glib.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

#include "base/str.h"

Lexicon lexicon_open(Arena *a)
{
    return (Lexicon){a, table_open(a, 1 << 6), NULL, 0};
}

int32_t lexicon_add(Lexicon *x, const char *word, size_t n)
{
    bool added;
    int64_t *number = table_add(&x->number, word, n, &added);
    if (!added) return (int32_t)*number;
    *number = x->number.count - 1;
    GROW(x->arena, x->word, *number, x->room, 1 << 6);
    x->word[*number] = (Bytes){str_copy(x->arena, word, n), n};
    return (int32_t)*number;
}

/* ---- bytes */

static bool white(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

Words words_split(Lexicon *x, const char *text, size_t n)
{
    Words w = {0, arena_take(x->arena, sizeof *w.id * (n / 2 + 1))};
    for (size_t i = 0, end; i < n; i = end) {
        while (i < n && white(text[i])) i++;
        for (end = i; end < n && !white(text[end]);) end++;
        if (end > i) w.id[w.n++] = lexicon_add(x, text + i, end - i);
    }
    return w;
}

Words words_blanks(Lexicon *x, const char *text, size_t n)
{
    Words w = {0, arena_take(x->arena, sizeof *w.id * (n + 1))};
    for (size_t i = 0, end; i <= n; i = end + 1) {
        for (end = i; end < n && text[end] != ' ';) end++;
        w.id[w.n++] = lexicon_add(x, text + i, end - i);
    }
    return w;
}

/* ---- Unicode's classes */

/* The words and signs of text[from, end), which is UTF-8: so PCRE2 need not check the rest of it at every word. */
static void cut_words(Words *w, Lexicon *x, const char *text, size_t from, size_t end)
{
    static pcre2_code *pattern; /* compiled once and kept */
    if (!pattern) {
        int code;
        PCRE2_SIZE at;
        pattern = pcre2_compile((PCRE2_SPTR) "[\\p{L}\\p{N}]+|\\S", PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP,
                                &code, &at, NULL);
        CHECK(pattern, "the pattern of words and signs: error %d at %zu", code, at);
    }
    pcre2_match_data *match = pcre2_match_data_create_from_pattern(pattern, NULL);
    if (!match) err_no_memory("PCRE2 has none for a match");
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(match);
    for (; from < end; from = at[1]) {
        if (pcre2_match(pattern, (PCRE2_SPTR)text, end, from, PCRE2_NO_UTF_CHECK, match, NULL) <= 0) break;
        w->id[w->n++] = lexicon_add(x, text + at[0], at[1] - at[0]);
    }
    pcre2_match_data_free(match);
}

Words words_and_signs(Lexicon *x, const char *text, size_t n)
{
    Words w = {0, arena_take(x->arena, sizeof *w.id * (n + 1))};
    for (size_t from = 0, end = 0; from < n; from = ++end) { /* at `end` stands a byte that is no UTF-8, or nothing */
        for (size_t length; (length = utf8_length(text + end, n - end));) end += length;
        cut_words(&w, x, text, from, end);
    }
    return w;
}

/* ---- lower case */

/* Has the one character of n bytes the property?  False for all with a PCRE2 that does not have it (before 10.40). */
typedef enum { CASED, CASE_IGNORABLE, PROPERTIES } Property;
static bool has(Property property, const char *character, size_t n)
{
    static const char *const PATTERN[PROPERTIES] = {"\\p{Cased}", "\\p{Case_Ignorable}"};
    static pcre2_code *pattern[PROPERTIES]; /* compiled once and kept */
    int code;
    PCRE2_SIZE at;
    if (!pattern[property])
        pattern[property] = pcre2_compile((PCRE2_SPTR)PATTERN[property], PCRE2_ZERO_TERMINATED,
                                          PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &code, &at, NULL);
    if (!pattern[property]) return false;
    pcre2_match_data *match = pcre2_match_data_create_from_pattern(pattern[property], NULL);
    if (!match) err_no_memory("PCRE2 has none for a match");
    bool yes = pcre2_match(pattern[property], (PCRE2_SPTR)character, n, 0, 0, match, NULL) > 0;
    pcre2_match_data_free(match);
    return yes;
}

/* The length of the character that ends before byte i; 0: none, or no UTF-8. */
static size_t length_before(const char *text, size_t i)
{
    size_t n = 0;
    while (n < i && n < 4)
        if (((unsigned char)text[i - ++n] & 0xc0) != 0x80) break;
    return n && utf8_length(text + i - n, n) == n ? n : 0;
}

/* Does the capital sigma at byte i end a word?  It follows a cased letter and comes before none; case-ignorable ones
 * (accents, apostrophes) may stand between them. */
static bool sigma_is_final(const char *text, size_t n, size_t i)
{
    size_t at = i, length;
    while ((length = length_before(text, at)) && has(CASE_IGNORABLE, text + at - length, length)) at -= length;
    if (!length || !has(CASED, text + at - length, length)) return false;
    for (at = i + 2; (length = utf8_length(text + at, n - at)) && has(CASE_IGNORABLE, text + at, length);)
        at += length;
    return !length || !has(CASED, text + at, length);
}

/* One character for one.  GLib lowers letters; Unicode lowers Roman numerals and circled letters as well. */
static gunichar simple_lower(gunichar c)
{
    if (c >= 0x2160 && c <= 0x216f) return c + 0x10;
    if (c >= 0x24b6 && c <= 0x24cf) return c + 0x1a;
    return g_unichar_tolower(c);
}

Bytes words_lower(Arena *a, const char *text, size_t n)
{
    enum { DOTTED_I = 0x130, SIGMA = 0x3a3, LAST_SIGMA = 0x3c2 };
    Buf out = buf_open(a);
    for (size_t i = 0, length; i < n; i += length) {
        length = utf8_length(text + i, n - i);
        if (length < 2) { /* 0: no UTF-8, which stays */
            char c = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 'a' - 'A') : text[i];
            buf_add(&out, &c, length = 1);
            continue;
        }
        char low[8];
        gunichar c = g_utf8_get_char(text + i), to = simple_lower(c);
        if (c == SIGMA && sigma_is_final(text, n, i)) to = LAST_SIGMA;
        if (c == DOTTED_I)
            buf_add(&out, "i\xcc\x87", 3); /* the one character that becomes two */
        else
            buf_add(&out, low, (size_t)g_unichar_to_utf8(to, low));
    }
    return (Bytes){out.text, out.len};
}
