/* The manifest of a directory (folder.h) as it was found there. */
#ifndef RUN_FOUND_H
#define RUN_FOUND_H

#include <sys/types.h>

#include <fts.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* A file that a manifest lists.  Manifests of before have the path only. */
typedef struct {
    const char *path; /* relative */
    double bytes;
    const char *hash; /* SHA-256, or NULL */
} Listed;

/* A manifest as it was read. */
typedef struct {
    bool there, done;
    const char *damage; /* the fault of one that begins as the program's own do */
    const char *command;
    KeyValue *set;
    int n;
    Listed *file; /* in order */
    int files;
} Found;

/* No file is no error, nor is a damaged manifest of this program.  E_FORMAT: any other file of that name. */
Status found_read(Found *, Arena *, const char *path);
bool found_lists(const Found *, const char *file);

#define FOLDER_CONTENT "sha256 " /* the prefix of the value of a setting that names an input */
/* The files below a directory in the order of their names, for fts_read() and fts_close(). */
FTS *folder_walk(const char *path, int how);

#endif
