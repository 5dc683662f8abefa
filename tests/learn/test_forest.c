/* Trees against scikit-learn's, every split against all others, forests for any number of threads, and on disk. */
#include "learn/golden.h"

#include <omp.h>
#include <string.h>

#include "io/safetensors.h"
#include "learn/forest.h"

/* ---- scikit-learn's trees */

/* The same columns, thresholds and children, depth first, and the same shares of 40 rows. */
static void same_tree(const cJSON *one, const int32_t *times_given, const char *what, int which)
{
    int64_t rows, nodes, n, columns;
    double *y = golden_numbers(&rows, one, "y"), *x = golden_numbers(&n, one, "x");
    columns = n / rows;
    double *feature = golden_numbers(&nodes, one, "feature"), *threshold = golden_numbers(NULL, one, "threshold");
    int32_t *label = golden_labels(y, rows), *times = NEW(&arena, int32_t, rows);
    for (int64_t i = 0; i < rows; i++) times[i] = times_given ? times_given[i] : 1;
    Sparse m = sparse_dense(&arena, x, rows, columns);
    Tree t = forest_tree(&arena, &m, label, times, columns, 7);
    EXPECT(t.n == nodes, "%s %d: %lld nodes, expected %lld", what, which, (long long)t.n, (long long)nodes);
    bool children = cJSON_GetObjectItemCaseSensitive(one, "right") != NULL;
    double *left = golden_numbers(NULL, one, "left"), *right = golden_numbers(NULL, one, "right");
    for (int64_t i = 0; i < nodes; i++) {
        bool leaf = feature[i] < 0;
        EXPECT(t.node[i].column == (leaf ? -1 : (int32_t)feature[i]), "%s %d: node %lld tests %d, expected %g", what,
               which, (long long)i, t.node[i].column, feature[i]);
        if (leaf) continue;
        near((double)t.node[i].threshold, (double)(float)threshold[i], 0, "threshold");
        if (children) assert_true(left[i] == (double)i + 1 && right[i] == (double)t.node[i].right);
    }
    double *test = golden_numbers(&n, one, "test"), *p = golden_numbers(NULL, one, "p");
    for (int64_t i = 0; i < n / columns; i++) near(tree_score(&t, test + i * columns), p[i], 1e-7, "share");
}

static void trees_of_scikit_learn(void **state)
{
    (void)state;
    cJSON *root = golden_read("trees"), *one;
    int which = 0;
    cJSON_ArrayForEach(one, root) same_tree(one, NULL, "tree", which++);
    assert_true(which > 0);
    cJSON_Delete(root);
}

static void tree_of_a_bootstrap(void **state)
{
    (void)state;
    cJSON *root = golden_read("bootstrap");
    int64_t n;
    double *draw = golden_numbers(&n, root, "draws");
    int32_t *times = NEW(&arena, int32_t, n);
    for (int64_t i = 0; i < n; i++) times[(int64_t)draw[i]]++;
    same_tree(root, times, "bootstrap", 0);
    cJSON_Delete(root);
}

/* ---- every split against all others */

enum { ROWS = 60, COLUMNS = 12 };
typedef struct {
    double x[ROWS][COLUMNS];
    int32_t label[ROWS], times[ROWS];
} Case;

/* Columns of few values, without zeros, of negative ones, constant, and rare. */
static void draw_case(Case *c, uint64_t stream)
{
    for (int64_t i = 0; i < ROWS; i++) {
        for (int64_t j = 0; j < COLUMNS; j++) {
            uint64_t at = (uint64_t)(i * COLUMNS + j);
            double u = rng_uniform(stream, at), v = floor(4 * u);
            if (j % 4 == 1) v -= 2;
            if (j % 4 == 2) v = 0.1 + 3 * u;
            if (j % 4 == 3) v = u < 0.1 ? -1e-50 : u < 0.15 ? 2 : 0;
            if (j == 10) v = u < 0.5 ? 1 : (double)nextafterf(1, 2); /* no float lies between */
            c->x[i][j] = j == 8 ? 3 : v;
        }
        c->label[i] = rng_uniform(stream, 10000 + (uint64_t)i) < 0.3;
        c->times[i] = (int32_t)rng_below(stream, 20000 + (uint64_t)i, 3);
    }
}

