/* The parts of vernier predict: the commits or texts to predict for, and the predictions of each task. */
#ifndef CLI_PREDICT_H
#define CLI_PREDICT_H

#include "cli/command.h"
#include "metric/messages.h"
#include "run/progress.h"
#include "tasks/predictor.h"

/* A task whose examples are commits. */
typedef struct Prediction Prediction;
typedef struct {
    const Task *task;
    bool messages; /* it needs the lines around the changed ones, and no features */
    Status (*predict)(Prediction *);
} PredictKind;

struct Prediction {
    const Args *args;
    Arena *run;
    Predictor p;
    const PredictKind *kind; /* NULL: the examples are texts */
    JitSet set;
    Arena step;
    bool json, csv;
};
Status predict_defects(Prediction *);                 /* jit: ranks the commits by their risk */
Status predict_messages(Prediction *);                /* cmg: writes one message a commit */
Status predict_texts(Prediction *, const char *path); /* lm: loss and perplexity of each text of a file */

Status predict_rows(Prediction *, const char *path); /* the user's own tables: a class or a number for each row */

/* ---- predict_print.c */

/* Progress over `total` commits, as a callback with a PredictWatch; false once a signal was seen. */
typedef struct {
    Progress line;
    const char *phase;
    int64_t total;
} PredictWatch;
PredictWatch predict_watch_open(const Prediction *, const char *phase, int64_t total);
bool predict_watch(int64_t done, void *watch);

/* At most `most` characters and a newline, none of them a control character: text of others goes to a terminal. */
void predict_text(const char *s, size_t n, int most);
void predict_csv(const char *s, size_t n); /* one field */

#endif
