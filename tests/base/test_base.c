/* Arena, strings, random numbers, files. */
#include "expect.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/str.h"

/* The known answer of Philox4x32-10 for counter 0 and key 0 (Random123's kat_vectors). */
static void philox_known_answer(void **state)
{
    (void)state;
    RngBlock b = rng_block(0, 0);
    assert_int_equal(b.v[0], 0x6627e8d5);
    assert_int_equal(b.v[1], 0xe169c58d);
    assert_int_equal(b.v[2], 0xbc57ac4c);
    assert_int_equal(b.v[3], 0x9b00dbd8);
}

static void normal_moments(void **state)
{
    (void)state;
    uint64_t s = rng_stream(7, "moments");
    double m1 = 0, m2 = 0, m4 = 0;
    enum { N = 100000 };
    for (int i = 0; i < N; i++) {
        double x = rng_normal(s, (uint64_t)i);
        m1 += x / N;
        m2 += x * x / N;
        m4 += x * x * x * x / N;
    }
    EXPECT(fabs(m1) < 0.015 && fabs(m2 - 1) < 0.025 && fabs(m4 - 3) < 0.2, "moments %g %g %g", m1, m2, m4);
}

static void arena_marks(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 20);
    char *first = arena_take(&a, 3);
    ArenaMark mark = arena_mark(&a);
    char *second = arena_zero(&a, 1000);
    assert_true((uintptr_t)second % 64 == 0 && second - first >= 64);
    for (int i = 0; i < 1000; i++) assert_int_equal(second[i], 0);
    arena_drop(&a, mark);
    assert_ptr_equal(arena_take(&a, 8), second);
    arena_close(&a);
}

static void the_last_block_stretches(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 20);
    char *first = arena_take(&a, 100), *last = arena_take(&a, 100);
    memset(first, 1, 100);
    memset(last, 2, 100);
    assert_false(arena_stretch(&a, first, 100, 200)); /* another lies behind it */
    assert_true(arena_stretch(&a, last, 100, 5000));
    memset(last + 100, 3, 4900);
    char *next = arena_take(&a, 8);
    assert_true(next >= last + 5000);
    for (int i = 0; i < 100; i++) assert_true(first[i] == 1 && last[i] == 2);
    assert_false(arena_stretch(&a, last, 5000, 6000));
    arena_close(&a);
}

/* An array that was taken last grows in place, another as a copy; in both the new items are cleared, although the
 * memory was used before. */
static void arrays_grow(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 20);
    ArenaMark mark = arena_mark(&a);
    memset(arena_take(&a, 1 << 16), 0xff, 1 << 16);
    arena_drop(&a, mark);
    for (int between = 0; between < 2; between++) {
        int *list = NULL, *was = NULL, moves = 0;
        int64_t n = 0, room = 0;
        for (; n < 100; n++) {
            GROW(&a, list, n, room, 3);
            moves += was && list != was;
            was = list;
            assert_true(room > n && list[n] == 0);
            list[n] = (int)n + 1;
            if (between) *(char *)arena_take(&a, 1) = 7;
        }
        assert_int_equal(room, 192);
        EXPECT(between ? moves == 6 : moves == 0, "the array moved %d times", moves);
        for (int64_t i = 0; i < n; i++) assert_int_equal(list[i], i + 1);
    }
    arena_close(&a);
}

static void lists_are_cut(void **state)
{
    (void)state;
    static const struct {
        const char *list, *separators, *items; /* each item between bars */
    } CASE[] = {{"a,bc", ",", "|a|bc|"},   {"", ",", "|"},
                {NULL, ",", "|"},          {"8,", ",", "|8|"},
                {",x,,y", ",", "||x||y|"}, {"1, 2,3", ", ", "|1||2|3|"},
                {"a b", ",", "|a b|"},     {",", ",", "||"}};
    Arena a = arena_open(1 << 20);
    for (size_t k = 0; k < sizeof CASE / sizeof *CASE; k++) {
        Buf b = buf_open(&a);
        size_t n;
        buf_print(&b, "|");
        for (const char *rest = CASE[k].list, *item; str_next(&rest, CASE[k].separators, &item, &n);)
            buf_print(&b, "%.*s|", (int)n, item);
        assert_string_equal(b.text, CASE[k].items);
    }
    arena_close(&a);
}

