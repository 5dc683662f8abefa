/* McNemar's exact test, the randomisation test over seeds, and their sentence; the bootstrap over rows and seeds is
 * num/stats.h's. */
#include "probe/compare.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"

static int32_t truth(const Dataset *d, const int32_t *label, int64_t i)
{
    return label ? label[i] : d->example[i].label;
}

Comparison compare_predictions(const int32_t *a, const int32_t *b, const Dataset *d, const int32_t *label, Split s)
{
    Comparison c = {.n = d->size[s]};
    for (int64_t i = 0; i < d->n; i++) {
        if (d->example[i].split != s) continue;
        bool left = a[i] == truth(d, label, i), right = b[i] == truth(d, label, i);
        c.only_a += left && !right, c.only_b += right && !left;
        c.a += left / (double)c.n, c.b += right / (double)c.n;
    }
    c.p = stats_mcnemar(c.only_a, c.only_b);
    return c;
}

/* The difference of accuracies with the marked examples exchanged. */
static double gap_of(const bool *exchanged, int64_t n, void *user)
{
    const double *less = user;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += exchanged[i] ? -less[i] : less[i];
    return sum / (double)n;
}

Comparison compare_seeds(const int32_t *const *a, const int32_t *const *b, int seeds, const Dataset *d,
                         const int32_t *label, Split s, int draws, uint64_t stream)
{
    Arena scratch = arena_open(0);
    Comparison all = {.n = d->size[s]};
    double *less = NEW(&scratch, double, all.n + 1); /* of each example: mean over seeds of right in a less in b */
    for (int k = 0; k < seeds; k++) {
        Comparison c = compare_predictions(a[k], b[k], d, label, s);
        all.only_a += c.only_a, all.only_b += c.only_b, all.a += c.a / seeds, all.b += c.b / seeds;
        for (int64_t i = 0, at = 0; i < d->n; i++)
            if (d->example[i].split == s)
                less[at++] += ((a[k][i] == truth(d, label, i)) - (b[k][i] == truth(d, label, i))) / (double)seeds;
    }
    all.p = stats_randomisation(all.n, gap_of, less, draws, stream);
    arena_close(&scratch);
    return all;
}

typedef struct {
    int seeds;
    int64_t n;
    double *value; /* (seeds,n) */
    uint64_t stream;
    uint64_t *drawn; /* seeds so far, over all draws */
} Answers;

static double mean_drawn(const int64_t *index, int64_t n, void *user)
{
    const Answers *x = user;
    double sum = 0;
    for (int s = 0; s < x->seeds; s++) {
        const double *value = x->value + rng_below(x->stream, (*x->drawn)++, x->seeds) * x->n;
        for (int64_t i = 0; i < n; i++) sum += value[index[i]];
    }
    return sum / (double)n / x->seeds;
}

Interval compare_mean_interval(const double *const *value, int seeds, int64_t n, int draws, uint64_t stream)
{
    Arena scratch = arena_open(0);
    uint64_t drawn = 0;
    Answers x = {seeds, n, NEW(&scratch, double, seeds *n + 1), rng_stream(stream, "seeds"), &drawn};
    for (int k = 0; k < seeds; k++) memcpy(x.value + k * n, value[k], sizeof *x.value * (size_t)n);
    Interval r = stats_bootstrap(n, mean_drawn, &x, draws, rng_stream(stream, "rows"));
    arena_close(&scratch);
    return r;
}

Interval compare_interval(const int32_t *const *predicted, int seeds, const Dataset *d, const int32_t *label, Split s,
                          int draws, uint64_t stream)
{
    Arena scratch = arena_open(0);
    const double **value = NEW(&scratch, const double *, seeds);
    for (int k = 0; k < seeds; k++) {
        double *right = NEW(&scratch, double, d->size[s] + 1);
        value[k] = right;
        for (int64_t i = 0, at = 0; i < d->n; i++)
            if (d->example[i].split == s) right[at++] = predicted[k][i] == truth(d, label, i);
    }
    Interval r = compare_mean_interval(value, seeds, d->size[s], draws, stream);
    arena_close(&scratch);
    return r;
}

Dataset compare_among(Arena *a, const Dataset *d, const bool *keep)
{
    Dataset part = *d;
    part.example = NEW(a, Example, d->n);
    part.size[SPLIT_TEST] = 0;
    for (int64_t i = 0; i < d->n; i++) {
        part.example[i] = d->example[i];
        if (d->example[i].split != SPLIT_TEST) continue;
        if (keep[i])
            part.size[SPLIT_TEST]++;
        else
            part.example[i].split = SPLITS;
    }
    return part;
}

const char *compare_sentence(Arena *a, const Comparison *c, const char *rule, double alpha)
{
    const char *word = c->p >= alpha || c->only_a == c->only_b ? "not above"
                       : c->only_a > c->only_b                 ? "above"
                                                               : "below";
    return str_print(a, "%s the %s (%.1f %% against %.1f %%, p = %.2g)", word, rule, 100 * c->a, 100 * c->b, c->p);
}
