/* The pretraining of CodeReviewer and CCT5 on change records: examples of every objective, their loss, and how good a
 * model is at each.
 *
 *   loss = cross-entropy of the decoder over target tokens + cross-entropy of the encoder over hidden tags
 *
 * where the second term reads the encoder's states against the token table, unscaled, and a term without tokens is
 * left out.  Every hunk gives one example of each objective of its form; a hunk whose commit has no message gives
 * those that need none.  (The published code draws one objective at a time; CCT5's draws have shares of .15 to .32
 * where even ones were meant.)
 *
 *   TRY(review_set(&s, &run, n, change, model, &plan, stream));
 *   config.loss = review_loss, config.weigh = review_weigh, config.user = &s;  trainer_open(...);       batches of s.x
 *   TRY(review_measure(score, model, hooks, &s, &step)); */
#ifndef TASKS_REVIEW_SET_H
#define TASKS_REVIEW_SET_H

#include "tasks/review.h"
#include "train/evaluate.h"
#include "train/train.h"

typedef struct {
    Examples x;              /* the decoder's ids and targets; one unscored token where it learns nothing */
    const int32_t **tag;     /* (n) ReviewExample.tag, or NULL */
    ReviewObjective *of;     /* (n) */
    const Param *table;      /* the token table of the model */
    int64_t hunks, messages; /* hunks, and those with a message */
} ReviewSet;
/* E_MISMATCH: the model is no encoder-decoder with its head, or no change has lines. */
Status review_set(ReviewSet *, Arena *, int64_t n, const CodeChange *, const Model *, const ReviewPlan *,
                  uint64_t stream);
BatchLossFn review_loss; /* user: ReviewSet * */
BatchWeighFn review_weigh;

typedef struct {
    int64_t examples, scored; /* scored tokens, or tags */
    double loss, accuracy;    /* mean cross-entropy in nats; share of them that are the likeliest token */
    double unigram;           /* entropy of the scored tokens: the best loss of their frequencies alone */
    double majority;          /* share of the most frequent one */
} ReviewScore;
/* score (REVIEW_OBJECTIVE_COUNT); those of objectives that the set has no examples of are 0. */
Status review_measure(ReviewScore *score, Model *, const Hooks *, const ReviewSet *, Arena *step);

#endif
