/* A line of code as JITLine (Pornprasit and Tantithamthavorn, MSR 2021) cleans it for models that know words alone:
 *
 *   1  ( ) { } [ ] . : ; ,          each becomes a blank
 *   2  blank, underscore, blank     becomes an underscore
 *   3  from the first to the last pair of backquotes, then ', then "      becomes <STR>
 *   4  a run of decimal digits      becomes <NUM>, within identifiers, too
 *   5  white space                  one blank between words, none at the ends */
#ifndef TEXT_CODECLEAN_H
#define TEXT_CODECLEAN_H

#include "base/str.h"

char *code_clean(Arena *, const char *line, size_t n, size_t *len);
/* Takes the next word of a cleaned line. */
static inline bool code_word(const char **rest, const char **word, size_t *n)
{
    return **rest && str_next(rest, " ", word, n);
}

#endif
