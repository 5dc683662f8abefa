#include "num/claim.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <string.h>

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

static const struct {
    const char *name;
    double least, most;
} RANGE[CLAIM_RANGES] = {[RANGE_ANY] = {"any", -INFINITY, INFINITY},
                         [RANGE_POSITIVE] = {"positive", 0, INFINITY},
                         [RANGE_SHARE] = {"share", 0, 1},
                         [RANGE_PERCENT] = {"percent", 0, 100},
                         [RANGE_CORRELATION] = {"correlation", -1, 1},
                         [RANGE_EXTREME] = {"extreme", -INFINITY, INFINITY}};

const char *claim_range_name(ClaimRange range)
{
    return RANGE[range].name;
}

ClaimRange claim_range_named(const char *name)
{
    for (int k = 0; k < CLAIM_RANGES; k++)
        if (!strcmp(RANGE[k].name, name)) return (ClaimRange)k;
    return RANGE_ANY;
}

bool claim_in_range(double x, ClaimRange range)
{
    return isnan(x) || (x >= RANGE[range].least - 1e-9 && x <= RANGE[range].most + 1e-9);
}

/* About a mean inside (least, most): the logit of its place between the ends, which is the scale of a share, and for
 * a correlation twice Fisher's z.  An open end leaves the logarithm. */
static Interval within(double mean, double half, double least, double most)
{
    if (isinf(least)) return (Interval){mean - half, mean + half};
    if (isinf(most)) {
        double up = mean - least;
        return (Interval){least + up * exp(-half / up), least + up * exp(half / up)};
    }
    double width = most - least, p = (mean - least) / width, odds = p / (1 - p);
    double step = half / width / (p * (1 - p)), low = odds * exp(-step), high = odds * exp(step);
    return (Interval){least + width * low / (1 + low), isfinite(high) ? least + width * high / (1 + high) : most};
}

Interval claim_interval(const double *x, int64_t n, ClaimRange range, double level)
{
    const double least = RANGE[range].least, most = RANGE[range].most;
    const Summary s = stats_summary(x, n);
    const bool end = s.mean <= least || s.mean >= most;
    if (n < 2 || range == RANGE_EXTREME || !isfinite(s.sd) || (s.sd == 0 && !end)) return (Interval){NAN, NAN};
    if (!claim_in_range(s.least, range) || !claim_in_range(s.most, range)) return (Interval){NAN, NAN};
    if (end) return (Interval){s.mean, s.mean};
    return within(s.mean, gsl_cdf_tdist_Pinv(0.5 + level / 2, (double)(n - 1)) * s.sd / sqrt((double)n), least, most);
}

/* ---- power ---- */

/* The mean is normal, and the standard deviation that the interval takes is that of a chi variable: the probability
 * is averaged over QUANTILES of it. */
double claim_power(Claim c, double effect, double sd, int64_t n, double level)
{
    enum { QUANTILES = 512 };
    const double df = (double)(n - 1), error = sd / sqrt((double)n);
    double power = 0;
    if (n < 2 || !(sd > 0)) return NAN;
    const double t = gsl_cdf_tdist_Pinv(0.5 + level / 2, df);
    for (int i = 0; i < QUANTILES; i++) {
        double half = t * error * sqrt(gsl_cdf_chisq_Pinv((i + 0.5) / QUANTILES, df) / df);
        double above = gsl_cdf_ugaussian_Q((c.margin + half - effect) / error); /* P(mean - half > margin) */
        double below = gsl_cdf_ugaussian_P((c.margin - half - effect) / error); /* P(mean + half < margin) */
        double under = gsl_cdf_ugaussian_P((half - c.margin - effect) / error); /* P(mean - half <= -margin) */
        power += c.form == MORE_THAN ? above : c.form == LESS_THAN ? below : fmax(0, below - under);
    }
    return power / QUANTILES;
}

double claim_detectable(Claim c, double sd, int64_t n, double level)
{
    if (n < 2 || !(sd > 0) || !isfinite(sd)) return NAN;
    if (c.form == WITHIN) return claim_power(c, 0, sd, n, level);
    double near = 0, far = sd; /* distances beyond the margin */
    const double way = c.form == MORE_THAN ? 1 : -1;
    while (claim_power(c, c.margin + way * far, sd, n, level) < 0.8) far *= 2;
    for (int i = 0; i < 40; i++) {
        double at = (near + far) / 2;
        *(claim_power(c, c.margin + way * at, sd, n, level) < 0.8 ? &near : &far) = at;
    }
    return c.margin + way * far;
}
