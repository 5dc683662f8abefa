/* A run directory is removed by its own list: files that no manifest of it names stay. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dirs.h"
#include "run/folder.h"
#include "run/found.h"
#include "run/lock.h"

#define WORK "unfinished"

static void remove_one(Removed *out, const char *path)
{
    struct stat st;
    if (lstat(path, &st) || unlink(path)) return;
    out->files++;
    out->bytes += (double)st.st_size;
}

/* Everything in DIR/unfinished is of the program: it was made there.  The manifest goes last, so that the rest of a
 * removal which was killed is still known as this work. */
static void remove_work(Removed *out, Arena *a, const char *dir)
{
    const char *work = str_print(a, "%s/" WORK, dir), *last = str_print(a, "%s/manifest.json", work);
    struct stat st;
    if (lstat(work, &st) || !S_ISDIR(st.st_mode)) return;
    FTS *tree = folder_walk(work, FTS_PHYSICAL);
    for (FTSENT *e; (e = fts_read(tree));) {
        if (e->fts_info == FTS_D || !strcmp(e->fts_path, last)) continue;
        if (e->fts_info == FTS_DP)
            rmdir(e->fts_accpath);
        else
            remove_one(out, e->fts_accpath);
    }
    fts_close(tree);
    remove_one(out, last);
    rmdir(work);
}

/* The listed files, the directories that become empty, and the manifest last. */
static void remove_listed(Removed *out, Arena *a, const char *dir, const Found *m)
{
    for (int i = 0; i < m->files; i++) {
        const char *path = str_print(a, "%s/%s", dir, m->file[i].path);
        remove_one(out, path);
        dirs_remove_empty(str_print(a, "%.*s", (int)(strrchr(path, '/') - path), path), strlen(dir));
    }
    remove_one(out, str_print(a, "%s/manifest.json", dir));
}

/* The link `latest` beside a directory that is gone. */
static void remove_latest(Arena *a, const char *dir)
{
    const char *slash = strrchr(dir, '/');
    const char *link = slash ? str_print(a, "%.*s/latest", (int)(slash - dir), dir) : "latest";
    struct stat st;
    if (!lstat(link, &st) && S_ISLNK(st.st_mode) && stat(link, &st)) unlink(link);
}

/* E_FORMAT: neither a result nor work of this program is there. */
static Status find(Found *result, Arena *a, const char *dir, bool work_alone)
{
    Found work;
    TRY(found_read(result, a, str_print(a, "%s/manifest.json", dir)));
    TRY(found_read(&work, a, str_print(a, "%s/" WORK "/manifest.json", dir)));
    if (work_alone) *result = (Found){0};
    if (result->damage) return err_fail(E_FORMAT, "%s; its files are not known and stay", result->damage);
    if (result->there || work.there) return OK;
    return err_fail(E_FORMAT, "%s: no manifest.json there or in " WORK "/, expected a run directory", dir);
}

Status folder_remove(Removed *out, Arena *a, const char *dir, bool work_alone)
{
    Found result;
    int lock;
    *out = (Removed){0};
    TRY(find(&result, a, dir, work_alone));
    TRY(lock_take(&lock, a, dir));
    if (result.there) remove_listed(out, a, dir, &result);
    remove_work(out, a, dir);
    lock_give(&lock, a, dir);
    const char *slash = strrchr(dir, '/');
    dirs_remove_empty(dir, slash ? (size_t)(slash - dir) : 0);
    out->stays = !access(dir, F_OK);
    if (!out->stays) remove_latest(a, dir);
    return OK;
}
