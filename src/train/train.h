/* Training: initialise, iterate, test.  The caller owns the loop, the log, and the decision to stop.
 *
 *     TRY(trainer_open(&tr, run, model, hooks, &cfg));
 *     while (tr->step < cfg.total) { make a batch; TRY(trainer_step(tr, &step_arena, &batch, &stats)); ... }
 *
 * The trainer is deterministic: the pass of step n draws its dropout from (seed, n) alone, so a run resumed from
 * a checkpoint ends in the same bytes as an unbroken one, for any number of threads. */
#ifndef TRAIN_TRAIN_H
#define TRAIN_TRAIN_H

#include "nn/model.h"

typedef enum { OPTIM_ADAMW, OPTIM_SGD } OptimKind;
typedef enum { SCHEDULE_CONSTANT, SCHEDULE_LINEAR, SCHEDULE_COSINE } Schedule; /* after the warm-up */
typedef struct {
    const char *glob; /* parameters of the group; the first group that matches takes a parameter */
    double lr_scale;  /* times the scheduled rate */
    double decay;     /* < 0: the config's */
} Group;
typedef Var *BatchLossFn(Model *, Pass *, const Batch *, void *user); /* (1) */
/* A loss of several terms, each a mean over something else: how many a batch has of each.  In a part of a batch the
 * loss multiplies term k by pass->share[k], where that is not NULL. */
enum { LOSS_TERMS = 2 };
typedef void BatchWeighFn(double weight[LOSS_TERMS], const Batch *, void *user);
typedef struct {
    OptimKind optim;
    double lr, beta1, beta2, eps; /* AdamW (Loshchilov and Hutter 2019) */
    double momentum;              /* SGD: v = momentum v + g + decay w, w -= lr v */
    double decay;                 /* only where Param.decay */
    double clip;                  /* global gradient norm; 0: off.  coefficient min(1, clip / (norm + 1e-6)) */
    Schedule schedule;
    int64_t warmup, total;
    uint64_t seed;
    int64_t parts;     /* > 1: a step takes its batch in so many parts, rows after rows: less memory, the same step */
    int64_t shards;    /* > 1: it takes so many shards, which ranks share out, and adds them in one tree (shards.h) */
    bool checkpoint;   /* less memory for more time: layers run again when going back; the same gradients */
    bool no_dropout;   /* train in evaluation mode, as prefix and LoRA runs of the toy papers do */
    BatchLossFn *loss; /* NULL: model_loss */
    void *user;        /* of that */
    BatchWeighFn *weigh; /* NULL: the loss has one term */
    const Group *groups; /* ended by {0}, or NULL; E_CONFIG when one takes no trainable parameter */
} TrainConfig;
TrainConfig train_defaults(void); /* AdamW 1e-3, betas .9 .999, eps 1e-8, decay 0, clip 1, constant */

typedef struct {
    int64_t step; /* the one just done, from 0 */
    double loss, grad_norm /* before clipping */, lr, seconds;
} StepStats;
typedef struct Trainer {
    Model *model;
    const Hooks *hooks;
    TrainConfig config;
    int64_t step;       /* steps done */
    struct Slot *slots; /* optimiser state per trainable parameter; train/optim.h */
    int n_slots;
    struct { /* what ranks have exchanged in sharded steps since the trainer was opened; sent by this one */
        int64_t steps;
        double messages, bytes;
        double seconds, exchanging, processor; /* in all, of them in exchanges and waiting; of this rank's processors */
    } traffic;
} Trainer;
/* Takes the parameters that are trainable now; attach methods and freeze before.  E_CONFIG names the setting. */
Status trainer_open(Trainer **out, Arena *run, Model *, const Hooks *, const TrainConfig *);
/* The memory of a step lies on `step` and is dropped.  E_NUMERIC, with the step and the value, when loss or gradient
 * is not finite: the parameters are then as they were before the step. */
Status trainer_step(Trainer *, Arena *step, const Batch *, StepStats *out);
/* Several batches as one step: gradients and losses accumulate, each batch weighing as much as it has scored targets
 * (rows, where a label or the caller's loss is what is scored), so the step is the one over all their rows at once.
 * Dropout is drawn for each batch anew. */
Status trainer_step_many(Trainer *, Arena *step, const Batch *batches, int n, StepStats *out);
/* A checkpoint is a safetensors file of the trainable parameters under their names, the optimiser state, the step,
 * the settings and a SHA-256 of all of them; it replaces `path` in one rename.  Loading needs a trainer over the same
 * trainable parameters with the same settings: E_MISMATCH names the first tensor or setting that differs, and nothing
 * is changed then.  E_FORMAT: the file is not as it was written; nothing is changed then either. */
Status trainer_save(const Trainer *, const char *path);
Status trainer_load(Trainer *, const char *path);
/* Goes on from what an interrupted run has left, if it has.  A checkpoint that is not as it was written is removed,
 * which *damaged tells, and the trainer stays at its first step. */
Status trainer_resume(Trainer *, const char *path, bool *damaged);
/* The rate of step 0, 1, ...: rises linearly over the warm-up from 0, then falls to 0 at `total`, as Hugging Face's
 * get_linear_schedule_with_warmup and get_cosine_schedule_with_warmup have it. */
double schedule_lr(const TrainConfig *, int64_t step);

#endif
