/* Sparse matrices, compressed by rows or by columns: entry e of line i lies at start[i] <= e < start[i+1], and only
 * non-zero values are entries.
 *
 *     SparseRows grow = sparse_begin(&run, columns);
 *     sparse_add(&grow, 17, 2.5);               in any order of columns, each at most once a row
 *     sparse_next(&grow);                       the row is complete
 *     Sparse x = sparse_end(&grow);
 *     Sparse by_column = sparse_turn(&run, &x); */
#ifndef LEARN_SPARSE_H
#define LEARN_SPARSE_H

#include <stdint.h>

#include "base/arena.h"

typedef struct {
    int64_t lines, across; /* rows and columns, or columns and rows where it is compressed by columns */
    int64_t *start;        /* (lines + 1) */
    int32_t *index;        /* (start[lines]) ascending within a line */
    double *value;
} Sparse;

typedef struct {
    int32_t index;
    double value;
} SparseEntry;
typedef struct {
    Arena *arena;
    int64_t across, lines, line_room, entries, room;
    int64_t *start;
    SparseEntry *entry;
} SparseRows;
SparseRows sparse_begin(Arena *, int64_t across);
void sparse_add(SparseRows *, int64_t index, double value); /* zero: no entry */
void sparse_next(SparseRows *);
void sparse_copy(SparseRows *, const Sparse *, int64_t line); /* a row as it stands in another matrix, complete */
Sparse sparse_end(SparseRows *);

Sparse sparse_dense(Arena *, const double *x, int64_t lines, int64_t across); /* of a full array */
Sparse sparse_turn(Arena *, const Sparse *);                                  /* compressed the other way */
Sparse sparse_pick(Arena *, const Sparse *, const int32_t *line, int64_t n);  /* these rows, in this order */
void sparse_scatter(double *out, const Sparse *, int64_t line); /* the entries of a row into a full one of zeros */
void sparse_clear(double *out, const Sparse *, int64_t line);   /* and zeros there again */

/* Mean and standard deviation (divisor: rows) of each column; a deviation of 0 becomes 1. */
void sparse_moments(double *mean, double *sd, const Sparse *rows);

#endif
