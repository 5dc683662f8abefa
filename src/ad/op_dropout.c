/* y = x keep / (1-p) and dx = dy keep / (1-p) (Srivastava et al. 2014).  keep is a function of (stream, element), so
 * the backward draws it again and nothing is stored.  An element of a packed value has the number that it would have
 * in the batch with its padding, so that packing changes no mask. */
#include "ad/op.h"
#include "base/err.h"

typedef struct {
    double p;
    uint64_t stream;
    const Pack *pack; /* NULL: not packed */
} DropoutSaved;

static void draw(Tensor y, Tensor x, const DropoutSaved *s, bool add)
{
    const Kernels *k = kernels_of(y.dtype);
    int64_t c = tensor_last(y);
    if (!s->pack) {
        k->dropout(y.data, x.data, s->p, s->stream, 0, tensor_count(y), add);
        return;
    }
    const int32_t *at = s->pack->at;
    for (int64_t b = 0, end; b < s->pack->b; b = end) { /* rows without padding go together with the next one */
        for (end = b + 1; end < s->pack->b && at[end] - at[end - 1] == s->pack->most;) end++;
        k->dropout(tensor_place(y, at[b] * c), tensor_place(x, at[b] * c), s->p, s->stream, b * s->pack->most * c,
                   (at[end] - at[b]) * c, add);
    }
}

static void dropout_backward(Tape *t, Var *out)
{
    const DropoutSaved *s = out->saved;
    Var *x = out->in[0];
    bool add = x->grad.data != NULL;
    Tensor dx = add ? x->grad : out->grad;
    draw(dx, out->grad, s, add);
    if (!add) tape_pass(t, x, out);
}

static const Op DROPOUT = {"dropout", dropout_backward};

Var *op_dropout_packed(Tape *t, Var *x, double p, uint64_t stream, const Pack *pack)
{
    const DropoutSaved s = {p, stream, pack};
    CHECK(p >= 0 && p <= 1, "dropout with probability %g", p);
    if (p == 0) return x;
    Tensor y = tape_alloc(t, x->val.dtype, x->val.rank, x->val.dim);
    CHECK(!pack || (x->val.rank == 3 && x->val.dim[0] == 1 && x->val.dim[1] == pack->at[pack->b]),
          "dropout of %s as %lld packed rows", tensor_shape(x->val), pack ? (long long)pack->at[pack->b] : 0);
    draw(y, x->val, &s, false);
    Var *out = tape_push(t, &DROPOUT, y, x, NULL, NULL, NULL, 0);
    if (out->needs) {
        DropoutSaved *saved = NEW(tape_arena(t), DropoutSaved, 1);
        *saved = s;
        out->saved = saved;
    }
    return out;
}

Var *op_dropout(Tape *t, Var *x, double p, uint64_t stream)
{
    return op_dropout_packed(t, x, p, stream, NULL);
}