/* Minus the sum of the children's weighted impurities, and the node's weights. */
static double purity_of(const Case *c, const bool *here, int64_t column, float threshold)
{
    double w[2][2] = {{0}}, sum = 0;
    for (int64_t i = 0; i < ROWS; i++)
        if (here[i]) w[(float)c->x[i][column] > threshold][c->label[i]] += c->times[i];
    for (int k = 0; k < 2; k++) {
        double all = w[k][0] + w[k][1];
        if (all <= 0) return -INFINITY;
        sum -= 2 * w[k][0] * w[k][1] / all;
    }
    return sum;
}

/* Walks over the tree beneath node `at` with the rows that reach it; no split may be better than the tree's. */
static void check_beneath(const Case *c, const Tree *t, int64_t at, const bool *here)
{
    double w[2] = {0};
    for (int64_t i = 0; i < ROWS; i++) w[c->label[i]] += here[i] ? c->times[i] : 0;
    near((double)t->node[at].share, w[1] / (w[0] + w[1]), 1e-6, "share of a node");
    double best = -INFINITY;
    for (int64_t j = 0; j < COLUMNS && w[0] > 0 && w[1] > 0; j++)
        for (int64_t i = 0; i < ROWS; i++)
            if (here[i] && c->times[i]) best = fmax(best, purity_of(c, here, j, (float)c->x[i][j]));
    if (t->node[at].column < 0) {
        EXPECT(isinf(best), "a leaf of %g and %g could be split", w[0], w[1]);
        return;
    }
    near(purity_of(c, here, t->node[at].column, t->node[at].threshold), best, 1e-9, "purity of a split");
    bool side[2][ROWS];
    for (int64_t i = 0; i < ROWS; i++)
        for (int k = 0; k < 2; k++)
            side[k][i] = here[i] && ((float)c->x[i][t->node[at].column] > t->node[at].threshold) == (k == 1);
    check_beneath(c, t, at + 1, side[0]);
    check_beneath(c, t, t->node[at].right, side[1]);
}

static void no_split_is_better(void **state)
{
    (void)state;
    bool all[ROWS];
    memset(all, true, sizeof all);
    for (uint64_t k = 0; k < 40; k++) {
        Case c;
        draw_case(&c, rng_mix(rng_stream(1, "cases"), k));
        Sparse m = sparse_dense(&arena, &c.x[0][0], ROWS, COLUMNS);
        Tree t = forest_tree(&arena, &m, c.label, c.times, COLUMNS, k);
        check_beneath(&c, &t, 0, all);
    }
}

/* ---- forests */

static Forest *forest_of(Case *c, const ForestPlan *plan)
{
    draw_case(c, rng_stream(2, "forest"));
    Sparse m = sparse_dense(&arena, &c->x[0][0], ROWS, COLUMNS);
    return forest_grow(&arena, &m, c->label, plan);
}

static void same_for_any_threads(void **state)
{
    (void)state;
    Case c;
    int threads = omp_get_max_threads();
    ForestPlan plan = {.trees = 20, .stream = 5};
    omp_set_num_threads(1);
    Forest *one = forest_of(&c, &plan);
    omp_set_num_threads(4);
    Forest *four = forest_of(&c, &plan);
    omp_set_num_threads(threads);
    bool differs = false;
    for (int64_t k = 0; k < 20; k++) {
        assert_int_equal(one->tree[k].n, four->tree[k].n);
        assert_memory_equal(one->tree[k].node, four->tree[k].node, sizeof(TreeNode) * (size_t)one->tree[k].n);
        differs |= one->tree[k].n != one->tree[0].n;
    }
    assert_true(differs);
}

/* Both classes weigh the same at the root of a balanced tree, and without bootstrap all rows do. */
static void weights_of_classes(void **state)
{
    (void)state;
    Case c;
    Forest *f = forest_of(&c, &(ForestPlan){.trees = 5, .balance = true, .stream = 3});
    for (int k = 0; k < 5; k++) near((double)f->tree[k].node->share, 0.5, 1e-6, "share of a balanced root");
    f = forest_of(&c, &(ForestPlan){.trees = 1, .no_bootstrap = true});
    double bad = 0;
    for (int i = 0; i < ROWS; i++) bad += c.label[i];
    near((double)f->tree[0].node->share, bad / ROWS, 1e-7, "share without bootstrap");
}

