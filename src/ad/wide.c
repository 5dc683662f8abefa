/* Copies of narrow weights in F32 for as long as a product needs them. */
#include "ad/wide.h"

#include <string.h>

#include "base/err.h"
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
