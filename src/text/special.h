/* Special tokens ("</s>", "<mask>", "__java__") as a text may spell them.  They are looked for before anything else,
 * the longest where several begin; some take the white space on one side with them. */
#ifndef TEXT_SPECIAL_H
#define TEXT_SPECIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

typedef struct {
    const char *text; /* on the arena, NUL-ended */
    size_t len;
    int32_t id;
    bool strip_left, strip_right; /* takes the white space on that side with it */
} Special;

typedef struct {
    Special *at; /* longest first */
    int64_t n;
    bool starts[256]; /* some special begins with this byte */
} Specials;

void special_add(Specials *, Arena *, Special); /* copies the text; a text that is there already keeps its id */
const Special *special_of(const Specials *, int32_t id); /* NULL: that id is none */
const Special *special_find(const Specials *, const char *text, size_t len);
/* The first one spelt out in [from,len), and where; NULL when there is none. */
const Special *special_next(const Specials *, const char *text, size_t from, size_t len, size_t *at);
int64_t special_count(const Specials *, const char *text, size_t len);

#endif
