/* Reading goes front to back with a cursor that knows where the file ends.  A count in the header is first compared
 * with the bytes that its items need at least, so that no table is larger than a small multiple of the file. */
#include "io/gguf.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "io/reader.h"

static const char MAGIC[4] = "GGUF";
enum { LEAST_KEY = 8 + 4 + 1, LEAST_TENSOR = 8 + 1 + 4 + 4 + 8, DEFAULT_ALIGNMENT = 32, MOST_DIMS = 4 };

bool gguf_looks_like(const char *first, size_t n)
{
    return n >= sizeof MAGIC && !memcmp(first, MAGIC, sizeof MAGIC);
}

/* ---- the cursor */

typedef struct {
    const char *path, *at, *end;
} Cursor;

static size_t left(const Cursor *c)
{
    return (size_t)(c->end - c->at);
}

static Status cut_short(const Cursor *c, const char *what)
{
    return err_fail(E_FORMAT, "%s: ends within %s", c->path, what);
}

/* An unsigned number of `size` bytes. */
static Status take(uint64_t *out, Cursor *c, int size, const char *what)
{
    *out = 0;
    if (left(c) < (size_t)size) return cut_short(c, what);
    memcpy(out, c->at, (size_t)size);
    c->at += size;
    return OK;
}

/* A string of the file: its length, then its bytes. */
static Status take_bytes(Bytes *out, Cursor *c, const char *what)
{
    uint64_t n;
    *out = (Bytes){0};
    TRY(take(&n, c, 8, what));
    if (n > left(c))
        return err_fail(E_FORMAT, "%s: %s claims %llu bytes, but only %zu follow", c->path, what,
                        (unsigned long long)n, left(c));
    union {
        const char *in;
        char *out;
    } text = {c->at};
    *out = (Bytes){text.out, (size_t)n};
    c->at += n;
    return OK;
}

/* A name: a copy that ends with NUL, of UTF-8 without NUL. */
static Status take_name(const char **out, Cursor *c, Arena *a, const char *what)
{
    Bytes b;
    TRY(take_bytes(&b, c, what));
    if (!b.len) return err_fail(E_FORMAT, "%s: %s is empty", c->path, what);
    if (memchr(b.text, 0, b.len)) return err_fail(E_FORMAT, "%s: %s holds a NUL byte", c->path, what);
    for (size_t i = 0, n; i < b.len; i += n)
        if (!(n = utf8_length(b.text + i, b.len - i))) return err_fail(E_FORMAT, "%s: %s is no UTF-8", c->path, what);
    *out = str_copy(a, b.text, b.len);
    return OK;
}

/* ---- keys and values */

static const struct {
    const char *name;
    int size; /* 0: varies */
} KINDS[] = {{"u8", 1},   {"i8", 1},     {"u16", 2},   {"i16", 2}, {"u32", 4}, {"i32", 4}, {"f32", 4},
             {"bool", 1}, {"string", 0}, {"array", 0}, {"u64", 8}, {"i64", 8}, {"f64", 8}};
enum { N_KINDS = sizeof KINDS / sizeof *KINDS };

static Status take_kind(GgufKind *out, Cursor *c, const char *key)
{
    uint64_t kind;
    TRY(take(&kind, c, 4, key));
    if (kind >= N_KINDS)
        return err_fail(E_FORMAT, "%s: key '%s' has a value of kind %llu, expected 0 to %d", c->path, key,
                        (unsigned long long)kind, N_KINDS - 1);
    *out = (GgufKind)kind;
    return OK;
}

/* Steps over the elements, and so checks that they are there. */
static Status pass_elements(GgufValue *v, Cursor *c)
{
    Bytes text;
    int size = KINDS[v->kind].size;
    v->at = c->at;
    if ((uint64_t)v->n > left(c) / (size_t)(size ? size : 8))
        return err_fail(E_FORMAT, "%s: key '%s' claims %lld values of kind %s, but only %zu bytes follow", c->path,
                        v->key, (long long)v->n, KINDS[v->kind].name, left(c));
    if (size) c->at += v->n * size;
    for (int64_t i = 0; !size && i < v->n; i++) TRY(take_bytes(&text, c, v->key));
    return OK;
}

