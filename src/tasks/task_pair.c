/* A class for a pair of texts: does the second follow from the first, are they clones of each other? */
#include "tasks/predictor_own.h"
#include "tasks/tune.h"

static const OwnKind KIND = {.target = OWN_CLASSES,
                             .pair = true,
                             .measure = CLASS_MEASURE,
                             .measures = CLASS_MEASURES,
                             .choice = CLASS_MACRO_F1,
                             .tie = CLASS_LOSS,
                             .stats = class_stats};

static const Task TASK_PAIR = {.name = "pair", OWN_TASK(&KIND)};
REGISTER(task, TASK_PAIR)

static const TuneTask TUNE_PAIR = {.task = &TASK_PAIR,
                                   .about = "a class for each pair of texts of a table of your own",
                                   .title = "Classification of pairs",
                                   .loss = "cross-entropy (nats)",
                                   OWN_TUNE};
REGISTER(tune_task, TUNE_PAIR)
