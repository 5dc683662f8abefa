/* Change records: they are read back, the two other layouts, refused rows and their lines, and the real sets. */
#include "expect.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scratch.h"
#include "shared.h"
#include "change/change.h"

/* Reads every row of a text; the status of the first bad one, the last good one in *c. */
static Status read_text(CodeChange *c, int *rows, const char *text)
{
    char *path = str_print(&arena, "%s/set.jsonl", dir);
    assert_int_equal(file_write(path, text, strlen(text)), OK);
    ChangeReader in;
    bool more;
    *rows = 0;
    assert_int_equal(changes_open(&in, path), OK);
    Status status = changes_next(&in, &arena, c, &more);
    for (; !status && more; status = changes_next(&in, &arena, c, &more)) ++*rows;
    changes_close(&in);
    return status;
}

static void reads_what_it_writes(void **state)
{
    (void)state;
    ChangeLine line[] = {{LINE_KEEP, "", 0}, {LINE_DEL, "\ta \"b\" \\", 8}, {LINE_ADD, "\xc3\xa9\x01", 3}};
    ChangeFile file[] = {{"a/B.java", "a/C.java", FILE_RENAMED, LANG_JAVA, 3, line},
                         {"x", "x", FILE_DELETED, LANG_NONE, 0, NULL}};
    const char *parent[] = {"p1", "p2"};
    CodeChange c = {"r/s", "id1", "A \"B\"", "fix\nit", "rename", parent, 2, 1202059522, 2, file, 1, true, true, {0}},
               d;
    for (int i = 0; i < N_FEATURES; i++) c.feature[i] = i * 1.25 - 3;
    Buf b = buf_open(&arena);
    change_print(&b, &c);
    change_print(&b, &c);
    int rows;
    assert_int_equal(read_text(&d, &rows, b.text), OK);
    assert_int_equal(rows, 2);
    Buf again = buf_open(&arena);
    change_print(&again, &d);
    change_print(&again, &d);
    assert_string_equal(again.text, b.text);
    assert_string_equal(d.file[0].line[2].text, "\xc3\xa9\x01");
    assert_int_equal(d.file[0].status, FILE_RENAMED);
    assert_int_equal(change_count(&d, LINE_ADD), 1);
    c.label = -1;
    c.has_features = false;
    c.kind = "";
    b = buf_open(&arena);
    change_print(&b, &c);
    assert_int_equal(read_text(&d, &rows, b.text), OK);
    assert_int_equal(d.label, -1);
    assert_false(d.has_features);
}

/* An unknown feature is null, and NaN when it is read; an absent one is refused. */
static void unknown_features_are_null(void **state)
{
    (void)state;
    ChangeFile file = {"a", "a", FILE_ADDED, LANG_NONE, 0, NULL};
    CodeChange c = {"r", "1", "A", "m", "", NULL, 0, 5, 1, &file, -1, true, true, {0}}, d;
    int rows;
    c.feature[FEATURE_lt] = NAN;
    Buf b = buf_open(&arena);
    change_print(&b, &c);
    assert_non_null(strstr(b.text, "\"lt\": null, \"nuc\": 0,"));
    assert_int_equal(read_text(&d, &rows, b.text), OK);
    assert_true(d.has_features && isnan(d.feature[FEATURE_lt]) && !isnan(d.feature[FEATURE_nuc]));
    memcpy(strstr(b.text, "\"lt\""), "\"xx\"", 4);
    assert_int_equal(read_text(&d, &rows, b.text), E_FORMAT);
    assert_non_null(strstr(err_message(), "features lacks lt"));
    err_clear();
}

static void an_unknown_time_is_null(void **state)
{
    (void)state;
    CodeChange c;
    int rows;
    Buf row = buf_open(&arena);
    assert_int_equal(read_text(&c, &rows, "{\"id\": \"1\", \"time\": null, \"files\": []}"), OK);
    assert_true(c.time == TIME_UNKNOWN);
    change_print(&row, &c);
    assert_non_null(strstr(row.text, "\"time\": null"));
    assert_int_equal(read_text(&c, &rows, row.text), OK);
    assert_true(c.time == TIME_UNKNOWN);
}

