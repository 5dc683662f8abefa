/* y_i = table[id_i], zero where id_i < 0; dtable[id_i] += dy_i.  The ids are copied when the table learns, so the
 * caller's array need not outlive the call. */
#include "ad/op.h"

#include <string.h>

#include "base/err.h"
#include "num/matvec.h"

static void embed_backward(Tape *t, Var *out)
{
    Tensor d = tape_grad(t, out->in[0], NULL);
    int64_t c = tensor_last(d), n = out->val.dim[0] * out->val.dim[1];
    kernels_of(d.dtype)->embed_bwd(d.data, out->grad.data, out->saved, n, c);
}

/* The rows of a table in 16 bits, widened one by one. */
static void wide_rows(float *y, Tensor table, const int32_t *id, int64_t n)
{
    int64_t c = tensor_last(table);
    for (int64_t i = 0; i < n; i++) {
        if (id[i] < 0)
            memset(y + i * c, 0, sizeof *y * (size_t)c);
        else
            widen(y + i * c, tensor_place(table, id[i] * c), table.dtype, c);
    }
}

static const Op EMBED = {"embed", embed_backward, .half = true};

Var *op_embed(Tape *t, Var *table, const int32_t *id, int64_t b, int64_t n)
{
    CHECK(table->val.rank >= 2, "rows looked up in a table of shape %s", tensor_shape(table->val));
    int64_t c = tensor_last(table->val), rows = c ? tensor_count(table->val) / c : table->val.dim[0];
    for (int64_t i = 0; i < b * n; i++)
        CHECK(id[i] < rows, "id %d looked up in a table of %lld rows", id[i], (long long)rows);
    DType held = table->val.dtype;
    Tensor y = tape_alloc(t, dtype_is_narrow(held) ? F32 : held, SHAPE(b, n, c));
    if (dtype_is_narrow(held))
        wide_rows(y.data, table->val, id, b * n);
    else
        kernels_of(held)->embed_fwd(y.data, table->val.data, id, b * n, c);
    Var *out = tape_push(t, &EMBED, y, table, NULL, NULL, NULL, 0);
    if (out->needs) {
        int32_t *copy = NEW(tape_arena(t), int32_t, b * n);
        for (int64_t i = 0; i < b * n; i++) copy[i] = id[i];
        out->saved = copy;
    }
    return out;
}
