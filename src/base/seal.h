/* Sealed texts and lists of files, for what an interrupted command leaves to the next one.  It may have been cut,
 * altered or lost meanwhile, and is believed only as it was written.
 *
 * The last line of a sealed text is the SHA-256 of all lines before it.  A sealed list of files is such a text: a
 * title, which is the caller's, and then "SHA-256 bytes path" of each file.
 *
 *     TRY(seal_files("out/encoder.sha256", "complete", "out/encoder", NULL, arena));
 *     if (seal_read(&text, "out/encoder.sha256", arena) && seal_holds(text, "out/encoder", arena)) return OK; */
#ifndef BASE_SEAL_H
#define BASE_SEAL_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

Status seal_write(const char *path, const char *text, Arena *);
/* The text without its last line; false where there is none, or another one than was written.  Leaves no error. */
bool seal_read(const char **text, const char *path, Arena *);

/* Adds "SHA-256 bytes path" of a file of `dir`, or of every file below that directory of it. */
Status seal_add(Buf *list, const char *dir, const char *name);
/* Lists the files below `dir` that `takes` wants, by name; NULL: all. */
Status seal_files(const char *path, const char *title, const char *dir, bool (*takes)(const char *name), Arena *);
/* Whether each file of the list, below its title, is there with the size and the SHA-256 that it had.  Leaves no
 * error. */
bool seal_holds(const char *text, const char *dir, Arena *);

#endif
