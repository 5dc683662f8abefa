/* The fast kernels for processors with AVX2; the Makefile sets the instruction set of this file alone. */
#if defined(__AVX2__)
#define TABLE KERNELS_AVX2
#include "num/fast.inc"
#else
extern int fast_avx2_is_empty_here;
#endif
