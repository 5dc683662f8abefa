/* What a Split or a Replace looks for: a text, one character of some class, or a regular expression.  The expressions
 * of GPT-2, Llama 3 and Qwen2 are matched by scanners (pretoken.h), all others by PCRE2, whose dialect is brought
 * close to Oniguruma's, the library's: \s and \w have its Unicode meaning, ^ and $ stand at every line.
 *
 *   Matches m = pattern_matches(&p, text, len);
 *   for (size_t begin, end; matches_next(&m, &begin, &end);) ...  */
#ifndef TEXT_PATTERN_H
#define TEXT_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "text/pretoken.h"

typedef struct {
    enum { PATTERN_TEXT, PATTERN_CLASS, PATTERN_SCAN, PATTERN_REGEX } kind;
    const char *text; /* PATTERN_TEXT */
    size_t len;
    uint32_t class; /* PATTERN_CLASS: bits of text/unicode.h, each such character is a match */
    Scan scan;
    struct Regex *regex; /* one thread at a time */
} Pattern;

Status pattern_read(Pattern *, Arena *, const char *regex, const char *where); /* E_FORMAT: PCRE2's message */
void pattern_close(Pattern *);

typedef struct {
    const Pattern *pattern;
    const char *text;
    size_t len, at, last; /* where the search goes on; where the match before ends */
} Matches;
Matches pattern_matches(const Pattern *, const char *text, size_t len);
bool matches_next(Matches *, size_t *begin, size_t *end); /* an empty match is never next to the one before */

#endif
