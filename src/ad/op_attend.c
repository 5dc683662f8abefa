/* Fused attention: num/attend.h on the tape.  Kept for the backward are q, k, v, the output and one log-sum per row
 * of the map, O(T) instead of O(T S); the map itself is computed again, tile by tile.
 *
 *   p = softmax(scale q k' + bias)      y = dropout(p) v */
#include "ad/attn.h"
#include "base/err.h"
#include "num/profile.h"

typedef struct {
    Attend a;
    Tensor lse; /* (B,H,T) */
} OpSaved;

Attend attn_shape(const Attn *n, Tensor q, Tensor k, Tensor v, const Var *bias)
{
    Attend a = {.b = n->queries ? n->queries->b : q.dim[0],
                .t = n->queries ? n->queries->most : q.dim[1],
                .s = n->keys ? n->keys->most : k.dim[1],
                .q_at = n->queries ? n->queries->at : NULL,
                .k_at = n->keys ? n->keys->at : NULL,
                .heads = n->heads,
                .kv_heads = n->kv_heads ? n->kv_heads : n->heads,
                .dim = n->head_dim,
                .prefix = n->prefix,
                .window = n->window,
                .scale = n->scale,
                .causal = n->causal,
                .klen = n->klen,
                .qpos = n->qpos,
                .mask = n->mask,
                .sees = n->sees,
                .dropout = n->dropout,
                .stream = n->stream};
    int64_t width = a.heads * a.dim, key_width = a.kv_heads * a.dim, content = a.s - a.prefix;
    CHECK(n->heads > 0 && n->kv_heads >= 0 && n->heads % a.kv_heads == 0, "%d key/value heads for %d query heads",
          n->kv_heads, n->heads);
    CHECK(n->window >= 0, "an attention window of %lld", (long long)n->window);
    CHECK(q.rank == 3 && k.rank == 3 && tensor_same_shape(k, v) && q.dim[0] == k.dim[0] && q.dim[2] == width &&
              k.dim[2] == key_width && q.dtype == k.dtype && k.dtype == v.dtype,
          "attention of q %s, k %s, v %s with %d heads of %d and %lld for keys", tensor_shape(q), tensor_shape(k),
          tensor_shape(v), n->heads, n->head_dim, (long long)a.kv_heads);
    CHECK(!n->queries == !n->keys &&
              (!n->queries || (n->queries->b == n->keys->b && n->klen && !n->prefix && !n->mask && !n->sees &&
                               q.dim[1] == a.q_at[a.b] && k.dim[1] == a.k_at[a.b])),
          "packed attention of q %s and k %s", tensor_shape(q), tensor_shape(k));
    CHECK(a.prefix >= 0 && content >= 0, "a prefix of %lld in %lld keys", (long long)a.prefix, (long long)a.s);
    CHECK(!a.causal || a.qpos || a.t <= content, "%lld causal queries on %lld content keys", (long long)a.t,
          (long long)content);
    CHECK(n->dropout >= 0 && n->dropout <= 1, "dropout with probability %g", n->dropout);
    CHECK(!bias || (bias->val.rank == 3 && bias->val.dim[0] == a.heads && bias->val.dim[1] == a.t &&
                    bias->val.dim[2] == content),
          "attention bias %s, expected (%d,%lld,%lld)", tensor_shape(bias->val), n->heads, (long long)a.t,
          (long long)content);
    return a;
}

Mat attn_head(const Attend *a, Tensor x, int64_t b, int64_t h, bool t)
{
    int64_t width = a->heads * a->dim;
    return (Mat){tensor_place(x, b * x.dim[1] * width + h * a->dim), width, t};
}

Mat attn_key_head(const Attend *a, Tensor x, int64_t b, int64_t h, bool t)
{
    int64_t width = attend_kv_heads(a) * a->dim;
    return (Mat){tensor_place(x, b * x.dim[1] * width + h / attend_group(a) * a->dim), width, t};
}

Mat attn_map(const Attend *a, Tensor p, int64_t slice, bool t)
{
    return (Mat){tensor_place(p, slice * a->t * a->s), a->s, t};
}

static Tensor scratch_open(Tape *t, Attend *a)
{
    a->threads = attend_threads(a);
    Tensor s = tape_alloc(t, F32, SHAPE((int64_t)(attend_scratch(a) / sizeof(float))));
    a->scratch = s.data;
    return s;
}

/* Where the kernel writes the gradient of input i: the gradient's own buffer, or a buffer to be added to it when an
 * earlier input is the same Var, because the kernel's outputs must not overlap. */
static Tensor grad_target(Tape *t, Var *out, int i, bool *add, bool *aside)
{
    Var *v = out->in[i];
    *add = *aside = false;
    if (!v->needs) return (Tensor){0};
    for (int j = 0; j < i; j++)
        if (out->in[j] == v) *aside = true;
    if (*aside) return tape_alloc(t, v->val.dtype, v->val.rank, v->val.dim);
    bool fresh;
    Tensor g = tape_grad(t, v, &fresh);
    *add = !fresh;
    return g;
}

static void attend_backward(Tape *t, Var *out)
{
    OpSaved *s = out->saved;
    Var *const *in = out->in;
    Tensor d[3];
    bool add[3], aside[3];
    for (int i = 0; i < 3; i++) d[i] = grad_target(t, out, i, &add[i], &aside[i]);
    Tensor dbias = in[3] && in[3]->needs ? tape_grad(t, in[3], NULL) : (Tensor){0};
    Tensor scratch = scratch_open(t, &s->a);
    const AttendSaved f = {in[0]->val.data, in[1]->val.data, in[2]->val.data, in[3] ? in[3]->val.data : NULL,
                           out->val.data,   s->lse.data};
    double start = profile_enter();
    attend_kernels(out->val.dtype)
        ->bwd(&s->a, (AttendGrads){d[0].data, d[1].data, d[2].data, add[0], add[1], add[2], dbias.data},
              out->grad.data, f);
    profile_leave(PROFILE_ATTENTION, start);
    tape_free(t, scratch);
    tape_free(t, s->lse);
    for (int i = 0; i < 3; i++) {
        if (!aside[i]) continue;
        Tensor g = tape_grad(t, in[i], NULL);
        kernels_of(g.dtype)->add(g.data, g.data, 1, d[i].data, tensor_count(g));
        tape_free(t, d[i]);
    }
}

static const Op ATTEND = {"attend", attend_backward};

Var *op_attend(Tape *t, Var *q, Var *k, Var *v, Var *bias, Attn n)
{
    Attend a = attn_shape(&n, q->val, k->val, v->val, bias);
    Tensor y = tape_alloc(t, q->val.dtype, 3, q->val.dim);
    Tensor lse = tape_alloc(t, y.dtype, SHAPE(a.b, a.heads, a.t)), scratch = scratch_open(t, &a);
    double start = profile_enter();
    attend_kernels(y.dtype)->fwd(&a, y.data, lse.data, q->val.data, k->val.data, v->val.data,
                                 bias ? bias->val.data : NULL);
    profile_leave(PROFILE_ATTENTION, start);
    tape_free(t, scratch);
    Var *out = tape_push(t, &ATTEND, y, q, k, v, bias, KEEP_0 | KEEP_1 | KEEP_2 | KEEP_3 | KEEP_OUT);
    if (out->needs) {
        OpSaved *s = NEW(tape_arena(t), OpSaved, 1);
        *s = (OpSaved){a, lse};
        out->saved = s;
    } else {
        tape_free(t, lse);
    }
    return out;
}
