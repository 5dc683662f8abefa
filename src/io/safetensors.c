/* Reading, in three passes: the header's frame (size, UTF-8, JSON), each entry by itself (dtype, shape, offsets),
 * and the entries together (sorted by offset they must tile the data area exactly).  cJSON keeps both of two equal
 * keys and carries numbers as doubles, so duplicates are searched for and numbers must be integers below 2^53.
 *
 * A Weights gathers the entries of one or several mapped files behind one sorted list of names. */
#include "io/safetensors.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "io/json.h"

enum { HEADER_MAX = 100000000 };

static const struct {
    const char *name;
    size_t size;
} TYPES[] = {
    [STORED_BOOL] = {"BOOL", 1}, [STORED_U8] = {"U8", 1},   [STORED_I8] = {"I8", 1},   [STORED_F16] = {"F16", 2},
    [STORED_BF16] = {"BF16", 2}, [STORED_I16] = {"I16", 2}, [STORED_U16] = {"U16", 2}, [STORED_I32] = {"I32", 4},
    [STORED_U32] = {"U32", 4},   [STORED_F32] = {"F32", 4}, [STORED_I64] = {"I64", 8}, [STORED_F64] = {"F64", 8}};
enum { N_TYPES = sizeof TYPES / sizeof *TYPES };

struct Weights {
    const char *path;
    Bytes *map;
    int n_maps;
    Stored *at;            /* by place in the data */
    const Stored **sorted; /* by name */
    int n;
    Meta *meta;
    int n_meta;
};

/* ---- the header */

static Status frame(const char **text, size_t *len, Bytes file, const char *path)
{
    if (file.len < 8) return fail(E_FORMAT, "%s: %zu bytes, a safetensors file has at least 8", path, file.len);
    uint64_t n = 0;
    for (int i = 7; i >= 0; i--) n = n << 8 | (unsigned char)file.text[i];
    if (n > HEADER_MAX)
        return fail(E_FORMAT, "%s: the header claims %llu bytes, at most %d are allowed", path, (unsigned long long)n,
                    HEADER_MAX);
    if (n > file.len - 8)
        return fail(E_FORMAT, "%s: the header claims %llu bytes, but only %zu follow", path, (unsigned long long)n,
                    file.len - 8);
    if (!n || file.text[8] != '{') return fail(E_FORMAT, "%s: the header does not begin with '{'", path);
    *text = file.text + 8;
    *len = (size_t)n;
    return OK;
}

/* A whole number from 0 to 2^53, which a double carries exactly. */
static bool whole(const cJSON *j, int64_t *out)
{
    if (!cJSON_IsNumber(j) || !(j->valuedouble >= 0) || j->valuedouble > 9007199254740992.0) return false;
    *out = (int64_t)j->valuedouble;
    return (double)*out == j->valuedouble;
}

static Status read_shape(Stored *s, const cJSON *shape)
{
    if (!cJSON_IsArray(shape)) return fail(E_FORMAT, "%s: tensor '%s' has no shape list", s->file, s->name);
    s->count = 1;
    const cJSON *d;
    cJSON_ArrayForEach(d, shape)
    {
        if (s->rank == STORED_RANK)
            return fail(E_FORMAT, "%s: tensor '%s' has more than %d dimensions", s->file, s->name, STORED_RANK);
        int64_t *dim = &s->dim[s->rank++];
        if (!whole(d, dim))
            return fail(E_FORMAT, "%s: tensor '%s': dimension %d is not a whole number", s->file, s->name,
                        s->rank - 1);
        if (__builtin_mul_overflow(s->count, *dim, &s->count))
            return fail(E_FORMAT, "%s: tensor '%s': its shape's product exceeds 64 bits", s->file, s->name);
    }
    return OK;
}

static Status read_type(Stored *s, const cJSON *type)
{
    if (!cJSON_IsString(type)) return fail(E_FORMAT, "%s: tensor '%s' has no dtype", s->file, s->name);
    for (int t = 0; t < N_TYPES; t++) {
        if (strcmp(TYPES[t].name, type->valuestring)) continue;
        s->type = (StoredType)t;
        return OK;
    }
    return fail(E_FORMAT,
                "%s: tensor '%s' has dtype '%.20s', known are F64, F32, F16, BF16, I8 to I64, U8 to U32, BOOL",
                s->file, s->name, type->valuestring);
}

