/* Fetching from a hub that the test starts itself. */
#include "expect.h"

#include <sys/stat.h>

#include "base/file.h"
#include "base/hf_cache.h"
#include "hub/hub.h"
#include "scratch.h"
#include "server.h"

static Server server;

static int start(void **state)
{
    TRY(begin(state));
    server = server_start();
    setenv("HF_HUB_CACHE", dir, 1);
    setenv("HF_ENDPOINT", str_print(&arena, "http://127.0.0.1:%d/", server.port), 1);
    setenv("HF_TOKEN_PATH", "/nowhere", 1);
    unsetenv("HF_TOKEN");
    unsetenv("HF_HUB_OFFLINE");
    return server.pid <= 0;
}

static int stop(void **state)
{
    server_stop(server);
    return end(state);
}

static HubFound fetched(const char *name)
{
    HubFound f;
    EXPECT(hub_fetch(&f, &arena, &(HubWish){.name = name}) == OK, "%s: %s", name, err_message());
    return f;
}

static void refused(HubWish w, Status want, const char *words)
{
    HubFound f;
    Status got = hub_fetch(&f, &arena, &w);
    EXPECT(got == want && str_glob(words, err_message()), "%s: status %d, \"%s\"; expected %d, \"%s\"", w.name, got,
           err_message(), want, words);
    err_clear();
}

/* The file that the snapshot leads to has the bytes that the server made. */
static void holds(const char *snapshot, const char *path, bool large)
{
    static char want[LARGE + 1];
    Bytes got;
    size_t n = content(want, &(Held){path, large});
    EXPECT(file_read(&got, &arena, str_print(&arena, "%s/%s", snapshot, path)) == OK, "%s", err_message());
    EXPECT(got.len == n && !memcmp(got.text, want, n), "%s: has %zu bytes, expected %zu, or others", path, got.len,
           n);
}

static int count(const char *what)
{
    FILE *f = popen(str_print(&arena, "find %s %s | wc -l", dir, what), "r");
    int n = -1;
    assert_int_equal(fscanf(f, "%d", &n), 1);
    pclose(f);
    return n;
}

static bool there(const char *snapshot, const char *path)
{
    return !access(str_print(&arena, "%s/%s", snapshot, path), F_OK);
}

static void a_model_is_fetched_into_the_cache_of_the_hub(void **state)
{
    (void)state;
    HubFound f = fetched("org/plain");
    const char *found;
    assert_int_equal(hf_cache_find(&found, &arena, "org/plain"), OK);
    assert_string_equal(found, f.dir);
    holds(f.dir, "config.json", false);
    holds(f.dir, "1_Pooling/config.json", false);
    holds(f.dir, "model.safetensors", true);
    assert_false(there(f.dir, "pytorch_model.bin")); /* the same weights once more */
    assert_false(there(f.dir, "README.md"));
    assert_false(there(f.dir, "onnx"));
    assert_int_equal(f.files, 5);
    assert_int_equal(f.fetched, 5);
    char link[256] = "";
    assert_true(readlink(str_print(&arena, "%s/1_Pooling/config.json", f.dir), link, sizeof link - 1) > 0);
    assert_true(str_glob("../../../blobs/*", link));
    assert_int_equal(count("-name '*.incomplete'"), 0);
}

static void a_second_call_fetches_nothing(void **state)
{
    (void)state;
    fetched("org/plain");
    assert_int_equal(fetched("org/plain").fetched, 0);
}

static void a_damaged_link_or_blob_is_mended(void **state)
{
    (void)state;
    HubFound f = fetched("org/plain");
    const char *path = str_print(&arena, "%s/model.safetensors", f.dir);
    assert_int_equal(truncate(path, 10), 0);
    assert_int_equal(unlink(str_print(&arena, "%s/config.json", f.dir)), 0);
    assert_int_equal(fetched("org/plain").fetched, 1);
    holds(f.dir, "model.safetensors", true);
    holds(f.dir, "config.json", false);
}

static void a_cut_connection_goes_on_where_it_was(void **state)
{
    (void)state;
    holds(fetched("org/cut").dir, "model.safetensors", true);
    holds(fetched("org/norange").dir, "model.safetensors", true);
    holds(fetched("org/busy").dir, "model.safetensors", true);
}

/* What an ended program left is the beginning; where it is something else, the hash tells. */
static void an_unfinished_blob_is_continued_or_thrown_away(void **state)
{
    (void)state;
    static char bytes[LARGE + 1];
    size_t n = content(bytes, &(Held){"model.safetensors", true});
    HubFound f = fetched("org/plain");
    char blob[512];
    ssize_t k = readlink(str_print(&arena, "%s/model.safetensors", f.dir), blob, sizeof blob - 1);
    assert_true(k > 0);
    blob[k] = 0;
    const char *whole = str_print(&arena, "%s/%s", f.dir, blob), *part = str_print(&arena, "%s.incomplete", whole);
    for (int wrong = 0; wrong < 3; wrong++) {
        assert_int_equal(unlink(whole), 0);
        bytes[0] = (char)(bytes[0] ^ (wrong == 1));
        FILE *out = fopen(part, "wb");
        assert_int_equal(fwrite(bytes, 1, wrong == 2 ? n + 1 : n / 2, out), wrong == 2 ? n + 1 : n / 2);
        fclose(out);
        bytes[0] = (char)(bytes[0] ^ (wrong == 1));
        if (wrong == 1) refused((HubWish){.name = "org/plain"}, E_FORMAT, "*hash*thrown away*");
        fetched("org/plain");
        holds(f.dir, "model.safetensors", true);
        assert_int_not_equal(access(part, F_OK), 0);
    }
}

