/* Rows are collected as pairs, sorted when they are complete, and taken apart at the end. */
#include "learn/sparse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

SparseRows sparse_begin(Arena *a, int64_t across)
{
    CHECK(across <= INT32_MAX, "a sparse matrix of %lld columns", (long long)across);
    SparseRows r = {.arena = a, .across = across};
    GROW(a, r.start, 0, r.line_room, 1024);
    return r;
}

void sparse_add(SparseRows *r, int64_t index, double value)
{
    CHECK(index >= 0 && index < r->across, "column %lld of %lld", (long long)index, (long long)r->across);
    if (fpclassify(value) == FP_ZERO) return;
    GROW(r->arena, r->entry, r->entries, r->room, 4096);
    r->entry[r->entries++] = (SparseEntry){(int32_t)index, value};
}

static int by_index(const void *a, const void *b)
{
    const SparseEntry *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

void sparse_next(SparseRows *r)
{
    int64_t from = r->start[r->lines], n = r->entries - from;
    if (n > 1) qsort(r->entry + from, (size_t)n, sizeof *r->entry, by_index);
    GROW(r->arena, r->start, r->lines + 1, r->line_room, 1024);
    r->start[++r->lines] = r->entries;
}

void sparse_copy(SparseRows *r, const Sparse *m, int64_t line)
{
    for (int64_t e = m->start[line]; e < m->start[line + 1]; e++) sparse_add(r, m->index[e], m->value[e]);
    sparse_next(r);
}

Sparse sparse_end(SparseRows *r)
{
    Sparse m = {.lines = r->lines, .across = r->across, .start = r->start};
    m.index = NEW(r->arena, int32_t, r->entries + 1);
    m.value = NEW(r->arena, double, r->entries + 1);
    for (int64_t e = 0; e < r->entries; e++) m.index[e] = r->entry[e].index, m.value[e] = r->entry[e].value;
    return m;
}

Sparse sparse_dense(Arena *a, const double *x, int64_t lines, int64_t across)
{
    SparseRows r = sparse_begin(a, across);
    for (int64_t i = 0; i < lines; i++, sparse_next(&r))
        for (int64_t j = 0; j < across; j++) sparse_add(&r, j, x[i * across + j]);
    return sparse_end(&r);
}

Sparse sparse_turn(Arena *a, const Sparse *m)
{
    int64_t entries = m->start[m->lines];
    Sparse t = {.lines = m->across, .across = m->lines, .start = NEW(a, int64_t, m->across + 2)};
    t.index = NEW(a, int32_t, entries + 1), t.value = NEW(a, double, entries + 1);
    int64_t *next = t.start + 1; /* where the next entry of a line goes; in the end, where the line ends */
    for (int64_t e = 0; e < entries; e++) next[m->index[e] + 1]++;
    for (int64_t j = 0; j < m->across; j++) next[j + 1] += next[j];
    for (int64_t i = 0; i < m->lines; i++)
        for (int64_t e = m->start[i]; e < m->start[i + 1]; e++) {
            int64_t to = next[m->index[e]]++;
            t.index[to] = (int32_t)i, t.value[to] = m->value[e];
        }
    return t;
}

Sparse sparse_pick(Arena *a, const Sparse *m, const int32_t *line, int64_t n)
{
    SparseRows r = sparse_begin(a, m->across);
    for (int64_t i = 0; i < n; i++) sparse_copy(&r, m, line[i]);
    return sparse_end(&r);
}

void sparse_scatter(double *out, const Sparse *m, int64_t line)
{
    for (int64_t e = m->start[line]; e < m->start[line + 1]; e++) out[m->index[e]] = m->value[e];
}

void sparse_clear(double *out, const Sparse *m, int64_t line)
{
    for (int64_t e = m->start[line]; e < m->start[line + 1]; e++) out[m->index[e]] = 0;
}

void sparse_moments(double *mean, double *sd, const Sparse *m)
{
    double n = (double)m->lines;
    int64_t entries = m->start[m->lines];
    memset(mean, 0, sizeof *mean * (size_t)m->across);
    for (int64_t j = 0; j < m->across; j++) sd[j] = n; /* zeros of the column, until they are counted */
    for (int64_t e = 0; e < entries; e++) mean[m->index[e]] += m->value[e], sd[m->index[e]] -= 1;
    for (int64_t j = 0; j < m->across; j++) mean[j] /= n, sd[j] *= mean[j] * mean[j];
    for (int64_t e = 0; e < entries; e++) {
        double d = m->value[e] - mean[m->index[e]];
        sd[m->index[e]] += d * d;
    }
    for (int64_t j = 0; j < m->across; j++) {
        sd[j] = sqrt(sd[j] / n);
        if (sd[j] <= 1e-12 * fabs(mean[j])) sd[j] = 1; /* equal values, but for the rounding of their mean */
    }
}
