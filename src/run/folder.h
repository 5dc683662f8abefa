/* A directory that one command fills, and that nothing but a complete result of the same command replaces.
 *
 *   Folder f = folder_begin(arena, "runs/a", "tune");
 *   folder_set(&f, "lr", "%g", lr);                        every option that decides the result, and
 *   TRY(folder_input(&f, "train", "commits.jsonl"));       the contents of the input files
 *   TRY(folder_open(&f, overwrite));                       rejected, new, resumed, or done before
 *   if (f.done) return show(f.path);
 *   status = work(f.path);                                 writes below f.path only
 *   return status ? folder_leave(&f, status, NULL) : folder_finish(&f, NULL);
 *
 * While the command works, f.path is DIR/unfinished.  Work that is killed stays there and is resumed by the next
 * command of the same settings.  DIR keeps its former result until folder_finish() moves the new one up, file by
 * file, and a move that is killed is completed by the next folder_open().  manifest.json lists the files of a result
 * with size and SHA-256: only these are ever removed, and a result is done only while all of them are as written.
 * It holds no times and no paths of its own, so that equal results are equal bytes.
 */
#ifndef RUN_FOLDER_H
#define RUN_FOLDER_H

#include <cjson/cJSON.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum { FOLDER_SETTINGS = 128 };

typedef struct {
    const char *path;    /* where to write, and where the result is when it is done */
    bool done;           /* DIR holds the result of the same command and settings: there is nothing to do */
    bool resumed;        /* `path` holds what an interrupted command of the same settings has left */
    const char *scratch; /* set by the command: files that are no part of the result (str_glob), or NULL */

    Arena *arena;
    const char *dir, *command;
    KeyValue set[FOLDER_SETTINGS];
    const char *input[FOLDER_SETTINGS]; /* the path of a setting that counts by its content, or NULL */
    int n, lock;
    size_t stood; /* the length of the part of the path that existed before, in bytes */
} Folder;

/* The arena must outlive the folder. */
Folder folder_begin(Arena *, const char *dir, const char *command);
void folder_set(Folder *, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The SHA-256 of a file, or of the files in a directory (such as those of a model).  E_IO. */
Status folder_input(Folder *, const char *key, const char *path);
/* The same of the files below a directory that one of the patterns names: "config.json|*.txt". */
Status folder_reads(Folder *, const char *key, const char *path, const char *patterns);
/* Eight hexadecimal digits of the settings. */
const char *folder_hash(const Folder *);

/* Makes DIR, or resumes its work.  With `overwrite` the work begins anew, and a former result is replaced once the
 * new one is complete.  E_CONFIG: DIR holds another result or an unfinished run (the settings that differ are named),
 * or files that no manifest lists.  E_IO: another process works in it.  E_FORMAT: its manifest is damaged, a file of
 * its result is missing or altered, or its .lock is not of this program. */
Status folder_open(Folder *, bool overwrite);
/* Writes the manifest of the work so far; the members of `more`, which it takes and which may be NULL, are added. */
Status folder_record(Folder *, const char *status, const char *message, cJSON *more);
/* The options of the command as a file that --config reads: f->path/options.json.  Files stand in it by their
 * paths. */
Status folder_options(const Folder *);
/* The work is complete: f->path becomes DIR, with its options.  E_MISMATCH: a file of DIR that no manifest lists
 * would be replaced. */
Status folder_finish(Folder *, cJSON *more);
/* The work has ended with a status that is not OK, which is returned; its files stay in DIR/unfinished. */
Status folder_leave(Folder *, Status, cJSON *more);
/* The same where there is nothing worth keeping: DIR is as it was before. */
Status folder_drop(Folder *, Status);
/* From the handler of a signal that ends the program: a folder in which nothing was written is as it was before. */
void folder_interrupted(void);

/* Removes the files that the manifests of DIR list, its unfinished work, and DIR where nothing else is in it; with
 * `work_alone` the unfinished work.  E_FORMAT: no run directory; E_IO: another process works in it. */
typedef struct {
    int files;
    double bytes;
    bool stays; /* DIR has other files, or still its result */
} Removed;
Status folder_remove(Removed *, Arena *, const char *dir, bool work_alone);

/* Makes the relative symbolic link `latest` next to DIR point at DIR. */
void folder_latest(const Folder *);

#endif
