/* Which kernels multiply a few rows, and how the outputs are dealt to threads. */
#include "num/matvec.h"

#include <omp.h>
#include <string.h>

#include "base/err.h"
#include "num/profile.h"

enum {
    GRAIN = 1 << 17, /* multiplications below which waking a thread costs more than it saves */
    UNIT = 16,       /* outputs; a thread's share is a multiple of it, or of a block in a row of outputs */
    PIECE = 1 << 16  /* elements widened at a time */
};

static const MatvecKernels *kernels(void)
{
    const char *name = kernels_name();
    if (!strcmp(name, "avx512")) return MATVEC_AVX512;
    return !strcmp(name, "avx2") ? MATVEC_AVX2 : &MATVEC_GENERIC;
}

bool matvec_takes(DType dtype, int64_t rows)
{
    return dtype == F32 && rows > 0 && rows <= MATVEC_ROWS && !kernels_are_reference();
}

static void multiply(const Matvec *m)
{
    const MatvecKernels *k = kernels();
    int64_t block = dtype_block(m->held), unit = m->in_out && block > UNIT ? block : UNIT;
    int64_t units = (m->o + unit - 1) / unit, threads = omp_get_max_threads();
    CHECK(m->r > 0 && m->r <= MATVEC_ROWS, "%lld rows are multiplied at once, at most %d", (long long)m->r,
          MATVEC_ROWS);
    CHECK(m->stride % block == 0 && (m->in_out ? m->o : m->c) % block == 0, "rows of %lld in blocks of %lld",
          (long long)(m->in_out ? m->o : m->c), (long long)block);
    if (m->r * m->o * m->c < GRAIN || threads == 1 || units < 2) {
        k->product(m, 0, m->o);
        return;
    }
    if (threads > units) threads = units;
#pragma omp parallel for num_threads((int)threads) schedule(static, 1)
    for (int64_t i = 0; i < threads; i++) {
        int64_t first = units * i / threads * unit, end = units * (i + 1) / threads * unit;
        k->product(m, first, end < m->o ? end : m->o);
    }
}

void matvec(const Matvec *m)
{
    double start = profile_enter();
    multiply(m);
    profile_leave(PROFILE_PRODUCTS, start);
}

void widen(float *to, const void *from, DType held, int64_t n)
{
    const MatvecKernels *k = kernels();
#pragma omp parallel for schedule(static) if (n > 2 * PIECE)
    for (int64_t i = 0; i < n; i += PIECE)
        k->widen(to + i, (const char *)from + (size_t)(i / dtype_block(held)) * dtype_size(held), held,
                 n - i < PIECE ? n - i : PIECE);
}
