/* Every function works on a mark of the arena, so that a training which seals often does not grow. */
#include "base/seal.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/sha256.h"

enum { HEX = 64 };

static Sha256Hex hash_of(const char *text, size_t n)
{
    Sha256 s = sha256_begin();
    sha256_add(&s, text, n);
    return sha256_end(&s);
}

Status seal_write(const char *path, const char *text, Arena *a)
{
    ArenaMark mark = arena_mark(a);
    const char *sealed = str_print(a, "%s%s\n", text, hash_of(text, strlen(text)).hex);
    Status status = file_write(path, sealed, strlen(sealed));
    arena_drop(a, mark);
    return status;
}

bool seal_read(const char **text, const char *path, Arena *a)
{
    Bytes all;
    if (file_read(&all, a, path)) {
        err_clear();
        return false;
    }
    if (all.len < HEX + 1 || all.text[all.len - 1] != '\n') return false;
    size_t n = all.len - HEX - 1;
    if (memcmp(all.text + n, hash_of(all.text, n).hex, HEX) != 0) return false;
    all.text[n] = 0;
    *text = all.text;
    return true;
}

/* ---- lists of files */

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* Whether a killed writer has left this file (base/file.h). */
static bool is_half(const char *name)
{
    return str_glob("*.vernier.part", name);
}

/* `begin` is the length of the part of a path that the list leaves out. */
static Status add_files(Buf *out, const char *path, size_t begin, bool (*takes)(const char *))
{
    char *roots[] = {(char *)(uintptr_t)path, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    if (!tree) return err_fail(E_IO, "%s: %s", path, strerror(errno));
    Status status = OK;
    for (FTSENT *e; !status && (e = fts_read(tree));) {
        Sha256Hex hash;
        const char *name = e->fts_path + begin;
        if (e->fts_info == FTS_NS) status = err_fail(E_IO, "%s: %s", e->fts_path, strerror(e->fts_errno));
        if (e->fts_info != FTS_F || is_half(name) || (takes && !takes(name))) continue;
        status = sha256_file(&hash, e->fts_path);
        if (!status) buf_print(out, "%s %lld %s\n", hash.hex, (long long)e->fts_statp->st_size, name);
    }
    fts_close(tree);
    return status;
}

Status seal_add(Buf *list, const char *dir, const char *name)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        return err_fail(E_IO, "%.60s...: the path is longer than %zu bytes", dir, sizeof path);
    return add_files(list, path, strlen(dir) + 1, NULL);
}

Status seal_files(const char *path, const char *title, const char *dir, bool (*takes)(const char *name), Arena *a)
{
    ArenaMark mark = arena_mark(a);
    Buf list = buf_open(a);
    buf_print(&list, "%s\n", title);
    Status status = add_files(&list, dir, strlen(dir) + 1, takes);
    if (!status) status = seal_write(path, list.text, a);
    arena_drop(a, mark);
    return status;
}

static bool is_same(const char *path, const char *hex, long long bytes)
{
    struct stat st;
    Sha256Hex hash;
    if (lstat(path, &st) || !S_ISREG(st.st_mode) || st.st_size != bytes) return false;
    bool same = !sha256_file(&hash, path) && !strcmp(hash.hex, hex);
    err_clear();
    return same;
}

bool seal_holds(const char *text, const char *dir, Arena *a)
{
    bool same = true;
    const char *line = strchr(text, '\n');
    for (line = line ? line + 1 : ""; same && *line; line += strcspn(line, "\n") + 1) {
        char hex[HEX + 1];
        long long bytes;
        int at = 0;
        ArenaMark mark = arena_mark(a);
        same = sscanf(line, "%64s %lld %n", hex, &bytes, &at) == 2 && at > 0;
        if (same) same = is_same(str_print(a, "%s/%.*s", dir, (int)strcspn(line + at, "\n"), line + at), hex, bytes);
        arena_drop(a, mark);
    }
    return same;
}
