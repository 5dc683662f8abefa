/* DeepJIT (Hoang et al., MSR 2019), a convolutional network over the words of a commit, and its joined form, which
 * reads the vector of CC2Vec (cc2vec.h) beside them:
 *
 *   m = conv(message)     l_i = conv(line i)     c = conv(l_1 ... l_n)     logit = layers([m, c, vector])
 *
 * where conv has filters of widths 1, 2 and 3 over the whole of a row's vectors, relus, and the maximum over places.
 * The layers are 512 relus and one logit, with dropout before each.
 *
 * The plain form has a window for each word, which reads zeros behind the end, and for each line with words; a line
 * or a message without words is a vector of zeros.  As published a row is filled up with WORD_NONE, a word there, and
 * a commit with lines of it, and windows end with the row.  Windows of that word alone are all alike, so the maximum
 * is found in rows that are filled up by three of them.
 *
 *   Deepjit d;
 *   deepjit_open(&d, params, &shape);
 *   Var *y = deepjit_logits(&d, tape, commits, b, NULL, 0, 0);           (B,1,1) */
#ifndef TASKS_DEEPJIT_H
#define TASKS_DEEPJIT_H

#include "ad/op.h"
#include "tasks/words.h"

typedef struct {
    int64_t message, code;         /* word ids */
    int64_t longest, lines, words; /* words of a message; lines of a commit, and their words */
    int64_t embed, filters, middle;
    int64_t vector; /* channels beside the two texts: 0, or cc2vec_width() */
    bool as_published;
} DeepjitShape;
DeepjitShape deepjit_shape(int64_t message, int64_t code,
                           int64_t vector); /* of the paper: 256; 10 x 512; 64, 64, 512 */

enum { DEEPJIT_WIDTHS = 3 };
typedef struct {
    Param *filter[DEEPJIT_WIDTHS], *bias[DEEPJIT_WIDTHS]; /* (filters, width C), (filters) */
} DeepjitConv;
typedef struct {
    DeepjitShape shape;
    Param *message, *code; /* word vectors */
    DeepjitConv of_message, of_line, of_code;
    Param *hidden, *hidden_bias, *out, *out_bias;
} Deepjit;
void deepjit_open(Deepjit *, ParamSet *, const DeepjitShape *);

typedef struct {
    IdRow message;
    const IdRow *line; /* (lines) */
} DeepjitCommit;
typedef struct {
    double share; /* 0: none is dropped */
    uint64_t stream;
} Drop;
/* vector: (B,1,vector), or NULL where the shape has none. */
Var *deepjit_logits(const Deepjit *, Tape *, const DeepjitCommit *const *, int64_t b, Var *vector, Drop);

#endif
