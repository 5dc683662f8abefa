/* Gives OpenBLAS the right processor before the first product.
 *
 * OpenBLAS picks its kernels from a table of CPU models compiled into it and falls back to SSE2 code on any
 * model it does not recognise, which on a recent AVX-512 machine costs a factor of five.  The instruction sets
 * matter, so read them and select again; an OPENBLAS_CORETYPE in the environment wins.  Where the
 * library has no run-time selection the weak symbols are absent and nothing happens. */
#include <stdlib.h>
#include <string.h>

#include <cblas.h>

#include "base/arena.h"
#include "num/gemm.h"

extern void gotoblas_dynamic_init(void) __attribute__((weak));
extern void gotoblas_dynamic_quit(void) __attribute__((weak));
extern int blas_thread_shutdown_(void) __attribute__((weak));
extern void *blas_memory_alloc(int) __attribute__((weak));
extern void blas_memory_free(void *) __attribute__((weak));

#if defined(__x86_64__)
static const char *core_for_this_cpu(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        return "SkylakeX";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "Haswell";
    return NULL;
}
#else
static const char *core_for_this_cpu(void)
{
    return NULL;
}
#endif

__attribute__((constructor)) static void choose_blas_core(void)
{
    const char *core = core_for_this_cpu();
    if (core && gotoblas_dynamic_init && gotoblas_dynamic_quit && !getenv("OPENBLAS_CORETYPE") &&
        strcmp(openblas_get_corename(), core)) {
        setenv("OPENBLAS_CORETYPE", core, 1);
        gotoblas_dynamic_quit();
        gotoblas_dynamic_init();
    }
    openblas_set_num_threads(1); /* num/gemm.c slices and runs the slices in parallel itself */
    /* Its own threads would each take a buffer as they start, before or after gemm_reserve() looks. */
    if (blas_thread_shutdown_) blas_thread_shutdown_();
}

enum { MOST_CALLERS = 64, BUFFER = 129 << 20 };

Status gemm_reserve(int threads)
{
    void *buffer[MOST_CALLERS];
    size_t left = arena_space_left();
    int n = threads < MOST_CALLERS ? threads : MOST_CALLERS;
    if (left == SIZE_MAX || !blas_memory_alloc || !blas_memory_free) return OK;
    if (left / BUFFER < (size_t)n + 1)
        return err_fail(
            E_NUMERIC,
            "the limit on address space leaves %zu MB; OpenBLAS needs %d MB with %d thread%s (ulimit -v, --threads)",
            left >> 20, (n + 1) * (BUFFER >> 20), n, n == 1 ? "" : "s");
    for (int i = 0; i < n; i++) buffer[i] = blas_memory_alloc(0);
    while (n) blas_memory_free(buffer[--n]);
    return OK;
}
