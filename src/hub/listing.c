#include "hub/listing.h"

#include <string.h>

#include "base/str.h"
#include "io/json.h"

enum { SHA256_DIGITS = 64, GIT_DIGITS = 40, PATH_MOST = 500 };

static bool is_hash(const char *s, size_t digits)
{
    return s && strlen(s) == digits && strspn(s, "0123456789abcdef") == digits;
}

/* A relative path without "..", empty parts or odd bytes: it becomes a path of this machine. */
static bool is_inside(const char *path)
{
    if (!*path || strlen(path) > PATH_MOST) return false;
    for (const char *part = path; part; part = strchr(part, '/'), part += part ? 1 : 0) {
        size_t n = strcspn(part, "/");
        if (!n || (n == 1 && *part == '.') || (n == 2 && !strncmp(part, "..", 2))) return false;
    }
    for (const unsigned char *c = (const unsigned char *)path; *c; c++)
        if (*c < ' ' || *c == '\\' || *c == 0x7f) return false;
    return true;
}

static Status read_file(HubFile *f, Arena *a, const cJSON *j, const char *name)
{
    const cJSON *lfs = cJSON_GetObjectItemCaseSensitive(j, "lfs");
    const char *path = json_text_in(j, "rfilename");
    const char *hash = cJSON_IsObject(lfs) ? json_text_in(lfs, "sha256") : json_text_in(j, "blobId");
    const cJSON *size = cJSON_GetObjectItemCaseSensitive(cJSON_IsObject(lfs) ? lfs : j, "size");
    if (!path || !is_inside(path))
        return err_fail(E_FORMAT, "%s: the hub lists a file named '%.100s'", name, path ? path : "");
    if (!is_hash(hash, cJSON_IsObject(lfs) ? SHA256_DIGITS : GIT_DIGITS) || !cJSON_IsNumber(size) ||
        !(size->valuedouble >= 0 && size->valuedouble < 1e15))
        return err_fail(E_FORMAT, "%s: the hub lists %s without its size and hash", name, path);
    *f = (HubFile){str_print(a, "%s", path), str_print(a, "%s", hash), (int64_t)size->valuedouble};
    return OK;
}

static Status read_root(Listing *out, Arena *a, const char *name, const cJSON *root)
{
    const char *commit = json_text_in(root, "sha");
    const cJSON *files = cJSON_GetObjectItemCaseSensitive(root, "siblings"), *j;
    if (!is_hash(commit, GIT_DIGITS) || !cJSON_IsArray(files))
        return err_fail(E_FORMAT, "%s: the hub's answer has no commit with a list of files", name);
    *out = (Listing){
        .name = name, .commit = str_print(a, "%s", commit), .file = NEW(a, HubFile, cJSON_GetArraySize(files))};
    cJSON_ArrayForEach(j, files) TRY(read_file(&out->file[out->n++], a, j, name));
    return OK;
}

Status listing_read(Listing *out, Arena *a, const char *name, const char *text, size_t len)
{
    cJSON *root;
    TRY(json_parse(&root, text, len, name));
    Status s = read_root(out, a, name, root);
    cJSON_Delete(root);
    return s;
}

/* ---- which of them */

/* Configs, tokenizers, and the modules of sentence-transformers ("1_Pooling"). */
static const char SMALL[] =
    "config.json|generation_config.json|tokenizer.json|tokenizer_config.json|special_tokens_map.json|"
    "added_tokens.json|vocab.json|vocab.txt|merges.txt|spiece.model|sentencepiece.bpe.model|tokenizer.model|"
    "chat_template.json|chat_template.jinja|modules.json|sentence_bert_config.json|"
    "config_sentence_transformers.json|adapter_config.json|head_config.json|?_*/config.json|?_*/model.safetensors|"
    "?_*/pytorch_model.bin";
/* The forms of weights, the first that is there is taken: one file, or an index with its shards. */
static const struct {
    const char *key, *files;
} FORMS[] = {
    {"model.safetensors", "model.safetensors"},
    {"model.safetensors.index.json", "model.safetensors.index.json|model-*-of-*.safetensors"},
    {"pytorch_model.bin", "pytorch_model.bin"},
    {"pytorch_model.bin.index.json", "pytorch_model.bin.index.json|pytorch_model-*-of-*.bin"},
    {"adapter_model.safetensors", "adapter_model.safetensors"},
    {"adapter_model.bin", "adapter_model.bin"},
    {"pytorch_adapter.bin", "pytorch_adapter.bin|pytorch_model_head.bin"},
    {"adapter.safetensors", "adapter.safetensors|model_head.safetensors"},
};

static bool has(const Listing *l, const char *path)
{
    for (int i = 0; i < l->n; i++)
        if (!strcmp(l->file[i].path, path)) return true;
    return false;
}

/* The one quantised file of a repository that has no other weights. */
static Status choose_gguf(const char **path, const Listing *l, Arena *a)
{
    Buf names = buf_open(a);
    int n = 0;
    for (int i = 0; i < l->n; i++) {
        if (!str_glob("*.gguf", l->file[i].path)) continue;
        buf_print(&names, "%s%s", n++ ? ", " : "", l->file[i].path);
        *path = l->file[i].path;
    }
    if (n > 1)
        return err_fail(E_CONFIG, "%s has %d files of weights; name one with --file: %s", l->name, n, names.text);
    return OK;
}

static Status no_weights(const Listing *l, Arena *a)
{
    Buf names = buf_open(a);
    for (int i = 0, n = 0; i < l->n && n < 8; i++)
        if (str_glob("*.h5|*.msgpack|*.onnx|*.ot|*.ckpt|*.pt|*.pth|*.bin|*.safetensors", l->file[i].path))
            buf_print(&names, "%s%s", n++ ? ", " : "", l->file[i].path);
    return err_fail(
        E_CONFIG,
        "%s has no weights under a name that is read (model.safetensors, pytorch_model.bin, their indexes, an "
        "adapter's, or .gguf)%s%s",
        l->name, names.len ? ", but " : "", names.text);
}

static Status weights_of(const char **only, const Listing *l, Arena *a)
{
    for (size_t i = 0; i < sizeof FORMS / sizeof *FORMS; i++)
        if (has(l, FORMS[i].key)) {
            *only = FORMS[i].files;
            return OK;
        }
    *only = NULL;
    TRY(choose_gguf(only, l, a));
    return *only ? OK : no_weights(l, a);
}

Status listing_choose(Listing *l, Arena *a, const char *only)
{
    int n = 0;
    const char *weights = "";
    if (!only) TRY(weights_of(&weights, l, a));
    for (int i = 0; i < l->n; i++) {
        const char *path = l->file[i].path;
        if (only ? str_glob(only, path) : str_glob(SMALL, path) || str_glob(weights, path)) l->file[n++] = l->file[i];
    }
    l->n = n;
    return n ? OK : err_fail(E_CONFIG, "%s has no file '%s'", l->name, only);
}
