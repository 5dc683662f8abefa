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
    int64_t wide = a->prefix + 2 * a->window, keys = a->window && wide < a->s ? wide : a->s;
    int64_t slices = a->b * a->heads, work = slices * a->t * keys * a->dim;
    int most = omp_get_max_threads();
    if (work < GRAIN || slices < 2) return 1;
    return most < slices ? most : (int)slices;
}
