/* The published protocol, to the letter: a linear layer on the features as they come, not standardised, trained by
 * Adam (lr 1e-3) on the cross-entropy.  For each weight decay of the grid 20 epochs in batches of 64; the one with
 * the best validation accuracy, of equals the smallest, is trained again from scratch, 20 epochs in batches of one
 * row.  There is no early stopping: the loop that was to do it returns after one block of 20 epochs.  Weight decay
 * adds to the gradient, of weights and bias alike; both start uniform within 1/sqrt(D).
 * Source: Karmakar and Robbes (ASE 2021) and their code, after SentEval (Conneau and Kiela 2018).  PyTorch's random
 * numbers are not reproduced, so a single run agrees in distribution only. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "probe/classifier.h"

static const double DECAY[] = {1e-5, 1e-4, 1e-3, 1e-2};
enum { EPOCHS = 20, BATCH = 64, SEED = 42 };

typedef struct {
    int64_t n, dim, c; /* training rows */
    const double *x;   /* (N,D) all rows */
    const int32_t *row, *y;
    double *w, *g, *m, *v; /* (c, dim + 1): weights, then the bias, of each label; gradient; Adam's means */
    double *p;             /* (c) */
} Layer;

static void logits(double *p, const Layer *l, int64_t row)
{
    const double *x = l->x + row * l->dim;
    for (int64_t k = 0; k < l->c; k++) {
        const double *w = l->w + k * (l->dim + 1);
        double sum = w[l->dim];
#pragma omp simd reduction(+ : sum)
        for (int64_t j = 0; j < l->dim; j++) sum += w[j] * x[j];
        p[k] = sum;
    }
}

static void add_gradient(const Layer *l, int64_t row, double weight)
{
    logits(l->p, l, row);
    classifier_softmax(tensor_over(l->p, F64, SHAPE(1, l->c)));
    const double *x = l->x + row * l->dim;
    for (int64_t k = 0; k < l->c; k++) {
        double *g = l->g + k * (l->dim + 1), by = weight * (l->p[k] - (k == l->y[row]));
        for (int64_t j = 0; j < l->dim; j++) g[j] += by * x[j];
        g[l->dim] += by;
    }
}

static void adam(const Layer *l, double decay, int64_t step)
{
    const double lr = 1e-3, b1 = 0.9, b2 = 0.999, eps = 1e-8;
    double rate = lr / (1 - pow(b1, (double)step)), unbias = 1 / sqrt(1 - pow(b2, (double)step));
    for (int64_t i = 0, n = l->c * (l->dim + 1); i < n; i++) {
        double g = l->g[i] + decay * l->w[i];
        l->m[i] = b1 * l->m[i] + (1 - b1) * g;
        l->v[i] = b2 * l->v[i] + (1 - b2) * g * g;
        l->w[i] -= rate * l->m[i] / (sqrt(l->v[i]) * unbias + eps);
        l->g[i] = 0;
    }
}

/* Adam for a fixed number of epochs, from weights drawn anew, in batches of shuffled rows. */
static void train(Layer *l, double decay, int64_t batch, uint64_t stream)
{
    int64_t size = l->c * (l->dim + 1), step = 0;
    double edge = 1 / sqrt((double)l->dim);
    Arena scratch = arena_open(0);
    int32_t *order = arena_take(&scratch, sizeof *order * (size_t)(l->n + 1));
    for (int64_t i = 0; i < size; i++) {
        l->w[i] = edge * (2 * rng_uniform(rng_mix(stream, 0), (uint64_t)i) - 1);
        l->g[i] = l->m[i] = l->v[i] = 0;
    }
    for (int epoch = 1; epoch <= EPOCHS; epoch++) {
        memcpy(order, l->row, sizeof *order * (size_t)l->n);
        rng_shuffle(rng_mix(stream, (uint64_t)epoch), l->n, order);
        for (int64_t from = 0; from < l->n; from += batch) {
            int64_t n = l->n - from < batch ? l->n - from : batch;
            for (int64_t i = 0; i < n; i++) add_gradient(l, order[from + i], 1 / (double)n);
            adam(l, decay, ++step);
        }
    }
    arena_close(&scratch);
}

static void predict(Tensor p, const Layer *l)
{
    for (int64_t i = 0; i < p.dim[0]; i++) logits((double *)p.data + i * l->c, l, i);
    classifier_softmax(p);
}

/* Batches choose the decay by validation; then, as in the published code, the layer is trained row by row. */
static Status fit(ProbeResult *out, Arena *a, Tensor features, const Dataset *d, const int32_t *label,
                  const ProbeConfig *config)
{
    ProbeResult r;
    Tensor standard;
    Arena scratch = arena_open(0);
    ArenaMark mark = arena_mark(a);
    Status s = classifier_prepare(&r, &standard, &label, a, &scratch, features, d);
    if (!s) {
        int32_t *row = arena_take(&scratch, sizeof *row * (size_t)d->n);
        Layer l = {classifier_rows(row, d, SPLIT_TRAIN),
                   features.dim[1],
                   d->n_labels,
                   tensor_cast(&scratch, features, F64).data,
                   row,
                   label,
                   NULL,
                   NULL,
                   NULL,
                   NULL,
                   NULL};
        double **part[] = {&l.w, &l.g, &l.m, &l.v}, highest = -1;
        for (int k = 0; k < 4; k++) *part[k] = NEW(&scratch, double, l.c *(l.dim + 1));
        l.p = NEW(&scratch, double, l.c);
        uint64_t stream = rng_stream(config && config->seed ? config->seed : SEED, "karmakar");
        for (size_t k = 0; k < sizeof DECAY / sizeof *DECAY; k++) {
            train(&l, DECAY[k], BATCH, rng_mix(stream, k + 1));
            predict(r.probability, &l);
            double score = classifier_selection(r.probability, d, label, false);
            if (score <= highest) continue;
            highest = score;
            r.penalty = DECAY[k];
        }
        train(&l, r.penalty, 1, stream);
        predict(r.probability, &l);
        r.iterations = (int)(EPOCHS * l.n);
        r.converged = false; /* it stops where the epochs end */
        r.weight = tensor_new(a, F64, SHAPE(l.c, l.dim)), r.bias = tensor_new(a, F64, SHAPE(l.c));
        for (int64_t k = 0; k < l.c; k++) {
            memcpy(tensor_at(r.weight, k).data, l.w + k * (l.dim + 1), sizeof(double) * (size_t)l.dim);
            tensor_set(r.bias, k, l.w[k * (l.dim + 1) + l.dim]);
        }
        classifier_measure(&r, a, d, label);
        *out = r;
    }
    arena_close(&scratch);
    if (s) arena_drop(a, mark);
    return s;
}

static const Classifier KARMAKAR = {"karmakar-compat", "the published protocol: Adam, 20 epochs, raw features", fit};
REGISTER(classifier, KARMAKAR)
