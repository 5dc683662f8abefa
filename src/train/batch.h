/* Batches from examples of unequal length, with little padding, in an order that depends on (seed, epoch) alone.
 *
 *     TRY(batcher_open(&feed, run, &examples, &(BatchPlan){.rows = 16, .shuffle = true, .seed = 1}));
 *     batcher_seek(feed, tr->step);                       after loading a checkpoint
 *     batcher_next(feed, &step, &batch, NULL);            endless: the next epoch follows
 *
 * Bucketing: an epoch's shuffled order is cut into pools of many batches, each pool is sorted by length and cut into
 * batches, and the batches of the epoch are shuffled.  Without shuffling all examples are one pool.  Rows of one
 * batch are thus of nearly one length, every example comes once per epoch, and neighbours still vary. */
#ifndef TRAIN_BATCH_H
#define TRAIN_BATCH_H

#include "nn/model.h"

/* Columns over N examples.  ids and src are ragged; an absent column is NULL. */
typedef struct {
    int64_t n;
    const int32_t *const *ids; /* tokens of the encoder, or of the decoder where there is one */
    const int32_t *len;        /* (N) tokens in ids[i], at least 1 */
    const int32_t *const *src; /* the encoder's side of an encoder-decoder */
    const int32_t *src_len;
    const int32_t *const *target; /* as long as ids[i]; -1: not scored */
    const int32_t *label;         /* (N) class labels */
} Examples;

typedef struct {
    int64_t rows;   /* at most, per batch; 0: no limit */
    int64_t tokens; /* padded positions at most, B (T + S); 0: no limit; a single longer row is a batch of its own */
    bool shuffle;
    uint64_t seed;
    int32_t pad;        /* id that fills the end of a row */
    bool all_positions; /* compute hidden states even where no target is scored; else Batch.keep leaves them out */
} BatchPlan;

typedef struct Batcher Batcher;
Status batcher_open(Batcher **out, Arena *run, const Examples *, const BatchPlan *); /* E_CONFIG: no examples */
/* The next batch, on `step`.  *rows, when wanted, lists the examples in it, on `step` too. */
void batcher_next(Batcher *, Arena *step, Batch *out, const int32_t **rows);
void batcher_seek(Batcher *, int64_t batches); /* as if so many had been taken from the start */
int64_t batcher_in_epoch(const Batcher *);     /* batches in the epoch of the one to come */
/* One batch of the examples rows[0..b-1], padded to the longest; it points at the rows. */
Batch batch_of(Arena *step, const Examples *, const BatchPlan *, const int32_t *rows, int64_t b);

#endif
