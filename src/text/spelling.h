/* Bytes as the vocabularies of byte-level BPE spell them: 33-126, 161-172 and 174-255 stand for themselves, the other
 * 68 in increasing order for U+0100 and up, so that a space is U+0120. */
#ifndef TEXT_SPELLING_H
#define TEXT_SPELLING_H

#include <stddef.h>

size_t bpe_spell(char out[2], int byte); /* its length, 1 or 2 */
size_t bpe_unspell(char *out, const char *piece,
                   size_t n); /* the other way; a piece with another character is copied */

#endif
