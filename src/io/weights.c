/* Shared by all containers: the list of tensors and its search.  Their values are read in stored.c. */
#include "io/weights.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/hf_cache.h"
#include "base/str.h"
#include "io/json.h"
#include "io/npy.h"
#include "io/reader.h"
#include "io/safetensors.h"
#include "io/torch.h"

/* ---- the list */

Weights *weights_new(Arena *run, const char *path, int maps)
{
    Weights *w = NEW(run, Weights, 1);
    *w = (Weights){.path = str_copy(run, path, strlen(path)), .map = NEW(run, Bytes, maps)};
    return w;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const Stored *const *)a)->name, (*(const Stored *const *)b)->name);
}

Status weights_sort(Weights *w, Arena *run)
{
    w->sorted = NEW(run, const Stored *, w->n);
    for (int i = 0; i < w->n; i++) w->sorted[i] = &w->at[i];
    qsort(w->sorted, (size_t)w->n, sizeof *w->sorted, by_name);
    for (int i = 1; i < w->n; i++)
        if (!strcmp(w->sorted[i - 1]->name, w->sorted[i]->name))
            return fail(E_FORMAT, "%s: tensor '%s' appears twice", w->sorted[i]->file, w->sorted[i]->name);
    return OK;
}

Status weights_opened(Weights **out, Weights *w, Status status)
{
    *out = status ? NULL : w;
    if (status) weights_close(w);
    return status;
}

/* ---- directories */

static bool listed(const char *const *list, int n, const char *s)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(list[i], s)) return true;
    return false;
}

/* The first bytes identify the container. */
static Status add_file(Weights *w, Arena *run, const char *path)
{
    char first[512];
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(first, 1, sizeof first, f) : 0;
    if (f) fclose(f);
    if (npy_looks_like(first, n)) return npy_add(w, run, path);
    return torch_looks_like(first, n) ? torch_add(w, run, path) : safetensors_add(w, run, path);
}

/* Shards lie beside their index; a name with a slash would leave the directory. */
static Status open_shards(Weights **out, Arena *run, const cJSON *root, const char *dir, const char *path)
{
    const cJSON *map = cJSON_GetObjectItemCaseSensitive(root, "weight_map"), *j;
    if (!cJSON_IsObject(map)) return fail(E_FORMAT, "%s: has no weight_map", path);
    const char **file = NEW(run, const char *, cJSON_GetArraySize(map));
    int n = 0;
    cJSON_ArrayForEach(j, map)
    {
        if (!cJSON_IsString(j) || strchr(j->valuestring, '/') || !*j->valuestring)
            return fail(E_FORMAT, "%s: weight_map '%s' names no file beside it", path, j->string);
        if (!listed(file, n, j->valuestring)) file[n++] = j->valuestring;
    }
    Weights *w = weights_new(run, dir, n);
    Status status = OK;
    for (int i = 0; i < n && !status; i++) status = add_file(w, run, str_print(run, "%s/%s", dir, file[i]));
    if (!status) status = weights_sort(w, run);
    cJSON_ArrayForEach(j, map)
    {
        if (!status && !weights_find(w, j->string))
            status = fail(E_FORMAT, "%s: lists tensor '%s', which %s does not hold", path, j->string, j->valuestring);
    }
    return weights_opened(out, w, status);
}

static Status open_index(Weights **out, Arena *run, const char *dir, const char *path)
{
    cJSON *root;
    TRY(json_read(&root, run, path));
    Status status = open_shards(out, run, root, dir, path);
    cJSON_Delete(root);
    return status;
}

static Status open_file(Weights **out, Arena *run, const char *path)
{
    Weights *w = weights_new(run, path, 1);
    Status status = add_file(w, run, w->path);
    if (!status) status = weights_sort(w, run);
    return weights_opened(out, w, status);
}

Status weights_open(Weights **out, Arena *run, const char *path)
{
    static const char *const usual[] = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                                        "pytorch_model.bin.index.json"};
    TRY(hf_cache_find(&path, run, path));
    if (str_glob("*.index.json", path)) return open_index(out, run, file_folder(run, path), path);
    if (!file_is_dir(path)) return open_file(out, run, path);
    for (int i = 0; i < 4; i++) {
        const char *file = str_print(run, "%s/%s", path, usual[i]);
        if (!access(file, F_OK)) return i % 2 ? open_index(out, run, path, file) : open_file(out, run, file);
    }
    return fail(E_IO, "%s: holds neither model.safetensors nor pytorch_model.bin, nor an index of shards", path);
}

void weights_close(Weights *w)
{
    if (!w) return;
    for (int i = 0; i < w->n_maps; i++) file_unmap(w->map[i]);
    w->n_maps = 0;
}

Status weights_keep(Weights *w, Arena *a)
{
    for (int i = 0; i < w->n_maps; i++)
        if (w->map[i].text && mprotect(w->map[i].text, w->map[i].len, PROT_READ | PROT_WRITE))
            return fail(E_IO, "%s: %s", w->path, strerror(errno));
    for (int i = 0; i < w->n_maps; i++)
        if (w->map[i].text) arena_adopt(a, w->map[i].text, w->map[i].len);
    w->n_maps = 0;
    return OK;
}

/* The system maps a file in steps of up to 2 MB, so neighbours go too; who reads them has them again. */
void weights_release(const Weights *w, const Stored *s)
{
    const uintptr_t step = 1 << 21;
    for (int i = 0; i < w->n_maps; i++) {
        uintptr_t map = (uintptr_t)w->map[i].text, end = map + w->map[i].len, at = (uintptr_t)s->bytes;
        if (!map || at < map || at >= end) continue;
        uintptr_t first = at / step * step, last = (at + s->n_bytes + step - 1) / step * step;
        if (first < map) first = map;
        if (last > end) last = end;
        madvise(w->map[i].text + (first - map), last - first, MADV_DONTNEED);
    }
}

Status weights_write(const char *path, const Stored *tensors, int n)
{
    if (str_glob("*.bin", path)) return torch_write(path, tensors, n);
    return safetensors_write_stored(path, tensors, n, NULL, 0);
}

int weights_n(const Weights *w)
{
    return w->n;
}

const Stored *weights_at(const Weights *w, int i)
{
    return &w->at[i];
}

const Stored *weights_find(const Weights *w, const char *name)
{
    const Stored key = {.name = name}, *k = &key;
    const Stored **hit = w->n ? bsearch(&k, w->sorted, (size_t)w->n, sizeof *w->sorted, by_name) : NULL;
    return hit ? *hit : NULL;
}

const char *weights_meta(const Weights *w, const char *key)
{
    for (int i = 0; i < w->n_meta; i++)
        if (!strcmp(w->meta[i].key, key)) return w->meta[i].value;
    return NULL;
}

const char *weights_path(const Weights *w)
{
    return w->path;
}
