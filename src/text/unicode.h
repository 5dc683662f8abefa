/* Classes of characters, case and normal forms, as the pre-tokenizers and normalizers of the published tokenizers
 * need them.  The Unicode data is glib's; the classes of a block of 256 characters are looked up once, when a text
 * first has one of them.  Any number of threads may ask. */
#ifndef TEXT_UNICODE_H
#define TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

typedef enum { FORM_D, FORM_C, FORM_KD, FORM_KC } UnicodeForm;
enum {
    UC_LETTER = 1 << 0,  /* L */
    UC_NUMBER = 1 << 1,  /* N */
    UC_SPACE = 1 << 2,   /* White_Space */
    UC_PUNCT = 1 << 3,   /* P, and every ASCII symbol */
    UC_WORD = 1 << 4,    /* \w of the library: alphabetic, mark, decimal digit, connector, joiner */
    UC_CONTROL = 1 << 5, /* C, unassigned characters not among them */
    UC_ACCENT = 1 << 6,  /* Mn */
    UC_MARK = 1 << 7,    /* M */
    UC_JOINS = 1 << 8,   /* belongs to the character before it when forms are made */
    UC_CHANGES = 1 << 9  /* << form: that form of the character alone is another text */
};

extern const uint8_t UNICODE_ASCII[128];
uint32_t unicode_class_beyond(uint32_t c); /* ASCII */
uint32_t unicode_next_beyond(const char *p, size_t left, size_t *n);

static inline uint32_t unicode_class(uint32_t c) /* of U+0000 to U+10FFFF */
{
    return c < 0x80 ? UNICODE_ASCII[c] : unicode_class_beyond(c);
}

/* The character at p, left > 0 bytes before the end, and its bytes; a malformed byte is U+FFFD, of one byte. */
static inline uint32_t unicode_next(const char *p, size_t left, size_t *n)
{
    *n = 1;
    return *p & 0x80 ? unicode_next_beyond(p, left, n) : (uint32_t)*p;
}

uint32_t unicode_before(const char *text, size_t at, size_t *n); /* the one that ends at `at` > 0 */
size_t unicode_put(char out[4], uint32_t c);                     /* its bytes as UTF-8 */
size_t unicode_lower(uint32_t out[2], uint32_t c);               /* one character or, of U+0130, two */
bool unicode_is_cjk(uint32_t c); /* the ideographs that BERT sets apart; from U+2B920, as the library has it */
/* A normal form of a stretch of valid UTF-8 without NUL, on the arena. */
char *unicode_form(Arena *, const char *text, size_t n, UnicodeForm, size_t *len);

#endif
