/* y = act(x) and dx = dy act'(x).  relu's slope is read off its output, so its input need not stay.
 * Where x has no gradient yet, dx takes over dy's buffer. */
#include "ad/op.h"
#include "base/err.h"

typedef struct {
    Act act;
} ActSaved;

static void act_backward(Tape *t, Var *out)
{
    const ActSaved *s = out->saved;
    Var *x = out->in[0];
    bool add = x->grad.data != NULL;
    Tensor at = s->act == ACT_RELU ? out->val : x->val, dx = add ? x->grad : out->grad;
    kernels_of(dx.dtype)->act_bwd(s->act, dx.data, out->grad.data, at.data, tensor_count(dx), add);
    if (!add) tape_pass(t, x, out);
}

static const Op ACT = {"act", act_backward};

Var *op_act(Tape *t, Act act, Var *x)
{
    CHECK(act >= ACT_NONE && act < ACTS, "activation number %d", (int)act);
    Tensor y = tape_alloc(t, x->val.dtype, x->val.rank, x->val.dim);
    kernels_of(y.dtype)->act_fwd(act, y.data, x->val.data, tensor_count(y));
    Var *out = tape_push(t, &ACT, y, x, NULL, NULL, NULL, act == ACT_RELU ? KEEP_OUT : KEEP_0);
    if (out->needs) {
        ActSaved *s = NEW(tape_arena(t), ActSaved, 1);
        s->act = act;
        out->saved = s;
    }
    return out;
}
