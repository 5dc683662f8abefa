#include "theory/coins.h"

#include <math.h>

#include "base/rng.h"
#include "num/stats.h"

static const double LOW = 0.2, HIGH = 0.8;

double coin_draw(int32_t *x, int64_t n, Source s, uint64_t stream, uint64_t index)
{
    uint64_t mine = rng_mix(stream, index);
    double u = rng_uniform(mine, ROOM), p = s == UNIFORM ? u : s == COIN || u < 0.5 ? LOW : HIGH;
    for (int64_t i = 0; i < n; i++) x[i] = rng_uniform(mine, (uint64_t)i) < p;
    return p;
}

void coin_beta(double *logp, const int32_t *x, int64_t n, double a, double b)
{
    for (int64_t i = 0; i < n; i++) {
        logp[i] = log((x[i] ? a : b) / (a + b));
        *(x[i] ? &a : &b) += 1;
    }
}

void coin_pair(double *logp, const int32_t *x, int64_t n, double w)
{
    for (int64_t i = 0; i < n; i++) {
        double low = x[i] ? LOW : 1 - LOW, high = x[i] ? HIGH : 1 - HIGH, p = w * low + (1 - w) * high;
        logp[i] = log(p);
        w *= low / p;
    }
}

void coin_settle(Regret *out, Arena *a, double *logp, Source s, int64_t n, int64_t t, uint64_t stream)
{
    ArenaMark mark = arena_mark(a);
    double *column = NEW(a, double, n);
    int32_t x[ROOM];
    for (int64_t i = 0; i < n; i++) {
        double p = coin_draw(x, t, s, stream, (uint64_t)i), sum = 0;
        for (int64_t k = 0; k < t; k++) logp[i * t + k] = sum += log(x[k] ? p : 1 - p) - logp[i * t + k];
    }
    for (int64_t k = 0; k < t; k++) {
        for (int64_t i = 0; i < n; i++) column[i] = logp[i * t + k];
        out->mean[k] = (float)stats_summary(column, n).mean;
        out->lo[k] = (float)stats_quantile(column, n, 0.25), out->hi[k] = (float)stats_quantile(column, n, 0.75);
    }
    arena_drop(a, mark);
}

static double beta_loss(Source s, Beta p, int64_t n, int64_t t, uint64_t stream)
{
    double sum = 0, logp[ROOM];
    int32_t x[ROOM];
    for (int64_t i = 0; i < n; i++) {
        coin_draw(x, t, s, stream, (uint64_t)i);
        coin_beta(logp, x, t, p.a, p.b);
        for (int64_t k = 0; k < t; k++) sum -= logp[k];
    }
    return sum;
}

Beta coin_best_beta(Source s, int64_t t)
{
    enum { N = 200 };
    Beta best = {1, 1};
    double least = INFINITY;
    for (int i = -8; i <= 24; i++)
        for (int j = -8; j <= 24; j++) {
            Beta p = {exp2(i / 2.0), exp2(j / 2.0)};
            double loss = beta_loss(s, p, N, t, rng_stream(1, "coins/beta"));
            if (loss < least) least = loss, best = p;
        }
    return best;
}
