/* Sparse matrices, SMOTE and LIME against imbalanced-learn and scikit-learn, linear models by their optimum. */
#include "learn/golden.h"

#include "learn/lime.h"
#include "learn/linear.h"
#include "learn/smote.h"

/* ---- sparse */

static void there_and_back(void **state)
{
    (void)state;
    enum { ROWS = 17, COLUMNS = 9 };
    double x[ROWS * COLUMNS], full[COLUMNS] = {0}, mean[COLUMNS], sd[COLUMNS];
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        double u = rng_uniform(1, (uint64_t)i);
        x[i] = i % COLUMNS == 3 ? 0.1 : i % COLUMNS == 4 || u < 0.6 ? 0 : 10 * u - 7;
    }
    Sparse rows = sparse_dense(&arena, x, ROWS, COLUMNS), columns = sparse_turn(&arena, &rows);
    Sparse again = sparse_turn(&arena, &columns);
    for (int i = 0; i < ROWS; i++) {
        sparse_scatter(full, &again, i);
        for (int j = 0; j < COLUMNS; j++) near(full[j], x[i * COLUMNS + j], 0, "element");
        sparse_clear(full, &again, i);
        for (int j = 0; j < COLUMNS; j++) near(full[j], 0, 0, "cleared element");
    }
    sparse_moments(mean, sd, &rows);
    for (int j = 0; j < COLUMNS; j++) {
        double m = 0, v = 0;
        for (int i = 0; i < ROWS; i++) m += x[i * COLUMNS + j] / ROWS;
        for (int i = 0; i < ROWS; i++) v += pow(x[i * COLUMNS + j] - m, 2) / ROWS;
        near(mean[j], m, 1e-12, "mean");
        near(sd[j], j == 3 || j == 4 ? 1 : sqrt(v), 1e-12, "deviation");
    }
    const int32_t some[] = {4, 4, 0};
    Sparse picked = sparse_pick(&arena, &rows, some, 3);
    assert_int_equal(picked.lines, 3);
    sparse_scatter(full, &picked, 1);
    for (int j = 0; j < COLUMNS; j++) near(full[j], x[4 * COLUMNS + j], 0, "picked element");
}

/* ---- SMOTE */

static void rows_between_neighbours(void **state)
{
    (void)state;
    cJSON *root = golden_read("smote"), *one;
    int64_t m = 0, n, count;
    double *few = golden_numbers(&count, root, "minority"), *near_of = golden_numbers(&n, root, "neighbours");
    m = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(root, "minority"));
    Sparse rows = sparse_dense(&arena, few, m, count / m);
    int32_t *all = smote_neighbours(&arena, &rows, m - 1);
    assert_int_equal(n, m * (m - 1));
    for (int64_t i = 0; i < n; i++) assert_int_equal(all[i], (int32_t)near_of[i]);
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(root, "cases"))
    {
        int64_t k = cJSON_GetObjectItemCaseSensitive(one, "k")->valueint;
        double *drawn = golden_numbers(&n, one, "index"), *u = golden_numbers(NULL, one, "u");
        double *want = golden_numbers(NULL, one, "new"), full[64] = {0};
        int64_t *index = NEW(&arena, int64_t, n);
        for (int64_t i = 0; i < n; i++) index[i] = (int64_t)drawn[i];
        SparseRows grow = sparse_begin(&arena, rows.across);
        smote_rows(&grow, &rows, smote_neighbours(&arena, &rows, k), k, index, u, n);
        Sparse made = sparse_end(&grow);
        assert_int_equal(made.lines, n);
        for (int64_t i = 0; i < n; i++) {
            sparse_scatter(full, &made, i);
            for (int64_t j = 0; j < rows.across; j++) near(full[j], want[i * rows.across + j], 1e-12, "new element");
            sparse_clear(full, &made, i);
        }
    }
    cJSON_Delete(root);
}

