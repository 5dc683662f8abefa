/* A format is its digits, the exponent of its smallest step, and its largest number.  In units of the step at x, a
 * rounded number is an integer. */
#include "theory/format.h"

#include <math.h>

const char *const FORMAT_NAME[FORMATS] = {"F64", "F32", "BF16", "F16"};
const int FORMAT_BITS[FORMATS] = {64, 32, 16, 16};

static const struct {
    int digits, finest; /* binary digits with the leading one; log2 of the smallest subnormal */
    double most;
} OF[FORMATS] = {[FORMAT_F64] = {53, -1074, 0x1.fffffffffffffp1023},
                 [FORMAT_F32] = {24, -149, 0x1.fffffep127},
                 [FORMAT_BF16] = {8, -133, 0x1.fep127},
                 [FORMAT_F16] = {11, -24, 65504}};

double format_unit(Format f)
{
    return ldexp(1, -OF[f].digits);
}

double format_round(Format f, double x)
{
    if (f == FORMAT_F64) return x;
    if (f == FORMAT_F32) return (double)(float)x;
    if (x == 0 || !isfinite(x)) return x;
    int exponent;
    frexp(x, &exponent); /* |x| in [1/2, 1) 2^exponent */
    int step = exponent - OF[f].digits > OF[f].finest ? exponent - OF[f].digits : OF[f].finest;
    double rounded = ldexp(nearbyint(ldexp(x, -step)), step); /* nearest even, as the machine rounds */
    return fabs(rounded) > OF[f].most ? copysign((double)INFINITY, x) : rounded;
}
