/* A range of columns: y_r = x_r[first : first + n], and dx is zero outside of it. */
#include <string.h>

#include "ad/op.h"
#include "base/err.h"

typedef struct {
    int64_t first;
} ColsSaved;

static void cols_backward(Tape *t, Var *out)
{
    const ColsSaved *s = out->saved;
    bool fresh;
    Tensor dy = out->grad, dx = tape_grad(t, out->in[0], &fresh);
    int64_t c = tensor_last(dx), n = tensor_last(dy), rows = c ? tensor_count(dx) / c : 0;
    for (int64_t r = 0; r < rows; r++) {
        void *to = tensor_place(dx, r * c + s->first), *from = tensor_place(dy, r * n);
        if (!fresh) {
            kernels_of(dx.dtype)->add(to, to, 1, from, n);
            continue;
        }
        memset(tensor_place(dx, r * c), 0, (size_t)c * dtype_size(dx.dtype));
        memcpy(to, from, (size_t)n * dtype_size(dx.dtype));
    }
}

static const Op COLS = {"cols", cols_backward};

Var *op_cols(Tape *t, Var *x, int64_t first, int64_t n)
{
    int64_t c = tensor_last(x->val);
    CHECK(x->val.rank > 0 && first >= 0 && n >= 0 && first + n <= c, "columns %lld..%lld of %s", (long long)first,
          (long long)(first + n), tensor_shape(x->val));
    Tensor y = x->val;
    y.dim[y.rank - 1] = n;
    y = tape_alloc(t, y.dtype, y.rank, y.dim);
    int64_t rows = c ? tensor_count(x->val) / c : 0;
    for (int64_t r = 0; r < rows; r++)
        memcpy(tensor_place(y, r * n), tensor_place(x->val, r * c + first), (size_t)n * dtype_size(y.dtype));
    Var *out = tape_push(t, &COLS, y, x, NULL, NULL, NULL, 0);
    if (out->needs) {
        ColsSaved *s = NEW(tape_arena(t), ColsSaved, 1);
        s->first = first;
        out->saved = s;
    }
    return out;
}
