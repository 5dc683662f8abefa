/* The reference kernels in F64. */
#define REAL double
#define TABLE KERNELS_REF_F64
#include "num/ref.inc"
