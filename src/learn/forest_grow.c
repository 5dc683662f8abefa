/* Exact trees on sparse columns.
 *
 * The entries of every column are sorted by value once, for all trees.  The rows of a node are a range of one
 * permutation, so that a row is in the node if its place lies in the range.  A column is looked at in two steps.
 * First its entries in the node are gathered in the order of their values: along the column, whose other entries
 * are passed over, or in a small node from chains that link the entries of its rows column by column.  Then the
 * weights are summed up from both ends towards zero, and all rows without an entry lie between the negative and the
 * positive values as one block with the rest of the weight.  A split moves only the rows with an entry on the
 * other side of the threshold than zero. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "learn/forest.h"

typedef struct {
    float value;
    int32_t row;
} Entry;

/* What all trees share. */
typedef struct {
    int64_t rows, columns, look; /* look: columns to draw at a node */
    int64_t *column_start, *row_start;
    Entry *entry;    /* by column, ascending by value */
    int32_t *column; /* by row: the columns of its entries */
    float *value;    /* and their values */
    const int32_t *label;
    int64_t few; /* entries of a node up to which it is looked at by rows */
} Table;

typedef struct {
    Entry entry;
    int32_t next; /* of the same column in the node, -1 at the end */
} Link;

typedef struct {
    int32_t from, to; /* places */
    int32_t parent;   /* whose right child it is; -1: it follows its parent */
    double weight, bad;
    int64_t entries;
} Node;

/* What one tree needs while it grows. */
typedef struct {
    const Table *t;
    int32_t *row, *place; /* (rows) the row at each place; the place of each row */
    float *weight, *bad;  /* (rows) of a row; the same where its label is 1, else 0 */
    int32_t *order;       /* (columns) a permutation, drawn from at each node */
    int32_t *head;        /* (columns) of the chains, -1: empty */
    Link *link;
    bool linked;
    Entry *found; /* (rows) */
    Node *stack;
    TreeNode *node;
    int64_t nodes;
    uint64_t stream, block;
    RngBlock bits;
    int bits_left;
} Grower;

/* ---- preparation */