/* Share of the roots and credits sum to the score, and only columns that a path tests have credit. */
static void credits_sum_to_the_score(void **state)
{
    (void)state;
    Case c;
    Forest *f = forest_of(&c, &(ForestPlan){.trees = 30, .stream = 4});
    for (int i = 0; i < ROWS; i++) {
        double credit[COLUMNS] = {0}, sum = forest_credit(credit, f, c.x[i]);
        for (int j = 0; j < COLUMNS; j++) sum += credit[j];
        near(sum, forest_score(f, c.x[i]), 1e-6, "sum of credits");
        near(credit[8], 0, 0, "credit of a constant column");
    }
    Sparse m = sparse_dense(&arena, &c.x[0][0], ROWS, COLUMNS);
    double score[ROWS];
    forest_scores(score, f, &m);
    for (int i = 0; i < ROWS; i++) near(score[i], forest_score(f, c.x[i]), 0, "score of a sparse row");
}

/* ---- on disk */

static void comes_back_from_disk(void **state)
{
    (void)state;
    Case c;
    Stored array[FOREST_ARRAYS];
    Forest *f = forest_of(&c, &(ForestPlan){.trees = 4, .stream = 6}), *again;
    forest_store(array, &arena, f);
    Weights *w = through_a_file(array, FOREST_ARRAYS);
    EXPECT(!forest_read(&again, &arena, w, COLUMNS), "%s", err_message());
    weights_close(w);
    for (int i = 0; i < ROWS; i++) near(forest_score(again, c.x[i]), forest_score(f, c.x[i]), 0, "score");
}

typedef struct {
    const char *name;
    int64_t at;
    double value;
    const char *words; /* of the message */
} Fault;

/* A file in which one number is wrong is refused with a sentence that tells of it. */
static void damaged_files(void **state)
{
    (void)state;
    Case c;
    Forest *f = forest_of(&c, &(ForestPlan){.trees = 2, .stream = 6}), *again;
    const Fault faults[] = {{"column", 0, COLUMNS, "tests column"},
                            {"column", 0, -2, "tests column"},
                            {"right", 0, 1, "leads to node 1"},
                            {"right", 0, 1e6, "leads to node"},
                            {"right", 0, -1, "leads to node -1"},
                            {"threshold", 0, NAN, "threshold"},
                            {"share", 0, 1.5, "share"},
                            {"share", 0, NAN, "share"},
                            {"nodes", 1, 1e6, "nodes"},
                            {"nodes", 1, 0, "nodes"},
                            {"nodes", 1, 1, "tree"}};
    for (size_t k = 0; k < sizeof faults / sizeof *faults; k++) {
        Stored array[FOREST_ARRAYS];
        forest_store(array, &arena, f);
        for (int i = 0; i < FOREST_ARRAYS; i++) {
            void *bytes = (void *)(uintptr_t)array[i].bytes;
            if (strcmp(array[i].name, faults[k].name) != 0) continue;
            if (array[i].type == STORED_I32)
                ((int32_t *)bytes)[faults[k].at] = (int32_t)faults[k].value;
            else
                ((float *)bytes)[faults[k].at] = (float)faults[k].value;
        }
        Weights *w = through_a_file(array, FOREST_ARRAYS);
        EXPECT(forest_read(&again, &arena, w, COLUMNS) == E_FORMAT, "%s of node %lld as %g is taken", faults[k].name,
               (long long)faults[k].at, faults[k].value);
        weights_close(w);
        EXPECT(strstr(err_message(), faults[k].words), "'%s' does not say '%s'", err_message(), faults[k].words);
        err_clear();
    }
}

SUITE(cmocka_unit_test_setup_teardown(trees_of_scikit_learn, begin, end),
      cmocka_unit_test_setup_teardown(tree_of_a_bootstrap, begin, end),
      cmocka_unit_test_setup_teardown(no_split_is_better, begin, end),
      cmocka_unit_test_setup_teardown(same_for_any_threads, begin, end),
      cmocka_unit_test_setup_teardown(weights_of_classes, begin, end),
      cmocka_unit_test_setup_teardown(credits_sum_to_the_score, begin, end),
      cmocka_unit_test_setup_teardown(comes_back_from_disk, begin, end),
      cmocka_unit_test_setup_teardown(damaged_files, begin, end))