static Status read_entry(Stored *s, const cJSON *j, const char *data, size_t room)
{
    if (!cJSON_IsObject(j)) return fail(E_FORMAT, "%s: entry '%s' is not an object", s->file, s->name);
    TRY(read_type(s, cJSON_GetObjectItemCaseSensitive(j, "dtype")));
    TRY(read_shape(s, cJSON_GetObjectItemCaseSensitive(j, "shape")));
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(j, "data_offsets");
    int64_t begin, end, bytes;
    if (cJSON_GetArraySize(offsets) != 2 || !whole(cJSON_GetArrayItem(offsets, 0), &begin) ||
        !whole(cJSON_GetArrayItem(offsets, 1), &end))
        return fail(E_FORMAT, "%s: tensor '%s': data_offsets are not two whole numbers", s->file, s->name);
    if (end < begin || (uint64_t)end > room)
        return fail(E_FORMAT, "%s: tensor '%s' lies at [%lld, %lld], the data has %zu bytes", s->file, s->name,
                    (long long)begin, (long long)end, room);
    if (__builtin_mul_overflow(s->count, (int64_t)TYPES[s->type].size, &bytes) || bytes != end - begin)
        return fail(E_FORMAT, "%s: tensor '%s' of shape %s and dtype %s is given %lld bytes", s->file, s->name,
                    stored_shape(s), stored_type(s), (long long)(end - begin));
    s->bytes = data + begin;
    s->n_bytes = (size_t)bytes;
    return OK;
}

static Status read_meta(Weights *w, Arena *run, const cJSON *j, const char *path)
{
    if (!cJSON_IsObject(j)) return fail(E_FORMAT, "%s: __metadata__ is not an object", path);
    w->meta = NEW(run, Meta, cJSON_GetArraySize(j));
    w->n_meta = 0;
    const cJSON *m;
    cJSON_ArrayForEach(m, j)
    {
        if (!cJSON_IsString(m)) return fail(E_FORMAT, "%s: __metadata__ '%s' is not a string", path, m->string);
        w->meta[w->n_meta++] = (Meta){str_copy(run, m->string, strlen(m->string)),
                                      str_copy(run, m->valuestring, strlen(m->valuestring))};
    }
    return OK;
}

/* ---- all entries together */

static int by_place(const void *a, const void *b)
{
    const Stored *x = a, *y = b;
    if (x->bytes != y->bytes) return (const char *)x->bytes < (const char *)y->bytes ? -1 : 1;
    if (x->n_bytes != y->n_bytes) return x->n_bytes < y->n_bytes ? -1 : 1; /* an empty tensor before its neighbour */
    return strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const Stored *const *)a)->name, (*(const Stored *const *)b)->name);
}

/* Sorted by place, each tensor must begin where the one before it ended. */
static Status check_tiling(Stored *at, int n, const char *data, size_t room, const char *path)
{
    qsort(at, (size_t)n, sizeof *at, by_place);
    const char *end = data;
    for (int i = 0; i < n; i++) {
        if (at[i].bytes != end)
            return fail(E_FORMAT, "%s: tensor '%s' begins at byte %td of the data, expected %td: %s", path,
                        at[i].name, (const char *)at[i].bytes - data, end - data,
                        (const char *)at[i].bytes < end ? "tensors overlap" : "a hole");
        end += at[i].n_bytes;
    }
    if (end != data + room) return fail(E_FORMAT, "%s: %td bytes follow the last tensor", path, data + room - end);
    return OK;
}

static Status sort_names(Weights *w, Arena *run)
{
    w->sorted = NEW(run, const Stored *, w->n);
    for (int i = 0; i < w->n; i++) w->sorted[i] = &w->at[i];
    qsort(w->sorted, (size_t)w->n, sizeof *w->sorted, by_name);
    for (int i = 1; i < w->n; i++)
        if (!strcmp(w->sorted[i - 1]->name, w->sorted[i]->name))
            return fail(E_FORMAT, "%s: tensor '%s' appears twice", w->sorted[i]->file, w->sorted[i]->name);
    return OK;
}

static Status read_header(Weights *w, Arena *run, const cJSON *root, const char *data, size_t room, const char *path)
{
    int n = 0, metas = 0;
    Stored *at = NEW(run, Stored, w->n + cJSON_GetArraySize(root));
    if (w->n) memcpy(at, w->at, sizeof *at * (size_t)w->n);
    const cJSON *j;
    cJSON_ArrayForEach(j, root)
    {
        if (!strcmp(j->string, "__metadata__")) {
            if (metas++) return fail(E_FORMAT, "%s: __metadata__ appears twice", path);
            TRY(read_meta(w, run, j, path));
            continue;
        }
        Stored *s = &at[w->n + n++];
        *s = (Stored){.name = str_copy(run, j->string, strlen(j->string)), .file = path};
        TRY(read_entry(s, j, data, room));
    }
    TRY(check_tiling(at + w->n, n, data, room, path));
    w->at = at;
    w->n += n;
    return sort_names(w, run);
}

static Status add_file(Weights *w, Arena *run, const char *path)
{
    Bytes *map = &w->map[w->n_maps];
    TRY(file_map(map, path));
    w->n_maps++;
    const char *text = NULL;
    size_t len = 0;
    TRY(frame(&text, &len, *map, path));
    cJSON *root;
    TRY(json_parse(&root, text, len, path));
    Status status = read_header(w, run, root, text + len, map->len - 8 - len, path);
    cJSON_Delete(root);
    return status;
}

static Weights *weights_new(Arena *run, const char *path, int maps)
{
    Weights *w = NEW(run, Weights, 1);
    *w = (Weights){.path = str_copy(run, path, strlen(path)), .map = NEW(run, Bytes, maps)};
    return w;
}

