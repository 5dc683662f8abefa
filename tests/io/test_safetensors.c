/* safetensors: written tensors are read back, conversions, and every way a file can be wrong. */
#include "expect.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "io/json.h"
#include "io/safetensors.h"

static char *scratch_file(Arena *a, const char *name)
{
    return str_print(a, "/tmp/vernier-safetensors-%d-%s", (int)getpid(), name);
}

static void round_trip(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    Tensor w = noise(&a, F32, 1, SHAPE(3, 5)), m = noise(&a, F64, 2, SHAPE(7)), scalar = noise(&a, F32, 3, 0, NULL);
    Tensor none = tensor_new(&a, F32, SHAPE(0, 4)), half = tensor_cast(&a, w, BF16), ids = tensor_cast(&a, w, I32);
    const Named in[] = {{"w", w}, {"none", none}, {"m \"quoted\"\n", m}, {"half", half}, {"ids", ids}, {"s", scalar}};
    enum { N = sizeof in / sizeof *in };
    char *path = scratch_file(&a, "round.safetensors");
    assert_int_equal(safetensors_write(path, in, N, &(Meta){"step", "12 \\ \"x\""}, 1), OK);

    Weights *f;
    assert_int_equal(safetensors_open(&f, &a, path), OK);
    assert_int_equal(weights_n(f), N);
    assert_string_equal(weights_meta(f, "format"), "pt");
    assert_string_equal(weights_meta(f, "step"), "12 \\ \"x\"");
    assert_null(weights_meta(f, "stop"));
    assert_null(weights_find(f, "x"));
    for (int i = 0; i < N; i++) {
        Tensor out;
        const Stored *s = weights_find(f, in[i].name);
        assert_non_null(s);
        assert_int_equal(stored_tensor(&out, &a, s), OK);
        assert_int_equal(out.dtype, in[i].value.dtype);
        assert_true(tensor_same_shape(out, in[i].value));
        assert_memory_equal(out.data, in[i].value.data, tensor_bytes(out));
    }
    /* The order of the data: eight-byte numbers first, then by name. */
    assert_string_equal(weights_at(f, 0)->name, "m \"quoted\"\n");
    assert_int_equal(stored_read(tensor_new(&a, F32, SHAPE(5, 3)), weights_find(f, "w")), E_MISMATCH);
    EXPECT(strstr(err_message(), "[3, 5]") && strstr(err_message(), "(5,3)"), "message: %s", err_message());
    err_clear();
    weights_close(f);
    unlink(path);
    arena_close(&a);
}

/* A file with this header and `data` bytes of data behind it. */
static Status open_crafted(Arena *a, const char *header, size_t data)
{
    char *path = scratch_file(a, "crafted.safetensors");
    size_t n = strlen(header);
    char *file = arena_zero(a, 8 + n + data);
    for (int i = 0; i < 8; i++) file[i] = (char)(n >> 8 * i);
    memcpy(file + 8, header, n);
    assert_int_equal(file_write(path, file, 8 + n + data), OK);
    Weights *w = NULL;
    Status s = safetensors_open(&w, a, path);
    weights_close(w);
    unlink(path);
    return s;
}

#define ENTRY(dtype, shape, begin, end)                                                                              \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static void crafted(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data;
        const char *says; /* NULL: a good file */
    } CASES[] = {
        {"{\"a\":" ENTRY("F32", "[2]", 0, 8) "}", 8, NULL},
        {"{\"a\":" ENTRY("F32", "[2]", 0, 8) "}  ", 8, NULL},
        {"{}", 0, NULL},
        {"{\"b\":" ENTRY("F16", "[0]", 4, 4) ",\"a\":" ENTRY("F32", "[]", 0, 4) "}", 4, NULL},
        {"{\"a\":" ENTRY("F32", "[2]", 0, 8) "}x", 8, "more text"},
        {" {\"a\":" ENTRY("F32", "[2]", 0, 8) "}", 8, "begin with '{'"},
        {"{\"a\":" ENTRY("F32", "[2]", 0, 8) ",\"a\":" ENTRY("F32", "[2]", 8, 16) "}", 16, "appears twice"},
        {"{\"a\":" ENTRY("F32", "[2]", 0, 8) ",\"b\":" ENTRY("F32", "[2]", 4, 12) "}", 12, "overlap"},
        {"{\"a\":" ENTRY("F32", "[2]", 0, 8) ",\"b\":" ENTRY("F32", "[2]", 12, 20) "}", 20, "hole"},
        {"{\"a\":" ENTRY("F32", "[2]", 4, 12) "}", 12, "hole"},
        {"{\"a\":" ENTRY("F32", "[2]", 0, 8) "}", 9, "follow the last"},
        {"{\"a\":" ENTRY("F32", "[2]", 0, 8) "}", 7, "the data has 7"},
        {"{\"a\":" ENTRY("F32", "[3]", 0, 8) "}", 8, "is given 8 bytes"},
        {"{\"a\":" ENTRY("F32", "[2]", 8, 0) "}", 8, "lies at"},
        {"{\"a\":" ENTRY("F32", "[-2]", 0, 8) "}", 8, "not a whole number"},
        {"{\"a\":" ENTRY("F32", "[1.5]", 0, 6) "}", 6, "not a whole number"},
        {"{\"a\":" ENTRY("F32", "[4294967296,4294967296,4]", 0, 0) "}", 0, "exceeds 64 bits"},
        {"{\"a\":" ENTRY("F32", "[4611686018427387904]", 0, 0) "}", 0, "not a whole number"},
        {"{\"a\":" ENTRY("F8_E4M3", "[2]", 0, 2) "}", 2, "F8_E4M3"},
        {"{\"a\":" ENTRY("F32", "[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, "dimensions"},
        {"{\"a\":3}", 0, "not an object"},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "no dtype"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "no shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,4]}}", 4, "data_offsets"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "not a string"},
        {"{\"__metadata__\":[]}", 0, "not an object"},
        {"{\"\xff\":3}", 0, "UTF-8"},
        {"{\"\xc0\x80\":3}", 0, "UTF-8"},
        {"{\"a\":", 0, "not JSON"},
    };
    Arena a = arena_open(1 << 24);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Status s = open_crafted(&a, CASES[i].header, CASES[i].data);
        if (!CASES[i].says)
            EXPECT(s == OK, "%s: %s", CASES[i].header, err_message());
        else
            EXPECT(s == E_FORMAT && strstr(err_message(), CASES[i].says), "%s answered with %d '%s', expected '%s'",
                   CASES[i].header, (int)s, err_message(), CASES[i].says);
        err_clear();
    }
    arena_close(&a);
}

SUITE(cmocka_unit_test(round_trip), cmocka_unit_test(crafted))
