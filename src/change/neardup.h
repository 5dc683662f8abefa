/* Near-duplicates: texts that share most of their runs of three tokens.
 *
 * The measure is Jaccard's over the sets of such runs (shingles).  Candidates come from MinHash signatures in bands
 * (Broder 1997), so the work grows with the texts and not with their pairs; each candidate is then compared exactly.
 * Two texts at the limit of 0.8 are missed with probability 2e-4, more alike ones less often. */
#ifndef CHANGE_NEARDUP_H
#define CHANGE_NEARDUP_H

#include "base/file.h"

/* group[i]: the first text that i is a near-duplicate of, directly or through others; i itself when it is
 * the first. */
void neardup_find(int64_t *group, Arena *, const Bytes *text, int64_t n, double limit);

#endif
