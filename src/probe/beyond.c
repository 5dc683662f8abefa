/* Four fits, one for each weight of X; then one for each fifth of the training rows that is kept apart. */
#include "probe/beyond.h"

#include <math.h>
#include <string.h>

#include "probe/classifier.h"

static const double WEIGHT[] = {0, 0.1, 0.3, 1};
enum { FOLDS = 5 };

/* [base, more], and the weight of each column. */
static Tensor joined(Arena *a, const Tensor *base, Tensor more)
{
    int64_t n = more.dim[0], d = more.dim[1], c = base ? base->dim[1] : 0;
    Tensor x = tensor_new(a, F64, SHAPE(n, c + d));
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < c; j++) tensor_set(x, i * (c + d) + j, tensor_get(*base, i * c + j));
        for (int64_t j = 0; j < d; j++) tensor_set(x, i * (c + d) + c + j, tensor_get(more, i * d + j));
    }
    return x;
}

static double row_bits(Tensor p, const Dataset *d, int64_t i)
{
    return -log2(tensor_get(p, i * d->n_labels + d->example[i].label) + 1e-300);
}

static double mean_bits(Tensor p, const Dataset *d, Split s)
{
    double sum = 0;
    for (int64_t i = 0; i < d->n; i++)
        if (d->example[i].split == s) sum += row_bits(p, d, i);
    return sum / (double)d->size[s];
}

typedef struct {
    Tensor x;
    int64_t base;  /* columns of the baseline */
    double *scale; /* of all columns */
    const Dataset *set;
} Fit;

static Status fit(Tensor *p, Arena *a, const Fit *f, double weight, const double *penalty, double *chosen)
{
    ProbeResult r;
    for (int64_t j = 0; j < f->x.dim[1]; j++) f->scale[j] = j < f->base ? 1 : weight;
    ProbeConfig how = {.by_loss = true, .scale = f->scale, .penalty = penalty, .n_penalties = penalty ? 1 : 0};
    TRY(probe_fit(&r, a, f->x, f->set, NULL, &how));
    *p = r.probability;
    if (chosen) *chosen = r.penalty;
    return OK;
}

/* Puts in place of a training row's probabilities those of a fit on the other folds. */
static Status cross(Tensor p, const Fit *whole, double weight, double penalty)
{
    Arena scratch = arena_open(0);
    const Dataset *d = whole->set;
    Dataset part = *d;
    int64_t c = d->n_labels;
    Status s = OK;
    for (int k = 0; k < FOLDS && !s; k++) {
        ArenaMark mark = arena_mark(&scratch);
        Tensor q;
        int64_t at = 0;
        part.example = NEW(&scratch, Example, d->n);
        memcpy(part.example, d->example, sizeof(Example) * (size_t)d->n);
        for (int64_t i = 0; i < d->n; i++)
            if (d->example[i].split == SPLIT_TRAIN && at++ % FOLDS == k) part.example[i].split = SPLIT_TEST;
        dataset_count(&part, &scratch);
        Fit f = *whole;
        f.set = &part;
        s = fit(&q, &scratch, &f, weight, &penalty, NULL);
        for (int64_t i = 0; i < d->n && !s; i++)
            if (d->example[i].split == SPLIT_TRAIN && part.example[i].split == SPLIT_TEST)
                memcpy(tensor_at(p, i).data, tensor_at(q, i).data, sizeof(double) * (size_t)c);
        arena_drop(&scratch, mark);
    }
    arena_close(&scratch);
    return s;
}

Status beyond_fit(Beyond *out, Arena *a, const Tensor *base, Tensor more, const Dataset *d, bool crossed)
{
    Beyond b = {.row = NEW(a, double, d->n), .valid = INFINITY};
    double penalty = 0;
    Arena scratch = arena_open(0);
    Tensor none, best = {0};
    Fit f = {joined(&scratch, base, more), base ? base->dim[1] : 0, NULL, d};
    f.scale = NEW(&scratch, double, f.x.dim[1]);
    Status s = OK;
    for (size_t k = 0; k < sizeof WEIGHT / sizeof *WEIGHT && !s; k++) {
        Tensor p;
        double chosen;
        s = fit(&p, &scratch, &f, WEIGHT[k], NULL, &chosen);
        if (s) break;
        double valid = mean_bits(p, d, SPLIT_VALID);
        if (k == 0) none = p;
        if (valid >= b.valid) continue;
        b.valid = valid, b.weight = WEIGHT[k], penalty = chosen, best = p;
    }
    if (!s) {
        b.before = mean_bits(none, d, SPLIT_TEST), b.after = mean_bits(best, d, SPLIT_TEST);
        b.gain = b.before - b.after;
        for (int64_t i = 0; i < d->n; i++) b.row[i] = row_bits(none, d, i) - row_bits(best, d, i);
        b.logit = tensor_copy(a, best);
        if (crossed) s = cross(b.logit, &f, b.weight, penalty);
        for (int64_t i = 0; i < d->n * d->n_labels; i++) tensor_set(b.logit, i, log(tensor_get(b.logit, i) + 1e-12));
    }
    arena_close(&scratch);
    if (!s) *out = b;
    return s;
}
