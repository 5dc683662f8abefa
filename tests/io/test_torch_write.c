/* Saving and loading is the identity in both containers and from each to the other: names, types, shapes, bytes and,
 * in torch's, order and ties. */
#include "expect.h"

#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "base/str.h"
#include "io/safetensors.h"
#include "io/torch.h"
#include "io/zip.h"

static const StoredType TYPES[] = {STORED_F32, STORED_I8,  STORED_F64, STORED_U8,   STORED_F16,
                                   STORED_I64, STORED_I32, STORED_I16, STORED_BF16, STORED_BOOL};
static const size_t SIZES[] = {4, 1, 8, 1, 2, 8, 4, 2, 2, 1};
enum { N_TYPES = 10, MOST = 128 };

static const char *path_of(Arena *a, const char *end)
{
    return str_print(a, "/tmp/vernier-torch-write-%d%s", (int)getpid(), end);
}

static Stored random_tensor(Arena *a, const char *name, int type, int rank, const int64_t *dim)
{
    Stored s = {.name = name, .type = TYPES[type], .rank = rank, .count = 1};
    for (int d = 0; d < rank; d++) s.dim[d] = dim[d], s.count *= dim[d];
    s.n_bytes = (size_t)s.count * SIZES[type];
    unsigned char *bytes = arena_take(a, s.n_bytes + 1);
    uint64_t stream = rng_stream(7, name);
    for (size_t i = 0; i < s.n_bytes; i++)
        bytes[i] = (unsigned char)rng_below(stream, i, TYPES[type] == STORED_BOOL ? 2 : 256);
    s.bytes = bytes;
    return s;
}

/* Every type in every rank, of sizes on both sides of the limits of the pickle's integers and of the alignment. */
static int all_tensors(Arena *a, Stored *t)
{
    static const int64_t dim[][STORED_RANK] = {{3, 5},       {1},    {2, 1, 3},
                                               {1, 2, 1, 2}, {0, 4}, {2, 1, 1, 1, 1, 1, 1, 3}};
    static const int rank[] = {2, 1, 3, 4, 2, 8};
    int n = 0;
    for (int type = 0; type < N_TYPES; type++) {
        t[n] = random_tensor(a, str_print(a, "scalar.%d", type), type, 0, NULL), n++;
        for (int k = 0; k < 6; k++)
            t[n] = random_tensor(a, str_print(a, "z%d.\xc3\xa9.%d", k, type), type, rank[k], dim[k]), n++;
    }
    t[n] = random_tensor(a, "row", 3, 1, (int64_t[]){255}), n++;
    t[n] = random_tensor(a, "more", 1, 1, (int64_t[]){256}), n++;
    t[n] = random_tensor(a, "much", 0, 2, (int64_t[]){257, 256}), n++;
    return n;
}

static void expect_same(const Stored *x, const Stored *y)
{
    EXPECT(y && x->type == y->type && !strcmp(stored_shape(x), stored_shape(y)), "%s comes back as %s %s", x->name,
           y ? stored_type(y) : "nothing", y ? stored_shape(y) : "");
    EXPECT(!x->n_bytes || !memcmp(x->bytes, y->bytes, x->n_bytes), "%s comes back with other bytes", x->name);
}

static void expect_same_file(Arena *a, const char *x, const char *y)
{
    Bytes one, other;
    assert_int_equal(file_read(&one, a, x), OK);
    assert_int_equal(file_read(&other, a, y), OK);
    EXPECT(one.len == other.len && !memcmp(one.text, other.text, one.len), "%s and %s differ", x, y);
}

static void both_ways(void **state)
{
    (void)state;
    Arena a = arena_open((size_t)1 << 28);
    Stored *t = NEW(&a, Stored, MOST);
    int n = all_tensors(&a, t);
    const char *ends[] = {".bin", ".safetensors"};
    for (int first = 0; first < 2; first++)
        for (int second = 0; second < 2; second++) {
            const char *x = path_of(&a, ends[first]), *y = path_of(&a, str_print(&a, "2%s", ends[second])),
                       *z = path_of(&a, str_print(&a, "3%s", ends[first]));
            Weights *w, *v, *u;
            EXPECT(weights_write(x, t, n) == OK && weights_open(&w, &a, x) == OK, "%s", err_message());
            EXPECT(weights_write(y, weights_at(w, 0), weights_n(w)) == OK && weights_open(&v, &a, y) == OK, "%s",
                   err_message());
            assert_int_equal(weights_n(v), n);
            for (int i = 0; i < n; i++) {
                expect_same(&t[i], weights_find(v, t[i].name));
                if (!first && !second) assert_string_equal(weights_at(v, i)->name, t[i].name);
                if (!first)
                    EXPECT((uintptr_t)weights_find(w, t[i].name)->bytes % 64 == 0, "%s lies askew", t[i].name);
            }
            EXPECT(weights_write(z, weights_at(v, 0), n) == OK && weights_open(&u, &a, z) == OK, "%s", err_message());
            if (first || !second) expect_same_file(&a, x, z);
            for (int i = 0; i < n; i++) expect_same(&t[i], weights_find(u, t[i].name));
            weights_close(w);
            weights_close(v);
            weights_close(u);
            unlink(x);
            unlink(y);
            unlink(z);
        }
    arena_close(&a);
}

