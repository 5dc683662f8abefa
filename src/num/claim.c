#include "num/claim.h"

#include <gsl/gsl_cdf.h>
#include <math.h>

Verdict claim_verdict(Claim c, Interval ci)
{
    if (!(ci.lo <= ci.hi)) return INCONCLUSIVE;
    switch (c.form) {
    case MORE_THAN: return ci.lo > c.margin ? SUPPORTED : ci.hi <= c.margin ? NOT_SUPPORTED : INCONCLUSIVE;
    case LESS_THAN: return ci.hi < c.margin ? SUPPORTED : ci.lo >= c.margin ? NOT_SUPPORTED : INCONCLUSIVE;
    default:
        if (ci.lo > -c.margin && ci.hi < c.margin) return SUPPORTED;
        return ci.lo >= c.margin || ci.hi <= -c.margin ? NOT_SUPPORTED : INCONCLUSIVE;
    }
}

Verdict claim_all(Verdict a, Verdict b)
{
    if (a == NOT_SUPPORTED || b == NOT_SUPPORTED) return NOT_SUPPORTED;
    return a == SUPPORTED && b == SUPPORTED ? SUPPORTED : INCONCLUSIVE;
}

double claim_level(Claim c)
{
    return c.form == WITHIN ? 0.90 : 0.95;
}

/* ---- intervals ---- */

Interval claim_interval(const double *x, int64_t n, ClaimRange range, double level)
{
    const double top = range == RANGE_PERCENT ? 100 : range == RANGE_SHARE ? 1 : INFINITY;
    const Summary s = stats_summary(x, n);
    const bool end = range != RANGE_ANY && (s.mean <= 0 || s.mean >= top);
    if (n < 2 || !isfinite(s.sd) || (s.sd == 0 && !end)) return (Interval){NAN, NAN};
    const double half = gsl_cdf_tdist_Pinv(0.5 + level / 2, (double)(n - 1)) * s.sd / sqrt((double)n), m = s.mean;
    if (range == RANGE_ANY) return (Interval){m - half, m + half};
    if (end) return (Interval){m, m};
    if (range == RANGE_POSITIVE) return (Interval){m * exp(-half / m), m * exp(half / m)};
    const double p = m / top, step = half / top / (p * (1 - p)), odds = p / (1 - p);
    const double low = odds * exp(-step), high = odds * exp(step);
    return (Interval){top * low / (1 + low), isfinite(high) ? top * high / (1 + high) : top};
}

/* ---- power ---- */

/* The mean is normal, and the standard deviation that the interval takes is that of a chi variable: the probability
 * is averaged over QUANTILES of it. */
double claim_power(Claim c, double effect, double sd, int64_t n)
{
    enum { QUANTILES = 512 };
    const double df = (double)(n - 1), error = sd / sqrt((double)n);
    double power = 0;
    if (n < 2 || !(sd > 0)) return NAN;
    const double t = gsl_cdf_tdist_Pinv(0.5 + claim_level(c) / 2, df);
    for (int i = 0; i < QUANTILES; i++) {
        double half = t * error * sqrt(gsl_cdf_chisq_Pinv((i + 0.5) / QUANTILES, df) / df);
        double above = gsl_cdf_ugaussian_Q((c.margin + half - effect) / error); /* P(mean - half > margin) */
        double below = gsl_cdf_ugaussian_P((c.margin - half - effect) / error); /* P(mean + half < margin) */
        double under = gsl_cdf_ugaussian_P((half - c.margin - effect) / error); /* P(mean - half <= -margin) */
        power += c.form == MORE_THAN ? above : c.form == LESS_THAN ? below : fmax(0, below - under);
    }
    return power / QUANTILES;
}