static void wrong_content_leaves_nothing(void **state)
{
    (void)state;
    refused((HubWish){.name = "org/wrong"}, E_FORMAT, "org/wrong: model.safetensors came with hash*");
    refused((HubWish){.name = "org/long"}, E_FORMAT, "*longer than the 100000 bytes*");
    refused((HubWish){.name = "org/evil"}, E_FORMAT, "*'../../evil'*");
    refused((HubWish){.name = "org/page"}, E_FORMAT, "org/page*");
    assert_int_equal(count("-name snapshots"), 0);
    assert_int_equal(count("-name refs"), 0);
    assert_int_equal(count("-name '*.incomplete'"), 0);
}

static void a_hub_that_is_down_is_named(void **state)
{
    (void)state;
    refused((HubWish){.name = "org/dead"}, E_IO, "org/dead: *HTTP 503*");
    setenv("HF_ENDPOINT", "http://127.0.0.1:1", 1);
    refused((HubWish){.name = "org/plain"}, E_IO, "org/plain: http://127.0.0.1:1: *");
    setenv("HF_ENDPOINT", "ftp://127.0.0.1", 1);
    refused((HubWish){.name = "org/plain"}, E_CONFIG, "HF_ENDPOINT*");
}

static void what_the_hub_does_not_give_is_said(void **state)
{
    (void)state;
    refused((HubWish){.name = "org/nothing"}, E_CONFIG, "*no such repository*HF_TOKEN*");
    refused((HubWish){.name = "org/plain", .revision = "v9"}, E_CONFIG, "*no such revision*");
    refused((HubWish){.name = "org/gated"}, E_CONFIG, "*accepted its terms*");
    refused((HubWish){.name = "org/secret"}, E_CONFIG, "*HF_TOKEN*401*");
    refused((HubWish){.name = "../plain"}, E_CONFIG, "*no name of the hub*");
    refused((HubWish){.name = "org/plain", .revision = "../../x"}, E_CONFIG, "--revision*");
    refused((HubWish){.name = "org/plain", .only = "*.gguf"}, E_CONFIG, "*no file '*.gguf'*");
    refused((HubWish){.name = "org/quants"}, E_CONFIG, "*--file*a.Q4_0.gguf, a.Q8_0.gguf*");
    refused((HubWish){.name = "org/flax"}, E_CONFIG, "*but flax_model.msgpack*");
    setenv("HF_HUB_OFFLINE", "1", 1);
    refused((HubWish){.name = "org/plain"}, E_CONFIG, "HF_HUB_OFFLINE*");
}

static void the_token_opens_and_goes_to_one_host(void **state)
{
    (void)state;
    setenv("HF_TOKEN", TOKEN, 1);
    fetched("org/secret");
    fetched("org/plain"); /* whose server answers 500 where the redirect brings the token along */
    unsetenv("HF_TOKEN");
    const char *path = str_print(&arena, "%s/token", dir);
    assert_int_equal(file_write(path, TOKEN "\n", sizeof TOKEN), OK);
    setenv("HF_TOKEN_PATH", path, 1);
    assert_int_equal(fetched("org/secret").fetched, 0);
    const char *cache = str_print(&arena, "%s/huggingface", dir);
    assert_int_equal(file_make_dir(cache), OK);
    assert_int_equal(rename(path, str_print(&arena, "%s/token", cache)), 0);
    unsetenv("HF_TOKEN_PATH");
    unsetenv("HF_HOME");
    setenv("XDG_CACHE_HOME", dir, 1);
    assert_int_equal(fetched("org/secret").fetched, 0);
    setenv("HF_TOKEN", "two\nlines", 1);
    refused((HubWish){.name = "org/secret"}, E_CONFIG, "*token*");
}

static void files_and_revisions_are_chosen(void **state)
{
    (void)state;
    HubFound f;
    assert_int_equal(
        hub_fetch(&f, &arena, &(HubWish){.name = "org/quants", .only = "*Q8_0*", .revision = "refs/pr/1"}), OK);
    assert_int_equal(f.files, 1);
    holds(f.dir, "a.Q8_0.gguf", true);
    assert_false(there(dir, "models--org--quants/refs/main"));
    assert_true(there(dir, "models--org--quants/refs/refs/pr/1"));
    assert_int_equal(hub_fetch(&f, &arena, &(HubWish){.name = "org/plain", .only = "empty*", .revision = COMMIT}),
                     OK);
    holds(f.dir, "empty name.txt", false);
    assert_false(there(dir, "models--org--plain/refs"));
    f = fetched("org/sharded");
    assert_int_equal(f.files, 4);
    holds(f.dir, "model-00002-of-00002.safetensors", true);
}

#define AT_HUB(t) cmocka_unit_test_setup_teardown(t, start, stop)
SUITE(AT_HUB(a_model_is_fetched_into_the_cache_of_the_hub), AT_HUB(a_second_call_fetches_nothing),
      AT_HUB(a_damaged_link_or_blob_is_mended), AT_HUB(a_cut_connection_goes_on_where_it_was),
      AT_HUB(an_unfinished_blob_is_continued_or_thrown_away), AT_HUB(wrong_content_leaves_nothing),
      AT_HUB(a_hub_that_is_down_is_named), AT_HUB(what_the_hub_does_not_give_is_said),
      AT_HUB(the_token_opens_and_goes_to_one_host), AT_HUB(files_and_revisions_are_chosen))
