/* The fit, made fast by working in the right coordinates.
 *
 * Let X = U S V' be the training rows.  The penalty does not change under rotation, and directions outside the
 * rows' span get weight zero, so the problem in Z = X V = U S, with K <= min(n,D) columns, has the same minimum.
 * At zero weights its Hessian is diagonal there, S^2/(nC) + penalty; dividing each coordinate by the square root
 * of that entry makes it the identity.  BFGS then needs tens of iterations where raw features need hundreds.  One
 * decomposition serves the whole grid, which is walked from the largest penalty to the smallest, each fit
 * starting from the last. */
#include "tasks/probe.h"

#include <gsl/gsl_blas.h>
#include <gsl/gsl_multimin.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/table.h"
#include "num/gemm.h"
#include "num/linalg.h"

static const double GRID[] = {1, 0.1, 0.01, 0.001, 0.0001};

/* ---- measures ---- */

/* Accuracy and macro-F1 of one split.  A label that is neither present nor predicted counts for nothing. */
static void measure(ProbeResult *r, const Dataset *d, const int32_t *label, Split s, int64_t *confusion)
{
    int c = r->n_labels, used = 0;
    int64_t n = 0, hits = 0;
    double f1 = 0;
    memset(confusion, 0, sizeof *confusion * (size_t)c * (size_t)c);
    for (int64_t i = 0; i < d->n; i++) {
        if (d->example[i].split != s) continue;
        confusion[label[i] * c + r->predicted[i]]++;
        n++;
    }
    for (int k = 0; k < c; k++) {
        int64_t truth = 0, said = 0, both = confusion[k * c + k];
        for (int j = 0; j < c; j++) {
            truth += confusion[k * c + j];
            said += confusion[j * c + k];
        }
        hits += both;
        if (truth + said == 0) continue;
        f1 += 2 * (double)both / (double)(truth + said);
        used++;
    }
    r->accuracy[s] = n ? (double)hits / (double)n : (double)NAN;
    r->macro_f1[s] = used ? f1 / used : (double)NAN;
    if (s == SPLIT_TEST) r->ci95 = stats_wilson(hits, n);
}

static void measure_all(ProbeResult *r, Arena *a, const Dataset *d, const int32_t *label)
{
    r->confusion = NEW(a, int64_t, r->n_labels * r->n_labels);
    for (int s = 0; s < SPLITS; s++) measure(r, d, label, (Split)s, r->confusion); /* test comes last and stays */
}

/* ---- the problem in its coordinates ---- */

typedef struct {
    int64_t n, k;     /* training rows; coordinates */
    int c;            /* labels */
    const int32_t *y; /* (n) */
    const double *z;  /* (n,k) rotated training rows */
    const double *s;  /* (k) their singular values */
    double *scaled;   /* (n,k) z divided by h */
    double *h;        /* (k) square roots of the Hessian's diagonal at zero weights */
    double *p;        /* (n,c) logits, then the loss's gradient by them */
    double penalty;
} Problem;

/* Parameters v: (c,k) weights times h, then (c) biases over sqrt(c).  Returns the objective; g may be NULL. */
static double objective(const double *v, double *g, const Problem *q)
{
    const double *bias = v + q->c * q->k, unit = sqrt((double)q->c), rows = (double)q->n;
    double loss = 0, square = 0;
    gemm(F64, q->n, q->c, q->k, 1, (Mat){q->scaled, q->k, false}, (Mat){v, q->k, true}, 0, q->p, q->c);
    for (int64_t i = 0; i < q->n; i++) {
        double *p = q->p + i * q->c, top = -INFINITY, sum = 0;
        for (int j = 0; j < q->c; j++) top = fmax(top, p[j] += unit * bias[j]);
        double right = p[q->y[i]];
        for (int j = 0; j < q->c; j++) sum += p[j] = exp(p[j] - top);
        loss += log(sum) + top - right;
        for (int j = 0; j < q->c; j++) p[j] /= sum;
        p[q->y[i]] -= 1; /* now the gradient of this row's loss by its logits */
    }
    for (int j = 0; j < q->c; j++)
        for (int64_t t = 0; t < q->k; t++) {
            double w = v[j * q->k + t] / q->h[t];
            square += w * w;
        }
    if (!g) return loss / rows + q->penalty / 2 * square;
    gemm(F64, q->c, q->k, q->n, 1 / rows, (Mat){q->p, q->c, true}, (Mat){q->scaled, q->k, false}, 0, g, q->k);
    for (int j = 0; j < q->c; j++) {
        double sum = 0;
        for (int64_t i = 0; i < q->n; i++) sum += q->p[i * q->c + j];
        g[q->c * q->k + j] = unit * sum / rows;
        for (int64_t t = 0; t < q->k; t++) g[j * q->k + t] += q->penalty * v[j * q->k + t] / (q->h[t] * q->h[t]);
    }
    return loss / rows + q->penalty / 2 * square;
}

