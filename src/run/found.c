/* A manifest is read before anything in its directory is replaced, so it is taken as untrusted input: a path that
 * leaves the directory is an error. */
#include "run/found.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/str.h"
#include "io/json.h"

/* A relative path that stays where it is: a manifest must not make the program move or remove any other file. */
static bool is_inside(const char *path)
{
    if (!*path || *path == '/') return false;
    for (const char *p = path; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL)
        if (!strncmp(p, "..", 2) && (!p[2] || p[2] == '/')) return false;
    return true;
}

/* "files": [{"path", "bytes", "sha256"}], or paths alone. */
static Status take_file(Listed *out, Arena *a, const cJSON *x, const char *path, int i)
{
    const char *name = cJSON_IsString(x) ? x->valuestring : "", *hash = "";
    *out = (Listed){0};
    if (cJSON_IsObject(x)) {
        TRY(json_text(&name, x, "path", path));
        TRY(json_text(&hash, x, "sha256", path));
        TRY(json_real(&out->bytes, x, "bytes", 0, 1e18, path));
    }
    if (!is_inside(name)) return err_fail(E_FORMAT, "%s: files[%d] is not a path in its directory", path, i);
    out->path = str_copy(a, name, strlen(name));
    if (*hash) out->hash = str_copy(a, hash, strlen(hash));
    return OK;
}

/* Takes command, status, settings and files from a manifest, and checks their types. */
static Status take_manifest(Found *out, Arena *a, const cJSON *root, const char *path)
{
    const cJSON *set = cJSON_GetObjectItemCaseSensitive(root, "settings"),
                *files = cJSON_GetObjectItemCaseSensitive(root, "files"), *x;
    const char *status = "", *command = "";
    TRY(json_text(&status, root, "status", path));
    TRY(json_text(&command, root, "command", path));
    if (!*status || !*command || !cJSON_IsObject(set) || !cJSON_IsArray(files))
        return err_fail(E_FORMAT, "%s: expected a manifest with command, status, settings and files", path);
    *out = (Found){.there = true, .done = !strcmp(status, "done")};
    out->command = str_copy(a, command, strlen(command));
    out->set = NEW(a, KeyValue, cJSON_GetArraySize(set) + 1);
    out->file = NEW(a, Listed, cJSON_GetArraySize(files) + 1);
    cJSON_ArrayForEach(x, set)
    {
        if (!cJSON_IsString(x)) return err_fail(E_FORMAT, "%s: setting %.60s is no text", path, x->string);
        out->set[out->n++] = (KeyValue){str_copy(a, x->string, strlen(x->string)),
                                        str_copy(a, x->valuestring, strlen(x->valuestring))};
    }
    cJSON_ArrayForEach(x, files)
    {
        TRY(take_file(out->file + out->files, a, x, path, out->files));
        out->files++;
    }
    return OK;
}

/* Whether the text begins as that of manifest() does, as far as it goes.  Any other file of that name is not ours. */
static bool begins_as_own(const Bytes *b)
{
    const char *own = "{\"tool\":{\"version\":";
    for (size_t i = 0; i < b->len && *own; i++)
        if (!strchr(" \t\n", b->text[i]) && b->text[i] != *own++) return false;
    return true;
}

Status found_read(Found *out, Arena *a, const char *path)
{
    struct stat st;
    cJSON *root = NULL;
    Bytes text;
    *out = (Found){0};
    if (lstat(path, &st)) return OK;
    TRY(file_read(&text, a, path));
    Status status = json_parse(&root, text.text, text.len, path);
    if (!status) status = take_manifest(out, a, root, path);
    cJSON_Delete(root);
    if (status != E_FORMAT || !begins_as_own(&text)) return status;
    *out = (Found){.there = true, .damage = str_copy(a, err_message(), strlen(err_message()))};
    err_clear();
    return OK;
}

bool found_lists(const Found *m, const char *file)
{
    for (int i = 0; i < m->files; i++)
        if (!strcmp(m->file[i].path, file)) return true;
    return false;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

FTS *folder_walk(const char *path, int how)
{
    char *roots[] = {(char *)(uintptr_t)path, NULL};
    FTS *tree = fts_open(roots, how | FTS_NOCHDIR, by_name);
    if (!tree) err_no_memory("reading %s: %s", path, strerror(errno));
    return tree;
}
