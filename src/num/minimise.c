/* GSL's BFGS, restarted once where the line search makes no progress: near a minimum the estimated curvature can be
 * too wrong to go downhill. */
#include "num/minimise.h"

#include <gsl/gsl_blas.h>
#include <gsl/gsl_multimin.h>
#include <string.h>

#include "num/stats.h"

typedef struct {
    SlopeFn *f;
    void *user;
} Target;

static double gsl_f(const gsl_vector *v, void *user)
{
    const Target *t = user;
    return t->f(v->data, NULL, t->user);
}

static void gsl_df(const gsl_vector *v, void *user, gsl_vector *g)
{
    const Target *t = user;
    t->f(v->data, g->data, t->user);
}

static void gsl_fdf(const gsl_vector *v, void *user, double *f, gsl_vector *g)
{
    const Target *t = user;
    *f = t->f(v->data, g->data, t->user);
}

Status minimise_bfgs(Minimum *out, double *x, int64_t n, SlopeFn *f, void *user, double tolerance,
                     int most_iterations)
{
    size_t size = (size_t)n;
    Target target = {f, user};
    gsl_multimin_function_fdf function = {gsl_f, gsl_df, gsl_fdf, size, &target};
    gsl_multimin_fdfminimizer *m = gsl_multimin_fdfminimizer_alloc(gsl_multimin_fdfminimizer_vector_bfgs2, size);
    gsl_vector *v = gsl_vector_alloc(size);
    if (!m || !v) err_no_memory("GSL has none for %zu parameters", size);
    memcpy(v->data, x, sizeof *x * size);
    Minimum r = {0};
    int code = gsl_multimin_fdfminimizer_set(m, &function, v, 0.1, 0.1), stuck = 0;
    while (!code && r.iterations < most_iterations) {
        if (gsl_blas_dnrm2(gsl_multimin_fdfminimizer_gradient(m)) < tolerance) break;
        r.iterations++;
        int step = gsl_multimin_fdfminimizer_iterate(m);
        if (step == GSL_ENOPROG && stuck++ == 0) /* forget the curvature and go straight down once more */
            code = gsl_multimin_fdfminimizer_restart(m);
        else if (step)
            break;
    }
    r.value = gsl_multimin_fdfminimizer_minimum(m);
    r.gradient = gsl_blas_dnrm2(gsl_multimin_fdfminimizer_gradient(m));
    r.converged = r.gradient < tolerance;
    memcpy(x, gsl_multimin_fdfminimizer_x(m)->data, sizeof *x * size);
    gsl_vector_free(v);
    gsl_multimin_fdfminimizer_free(m);
    *out = r;
    return stats_status(code, "minimising");
}
