/* The values of tensors as files hold them: one at a time, and by rows.
 *
 * Rows go through plain loops without branches, which the compiler turns into vectors (where it may compute values
 * that a choice then drops, as the Makefile allows), a piece at a time: a piece becomes F32, then the wanted type. */
#include "io/weights.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "io/reader.h"
#include "num/blocks.h"
#include "num/half.h"

static const struct {
    const char *name;
    size_t size;   /* bytes of an element, or of a block */
    int64_t block; /* its elements */
} TYPES[] = {
    [STORED_BOOL] = {"BOOL", 1, 1},     [STORED_U8] = {"U8", 1, 1},         [STORED_I8] = {"I8", 1, 1},
    [STORED_F16] = {"F16", 2, 1},       [STORED_BF16] = {"BF16", 2, 1},     [STORED_I16] = {"I16", 2, 1},
    [STORED_U16] = {"U16", 2, 1},       [STORED_I32] = {"I32", 4, 1},       [STORED_U32] = {"U32", 4, 1},
    [STORED_F32] = {"F32", 4, 1},       [STORED_I64] = {"I64", 8, 1},       [STORED_F64] = {"F64", 8, 1},
    [STORED_Q4_0] = {"Q4_0", 18, 32},   [STORED_Q4_1] = {"Q4_1", 20, 32},   [STORED_Q5_0] = {"Q5_0", 22, 32},
    [STORED_Q5_1] = {"Q5_1", 24, 32},   [STORED_Q8_0] = {"Q8_0", 34, 32},   [STORED_Q2_K] = {"Q2_K", 84, 256},
    [STORED_Q3_K] = {"Q3_K", 110, 256}, [STORED_Q4_K] = {"Q4_K", 144, 256}, [STORED_Q5_K] = {"Q5_K", 176, 256},
    [STORED_Q6_K] = {"Q6_K", 210, 256}};
enum { N_TYPES = sizeof TYPES / sizeof *TYPES };

size_t stored_size(StoredType type)
{
    return TYPES[type].size;
}

int64_t stored_block(StoredType type)
{
    return TYPES[type].block;
}

/* The dtype whose memory is laid out as the file's, or -1. */
static int same_dtype(StoredType type)
{
    static const int dtype[N_TYPES] = {
        [STORED_F32] = F32,   [STORED_F64] = F64,   [STORED_BF16] = BF16, [STORED_F16] = F16,   [STORED_I32] = I32,
        [STORED_Q4_0] = Q4_0, [STORED_Q4_1] = Q4_1, [STORED_Q5_0] = Q5_0, [STORED_Q5_1] = Q5_1, [STORED_Q8_0] = Q8_0,
        [STORED_Q2_K] = Q2_K, [STORED_Q3_K] = Q3_K, [STORED_Q4_K] = Q4_K, [STORED_Q5_K] = Q5_K, [STORED_Q6_K] = Q6_K};
    return dtype[type] || type == STORED_F32 ? dtype[type] : -1;
}

/* Other containers have no blocks, so their names are unknown there. */
bool stored_type_find(StoredType *out, const char *name)
{
    for (int t = 0; t < N_TYPES; t++)
        if (!strcmp(TYPES[t].name, name) && TYPES[t].block == 1) {
            *out = (StoredType)t;
            return true;
        }
    return false;
}

/* Where element i lies, the first of its block. */
static const char *place(const Stored *s, int64_t i)
{
    return (const char *)s->bytes + (size_t)(i / TYPES[s->type].block) * TYPES[s->type].size;
}

static double block_get(const Stored *s, int64_t i)
{
    float x[BLOCK_MOST];
    blocks_to_floats(x, (DType)same_dtype(s->type), place(s, i), TYPES[s->type].block);
    return (double)x[i % TYPES[s->type].block];
}

/* ---- properties of a tensor */

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
    if (stored_is_block(s)) return block_get(s, i);
    memcpy(&x, place(s, i), TYPES[s->type].size);
    switch (s->type) {
    case STORED_BOOL:
    case STORED_U8: return x.u8;
    case STORED_I8: return x.i8;
    case STORED_I16: return x.i16;
    case STORED_U16: return x.u16;
    case STORED_U32: return x.u32;
    case STORED_F16: return (double)half_to_float(x.u16);
    case STORED_BF16: return (double)bfloat_to_float(x.u16);
    case STORED_I32: return x.i32;
    case STORED_F32: return (double)x.f32;
    case STORED_I64: return (double)x.i64;
    case STORED_F64: return x.f64;
    default: return 0;
    }
}