static Status take_value(GgufValue *v, Cursor *c, Arena *a)
{
    TRY(take_name(&v->key, c, a, "the name of a key"));
    TRY(take_kind(&v->kind, c, v->key));
    v->n = 1;
    v->is_array = v->kind == GGUF_ARRAY;
    if (v->is_array) {
        uint64_t n;
        TRY(take_kind(&v->kind, c, v->key));
        TRY(take(&n, c, 8, v->key));
        if (v->kind == GGUF_ARRAY)
            return err_fail(E_FORMAT, "%s: key '%s' is an array of arrays, which is not supported", c->path, v->key);
        if (n > INT64_MAX)
            return err_fail(E_FORMAT, "%s: key '%s' claims %llu values, but only %zu bytes follow", c->path, v->key,
                            (unsigned long long)n, left(c));
        v->n = (int64_t)n;
    }
    return pass_elements(v, c);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const GgufValue *)a)->key, ((const GgufValue *)b)->key);
}

static Status take_values(Gguf *g, Cursor *c, Arena *a, int n)
{
    GgufValue *v = NEW(a, GgufValue, n);
    for (int i = 0; i < n; i++) TRY(take_value(&v[i], c, a));
    qsort(v, (size_t)n, sizeof *v, by_key);
    for (int i = 1; i < n; i++)
        if (!by_key(&v[i - 1], &v[i])) return err_fail(E_FORMAT, "%s: key '%s' appears twice", c->path, v[i].key);
    g->value = v;
    g->n_values = n;
    return OK;
}

/* ---- tensors */

/* The types of files by their numbers there; `block` and `bytes` follow from the stored type. */
static const struct {
    const char *name;
    int type; /* StoredType, or -1: not supported */
} TYPES[] = {[0] = {"F32", STORED_F32},    [1] = {"F16", STORED_F16},    [2] = {"Q4_0", STORED_Q4_0},
             [3] = {"Q4_1", STORED_Q4_1},  [4] = {"Q4_2", -1},           [5] = {"Q4_3", -1},
             [6] = {"Q5_0", STORED_Q5_0},  [7] = {"Q5_1", STORED_Q5_1},  [8] = {"Q8_0", STORED_Q8_0},
             [9] = {"Q8_1", -1},           [10] = {"Q2_K", STORED_Q2_K}, [11] = {"Q3_K", STORED_Q3_K},
             [12] = {"Q4_K", STORED_Q4_K}, [13] = {"Q5_K", STORED_Q5_K}, [14] = {"Q6_K", STORED_Q6_K},
             [15] = {"Q8_K", -1},          [16] = {"IQ2_XXS", -1},       [17] = {"IQ2_XS", -1},
             [18] = {"IQ3_XXS", -1},       [19] = {"IQ1_S", -1},         [20] = {"IQ4_NL", -1},
             [21] = {"IQ3_S", -1},         [22] = {"IQ2_S", -1},         [23] = {"IQ4_XS", -1},
             [24] = {"I8", STORED_I8},     [25] = {"I16", STORED_I16},   [26] = {"I32", STORED_I32},
             [27] = {"I64", STORED_I64},   [28] = {"F64", STORED_F64},   [29] = {"IQ1_M", -1},
             [30] = {"BF16", STORED_BF16}, [34] = {"TQ1_0", -1},         [35] = {"TQ2_0", -1},
             [39] = {"MXFP4", -1},         [40] = {"NVFP4", -1},         [41] = {"Q1_0", -1}};
enum { N_TYPES = sizeof TYPES / sizeof *TYPES };

static Status take_type(Stored *s, Cursor *c)
{
    uint64_t type;
    TRY(take(&type, c, 4, s->name));
    if (type < N_TYPES && TYPES[type].name && TYPES[type].type >= 0) {
        s->type = (StoredType)TYPES[type].type;
        return OK;
    }
    static const char known[] = "F64, F32, F16, BF16, Q8_0, Q5_1, Q5_0, Q4_1, Q4_0, Q6_K to Q2_K and I8 to I64";
    if (type < N_TYPES && TYPES[type].name)
        return err_fail(E_FORMAT, "%s: tensor '%s' is of type %s, supported are %s", c->path, s->name,
                        TYPES[type].name, known);
    return err_fail(E_FORMAT, "%s: tensor '%s' is of type %llu, which is unknown; supported are %s", c->path, s->name,
                    (unsigned long long)type, known);
}

