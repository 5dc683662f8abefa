/* A batch in a fixed number of shards, and a sum over them that does not depend on who computes which.
 *
 * Floating-point addition is not associative, so the order of a sum is part of its result.  Here it is a binary tree
 * over the shards 0 .. n-1: a node of 2^k shards, the first of which is a multiple of 2^k, is its left half plus its
 * right half, and the rest on the right is added last to first.
 *
 *            +                     6 shards: ((0+1) + (2+3)) + (4+5)
 *         /     \
 *       +         +                Ranks compute neighbouring shards and add what is a node of the tree by itself.
 *      / \       / \               Then each rank gets a stretch of the vectors of all others, goes on in the same tree,
 *     +   +     4   5              and hands its stretch of the sum to all: every rank sends and receives about twice
 *    0 1 2 3                       the size of one vector, however many ranks there are. */
#ifndef TRAIN_SHARDS_H
#define TRAIN_SHARDS_H

#include "nn/model.h"

enum { SHARDS_LAUNCHED = 8, SHARDS_MOST = 65536 }; /* the default of a start by mpirun or srun */

/* The batch as n batches, some of them perhaps without rows (b 0).  Rows are sorted by their tokens, the longest first,
 * and cut where a shard has its share of all tokens; a shard is padded to its own longest row. */
Batch *shards_cut(Arena *step, const Batch *, int64_t n);
/* The shards that a rank computes: [first, end). */
int64_t shards_first(int64_t n, int rank, int ranks);

typedef struct {
    int64_t first, n; /* shards */
    void *sum;
} ShardNode;
enum { SHARD_DEPTH = 64 };
typedef struct {
    Arena *arena;
    DType dtype;
    int64_t size;                /* elements of a vector */
    ShardNode node[SHARD_DEPTH]; /* in the order of the shards */
    void *spare[SHARD_DEPTH];    /* vectors that are free again */
    int nodes, spares;
} ShardSum;
ShardSum shard_sum(Arena *, DType, int64_t size);
void *shard_zero(ShardSum *);                      /* a vector to be filled and added */
void shard_add(ShardSum *, ShardNode);             /* the node behind those that are there; completes what it can */
void *shard_total(ShardSum *);                     /* of all shards, the nodes being all there are */
void *shard_total_of_ranks(ShardSum *, int64_t n); /* all ranks: of n shards, the nodes being those of this rank */

#endif
