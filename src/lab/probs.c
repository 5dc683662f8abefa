/* Attention maps: one pass on the open path, then plain sums over rows. */
#include "lab/probs.h"

#include <math.h>

#include "measure/observe.h"

Tensor probs_of(Arena *run, Model *m, Hooks *hooks, const Batch *batch, int layer)
{
    Batch whole = {.b = batch->b, .t = batch->t, .ids = batch->ids};
    return observe_one(run, m, hooks, &whole, (Where){SITE_PROBS, layer, PART_DECODER});
}

typedef struct { /* the flat index of a row, and how many of its columns are not content */
    int64_t at, slots;
} Row;

static Row row_of(Tensor p, int64_t b, int64_t h, int64_t i, DigitLayout l)
{
    int64_t t = p.dim[2], s = p.dim[3];
    return (Row){((b * p.dim[1] + h) * t + i) * s, s - t + l.slots};
}

static double sum(Tensor p, int64_t from, int64_t to)
{
    double total = 0;
    for (int64_t j = from; j < to; j++) total += tensor_get(p, j);
    return total;
}

void probs_mass(double *out, Tensor p, DigitLayout l)
{
    for (int64_t h = 0; h < p.dim[1]; h++)
        for (int i = 0; i < LENGTH; i++) {
            double mean = 0;
            for (int64_t b = 0; b < p.dim[0]; b++) {
                Row r = row_of(p, b, h, digits_start(l) - 1 + i, l);
                mean += sum(p, r.at, r.at + r.slots) / (double)p.dim[0];
            }
            out[h * LENGTH + i] = mean;
        }
}

double probs_spread(Tensor p, DigitLayout l)
{
    double all = 0;
    for (int64_t h = 0; h < p.dim[1]; h++)
        for (int i = 0; i < LENGTH; i++) {
            double mean = 0, square = 0;
            for (int k = 0; k < 2; k++) /* first the mean, then the deviations from it */
                for (int64_t b = 0; b < p.dim[0]; b++) {
                    Row r = row_of(p, b, h, digits_start(l) - 1 + i, l);
                    double mass = sum(p, r.at, r.at + r.slots), share = 1 / (double)p.dim[0];
                    if (k)
                        square += (mass - mean) * (mass - mean) * share;
                    else
                        mean += mass * share;
                }
            all += sqrt(square) / (double)(p.dim[1] * LENGTH);
        }
    return all;
}

static double perplexity(Tensor p, Row r)
{
    double mass = sum(p, r.at, r.at + r.slots), entropy = 0;
    for (int64_t j = 0; j < r.slots; j++) {
        double share = tensor_get(p, r.at + j) / mass;
        if (share > 0) entropy -= share * log(share);
    }
    return exp(entropy);
}

double probs_slots_used(Tensor p, DigitLayout l)
{
    double mean = 0;
    int64_t n = p.dim[0] * p.dim[1] * LENGTH;
    for (int64_t b = 0; b < p.dim[0]; b++)
        for (int64_t h = 0; h < p.dim[1]; h++)
            for (int i = 0; i < LENGTH; i++)
                mean += perplexity(p, row_of(p, b, h, digits_start(l) - 1 + i, l)) / (double)n;
    return mean;
}

ProbsDrift probs_drift(Tensor base, Tensor tuned, DigitLayout l)
{
    ProbsDrift d = {0};
    int64_t t = base.dim[2], n = base.dim[0] * base.dim[1] * LENGTH;
    CHECK(tuned.dim[2] == t && tuned.dim[0] == base.dim[0], "maps %s and %s", tensor_shape(base),
          tensor_shape(tuned));
    for (int64_t b = 0; b < base.dim[0]; b++)
        for (int64_t h = 0; h < base.dim[1]; h++)
            for (int64_t i = l.slots; i < t; i++) {
                Row x = row_of(base, b, h, i, l), y = row_of(tuned, b, h, i, l);
                double of_x = sum(base, x.at + x.slots, x.at + base.dim[3]),
                       of_y = sum(tuned, y.at + y.slots, y.at + tuned.dim[3]);
                for (int64_t j = 0; j < t - l.slots; j++) {
                    double gap = fabs(tensor_get(base, x.at + x.slots + j) / of_x -
                                      tensor_get(tuned, y.at + y.slots + j) / of_y);
                    d.worst = fmax(d.worst, gap);
                    if (i >= digits_start(l) - 1) d.variation += gap / 2 / (double)n;
                }
            }
    return d;
}