static double gsl_f(const gsl_vector *v, void *user)
{
    return objective(v->data, NULL, user);
}

static void gsl_df(const gsl_vector *v, void *user, gsl_vector *g)
{
    objective(v->data, g->data, user);
}

static void gsl_fdf(const gsl_vector *v, void *user, double *f, gsl_vector *g)
{
    *f = objective(v->data, g->data, user);
}

/* Sets the penalty and with it the scale of the coordinates. */
static void rescale(Problem *q, double penalty)
{
    q->penalty = penalty;
    for (int64_t t = 0; t < q->k; t++) q->h[t] = sqrt(q->s[t] * q->s[t] / ((double)q->n * q->c) + penalty);
    for (int64_t i = 0; i < q->n; i++)
        for (int64_t t = 0; t < q->k; t++) q->scaled[i * q->k + t] = q->z[i * q->k + t] / q->h[t];
}

typedef struct {
    double loss;
    int iterations;
    bool converged;
} Fit;

/* Minimises from w, the unscaled parameters, and leaves the result there. */
static Status minimise(Fit *out, Problem *q, double *w, const ProbeConfig *how)
{
    size_t n = (size_t)(q->c * q->k + q->c);
    gsl_multimin_function_fdf f = {gsl_f, gsl_df, gsl_fdf, n, q};
    gsl_multimin_fdfminimizer *m = gsl_multimin_fdfminimizer_alloc(gsl_multimin_fdfminimizer_vector_bfgs2, n);
    gsl_vector *v = gsl_vector_alloc(n);
    CHECK(m && v, "GSL has no memory for %zu parameters", n);
    for (size_t i = 0; i < n; i++) v->data[i] = i < (size_t)(q->c * q->k) ? w[i] * q->h[i % (size_t)q->k] : w[i];
    Fit r = {NAN, 0, false};
    int code = gsl_multimin_fdfminimizer_set(m, &f, v, 0.1, 0.1), stuck = 0;
    while (!code && r.iterations < how->most_iterations) {
        if (gsl_blas_dnrm2(gsl_multimin_fdfminimizer_gradient(m)) < how->tolerance) break;
        r.iterations++;
        int step = gsl_multimin_fdfminimizer_iterate(m);
        if (step == GSL_ENOPROG && stuck++ == 0) /* forget the curvature and go straight down once more */
            code = gsl_multimin_fdfminimizer_restart(m);
        else if (step)
            break;
    }
    r.loss = gsl_multimin_fdfminimizer_minimum(m);
    r.converged = gsl_blas_dnrm2(gsl_multimin_fdfminimizer_gradient(m)) < how->tolerance;
    const gsl_vector *x = gsl_multimin_fdfminimizer_x(m);
    for (size_t i = 0; i < n; i++)
        w[i] = i < (size_t)(q->c * q->k) ? x->data[i] / q->h[i % (size_t)q->k] : x->data[i];
    gsl_vector_free(v);
    gsl_multimin_fdfminimizer_free(m);
    *out = r;
    return stats_status(code, "fitting a probe");
}

/* ---- from features to the problem and back ---- */

/* All rows standardised by the training rows, (N,D). */
static Tensor standardise(ProbeResult *r, Arena *a, Tensor x, const Dataset *d)
{
    int64_t n = x.dim[0], dim = x.dim[1];
    r->mean = tensor_zero(a, F64, SHAPE(dim));
    r->sd = tensor_zero(a, F64, SHAPE(dim));
    Tensor out = tensor_cast(a, x, F64);
    double *v = out.data, *mean = r->mean.data, *sd = r->sd.data, rows = (double)d->size[SPLIT_TRAIN];
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; d->example[i].split == SPLIT_TRAIN && j < dim; j++) mean[j] += v[i * dim + j] / rows;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; d->example[i].split == SPLIT_TRAIN && j < dim; j++) {
            double gap = v[i * dim + j] - mean[j];
            sd[j] += gap * gap / rows;
        }
    for (int64_t j = 0; j < dim; j++) { /* below rounding, a spread is no spread */
        sd[j] = sqrt(sd[j]);
        if (sd[j] <= 1e-12 * fabs(mean[j])) sd[j] = 0;
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < dim; j++) v[i * dim + j] = sd[j] > 0 ? (v[i * dim + j] - mean[j]) / sd[j] : 0;
    return out;
}

