/* Packing places the children of one node after the other: the first place in a short list of free units where all of
 * them fit, or else behind all units, so that hostile sets take no longer than others. */
#include "text/trie.h"

#include <stdlib.h>

#include "base/err.h"

enum { BYTES = 256, TRIES = 32 };

/* ---- edges ---- */

static TrieEdge *seek(const TrieEdges *t, uint64_t key)
{
    for (uint64_t i = key * 0x9e3779b97f4a7c15ULL >> 32;; i++) {
        TrieEdge *e = &t->edge[i & t->mask];
        if (e->key == key || !e->key) return e;
    }
}

static void grow(TrieEdges *t)
{
    const TrieEdges old = *t;
    uint64_t room = old.edge ? 2 * (old.mask + 1) : 64;
    t->edge = NEW(t->arena, TrieEdge, (int64_t)room);
    t->mask = room - 1;
    for (uint64_t i = 0; old.edge && i <= old.mask; i++)
        if (old.edge[i].key) *seek(t, old.edge[i].key) = old.edge[i];
}

TrieEdges trie_edges(Arena *a)
{
    return (TrieEdges){.arena = a};
}

int32_t trie_add(TrieEdges *t, const char *text, int64_t n, int32_t id, bool later)
{
    int32_t node = 0;
    TrieEdge *e = NULL;
    for (int64_t i = 0; i < n; i++) {
        if (!t->edge || 2 * ((uint64_t)t->nodes + 1) > t->mask) grow(t);
        uint64_t key = ((uint64_t)node << 8 | (unsigned char)text[i]) + 1;
        e = seek(t, key);
        if (!e->key) *e = (TrieEdge){key, ++t->nodes, -1};
        node = e->child;
    }
    int32_t before = e->leaf;
    if (before < 0 || later) e->leaf = id;
    return before;
}

/* ---- packing ---- */

typedef struct {
    TrieUnit *unit;
    int32_t n, free; /* units in use end before n; none before `free` is unused */
    int64_t room;
    Arena *arena;
} Packing;

static void reserve(Packing *p, int64_t units)
{
    if (units <= p->room) return;
    int64_t room = 2 * units;
    p->unit = arena_grow(p->arena, p->unit, sizeof *p->unit * (size_t)p->room, sizeof *p->unit * (size_t)room);
    for (int64_t i = p->room; i < room; i++) p->unit[i] = (TrieUnit){0, -1, -1, 0};
    p->room = room;
}

static bool fits(const Packing *p, int32_t base, const unsigned char *byte, int n)
{
    for (int i = 0; i < n; i++)
        if (p->unit[base + byte[i]].parent >= 0) return false;
    return true;
}

/* A base for children by these bytes, ascending. */
static int32_t base_for(Packing *p, const unsigned char *byte, int n)
{
    reserve(p, (int64_t)p->n + 2 * BYTES);
    while (p->unit[p->free].parent >= 0) p->free++;
    int32_t at = p->free;
    for (int tries = 0; tries < TRIES && at < p->n; tries++) {
        if (at >= byte[0] && fits(p, at - byte[0], byte, n)) return at - byte[0];
        for (at++; at < p->n && p->unit[at].parent >= 0;) at++;
    }
    return p->n > byte[0] ? p->n - byte[0] : 0;
}

static int by_key(const void *a, const void *b)
{
    const TrieEdge *x = *(const TrieEdge *const *)a, *y = *(const TrieEdge *const *)b;
    return (x->key > y->key) - (x->key < y->key);
}

/* The edges in order of their nodes, and by byte within one. */
static const TrieEdge **sorted(const TrieEdges *t, Arena *a)
{
    const TrieEdge **list = NEW(a, const TrieEdge *, t->nodes + 1);
    int64_t n = 0;
    for (uint64_t i = 0; i <= t->mask; i++)
        if (t->edge[i].key) list[n++] = &t->edge[i];
    qsort(list, (size_t)n, sizeof *list, by_key);
    return list;
}

Trie trie_pack(const TrieEdges *t, Arena *a)
{
    if (!t->edge) return (Trie){0};
    CHECK(t->arena != a, "the edges lie on the arena of the trie");
    Packing p = {.arena = a, .n = 1, .free = 1};
    ArenaMark mark = arena_mark(t->arena);
    const TrieEdge **edge = sorted(t, t->arena);
    int32_t *place = NEW(t->arena, int32_t, t->nodes + 1); /* the unit of a node; that of the root is 0 */
    reserve(&p, 2 * BYTES);
    for (int32_t i = 0, n; i < t->nodes; i += n) {
        unsigned char byte[BYTES];
        int32_t node = (int32_t)((edge[i]->key - 1) >> 8);
        for (n = 0; i + n < t->nodes && (int32_t)((edge[i + n]->key - 1) >> 8) == node; n++)
            byte[n] = (unsigned char)(edge[i + n]->key - 1);
        int32_t base = p.unit[place[node]].base = base_for(&p, byte, n);
        for (int32_t k = 0; k < n; k++) {
            p.unit[base + byte[k]] = (TrieUnit){0, place[node], edge[i + k]->leaf, 0};
            place[edge[i + k]->child] = base + byte[k];
            if (base + byte[k] >= p.n) p.n = base + byte[k] + 1;
        }
    }
    reserve(&p, (int64_t)p.n + BYTES);
    arena_drop(t->arena, mark);
    return (Trie){p.unit, p.n};
}
