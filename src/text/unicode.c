/* Tables filled lazily from glib.  A class has a bit for each question, so that one look-up serves all of them. */
#include "text/unicode.h"

#include <glib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"

enum { BLOCK = 256, BLOCKS = 0x110000 / BLOCK };
static const GNormalizeMode MODE[] = {G_NORMALIZE_NFD, G_NORMALIZE_NFC, G_NORMALIZE_NFKD, G_NORMALIZE_NFKC};

static uint16_t class_of[BLOCKS * BLOCK]; /* constants, shared by all threads once their block is filled */
static atomic_bool filled[BLOCKS];
static pthread_mutex_t filling = PTHREAD_MUTEX_INITIALIZER;

size_t unicode_put(char out[4], uint32_t c)
{
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t first[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = n; i-- > 1; c >>= 6) out[i] = (char)(0x80 | (c & 63));
    out[0] = (char)(first[n] | c);
    return n;
}

char *unicode_form(Arena *a, const char *text, size_t n, UnicodeForm form, size_t *len)
{
    char *made = g_utf8_normalize(text, (gssize)n, MODE[form]);
    CHECK(made, "a text that is no UTF-8 has no normal form");
    *len = strlen(made);
    char *out = str_copy(a, made, *len);
    g_free(made);
    return out;
}

/* ---- classes ---- */

static bool is_space(uint32_t c)
{
    return c == ' ' || (c >= 9 && c <= 13) || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
           c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

static bool is_ascii_symbol(uint32_t c)
{
    return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
}

/* Alphabetic characters that are neither letters, marks nor letter numbers: the enclosed ones. */
static bool is_enclosed_letter(uint32_t c)
{
    return (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) ||
           (c >= 0x1F170 && c <= 0x1F189);
}

/* Vowels and final consonants of Hangul, in all their spellings, and half-width voice marks compose with the
 * character before them as marks do. */
static bool is_late_part(uint32_t c)
{
    return (c >= 0x1160 && c <= 0x11FF) || (c >= 0xD7B0 && c <= 0xD7FF) || (c >= 0x3131 && c <= 0x318E) ||
           (c >= 0xFF9E && c <= 0xFFDC);
}

static uint32_t general_class(uint32_t c)
{
    switch (g_unichar_type(c)) {
    case G_UNICODE_UPPERCASE_LETTER:
    case G_UNICODE_LOWERCASE_LETTER:
    case G_UNICODE_TITLECASE_LETTER:
    case G_UNICODE_MODIFIER_LETTER:
    case G_UNICODE_OTHER_LETTER: return UC_LETTER | UC_WORD;
    case G_UNICODE_DECIMAL_NUMBER:
    case G_UNICODE_LETTER_NUMBER: return UC_NUMBER | UC_WORD;
    case G_UNICODE_OTHER_NUMBER: return UC_NUMBER;
    case G_UNICODE_NON_SPACING_MARK: return UC_ACCENT | UC_MARK | UC_WORD | UC_JOINS;
    case G_UNICODE_SPACING_MARK:
    case G_UNICODE_ENCLOSING_MARK: return UC_MARK | UC_WORD | UC_JOINS;
    case G_UNICODE_CONNECT_PUNCTUATION: return UC_PUNCT | UC_WORD;
    case G_UNICODE_DASH_PUNCTUATION:
    case G_UNICODE_OPEN_PUNCTUATION:
    case G_UNICODE_CLOSE_PUNCTUATION:
    case G_UNICODE_INITIAL_PUNCTUATION:
    case G_UNICODE_FINAL_PUNCTUATION:
    case G_UNICODE_OTHER_PUNCTUATION: return UC_PUNCT;
    case G_UNICODE_CONTROL:
    case G_UNICODE_FORMAT:
    case G_UNICODE_PRIVATE_USE: return UC_CONTROL;
    default: return 0;
    }
}

static uint32_t changes(uint32_t c)
{
    char text[4];
    size_t n = unicode_put(text, c);
    uint32_t bits = 0;
    if (c < 0x80 || (c >= 0xD800 && c < 0xE000)) return 0;
    for (int form = 0; form < 4; form++) {
        char *made = g_utf8_normalize(text, (gssize)n, MODE[form]);
        if (!made || strlen(made) != n || memcmp(made, text, n) != 0) bits |= (uint32_t)UC_CHANGES << form;
        g_free(made);
    }
    return bits;
}

static void fill(uint32_t block)
{
    for (uint32_t c = block * BLOCK; c < (block + 1) * BLOCK; c++) {
        uint32_t bits = general_class(c) | changes(c);
        if (is_space(c)) bits |= UC_SPACE;
        if (is_ascii_symbol(c)) bits |= UC_PUNCT;
        if (is_enclosed_letter(c) || c == 0x200C || c == 0x200D) bits |= UC_WORD;
        if (is_late_part(c) || g_unichar_combining_class(c)) bits |= UC_JOINS;
        class_of[c] = (uint16_t)bits;
    }
}

/* The classes of ASCII, which most of a text asks for. */
const uint8_t UNICODE_ASCII[128] = {
    32, 32, 32, 32, 32, 32, 32, 32, 32, 36, 36, 36, 36, 36, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32,
    32, 32, 32, 32, 32, 32, 4,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  18, 18, 18, 18,
    18, 18, 18, 18, 18, 18, 8,  8,  8,  8,  8,  8,  8,  17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17,
    17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 8,  8,  8,  8,  24, 8,  17, 17, 17, 17, 17, 17, 17,
    17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 8,  8,  8,  8,  32};

uint32_t unicode_class_beyond(uint32_t c)
{
    uint32_t block = c / BLOCK;
    if (!atomic_load_explicit(&filled[block], memory_order_acquire)) {
        pthread_mutex_lock(&filling);
        if (!filled[block]) fill(block);
        atomic_store_explicit(&filled[block], true, memory_order_release);
        pthread_mutex_unlock(&filling);
    }
    return class_of[c];
}

/* ---- characters ---- */

uint32_t unicode_next_beyond(const char *p, size_t left, size_t *n)
{
    unsigned char c = (unsigned char)*p;
    size_t len = utf8_length(p, left);
    if (!len) return 0xFFFD;
    uint32_t u = c & (0x7FU >> len);
    for (size_t i = 1; i < len; i++) u = u << 6 | ((unsigned char)p[i] & 63);
    *n = len;
    return u;
}

uint32_t unicode_before(const char *text, size_t at, size_t *n)
{
    size_t p = at - 1;
    while (p > 0 && at - p < 4 && ((unsigned char)text[p] & 0xC0) == 0x80) p--;
    uint32_t c = unicode_next(text + p, at - p, n);
    if (*n == at - p) return c;
    *n = 1;
    return 0xFFFD;
}

size_t unicode_lower(uint32_t out[2], uint32_t c)
{
    if (c == 0x130) { /* the only one whose lower case has two characters */
        out[0] = 'i', out[1] = 0x307;
        return 2;
    }
    out[0] = g_unichar_tolower(c);
    return 1;
}

bool unicode_is_cjk(uint32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
           (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}