static Tensor training_rows(Arena *a, Tensor x, const Dataset *d)
{
    Tensor out = tensor_new(a, F64, SHAPE(d->size[SPLIT_TRAIN], x.dim[1]));
    int64_t at = 0;
    for (int64_t i = 0; i < d->n; i++)
        if (d->example[i].split == SPLIT_TRAIN)
            memcpy(tensor_at(out, at++).data, tensor_at(x, i).data, tensor_bytes(tensor_at(x, i)));
    return out;
}

static Status set_up(Problem *q, Svd *svd, Arena *a, Tensor x, const Dataset *d, const int32_t *label)
{
    Tensor train = training_rows(a, x, d);
    TRY(linalg_svd(svd, a, train));
    int64_t n = train.dim[0], dim = x.dim[1], k = linalg_rank(svd->s, 1e-9), at = 0;
    int32_t *y = arena_take(a, sizeof *y * (size_t)n);
    for (int64_t i = 0; i < d->n; i++)
        if (d->example[i].split == SPLIT_TRAIN) y[at++] = label[i];
    double *z = arena_take(a, sizeof *z * (size_t)(n * k));
    gemm(F64, n, k, dim, 1, (Mat){train.data, dim, false}, (Mat){svd->vt.data, dim, true}, 0, z, k);
    *q = (Problem){.n = n, .k = k, .c = d->n_labels, .y = y, .z = z, .s = svd->s.data};
    q->scaled = arena_take(a, sizeof *z * (size_t)(n * k));
    q->h = arena_take(a, sizeof *z * (size_t)k);
    q->p = arena_take(a, sizeof *z * (size_t)n * (size_t)q->c);
    return OK;
}

/* Turns parameters w of the rotated problem into weights for standardised features, and predicts every row. */
static void predict(ProbeResult *r, Arena *scratch, const Problem *q, const double *w, Tensor vt, Tensor x)
{
    int64_t n = x.dim[0], dim = x.dim[1];
    double *bias = r->bias.data, *logit = arena_take(scratch, sizeof *logit * (size_t)n * (size_t)q->c);
    gemm(F64, q->c, dim, q->k, 1, (Mat){w, q->k, false}, (Mat){vt.data, dim, false}, 0, r->weight.data, dim);
    for (int j = 0; j < q->c; j++) bias[j] = sqrt((double)q->c) * w[q->c * q->k + j];
    gemm(F64, n, q->c, dim, 1, (Mat){x.data, dim, false}, (Mat){r->weight.data, dim, true}, 0, logit, q->c);
    for (int64_t i = 0; i < n; i++) {
        int best = 0;
        for (int j = 1; j < q->c; j++)
            if (logit[i * q->c + j] + bias[j] > logit[i * q->c + best] + bias[best]) best = j;
        r->predicted[i] = best;
    }
}

static ProbeConfig with_defaults(const ProbeConfig *given)
{
    ProbeConfig c = given ? *given : (ProbeConfig){0};
    if (!c.penalty) {
        c.penalty = GRID;
        c.n_penalties = sizeof GRID / sizeof *GRID;
    }
    if (!c.most_iterations) c.most_iterations = 1000;
    if (c.tolerance <= 0) c.tolerance = 1e-4;
    return c;
}

/* Walks the grid from the largest penalty down; *best keeps the fit with the highest validation accuracy. */
static Status search(ProbeResult *best, Arena *scratch, Problem *q, Tensor vt, Tensor x, const Dataset *d,
                     const int32_t *label, const ProbeConfig *how)
{
    double last = INFINITY, *w = arena_zero(scratch, sizeof *w * (size_t)(q->c * (q->k + 1)));
    int64_t *confusion = arena_take(scratch, sizeof *confusion * (size_t)q->c * (size_t)q->c);
    ProbeResult now = *best;
    now.weight = tensor_copy(scratch, best->weight);
    now.bias = tensor_copy(scratch, best->bias);
    now.predicted = arena_take(scratch, sizeof(int32_t) * (size_t)d->n);
    best->accuracy[SPLIT_VALID] = -1;
    for (int i = 0; i < how->n_penalties; i++) {
        double penalty = 0;
        for (int j = 0; j < how->n_penalties; j++) /* the largest that is smaller than the last */
            if (how->penalty[j] < last) penalty = fmax(penalty, how->penalty[j]);
        if (penalty <= 0) break;
        last = penalty;
        Fit fit;
        rescale(q, penalty);
        TRY(minimise(&fit, q, w, how));
        predict(&now, scratch, q, w, vt, x);
        measure(&now, d, label, d->size[SPLIT_VALID] ? SPLIT_VALID : SPLIT_TRAIN, confusion);
        double score = now.accuracy[d->size[SPLIT_VALID] ? SPLIT_VALID : SPLIT_TRAIN];
        if (score <= best->accuracy[SPLIT_VALID]) continue;
        best->accuracy[SPLIT_VALID] = score;
        best->penalty = penalty;
        best->loss = fit.loss;
        best->iterations = fit.iterations;
        best->converged = fit.converged;
        memcpy(best->weight.data, now.weight.data, tensor_bytes(now.weight));
        memcpy(best->bias.data, now.bias.data, tensor_bytes(now.bias));
        memcpy(best->predicted, now.predicted, sizeof(int32_t) * (size_t)d->n);
    }
    return OK;
}

