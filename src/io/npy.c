/* The header is a Python literal, of which exactly the form that numpy writes is read: a flat dict with three known
 * keys, strings in either quote, True or False, and a tuple of whole numbers. */
#include "io/npy.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "io/reader.h"

static const char MAGIC[] = {'\x93', 'N', 'U', 'M', 'P', 'Y'};
enum { HEADER_MOST = 1 << 20 };

static const struct {
    const char *descr;
    StoredType type;
} DTYPES[] = {{"<f4", STORED_F32}, {"<f8", STORED_F64}, {"<f2", STORED_F16}, {"|b1", STORED_BOOL},
              {"|u1", STORED_U8},  {"|i1", STORED_I8},  {"<i2", STORED_I16}, {"<u2", STORED_U16},
              {"<i4", STORED_I32}, {"<u4", STORED_U32}, {"<i8", STORED_I64}};
enum { N_DTYPES = sizeof DTYPES / sizeof *DTYPES };

bool npy_looks_like(const char *first, size_t n)
{
    return n >= sizeof MAGIC && !memcmp(first, MAGIC, sizeof MAGIC);
}

/* ---- the dict */

typedef struct {
    const char *at, *end;
} Text;

static void skip(Text *t)
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\n' || *t->at == '\t')) t->at++;
}

static bool take(Text *t, const char *word)
{
    skip(t);
    size_t n = strlen(word);
    if ((size_t)(t->end - t->at) < n || memcmp(t->at, word, n) != 0) return false;
    t->at += n;
    return true;
}

static bool take_string(Text *t, char *out, size_t room)
{
    skip(t);
    char quote = t->at < t->end ? *t->at : 0;
    if (quote != '\'' && quote != '"') return false;
    const char *close = memchr(t->at + 1, quote, (size_t)(t->end - t->at) - 1);
    if (!close || (size_t)(close - t->at) > room) return false;
    memcpy(out, t->at + 1, (size_t)(close - t->at) - 1);
    out[close - t->at - 1] = 0;
    t->at = close + 1;
    return true;
}

static bool take_whole(Text *t, int64_t *out)
{
    skip(t);
    const char *from = t->at;
    for (*out = 0; t->at < t->end && *t->at >= '0' && *t->at <= '9'; t->at++)
        if (__builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, *t->at - '0', out)) return false;
    take(t, "L"); /* Python 2 */
    return t->at > from;
}

/* A tuple: "()", "(3,)", "(3, 4)". */
static bool take_shape(Text *t, Stored *s)
{
    if (!take(t, "(")) return false;
    for (s->rank = 0; !take(t, ")"); s->rank++) {
        if (s->rank == STORED_RANK || !take_whole(t, &s->dim[s->rank])) return false;
        if (!take(t, ",") && !(s->rank && t->at < t->end && *t->at == ')')) return false;
    }
    return true;
}

/* The header's Python dict, which holds descr, fortran_order and shape in any order, and nothing else. */
static Status read_dict(Stored *s, Text t, bool *fortran)
{
    char key[32], descr[64] = "";
    int seen = 0;
    bool good = take(&t, "{");
    while (good && !take(&t, "}")) {
        int field = 0;
        good = take_string(&t, key, sizeof key) && take(&t, ":");
        if (good && !strcmp(key, "descr") && t.at < t.end && (skip(&t), *t.at == '['))
            return err_fail(E_FORMAT, "%s: is an array of records, which is not supported", s->file);
        if (!good) break;
        if (!strcmp(key, "descr"))
            field = 1, good = take_string(&t, descr, sizeof descr);
        else if (!strcmp(key, "fortran_order"))
            field = 2, *fortran = take(&t, "True"), good = *fortran || take(&t, "False");
        else if (!strcmp(key, "shape"))
            field = 4, good = take_shape(&t, s);
        if (!field) return err_fail(E_FORMAT, "%s: the header has an unknown key '%s'", s->file, key);
        if (good && seen & field) return err_fail(E_FORMAT, "%s: the header has %s twice", s->file, key);
        seen |= field;
        if (good && !take(&t, ",")) {
            good = take(&t, "}");
            break;
        }
    }
    skip(&t);
    if (!good || t.at != t.end || seen != 7)
        return err_fail(E_FORMAT, "%s: the header is no dict of descr, fortran_order and shape", s->file);
    for (int i = 0; i < N_DTYPES; i++) {
        if (strcmp(DTYPES[i].descr + 1, descr + (*descr != 0)) != 0) continue;
        if (*descr != '|' && *descr != '<' && !(*descr == '=')) continue;
        s->type = DTYPES[i].type;
        return OK;
    }
    return err_fail(E_FORMAT, "%s: dtype is '%.20s', known are b1, i1 to i8, u1 to u4, f2, f4 and f8, little-endian",
                    s->file, descr);
}

/* ---- reading */

