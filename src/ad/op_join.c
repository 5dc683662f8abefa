/* Columns side by side: y_r = [a_r, b_r, ...].  The gradient of each input is its own columns of dy. */
#include <string.h>

#include "ad/op.h"
#include "base/err.h"

static void join_backward(Tape *t, Var *out)
{
    Tensor dy = out->grad;
    int64_t c = tensor_last(dy), rows = c ? tensor_count(dy) / c : 0, first = 0;
    for (int i = 0; i < MAX_IN && out->in[i]; i++) {
        Var *x = out->in[i];
        int64_t n = tensor_last(x->val);
        if (x->needs) {
            bool fresh;
            Tensor dx = tape_grad(t, x, &fresh);
            for (int64_t r = 0; r < rows; r++)
                kernels_of(dy.dtype)->scale(tensor_place(dx, r * n), 1, tensor_place(dy, r * c + first), n, !fresh);
        }
        first += n;
    }
}

static const Op JOIN = {"join", join_backward};

Var *op_join(Tape *t, Var *const *x, int n)
{
    Tensor y = x[0]->val;
    int64_t c = 0, rows = tensor_last(y) ? tensor_count(y) / tensor_last(y) : 0, first = 0;
    CHECK(n >= 1 && n <= MAX_IN, "%d inputs side by side, expected 1 to %d", n, MAX_IN);
    for (int i = 0; i < n; i++) {
        Tensor a = x[i]->val;
        c += tensor_last(a);
        a.dim[a.rank - 1] = tensor_last(y);
        CHECK(a.rank > 0 && tensor_same_shape(a, y), "%s beside %s", tensor_shape(x[i]->val), tensor_shape(y));
    }
    y.dim[y.rank - 1] = c;
    y = tape_alloc(t, y.dtype, y.rank, y.dim);
    size_t size = dtype_size(y.dtype);
    for (int i = 0; i < n; i++) {
        int64_t own = tensor_last(x[i]->val);
        for (int64_t r = 0; r < rows; r++)
            memcpy(tensor_place(y, r * c + first), tensor_place(x[i]->val, r * own), (size_t)own * size);
        first += own;
    }
    return tape_push(t, &JOIN, y, x[0], n > 1 ? x[1] : NULL, n > 2 ? x[2] : NULL, n > 3 ? x[3] : NULL, 0);
}
