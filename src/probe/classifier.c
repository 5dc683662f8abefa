/* What every classifier needs around its own fit: rows and labels of a split, features standardised by the training
 * rows, and accuracy, F1 and confusion of its predictions. */
#include "probe/classifier.h"

#include <math.h>
#include <string.h>

#include "metric/score.h"

const Classifier *classifier_find(const char *name)
{
    for (const Classifier *const *c = classifier_begin(); c < classifier_end(); c++)
        if (!strcmp((*c)->name, name)) return *c;
    return NULL;
}

int64_t classifier_rows(int32_t *row, const Dataset *d, Split s)
{
    int64_t n = 0;
    for (int64_t i = 0; i < d->n; i++)
        if (d->example[i].split == s) row[n++] = (int32_t)i;
    return n;
}

int32_t *classifier_labels(Arena *a, const Dataset *d)
{
    int32_t *label = arena_take(a, sizeof *label * (size_t)d->n);
    for (int64_t i = 0; i < d->n; i++) label[i] = d->example[i].label;
    return label;
}

/* All rows standardised by the training rows, (N,D). */
static Tensor standardise(ProbeResult *r, Arena *a, Arena *scratch, Tensor x, const Dataset *d)
{
    int64_t n = x.dim[0], dim = x.dim[1];
    r->mean = tensor_zero(a, F64, SHAPE(dim));
    r->sd = tensor_zero(a, F64, SHAPE(dim));
    Tensor out = tensor_cast(scratch, x, F64);
    double *v = out.data, *mean = r->mean.data, *sd = r->sd.data, rows = (double)d->size[SPLIT_TRAIN];
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; d->example[i].split == SPLIT_TRAIN && j < dim; j++) mean[j] += v[i * dim + j] / rows;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; d->example[i].split == SPLIT_TRAIN && j < dim; j++) {
            double deviation = v[i * dim + j] - mean[j];
            sd[j] += deviation * deviation / rows;
        }
    for (int64_t j = 0; j < dim; j++) { /* below rounding, a spread is no spread */
        sd[j] = sqrt(sd[j]);
        if (sd[j] <= 1e-12 * fabs(mean[j])) sd[j] = 0;
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < dim; j++) v[i * dim + j] = sd[j] > 0 ? (v[i * dim + j] - mean[j]) / sd[j] : 0;
    return out;
}

Status classifier_prepare(ProbeResult *r, Tensor *x, const int32_t **label, Arena *a, Arena *scratch, Tensor features,
                          const Dataset *d)
{
    CHECK(features.rank == 2 && features.dim[0] == d->n, "probe: features%s for %lld examples",
          tensor_shape(features), (long long)d->n);
    if (d->size[SPLIT_TRAIN] < 1)
        return err_fail(E_MISMATCH, "%s: has no training examples to fit a probe on", d->name);
    TRY(tensor_finite(features, "a probe's features"));
    *r = (ProbeResult){.n_labels = d->n_labels, .penalty = NAN, .loss = NAN, .gradient = NAN};
    r->probability = tensor_zero(a, F64, SHAPE(d->n, d->n_labels));
    if (!*label) *label = classifier_labels(scratch, d);
    *x = standardise(r, a, scratch, features, d);
    return OK;
}

void classifier_softmax(Tensor logits)
{
    for (int64_t i = 0, c = logits.dim[1]; i < logits.dim[0]; i++) {
        double *p = (double *)logits.data + i * c, top = -INFINITY, sum = 0;
        for (int64_t j = 0; j < c; j++) top = fmax(top, p[j]);
        for (int64_t j = 0; j < c; j++) sum += p[j] = exp(p[j] - top);
        for (int64_t j = 0; j < c; j++) p[j] /= sum;
    }
}

void classifier_note(ProbeResult *r, const Minimum *m)
{
    r->loss = m->value;
    r->gradient = m->gradient;
    r->iterations = m->iterations;
    r->converged = m->converged;
}

double classifier_selection(Tensor probability, const Dataset *d, const int32_t *label, bool by_loss)
{
    Split s = d->size[SPLIT_VALID] ? SPLIT_VALID : SPLIT_TRAIN;
    double sum = 0;
    for (int64_t i = 0; i < d->n; i++) {
        Tensor p = tensor_at(probability, i);
        if (d->example[i].split != s) continue;
        sum += by_loss ? log(tensor_get(p, label[i]) + 1e-300) : tensor_argmax(p) == label[i];
    }
    return sum / (double)d->size[s];
}

/* Accuracy and macro F1 of the likeliest labels in each split, and Wilson's interval for test. */
void classifier_measure(ProbeResult *r, Arena *a, const Dataset *d, const int32_t *label)
{
    int c = r->n_labels;
    r->predicted = arena_take(a, sizeof *r->predicted * (size_t)d->n);
    r->confusion = NEW(a, int64_t, c * c);
    for (int64_t i = 0; i < d->n; i++) r->predicted[i] = (int32_t)tensor_argmax(tensor_at(r->probability, i));
    for (int s = 0; s < SPLITS; s++) { /* test comes last, and its confusion stays */
        int64_t n = 0;
        memset(r->confusion, 0, sizeof *r->confusion * (size_t)c * (size_t)c);
        for (int64_t i = 0; i < d->n; i++) {
            if (d->example[i].split != (Split)s) continue;
            score_confusion(r->confusion, c, &label[i], &r->predicted[i], 1);
            n++;
        }
        ClassScores scores = score_classes(r->confusion, c);
        r->accuracy[s] = n ? scores.accuracy : (double)NAN;
        r->macro_f1[s] = n ? scores.macro_f1 : (double)NAN;
        if (s == SPLIT_TEST) r->ci95 = stats_wilson((int64_t)llround(scores.accuracy * (double)n), n);
    }
}