static int by_value(const void *a, const void *b)
{
    const Entry *x = a, *y = b;
    if (x->value < y->value || x->value > y->value) return x->value < y->value ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* The values as F32, in which the smallest ones are zero and thus no entries. */
static Sparse narrow(Arena *a, const Sparse *m)
{
    SparseRows r = sparse_begin(a, m->across);
    for (int64_t i = 0; i < m->lines; i++, sparse_next(&r))
        for (int64_t e = m->start[i]; e < m->start[i + 1]; e++) sparse_add(&r, m->index[e], (float)m->value[e]);
    return sparse_end(&r);
}

static Table table_of(Arena *a, const Sparse *given, const int32_t *label, int64_t look)
{
    Sparse rows = narrow(a, given), columns = sparse_turn(a, &rows);
    int64_t n = rows.start[rows.lines];
    Table t = {.rows = rows.lines, .columns = rows.across, .look = look, .label = label};
    if (!t.look) t.look = (int64_t)sqrt((double)t.columns);
    if (t.look < 1) t.look = 1;
    t.row_start = rows.start, t.column = rows.index, t.column_start = columns.start;
    t.entry = NEW(a, Entry, n + 1), t.value = NEW(a, float, n + 1);
    for (int64_t e = 0; e < n; e++) {
        t.value[e] = (float)rows.value[e];
        t.entry[e] = (Entry){(float)columns.value[e], columns.index[e]};
    }
    for (int64_t j = 0; j < t.columns; j++)
        qsort(t.entry + t.column_start[j], (size_t)(t.column_start[j + 1] - t.column_start[j]), sizeof *t.entry,
              by_value);
    t.few = t.columns ? t.look * n / t.columns / 2 : 0;
    return t;
}

static Grower grower_of(Arena *a, const Table *t)
{
    Grower g = {.t = t};
    g.row = NEW(a, int32_t, t->rows + 1), g.place = NEW(a, int32_t, t->rows + 1);
    g.weight = NEW(a, float, t->rows + 1), g.bad = NEW(a, float, t->rows + 1);
    g.order = NEW(a, int32_t, t->columns + 1), g.head = NEW(a, int32_t, t->columns + 1);
    g.link = NEW(a, Link, t->few + 1), g.found = NEW(a, Entry, t->rows + 1);
    g.stack = NEW(a, Node, t->rows + 2), g.node = NEW(a, TreeNode, 2 * t->rows + 1);
    for (int64_t j = 0; j < t->columns; j++) g.head[j] = -1;
    return g;
}

/* ---- drawing columns */

static int64_t draw_below(Grower *g, int64_t n)
{
    if (!g->bits_left) g->bits = rng_block(g->stream, g->block++), g->bits_left = 4;
    return (int64_t)(((uint64_t)g->bits.v[--g->bits_left] * (uint64_t)n) >> 32);
}

/* The k-th column of this node, k growing from 0. */
static int32_t draw_column(Grower *g, int64_t k)
{
    int64_t at = k + draw_below(g, g->t->columns - k);
    int32_t column = g->order[at];
    g->order[at] = g->order[k];
    return g->order[k] = column;
}

/* ---- a column's entries in a node */

static void link_rows(Grower *g, const Node *node)
{
    const Table *t = g->t;
    int32_t n = 0;
    for (int32_t p = node->from; p < node->to; p++) {
        int32_t row = g->row[p];
        for (int64_t e = t->row_start[row]; e < t->row_start[row + 1]; e++) {
            int32_t *head = &g->head[t->column[e]];
            g->link[n] = (Link){{t->value[e], row}, *head};
            *head = n++;
        }
    }
    g->linked = true;
}

static void unlink_rows(Grower *g, const Node *node)
{
    const Table *t = g->t;
    for (int32_t p = node->from; p < node->to; p++)
        for (int64_t e = t->row_start[g->row[p]]; e < t->row_start[g->row[p] + 1]; e++) g->head[t->column[e]] = -1;
    g->linked = false;
}

static void sort_entries(Entry *e, int64_t n)
{
    if (n > 32) {
        qsort(e, (size_t)n, sizeof *e, by_value);
        return;
    }
    for (int64_t i = 1; i < n; i++) {
        Entry x = e[i];
        int64_t k = i;
        for (; k > 0 && e[k - 1].value > x.value; k--) e[k] = e[k - 1];
        e[k] = x;
    }
}

/* Into g->found, ascending; returns their number. */
static int64_t gather(Grower *g, const Node *node, int32_t column)
{
    const Table *t = g->t;
    int64_t n = 0;
    if (g->linked) {
        for (int32_t l = g->head[column]; l >= 0; l = g->link[l].next) g->found[n++] = g->link[l].entry;
        if (n > 1) sort_entries(g->found, n);
        return n;
    }
    const Entry *end = t->entry + t->column_start[column + 1];
    uint32_t from = (uint32_t)node->from, size = (uint32_t)(node->to - node->from);
    for (const Entry *e = t->entry + t->column_start[column]; e < end; e++) {
        g->found[n] = *e;
        n += (uint32_t)g->place[e->row] - from < size;
    }
    return n;
}

/* ---- the best split */

typedef struct {
    int32_t column;
    float threshold;
    double purity; /* larger is better */
} Split;

/* Minus the Gini impurity of two children, up to a constant of the node: the sum of squares of their class weights
 * by their weight. */
static inline double purity(const Node *n, double weight, double bad)
{
    double good = weight - bad, others = n->weight - weight, other_bad = n->bad - bad,
           other_good = others - other_bad;
    return (bad * bad + good * good) / weight + (other_bad * other_bad + other_good * other_good) / others;
}

static float midway(float low, float high)
{
    float middle = low / 2 + high / 2;
    return middle < high ? middle : low;
}

/* Considers all thresholds of a column; whether it has two values in the node.  The entries are in g->found. */
static bool consider(Split *best, const Grower *g, const Node *node, int32_t column, int64_t n)
{
    const Entry *e = g->found;
    bool zeros = n < node->to - node->from;
    if (!n || (!zeros && !(e[0].value < e[n - 1].value))) return false;
    Split here = {column, 0, -INFINITY};
    int64_t first = n; /* the first positive entry */
    double weight = 0, bad = 0;
    for (; first > 0 && e[first - 1].value > 0; first--) {
        weight += (double)g->weight[e[first - 1].row], bad += (double)g->bad[e[first - 1].row];
        if (first == 1 && !zeros) break; /* nothing lies below */
        float low = first > 1 && (e[first - 2].value > 0 || !zeros) ? e[first - 2].value : 0;
        if (!(low < e[first - 1].value)) continue;
        double p = purity(node, weight, bad);
        if (p >= here.purity) here = (Split){column, midway(low, e[first - 1].value), p};
    }
    weight = bad = 0;
    for (int64_t i = 0; i < n && e[i].value < 0; i++) {
        weight += (double)g->weight[e[i].row], bad += (double)g->bad[e[i].row];
        if (i + 1 == n && !zeros) break;
        float high = i + 1 < n && (e[i + 1].value < 0 || !zeros) ? e[i + 1].value : 0;
        if (!(e[i].value < high)) continue;
        double p = purity(node, weight, bad);
        if (p > here.purity) here = (Split){column, midway(e[i].value, high), p};
    }
    if (here.purity > best->purity) *best = here;
    return true;
}

static Split best_split(Grower *g, const Node *node)
{
    Split best = {-1, 0, -INFINITY};
    bool varied = false;
    for (int64_t k = 0; k < g->t->columns && (k < g->t->look || !varied); k++) {
        int32_t column = draw_column(g, k);
        varied |= consider(&best, g, node, column, gather(g, node, column));
    }
    return best;
}

/* ---- growing */

static void move(Grower *g, int32_t row, int32_t to)
{
    int32_t from = g->place[row], other = g->row[to];
    g->row[to] = row, g->row[from] = other;
    g->place[row] = to, g->place[other] = from;
}

/* Cuts the node's range in two; the children's weights are sums over the rows that moved, and the rest. */
static void divide(Node *left, Node *right, Grower *g, const Node *node, const Split *s)
{
    int64_t n = gather(g, node, s->column);
    bool up = s->threshold >= 0; /* rows without an entry stay left, and those above the threshold move */
    Node moved = {.parent = -1};
    int32_t border = up ? node->to : node->from;
    for (int64_t i = 0; i < n; i++) {
        int32_t row = g->found[i].row;
        if (up != (g->found[i].value > s->threshold)) continue;
        moved.weight += (double)g->weight[row], moved.bad += (double)g->bad[row];
        moved.entries += g->t->row_start[row + 1] - g->t->row_start[row];
        move(g, row, up ? --border : border++);
    }
    Node stayed = {.parent = -1, .weight = node->weight - moved.weight, .bad = node->bad - moved.bad};
    stayed.entries = node->entries - moved.entries;
    *left = up ? stayed : moved, *right = up ? moved : stayed;
    left->from = node->from, left->to = right->from = border, right->to = node->to;
}

static bool is_pure(const Node *n)
{
    return n->bad <= 1e-9 * n->weight || n->bad >= (1 - 1e-9) * n->weight;
}

/* Takes a node from the stack and puts its children there, the left one on top. */
static int64_t grow_node(Grower *g, int64_t depth)
{
    Node node = g->stack[--depth];
    int64_t id = g->nodes++;
    if (node.parent >= 0) g->node[node.parent].right = (int32_t)id;
    g->node[id] = (TreeNode){-1, -1, 0, (float)(node.bad / node.weight)};
    if (is_pure(&node)) return depth;
    bool link = node.entries <= g->t->few;
    if (link) link_rows(g, &node);
    Split s = best_split(g, &node);
    if (s.column >= 0) {
        g->node[id].column = s.column, g->node[id].threshold = s.threshold;
        Node *left = &g->stack[depth + 1], *right = &g->stack[depth];
        divide(left, right, g, &node, &s);
        right->parent = (int32_t)id;
        depth += 2;
    }
    if (link) unlink_rows(g, &node);
    return depth;
}

/* The rows' weights are set.  Rows of weight 0 get a place behind all others. */
static Tree grow(Grower *g, Arena *a, uint64_t stream)
{
    const Table *t = g->t;
    Node root = {.parent = -1};
    g->stream = stream, g->block = 0, g->bits_left = 0, g->nodes = 0;
    for (int64_t j = 0; j < t->columns; j++) g->order[j] = (int32_t)j;
    for (int32_t i = 0; i < t->rows; i++) {
        g->place[i] = INT32_MAX;
        if (!(g->weight[i] > 0)) continue;
        root.weight += (double)g->weight[i], root.bad += (double)g->bad[i];
        root.entries += t->row_start[i + 1] - t->row_start[i];
        g->row[root.to] = i, g->place[i] = root.to++;
    }
    g->stack[0] = root;
    for (int64_t depth = root.to > 0; depth;) depth = grow_node(g, depth);
    Tree tree = {.n = g->nodes};
#pragma omp critical(forest_tree)
    tree.node = NEW(a, TreeNode, tree.n);
    memcpy(tree.node, g->node, sizeof *tree.node * (size_t)tree.n);
    return tree;
}

static void weigh(Grower *g, const int32_t *times, bool balance)
{
    double sum[2] = {0};
    for (int64_t i = 0; i < g->t->rows; i++) sum[g->t->label[i] == 1] += times[i];
    double bad = balance && sum[0] > 0 && sum[1] > 0 ? sum[0] / sum[1] : 1;
    for (int64_t i = 0; i < g->t->rows; i++) {
        bool one = g->t->label[i] == 1;
        g->weight[i] = (float)(times[i] * (one ? bad : 1));
        g->bad[i] = one ? g->weight[i] : 0;
    }
}

Tree forest_tree(Arena *a, const Sparse *rows, const int32_t *label, const int32_t *times, int64_t columns,
                 uint64_t stream)
{
    Arena scratch = arena_open(0);
    Table t = table_of(&scratch, rows, label, columns);
    Grower g = grower_of(&scratch, &t);
    weigh(&g, times, false);
    Tree tree = grow(&g, a, stream);
    arena_close(&scratch);
    return tree;
}

/* How often each row is drawn. */
static void draw_rows(int32_t *times, int64_t n, const ForestPlan *plan, uint64_t stream)
{
    memset(times, 0, sizeof *times * (size_t)n);
    for (int64_t i = 0; i < n; i++) times[plan->no_bootstrap ? i : rng_below(stream, (uint64_t)i, n)]++;
}

Forest *forest_grow(Arena *a, const Sparse *rows, const int32_t *label, const ForestPlan *plan)
{
    Arena shared = arena_open(0);
    Table t = table_of(&shared, rows, label, plan->columns);
    Forest *f = NEW(a, Forest, 1);
    *f = (Forest){plan->trees, rows->across, NEW(a, Tree, plan->trees + 1)};
#pragma omp parallel
    {
        Arena mine = arena_open(0);
        Grower g = grower_of(&mine, &t);
        int32_t *times = NEW(&mine, int32_t, t.rows + 1);
#pragma omp for schedule(dynamic, 1)
        for (int64_t k = 0; k < plan->trees; k++) {
            uint64_t stream = rng_mix(plan->stream, (uint64_t)k);
            draw_rows(times, t.rows, plan, rng_mix(stream, 1));
            weigh(&g, times, plan->balance);
            f->tree[k] = grow(&g, a, rng_mix(stream, 2));
        }
        arena_close(&mine);
    }
    arena_close(&shared);
    return f;
}
