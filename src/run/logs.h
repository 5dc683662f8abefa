/* The log of a training in the forms that other programs read, all made of metrics.jsonl (log.h).
 *
 *   metrics.csv           a row for each line of the log, a column for each of its numbers
 *   trainer_state.json    as the Trainer of the Transformers library writes it: TrainerState.load_from_json()
 *   tensorboard/          event files: `tensorboard --logdir DIR`; jobs of an experiment are runs of their own
 *
 * They hold no times, so that equal trainings leave equal bytes: the time of an event is its step, as seconds. */
#ifndef RUN_LOGS_H
#define RUN_LOGS_H

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

#define LOGS_EVENTS "tensorboard"                                 /* the directory, and the word of --log */
#define LOGS_FILES "metrics.csv|trainer_state.json|tensorboard/*" /* str_glob */

Status logs_csv(Arena *, const char *dir);
Status logs_events(Arena *, const char *dir);

/* Facts beside the log of a tuning. */
typedef struct {
    double epochs;       /* planned */
    int64_t epoch_steps; /* steps in an epoch */
    int64_t total, every, batch, best_step;
    const char *best; /* the measure by which evaluations are chosen */
} TrainerFacts;
Status logs_trainer_state(Arena *, const char *dir, const TrainerFacts *);

/* A tuning's events while it trains.  Begins with those of the log so far; a file that is there is replaced. */
typedef struct {
    int fd;    /* -1: none */
    int error; /* the first errno */
} LiveEvents;
Status events_open(LiveEvents *, Arena *, const char *dir);
void events_add(LiveEvents *, Arena *, const char *phase, int64_t step, int n, const char *const *name,
                const double *value);
void events_close(LiveEvents *);

#endif
