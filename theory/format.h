/* Number formats, imitated: a value is computed in double and rounded to nearest even after every operation.
 * For + - * / and sqrt on F32, BF16 and F16 this is the result that a machine of the format would give, because
 * double carries more than twice their digits; exp and the like are taken as correctly rounded.  The library computes
 * in F32 and F64 only; the theory files use this to measure the effect of fewer digits. */
#ifndef THEORY_FORMAT_H
#define THEORY_FORMAT_H

typedef enum { FORMAT_F64, FORMAT_F32, FORMAT_BF16, FORMAT_F16, FORMATS } Format;

extern const char *const FORMAT_NAME[FORMATS];
extern const int FORMAT_BITS[FORMATS];

double format_round(Format, double);
double format_unit(Format); /* unit roundoff: the largest relative error of one rounding in the normal range */

#endif
