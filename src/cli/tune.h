/* A predictor as a directory, which `vernier tune` writes and `vernier predict` reads:
 *
 *   jit.json or cmg.json  the card: method, base model, tokenizer, lengths, marks; of a defect predictor (task jit)
 *                         head and statistics of the features too
 *   floor.safetensors     of the methods words and la (jit)
 *   head.safetensors      the head of a transformer (jit), and beside it
 *   adapter_config.json   with its weights: the adapter, as either library reads it; or
 *   model/                the tuned model, of the methods that change the base itself
 *   encoder/, writer/     the small model that was begun here, where none was given
 *
 * All of it is made in DIR/unfinished, where the card is written last.  Beside it there lies, until the result is
 * moved, what a killed command goes on from:
 *
 *   encoder.sha256, writer.sha256  the files of the small model, and how far it has come
 *   encoder.train.safetensors      the checkpoint of its pretraining
 *   train.json                     where the training stands, and
 *   train-N.safetensors            the checkpoint that belongs to it, of step N;
 *   best.sha256                    the files of the best evaluation so far
 *   draft.json                     the card of a model that is trained and not measured yet
 *
 * Each of these and of the files that it lists is believed only as it was written (base/seal.h, train/train.h): what
 * is missing or altered is done again, with all that came of it.
 *
 * What is particular to a task is behind its Task; opening, training and keeping are the same for both. */
#ifndef CLI_TUNE_H
#define CLI_TUNE_H

#include "cli/run.h"
#include "io/json.h"
#include "peft/disk.h"
#include "tasks/cmg.h"
#include "tasks/floor.h"
#include "tasks/jit_model.h"

typedef struct {
    const struct Task *task;
    const char *dir;
    const char *method, *options;  /* "lora", "words", ...; "" */
    const char *model, *tokenizer; /* a directory or hub name; "./" begins what lies in dir; NULL: a floor's */
    const Peft *peft;              /* the method; NULL: a floor */

    JitHead head; /* jit */
    JitPlan plan;
    JitScale scale;
    bool per_split;   /* features of any set are standardised by its own statistics, as published */
    int64_t features; /* 14, or 13: without `fix`, which the published code loses */
    double threshold;

    CmgPlan cmg; /* cmg */

    Floor *floor; /* one of the two, once open */
    Tokenizer text;
    Model *net;
    Hooks *hooks;
    JitModel j;
} Predictor;

typedef struct {
    const Args *args;
    Arena *run;
    Predictor p;
    Run line;                 /* of progress */
    JitSet train, valid, all; /* all: what train and valid were cut from; n 0 when --valid was given */
    const char *train_path;
    int64_t epochs, batch, evaluations, patience, seed;
    double lr;       /* < 0: the method's */
    const char *out; /* the directory, as the user knows it; p.dir lies in it until all is done */
    bool resume;

    Examples tokens; /* of the training commits, once prepared, and what is learnt from them */
    BatchLossFn *loss;
    void *loss_user;
    void *own;         /* the task's */
    double best_at;    /* jit: of the best evaluation, the threshold with the largest F1 */
    char shape[80];    /* "length 512": what the plan says, and a resumed run must share */
    char measured[80]; /* "validation F1 0.5000, AUC 0.7000": of the last evaluation */
} Tuning;

