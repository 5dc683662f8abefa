/* Renames as git decides them, on lists of files that the test makes: which pair wins, where the limit stands, which
 * files count towards it, and which results are unknown when a content cannot be read.  Beside git itself they are in
 * tests/cli/history.sh. */
#include "expect.h"

#include <stdio.h>
#include <string.h>

#include "scratch.h"
#include "change/renames.h"

enum { MOST = 8192 };
static RepoDelta list[MOST];
static const char *text[MOST]; /* by id; NULL cannot be read */
static int64_t n, reads;
static int ids;

static void start(void)
{
    memset(list, 0, sizeof list);
    n = reads = 0;
    ids = 1; /* 0 is the content of a file that is not there */
}

/* Equal contents have equal ids, as in git. */
static void name_content(unsigned char id[20], const char *content)
{
    int k = 1;
    while (k < ids && (!content || !text[k] || strcmp(text[k], content))) k++;
    if (k == ids) text[ids++] = content;
    memcpy(id, &k, sizeof k);
}

static void file(FileStatus status, const char *path, const char *content)
{
    RepoDelta *d = &list[n++];
    d->old_path = d->new_path = str_copy(&arena, path, strlen(path));
    d->status = status;
    name_content(status == FILE_DELETED ? d->old_id : d->new_id, content);
}

static bool is_code(const RepoDelta *d, void *user)
{
    (void)user;
    return strstr(d->new_path, ".c") != NULL;
}

static bool contents(Bytes *out, Arena *a, const unsigned char id[20], void *user)
{
    (void)a, (void)user;
    int k;
    memcpy(&k, id, sizeof k);
    reads++;
    if (text[k]) *out = (Bytes){(char *)(size_t)text[k], strlen(text[k])};
    return text[k] != NULL;
}

static int64_t limit = RENAME_LIMIT;

static bool find(void)
{
    const RenameReader reader = {.is_code = is_code, .contents = contents, .limit = limit};
    bool limited;
    renames_find(list, &n, &limited, &arena, &reader);
    return limited;
}

/* The old name of the file that is at `path` now; NULL when it is no renamed one. */
static const char *was(const char *path)
{
    for (int64_t i = 0; i < n; i++)
        if (!strcmp(list[i].new_path, path)) return list[i].status == FILE_RENAMED ? list[i].old_path : NULL;
    return NULL;
}

static void expect_was(const char *path, const char *expected)
{
    const char *found = was(path);
    EXPECT(expected ? found && !strcmp(found, expected) : !found, "%s was %s, expected %s", path,
           found ? found : "none", expected ? expected : "none");
}

/* `lines` lines that no other number has; `more` follows. */
static char *content(int number, int lines, const char *more)
{
    Buf b = buf_open(&arena);
    for (int i = 0; i < lines; i++) buf_print(&b, "line %d of the file %d\n", i, number);
    buf_print(&b, "%s", more);
    return b.text;
}

static void similarity_is_that_of_git(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
        int score;
    } CASE[] = {{"a\nb\n", "a\nb\n", RENAME_ALL},
                {"a\nb\n", "b\na\n", RENAME_ALL}, /* order does not matter */
                {"aa\nbb\n", "aa\ncc\n", RENAME_ALL / 2},
                {"a\r\nb\r\n", "a\nb\n", RENAME_ALL * 4 / 6}, /* a CR is not compared, but has a size */
                {"aa\nbb", "aa\nbb", RENAME_ALL},             /* the end without a newline counts */
                {"aaaa\n", "a\n", 0},                         /* too much shorter */
                {"", "a\n", 0},
                {"same\nsame\n", "same\nother\n", RENAME_ALL * 5 / 11}};
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        Bytes from = {(char *)(size_t)CASE[i].from, strlen(CASE[i].from)};
        Bytes to = {(char *)(size_t)CASE[i].to, strlen(CASE[i].to)};
        int score = rename_similarity(&arena, from, to);
        EXPECT(score == CASE[i].score, "case %d: %d, expected %d", (int)i, score, CASE[i].score);
    }
}

static void the_same_content_comes_first(void **state)
{
    (void)state;
    start();
    file(FILE_DELETED, "a/x.c", "1\n");
    file(FILE_DELETED, "a/y.c", "1\n");
    file(FILE_ADDED, "b/new.c", "1\n");
    file(FILE_ADDED, "b/y.c", "1\n");
    file(FILE_ADDED, "b/z.c", "1\n");
    EXPECT(!find() && n == 3 && reads == 0, "%d files, %d contents read", (int)n, (int)reads);
    expect_was("b/new.c", "a/x.c"); /* the first one that is left */
    expect_was("b/y.c", "a/y.c");   /* of its own name */
    expect_was("b/z.c", NULL);      /* none is left: a rename, not a copy */
    start();
    file(FILE_DELETED, "notes.txt", "1\n");
    file(FILE_ADDED, "picture.png", "1\n");
    EXPECT(!find() && n == 1, "%d files", (int)n); /* whatever the files are */
}

