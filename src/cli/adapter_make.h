/* Verbs of `vernier adapter` that make a LoRA out of others: combine, approximate. */
#ifndef CLI_ADAPTER_MAKE_H
#define CLI_ADAPTER_MAKE_H

#include "cli/command.h"

enum { ADAPTERS_MOST = 16 };                   /* to combine */
Status adapter_combine_verb(const Args *);     /* A B .. OUT */
Status adapter_approximate_verb(const Args *); /* TUNED OUT */

#endif
