/* The textbook sift-up and sift-down; the array doubles on its arena when full. */
#include "text/heap.h"

#include <string.h>

static bool before(HeapItem a, HeapItem b)
{
    return a.key < b.key || (a.key == b.key && a.tie < b.tie);
}

Heap heap_open(Arena *a, int64_t expected)
{
    return (Heap){a, arena_take(a, sizeof(HeapItem) * (size_t)expected), 0, expected};
}

void heap_push(Heap *h, HeapItem x)
{
    GROW(h->arena, h->item, h->n, h->room, 256);
    int64_t i = h->n++;
    for (; i > 0 && before(x, h->item[(i - 1) / 2]); i = (i - 1) / 2) h->item[i] = h->item[(i - 1) / 2];
    h->item[i] = x;
}

bool heap_pop(Heap *h, HeapItem *out)
{
    if (h->n == 0) return false;
    *out = h->item[0];
    HeapItem x = h->item[--h->n];
    int64_t i = 0;
    for (int64_t c; (c = 2 * i + 1) < h->n; i = c) {
        if (c + 1 < h->n && before(h->item[c + 1], h->item[c])) c++;
        if (!before(h->item[c], x)) break;
        h->item[i] = h->item[c];
    }
    h->item[i] = x;
    return true;
}
