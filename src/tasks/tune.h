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
#include "tasks/recipe.h"
#include "tasks/tuning.h"

/* A task as it is tuned. */
typedef struct TuneJob TuneJob;
typedef struct {
    const Task *task;
    const char *one, *many;             /* "commit", "commits": its examples */
    const char *method;                 /* the default where no model is given */
    int64_t epochs, batch, evaluations; /* defaults */
    int least;                          /* tokens that an example may be limited to at least */
    bool encoder_alone;                 /* the decoder of an encoder-decoder does not run */
    bool baselines;                     /* it has methods without a network */
    Status (*check)(TuneJob *);         /* options that exclude each other; NULL: none */
    Status (*read)(TuneJob *);          /* the files, into n_train and n_valid examples */
    Status (*make)(TuneJob *);          /* everything else */
    Status (*begin)(TuneJob *);         /* makes the small model where none is given; NULL: check() refuses that */
    const char *about;                  /* one line for lists of the tasks */
    const char *title, *loss;           /* "Classification", the axis of its loss; of tasks with Task.own */
} TuneTask;
extern const TuneTask TUNE_JIT, TUNE_CMG, TUNE_LM, TUNE_PRETRAIN;
REGISTRY(TuneTask, tune_task)
const TuneTask *tune_task_find(const char *name); /* NULL: none */
const char *tune_task_names(Arena *);             /* "classify|pair|..." */

/* The user's options.  Their names of options in messages are those of `vernier tune`. */
typedef struct {
    const TuneTask *task;
    const char *method, *options; /* NULL: the task's; "" */
    const Recipe *recipe;         /* the published settings that method stands for, or NULL */
    const char *train, *valid;    /* files; valid NULL: a share of the others, of commits the last by time */
    double cut;                   /* their share */
    const char *model;            /* a directory or hub name; NULL: a small one is made of the training text */
    const char *tokenizer;        /* NULL: the model's */
    const char *layers;           /* in which the method acts, alone; NULL: all; tune_set_layers() */
    const char *blocks;           /* layers that train whole beside the method; NULL: none; tune_set_blocks() */
    const char *small;            /* "layers=1,dim=32": shape of the small model */
    const char *language;         /* PLBART's token, or NULL */
    ReviewForm objectives;        /* pretrain */
    bool review;                  /* cmg: changes and messages in the form of CodeReviewer and CCT5 */
    int64_t length, target;       /* tokens of a commit or change, and of a message, at most; 0: the default */
    int64_t features;             /* 14, or 13 */
    const char *head;             /* one of JIT_HEAD; NULL: concat where every commit has features */
    bool per_split, best_threshold;
    bool focal;        /* jit: the focal loss, not cross-entropy */
    double weight;     /* jit: of a defective commit in the loss, against 1 of another; 0: as the loss has it */
    bool as_published; /* with the published defects of the method */
    int64_t epochs, batch, evaluations, patience, seed;
    bool score_all;     /* lm: prompts, too */
    const char *key;    /* lm: the member that holds a row's text */
    int64_t parts;      /* in which a step takes its batch */
    int64_t shards;     /* in which it is shared out among ranks; 1: the batch as it is */
    int64_t parameters; /* the method's size: so many at most; 0: as its options say */
    double lr;          /* < 0: the method's */
    TrunkKeep trunk;    /* of what frozen layers compute, with `layers` */
    const char *shared; /* TrunkPlan's */
    const char *text_column, *pair_column, *label_column; /* the user's own tasks; NULL: the default */
    const char *class_weights,
        *metric;      /* "balanced", "spam=2,ham=1"; the measure that chooses; NULL: none, default */
    double smoothing; /* of the labels */
    bool window;      /* texts beyond the length are read in windows */
    LoadOptions load; /* how the model's weights are read, as predictor_open() takes it */
} TuneOptions;

struct TuneJob {
    TuneOptions o; /* the caller's; method, options and head are completed */
    TuneWatch watch;
    Arena *run;

    Predictor p;
    Tuning t;                 /* of a network */
    int64_t n_train, n_valid; /* examples */
    JitSet train, valid, all; /* commits; all: train and valid together, n 0 when o.valid was given */
    LmSet train_texts, valid_texts;
    OwnSet own_train, own_valid; /* the user's own tasks */
    OwnTexts own_texts, own_valid_texts;
    OwnGradients own_gradients[2]; /* before and after the training */
    int own_measure;               /* index of the one that chooses */
    Bytes *plain;                  /* (n_plain) texts that a small model is begun with; NULL: those of the commits */
    int64_t n_plain;
    Evaluation untuned; /* lm: the model as it was, on the validation texts */
    bool resume;
    char shape[80]; /* "length 512": the plan's lengths, which a resumed run must share */
};

Status tune_check(TuneJob *);
/* After the check: layers of the base that train whole beside the method (peft/blocks.h); a second call counts. */
Status tune_set_blocks(TuneJob *, const char *list);
/* Likewise, and before it: the layers in which the method acts (peft/layers.h). */
Status tune_set_layers(TuneJob *, const char *list);
Status tune_read(TuneJob *);
/* Writes below `dir`; where `resume`, continues from the files of an interrupted call. */
Status tune_make(TuneJob *, const char *dir, bool resume);
/* Files of `dir` that are no part of the result. */
#define TUNE_SCRATCH                                                                                                 \
    "train.json|train-*.safetensors|best.sha256|metrics.sha256|draft.json|encoder.sha256|encoder.train.safetensors|" \
    "writer.sha256|trunk.*.cache"

Status tune_commits(TuneJob *); /* the change records of --train and --valid, into train, valid and all */

/* ---- tune_small.c; a model that is made again lets the training that came of a former one be forgotten */
Status tune_encoder(TuneJob *); /* DIR/encoder: a tokenizer and a small RoBERTa, pretrained on the training text */
Status tune_writer(TuneJob *);  /* DIR/writer: a tokenizer and a small T5 of random weights */

/* ---- tune_dir.c: a network's tuning in a directory */
Status tune_load(TuneJob *);         /* tokenizer and model, the small one if need be, and the method's config */
int tune_positions(const TuneJob *); /* the positions that the method's virtual tokens take from the text */
/* An option's number, which is `otherwise` where 0 was given. */
Status tune_number(int *out, const char *option, int64_t given, int otherwise, int least, int most);
/* --max-length of texts, at most `most` tokens and the positions of the model that virtual tokens leave; E_CONFIG:
 * they leave fewer than `least`. */
Status tune_length(int *out, const TuneJob *, int least, int most);
Status tune_train(TuneJob *, double lr); /* the best parameters, then the draft of a card */

/* ---- tune_own.c: the user's own tasks */
Status tune_own_check(TuneJob *);
Status tune_own_read(TuneJob *);
Status tune_own_make(TuneJob *);
/* own_theory.c: the theory about virtual tokens, into out's member "theory"; nothing for other methods. */
Status own_theory(cJSON *out, const TuneJob *, Predictor *, const OwnTexts *, const Scores *, const cJSON *baselines,
                  Arena *);
Status tune_own_readme(const TuneJob *, const cJSON *validation); /* own_readme.c: DIR/README.md */

/* ---- tune_files.c */
const char *tune_best_path(const TuneJob *, Arena *); /* the hashes of the best parameters' files */
const char *tune_stand_path(const TuneJob *);         /* where the training stands */
void tune_forget(const TuneJob *);                    /* removes both */

#endif
