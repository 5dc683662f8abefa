/* Containers of weights made by others, good and bad; and pickles made here that must be refused. */
#include "expect.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "base/str.h"
#include "io/json.h"
#include "io/torch.h"
#include "shared.h"

/* ---- files made by others, where they are at hand */

/* Where they lie; skips the test where they are not. */
static const char *containers(cJSON **manifest, Arena *a)
{
    const char *dir = str_print(a, "%s/containers", golden_root(a));
    if (json_read(manifest, a, str_print(a, "%s/manifest.json", dir))) {
        err_clear();
        skip();
    }
    return dir;
}

static void others_bad_files(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 26);
    cJSON *manifest;
    const char *dir = containers(&manifest, &a);
    const cJSON *j;
    int seen = 0;
    cJSON_ArrayForEach(j, cJSON_GetObjectItem(manifest, "bad"))
    {
        Weights *w;
        seen++;
        EXPECT(weights_open(&w, &a, str_print(&a, "%s/%s", dir, j->string)) == E_FORMAT, "%s is accepted, though: %s",
               j->string, j->valuestring);
        err_clear();
    }
    EXPECT(seen > 20, "only %d bad files", seen);
    cJSON_Delete(manifest);
    arena_close(&a);
}

static void compare_values(const Weights *w, const cJSON *expected)
{
    const cJSON *t;
    cJSON_ArrayForEach(t, expected)
    {
        const Stored *s = weights_find(w, t->string);
        EXPECT(s != NULL, "tensor %s is missing", t->string);
        assert_string_equal(stored_type(s), cJSON_GetObjectItem(t, "dtype")->valuestring);
        int64_t i = 0;
        const cJSON *x;
        cJSON_ArrayForEach(x, cJSON_GetObjectItem(t, "values"))
        {
            double want = cJSON_IsBool(x) ? cJSON_IsTrue(x) : x->valuedouble;
            EXPECT(stored_get(s, i) == want, "%s element %lld is %.17g, expected %.17g", t->string, (long long)i,
                   stored_get(s, i), want);
            i++;
        }
        assert_int_equal(i, s->count);
    }
}

static void others_good_files(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 26);
    cJSON *manifest;
    const char *dir = containers(&manifest, &a);
    const cJSON *good = cJSON_GetObjectItem(manifest, "good"),
                *same = cJSON_GetObjectItem(good, "dtypes.safetensors"), *j;
    int seen = 0;
    cJSON_ArrayForEach(j, good)
    {
        if (!strstr(j->string, ".safetensors") && !strstr(j->string, ".bin")) continue;
        Weights *w;
        seen++;
        EXPECT(weights_open(&w, &a, str_print(&a, "%s/%s", dir, j->string)) == OK, "%s", err_message());
        const cJSON *want = j;
        if (cJSON_IsString(j))
            want = strstr(j->valuestring, "dtypes") ? same : cJSON_GetObjectItem(good, "layouts_legacy.bin");
        if (json_has(j, "tensors")) want = cJSON_GetObjectItem(j, "tensors"); /* under a key, or a prefix */
        compare_values(w, want);
        weights_close(w);
    }
    EXPECT(seen >= 9, "only %d good files", seen);
    Weights *shards;
    EXPECT(weights_open(&shards, &a, dir) == OK, "%s", err_message());
    compare_values(shards, cJSON_GetObjectItem(good, "dtypes.safetensors"));
    const Stored *wide = weights_find(shards, "edge.I64");
    assert_int_equal(stored_read(tensor_new(&a, I32, SHAPE(3)), wide), E_FORMAT);
    err_clear();
    weights_close(shards);
    cJSON_Delete(manifest);
    arena_close(&a);
}

