/* How a transformer ranks the lines of a commit: by the attention that the pooled token pays to them.
 *
 *   occurrence   a line gets the attention of its own tokens (jit_line_attention)
 *   token        as JIT-Fine publishes it: attention is summed for each token string over all added lines, and an
 *                added line gets, for each of its tokens, the sum of that string.  So a line that was cut off has a
 *                score, and one of brackets that repeat often is ranked high */
#ifndef TASKS_JIT_ATTENTION_H
#define TASKS_JIT_ATTENTION_H

#include "tasks/jit_model.h"

typedef enum { LINES_BY_OCCURRENCE, LINES_BY_TOKEN, LINES_BYS } LinesBy;
extern const char *const LINES_BY[LINES_BYS + 1]; /* "occurrence", "token"; ends with NULL */

/* Tokens as text, each without the sign of a blank in front; NULL for an id without text. */
typedef struct {
    int64_t n;
    const char *const *token;
} TokenTexts;
/* score[l] = sum over the tokens of line l of the sum of weight[i] over seen tokens of the same text. */
void token_line_scores(double *score, const TokenTexts *line, int64_t lines, const TokenTexts *seen,
                       const double *weight);
/* The added lines of a commit, of which ids and attention (len) are given: *n lines at file and line, by score. */
typedef struct {
    int64_t n, *file, *line;
    double *score;
} TokenLines;
TokenLines jit_token_lines(Arena *, const CodeChange *, const Tokenizer *, const JitPlan *, const int32_t *id,
                           const JitLines *, const double *attention);

#endif
