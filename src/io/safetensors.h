/* safetensors, the weight files of Hugging Face: 8 bytes N, N bytes of JSON that name each tensor's dtype, shape
 * and place, then the values, row-major and little-endian (https://github.com/huggingface/safetensors).
 *
 * Every rule of the format is checked before anything is handed out: header size, UTF-8, duplicate names, dtypes,
 * shapes, and that the tensors fill the data area without hole or overlap.  Each fault of a file is answered
 * with E_FORMAT and the tensor's name.  Writing goes to a temporary file and is renamed. */
#ifndef IO_SAFETENSORS_H
#define IO_SAFETENSORS_H

#include "io/weights.h"

Status safetensors_open(Weights **out, Arena *run, const char *path);

typedef struct {
    const char *name;
    Tensor value;
} Named;
/* Ordered by dtype size and name; `meta` gains {"format":"pt"}, without which some readers refuse the file. */
Status safetensors_write(const char *path, const Named *, int n, const Meta *meta, int n_meta);
/* The same of tensors as files hold them, of any stored dtype. */
Status safetensors_write_stored(const char *path, const Stored *, int n, const Meta *meta, int n_meta);

#endif
