/* The fit, made fast by working in the right coordinates.
 *
 * Let X = U S V' be the training rows.  The penalty does not change under rotation, and directions outside the
 * rows' span get weight zero, so the problem in Z = X V = U S, with K <= min(n,D) columns, has the same minimum.
 * At zero weights its Hessian is diagonal there, S^2/(nC) + penalty; dividing each coordinate by the square root
 * of that entry makes it the identity.  BFGS then needs tens of iterations where raw features need hundreds.  One
 * decomposition serves the whole grid, which is walked from the largest penalty to the smallest, each fit
 * starting from the last. */
#include "probe/probe.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/table.h"
#include "num/gemm.h"
#include "num/linalg.h"
#include "num/minimise.h"
#include "probe/classifier.h"

static const double GRID[] = {1, 0.1, 0.01, 0.001, 0.0001};

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
    double *slope;    /* (c*k + c) the objective's gradient */
    double *curve;    /* (k) a label's diagonal of the loss's Hessian */
    double penalty;
} Problem;

/* Parameters v: (c,k) weights times h, then (c) biases over sqrt(c).  Returns the objective; g may be NULL. */
static double objective(const double *v, double *g, void *user)
{
    const Problem *q = user;
    const double *bias = v + q->c * q->k, unit = sqrt((double)q->c), rows = (double)q->n;
    double loss = 0, square = 0;
    gemm_parallel(F64, q->n, q->c, q->k, 1, (Mat){q->scaled, q->k, false}, (Mat){v, q->k, true}, 0, q->p, q->c);
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
    gemm_parallel(F64, q->c, q->k, q->n, 1 / rows, (Mat){q->p, q->c, true}, (Mat){q->scaled, q->k, false}, 0, g,
                  q->k);
    for (int j = 0; j < q->c; j++) {
        double sum = 0;
        for (int64_t i = 0; i < q->n; i++) sum += q->p[i * q->c + j];
        g[q->c * q->k + j] = unit * sum / rows;
        for (int64_t t = 0; t < q->k; t++) g[j * q->k + t] += q->penalty * v[j * q->k + t] / (q->h[t] * q->h[t]);
    }
    return loss / rows + q->penalty / 2 * square;
}

/* Sets the penalty and with it the scale of the coordinates. */
static void rescale(Problem *q, double penalty)
{
    q->penalty = penalty;
    for (int64_t t = 0; t < q->k; t++) q->h[t] = sqrt(q->s[t] * q->s[t] / ((double)q->n * q->c) + penalty);
    for (int64_t i = 0; i < q->n; i++)
        for (int64_t t = 0; t < q->k; t++) q->scaled[i * q->k + t] = q->z[i * q->k + t] / q->h[t];
}

/* An estimate of how far the objective at v is above its minimum: the gain of Newton's step on the Hessian's
 * diagonal, the sum of g^2 / 2H.  A separable problem with a weak penalty is flat, and a small gradient means little
 * there. */
static double excess(Problem *q, const double *v)
{
    double gain = 0, unit = (double)q->c, rows = (double)q->n, *g = q->slope;
    objective(v, g, q);
    for (int64_t i = 0; i < q->n; i++) q->p[i * q->c + q->y[i]] += 1; /* probabilities again */
    for (int64_t j = 0; j < q->c; j++) {
        double all = 0;
        memset(q->curve, 0, sizeof *q->curve * (size_t)q->k);
        for (int64_t i = 0; i < q->n; i++) {
            double p = q->p[i * q->c + j], spread = p * (1 - p) / rows;
            const double *x = q->scaled + i * q->k;
            for (int64_t t = 0; t < q->k; t++) q->curve[t] += spread * x[t] * x[t];
            all += spread;
        }
        for (int64_t t = 0; t < q->k; t++) {
            double slope = g[j * q->k + t], square = q->h[t] * q->h[t];
            gain += slope * slope / (2 * (q->curve[t] + q->penalty / square));
        }
        double slope = g[q->c * q->k + j];
        if (all > 0) gain += slope * slope / (2 * unit * all);
    }
    return gain;
}

