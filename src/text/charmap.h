/* The character map of a SentencePiece model: a double array (Darts) from texts to their replacements. */
#ifndef TEXT_CHARMAP_H
#define TEXT_CHARMAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

typedef struct {
    const uint32_t *unit; /* NULL: an empty map */
    int64_t units;
    const char *replacement; /* texts, each with a final NUL */
    int64_t bytes;
} CharMap;

Status charmap_read(CharMap *, Arena *, const char *bytes, size_t n, const char *path);
Status charmap_read_base64(CharMap *, Arena *, const char *text, const char *path);
/* The longest, or the shortest, key that begins the text: its bytes (0: none) and its replacement. */
int64_t charmap_longest(const CharMap *, const char *at, int64_t left, const char **to);
int64_t charmap_shortest(const CharMap *, const char *at, int64_t left, const char **to);

#endif
