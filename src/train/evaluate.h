/* How good a model is on examples: unrecorded passes in evaluation mode, padded little, logits never all at once. */
#ifndef TRAIN_EVALUATE_H
#define TRAIN_EVALUATE_H

#include "train/batch.h"

typedef struct {
    int64_t examples, scored; /* rows with something to score; labels, or targets >= 0, in them */
    double loss;              /* mean cross-entropy over the scored, in nats; 0 when there are none */
    double perplexity;        /* exp(loss) */
    double accuracy;          /* share of the scored whose logit is the largest; of equal ones the first counts */
    double exact;             /* share of the examples whose scored positions are all right */
} Evaluation;

/* One epoch of the batcher from its start.  Scores labels where the batches have them, else targets, as model_loss
 * does.  A loss that is not finite is a result like any other.  Ranks share the batches out, which are added in their
 * order; the status is that of another rank that has failed. */
Status evaluate_epoch(Model *, const Hooks *, Batcher *, Arena *step, Evaluation *out);
/* The same with another way to score a batch; `user` is handed on. */
typedef void EvaluateFn(Evaluation *sum, Arena *step, const Batch *, void *user);
Status evaluate_epoch_by(EvaluateFn *, void *user, Batcher *, Arena *step, Evaluation *out);

/* The pieces of it: sums over one batch are added to *sum, which starts as {0}; evaluation_end makes them means.
 * `best`, when not NULL, receives the index of the largest logit: (B) for labels, else the shape of the targets. */
void evaluate_batch(Model *, const Hooks *, Arena *step, const Batch *, int32_t *best, Evaluation *sum);
void evaluation_end(Evaluation *sum);

#endif
