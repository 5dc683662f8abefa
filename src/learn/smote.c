/* All draws of rows come first, then all draws of places between them, as in imbalanced-learn. */
#include "learn/smote.h"

#include <stdlib.h>

#include "base/rng.h"

typedef struct {
    double distance;
    int32_t row;
} Near;

static int by_distance(const void *a, const void *b)
{
    const Near *x = a, *y = b;
    if (x->distance < y->distance || x->distance > y->distance) return x->distance < y->distance ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* Two rows, walked over side by side along the columns that either of them has. */
typedef struct {
    const Sparse *m;
    int64_t e, f, e_end, f_end;
    int32_t column;
    double x, y; /* there */
} Pair;

static Pair pair_of(const Sparse *m, int64_t i, int64_t j)
{
    return (Pair){m, m->start[i], m->start[j], m->start[i + 1], m->start[j + 1], 0, 0, 0};
}

static bool pair_next(Pair *p)
{
    if (p->e == p->e_end && p->f == p->f_end) return false;
    p->column = p->e < p->e_end ? p->m->index[p->e] : INT32_MAX;
    if (p->f < p->f_end && p->m->index[p->f] < p->column) p->column = p->m->index[p->f];
    p->x = p->e < p->e_end && p->m->index[p->e] == p->column ? p->m->value[p->e++] : 0;
    p->y = p->f < p->f_end && p->m->index[p->f] == p->column ? p->m->value[p->f++] : 0;
    return true;
}

static double squared_distance(const Sparse *m, int64_t i, int64_t j)
{
    double sum = 0;
    for (Pair p = pair_of(m, i, j); pair_next(&p);) sum += (p.x - p.y) * (p.x - p.y);
    return sum;
}

int32_t *smote_neighbours(Arena *a, const Sparse *m, int64_t k)
{
    CHECK(k >= 1 && k < m->lines, "%lld neighbours among %lld rows", (long long)k, (long long)m->lines);
    int32_t *out = NEW(a, int32_t, m->lines * k);
    ArenaMark mark = arena_mark(a);
    Near *near = NEW(a, Near, m->lines);
    for (int64_t i = 0; i < m->lines; i++) {
        int64_t n = 0;
        for (int64_t j = 0; j < m->lines; j++)
            if (j != i) near[n++] = (Near){squared_distance(m, i, j), (int32_t)j};
        qsort(near, (size_t)n, sizeof *near, by_distance);
        for (int64_t j = 0; j < k; j++) out[i * k + j] = near[j].row;
    }
    arena_drop(a, mark);
    return out;
}

static void between(SparseRows *out, const Sparse *m, int64_t i, int64_t j, double u)
{
    for (Pair p = pair_of(m, i, j); pair_next(&p);) sparse_add(out, p.column, p.x + u * (p.y - p.x));
    sparse_next(out);
}

void smote_rows(SparseRows *out, const Sparse *m, const int32_t *neighbour, int64_t k, const int64_t *index,
                const double *u, int64_t n)
{
    for (int64_t i = 0; i < n; i++) between(out, m, index[i] / k, neighbour[index[i]], u[i]);
}

Status smote_balance(Balanced *out, Arena *a, const Sparse *rows, const int32_t *label, int64_t k, uint64_t stream)
{
    int64_t n = rows->lines, m = 0;
    int32_t *mine = NEW(a, int32_t, n + 1);
    for (int64_t i = 0; i < n; i++)
        if (label[i] == 1) mine[m++] = (int32_t)i;
    if (m < 2)
        return err_fail(E_MISMATCH, "%lld row of the smaller class, and SMOTE needs two to draw between",
                        (long long)m);
    *out = (Balanced){.k = k < m ? k : m - 1, .new = n - m > m ? n - m - m : 0};
    Sparse few = sparse_pick(a, rows, mine, m);
    int32_t *neighbour = smote_neighbours(a, &few, out->k);
    int64_t *index = NEW(a, int64_t, out->new + 1);
    double *u = NEW(a, double, out->new + 1);
    for (int64_t i = 0; i < out->new; i++) {
        index[i] = rng_below(rng_mix(stream, 1), (uint64_t)i, m * out->k);
        u[i] = rng_uniform(rng_mix(stream, 2), (uint64_t)i);
    }
    SparseRows grow = sparse_begin(a, rows->across);
    for (int64_t i = 0; i < n; i++) sparse_copy(&grow, rows, i);
    smote_rows(&grow, &few, neighbour, out->k, index, u, out->new);
    out->rows = sparse_end(&grow);
    out->label = NEW(a, int32_t, n + out->new);
    for (int64_t i = 0; i < n + out->new; i++) out->label[i] = i < n ? label[i] : 1;
    return OK;
}
