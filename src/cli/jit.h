/* A defect predictor as a directory, which `vernier tune --task jit` writes and `vernier predict` reads:
 *
 *   jit.json             method, head, base model, tokenizer, lengths, markers, statistics of the features
 *   floor.safetensors    of the methods words and la
 *   head.safetensors     the head of a transformer, and beside it
 *   adapter_config.json  with its weights: the adapter, as either library reads it; or
 *   model/               the tuned model, of the methods that change the base itself
 *   encoder/             the small encoder that was pretrained here, where no model was given
 *
 * jit.json is written last: a directory without it is a run that has not finished. */
#ifndef CLI_JIT_H
#define CLI_JIT_H

#include "cli/command.h"
#include "io/json.h"
#include "peft/disk.h"
#include "tasks/floor.h"
#include "tasks/jit_model.h"

typedef struct {
    const char *dir;
    const char *method, *options;  /* "lora", "words", ...; "" */
    const char *model, *tokenizer; /* a directory or hub name; "./" begins what lies in dir; NULL: a floor's */
    JitHead head;
    JitPlan plan;
    JitScale scale;
    bool per_split; /* features of any set are standardised by its own statistics, as published */
    double threshold;

    Floor *floor; /* one of the two, once open */
    Tokenizer text;
    Model *net;
    Hooks *hooks;
    JitModel j;
} Predictor;

/* "words", "la", a method of peft/, "adapter" for houlsby; *method NULL: a floor.  E_CONFIG lists them. */
Status predictor_method(const char **name, const Peft **method);
bool predictor_whole(const Peft *); /* the method changes the base itself: its model is saved whole */
const char *predictor_path(const Predictor *, Arena *, const char *path); /* resolves "./" */

Status predictor_save(const Predictor *, const JitScores *valid, Arena *);     /* jit.json */
Status predictor_open(Predictor *, Arena *run, const char *dir, const Args *); /* all of it; remarks unless --quiet */
void predictor_close(Predictor *);
/* A network's input.  E_MISMATCH: the tokenizer has ids that the model has no rows for. */
Status predictor_tokens(Examples *out, const Predictor *, Arena *, const JitSet *);
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

/* ---- the parts of tune */

typedef struct {
    const Args *args;
    Arena *run;
    Predictor p;
    const Peft *method;
    JitSet train, valid, all; /* all: what train and valid were cut from; n 0 when --valid was given */
    const char *train_path;
    int64_t epochs, batch, evaluations, patience, seed;
    double lr; /* < 0: the method's */
    bool resume;
} Tuning;
Status tune_encoder(Tuning *); /* DIR/encoder: a tokenizer and a small RoBERTa from the training text */
Status tune_network(Tuning *);
bool tune_each(int64_t done, void *user); /* false once a signal was seen */

#endif
