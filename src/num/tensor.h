/* A tensor is a view passed by value: it never owns.  Row-major and contiguous, always; dim[0] is outermost.
 * There are no strides: heads are split by arithmetic inside the attention kernels, a transposed matrix is a
 * flag of gemm(), and slices of dim[0] are views.  Only src/num and src/ad dereference `data`; everyone else
 * uses tensor_get/set, the statistics in num/stats.h, or hooks. */
#ifndef NUM_TENSOR_H
#define NUM_TENSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

/* F32 computes; F64 is the oracle; I32 holds ids.  The others only store: BF16 and F16, and the types of GGUF files
 * (num/blocks.h), in which a block of 32 or 256 elements of the innermost dimension shares a scale. */
typedef enum { F32, F64, BF16, I32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K } DType;
typedef struct {
    uint16_t bits; /* upper half of an F32; a struct so that it cannot be added by accident */
} Bf16;

enum { MAX_RANK = 4 };
typedef struct {
    void *data;
    int64_t dim[MAX_RANK];
    int rank;
    DType dtype;
} Tensor;

/* SHAPE(2, 3) stands for the two arguments (int rank, const int64_t *dim). */
#define SHAPE(...)                                                                                                   \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[])                                     \
    {                                                                                                                \
        __VA_ARGS__                                                                                                  \
    }

Tensor tensor_new(Arena *, DType, int rank, const int64_t *dim); /* not cleared */
Tensor tensor_zero(Arena *, DType, int rank, const int64_t *dim);
Tensor tensor_copy(Arena *, Tensor);
Tensor tensor_cast(Arena *, Tensor, DType);                          /* a converted copy; I32 truncates */
Tensor tensor_over(void *data, DType, int rank, const int64_t *dim); /* a view of memory that lives elsewhere */
Tensor tensor_at(Tensor, int64_t i);                                 /* slice i of dim[0], shares data */
Tensor tensor_rows(Tensor, int64_t first, int64_t n);                /* slices first..first+n-1 of dim[0] */
Tensor tensor_reshape(Tensor, int rank, const int64_t *dim);         /* same count, shares data */
int64_t tensor_count(Tensor);                                        /* elements; 1 for rank 0 */
int64_t tensor_last(Tensor);                                         /* size of the innermost dimension */
size_t tensor_bytes(Tensor);
double tensor_get(Tensor, int64_t i);       /* flat index, any dtype; an element of a block costs the whole block */
void tensor_set(Tensor, int64_t i, double); /* no block type */
void *tensor_place(Tensor, int64_t i);   /* address of element i, flat, the first of a block; for kernels' callers */
void tensor_put(Tensor to, Tensor from); /* the elements of `from`, as many, converted; `to` has no block type */
void tensor_fill(Tensor, double);
int64_t tensor_argmax(Tensor); /* flat index of the largest element, the first of equals; 0 when none compares */
/* Flat index of the first NaN or infinity, -1 without one; `allow_neg_inf` lets -infinity pass. */
int64_t tensor_find_nonfinite(Tensor, bool allow_neg_inf);
Status tensor_finite(Tensor, const char *what); /* E_NUMERIC, "what(2,3): element 4 is nan, ...", unless all are */
bool tensor_same_shape(Tensor, Tensor);
const char *tensor_shape(Tensor); /* "(2,6,8)"; eight live at a time per thread */
size_t dtype_size(DType);         /* bytes of an element, or of a block */
int64_t dtype_block(DType);       /* elements of a block; 1 where there are none */
bool dtype_is_half(DType);        /* BF16 or F16 */
bool dtype_is_block(DType);       /* Q4_0 to Q6_K */
bool dtype_is_narrow(DType);      /* either: held in fewer bits than F32, and widened to it exactly */
const char *dtype_name(DType);    /* "F32", ... as safetensors writes them */

float bf16_to_f32(Bf16);
Bf16 bf16_from_f32(float); /* round to nearest even; NaN stays NaN */

#endif
