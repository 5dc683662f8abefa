/* Fused attention: y = dropout(softmax(scale q k' + bias)) v per head, and its backward, without the (T,S) map.
 *
 * q, y (B,T,H*D), k and v (B,S,K*D), heads side by side; bias (H,T,n) or NULL, n = S - prefix content keys;
 * lse (B,H,T) the log of each row's sum of exponentials, -inf where the row sees no key.  K = kv_heads divides H:
 * query head h reads key/value head h / (H / K), and that head's gradients are sums over its query heads.
 * A query sees:
 *
 *   - nothing, when qpos marks it as padding (< 0);
 *   - else the `prefix` first keys, with bias 0, and content key j when j < klen[b], mask[b,j] is set, and, under
 *     `causal`, j <= pos, where pos is qpos[b,i] or, without qpos, n - T + i; with a `window`, |pos - j| < window;
 *     and, with `sees`, sees[b,i,j] is set.
 *
 * Element (b,h,i,j) of the map is dropped by dropout's decision number ((b*H + h)*T + i)*S + j, so that dropping
 * a map that stands whole gives the same.  Keys that no query reaches do not change any result, whatever they are.
 *
 * Packed: with `q_at` the queries of row b are rows q_at[b] .. q_at[b+1]-1 of q and y (N,H*D), and `t` is the largest
 * count; `k_at` says the same of k and v and `s`, and klen then holds the counts.  Nothing is computed for rows that
 * are not there, whose places in lse stay unwritten.
 *
 * As in kernels.h there is a reference (attend_ref.inc, in double) for both dtypes and a fast F32 version
 * (attend_fast.inc) compiled per instruction set.  Slices (b,h) run in parallel and own their outputs; going back,
 * one thread takes the query heads of a key/value head in order, and the bias's gradient is summed over b in
 * order.  `void *` is float * or double *. */
#ifndef NUM_ATTEND_H
#define NUM_ATTEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "num/tensor.h"

typedef struct {
    int64_t b, t, s, heads, dim, prefix;
    int64_t kv_heads; /* 0: as many as heads */
    int64_t window;   /* 0: none */
    double scale;
    bool causal;
    const int32_t *klen; /* (B) or NULL */
    const int32_t *qpos; /* (B,T) or NULL */
    const uint8_t *mask; /* (B,n) or NULL */
    const uint8_t *sees; /* (B,T,n) or NULL */
    const int32_t *q_at; /* (B+1) or NULL */
    const int32_t *k_at; /* (B+1) or NULL */
    double dropout;
    uint64_t stream;
    int threads;   /* of the parallel loop: attend_threads() */
    void *scratch; /* attend_scratch() bytes, cut among the threads */
} Attend;

typedef struct { /* outputs of the backward; NULL: not wanted */
    void *dq, *dk, *dv;
    bool add_q, add_k, add_v; /* add to the old values, or overwrite */
    void *dbias;              /* always added to */
} AttendGrads;

typedef struct { /* inputs and outputs of the forward */
    const void *q, *k, *v, *bias, *y, *lse;
} AttendSaved;

typedef struct {
    void (*fwd)(const Attend *, void *y, void *lse, const void *q, const void *k, const void *v, const void *bias);
    void (*bwd)(const Attend *, AttendGrads, const void *dy, AttendSaved); /* no two outputs may overlap */
} AttendKernels;

const AttendKernels *attend_kernels(DType); /* F32 or F64; follows kernels_use() */
int attend_threads(const Attend *);         /* 1 for small problems */
size_t attend_scratch(const Attend *);      /* bytes, for a->threads threads, either direction */

static inline int64_t attend_kv_heads(const Attend *a)
{
    return a->kv_heads ? a->kv_heads : a->heads;
}
/* Query heads that share a key/value head. */
static inline int64_t attend_group(const Attend *a)
{
    return a->heads / attend_kv_heads(a);
}

/* The queries of row b, the row of q where they begin, and the row of k where its keys do. */
static inline int64_t attend_queries(const Attend *a, int64_t b)
{
    return a->q_at ? a->q_at[b + 1] - a->q_at[b] : a->t;
}
static inline int64_t attend_query_row(const Attend *a, int64_t b)
{
    return a->q_at ? a->q_at[b] : b * a->t;
}
static inline int64_t attend_key_row(const Attend *a, int64_t b)
{
    return a->k_at ? a->k_at[b] : b * a->s;
}

/* Query i of row b sees keys 0..prefix-1 and from..reach-1 at most, all of them unless `mask` or `sees` hides some.
 * A padding query has reach 0.  prefix <= from, and from >= reach where no content key is seen. */
int64_t attend_reach(const Attend *, int64_t b, int64_t i);
int64_t attend_from(const Attend *, int64_t b, int64_t i);
static inline bool attend_masked(const Attend *a, int64_t b, int64_t i, int64_t key)
{
    int64_t n = a->s - a->prefix, j = key - a->prefix;
    return j >= 0 && ((a->mask && !a->mask[b * n + j]) || (a->sees && !a->sees[(b * a->t + i) * n + j]));
}

extern const AttendKernels ATTEND_REF_F32, ATTEND_REF_F64, ATTEND_GENERIC; /* for tests */
extern const AttendKernels *const ATTEND_AVX2, *const ATTEND_AVX512;       /* NULL where they cannot be compiled */

#endif
