/* A predictor as a directory, which `vernier tune` writes and `vernier predict` reads:
 *
 *   jit.json, cmg.json,   the card: method, base model, tokenizer, lengths, marks; of a defect predictor (task jit)
 *   lm.json               head and statistics of the features too
 *   classify.json, ...    of a task on the user's own tables, with columns and classes, and README.md for readers
 *   floor.safetensors     of the methods words and la (jit); other learners (learner.h) have files of their own
 *   head.safetensors      the head of a transformer (jit), and beside it
 *   adapter_config.json   with its weights: the adapter, as either library reads it; or
 *   model/                the tuned model, of the methods that change the base itself
 *   encoder/, writer/     the small model that was begun here, where none was given
 *
 * All of it is made in DIR/unfinished, where the card is written last.  Beside it, until the result is moved,
 * are the files from which a killed command resumes:
 *
 *   encoder.sha256, writer.sha256  the files of the small model, and how far it has come
 *   encoder.train.safetensors      the checkpoint of its pretraining
 *   train.json                     where the training stands, and
 *   train-N.safetensors            the checkpoint that belongs to it, of step N;
 *   best.sha256                    the files of the best evaluation so far
 *   metrics.sha256                 the log up to where the work stands
 *   draft.json                     the card of a model that is trained and not measured yet
 *
 * Each of these and of the files that it lists is believed only as it was written (base/seal.h, train/train.h): a
 * missing or altered file is made again, with all files that depend on it.
 *
 * The card, the head and the limits of a task are behind its Task. */
#ifndef TASKS_PREDICTOR_H
#define TASKS_PREDICTOR_H

#include <cjson/cJSON.h>

#include "adapter/model.h"
#include "base/registry.h"
#include "tasks/cmg.h"
#include "tasks/jit_attention.h"
#include "tasks/learner.h"
#include "tasks/lm.h"
#include "tasks/own.h"
#include "tasks/review.h"

typedef struct {
    const struct Task *task;
    const char *dir;
    const char *method, *options;   /* "lora", "words", ...; "" */
    const char *model, *tokenizer;  /* a directory or hub name; "./" begins one in dir; NULL: a baseline's */
    const Peft *peft;               /* the method, or */
    const Learner *learner;         /* the baseline: one of the two is NULL */
    double option[LEARNER_OPTIONS]; /* of the baseline */
    bool as_published;              /* jit: with the published defects */

    JitHead head; /* jit */
    JitPlan plan;
    JitScale scale;
    bool per_split;   /* features of any set are standardised by its own statistics, as published */
    int64_t features; /* 14, or 13: without `fix`, which the published code loses */
    double threshold;
    LinesBy lines_by;   /* how a transformer ranks lines; not of the card */
    const char *recipe; /* the published settings that it was tuned with (recipe.h), or NULL */

    CmgPlan cmg; /* cmg */

    ReviewForm objectives; /* pretrain */

    LmPlan lm;       /* lm; its chat is the caller's */
    const char *key; /* the member that holds a row's text */

    OwnPlan own; /* the user's own tasks: columns, classes, lengths */
    OwnModel o;
    uint64_t seed; /* of values that the model's files lack */

    void *learned; /* the learner's model, or tokenizer, model and hooks, once open */
    Tokenizer text;
    Model *net;
    Hooks *hooks;
    JitModel j;
} Predictor;

typedef struct Task {
    const char *name; /* NAME.json is the card */
    const char *base; /* where the small model goes that is made for it, "./" in front; NULL: none is */
    void (*write_card)(const Predictor *, cJSON *card);
    Status (*read_card)(Predictor *, Arena *, const cJSON *card, const char *path);
    LoadOptions (*load_options)(const Predictor *);        /* of its model; the tokenizer is open */
    Status (*open_head)(Predictor *);                      /* on a model just loaded; E_MISMATCH: of no use here */
    Status (*load_head)(Predictor *, Arena *);             /* once the adapter is there; NULL: it has none */
    Status (*check_lengths)(const Predictor *, int taken); /* does the card fit the model, less `taken` positions? */
    const OwnKind *own;                                    /* a task on the user's own tables; NULL: another */
} Task;
REGISTRY(Task, task) /* those whose results predict */
extern const Task TASK_JIT, TASK_CMG, TASK_LM, TASK_PRETRAIN;
bool predictor_is_card(const char *file); /* the name of some task's card */

/* A method of peft/, its alias, or a learner: the others are NULL.  E_CONFIG: none has that name. */
Status predictor_method(Predictor *, const char *name);
bool predictor_whole(const Peft *); /* the method changes the base itself: its model is saved whole */
const char *predictor_path(const Predictor *, Arena *, const char *path); /* resolves "./" */
const char *predictor_card(const Task *, Arena *, const char *dir);       /* its path */
const char *predictor_draft(Arena *, const char *dir);                    /* path of the card before it is measured */

Status predictor_save(const Predictor *, cJSON *valid, Arena *); /* the card, which takes `valid`; NULL: its draft */
/* All of it.  The model's weights are read as `widen`, `bf16` and `vocab_from_file` of `how` have it, remarks go to
 * `say`. */
Status predictor_open(Predictor *, Arena *run, const char *dir, const LoadOptions *how);
Status predictor_open_draft(Predictor *, const Task *, Arena *run, const char *dir, const LoadOptions *how);
/* How the task loads its model, with the same of `how`. */
LoadOptions predictor_load(const Predictor *, const LoadOptions *how);
const char *predictor_model(const Predictor *, Arena *); /* the folder of its network */
void predictor_close(Predictor *);

/* Texts as the card's settings make examples of them; the first conversation opens the chat template. */
Status predictor_texts(LmTexts *out, Predictor *, Arena *, const LmSet *);

/* ---- defect prediction */

/* A network's input.  E_MISMATCH: the tokenizer has ids that the model has no rows for. */
Status predictor_tokens(Examples *out, const Predictor *, Arena *, const JitSet *);
JitScale predictor_scale(const Predictor *, const JitSet *scored);
/* Probabilities (N).  E_MISMATCH: a commit lacks features that the head reads. */
Status predictor_score(double *out, Predictor *, Arena *run, Arena *step, const JitSet *,
                       bool (*each)(int64_t, void *), void *user);
/* The lines of commit i, of the set scored last, that most suggest a defect: *n lines by score, descending. */
typedef struct {
    int64_t file, line;
    double score;
} RiskyLine;
bool predictor_attends(const Predictor *); /* lines are ranked by attention: lines_by is of use */
Status predictor_lines(RiskyLine **out, int64_t *n, Predictor *, Arena *, Arena *step, const CodeChange *, int32_t i);

#endif
