#include "tasks/words.h"

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

/* A two-byte character, lower. */
static unsigned lower(unsigned c)
{
    if ((c >= 0xc0 && c <= 0xde && c != 0xd7) || (c >= 0x391 && c <= 0x3a9) || (c >= 0x410 && c <= 0x42f))
        return c + 0x20;
    if (c >= 0x400 && c <= 0x40f) return c + 0x50;
    if (c == 0x130 || c == 0x131 || c == 0x138 || c == 0x149 || c == 0x178 || c == 0x17f) return c; /* no pairs */
    if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e)) return c + (c & 1);
    if (c >= 0x100 && c <= 0x177) return c | 1;
    return c;
}

Bytes words_lower(Arena *a, const char *text, size_t n)
{
    Bytes b = {str_copy(a, text, n), n};
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i], next = i + 1 < n ? (unsigned char)text[i + 1] : 0;
        if (c >= 'A' && c <= 'Z') b.text[i] = (char)(c + 32);
        if (c < 0xc3 || c > 0xd3 || next >> 6 != 2) continue;
        unsigned to = lower((unsigned)(c & 31) << 6 | (next & 63));
        b.text[i] = (char)(0xc0 | to >> 6);
        b.text[++i] = (char)(0x80 | (to & 63));
    }
    return b;
}
