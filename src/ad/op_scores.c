/* The first of attention's observable steps: every score of every head as a tensor that hooks can see.
 *
 *   z_bhij = scale q_bih . k_bjh + bias_hij      or -inf where query i does not see key j
 *
 * dq = scale dz k, dk = scale dz' q, dbias = sum_b dz, with dz taken as zero where nothing is seen: a hook that
 * changes hidden scores changes nothing upstream.  Slices (b,h) run in parallel, going back the key/value heads: one
 * thread adds up what the query heads of a group give to dk. */
#include <math.h>
#include <string.h>

#include "ad/attn.h"

/* Row i of slice (b,h): the bias is added and scores of invisible keys are overwritten with `unseen`. */
#define FINISH(name, REAL)                                                                                           \
    static void name(const Attend *a, REAL *z, const REAL *bias, REAL unseen, int64_t b, int64_t i)                  \
    {                                                                                                                \
        int64_t from = attend_from(a, b, i), reach = attend_reach(a, b, i);                                          \
        for (int64_t j = a->prefix; j < reach && bias; j++) z[j] += bias[j - a->prefix];                             \
        for (int64_t j = a->prefix; j < reach && (a->mask || a->sees); j++)                                          \
            if (attend_masked(a, b, i, j)) z[j] = unseen;                                                            \
        for (int64_t j = a->prefix; j < from && j < a->s; j++) z[j] = unseen;                                        \
        for (int64_t j = reach; j < a->s; j++) z[j] = unseen;                                                        \
    }
FINISH(finish_f32, float)
FINISH(finish_f64, double)

static void finish(const Attend *a, Tensor z, const Var *bias, double unseen, int64_t slice, int64_t i)
{
    int64_t b = slice / a->heads, row = slice % a->heads * a->t + i;
    void *at = tensor_place(z, (slice * a->t + i) * a->s);
    const void *extra = bias ? tensor_place(bias->val, row * (a->s - a->prefix)) : NULL;
    if (z.dtype == F32)
        finish_f32(a, at, extra, (float)unseen, b, i);
    else
        finish_f64(a, at, extra, unseen, b, i);
}

/* dbias += dz of one slice, its content columns. */
static void add_bias(const Attend *a, Tensor dbias, Tensor dz, int64_t slice)
{
    int64_t n = a->s - a->prefix, h = slice % a->heads;
    for (int64_t i = 0; i < a->t; i++) {
        void *to = tensor_place(dbias, (h * a->t + i) * n);
        kernels_of(dz.dtype)->add(to, to, 1, tensor_place(dz, (slice * a->t + i) * a->s + a->prefix), n);
    }
}

static void scores_backward(Tape *t, Var *out)
{
    const Attend *a = out->saved;
    Var *q = out->in[0], *k = out->in[1], *bias = out->in[2];
    Tensor dz = out->grad, dq = q->needs ? tape_grad(t, q, NULL) : (Tensor){0};
    Tensor dk = k->needs ? tape_grad(t, k, NULL) : (Tensor){0};
    Tensor dbias = bias && bias->needs ? tape_grad(t, bias, NULL) : (Tensor){0};
    int64_t group = attend_group(a), width = a->heads * a->dim, key_width = attend_kv_heads(a) * a->dim;
#pragma omp parallel for num_threads(a->threads) if (a->threads > 1)
    for (int64_t kv = 0; kv < attend_kv_heads(a); kv++) {
        for (int64_t at = 0; at < a->b * group; at++) { /* in order: dbias is a sum over b, dk over the group */
            int64_t b = at / group, h = kv * group + at % group, slice = b * a->heads + h;
            for (int64_t i = 0; i < a->t; i++) finish(a, dz, NULL, 0, slice, i);
            if (dbias.data) add_bias(a, dbias, dz, slice);
            if (dq.data)
                gemm_serial(dz.dtype, a->t, a->dim, a->s, a->scale, attn_map(a, dz, slice, false),
                            attn_key_head(a, k->val, b, h, false), 1, (void *)attn_head(a, dq, b, h, false).data,
                            width);
            if (dk.data)
                gemm_serial(dz.dtype, a->s, a->dim, a->t, a->scale, attn_map(a, dz, slice, true),
                            attn_head(a, q->val, b, h, false), 1, (void *)attn_key_head(a, dk, b, h, false).data,
                            key_width);
        }
    }
}

static const Op SCORES = {"scores", scores_backward};

Var *op_scores(Tape *t, Var *q, Var *k, Var *bias, Attn n)
{
    Attend a = attn_shape(&n, q->val, k->val, k->val, bias);
    a.threads = attend_threads(&a);
    Tensor z = tape_alloc(t, q->val.dtype, SHAPE(a.b, a.heads, a.t, a.s));
#pragma omp parallel for num_threads(a.threads) if (a.threads > 1)
    for (int64_t slice = 0; slice < a.b * a.heads; slice++) {
        int64_t b = slice / a.heads, h = slice % a.heads;
        gemm_serial(z.dtype, a.t, a.s, a.dim, a.scale, attn_head(&a, q->val, b, h, false),
                    attn_key_head(&a, k->val, b, h, true), 0, (void *)attn_map(&a, z, slice, false).data, a.s);
        for (int64_t i = 0; i < a.t; i++) finish(&a, z, bias, (double)-INFINITY, slice, i);
    }
    Var *out = tape_push(t, &SCORES, z, q, k, bias, NULL, (k->needs ? KEEP_0 : 0) | (q->needs ? KEEP_1 : 0));
    if (out->needs) {
        Attend *saved = NEW(tape_arena(t), Attend, 1);
        *saved = a;
        out->saved = saved;
    }
    return out;
}
