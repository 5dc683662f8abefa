/* Random forests of classification trees for two classes (Breiman 2001), as scikit-learn grows them: Gini impurity,
 * a bootstrap of the rows for each tree, trees of full depth, and at each node columns drawn without replacement
 * until floor(sqrt(columns)) have been looked at and at least one of them is not constant there.
 *
 * A node with rows of weight w, of which share p has label 1, is split at  x_column <= threshold  where
 * w_l p_l (1 - p_l) + w_r p_r (1 - p_r)  is least; thresholds lie midway between two neighbouring values (F32).
 * A score is the mean over the trees of the share p in the leaf that a row reaches.
 *
 * Trees are exact, and their cost is that of the non-zero entries of the columns they look at (forest_grow.c).
 * They grow on all threads; the forest depends on the seed alone.
 *
 *   Forest *f = forest_grow(&run, &rows, label, &(ForestPlan){.trees = 300, .stream = rng_stream(42, "forest")});
 *   p = forest_score(f, x);                                         x: a full row
 */
#ifndef LEARN_FOREST_H
#define LEARN_FOREST_H

#include <stdbool.h>

#include "io/weights.h"
#include "learn/sparse.h"

typedef struct {
    int64_t trees, columns; /* columns to look at in a node; 0: floor(sqrt(all)) */
    bool no_bootstrap;      /* each tree takes every row once */
    bool balance;           /* in each bootstrap both classes get the same total weight */
    uint64_t stream;
} ForestPlan;

typedef struct {
    int32_t column; /* -1: a leaf */
    int32_t right;  /* the left child follows its parent */
    float threshold;
    float share; /* of label 1, by weight */
} TreeNode;
typedef struct {
    int64_t n;
    TreeNode *node; /* (n) depth first, the root is node 0 */
} Tree;
typedef struct {
    int64_t trees, columns; /* columns of a row */
    Tree *tree;
} Forest;

Forest *forest_grow(Arena *, const Sparse *rows, const int32_t *label, const ForestPlan *);
/* One tree on given multiplicities of the rows, 0 for a row that is left out. */
Tree forest_tree(Arena *, const Sparse *rows, const int32_t *label, const int32_t *times, int64_t columns,
                 uint64_t stream);
double tree_score(const Tree *, const double *x);
double forest_score(const Forest *, const double *x);
/* Of each row of a matrix, on all threads. */
void forest_scores(double *out, const Forest *, const Sparse *rows);

/* How the score of x came about (Saabas 2014): a step of a path from a node to its child changes the share of label
 * 1, which is credited to the column that the node tests.  Adds to `out` (columns); returns the mean share of the
 * roots, so that it and all credits sum to the score. */
double forest_credit(double *out, const Forest *, const double *x);

/* As arrays of a file of the caller's (io/weights.h): the nodes of all trees, one after another. */
enum { FOREST_ARRAYS = 5 };
void forest_store(Stored out[FOREST_ARRAYS], Arena *, const Forest *);
/* E_FORMAT: the file holds no forest of trees over `columns` columns. */
Status forest_read(Forest **out, Arena *, const Weights *, int64_t columns);

#endif
