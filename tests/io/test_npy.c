/* .npy: written arrays are read back, every dtype and both orders are read, and nothing broken gets through. */
#include "expect.h"

#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "io/npy.h"

static Arena A;
static const char *PATH;

static int set_up(void **state)
{
    (void)state;
    A = arena_open((size_t)1 << 28);
    PATH = str_print(&A, "/tmp/vernier-npy-%d.npy", (int)getpid());
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(PATH);
    arena_close(&A);
    return 0;
}

static void put(int version, const char *dict, const void *values, size_t n)
{
    Buf b = buf_open(&A);
    size_t len = strlen(dict);
    buf_add(&b, "\x93NUMPY", 6);
    buf_add(&b, (char[]){(char)version, 0, (char)(len & 255), (char)(len >> 8), 0, 0}, version > 1 ? 6 : 4);
    buf_add(&b, dict, len);
    buf_add(&b, values, n);
    EXPECT(file_write(PATH, b.text, b.len) == OK, "%s", err_message());
}

#define DICT(descr, order, shape) "{'descr': '" descr "', 'fortran_order': " order ", 'shape': " shape ", }\n"

static void round_trip(void **state)
{
    (void)state;
    static const DType types[] = {F32, F64, I32, BF16};
    static const int64_t dim[] = {3, 1, 5, 2};
    for (int t = 0; t < 4; t++)
        for (int rank = 0; rank <= 4; rank++) {
            Tensor x = tensor_new(&A, types[t], rank, dim), y;
            for (int64_t i = 0; i < tensor_count(x); i++) tensor_set(x, i, (double)(i * i) - 7);
            EXPECT(npy_write(PATH, x) == OK && npy_read(&y, &A, PATH) == OK, "%s", err_message());
            assert_true(tensor_same_shape(x, y) && y.dtype == (types[t] == BF16 ? F32 : types[t]));
            for (int64_t i = 0; i < tensor_count(x); i++) assert_true(tensor_get(x, i) == tensor_get(y, i));
            Bytes file;
            assert_int_equal(file_read(&file, &A, PATH), OK);
            size_t values = (size_t)tensor_count(x) * (types[t] == F64 ? 8 : 4);
            assert_int_equal((file.len - values) % 64, 0);
        }
    Tensor none = tensor_zero(&A, F32, SHAPE(0, 4)), y;
    EXPECT(npy_write(PATH, none) == OK && npy_read(&y, &A, PATH) == OK, "%s", err_message());
    assert_true(tensor_same_shape(none, y));
}