static Status opened(Weights **out, Weights *w, Status status)
{
    *out = status ? NULL : w;
    if (status) weights_close(w);
    return status;
}

Status safetensors_open(Weights **out, Arena *run, const char *path)
{
    Weights *w = weights_new(run, path, 1);
    return opened(out, w, add_file(w, run, w->path));
}

/* ---- directories */

static bool listed(const char *const *list, int n, const char *s)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(list[i], s)) return true;
    return false;
}

/* Shards lie beside their index; a name with a slash would leave the directory. */
static Status open_index(Weights **out, Arena *run, const cJSON *root, const char *dir, const char *path)
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
    cJSON_ArrayForEach(j, map)
    {
        if (!status && !weights_find(w, j->string))
            status = fail(E_FORMAT, "%s: lists tensor '%s', which %s does not hold", path, j->string, j->valuestring);
    }
    return opened(out, w, status);
}

Status safetensors_open_dir(Weights **out, Arena *run, const char *dir)
{
    const char *one = str_print(run, "%s/model.safetensors", dir);
    const char *index = str_print(run, "%s/model.safetensors.index.json", dir);
    FILE *probe = fopen(one, "rb");
    if (probe) fclose(probe);
    FILE *probe_index = probe ? NULL : fopen(index, "rb");
    if (!probe_index) return safetensors_open(out, run, one); /* its message tells which file was expected */
    fclose(probe_index);
    cJSON *root;
    TRY(json_read(&root, run, index));
    Status status = open_index(out, run, root, dir, index);
    cJSON_Delete(root);
    return status;
}

void weights_close(Weights *w)
{
    if (!w) return;
    for (int i = 0; i < w->n_maps; i++) file_unmap(w->map[i]);
    w->n_maps = 0;
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

Status stored_read(Tensor into, const Stored *s)
{
    bool same = into.rank == s->rank;
    for (int i = 0; i < s->rank && same; i++) same = into.dim[i] == s->dim[i];
    if (!same)
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
    if (dtype >= 0 && (uintptr_t)s->bytes % TYPES[s->type].size == 0) {
        union {
            const void *in;
            void *out;
        } data = {s->bytes}; /* the mapping is private: a view of it is as good as const */
        *out = tensor_over(data.out, (DType)dtype, s->rank, s->dim);
        return OK;
    }
    if (dtype < 0) dtype = s->type == STORED_F16 ? F32 : I32;
    *out = tensor_new(a, (DType)dtype, s->rank, s->dim);
    return stored_read(*out, s);
}

/* ---- writing */

static int by_size_and_name(const void *a, const void *b)
{
    const Named *x = a, *y = b;
    size_t m = dtype_size(x->value.dtype), n = dtype_size(y->value.dtype);
    return m != n ? (m > n ? -1 : 1) : strcmp(x->name, y->name);
}

static void put_meta(Buf *b, const Meta *meta, int n)
{
    buf_print(b, "{\"__metadata__\":{\"format\":\"pt\"");
    for (int i = 0; i < n; i++) {
        if (!strcmp(meta[i].key, "format")) continue;
        buf_print(b, ",");
        json_quote(b, meta[i].key);
        buf_print(b, ":");
        json_quote(b, meta[i].value);
    }
    buf_print(b, "}");
}

static void put_entry(Buf *b, const Named *t, size_t begin)
{
    buf_print(b, ",");
    json_quote(b, t->name);
    buf_print(b, ":{\"dtype\":\"%s\",\"shape\":[", dtype_name(t->value.dtype));
    for (int d = 0; d < t->value.rank; d++) buf_print(b, d ? ",%lld" : "%lld", (long long)t->value.dim[d]);
    buf_print(b, "],\"data_offsets\":[%zu,%zu]}", begin, begin + tensor_bytes(t->value));
}

Status safetensors_write(const char *path, const Named *tensors, int n, const Meta *meta, int n_meta)
{
    Writer file;
    TRY(writer_open(&file, path));
    Arena scratch = arena_open((size_t)1 << 30);
    Named *t = NEW(&scratch, Named, n);
    if (n) memcpy(t, tensors, sizeof *t * (size_t)n);
    qsort(t, (size_t)n, sizeof *t, by_size_and_name);

    Buf b = buf_open(&scratch);
    put_meta(&b, meta, n_meta);
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        CHECK(!i || strcmp(t[i - 1].name, t[i].name), "%s: tensor '%s' is written twice", path, t[i].name);
        put_entry(&b, &t[i], at);
        at += tensor_bytes(t[i].value);
    }
    buf_print(&b, "}");
    while (b.len % 8) buf_add(&b, " ", 1);

    unsigned char size[8];
    for (int i = 0; i < 8; i++) size[i] = (unsigned char)((uint64_t)b.len >> 8 * i);
    writer_add(&file, size, sizeof size);
    writer_add(&file, b.text, b.len);
    for (int i = 0; i < n; i++) writer_add(&file, t[i].value.data, tensor_bytes(t[i].value));
    arena_close(&scratch);
    return writer_close(&file);
}
