/* A class for a text. */
#include "tasks/predictor_own.h"
#include "tasks/tune.h"

static const OwnKind KIND = {.target = OWN_CLASSES,
                             .one = true,
                             .measure = CLASS_MEASURE,
                             .measures = CLASS_MEASURES,
                             .choice = CLASS_MACRO_F1,
                             .tie = CLASS_LOSS,
                             .stats = class_stats};

static const Task TASK_CLASSIFY = {.name = "classify", OWN_TASK(&KIND)};
REGISTER(task, TASK_CLASSIFY)

static const TuneTask TUNE_CLASSIFY = {.task = &TASK_CLASSIFY,
                                       .about = "a class for each text of a table of your own",
                                       .title = "Classification",
                                       .loss = "cross-entropy (nats)",
                                       OWN_TUNE};
REGISTER(tune_task, TUNE_CLASSIFY)
