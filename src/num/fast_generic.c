/* The fast kernels for whatever the compiler targets by default. */
#define TABLE KERNELS_GENERIC
#include "num/fast.inc"