static void globs(void **state)
{
    (void)state;
    assert_true(str_glob("*.attn.c_?ttn|x", "h.0.attn.c_attn"));
    assert_true(str_glob("x|*bias", "a.bias"));
    assert_false(str_glob("*.bias", "a.bias.b"));
    assert_true(str_glob("a*b*c", "a__b_b_c"));
    assert_true(str_glob("", ""));
    const char *list[] = {"prefix", "lora", "adapter", NULL};
    assert_string_equal(str_nearest("prefx", list), "prefix");
    assert_null(str_nearest("zzzzzz", list));
}

static void one_is_singular(void **state)
{
    (void)state;
    const int64_t n[] = {0, 1, 2, 11, 21};
    for (int i = 0; i < 5; i++) assert_string_equal(str_plural(n[i], "one", "many"), n[i] == 1 ? "one" : "many");
}

/* A fault of the command line becomes one of a file, which the message names; the others stay. */
static void faults_of_files(void **state)
{
    (void)state;
    assert_int_equal(err_status(), OK);
    assert_int_equal(fail_in_file(OK, "f"), OK);
    assert_int_equal(fail_in_file(err_fail(E_CONFIG, "a %s", "slip"), "dir/f"), E_FORMAT);
    assert_string_equal(err_message(), "dir/f: a slip");
    assert_int_equal(fail_in_file(err_fail(E_IO, "another"), "f"), E_IO);
    assert_int_equal(err_status(), E_FORMAT); /* of the first */
    assert_string_equal(err_message(), "dir/f: a slip");
    err_clear();
    assert_int_equal(err_status(), OK);
}

static void buffers_grow(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 24);
    Buf b = buf_open(&a);
    for (int i = 0; i < 1000; i++) buf_print(&b, "%d,", i);
    char *wide = str_print(&a, "%2000d", 7), *at = b.text; /* in the way: the text after it goes elsewhere */
    buf_print(&b, "%s", wide);
    assert_ptr_not_equal(b.text, at);
    assert_int_equal(b.len, 10 * 2 + 90 * 3 + 900 * 4 + 2000);
    assert_memory_equal(b.text, "0,1,2,", 6);
    assert_string_equal(wide + 1999, "7");
    assert_int_equal(strlen(b.text), b.len);
    arena_close(&a);
}

static void files_are_whole_or_absent(void **state)
{
    (void)state;
    char dir[] = "/tmp/vernier-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    Arena a = arena_open(1 << 20);
    char *path = str_print(&a, "%s/x/y/f", dir), *parent = str_print(&a, "%s/x/y", dir);
    assert_int_equal(file_make_dir(parent), OK);
    Writer w;
    assert_int_equal(writer_open(&w, path), OK);
    writer_print(&w, "%d", 42);
    assert_int_not_equal(access(path, F_OK), 0); /* nothing there before the close */
    assert_int_equal(writer_close(&w), OK);
    Bytes b;
    assert_int_equal(file_read(&b, &a, path), OK);
    assert_string_equal(b.text, "42");
    assert_int_equal(file_read(&b, &a, parent), E_IO);
    assert_non_null(strstr(err_message(), "directory"));
    err_clear();
    assert_int_equal(file_write("/dev/full/x", "a", 1), E_IO);
    err_clear();
    char *rm = str_print(&a, "rm -r %s", dir);
    assert_int_equal(system(rm), 0);
    arena_close(&a);
}

typedef struct {
    char dir[40], path[80];
} Place;

static Place place(const char *name)
{
    Place p;
    strcpy(p.dir, "/tmp/vernier-writer-XXXXXX");
    assert_non_null(mkdtemp(p.dir));
    snprintf(p.path, sizeof p.path, "%s/%s", p.dir, name);
    return p;
}

