/* The loss and its slope in one pass over the rows; GSL's minimiser. */
#include "num/logistic.h"

#include <math.h>
#include <string.h>

typedef struct {
    const double *z, *weight; /* (n,columns); of a class */
    const int *label;
    int64_t n, columns;
    double total, penalty;
} Fit;

static double slope(const double *w, double *g, void *user)
{
    const Fit *f = user;
    double loss = 0;
    if (g) memset(g, 0, sizeof *g * (size_t)(f->columns + 1));
    for (int64_t i = 0; i < f->n; i++) {
        const double *z = f->z + i * f->columns;
        double x = w[f->columns], c = f->weight[f->label[i]] / f->total;
        for (int64_t k = 0; k < f->columns; k++) x += w[k] * z[k];
        loss += c * (log1p(exp(-fabs(x))) + (x > 0 ? x : 0) - f->label[i] * x);
        if (!g) continue;
        double d = c * (1 / (1 + exp(-x)) - f->label[i]);
        for (int64_t k = 0; k < f->columns; k++) g[k] += d * z[k];
        g[f->columns] += d;
    }
    for (int64_t k = 0; k < f->columns; k++) {
        loss += f->penalty / 2 * w[k] * w[k];
        if (g) g[k] += f->penalty * w[k];
    }
    return loss;
}

Logistic logistic_blank(Arena *a, int64_t columns)
{
    return (Logistic){columns, NEW(a, double, columns), NEW(a, double, columns), NEW(a, double, columns + 1)};
}

static void standardise(const Logistic *l, double *z, const double *x)
{
    for (int64_t k = 0; k < l->columns; k++) z[k] = (x[k] - l->mean[k]) * l->scale[k];
}

static void find_scale(Logistic *l, const double *x, int64_t n)
{
    for (int64_t k = 0; k < l->columns; k++) {
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < n; i++) sum += x[i * l->columns + k];
        l->mean[k] = sum / (double)n;
        for (int64_t i = 0; i < n; i++) squares += pow(x[i * l->columns + k] - l->mean[k], 2);
        double sd = sqrt(squares / (double)n);
        l->scale[k] = sd > 1e-12 * (1 + fabs(l->mean[k])) ? 1 / sd : 0;
    }
}

Status logistic_fit(Logistic *out, Minimum *found, Arena *a, const double *x, const int *label, int64_t n,
                    int64_t columns, double penalty)
{
    Arena scratch = arena_open(0);
    double *z = NEW(&scratch, double, n *columns), ones = 0;
    *out = logistic_blank(a, columns);
    find_scale(out, x, n);
    for (int64_t i = 0; i < n; i++) standardise(out, z + i * columns, x + i * columns), ones += label[i];
    double zeros = (double)n - ones, weight[2] = {1, ones > 0 ? sqrt(zeros / ones) : 1};
    Fit f = {z, weight, label, n, columns, zeros + weight[1] * ones, penalty};
    Status s = minimise_bfgs(found, out->weight, columns + 1, slope, &f, 1e-5, 1000);
    arena_close(&scratch);
    return s;
}

double logistic_score(const Logistic *l, const double *x)
{
    double y = l->weight[l->columns];
    for (int64_t k = 0; k < l->columns; k++) y += l->weight[k] * (x[k] - l->mean[k]) * l->scale[k];
    return 1 / (1 + exp(-y));
}
