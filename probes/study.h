/* The study: the effects of each tuning method on a model that was pretrained on code changes.
 *
 *   bases      models that are tuned: an encoder-decoder pretrained here (span corruption on the training changes),
 *              one given by --base, or those of the five published ones that --models has
 *   tasks      JIT-DP (does the commit introduce a defect?) with and without the 14 expert features; CMG (write the
 *              message of a change) language by language
 *   methods    full fine-tuning, LoRA, adapters, prefixes; each at the learning rate that is best on validation
 *   then       the tuned model is frozen, and every layer is probed for TYP, CCM and LTP (probe/probe.h), and
 *              compared with the untuned base, the same shape randomly initialised, a bag of words and rules.h
 *   further    cost; loss on the pretraining text (forgetting); few training examples; other projects and
 *              languages than those of training
 *
 * Source: Liu et al., SANER 2024; tables VI and VII are the published ones. */
#ifndef PROBES_STUDY_H
#define PROBES_STUDY_H

#include "metric/messages.h"
#include "nn/model.h"
#include "num/stats.h"
#include "peft/peft.h"
#include "probes/floors.h"
#include "probes/learners.h"
#include "run/experiment.h"
#include "tasks/cmg.h"
#include "tasks/jit_model.h"
#include "text/tokenizer.h"
#include "train/denoise.h"

enum {
    MOST_METHODS = 8,
    MOST_LANGUAGES = 6,
    MOST_BASES = 6,
    STUDY_LAYERS = 65, /* of features, the embeddings among them */
    STUDY_ROWS = 2048, /* test rows of a probing set */
    STUDY_SEEDS = 64   /* shown in tables and figures */
};

typedef struct {
    const char *name; /* as the user writes it and tables show it */
    const Peft *peft;
    const char *options;
    const char *rate; /* the setting that holds its learning rate */
} StudyMethod;

typedef struct {
    const char *name;
    int64_t n[SPLITS];
    CodeChange *change[SPLITS];
    Bytes *reference; /* (n[SPLIT_TEST]) messages */
} StudyLanguage;

typedef struct {
    const char *name, *dir;
    Config config;
    Tokenizer text;
    JitPlan jit;
    CmgPlan cmg;
    DenoisePlan denoise; /* sentinels 0: forgetting is not measured */
    int layers;          /* of features */
    bool writes;         /* has a decoder that CMG can train */
    Examples commits[SPLITS], pairs[MOST_LANGUAGES][SPLITS], rows[TASKS];
    Examples kept_apart; /* pretraining text that it was not trained on */
} StudyBase;

typedef struct {
    Arena arena;
    int seeds;
    StudyMethod method[MOST_METHODS];
    int methods;
    JitHead head[JIT_HEADS];
    int heads;
    JitSet commits[SPLITS];
    bool *other; /* (n of the test commits) its project is not among those that a cross-project run trains on */
    bool *home;  /* (n of the training commits) its project is among them */
    StudyLanguage language[MOST_LANGUAGES];
    int languages;
    int64_t pairs; /* of a language that tuning sees at most; pretraining sees them all */
    Dataset set[TASKS];
    ProbeFloor floor[TASKS][MOST_FLOORS];
    int floors[TASKS];
    StudyBase base[MOST_BASES];
    int bases;
    double scale[MOST_BASES][2][MOST_METHODS]; /* of the learning rate, as chosen; by base, task, method */
    const char *absent;                        /* published models that --models lacks; NULL */
} Study;

typedef enum { STUDY_JIT, STUDY_CMG, STUDY_UNTUNED, STUDY_RANDOM } StudyTask;
typedef struct {
    StudyTask task;
    int base, method, seed;
    JitHead head;
    int language;
    int64_t size;   /* training examples; 0: all */
    bool away;      /* JIT-DP: trained on half of the projects */
    double scale;   /* of the method's learning rate */
    bool rate_only; /* only the validation score is wanted */
} StudyJob;

typedef struct {  /* of a job; plain bytes */
    double valid; /* the criterion of its learning rate: AUC, or minus the loss */
    double f1, f1_best, auc, auc_other, recall_at_20, popt; /* JIT-DP, on test; f1_best: at validation's threshold */
    double loss;                                            /* CMG, on validation: nats a token */
    double written[MOST_LANGUAGES][MESSAGE_METRICS];        /* CMG, in %; by test language */
    double accuracy[TASKS][STUDY_LAYERS][SPLITS];
    int best[TASKS];                       /* the layer chosen on validation */
    uint8_t guess[TASKS][STUDY_ROWS];      /* at that layer, of the test rows in order */
    double forgot;                         /* loss on the pretraining text kept apart, nats; NaN: not measured */
    int64_t trained, all, steps, examples; /* parameters; steps taken; training examples */
    double seconds, megabytes; /* of processor time a step of training; peak memory above that at its start:
                                  put in by the parent, for these differ from run to run */
} StudyOutcome;

/* ---- study_data.c, study_base.c */
Status study_data(Study *, Run *);
Status study_bases(Study *, Run *); /* opens, or pretrains */
Status study_tokens(Study *, Run *, StudyBase *);
double study_denoising_loss(const StudyBase *, Model *, const Hooks *, Arena *step);

/* ---- study_tune.c */
typedef struct {
    const Study *study;
    const StudyJob *job;
} StudyJobs;
RunJob study_job; /* user: StudyJobs * */

/* ---- study_tables.c, study_findings.c, study_figures.c */
typedef struct {
    const StudyJob *job;
    const StudyOutcome *out;
    int n;
    const LearnerRow *learner; /* baselines of defect prediction */
    int learners;
} StudyResults;
/* Outcomes of a cell, one a seed; the count. */
int study_cell(const StudyOutcome *out[STUDY_SEEDS], const StudyResults *, StudyJob like);
double study_accuracy(const StudyOutcome *, ProbeTask); /* on test, at the layer chosen on validation */
const ProbeFloor *study_rule(const Study *, ProbeTask);
typedef double StudyValue(const StudyOutcome *, const void *user);
typedef struct {
    int language, metric; /* the user of study_written */
} Written;
StudyValue study_auc, study_auc_other, study_written;
Status study_tables(Run *, const Study *, const StudyResults *);
void study_findings(Run *, const Study *, const StudyResults *); /* study_findings.c: tests, notes, verdict */
Status study_figures(Run *, const Study *, const StudyResults *);

#endif