typedef struct Task {
    const char *name; /* as --task has it; NAME.json is the card */
    const char *base; /* where the small model of `begin` goes, "./" in front */
    void (*put)(const Predictor *, cJSON *card);
    Status (*get)(Predictor *, Arena *, const cJSON *card, const char *path);
    LoadOptions (*load)(const Predictor *);        /* how its model is loaded; the tokenizer is open */
    Status (*begin)(Tuning *);                     /* makes the small model */
    Status (*open_head)(Predictor *);              /* on a model just loaded; E_MISMATCH: it is of no use here */
    Status (*load_head)(Predictor *, Arena *);     /* once the adapter is there */
    Status (*check)(const Predictor *, int taken); /* does the card fit the model, less `taken` positions? */
    Status (*read)(Tuning *);                      /* the commits, and what the options say of them */
    Status (*plan)(Tuning *, int taken);           /* lengths and marks */
    Status (*prepare)(Tuning *);                   /* tokens and loss, and what evaluate needs */
    double (*rate)(const Tuning *);                /* the method's learning rate */
    Status (*evaluate)(double *score, double *tie, Arena *step, Tuning *);
    Status (*keep)(Tuning *);   /* the head, when an evaluation was the best; NULL: none */
    Status (*finish)(Tuning *); /* measures what is on disk and writes the card */
    Status (*print)(Tuning *, const cJSON *card, const char *path); /* the measures that the card has, as a table */
    void (*compare)(Tuning *, cJSON *root); /* adds what the measures are to be compared with, or NULL */
} Task;
extern const Task TASK_JIT, TASK_CMG;
extern const Task *const TASKS[]; /* NULL-ended */

/* "words", "la", a method of peft/, "adapter" for houlsby; *method NULL: a floor.  E_CONFIG lists them. */
Status predictor_method(const char **name, const Peft **method);
bool predictor_whole(const Peft *); /* the method changes the base itself: its model is saved whole */
const char *predictor_path(const Predictor *, Arena *, const char *path); /* resolves "./" */
const char *predictor_card(const Task *, Arena *, const char *dir);       /* its path */

const char *predictor_draft(Arena *, const char *dir); /* path of the card before it is measured */

Status predictor_save(const Predictor *, cJSON *valid, Arena *); /* the card, which takes `valid`; NULL: its draft */
Status predictor_open(Predictor *, Arena *run, const char *dir, const Args *); /* all of it; remarks unless --quiet */
Status predictor_open_draft(Predictor *, const Task *, Arena *run, const char *dir, const Args *);
void predictor_close(Predictor *);
/* A field of a card that must be there. */
Status card_text(const char **out, const cJSON *card, const char *key, Arena *, const char *path);

/* ---- defect prediction */

/* A network's input.  E_MISMATCH: the tokenizer has ids that the model has no rows for. */
Status predictor_tokens(Examples *out, const Predictor *, Arena *, const JitSet *);
JitScale predictor_scale(const Predictor *, const JitSet *scored);
/* Probabilities (N).  E_MISMATCH: a commit lacks features that the head reads. */
Status predictor_score(double *out, Predictor *, Arena *run, Arena *step, const JitSet *,
                       bool (*each)(int64_t, void *), void *user);
/* What line of commit i of the set scored last speaks for a defect: *n lines of the record by score, descending. */
typedef struct {
    int64_t file, line;
    double score;
} RiskyLine;
Status predictor_lines(RiskyLine **out, int64_t *n, Predictor *, Arena *, Arena *step, const CodeChange *, int32_t i);

void jit_print_scores(const char *what, const JitScores *, const JitScores *random);
cJSON *jit_scores_json(const JitScores *);
Status jit_scores_read(JitScores *out, const cJSON *, const char *path); /* what jit_print_scores() needs of them */

/* ---- the parts of tune */

/* Files of DIR/unfinished that are no part of the result. */
#define TUNE_SCRATCH                                                                                                 \
    "train.json|train-*.safetensors|best.sha256|draft.json|encoder.sha256|encoder.train.safetensors|writer.sha256"
Status tune_features(int64_t *out, const Args *, int64_t otherwise); /* --features */
Status tune_encoder(Tuning *);            /* DIR/encoder: a tokenizer and a small RoBERTa from the training text */
Status tune_writer(Tuning *);             /* DIR/writer: a tokenizer and a small T5, at random */
Status tune_network(Tuning *);            /* trains, keeps the best, writes the draft of a card */
Status tune_floor(Tuning *);              /* jit's */
bool tune_each(int64_t done, void *user); /* false once a signal was seen */
/* A line on standard error, unless --quiet. */
void tune_remark(const Tuning *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