/* Both classes become equal, the given rows stay, and k is at most the number of neighbours. */
static void classes_are_balanced(void **state)
{
    (void)state;
    enum { ROWS = 20 };
    double x[2 * ROWS];
    int32_t label[ROWS];
    for (int i = 0; i < ROWS; i++) label[i] = i % 5 == 2, x[2 * i] = i, x[2 * i + 1] = -1;
    Sparse rows = sparse_dense(&arena, x, ROWS, 2);
    Balanced b, again;
    assert_true(!smote_balance(&b, &arena, &rows, label, 9, 4));
    assert_true(b.k == 3 && b.new == 12 && b.rows.lines == 32);
    double full[2] = {0};
    for (int64_t i = 0; i < 32; i++) {
        assert_int_equal(b.label[i], i < ROWS ? label[i] : 1);
        sparse_scatter(full, &b.rows, i);
        near(full[1], -1, 0, "a constant column");
        if (i < ROWS)
            near(full[0], x[2 * i], 0, "a given element");
        else
            assert_true(full[0] >= 2 && full[0] <= 17);
        full[0] = full[1] = 0;
    }
    assert_true(!smote_balance(&again, &arena, &rows, label, 9, 4));
    assert_memory_equal(again.rows.value, b.rows.value, sizeof(double) * (size_t)b.rows.start[32]);
    assert_true(!smote_balance(&again, &arena, &rows, label, 9, 5));
    assert_memory_not_equal(again.rows.value, b.rows.value, sizeof(double) * (size_t)b.rows.start[32]);
    label[7] = label[12] = label[17] = 0;
    assert_true(smote_balance(&b, &arena, &rows, label, 9, 4) == E_MISMATCH);
    err_clear();
}

/* ---- LIME */

static void explanation_of_the_library(void **state)
{
    (void)state;
    cJSON *root = golden_read("lime");
    int64_t n, count;
    double *score = golden_numbers(&n, root, "probability"), *z = golden_numbers(&count, root, "scaled");
    double *distance = golden_numbers(NULL, root, "distance"), *weight = golden_numbers(NULL, root, "weight");
    double *want = golden_numbers(NULL, root, "coefficients");
    int64_t columns = count / n;
    double row[16], first = score[0];
    for (int64_t j = 0; j < columns; j++) row[j] = z[j], z[j] = 0;
    Lime l = lime_of(&arena, z, score, n, columns);
    Explanation e;
    assert_true(
        !lime_explain(&e, &arena, &l, row, first, cJSON_GetObjectItemCaseSensitive(root, "alpha")->valuedouble));
    for (int64_t i = 0; i < n; i++) {
        near(e.distance[i], distance[i], 1e-12, "distance");
        near(e.weight[i], weight[i], 1e-12, "weight");
    }
    for (int64_t j = 0; j < columns; j++) near(e.coefficient[j], want[j], 1e-9, "coefficient");
    near(e.intercept, cJSON_GetObjectItemCaseSensitive(root, "intercept")->valuedouble, 1e-9, "intercept");
    near(e.r2, cJSON_GetObjectItemCaseSensitive(root, "r2")->valuedouble, 1e-9, "r2");
    cJSON_Delete(root);
}

static void scores_of_a_line(double *score, const double *z, int64_t n, void *user)
{
    int64_t columns = *(int64_t *)user;
    for (int64_t i = 0; i < n; i++) score[i] = 0.5 + 0.1 * z[i * columns] - 0.2 * z[i * columns + 1];
}

/* The slope of the penalised loss is zero at the coefficients, with more columns than rows and with fewer. */
static void ridge_is_at_its_least(void **state)
{
    (void)state;
    static const int64_t COLUMNS[] = {50, 6};
    for (int k = 0; k < 2; k++) {
        int64_t p = COLUMNS[k];
        Lime l = lime_open(&arena, 20, p, 3, scores_of_a_line, (void *)&COLUMNS[k]);
        assert_true((l.product != NULL) == (p == 50));
        double row[50];
        for (int again = 0; again < 2; again++) { /* the second row takes the place of the first */
            for (int64_t j = 0; j < p; j++) row[j] = (double)(j % 3) - again;
            Explanation e;
            assert_true(!lime_explain(&e, &arena, &l, row, 0.7, 1));
            double total = 0, *slope = NEW(&arena, double, p);
            for (int64_t i = 0; i < l.n; i++) {
                const double *z = l.z + i * p;
                double left = (i ? l.score[i] : 0.7) - e.intercept;
                for (int64_t j = 0; j < p; j++) left -= e.coefficient[j] * z[j];
                total += e.weight[i] * left;
                for (int64_t j = 0; j < p; j++) slope[j] += e.weight[i] * left * z[j];
            }
            near(total, 0, 1e-10, "slope of the intercept");
            for (int64_t j = 0; j < p; j++) near(slope[j] - e.coefficient[j], 0, 1e-9, "slope of a coefficient");
        }
    }
}

/* ---- linear classifiers */

enum { ROWS = 200, COLUMNS = 6 };
typedef struct {
    double x[ROWS][COLUMNS];
    int32_t label[ROWS];
    Sparse rows;
} Task;

