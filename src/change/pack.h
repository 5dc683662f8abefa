/* One pack of a git repository and its index, read without trusting either.
 *
 * libgit2 maps both and believes them: an offset behind the end of the pack ends in a segmentation fault, a chain of
 * deltas that bites its own tail never ends.  Here every offset, length and chain is checked where it is used, so
 * that one bad entry costs one object and not the pack.  A pack is the bytes "PACK", a version, a count, the entries
 * and a checksum; an entry is a whole object or a delta against another entry, deflated.  The index records where the
 * entry of an id begins (gitformat-pack(5)). */
#ifndef CHANGE_PACK_H
#define CHANGE_PACK_H

#include <stdint.h>

#include "base/file.h"
#include "base/table.h"

typedef enum { OBJECT_NONE, OBJECT_COMMIT, OBJECT_TREE, OBJECT_BLOB, OBJECT_TAG } ObjectType; /* git's numbers */
typedef struct {
    ObjectType type;
    size_t size;
    char *bytes; /* size bytes and a final NUL */
} Object;

typedef struct {
    const char *path; /* of the index */
    Bytes pack, index;
    const unsigned char *fan, *name, *offset, *far; /* tables of the index; far holds the offsets of 64 bits */
    size_t stride;                                  /* from one name to the next */
    uint32_t n;
    size_t n_far;
} Pack;

/* NULL, or the fault of the pack or its index; the caller then leaves it out. */
const char *pack_open(Pack *, Arena *, const char *index_path);
void pack_close(Pack *);
/* The place of the first id that is not below `id`, in 0..n; names are in order. */
uint32_t pack_place(const Pack *, const unsigned char id[20]);
const unsigned char *pack_id(const Pack *, uint32_t place);

/* Objects that others are deltas against, kept for the next one: within a history they come again and again. */
typedef struct {
    Arena arena, work[2];
    Table at; /* pack and offset -> place in `kept` */
    Object *kept;
    int64_t n;
    size_t *chain; /* room for the offsets of a chain of deltas */
} PackCache;
PackCache pack_cache_open(void);
void pack_cache_close(PackCache *);
/* The object at a place.  NULL, or its fault; bytes are on the arena. */
const char *pack_read(PackCache *, const Pack *, uint32_t place, Arena *, Object *out);
/* The same without its bytes. */
const char *pack_header(const Pack *, uint32_t place, ObjectType *, size_t *size);

enum { DEFLATE_MOST = 1032 }; /* no byte inflates to more */
/* Inflates to exactly `size` bytes; false when the stream is damaged or shorter or longer than that.  *used: the
 * bytes of the stream. */
bool pack_inflate_exactly(const char *in, size_t n_in, char *out, size_t size, size_t *used);
size_t pack_inflate_start(const char *in, size_t n_in, char *out,
                          size_t room); /* the first bytes, as far as they go */

#endif
