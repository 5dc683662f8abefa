/* A number for a text, or for a pair of texts where there is a column with a second one. */
#include "tasks/predictor_own.h"
#include "tasks/tune.h"

static const OwnKind KIND = {.target = OWN_NUMBERS,
                             .measure = NUMBER_MEASURE,
                             .measures = NUMBER_MEASURES,
                             .choice = NUMBER_PEARSON,
                             .tie = NUMBER_RMSE,
                             .stats = number_stats};

static const Task TASK_REGRESS = {.name = "regress", OWN_TASK(&KIND)};
REGISTER(task, TASK_REGRESS)

static const TuneTask TUNE_REGRESS = {.task = &TASK_REGRESS,
                                      .about = "a number for each text, or pair of texts, of a table of your own",
                                      .title = "Regression",
                                      .loss = "squared error of standardised labels",
                                      OWN_TUNE};
REGISTER(tune_task, TUNE_REGRESS)
