/* y_rc = x_rc s_c:  dx_rc = dy_rc s_c, ds_c = sum_r dy_rc x_rc.  x is kept only for an s that learns. */
#include "ad/op.h"
#include "base/err.h"

static void scale_cols_backward(Tape *t, Var *out)
{
    Var *x = out->in[0], *s = out->in[1];
    const Kernels *k = kernels_of(out->val.dtype);
    int64_t c = tensor_last(out->val), r = tensor_count(out->val) / (c ? c : 1);
    if (s->needs) k->dot_cols(tape_grad(t, s, NULL).data, out->grad.data, x->val.data, r, c);
    if (!x->needs) return;
    bool add = x->grad.data != NULL;
    k->scale_cols(add ? x->grad.data : out->grad.data, out->grad.data, s->val.data, r, c, add);
    if (!add) tape_pass(t, x, out);
}

static const Op SCALE_COLS = {"scale_cols", scale_cols_backward};

Var *op_scale_cols(Tape *t, Var *x, Var *s)
{
    int64_t c = tensor_last(x->val), r = tensor_count(x->val) / (c ? c : 1);
    CHECK(x->val.rank > 0 && tensor_count(s->val) == c, "columns of %s scaled by %s", tensor_shape(x->val),
          tensor_shape(s->val));
    Tensor y = tape_alloc(t, x->val.dtype, x->val.rank, x->val.dim);
    kernels_of(y.dtype)->scale_cols(y.data, x->val.data, s->val.data, r, c, false);
    return tape_push(t, &SCALE_COLS, y, x, s, NULL, NULL, (s->needs ? KEEP_0 : 0) | (x->needs ? KEEP_1 : 0));
}