/* The file lists the innermost dimension first. */
static Status take_shape(Stored *s, Cursor *c)
{
    uint64_t rank, dim;
    TRY(take(&rank, c, 4, s->name));
    if (rank > MOST_DIMS)
        return err_fail(E_FORMAT, "%s: tensor '%s' has %llu dimensions, expected at most %d", c->path, s->name,
                        (unsigned long long)rank, MOST_DIMS);
    s->rank = (int)rank;
    s->count = 1;
    for (int d = s->rank - 1; d >= 0; d--) {
        TRY(take(&dim, c, 8, s->name));
        if (dim < 1 || dim > INT64_MAX || __builtin_mul_overflow(s->count, (int64_t)dim, &s->count))
            return err_fail(E_FORMAT, "%s: tensor '%s' has a dimension of %llu, which no tensor of this file has",
                            c->path, s->name, (unsigned long long)dim);
        s->dim[d] = (int64_t)dim;
    }
    return OK;
}

/* The tensor's bytes; its place within the data stays in `bytes` until the data's beginning is known. */
static Status take_tensor(Stored *s, uint64_t *offset, Cursor *c, Arena *a)
{
    s->file = c->path;
    TRY(take_name(&s->name, c, a, "the name of a tensor"));
    TRY(take_shape(s, c));
    TRY(take_type(s, c));
    TRY(take(offset, c, 8, s->name));
    int64_t block = stored_block(s->type), bytes;
    if (block > 1 && (!s->rank || s->dim[s->rank - 1] % block))
        return err_fail(E_FORMAT, "%s: tensor '%s' of shape %s is %s, whose rows are multiples of %lld", c->path,
                        s->name, stored_shape(s), stored_type(s), (long long)block);
    if (__builtin_mul_overflow(s->count / block, (int64_t)stored_size(s->type), &bytes))
        return err_fail(E_FORMAT, "%s: tensor '%s' of shape %s is larger than 64 bits can count", c->path, s->name,
                        stored_shape(s));
    s->n_bytes = (size_t)bytes;
    return OK;
}

