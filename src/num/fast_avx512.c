/* The fast kernels for processors with AVX512; the Makefile sets the instruction set of this file alone. */
#if defined(__AVX512F__)
#define TABLE KERNELS_AVX512
#include "num/fast.inc"
#else
extern int fast_avx512_is_empty_here;
#endif
