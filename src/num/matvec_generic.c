/* Products of a few rows for whatever the compiler targets by default. */
#define TABLE MATVEC_GENERIC
#define LINKAGE
#include "num/matvec.inc"
