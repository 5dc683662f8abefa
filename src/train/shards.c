/* Nodes stand in a list as the digits of a binary counter do: one more shard completes the nodes that it is the last
 * of. */
#include "train/shards.h"

#include <stdlib.h>
#include <string.h>

#include "base/ranks.h"
#include "num/kernels.h"

/* ---- rows */

typedef struct {
    int64_t tokens, row;
} Sized;

static int longest_first(const void *a, const void *b)
{
    const Sized *x = a, *y = b;
    if (x->tokens != y->tokens) return x->tokens > y->tokens ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static int64_t longest(const int32_t *len, const Sized *row, int64_t n, int64_t otherwise)
{
    int64_t most = 0;
    for (int64_t i = 0; i < n; i++)
        if (len && len[row[i].row] > most) most = len[row[i].row];
    return len ? most : otherwise;
}

/* The rows' parts of a field with `items` items of `size` bytes, as far as `kept` of them. */
static const void *some(Arena *a, const void *field, const Sized *row, int64_t n, int64_t items, int64_t kept,
                        size_t size)
{
    if (!field) return NULL;
    char *out = arena_take(a, (size_t)(n * kept) * size + 1);
    for (int64_t i = 0; i < n; i++)
        memcpy(out + (size_t)(i * kept) * size, (const char *)field + (size_t)(row[i].row * items) * size,
               (size_t)kept * size);
    return out;
}

/* A mask (T,T) of each row, as far as (t,t). */
static const uint8_t *some_seen(Arena *a, const Batch *x, const Sized *row, int64_t n, int64_t t)
{
    if (!x->sees) return NULL;
    uint8_t *out = arena_take(a, (size_t)(n * t * t) + 1);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < t; j++)
            memcpy(out + (i * t + j) * t, x->sees + (row[i].row * x->t + j) * x->t, (size_t)t);
    return out;
}

static Batch rows_of(Arena *a, const Batch *x, const Sized *row, int64_t n)
{
    Batch y = *x;
    int64_t t = y.t = longest(x->len, row, n, x->t), s = y.s = longest(x->src_len, row, n, x->s);
    y.b = n;
#define TAKE(field, items, kept) y.field = some(a, x->field, row, n, items, kept, sizeof *x->field)
    TAKE(ids, x->t, t);
    TAKE(len, 1, 1);
    TAKE(mask, x->t, t);
    TAKE(position, x->t, t);
    TAKE(type, x->t, t);
    TAKE(span, 2 * x->t, 2 * t);
    TAKE(src, x->s, s);
    TAKE(src_len, 1, 1);
    TAKE(keep, x->k, x->k);
    TAKE(target, x->keep ? x->k : x->t, x->keep ? x->k : t);
    TAKE(label, 1, 1);
    TAKE(row, 1, 1);
#undef TAKE
    y.sees = some_seen(a, x, row, n, t);
    return y;
}

/* A row belongs to the shard in whose share of the tokens its middle lies. */
Batch *shards_cut(Arena *a, const Batch *x, int64_t n)
{
    Batch *shard = NEW(a, Batch, n);
    Sized *row = NEW(a, Sized, x->b);
    int64_t all = 0, before = 0, from = 0;
    for (int64_t i = 0; i < x->b; i++) {
        row[i] = (Sized){(x->len ? x->len[i] : x->t) + (x->src_len ? x->src_len[i] : x->s), i};
        all += row[i].tokens;
    }
    qsort(row, (size_t)x->b, sizeof *row, longest_first);
    for (int64_t k = 0; k < n; k++) {
        int64_t end = from;
        while (end < x->b && (2 * before + row[end].tokens) * n < 2 * all * (k + 1)) before += row[end++].tokens;
        if (k == n - 1) end = x->b;
        shard[k] = rows_of(a, x, row + from, end - from);
        from = end;
    }
    return shard;
}

int64_t shards_first(int64_t n, int rank, int ranks)
{
    return n * rank / ranks;
}

/* ---- the sum */

ShardSum shard_sum(Arena *a, DType dtype, int64_t size)
{
    return (ShardSum){.arena = a, .dtype = dtype, .size = size};
}

static void *vector(ShardSum *s)
{
    return s->spares ? s->spare[--s->spares] : arena_take(s->arena, dtype_size(s->dtype) * (size_t)s->size);
}

