/* A memory beside the softmax: t' = t + phi(q)' M, a matrix M (d,d) on features of the query, as a hook on the one
 * head of a one-layer model (Wang et al., "Prefix-Tuning+", 2025).  It adds the trainable parameter "memory", which
 * starts at zero, where it changes nothing.  It does not work for a second layer: there the queries depend on trained
 * parameters. */
#ifndef THEORY_MEMORY_H
#define THEORY_MEMORY_H

#include "nn/model.h"

void memory_attach(Model *, Hooks *, const char *phi); /* "elu", "elu+1" or "relu" */

#endif
