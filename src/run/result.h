/* The result of a run directory read back: experiment, settings, metrics and cost.
 *
 *     RunResult r;
 *     TRY(result_read(&r, &arena, "runs/toy/e1/1a2b3c4d"));
 *     const RunMetric *m = result_metric(&r, "validation: f1");
 *
 * The files may come from anywhere: a member that is missing or of another type reads as empty or NaN. */
#ifndef RUN_RESULT_H
#define RUN_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "num/stats.h"

typedef struct {
    const char *name;
    double *value; /* (n) one for each seed; NaN: not finite, or not given */
    int n;
    double mean, sd;
    Interval ci95;
} RunMetric;

typedef struct {
    const char *dir, *command;               /* command: "tune", "run toy/e1" */
    const char *experiment, *title;          /* "toy/e1", "tune/jit" */
    const char *status, *verdict, *sentence; /* verdict "": the run makes no claim */
    const char *version;                     /* of the program */
    KeyValue *set;                           /* the settings, defaults among them; of a file its path */
    const char **hash;                       /* (sets) of a file or directory: that of its content, which counts */
    int sets;
    double *seed; /* (seeds) */
    int seeds;
    RunMetric *metric;
    int metrics;
    double total, trainable, seconds, cpu_seconds, peak; /* parameters of the first model; NaN: not recorded */
    double bytes;                                        /* of the files that its manifest lists */
    int files;
    int64_t when; /* the last change of its manifest, in seconds since 1970 */
} RunResult;

Status result_read(RunResult *, Arena *, const char *dir);           /* E_IO, E_FORMAT name the file */
const RunMetric *result_metric(const RunResult *, const char *name); /* NULL: it has none of that name */
const char *result_setting(const RunResult *, const char *key);      /* NULL: it has no such setting */
/* "commits.jsonl (f177690d)": a file with the beginning of its hash; "" where there is no such setting. */
const char *result_setting_text(const RunResult *, Arena *, const char *key);
bool results_share(const RunResult *, const RunResult *, const char *key); /* both have it with the same value */

/* The one of n names that `by` means: itself, or behind the name of a part ("validation: f1"), or the only one that
 * holds the word.  NULL: none, or several. */
const char *metric_like(Arena *, int n, const char *const *name, const char *by);

/* The metric by which evaluations are chosen, or the first of the validation.  NULL: there is none such. */
const char *metric_first(int n, const char *const *name);
bool metric_is_low(const char *name); /* the lowest value is the best, by its name */

/* The settings that differ between runs of one experiment, in the order of the first run that has each; the count.
 * Kernels and program, which are of the machine, are no settings. */
int results_differ(const char ***key, Arena *, int n, const RunResult *run);
/* "lr=0.004, rank=8": the run's values of the keys that differ from other runs of its experiment, the first four of
 * them; "" where it is the only one.  */
const char *result_label(Arena *, const RunResult *, int keys, const char *const *key);

#endif
