#include "tasks/words.h"

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
    if (x->number.count > x->room) {
        Bytes *old = x->word;
        x->room = x->room ? 2 * x->room : 1 << 6;
        x->word = arena_take(x->arena, sizeof *x->word * (size_t)x->room);
        if (old) memcpy(x->word, old, sizeof *old * (size_t)*number);
    }
    x->word[*number] = (Bytes){str_copy(x->arena, word, n), n};
    return (int32_t)*number;
}

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

Words words_and_signs(Lexicon *x, const char *text, size_t n)
{
    static pcre2_code *pattern; /* compiled once and kept */
    if (!pattern) {
        int code;
        PCRE2_SIZE at;
        pattern = pcre2_compile((PCRE2_SPTR) "[\\p{L}\\p{N}]+|\\S", PCRE2_ZERO_TERMINATED,
                                PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF, &code, &at, NULL);
        CHECK(pattern, "the pattern of words and signs: error %d at %zu", code, at);
    }
    pcre2_match_data *match = pcre2_match_data_create_from_pattern(pattern, NULL);
    if (!match) err_no_memory("PCRE2 has none for a match");
    Words w = {0, arena_take(x->arena, sizeof *w.id * (n + 1))};
    for (size_t from = 0; from < n && pcre2_match(pattern, (PCRE2_SPTR)text, n, from, 0, match, NULL) > 0;) {
        const PCRE2_SIZE *at = pcre2_get_ovector_pointer(match);
        w.id[w.n++] = lexicon_add(x, text + at[0], at[1] - at[0]);
        from = at[1];
    }
    pcre2_match_data_free(match);
    return w;
}

/* Where the next capital sigma stands that ends a word: behind a cased letter and before none, whatever case ignores
 * (accents, apostrophes) between them.  n: there is none. */
static size_t final_sigma(const char *text, size_t n, size_t from)
{
    static pcre2_code *pattern; /* compiled once and kept; PCRE2 before 10.40 lacks the properties */
    int code;
    PCRE2_SIZE at;
    if (!pattern)
        pattern =
            pcre2_compile((PCRE2_SPTR) "(?!\\p{Case_Ignorable})\\p{Cased}\\p{Case_Ignorable}*+\\K\\x{3A3}"
                                       "(?!\\p{Case_Ignorable}*+\\p{Cased})",
                          PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF, &code, &at, NULL);
    if (!pattern) return n;
    pcre2_match_data *match = pcre2_match_data_create_from_pattern(pattern, NULL);
    if (!match) err_no_memory("PCRE2 has none for a match");
    bool found = pcre2_match(pattern, (PCRE2_SPTR)text, n, from, 0, match, NULL) > 0;
    size_t place = found ? pcre2_get_ovector_pointer(match)[0] : n;
    pcre2_match_data_free(match);
    return place;
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
    size_t last = 0; /* the final sigma that was found, or where to look for one */
    bool sought = false;
    for (size_t i = 0, length; i < n; i += length) {
        length = utf8_length(text + i, n - i);
        if (length < 2) { /* 0: no UTF-8, which stays */
            char c = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 'a' - 'A') : text[i];
            buf_add(&out, &c, length = 1);
            continue;
        }
        char low[8];
        gunichar c = g_utf8_get_char(text + i), to = simple_lower(c);
        if (c == SIGMA) {
            while (!sought || last < i) last = final_sigma(text, n, sought ? last + 2 : 0), sought = true;
            if (last == i) to = LAST_SIGMA;
        }
        if (c == DOTTED_I)
            buf_add(&out, "i\xcc\x87", 3); /* the one character that becomes two */
        else
            buf_add(&out, low, (size_t)g_unichar_to_utf8(to, low));
    }
    return (Bytes){out.text, out.len};
}
