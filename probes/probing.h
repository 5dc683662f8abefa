/* The experiment of every probing task.  A task is one file: a descriptor whose `run` is probing_run() on its
 * ProbeTask.
 *
 *   data      --data FILE, or synthetic rows by the recipe in which no rule of the task helps (probe/make.h)
 *   encoders  the subject, which is --model DIR or a small encoder pretrained by masked language modelling on the
 *             training texts; and for every seed one of the same shape, randomly initialised
 *   features  the state at the <mask> for ltp, [u; v; |u-v|; u*v] of message and change for ccm, else the mean over
 *             tokens; --pooling and --features change that.  The first token, as published, stands beside
 *   probes    one forward pass gives the features of all layers; a classifier a layer, fitted on training rows; the
 *             layer is chosen on validation, and its test rows are used once
 *   controls  majority, the task's rules, a bag of words, the randomly initialised encoder; at the chosen layer a
 *             control task, the description length of the labels, and pointwise V-information
 *   verdict   by conditional V-information (probe/beyond.h): the bits of the label that a linear classifier reads off
 *             the features beyond the rules and the bag of words, and beyond those of the random encoder
 *   protocol  "correct", or "karmakar-compat": the published one, with "[CLS]" and "[SEP]" as words of the text, the
 *             first token's state, and its own training loop */
#ifndef PROBES_PROBING_H
#define PROBES_PROBING_H

#include "num/stats.h"
#include "probe/features.h"
#include "probes/floors.h"
#include "run/experiment.h"
#include "text/tokenizer.h"
#include "train/batch.h"

enum { MOST_LAYERS = 129, POINTS = 128, LISTED = 3, DRAWS = 1000 };
typedef enum { CORRECT, FIRST_TOKEN, COMPAT, PROTOCOLS } Protocol;
typedef enum { SUBJECT, RANDOM, KINDS } Kind;

typedef struct {
    size_t from, to;
} ByteSpan;

typedef struct {
    ProbeTask task; /* TASKS: the user's own table */
    Arena arena;    /* data and tokens; the run's arena has the reported texts */
    int seeds;
    bool wanted[PROTOCOLS];
    Dataset set;
    const char *model; /* its directory, or NULL: pretrain one */
    Config config;     /* of the subject and of the randomly initialised one */
    int layers;        /* layers of features: the encoder's, or else the decoder's, and the embeddings */
    Tokenizer tokenizer;
    int64_t room, most, cut; /* positions, 0: any number; tokens of a text that are read; texts that are longer */
    Examples examples[PROTOCOLS]; /* token ids of all texts */
    FeaturePooling pooling;       /* under the protocol "correct" */
    const TokenSpan *part[2];     /* (N) the tokens that are pooled, or the two parts of a pair; NULL */
    bool second, spans;           /* own table: rows are pairs of texts; have a span */
    ByteSpan *bytes[2];           /* (N) own table: the two texts, or the span */
    int64_t *line;                /* (N) own table: of the file; NULL: the rows' own */
    const char *reads;            /* the pooling and the features in words */
    int64_t partless;             /* rows whose part is beyond the tokens that are read */
    Examples training;            /* of the training texts alone */
    ProbeFloor floor[MOST_FLOORS];
    int floors;
    ProbeKnown known; /* by the rules and the words */
    bool *seen;       /* (N) its change, method, lines or message is in training */
} Probing;

typedef struct { /* under one protocol */
    double accuracy[MOST_LAYERS][SPLITS];
    int best; /* the layer with the highest validation accuracy, the lowest among ties */
    int unconverged;
} Curve;

typedef struct { /* of one encoder; travels between processes as bytes, its predictions behind it */
    Curve curve[PROTOCOLS];
    double control[SPLITS], selectivity[SPLITS]; /* at the chosen layer of the first selected protocol */
    double keys_seen;                            /* share of test rows whose key of the control task is in training */
    double compression, bits;                    /* of the online code: uniform over its length; bits a label */
    double usable, entropy;                      /* bits a test row */
    int deepest;                       /* the layer with the most bits beyond the baselines, on validation */
    double beyond[MOST_LAYERS];        /* of each layer, bits a test row */
    int64_t negatives, listed[LISTED]; /* test rows with negative PVI; the lowest of them */
    double pvi[LISTED];
    int points; /* of the pretraining's loss */
    double step[POINTS], loss[POINTS];
    char remark[400]; /* about an adapter */
} Outcome;

typedef struct {
    const Probing *lab;
    char *all;
} Outcomes;

/* ---- texts.c: rows to token ids */
Status probing_texts(Probing *, Run *);
Status probing_encode(Probing *, Run *); /* the second half, of rows that are there */

/* ---- table.c: the user's own table */
Status table_rows(Probing *, Run *);
Bytes table_part(const Probing *, int64_t row, int part);
Status table_overlap(ProbeFloor *, Probing *); /* of pairs */
void table_seen(bool *seen, const Probing *);

/* ---- arm.c: the encoders and their probes */
size_t outcome_size(const Probing *);
int probing_arms(const Probing *);
int probing_encoders(const Probing *, Kind); /* one for every seed; a given model is one for all */
RunJob probing_arm;                          /* user: the Probing */
Protocol probing_leading(const Probing *);
const double *gains_of(Outcomes, Kind, int seed); /* (n of test) bits beyond the baselines, at that layer */
/* Of a seed (a given model has one subject for all of them), and its predictions for the N rows. */
Outcome *outcome_of(Outcomes, Kind, int seed);
const int32_t *predicted_by(Outcomes, Kind, int seed, Protocol, int layer);

/* Features of all texts of a protocol; `each` may stop. */
Status probing_features(Features *, const Probing *, Arena *run, Arena *step, Model *, Hooks *, Protocol,
                        bool (*each)(int64_t, void *), void *user);

/* ---- encoder.c */
/* *remark, for an adapter, on the arena or NULL. */
LoadOptions probing_load(const Run *); /* how the model's weights are read */
Status encoder_open(Model **, Hooks **, const char **remark, const Probing *, Run *, Arena *, Kind, uint64_t seed);
Status encoder_pretrain(Model *, const Probing *, Run *, uint64_t seed, Outcome *);

/* ---- figures.c and report.c */
const char *kind_name(const Probing *, Kind);
Interval layer_interval(Outcomes, Kind, Protocol, int layer); /* 95 % over seeds and test rows; layer -1: the best */
double layer_mean(Outcomes, Kind, Protocol, int layer);       /* of test accuracies */
Status probing_figures(Run *, Outcomes);
Status probing_report(Run *, Outcomes);

Status probing_run(Run *, ProbeTask);
extern const Setting PROBING_SETTINGS[];
/* The common fields of the tasks' descriptors. */
#define PROBING                                                                                                      \
    .group = "probes",                                                                                               \
    .method = "A classifier on every layer's features, the layer chosen on validation; rules, bag of words, the "    \
              "encoder randomly initialised, control task, minimum description length, V-information "               \
              "and V-information beyond the rules and the words.",                                                   \
    .expect =                                                                                                        \
        "More than 0.02 bits beyond rules and words, and more than randomly initialised (95 % over rows, seeds).",   \
    .cost = "smoke seconds, quick a minute or two, paper hours (estimated)", .settings = PROBING_SETTINGS,           \
    .seeds = {1, 3, 3}

#endif
