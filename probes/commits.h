/* Labelled commits to train on, to select by and to test on: jit/valid.jsonl and jit/test.jsonl of a folder, or,
 * where none is given, invented ones in six packages that stand for projects.  The settings "commits" and "data-seed"
 * say how many and which. */
#ifndef PROBES_COMMITS_H
#define PROBES_COMMITS_H

#include "probe/dataset.h"
#include "run/experiment.h"
#include "tasks/jit.h"

/* The last fifth by time of each project and class selects.  E_MISMATCH: a split lacks a class. */
Status commits_open(JitSet set[SPLITS], Arena *, Run *, const char *dir);
CodeChange *commits_invent(Arena *, uint64_t seed, int64_t n, int difficulty); /* without features */

#endif
