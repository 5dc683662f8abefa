/* The F32 tables compiled from fast.inc.  A weak one is absent (its address NULL) where the compiler's target lacks
 * the instruction set; even where present it may only be called on a processor that has it. */
#ifndef NUM_FAST_H
#define NUM_FAST_H

#include "num/kernels.h"

extern const Kernels KERNELS_GENERIC;
extern const Kernels KERNELS_AVX2 __attribute__((weak)), KERNELS_AVX512 __attribute__((weak));

#endif
