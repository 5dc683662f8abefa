/* The longest common subsequence by dynamic programming with one row of memory.  Words that only one text has are
 * dropped before: they cannot be part of it. */
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

int64_t rouge_lcs(Arena *scratch, Words a, Words b)
{
    ArenaMark mark = arena_mark(scratch);
    a = shared(scratch, a, b), b = shared(scratch, b, a);
    int64_t *best = arena_zero(scratch, sizeof *best * (size_t)(b.n + 1)); /* best[j]: of a's head and b's first j */
    for (int64_t i = 0; i < a.n; i++) {
        int64_t diagonal = 0;
        for (int64_t j = 1; j <= b.n; j++) {
            int64_t above = best[j];
            if (a.id[i] == b.id[j - 1])
                best[j] = diagonal + 1;
            else if (best[j - 1] > best[j])
                best[j] = best[j - 1];
            diagonal = above;
        }
    }
    int64_t length = best[b.n];
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
