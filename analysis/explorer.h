/* vernier attend --html: one page, which needs nothing else, to go through the maps of one text or of many.
 *
 *     Explorer *e;
 *     TRY(explorer_open(&e, k, path));
 *     TRY(explorer_add(e, a, &batch, &tokens, &source));   // any number of times
 *     TRY(explorer_close(e));                              // or explorer_abandon(e)
 *
 * A row of a map is kept in whole steps of 1/2048: its mass on the prefix, where there is one, and apart from that
 * the prefix and the text, each summing to one, so that a prefix can be removed without a loss.  A value of a map
 * is within 1/4096 of the exact one and a difference of two within 1/2048. */
#ifndef ANALYSIS_EXPLORER_H
#define ANALYSIS_EXPLORER_H

#include "analysis/ask.h"

typedef struct Explorer Explorer;

/* On k's arena, of k's models, layers and heads, which outlive it.  E_IO. */
Status explorer_open(Explorer **out, Ask *k, const char *path);

/* The maps of every part of the model that the batch has tokens for, aggregated by --by and --no-prefix.  A page
 * takes in a first text of up to 100 million cells, further ones while all stay below 8 million and 400 texts; those
 * beyond are counted and skipped.  E_CONFIG: the first is too large; E_MISMATCH.  Nothing is kept on
 * `scratch`. */
Status explorer_add(Explorer *, Arena *scratch, const Batch *, const Tokens *, const Tokens *source);

Status explorer_close(Explorer *);
void explorer_abandon(Explorer *); /* leaves no file behind */

/* One text, that of ask_input(). */
Status explorer_write(Ask *, const char *path);

#endif
