/* safetensors, the weight files of Hugging Face: 8 bytes N, N bytes of JSON that name each tensor's dtype, shape
 * and place, then the values, row-major and little-endian (https://github.com/huggingface/safetensors).
 *
 * Reading maps the file.  Every rule of the format is checked before anything is handed out: header size, UTF-8,
 * duplicate names, dtypes, shapes, and that the tensors fill the data area without hole or overlap.  What a file
 * can get wrong is answered with E_FORMAT and the tensor's name.  Writing goes to a temporary file and is renamed.
 *
 *     Weights *w;
 *     TRY(safetensors_open(&w, run, path));
 *     const Stored *s = weights_find(w, "wte.weight");
 *     if (s) TRY(stored_read(param->val, s));
 *     weights_close(w);                                     views into the file end here */
#ifndef IO_SAFETENSORS_H
#define IO_SAFETENSORS_H

#include "base/err.h"
#include "num/tensor.h"

/* The dtypes whose elements are whole bytes, except the eight-bit floats, U64 and complex numbers. */
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
    STORED_F64
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
Status safetensors_open(Weights **out, Arena *run, const char *path);
/* A checkpoint directory: model.safetensors, or the shards that model.safetensors.index.json lists. */
Status safetensors_open_dir(Weights **out, Arena *run, const char *dir);
void weights_close(Weights *); /* NULL is fine */
int weights_n(const Weights *);
const Stored *weights_at(const Weights *, int i); /* in the order of the file's data */
const Stored *weights_find(const Weights *, const char *name);
const char *weights_meta(const Weights *, const char *key); /* NULL when absent */
const char *weights_path(const Weights *);                  /* what was opened */

double stored_get(const Stored *, int64_t i);
const char *stored_type(const Stored *);  /* "F16", ... */
const char *stored_shape(const Stored *); /* "[2, 3]"; four live at a time per thread */
/* Copies into a tensor of the same shape, converting; E_MISMATCH names both shapes, E_FORMAT an integer that I32
 * cannot hold. */
Status stored_read(Tensor into, const Stored *);
/* A tensor of it: a view of the file where dtype and alignment allow, else a copy on the arena.  F16 becomes F32,
 * and every integer I32. */
Status stored_tensor(Tensor *out, Arena *, const Stored *);

typedef struct {
    const char *name;
    Tensor value;
} Named;
/* Ordered by dtype size and name; `meta` gains {"format":"pt"}, without which some readers refuse the file. */
Status safetensors_write(const char *path, const Named *, int n, const Meta *meta, int n_meta);

#endif
