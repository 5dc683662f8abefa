/* Chooses the kernel table: by dtype, by the processor's instruction sets, and by the user's wish. */
#include "num/kernels.h"

#include "base/err.h"
#include "num/fast.h"
#include "num/profile.h"

const char *const ACT_NAMES[ACTS] = {"none", "relu", "gelu", "gelu_tanh", "silu", "tanh"};

static struct {
    const Kernels *table; /* F32 */
    const char *name;
} fast = {&KERNELS_REF_F32, "ref"};
static bool reference;

__attribute__((constructor)) static void choose_fast_table(void)
{
    fast.table = &KERNELS_GENERIC;
    fast.name = "generic";
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (&KERNELS_AVX2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("f16c")) {
        fast.table = &KERNELS_AVX2;
        fast.name = "avx2";
    }
    if (&KERNELS_AVX512 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl")) {
        fast.table = &KERNELS_AVX512;
        fast.name = "avx512";
    }
#endif
}

void kernels_use(KernelChoice choice)
{
    reference = choice == KERNELS_REF;
}

bool kernels_are_reference(void)
{
    return reference;
}

const char *kernels_name(void)
{
    return reference ? "ref" : fast.name;
}

const Kernels *kernels_of(DType dtype)
{
    CHECK(dtype == F32 || dtype == F64, "no kernels for %s", dtype_name(dtype));
    const Kernels *table = dtype == F64 ? &KERNELS_REF_F64 : reference ? &KERNELS_REF_F32 : fast.table;
    return profile_runs ? profile_kernels(table) : table;
}
