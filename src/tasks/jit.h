/* Just-in-time defect prediction: does this commit introduce a defect?  Change records (change.h) as sets of
 * commits, as numbers, and as token sequences; how good scores of them are.
 *
 * The token sequence is that of JIT-Fine (Ni et al., FSE 2022), as PEFT4CC reads it:
 *
 *   <s> message [ADD] line [ADD] line ... [DEL] line [DEL] line ... </s>
 *
 * with at most `message` tokens of the message and `length` in all; the end is cut.  White space in a line is
 * collapsed.  Lines keep the order of the diff, where the published data lost it.  The two special tokens are the
 * tokenizer's <add> and <del> where it has both, as CodeReviewer and CCT5 do; vocabulary entries of their own where
 * the model's token table has room behind the tokenizer's ids; else the text "[ADD]" and "[DEL]".
 *
 *   JitSet all, train, valid;
 *   TRY(jit_read(&all, &run, "changes.jsonl"));
 *   jit_cut(&train, &valid, &run, &all, 0.2);
 *   JitScale scale = jit_scale(&train, false);
 *   TRY(jit_tokens(&tokens, &run, &train, &tokenizer, &plan)); */
#ifndef TASKS_JIT_H
#define TASKS_JIT_H

#include "change/change.h"
#include "metric/effort.h"
#include "metric/score.h"
#include "text/tokenizer.h"
#include "train/batch.h"

typedef struct {
    int64_t n, positives, unlabelled;
    int64_t unknown;    /* commits with features of which some are unknown (null) */
    CodeChange *change; /* (n) in the order of the file */
    bool features;      /* every commit has the fourteen */
} JitSet;
Status jit_read(JitSet *out, Arena *, const char *path); /* E_FORMAT; E_MISMATCH: no commits */
void jit_count(JitSet *);                                /* fills all but n and change from the commits */
/* E_MISMATCH, naming the file: a commit without label, or only one class. */
Status jit_labelled(const JitSet *, const char *path);
/* The last `share` by time of each project and class go to valid, the others to train, both in the old order.  A
 * group of fewer than two stays in train. */
void jit_cut(JitSet *train, JitSet *valid, Arena *, const JitSet *, double share);
double jit_effort(const CodeChange *); /* la + ld; the lines of the record where these are unknown */

/* ---- the fourteen features as numbers of mean 0 and variance 1 */

typedef struct {
    bool log; /* sign(x) log(1 + |x|) first */
    double mean[N_FEATURES], sd[N_FEATURES];
} JitScale;
JitScale jit_scale(const JitSet *, bool log); /* over known features of that set: give it the training commits */
void jit_scale_drop(JitScale *, int feature); /* as if constant: JIT-Fine, whose code loses `fix`, has 13 */
void jit_features(double out[N_FEATURES], const CodeChange *, const JitScale *); /* constant or unknown: 0 */

/* ---- token sequences */

enum { JIT_LEAST = 16 }; /* tokens that a commit may be limited to at least */
typedef struct {
    int length, message;  /* at most, with <s> and </s>; of the message */
    int32_t add, del;     /* ids of the special tokens, or -1: the texts */
    const char *language; /* of PLBART's frame, else NULL */
} JitPlan;
/* length 512 or the model's limit, message 64; the special tokens where `vocab` rows have room for them. */
JitPlan jit_plan(const Tokenizer *, int vocab, int positions);
typedef struct {
    int64_t n;            /* lines that the sequence holds something of */
    int64_t *file, *line; /* (n) where: change->file[file].line[line] */
    int32_t *begin, *end; /* (n) its tokens in the sequence, without the special token */
} JitLines;
/* ids of one commit; lines, when not NULL, gets the place of each line. */
Status jit_ids(int32_t **id, int32_t *n, JitLines *lines, Arena *, const CodeChange *, const Tokenizer *,
               const JitPlan *);
/* Columns over a set: ids, len and label (unknown: 0). */
Status jit_tokens(Examples *out, Arena *, const JitSet *, const Tokenizer *, const JitPlan *);

/* ---- scores */

enum { JIT_RANDOM_DRAWS = 50 };
typedef struct {
    BinaryScores at;
    EffortScores effort;
    double paired; /* the AUC among commits of one project that are close in time (metric/place.h) */
} JitScores;
JitScores jit_scores(const JitSet *, const double *score, double threshold);
/* The threshold with the largest F1: one of the scores of the defective commits. */
double jit_best_threshold(const JitSet *, const double *score);
/* The measures of uniform random scores at 0.5, mean over draws: measures of effort are far from a half. */
JitScores jit_random(const JitSet *, uint64_t seed);

#endif
