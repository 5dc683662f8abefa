/* The project's counter-based generator as one of GSL's, for drawing from GSL's distributions. */
#ifndef NUM_STATS_RNG_H
#define NUM_STATS_RNG_H

#include <gsl/gsl_rng.h>
#include <stdint.h>

gsl_rng *stats_rng(uint64_t stream); /* draw k of the generator is rng_bits(stream, k); gsl_rng_free() it */

#endif
