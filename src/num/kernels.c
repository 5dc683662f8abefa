/* Chooses the kernel table: by dtype, by the processor's instruction sets, and by the user's wish. */
#include "num/kernels.h"

#include "base/err.h"

const char *const ACT_NAMES[ACTS] = {"none", "relu", "gelu", "gelu_tanh", "silu", "tanh"};

static struct {
    const Kernels *table; /* F32 */
    const char *name;
} fast = {&KERNELS_REF_F32, "ref"};
static bool reference;

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

const Kernels *kernels(DType dtype)
{
    CHECK(dtype == F32 || dtype == F64, "no kernels for %s", dtype_name(dtype));
    if (dtype == F64) return &KERNELS_REF_F64;
    return reference ? &KERNELS_REF_F32 : fast.table;
}
