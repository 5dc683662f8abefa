/* Jobs of an experiment that leave files in the run directory, and remarks on jobs that are repeated. */
#ifndef RUN_PARALLEL_H
#define RUN_PARALLEL_H

#include "run/experiment.h"

/* A job of run_parallel leaves this file, or the files of this directory, for later ones or for the user: its kept
 * result counts only while they are as they are now.  The path is one of run_path(). */
Status run_leaves(Run *, const char *path);

/* A line on standard error, unless the run is quiet: about a job that is repeated because a file is damaged. */
void run_remark(const Run *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
