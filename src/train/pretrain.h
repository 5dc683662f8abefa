/* Pretraining of a whole model on texts without labels: of an encoder by masks (train/mlm.h), of an encoder-decoder
 * by spans (train/denoise.h).
 *
 *     PretrainPlan plan = {.train = pretrain_defaults(1e-3, 4000, seed), .tokens = 4096, .mlm = &masks, ...};
 *     TRY(pretrain_run(model, "out/base", &texts, &plan)); */
#ifndef TRAIN_PRETRAIN_H
#define TRAIN_PRETRAIN_H

#include "train/batch.h"
#include "train/denoise.h"
#include "train/mlm.h"
#include "train/train.h"

typedef struct {
    TrainConfig train;
    int64_t tokens;     /* padded positions of a clean batch at most */
    const MlmPlan *mlm; /* how its tokens are hidden: one of the two */
    const DenoisePlan *denoise;
    uint64_t stream;        /* of the draws; those of step n depend on (stream, n) alone */
    const char *checkpoint; /* a file that stands there from then on: the caller removes it; NULL: none */
    bool resume;            /* take it up where there is one */
    void (*damaged)(const char *path, void *user); /* it is not as it was written: training begins anew; or NULL */
    void (*saving)(void *user);                    /* the checkpoint is written next; or NULL */
    bool (*each)(const Trainer *, const StepStats *, void *user); /* after each step, or NULL; false: E_INTERRUPT */
    void *user;
} PretrainPlan;

/* AdamW with decay 0.01; the rate rises over a twentieth of the steps and falls linearly. */
TrainConfig pretrain_defaults(double lr, int64_t steps, uint64_t seed);
/* Trains every parameter, then saves the model in `dir`, which exists or can be made. */
Status pretrain_run(Model *, const char *dir, const Examples *texts, const PretrainPlan *);

#endif
