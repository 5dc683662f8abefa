/* Products of a few rows for AVX-512. */
#ifdef __AVX512F__
#define TABLE table
#define LINKAGE static
#include "num/matvec.inc"
const MatvecKernels *const MATVEC_AVX512 = &table;
#else
#include "num/matvec.h"
const MatvecKernels *const MATVEC_AVX512;
#endif
