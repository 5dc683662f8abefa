/* A set of texts as a tree of their bytes.  It is filled in a table of edges and then packed into one array, where
 * a step is an addition and a comparison (a double array: Aoe, IEEE Transactions on Software Engineering 15, 1989):
 * the child of a node by a byte is the unit base + byte, if that unit says that it belongs to the node.  Nodes are
 * packed in the order in which they were added, so that those of frequent pieces lie together.
 *
 *   TrieEdges e = trie_edges(&scratch);
 *   trie_add(&e, "ab", 2, 7, false);
 *   Trie t = trie_pack(&e, &run);
 *   for (int32_t node = 0; (node = trie_step(&t, node, *p)) >= 0; p++) if (t.unit[node].leaf >= 0) ... */
#ifndef TEXT_TRIE_H
#define TEXT_TRIE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

typedef struct {
    int32_t base;   /* of its children */
    int32_t parent; /* -1: an unused unit, or the root */
    int32_t leaf;   /* the id of the text that ends here, or -1 */
    float value;    /* the owner's, 0 at first: a number that is looked up often lies beside */
} TrieUnit;
typedef struct {
    TrieUnit *unit; /* unit 0 is the root; NULL: an empty set */
    int32_t units;
} Trie;

/* The child of a node, or -1. */
static inline int32_t trie_step(const Trie *t, int32_t node, unsigned char byte)
{
    if (!t->unit) return -1;
    int32_t at = t->unit[node].base + byte;
    return t->unit[at].parent == node ? at : -1;
}

typedef struct {
    uint64_t key;        /* (node << 8 | byte) + 1; 0: empty */
    int32_t child, leaf; /* the text that ends there, or -1 */
} TrieEdge;
typedef struct { /* open addressing, at most half full */
    Arena *arena;
    TrieEdge *edge;
    uint64_t mask;
    int32_t nodes; /* but the root */
} TrieEdges;
TrieEdges trie_edges(Arena *);
/* A text of n > 0 bytes.  Returns the id that it has already, or -1; the old one stays, or gives way to the later. */
int32_t trie_add(TrieEdges *, const char *text, int64_t n, int32_t id, bool later);
Trie trie_pack(const TrieEdges *, Arena *); /* another arena than that of the edges */

#endif