static void draw_task(Task *t)
{
    for (int i = 0; i < ROWS; i++) {
        double sum = 0.8;
        for (int j = 0; j < COLUMNS; j++) {
            uint64_t at = (uint64_t)(i * COLUMNS + j);
            t->x[i][j] = j == 5 ? 0 : rng_normal(8, at);
            sum += j < 3 ? t->x[i][j] : 0;
        }
        t->label[i] = sum + rng_normal(9, (uint64_t)i) > 2;
    }
    t->rows = sparse_dense(&arena, &t->x[0][0], ROWS, COLUMNS);
}

/* Half the squared weights, and the losses. */
static double objective(const Task *t, const LinearModel *m, const LinearPlan *plan)
{
    double loss = plan->kind == LINEAR_LOGISTIC ? m->bias * m->bias / 2 : 0, n[2] = {0};
    for (int j = 0; j < COLUMNS; j++) loss += m->weight[j] * m->weight[j] / 2;
    for (int i = 0; i < ROWS; i++) n[t->label[i]]++;
    for (int i = 0; i < ROWS; i++) {
        double margin = m->bias, c = plan->cost * (plan->balance && t->label[i] ? n[0] / n[1] : 1);
        for (int j = 0; j < COLUMNS; j++) margin += m->weight[j] * t->x[i][j];
        margin *= t->label[i] ? 1 : -1;
        loss += c * (plan->kind == LINEAR_LOGISTIC ? log1p(exp(-margin)) : fmax(0, 1 - margin));
    }
    return loss;
}

static void optima(void **state)
{
    (void)state;
    Task t;
    draw_task(&t);
    for (int k = 0; k < 8; k++) {
        LinearPlan plan = {k % 2 ? LINEAR_SVM : LINEAR_LOGISTIC, 0.7, k / 2 % 2 == 1};
        for (int i = 0; i < ROWS && k == 4; i++) t.label[i] = !t.label[i]; /* now the first row has the other label */
        LinearModel m;
        assert_true(!linear_fit(&m, &arena, &t.rows, t.label, &plan));
        near(m.weight[5], 0, 0, "weight of a column of zeros");
        double least = objective(&t, &m, &plan);
        for (int j = 0; j <= 2 * COLUMNS + 1; j++) {
            double *w = j / 2 < COLUMNS ? &m.weight[j / 2] : &m.bias, was = *w;
            *w += j % 2 ? 0.03 : -0.03;
            EXPECT(objective(&t, &m, &plan) >= least - 1e-3 || j / 2 == 5, "plan %d: %g beside the optimum, %g there",
                   k, objective(&t, &m, &plan), least);
            *w = was;
        }
        double right = 0;
        for (int i = 0; i < ROWS; i++) right += (linear_score(&m, t.x[i]) > 0.5) == (t.label[i] == 1);
        assert_true(right > 0.75 * ROWS);
    }
    LinearModel m;
    for (int i = 0; i < ROWS; i++) t.label[i] = 1;
    assert_true(linear_fit(&m, &arena, &t.rows, t.label, &(LinearPlan){LINEAR_SVM, 1, false}) == E_MISMATCH);
    err_clear();
}

static void weights_on_disk(void **state)
{
    (void)state;
    Task t;
    draw_task(&t);
    LinearModel m, again;
    assert_true(!linear_fit(&m, &arena, &t.rows, t.label, &(LinearPlan){LINEAR_LOGISTIC, 1, false}));
    Stored array = linear_store(&arena, &m);
    Weights *w = through_a_file(&array, 1);
    EXPECT(!linear_read(&again, &arena, w, COLUMNS), "%s", err_message());
    for (int i = 0; i < ROWS; i++) near(linear_score(&again, t.x[i]), linear_score(&m, t.x[i]), 0, "score");
    assert_true(linear_read(&again, &arena, w, COLUMNS + 1) == E_FORMAT);
    err_clear();
    weights_close(w);
    m.bias = NAN;
    array = linear_store(&arena, &m);
    w = through_a_file(&array, 1);
    assert_true(linear_read(&again, &arena, w, COLUMNS) == E_FORMAT);
    assert_non_null(strstr(err_message(), "finite"));
    err_clear();
    weights_close(w);
}

SUITE(cmocka_unit_test_setup_teardown(there_and_back, begin, end),
      cmocka_unit_test_setup_teardown(rows_between_neighbours, begin, end),
      cmocka_unit_test_setup_teardown(classes_are_balanced, begin, end),
      cmocka_unit_test_setup_teardown(explanation_of_the_library, begin, end),
      cmocka_unit_test_setup_teardown(ridge_is_at_its_least, begin, end),
      cmocka_unit_test_setup_teardown(optima, begin, end),
      cmocka_unit_test_setup_teardown(weights_on_disk, begin, end))
