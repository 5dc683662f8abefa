/* vernier attend --compare: one base, several tuned models, the same tokens. */
#ifndef ANALYSIS_COMPARE_H
#define ANALYSIS_COMPARE_H

#include "analysis/floors.h"
#include "analysis/pair.h"

enum { COMPARED = 16, WEIGHTS = 512 };
typedef struct {
    const char *dir, *name; /* name: the last of the path */
    const char *kind;       /* of the adapter, as its library calls it; "model" for a directory of weights */
    int64_t shifted;        /* learned positions that the content moved by */
    double loss;            /* on --texts, nats a token; NaN without */
    Compared pair;
    WeightChange *weight; /* (weights) */
    int weights;
} Tuned;

typedef struct {
    const char *base, *arch;
    Part part;
    const Tokens *tokens;
    bool f64;
    int n;
    Tuned *tuned;       /* (n) */
    FloorTexts *texts;  /* NULL: none were given */
    double loss;        /* of the base on them */
    const char *format; /* as Attention has it */
} TunedComparison;

/* The theorem's prediction for a model with virtual keys and the measurement; inconclusive where it does not
 * apply. */
ReportVerdict comparison_verdict(const char **sentence, const Tuned *, bool f64, Arena *);
/* Cosines and distances of the mean directions that the virtual keys of several add at layer `layer`; false: fewer
 * than two have any. */
bool comparison_directions(Directions *out, const TunedComparison *, Arena *, int layer);

/* Mean principal angle, in degrees, between the spaces that the virtual keys of two add at a layer; NaN where one
 * adds nothing. */
double comparison_angle(const TunedComparison *, Arena *, int i, int k, int layer);

/* The base and then the tuned models (n + 1). */
const Reached *comparison_reached(const TunedComparison *, Arena *);

Status comparison_write(const TunedComparison *, Arena *, const char *dir, const char ***figures);
Status compare_answer(Ask *, const char *dir);

#endif
