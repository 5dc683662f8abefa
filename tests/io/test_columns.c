/* Columns of numbers from CSV and JSON Lines, good and bad. */
#include "expect.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "io/columns.h"
#include "scratch.h"

static const char *path;

static int setup(void **state)
{
    int bad = begin(state);
    path = str_print(&arena, "%s/t", dir);
    return bad;
}

static double *column[2];
static int64_t rows;

static Status read_text(const char *text, const char *a, const char *b)
{
    assert_int_equal(file_write(path, text, strlen(text)), OK);
    const char *const wanted[] = {a, b};
    return columns_read(column, &rows, &arena, path, 2, wanted);
}

static void reads(void **state)
{
    (void)state;
    assert_int_equal(read_text("x,\"y,\"\"q\"\r\n1,2\r\n\"3\",\"-4e1\"\n\n", "x", "y,\"q"), OK);
    assert_true(rows == 2 && column[0][1] == 3 && column[1][0] == 2 && column[1][1] == -40);
    assert_int_equal(read_text("a,b\nTrue,1\nfalse,2", "a", "a+b"), OK);
    assert_true(rows == 2 && column[0][0] == 1 && column[1][0] == 2 && column[1][1] == 2);
    assert_int_equal(
        read_text("{\"f\": {\"a\": 1, \"b\": 2}, \"l\": true}\n\n{\"f\": {\"a\": 3, \"b\": 4}, \"l\": 0}", "l",
                  "f.a+f.b"),
        OK);
    assert_true(rows == 2 && column[0][0] == 1 && column[0][1] == 0 && column[1][0] == 3 && column[1][1] == 7);
    /* However the file was made: by a spreadsheet, on Windows, as an array, with blank lines at its end. */
    static const char *const SAME[] = {"a,b\n1,2\n3,4\n", "\xef\xbb\xbf\"a\",b\r\n1,2\r\n3,4",
                                       "a,b\n1,2\n3,4\n\n \r\n", "[{\"a\": 1, \"b\": 2},\n {\"b\": 4, \"a\": 3}]",
                                       "\xef\xbb\xbf{\"a\":1,\"b\":2}\r\n{\"a\":3,\"b\":4}"};
    for (size_t i = 0; i < sizeof SAME / sizeof *SAME; i++) {
        EXPECT(!read_text(SAME[i], "a", "b"), "%s: %s", SAME[i], err_message());
        assert_true(rows == 2 && column[0][0] == 1 && column[0][1] == 3 && column[1][0] == 2 && column[1][1] == 4);
    }
    assert_int_equal(read_text("a,b,b\n1,2,3\n", "a", "a"), OK); /* b is not read */
    Buf many = buf_open(&arena);
    buf_print(&many, "a,b\n");
    for (int i = 0; i < 3000; i++) buf_print(&many, "%d,%d\n", i, -i);
    assert_int_equal(read_text(many.text, "b", "a"), OK);
    assert_true(rows == 3000 && column[0][2999] == -2999 && column[1][1500] == 1500);
}

/* Whatever the form of the file, the error about a missing column lists the columns, the nearest first. */
static void names_what_is_there(void **state)
{
    (void)state;
    static const char *const SAME[] = {"id,lines,labels,f.la\n1,2,3,4\n",
                                       "{\"id\": 1, \"lines\": 2, \"labels\": 3, \"f\": {\"la\": 4}}\n",
                                       "[{\"id\": 1, \"lines\": 2, \"labels\": 3, \"f\": {\"la\": 4}}]"};
    static const struct {
        const char *asked, *said;
    } CASE[] = {{"label", "'label'; there are labels, id, lines, f.la"},
                {"id+la", "'la'; there are f.la, id, lines, labels"},
                {"nothing like it", "there are id, lines, labels, f.la"}};
    for (size_t i = 0; i < sizeof SAME / sizeof *SAME; i++)
        for (size_t k = 0; k < sizeof CASE / sizeof *CASE; k++)
            for (ColumnKind kind = COLUMN_NUMBER; kind <= COLUMN_TEXT; kind++) {
                double *out[1];
                if (kind == COLUMN_OPTIONAL || (kind == COLUMN_TEXT && k == 1)) continue;
                assert_int_equal(file_write(path, SAME[i], strlen(SAME[i])), OK);
                assert_int_equal(columns_read_as(out, &rows, &arena, path, 1, &CASE[k].asked, &kind), E_FORMAT);
                EXPECT(strstr(err_message(), CASE[k].said), "'%s' does not say '%s'", err_message(), CASE[k].said);
                err_clear();
            }
}

