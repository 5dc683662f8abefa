/* Views of the maps of one part of a model: token by token, or by words, lines or sides (--by); with the
 * columns of a prefix or without (--no-prefix).
 *
 *     View v = view_of(a, x, &tokens, &tokens); // --by and --no-prefix are in x
 *     Tensor one = view_map(a, &v, maps_head(&maps, a, 0, 1), maps.prefix);
 *     view_maps(&v, &maps);                    // which then describes such maps */
#ifndef ANALYSIS_VIEW_H
#define ANALYSIS_VIEW_H

#include "analysis/page.h"

typedef struct {
    By by;
    bool without_prefix;
    Groups row, col; /* without --by their n and labels alone, those of tokens */
} View;

View view_of(Arena *, const PageAttention *, const Tokens *rows, const Tokens *cols);
Tensor view_map(Arena *, const View *, Tensor map, int64_t prefix); /* whose first columns are `prefix` ones */
/* Adapts the sizes and the properties of the keys to this view of each map; with --by there are no more probs. */
void view_maps(const View *, Maps *);

#endif
