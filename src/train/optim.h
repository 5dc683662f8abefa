/* Optimisers: one slot of state per trainable parameter, updated through the kernel table of its dtype.  For loops
 * that are not a Trainer's (train.h). */
#ifndef TRAIN_OPTIM_H
#define TRAIN_OPTIM_H

#include "train/train.h"

typedef struct Slot {
    Param *param;
    Tensor m, v; /* AdamW: running means of g and g^2.  SGD: m is the velocity; data NULL without momentum */
    double lr_scale, decay; /* resolved from the groups, the config, and Param.decay */
} Slot;

/* Slots for every trainable parameter, in the order of the set.  E_CONFIG: nothing to train, or a group without
 * parameters. */
Status slots_new(Slot **out, int *n, Arena *run, const ParamSet *, const TrainConfig *);
double slots_grad_norm(const Slot *, int n); /* of all gradients as one vector, in double */
/* One update; `step` counts from 1.  Gradients are multiplied by `coefficient` first and are undefined afterwards.  A
 * parameter without a gradient stays as it is. */
void slots_update(Slot *, int n, const TrainConfig *, double lr, double coefficient, int64_t step);

#endif
