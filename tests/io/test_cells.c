/* Columns of texts from CSV, TSV and JSON, good and bad. */
#include "expect.h"

#include <string.h>

#include "base/str.h"
#include "io/cells.h"
#include "scratch.h"

static Cells c;
static const bool OPTIONAL[] = {false, true};

static Status read_text(const char *name, const char *text, const char *a, const char *b)
{
    const char *const wanted[] = {a, b};
    const char *path = str_print(&arena, "%s/%s", dir, name);
    assert_int_equal(file_write(path, text, strlen(text)), OK);
    return cells_read(&c, &arena, path, 2, wanted, OPTIONAL);
}

static void is(int column, int64_t row, const char *want)
{
    Bytes b = c.cell[column][row];
    assert_int_equal(b.len, strlen(want));
    assert_memory_equal(b.text, want, b.len);
}

static void fails(Status want, const char *with)
{
    assert_int_equal(want, E_FORMAT);
    assert_non_null(strstr(err_message(), with));
    err_clear();
}

static void reads_tables(void **state)
{
    (void)state;
    assert_int_equal(
        read_text("t.csv", "\xef\xbb\xbfid,text,label\r\n1,\"a, \"\"b\"\"\nc\",x\r\n\r\n2, d ,\r\n", "text", "label"),
        OK);
    assert_true(c.n == 2 && c.line[0] == 2 && c.line[1] == 5 && c.columns == 3);
    is(0, 0, "a, \"b\"\nc"), is(1, 0, "x"), is(0, 1, " d "), is(1, 1, "");
    assert_int_equal(read_text("t.tsv", "label\ttext\nx\ta, b\ny\t\"c\td\"", "text", "label"), OK);
    is(0, 0, "a, b"), is(0, 1, "c\td"), is(1, 1, "y");
    assert_int_equal(read_text("t", "text\tlabel\na\tx\n", "text", "label"), OK);
    is(1, 0, "x");
    assert_int_equal(read_text("t.csv", "text\na\n", "text", "label"), OK);
    assert_null(c.cell[1]);
}

static void reads_json(void **state)
{
    (void)state;
    assert_int_equal(read_text("t.jsonl",
                               "{\"text\": \"a\", \"label\": 3}\n{\"text\": [\"b\", \"c\"], \"label\": true}", "text",
                               "label"),
                     OK);
    is(0, 0, "a"), is(1, 0, "3"), is(0, 1, "b c"), is(1, 1, "true");
    assert_int_equal(read_text("t.json", "[{\"text\": \"a\"},\n {\"text\": \"b\"}]", "text", "label"), OK);
    assert_true(c.n == 2 && c.line[1] == 2 && !c.cell[1]);
}

static void names_the_place(void **state)
{
    (void)state;
    fails(read_text("t.csv", "text,label\na,b\n\"c,d\n", "text", "label"), "t.csv:3: a quoted field has no end");
    fails(read_text("t.csv", "text,label\n\"a\"b,c\n", "text", "label"), "t.csv:2: expected a comma after field 1");
    fails(read_text("t.tsv", "text\tlabel\n\"a\"b\tc\n", "text", "label"), "t.tsv:2: expected a tab after field 1");
    fails(read_text("t.csv", "text,label\na\xff,b\n", "text", "label"), "t.csv:2: byte 2 of the line, 0xFF");
    fails(read_text("t.csv", "texts,label\na,b\n", "text", "label"), "has no column 'text'; there are texts, label");
    fails(read_text("t.csv", "text,text\na,b\n", "text", "label"), "two columns are called 'text'");
    fails(read_text("t.csv", "text,label\na\n", "text", "label"), "t.csv:2: has 1 field, expected the 2");
    fails(read_text("t.jsonl", "{\"text\": \"a\"}\n{\"txt\": \"b\"}", "text", NULL),
          "t.jsonl:2: has no column 'text'");
    fails(read_text("t.jsonl", "{\"text\": {}}", "text", NULL), "t.jsonl:1: 'text' is an object");
    fails(read_text("t.jsonl", "{\"text\": [\"a b\"]}", "text", NULL), "expected a word");
    assert_int_equal(read_text("t.csv", "text\n", "text", NULL), E_MISMATCH);
    err_clear();
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
SUITE(T(reads_tables), T(reads_json), T(names_the_place))
