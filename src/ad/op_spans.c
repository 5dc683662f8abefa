/* Some rows of each batch element become the mean of a run of its rows, the others stay:
 *
 *   y_bi = (1/n) sum_{lo <= j < hi} x_bj      or x_bi where lo < 0
 *   dx_bj += dy_bi / n  for lo <= j < hi      or dx_bi += dy_bi
 *
 * A mean reads x, never another mean. */
#include <string.h>

#include "ad/op.h"
#include "base/err.h"

static void *row(Tensor x, int64_t i)
{
    return tensor_place(x, i * tensor_last(x));
}

static void spans_backward(Tape *t, Var *out)
{
    const int32_t *span = out->saved;
    Tensor dx = tape_grad(t, out->in[0], NULL), dy = out->grad;
    int64_t n = dx.dim[1], c = dx.dim[2];
    for (int64_t i = 0; i < dx.dim[0] * n; i++) {
        int32_t lo = span[2 * i], hi = span[2 * i + 1];
        for (int32_t j = lo; j < hi && lo >= 0; j++) {
            void *to = row(dx, i / n * n + j);
            kernels_of(dx.dtype)->add(to, to, 1 / (double)(hi - lo), row(dy, i), c);
        }
        if (lo < 0) kernels_of(dx.dtype)->add(row(dx, i), row(dx, i), 1, row(dy, i), c);
    }
}

static const Op SPANS = {"spans", spans_backward};

Var *op_spans(Tape *t, Var *x, const int32_t *span)
{
    CHECK(x->val.rank == 3, "spans of %s, expected (B,T,C)", tensor_shape(x->val));
    Tensor y = tape_alloc(t, x->val.dtype, 3, x->val.dim);
    int64_t n = y.dim[1], c = y.dim[2];
    for (int64_t i = 0; i < y.dim[0] * n; i++) {
        int32_t lo = span[2 * i], hi = span[2 * i + 1];
        CHECK(lo < 0 || (lo <= hi && hi <= n), "span [%d,%d) of %lld rows", lo, hi, (long long)n);
        size_t bytes = (size_t)c * dtype_size(y.dtype);
        if (lo < 0)
            memcpy(row(y, i), row(x->val, i), bytes);
        else
            memset(row(y, i), 0, bytes);
        for (int32_t j = lo; j < hi && lo >= 0; j++)
            kernels_of(y.dtype)->add(row(y, i), row(y, i), 1 / (double)(hi - lo), row(x->val, i / n * n + j), c);
    }
    Var *out = tape_push(t, &SPANS, y, x, NULL, NULL, NULL, 0);
    if (out->needs) {
        int32_t *copy = NEW(tape_arena(t), int32_t, 2 * y.dim[0] * n);
        memcpy(copy, span, sizeof *copy * (size_t)(2 * y.dim[0] * n));
        out->saved = copy;
    }
    return out;
}
