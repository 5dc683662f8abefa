/* The directory of a zip file whose entries are stored, not compressed: all that torch.save and numpy.savez need.
 * Entries are views of the mapping.  Compressed or encrypted entries, equal names, names that leave the archive, and
 * anything that reaches beyond the file are E_FORMAT.
 * Format: APPNOTE.TXT 6.3 of PKWARE, with zip64. */
#ifndef IO_ZIP_H
#define IO_ZIP_H

#include "base/file.h"

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

#endif
