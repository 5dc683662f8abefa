/* Nearest centroid: each label is the mean of its training rows, and a row's label is that of the nearest.  With
 * standardised x, means m_k and the mean squared distance v of training rows to their own mean, a dimension,
 *
 *     p(k) = softmax_k(-|x - m_k|^2 / (2 t v)),
 *
 * the posterior of equal spherical Gaussians.  It is overconfident when dimensions are many and correlated, so
 * t >= 1 is the one of a grid with the least loss on validation.  It has no weights to fit, so any accuracy above
 * chance comes from the features. */
#include <math.h>
#include <string.h>

#include "probe/classifier.h"

static const double SPREAD[] = {1, 3, 10, 30, 100, 300, 1000};

/* Negative squared distances (N,C) over 2 v; a label without training rows is infinitely far. */
static Tensor distances(Arena *a, Tensor x, const Dataset *d, const int32_t *label)
{
    int64_t n = x.dim[0], dim = x.dim[1], c = d->n_labels;
    double *mean = arena_zero(a, sizeof *mean * (size_t)(c * dim)), *count = arena_zero(a, sizeof *count * (size_t)c);
    const double *v = x.data;
    for (int64_t i = 0; i < n; i++) {
        if (d->example[i].split != SPLIT_TRAIN) continue;
        count[label[i]]++;
        for (int64_t j = 0; j < dim; j++) mean[label[i] * dim + j] += v[i * dim + j];
    }
    for (int64_t i = 0; i < c * dim; i++) mean[i] /= fmax(count[i / dim], 1);
    Tensor out = tensor_new(a, F64, SHAPE(n, c));
    double *square = out.data, within = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < c; k++) {
            double sum = count[k] > 0 ? 0 : INFINITY;
            for (int64_t j = 0; j < dim; j++)
                sum += (v[i * dim + j] - mean[k * dim + j]) * (v[i * dim + j] - mean[k * dim + j]);
            square[i * c + k] = -sum;
            if (d->example[i].split == SPLIT_TRAIN && k == label[i]) within += sum;
        }
    within /= fmax((double)d->size[SPLIT_TRAIN] * (double)dim, 1);
    for (int64_t i = 0; i < n * c; i++) square[i] /= within > 0 ? 2 * within : 1;
    return out;
}

static Status fit(ProbeResult *out, Arena *a, Tensor features, const Dataset *d, const int32_t *label,
                  const ProbeConfig *config)
{
    (void)config;
    ProbeResult r;
    Tensor x;
    Arena scratch = arena_open(0);
    ArenaMark mark = arena_mark(a);
    Status s = classifier_prepare(&r, &x, &label, a, &scratch, features, d);
    if (!s) {
        Tensor distance = distances(&scratch, x, d, label), p = tensor_copy(&scratch, distance);
        Split chosen = d->size[SPLIT_VALID] ? SPLIT_VALID : SPLIT_TRAIN;
        r.loss = INFINITY;
        for (size_t t = 0; t < sizeof SPREAD / sizeof *SPREAD; t++) {
            double loss = 0;
            for (int64_t i = 0, all = tensor_count(p); i < all; i++)
                tensor_set(p, i, tensor_get(distance, i) / SPREAD[t]);
            classifier_softmax(p);
            for (int64_t i = 0; i < d->n; i++)
                if (d->example[i].split == chosen) loss -= log(tensor_get(p, i * d->n_labels + label[i]) + 1e-300);
            loss /= (double)d->size[chosen];
            if (!(loss < r.loss)) continue;
            r.loss = loss;
            r.penalty = SPREAD[t];
            memcpy(r.probability.data, p.data, tensor_bytes(p));
        }
        r.converged = true;
        classifier_measure(&r, a, d, label);
        *out = r;
    }
    arena_close(&scratch);
    if (s) arena_drop(a, mark);
    return s;
}

static const Classifier CENTROID = {"centroid", "nearest mean of a label, its spread chosen on validation", fit};
REGISTER(classifier, CENTROID)
