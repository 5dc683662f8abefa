/* The longest common subsequence by dynamic programming, 64 columns at a time.  Words that only one text has are
 * dropped before: they cannot be part of it.
 *
 * A row of the table never falls and rises by at most 1 from column to column, so a bit says all: 0 where it rises.
 * From one row to the next v becomes (v + (v & m)) | (v & ~m), where m has a bit for each column whose word is the
 * row's (Hyyro, Bit-Parallel LCS-length Computation Revisited, 2004).  m is kept for each word that there is. */
#include "metric/rouge.h"

#include <string.h>

/* The words of `a` that are in `b`, too: the others are part of no common subsequence. */
static Words shared(Arena *scratch, Words a, Words b)
{
    int32_t most = 0;
    Words out = {0, arena_take(scratch, sizeof *out.id * (size_t)(a.n + 1))};
    for (int64_t j = 0; j < b.n; j++) most = b.id[j] > most ? b.id[j] : most;
    bool *there = NEW(scratch, bool, most + 1);
    for (int64_t j = 0; j < b.n; j++) there[b.id[j]] = true;
    for (int64_t i = 0; i < a.n; i++)
        if (a.id[i] <= most && there[a.id[i]]) out.id[out.n++] = a.id[i];
    return out;
}

/* Places of each word in `b`, as a chain from its last one: at[id] and before[j] are 1 + a place, 0: none. */
typedef struct {
    int64_t *at, *before;
} Places;

static Places places_of(Arena *scratch, Words b)
{
    int32_t most = 0;
    for (int64_t j = 0; j < b.n; j++) most = b.id[j] > most ? b.id[j] : most;
    Places p = {NEW(scratch, int64_t, most + 1), NEW(scratch, int64_t, b.n + 1)};
    for (int64_t j = 0; j < b.n; j++) {
        p.before[j] = p.at[b.id[j]];
        p.at[b.id[j]] = j + 1;
    }
    return p;
}

/* One row of the table: v of `n` blocks, m of the row's word. */
static void next_row(uint64_t *v, const uint64_t *m, int64_t n)
{
    uint64_t carry = 0;
    for (int64_t k = 0; k < n; k++) {
        uint64_t u = v[k] & m[k], sum = v[k] + u, more = sum + carry;
        carry = (sum < v[k]) | (more < sum);
        v[k] = more | (v[k] & ~m[k]);
    }
}

int64_t rouge_lcs(Arena *scratch, Words a, Words b)
{
    ArenaMark mark = arena_mark(scratch);
    a = shared(scratch, a, b), b = shared(scratch, b, a);
    int64_t n = (b.n + 63) / 64, length = 0;
    Places p = places_of(scratch, b);
    uint64_t *v = NEW(scratch, uint64_t, n + 1), *m = NEW(scratch, uint64_t, n + 1);
    memset(v, 0xff, sizeof *v * (size_t)n);
    for (int64_t i = 0; i < a.n; i++) {
        int64_t first = p.at[a.id[i]];
        for (int64_t j = first; j; j = p.before[j - 1]) m[(j - 1) / 64] |= (uint64_t)1 << (j - 1) % 64;
        next_row(v, m, n);
        for (int64_t j = first; j; j = p.before[j - 1]) m[(j - 1) / 64] = 0;
    }
    for (int64_t j = 0; j < b.n; j++) length += !(v[j / 64] >> j % 64 & 1);
    arena_drop(scratch, mark);
    return length;
}

double rouge_l(Arena *scratch, Words h, Words r)
{
    const double square = 1.2 * 1.2;
    double common = (double)rouge_lcs(scratch, h, r);
    if (common <= 0) return 0;
    double precision = common / (double)h.n, recall = common / (double)r.n;
    return (1 + square) * precision * recall / (recall + square * precision);
}
