/* The types of numbers: their sizes in memory, names and blocks. */
#include "num/tensor.h"

static const struct {
    size_t size;
    const char *name;
    int64_t block;
} DTYPES[] = {
    [F32] = {4, "F32", 1},       [F64] = {8, "F64", 1},       [BF16] = {2, "BF16", 1},    [I32] = {4, "I32", 1},
    [F16] = {2, "F16", 1},       [Q4_0] = {18, "Q4_0", 32},   [Q4_1] = {20, "Q4_1", 32},  [Q5_0] = {22, "Q5_0", 32},
    [Q5_1] = {24, "Q5_1", 32},   [Q8_0] = {34, "Q8_0", 32},   [Q2_K] = {84, "Q2_K", 256}, [Q3_K] = {110, "Q3_K", 256},
    [Q4_K] = {144, "Q4_K", 256}, [Q5_K] = {176, "Q5_K", 256}, [Q6_K] = {210, "Q6_K", 256}};

size_t dtype_size(DType d)
{
    return DTYPES[d].size;
}

int64_t dtype_block(DType d)
{
    return DTYPES[d].block;
}

bool dtype_is_half(DType d)
{
    return d == BF16 || d == F16;
}

bool dtype_is_block(DType d)
{
    return DTYPES[d].block > 1;
}

bool dtype_is_narrow(DType d)
{
    return dtype_is_half(d) || dtype_is_block(d);
}

const char *dtype_name(DType d)
{
    return DTYPES[d].name;
}