static void paths_are_never_mistaken(void **state)
{
    (void)state;
    static const char *const CASE[][2] = {{"src/A.java", "src/A.java"},
                                          {"caf\xc3\xa9.c", "caf\xc3\xa9.c"},
                                          {"a\xe9.c", "\"a\\351.c\""},
                                          {"\xc3\xa9\xe8\\\".c", "\"\\303\\251\\350\\\\\\\".c\""},
                                          {"\"a\\351.c\"", "\"\\\"a\\\\351.c\\\"\""}}; /* its name is so */
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++)
        assert_string_equal(change_path(&arena, CASE[i][0]), CASE[i][1]);
}

static void reads_other_layouts(void **state)
{
    (void)state;
    CodeChange c;
    int rows;
    assert_int_equal(
        read_text(&c, &rows,
                  "\n{\"repo\":\"a/b\",\"sha\":\"12\",\"time\":5,\"msg\":\"m\",\"diff\":\"<keep>x/A.java<keep>i"
                  "f (a<b)<del>x<add><keep>y/B.java<add>List<Keep> z\",\"mcmd_test_msg\":true}\n"),
        OK);
    assert_int_equal(c.n_files, 2);
    assert_string_equal(c.file[0].new_path, "x/A.java");
    assert_int_equal(c.file[0].n, 3);
    assert_string_equal(c.file[0].line[0].text, "if (a<b)");
    assert_int_equal(c.file[0].line[2].kind, LINE_ADD);
    assert_string_equal(c.file[0].line[2].text, "");
    assert_string_equal(c.file[1].line[0].text, "List<Keep> z");
    assert_int_equal(c.file[1].lang, LANG_JAVA);
    assert_true(c.ordered);
    assert_int_equal(read_text(&c, &rows,
                               "{\"id\":\"1\",\"project\":\"p\",\"label\":1,\"msg\":\"m\",\"added\":[\"a\",\"b\"],"
                               "\"removed\":[\"c\"]}"),
                     OK);
    assert_false(c.ordered);
    assert_string_equal(c.repo, "p");
    assert_int_equal(change_count(&c, LINE_ADD), 2);
    assert_int_equal(change_count(&c, LINE_DEL), 1);
    assert_int_equal(c.label, 1);
    assert_int_equal(
        read_text(&c, &rows,
                  "{\"idx\":7,\"proj\":\"p\",\"y\":1,\"msg\":\"why\",\"oldf\":\"x\",\"patch\":\"@@ -1,2 +1,2 @@ f"
                  "()\\n a\\r\\n-b\\n+\\n\\n\\\\ No newline at end of file\"}"),
        OK);
    assert_string_equal(c.id, "7");
    assert_string_equal(c.message, "why");
    assert_int_equal(c.label, 1);
    assert_int_equal(c.file->n, 4);
    assert_string_equal(c.file->line[0].text, "a");
    assert_int_equal(c.file->line[1].kind, LINE_DEL);
    assert_int_equal(c.file->line[2].kind, LINE_ADD);
    assert_string_equal(c.file->line[2].text, "");
    assert_int_equal(c.file->line[3].kind, LINE_KEEP);
    assert_true(c.ordered);
}