static int by_place(const void *a, const void *b)
{
    const Stored *x = *(const Stored *const *)a, *y = *(const Stored *const *)b;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

static Status check_overlap(const Gguf *g, Arena *a)
{
    const Stored **at = NEW(a, const Stored *, g->n_tensors);
    for (int i = 0; i < g->n_tensors; i++) at[i] = &g->tensor[i];
    qsort(at, (size_t)g->n_tensors, sizeof *at, by_place);
    for (int i = 1; i < g->n_tensors; i++)
        if ((const char *)at[i - 1]->bytes + at[i - 1]->n_bytes > (const char *)at[i]->bytes)
            return err_fail(E_FORMAT, "%s: tensors '%s' and '%s' overlap", g->path, at[i - 1]->name, at[i]->name);
    return OK;
}

static Status take_tensors(Gguf *g, Cursor *c, Arena *a, int n)
{
    Stored *s = NEW(a, Stored, n);
    uint64_t *offset = NEW(a, uint64_t, n);
    for (int i = 0; i < n; i++) TRY(take_tensor(&s[i], &offset[i], c, a));
    int64_t align = DEFAULT_ALIGNMENT;
    TRY(gguf_int(&align, g, "general.alignment", 0, UINT32_MAX));
    if (align < 1 || align & (align - 1))
        return err_fail(E_FORMAT, "%s: general.alignment is %lld, expected a power of two", c->path,
                        (long long)align);
    size_t start = ((size_t)(c->at - g->file.text) + (size_t)align - 1) / (size_t)align * (size_t)align;
    for (int i = 0; i < n; i++) {
        size_t room = start < g->file.len ? g->file.len - start : 0;
        if (offset[i] % (uint64_t)align)
            return err_fail(E_FORMAT, "%s: tensor '%s' begins at byte %llu of the data, expected a multiple of %lld",
                            c->path, s[i].name, (unsigned long long)offset[i], (long long)align);
        if (offset[i] > room || s[i].n_bytes > room - offset[i])
            return err_fail(E_FORMAT, "%s: tensor '%s' has %zu bytes from byte %llu of the data, which has %zu",
                            c->path, s[i].name, s[i].n_bytes, (unsigned long long)offset[i], room);
        s[i].bytes = g->file.text + start + offset[i];
    }
    g->tensor = s;
    g->n_tensors = n;
    return check_overlap(g, a);
}

/* ---- opening */

/* A big-endian file shows its version in the upper bytes. */
static Status take_version(Gguf *g, Cursor *c)
{
    uint64_t version;
    c->at += sizeof MAGIC;
    TRY(take(&version, c, 4, "the header"));
    if (version && !(version & 0xffff))
        return err_fail(E_FORMAT, "%s: is a big-endian GGUF file, only little-endian ones are supported", g->path);
    if (version != 2 && version != 3)
        return err_fail(E_FORMAT, "%s: is of GGUF version %llu, supported are 2 and 3", g->path,
                        (unsigned long long)version);
    g->version = (int)version;
    return OK;
}

/* A count of items that need so many bytes each, at least. */
static Status take_count(int *out, Cursor *c, int least, const char *what)
{
    uint64_t n;
    TRY(take(&n, c, 8, "the header"));
    if (n > left(c) / (size_t)least || n > INT32_MAX)
        return err_fail(E_FORMAT, "%s: claims %llu %s, but only %zu bytes follow", c->path, (unsigned long long)n,
                        what, left(c));
    *out = (int)n;
    return OK;
}

static Status read_all(Gguf *g, Arena *a)
{
    Cursor c = {g->path, g->file.text, g->file.text + g->file.len};
    int tensors, keys;
    if (!gguf_looks_like(g->file.text, g->file.len))
        return err_fail(E_FORMAT, "%s: does not begin with \"GGUF\"", g->path);
    TRY(take_version(g, &c));
    TRY(take_count(&tensors, &c, LEAST_TENSOR, "tensors"));
    TRY(take_count(&keys, &c, LEAST_KEY, "keys"));
    TRY(take_values(g, &c, a, keys));
    return take_tensors(g, &c, a, tensors);
}

Status gguf_open(Gguf **out, Arena *a, const char *path)
{
    Gguf *g = NEW(a, Gguf, 1);
    *out = NULL;
    g->path = str_copy(a, path, strlen(path));
    TRY(file_map(&g->file, g->path));
    Status s = read_all(g, a);
    if (s)
        gguf_close(g);
    else
        *out = g;
    return s;
}

void gguf_close(Gguf *g)
{
    if (!g) return;
    file_unmap(g->file);
    g->file = (Bytes){0};
}

/* ---- typed access */

const GgufValue *gguf_value(const Gguf *g, const char *key)
{
    const GgufValue wanted = {.key = key};
    return g->n_values ? bsearch(&wanted, g->value, (size_t)g->n_values, sizeof *g->value, by_key) : NULL;
}

static Status wrong_kind(const Gguf *g, const GgufValue *v, const char *expected)
{
    return err_fail(E_FORMAT, "%s: key '%s' is %s%s, expected %s", g->path, v->key, v->is_array ? "an array of " : "",
                    KINDS[v->kind].name, expected);
}

static bool is_whole(GgufKind kind)
{
    return kind != GGUF_F32 && kind != GGUF_F64 && kind != GGUF_STRING && kind != GGUF_BOOL;
}

/* Element i of an array of whole numbers; a u64 beyond the range of int64_t becomes the largest. */
static int64_t whole_at(const GgufValue *v, int64_t i)
{
    const char *at = v->at + i * KINDS[v->kind].size;
    uint64_t x = 0;
    memcpy(&x, at, (size_t)KINDS[v->kind].size);
    switch (v->kind) {
    case GGUF_I8: return (int8_t)x;
    case GGUF_I16: return (int16_t)x;
    case GGUF_I32: return (int32_t)x;
    case GGUF_U64: return x > INT64_MAX ? INT64_MAX : (int64_t)x;
    default: return (int64_t)x;
    }
}

static double real_at(const GgufValue *v, int64_t i)
{
    float f;
    double d;
    if (v->kind == GGUF_F32) {
        memcpy(&f, v->at + i * 4, sizeof f);
        return (double)f;
    }
    if (v->kind != GGUF_F64) return (double)whole_at(v, i);
    memcpy(&d, v->at + i * 8, sizeof d);
    return d;
}

Status gguf_int(int64_t *out, const Gguf *g, const char *key, int64_t least, int64_t most)
{
    const GgufValue *v = gguf_value(g, key);
    if (!v) return OK;
    if (v->is_array || !is_whole(v->kind)) return wrong_kind(g, v, "a whole number");
    int64_t x = whole_at(v, 0);
    if (x < least || x > most)
        return err_fail(E_FORMAT, "%s: key '%s' is %lld, expected %lld to %lld", g->path, key, (long long)x,
                        (long long)least, (long long)most);
    *out = x;
    return OK;
}

Status gguf_real(double *out, const Gguf *g, const char *key, double least, double most)
{
    const GgufValue *v = gguf_value(g, key);
    if (!v) return OK;
    if (v->is_array || v->kind == GGUF_STRING || v->kind == GGUF_BOOL) return wrong_kind(g, v, "a number");
    double x = real_at(v, 0);
    if (!(x >= least && x <= most))
        return err_fail(E_FORMAT, "%s: key '%s' is %g, expected %g to %g", g->path, key, x, least, most);
    *out = x;
    return OK;
}

Status gguf_bool(bool *out, const Gguf *g, const char *key)
{
    const GgufValue *v = gguf_value(g, key);
    if (!v) return OK;
    if (v->is_array || v->kind != GGUF_BOOL) return wrong_kind(g, v, "true or false");
    *out = *v->at != 0;
    return OK;
}

Status gguf_text(const char **out, Arena *a, const Gguf *g, const char *key)
{
    const GgufValue *v = gguf_value(g, key);
    if (!v) return OK;
    if (v->is_array || v->kind != GGUF_STRING) return wrong_kind(g, v, "a string");
    uint64_t n;
    memcpy(&n, v->at, sizeof n);
    if (memchr(v->at + 8, 0, n)) return err_fail(E_FORMAT, "%s: key '%s' holds a NUL byte", g->path, key);
    *out = str_copy(a, v->at + 8, n);
    return OK;
}

Status gguf_texts(Bytes **out, int64_t *n, Arena *a, const Gguf *g, const char *key)
{
    const GgufValue *v = gguf_value(g, key);
    *out = NULL;
    *n = 0;
    if (!v) return OK;
    if (!v->is_array || v->kind != GGUF_STRING) return wrong_kind(g, v, "an array of strings");
    Cursor c = {g->path, v->at, g->file.text + g->file.len};
    *out = NEW(a, Bytes, v->n);
    for (int64_t i = 0; i < v->n; i++) TRY(take_bytes(&(*out)[i], &c, key));
    *n = v->n;
    return OK;
}

Status gguf_ints(int32_t **out, int64_t *n, Arena *a, const Gguf *g, const char *key)
{
    const GgufValue *v = gguf_value(g, key);
    *out = NULL;
    *n = 0;
    if (!v) return OK;
    if (!v->is_array || !is_whole(v->kind)) return wrong_kind(g, v, "an array of whole numbers");
    *out = NEW(a, int32_t, v->n);
    for (int64_t i = 0; i < v->n; i++) {
        int64_t x = whole_at(v, i);
        if (x < INT32_MIN || x > INT32_MAX)
            return err_fail(E_FORMAT, "%s: key '%s': value %lld is %lld, which 32 bits do not hold", g->path, key,
                            (long long)i, (long long)x);
        (*out)[i] = (int32_t)x;
    }
    *n = v->n;
    return OK;
}

Status gguf_reals(float **out, int64_t *n, Arena *a, const Gguf *g, const char *key)
{
    const GgufValue *v = gguf_value(g, key);
    *out = NULL;
    *n = 0;
    if (!v) return OK;
    if (!v->is_array || v->kind == GGUF_STRING || v->kind == GGUF_BOOL)
        return wrong_kind(g, v, "an array of numbers");
    *out = NEW(a, float, v->n);
    for (int64_t i = 0; i < v->n; i++) (*out)[i] = (float)real_at(v, i);
    *n = v->n;
    return OK;
}
