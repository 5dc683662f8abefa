/* Hub names in the local cache, made here; and paths, which win. */
#include "expect.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hf_cache.h"
#include "base/str.h"

static Arena A;
static const char *ROOT;

static void put(const char *path, const char *text)
{
    EXPECT(file_write(str_print(&A, "%s/%s", ROOT, path), text, strlen(text)) == OK, "%s", err_message());
}

static int set_up(void **state)
{
    (void)state;
    A = arena_open((size_t)1 << 28);
    ROOT = str_print(&A, "/tmp/vernier-hub-%d", (int)getpid());
    const char *dirs[] = {"hub/models--org--name/refs",
                          "hub/models--org--name/snapshots/abc123",
                          "hub/models--gpt2/refs",
                          "hub/models--gpt2/snapshots/def",
                          "hub/models--org--cut/refs",
                          "hub/models--org--gone/refs",
                          "huggingface/hub/models--a--b/refs",
                          "huggingface/hub/models--a--b/snapshots/1",
                          ".cache/huggingface/hub/models--c--d/refs",
                          ".cache/huggingface/hub/models--c--d/snapshots/2"};
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
        EXPECT(file_make_dir(str_print(&A, "%s/%s", ROOT, dirs[i])) == OK, "%s", err_message());
    put("hub/models--org--name/refs/main", "abc123");
    put("hub/models--gpt2/refs/main", "def\n");
    put("hub/models--org--cut/refs/main", "../../../etc");
    put("hub/models--org--gone/refs/main", "999");
    put("huggingface/hub/models--a--b/refs/main", "1");
    put(".cache/huggingface/hub/models--c--d/refs/main", "2");
    unsetenv("HF_HUB_CACHE"), unsetenv("HF_HOME"), unsetenv("XDG_CACHE_HOME");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    EXPECT(system(str_print(&A, "rm -rf '%s'", ROOT)) == 0, "%s stays", ROOT);
    arena_close(&A);
    return 0;
}

static void finds(const char *name, const char *want)
{
    const char *got;
    EXPECT(hf_cache_find(&got, &A, name) == OK, "%s: %s", name, err_message());
    want = *want == '/' || !strcmp(want, name) ? want : str_print(&A, "%s/%s", ROOT, want);
    EXPECT(!strcmp(got, want), "%s: %s, expected %s", name, got, want);
}

static void refuses(const char *name, Status status, const char *says)
{
    const char *got;
    Status s = hf_cache_find(&got, &A, name);
    EXPECT(s == status && strstr(err_message(), says), "%s: %d '%s', expected '%s'", name, (int)s, err_message(),
           says);
    err_clear();
}

static void names(void **state)
{
    (void)state;
    setenv("HF_HOME", str_print(&A, "%s", ROOT), 1);
    finds("org/name", "hub/models--org--name/snapshots/abc123");
    finds("gpt2", "hub/models--gpt2/snapshots/def");
    refuses("org/none", E_IO, str_print(&A, "%s/hub/models--org--none", ROOT));
    refuses("org/cut", E_FORMAT, "no revision");
    refuses("org/gone", E_IO, "revision 999");
    refuses("a/b", E_IO, "models--a--b");
    setenv("HF_HUB_CACHE", str_print(&A, "%s/huggingface/hub", ROOT), 1);
    finds("a/b", "huggingface/hub/models--a--b/snapshots/1");
    refuses("org/name", E_IO, "huggingface/hub/models--org--name");
    unsetenv("HF_HUB_CACHE"), unsetenv("HF_HOME");
    setenv("XDG_CACHE_HOME", ROOT, 1);
    finds("a/b", "huggingface/hub/models--a--b/snapshots/1");
    unsetenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    setenv("HOME", ROOT, 1);
    finds("c/d", ".cache/huggingface/hub/models--c--d/snapshots/2");
    if (home) setenv("HOME", home, 1);
}

/* NAME@REVISION: a branch, a tag with a slash, or a commit; never a place outside the cache. */
static void revisions(void **state)
{
    (void)state;
    setenv("HF_HOME", ROOT, 1);
    EXPECT(file_make_dir(str_print(&A, "%s/hub/models--org--name/refs/refs/pr", ROOT)) == OK, "%s", err_message());
    EXPECT(file_make_dir(str_print(&A, "%s/hub/models--org--name/snapshots/fff", ROOT)) == OK, "%s", err_message());
    put("hub/models--org--name/refs/v1.0", "fff");
    put("hub/models--org--name/refs/refs/pr/3", "abc123\n");
    put("hub/models--org--name/refs/lost", "000");
    finds("org/name@main", "hub/models--org--name/snapshots/abc123");
    finds("org/name@v1.0", "hub/models--org--name/snapshots/fff");
    finds("org/name@fff", "hub/models--org--name/snapshots/fff");
    finds("org/name@refs/pr/3", "hub/models--org--name/snapshots/abc123");
    refuses("org/name@v2", E_IO, "no revision 'v2'");
    refuses("org/name@lost", E_IO, "revision 000");
    const char *const stay[] = {"org/name@", "org/name@..", "org/name@../../x", "org/name@a//b", "org/name@/etc"};
    for (size_t i = 0; i < sizeof stay / sizeof *stay; i++) finds(stay[i], stay[i]);
}

/* A link whose blob is missing is told as a link. */
static void missing_blob(void **state)
{
    (void)state;
    const char *path = str_print(&A, "%s/hub/models--org--name/snapshots/abc123/config.json", ROOT);
    EXPECT(!symlink("../../blobs/77", path), "no link");
    Bytes b;
    EXPECT(file_read(&b, &A, path) == E_IO &&
               strstr(err_message(), "is a link to ../../blobs/77, which is not there"),
           "%s", err_message());
    err_clear();
    EXPECT(file_map(&b, path) == E_IO && strstr(err_message(), "is a link to ../../blobs/77"), "%s", err_message());
    err_clear();
}

/* An existing name is a path, and an impossible name is left to the code that opens it. */
static void paths(void **state)
{
    (void)state;
    setenv("HF_HOME", ROOT, 1);
    char here[4096];
    EXPECT(getcwd(here, sizeof here) && !chdir(ROOT) && !mkdir("gpt2", 0777), "no place to stand in");
    finds("gpt2", "gpt2");
    EXPECT(!rmdir("gpt2") && !chdir(here), "no way back");
    const char *const stay[] = {"/tmp", ".",    "..",   "",       "../x",   "a/b/c",    "/no/such",
                                "a//b", "org/", "a--b", "org/.x", "sp ace", "org/na me"};
    for (size_t i = 0; i < sizeof stay / sizeof *stay; i++) finds(stay[i], stay[i]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
SUITE(TEST(names), TEST(revisions), TEST(missing_blob), TEST(paths))
