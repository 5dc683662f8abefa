/* The rows in the form of either library, with columns numbered from 1.  Both give the positive side to the label
 * that they meet first. */
#include "learn/linear.h"

#include <libsvm/svm.h>
#include <linear.h>
#include <math.h>

static void silent(const char *text)
{
    (void)text;
}

typedef struct {
    const Sparse *rows;
    const int32_t *label;
    double *y; /* the labels as the libraries take them */
    int class[2];
    double weight[2]; /* of the classes */
    double cost;
} Fit;

static Status fit_logistic(LinearModel *out, Arena *a, const Fit *f)
{
    const Sparse *m = f->rows;
    struct feature_node *node = NEW(a, struct feature_node, m->start[m->lines] + 2 * m->lines + 1);
    struct feature_node **row = NEW(a, struct feature_node *, m->lines + 1);
    for (int64_t i = 0; i < m->lines; i++) {
        row[i] = node;
        for (int64_t e = m->start[i]; e < m->start[i + 1]; e++)
            *node++ = (struct feature_node){m->index[e] + 1, m->value[e]};
        *node++ = (struct feature_node){(int)m->across + 1, 1};
        *node++ = (struct feature_node){-1, 0};
    }
    struct problem problem = {.l = (int)m->lines, .n = (int)m->across + 1, .y = f->y, .x = row, .bias = 1};
    struct parameter plan = {.solver_type = L2R_LR, .eps = 1e-4, .C = f->cost, .nr_weight = 2};
    plan.weight_label = (int *)f->class, plan.weight = (double *)f->weight;
    const char *complaint = check_parameter(&problem, &plan);
    if (complaint) return err_fail(E_CONFIG, "LIBLINEAR: %s", complaint);
    set_print_string_function(silent);
    struct model *model = train(&problem, &plan);
    double sign = model->label[0] == 1 ? 1 : -1;
    for (int64_t j = 0; j < m->across; j++) out->weight[j] = sign * model->w[j];
    out->bias = sign * model->w[m->across];
    free_and_destroy_model(&model);
    return OK;
}

static Status fit_svm(LinearModel *out, Arena *a, const Fit *f)
{
    const Sparse *m = f->rows;
    struct svm_node *node = NEW(a, struct svm_node, m->start[m->lines] + m->lines + 1);
    struct svm_node **row = NEW(a, struct svm_node *, m->lines + 1);
    for (int64_t i = 0; i < m->lines; i++) {
        row[i] = node;
        for (int64_t e = m->start[i]; e < m->start[i + 1]; e++)
            *node++ = (struct svm_node){m->index[e] + 1, m->value[e]};
        *node++ = (struct svm_node){-1, 0};
    }
    struct svm_problem problem = {.l = (int)m->lines, .y = f->y, .x = row};
    struct svm_parameter plan = {.svm_type = C_SVC, .kernel_type = LINEAR, .cache_size = 500, .eps = 1e-3};
    plan.C = f->cost, plan.shrinking = 1, plan.nr_weight = 2;
    plan.weight_label = (int *)f->class, plan.weight = (double *)f->weight;
    const char *complaint = svm_check_parameter(&problem, &plan);
    if (complaint) return err_fail(E_CONFIG, "LIBSVM: %s", complaint);
    svm_set_print_string_function(silent);
    struct svm_model *model = svm_train(&problem, &plan);
    double sign = model->label[0] == 1 ? 1 : -1;
    for (int i = 0; i < model->l; i++)
        for (const struct svm_node *at = model->SV[i]; at->index > 0; at++)
            out->weight[at->index - 1] += sign * model->sv_coef[0][i] * at->value;
    out->bias = -sign * model->rho[0];
    svm_free_and_destroy_model(&model);
    return OK;
}

Status linear_fit(LinearModel *out, Arena *a, const Sparse *rows, const int32_t *label, const LinearPlan *plan)
{
    Arena scratch = arena_open(0);
    double n[2] = {0};
    Fit f = {rows, label, NEW(&scratch, double, rows->lines + 1), {0, 1}, {1, 1}, plan->cost};
    for (int64_t i = 0; i < rows->lines; i++) n[label[i] == 1]++, f.y[i] = label[i] == 1;
    if (plan->balance && n[1] > 0) f.weight[1] = n[0] / n[1];
    *out = (LinearModel){rows->across, NEW(a, double, rows->across + 1), 0};
    Status s = OK;
    if (n[0] <= 0 || n[1] <= 0)
        s = err_fail(E_MISMATCH, "all rows have label %d, and a classifier needs both", n[1] > 0);
    else
        s = plan->kind == LINEAR_LOGISTIC ? fit_logistic(out, &scratch, &f) : fit_svm(out, &scratch, &f);
    arena_close(&scratch);
    return s;
}

double linear_score(const LinearModel *m, const double *x)
{
    double sum = m->bias;
    for (int64_t j = 0; j < m->columns; j++) sum += m->weight[j] * x[j];
    return 1 / (1 + exp(-sum));
}

/* ---- on disk */

Stored linear_store(Arena *a, const LinearModel *m)
{
    Tensor weight = tensor_zero(a, F64, SHAPE(m->columns + 1));
    for (int64_t j = 0; j <= m->columns; j++) tensor_set(weight, j, j < m->columns ? m->weight[j] : m->bias);
    return stored_of("weight", weight);
}

Status linear_read(LinearModel *m, Arena *a, const Weights *w, int64_t columns)
{
    const Stored *s = weights_find(w, "weight");
    if (!s) return err_fail(E_FORMAT, "%s: has no tensor 'weight'", weights_path(w));
    if (s->type != STORED_F64 || s->rank != 1 || s->count != columns + 1)
        return err_fail(E_FORMAT, "%s: tensor 'weight' is %s %s, expected F64 of one dimension with %lld elements",
                        weights_path(w), stored_type(s), stored_shape(s), (long long)columns + 1);
    *m = (LinearModel){columns, NEW(a, double, columns + 1), 0};
    for (int64_t j = 0; j <= columns; j++) {
        double x = stored_get(s, j);
        if (!isfinite(x))
            return err_fail(E_FORMAT, "%s: tensor 'weight' has %g, expected finite numbers", weights_path(w), x);
        *(j < columns ? &m->weight[j] : &m->bias) = x;
    }
    return OK;
}
