/* Views over memory, element access for the outside world, and dtype conversion. */
#include "num/tensor.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "num/blocks.h"
#include "num/half.h"

Tensor tensor_over(void *data, DType dtype, int rank, const int64_t *dim)
{
    CHECK(rank >= 0 && rank <= MAX_RANK, "tensor rank %d, at most %d", rank, MAX_RANK);
    Tensor t = {.data = data, .rank = rank, .dtype = dtype};
    for (int i = 0; i < rank; i++) {
        CHECK(dim[i] >= 0, "tensor dimension %d is %lld", i, (long long)dim[i]);
        t.dim[i] = dim[i];
    }
    return t;
}

Tensor tensor_new(Arena *a, DType dtype, int rank, const int64_t *dim)
{
    Tensor t = tensor_over(NULL, dtype, rank, dim);
    t.data = arena_take(a, tensor_bytes(t));
    return t;
}

Tensor tensor_zero(Arena *a, DType dtype, int rank, const int64_t *dim)
{
    Tensor t = tensor_new(a, dtype, rank, dim);
    memset(t.data, 0, tensor_bytes(t));
    return t;
}

Tensor tensor_copy(Arena *a, Tensor x)
{
    Tensor t = tensor_new(a, x.dtype, x.rank, x.dim);
    memcpy(t.data, x.data, tensor_bytes(x));
    return t;
}

static void cast_blocks(Tensor to, Tensor from)
{
    float x[BLOCK_MOST];
    int64_t block = dtype_block(from.dtype);
    for (int64_t i = 0; i < tensor_count(from); i += block) {
        blocks_to_floats(x, from.dtype, tensor_place(from, i), block);
        for (int64_t k = 0; k < block; k++) tensor_set(to, i + k, (double)x[k]);
    }
}

Tensor tensor_cast(Arena *a, Tensor x, DType dtype)
{
    if (dtype == x.dtype) return tensor_copy(a, x);
    Tensor t = tensor_new(a, dtype, x.rank, x.dim);
    int64_t n = tensor_count(x);
    if (dtype == F64 && x.dtype == F32) { /* the common way, from a model to whoever counts or draws */
        const float *from = x.data;
        double *to = t.data;
        for (int64_t i = 0; i < n; i++) to[i] = (double)from[i];
        return t;
    }
    if (dtype_is_block(x.dtype)) {
        cast_blocks(t, x);
        return t;
    }
    tensor_put(t, x);
    return t;
}

void tensor_put(Tensor to, Tensor from)
{
    for (int64_t i = 0; i < tensor_count(to); i++) tensor_set(to, i, tensor_get(from, i));
}

int64_t tensor_count(Tensor t)
{
    int64_t n = 1;
    for (int i = 0; i < t.rank; i++) n *= t.dim[i];
    return n;
}

int64_t tensor_last(Tensor t)
{
    return t.rank ? t.dim[t.rank - 1] : 1;
}

size_t tensor_bytes(Tensor t)
{
    return (size_t)(tensor_count(t) / dtype_block(t.dtype)) * dtype_size(t.dtype);
}

Tensor tensor_rows(Tensor t, int64_t first, int64_t n)
{
    CHECK(t.rank > 0 && first >= 0 && n >= 0 && first + n <= t.dim[0], "rows %lld..%lld of %s", (long long)first,
          (long long)(first + n), tensor_shape(t));
    size_t row = t.dim[0] ? tensor_bytes(t) / (size_t)t.dim[0] : 0;
    t.data = (char *)t.data + row * (size_t)first;
    t.dim[0] = n;
    return t;
}

Tensor tensor_at(Tensor t, int64_t i)
{
    t = tensor_rows(t, i, 1);
    memmove(t.dim, t.dim + 1, sizeof t.dim - sizeof t.dim[0]);
    t.dim[MAX_RANK - 1] = 0;
    t.rank--;
    return t;
}

Tensor tensor_reshape(Tensor t, int rank, const int64_t *dim)
{
    Tensor r = tensor_over(t.data, t.dtype, rank, dim);
    CHECK(tensor_count(r) == tensor_count(t), "%s cannot be read as %s", tensor_shape(t), tensor_shape(r));
    return r;
}

static double block_get(Tensor t, int64_t i)
{
    float x[BLOCK_MOST];
    int64_t block = dtype_block(t.dtype);
    blocks_to_floats(x, t.dtype, tensor_place(t, i), block);
    return (double)x[i % block];
}

double tensor_get(Tensor t, int64_t i)
{
    switch (t.dtype) {
    case F32: return (double)((const float *)t.data)[i];
    case F64: return ((const double *)t.data)[i];
    case BF16: return (double)bf16_to_f32(((const Bf16 *)t.data)[i]);
    case I32: return ((const int32_t *)t.data)[i];
    case F16: return (double)half_to_float(((const uint16_t *)t.data)[i]);
    default: return block_get(t, i);
    }
}

