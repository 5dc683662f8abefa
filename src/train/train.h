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
typedef struct {
    OptimKind optim;
    double lr, beta1, beta2, eps, decay, momentum; /* decay only where Param.decay */
    double clip; /* global gradient norm; 0: off.  coefficient min(1, clip / (norm + 1e-6)) */
    Schedule schedule;
    int64_t warmup, total;
    uint64_t seed;
    bool no_dropout;     /* train in evaluation mode, as prefix and LoRA runs of the toy papers do */
    const Group *groups; /* ended by {0}, or NULL */
} TrainConfig;
TrainConfig train_defaults(void); /* AdamW 1e-3, betas .9 .999, eps 1e-8, decay 0, clip 1, constant */

typedef struct {
    int64_t step;
    double loss, grad_norm, lr, seconds;
} StepStats;
typedef struct Trainer {
    Model *model;
    const Hooks *hooks;
    TrainConfig config;
    int64_t step;        /* steps done */
    struct Slots *slots; /* optimiser state per trainable parameter */
    int n_slots;
} Trainer;
Status trainer_open(Trainer **out, Arena *run, Model *, const Hooks *, const TrainConfig *);
Status trainer_step(Trainer *, Arena *step, const Batch *,
                    StepStats *out); /* E_NUMERIC: loss or gradient not finite */
/* Several batches as one step: gradients accumulate, losses average. */
Status trainer_step_many(Trainer *, Arena *step, const Batch *batches, int n, StepStats *out);
Status trainer_save(const Trainer *, const char *path); /* trainable parameters, optimiser state, step; atomic */
Status trainer_load(Trainer *, const char *path);       /* E_MISMATCH names the first tensor that does not fit */
double schedule_lr(const TrainConfig *, int64_t step);  /* the rate of step 0, 1, ... */

#endif
