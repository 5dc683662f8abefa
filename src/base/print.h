/* The one place that prints.  Text from a file, a name or an option is shown, never obeyed: a
 * terminal acts on escape sequences, and marks of direction let a text read otherwise than it is.
 *
 *   print_out("%-20s %s\n", shape, name);      data, to stdout
 *   print_err("%s: %d rows\n", path, n);       remarks, to stderr
 *
 * They are printf and fprintf(stderr), with one difference: in the text of %s and %c, control characters (newline
 * and tab among them), DEL, C1 controls, marks of direction, line separators and bytes that are no UTF-8 appear as
 * \x1B or \u{202E}.  The format itself is the program's own and goes out as it stands.  A width counts characters; a
 * precision counts bytes and leaves out a character that it would cut.  tests/style allows no other way to either
 * stream. */
#ifndef BASE_PRINT_H
#define BASE_PRINT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"

/* All return the number of characters. */
int print_out(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int print_err(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int print_to(FILE *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int print_va(FILE *, const char *fmt, va_list);
/* The same into a buffer: never cut within a character or an escape, always ended by NUL. */
int print_into(char *out, size_t room, const char *fmt, va_list);

/* Of several processes that do the same, one prints.  What ends a process alone is printed by that one. */
void print_quietly(void);
void print_loudly(void);

/* To stdout: `left`, then `text` from `column` on, wrapped at 100 columns and staying in its column. */
void print_item(const char *left, int column, const char *text);
/* To stdout: text of several lines that is laid out already, whose newlines and tabs stay. */
void print_layout(const char *text, size_t n);
/* To stdout, with a newline behind it: a JSON document, in whose strings the same characters become \u escapes and
 * bytes that are no UTF-8 become U+FFFD. */
void print_document(const char *document);

/* For a page: newlines and tabs stay, and bytes that are no UTF-8 become U+FFFD. */
char *text_shown(Arena *, const char *s);

/* The character at s, for those who write text in a form of their own. */
typedef struct {
    size_t bytes;  /* 1 where it is no UTF-8; at least 1 */
    uint32_t code; /* the code point, or the byte that is no UTF-8 */
    bool valid;    /* it is UTF-8 */
    bool obeyed;   /* a control character or a mark of direction; newline and tab are */
} Glyph;
Glyph glyph_at(const char *s, size_t left);
size_t glyph_escape(char out[16], Glyph);   /* \x1B or \u{202E}, ended by NUL; its length */
size_t text_whole(const char *s, size_t n); /* n, less the bytes of a last character that n cuts */

#endif
