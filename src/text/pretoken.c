/* A scanner over classes of characters.  PCRE2 determines the class of a character, once for each block of 256 that a
 * text uses; matching its pattern word by word would cost several times as much as the merges.  White space is spelt
 * as a class because PCRE2's \s also takes U+180E, which Unicode no longer counts as white space. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pretoken.h"

#include <pcre2.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/err.h"

enum { OTHER, LETTER, NUMBER, BLANK, MALFORMED, BLOCK = 256, BLOCKS = 0x110000 / BLOCK };
static const char CLASSES[] = "(\\p{L})|(\\p{N})|([\\p{Z}\\t-\\r\\x{85}])";

static uint8_t class_of[BLOCKS * BLOCK]; /* constants, shared by all threads once their block is filled */
static atomic_bool filled[BLOCKS];
static pthread_mutex_t filling = PTHREAD_MUTEX_INITIALIZER;

static size_t put_utf8(char *out, uint32_t c)
{
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t first[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = n; i-- > 1; c >>= 6) out[i] = (char)(0x80 | (c & 63));
    out[0] = (char)(first[n] | c);
    return n;
}

/* The classes of all characters of a block, as the regular expression has them. */
static void fill(uint32_t block)
{
    int code;
    PCRE2_SIZE at;
    pcre2_code *p =
        pcre2_compile((PCRE2_SPTR)CLASSES, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP, &code, &at, NULL);
    CHECK(p, "the classes of characters do not compile: code %d at byte %zu", code, at);
    pcre2_match_data *m = pcre2_match_data_create(4, NULL);
    if (!m) err_no_memory("PCRE2 has none for a match");
    for (uint32_t c = block * BLOCK; c < (block + 1) * BLOCK; c++) {
        char text[4];
        size_t n = put_utf8(text, c);
        bool surrogate = c >= 0xD800 && c < 0xE000;
        int group = surrogate ? 0 : pcre2_match(p, (PCRE2_SPTR)text, n, 0, PCRE2_NO_UTF_CHECK, m, NULL);
        class_of[c] = (uint8_t)(group > 0 ? group - 1 : OTHER);
    }
    pcre2_match_data_free(m);
    pcre2_code_free(p);
}

static int class_at(uint32_t c)
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

size_t pretoken_space_skip(const char *text, size_t from, size_t to)
{
    for (size_t n; from < to && (n = space_length(text + from, to - from)) > 0;) from += n;
    return from;
}

size_t pretoken_space_back(const char *text, size_t from, size_t to)
{
    while (to > from) {
        size_t p = to - 1;
        while (p > from && to - p < 3 && ((unsigned char)text[p] & 0xC0) == 0x80) p--;
        if (space_length(text + p, to - p) != to - p) break;
        to = p;
    }
    return to;
}

/* The class of the character at p < end, and its bytes; of malformed text one byte. */
static int next_class(const char *p, const char *end, size_t *n)
{
    unsigned char c = (unsigned char)*p;
    *n = 1;
    if (c < 0x80) return class_of[c];
    size_t len = utf8_length(p, (size_t)(end - p));
    if (!len) return MALFORMED;
    uint32_t u = c & (0x7FU >> len);
    for (size_t i = 1; i < len; i++) u = u << 6 | ((unsigned char)p[i] & 63);
    *n = len;
    return class_at(u);
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

Pretokens pretoken_open(const char *text, size_t len)
{
    class_at(0);
    return (Pretokens){.text = text, .len = len};
}

bool pretoken_next(Pretokens *w, size_t *begin, size_t *end)
{
    *begin = *end = w->at;
    if (w->at == w->len) return false;
    const char *p = w->text + w->at, *stop = w->text + w->len, *q;
    size_t n, m;
    int class = next_class(p, stop, &n);
    if (class == OTHER && (m = contraction(p, w->len - w->at)) > 0) {
        q = p + m;
    } else if (class != BLANK) {
        q = skip_class(p + n, stop, class);
    } else {
        class = *p == ' ' && p + 1 < stop ? next_class(p + 1, stop, &m) : BLANK;
        q = class == BLANK || class == MALFORMED ? skip_blanks(p, stop) : skip_class(p + 1 + m, stop, class);
    }
    *end = w->at = (size_t)(q - w->text);
    return true;
}
