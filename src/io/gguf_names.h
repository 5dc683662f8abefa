/* What GGUF calls the keys and tensors of each architecture, and how its rows are ordered: tables for the reader
 * (io/gguf_weights.c, io/gguf_config.c) and for the writer of adapters. */
#ifndef IO_GGUF_NAMES_H
#define IO_GGUF_NAMES_H

#include "io/gguf.h"

/* The order of a tensor's rows in the file, where it is not the library's.  With D channels in a head:
 *   HEADS     a llama's query or key: pairs of channels that turn together are neighbours, (D/2, 2) for (2, D/2)
 *   HEADS_KV  the same with as many heads as keys have
 *   THIRDS    gptneox: all queries, all keys, all values, for query, key and value of each head in turn
 *   COLUMNS   gpt2: the weight is transposed */
typedef enum { ROWS_SAME, ROWS_HEADS, ROWS_HEADS_KV, ROWS_THIRDS, ROWS_COLUMNS } RowOrder;
typedef struct {
    const char *file, *name; /* without ".weight" or ".bias"; '#' stands for the number of a layer */
    RowOrder order;
    const char *plain; /* in place of `name` where the feed-forward has no gate, or NULL */
} GgufName;

typedef enum { KEY_INT, KEY_REAL, KEY_BOOL, KEY_IGNORED } KeyKind;
typedef struct {
    const char *file, *name; /* behind "ARCH."; in config.json.  A name that is NULL is read elsewhere, or not */
    KeyKind kind;
    bool needed;
} GgufKey;

typedef struct {
    const char *name, *type; /* general.architecture, and model_type of config.json */
    const GgufKey *keys;     /* ends with {0}, as does names */
    const GgufName *names;
    const char *left_out; /* glob over tensors that the library computes itself, or has no use for; may be NULL */
} GgufArch;

const GgufArch *gguf_arch(const char *name);         /* NULL: not supported */
const GgufArch *gguf_arch_of_type(const char *type); /* by model_type */
const char *gguf_arch_list(Arena *);                 /* "bert, gpt2, ..." */
/* The library's name of a file's tensor, and its entry; the name itself, and NULL, where no table has it. */
const char *gguf_name(const GgufName **entry, Arena *, const GgufArch *, const char *file, bool gated);
/* The other way, of a name without ".weight": NULL where the table has no such name. */
const char *gguf_file_name(const GgufName **entry, Arena *, const GgufArch *, const char *name);

/* Rows of `bytes` each into the library's order, or back into the file's.  n is a multiple of twice `heads`, or of
 * 3 `heads`, as gguf_rows_fit() says. */
bool gguf_rows_fit(RowOrder, int64_t n, int64_t heads);
void gguf_rows(void *to, const void *from, int64_t n, size_t bytes, RowOrder, int64_t heads, bool back);

#endif