static void dtypes(void **state)
{
    (void)state;
    static const union {
        float f4[2];
        double f8[2];
        uint16_t f2[2];
        int8_t i1[2];
        uint8_t u1[2];
        int16_t i2[2];
        uint16_t u2[2];
        int32_t i4[2];
        uint32_t u4[2];
        int64_t i8[2];
    } V[] = {{.f4 = {-1, 2}}, {.f8 = {-1, 2}}, {.f2 = {0xbc00, 0x4000}}, {.i1 = {-1, 2}}, {.u1 = {1, 2}},
             {.i2 = {-1, 2}}, {.u2 = {1, 2}},  {.i4 = {-1, 2}},          {.u4 = {1, 2}},  {.i8 = {-1, 2}}};
    static const char *const NAME[] = {"<f4", "<f8", "<f2", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8"};
    for (int i = 0; i < 10; i++)
        for (int version = 1; version <= 3; version++) {
            const char *dict = str_print(&A, "{'descr': '%s', 'fortran_order': False, 'shape': (2,), }", NAME[i]);
            put(version, dict, &V[i], 2 * (size_t)(NAME[i][2] - '0'));
            Tensor y;
            EXPECT(npy_read(&y, &A, PATH) == OK, "%s", err_message());
            EXPECT(tensor_get(y, 0) == (NAME[i][1] == 'u' ? 1 : -1) && tensor_get(y, 1) == 2, "%s: %g %g", NAME[i],
                   tensor_get(y, 0), tensor_get(y, 1));
        }
    Tensor y;
    put(1, DICT("|b1", "False", "(3,)"), "\1\0\1", 3);
    EXPECT(npy_read(&y, &A, PATH) == OK && tensor_get(y, 0) == 1 && tensor_get(y, 1) == 0, "%s", err_message());
}

/* Element (i,j,k) of 2 x 3 x 4 is 100 i + 10 j + k; numpy writes the first index fastest:
 * numpy.asfortranarray(a).tobytes("A").  Sizes that all differ distinguish every order of the axes from the right
 * one. */
static void fortran_order(void **state)
{
    (void)state;
    float v[24];
    for (int k = 0, n = 0; k < 4; k++)
        for (int j = 0; j < 3; j++)
            for (int i = 0; i < 2; i++) v[n++] = (float)(100 * i + 10 * j + k);
    put(1, DICT("<f4", "True", "(2, 3, 4)"), v, sizeof v);
    Tensor y;
    EXPECT(npy_read(&y, &A, PATH) == OK, "%s", err_message());
    assert_true(y.rank == 3 && y.dim[0] == 2 && y.dim[1] == 3 && y.dim[2] == 4);
    for (int i = 0; i < 24; i++) assert_true(tensor_get(y, i) == 100 * (i / 12) + 10 * (i / 4 % 3) + i % 4);
    put(1, DICT("<f4", "True", "(3, 2)"), (const float[]){0, 10, 20, 1, 11, 21}, 24);
    EXPECT(npy_read(&y, &A, PATH) == OK, "%s", err_message());
    for (int i = 0; i < 6; i++) assert_true(tensor_get(y, i) == 10 * (i / 2) + i % 2);
    put(1, DICT("<f4", "True", "(3,)"), (const float[]){5, 6, 7}, 12);
    EXPECT(npy_read(&y, &A, PATH) == OK, "%s", err_message());
    for (int i = 0; i < 3; i++) assert_true(tensor_get(y, i) == 5 + i);
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *dict, *says;
    } CASES[] = {{DICT(">f4", "False", "(2,)"), "dtype is '>f4'"},
                 {DICT("|O", "False", "(2,)"), "dtype is '|O'"},
                 {DICT("<c8", "False", "(1,)"), "dtype is '<c8'"},
                 {DICT("<U2", "False", "(1,)"), "dtype is '<U2'"},
                 {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", "records"},
                 {DICT("<f4", "False", "(3,)"), "does not make the 8 bytes"},
                 {DICT("<f4", "False", "(2, 9223372036854775807)"), "does not make"},
                 {DICT("<f4", "False", "(4294967296, 4294967296)"), "does not make"},
                 {DICT("<f4", "False", "(99999999999999999999,)"), "no dict"},
                 {DICT("<f4", "False", "(-2,)"), "no dict"},
                 {DICT("<f4", "False", "(2)"), "no dict"},
                 {DICT("<f4", "False", "(2,"), "no dict"},
                 {DICT("<f4", "Maybe", "(2,)"), "no dict"},
                 {DICT("<f4", "False", "(2,)") "x", "no dict"},
                 {DICT("<f4", "False", "(1,1,1,1,1,1,1,1,2)"), "no dict"},
                 {"{'descr': '<f4', 'shape': (2,)}", "no dict"},
                 {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", "twice"},
                 {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'code': 1}", "unknown key 'code'"},
                 {"{'descr': '<f4", "no dict"},
                 {"{", "no dict"},
                 {"", "no dict"}};
    Tensor y;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        put(1 + (int)i % 3, CASES[i].dict, (float[]){1, 2}, 8);
        Status s = npy_read(&y, &A, PATH);
        EXPECT(s == E_FORMAT && strstr(err_message(), CASES[i].says), "%s: %d '%s'", CASES[i].dict, (int)s,
               err_message());
        err_clear();
    }
    put(4, DICT("<f4", "False", "(2,)"), (float[]){1, 2}, 8);
    EXPECT(npy_read(&y, &A, PATH) == E_FORMAT && strstr(err_message(), "version 4"), "%s", err_message());
    err_clear();
    put(1, DICT("<f4", "False", "(2,)"), (float[]){1, 2}, 8);
    Bytes whole;
    assert_int_equal(file_read(&whole, &A, PATH), OK);
    for (size_t n = 0; n < whole.len; n++) { /* cut anywhere */
        assert_int_equal(file_write(PATH, whole.text, n), OK);
        assert_int_equal(npy_read(&y, &A, PATH), E_FORMAT);
        err_clear();
    }
    for (size_t n = 0; n < whole.len - 8; n++) /* and with any byte of the header changed */
        for (int bit = 0; bit < 8; bit++) {
            Bytes copy = {str_copy(&A, whole.text, whole.len), whole.len};
            copy.text[n] ^= (char)(1 << bit);
            assert_int_equal(file_write(PATH, copy.text, copy.len), OK);
            if (npy_read(&y, &A, PATH)) err_clear();
        }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
SUITE(TEST(round_trip), TEST(dtypes), TEST(fortran_order), TEST(refused))
