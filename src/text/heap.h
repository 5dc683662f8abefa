/* A binary heap of (key, tie, value): the smallest key comes out first, and of equal keys the smallest tie. */
#ifndef TEXT_HEAP_H
#define TEXT_HEAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

typedef struct {
    uint64_t key, tie, value;
} HeapItem;

typedef struct {
    Arena *arena;
    HeapItem *item;
    int64_t n, room;
} Heap;

Heap heap_open(Arena *, int64_t expected);
void heap_push(Heap *, HeapItem);
bool heap_pop(Heap *, HeapItem *out); /* false when empty */

#endif