static void refuses_bad_rows(void **state)
{
    (void)state;
    static const struct {
        const char *row, *says;
    } BAD[] = {
        {"{\"id\":\"1\",\"files\":[]", "set.jsonl:2: is not JSON at byte"},
        {"[1]", "set.jsonl:2: the row is not a JSON object"},
        {"{\"files\":[]}", "set.jsonl:2: the change has no id"},
        {"{\"id\":\"1\"}", "expected files, or diff, or patch, or added and removed"},
        {"{\"patch\":\"@@ -1,2 +1,2 @@\"}", "set.jsonl:2: patch has no lines"},
        {"{\"patch\":\" a\",\"y\":2}", "set.jsonl:2: y is 2"},
        {"{\"patch\":7}", "set.jsonl:2: patch is not a string"},
        {"{\"id\":7,\"files\":[]}", "set.jsonl:2: id is not a string"},
        {"{\"id\":\"1\",\"files\":{}}", "files is not a list"},
        {"{\"id\":\"1\",\"files\":[3]}", "a file is not an object"},
        {"{\"id\":\"1\",\"files\":[{\"new\":\"a\"}]}", "no list of lines"},
        {"{\"id\":\"1\",\"files\":[{\"new\":\"a\",\"lines\":[\"x\"]}]}", "line 1 of a does not begin with"},
        {"{\"id\":\"1\",\"files\":[{\"new\":\"a\",\"lines\":[\"\"]}]}", "line 1 of a does not begin with"},
        {"{\"id\":\"1\",\"files\":[{\"new\":\"a\",\"lines\":[\"+a\\nb\"]}]}", "holds a newline"},
        {"{\"id\":\"1\",\"files\":[{\"new\":\"a\",\"status\":\"odd\",\"lines\":[]}]}", "status is \"odd\""},
        {"{\"id\":\"1\",\"files\":[],\"label\":2}", "label is 2, expected 0 to 1"},
        {"{\"id\":\"1\",\"files\":[],\"features\":{\"la\":1}}", "features lacks ld"},
        {"{\"id\":\"1\",\"files\":[],\"features\":[]}", "features is not an object"},
        {"{\"id\":\"1\",\"files\":[],\"parents\":[1]}", "a parent is not a string"},
        {"{\"id\":\"1\",\"added\":[],\"removed\":3}", "not both lists"},
        {"{\"id\":\"1\",\"added\":[[1]],\"removed\":[]}", "one-line strings"},
        {"{\"id\":\"1\",\"diff\":\"x\"}", "expected <keep> and a path"},
        {"{\"id\":\"1\",\"diff\":5}", "diff is not a string"},
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        CodeChange c;
        int rows;
        const char *text = str_print(&arena, "{\"id\":\"0\",\"files\":[]}\n%s\n", BAD[i].row);
        err_clear();
        assert_int_equal(read_text(&c, &rows, text), E_FORMAT);
        assert_int_equal(rows, 1);
        EXPECT(strstr(err_message(), BAD[i].says), "%s: %s", BAD[i].row, err_message());
        assert_non_null(strstr(err_message(), "set.jsonl:2: "));
    }
    err_clear();
    ChangeReader in;
    assert_int_equal(changes_open(&in, "/no/such/file"), E_IO);
    err_clear();
}

/* A row cut anywhere, or with any byte changed, is refused or read, and never crashes. */
static void survives_damage(void **state)
{
    (void)state;
    static const char ROW[] = "{\"id\": \"1\", \"parents\": [\"a\"], \"time\": 3, \"files\": [{\"new\": \"A.java\", "
                              "\"status\": \"added\", \"lines\": [\" a\", \"+b\"]}], \"label\": 0}";
    for (size_t i = 0; i < sizeof ROW - 1; i++) {
        char text[sizeof ROW];
        memcpy(text, ROW, sizeof ROW);
        text[i] = "\0\"{\xff"[i % 4];
        CodeChange c;
        int rows;
        err_clear();
        Status s = read_text(&c, &rows, text);
        assert_true(s == OK || s == E_FORMAT);
    }
    err_clear();
}

static void replaces_what_is_no_utf8(void **state)
{
    (void)state;
    static const char ROW[] = "{\"id\": \"1\", \"msg\": \"caf\xe9\", \"files\": []}\n";
    char *path = str_print(&arena, "%s/latin.jsonl", dir);
    assert_int_equal(file_write(path, ROW, sizeof ROW - 1), OK);
    ChangeReader in;
    CodeChange c;
    bool more;
    assert_int_equal(changes_open(&in, path), OK);
    assert_int_equal(changes_next(&in, &arena, &c, &more), OK);
    assert_string_equal(c.message, "caf\xef\xbf\xbd");
    assert_int_equal(in.replaced, 1);
    changes_close(&in);
    /* A zero byte, which no string here can hold, is replaced as well, and the text behind it stays. */
    static const char ZERO[] = "{\"id\": \"1\", \"msg\": \"a\\u0000b\\\\u0000\", \"files\": []}\n";
    assert_int_equal(file_write(path, ZERO, sizeof ZERO - 1), OK);
    assert_int_equal(changes_open(&in, path), OK);
    assert_int_equal(changes_next(&in, &arena, &c, &more), OK);
    assert_string_equal(c.message, "a\xef\xbf\xbd"
                                   "b\\u0000");
    assert_int_equal(in.replaced, 1);
    changes_close(&in);
}

