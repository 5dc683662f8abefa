/* The fast attention for AVX-512. */
#ifdef __AVX512F__
#define TABLE table
#define LINKAGE static
#include "num/attend_fast.inc"
const AttendKernels *const ATTEND_AVX512 = &table;
#else
#include "num/attend.h"
const AttendKernels *const ATTEND_AVX512;
#endif
