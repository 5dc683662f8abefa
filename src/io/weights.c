/* What all containers share: the list of tensors, looking them up, and converting their values. */
#include "io/weights.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hub.h"
#include "base/str.h"
#include "io/json.h"
#include "io/npy.h"
#include "io/reader.h"
#include "io/safetensors.h"
#include "io/torch.h"

static const struct {
    const char *name;
    size_t size;
} TYPES[] = {
    [STORED_BOOL] = {"BOOL", 1}, [STORED_U8] = {"U8", 1},   [STORED_I8] = {"I8", 1},   [STORED_F16] = {"F16", 2},
    [STORED_BF16] = {"BF16", 2}, [STORED_I16] = {"I16", 2}, [STORED_U16] = {"U16", 2}, [STORED_I32] = {"I32", 4},
    [STORED_U32] = {"U32", 4},   [STORED_F32] = {"F32", 4}, [STORED_I64] = {"I64", 8}, [STORED_F64] = {"F64", 8}};
enum { N_TYPES = sizeof TYPES / sizeof *TYPES };

size_t stored_size(StoredType type)
{
    return TYPES[type].size;
}

bool stored_type_find(StoredType *out, const char *name)
{
    for (int t = 0; t < N_TYPES; t++)
        if (!strcmp(TYPES[t].name, name)) {
            *out = (StoredType)t;
            return true;
        }
    return false;
}

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

/* The first bytes tell the container. */
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
    struct stat st;
    TRY(hub_find(&path, run, path));
    if (str_glob("*.index.json", path)) {
        const char *slash = strrchr(path, '/');
        return open_index(out, run, slash ? str_copy(run, path, (size_t)(slash - path)) : ".", path);
    }
    if (stat(path, &st) || !S_ISDIR(st.st_mode)) return open_file(out, run, path);
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

/* ---- values */

static double half(uint16_t h)
{
    int e = h >> 10 & 31, f = h & 1023;
    double x = e == 31 ? (f ? __builtin_nan("") : __builtin_inf())
               : e     ? __builtin_ldexp(1024 + f, e - 25)
                       : __builtin_ldexp(f, -24);
    return h >> 15 ? -x : x;
}

double stored_get(const Stored *s, int64_t i)
{
    union {
        uint8_t u8;
        int8_t i8;
        int16_t i16;
        uint32_t u32;
        uint16_t u16;
        int32_t i32;
        float f32;
        int64_t i64;
        double f64;
    } x;
    CHECK(i >= 0 && i < s->count, "element %lld of tensor '%s' %s", (long long)i, s->name, stored_shape(s));
    size_t size = TYPES[s->type].size;
    memcpy(&x, (const char *)s->bytes + (size_t)i * size, size);
    switch (s->type) {
    case STORED_BOOL:
    case STORED_U8: return x.u8;
    case STORED_I8: return x.i8;
    case STORED_I16: return x.i16;
    case STORED_U16: return x.u16;
    case STORED_U32: return x.u32;
    case STORED_F16: return half(x.u16);
    case STORED_BF16: return (double)bf16_to_f32((Bf16){x.u16});
    case STORED_I32: return x.i32;
    case STORED_F32: return (double)x.f32;
    case STORED_I64: return (double)x.i64;
    case STORED_F64: return x.f64;
    }
    return 0;
}

bool stored_same_bytes(const Stored *a, const Stored *b)
{
    return a->bytes == b->bytes && a->n_bytes == b->n_bytes && a->type == b->type && a->count > 0;
}

bool stored_is_float(const Stored *s)
{
    return s->type == STORED_F16 || s->type == STORED_BF16 || s->type == STORED_F32 || s->type == STORED_F64;
}

/* Round to nearest, ties to even.  A half has 11 significant bits down to 2^-14 and steps of 2^-24 below. */
static uint16_t half_from(double x)
{
    uint16_t sign = (uint16_t)(signbit(x) ? 0x8000 : 0);
    double size = fabs(x);
    if (isnan(x)) return 0x7e00;
    if (size >= 65520) return sign | 0x7c00;
    int e;
    frexp(size, &e); /* size = m 2^e with m in [1/2, 1) */
    if (size < 0x1p-14) return sign | (uint16_t)nearbyint(size * 0x1p24);
    long steps = lrint(ldexp(size, 11 - e)); /* 1024 to 2048: the last carries into the exponent by itself */
    return sign | (uint16_t)(((e + 14) << 10) + (steps - 1024));
}

