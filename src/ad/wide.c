/* Copies of 16-bit weights in F32 for as long as a product needs them. */
#include "ad/wide.h"

#include "num/matvec.h"

Tensor wide_open(Tape *t, Tensor w)
{
    if (!dtype_is_half(w.dtype)) return w;
    Tensor wide = tape_alloc(t, F32, w.rank, w.dim);
    widen(wide.data, w.data, w.dtype, tensor_count(w));
    return wide;
}

Tensor wide_part(Tape *t, Tensor w, Layout layout, int64_t first, int64_t n)
{
    if (!dtype_is_half(w.dtype)) return w;
    if (layout == OUT_IN) return wide_open(t, tensor_rows(w, first, n));
    Tensor wide = tape_alloc(t, F32, SHAPE(w.dim[0], n));
    for (int64_t i = 0; i < w.dim[0]; i++)
        widen((float *)wide.data + i * n, tensor_place(w, i * w.dim[1] + first), w.dtype, n);
    return wide;
}

void wide_close(Tape *t, Tensor wide, Tensor w)
{
    if (dtype_is_half(w.dtype)) tape_free(t, wide);
}
