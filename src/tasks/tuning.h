/* Tuning of a model for a task: a method is attached, its parameters are trained, and of several evaluations the best
 * one is kept by a sink, on disk or in memory.
 *
 *     Tuning t = {.run = &run, .model = m, .hooks = hooks, .peft = lora, .rows = 32, .total = 900, ...};
 *     lora->defaults(&t.cfg, &m->config);
 *     TRY(tuning_attach_defects(&t, JIT_CONCAT));
 *     TRY(tuning_show_defects(&t, &train, &valid, JIT_BY_F1));
 *     TRY(tuning_open(&t));
 *     Kept kept = kept_open(&run, m->params);
 *     TRY(tuning_run(&t, &(TuneSink){.keep = tuning_remember, .user = &kept}));
 *     kept_restore(&kept);
 *
 * Defect prediction on an encoder-decoder runs the encoder alone, so the decoder gets no adapter, and neither it nor
 * the language-model head is trained. */
#ifndef TASKS_TUNING_H
#define TASKS_TUNING_H

#include "nn/trunk.h"
#include "peft/peft.h"
#include "tasks/cmg.h"
#include "tasks/jit_model.h"
#include "tasks/lm.h"
#include "train/fit.h"

typedef struct {
    const char *phase;   /* "pretraining", "tuning" */
    int64_t step, total; /* step: done, from 1 */
    double loss, lr;
} TuneStep;

enum { TUNE_MEASURES = 3 };
typedef struct {
    int64_t step, total;
    bool best;        /* so far */
    const char *text; /* "validation F1 0.5000, AUC 0.7000" */
    int n;
    const char *name[TUNE_MEASURES];
    double value[TUNE_MEASURES];
} TuneMeasured;

/* Who follows the work; each may be NULL. */
typedef struct {
    void (*begun)(const char *phase, int64_t step, void *user); /* goes on after that step, 0: begins */
    void (*step)(const TuneStep *, void *user);
    void (*measured)(const TuneMeasured *, void *user);
    void (*remark)(const char *line, void *user);
    void (*saving)(void *user);  /* the state for resuming is written next */
    bool (*stopped)(void *user); /* whether to save and end with E_INTERRUPT */
    /* true: nothing is lost if the program ends at once, as in an evaluation; false: it should ask stopped() */
    void (*idle)(bool, void *user);
    void *user;
} TuneWatch;

typedef struct Tuning Tuning;
typedef struct {
    Status (*keep)(Tuning *, void *user); /* the parameters of this moment are the best */
    Status (*save)(Tuning *, void *user); /* the state for resuming; NULL: none */
    void *user;
} TuneSink;

/* Commits for defect prediction as a model reads them. */
typedef struct {
    const JitSet *set;
    const Examples *tokens;
    const JitScale *scale; /* NULL where the head reads no features */
} JitShown;
typedef enum { JIT_BY_F1, JIT_BY_AUC } JitChoice; /* the best evaluation; of equal ones the other decides */

struct Tuning { /* zero-initialise; the caller sets the first part */
    Arena *run;
    Model *model;
    Hooks *hooks;
    const Peft *peft;
    PeftConfig cfg;
    int64_t rows, total;     /* examples in a step; steps */
    int64_t parts;           /* in which a step takes them; 0: one */
    int64_t shards;          /* TrainConfig's */
    int64_t every, patience; /* steps between evaluations; FitPlan's patience */
    double lr;
    bool checkpoint; /* TrainConfig's */
    uint64_t seed;
    const Recipe *recipe; /* defect prediction: the published settings, or NULL */
    bool as_published;    /* with the defects of its published code */
    TuneWatch watch;
    TrunkPlan trunk; /* with cfg.layers: where results of the frozen layers are kept; its say is the watch's remark */

    int64_t parameters, trainable; /* once attached */
    int trunk_layers;              /* once running: frozen layers below the first trained one, without dropout */
    JitModel jit, jit_valid;       /* defect prediction: the head over the training and the validation commits */
    const JitSet *valid;
    JitChoice choice;
    double *score;           /* of the validation commits */
    double at, best_at;      /* threshold with the largest F1 of the last and of the best evaluation */
    Batcher *valid_messages; /* message generation */
    Examples valid_texts;    /* language modelling */
    Examples train;          /* the training set */
    BatchLossFn *loss;
    BatchWeighFn *weigh;
    void *loss_user;
    Status (*judge)(double *score, double *tie, TuneMeasured *, Arena *step, Tuning *);
    const void *judged; /* data of a task with its own judge */
    Trainer *trainer;   /* once open */
    Batcher *feed;
    FitStand stand;
    const TuneSink *sink;
};

/* Before it is attached: the size of the method, such that it trains at most `budget` parameters on the model, the
 * decoder left out where only the encoder of an encoder-decoder runs. */
Status tuning_fit(Tuning *, bool defects, int64_t budget);
/* Attaches the method to the model, beneath the new head of a defect predictor or as it is. */
Status tuning_attach_defects(Tuning *, JitHead);
Status tuning_attach_messages(Tuning *);
/* Sets the training set and the measure of evaluations: F1 and AUC, or minus the loss of the messages or texts. */
Status tuning_show_defects(Tuning *, const JitShown *train, const JitShown *valid, JitChoice);
Status tuning_show_messages(Tuning *, const Examples *train, const Examples *valid);
Status tuning_show_texts(Tuning *, const Examples *train, const Examples *valid);
Status tuning_messages_feed(Batcher **out, Arena *, const Model *, const Examples *valid); /* for cmg_evaluate() */

int64_t tuning_epoch(const Tuning *); /* steps in an epoch of the training set */
Status tuning_open(Tuning *);         /* the trainer, at step 0 */
/* From trainer->step and stand to the end. */
Status tuning_run(Tuning *, const TuneSink *);
Status tuning_remember(Tuning *, void *kept); /* keep() of a sink in memory: user is a Kept * */

bool tuning_goes_on(int64_t done, void *watch); /* false once the watch has stopped the work */
/* A line to watch.remark. */
void tuning_remark(const TuneWatch *, Arena *, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
