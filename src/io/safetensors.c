/* Reading, in three passes: the header's frame (size, UTF-8, JSON), each entry by itself (dtype, shape, offsets),
 * and the entries together (sorted by offset they must tile the data area exactly).  cJSON keeps both of two equal
 * keys and carries numbers as doubles, so duplicates are searched for and numbers must be integers below 2^53.
 */
#include "io/safetensors.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/download.h"
#include "base/file.h"
#include "base/str.h"
#include "io/json.h"
#include "io/reader.h"

enum { HEADER_MAX = 100000000 };

/* ---- the header */

/* Text in the place of a header's size is a huge number. */
static Status header_size(size_t *out, Bytes file, const char *path)
{
    uint64_t n = 0;
    for (int i = 7; i >= 0 && file.len >= 8; i--) n = n << 8 | (unsigned char)file.text[i];
    const char *fault = file.len < 8 || n > HEADER_MAX ? download_fault(file.text, file.len, false) : NULL;
    if (fault) return err_fail(E_FORMAT, "%s: %s", path, fault);
    if (file.len < 8)
        return err_fail(E_FORMAT, "%s: %zu %s, a safetensors file has at least 8", path, file.len,
                        str_plural((int64_t)file.len, "byte", "bytes"));
    if (n > HEADER_MAX)
        return err_fail(E_FORMAT, "%s: the header claims %llu bytes, at most %d are allowed", path,
                        (unsigned long long)n, HEADER_MAX);
    *out = (size_t)n;
    return OK;
}

static Status frame(const char **text, size_t *len, Bytes file, const char *path)
{
    TRY(header_size(len, file, path));
    if (*len > file.len - 8)
        return err_fail(E_FORMAT, "%s: the header claims %zu bytes, but only %zu follow", path, *len, file.len - 8);
    if (!*len || file.text[8] != '{') return err_fail(E_FORMAT, "%s: the header does not begin with '{'", path);
    *text = file.text + 8;
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
    if (!cJSON_IsArray(shape)) return err_fail(E_FORMAT, "%s: tensor '%s' has no shape list", s->file, s->name);
    s->count = 1;
    const cJSON *d;
    cJSON_ArrayForEach(d, shape)
    {
        if (s->rank == STORED_RANK)
            return err_fail(E_FORMAT, "%s: tensor '%s' has more than %d dimensions", s->file, s->name, STORED_RANK);
        int64_t *dim = &s->dim[s->rank++];
        if (!whole(d, dim))
            return err_fail(E_FORMAT, "%s: tensor '%s': dimension %d is not a whole number", s->file, s->name,
                            s->rank - 1);
        if (__builtin_mul_overflow(s->count, *dim, &s->count))
            return err_fail(E_FORMAT, "%s: tensor '%s': its shape's product exceeds 64 bits", s->file, s->name);
    }
    return OK;
}

static Status read_type(Stored *s, const cJSON *type)
{
    if (!cJSON_IsString(type)) return err_fail(E_FORMAT, "%s: tensor '%s' has no dtype", s->file, s->name);
    if (stored_type_find(&s->type, type->valuestring)) return OK;
    return err_fail(E_FORMAT,
                    "%s: tensor '%s' has dtype '%.20s', known are F64, F32, F16, BF16, I8 to I64, U8 to U32, BOOL",
                    s->file, s->name, type->valuestring);
}

/* One tensor of the header: its offsets must lie in the file and fit its dtype and shape. */
static Status read_entry(Stored *s, const cJSON *j, const char *data, size_t room)
{
    if (!cJSON_IsObject(j)) return err_fail(E_FORMAT, "%s: entry '%s' is not an object", s->file, s->name);
    TRY(read_type(s, cJSON_GetObjectItemCaseSensitive(j, "dtype")));
    TRY(read_shape(s, cJSON_GetObjectItemCaseSensitive(j, "shape")));
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(j, "data_offsets");
    int64_t begin, end, bytes;
    if (cJSON_GetArraySize(offsets) != 2 || !whole(cJSON_GetArrayItem(offsets, 0), &begin) ||
        !whole(cJSON_GetArrayItem(offsets, 1), &end))
        return err_fail(E_FORMAT, "%s: tensor '%s': data_offsets are not two whole numbers", s->file, s->name);
    if (end < begin || (uint64_t)end > room)
        return err_fail(E_FORMAT, "%s: tensor '%s' lies at [%lld, %lld], the data has %zu bytes", s->file, s->name,
                        (long long)begin, (long long)end, room);
    if (__builtin_mul_overflow(s->count, (int64_t)stored_size(s->type), &bytes) || bytes != end - begin)
        return err_fail(E_FORMAT, "%s: tensor '%s' of shape %s and dtype %s is given %lld bytes", s->file, s->name,
                        stored_shape(s), stored_type(s), (long long)(end - begin));
    s->bytes = data + begin;
    s->n_bytes = (size_t)bytes;
    return OK;
}

