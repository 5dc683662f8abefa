/* A matrix with chosen rows replaced: y_i = x_i but y[index_k] = r_k; so dr_k = dy[index_k], and dx is dy without
 * those rows.  Of an index that occurs twice the last row counts. */
#include <string.h>

#include "ad/wide.h"
#include "base/err.h"

typedef struct {
    const int32_t *index;
} PutRows;

/* Row k is the one that stands at its index. */
static bool stands(const int32_t *index, int64_t n, int64_t k)
{
    for (int64_t j = k + 1; j < n; j++)
        if (index[j] == index[k]) return false;
    return true;
}

static void put_rows_backward(Tape *t, Var *out)
{
    const PutRows *s = out->saved;
    Var *x = out->in[0], *r = out->in[1];
    int64_t n = r->val.dim[0], c = tensor_last(x->val);
    const Kernels *k = kernels_of(out->val.dtype);
    Tensor dy = out->grad;
    if (r->needs) {
        Tensor dr = tape_grad(t, r, NULL);
        for (int64_t i = 0; i < n; i++)
            if (stands(s->index, n, i))
                k->add(tensor_place(dr, i * c), tensor_place(dr, i * c), 1, tensor_place(dy, s->index[i] * c), c);
    }
    if (!x->needs) return;
    for (int64_t i = 0; i < n; i++) memset(tensor_place(dy, s->index[i] * c), 0, (size_t)c * dtype_size(dy.dtype));
    tape_pass(t, x, out);
}

static const Op PUT_ROWS = {"put_rows", put_rows_backward, .half = true};

Var *op_put_rows(Tape *t, Var *x, Var *rows, const int32_t *index)
{
    int64_t n = rows->val.dim[0], c = tensor_last(x->val);
    CHECK(x->val.rank == 2 && rows->val.rank == 2 && tensor_last(rows->val) == c, "rows %s put into %s",
          tensor_shape(rows->val), tensor_shape(x->val));
    Tensor y = tape_alloc(t, rows->val.dtype, x->val.rank, x->val.dim);
    wide_copy(y, x->val);
    for (int64_t i = 0; i < n; i++) {
        CHECK(index[i] >= 0 && index[i] < x->val.dim[0], "row %d of %s", index[i], tensor_shape(x->val));
        memcpy(tensor_place(y, index[i] * c), tensor_place(rows->val, i * c), (size_t)c * dtype_size(y.dtype));
    }
    Var *out = tape_push(t, &PUT_ROWS, y, x, rows, NULL, NULL, 0);
    PutRows *s = NEW(tape_arena(t), PutRows, 1);
    s->index = index;
    out->saved = s;
    return out;
}