static void store(char *at, StoredType type, double x)
{
    float f = (float)x;
    uint16_t h = type == STORED_F16 ? half_from(x) : bf16_from_f32(f).bits;
    memcpy(at, type == STORED_F64 ? (void *)&x : type == STORED_F32 ? (void *)&f : (void *)&h, TYPES[type].size);
}

Stored stored_convert(Arena *a, const Stored *s, StoredType type, double *worst)
{
    Stored to = *s;
    if (!stored_is_float(s) || s->type == type) return to;
    to.type = type;
    to.n_bytes = (size_t)s->count * TYPES[type].size;
    char *bytes = arena_take(a, to.n_bytes);
    to.bytes = bytes;
    for (int64_t i = 0; i < s->count; i++) {
        double x = stored_get(s, i);
        store(bytes + (size_t)i * TYPES[type].size, type, x);
        if (worst && isfinite(x)) *worst = fmax(*worst, fabs(stored_get(&to, i) - x));
    }
    return to;
}

const char *stored_type(const Stored *s)
{
    return TYPES[s->type].name;
}

const char *stored_shape(const Stored *s)
{
    static _Thread_local char ring[4][24 * STORED_RANK];
    static _Thread_local int turn;
    char *text = ring[turn++ & 3];
    size_t used = (size_t)snprintf(text, sizeof ring[0], "[");
    for (int i = 0; i < s->rank; i++)
        used += (size_t)snprintf(text + used, sizeof ring[0] - used, i ? ", %lld" : "%lld", (long long)s->dim[i]);
    snprintf(text + used, sizeof ring[0] - used, "]");
    return text;
}

/* The dtype whose memory is laid out as the file's, or -1. */
static int same_dtype(StoredType type)
{
    switch (type) {
    case STORED_F32: return F32;
    case STORED_F64: return F64;
    case STORED_BF16: return BF16;
    case STORED_I32: return I32;
    default: return -1;
    }
}

static bool same_shape(Tensor t, const Stored *s)
{
    bool same = t.rank == s->rank;
    for (int i = 0; i < s->rank && same; i++) same = t.dim[i] == s->dim[i];
    return same;
}

bool stored_lend(Tensor *into, const Stored *s)
{
    union {
        const void *in;
        void *out;
    } data = {s->bytes}; /* the mapping is private: a view of it is as good as const */
    CHECK(same_shape(*into, s), "'%s' %s is lent as %s", s->name, stored_shape(s), tensor_shape(*into));
    if (same_dtype(s->type) != (int)into->dtype || (uintptr_t)s->bytes % TYPES[s->type].size) return false;
    into->data = data.out;
    return true;
}

Status stored_read(Tensor into, const Stored *s)
{
    if (!same_shape(into, s))
        return fail(E_MISMATCH, "%s: tensor '%s' has shape %s, expected %s", s->file, s->name, stored_shape(s),
                    tensor_shape(into));
    if (same_dtype(s->type) == (int)into.dtype) {
        memcpy(into.data, s->bytes, s->n_bytes);
        return OK;
    }
    for (int64_t i = 0; i < s->count; i++) {
        double x = stored_get(s, i);
        if (into.dtype == I32 && !(x >= INT32_MIN && x <= INT32_MAX))
            return fail(E_FORMAT, "%s: tensor '%s': element %lld is %.17g, which 32 bits do not hold", s->file,
                        s->name, (long long)i, x);
        tensor_set(into, i, x);
    }
    return OK;
}

Status stored_tensor(Tensor *out, Arena *a, const Stored *s)
{
    if (s->rank > MAX_RANK)
        return fail(E_FORMAT, "%s: tensor '%s' has %d dimensions, at most %d are supported", s->file, s->name,
                    s->rank, MAX_RANK);
    int dtype = same_dtype(s->type);
    if (dtype >= 0) {
        *out = tensor_over(NULL, (DType)dtype, s->rank, s->dim);
        if (stored_lend(out, s)) return OK;
    }
    if (dtype < 0) dtype = s->type == STORED_F16 ? F32 : I32;
    *out = tensor_new(a, (DType)dtype, s->rank, s->dim);
    return stored_read(*out, s);
}
