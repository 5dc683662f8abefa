/* Products of a few rows for AVX2 with FMA and F16C. */
#ifdef __AVX2__
#define TABLE table
#define LINKAGE static
#include "num/matvec.inc"
const MatvecKernels *const MATVEC_AVX2 = &table;
#else
#include "num/matvec.h"
const MatvecKernels *const MATVEC_AVX2;
#endif
