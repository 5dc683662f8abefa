/* Jobs that leave files with their result: a kept result counts only while these are as the job has left them. */
#ifndef RUN_PARALLEL_H
#define RUN_PARALLEL_H

#include "run/experiment.h"

typedef bool RunCheck(Run *, int i, void *user);

/* run_parallel(), where job i of an earlier attempt is done again unless check(i) finds its files. */
Status run_parallel_checked(Run *, int n, size_t size, RunJob *job, RunCheck *check, void *user, void *out);

#endif
