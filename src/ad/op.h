/* The ops.  One file each (op_NAME.c): the idea, the backward, the descriptor, the constructor with its shape
 * check.  Inputs may have any number of leading dimensions; the kernels see them as rows.
 *
 * Legend: B batch, T query time, S key time, H heads, D head size, C channels, O outputs, F hidden, V vocabulary,
 * L layers, P prefix, N classes.  dtype of the result is that of the inputs, which must agree.
 * Arrays given by pointer (ids, targets, lengths, masks) are read again by the backward: keep them for the step. */
#ifndef AD_OP_H
#define AD_OP_H

#include "ad/tape.h"
#include "num/kernels.h"

/* Weight layouts: y = x W' + b with W (O,C), as most checkpoints have it, or y = x W + b with W (C,O), GPT-2's. */
typedef enum { OUT_IN, IN_OUT } Layout;

Var *op_embed(Tape *, Var *table, const int32_t *id, int64_t b, int64_t t); /* (..,C) -> (B,T,C); id < 0: zeros */
Var *op_linear(Tape *, Var *x, Var *w, Layout, Var *bias, Act); /* (..,C) -> act(..,O); bias may be NULL */
/* Outputs first..first+n-1 of such a layer, as if w and bias held no others: a third of GPT-2's fused projection. */
Var *op_linear_part(Tape *, Var *x, Var *w, Layout, Var *bias, Act, int64_t first, int64_t n);
/* norm(x + residual); no bias: RMS.  A gain of fewer than C channels norms each run of that many by itself. */
Var *op_norm(Tape *, Var *x, Var *residual, Var *gain, Var *bias, double eps);
/* m / |row of W + s b a|, for n outputs of W: from `first` on, or, with `run`, in runs of so many, `step` apart
 * from start to start.  m (n), b (n,R), a (R,C) -> (n).  held: the norm is a constant when going back. */
typedef struct {
    Layout layout;
    int64_t first, run, step;
} WeightRows;
Var *op_norm_ratio(Tape *, Var *m, Var *w, WeightRows, Var *a, Var *b, double s, bool held);
/* W + s b a, for W of either layout, with b (O,R), a (R,C); then output o times gain_o (O), or NULL. */
Var *op_lowrank(Tape *, Var *w, Layout, Var *a, Var *b, double s, Var *gain);
Var *op_orthonormal(Tape *, Var *a); /* (R,C), rows independent: l q = a with q q' = 1, l lower triangular -> q */
Var *op_put_rows(Tape *, Var *x, Var *rows, const int32_t *index); /* (V,C), (N,C): x[index_i] becomes rows_i */
Var *op_act(Tape *, Act, Var *x);
Var *op_add(Tape *, Var *y, double s, Var *x); /* y + s x; x's shape is y's or a suffix of it, after ones */
Var *op_mul(Tape *, Var *a, Var *b);           /* elementwise, same shape */
Var *op_scale(Tape *, Var *x, double s);
Var *op_scale_cols(Tape *, Var *x, Var *s);                 /* x_rc s_c, s (C) */
Var *op_dropout(Tape *, Var *x, double p, uint64_t stream); /* p = 0 returns x */
/* Rows of unequal length without padding: rows at[b] .. at[b+1]-1 of a packed value (1,N,C) are those of row b. */
typedef struct Pack {
    int64_t b, most;   /* rows of the batch; T, at least the largest count */
    const int32_t *at; /* (B+1) */
} Pack;
Var *op_pack(Tape *, Var *x, const Pack *);   /* (B,T,C) -> (1,N,C) */
Var *op_unpack(Tape *, Var *x, const Pack *); /* (1,N,C) -> (B,T,C), zeros behind each row */
/* The elements that op_dropout() would drop of the batch with its padding; pack NULL: op_dropout(). */
Var *op_dropout_packed(Tape *, Var *x, double p, uint64_t stream, const Pack *);
Var *op_prepend(Tape *, Var *prefix, Var *x,
                int64_t skip); /* (P,C),(B,S,C) -> (B,P+S-skip,C): prefix, then x[skip:] */
Var *op_rows(Tape *, Var *x, const int32_t *index, int64_t b,
             int64_t k); /* (B,T,C) -> (B,K,C); index (B,K), < 0: zeros */
/* Row i of b becomes the mean of x's rows [span_bi0, span_bi1), zeros when there are none, or stays where the first
 * is negative; span (B,T,2). */
Var *op_spans(Tape *, Var *x, const int32_t *span);
Var *op_cols(Tape *, Var *x, int64_t first, int64_t n); /* (..,C) -> (..,n) */
/* n columns in runs of `run`, each `step` behind the one before: GPT-NeoX's queries, whose heads lie between the keys
 * and values of theirs. */