bool stored_same_values(const Stored *a, const Stored *b)
{
    if (stored_same_bytes(a, b)) return true;
    if (a->count != b->count) return false;
    if (a->type == b->type && a->n_bytes == b->n_bytes) return !a->n_bytes || !memcmp(a->bytes, b->bytes, a->n_bytes);
    bool same = true;
    for (int64_t i = 0; same && i < a->count; i++) same = stored_get(a, i) == stored_get(b, i);
    return same;
}

bool stored_same_bytes(const Stored *a, const Stored *b)
{
    return a->bytes == b->bytes && a->n_bytes == b->n_bytes && a->type == b->type && a->count > 0;
}

bool stored_is_float(const Stored *s)
{
    return s->type == STORED_F16 || s->type == STORED_BF16 || s->type == STORED_F32 || s->type == STORED_F64 ||
           stored_is_block(s);
}

bool stored_is_block(const Stored *s)
{
    return TYPES[s->type].block > 1;
}

bool stored_is_narrow(const Stored *s)
{
    return s->type == STORED_F16 || s->type == STORED_BF16 || stored_is_block(s);
}

DType stored_dtype(const Stored *s)
{
    CHECK(stored_is_narrow(s), "tensor '%s' in %s", s->name, stored_type(s));
    return (DType)same_dtype(s->type);
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

/* ---- rows; the bytes of a file need not be aligned */

enum { PIECE = 1024 }; /* a multiple of every block */

#define ROW(name, from_type, to_type, expression)                                                                    \
    static void name(void *restrict to, const void *restrict from, int64_t n)                                        \
    {                                                                                                                \
        for (int64_t i = 0; i < n; i++) {                                                                            \
            from_type x;                                                                                             \
            memcpy(&x, (const char *)from + (size_t)i * sizeof x, sizeof x);                                         \
            to_type y = expression;                                                                                  \
            memcpy((char *)to + (size_t)i * sizeof y, &y, sizeof y);                                                 \
        }                                                                                                            \
    }
ROW(halves_to_floats, uint16_t, float, half_to_float(x))
ROW(bfloats_to_floats, uint16_t, float, bfloat_to_float(x))
ROW(doubles_to_floats, double, float, (float)x)
ROW(floats_to_halves, float, uint16_t, half_from_float(x))
ROW(floats_to_bfloats, float, uint16_t, bfloat_from_float(x))
ROW(floats_to_doubles, float, double, (double)x)
ROW(doubles_to_halves, double, uint16_t, half_from(x))

static void to_floats(float *to, StoredType type, const void *from, int64_t n)
{
    switch (type) {
    case STORED_F16: halves_to_floats(to, from, n); break;
    case STORED_BF16: bfloats_to_floats(to, from, n); break;
    case STORED_F64: doubles_to_floats(to, from, n); break;
    case STORED_F32: memcpy(to, from, (size_t)n * sizeof *to); break;
    default: blocks_to_floats(to, (DType)same_dtype(type), from, n);
    }
}

static void from_floats(void *to, StoredType type, const float *from, int64_t n)
{
    switch (type) {
    case STORED_F16: floats_to_halves(to, from, n); break;
    case STORED_BF16: floats_to_bfloats(to, from, n); break;
    case STORED_F64: floats_to_doubles(to, from, n); break;
    default: memcpy(to, from, (size_t)n * sizeof *from);
    }
}

/* Any floating type to any other, at most PIECE numbers. */
static void turn(void *to, StoredType to_type, const void *from, StoredType type, int64_t n)
{
    float x[PIECE];
    if (type == STORED_F64 && to_type == STORED_F16) {
        doubles_to_halves(to, from, n);
    } else if (to_type == STORED_F32) {
        to_floats(to, type, from, n);
    } else {
        to_floats(x, type, from, n);
        from_floats(to, to_type, x, n);
    }
}

/* The largest difference where `from` is finite, at most PIECE numbers. */
static double largest_change(const void *to, StoredType to_type, const void *from, StoredType type, int64_t n)
{
    double x[PIECE] = {0}, y[PIECE] = {0}, most[8] = {0}, all = 0;
    if (type == STORED_F64)
        memcpy(x, from, (size_t)n * sizeof *x);
    else
        turn(x, STORED_F64, from, type, n);
    if (to_type == STORED_F64)
        memcpy(y, to, (size_t)n * sizeof *y);
    else
        turn(y, STORED_F64, to, to_type, n);
    for (int64_t i = 0; i < PIECE; i += 8) /* eight maxima, so that none waits for the one before it */
        for (int k = 0; k < 8; k++) {
            double d = fabs(y[i + k] - x[i + k]), finite = fabs(x[i + k]) <= DBL_MAX ? d : 0;
            most[k] = finite > most[k] ? finite : most[k];
        }
    for (int k = 0; k < 8; k++) all = fmax(all, most[k]);
    return all;
}

Stored stored_convert(Arena *a, const Stored *s, StoredType type, double *worst)
{
    Stored to = *s;
    if (!stored_is_float(s) || s->type == type) return to;
    size_t to_size = TYPES[type].size;
    to.type = type;
    to.n_bytes = (size_t)s->count * to_size;
    char *bytes = arena_take(a, to.n_bytes);
    to.bytes = bytes;
    for (int64_t i = 0; i < s->count; i += PIECE) {
        int64_t n = s->count - i < PIECE ? s->count - i : PIECE;
        const char *from = place(s, i);
        char *at = bytes + (size_t)i * to_size;
        turn(at, type, from, s->type, n);
        if (worst) *worst = fmax(*worst, largest_change(at, type, from, s->type, n));
    }
    return to;
}

Stored stored_of(const char *name, Tensor v)
{
    static const StoredType types[] = {
        [F32] = STORED_F32,   [F64] = STORED_F64,   [BF16] = STORED_BF16, [I32] = STORED_I32,   [F16] = STORED_F16,
        [Q4_0] = STORED_Q4_0, [Q4_1] = STORED_Q4_1, [Q5_0] = STORED_Q5_0, [Q5_1] = STORED_Q5_1, [Q8_0] = STORED_Q8_0,
        [Q2_K] = STORED_Q2_K, [Q3_K] = STORED_Q3_K, [Q4_K] = STORED_Q4_K, [Q5_K] = STORED_Q5_K, [Q6_K] = STORED_Q6_K};
    Stored s = {.name = name,
                .type = types[v.dtype],
                .rank = v.rank,
                .count = tensor_count(v),
                .bytes = v.data,
                .n_bytes = tensor_bytes(v)};
    for (int d = 0; d < v.rank; d++) s.dim[d] = v.dim[d];
    return s;
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
    size_t align = stored_is_block(s) ? 1 : TYPES[s->type].size;
    if (same_dtype(s->type) != (int)into->dtype || (uintptr_t)s->bytes % align) return false;
    into->data = data.out;
    return true;
}

Status stored_read(Tensor into, const Stored *s)
{
    if (!same_shape(into, s))
        return err_fail(E_MISMATCH, "%s: tensor '%s' has shape %s, expected %s", s->file, s->name, stored_shape(s),
                        tensor_shape(into));
    if (same_dtype(s->type) == (int)into.dtype) {
        memcpy(into.data, s->bytes, s->n_bytes);
        return OK;
    }
    static const StoredType stored[] = {
        [F32] = STORED_F32, [F64] = STORED_F64, [BF16] = STORED_BF16, [F16] = STORED_F16};
    bool rows = into.dtype != I32 && stored_is_float(s);
    for (int64_t i = 0; rows && i < s->count; i += PIECE)
        turn(tensor_place(into, i), stored[into.dtype], place(s, i), s->type,
             s->count - i < PIECE ? s->count - i : PIECE);
    for (int64_t i = 0; !rows && i < s->count; i++) {
        double x = stored_get(s, i);
        if (into.dtype == I32 && !(x >= INT32_MIN && x <= INT32_MAX))
            return err_fail(E_FORMAT, "%s: tensor '%s': element %lld is %.17g, which 32 bits do not hold", s->file,
                            s->name, (long long)i, x);
        tensor_set(into, i, x);
    }
    return OK;
}

Status stored_tensor(Tensor *out, Arena *a, const Stored *s)
{
    if (s->rank > MAX_RANK)
        return err_fail(E_FORMAT, "%s: tensor '%s' has %d dimensions, at most %d are supported", s->file, s->name,
                        s->rank, MAX_RANK);
    bool narrow = s->type == STORED_F16 || stored_is_block(s); /* only weights are held so */
    int dtype = narrow ? -1 : same_dtype(s->type);
    if (dtype >= 0) {
        *out = tensor_over(NULL, (DType)dtype, s->rank, s->dim);
        if (stored_lend(out, s)) return OK;
    }
    if (dtype < 0) dtype = stored_is_float(s) ? F32 : I32;
    *out = tensor_new(a, (DType)dtype, s->rank, s->dim);
    return stored_read(*out, s);
}