/* As other programs write them: with a mark of byte order, or as one array over several lines. */
static void reads_what_others_wrote(void **state)
{
    (void)state;
    static const char *const SAME[] = {"\xef\xbb\xbf{\"id\": \"1\", \"files\": []}\r\n{\"id\": \"2\", \"files\": []}",
                                       "[\n {\"id\": \"1\",\n \"files\": []},\n {\"id\": \"2\", \"files\": []}\n]\n"};
    char *path = str_print(&arena, "%s/other.jsonl", dir);
    for (size_t i = 0; i < sizeof SAME / sizeof *SAME; i++) {
        CodeChange *c;
        int64_t n;
        assert_int_equal(file_write(path, SAME[i], strlen(SAME[i])), OK);
        EXPECT(!changes_read(&c, &n, &arena, path), "%s", err_message());
        assert_int_equal(n, 2);
        assert_string_equal(c[1].id, "2");
    }
    CodeChange *c;
    int64_t n;
    static const char WIDE[] = "\xff\xfe{\0}\0";
    assert_int_equal(file_write(path, WIDE, sizeof WIDE - 1), OK);
    assert_int_equal(changes_read(&c, &n, &arena, path), E_FORMAT);
    EXPECT(strstr(err_message(), "UTF-16"), "%s", err_message());
    err_clear();
}

/* Rows longer than any piece that is read at once, and one without a newline at the end of the file. */
static void reads_long_rows(void **state)
{
    (void)state;
    CodeChange c;
    int rows;
    char *text = arena_take(&arena, 100001);
    memset(text, 'x', 100000);
    text[100000] = 0;
    for (int n = 4000; n < 100000; n = n * 2 + 1)
        for (int d = 0; d < 3; d++) {
            const char *row =
                str_print(&arena, "\n \t\r\n{\"id\":\"1\",\"msg\":\"%.*s\",\"files\":[]}", n + 40 * d, text);
            assert_int_equal(read_text(&c, &rows, row), OK);
            assert_int_equal(rows, 1);
            assert_int_equal(strlen(c.message), n + 40 * d);
        }
    assert_int_equal(read_text(&c, &rows, ""), OK);
    assert_int_equal(rows, 0);
    assert_int_equal(read_text(&c, &rows, "\n\n"), OK);
    assert_int_equal(rows, 0);
}

/* Rows, and rows with label 1, of a real set. */
static void check_set(const char *name, int64_t rows, int64_t buggy)
{
    const char *path = shared_path(&arena, str_print(&arena, "data/%s", name));
    if (access(path, R_OK)) skip();
    ChangeReader in;
    CodeChange c;
    bool more = true;
    int64_t n = 0, bad = 0;
    assert_int_equal(changes_open(&in, path), OK);
    while (more) {
        ArenaMark mark = arena_mark(&arena);
        assert_int_equal(changes_next(&in, &arena, &c, &more), OK);
        if (more) {
            n++;
            bad += c.label == 1;
            assert_true(c.n_files > 0 && *c.id);
        }
        arena_drop(&arena, mark);
    }
    changes_close(&in);
    assert_int_equal(n, rows);
    assert_int_equal(bad, buggy);
}

static void reads_the_defect_set(void **state)
{
    (void)state;
    check_set("jit/valid.jsonl", 5465, 467);
}

static void reads_the_mined_set(void **state)
{
    (void)state;
    check_set("cmg/mined/java_test.jsonl", 600, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_it_writes),     cmocka_unit_test(unknown_features_are_null),
        cmocka_unit_test(an_unknown_time_is_null),  cmocka_unit_test(paths_are_never_mistaken),
        cmocka_unit_test(reads_other_layouts),      cmocka_unit_test(refuses_bad_rows),
        cmocka_unit_test(survives_damage),          cmocka_unit_test(reads_long_rows),
        cmocka_unit_test(replaces_what_is_no_utf8), cmocka_unit_test(reads_what_others_wrote),
        cmocka_unit_test(reads_the_defect_set),     cmocka_unit_test(reads_the_mined_set)};
    return cmocka_run_group_tests(tests, begin, end) != 0;
}
