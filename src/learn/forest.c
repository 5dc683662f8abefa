/* Scores and their credits, and the forest on disk as five arrays over the nodes of all trees. */
#include "learn/forest.h"

#include <math.h>

/* The next node on the path of x. */
static const TreeNode *step(const Tree *t, const TreeNode *at, const double *x)
{
    return (float)x[at->column] <= at->threshold ? at + 1 : t->node + at->right;
}

double tree_score(const Tree *t, const double *x)
{
    const TreeNode *at = t->node;
    while (at->column >= 0) at = step(t, at, x);
    return (double)at->share;
}

double forest_score(const Forest *f, const double *x)
{
    double sum = 0;
    for (int64_t k = 0; k < f->trees; k++) sum += tree_score(&f->tree[k], x);
    return sum / (double)f->trees;
}

void forest_scores(double *out, const Forest *f, const Sparse *rows)
{
#pragma omp parallel
    {
        Arena mine = arena_open(sizeof(double) * (size_t)rows->across + ((size_t)1 << 20));
        double *x = NEW(&mine, double, rows->across + 1);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < rows->lines; i++) {
            sparse_scatter(x, rows, i);
            out[i] = forest_score(f, x);
            sparse_clear(x, rows, i);
        }
        arena_close(&mine);
    }
}

double forest_credit(double *out, const Forest *f, const double *x)
{
    double root = 0, n = (double)f->trees;
    for (int64_t k = 0; k < f->trees; k++) {
        const Tree *t = &f->tree[k];
        root += (double)t->node->share / n;
        for (const TreeNode *at = t->node, *next; at->column >= 0; at = next) {
            next = step(t, at, x);
            out[at->column] += ((double)next->share - (double)at->share) / n;
        }
    }
    return root;
}

/* ---- on disk */

enum { SIZE, COLUMN, RIGHT, THRESHOLD, SHARE };
static const char *const ARRAY[FOREST_ARRAYS] = {"nodes", "column", "right", "threshold", "share"};

void forest_store(Stored out[FOREST_ARRAYS], Arena *a, const Forest *f)
{
    int64_t nodes = 0, n = 0;
    for (int64_t k = 0; k < f->trees; k++) nodes += f->tree[k].n;
    Tensor array[FOREST_ARRAYS];
    for (int k = 0; k < FOREST_ARRAYS; k++)
        array[k] = tensor_zero(a, k < THRESHOLD ? I32 : F32, SHAPE(k == SIZE ? f->trees : nodes));
    for (int64_t k = 0; k < f->trees; k++) {
        tensor_set(array[SIZE], k, (double)f->tree[k].n);
        for (int64_t i = 0; i < f->tree[k].n; i++, n++) {
            const TreeNode *node = &f->tree[k].node[i];
            tensor_set(array[COLUMN], n, node->column), tensor_set(array[RIGHT], n, node->right);
            tensor_set(array[THRESHOLD], n, (double)node->threshold),
                tensor_set(array[SHARE], n, (double)node->share);
        }
    }
    for (int k = 0; k < FOREST_ARRAYS; k++) out[k] = stored_of(ARRAY[k], array[k]);
}

static Status read_arrays(const Stored *array[FOREST_ARRAYS], const Weights *w)
{
    for (int k = 0; k < FOREST_ARRAYS; k++) {
        array[k] = weights_find(w, ARRAY[k]);
        if (!array[k]) return err_fail(E_FORMAT, "%s: has no tensor '%s'", weights_path(w), ARRAY[k]);
        bool whole = k < THRESHOLD;
        if (array[k]->rank != 1 || array[k]->type != (whole ? STORED_I32 : STORED_F32))
            return err_fail(E_FORMAT, "%s: tensor '%s' is %s %s, expected %s of one dimension", weights_path(w),
                            ARRAY[k], stored_type(array[k]), stored_shape(array[k]), whole ? "I32" : "F32");
        if (k > COLUMN && array[k]->count != array[COLUMN]->count)
            return err_fail(E_FORMAT, "%s: tensor '%s' is %s, and '%s' is %s, expected equal lengths",
                            weights_path(w), ARRAY[k], stored_shape(array[k]), ARRAY[COLUMN],
                            stored_shape(array[COLUMN]));
    }
    return OK;
}

/* Node i of a tree of n must lead on to later nodes of the same tree, so that every path ends. */
static Status check_node(const TreeNode *node, int64_t i, int64_t n, int64_t columns, const char *path)
{
    bool leaf = node->column < 0, reached = leaf || (node->right > i + 1 && node->right < n);
    if (node->column < -1 || node->column >= columns)
        return err_fail(E_FORMAT, "%s: a node tests column %d, expected one of %lld", path, node->column,
                        (long long)columns);
    if (!reached)
        return err_fail(E_FORMAT, "%s: node %lld of a tree of %lld leads to node %d, expected a later one", path,
                        (long long)i, (long long)n, node->right);
    if (!isfinite(node->threshold) || !(node->share >= 0 && node->share <= 1))
        return err_fail(E_FORMAT, "%s: a node has threshold %g and share %g, expected finite and within [0, 1]", path,
                        (double)node->threshold, (double)node->share);
    return OK;
}

Status forest_read(Forest **out, Arena *a, const Weights *w, int64_t columns)
{
    const Stored *array[FOREST_ARRAYS];
    TRY(read_arrays(array, w));
    int64_t left = array[COLUMN]->count, n = 0;
    if (!array[SIZE]->count) return err_fail(E_FORMAT, "%s: the forest has no tree", weights_path(w));
    Forest *f = *out = NEW(a, Forest, 1);
    *f = (Forest){array[SIZE]->count, columns, NEW(a, Tree, array[SIZE]->count)};
    for (int64_t k = 0; k < f->trees; k++) {
        Tree *t = &f->tree[k];
        double size = stored_get(array[SIZE], k);
        if (!(size >= 1 && size <= (double)left))
            return err_fail(E_FORMAT, "%s: tree %lld has %g nodes, expected 1 to the %lld that are left",
                            weights_path(w), (long long)k, size, (long long)left);
        *t = (Tree){(int64_t)size, NEW(a, TreeNode, (int64_t)size)};
        left -= t->n;
        for (int64_t i = 0; i < t->n; i++, n++) {
            t->node[i] = (TreeNode){(int32_t)stored_get(array[COLUMN], n), (int32_t)stored_get(array[RIGHT], n),
                                    (float)stored_get(array[THRESHOLD], n), (float)stored_get(array[SHARE], n)};
            TRY(check_node(&t->node[i], i, t->n, columns, weights_path(w)));
        }
    }
    if (left) return err_fail(E_FORMAT, "%s: %lld nodes belong to no tree", weights_path(w), (long long)left);
    return OK;
}