/* Until the estimate is a tenth of CLOSE of the objective, so that the truth is within CLOSE. */
static Status minimise_loss(Minimum *out, Problem *q, double *v, int most_iterations)
{
    static const double CLOSE = 1e-6;
    int done = 0;
    double tolerance = 1e-4, above;
    do {
        TRY(minimise_bfgs(out, v, q->c * q->k + q->c, objective, q, tolerance, most_iterations - done));
        done += out->iterations;
        above = excess(q, v) / (CLOSE / 10 * out->value);
        tolerance *= fmax(0.01, 0.5 / sqrt(fmax(above, 1)));
    } while (above > 1 && out->converged && done < most_iterations);
    out->converged = above <= 1;
    out->iterations = done;
    return OK;
}

/* Minimises from w, the unscaled parameters, and leaves the result there. */
static Status fit_weights(Minimum *out, Problem *q, double *w, const ProbeConfig *how)
{
    for (int64_t i = 0; i < q->c * q->k; i++) w[i] *= q->h[i % q->k];
    Status s = how->tolerance > 0
                   ? minimise_bfgs(out, w, q->c * q->k + q->c, objective, q, how->tolerance, how->most_iterations)
                   : minimise_loss(out, q, w, how->most_iterations);
    for (int64_t i = 0; i < q->c * q->k; i++) w[i] /= q->h[i % q->k];
    return s;
}

/* ---- from features to the problem and back ---- */

static Tensor training_rows(Arena *a, Tensor x, const Dataset *d)
{
    Tensor out = tensor_new(a, F64, SHAPE(d->size[SPLIT_TRAIN], x.dim[1]));
    int64_t at = 0;
    for (int64_t i = 0; i < d->n; i++)
        if (d->example[i].split == SPLIT_TRAIN)
            memcpy(tensor_at(out, at++).data, tensor_at(x, i).data, tensor_bytes(tensor_at(x, i)));
    return out;
}

/* Projects the training rows onto their right singular vectors, in which the classifier is fitted. */
static Status set_up(Problem *q, Svd *svd, Arena *a, Tensor x, const Dataset *d, const int32_t *label)
{
    Tensor train = training_rows(a, x, d);
    TRY(linalg_svd(svd, a, train));
    int64_t n = train.dim[0], dim = x.dim[1], k = linalg_numerical_rank(svd->s), at = 0;
    int32_t *y = arena_take(a, sizeof *y * (size_t)n);
    for (int64_t i = 0; i < d->n; i++)
        if (d->example[i].split == SPLIT_TRAIN) y[at++] = label[i];
    double *z = arena_take(a, sizeof *z * (size_t)(n * k));
    gemm_parallel(F64, n, k, dim, 1, (Mat){train.data, dim, false}, (Mat){svd->vt.data, dim, true}, 0, z, k);
    *q = (Problem){.n = n, .k = k, .c = d->n_labels, .y = y, .z = z, .s = svd->s.data};
    q->scaled = arena_take(a, sizeof *z * (size_t)(n * k));
    q->h = arena_take(a, sizeof *z * (size_t)k);
    q->p = arena_take(a, sizeof *z * (size_t)n * (size_t)q->c);
    q->slope = arena_take(a, sizeof *z * (size_t)(q->c * (k + 1)));
    q->curve = arena_take(a, sizeof *z * (size_t)(k + 1));
    return OK;
}

/* Turns parameters w of the rotated problem into weights for standardised features, and predicts every row. */
static void predict(ProbeResult *r, const Problem *q, const double *w, Tensor vt, Tensor x)
{
    int64_t n = x.dim[0], dim = x.dim[1];
    double *bias = r->bias.data, *logit = r->probability.data;
    gemm_parallel(F64, q->c, dim, q->k, 1, (Mat){w, q->k, false}, (Mat){vt.data, dim, false}, 0, r->weight.data, dim);
    for (int j = 0; j < q->c; j++) bias[j] = sqrt((double)q->c) * w[q->c * q->k + j];
    gemm_parallel(F64, n, q->c, dim, 1, (Mat){x.data, dim, false}, (Mat){r->weight.data, dim, true}, 0, logit, q->c);
    for (int64_t i = 0; i < n * q->c; i++) logit[i] += bias[i % q->c];
    classifier_softmax(r->probability);
}

