/* y = act(x W' + b), the product of everything here.
 *
 *   pre = x W' + b     dpre = dy act'(pre)     dx = dpre W     dW = dpre' x     db = sum_rows dpre
 *
 * The pre-activation is put aside only when there is a slope to take and somebody wants the gradient; relu's slope
 * can be read off its output.  x is kept only for a W that learns, and a frozen W costs no product. */
#include "ad/op.h"
#include "base/err.h"
#include "num/gemm.h"

typedef struct {
    Layout layout;
    Act act;
    Tensor pre; /* no data where the slope needs none */
} LinearSaved;

static Mat mat(Tensor x, bool t)
{
    return (Mat){x.data, tensor_last(x), t};
}

static void linear_backward(Tape *t, Var *out)
{
    const LinearSaved *s = out->saved;
    Var *x = out->in[0], *w = out->in[1], *bias = out->in[2];
    const Kernels *k = kernels(out->val.dtype);
    Tensor d = out->grad; /* dy, then dpre */
    int64_t o = tensor_last(d), c = tensor_last(x->val), r = tensor_count(d) / (o ? o : 1);
    bool fresh;
    if (s->act != ACT_NONE) {
        Tensor at = s->pre.data ? s->pre : out->val;
        k->act_bwd(s->act, d.data, d.data, at.data, r * o, false);
        tape_free(t, s->pre);
    }
    if (bias && bias->needs) k->sum_cols(tape_grad(t, bias, NULL).data, d.data, r, o);
    if (w->needs) {
        Tensor dw = tape_grad(t, w, &fresh);
        if (s->layout == OUT_IN)
            gemm(d.dtype, o, c, r, 1, mat(d, true), mat(x->val, false), fresh ? 0 : 1, dw.data, c);
        else
            gemm(d.dtype, c, o, r, 1, mat(x->val, true), mat(d, false), fresh ? 0 : 1, dw.data, o);
    }
    if (x->needs) {
        Tensor dx = tape_grad(t, x, &fresh);
        gemm(d.dtype, r, c, o, 1, mat(d, false), mat(w->val, s->layout == IN_OUT), fresh ? 0 : 1, dx.data, c);
    }
}

static const Op LINEAR = {"linear", linear_backward};

Var *op_linear(Tape *t, Var *x, Var *w, Layout layout, Var *bias, Act act)
{
    int64_t c = tensor_last(x->val), o = w->val.dim[layout == OUT_IN ? 0 : 1];
    CHECK(x->val.rank > 0 && w->val.rank == 2 && w->val.dim[layout == OUT_IN ? 1 : 0] == c &&
              (!bias || tensor_count(bias->val) == o),
          "linear of %s by %s (%s), bias %s", tensor_shape(x->val), tensor_shape(w->val),
          layout == OUT_IN ? "out, in" : "in, out", bias ? tensor_shape(bias->val) : "none");
    Tensor y = x->val;
    y.dim[y.rank - 1] = o;
    y = tape_alloc(t, y.dtype, y.rank, y.dim);
    int64_t r = c ? tensor_count(x->val) / c : tensor_count(y) / (o ? o : 1);
    bool recorded = tape_needs(t, x, w, bias, NULL), aside = recorded && act != ACT_NONE && act != ACT_RELU;
    Tensor pre = aside ? tape_alloc(t, y.dtype, y.rank, y.dim) : y;
    gemm(y.dtype, r, o, c, 1, mat(x->val, false), mat(w->val, layout == OUT_IN), 0, pre.data, o);
    if (bias || act != ACT_NONE)
        kernels(y.dtype)->bias_act(act, y.data, pre.data, bias ? bias->val.data : NULL, r, o);

    unsigned keep = (w->needs ? KEEP_0 : 0) | (x->needs ? KEEP_1 : 0) | (act == ACT_RELU ? KEEP_OUT : 0);
    Var *out = tape_push(t, &LINEAR, y, x, w, bias, NULL, keep);
    if (recorded) {
        LinearSaved *s = NEW(tape_arena(t), LinearSaved, 1);
        *s = (LinearSaved){layout, act, aside ? pre : (Tensor){0}};
        out->saved = s;
    }
    return out;
}
