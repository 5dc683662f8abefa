/* y = s x and dx = s dy; where x has no gradient yet, dx takes over dy's buffer. */
#include "ad/op.h"

typedef struct {
    double s;
} ScaleSaved;

static void scale_backward(Tape *t, Var *out)
{
    const ScaleSaved *s = out->saved;
    Var *x = out->in[0];
    bool add = x->grad.data != NULL;
    Tensor dx = add ? x->grad : out->grad;
    kernels_of(dx.dtype)->scale(dx.data, s->s, out->grad.data, tensor_count(dx), add);
    if (!add) tape_pass(t, x, out);
}

static const Op SCALE = {"scale", scale_backward};

Var *op_scale(Tape *t, Var *x, double s)
{
    Tensor y = tape_alloc(t, x->val.dtype, x->val.rank, x->val.dim);
    kernels_of(y.dtype)->scale(y.data, s, x->val.data, tensor_count(y), false);
    Var *out = tape_push(t, &SCALE, y, x, NULL, NULL, NULL, 0);
    if (out->needs) {
        ScaleSaved *saved = NEW(tape_arena(t), ScaleSaved, 1);
        saved->s = s;
        out->saved = saved;
    }
    return out;
}