void tensor_set(Tensor t, int64_t i, double x)
{
    switch (t.dtype) {
    case F32: ((float *)t.data)[i] = (float)x; break;
    case F64: ((double *)t.data)[i] = x; break;
    case BF16: ((Bf16 *)t.data)[i] = bf16_from_f32((float)x); break;
    case I32: ((int32_t *)t.data)[i] = (int32_t)x; break;
    case F16: ((uint16_t *)t.data)[i] = half_from(x); break;
    default: CHECK(false, "an element is set in a block of %s", dtype_name(t.dtype));
    }
}

void *tensor_place(Tensor t, int64_t i)
{
    return (char *)t.data + (size_t)(i / dtype_block(t.dtype)) * dtype_size(t.dtype);
}

void tensor_fill(Tensor t, double x)
{
    for (int64_t i = 0, n = tensor_count(t); i < n; i++) tensor_set(t, i, x);
}

int64_t tensor_argmax(Tensor t)
{
    int64_t best = 0, n = tensor_count(t);
    if (t.dtype == F32) { /* called for every row of logits, so without a conversion per element */
        const float *x = t.data;
        for (int64_t i = 1; i < n; i++) best = x[i] > x[best] ? i : best;
    } else {
        for (int64_t i = 1; i < n; i++) best = tensor_get(t, i) > tensor_get(t, best) ? i : best;
    }
    return best;
}

/* Maps and logits are looked through at every pass: no branch in the loop. */
static bool any_odd(const float *x, int64_t n, float least)
{
    int odd = 0;
    for (int64_t i = 0; i < n; i++) odd |= !(x[i] >= least) | !(x[i] <= FLT_MAX);
    return odd;
}

/* The same of blocks. */
static int64_t find_in_blocks(Tensor t)
{
    float x[BLOCK_MOST];
    int64_t block = dtype_block(t.dtype);
    for (int64_t i = 0; i < tensor_count(t); i += block) {
        blocks_to_floats(x, t.dtype, tensor_place(t, i), block);
        if (!any_odd(x, block, -FLT_MAX)) continue;
        for (int64_t k = 0; k < block; k++)
            if (!isfinite(x[k])) return i + k;
    }
    return -1;
}

/* The same of 16-bit weights: an exponent of ones shows NaN and infinity. */
static bool any_odd_half(const uint16_t *x, int64_t n, uint16_t exponent)
{
    int odd = 0;
    for (int64_t i = 0; i < n; i++) odd |= (x[i] & exponent) == exponent;
    return odd;
}

int64_t tensor_find_nonfinite(Tensor t, bool allow_neg_inf)
{
    int64_t n = tensor_count(t);
    if (t.dtype == F32 && !any_odd(t.data, n, allow_neg_inf ? -INFINITY : -FLT_MAX)) return -1;
    if (dtype_is_half(t.dtype) && !any_odd_half(t.data, n, t.dtype == F16 ? 0x7c00 : 0x7f80)) return -1;
    if (dtype_is_block(t.dtype)) return find_in_blocks(t);
    for (int64_t i = 0; i < n; i++) {
        double v = tensor_get(t, i);
        if (!isfinite(v) && !(allow_neg_inf && v < 0)) return i;
    }
    return -1;
}

Status tensor_finite(Tensor t, const char *what)
{
    int64_t i = tensor_find_nonfinite(t, false);
    return i < 0 ? OK
                 : err_fail(E_NUMERIC, "%s%s: element %lld is %g, expected a finite number", what, tensor_shape(t),
                            (long long)i, tensor_get(t, i));
}

bool tensor_same_shape(Tensor a, Tensor b)
{
    return a.rank == b.rank && !memcmp(a.dim, b.dim, sizeof a.dim[0] * (size_t)a.rank);
}

const char *tensor_shape(Tensor t)
{
    static _Thread_local char ring[8][96];
    static _Thread_local int turn;
    char *s = ring[turn++ & 7];
    size_t used = (size_t)snprintf(s, sizeof ring[0], "(");
    for (int i = 0; i < t.rank; i++)
        used += (size_t)snprintf(s + used, sizeof ring[0] - used, i ? ",%lld" : "%lld", (long long)t.dim[i]);
    snprintf(s + used, sizeof ring[0] - used, ")");
    return s;
}

float bf16_to_f32(Bf16 x)
{
    uint32_t bits = (uint32_t)x.bits << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

Bf16 bf16_from_f32(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000) return (Bf16){(uint16_t)(bits >> 16 | 0x40)};
    return (Bf16){(uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}
