/* A transformer that predicts whether a commit introduces a defect: one logit from its last hidden state of the first
 * token (the last one in a decoder; an encoder-decoder's encoder alone runs), as JIT-Fine and PEFT4CC have it.
 *
 *   single    logit = u' drop(h) + b
 *   concat    logit = u' drop([h, tanh(V f + c)]) + b            f: the fourteen features, standardised
 *   expert    logit = u' drop(f) + b                             the transformer does not run
 *
 * which JIT-Fine calls semantic, semantic+expert and expert.  The loss is binary cross-entropy, the same for every
 * commit, or the focal loss with alpha 1/4 and gamma 2.  With a weight w of defective commits, either loss f is
 * sum w f / sum w, and there is no alpha: with the focal loss and w = 3 that is CCT5's.  Parameters are "peft.jit.*": they train with every
 * method of peft/ that is attached after them, and are saved apart from the base model.
 *
 *   JitModel j;
 *   jit_model_open(&j, model, JIT_CONCAT);  peft_attach(...);
 *   jit_model_show(&j, &run, &train, &tokens, &scale);
 *   config.loss = jit_loss, config.user = &j;  trainer_open(...);      batches come from the set shown */
#ifndef TASKS_JIT_MODEL_H
#define TASKS_JIT_MODEL_H

#include "tasks/jit.h"
#include "tasks/recipe.h"
#include "train/train.h"

typedef enum { JIT_SINGLE, JIT_CONCAT, JIT_EXPERT, JIT_HEADS } JitHead;
extern const char *const JIT_HEAD[JIT_HEADS + 1]; /* "single", "concat", "expert"; ends with NULL */
bool jit_reads_features(JitHead);

typedef struct {
    Model *model;
    JitHead head;
    double dropout;
    bool focal;                        /* the loss */
    double weight;                     /* of defective commits in it, against 1 of others; 0: as the loss has it */
    bool published;                    /* the head stays as it was drawn: tuning.h keeps it frozen */
    bool always_drops;                 /* dropout does not end with the training, so scores are random draws */
    Param *u, *b, *v, *c, *u_features; /* (1,C) (1) (C,14) (C) (1,C) or (1,14); NULL those that the head lacks */
    Examples tokens;                   /* the set shown */
    float *label;                      /* (N) */
    double *feature;                   /* (N,14) */
} JitModel;
void jit_model_open(JitModel *, Model *, JitHead);
/* The head as published settings have it, r NULL: none; before it is trained or read from a file. */
void jit_model_set(JitModel *, const Recipe *r, bool as_published);
/* The commits that batches are of.  The arena holds their features; scale may be NULL for JIT_SINGLE. */
void jit_model_show(JitModel *, Arena *, const JitSet *, const Examples *tokens, const JitScale *);
Var *jit_logits(JitModel *, Pass *, const Batch *); /* (B,1,1) */
BatchLossFn jit_loss;                               /* user: JitModel * */
BatchWeighFn jit_weigh; /* the weights that its mean divides by, where there is a weight */
/* Probabilities (N) of the set shown.  `each`, when not NULL, may stop the work by returning false: E_INTERRUPT. */
Status jit_predict(double *out, JitModel *, const Hooks *, Arena *step, bool (*each)(int64_t done, void *), void *);
/* How much attention the pooled token of commit i of the set shown pays to each of its tokens, in the last layer, as
 * the mean over heads; out (tokens.len[i]).  Zeros where the head runs no transformer. */
void jit_attention(double *out, JitModel *, Hooks *, Arena *step, int32_t i);
/* The same for each line: the sum over the line's own tokens; out (lines->n). */
void jit_line_attention(double *out, JitModel *, Hooks *, Arena *step, int32_t i, const JitLines *lines);
Status jit_head_save(const JitModel *, const char *path); /* safetensors */
Status jit_head_load(JitModel *, const char *path);

#endif
