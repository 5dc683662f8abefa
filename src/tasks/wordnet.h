/* What the learners with networks of their own share: a loop that trains them, and their file.
 *
 * The file is one safetensors: parameters under a prefix, other numbers as F64 tensors, lists of words as JSON in the
 * metadata.  All that is read is believed only when its shape fits and it is finite. */
#ifndef TASKS_WORDNET_H
#define TASKS_WORDNET_H

#include "io/safetensors.h"
#include "tasks/tuning.h"
#include "tasks/words.h"

/* ---- training: Adam at a constant rate */

typedef struct {
    const char *phase;   /* "training message words" */
    int64_t rows, total; /* examples in a step; steps */
    double lr;
    uint64_t seed;
    /* The examples of a step into row (rows); how many. */
    int64_t (*draw)(int32_t *row, int64_t step, void *user);
    BatchLossFn *loss; /* reads Batch.row alone; its Model is of no use */
    void *user;        /* of both */
    const TuneWatch *watch;
    int64_t pause; /* steps between calls of `paused`; 0: none */
    Status (*paused)(int64_t step, void *user);
} WordnetPlan;
Status wordnet_train(ParamSet *, const WordnetPlan *); /* E_INTERRUPT: the watch has stopped it */

/* The examples of a step when n of them come in batches of `rows`, in an order that each epoch draws anew unless
 * `same`; a last batch that is not full is left out where there is another. */
typedef struct {
    int64_t n, rows;
    uint64_t stream;
    bool same;
    int32_t *order; /* (n) of epoch `now` */
    int64_t now;
} Epochs;
Epochs epochs_of(Arena *, int64_t n, int64_t rows, uint64_t stream, bool same);
int64_t epochs_steps(const Epochs *); /* of one epoch */
int64_t epochs_draw(Epochs *, int32_t *row, int64_t step);

/* ---- the file */

enum { WORDNET_TENSORS = 96, WORDNET_WORDS = 4 };
typedef struct {
    Named tensor[WORDNET_TENSORS];
    Meta words[WORDNET_WORDS];
    int n, n_words;
    Arena *arena;
} WordnetFile;
void wordnet_put(WordnetFile *, const char *name, int64_t n, const double *);
void wordnet_put_words(WordnetFile *, const char *name, const Words *);
void wordnet_put_params(WordnetFile *, const char *prefix, const ParamSet *);
Status wordnet_save(const WordnetFile *, const char *path);

Status wordnet_get(double *out, int64_t n, const Weights *, const char *name);
Status wordnet_get_words(Words *, Arena *, const Weights *, const char *name);
Status wordnet_get_params(const ParamSet *, const Weights *, const char *prefix);
/* One number of a list just read, E_FORMAT unless it is whole and from least to most. */
Status wordnet_whole(int64_t *out, double x, const Weights *, const char *what, int64_t least, int64_t most);

#endif
