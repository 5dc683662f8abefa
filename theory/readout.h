/* Reading a token back from a number: three ways to turn z = j/V into V logits, in a number format.
 *
 *   tangent   logit_k = (2k/V - 1) z + 1/4 - (k/V)^2     linear in z; neighbours differ by only V^-2
 *   nearest   logit_k = -|z - k/V|                       not linear; neighbours differ by 1/V
 *   circle    logit_k = cos(2 pi k/V) a + sin(2 pi k/V) b, (a,b) = (cos, sin)(2 pi j/V): linear, two numbers a token
 *
 * Every operation is rounded, those that compute the weights too; z of the first two went through ReLU(1 + z - 1), as
 * the constructions need it. */
#ifndef THEORY_READOUT_H
#define THEORY_READOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "theory/format.h"

typedef enum { READ_TANGENT, READ_NEAREST, READ_CIRCLE, READOUTS } Readout;
extern const char *const READOUT_NAME[READOUTS];

/* How many of the v tokens are read as another one; the count stops at `enough`. */
int64_t readout_wrong(Arena *scratch, Format, Readout, int64_t v, int64_t enough);

/* The first v at which some token is read as another one: every v up to `scan`, then v = scan 1.05^k up to `most`.  0
 * where there is none. */
int64_t readout_first_failure(Arena *scratch, Format, Readout, int64_t scan, int64_t most);

#endif
