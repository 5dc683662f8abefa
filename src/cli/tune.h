/* The output of vernier tune, and the files that it writes with the predictor: metrics.jsonl, results.json,
 * figures/loss and its share of manifest.json, in the shape that every experiment has (run/run.h). */
#ifndef CLI_TUNE_H
#define CLI_TUNE_H

#include "cli/command.h"
#include "run/logs.h"
#include "run/progress.h"
#include "tasks/jit_json.h"
#include "tasks/tune.h"

void jit_print_scores(const char *what, const JitScores *, const JitScores *random);

/* A task as its command and its record show it. */
typedef struct {
    const TuneTask *tune;
    const char *title, *loss;   /* "Defect prediction"; the axis of its loss */
    const char *input;          /* of --train */
    bool base;                  /* the result is a model to begin with, and predicts nothing itself */
    bool scores;                /* evaluations give F1 and AUC, with which random scores compare; else a loss */
    bool curve;                 /* evaluations give the measures of its kind, which figures/loss shows */
    const char *const *options; /* those that only some tasks have; ends with NULL */
    Status (*print)(const TuneJob *, const cJSON *validation, const cJSON *card, const char *path);
    const char *(*sentence)(const TuneJob *, const cJSON *validation);
    void (*config)(cJSON *, const TuneJob *);              /* its settings for the manifest */
    const char *(*next)(const TuneJob *, const char *out); /* another command for the result; NULL: none */
} TuneView;
extern const TuneView TUNE_OWN_VIEW; /* of all tasks on the user's own tables, with their titles: tune_own.c */
const TuneView *tune_view(const TuneTask *);
const char *tune_title(const TuneTask *);
const char *tune_loss(const TuneTask *); /* the axis */

/* How good the predictor is on the validation examples, as its card has it; cards are checked: E_FORMAT. */
Status tune_print(const TuneJob *, const cJSON *card, const char *path);
cJSON *tune_json(const TuneJob *, cJSON *card); /* the same as JSON; takes members of the card */

/* Adds the layers that --full-blocks names or --choose-blocks chooses to the options of the method. */
Status tune_blocks(TuneJob *, const Args *);

typedef struct {
    TuneJob *job;
    Progress progress;
    const char *dir;  /* where the files go */
    bool tensorboard; /* --log: events beside the log, while it trains */
    LiveEvents events;
    int log, error; /* descriptor of metrics.jsonl, or -1, and the first errno of writing it */
    bool waits;     /* signals are noted only */
    bool resumes;   /* the work can go on: its log is as it was */
    bool begun;     /* a training has begun, so there is work to keep */
} TuneRecord;
/* Lets the job's watch show progress, print remarks unless --quiet, take signals, and log. */
Status tune_record_open(TuneRecord *, TuneJob *, const char *dir, bool resumed, const Args *);
/* Once the job is done: results and figures. */
Status tune_record_results(TuneRecord *);
void tune_record_close(TuneRecord *);
cJSON *tune_manifest(const TuneJob *); /* settings, inputs, parameter counts, machine; NULL where inputs are gone */

#endif
