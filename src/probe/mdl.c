/* Each block of the online code is a probing set of its own: of the rows before the block every fifth chooses the
 * probe's penalty and the others train it, and the rows of the block are its test set.  The receiver has them all. */
#include "probe/mdl.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"

static const double FRACTION[MDL_BLOCKS] = {0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.0625, 0.125, 0.25, 0.5, 1};

static void cut(Mdl *m, int classes)
{
    for (int k = 0; k < MDL_BLOCKS; k++) {
        int64_t end = llround(FRACTION[k] * (double)m->n), least = 4 * classes < m->n ? 4 * classes : m->n;
        if (end < least) end = least;
        if (!m->blocks || end > m->end[m->blocks - 1]) m->end[m->blocks++] = end;
    }
}

typedef struct {
    const Classifier *classifier;
    const ProbeConfig *how;
    Tensor features;
    const Dataset *set;
    const int32_t *label, *order; /* (N); (n) training rows, shuffled */
} Job;

/* The rows to `from` of the order become the training and validation split of a set of their own, from..end its test
 * split. */
static Status code_block(double *bits, bool *converged, Arena *a, const Job *j, int64_t from, int64_t end)
{
    const Dataset *d = j->set;
    ArenaMark mark = arena_mark(a);
    Dataset part = *d;
    part.n = end;
    part.example = NEW(a, Example, part.n);
    int32_t *y = NEW(a, int32_t, part.n);
    const int32_t *row = j->order;
    Tensor x = tensor_new(a, j->features.dtype, SHAPE(part.n, j->features.dim[1]));
    for (int64_t i = 0; i < part.n; i++) {
        part.example[i] = d->example[row[i]];
        part.example[i].split = i >= from ? SPLIT_TEST : i % 5 == 4 ? SPLIT_VALID : SPLIT_TRAIN;
        part.example[i].label = y[i] = j->label[row[i]];
        memcpy(tensor_at(x, i).data, tensor_at(j->features, row[i]).data, tensor_bytes(tensor_at(x, i)));
    }
    dataset_count(&part, a);
    ProbeResult r;
    Status s = j->classifier->fit(&r, a, x, &part, y, j->how);
    *bits = 0;
    for (int64_t i = from; i < end && !s; i++)
        *bits -= log2(tensor_get(r.probability, i * d->n_labels + y[i]) + 1e-300);
    *converged = !s && r.converged;
    arena_drop(a, mark);
    return s;
}

/* The mean code length over shuffles; each block is coded by a classifier fitted on the blocks before it. */
Status mdl_online(Mdl *out, const Classifier *c, Tensor features, const Dataset *d, const int32_t *label,
                  const ProbeConfig *how, int shuffles, uint64_t stream)
{
    CHECK(shuffles > 0, "an online code of %d shuffles", shuffles);
    Mdl m = {.n = d->size[SPLIT_TRAIN]};
    m.uniform = (double)m.n * log2(d->n_labels);
    cut(&m, d->n_labels);
    Arena scratch = arena_open(0);
    int32_t *order = NEW(&scratch, int32_t, d->n);
    double *length = NEW(&scratch, double, shuffles);
    ProbeConfig by_loss = how ? *how : (ProbeConfig){0};
    by_loss.by_loss = true;
    Job j = {c, &by_loss, features, d, label ? label : classifier_labels(&scratch, d), order};
    Status status = OK;
    for (int s = 0; s < shuffles && !status; s++) {
        classifier_rows(order, d, SPLIT_TRAIN);
        rng_shuffle(rng_mix(stream, (uint64_t)s), m.n, order);
        length[s] = (double)m.end[0] * log2(d->n_labels);
        for (int k = 1; k < m.blocks && !status; k++) {
            double bits;
            bool converged;
            status = code_block(&bits, &converged, &scratch, &j, m.end[k - 1], m.end[k]);
            length[s] += bits;
            m.bits[k] += bits / (double)(m.end[k] - m.end[k - 1]) / shuffles;
            m.unconverged += !status && !converged;
        }
    }
    m.bits[0] = log2(d->n_labels);
    Summary all = stats_summary(length, shuffles);
    m.length = all.mean, m.sd = all.sd;
    m.compression = m.uniform / m.length;
    arena_close(&scratch);
    if (!status) *out = m;
    return status;
}
