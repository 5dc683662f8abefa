/* Commit-message generation: a change in, the subject line that its author wrote out.
 *
 * The encoder reads the diff as one sequence, a mark before each line, as the filtered MCMD data have it; file names
 * are kept lines in front of theirs:
 *
 *   <keep> path <keep> line <del> line <add> line ...
 *
 * with at most `source` tokens, the end cut; white space in a line is collapsed.  The decoder writes the subject (the
 * message up to its first newline), at most `target` tokens with its frame.  The marks are vocabulary entries of
 * their own where the tokenizer has them ("<add>") or where the model's token table has room behind the tokenizer's
 * ids, else they are text.
 *
 * In the form of CodeReviewer and CCT5 (review.h) there are no file names, blank kept lines are left out, white space
 * stays inside a line, and the decoder writes <msg> first.
 *
 * UniXcoder, an encoder that writes behind its prompt, reads <s> <encoder-decoder> </s> diff </s> with rows that see
 * each other, and goes on with the subject, whose rows see the rows before them.  (Its authors begin a subject
 * with <mask0>; nothing stands in its place here, as generate_tokens() has it.)
 *
 *   CmgPlan plan = cmg_plan(model, &tokenizer);
 *   TRY(cmg_tokens(&x, &run, n, change, model, &tokenizer, &plan));
 *   config.loss = cmg_loss;  trainer_open(...);                       batches of x
 *   TRY(cmg_write(message, &run, &step, model, hooks, &tokenizer, &x, &how, NULL, NULL)); */
#ifndef TASKS_CMG_H
#define TASKS_CMG_H

#include "change/change.h"
#include "nn/generate.h"
#include "text/tokenizer.h"
#include "train/evaluate.h"
#include "train/train.h"

enum { CMG_LEAST = 8 }; /* tokens that a change or a message may be limited to at least */
typedef struct {
    int source, target;     /* tokens at most, with their frames */
    int32_t keep, add, del; /* ids of the marks, or -1: the texts "<keep>", "<add>", "<del>" */
    const char *language;   /* of the code, for PLBART's frame, else NULL; messages are en_XX */
    bool review;            /* in the form of CodeReviewer and CCT5, which keep, add and del are not of */
} CmgPlan;
/* source 512 and target 128, or as many as the model has positions: UniXcoder for both together. */
CmgPlan cmg_plan(const Model *, const Tokenizer *);
bool cmg_prompts(
    const Tokenizer *);           /* it knows <encoder-decoder>: the model is to be loaded with writes_from_encoder */
Status cmg_writes(const Model *); /* E_MISMATCH: it is neither an encoder-decoder with its head nor UniXcoder */
Bytes cmg_subject(const CodeChange *); /* points into the message; len 0 where there is none */

/* Columns over n changes: src, src_len, ids (the target moved right), len, target; of UniXcoder ids (prompt and
 * target), len and target alone.  E_MISMATCH: the model does not write, or, naming the change: no lines, or no
 * message; or the tokenizer has ids that the model has no rows for. */
Status cmg_tokens(Examples *out, Arena *, int64_t n, const CodeChange *, const Model *, const Tokenizer *,
                  const CmgPlan *);
/* The same of changes that need no message: no target, and ids hold the start token or the prompt.  For cmg_write. */
Status cmg_sources(Examples *out, Arena *, int64_t n, const CodeChange *, const Model *, const Tokenizer *,
                   const CmgPlan *);

/* model_loss of a batch of cmg_tokens(), with UniXcoder's prompt read both ways; `user` is not used. */
BatchLossFn cmg_loss;
/* As evaluate_epoch() does, one epoch of the batcher. */
Status cmg_evaluate(Model *, const Hooks *, Batcher *, Arena *step, Evaluation *out);

/* message (n): the model's text for each example, on `run`, without its special tokens.  `each`, when not NULL,
 * gets the number done and may stop the work by returning false: E_INTERRUPT.  E_CONFIG: a setting is out of
 * range, or the model has no decoder. */
Status cmg_write(Bytes *message, Arena *run, Arena *step, Model *, const Hooks *, const Tokenizer *, const Examples *,
                 const GenerateConfig *, bool (*each)(int64_t done, void *user), void *user);

/* ---- baselines, which need no network */

/* NNGen (Liu et al., ASE 2018): of the five training changes nearest by the cosine of their word counts, the one
 * whose diff has the highest BLEU-4 with the test change's (smoothed as in B-Norm: plain BLEU-4 is mostly 0 here);
 * its message is the guess.  nearest (m): an index into train. */
Status cmg_nearest(int64_t *nearest, Arena *, int64_t n, const CodeChange *train, int64_t m, const CodeChange *test);
/* The index of a training change with the most frequent subject, letter case apart, the first of equals. */
int64_t cmg_commonest(int64_t n, const CodeChange *train);

#endif
