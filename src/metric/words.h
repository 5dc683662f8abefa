/* Words as numbers, so that the message metrics compare and count without touching text again.
 *
 * A Lexicon gives every different word the number of its first appearance; words and texts live on its arena. */
#ifndef METRIC_WORDS_H
#define METRIC_WORDS_H

#include "base/file.h"
#include "base/table.h"

typedef struct {
    Arena *arena;
    Table number;
    Bytes *word; /* (number.count) by number */
    int64_t room;
} Lexicon;
typedef struct {
    int64_t n;
    int32_t *id; /* (n) */
} Words;

Lexicon lexicon_open(Arena *);
int32_t lexicon_add(Lexicon *, const char *word, size_t n); /* the old number or a new one */

Words words_split(Lexicon *, const char *text, size_t n);  /* runs without ASCII white space */
Words words_blanks(Lexicon *, const char *text, size_t n); /* between single blanks: there may be empty words */
/* Runs of letters and digits, and every other character that is no white space (Unicode's classes; the underscore is
 * such a character).  Bytes that are not UTF-8 are left out. */
Words words_and_signs(Lexicon *, const char *text, size_t n);

/* A lower-case copy and a final NUL, by Unicode's full mapping as in Python's str.lower, whatever the locale: its
 * length may differ.  Bytes that are not UTF-8 stay. */
Bytes words_lower(Arena *, const char *text, size_t n);

#endif
