/* Which added files of a commit are deleted ones under another name, decided as git does (diffcore-rename).
 *
 *   1. The same content is a rename, whatever the files are and however many; a source of the same base name first.
 *   2. Of the code files that are left: a base name that one deleted and one added file have is a rename when 75 % of
 *      the larger file are in both.
 *   3. Of the rest every pair is compared, the most similar ones from 50 % on are renames; not when there are more
 *      than limit^2 pairs.
 *
 * The limit is the caller's; RENAME_LIMIT (git's default) is the default.  Neither
 * the user's configuration nor the repository's own (diff.renameLimit, diff.renames) is used: a clone does not
 * carry them, and two clones of one history must give the same measurements.
 *
 * Steps 2 and 3 compare code files only, so pictures and tables that come in the same commit do not use the limit
 * up.  Where a content cannot be read, whether it was renamed is unknown: such added files are marked `unsure`. */
#ifndef CHANGE_RENAMES_H
#define CHANGE_RENAMES_H

#include "change/repo.h"

enum { RENAME_LIMIT = 1000 };

typedef struct {
    bool (*is_code)(const RepoDelta *, void *user);                                /* of either path */
    bool (*contents)(Bytes *out, Arena *, const unsigned char id[20], void *user); /* false: cannot be read */
    bool (*stop)(void *user); /* called between comparisons; true ends them; may be NULL */
    int64_t limit;            /* of step 3; 0: none, as in git */
    void *user;
} RenameReader;

/* The list (n), sorted by path, without the sources of renames; each rename stands where its new path does.
 * *limited is true when step 3 was left out. */
void renames_find(RepoDelta *list, int64_t *n, bool *limited, Arena *, const RenameReader *);

/* How much of the larger content is in both, of RENAME_ALL, by runs of 64 bytes or to the end of a line. */
enum { RENAME_ALL = 60000 };
int rename_similarity(Arena *, Bytes from, Bytes to);

#endif
