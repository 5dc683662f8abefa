/* metrics.jsonl, the log of a run: a line of JSON for each step or evaluation,
 *
 *     {"phase": "tuning", "step": 20, "loss": 0.61, "lr": 0.0009}
 *
 * One line is one write, so a process that is killed at any moment leaves whole lines. */
#ifndef RUN_LOG_H
#define RUN_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

/* Adds a line to the open file.  job < 0: none is named; a value that is not finite is null.  0, or an errno. */
int log_line(int fd, int job, const char *phase, int64_t step, int n, const char *const *name, const double *value);

/* A sealed note of the log's content (base/seal.h), and the log as it was then: lines added later are removed.
 * false: there is no note, or the log is not as it was. */
Status log_seal(const char *path, const char *note, Arena *);
bool log_restore(const char *path, const char *note, Arena *);

/* Work goes on after `step` of `phase`: of the log that an interrupted attempt has left, the lines of later steps are
 * removed, those of phases that match `before` (str_glob) apart.  *gaps: lines of steps up to there are missing. */
Status log_cut(const char *path, Arena *, const char *before, const char *phase, int64_t step, bool *gaps);

/* A line with all its numbers. */
typedef struct {
    int job; /* -1: none is named */
    const char *phase;
    int64_t step;
    int n;
    const char *const *name; /* (n) */
    const double *value;     /* (n) NaN where the line has null */
} LogLine;
/* All whole lines.  No file: none. */
Status log_read(LogLine **out, int64_t *n, Arena *, const char *path);

/* The numbers that a phase has logged under `name`, and their steps.  No file: none. */
typedef struct {
    int64_t n;
    double *step, *value;
} LogSeries;
Status log_series(LogSeries *out, Arena *, const char *path, const char *phase, const char *name);

#endif
