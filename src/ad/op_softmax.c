/* Softmax over the last dimension; a row that is -inf throughout, which sees nothing, becomes zeros.
 *
 *   y = exp(x) / sum exp(x)      dx = y (dy - sum y dy) */
#include "ad/op.h"
#include "base/err.h"

static void softmax_backward(Tape *t, Var *out)
{
    bool fresh;
    Tensor dx = tape_grad(t, out->in[0], &fresh);
    int64_t c = tensor_last(dx), r = c ? tensor_count(dx) / c : 0;
    kernels_of(dx.dtype)->softmax_bwd(dx.data, out->grad.data, out->val.data, r, c, !fresh);
}

static const Op SOFTMAX = {"softmax", softmax_backward};

Var *op_softmax(Tape *t, Var *scores)
{
    CHECK(scores->val.rank > 0, "softmax of a scalar");
    Tensor y = tape_alloc(t, scores->val.dtype, scores->val.rank, scores->val.dim);
    int64_t c = tensor_last(y), r = c ? tensor_count(y) / c : 0;
    kernels_of(y.dtype)->softmax(y.data, scores->val.data, r, c);
    return tape_push(t, &SOFTMAX, y, scores, NULL, NULL, NULL, KEEP_OUT);
}
