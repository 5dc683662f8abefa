/* Sampling: the tokens are sorted by their logits, each setting then drops some of them, in the order of the
 * Transformers library, and one draw chooses among the rest.  Probabilities are those among the tokens that are still
 * there, so that each setting sees the result of the one before it. */
#include <math.h>
#include <stdlib.h>

#include "nn/generate_rules.h"

typedef struct {
    double logit, p; /* over temperature; its probability among those that are left */
    double rank;     /* the key of a setting's order, the least first */
    int32_t token;
} Choice;

static int by_rank(const void *a, const void *b)
{
    const Choice *x = a, *y = b;
    return x->rank != y->rank ? (x->rank > y->rank) - (x->rank < y->rank)
                              : (x->token > y->token) - (x->token < y->token);
}

/* Probabilities of the n that are left, likeliest first; returns their entropy. */
static double weigh(Choice *s, int64_t n)
{
    double total = 0, entropy = 0;
    for (int64_t i = 0; i < n; i++) total += s[i].p = exp(s[i].logit - s[0].logit);
    for (int64_t i = 0; i < n; i++) {
        s[i].p /= total;
        if (s[i].p > 0) entropy -= s[i].p * log(s[i].p);
    }
    return entropy;
}

static int64_t keep_top_k(const Choice *s, int64_t n, int k)
{
    if (k < 1 || k >= n) return n;
    while (k < n && s[k].logit == s[k - 1].logit) k++; /* equals stay together */
    return k;
}

static int64_t keep_top_p(Choice *s, int64_t n, double p)
{
    if (!(p > 0 && p < 1)) return n;
    int64_t kept = 0;
    weigh(s, n);
    for (double sum = 0; kept < n && (kept == 0 || sum < p);) sum += s[kept++].p;
    return kept;
}

static int64_t keep_likelier(Choice *s, int64_t n, double least)
{
    int64_t kept = 1;
    while (kept < n && s[kept].p >= least) kept++;
    return kept;
}

static int64_t keep_min_p(Choice *s, int64_t n, double p)
{
    if (!(p > 0)) return n;
    weigh(s, n);
    return keep_likelier(s, n, p * s[0].p);
}

/* Locally typical sampling (Meister et al. 2023): sorted by how far a token's surprise is from the entropy. */
static int64_t keep_typical(Choice *s, int64_t n, double p)
{
    if (!(p > 0 && p < 1)) return n;
    double entropy = weigh(s, n), sum = 0;
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++) s[i].rank = fabs(-log(s[i].p) - entropy);
    qsort(s, (size_t)n, sizeof *s, by_rank);
    while (kept < n && (kept == 0 || sum < p)) sum += s[kept++].p;
    while (kept < n && s[kept].rank == s[kept - 1].rank) kept++;
    for (int64_t i = 0; i < kept; i++) s[i].rank = -s[i].logit;
    qsort(s, (size_t)kept, sizeof *s, by_rank);
    return kept;
}

static int64_t keep_epsilon(Choice *s, int64_t n, double epsilon)
{
    if (!(epsilon > 0 && epsilon < 1)) return n;
    weigh(s, n);
    return keep_likelier(s, n, epsilon);
}

/* Eta sampling (Hewitt, Manning and Liang 2022). */
static int64_t keep_eta(Choice *s, int64_t n, double eta)
{
    if (!(eta > 0 && eta < 1)) return n;
    double entropy = weigh(s, n);
    return keep_likelier(s, n, fmin(eta, sqrt(eta) * exp(-entropy)));
}

int32_t generate_draw(const double *z, int64_t v, const GenerateConfig *c, Arena *step, double u)
{
    Choice *s = NEW(step, Choice, v);
    int64_t n = 0;
    for (int64_t i = 0; i < v; i++)
        if (isfinite(z[i]))
            s[n++] = (Choice){.logit = z[i] / c->temperature, .rank = -z[i] / c->temperature, .token = (int32_t)i};
    if (!n) return 0;
    qsort(s, (size_t)n, sizeof *s, by_rank);
    n = keep_top_k(s, n, c->top_k);
    n = keep_top_p(s, n, c->top_p);
    n = keep_min_p(s, n, c->min_p);
    n = keep_typical(s, n, c->typical_p);
    n = keep_epsilon(s, n, c->epsilon);
    n = keep_eta(s, n, c->eta);
    weigh(s, n);
    for (int64_t i = 0; i + 1 < n; i++)
        if ((u -= s[i].p) < 0) return s[i].token;
    return s[n - 1].token;
}
