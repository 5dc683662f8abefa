/* Strings: formatted on an arena, matched by glob, or grown in a buffer.  All text is UTF-8. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

char *str_print(Arena *, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* on the arena */
char *str_vprint(Arena *, const char *fmt, va_list, size_t *len);                     /* the same; len may be NULL */
char *str_copy(Arena *, const char *s, size_t n);                                     /* n bytes and a final NUL */
bool str_glob(const char *pattern, const char *s); /* '*' any run, '?' one byte, '|' between alternatives */
bool str_real(const char *s, double *out);         /* the whole string is one finite number */
bool str_int(const char *s, int64_t *out);         /* the whole string is one decimal integer */
/* The form of a word that goes with a count: "%lld %s", n, str_plural(n, "commit is", "commits are"). */
const char *str_plural(int64_t n, const char *one, const char *many);
/* Where `word` (which may hold blanks) stands in the text by itself, also with a final s, and not within a name such
 * as "toy/e1"; NULL: nowhere.  Case counts where it has a capital letter. */
const char *str_word(const char *text, const char *word);
size_t utf8_length(const char *s, size_t left); /* bytes of the character that begins there; 0: malformed */
/* The text with U+FFFD for every byte that belongs to no UTF-8 sequence, and for every NUL; *replaced counts up. */
char *utf8_repair(Arena *, const char *s, size_t n, size_t *len, int64_t *replaced);
/* Takes the next item of a list; any byte of `separators` ends one.  An empty item counts, but for one after the
 * last separator ("8,").  The item has no final NUL.  false, and nothing changes, at the end; a list can be NULL.
 *
 *     for (const char *rest = list, *item; str_next(&rest, ",", &item, &n);) ... */
bool str_next(const char **rest, const char *separators, const char **item, size_t *n);
const char *str_nearest(const char *word, const char *const *list); /* closest of a NULL-ended list, or NULL */

/* A growing byte buffer on an arena; text[len] is always NUL. */
typedef struct {
    Arena *arena;
    char *text;
    size_t len, room;
} Buf;
Buf buf_open(Arena *);
void buf_add(Buf *, const char *bytes, size_t n);
void buf_print(Buf *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A key and its value, as settings and options come. */
typedef struct {
    const char *key, *value; /* value NULL: nothing followed the key */
} KeyValue;

#endif
