/* The rows that a layer computes: of its queries only those that are kept, and rows of unequal length without their
 * padding where a stack may run so.  Dropout and attention keep the numbers of their elements, so packing changes
 * nothing but the rows of padding. */
#include "nn/block.h"
#include "nn/trunk.h"

/* Rows of the given lengths, or of T. */
static Pack *pack_new(Arena *a, int64_t b, int64_t t, const int32_t *len)
{
    Pack *k = NEW(a, Pack, 1);
    int32_t *at = NEW(a, int32_t, b + 1);
    for (int64_t i = 0; i < b; i++) at[i + 1] = at[i] + (len ? len[i] : (int32_t)t);
    *k = (Pack){b, t, at};
    return k;
}

/* Whether the rows of this pass may leave their padding out: every row sees all tokens of its text and nothing else,
 * and whoever looks in treats each row by itself. */
static bool packs(const Pass *p, const Stack *s, const Rows *r)
{
    int64_t n = 0;
    if (!r->len || r->mask || r->sees || r->even || r->causal || r->at || r->bias || r->layer_bias || r->memory ||
        p->cache || (p->below && p->below->out) || s->causal || s->rope_dims || !hooks_by_row(p->hooks, s->part))
        return false;
    for (int64_t b = 0; b < r->b; b++) {
        n += r->len[b];
        if (r->len[b] < 1 || r->len[b] > r->t) return false;
    }
    for (int64_t i = 0; r->keep && i < r->b * r->k; i++)
        if (r->keep[i] >= r->len[i / r->k]) return false;
    return n + n / 64 < r->b * r->t;
}

bool rows_pack(const Pass *p, const Stack *s, Rows *r)
{
    if (!packs(p, s, r)) return false;
    Arena *a = tape_arena(p->tape);
    r->pack = pack_new(a, r->b, r->t, r->len);
    if (!r->keep) return true;
    int32_t *packed = NEW(a, int32_t, r->b * r->k);
    for (int64_t i = 0; i < r->b * r->k; i++) packed[i] = r->keep[i] < 0 ? -1 : r->pack->at[i / r->k] + r->keep[i];
    r->kept = pack_new(a, r->b, r->k, NULL);
    r->packed = packed;
    return true;
}

Var *rows_kept(Tape *t, Var *x, const Rows *r)
{
    return r->pack ? op_rows(t, x, r->packed, 1, r->b * r->k) : op_rows(t, x, r->keep, r->b, r->k);
}

/* The positions of the queries: needed where they are not simply the last rows of the content. */
const int32_t *rows_positions(Pass *p, const Rows *r, bool prune)
{
    if (!prune) return r->at;
    if (!r->at) return r->keep;
    int32_t *at = NEW(tape_arena(p->tape), int32_t, r->b * r->k);
    for (int64_t i = 0; i < r->b * r->k; i++) at[i] = r->keep[i] < 0 ? -1 : r->at[i / r->k * r->t + r->keep[i]];
    return at;
}

/* The angles of the queries among those of all rows. */
const int32_t *rows_angles(Pass *p, const Rows *r, const Turn *w)
{
    int32_t *row = NEW(tape_arena(p->tape), int32_t, r->b * r->k);
    for (int64_t i = 0; i < r->b * r->k; i++)
        row[i] = r->keep[i] < 0 ? 0 : (int32_t)((i / r->k * r->t + r->keep[i]) % w->rows);
    return row;
}

/* The row of a batch (B,T) that row i of a layer's output is, or -1. */
static int64_t row_of(const Pass *p, int64_t i)
{
    const Rows *r = p->rows;
    if (p->pruned) return r->keep[i] < 0 ? -1 : i / r->k * r->t + r->keep[i];
    if (!r->pack) return i;
    int64_t b = 0;
    while (i >= r->pack->at[b + 1]) b++;
    return b * r->t + i - r->pack->at[b];
}

void rows_places(const Pass *p, int64_t n, int32_t *place, int32_t *length)
{
    const Rows *r = p->rows;
    CHECK(r, "places of rows outside of a layer");
    const int64_t prompt = r->at && p->cache ? p->cache->prompt : r->prompt;
    for (int64_t i = 0; i < n; i++) {
        int64_t row = row_of(p, i), b = row / r->t;
        place[i] = length[i] = -1;
        if (row < 0) continue;
        int64_t at = (r->at ? r->at[row] : row % r->t) - prompt, len = (r->len ? r->len[b] : r->t) - prompt;
        if (at >= 0 && (r->at || at < len)) place[i] = (int32_t)at, length[i] = (int32_t)len;
    }
}
