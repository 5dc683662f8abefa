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

static const char *cache_dir(Arena *a)
{
    const char *dir;
    if ((dir = set("HF_HUB_CACHE")) != NULL) return dir;
    if ((dir = set("HF_HOME")) != NULL) return str_print(a, "%s/hub", dir);
    if ((dir = set("XDG_CACHE_HOME")) != NULL) return str_print(a, "%s/huggingface/hub", dir);
    dir = set("HOME");
    return str_print(a, "%s/.cache/huggingface/hub", dir ? dir : "");
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

Status hf_cache_find(const char **out, Arena *a, const char *name)
{
    *out = name;
    const char *model, *locks;
    if (!access(name, F_OK) || !hf_cache_place(&model, &locks, a, name)) return OK;
    if (access(model, F_OK))
        return err_fail(E_IO, "%s: no such file or directory, and the hub's cache has no %s", name, model);
    Bytes ref;
    TRY(file_read(&ref, a, str_print(a, "%s/refs/main", model)));
    size_t n = strspn(ref.text, WORD), blank = strspn(ref.text + n, " \r\n");
    if (!n || *ref.text == '.' || n + blank != ref.len)
        return err_fail(E_FORMAT, "%s/refs/main: holds no revision, but '%.40s'", model, ref.text);
    const char *snapshot = str_print(a, "%s/snapshots/%.*s", model, (int)n, ref.text);
    if (access(snapshot, F_OK))
        return err_fail(E_IO, "%s: the cache names revision %.*s, but %s is not there", name, (int)n, ref.text,
                        snapshot);
    *out = snapshot;
    return OK;
}
