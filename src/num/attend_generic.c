/* The fast attention for any processor. */
#define TABLE ATTEND_GENERIC
#define LINKAGE
#include "num/attend_fast.inc"
