/* y + s x, where x may lack leading dimensions of y and is then added to each of y's blocks:
 *
 *   out_i = y_i + s x     dy_i = dout_i     dx = s sum_i dout_i */
#include "ad/op.h"
#include "base/err.h"

typedef struct {
    double s;
} AddSaved;

static void add_backward(Tape *t, Var *out)
{
    const AddSaved *s = out->saved;
    Var *y = out->in[0], *x = out->in[1];
    const Kernels *k = kernels_of(out->val.dtype);
    int64_t n = tensor_count(x->val), blocks = n ? tensor_count(out->val) / n : 0;
    if (x->needs && s->s == 1 && !y->needs && blocks == 1) {
        tape_pass(t, x, out);
        return;
    }
    if (x->needs && blocks) {
        bool fresh;
        Tensor dx = tape_grad(t, x, &fresh);
        for (int64_t i = 0; i < blocks; i++)
            k->scale(dx.data, s->s, tensor_place(out->grad, i * n), n, i > 0 || !fresh);
    }
    tape_pass(t, y, out);
}

static const Op ADD = {"add", add_backward};

/* Leading dimensions of size 1 do not count: one row of positions is added to every row of a batch. */
static bool is_suffix(Tensor x, Tensor y)
{
    int skip = 0;
    while (skip < x.rank && x.dim[skip] == 1) skip++;
    for (int i = 1; i <= x.rank - skip; i++)
        if (i > y.rank || x.dim[x.rank - i] != y.dim[y.rank - i]) return false;
    return true;
}

Var *op_add(Tape *t, Var *y, double s, Var *x)
{
    CHECK(is_suffix(x->val, y->val), "%s added to %s", tensor_shape(x->val), tensor_shape(y->val));
    Tensor sum = tape_alloc(t, y->val.dtype, y->val.rank, y->val.dim);
    int64_t n = tensor_count(x->val), blocks = n ? tensor_count(sum) / n : 0;
    for (int64_t i = 0; i < blocks; i++)
        kernels_of(sum.dtype)->add(tensor_place(sum, i * n), tensor_place(y->val, i * n), s, x->val.data, n);
    Var *out = tape_push(t, &ADD, sum, y, x, NULL, NULL, 0);
    if (out->needs) {
        AddSaved *saved = NEW(tape_arena(t), AddSaved, 1);
        saved->s = s;
        out->saved = saved;
    }
    return out;
}
