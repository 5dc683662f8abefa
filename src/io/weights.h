/* The tensors of a checkpoint, whatever container they lie in: safetensors (io/safetensors.h), or a file of
 * torch.save (io/torch.h), or GGUF (io/gguf.h), or the one array of an .npy file (io/npy.h).  Files are mapped and
 * values converted on the way out, so opening costs the header alone.
 *
 *     Weights *w;
 *     TRY(weights_open(&w, run, path));                     a directory, an index, or a file of either kind
 *     const Stored *s = weights_find(w, "wte.weight");
 *     if (s) TRY(stored_read(param->val, s));
 *     weights_close(w);                                     views into the files end here */
#ifndef IO_WEIGHTS_H
#define IO_WEIGHTS_H

#include "base/err.h"
#include "num/tensor.h"

/* The dtypes whose elements are whole bytes, except the eight-bit floats, U64 and complex numbers; and the blocks of
 * GGUF files (num/blocks.h), which read as F32. */
typedef enum {
    STORED_BOOL,
    STORED_U8,
    STORED_I8,
    STORED_F16,
    STORED_BF16,
    STORED_I16,
    STORED_U16,
    STORED_I32,
    STORED_U32,
    STORED_F32,
    STORED_I64,
    STORED_F64,
    STORED_Q4_0,
    STORED_Q4_1,
    STORED_Q5_0,
    STORED_Q5_1,
    STORED_Q8_0,
    STORED_Q2_K,
    STORED_Q3_K,
    STORED_Q4_K,
    STORED_Q5_K,
    STORED_Q6_K
} StoredType;
enum { STORED_RANK = 8 };
typedef struct { /* a tensor as it lies in a file */
    const char *name;
    StoredType type;
    int rank;
    int64_t dim[STORED_RANK];
    int64_t count;     /* elements */
    const void *bytes; /* in the mapping, possibly unaligned */
    size_t n_bytes;
    const char *file; /* for messages */
} Stored;

typedef struct {
    const char *key, *value;
} Meta;

typedef struct Weights Weights;
/* A hub name (base/hf_cache.h) stands for its directory.  A directory holds model.safetensors or its index of shards,
 * else pytorch_model.bin or its index, else one GGUF model; a file by its first bytes.  E_IO, E_FORMAT. */
Status weights_open(Weights **out, Arena *run, const char *path);
void weights_close(Weights *); /* NULL is fine */
/* Lent memory stays: the mappings go over to the arena, private and writable; a page is copied when it is written
 * to, so the file never changes.  weights_close() then has nothing to do. */
Status weights_keep(Weights *, Arena *);
/* A tensor has been copied: its pages of the file need not stay in memory.  It can be read again.  Not after
 * weights_keep(): changes of a lent value would be lost. */
void weights_release(const Weights *, const Stored *);
/* Takes `prefix` off every name that begins with it.  A name beside those loses the parts that it shares with the
 * prefix: with "model.encoder." off, "model.classifier.weight" is classifier.weight.  E_FORMAT: two names
 * became one. */
Status weights_unprefix(Weights *, Arena *run, const char *prefix);
const char *weights_dropped(const Weights *); /* the beginning that a reader took off every name, or "" */
int weights_n(const Weights *);
const Stored *weights_at(const Weights *, int i); /* in the order of the file's data */
const Stored *weights_find(const Weights *, const char *name);
const char *weights_meta(const Weights *, const char *key); /* NULL when absent */
const char *weights_path(const Weights *);                  /* the path that was opened */

/* Written through a temporary file; where the name ends in .bin as torch.save does, else as safetensors. */
Status weights_write(const char *path, const Stored *, int n);

double stored_get(const Stored *, int64_t i);
bool stored_same_bytes(const Stored *, const Stored *);  /* tied: one value under two names */
bool stored_same_values(const Stored *, const Stored *); /* in number and order, whatever their types */
/* The same tensor with elements of another floating type, on the arena, rounded to nearest; an integer tensor is
 * returned as it is.  *worst, when not NULL, is raised to the largest change of a value; an overflow becomes
 * infinite, as a conversion does anywhere. */
Stored stored_convert(Arena *, const Stored *, StoredType, double *worst);
/* A tensor as a file would hold it; the values stay where they are. */
Stored stored_of(const char *name, Tensor);
bool stored_is_float(const Stored *);
bool stored_is_block(const Stored *);                     /* quantised: reads as F32, and is never written */
bool stored_type_find(StoredType *out, const char *name); /* by the name that safetensors gives it: "F16" */
bool stored_is_narrow(const Stored *);                    /* F16, BF16 or blocks */
DType stored_dtype(const Stored *);                       /* the same type in memory; of a narrow one */
const char *stored_type(const Stored *);                  /* "F16", ... */
const char *stored_shape(const Stored *);                 /* "[2, 3]"; four live at a time per thread */
/* Copies into a tensor of the same shape, converting; E_MISMATCH names both shapes, E_FORMAT an integer that I32
 * cannot hold. */
Status stored_read(Tensor into, const Stored *);
/* into->data becomes the file's own bytes; false where dtype or alignment do not allow it.  The shape must be the
 * same.  Such a value may be written to once weights_keep() was called. */
bool stored_lend(Tensor *into, const Stored *);
/* A tensor of it: a view of the file where dtype and alignment allow, else a copy on the arena.  F16 becomes F32,
 * and every integer I32. */
Status stored_tensor(Tensor *out, Arena *, const Stored *);

#endif
