/* Pickles of PyTorch, read in a closed world: nothing is imported and nothing is called.  The few globals that a
 * state dict needs are known by name and become tags, and so are those of values that training leaves beside it, as
 * numpy's scalars, of which nothing is kept.  Any other global, and any opcode beyond those that torch.save writes
 * (protocols 2 to 5), is E_FORMAT with its name and place.
 *
 * Format: Python's pickletools (opcodes) and torch/serialization.py (persistent ids, _rebuild_tensor_v2).
 * Limits: a pickle of 64 MiB, a stack and a memo of a million entries each. */
#ifndef IO_PICKLE_H
#define IO_PICKLE_H

#include "base/err.h"
#include "io/weights.h"

typedef enum {
    PICKLED_NONE,
    PICKLED_INT, /* and True, False */
    PICKLED_REAL,
    PICKLED_TEXT,
    PICKLED_TUPLE,
    PICKLED_LIST,
    PICKLED_DICT,    /* item: key, value, key, value, ... */
    PICKLED_GLOBAL,  /* a tag: `global`, and `type` for a storage class */
    PICKLED_STORAGE, /* item: the tuple of a persistent id */
    PICKLED_TENSOR,  /* item: the arguments of _rebuild_tensor_v2 */
    PICKLED_OPAQUE   /* an object beside the tensors, of which nothing is kept */
} PickledKind;
typedef enum { GLOBAL_DICT, GLOBAL_TENSOR, GLOBAL_PARAMETER, GLOBAL_SIZE, GLOBAL_STORAGE, GLOBAL_BESIDE, GLOBAL_UNKNOWN } Global;
typedef struct Pickled Pickled;
struct Pickled {
    PickledKind kind;
    Global global;
    StoredType type;
    int64_t whole; /* or bytes of a text, without its NUL */
    double real;
    const char *text; /* on the arena, NUL-ended */
    Pickled **item;
    int n, room;
};

typedef struct {
    const char *path; /* for messages */
    const char *bytes;
    size_t len, at;       /* at: where the next pickle begins; moves behind each one read */
    bool scan;            /* unknown globals are noted, not refused */
    const char **globals; /* "module name", each once, in order of appearance */
    int n_globals, room;
} PickleFile;

const char *pickle_storage(StoredType); /* "FloatStorage" for F32; NULL where torch has none */

Status pickle_read(Pickled **out, Arena *, PickleFile *);         /* one object, to its STOP */
const Pickled *pickled_get(const Pickled *dict, const char *key); /* NULL when absent or no dict */

#endif
