/* The reference kernels in F32. */
#define REAL float
#define TABLE KERNELS_REF_F32
#include "num/ref.inc"
