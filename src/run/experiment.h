/* An experiment is one file with one descriptor: a claim, a method, an expectation, and a function that runs
 * them.  It registers itself and is run by the one binary (vernier run GROUP/NAME), which resolves settings,
 * owns the run directory, and writes manifest.json, metrics.jsonl, results.json, results.csv and figures/.
 *
 *   static const Setting SETTINGS[] = {{"rank", "rank of the update", {"2", "4", "8"}, 1, 64}, {0}};
 *   static Status run(Run *r)
 *   {
 *       for (int i = 0; i < run_seeds(r); i++) run_metric(r, RANGE_POSITIVE, "error", i, error(run_seed(r, i)));
 *       run_verdict(r, SUPPORTED, "the error stays below rounding");
 *       return OK;
 *   }
 *   static const Experiment LOW_RANK = {.group = "theory", .name = "low-rank", ..., .run = run};
 *   REGISTER(experiment, LOW_RANK)
 *
 * Everything a Run hands out lives on its arena and dies with it.  A run_parallel job may read settings, report
 * progress and log; metrics, verdict, notes and figures are recorded by the parent, from the values that jobs return.
 */
#ifndef RUN_EXPERIMENT_H
#define RUN_EXPERIMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/registry.h"
#include "num/claim.h"

/* Seconds; a minute or two; the published numbers; the user's data at a size that this machine can bear, for the few
 * experiments that declare such a size. */
typedef enum { SMOKE, QUICK, PAPER, REAL_DATA, PRESETS } Preset;

/* The form of the defaults is the type of a setting: "8" an integer, "1.0" or "1e-3" a real number, "yes" or
 * "no" a flag, "1,2,4" or "8," a list of numbers, anything else text.  The user's value must have the same form
 * and keep the range or the choice, or the run does not start. */
typedef struct {
    const char *key, *help;
    const char *value[PRESETS]; /* smoke, quick, paper, real; NULL repeats the one before, for real: quick */
    double least, most;         /* inclusive range of a number, and of each in a list; both 0: any */
    const char *among;          /* "lora|prefix|full": the words that text, or a comma list of words, may use */
    const char *reads;          /* of a path: "*", the files below it that the run reads (glob(7), with braces) */
} Setting;

typedef struct Run Run;
typedef struct {
    const char *group, *name; /* "toy", "e1": the user types toy/e1 */
    const char *title;        /* a few words, for headings */
    const char *claim;        /* the assertion, one or two sentences */
    const char *method;       /* how it is tested */
    const char *expect;       /* the results that would support the claim */
    const char *cost;         /* time of the three presets on two cores */
    const char *source;       /* paper, theorem, table */
    const Setting *settings;  /* ends with {0}; NULL: none */
    bool exact;               /* mathematics, not training: the claim holds at every preset; the tests insist */
    int seeds[PRESETS];       /* default number of seeds; 0 means 1 */
    Status (*run)(Run *);     /* gives a verdict before it returns OK */
} Experiment;

/* The settings.  A key that is not declared, or is declared with another form, is a programmer error. */
Arena *run_arena(Run *);
Preset run_preset(const Run *);
int64_t run_int(const Run *, const char *key);
double run_real(const Run *, const char *key); /* integers too */
bool run_flag(const Run *, const char *key);
const char *run_text(const Run *, const char *key);
bool run_has(const Run *, const char *key, const char *word); /* the comma list holds the word, or is "all" */
enum { RUN_LIST = 64 };
int run_list(const Run *, const char *key, double out[RUN_LIST]); /* the count; a single number is a list of one */
int run_seeds(const Run *);
uint64_t run_seed(const Run *, int i); /* consecutive numbers from --seed on */
int run_threads(const Run *);          /* cores this run may use */
bool run_resuming(const Run *);        /* resume from a checkpoint below run_path() if there is one */
const char *run_path(Run *, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* in the run directory */

/* The results. */
/* Once per name and seed; NaN: diverged.  The metric's interval keeps to the range (num/claim.h). */
void run_metric(Run *, ClaimRange, const char *name, int seed_index, double value);
double run_compare(Run *, const char *a, const char *b); /* paired t test of two metrics over seeds: recorded;
                                                            the two-sided p, NaN with fewer than two pairs */

/* The verdict.  The results of training are judged by num/claim.h alone: an experiment states each of its claims with
 * a margin and one value a seed, and gates, which say that there is anything to judge: that a loss is below the one
 * of ignoring the input, that a control succeeds.  run_conclude() takes the verdict from them: inconclusive unless
 * all gates are supported, then claim_all() of the claims.  An exact claim is one of mathematics, which rounding
 * alone separates from its value and which one counter-example refutes, whatever the gates say.  All of them are in
 * the results, with interval, margin and verdict. */
Verdict run_claim(Run *, const char *says, Claim, ClaimRange, const double *seeds);
Verdict run_gate(Run *, const char *says, Claim, ClaimRange, const double *seeds);
Verdict run_exact(Run *, const char *says, bool holds);
Verdict run_unjudged(Run *, const char *says, const char *why); /* a claim that this run cannot decide */
Verdict run_conclude(Run *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void run_verdict(Run *, Verdict, const char *fmt, ...)
    __attribute__((format(printf, 3, 4))); /* of an exact experiment; the last one counts */
void run_note(Run *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* cell[row * cols + col], texts that outlive the run; the first column names the rows.  A run with tables shows them
 * in place of its metrics, which are in its files in any case. */
void run_table(Run *, const char *caption, int cols, const char *const *head, int rows, const char *const *cell);
void run_params(Run *, const char *name, int64_t total, int64_t trainable); /* parameter counts, for the manifest */
Status run_input(Run *, const char *path); /* hashes a file the run reads into the manifest; E_IO */
/* A line of metrics.jsonl.  A job that resumes from a checkpoint logs its earlier steps again, so that a run that was
 * broken off has the log of one that was not. */
void run_log(Run *, const char *phase, int64_t step, int n, const char *const *name, const double *value);
/* Times and memory differ between equal runs, so they go to files of their own: to timings.jsonl when they are taken,
 * and as a table, shown like others, to timings.json. */
void run_measure(Run *, const char *name, int64_t step, double value);
double run_peak_megabytes(void); /* the largest resident memory of this process so far */
void run_measures(Run *, const char *name, int n, double *out); /* one of each job of the last run_parallel, or NaN */
void run_measured_table(Run *, const char *caption, int cols, const char *const *head, int rows,
                        const char *const *cell);
typedef struct Fig Fig;                                                            /* plot/plot.h draws */
Fig *run_figure(Run *, const char *name, const char *caption, double w, double h); /* figures/NAME.{svg,pdf,png},
                                                                    size in points; the caller fig_close()s it */

/* While it runs. */
void run_progress(Run *, const char *phase, int64_t done, int64_t total, double loss); /* cheap; NaN: no loss */
bool run_stopped(void); /* Ctrl-C or SIGTERM was seen: save, and return run_interrupted() */
Status run_interrupted(void);

/* n independent jobs (seeds, methods), one forked process per core with OpenMP at one thread in each.  Job i fills
 * the `size` bytes at `out`, which arrive at out + i * size; pointers do not survive the way.  Any order of
 * completion gives the same results.  The first failing job (in index order) decides the returned error, and
 * the others are asked to stop.  Finished jobs are kept below jobs/, and a run that is resumed does not repeat
 * them. */
typedef Status RunJob(Run *, int i, void *out, void *user);
Status run_parallel(Run *, int n, size_t size, RunJob *job, void *user, void *out);

#endif