static void remove_place(const Place *p)
{
    char rm[80];
    snprintf(rm, sizeof rm, "rm -r %s", p->dir);
    assert_int_equal(system(rm), 0);
}

static int files_in(const char *dir)
{
    int n = 0;
    DIR *d = opendir(dir);
    while (readdir(d)) n++;
    closedir(d);
    return n - 2;
}

static void holds(const char *path, const char *text)
{
    Bytes b;
    Arena a = arena_open(1 << 20);
    EXPECT(!file_read(&b, &a, path) && !strcmp(b.text, text), "%s: %.40s%s", path, b.text, err_message());
    arena_close(&a);
}

static void a_protected_file_is_compared_and_kept(void **state)
{
    (void)state;
    static const char *const other[] = {"", "one", "one two three", "two"};
    Place p = place("f");
    Writer w;
    assert_int_equal(file_write(p.path, "one two", 7), OK);
    assert_int_equal(file_protect(p.path), OK);
    assert_int_equal(file_write(p.path, "one two", 7), OK); /* the same */
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        EXPECT(file_write(p.path, other[i], strlen(other[i])) == E_CONFIG, "'%s' is written", other[i]);
        EXPECT(strstr(err_message(), "exists and holds something else; --overwrite"), "%s", err_message());
        err_clear();
        holds(p.path, "one two");
    }
    assert_int_equal(writer_open(&w, p.path), OK); /* long work ends early */
    int64_t parts = 0;
    while (!writer_status(&w) && parts++ < 1000000) writer_add(&w, "more", 4);
    EXPECT(parts < 100000, "the first difference is seen after %lld parts", (long long)parts);
    writer_abandon(&w);
    err_clear();
    assert_int_equal(writer_resume(&w, p.path, 0), E_CONFIG);
    err_clear();
    assert_int_equal(files_in(p.dir), 1);
    holds(p.path, "one two");
    remove_place(&p);
}

static void a_protected_file_may_come_and_may_be_empty(void **state)
{
    (void)state;
    Place p = place("f");
    assert_int_equal(file_protect(p.path), OK);
    assert_int_equal(file_write(p.path, "", 0), OK);
    assert_int_equal(file_write(p.path, "one", 3), OK);
    holds(p.path, "one");
    remove_place(&p);
}

static void links_stay_and_so_do_permissions(void **state)
{
    (void)state;
    struct stat st;
    char to[80], chain[80];
    Place p = place("link");
    snprintf(to, sizeof to, "%s/target", p.dir);
    snprintf(chain, sizeof chain, "%s/chain", p.dir);
    assert_int_equal(symlink("target", p.path), 0); /* to a file that does not exist yet */
    assert_int_equal(symlink(p.path, chain), 0);
    assert_int_equal(file_write(p.path, "one", 3), OK);
    holds(to, "one");
    assert_int_equal(chmod(to, 0600), 0);
    assert_int_equal(file_write(chain, "two", 3), OK);
    holds(to, "two");
    assert_true(!lstat(p.path, &st) && S_ISLNK(st.st_mode) && !lstat(chain, &st) && S_ISLNK(st.st_mode));
    assert_true(!stat(to, &st) && (st.st_mode & 0777) == 0600);
    assert_int_equal(files_in(p.dir), 3);
    assert_int_equal(unlink(p.path), 0);
    assert_int_equal(symlink("link", p.path), 0); /* to itself */
    assert_int_equal(file_write(p.path, "one", 3), E_IO);
    err_clear();
    remove_place(&p);
}

static void two_writers_do_not_mix(void **state)
{
    (void)state;
    Place p = place("f");
    Writer one, two;
    assert_int_equal(writer_open(&one, p.path), OK);
    writer_print(&one, "one");
    assert_int_equal(writer_open(&two, p.path), E_IO);
    EXPECT(strstr(err_message(), "another process is writing"), "%s", err_message());
    err_clear();
    assert_int_equal(writer_close(&one), OK);
    holds(p.path, "one");
    assert_int_equal(files_in(p.dir), 1);
    remove_place(&p);
}

