/* A hash table with open addressing over pairs of ids; it doubles when it is half full. */
#include "text/merges.h"

#include <string.h>

static void resize(Merges *m, Arena *a, int64_t slots)
{
    const Merge *old = m->at;
    int64_t n = old ? (int64_t)m->mask + 1 : 0;
    m->at = arena_take(a, sizeof *old * (size_t)slots);
    memset(m->at, 0xff, sizeof *old * (size_t)slots);
    m->mask = (uint64_t)slots - 1;
    for (int64_t i = 0; i < n; i++)
        if (old[i].pair != NO_MERGE) *merge_slot(m, old[i].pair) = old[i];
}

bool merges_add(Merges *m, Arena *a, int32_t left, int32_t right, int64_t rank, int32_t id)
{
    if (!m->at || 2 * (uint64_t)m->n > m->mask) resize(m, a, m->at ? 2 * ((int64_t)m->mask + 1) : 1024);
    Merge *slot = merge_slot(m, merge_pair(left, right));
    bool new = slot->pair == NO_MERGE;
    *slot = (Merge){merge_pair(left, right), (uint64_t)rank << 32 | (uint32_t)id};
    m->n += new;
    return new;
}
