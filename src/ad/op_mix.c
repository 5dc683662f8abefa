/* The last of attention's observable steps: dropout on the map, then the mixture of values.
 *
 *   y_ih = sum_j m_hij p_hij v_jh      dp = m (dy v')      dv = (m p)' dy
 *
 * m, 0 or 1/(1-p), is a function of (stream, element) and drawn again in the backward. */
#include "ad/attn.h"
#include "base/err.h"

/* The map after dropout: a new buffer, or the map itself without dropout. */
static Tensor dropped(Tape *t, const Attend *a, Tensor p)
{
    if (a->dropout == 0) return p;
    Tensor m = tape_alloc(t, p.dtype, p.rank, p.dim);
    kernels_of(p.dtype)->dropout(m.data, p.data, a->dropout, a->stream, 0, tensor_count(p), false);
    return m;
}

static void mix_backward(Tape *t, Var *out)
{
    const Attend *a = out->saved;
    Var *probs = out->in[0], *v = out->in[1];
    Tensor dy = out->grad, dv = v->needs ? tape_grad(t, v, NULL) : (Tensor){0}, dp = {0};
    Tensor p = v->needs ? dropped(t, a, probs->val) : (Tensor){0};
    bool fresh = false, aside = a->dropout != 0; /* dp before the mask is no gradient yet */
    if (probs->needs) {
        Tensor g = tape_grad(t, probs, &fresh);
        dp = aside ? tape_alloc(t, g.dtype, g.rank, g.dim) : g;
    }
    double beta = aside || fresh ? 0 : 1;
    int64_t group = attend_group(a), width = attend_kv_heads(a) * a->dim;
#pragma omp parallel for num_threads(a->threads) if (a->threads > 1)
    for (int64_t first = 0; first < a->b * a->heads; first += group)
        for (int64_t slice = first; slice < first + group; slice++) { /* in order: dv is a sum over the group */
            int64_t b = slice / a->heads, h = slice % a->heads;
            Mat d = attn_head(a, dy, b, h, false);
            if (dv.data)
                gemm_serial(dy.dtype, a->s, a->dim, a->t, 1, attn_map(a, p, slice, true), d, 1,
                            (void *)attn_key_head(a, dv, b, h, false).data, width);
            if (dp.data)
                gemm_serial(dy.dtype, a->t, a->s, a->dim, 1, d, attn_key_head(a, v->val, b, h, true), beta,
                            (void *)attn_map(a, dp, slice, false).data, a->s);
        }
    if (aside && v->needs) tape_free(t, p);
    if (aside && probs->needs) {
        kernels_of(dp.dtype)->dropout(probs->grad.data, dp.data, a->dropout, a->stream, 0, tensor_count(dp), !fresh);
        tape_free(t, dp);
    }
}

static const Op MIX = {"mix", mix_backward};

Var *op_mix(Tape *t, Var *probs, Var *v, Attn n)
{
    Tensor p = probs->val;
    int kv_heads = n.kv_heads ? n.kv_heads : n.heads;
    CHECK(p.rank == 4 && v->val.rank == 3 && p.dim[0] == v->val.dim[0] && p.dim[1] == n.heads &&
              p.dim[3] == v->val.dim[1] && n.heads % kv_heads == 0 && v->val.dim[2] == (int64_t)kv_heads * n.head_dim,
          "map %s of values %s with %d heads of %d and %d for values", tensor_shape(p), tensor_shape(v->val), n.heads,
          n.head_dim, kv_heads);
    Attend a = {.b = p.dim[0], .t = p.dim[2], .s = p.dim[3], .heads = n.heads, .kv_heads = kv_heads};
    a.dim = n.head_dim;
    a.dropout = n.dropout;
    a.stream = n.stream;
    a.threads = attend_threads(&a);
    Tensor m = dropped(t, &a, p), y = tape_alloc(t, p.dtype, SHAPE(a.b, a.t, a.heads * a.dim));
#pragma omp parallel for num_threads(a.threads) if (a.threads > 1)
    for (int64_t slice = 0; slice < a.b * a.heads; slice++) {
        int64_t b = slice / a.heads, h = slice % a.heads;
        gemm_serial(p.dtype, a.t, a.dim, a.s, 1, attn_map(&a, m, slice, false),
                    attn_key_head(&a, v->val, b, h, false), 0, (void *)attn_head(&a, y, b, h, false).data,
                    a.heads * a.dim);
    }
    if (a.dropout != 0) tape_free(t, m);
    Var *out = tape_push(t, &MIX, y, probs, v, NULL, NULL, (v->needs ? KEEP_0 : 0) | (probs->needs ? KEEP_1 : 0));
    if (out->needs) {
        Attend *saved = NEW(tape_arena(t), Attend, 1);
        *saved = a;
        out->saved = saved;
    }
    return out;
}
