/* A predictor from the user's own commits: the data are read, a model is opened or made, tuned (tuning.h) and
 * measured, and all of it goes to a directory (predictor.h).
 *
 *     TuneJob job = {.o = options, .watch = watch, .run = &run};
 *     TRY(tune_check(&job));                     a slip is told before any work
 *     TRY(tune_read(&job));
 *     TRY(tune_make(&job, "out/unfinished", resumed)); */
#ifndef TASKS_TUNE_H
#define TASKS_TUNE_H

#include "tasks/predictor.h"
#include "tasks/tuning.h"

/* The user's options.  Their names of options in messages are those of `vernier tune`. */
typedef struct {
    const Task *task;
    const char *method, *options; /* NULL: the task's; "" */
    const char *train, *valid;    /* files of change records; valid NULL: the last of the others by time */
    double cut;                   /* their share */
    const char *model;            /* a directory or hub name; NULL: a small one is made of the training text */
    const char *tokenizer;        /* NULL: the model's */
    const char *small;            /* "layers=1,dim=32": shape of the small model */
    const char *language;         /* PLBART's token, or NULL */
    int64_t length, target;       /* tokens of a commit or change, and of a message, at most; 0: the default */
    int64_t features;             /* 14, or 13 */
    const char *head;             /* one of JIT_HEAD; NULL: concat where every commit has features */
    bool per_split, best_threshold;
    int64_t epochs, batch, evaluations, patience, seed;
    int64_t parts;      /* in which a step takes its batch */
    int64_t parameters; /* the method's size: so many at most; 0: as its options say */
    double lr;          /* < 0: the method's */
} TuneOptions;

typedef struct {
    TuneOptions o; /* the caller's; method, options and head are completed */
    TuneWatch watch;
    Arena *run;

    Predictor p;
    Tuning t;                 /* of a network */
    JitSet train, valid, all; /* all: train and valid together; n 0 when o.valid was given */
    bool resume;
    char shape[80]; /* "length 512": the plan's lengths, which a resumed run must share */
} TuneJob;

Status tune_check(TuneJob *);
Status tune_read(TuneJob *);
/* Writes below `dir`; where `resume`, continues from the files of an interrupted call. */
Status tune_make(TuneJob *, const char *dir, bool resume);
/* Files of `dir` that are no part of the result. */
#define TUNE_SCRATCH                                                                                                 \
    "train.json|train-*.safetensors|best.sha256|metrics.sha256|draft.json|encoder.sha256|encoder.train.safetensors|" \
    "writer.sha256"

/* ---- tune_jit.c, tune_cmg.c: the parts of the three above */
Status tune_defects_read(TuneJob *);
Status tune_defects(TuneJob *);
Status tune_floor(TuneJob *);
Status tune_messages_read(TuneJob *);
Status tune_messages(TuneJob *);

/* ---- tune_small.c; a model that is made again lets the training that came of a former one be forgotten */
Status tune_encoder(TuneJob *); /* DIR/encoder: a tokenizer and a small RoBERTa, pretrained on the training text */
Status tune_writer(TuneJob *);  /* DIR/writer: a tokenizer and a small T5 of random weights */

/* ---- tune_dir.c: a network's tuning in a directory */
Status tune_load(TuneJob *);         /* tokenizer and model, the small one if need be, and the method's config */
int tune_positions(const TuneJob *); /* the positions that the method's virtual tokens take from the text */
/* An option's number, which is `otherwise` where 0 was given. */
Status tune_number(int *out, const char *option, int64_t given, int otherwise, int least, int most);
Status tune_train(TuneJob *, double lr); /* the best parameters, then the draft of a card */

/* ---- tune_files.c */
const char *tune_best_path(const TuneJob *, Arena *); /* the hashes of the best parameters' files */
const char *tune_stand_path(const TuneJob *);         /* where the training stands */
void tune_forget(const TuneJob *);                    /* removes both */

#endif
