/* One hidden layer, p = softmax(V tanh(W x + b) + c), on standardised rows; the objective is the probe's, with the
 * penalty on V and W, minimised by the same BFGS from the same small random start for each penalty of the grid. 
 * Its accuracy above that of the linear probe is information that is not linear in the features.  It can memorise
 * more, so its control task matters more.  Products run on one thread: they are too small to share, and probes of
 * several layers run in parallel. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "num/gemm.h"
#include "probe/classifier.h"

static const double GRID[] = {0.1, 0.01, 0.001};
enum { HIDDEN = 32, ITERATIONS = 60 };

typedef struct {
    int64_t n, dim, hidden, c; /* rows of x */
    const double *x;           /* (n,dim) */
    const int32_t *y;          /* (n) */
    double *h, *dh, *p;        /* (n,hidden) twice, (n,c) */
    double penalty;
} Net;

/* Parameters: W (hidden,dim), V (c,hidden), b (hidden), c (c). */
static int64_t weights(const Net *q)
{
    return q->hidden * q->dim + q->c * q->hidden;
}

static void forward(const Net *q, const double *w)
{
    const double *v = w + q->hidden * q->dim, *b = w + weights(q), *c = b + q->hidden;
    gemm_serial(F64, q->n, q->hidden, q->dim, 1, (Mat){q->x, q->dim, false}, (Mat){w, q->dim, true}, 0, q->h,
                q->hidden);
    for (int64_t i = 0; i < q->n; i++)
        for (int64_t j = 0; j < q->hidden; j++) q->h[i * q->hidden + j] = tanh(q->h[i * q->hidden + j] + b[j]);
    gemm_serial(F64, q->n, q->c, q->hidden, 1, (Mat){q->h, q->hidden, false}, (Mat){v, q->hidden, true}, 0, q->p,
                q->c);
    for (int64_t i = 0; i < q->n * q->c; i++) q->p[i] += c[i % q->c];
    classifier_softmax(tensor_over(q->p, F64, SHAPE(q->n, q->c)));
}

static void sum_rows(double *out, const double *m, int64_t n, int64_t columns)
{
    memset(out, 0, sizeof *out * (size_t)columns);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < columns; j++) out[j] += m[i * columns + j];
}

/* Mean cross-entropy plus penalty/2 |w|^2, and its gradient where g is not NULL. */
static double objective(const double *w, double *g, void *user)
{
    const Net *q = user;
    double loss = 0, square = 0, rows = (double)q->n;
    forward(q, w);
    for (int64_t i = 0; i < q->n; i++) loss -= log(q->p[i * q->c + q->y[i]] + 1e-300) / rows;
    for (int64_t i = 0; i < weights(q); i++) square += w[i] * w[i];
    loss += q->penalty / 2 * square;
    if (!g) return loss;
    const double *v = w + q->hidden * q->dim;
    double *gv = g + q->hidden * q->dim, *gb = g + weights(q), *gc = gb + q->hidden;
    for (int64_t i = 0; i < q->n; i++) /* p becomes the gradient by the logits */
        for (int64_t k = 0; k < q->c; k++) q->p[i * q->c + k] = (q->p[i * q->c + k] - (k == q->y[i])) / rows;
    gemm_serial(F64, q->c, q->hidden, q->n, 1, (Mat){q->p, q->c, true}, (Mat){q->h, q->hidden, false}, 0, gv,
                q->hidden);
    gemm_serial(F64, q->n, q->hidden, q->c, 1, (Mat){q->p, q->c, false}, (Mat){v, q->hidden, false}, 0, q->dh,
                q->hidden);
    for (int64_t i = 0; i < q->n * q->hidden; i++) q->dh[i] *= 1 - q->h[i] * q->h[i];
    gemm_serial(F64, q->hidden, q->dim, q->n, 1, (Mat){q->dh, q->hidden, true}, (Mat){q->x, q->dim, false}, 0, g,
                q->dim);
    for (int64_t i = 0; i < weights(q); i++) g[i] += q->penalty * w[i];
    sum_rows(gb, q->dh, q->n, q->hidden);
    sum_rows(gc, q->p, q->n, q->c);
    return loss;
}