void *shard_zero(ShardSum *s)
{
    void *zero = vector(s);
    memset(zero, 0, dtype_size(s->dtype) * (size_t)s->size);
    return zero;
}

static void merge_last(ShardSum *s)
{
    ShardNode *left = &s->node[s->nodes - 2], *right = left + 1;
    kernels_of(s->dtype)->add(left->sum, left->sum, 1, right->sum, s->size);
    left->n += right->n;
    s->spare[s->spares++] = right->sum;
    s->nodes--;
}

void shard_add(ShardSum *s, ShardNode node)
{
    CHECK(s->nodes < SHARD_DEPTH, "a sum of %d nodes", s->nodes);
    s->node[s->nodes++] = node;
    while (s->nodes > 1) {
        const ShardNode *left = &s->node[s->nodes - 2], *right = left + 1;
        if (left->n != right->n || left->first % (2 * left->n)) return;
        merge_last(s);
    }
}

void *shard_total(ShardSum *s)
{
    while (s->nodes > 1) merge_last(s);
    return s->node[0].sum;
}

/* ---- over ranks */

/* The nodes that a rank cannot complete by itself; their count. */
static int nodes_of(ShardNode *out, int64_t n, int rank)
{
    int64_t first = shards_first(n, rank, ranks_size()), end = shards_first(n, rank + 1, ranks_size());
    int count = 0;
    for (; first < end; first += out[count++].n) {
        int64_t size = 1;
        while (first % (2 * size) == 0 && first + 2 * size <= end) size *= 2;
        out[count] = (ShardNode){.first = first, .n = size};
    }
    return count;
}

/* The stretches of a vector, one a rank. */
static int64_t *stretches(const ShardSum *s)
{
    int64_t *cut = NEW(s->arena, int64_t, ranks_size() + 1);
    for (int r = 0; r <= ranks_size(); r++) cut[r] = s->size * r / ranks_size();
    return cut;
}

/* The nodes of all ranks, of which each round takes one a rank, cut down to this rank's stretch. */
static ShardNode *gather(ShardSum *s, int64_t n, const int64_t *cut, int *count)
{
    int ranks = ranks_size(), width = (int)dtype_size(s->dtype), rounds = 0;
    int64_t own = cut[ranks_rank() + 1] - cut[ranks_rank()];
    ShardNode *all = NEW(s->arena, ShardNode, ranks * SHARD_DEPTH);
    int *has = NEW(s->arena, int, ranks);
    bool *gives = NEW(s->arena, bool, ranks);
    void **in = NEW(s->arena, void *, ranks);
    for (int r = 0; r < ranks; r++) {
        has[r] = nodes_of(all + r * SHARD_DEPTH, n, r);
        if (has[r] > rounds) rounds = has[r];
        for (int k = 0; k < has[r]; k++)
            all[r * SHARD_DEPTH + k].sum = arena_take(s->arena, (size_t)(own * width) + 1);
    }
    CHECK(s->nodes == has[ranks_rank()], "a rank has %d nodes, expected %d", s->nodes, has[ranks_rank()]);
    for (int k = 0; k < rounds; k++) {
        for (int r = 0; r < ranks; r++) gives[r] = k < has[r], in[r] = all[r * SHARD_DEPTH + k].sum;
        ranks_deal(in, k < s->nodes ? s->node[k].sum : NULL, cut, gives, width);
    }
    *count = 0;
    for (int r = 0; r < ranks; r++)
        for (int k = 0; k < has[r]; k++) all[(*count)++] = all[r * SHARD_DEPTH + k];
    return all;
}

void *shard_total_of_ranks(ShardSum *s, int64_t n)
{
    if (ranks_size() == 1) return shard_total(s);
    int count, width = (int)dtype_size(s->dtype);
    int64_t *cut = stretches(s), from = cut[ranks_rank()];
    const ShardNode *node = gather(s, n, cut, &count);
    ShardSum mine = shard_sum(s->arena, s->dtype, cut[ranks_rank() + 1] - from);
    for (int i = 0; i < count; i++) shard_add(&mine, node[i]);
    char *total = s->nodes ? s->node[0].sum : vector(s);
    memcpy(total + from * width, shard_total(&mine), (size_t)(mine.size * width));
    ranks_collect(total, cut, width);
    return total;
}