/* One model in three containers; the pickles hold tied, strided and offset views of it. */
static void others_model(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    const char *dir = str_print(&a, "%s/models/roberta", golden_root(&a));
    Weights *want, *w;
    if (weights_open(&want, &a, dir)) {
        err_clear();
        skip();
    }
    for (int k = 0; k < 2; k++) {
        const char *file = str_print(&a, "%s/pytorch_model.%sbin", dir, k ? "legacy." : "");
        EXPECT(weights_open(&w, &a, file) == OK, "%s", err_message());
        for (int i = 0; i < weights_n(want); i++) {
            const Stored *x = weights_at(want, i), *y = weights_find(w, x->name);
            EXPECT(y && y->count == x->count, "%s: %s", file, x->name);
            for (int64_t j = 0; j < x->count; j++) assert_true(stored_get(x, j) == stored_get(y, j));
        }
        weights_close(w);
    }
    weights_close(want);
    arena_close(&a);
}

/* ---- conversion */

__extension__ typedef _Float16 Half;

/* Against the compiler's own _Float16, over every exponent and the ties between neighbours. */
static void halves_are_rounded(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    enum { N = 40000 };
    double *x = NEW(&a, double, N);
    for (int i = 0; i < N; i++) {
        double u = rng_uniform(3, (uint64_t)i) + 0.5;
        x[i] = ldexp(i % 3 ? u : floor(u * 2048) / 2048, i % 45 - 26) * (i & 1 ? -1 : 1);
    }
    x[0] = 0, x[1] = -0.0, x[2] = 65519.99, x[3] = 65520, x[4] = INFINITY, x[5] = NAN, x[6] = 0x1p-25,
    x[7] = 0x1.8p-24;
    Stored s = {.name = "x", .type = STORED_F64, .rank = 1, .dim = {N}, .count = N, .bytes = x, .n_bytes = 8 * N};
    double worst = 0;
    Stored h = stored_convert(&a, &s, STORED_F16, &worst);
    for (int i = 0; i < N; i++) {
        double want = (double)(Half)x[i], got = stored_get(&h, i);
        EXPECT(want == got || (isnan(want) && isnan(got)), "%a becomes %a, not %a", x[i], got, want);
    }
    assert_true(worst > 0 && stored_get(&h, 1) == 0 && signbit(stored_get(&h, 1)));
    Stored again = stored_convert(&a, &h, STORED_F32, NULL), b = stored_convert(&a, &again, STORED_F16, NULL);
    assert_memory_equal(b.bytes, h.bytes, 2 * 6 - 2);
    arena_close(&a);
}

/* ---- files made here: a state dict {"w": 2x2, "v": its transpose} as the stream of five pickles */

#define STORAGE                                                                                                      \
    "((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"                                                              \
    "7X\3\0\0\0cpuK\4tQ"
#define DICT(first, more)                                                                                            \
    "\x80\2"                                                                                                         \
    "ccollections\nOrderedDict\n)R(X\1\0\0\0w" first more "u."
#define TENSOR(stride)                                                                                               \
    "ctorch._utils\n_rebuild_tensor_v2\n" STORAGE "K\0K\2K\2\x86" stride "\x89"                                      \
    "ccollections\nOrderedDict\n)RtR"

static const char MAGIC[] = "\x80\2\x8a\x0al\xfc\x9c"
                            "F\xf9 j\xa8P\x19.",
                  VERSION[] = "\x80\2M\xe9\3.", MACHINE[] = "\x80\2}X\15\0\0\0little_endian\x88s.",
                  KEYS[] = "\x80\2]X\1\0\0\0"
                           "7a.";
#define ADD(b, text) buf_add(b, text, sizeof(text) - 1)

static Buf stream(Arena *a, const char *dict, size_t n, bool with_data)
{
    Buf b = buf_open(a);
    const float values[] = {1, 2, 3, 4};
    const int64_t count = 4;
    ADD(&b, MAGIC);
    ADD(&b, VERSION);
    ADD(&b, MACHINE);
    buf_add(&b, dict, n);
    ADD(&b, KEYS);
    buf_add(&b, (const char *)&count, sizeof count);
    if (with_data) buf_add(&b, (const char *)values, sizeof values);
    return b;
}

static Status open_bytes(Weights **w, Arena *a, const char *path, const void *bytes, size_t n)
{
    assert_int_equal(file_write(path, bytes, n), OK);
    return torch_open(w, a, path, NULL);
}

