/* Transformers written down by hand, for the theorems on the capacity of one virtual token.
 *
 * A network is one or two blocks; a block is some attention heads, whose outputs are ADDED (no output projection, no
 * residual connection, no normalisation), and then linear layers at each position.  A head has its own W_Q, W_K, W_V.
 * The weights are F64 masters and can run in two ways: on the library's ops, in F64 or F32, or in plain loops with
 * every result rounded to a format.
 *
 *     Net net = construct_open(arena, v);
 *     construct_block(&net, 3);                               three layers will follow
 *     Head *h = construct_head(&net, n, 2 * n, n);            zero matrices (n,2n), key size n
 *     matrix_identity(h->q, 0, n, n, 1);                      W_Q = [0 I]
 *     construct_read(&net, n, n);
 *     construct_answer(step, &net, F64, x, (Attention){BY_LENGTH, 50}, token);
 *
 * Everything lies on the arena given to construct_open. */
#ifndef THEORY_CONSTRUCT_H
#define THEORY_CONSTRUCT_H

#include "ad/op.h"
#include "theory/format.h"

typedef struct {
    Tensor q, k, v;   /* (D,C) each; rows that keys or values do not need are zero */
    int64_t key_size; /* the scale of the logits under BY_KEY_SIZE */
} Head;
typedef struct {
    Tensor w, b; /* y = W x + b, W (O,I) */
    bool relu;
} BuiltLayer;
enum { MAX_HEADS = 3, MAX_BLOCKS = 2 };
typedef struct {
    Head head[MAX_HEADS];
    BuiltLayer *layer;
    int heads, layers, room;
} Block;
typedef struct {
    Arena *arena;
    Block block[MAX_BLOCKS];
    int blocks;
    int64_t vocab;
} Net;

/* Logits are T q.k / sqrt(size): size is the number of rows so far (the authors' code) or the key size (the usual
 * way).  HARD_MAX puts all weight on the first of the largest logits, whatever T. */
typedef enum { BY_LENGTH, BY_KEY_SIZE, HARD_MAX } Scaling;
typedef struct {
    Scaling scaling;
    double temperature; /* T, an inverse temperature */
} BuiltAttention;

Net construct_open(Arena *, int64_t vocab);
void construct_block(Net *, int layers);
Head *construct_head(Net *, int64_t rows, int64_t cols, int64_t key_size); /* of the newest block */
BuiltLayer *construct_layer(Net *, int64_t out, int64_t in, bool relu);
/* The end of every construction: of h (hidden size), entries 0..n-1 are below 1 but for one, which is 1 + j/V.  Three
 * layers find j: ReLU(h - 1) leaves j/V alone, a row of ones sums it into z, and logit j is the tangent of the
 * parabola (z - 1/2)^2 at j/V,  (2j/V - 1) z + 1/4 - (j/V)^2 = -(z - j/V)^2 + a term without j. */
void construct_read(Net *, int64_t n, int64_t width);

void matrix_identity(Tensor m, int64_t row, int64_t col, int64_t n, double value); /* value I_n at (row,col) */
void matrix_row(Tensor m, int64_t row, int64_t col, int64_t n, double value);      /* n equal entries of one row */

/* x (B,P,C) -> logits (B,1,V) of the last row, or (B,P,V) of all rows.  The Var's dtype must be the net's. */
Net construct_cast(Arena *, const Net *, DType);
Var *construct_logits(Tape *, const Net *, Var *x, BuiltAttention, bool last_only);
/* Of a one-token network with hard-max attention: c times the logits (B,N,V) of all rows, from virtual tokens s
 * (B,1,N) in F64.  The token embedding is zero, so a row depends on its position and the virtual token, and not on
 * the tokens generated before: one pass is equivalent to greedy decoding. */
Var *construct_steered(Tape *, const Net *, Var *s, double c);
/* The attention of the heads of one block, x (1,P,C): map[h] (P,P). */
void construct_maps(Arena *, const Net *, Tensor x, BuiltAttention, int block, Tensor map[MAX_HEADS]);

/* Greedy next tokens y (B), x (B,P,C) in F64: on the library's ops, or rounded after every operation. */
void construct_answer(Arena *step, const Net *, DType, Tensor x, BuiltAttention, int32_t *y);
void construct_answer_rounded(Arena *step, const Net *, Format, Tensor x, BuiltAttention, int32_t *y);

/* One of the columns that the exhaustive tables have. */
typedef struct {
    const char *name;
    bool rounded; /* plain loops in `format`; else the library in `type` */
    DType type;
    Format format;
    bool hard;
} Column;
enum { COLUMNS = 4 };
extern const Column COLUMN[COLUMNS]; /* F64, F32, F16 rounded, hard-max */
void construct_answer_column(Arena *step, const Net *, const Column *, Tensor x, BuiltAttention, int32_t *y);

/* The networks; each is built in the file of its theorem. */
Net one_token_net(Arena *, int64_t v, int64_t n);
Net one_token_map_net(Arena *, int64_t v);
Net many_tokens_map_net(Arena *, int64_t v, int64_t answers);
typedef enum { UNPACK_DIFFERENCE, UNPACK_CLAMP, UNPACKERS } Unpacker;
Net packed_map_net(Arena *, int64_t v, Unpacker);

#endif