/* A killed writer's file is begun anew, or removed where the target is the same already or goes, too. */
static void what_a_killed_writer_left_is_used_or_removed(void **state)
{
    (void)state;
    Place p = place("f");
    Writer w;
    int64_t bytes;
    for (int again = 0; again < 3; again++) {
        pid_t child = fork();
        if (!child) {
            if (writer_open(&w, p.path)) _exit(1);
            writer_print(&w, "half, and much longer than what comes");
            if (writer_save(&w, &bytes)) _exit(1);
            raise(SIGKILL);
        }
        int how;
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_true(WIFSIGNALED(how));
        assert_true(files_in(p.dir) >= 1);
        if (again == 0) {
            assert_int_equal(file_write(p.path, "one", 3), OK);
        } else if (again == 1) {
            assert_int_equal(file_protect(p.path), OK);
            assert_int_equal(file_write(p.path, "one", 3), OK);
        } else {
            file_remove(p.path);
            assert_int_equal(files_in(p.dir), 0);
            break;
        }
        assert_int_equal(files_in(p.dir), 1);
        holds(p.path, "one");
        if (again == 1) assert_int_equal(unlink(p.path), 0);
    }
    remove_place(&p);
}

static void a_limit_on_files_is_an_error_of_writing(void **state)
{
    (void)state;
    Place p = place("f");
    pid_t child = fork();
    if (!child) {
        char text[4096] = {0};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){1024, 1024});
        bool told = file_write(p.path, text, sizeof text) == E_IO && strstr(err_message(), "too large");
        _exit(!told || files_in(p.dir));
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_int_equal(how, 0);
    remove_place(&p);
}

/* The pipe comes first: where a writer replaces its target, the devices are spared. */
static void devices_are_written_to_and_stay_devices(void **state)
{
    (void)state;
    struct stat st;
    char folder[] = "/tmp/vernier-device-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    int end = open(path, O_RDWR | O_NONBLOCK); /* so that the writer finds a reader */
    char got = 0;
    assert_int_equal(file_write(path, "a", 1), OK);
    assert_int_equal(read(end, &got, 1), 1);
    assert_int_equal(got, 'a');
    assert_true(!stat(path, &st) && S_ISFIFO(st.st_mode));
    close(end);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0); /* nothing was left beside it */
    EXPECT(file_write("/dev/null", "a", 1) == OK, "%s", err_message());
    assert_true(!stat("/dev/null", &st) && S_ISCHR(st.st_mode));
    if (stat("/dev/full", &st)) return;
    assert_int_equal(file_write("/dev/full", "a", 1), E_IO);
    err_clear();
    assert_true(!stat("/dev/full", &st) && S_ISCHR(st.st_mode));
}

SUITE(cmocka_unit_test(philox_known_answer), cmocka_unit_test(normal_moments), cmocka_unit_test(arena_marks),
      cmocka_unit_test(the_last_block_stretches), cmocka_unit_test(arrays_grow), cmocka_unit_test(lists_are_cut),
      cmocka_unit_test(globs), cmocka_unit_test(one_is_singular), cmocka_unit_test(faults_of_files),
      cmocka_unit_test(buffers_grow), cmocka_unit_test(files_are_whole_or_absent),
      cmocka_unit_test(a_protected_file_is_compared_and_kept),
      cmocka_unit_test(a_protected_file_may_come_and_may_be_empty),
      cmocka_unit_test(links_stay_and_so_do_permissions), cmocka_unit_test(two_writers_do_not_mix),
      cmocka_unit_test(what_a_killed_writer_left_is_used_or_removed),
      cmocka_unit_test(a_limit_on_files_is_an_error_of_writing),
      cmocka_unit_test(devices_are_written_to_and_stay_devices))
