/* CC2Vec (Hoang et al., ICSE 2020): a vector of a commit, learnt by predicting the words of its message.
 *
 * A bidirectional GRU reads the words of a line, and another one the line vectors of a file; attention adds up what
 * each of them gives.  The vector of a side, removed r or added a, is the mean over its files (d channels).  The
 * vector of the commit has 3 d + 4 channels, side by side:
 *
 *   a - r    a r    cos(a, r)    |a - r|    relu(S [r; a] + s)    relu((W_k r + w_k).a + V_k [r; a] + v_k), k = 1, 2
 *
 * A layer of `middle` relus and a linear layer upon it give the logits of message words.
 *
 * In the plain form the weight of a step is the softmax over the steps of tanh(A y + a).u, with u the first row of
 * `context`; padding, blank lines and files without lines are left out.  As published every place counts, blank or
 * not (WORD_NONE is a word there), a step has a weight for each channel, B (A y + a), and the softmax runs over the
 * batch: alone, a commit is the plain sum over the steps.  The published loss is of sigmoids of sigmoids.
 *
 *   Cc2vec c;
 *   cc2vec_open(&c, params, &shape);
 *   Var *v = cc2vec_vector(&c, tape, rows, b);        rows[i]: code_rows() of commit i
 *   Var *y = cc2vec_logits(&c, tape, v);              (B,1,words) */
#ifndef TASKS_CC2VEC_H
#define TASKS_CC2VEC_H

#include "ad/op.h"
#include "tasks/words.h"

typedef struct {
    int64_t vocabulary, message; /* word ids of code and of messages */
    int64_t files, lines, words; /* of a side, of a file, of a line: CodeRows */
    int64_t embed, hidden;       /* word vectors; a GRU's state, d is twice that */
    int64_t middle;              /* between the vector and the words */
    bool as_published;
} Cc2vecShape;
Cc2vecShape cc2vec_shape(int64_t vocabulary, int64_t message); /* of the paper: 64, 32, 64; 2 x 10 x 64 */

typedef struct {
    Param *input[2], *input_bias[2], *state[2], *state_bias[2]; /* of the GRU, forwards and backwards */
    Param *attention, *bias, *context;                          /* A, a, B or u */
} Cc2vecLevel;
typedef struct {
    Cc2vecShape shape;
    Param *embed;
    Cc2vecLevel word, line;
    Param *standard, *standard_bias;                                  /* S, s */
    Param *tensor, *tensor_bias, *tensor_linear, *tensor_linear_bias; /* W (2d,d), w, V, v */
    Param *hidden, *hidden_bias, *out, *out_bias;
} Cc2vec;
void cc2vec_open(Cc2vec *, ParamSet *, const Cc2vecShape *); /* adds "embed.weight", "word.gru.weight_ih_l0", ... */
int64_t cc2vec_width(const Cc2vecShape *);                   /* 3 d + 4 */

/* Side vectors (2B,1,d), the removed and the added side of each commit in turn. */
Var *cc2vec_sides(const Cc2vec *, Tape *, const IdRow *const *rows, int64_t b);
Var *cc2vec_compared(const Cc2vec *, Tape *, Var *sides, int64_t b); /* (B,1,3d+4) */
Var *cc2vec_vector(const Cc2vec *, Tape *, const IdRow *const *rows, int64_t b);
Var *cc2vec_logits(const Cc2vec *, Tape *, Var *vector);                   /* (B,1,words) */
Var *cc2vec_loss(const Cc2vec *, Tape *, Var *logits, const float *label); /* (1); label (B,words) */

#endif
