/* The expected number of defects that are found when items are read in a random order, all orders alike, until the
 * next one would exceed a given effort.
 *
 * Every item gets an independent, uniform time at which it is read.  A defect i is found when those read before it,
 * and itself, fit, so with S(t) the effort of the others that are read before t,
 *
 *   found = sum over defects i of the integral over t from 0 to 1 of P(S(t) + e_i <= room).
 *
 * At one t the items are independent, and the probability is a sum over them, from the largest to the smallest.  Its
 * states are the different efforts that can still be left; one in which everything that follows fits ends at once.
 * The integrand is a polynomial in t of degree n - 1, so n / 2 Gauss-Legendre nodes integrate it exactly.
 *
 * That is done wherever the states are few enough: always up to 12 items, and for whole numbers of lines as long as
 * items * items * total effort is below about 5 million.  Beyond, states are rounded to a grid, whose cells shrink
 * with the effort that follows, and small items are read by the lump.  Two sizes of lumps, extrapolated to
 * none, leave an error below .001 of the defects (largest found against exact sums of 24 to 300 items: .0007). */
#ifndef METRIC_TIE_H
#define METRIC_TIE_H

#include <stdint.h>

#include "base/arena.h"

typedef struct {
    double key, effort;
    int32_t label; /* 1: a defect */
} TieItem;

/* `item` (n) by effort, descending, none negative; room >= 0.  Takes up to 40 MB of scratch and 16 bytes an item,
 * and gives them back. */
double tie_found(Arena *scratch, const TieItem *item, int64_t n, double room);

#endif