static void tied_tensors_share(void **state)
{
    (void)state;
    Arena a = arena_open((size_t)1 << 26);
    const char *path = path_of(&a, "-tied.bin"), *again = path_of(&a, "-again.bin");
    Stored t[4] = {random_tensor(&a, "embed", 0, 2, (int64_t[]){30, 20}),
                   random_tensor(&a, "other", 0, 2, (int64_t[]){30, 20})};
    t[2] = t[3] = t[0];
    t[2].name = "head";
    t[3].name = "flat", t[3].rank = 1, t[3].dim[0] = 600; /* the same bytes in another shape */
    Weights *w;
    EXPECT(torch_write(path, t, 4) == OK && weights_open(&w, &a, path) == OK, "%s", err_message());
    assert_int_equal(weights_n(w), 4);
    for (int i = 0; i < 4; i++) {
        expect_same(&t[i], weights_find(w, t[i].name));
        assert_int_equal(stored_same_bytes(weights_at(w, 0), weights_at(w, i)), i != 1);
    }
    Bytes file;
    assert_int_equal(file_read(&file, &a, path), OK);
    EXPECT(file.len < 2 * 2400 + 2400, "%zu bytes: a tied tensor is written twice", file.len);
    assert_int_equal(torch_write(again, weights_at(w, 0), 4), OK);
    expect_same_file(&a, path, again);
    weights_close(w);
    const char **names;
    int n = 0;
    EXPECT(torch_globals(&names, &n, &a, path) == OK, "%s", err_message());
    assert_int_equal(n, 3); /* a dict, tensors and one kind of storage */
    unlink(path);
    unlink(again);
    arena_close(&a);
}

/* The published check value of the CRC that zip has: of "123456789". */
static void the_checksum_is_zips(void **state)
{
    (void)state;
    Arena a = arena_open((size_t)1 << 24);
    const char *path = path_of(&a, ".zip");
    Writer file;
    Bytes whole;
    Zip z;
    assert_int_equal(writer_open(&file, path), OK);
    ZipWriter to = zip_begin(&a, &file);
    zip_add(&to, "a", "123456789", 9);
    zip_add(&to, "b", "", 0);
    zip_end(&to);
    assert_int_equal(writer_close(&file), OK);
    assert_int_equal(file_read(&whole, &a, path), OK);
    assert_memory_equal(whole.text + 14, "\x26\x39\xf4\xcb\x09\0\0\0\x09\0\0\0", 12);
    EXPECT(zip_open(&z, &a, whole, path) == OK && z.n == 2, "%s", err_message());
    assert_memory_equal(z.at[0].bytes, "123456789", 9);
    unlink(path);
    arena_close(&a);
}

static void what_torch_lacks(void **state)
{
    (void)state;
    Arena a = arena_open((size_t)1 << 24);
    const char *path = path_of(&a, "-u16.bin");
    Stored s = {.name = "x", .type = STORED_U16, .rank = 1, .dim = {1}, .count = 1, .bytes = "ab", .n_bytes = 2};
    EXPECT(torch_write(path, &s, 1) == E_MISMATCH && strstr(err_message(), "'x' is U16"), "%s", err_message());
    assert_int_equal(access(path, F_OK), -1);
    err_clear();
    assert_int_equal(torch_write("/nowhere/at/all.bin", &s, 0), E_IO);
    err_clear();
    arena_close(&a);
}

SUITE(cmocka_unit_test(both_ways), cmocka_unit_test(tied_tensors_share), cmocka_unit_test(the_checksum_is_zips),
      cmocka_unit_test(what_torch_lacks))
