/* Training with pauses at even distances, to evaluate, to save, or both.  Of evaluations the best one counts,
 * and a run stops when it has not improved for a while.  The meaning of "best", where it is kept and the records
 * are the caller's.
 *
 *     FitPlan plan = {.every = 100, .patience = 25, .evaluate = auc, .better = keep, .user = &work};
 *     FitStand stand = fit_begin();
 *     TRY(fit_run(trainer, feed, &plan, &stand));                a run stopped by `each` ends with E_INTERRUPT
 *     kept_restore(&kept);
 */
#ifndef TRAIN_FIT_H
#define TRAIN_FIT_H

#include "train/batch.h"
#include "train/train.h"

typedef struct {
    int64_t step, best_step;
    int evaluations, since; /* done; without gain */
    double score, tie;      /* of the best; score -INFINITY: none */
} FitStand;
FitStand fit_begin(void);

typedef struct {
    int64_t every;    /* steps from one pause to the next; there is one after the last step in any case */
    int64_t patience; /* evaluations without gain that end the run; 0: none end it */
    /* Larger is better; of equal scores the larger tie is.  NULL: nothing is measured. */
    Status (*evaluate)(double *score, double *tie, Arena *step, void *user);
    Status (*better)(void *user);                              /* the parameters of this moment are the best */
    Status (*told)(const FitStand *, bool better, void *user); /* after each evaluation, or NULL */
    Status (*save)(void *user); /* saves the state to resume from: in each pause and where `each` stops it; or NULL */
    bool (*each)(const Trainer *, const StepStats *, void *user); /* after each step, or NULL; false: stop */
    Batch (*batch)(Arena *step, const Batch *, int64_t index,
                   void *user); /* the batch of a step, NULL: as it comes */
    void *user;
} FitPlan;
/* From trainer->step to its config.total. */
Status fit_run(Trainer *, Batcher *, const FitPlan *, FitStand *);

/* The trainable parameters as they are, in memory. */
typedef struct {
    Param **param;
    Tensor *value;
    int n;
} Kept;
Kept kept_open(Arena *, const ParamSet *);
void kept_take(Kept *);
void kept_restore(const Kept *);

#endif
