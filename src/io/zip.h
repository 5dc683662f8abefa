/* The directory of a zip file whose entries are stored, not compressed: all that torch.save and numpy.savez need.
 * Entries are views of the mapping.  Compressed or encrypted entries, equal names, names that leave the archive, and
 * anything that reaches beyond the file are E_FORMAT.
 * Format: APPNOTE.TXT 6.3 of PKWARE, with zip64. */
#ifndef IO_ZIP_H
#define IO_ZIP_H

#include <stdint.h>

#include "base/file.h"
#include "base/str.h"

typedef struct {
    const char *name; /* on the arena */
    const char *bytes;
    size_t len;
} ZipEntry;
typedef struct {
    ZipEntry *at; /* by name */
    int n;
} Zip;
Status zip_open(Zip *, Arena *, Bytes file, const char *path);

/* Writing: entries in the order given, each aligned to 64 bytes; the same entries make the same bytes.  The writer's
 * errors are the caller's to close and hear of. */
typedef struct {
    Writer *to;
    Buf central;
    uint64_t at;
    int n;
    uint32_t crc[8][256];
} ZipWriter;
ZipWriter zip_begin(Arena *, Writer *);
void zip_add(ZipWriter *, const char *name, const void *bytes, size_t n);
void zip_end(ZipWriter *);

#endif
