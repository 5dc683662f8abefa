/* .npy, the array file of numpy: magic and version, a header of one Python dict {'descr', 'fortran_order', 'shape'},
 * then the values (numpy/lib/format.py; versions 1.0 to 3.0).
 *
 * Read are little-endian and one-byte dtypes: bool, i1 to i8, u1 to u4, f2, f4, f8; others, object arrays among
 * them, are refused by name.  An array in Fortran's order is given out in C's.  Each fault of a file is
 * E_FORMAT with its path.  Written is version 1.0 in C order, values on 64 bytes, through a temporary file. */
#ifndef IO_NPY_H
#define IO_NPY_H

#include "io/weights.h"

/* The array as the one tensor of a Weights, named "array": stored_tensor() and the like serve. */
Status npy_open(Weights **out, Arena *run, const char *path);
Status npy_read(Tensor *out, Arena *, const char *path); /* a copy; dtypes as stored_tensor() has them */
Status npy_write(const char *path, Tensor);              /* F32, F64 and I32; BF16, which numpy lacks, as F32 */
bool npy_looks_like(const char *first, size_t n);        /* by the first bytes of a file */

#endif