static const char GOOD[] = DICT(TENSOR("K\2K\1\x86"), "X\1\0\0\0v" TENSOR("K\1K\2\x86"));

static void own_stream(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    const char *path = str_print(&a, "/tmp/vernier-torch-%d.bin", (int)getpid());
    Buf b = stream(&a, GOOD, sizeof GOOD - 1, true);
    Weights *w;
    EXPECT(open_bytes(&w, &a, path, b.text, b.len) == OK, "%s", err_message());
    const Stored *s = weights_find(w, "w"), *v = weights_find(w, "v");
    for (int i = 0; i < 4; i++) assert_true(stored_get(s, i) == i + 1 && stored_get(v, i) == 1 + i / 2 + i % 2 * 2);
    weights_close(w);
    /* Cut anywhere, it is refused; with any byte changed it is refused or read, and never read beyond. */
    for (size_t n = 0; n < b.len; n++) {
        ArenaMark mark = arena_mark(&a);
        EXPECT(open_bytes(&w, &a, path, b.text, n) == E_FORMAT, "cut at byte %zu of %zu it is taken", n, b.len);
        err_clear();
        arena_drop(&a, mark);
    }
    int refused = 0;
    for (size_t i = 0; i < b.len; i++)
        for (int k = 0; k < 3; k++) {
            ArenaMark mark = arena_mark(&a);
            char *copy = arena_take(&a, b.len);
            memcpy(copy, b.text, b.len);
            copy[i] = (char)(k == 0 ? copy[i] ^ 1 : k == 1 ? 0xff : copy[i] + 64);
            Status status = open_bytes(&w, &a, path, copy, b.len);
            assert_true(status == OK || status == E_FORMAT);
            refused += status == E_FORMAT;
            if (!status) weights_close(w);
            err_clear();
            arena_drop(&a, mark);
        }
    EXPECT(refused > (int)b.len, "only %d changes of %zu bytes are refused", refused, b.len);
    unlink(path);
    arena_close(&a);
}

static void refused_pickles(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *message;
    } bad[] = {
#define BAD(dict, message) {dict, sizeof(dict) - 1, message}
        BAD("\x80\2"
            "cos\nsystem\nX\2\0\0\0ls\x85R.",
            "os.system"),
        BAD(DICT(TENSOR("K\3K\1\x86"), ""), "reaches beyond its storage"),
        BAD(DICT(TENSOR("K\2J\xff\xff\xff\xff\x86"), ""), "no list of up to"),
        BAD("\x80\2h\7.", "memo entry 7"),
        BAD("\x80\2R.", "stack is empty"),
        BAD("\x80\2u.", "no MARK"),
        BAD("\x80\2i.", "opcode 0x69"),
        BAD("\x80\2}.", "belongs to no tensor"),
        BAD("\x80\2X\xff\xff\xff\x7f"
            "a.",
            "cut at byte"),
    };
    Arena a = arena_open(0);
    const char *path = str_print(&a, "/tmp/vernier-torch-%d.bin", (int)getpid());
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        Buf b = stream(&a, bad[i].bytes, bad[i].n, true);
        Weights *w;
        Status status = open_bytes(&w, &a, path, b.text, b.len);
        EXPECT(status == E_FORMAT && strstr(err_message(), bad[i].message), "expected \"%s\", got %d: %s",
               bad[i].message, (int)status, err_message());
        err_clear();
    }
    const char **names;
    int n;
    assert_int_equal(torch_globals(&names, &n, &a, path), E_FORMAT); /* the last of them, cut */
    err_clear();
    Buf b = stream(&a, bad[0].bytes, bad[0].n, true);
    assert_int_equal(file_write(path, b.text, b.len), OK);
    assert_int_equal(torch_globals(&names, &n, &a, path), OK);
    assert_int_equal(n, 1);
    assert_string_equal(names[0], "os system");
    unlink(path);
    arena_close(&a);
}

SUITE(cmocka_unit_test(halves_are_rounded), cmocka_unit_test(own_stream), cmocka_unit_test(refused_pickles),
      cmocka_unit_test(others_bad_files), cmocka_unit_test(others_good_files), cmocka_unit_test(others_model))
