/* A view chooses what of the maps is shown: with or without the prefix, by token or by groups of tokens. */
#include "analysis/view.h"

View view_of(Arena *a, const PageAttention *x, const Tokens *rows, const Tokens *cols)
{
    View v = {.by = x->by, .without_prefix = x->without_prefix};
    v.row = (Groups){.n = rows->n, .label = rows->label};
    v.col = (Groups){.n = cols->n, .label = cols->label};
    if (!x->by) return v;
    v.row = groups_of(a, x->by, rows);
    v.col = cols == rows ? v.row : groups_of(a, x->by, cols);
    return v;
}

Tensor view_map(Arena *a, const View *v, Tensor map, int64_t prefix)
{
    if (v->without_prefix && prefix) map = maps_text(a, map, prefix), prefix = 0;
    return v->by ? map_grouped(a, map, prefix, &v->row, &v->col) : map;
}

void view_maps(const View *v, Maps *m)
{
    if (v->without_prefix) m->s -= m->prefix, m->prefix = 0;
    if (!v->by) return;
    m->probs = NULL; /* those of tokens */
    m->t = v->row.n, m->s = m->prefix + v->col.n;
    m->query = m->key = NULL;
    m->special = v->col.special, m->changed = v->col.changed;
    m->unordered = v->by == BY_SIDES;
}
