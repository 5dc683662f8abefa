/* Measures of predicted numbers.  Correlations of a constant are NaN, and so is R2 where the truth is one. */
#include <math.h>

#include "metric/measures.h"

const Measure NUMBER_MEASURE[NUMBER_MEASURES] = {
    [NUMBER_PEARSON] = {"pearson", "Pearson", "correlation", false},
    [NUMBER_SPEARMAN] = {"spearman", "Spearman", "correlation of ranks, ties averaged", false},
    [NUMBER_RMSE] = {"rmse", "RMSE", "root of the mean squared error", true},
    [NUMBER_MAE] = {"mae", "MAE", "mean absolute error", true},
    [NUMBER_R2] = {"r2", "R2", "share of the variance that is predicted", false}};

void number_stats(double *out, const int64_t *index, int64_t n, void *user)
{
    const NumberRows *r = user;
    ArenaMark mark = arena_mark(r->scratch);
    double *x = NEW(r->scratch, double, n), *y = NEW(r->scratch, double, n);
    double mean = 0, squares = 0, absolute = 0, spread = 0;
    for (int64_t i = 0; i < n; i++) {
        x[i] = r->truth[index[i]], y[i] = r->predicted[index[i]];
        mean += x[i] / (double)n;
        squares += (x[i] - y[i]) * (x[i] - y[i]) / (double)n;
        absolute += fabs(x[i] - y[i]) / (double)n;
    }
    for (int64_t i = 0; i < n; i++) spread += (x[i] - mean) * (x[i] - mean) / (double)n;
    out[NUMBER_PEARSON] = stats_pearson(x, y, n), out[NUMBER_SPEARMAN] = stats_spearman(x, y, n);
    out[NUMBER_RMSE] = sqrt(squares), out[NUMBER_MAE] = absolute;
    out[NUMBER_R2] = spread > 0 ? 1 - squares / spread : (double)NAN;
    arena_drop(r->scratch, mark);
}