static Status read_header(Stored *s, Bytes file, bool *fortran)
{
    if (!npy_looks_like(file.text, file.len) || file.len < 10)
        return err_fail(E_FORMAT, "%s: does not begin as an .npy file does", s->file);
    const unsigned char *u = (const unsigned char *)file.text;
    int version = u[6], wide = version == 1 ? 2 : 4;
    if (version < 1 || version > 3 || u[7])
        return err_fail(E_FORMAT, "%s: is of version %d.%d, known are 1.0, 2.0 and 3.0", s->file, version, u[7]);
    size_t begin = 8 + (size_t)wide, n = 0;
    for (int i = wide - 1; i >= 0 && file.len >= begin; i--) n = n << 8 | u[8 + i];
    if (file.len < begin || n > file.len - begin || n > HEADER_MOST)
        return err_fail(E_FORMAT, "%s: the header claims %zu bytes of a file of %zu", s->file, n, file.len);
    TRY(read_dict(s, (Text){file.text + begin, file.text + begin + n}, fortran));
    s->count = 1;
    int64_t bytes = 0;
    bool over = false;
    for (int i = 0; i < s->rank; i++) over |= __builtin_mul_overflow(s->count, s->dim[i], &s->count);
    over |= __builtin_mul_overflow(s->count, (int64_t)stored_size(s->type), &bytes);
    if (over || (size_t)bytes != file.len - begin - n)
        return err_fail(E_FORMAT, "%s: shape %s of %s does not make the %zu bytes that follow the header", s->file,
                        stored_shape(s), stored_type(s), file.len - begin - n);
    s->bytes = file.text + begin + n;
    s->n_bytes = (size_t)bytes;
    return OK;
}

/* Fortran's first index runs fastest. */
static void to_c_order(Stored *s, Arena *a)
{
    size_t size = stored_size(s->type);
    char *to = arena_take(a, s->n_bytes);
    int64_t index[STORED_RANK] = {0};
    for (int64_t i = 0; i < s->count; i++) {
        int64_t at = 0;
        for (int d = s->rank - 1; d >= 0; d--) at = at * s->dim[d] + index[d];
        memcpy(to + (size_t)i * size, (const char *)s->bytes + (size_t)at * size, size);
        for (int d = s->rank - 1; d >= 0 && ++index[d] == s->dim[d]; d--) index[d] = 0;
    }
    s->bytes = to;
}

Status npy_add(Weights *w, Arena *run, const char *path)
{
    Bytes *map = &w->map[w->n_maps];
    TRY(file_map(map, path));
    w->n_maps++;
    Stored s = {.name = "array", .file = path};
    bool fortran = false;
    TRY(read_header(&s, *map, &fortran));
    if (fortran && s.rank > 1) to_c_order(&s, run);
    Stored *at = NEW(run, Stored, w->n + 1);
    if (w->n) memcpy(at, w->at, sizeof *at * (size_t)w->n);
    at[w->n++] = s;
    w->at = at;
    return OK;
}

Status npy_open(Weights **out, Arena *run, const char *path)
{
    Weights *w = weights_new(run, path, 1);
    Status status = npy_add(w, run, w->path);
    if (!status) status = weights_sort(w, run);
    return weights_opened(out, w, status);
}

Status npy_read(Tensor *out, Arena *a, const char *path)
{
    Weights *w;
    TRY(npy_open(&w, a, path));
    Tensor view;
    Status status = stored_tensor(&view, a, weights_at(w, 0));
    if (!status) *out = tensor_copy(a, view);
    weights_close(w);
    return status;
}

/* ---- writing */

Status npy_write(const char *path, Tensor t)
{
    static const char *const descr[] = {[F32] = "<f4", [F64] = "<f8", [BF16] = "<f4", [I32] = "<i4", [F16] = "<f2"};
    char head[512], shape[128] = "";
    size_t used = 0;
    for (int i = 0; i < t.rank; i++)
        used += (size_t)snprintf(shape + used, sizeof shape - used, i ? ", %lld" : "%lld", (long long)t.dim[i]);
    int n = snprintf(head + 10, sizeof head - 10, "{'descr': '%s', 'fortran_order': False, 'shape': (%s%s), }",
                     descr[t.dtype], shape, t.rank == 1 ? "," : "");
    int whole = (10 + n + 1 + 63) / 64 * 64; /* the values begin on 64 bytes */
    memset(head + 10 + n, ' ', (size_t)(whole - 10 - n));
    head[whole - 1] = '\n';
    memcpy(head, MAGIC, sizeof MAGIC);
    head[6] = 1, head[7] = 0;
    head[8] = (char)((whole - 10) & 255), head[9] = (char)((whole - 10) >> 8);
    Writer w;
    TRY(writer_open(&w, path));
    writer_add(&w, head, (size_t)whole);
    if (t.dtype != BF16) writer_add(&w, t.data, tensor_bytes(t));
    for (int64_t i = 0; t.dtype == BF16 && i < tensor_count(t); i++) {
        float x = (float)tensor_get(t, i);
        writer_add(&w, &x, sizeof x);
    }
    return writer_close(&w);
}
