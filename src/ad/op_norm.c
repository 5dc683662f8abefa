/* LayerNorm (Ba, Kiros and Hinton 2016), or RMSNorm (Zhang and Sennrich 2019) when there is no bias, of a sum:
 *
 *   z = x + residual     xhat = (z - mean) rstd     y = xhat g + b
 *   dz = rstd (h - mean(h) - xhat mean(h xhat)),  h = dy g     dg = sum_rows dy xhat     db = sum_rows dy
 *
 * A gain of fewer channels than a row norms the row in runs of that many: the heads of Qwen3's queries and keys.
 *
 * The normalised rows are saved rather than z: the backward reads them once and nothing else, and y can be had
 * again from them.  dz replaces dy in its own buffer, which then passes to x or to the residual, so that only the
 * second of the two costs a copy. */
#include "ad/op.h"
#include "base/err.h"

typedef struct {
    Tensor xhat, rstd;
} NormSaved;

static void norm_backward(Tape *t, Var *out)
{
    const NormSaved *s = out->saved;
    Var *x = out->in[0], *residual = out->in[1], *g = out->in[2], *b = out->in[3];
    const Kernels *k = kernels_of(out->val.dtype);
    Tensor d = out->grad; /* dy, then dz */
    int64_t c = tensor_count(g->val), r = tensor_count(d) / (c ? c : 1);
    bool down = x->needs || (residual && residual->needs);
    void *dg = g->needs ? tape_grad(t, g, NULL).data : NULL, *db = b && b->needs ? tape_grad(t, b, NULL).data : NULL;
    k->norm_bwd(down ? d.data : NULL, dg, db, d.data, s->xhat.data, s->rstd.data, g->val.data, !b, r, c, false);
    tape_free(t, s->xhat);
    tape_free(t, s->rstd);
    if (x->needs && residual && residual->needs) {
        bool fresh;
        Tensor dx = tape_grad(t, x, &fresh);
        k->scale(dx.data, 1, d.data, r * c, !fresh);
        tape_pass(t, residual, out);
    } else if (down) {
        tape_pass(t, x->needs ? x : residual, out);
    }
}

static void norm_rebuild(Tape *t, Var *out)
{
    (void)t;
    const NormSaved *s = out->saved;
    const Var *g = out->in[2], *b = out->in[3];
    int64_t c = tensor_count(g->val), r = tensor_count(out->val) / (c ? c : 1);
    kernels_of(out->val.dtype)->affine(out->val.data, s->xhat.data, g->val.data, b ? b->val.data : NULL, r, c);
}

static const Op NORM = {"norm", norm_backward, norm_rebuild};

Var *op_norm(Tape *t, Var *x, Var *residual, Var *gain, Var *bias, double eps)
{
    int64_t c = tensor_count(gain->val), r = tensor_count(x->val) / (c ? c : 1);
    CHECK((c ? tensor_last(x->val) % c == 0 : !tensor_last(x->val)) && (!bias || tensor_count(bias->val) == c) &&
              (!residual || tensor_same_shape(x->val, residual->val)),
          "norm of %s + %s with gain %s and bias %s", tensor_shape(x->val),
          residual ? tensor_shape(residual->val) : "nothing", tensor_shape(gain->val),
          bias ? tensor_shape(bias->val) : "none");
    DType dtype = x->val.dtype;
    Tensor y = tape_alloc(t, dtype, x->val.rank, x->val.dim);
    NormSaved s = {0};
    bool recorded = tape_needs(t, x, residual, gain, bias);
    if (recorded) {
        s.xhat = tape_alloc(t, dtype, x->val.rank, x->val.dim);
        s.rstd = tape_alloc(t, dtype, SHAPE(r));
    }
    kernels_of(dtype)->norm_fwd(y.data, s.xhat.data, s.rstd.data, x->val.data, residual ? residual->val.data : NULL,
                                gain->val.data, bias ? bias->val.data : NULL, eps, r, c);
    Var *out = tape_push(t, &NORM, y, x, residual, gain, bias, KEEP_2 | KEEP_3);
    if (recorded) {
        NormSaved *saved = NEW(tape_arena(t), NormSaved, 1);
        *saved = s;
        out->saved = saved;
    }
    return out;
}
