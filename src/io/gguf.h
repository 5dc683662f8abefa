/* GGUF, the files of llama.cpp: a header of typed keys and values (the model's config and tokenizer), the list of
 * tensors, and their values.  Versions 2 and 3, little-endian.  No length is believed before it is checked against
 * the file, and every fault is E_FORMAT with the key's or the tensor's name.
 *
 *     const char *file;
 *     TRY(gguf_find(&file, run, path));                     NULL where `path` is no GGUF
 *     Gguf *g;
 *     TRY(gguf_open(&g, run, file));
 *     int64_t layers = 0;
 *     TRY(gguf_int(&layers, g, "llama.block_count", 1, 4096));
 *     gguf_close(g);                                        texts without a copy end here
 *
 * Format: docs/gguf.md of ggml (https://github.com/ggml-org/ggml). */
#ifndef IO_GGUF_H
#define IO_GGUF_H

#include "base/file.h"
#include "io/json.h"
#include "io/weights.h"

typedef enum { /* numbered as in files */
               GGUF_U8,
               GGUF_I8,
               GGUF_U16,
               GGUF_I16,
               GGUF_U32,
               GGUF_I32,
               GGUF_F32,
               GGUF_BOOL,
               GGUF_STRING,
               GGUF_ARRAY,
               GGUF_U64,
               GGUF_I64,
               GGUF_F64
} GgufKind;

typedef struct {
    const char *key;
    GgufKind kind; /* of the value, or of the elements of an array */
    bool is_array;
    int64_t n;      /* elements; 1 of a single value */
    const char *at; /* the first, in the file */
} GgufValue;

typedef struct {
    const char *path;
    Bytes file;
    int version;
    const GgufValue *value; /* by key */
    int n_values;
    Stored *tensor; /* under the file's own names, in its order */
    int n_tensors;
} Gguf;

/* Whether the first bytes of a file are GGUF's. */
bool gguf_looks_like(const char *first, size_t n);
/* The file that `path` names or, of a directory with weights of no other container, the one that lies in it, of a
 * split model the first; NULL where there is none.  E_IO: several models. */
Status gguf_find(const char **out, Arena *, const char *path);
Status gguf_open(Gguf **out, Arena *, const char *path); /* E_IO, E_FORMAT */
void gguf_close(Gguf *);

const GgufValue *gguf_value(const Gguf *, const char *key); /* NULL when absent */
/* A single value into *out, which keeps its own where the key is absent.  E_FORMAT: of another kind, or a number
 * outside [least, most]. */
Status gguf_int(int64_t *out, const Gguf *, const char *key, int64_t least, int64_t most);
Status gguf_real(double *out, const Gguf *, const char *key, double least, double most);
Status gguf_bool(bool *out, const Gguf *, const char *key);
Status gguf_text(const char **out, Arena *, const Gguf *, const char *key); /* a copy; E_FORMAT: holds a NUL */
/* Arrays, NULL and 0 where the key is absent; E_FORMAT: of another kind. */
Status gguf_texts(Bytes **out, int64_t *n, Arena *, const Gguf *,
                  const char *key); /* in the file, not ended by NUL */
Status gguf_ints(int32_t **out, int64_t *n, Arena *, const Gguf *, const char *key);
Status gguf_reals(float **out, int64_t *n, Arena *, const Gguf *, const char *key);

/* The metadata as config.json would describe the model, for cJSON_Delete.  E_FORMAT names an architecture, a key or a
 * value that is not supported. */
Status gguf_config(cJSON **out, Arena *, const Gguf *);
/* The same of the tokenizer, as tokenizer.json. */
Status gguf_tokenizer(cJSON **out, Arena *, const Gguf *);

typedef struct {
    const char *key, *text; /* text NULL: a number, F32 or U32 */
    double number;
    bool is_real;
} GgufPair;
/* Tensors are sorted by name; F16 stays, and other types become F32.  Through a temporary file. */
Status gguf_write(const char *path, const GgufPair *, int n_pairs, const Stored *, int n);

#endif
