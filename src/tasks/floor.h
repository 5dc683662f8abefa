/* Baselines of defect prediction: logistic regression on features that are cheap to extract.
 *
 *   words      hashed words of message, added and removed lines, each field with a space of its own, as
 *              log(1 + count) scaled to length 1 a field, with the fourteen features (log, standardised) beside them
 *   la         the added lines alone (Zeng et al., ISSTA 2021: hard to beat by much)
 *
 * With weights w and bias b, over training commits of class weights c (the defective class's is the root of the
 * imbalance, or 1)
 *
 *     (1/sum c) sum_i c_i log(1 + exp(-y_i (w x_i + b)))  +  penalty/2 |w|^2      is least.
 *
 *   TRY(floor_fit(&f, &run, &train, &plan));
 *   p = floor_score(f, &step, &change);                  a probability
 *   TRY(floor_save(f, dir)); ... TRY(floor_open(&f, &run, dir));                floor.safetensors */
#ifndef TASKS_FLOOR_H
#define TASKS_FLOOR_H

#include "tasks/jit.h"

typedef struct {
    int bits;              /* words hash to 2^bits columns; 0: no words */
    bool use[N_FEATURES];  /* which of the features */
    bool log;              /* of the features */
    bool balance;          /* class weight */
    double penalty, scale; /* scale: of a feature of variance 1 beside the words */
    int most_iterations;
} FloorPlan;
/* "words" or "la"; false for another name.  features: the commits have them ("words" does without). */
bool floor_plan(FloorPlan *, const char *name, bool features);

typedef struct Floor Floor;
/* E_MISMATCH: a commit lacks the features that the model needs. */
Status floor_fit(Floor **out, Arena *, const JitSet *, const FloorPlan *);
Status floor_score(double *out, const Floor *, Arena *step, const CodeChange *);
/* The sum of its words' weights: how much a line indicates a defect, whatever else the commit holds. */
double floor_line(const Floor *, Arena *step, const ChangeLine *);
/* The published practice: features are standardised by the very set that is scored, too. */
void floor_rescale(Floor *, const JitSet *);
void floor_ignore(Floor *, int feature); /* counts as its mean from now on */
bool floor_has_words(const Floor *);
bool floor_converged(const Floor *);
Status floor_save(const Floor *, const char *dir);
Status floor_open(Floor **out, Arena *, const char *dir);

#endif