static ProbeConfig with_defaults(const ProbeConfig *given)
{
    ProbeConfig c = given ? *given : (ProbeConfig){0};
    if (!c.penalty) {
        c.penalty = GRID;
        c.n_penalties = sizeof GRID / sizeof *GRID;
    }
    if (!c.most_iterations) c.most_iterations = 1000;
    return c;
}

/* Walks the grid from the largest penalty down; *best keeps the fit with the highest validation accuracy. */
static Status search(ProbeResult *best, Arena *scratch, Problem *q, Tensor vt, Tensor x, const Dataset *d,
                     const int32_t *label, const ProbeConfig *how)
{
    double last = INFINITY, highest = -INFINITY, *w = arena_zero(scratch, sizeof *w * (size_t)(q->c * (q->k + 1)));
    ProbeResult now = *best;
    now.weight = tensor_copy(scratch, best->weight);
    now.bias = tensor_copy(scratch, best->bias);
    now.probability = tensor_copy(scratch, best->probability);
    for (int i = 0; i < how->n_penalties; i++) {
        double penalty = 0;
        for (int j = 0; j < how->n_penalties; j++) /* the largest that is smaller than the last */
            if (how->penalty[j] < last) penalty = fmax(penalty, how->penalty[j]);
        if (penalty <= 0) break;
        last = penalty;
        Minimum fit;
        rescale(q, penalty);
        TRY(fit_weights(&fit, q, w, how));
        predict(&now, q, w, vt, x);
        double score = classifier_selection(now.probability, d, label, how->by_loss);
        if (score <= highest) continue;
        highest = score;
        best->penalty = penalty;
        classifier_note(best, &fit);
        memcpy(best->weight.data, now.weight.data, tensor_bytes(now.weight));
        memcpy(best->bias.data, now.bias.data, tensor_bytes(now.bias));
        memcpy(best->probability.data, now.probability.data, tensor_bytes(now.probability));
    }
    return OK;
}

static void weigh_columns(Tensor x, const double *scale)
{
    double *v = x.data;
    for (int64_t i = 0, n = tensor_count(x); scale && i < n; i++) v[i] *= scale[i % x.dim[1]];
}

/* Fits a logistic regression for each penalty, and keeps the one that is best on validation. */
Status probe_fit(ProbeResult *out, Arena *a, Tensor features, const Dataset *d, const int32_t *label,
                 const ProbeConfig *config)
{
    ProbeResult r;
    Arena scratch = arena_open(0);
    ArenaMark mark = arena_mark(a);
    Tensor x;
    Problem q;
    Svd svd;
    ProbeConfig how = with_defaults(config);
    Status s = classifier_prepare(&r, &x, &label, a, &scratch, features, d);
    if (!s) {
        weigh_columns(x, how.scale);
        r.weight = tensor_zero(a, F64, SHAPE(d->n_labels, features.dim[1]));
        r.bias = tensor_zero(a, F64, SHAPE(d->n_labels));
        s = set_up(&q, &svd, &scratch, x, d, label);
    }
    if (!s) s = search(&r, &scratch, &q, svd.vt, x, d, label, &how);
    if (!s) weigh_columns(r.weight, how.scale);
    if (!s) classifier_measure(&r, a, d, label);
    arena_close(&scratch);
    if (s) arena_drop(a, mark);
    if (!s) *out = r;
    return s;
}

static const Classifier LOGISTIC = {"logistic", "multinomial logistic regression by BFGS, L2 on validation",
                                    probe_fit};
REGISTER(classifier, LOGISTIC)

/* ---- baselines and controls ---- */

void probe_majority(ProbeResult *out, Arena *a, const Dataset *d)
{
    ProbeResult r = {.n_labels = d->n_labels, .penalty = NAN, .loss = NAN, .gradient = NAN, .converged = true};
    r.probability = tensor_new(a, F64, SHAPE(d->n, d->n_labels));
    double *p = r.probability.data;
    for (int64_t i = 0; i < d->n; i++)
        for (int k = 0; k < d->n_labels; k++)
            p[i * d->n_labels + k] = (double)d->count[SPLIT_TRAIN][k] / (double)d->size[SPLIT_TRAIN];
    classifier_measure(&r, a, d, classifier_labels(a, d));
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
