/* The inputs of a command, each as the hash of its content. */
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/sha256.h"
#include "run/folder.h"
#include "run/found.h"

/* Whether one of the patterns, which have bars between them, is that of the file. */
static bool is_read(const char *patterns, const char *name)
{
    char one[256];
    for (const char *p = patterns; *p; p += strcspn(p, "|"), p += *p == '|') {
        snprintf(one, sizeof one, "%.*s", (int)strcspn(p, "|"), p);
        if (!fnmatch(one, name, FNM_PATHNAME)) return true;
    }
    return false;
}

/* One hash of names and contents of all files below a directory that match the patterns. */
static Status hash_below(Sha256Hex *out, const char *dir, const char *patterns)
{
    enum { DEPTH = 4 }; /* of the patterns at most: the rest of a large directory is not looked through */
    Sha256 all = sha256_begin();
    Status status = OK;
    FTS *tree = folder_walk(dir, FTS_LOGICAL);
    for (FTSENT *e; !status && (e = fts_read(tree));) {
        Sha256Hex one;
        const char *name = e->fts_path + strlen(dir);
        name += strspn(name, "/");
        if (e->fts_info == FTS_D && e->fts_level >= DEPTH) fts_set(tree, e, FTS_SKIP);
        if (e->fts_info != FTS_F || !is_read(patterns, name)) continue;
        status = sha256_file(&one, e->fts_path);
        sha256_add(&all, name, strlen(name) + 1);
        sha256_add(&all, one.hex, sizeof one.hex);
    }
    fts_close(tree);
    *out = sha256_end(&all);
    return status;
}

Status folder_reads(Folder *f, const char *key, const char *path, const char *patterns)
{
    Sha256Hex hash;
    if (file_is_dir(path))
        TRY(hash_below(&hash, path, patterns));
    else
        TRY(sha256_file(&hash, path));
    folder_set(f, key, FOLDER_CONTENT "%.16s", hash.hex);
    f->input[f->n - 1] = path;
    return OK;
}

Status folder_input(Folder *f, const char *key, const char *path)
{
    return folder_reads(f, key, path, "*");
}
