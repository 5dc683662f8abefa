/* Files that a download left in the place of others: each is recognised by its first bytes. */
#ifndef BASE_DOWNLOAD_H
#define BASE_DOWNLOAD_H

#include <stdbool.h>
#include <stddef.h>

/* "is a git-lfs pointer, ...": the rest of a sentence that begins with the file's name; NULL where the bytes may be
 * those that were wanted.  A JSON text counts as a server's message unless `json` is expected. */
const char *download_fault(const char *first, size_t n, bool json);

#endif