static void exact_ones_have_no_limit(void **state)
{
    (void)state;
    char path[32];
    start();
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < 2000; i++) {
            snprintf(path, sizeof path, "%c/f%04d.c", 'a' + side, side ? 1999 - i : i);
            file(side ? FILE_ADDED : FILE_DELETED, path, content(i, 1, ""));
        }
    EXPECT(!find() && n == 2000, "%d files", (int)n);
    expect_was("b/f0000.c", "a/f1999.c");
}

static void a_name_is_enough_for_three_quarters(void **state)
{
    (void)state;
    start();
    file(FILE_DELETED, "a/x.c", content(1, 4, ""));
    file(FILE_DELETED, "a/y.c", content(2, 4, ""));
    file(FILE_ADDED, "b/q.c", content(1, 4, "q\n")); /* more like x.c, which is taken by name */
    file(FILE_ADDED, "b/x.c", content(1, 3, "x\n"));
    file(FILE_ADDED, "b/y.c", content(2, 2, "another line of it\nand one\n"));
    EXPECT(!find(), "limited");
    expect_was("b/x.c", "a/x.c");
    expect_was("b/q.c", NULL);
    expect_was("b/y.c", "a/y.c"); /* only half of it, in the comparison of all pairs */
}

/* `pairs` moved and edited files with new names; `others` more files that are no code. */
static bool move(int pairs, int extra, int others)
{
    char path[32];
    start();
    for (int i = 0; i < pairs; i++) {
        snprintf(path, sizeof path, "a/f%04d.c", i);
        file(FILE_DELETED, path, content(i, 3, ""));
    }
    for (int i = 0; i < pairs + extra; i++) {
        snprintf(path, sizeof path, "b/g%04d.c", i);
        file(FILE_ADDED, path, content(i, 3, "edited\n"));
    }
    for (int i = 0; i < others; i++) {
        snprintf(path, sizeof path, "p/%04d.png", i);
        file(FILE_ADDED, path, content(9000 + i, 1, ""));
    }
    return find();
}

static void the_limit_counts_code_alone(void **state)
{
    (void)state;
    EXPECT(!move(10, 0, 3000) && n == 3010 && reads == 20, "%d files, %d read", (int)n, (int)reads);
    expect_was("b/g0007.c", "a/f0007.c");
    EXPECT(!move(RENAME_LIMIT, 0, 0) && n == RENAME_LIMIT, "at the limit: %d files", (int)n);
    EXPECT(move(RENAME_LIMIT, 1, 0) && n == 2 * RENAME_LIMIT + 1, "above it: %d files", (int)n);
    expect_was("b/g0007.c", NULL);
    limit = 3;
    EXPECT(!move(3, 0, 0) && n == 3, "at a limit of three: %d files", (int)n);
    EXPECT(move(3, 1, 0) && n == 7, "above it: %d files", (int)n);
    limit = 0;
    EXPECT(!move(3, 1, 0) && n == 4, "without a limit: %d files", (int)n);
    limit = RENAME_LIMIT;
}

static void what_cannot_be_read_is_unsure(void **state)
{
    (void)state;
    start();
    file(FILE_DELETED, "a.c", NULL);
    file(FILE_ADDED, "b.c", "1\n");
    file(FILE_MODIFIED, "c.c", "1\n");
    find();
    EXPECT(n == 3 && list[1].unsure && !list[2].unsure, "a source that cannot be read");
    start();
    file(FILE_DELETED, "a.c", "1\n2\n");
    file(FILE_ADDED, "b.c", NULL);
    file(FILE_ADDED, "c.c", "3\n");
    find();
    EXPECT(list[1].unsure && !list[2].unsure, "a target that cannot be read");
    start();
    file(FILE_DELETED, "a.png", NULL);
    file(FILE_ADDED, "b.c", "1\n");
    find();
    EXPECT(!list[1].unsure, "a source that is no code");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(similarity_is_that_of_git),   cmocka_unit_test(the_same_content_comes_first),
        cmocka_unit_test(exact_ones_have_no_limit),    cmocka_unit_test(a_name_is_enough_for_three_quarters),
        cmocka_unit_test(the_limit_counts_code_alone), cmocka_unit_test(what_cannot_be_read_is_unsure)};
    return cmocka_run_group_tests(tests, begin, end) != 0;
}
