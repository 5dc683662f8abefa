/* y = act(x W' + b), the product of everything here.
 *
 *   pre = x W' + b     dpre = dy act'(pre)     dx = dpre W     dW = dpre' x     db = sum_rows dpre
 *
 * The pre-activation is saved only when there is a slope to take and somebody wants the gradient, and y can
 * then be had again from it; relu's slope can be read off its output.  x is kept only for a W that learns, and a
 * frozen W costs no product.  A few rows of x, as in generation, are multiplied by num/matvec.h. */
#include "ad/wide.h"
#include "base/err.h"
#include "num/gemm.h"
#include "num/matvec.h"

typedef struct {
    Layout layout;
    Act act;
    int64_t first; /* the first output of w that this layer computes */
    Tensor pre;    /* no data where the slope needs none */
} LinearSaved;

static Mat mat(Tensor x, bool t)
{
    return (Mat){x.data, tensor_last(x), t};
}

/* Where the outputs from `first` on begin in a weight: a row of (O,C), a column of (C,O). */
static void *part(Tensor w, Layout layout, int64_t first)
{
    return tensor_place(w, layout == OUT_IN ? first * tensor_last(w) : first);
}

/* y (r,o) = x times the outputs from `first` on. */
static void multiply(Tape *t, Tensor y, Tensor x, Tensor w, Layout layout, int64_t first, int64_t r, int64_t o)
{
    int64_t c = tensor_last(x);
    if (c && o && matvec_takes(y.dtype, r)) {
        Tensor in = round_open(t, x, w);
        matvec(&(Matvec){.r = r,
                         .o = o,
                         .c = c,
                         .x = in.data,
                         .w = part(w, layout, first),
                         .held = w.dtype,
                         .stride = tensor_last(w),
                         .in_out = layout == IN_OUT,
                         .y = y.data});
        round_close(t, in, x);
        return;
    }
    Weight weight = weight_open(t, w, layout, first, o);
    weight_forward(t, &weight, y.dtype, x.data, r, y.data);
    weight_close(t, &weight);
}

static void linear_backward(Tape *t, Var *out)
{
    const LinearSaved *s = out->saved;
    Var *x = out->in[0], *w = out->in[1], *bias = out->in[2];
    const Kernels *k = kernels_of(out->val.dtype);
    Tensor d = out->grad; /* dy, then dpre */
    int64_t o = tensor_last(d), c = tensor_last(x->val), r = tensor_count(d) / (o ? o : 1);
    bool fresh;
    if (s->act != ACT_NONE) {
        Tensor at = s->pre.data ? s->pre : out->val;
        k->act_bwd(s->act, d.data, d.data, at.data, r * o, false);
        tape_free(t, s->pre);
    }
    if (bias && bias->needs) k->sum_cols(tensor_place(tape_grad(t, bias, NULL), s->first), d.data, r, o);
    if (w->needs) {
        bool whole = tensor_count(w->val) == o * c;
        Tensor dw = tape_grad(t, w, whole ? &fresh : NULL); /* the other parts of a new gradient are zero */
        double beta = whole && fresh ? 0 : 1;
        void *to = part(dw, s->layout, s->first);
        if (s->layout == OUT_IN)
            gemm_parallel(d.dtype, o, c, r, 1, mat(d, true), mat(x->val, false), beta, to, c);
        else
            gemm_parallel(d.dtype, c, o, r, 1, mat(x->val, true), mat(d, false), beta, to, tensor_last(dw));
    }
    if (x->needs) {
        Tensor dx = tape_grad(t, x, &fresh);
        Weight weight = weight_open(t, w->val, s->layout, s->first, o);
        weight_backward(t, &weight, d.dtype, d.data, r, fresh ? 0 : 1, dx.data);
        weight_close(t, &weight);
    }
}

static void linear_rebuild(Tape *t, Var *out)
{
    (void)t;
    const LinearSaved *s = out->saved;
    kernels_of(out->val.dtype)->act_fwd(s->act, out->val.data, s->pre.data, tensor_count(out->val));
}

static const Op LINEAR = {"linear", linear_backward, .half = true};
static const Op LINEAR_ACT = {"linear", linear_backward, linear_rebuild,
                              .half = true}; /* the pre-activation is saved */

Var *op_linear_part(Tape *t, Var *x, Var *w, Layout layout, Var *bias, Act act, int64_t first, int64_t o)
{
    int64_t c = tensor_last(x->val), all = w->val.dim[layout == OUT_IN ? 0 : 1];
    CHECK(x->val.rank > 0 && w->val.rank == 2 && w->val.dim[layout == OUT_IN ? 1 : 0] == c && first >= 0 && o >= 0 &&
              first + o <= all && (!bias || tensor_count(bias->val) == all),
          "linear of %s by %s (%s), outputs %lld..%lld, bias %s", tensor_shape(x->val), tensor_shape(w->val),
          layout == OUT_IN ? "out, in" : "in, out", (long long)first, (long long)(first + o),
          bias ? tensor_shape(bias->val) : "none");
    Tensor y = x->val;
    y.dim[y.rank - 1] = o;
    y = tape_alloc(t, y.dtype, y.rank, y.dim);
    int64_t r = c ? tensor_count(x->val) / c : tensor_count(y) / (o ? o : 1);
    bool recorded = tape_needs(t, x, w, bias, NULL), aside = recorded && act != ACT_NONE && act != ACT_RELU;
    Tensor pre = aside ? tape_alloc(t, y.dtype, y.rank, y.dim) : y;
    multiply(t, pre, x->val, w->val, layout, first, r, o);
    if (bias || act != ACT_NONE)
        kernels_of(y.dtype)->bias_act(act, y.data, pre.data, bias ? tensor_place(bias->val, first) : NULL, r, o);

    unsigned keep = (w->needs ? KEEP_0 : 0) | (x->needs ? KEEP_1 : 0) | (act == ACT_RELU ? KEEP_OUT : 0);
    Var *out = tape_push(t, aside ? &LINEAR_ACT : &LINEAR, y, x, w, bias, NULL, keep);
    if (recorded) {
        LinearSaved *s = NEW(tape_arena(t), LinearSaved, 1);
        *s = (LinearSaved){layout, act, first, aside ? pre : (Tensor){0}};
        out->saved = s;
    }
    return out;
}

Var *op_linear(Tape *t, Var *x, Var *w, Layout layout, Var *bias, Act act)
{
    return op_linear_part(t, x, w, layout, bias, act, 0, w->val.dim[layout == OUT_IN ? 0 : 1]);
}
