/* Files: read whole, written whole.  A writer writes beside its target and renames on close, so that a
 * reader, a full disk or Ctrl-C never sees half a file.  Writer errors are sticky: write freely, then TRY
 * writer_close(), which reports the first one and leaves no temporary file behind.  A path that names a device
 * or a pipe is written to directly: renaming over it would replace it by a file.  A symbolic link stays one: the
 * file that it leads to is replaced.  Of several ranks (ranks.h) the first one writes and removes, while the others
 * wait. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/err.h"

typedef struct {
    char *text; /* len bytes and a final NUL */
    size_t len;
} Bytes;
Status file_read(Bytes *out, Arena *, const char *path); /* E_IO names the path and the reason */
Status file_map(Bytes *out, const char *path);           /* read-only mapping, no final NUL; text NULL if empty */
void file_unmap(Bytes);
bool file_is_dir(const char *path);
Status file_there(const char *path);                /* E_IO: nothing can be read there; NULL: nothing is asked for */
const char *file_folder(Arena *, const char *path); /* that a file lies in; of anything else the path itself */
Status file_make_dir(const char *path);             /* with its parents; an existing one is fine */

/* A file that the user named: a writer to it leaves an existing file.  Where it would write the same bytes, the file
 * stays and all is well; else E_CONFIG, at the first difference, names --overwrite. */
Status file_protect(const char *path);
Status file_writable(
    const char *path); /* E_IO: a directory, or nothing can be written there; checked before the work */

typedef struct {
    FILE *file, *before;                            /* before: a protected file, with which all is compared */
    char path[4096], target[4096], temporary[4112]; /* temporary is empty for a device and in a comparison */
    bool resumable;                                 /* the temporary file outlives a signal */
    int error;                                      /* the first errno, 0 while all is well */
} Writer;
Status writer_open(Writer *, const char *path); /* E_IO also when another process is writing the file */
Status writer_status(const Writer *);           /* the first error so far, for long work that would be in vain */
void writer_add(Writer *, const void *bytes, size_t n);
void writer_print(Writer *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void writer_csv(Writer *, const char *text); /* one field of a CSV (RFC 4180), quoted where it must be */
void writer_csv_number(Writer *, double);    /* a comma and the number; empty unless it is finite */
Status writer_close(Writer *);               /* flush, sync, rename */
/* A long writing that may be killed: writer_save makes the text so far safe and returns its length, which the
 * caller records; writer_keep closes and leaves the temporary file; writer_resume goes on after its first `bytes`. */
Status writer_save(Writer *, int64_t *bytes);
Status writer_keep(Writer *);
Status writer_resume(Writer *, const char *path, int64_t bytes);
void writer_abandon(Writer *);                                    /* close and remove the temporary file */
void file_remove(const char *path);                               /* it, and the leftovers of a killed writer of it */
void writers_remove(void);                                        /* the open ones, from a signal handler */
Status file_write(const char *path, const void *bytes, size_t n); /* the three calls above in one */

#endif
