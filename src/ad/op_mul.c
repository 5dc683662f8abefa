/* y = a b, elementwise:  da = dy b, db = dy a.  A factor is kept only where the other one wants a gradient; the last
 * gradient takes over dy's buffer when it is the first to arrive there. */
#include "ad/op.h"
#include "base/err.h"

static void mul_backward(Tape *t, Var *out)
{
    Var *a = out->in[0], *b = out->in[1];
    const Kernels *k = kernels_of(out->val.dtype);
    int64_t n = tensor_count(out->val);
    if (b->needs) {
        bool fresh;
        Tensor db = tape_grad(t, b, &fresh);
        k->mul_bwd(db.data, out->grad.data, a->val.data, n, !fresh);
    }
    if (!a->needs) return;
    bool add = a->grad.data != NULL;
    k->mul_bwd(add ? a->grad.data : out->grad.data, out->grad.data, b->val.data, n, add);
    if (!add) tape_pass(t, a, out);
}

static const Op MUL = {"mul", mul_backward};

Var *op_mul(Tape *t, Var *a, Var *b)
{
    CHECK(tensor_same_shape(a->val, b->val), "%s times %s", tensor_shape(a->val), tensor_shape(b->val));
    Tensor y = tape_alloc(t, a->val.dtype, a->val.rank, a->val.dim);
    kernels_of(y.dtype)->mul_fwd(y.data, a->val.data, b->val.data, tensor_count(y));
    return tape_push(t, &MUL, y, a, b, NULL, NULL, (b->needs ? KEEP_0 : 0) | (a->needs ? KEEP_1 : 0));
}
