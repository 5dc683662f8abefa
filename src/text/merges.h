/* The merges of a BPE: which two neighbours become which piece, and in which order.  Open addressing, at most half
 * full, because the look-up is the innermost step of encoding. */
#ifndef TEXT_MERGES_H
#define TEXT_MERGES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

#define NO_MERGE UINT64_MAX
typedef struct {
    uint64_t pair, value; /* left << 32 | right; rank << 32 | id of the result */
} Merge;
typedef struct {
    Merge *at;
    uint64_t mask; /* slots - 1 */
    int64_t n;
} Merges;

/* A pair that is there already gets the new rank; false. */
bool merges_add(Merges *, Arena *, int32_t left, int32_t right, int64_t rank, int32_t id);

static inline uint64_t merge_pair(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

/* The slot of the pair, or the empty one where it belongs. */
static inline Merge *merge_slot(const Merges *m, uint64_t pair)
{
    for (uint64_t i = pair * 0x9E3779B97F4A7C15u >> 32;; i++) {
        Merge *at = &m->at[i & m->mask];
        if (at->pair == pair || at->pair == NO_MERGE) return at;
    }
}

/* Rank and result, NO_MERGE when the two do not merge: the lowest value is the one to do first. */
static inline uint64_t merge_of(const Merges *m, int32_t left, int32_t right)
{
    return m->at ? merge_slot(m, merge_pair(left, right))->value : NO_MERGE;
}

#endif
