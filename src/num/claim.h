/* What data say about a claim, by one rule.  A claim is a statement about one number, the effect, with a margin, and
 * the interval of the effect decides it:
 *
 *     supported       the interval lies wholly where the claim says
 *     not supported   it lies wholly on the other side of the margin
 *     inconclusive    it has the margin in it, or there is none
 *
 *   Interval ci = claim_interval(gain, seeds, RANGE_ANY, 0.95);
 *   run_verdict(r, claim_verdict((Claim){MORE_THAN, 0}, ci), ...);
 *
 * That two things are the same is a claim, too: |effect| < margin by two one-sided tests of level .05, for which the
 * interval is the 90 % one (Schuirmann, J. Pharmacokinetics and Biopharmaceutics 15, 1987).  A difference that is not
 * significant never makes it. */
#ifndef NUM_CLAIM_H
#define NUM_CLAIM_H

#include "num/stats.h"

typedef enum { SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE } Verdict;
typedef enum { MORE_THAN, LESS_THAN, WITHIN } ClaimForm;
typedef struct {
    ClaimForm form;
    double margin; /* in the effect's unit; WITHIN: 0 < margin */
} Claim;
Verdict claim_verdict(Claim, Interval);
Verdict claim_all(Verdict, Verdict); /* of "both": one that is not supported decides, then one inconclusive */
/* The level of the interval that the claim needs: .95, or .90 for WITHIN. */
double claim_level(Claim);

/* The values that a quantity can take; RANGE_POSITIVE is 0 or more.  An EXTREME is a maximum, a minimum or a count:
 * the mean of such values has no interval here, and tables give their least and greatest over the seeds. */
typedef enum {
    RANGE_ANY,
    RANGE_POSITIVE,
    RANGE_SHARE,
    RANGE_PERCENT,
    RANGE_CORRELATION,
    RANGE_EXTREME,
    CLAIM_RANGES
} ClaimRange;
const char *claim_range_name(ClaimRange);       /* "any", "positive", "share", .. */
ClaimRange claim_range_named(const char *name); /* RANGE_ANY for a name that is none */
bool claim_in_range(double x, ClaimRange);      /* up to 1e-9 of rounding; NaN is in all */

/* The interval of the mean of n values, Student's t with n - 1 degrees of freedom.  It keeps to the range of the
 * values: on the scale of the logarithm, the logit or Fisher's z about the mean (delta method).  NaN for n < 2, for
 * an EXTREME, for values outside the range, and where all values are equal but not at an end of the range, since n
 * equal values do not show that nothing varies. */
Interval claim_interval(const double *x, int64_t n, ClaimRange, double level);

/* The probability that n values with standard deviation sd about a true effect come out as supported by the interval
 * of that level. */
double claim_power(Claim, double effect, double sd, int64_t n, double level);
/* The true effect at which that probability is 0.8; of WITHIN, for which it may be less everywhere, the probability
 * at an effect of 0. */
double claim_detectable(Claim, double sd, int64_t n, double level);

#endif
