/* vernier attend --texts: the numbers of heads over many texts. */
#ifndef ANALYSIS_CORPUS_H
#define ANALYSIS_CORPUS_H

#include "analysis/ask.h"
#include "num/stats.h"

/* The texts of a file, one a line, or of JSON Lines ("text" of each object) where it begins with `{`; empty lines are
 * passed over.  E_IO; E_FORMAT names the line, or says that there is none. */
Status corpus_texts(const char ***text, int64_t *n, Arena *, const char *path);

/* Summary of the values that are numbers: a text has none where, say, no token of it repeats.  n 0: all NaN. */
Summary corpus_summary(const double *value, int64_t n, Arena *scratch);

Status corpus_answer(Ask *, const char *dir);

#endif