static int32_t *own_labels(Arena *a, const Dataset *d)
{
    int32_t *label = arena_take(a, sizeof *label * (size_t)d->n);
    for (int64_t i = 0; i < d->n; i++) label[i] = d->example[i].label;
    return label;
}

Status probe_fit(ProbeResult *out, Arena *a, Tensor features, const Dataset *d, const int32_t *label,
                 const ProbeConfig *config)
{
    CHECK(features.rank == 2 && features.dim[0] == d->n, "probe: features%s for %lld examples",
          tensor_shape(features), (long long)d->n);
    if (d->size[SPLIT_TRAIN] < 1) return fail(E_MISMATCH, "%s: has no training examples to fit a probe on", d->name);
    for (int64_t i = 0, n = tensor_count(features); i < n; i++)
        if (!isfinite(tensor_get(features, i)))
            return fail(E_NUMERIC, "a probe's features%s: element %lld is %g, expected a finite number",
                        tensor_shape(features), (long long)i, tensor_get(features, i));
    ProbeConfig how = with_defaults(config);
    ProbeResult r = {.n_labels = d->n_labels, .penalty = NAN, .loss = NAN};
    r.weight = tensor_zero(a, F64, SHAPE(d->n_labels, features.dim[1]));
    r.bias = tensor_zero(a, F64, SHAPE(d->n_labels));
    r.predicted = NEW(a, int32_t, d->n);
    Arena scratch = arena_open(0);
    if (!label) label = own_labels(&scratch, d);
    ArenaMark mark = arena_mark(a);
    Tensor x = standardise(&r, &scratch, features, d);
    r.mean = tensor_copy(a, r.mean);
    r.sd = tensor_copy(a, r.sd);
    Problem q;
    Svd svd;
    Status s = set_up(&q, &svd, &scratch, x, d, label);
    if (!s) s = search(&r, &scratch, &q, svd.vt, x, d, label, &how);
    if (!s) measure_all(&r, a, d, label);
    arena_close(&scratch);
    if (s) arena_drop(a, mark);
    if (!s) *out = r;
    return s;
}

/* ---- what a probe is compared with ---- */

void probe_majority(ProbeResult *out, Arena *a, const Dataset *d)
{
    ProbeResult r = {.n_labels = d->n_labels, .penalty = NAN, .loss = NAN, .converged = true};
    int32_t best = 0;
    for (int32_t k = 1; k < d->n_labels; k++)
        if (d->count[SPLIT_TRAIN][k] > d->count[SPLIT_TRAIN][best]) best = k;
    r.predicted = arena_take(a, sizeof *r.predicted * (size_t)d->n);
    for (int64_t i = 0; i < d->n; i++) r.predicted[i] = best;
    measure_all(&r, a, d, own_labels(a, d));
    *out = r;
}

void probe_shuffle_labels(int32_t *label, const Dataset *d, uint64_t stream)
{
    Arena scratch = arena_open((size_t)d->n * 8 + ((size_t)1 << 20));
    int32_t *pool = arena_take(&scratch, sizeof *pool * (size_t)d->n);
    for (int s = 0; s < SPLITS; s++) {
        int64_t n = 0, at = 0;
        for (int64_t i = 0; i < d->n; i++)
            if (d->example[i].split == (Split)s) pool[n++] = d->example[i].label;
        rng_shuffle(rng_mix(stream, (uint64_t)s), n, pool);
        for (int64_t i = 0; i < d->n; i++)
            if (d->example[i].split == (Split)s) label[i] = pool[at++];
    }
    arena_close(&scratch);
}
