/* Copies of narrow weights in F32 for as long as a product needs them. */
#include "ad/wide.h"

#include <string.h>

#include "base/err.h"
#include "num/bf16.h"
#include "num/matvec.h"

enum { PARALLEL = 1 << 17 }; /* elements from which threads pay */

Tensor wide_open(Tape *t, Tensor w)
{
    if (!dtype_is_narrow(w.dtype)) return w;
    Tensor wide = tape_alloc(t, F32, w.rank, w.dim);
    widen(wide.data, w.data, w.dtype, tensor_count(w));
    return wide;
}

void wide_copy(Tensor to, Tensor w)
{
    if (w.dtype == to.dtype)
        memcpy(to.data, w.data, tensor_bytes(to));
    else
        widen(to.data, w.data, w.dtype, tensor_count(w));
}

Tensor wide_part(Tape *t, Tensor w, Layout layout, int64_t first, int64_t n)
{
    if (!dtype_is_narrow(w.dtype)) return w;
    if (layout == OUT_IN) return wide_open(t, tensor_rows(w, first, n));
    if (n == w.dim[1]) return wide_open(t, w);
    CHECK(first % dtype_block(w.dtype) == 0 && n % dtype_block(w.dtype) == 0, "columns %lld..%lld of blocks of %lld",
          (long long)first, (long long)(first + n), (long long)dtype_block(w.dtype));
    Tensor wide = tape_alloc(t, F32, SHAPE(w.dim[0], n));
#pragma omp parallel for schedule(static) if (w.dim[0] * n > PARALLEL)
    for (int64_t i = 0; i < w.dim[0]; i++)
        widen((float *)wide.data + i * n, tensor_place(w, i * w.dim[1] + first), w.dtype, n);
    return wide;
}

void wide_close(Tape *t, Tensor wide, Tensor w)
{
    if (dtype_is_narrow(w.dtype)) tape_free(t, wide);
}

Tensor round_open(Tape *t, Tensor x, Tensor w)
{
    if (x.dtype != F32 || !bf16_takes(w.dtype)) return x;
    Tensor rounded = tape_alloc(t, F32, x.rank, x.dim);
    bf16_round(rounded.data, x.data, tensor_count(x));
    return rounded;
}

void round_close(Tape *t, Tensor rounded, Tensor x)
{
    if (rounded.data != x.data) tape_free(t, rounded);
}

/* ---- products of many rows */

/* The processor reads the weight as it is held. */
static bool is_native(Tensor w)
{
    return bf16_takes(w.dtype) && bf16_native();
}

Weight weight_open(Tape *t, Tensor w, Layout layout, int64_t first, int64_t n)
{
    Tensor wide = is_native(w) ? w : wide_part(t, w, layout, first, n);
    return (Weight){w, wide, layout, first, n, w.dim[layout == OUT_IN]};
}

void weight_close(Tape *t, const Weight *w)
{
    if (w->wide.data != w->w.data) tape_free(t, w->wide);
}

/* The outputs of the layer: rows of (O,C), columns of (C,O), in the weight itself or in their wide copy. */
static Mat outputs(const Weight *w, bool t)
{
    int64_t at = w->layout == OUT_IN ? w->first * tensor_last(w->w) : w->first;
    if (w->wide.data != w->w.data) return (Mat){w->wide.data, tensor_last(w->wide), t};
    return (Mat){tensor_place(w->w, at), tensor_last(w->w), t};
}

/* y (m,n) = x (m,k) W + beta y */
static void multiply(Tape *t, Tensor held, Tensor x, int64_t n, Mat w, double beta, void *y)
{
    int64_t m = x.dim[0], k = x.dim[1];
    if (is_native(held)) {
        Tensor half = tape_alloc(t, BF16, SHAPE(m, k));
        bf16_narrow(half.data, x.data, m * k);
        gemm_parallel(BF16, m, n, k, 1, (Mat){half.data, k, false}, w, beta, y, n);
        tape_free(t, half);
        return;
    }
    Tensor in = round_open(t, x, held);
    gemm_parallel(x.dtype, m, n, k, 1, (Mat){in.data, k, false}, w, beta, y, n);
    round_close(t, in, x);
}

static Tensor rows_at(const void *x, DType dtype, int64_t r, int64_t c)
{
    union {
        const void *in;
        void *out;
    } at = {x}; /* a tensor that is only read */
    return tensor_over(at.out, dtype, SHAPE(r, c));
}

void weight_forward(Tape *t, const Weight *w, DType dtype, const void *x, int64_t r, void *y)
{
    multiply(t, w->w, rows_at(x, dtype, r, w->c), w->n, outputs(w, w->layout == OUT_IN), 0, y);
}

void weight_backward(Tape *t, const Weight *w, DType dtype, const void *d, int64_t r, double beta, void *dx)
{
    multiply(t, w->w, rows_at(d, dtype, r, w->n), w->c, outputs(w, w->layout == IN_OUT), beta, dx);
}
