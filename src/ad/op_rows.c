/* Chosen rows of each batch element, zeros where the index is negative:
 *
 *   y_bk = x_b[index_bk]      dx_b[i] = sum over k with index_bk = i of dy_bk, in order of k */
#include <string.h>

#include "ad/op.h"
#include "base/err.h"

typedef struct {
    const int32_t *index;
} RowsSaved;

static void *row(Tensor x, int64_t i)
{
    return tensor_place(x, i * tensor_last(x));
}

static void rows_backward(Tape *t, Var *out)
{
    const RowsSaved *s = out->saved;
    Tensor dx = tape_grad(t, out->in[0], NULL), dy = out->grad;
    for (int64_t b = 0; b < dy.dim[0]; b++) {
        for (int64_t k = 0; k < dy.dim[1]; k++) {
            int64_t i = b * dy.dim[1] + k;
            if (s->index[i] < 0) continue;
            void *to = row(dx, b * dx.dim[1] + s->index[i]);
            kernels_of(dx.dtype)->add(to, to, 1, row(dy, i), tensor_last(dx));
        }
    }
}

static const Op ROWS = {"rows", rows_backward};

Var *op_rows(Tape *t, Var *x, const int32_t *index, int64_t b, int64_t k)
{
    CHECK(x->val.rank == 3 && x->val.dim[0] == b, "rows of %s for a batch of %lld", tensor_shape(x->val),
          (long long)b);
    Tensor y = tape_alloc(t, x->val.dtype, SHAPE(b, k, tensor_last(x->val)));
    size_t bytes = (size_t)tensor_last(y) * dtype_size(y.dtype);
    for (int64_t i = 0; i < b * k; i++) {
        CHECK(index[i] < x->val.dim[1], "row %d of %s", index[i], tensor_shape(x->val));
        if (index[i] < 0)
            memset(row(y, i), 0, bytes);
        else
            memcpy(row(y, i), row(x->val, i / k * x->val.dim[1] + index[i]), bytes);
    }
    Var *out = tape_push(t, &ROWS, y, x, NULL, NULL, NULL, 0);
    if (out->needs) {
        RowsSaved *s = NEW(tape_arena(t), RowsSaved, 1);
        s->index = index;
        out->saved = s;
    }
    return out;
}