Var *op_cols_runs(Tape *, Var *x, int64_t first, int64_t n, int64_t run, int64_t step);
Var *op_join(Tape *, Var *const *x, int n); /* (..,C_i) -> (..,sum C_i): columns side by side, of at most MAX_IN */
Var *op_pool(Tape *, Var *x, const int32_t *len); /* (B,T,C) -> (B,1,C): mean of the first len[b] rows; NULL: all */
Var *op_max(Tape *, Var *x, const int32_t *len);  /* the same with the maximum of each channel */
Var *op_compare(Tape *, Var *a, Var *b);          /* (..,C) twice -> (..,2C+2): a - b, a b, cosine, distance */

/* A gated recurrent unit: x (B,T,3H), the gates' inputs (reset, update, new), w (3H,H), bias (3H) -> (B,T,H), the
 * state after each step from zero on; backwards with `reverse`; zeros from len[b] on, NULL: all run. */
Var *op_gru(Tape *, Var *x, Var *w, Var *bias, const int32_t *len, bool reverse);

/* Attention: softmax(scale q k' + bias) v per head, on q (B,T,H*D), k and v (B,S,K*D) with heads side by side.
 * K, kv_heads, divides H: query head h reads key/value head h / (H / K).
 * The first `prefix` keys are virtual: visible to every query, bias 0, outside key lengths and masks.  The others
 * are content, n = S - prefix of them; with `causal`, query i sits at content position n - T + i (a cache simply
 * makes n larger than T) unless `qpos` gives the positions; a padding query (qpos < 0) sees nothing, not even the
 * prefix.  A row that sees no key yields zeros, and zero gradients. */
typedef struct {
    int heads, head_dim;
    const Pack *queries, *keys; /* of packed q (1,N,H*D), and of packed k and v; NULL: (B,T,..), (B,S,..) */
    int kv_heads;               /* of k and v; 0: as many as heads */
    double scale;               /* 1/sqrt(D), or 1 in T5 */
    bool causal;
    int64_t prefix;
    int64_t window;      /* a query at position p sees content key j only when |p - j| < window; 0: all */
    const int32_t *klen; /* (B) content keys in row b, or NULL: all */
    const uint8_t *mask; /* (B,n) 1 where the content key may be seen, or NULL */
    const uint8_t *sees; /* (B,T,n) 1 where that query may see that content key, or NULL */
    const int32_t *qpos; /* (B,T) content position of each query, < 0 for padding, or NULL */
    double dropout;      /* on the probabilities; 0 when not training */
    uint64_t stream;     /* of that dropout: fused and open paths draw the same */
} Attn;
Var *op_attend(Tape *, Var *q, Var *k, Var *v, Var *bias,
               Attn);                                    /* fused; bias (H,T,n) or NULL; keeps log-sums only */
Var *op_scores(Tape *, Var *q, Var *k, Var *bias, Attn); /* the same map in observable steps: (B,H,T,S), */
Var *op_softmax(Tape *, Var *scores);                    /*   -inf where unseen; */
Var *op_mix(Tape *, Var *probs, Var *v, Attn);           /*   then dropout and the mixture (B,T,H*D) */

Var *op_softmax_batch(Tape *, Var *x, int64_t b); /* (b n,..): over the b elements, for each place by itself */

/* Rotary positions: turns the first `dims` channels of every head of x (..,H*D), pair i of row r by the angle whose
 * cosine and sine are element (r,i) of the tables (rows,dims/2).  Row i of x takes row[i], or else i mod rows. */
typedef struct {
    int64_t head_dim, dims, rows;
    const float *cos, *sin;
    const int32_t *row;
} Turn;
Var *op_rope(Tape *, Var *x, Turn);

/* T5's relative position bias: table (buckets,H) -> (H,T,n).  Query i sits at position n - T + i. */
typedef struct {
    int64_t t, n;
    int max_distance;
    bool bidirectional;
    const int32_t *qpos; /* (T) positions of the queries, or NULL */
} RelPos;
Var *op_relpos(Tape *, Var *table, RelPos);
int relpos_bucket(int64_t key_minus_query, int buckets, int max_distance, bool bidirectional);

/* Losses, (1).  Means run over targets >= 0; without any, the loss is 0. */
Var *op_xent(Tape *, Var *logits, const int32_t *target); /* (..,V) */
Var *op_head_xent(Tape *, Var *x, Var *w, Layout, Var *bias, const int32_t *target, double *sum_loss);
/* xent(linear(x)) in chunks: the logits never stand whole */
Var *op_bce(Tape *, Var *logits, const float *label); /* (..,N) with logits; label < 0 is ignored */
/* Focal loss (Lin et al., 2017): each term times (1-p)^gamma, p the label's probability, and alpha or 1 - alpha */
Var *op_focal(Tape *, Var *logits, const float *label, double alpha, double gamma);
/* (..,V) with a weight q (..,V) for every class of every row: sum -q log softmax(logits) / z */
Var *op_xent_soft(Tape *, Var *logits, const double *q, double z);
Var *op_mse(Tape *, Var *y, Tensor target); /* (..,C): mean over rows of |y - target|^2 */

#endif
