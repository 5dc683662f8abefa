/* Tasks on the user's own tables: texts or pairs of texts with a class, a number, or a tag for each word.
 *
 * A table is CSV, TSV or JSON Lines (io/cells.h); columns have names.  The classes are those of the training labels,
 * in the order of numbers where all of them are whole numbers, else of their bytes.  Numbers are trained on as
 * (y - mean) / sd of the training labels, so that a learning rate serves all scales.
 *
 * A text that has more tokens than the plan's length loses its end, or is read in windows that overlap by a quarter;
 * then each window is an example that weighs one over the windows of its text, and the logits of a text are the mean
 * of its windows'.
 *
 *     OwnSet all, train, valid;
 *     TRY(own_read(&all, &run, "train.csv", &plan, false));
 *     TRY(own_learn_labels(&plan, &run, &all));
 *     TRY(own_label(&all, &plan));
 *     own_cut(&train, &valid, &run, &all, 0.2, seed);
 *     TRY(own_tokens(&texts, &run, &train, &tokenizer, &plan, model));
 *     own_model_open(&own, model, &plan);  peft_attach(...);  own_model_show(&own, &train, &texts);
 *     config.loss = own_loss, config.weigh = own_weigh, config.user = &own;
 */
#ifndef TASKS_OWN_H
#define TASKS_OWN_H

#include "io/cells.h"
#include "metric/measures.h"
#include "text/tokenizer.h"
#include "train/train.h"
#include "train/batch.h"

typedef enum { OWN_CLASSES, OWN_NUMBERS, OWN_TAGS } OwnTarget; /* a class, a number, a tag for each word */

/* The differences of the tasks. */
typedef struct OwnKind {
    OwnTarget target;
    bool pair, one; /* a second text must be there; or must not */
    const Measure *measure;
    int measures, choice, tie; /* the best evaluation's: by default; between equal ones */
    StatsFn *stats;
} OwnKind;

enum { OWN_LEAST = 8, OWN_MOST = 512, OWN_CLASSES_MOST = 4096 }; /* tokens at least, by default at most; classes */
typedef struct {
    const OwnKind *kind;
    const char *text, *pair, *label; /* columns; pair NULL: there is one text */
    int classes;
    const char *const *name; /* (classes) */
    double mean, sd;         /* of numbers */
    int length;
    bool window;
    const char *language; /* PLBART's, or NULL */
} OwnPlan;

typedef struct {
    const char *path;
    int64_t n;
    int64_t *line;              /* (n) */
    Bytes *text, *pair, *label; /* (n) each; NULL: not there */
    int32_t *class;             /* (n) with classes */
    double *value;              /* (n) with numbers */
} OwnSet;
/* E_FORMAT names path:line, for a label that is empty, too; `unlabelled`: the label's column may be missing. */
Status own_read(OwnSet *, Arena *, const char *path, const OwnPlan *, bool unlabelled);
Status own_learn_labels(OwnPlan *, Arena *, const OwnSet *train); /* E_MISMATCH: there is one class, or one number */
/* class or value of each row.  E_FORMAT: a label that is no class of the plan, or no finite number. */
Status own_label(OwnSet *, Arena *, const OwnPlan *);
/* A share of each class, drawn by the seed, goes to valid, in the order of the file. */
void own_cut(OwnSet *train, OwnSet *valid, Arena *, const OwnSet *, const OwnPlan *, double share, uint64_t seed);

typedef struct {
    Examples x;           /* ids and len, of windows */
    int32_t **type;       /* (x.n) token types, each NULL for 0; NULL: there are none */
    int32_t *of;          /* (x.n) the row of each */
    double *share;        /* (x.n) one over the windows of the row */
    int64_t cut, rows;    /* rows that do not fit the length; all */
    int64_t tokens, lost; /* of the texts, and those that no example has */
} OwnTexts;
/* E_MISMATCH: the tokenizer has ids that the model has no rows for. */
Status own_tokens(OwnTexts *, Arena *, const OwnSet *, const Tokenizer *, const OwnPlan *, int vocab);

/* ---- the model */

typedef struct {
    Model *model;
    const OwnPlan *plan;
    const OwnSet *set; /* shown */
    const OwnTexts *texts;
    const double *weight; /* (classes) in the loss, or NULL: 1 each */
    double smoothing;     /* share of the target that all classes have alike */
} OwnModel;
void own_model_open(OwnModel *, Model *, const OwnPlan *);
void own_model_show(OwnModel *, const OwnSet *, const OwnTexts *);
/* A batch of the set shown as the model reads it: with its token types, and on the encoder's side of two stacks. */
Batch own_batch(const OwnModel *, Arena *, const Batch *);
int own_outputs(const OwnPlan *); /* logits of a row: the classes, or 1 */
BatchLossFn own_loss;             /* user: OwnModel * */
BatchWeighFn own_weigh;
/* Norms of the gradient of the loss on a few examples of the set shown, without dropout. */
typedef struct {
    double method, head;
} OwnGradients;
void own_gradients(OwnGradients *, OwnModel *, const Hooks *); /* own_attention.c */
/* The use of virtual tokens in the layers that have some, on a few examples of the set shown (own_attention.c). */
typedef struct {
    int layers;
    double *of_layer;    /* (layers) the share of the attention that they take, mean over heads and queries */
    double mass;         /* its mean */
    int64_t most, bound; /* directions in which they add to a layer: the most found, and at most possible */
} OwnAttention;
Status own_attention(OwnAttention *, Arena *, OwnModel *, Hooks *);
/* The logits (n, outputs) of the set shown.  `each`, when not NULL, may stop by returning false: E_INTERRUPT. */
Status own_logits(double *out, OwnModel *, const Hooks *, Arena *step, bool (*each)(int64_t done, void *),
                  void *user);

/* Predictions from logits: probabilities and the most probable class, or the number. */
typedef struct {
    int64_t n;
    double *probability; /* (n, classes) */
    int32_t *class;      /* (n) */
    double *value;       /* (n) of numbers */
} OwnPredictions;
OwnPredictions own_predictions(Arena *, const OwnPlan *, const double *logits, int64_t n);

/* ---- measures */

/* On a labelled set, with intervals of `draws` bootstrap samples. */
void own_scores(Scores *, Arena *, const OwnPlan *, const OwnSet *, const OwnPredictions *, int draws, uint64_t seed);
/* Predictions that ignore the input: the shares of the training classes, or the mean of the training numbers. */
OwnPredictions own_ignorant(Arena *, const OwnPlan *, const OwnSet *train, int64_t n);
/* Those of logistic regression on the words of the texts, one class against the others; classes alone. */
Status own_words(OwnPredictions *, Arena *, const OwnPlan *, const OwnSet *train, const OwnSet *valid);

#endif
