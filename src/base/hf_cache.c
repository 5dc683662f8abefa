/* Names are checked before they become paths: a name from a command line or a file must not leave the cache. */
#include "base/hf_cache.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"

static const char *const WORD = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

/* "name" or "org/name": parts of letters, digits, '.', '_' and '-', none beginning with a dot or holding "--". */
static bool is_name(const char *s)
{
    size_t n = strspn(s, WORD);
    if (!n || *s == '.' || strstr(s, "--") || strlen(s) > 200) return false;
    if (!s[n]) return true;
    const char *rest = s + n + 1;
    return s[n] == '/' && *rest && *rest != '.' && strspn(rest, WORD) == strlen(rest);
}

static const char *set(const char *variable)
{
    const char *value = getenv(variable);
    return value && *value ? value : NULL;
}

const char *hf_home(Arena *a)
{
    const char *dir;
    if ((dir = set("HF_HOME")) != NULL) return dir;
    if ((dir = set("XDG_CACHE_HOME")) != NULL) return str_print(a, "%s/huggingface", dir);
    dir = set("HOME");
    return str_print(a, "%s/.cache/huggingface", dir ? dir : "");
}

static const char *cache_dir(Arena *a)
{
    const char *dir = set("HF_HUB_CACHE");
    return dir ? dir : str_print(a, "%s/hub", hf_home(a));
}

bool hf_cache_place(const char **model, const char **locks, Arena *a, const char *name)
{
    if (!is_name(name)) return false;
    const char *slash = strchr(name, '/'), *dir = cache_dir(a);
    const char *folder = slash ? str_print(a, "models--%.*s--%s", (int)(slash - name), name, slash + 1)
                               : str_print(a, "models--%s", name);
    *model = str_print(a, "%s/%s", dir, folder);
    *locks = str_print(a, "%s/.locks/%s", dir, folder);
    return true;
}

/* "main", "v1.0", "refs/pr/3": parts that would not leave the folder of references. */
static bool is_revision(const char *s)
{
    for (const char *part = s;; part++) {
        size_t n = strspn(part, WORD);
        if (!n || *part == '.') return false;
        part += n;
        if (!*part) return true;
        if (*part != '/') return false;
    }
}

/* The commit that a branch or tag stands for. */
static Status read_ref(const char **commit, Arena *a, const char *path)
{
    Bytes ref;
    TRY(file_read(&ref, a, path));
    size_t n = strspn(ref.text, WORD), blank = strspn(ref.text + n, " \r\n");
    if (!n || *ref.text == '.' || n + blank != ref.len)
        return err_fail(E_FORMAT, "%s: holds no revision, but '%.40s'", path, ref.text);
    *commit = str_copy(a, ref.text, n);
    return OK;
}

/* The snapshot of a revision: a commit that is there under its own name, or a reference to one. */
static Status find_snapshot(const char **out, Arena *a, const char *model, const char *name, const char *revision)
{
    *out = str_print(a, "%s/snapshots/%s", model, revision);
    if (!strchr(revision, '/') && !access(*out, F_OK)) return OK;
    const char *commit = NULL, *path = str_print(a, "%s/refs/%s", model, revision);
    if (access(path, F_OK))
        return err_fail(E_IO, "%s: the hub's cache has no revision '%s' of it: neither %s nor %s", name, revision,
                        path, *out);
    TRY(read_ref(&commit, a, path));
    *out = str_print(a, "%s/snapshots/%s", model, commit);
    if (access(*out, F_OK))
        return err_fail(E_IO, "%s: the cache names revision %s, but %s is not there", name, commit, *out);
    return OK;
}

Status hf_cache_find(const char **out, Arena *a, const char *name)
{
    *out = name;
    if (!access(name, F_OK)) return OK;
    const char *at = strchr(name, '@'), *revision = at ? at + 1 : "main";
    const char *bare = at ? str_copy(a, name, (size_t)(at - name)) : name, *model, *locks;
    if (!hf_cache_place(&model, &locks, a, bare) || !is_revision(revision)) return OK;
    if (access(model, F_OK))
        return err_fail(E_IO, "%s: no such file or directory, and the hub's cache has no %s", name, model);
    return find_snapshot(out, a, model, name, revision);
}
