/* The fast attention for AVX2 with FMA. */
#ifdef __AVX2__
#define TABLE table
#define LINKAGE static
#include "num/attend_fast.inc"
const AttendKernels *const ATTEND_AVX2 = &table;
#else
#include "num/attend.h"
const AttendKernels *const ATTEND_AVX2;
#endif