/* Texts become numbers, and a column that may be absent is. */
static void kinds(void **state)
{
    (void)state;
    static const char *const TEXT[] = {"c+,x,y\nab,1,7\n,2,7\n\"7\",3,7\nab,4,7\n",
                                       "{\"c+\": \"ab\", \"x\": 1, \"y\": 7}\n{\"c+\": \"\", \"x\": 2, \"y\": 7}\n"
                                       "{\"c+\": 7, \"x\": 3, \"y\": 7}\n{\"c+\": \"ab\", \"x\": 4, \"y\": 7}\n"};
    static const ColumnKind KIND[] = {COLUMN_TEXT, COLUMN_OPTIONAL, COLUMN_OPTIONAL};
    const double group[] = {0, 1, 2, 0};
    for (int k = 0; k < 2; k++) {
        double *out[3];
        assert_int_equal(file_write(path, TEXT[k], strlen(TEXT[k])), OK);
        const char *const wanted[] = {"c+", "x+y", "y+z"};
        assert_int_equal(columns_read_as(out, &rows, &arena, path, 3, wanted, KIND), OK);
        assert_true(rows == 4 && !out[2] && out[1][3] == 11);
        assert_memory_equal(out[0], group, sizeof group);
        const char *const lacking[] = {"z", "x", "y"};
        assert_int_equal(columns_read_as(out, &rows, &arena, path, 3, lacking, KIND), E_FORMAT);
        err_clear();
    }
}

static void refuses(const char *text, const char *a, const char *said)
{
    assert_int_equal(read_text(text, a, a), E_FORMAT);
    EXPECT(strstr(err_message(), said), "'%s' does not say '%s'", err_message(), said);
    err_clear();
}

static void bad_files(void **state)
{
    (void)state;
    refuses("a,b\n1,2\n", "c", "no column is called 'c'; there are a, b");
    refuses("a,b\n1,2\n3\n", "a", ":3: 1 field, expected the 2");
    refuses("a,b\n1,x\n", "b", ":2: 'x' in column 2");
    refuses("a,b\n1,nan\n", "b", "expected a number");
    refuses("a\n\"1\n", "a", "has no end");
    refuses("a,b\n\"1\"2,3\n", "a", "expected a comma");
    refuses("a\n", "a", "has no rows");
    refuses("", "a", "no column");
    refuses("{\"a\": \"x\"}\n", "a", "'a' is something else");
    refuses("{\"a\": 1}\n{\"b\": 1, \"c\": 2}\n", "a", ":2: the record has no key 'a'; there are b, c");
    refuses("{}\n", "a", ":1: the record has no key 'a'; there are none");
    refuses("{\"b\": 1}\n", "a", "there is b");
    refuses("{\"a\": 1}\n{\"a\": \n", "a", "line 2");
    refuses("a,b,a\n1,2,3\n", "a", ":1: 'a' is the name of two columns");
    refuses("{\"a\": 1}\n{\"a\": 1, \"a\": 2}\n", "a", ":2: 'a' is there twice");
    refuses("{\"f\": {\"a\": 1}, \"f\": {\"a\": 1}}\n", "f.a", "'f' is there twice");
    refuses("a,b\n1,\xe9\n", "a", ":2: byte 3 of the line, 0xE9, is not UTF-8");
    refuses("\xff\xfe"
            "a,b",
            "a", "UTF-16");
    refuses("[{\"a\": 1}", "a", "the JSON array has no end");
    refuses("[]", "a", "has no rows");
    refuses("[1, 2]", "a", "the row is not an object, expected one with the key 'a'");
    refuses("a\033[31m,b\n1,2\n", "c", "there are a\\x1B[31m, b");
    assert_int_equal(columns_read(column, &rows, &arena, "/nonexistent", 0, NULL), E_IO);
    err_clear();
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, end)
SUITE(T(reads), T(kinds), T(names_what_is_there), T(bad_files))
