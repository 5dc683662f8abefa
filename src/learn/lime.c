/* Ridge regression with an intercept is one on centred rows.  With the rows weighted, R = sqrt(W) (Z - mean),
 *
 *     b = (R'R + alpha)^-1 R' t      over columns, or      b = R' (RR' + alpha)^-1 t      over rows
 *
 * where t = sqrt(W) (y - mean).  RR' comes from the products of the uncentred rows, which stay the same from one
 * explanation to the next but for row 0. */
#include "learn/lime.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "num/gemm.h"
#include "num/linalg.h"

static void multiply_rows(double *product, const double *left, int64_t m, const double *z, int64_t n, int64_t columns)
{
    gemm_parallel(F64, m, n, columns, 1, (Mat){left, columns, false}, (Mat){z, columns, true}, 0, product, n);
}

Lime lime_of(Arena *a, double *z, double *score, int64_t n, int64_t columns)
{
    Lime l = {.n = n, .columns = columns, .z = z, .score = score};
    if (n > columns) return l;
    l.product = NEW(a, double, n *n);
    multiply_rows(l.product, z, n, z, n, columns);
    return l;
}

Lime lime_open(Arena *a, int64_t samples, int64_t columns, uint64_t stream, LimeScores *scores, void *user)
{
    int64_t n = samples + 1;
    double *z = NEW(a, double, n *columns), *score = NEW(a, double, n);
#pragma omp parallel for schedule(static)
    for (int64_t i = columns; i < n * columns; i++) z[i] = rng_normal(stream, (uint64_t)(i - columns));
    scores(score + 1, z + columns, samples, user);
    return lime_of(a, z, score, n, columns);
}

static void set_row(Lime *l, const double *z, double score)
{
    memcpy(l->z, z, sizeof *z * (size_t)l->columns);
    l->score[0] = score;
    if (!l->product) return;
    multiply_rows(l->product, z, 1, l->z, l->n, l->columns);
    for (int64_t i = 1; i < l->n; i++) l->product[i * l->n] = l->product[i];
}

static void weigh(Explanation *e, const Lime *l)
{
    double width = 0.75 * sqrt((double)l->columns);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < l->n; i++) {
        double sum = 0;
        for (int64_t j = 0; j < l->columns; j++) {
            double d = l->z[i * l->columns + j] - l->z[j];
            sum += d * d;
        }
        e->distance[i] = sqrt(sum);
        e->weight[i] = sqrt(exp(-sum / (width * width)));
    }
}

/* sum_i x_i z_i over the rows. */
static void combine(double *out, const Lime *l, const double *x)
{
    gemm_parallel(F64, 1, l->columns, l->n, 1, (Mat){x, l->n, false}, (Mat){l->z, l->columns, false}, 0, out,
                  l->columns);
}

/* sqrt(w_i w_j) (z_i - mean) (z_j - mean) of every two rows. */
static double *centred_products(Arena *a, const Lime *l, const double *weight, double total)
{
    int64_t n = l->n;
    double *out = NEW(a, double, n *n), *to_mean = NEW(a, double, n), mean_square = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) to_mean[i] += weight[j] / total * l->product[i * n + j];
    for (int64_t i = 0; i < n; i++) mean_square += weight[i] / total * to_mean[i];
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            out[i * n + j] =
                sqrt(weight[i]) * sqrt(weight[j]) * (l->product[i * n + j] - to_mean[i] - to_mean[j] + mean_square);
    return out;
}

static Status solve_over_rows(Explanation *e, Arena *a, const Lime *l, const double *mean, double mean_score,
                              double total, double alpha)
{
    int64_t n = l->n;
    double *system = centred_products(a, l, e->weight, total), *x = NEW(a, double, n), sum = 0;
    for (int64_t i = 0; i < n; i++) {
        system[i * n + i] += alpha;
        x[i] = sqrt(e->weight[i]) * (l->score[i] - mean_score);
    }
    TRY(linalg_solve_positive(x, system, n));
    for (int64_t i = 0; i < n; i++) {
        x[i] *= sqrt(e->weight[i]);
        sum += x[i];
    }
    combine(e->coefficient, l, x);
    for (int64_t j = 0; j < l->columns; j++) e->coefficient[j] -= sum * mean[j];
    return OK;
}

static Status solve_over_columns(Explanation *e, Arena *a, const Lime *l, const double *mean, double mean_score,
                                 double alpha)
{
    int64_t p = l->columns;
    double *system = NEW(a, double, p *p), *r = NEW(a, double, l->n *p), *t = NEW(a, double, l->n);
    for (int64_t i = 0; i < l->n; i++) {
        double w = sqrt(e->weight[i]);
        t[i] = w * (l->score[i] - mean_score);
        for (int64_t j = 0; j < p; j++) r[i * p + j] = w * (l->z[i * p + j] - mean[j]);
    }
    gemm_parallel(F64, p, p, l->n, 1, (Mat){r, p, true}, (Mat){r, p, false}, 0, system, p);
    gemm_parallel(F64, 1, p, l->n, 1, (Mat){t, l->n, false}, (Mat){r, p, false}, 0, e->coefficient, p);
    for (int64_t j = 0; j < p; j++) system[j * p + j] += alpha;
    return linalg_solve_positive(e->coefficient, system, p);
}

/* The weighted share of the scores' variance that the linear model explains. */
static double explained(const Explanation *e, Arena *a, const Lime *l, double mean_score)
{
    double *fitted = NEW(a, double, l->n), left = 0, all = 0;
    multiply_rows(fitted, e->coefficient, 1, l->z, l->n, l->columns);
    for (int64_t i = 0; i < l->n; i++) {
        double miss = l->score[i] - e->intercept - fitted[i], from_mean = l->score[i] - mean_score;
        left += e->weight[i] * miss * miss, all += e->weight[i] * from_mean * from_mean;
    }
    return all > 0 ? 1 - left / all : 0;
}

Status lime_explain(Explanation *out, Arena *a, Lime *l, const double *z, double score, double alpha)
{
    *out = (Explanation){.coefficient = NEW(a, double, l->columns + 1),
                         .distance = NEW(a, double, l->n),
                         .weight = NEW(a, double, l->n)};
    set_row(l, z, score);
    weigh(out, l);
    ArenaMark mark = arena_mark(a);
    double total = 0, mean_score = 0, *mean = NEW(a, double, l->columns + 1);
    for (int64_t i = 0; i < l->n; i++) total += out->weight[i];
    for (int64_t i = 0; i < l->n; i++) mean_score += out->weight[i] / total * l->score[i];
    combine(mean, l, out->weight);
    for (int64_t j = 0; j < l->columns; j++) mean[j] /= total;
    Status s = l->product ? solve_over_rows(out, a, l, mean, mean_score, total, alpha)
                          : solve_over_columns(out, a, l, mean, mean_score, alpha);
    if (!s) {
        out->intercept = mean_score;
        for (int64_t j = 0; j < l->columns; j++) out->intercept -= out->coefficient[j] * mean[j];
        out->r2 = explained(out, a, l, mean_score);
    }
    arena_drop(a, mark);
    return s;
}
