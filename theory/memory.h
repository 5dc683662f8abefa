/* Two terms that depend on a query alone, as hooks on the one head of a one-layer model.
 *
 *   memory   t' = t + phi(q)' M: a matrix M (d,d) on features of the query, outside the softmax
 *   table    t' = Z/(Z+a) t + a/(Z+a) g: in the first layer the query is a function of (token, position), and a
 *            prefix of any length acts on it through two things only, its mass a > 0 and its mean value g (Z is the
 *            content's mass, t its mean).  So a table of a and g for every token and position contains all prefixes
 *            of all lengths, of tied or free slots.
 *
 * Both add trainable parameters to the model ("memory"; "table.mass", the logarithm of a, and "table.value") and
 * start where they change nothing (memory) or take the mass of one slot with a zero key (table).  Neither works for
 * a second layer: there the queries depend on what is trained. */
#ifndef THEORY_MEMORY_H
#define THEORY_MEMORY_H

#include "nn/model.h"

void memory_attach(Model *, Hooks *, const char *phi); /* "elu", "elu+1" or "relu" */
void table_attach(Model *, Hooks *);

#endif
