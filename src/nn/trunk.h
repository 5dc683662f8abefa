/* The trunk: the frozen layers below the first one that trains.  Their output for a text never changes, so it is
 * computed once and kept between epochs.
 *
 *     Trunk *trunk;
 *     TRY(trunk_open(&trunk, run, model, hooks, &(TrunkPlan){.scratch = "out/unfinished"}));
 *     ... train and evaluate: every pass with these hooks begins above the trunk
 *     trunk_close(trunk);
 *
 * The trunk runs in evaluation mode, without dropout, and each text runs by itself.  So its result depends on the
 * text alone and not on the batch, and training gives the same bytes whether results are kept in memory, in a file or
 * not at all.
 *
 * Its depth is asked of the tape, not of a method: one text passes, and the layers whose output needs no gradient are
 * the trunk.  In an encoder-decoder it is the encoder's; a decoder has layers without dropout where the whole
 * encoder and the decoder's first layers are frozen, but nothing of it is kept.
 *
 * A file may be shared by many processes (TRUNK_FILE): one appends to it under a lock, all read (trunk_store.h). */
#ifndef NN_TRUNK_H
#define NN_TRUNK_H

#include "nn/model.h"

typedef enum { TRUNK_AUTO, TRUNK_OFF, TRUNK_MEMORY, TRUNK_FILE } TrunkKeep;
extern const char *const TRUNK_KEEP[]; /* their names, NULL-ended */
typedef struct {                       /* zero: in memory up to a limit */
    TrunkKeep keep;      /* AUTO: in memory, beyond the limit in a file of `scratch`; MEMORY: not kept beyond it */
    size_t memory;       /* the limit in bytes; 0: a quarter of the machine's */
    const char *scratch; /* a directory; the file has no name there and goes with the process.  NULL: no file */
    const char *shared;  /* FILE: the directory; NULL: vernier/trunk in $XDG_CACHE_HOME or ~/.cache */
    Remark *say;         /* a disk that is full, a damaged file; may be NULL */
    void *user;
} TrunkPlan;
typedef struct {
    int64_t computed, found; /* texts */
} TrunkCount;

typedef struct Trunk Trunk;
/* From here on every pass over the model with these hooks begins above the trunk; parameters that are trainable now
 * and hooks are the ones that count.  A model has one trunk at a time. */
Status trunk_open(Trunk **, Arena *run, Model *, const Hooks *, const TrunkPlan *);
int trunk_layers(const Trunk *); /* its depth; 0: there is none, and passes are as they were */
TrunkCount trunk_count(const Trunk *);
void trunk_close(Trunk *); /* NULL: nothing */

/* The layers from below that hold nothing trainable and no hook that does, in each stack. */
void trunk_depth(int depth[PART_COUNT], Model *, const Hooks *);

/* Where a pass begins and ends other than usual; block_run() and block_dropout() follow it. */
typedef struct Below {
    int quiet[PART_COUNT]; /* layers without dropout, and the embeddings with them */
    Part part;             /* of the stack whose `layers` first layers are left out, or the only ones that run */
    int layers;
    Tensor in;   /* (B,T,C) the output of those layers; without data: the pass begins as usual */
    Tensor *out; /* the pass ends with those layers, and their result goes here, on the tape's arena; or NULL */
    int *frozen; /* (PART_COUNT) receives how many layers from below need no gradient; or NULL */
} Below;

#endif