/* The net over the training rows, with their copies. */
static Net training_net(Arena *a, Tensor x, const Dataset *d, const int32_t *label, int64_t hidden)
{
    int64_t n = d->size[SPLIT_TRAIN], dim = x.dim[1], c = d->n_labels;
    int32_t *row = arena_take(a, sizeof *row * (size_t)d->n), *y = arena_take(a, sizeof *y * (size_t)n);
    double *copy = arena_take(a, sizeof *copy * (size_t)(n * dim));
    classifier_rows(row, d, SPLIT_TRAIN);
    for (int64_t i = 0; i < n; i++) {
        y[i] = label[row[i]];
        memcpy(copy + i * dim, tensor_at(x, row[i]).data, sizeof *copy * (size_t)dim);
    }
    double *h = arena_take(a, sizeof *h * (size_t)(d->n * hidden)),
           *dh = arena_take(a, sizeof *h * (size_t)(n * hidden)),
           *p = arena_take(a, sizeof *p * (size_t)(d->n * c)); /* h and p also hold all rows, to predict */
    return (Net){n, dim, hidden, c, copy, y, h, dh, p, 0};
}

/* Fits the net for each penalty of the grid, and keeps the one that does best on the validation rows. */
static Status search(ProbeResult *r, Arena *a, Tensor x, const Dataset *d, const int32_t *label,
                     const ProbeConfig *how)
{
    Net q = training_net(a, x, d, label, how->hidden > 0 ? how->hidden : HIDDEN), all = q;
    all.n = d->n, all.x = x.data;
    int64_t size = weights(&q) + q.hidden + q.c;
    double *w = arena_take(a, sizeof *w * (size_t)size), highest = -INFINITY;
    const double *grid = how->penalty ? how->penalty : GRID;
    uint64_t stream = rng_stream(how->seed, "mlp");
    for (int t = 0; t < (how->penalty ? how->n_penalties : (int)(sizeof GRID / sizeof *GRID)); t++) {
        for (int64_t i = 0; i < size; i++) {
            double spread = i >= weights(&q) ? 0 : i < q.hidden * q.dim ? 1 / sqrt((double)q.dim) : 0.1;
            w[i] = spread * rng_normal(stream, (uint64_t)i);
        }
        q.penalty = grid[t];
        Minimum m;
        TRY(minimise_bfgs(&m, w, size, objective, &q, how->tolerance > 0 ? how->tolerance : 1e-3,
                          how->most_iterations ? how->most_iterations : ITERATIONS));
        forward(&all, w);
        Tensor p = tensor_over(all.p, F64, SHAPE(all.n, all.c));
        double score = classifier_selection(p, d, label, how->by_loss);
        if (score <= highest) continue;
        highest = score;
        r->penalty = grid[t];
        classifier_note(r, &m);
        memcpy(r->probability.data, p.data, tensor_bytes(p));
    }
    return OK;
}

/* Standardises the features, searches the hyperparameters on validation, and measures the best network. */
static Status fit(ProbeResult *out, Arena *a, Tensor features, const Dataset *d, const int32_t *label,
                  const ProbeConfig *config)
{
    ProbeResult r;
    Tensor x;
    Arena scratch = arena_open(0);
    ArenaMark mark = arena_mark(a);
    const ProbeConfig none = {0};
    Status s = classifier_prepare(&r, &x, &label, a, &scratch, features, d);
    if (!s) s = search(&r, &scratch, x, d, label, config ? config : &none);
    if (!s) classifier_measure(&r, a, d, label);
    arena_close(&scratch);
    if (s) arena_drop(a, mark);
    if (!s) *out = r;
    return s;
}

static const Classifier MLP = {"mlp", "one hidden layer of tanh units, L2 on validation", fit};
REGISTER(classifier, MLP)
