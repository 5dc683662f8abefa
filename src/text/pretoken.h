/* GPT-2 pre-tokenisation: text is cut into words before any merge happens, and no merge crosses a cut.
 *
 * Alternatives, in order: a contraction ('s 't 're 've 'm 'll 'd); an optional space and letters; an optional
 * space and numbers; an optional space and a run of neither white space, letters nor numbers; white space not
 * followed by anything else (so the last space stays with the next word); white space.  Letters and numbers are
 * the Unicode classes L and N, white space is Unicode's White_Space.  Every byte belongs to exactly one word;
 * a run of bytes that is not valid UTF-8 is a word of its own, so any input can be cut.
 * Source: Radford et al., "Language models are unsupervised multitask learners", 2019 (encoder.py).
 *
 *   Words w = pretoken_open(text, len);
 *   for (size_t begin, end; pretoken_next(&w, &begin, &end);) ...
 */
#ifndef TEXT_PRETOKEN_H
#define TEXT_PRETOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

typedef struct {
    const char *text;
    size_t len, at; /* the next word begins at `at` */
} Pretokens;

Pretokens pretoken_open(const char *text, size_t len);       /* the text must outlive the cursor */
bool pretoken_next(Pretokens *, size_t *begin, size_t *end); /* false at the end of the text */

size_t pretoken_space_back(const char *text, size_t from,
                           size_t to); /* where the white space that ends at `to` begins */
size_t pretoken_space_skip(const char *text, size_t from,
                           size_t to); /* where the white space that begins at `from` ends */

#endif
