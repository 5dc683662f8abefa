/* Which container a path stands for: a file, told by its first bytes, or a directory of a single file or of shards;
 * and which container is written, told by the name. */
#include "io/weights.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/hf_cache.h"
#include "base/str.h"
#include "io/gguf.h"
#include "io/json.h"
#include "io/npy.h"
#include "io/reader.h"
#include "io/safetensors.h"
#include "io/torch.h"

static bool listed(const char *const *list, int n, const char *s)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(list[i], s)) return true;
    return false;
}

/* The first bytes tell the container. */
static Status add_file(Weights *w, Arena *run, const char *path)
{
    char first[512];
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(first, 1, sizeof first, f) : 0;
    if (f) fclose(f);
    if (npy_looks_like(first, n)) return npy_add(w, run, path);
    if (gguf_looks_like(first, n)) return gguf_add(w, run, path);
    return torch_looks_like(first, n) ? torch_add(w, run, path) : safetensors_add(w, run, path);
}

/* Shards lie beside their index; a name with a slash would leave the directory. */
static Status open_shards(Weights **out, Arena *run, const cJSON *root, const char *dir, const char *path)
{
    const cJSON *map = cJSON_GetObjectItemCaseSensitive(root, "weight_map"), *j;
    if (!cJSON_IsObject(map)) return err_fail(E_FORMAT, "%s: has no weight_map", path);
    const char **file = NEW(run, const char *, cJSON_GetArraySize(map));
    int n = 0;
    cJSON_ArrayForEach(j, map)
    {
        if (!cJSON_IsString(j) || strchr(j->valuestring, '/') || !*j->valuestring)
            return err_fail(E_FORMAT, "%s: weight_map '%s' names no file beside it", path, j->string);
        if (!listed(file, n, j->valuestring)) file[n++] = j->valuestring;
    }
    Weights *w = weights_new(run, dir, n);
    Status status = OK;
    for (int i = 0; i < n && !status; i++) status = add_file(w, run, str_print(run, "%s/%s", dir, file[i]));
    if (!status) status = weights_sort(w, run);
    cJSON_ArrayForEach(j, map)
    {
        if (!status && !weights_find(w, j->string))
            status =
                err_fail(E_FORMAT, "%s: lists tensor '%s', which %s does not hold", path, j->string, j->valuestring);
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

/* Files of weights by other names, for a sentence about a directory without the usual ones. */
static const struct {
    const char *names; /* a glob */
    const char *advice;
} UNUSUAL[] = {
    {"model.*.safetensors|pytorch_model.*.bin", "is a variant, which is loaded when it is named itself"},
    {"*.gguf", "is loaded when it is named itself"},
    {"tf_model.h5|model.ckpt*",
     "holds weights of TensorFlow, which transformers can load with from_tf=True and save as safetensors"},
    {"flax_model.msgpack",
     "holds weights of Flax, which transformers can load with from_flax=True and save as safetensors"},
    {"adapter_model.*", "holds an adapter, which is given by --adapter beside its base model"},
    {"*.safetensors|*.bin|*.pt|*.pth", "is loaded when it is named itself"},
    {"*.onnx|rust_model.ot|*.h5|*.msgpack", "is of another library, which should save it as safetensors"},
};

/* Names the first file of weights of another kind, which the user may have meant. */
static Status nothing_usual(const char *path)
{
    char found[256] = "";
    size_t best = sizeof UNUSUAL / sizeof *UNUSUAL;
    DIR *dir = opendir(path);
    for (const struct dirent *e; dir && (e = readdir(dir));)
        for (size_t i = 0; i < sizeof UNUSUAL / sizeof *UNUSUAL; i++) {
            if (!str_glob(UNUSUAL[i].names, e->d_name)) continue;
            if (i > best || (i == best && strcmp(e->d_name, found) > 0)) break;
            best = i;
            snprintf(found, sizeof found, "%s", e->d_name);
        }
    if (dir) closedir(dir);
    return err_fail(
        E_IO,
        "%s: holds neither model.safetensors nor pytorch_model.bin, nor an index of shards, nor a .gguf%s%s%s%s",
        path, *found ? "; " : "", found, *found ? " " : "", *found ? UNUSUAL[best].advice : "");
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
    const char *gguf;
    TRY(gguf_find(&gguf, run, path));
    return gguf ? open_file(out, run, gguf) : nothing_usual(path);
}

Status weights_write(const char *path, const Stored *tensors, int n)
{
    if (str_glob("*.bin", path)) return torch_write(path, tensors, n);
    return safetensors_write_stored(path, tensors, n, NULL, 0);
}
