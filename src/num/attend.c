/* Which attention kernels run, on how many threads, and which keys a query can see. */
#include "num/attend.h"

#include <omp.h>
#include <string.h>

#include "base/err.h"
#include "num/kernels.h"

enum { GRAIN = 1 << 19 }; /* multiplications of q k' below which waking a thread costs more than it saves */

const AttendKernels *attend_kernels(DType dtype)
{
    CHECK(dtype == F32 || dtype == F64, "no attention kernels for %s", dtype_name(dtype));
    if (dtype == F64) return &ATTEND_REF_F64;
    const char *name = kernels_name();
    if (!strcmp(name, "avx512")) return ATTEND_AVX512;
    if (!strcmp(name, "avx2")) return ATTEND_AVX2;
    return !strcmp(name, "ref") ? &ATTEND_REF_F32 : &ATTEND_GENERIC;
}

int attend_threads(const Attend *a)
{
    int64_t slices = a->b * a->heads, work = slices * a->t * a->s * a->dim;
    int most = omp_get_max_threads();
    if (work < GRAIN || slices < 2) return 1;
    return most < slices ? most : (int)slices;
}

/* An upper bound for every version: the fast backward holds k and v transposed and k by rows, two tiles of the
 * map, two tiles of rows, and the dropout decisions of a tile; the reference holds two rows in double. */
size_t attend_scratch(const Attend *a)
{
    int64_t keys = a->s + 32, dim = a->dim + 16, rows = 64;
    int64_t floats = 3 * keys * dim + 2 * rows * dim + 3 * rows * keys + 1024;
    return (size_t)((floats + 15) / 16 * 16) * sizeof(float) * (size_t)a->threads;
}

int64_t attend_reach(const Attend *a, int64_t b, int64_t i)
{
    int64_t n = a->s - a->prefix, reach = a->klen ? a->klen[b] : n;
    int64_t pos = a->qpos ? a->qpos[b * a->t + i] : n - a->t + i;
    if (a->qpos && pos < 0) return 0;
    if (a->causal && pos + 1 < reach) reach = pos + 1;
    return a->prefix + (reach < 0 ? 0 : reach < n ? reach : n);
}
