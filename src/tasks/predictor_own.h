/* What the descriptors of the tasks on the user's own tables share: their card, and their use of the model's
 * classification head. */
#ifndef TASKS_PREDICTOR_OWN_H
#define TASKS_PREDICTOR_OWN_H

#include "tasks/predictor.h"

void own_write_card(const Predictor *, cJSON *);
Status own_read_card(Predictor *, Arena *, const cJSON *, const char *path);
LoadOptions own_load_options(const Predictor *);
Status own_open_head(Predictor *); /* E_MISMATCH: the family has none */
Status own_check_lengths(const Predictor *, int taken);
/* The classes' names, or that the output is a number, into the config.json of a model that was saved in `dir`. */
Status own_name_outputs(const OwnPlan *, const char *dir, Arena *);

/* Members of a Task and of a TuneTask. */
#define OWN_TASK(kind)                                                                                               \
    .base = "./encoder", .write_card = own_write_card, .read_card = own_read_card, .load_options = own_load_options, \
    .open_head = own_open_head, .check_lengths = own_check_lengths, .own = kind
#define OWN_TUNE                                                                                                     \
    .one = "row", .many = "rows", .method = "lora", .epochs = 10, .batch = 16, .evaluations = 1, .least = OWN_LEAST, \
    .check = tune_own_check, .read = tune_own_read, .make = tune_own_make, .begin = tune_encoder

#endif
