/* The reference attention in F32. */
#define REAL float
#define TABLE ATTEND_REF_F32
#include "num/attend_ref.inc"
