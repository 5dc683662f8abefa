/* The inside of a Run, for the files of this directory that open, record and report one. */
#ifndef RUN_RUN_H
#define RUN_RUN_H

#include "base/registry.h"
#include "base/str.h"
#include "num/stats.h"
#include "run/experiment.h"
#include "run/folder.h"
#include "run/grid.h"
#include "run/progress.h"

REGISTRY(Experiment, experiment)

typedef enum { FORM_INT, FORM_REAL, FORM_FLAG, FORM_LIST, FORM_TEXT } Form;
Form setting_form(const Setting *);
const char *setting_value(const Setting *, Preset); /* the default */
const char *preset_name(Preset);
bool preset_offered(const Experiment *, Preset); /* REAL_DATA: one of its settings has a value for it */
const char *verdict_name(Verdict);

/* The user's request; the strings outlive the run. */
typedef struct {
    const Experiment *experiment;
    Preset preset;
    int seeds; /* 0: the experiment's default */
    uint64_t seed;
    const char *dir;   /* NULL: below/GROUP/NAME/HASH, which depends on the settings */
    const char *below; /* NULL: runs */
    bool overwrite, quiet;
    bool tensorboard; /* event files beside metrics.jsonl (logs.h) */
    bool listed;      /* one of several: a run that goes wrong stays, for their report */
    const KeyValue *set;
    int n_set;
} Request;

typedef struct Metric Metric;
struct Metric {
    const char *name;
    ClaimRange range;
    double *value; /* (seeds) */
    bool *given;   /* (seeds) */
    int n;         /* one more than the largest seed index given */
    Metric *next;
};
typedef enum { JUDGED_CLAIM, JUDGED_GATE, JUDGED_EXACT, JUDGED_OPEN } JudgedKind;
typedef struct Judged Judged; /* a claim, gate, exact claim or one left open, with the data's verdict */
struct Judged {
    JudgedKind kind;
    const char *says;
    Claim claim;
    double mean, level, detectable; /* detectable: claim_detectable() at the seeds' spread */
    Interval ci;
    int n;
    Verdict verdict;
    Judged *next;
};
typedef struct Note Note; /* notes, figures, inputs, parameter counts, comparisons: short lists in order */
struct Note {
    const char *text, *more; /* a note; a figure and its caption; an input and its SHA-256; a parameter count */
    int64_t total, trainable;
    double mean, lo, hi, p;
    int n;
    Note *next;
};

struct Run {
    Arena arena;
    const Experiment *experiment;
    Preset preset;
    int seeds, threads;
    uint64_t seed;
    bool quiet, listed, tensorboard;
    Progress progress;
    Folder folder;
    const char *dir;    /* where it writes; once it is done, where its result is */
    const char **value; /* the resolved settings, in the order of experiment->settings */
    Metric *metrics;
    Judged *claims;
    Grid *tables, *measured;
    Note *notes, *figures, *inputs, *params, *compares;
    bool judged;
    Verdict verdict;
    const char *sentence;
    int log;                               /* descriptor of metrics.jsonl, or of a job's part of it */
    int log_error;                         /* the first errno of writing it */
    int job;                               /* -1 in the parent */
    Buf left;                              /* in a job: the list of files that it leaves (base/seal.h) */
    int calls;                             /* run_parallel calls so far */
    int kept;                              /* jobs that are finished */
    Stage *stage;                          /* in a forked job: its slot in shared memory */
    double cpu_started, job_cpu, job_peak; /* seconds before the run, and of its jobs; bytes of the largest job */
    char when[2][32];                      /* start and end, UTC */
};

const Experiment **list_experiments(Arena *); /* all of them by group and name, NULL-ended */
Status run_check(const Request *);            /* would its settings be accepted? */
Status run_open(Run **out, const Request *);  /* resolves the settings, makes the directory or resumes its work */
Status run_go(Run *);                         /* runs, then writes everything; the experiment's own status */
void run_close(Run *);
Status run_setting_check(const Setting *, const char *value);
/* The name of an option or a setting in other libraries, and its name here; ends with {0}. */
extern const KeyValue LIBRARY_NAMES[];
const Setting *run_setting(const Run *, const char *key, int *index); /* NULL when not declared */

Status results_write(Run *, Status);             /* results.json and results.csv, timings.json */
Status results_recall(Run *);                    /* those of a run that was finished before, as it recorded them */
void results_print(Run *);                       /* the table on standard output */
void results_print_short(Run *);                 /* title, verdict and the path of the results */
Summary metric_summary(Arena *, const Metric *); /* its interval keeps to the metric's range */
void claims_json(cJSON *root, Run *);            /* "claims" of results.json */
void claims_recall(Run *, const cJSON *list);
void claims_print(Run *);

cJSON *manifest_of(Run *);                /* its own members of the manifest: question, inputs, machine, time */
const char *manifest_program_id(Arena *); /* of this binary: a rebuilt one takes over nothing from the old */
const char *vernier_version(void);
const char *vernier_build(void); /* compiler and flags */

#endif
