/* The words of a text as byte-level tokenizers cut it before merging, by hand-written scanners for the patterns of
 * GPT-2, Llama 3 and Qwen2.  GPT-2 takes, in this order: the contractions 's 't 're 've 'm 'll 'd; a space and
 * letters; a space and numbers; a space and anything else that is no white space; white space, whose last character
 * stays with a word that follows it.  Llama 3 folds the case of contractions, lets any one character begin a word of
 * letters, cuts numbers into threes (Qwen2: single digits), and ends runs of symbols and of blanks behind a line's
 * end.  Every byte belongs to exactly one word; a run of bytes that is not valid UTF-8 is a word of its own, so any
 * input can be cut.
 * Source: Radford et al., "Language models are unsupervised multitask learners", 2019 (encoder.py).
 *
 *   Pretokens w = pretoken_open(SCAN_GPT2, text, len);
 *   for (size_t begin, end; pretoken_next(&w, &begin, &end);) ...
 */
#ifndef TEXT_PRETOKEN_H
#define TEXT_PRETOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

typedef enum { SCAN_GPT2, SCAN_LLAMA3, SCAN_QWEN2, SCANS } Scan;
extern const char *const SCAN_PATTERN[SCANS]; /* the regular expressions that files spell */

typedef struct {
    Scan scan;
    const char *text;
    size_t len, at; /* the next word begins at `at` */
} Pretokens;

Pretokens pretoken_open(Scan, const char *text, size_t len); /* the text must outlive the cursor */
bool pretoken_next(Pretokens *, size_t *begin, size_t *end); /* false at the end of the text */

size_t pretoken_space_back(const char *text, size_t from,
                           size_t to); /* where the white space that ends at `to` begins */
size_t pretoken_space_skip(const char *text, size_t from,
                           size_t to); /* where the white space that begins at `from` ends */

#endif