static Status read_meta(Weights *w, Arena *run, const cJSON *j, const char *path)
{
    if (!cJSON_IsObject(j)) return err_fail(E_FORMAT, "%s: __metadata__ is not an object", path);
    w->meta = NEW(run, Meta, cJSON_GetArraySize(j));
    w->n_meta = 0;
    const cJSON *m;
    cJSON_ArrayForEach(m, j)
    {
        if (!cJSON_IsString(m)) return err_fail(E_FORMAT, "%s: __metadata__ '%s' is not a string", path, m->string);
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

/* Sorted by place, each tensor must begin where the one before it ended. */
static Status check_tiling(Stored *at, int n, const char *data, size_t room, const char *path)
{
    qsort(at, (size_t)n, sizeof *at, by_place);
    const char *end = data;
    for (int i = 0; i < n; i++) {
        if (at[i].bytes != end)
            return err_fail(E_FORMAT, "%s: tensor '%s' begins at byte %td of the data, expected %td: %s", path,
                            at[i].name, (const char *)at[i].bytes - data, end - data,
                            (const char *)at[i].bytes < end ? "tensors overlap" : "a hole");
        end += at[i].n_bytes;
    }
    if (end != data + room)
        return err_fail(E_FORMAT, "%s: %td bytes follow the last tensor", path, data + room - end);
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
            if (metas++) return err_fail(E_FORMAT, "%s: __metadata__ appears twice", path);
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
    return OK;
}

Status safetensors_add(Weights *w, Arena *run, const char *path)
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

Status safetensors_open(Weights **out, Arena *run, const char *path)
{
    Weights *w = weights_new(run, path, 1);
    Status status = safetensors_add(w, run, w->path);
    if (!status) status = weights_sort(w, run);
    return weights_opened(out, w, status);
}

/* ---- writing */

static int by_size_and_name(const void *a, const void *b)
{
    const Stored *x = a, *y = b;
    size_t m = stored_size(x->type), n = stored_size(y->type);
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

static void put_entry(Buf *b, const Stored *t, size_t begin)
{
    buf_print(b, ",");
    json_quote(b, t->name);
    buf_print(b, ":{\"dtype\":\"%s\",\"shape\":[", stored_type(t));
    for (int d = 0; d < t->rank; d++) buf_print(b, d ? ",%lld" : "%lld", (long long)t->dim[d]);
    buf_print(b, "],\"data_offsets\":[%zu,%zu]}", begin, begin + t->n_bytes);
}

Status safetensors_write_stored(const char *path, const Stored *tensors, int n, const Meta *meta, int n_meta)
{
    Writer file;
    TRY(writer_open(&file, path));
    Arena scratch = arena_open((size_t)1 << 30);
    Stored *t = NEW(&scratch, Stored, n);
    if (n) memcpy(t, tensors, sizeof *t * (size_t)n);
    qsort(t, (size_t)n, sizeof *t, by_size_and_name);

    Buf b = buf_open(&scratch);
    put_meta(&b, meta, n_meta);
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        CHECK(!i || strcmp(t[i - 1].name, t[i].name), "%s: tensor '%s' is written twice", path, t[i].name);
        put_entry(&b, &t[i], at);
        at += t[i].n_bytes;
    }
    buf_print(&b, "}");
    while (b.len % 8) buf_add(&b, " ", 1);

    unsigned char size[8];
    for (int i = 0; i < 8; i++) size[i] = (unsigned char)((uint64_t)b.len >> 8 * i);
    writer_add(&file, size, sizeof size);
    writer_add(&file, b.text, b.len);
    for (int i = 0; i < n; i++) writer_add(&file, t[i].bytes, t[i].n_bytes);
    arena_close(&scratch);
    return writer_close(&file);
}

Status safetensors_write(const char *path, const Named *tensors, int n, const Meta *meta, int n_meta)
{
    Arena scratch = arena_open((size_t)1 << 30);
    Stored *t = NEW(&scratch, Stored, n);
    for (int i = 0; i < n; i++) t[i] = stored_of(tensors[i].name, tensors[i].value);
    Status status = safetensors_write_stored(path, t, n, meta, n_meta);
    arena_close(&scratch);
    return status;
}
