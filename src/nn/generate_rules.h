/* The rules on the logits of the next token, and the draw.  Internal to generate*.c and their tests. */
#ifndef NN_GENERATE_RULES_H
#define NN_GENERATE_RULES_H

#include "nn/generate.h"

/* What stands before the next token of one row. */
typedef struct {
    const int32_t *prompt, *new, *source; /* source: the encoder's ids, or the prompt where there is no encoder */
    int64_t n_prompt, n_source;
    int n_new;
} Written;

/* Changes the logits (or log-probabilities, in a beam search) z (V) of the next token by every rule of the settings
 * that is on.  A token that must not follow gets -infinity. */
void generate_rules(double *z, int64_t v, const Written *, const GenerateConfig *, Arena *step);
/* A draw by u in [0,1) from the softmax of z that temperature, top-k, top-p and their kin leave. */
int32_t generate_draw(const double *z, int64_t v, const GenerateConfig *, Arena *step, double u);
void generate_log_softmax(double *z, int64_t v);

#endif
