/* The reference attention in F64. */
#define REAL double
#define TABLE ATTEND_REF_F64
#include "num/attend_ref.inc"
