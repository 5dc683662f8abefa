/* The two runs see the same inputs; a prefix's columns come before the content's. */
#include "theory/added.h"

#include <math.h>

#include "measure/observe.h"
#include "num/linalg.h"

AddedSeen added_look(Arena *run, Model *m, Hooks *hooks, const Batch *batch)
{
    static const Where at[] = {{SITE_PROBS, 0, PART_DECODER}, {SITE_HEADS, 0, PART_DECODER}};
    Tensor seen[2];
    observe_many(seen, run, m, hooks, batch, at, 2);
    return (AddedSeen){seen[0], seen[1]};
}

double added_left(Tensor probs, int64_t i, int64_t n)
{
    int64_t s = tensor_last(probs);
    double sum = 0;
    for (int64_t j = s - n; j < s; j++) sum += tensor_get(probs, i * s + j);
    return sum;
}

double added_content_gap(const AddedSeen *with, const AddedSeen *without)
{
    int64_t n = tensor_last(without->probs), s = tensor_last(with->probs);
    double worst = 0;
    for (int64_t i = 0; i < tensor_count(without->probs) / n; i++)
        for (int64_t j = 0; j < n; j++)
            worst = fmax(worst, fabs(tensor_get(with->probs, i * s + s - n + j) / added_left(with->probs, i, n) -
                                     tensor_get(without->probs, i * n + j)));
    return worst;
}

Status added_spectrum(float *share, int64_t room, Arena *run, const AddedSeen *with, const AddedSeen *without)
{
    int64_t c = tensor_last(with->heads), rows = tensor_count(with->heads) / c, n = tensor_last(without->probs);
    Tensor added = tensor_new(run, F64, SHAPE(rows, c)), s;
    for (int64_t k = 0; k < c; k++) {
        double mean = 0;
        for (int64_t i = 0; i < rows; i++) {
            double x = tensor_get(with->heads, i * c + k) -
                       added_left(with->probs, i, n) * tensor_get(without->heads, i * c + k);
            tensor_set(added, i * c + k, x);
            mean += x / (double)rows;
        }
        for (int64_t i = 0; i < rows; i++) tensor_set(added, i * c + k, tensor_get(added, i * c + k) - mean);
    }
    TRY(linalg_singular(&s, run, added));
    double total = 0;
    for (int64_t k = 0; k < tensor_count(s); k++) total += tensor_get(s, k) * tensor_get(s, k);
    for (int64_t k = 0; k < tensor_count(s) && k < room; k++)
        share[k] = total > 0 ? (float)(tensor_get(s, k) * tensor_get(s, k) / total) : 0;
    return OK;
}
