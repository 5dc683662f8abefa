/* Synthetic code changes: small classes of typed Java methods, one edit each, and a message that describes it.
 * The record holds the whole class.
 *
 * They are a stand-in for mined history where there is none: the true labels are known (which edit, whether it
 * puts in a defect), and nothing else about them is like real commits.  Methods come from a table of a dozen shapes
 * over drawn names and types; a defect is one line in its wrong form (a bound one too far, strings compared by ==, a
 * sum that forgets).  Edits: rename a variable, add a check, a log line or a method, change a constant, widen a type,
 * fix a defect, plant one.  `kind` names it; label 1 is a planted defect, alone or in a new method.
 *
 * Difficulty 0: the message names method and variables, and planted defects come in a hurry ("quick change").  1: it
 * names the method in words, and messages do not mention defects.  2: it names no identifier. */
#ifndef CHANGE_JAVAGEN_CHANGE_H
#define CHANGE_JAVAGEN_CHANGE_H

#include "change/change.h"

enum { HARDEST = 2 };
/* The i-th change of a seed, on the arena. */
void javagen_change(CodeChange *out, Arena *, uint64_t seed, int64_t i, int difficulty);

#endif
