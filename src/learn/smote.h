/* SMOTE (Chawla et al., JAIR 2002): new rows of the smaller class between a row and one of its nearest neighbours
 * of the same class, as imbalanced-learn draws them,
 *
 *     x = x_i + u (x_j - x_i),   row i = index div k, its neighbour number index mod k, index uniform in 0 .. mk-1,
 *                                u uniform in [0,1)
 *
 * Distances are Euclidean on the columns as they are. */
#ifndef LEARN_SMOTE_H
#define LEARN_SMOTE_H

#include "base/err.h"
#include "learn/sparse.h"

/* The k nearest rows of each of the m rows, the nearest first, of equally near ones the first; (m,k), k < m. */
int32_t *smote_neighbours(Arena *, const Sparse *rows, int64_t k);
/* Appends a new row for each of n given draws. */
void smote_rows(SparseRows *out, const Sparse *rows, const int32_t *neighbour, int64_t k, const int64_t *index,
                const double *u, int64_t n);

typedef struct {
    Sparse rows;    /* the given rows, then the new ones */
    int32_t *label; /* of each */
    int64_t k, new; /* neighbours that were used: at most one less than the smaller class has rows */
} Balanced;
/* As many new rows of label 1 as make both classes equal; none where label 1 has no fewer rows.  E_MISMATCH: fewer
 * than two rows of label 1. */
Status smote_balance(Balanced *out, Arena *, const Sparse *rows, const int32_t *label, int64_t k, uint64_t stream);

#endif
