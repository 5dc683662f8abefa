/* All three variants are computed from the same counts: clipped n-gram matches, n-gram totals, and both lengths. */
#include "metric/bleu.h"

#include <float.h>
#include <math.h>

void bleu_count(BleuCounts *c, Arena *scratch, Words h, Words r)
{
    c->hypothesis += h.n;
    c->reference += r.n;
    for (int k = 1; k <= BLEU_ORDERS; k++) {
        ArenaMark mark = arena_mark(scratch);
        size_t bytes = (size_t)k * sizeof *r.id;
        Table left = table_open(scratch, r.n); /* how often the reference can still grant an n-gram */
        for (int64_t i = 0; i + k <= r.n; i++) ++*table_add(&left, r.id + i, bytes, NULL);
        for (int64_t i = 0; i + k <= h.n; i++) {
            int64_t *grant = table_find(&left, h.id + i, bytes);
            if (grant && *grant > 0) {
                --*grant;
                c->match[k - 1]++;
            }
            c->total[k - 1]++;
        }
        arena_drop(scratch, mark);
    }
}

/* The published script adds the smallest normal double inside each logarithm; so does this. */
double bleu_norm(const BleuCounts *c)
{
    double sum = 0;
    for (int k = 0; k < 4; k++) {
        double more = k ? 1 : 0;
        sum += log((double)c->match[k] + more + DBL_MIN) - log((double)c->total[k] + more + DBL_MIN);
    }
    return exp(sum / 4 + fmin(0, 1 - (double)(c->reference + 1) / (double)(c->hypothesis + 1)));
}

static double brevity(const BleuCounts *c)
{
    if (c->hypothesis > c->reference) return 1;
    return c->hypothesis ? exp(1 - (double)c->reference / (double)c->hypothesis) : 0;
}

double bleu_moses(const BleuCounts *c)
{
    double sum = 0;
    for (int k = 0; k < 4; k++) {
        if (!c->match[k]) return 0;
        sum += log((double)c->match[k] / (double)c->total[k]);
    }
    return brevity(c) * exp(sum / 4);
}

/* Smoothing 5: each precision is the mean of the smoothed one below, itself, and the raw one above; below the first
 * stands the first plus 1. */
double bleu_cc(const BleuCounts *c)
{
    if (!c->match[0]) return 0;
    double raw[BLEU_ORDERS], below, sum = 0;
    for (int k = 0; k < BLEU_ORDERS; k++) raw[k] = (double)c->match[k] / (double)(c->total[k] ? c->total[k] : 1);
    below = raw[0] + 1;
    for (int k = 0; k < 4; k++) {
        below = (below + raw[k] + raw[k + 1]) / 3;
        sum += log(below);
    }
    return brevity(c) * exp(sum / 4);
}
