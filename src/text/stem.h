/* Two stemmers for English, each as the metric that uses it has it.
 *
 *   stem_english   Snowball's "english" (Porter2), which METEOR 1.5 uses; snowballstem.org/algorithms/english
 *   stem_porter    Porter's algorithm (Program 14, 1980) with the amendments of nltk 3's default mode, which nltk's
 *                  METEOR uses: short -ies, -ied, y after one consonant, -alli, -fulli, -logi, a list of irregulars
 *
 * Words are lower-case UTF-8 without white space; bytes beyond ASCII count as consonants.  `out` has room for n + 2
 * bytes, is not `word`, and gets no final NUL.  The result is the stem's length. */
#ifndef TEXT_STEM_H
#define TEXT_STEM_H

#include <stddef.h>

size_t stem_english(char *out, const char *word, size_t n);
size_t stem_porter(char *out, const char *word, size_t n);

#endif
