/* The inside of a Weights, for the files of this directory that read a container into one. */
#ifndef IO_READER_H
#define IO_READER_H

#include "base/file.h"
#include "io/weights.h"

struct Weights {
    const char *path, *off; /* off: the beginning dropped from all names, or NULL */
    Bytes *map;
    int n_maps;
    Stored *at;            /* by place in the data */
    const Stored **sorted; /* by name */
    int n;
    Meta *meta;
    int n_meta;
};

size_t stored_size(StoredType);   /* bytes of an element, or of a block */
int64_t stored_block(StoredType); /* elements of a block; 1 where there are none */

Weights *weights_new(Arena *run, const char *path, int maps); /* with room for so many mapped files */
Status weights_sort(Weights *, Arena *run);                   /* by name, once all are there; E_FORMAT: one twice */
Status weights_opened(Weights **out, Weights *, Status);      /* hands it out, or closes it */

/* Each adds the tensors of one more file; the caller sorts. */
Status safetensors_add(Weights *, Arena *run, const char *path);
Status torch_add(Weights *, Arena *run, const char *path);
Status npy_add(Weights *, Arena *run, const char *path);
Status gguf_add(Weights *, Arena *run, const char *path); /* under their Hugging Face names */

#endif
