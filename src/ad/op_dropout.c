/* y = x keep / (1-p) and dx = dy keep / (1-p) (Srivastava et al. 2014).  keep is a function of (stream, element), so
 * the backward draws it again and nothing is stored. */
#include "ad/op.h"
#include "base/err.h"

typedef struct {
    double p;
    uint64_t stream;
} DropoutSaved;

static void dropout_backward(Tape *t, Var *out)
{
    const DropoutSaved *s = out->saved;
    Var *x = out->in[0];
    bool add = x->grad.data != NULL;
    Tensor dx = add ? x->grad : out->grad;
    kernels_of(dx.dtype)->dropout(dx.data, out->grad.data, s->p, s->stream, tensor_count(dx), add);
    if (!add) tape_pass(t, x, out);
}

static const Op DROPOUT = {"dropout", dropout_backward};

Var *op_dropout(Tape *t, Var *x, double p, uint64_t stream)
{
    CHECK(p >= 0 && p <= 1, "dropout with probability %g", p);
    if (p == 0) return x;
    Tensor y = tape_alloc(t, x->val.dtype, x->val.rank, x->val.dim);
    kernels_of(y.dtype)->dropout(y.data, x->val.data, p, stream, tensor_count(y), false);
    Var *out = tape_push(t, &DROPOUT, y, x, NULL, NULL, NULL, 0);
    if (out->needs) {
        DropoutSaved *saved = NEW(tape_arena(t), DropoutSaved, 1);
        *saved = (DropoutSaved){p, stream};
        out->saved = saved;
    }
    return out;
}
