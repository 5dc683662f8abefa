/* Pointwise V-information of each held-out example, from a fitted classifier's probabilities and the shares of the
 * labels in training. */
#include "probe/usable.h"

#include <gsl/gsl_sort.h>
#include <math.h>

#include "probe/classifier.h"

/* The PVI of an example is log2 of its label's probability minus log2 of the label's share in training. */
void usable_measure(Usable *out, Arena *a, Tensor p, const Dataset *d, const int32_t *label, Split split,
                    uint64_t stream)
{
    Usable u = {.n = d->size[split]};
    u.row = NEW(a, int32_t, d->n), u.negative = NEW(a, int32_t, u.n + 1);
    u.pvi = NEW(a, double, u.n + 1);
    if (!label) label = classifier_labels(a, d);
    double *share = NEW(a, double, d->n_labels);
    for (int64_t i = 0; i < d->n; i++)
        if (d->example[i].split == SPLIT_TRAIN) share[label[i]]++;
    classifier_rows(u.row, d, split);
    for (int64_t i = 0; i < u.n; i++) {
        int32_t y = label[u.row[i]];
        double null = log2(fmax(share[y], 0.5) / (double)d->size[SPLIT_TRAIN]);
        u.pvi[i] = log2(tensor_get(p, u.row[i] * d->n_labels + y) + 1e-300) - null;
        u.mean += u.pvi[i] / (double)u.n;
        u.entropy -= null / (double)u.n;
    }
    size_t *order = arena_take(a, sizeof *order * (size_t)(u.n + 1));
    gsl_sort_index(order, u.pvi, 1, (size_t)u.n);
    while (u.negatives < u.n && u.pvi[order[u.negatives]] < 0) {
        u.negative[u.negatives] = u.row[order[u.negatives]];
        u.negatives++;
    }
    u.ci95 = stats_bootstrap_mean(u.pvi, u.n, 2000, stream);
    if (!u.n) u.mean = u.entropy = NAN;
    *out = u;
}
