/* Products go through gemm_parallel(), everything spectral through num/linalg.h. */
#include "theory/dense.h"

#include <math.h>

#include "base/rng.h"
#include "num/gemm.h"
#include "num/linalg.h"

Tensor dense_normal(Arena *a, int64_t rows, int64_t cols, double sd, uint64_t stream)
{
    Tensor m = tensor_new(a, F64, SHAPE(rows, cols));
    for (int64_t i = 0; i < rows * cols; i++) tensor_set(m, i, sd * rng_normal(stream, (uint64_t)i));
    return m;
}

Tensor dense_identity(Arena *a, int64_t n)
{
    Tensor m = tensor_zero(a, F64, SHAPE(n, n));
    for (int64_t i = 0; i < n; i++) tensor_set(m, i * n + i, 1);
    return m;
}

Tensor dense_product(Arena *arena, Tensor a, Tensor b)
{
    CHECK(a.dim[1] == b.dim[0], "product of %s and %s", tensor_shape(a), tensor_shape(b));
    Tensor c = tensor_new(arena, F64, SHAPE(a.dim[0], b.dim[1]));
    gemm_parallel(F64, a.dim[0], b.dim[1], a.dim[1], 1, (Mat){a.data, a.dim[1], false},
                  (Mat){b.data, b.dim[1], false}, 0, c.data, b.dim[1]);
    return c;
}

Tensor dense_transpose(Arena *arena, Tensor a)
{
    Tensor t = tensor_new(arena, F64, SHAPE(a.dim[1], a.dim[0]));
    for (int64_t i = 0; i < a.dim[0]; i++)
        for (int64_t j = 0; j < a.dim[1]; j++) tensor_set(t, j * a.dim[0] + i, tensor_get(a, i * a.dim[1] + j));
    return t;
}

Tensor dense_sum(Arena *arena, Tensor a, double s, Tensor b)
{
    Tensor c = tensor_copy(arena, a);
    for (int64_t i = 0; i < tensor_count(c); i++) tensor_set(c, i, tensor_get(a, i) + s * tensor_get(b, i));
    return c;
}

Status dense_norm(double *out, Arena *arena, Tensor a)
{
    Tensor s;
    TRY(linalg_singular(&s, arena, a));
    *out = tensor_count(s) ? tensor_get(s, 0) : 0;
    return OK;
}

Status dense_solve(Tensor *x, Arena *arena, Tensor a, Tensor b)
{
    return linalg_least_squares(x, NULL, arena, a, b, -1);
}

double dense_gap(Tensor a, Tensor b)
{
    double worst = 0;
    for (int64_t i = 0; i < tensor_count(a); i++) worst = fmax(worst, fabs(tensor_get(a, i) - tensor_get(b, i)));
    return worst;
}
