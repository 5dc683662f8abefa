/* Text files as people write them: marks of byte order, ends of lines, bytes that are no text, rows of JSON. */
#include "expect.h"

#include <string.h>

#include "base/lines.h"
#include "scratch.h"

static Status read_bytes(Bytes *out, const char *bytes, size_t n, TextBytes kind)
{
    const char *path = str_print(&arena, "%s/t.txt", dir);
    assert_int_equal(file_write(path, bytes, n), OK);
    return text_read(out, &arena, path, kind);
}

static void says(const char *words)
{
    EXPECT(strstr(err_message(), words), "'%s' does not say '%s'", err_message(), words);
    err_clear();
}

static void marks_of_byte_order(void **state)
{
    (void)state;
    Bytes text;
    assert_int_equal(read_bytes(&text, "\xef\xbb\xbfone", 6, BYTES_UTF8), OK);
    assert_string_equal(text.text, "one");
    assert_int_equal(text.len, 3);
    assert_int_equal(read_bytes(&text, "\xef\xbb\xbf", 3, BYTES_UTF8), OK);
    assert_int_equal(text.len, 0);
    assert_int_equal(read_bytes(&text, "", 0, BYTES_UTF8), OK);
    assert_int_equal(text.len, 0);
    assert_int_equal(read_bytes(&text, "a\xef\xbb\xbf", 4, BYTES_UTF8), OK); /* elsewhere it is a character */
    assert_int_equal(text.len, 4);
    for (int kind = BYTES_UTF8; kind <= BYTES_ANY; kind++) {
        assert_int_equal(read_bytes(&text,
                                    "\xff\xfe"
                                    "a\0b\0",
                                    6, (TextBytes)kind),
                         E_FORMAT);
        says("t.txt: is UTF-16 text, expected UTF-8");
        assert_int_equal(read_bytes(&text, "\xfe\xff\0a\0b", 6, (TextBytes)kind), E_FORMAT);
        says("UTF-16");
        assert_int_equal(read_bytes(&text, "\xff\xfe\0\0a\0\0\0", 8, (TextBytes)kind), E_FORMAT);
        says("UTF-32");
        assert_int_equal(read_bytes(&text, "\0\0\xfe\xff\0\0\0a", 8, (TextBytes)kind), E_FORMAT);
        says("UTF-32");
    }
}

static void bytes_that_are_no_text(void **state)
{
    (void)state;
    Bytes text;
    assert_int_equal(read_bytes(&text, "a\nb\xe9\n", 5, BYTES_UTF8), E_FORMAT);
    says("t.txt:2: byte 2 of the line, 0xE9, is not UTF-8");
    assert_int_equal(read_bytes(&text, "a\n\nb\0\n", 6, BYTES_UTF8), E_FORMAT);
    says("t.txt:3: byte 2 of the line is zero");
    assert_int_equal(read_bytes(&text, "\xe9\0", 2, BYTES_UTF8), E_FORMAT);
    says("0xE9");
    assert_int_equal(read_bytes(&text, "\xe9\0", 2, BYTES_NOT_ZERO), E_FORMAT);
    says("is zero");
    assert_int_equal(read_bytes(&text, "\xe9\0", 2, BYTES_ANY), OK);
    assert_int_equal(text.len, 2);
}

static void ends_of_lines(void **state)
{
    (void)state;
    static const char *const WHOLE[] = {"a\nb\n", "a\nb", "a\r\nb\r\n", "a\r\nb",
                                        "\xef\xbb\xbf"
                                        "a\nb"};
    for (size_t i = 0; i < sizeof WHOLE / sizeof *WHOLE; i++) {
        Bytes text;
        assert_int_equal(read_bytes(&text, WHOLE[i], strlen(WHOLE[i]), BYTES_UTF8), OK);
        TextLines l = lines_in(text);
        EXPECT(lines_next(&l) && l.number == 1 && l.line.len == 1 && !strcmp(l.line.text, "a"), "%zu", i);
        EXPECT(lines_next(&l) && l.number == 2 && l.line.len == 1 && !strcmp(l.line.text, "b"), "%zu", i);
        EXPECT(!lines_next(&l), "%zu", i);
    }
    Bytes text;
    assert_int_equal(read_bytes(&text, "\n \t\r\n\ra", 7, BYTES_UTF8), OK);
    TextLines l = lines_in(text);
    assert_true(lines_next(&l) && !l.line.len && line_blank(l.line));
    assert_true(lines_next(&l) && l.line.len == 2 && line_blank(l.line));
    assert_true(lines_next(&l) && l.line.len == 2 && !line_blank(l.line)); /* a carriage return at the front stays */
    assert_true(!lines_next(&l));
}

/* The rows of a file, each with the line that it begins on, or the message. */
static const char *rows(const char *file)
{
    const char *path = str_print(&arena, "%s/t.jsonl", dir);
    assert_int_equal(file_write(path, file, strlen(file)), OK);
    Buf b = buf_open(&arena), again = buf_open(&arena);
    for (int memory = 0; memory < 2; memory++) {
        RowReader r;
        Buf *out = memory ? &again : &b;
        char *copy = str_copy(&arena, file, strlen(file));
        Status s = memory ? rows_of(&r, (Bytes){copy, strlen(copy)}, path) : rows_open(&r, path);
        for (bool more = true; !s && !(s = rows_next(&r, &more)) && more;)
            buf_print(out, "%lld %s|", (long long)r.line, r.row.text);
        bool more = true;
        if (!s) assert_true(rows_next(&r, &more) == OK && !more); /* the end stays the end */
        rows_close(&r);
        if (s) buf_print(out, "%s", strrchr(err_message(), '/') + 1);
        err_clear();
    }
    assert_string_equal(b.text, again.text);
    return b.text;
}

static void rows_of_json(void **state)
{
    (void)state;
    assert_string_equal(rows("{\"a\":1}\n{\"b\":2}\n"), "1 {\"a\":1}|2 {\"b\":2}|");
    assert_string_equal(rows("\xef\xbb\xbf{\"a\":1}\r\n\n \t\n{\"b\":2}"), "1 {\"a\":1}\r|4 {\"b\":2}|");
    assert_string_equal(rows(""), "");
    assert_string_equal(rows("\n \r\n"), "");
    assert_string_equal(rows("[{\"a\":1},{\"b\":2}]"), "1 {\"a\":1}|1 {\"b\":2}|");
    assert_string_equal(rows("\xef\xbb\xbf [\n {\"a\":\n1} ,\n{\"b\":[1,{}]}\n]\n"),
                        "2 {\"a\":\n1} |4 {\"b\":[1,{}]}\n|");
    assert_string_equal(rows("[\"],\\\"]\", \"\\\\\", 3]"), "1 \"],\\\"]\"|1 \"\\\\\"|1 3|");
    assert_string_equal(rows(" [ ] \n"), "");
}

static void broken_arrays(void **state)
{
    (void)state;
    assert_string_equal(rows("["), "t.jsonl:1: the JSON array has no end");
    assert_string_equal(rows("[{\"a\":1}"), "t.jsonl:1: the JSON array has no end");
    assert_string_equal(rows("[{\"a\":1},\n"), "1 {\"a\":1}|t.jsonl:2: the JSON array has no end");
    assert_string_equal(rows("[{\"a\":1}]\n{\"b\":2}"), "1 {\"a\":1}|t.jsonl:2: more text after the JSON array");
    assert_string_equal(rows("[}]"), "t.jsonl:1: the JSON array has no end");
    assert_string_equal(rows("\xff\xfe[\1"),
                        "t.jsonl: is UTF-16 text, expected UTF-8; `iconv -f UTF-16 -t UTF-8` converts it");
    RowReader r;
    assert_int_equal(rows_open(&r, "/no/such/file"), E_IO);
    rows_close(&r);
    err_clear();
}

/* Longer than any piece that is read at once. */
static void long_rows(void **state)
{
    (void)state;
    for (int n = 4090; n < 4100; n++) {
        char *s = NEW(&arena, char, n + 1);
        memset(s, 'x', (size_t)n);
        assert_string_equal(rows(str_print(&arena, "{\"%s\"}\n2", s)), str_print(&arena, "1 {\"%s\"}|2 2|", s));
        assert_string_equal(rows(str_print(&arena, "[{\"%s\"},2]", s)), str_print(&arena, "1 {\"%s\"}|1 2|", s));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks_of_byte_order), cmocka_unit_test(bytes_that_are_no_text),
        cmocka_unit_test(ends_of_lines),       cmocka_unit_test(rows_of_json),
        cmocka_unit_test(broken_arrays),       cmocka_unit_test(long_rows)};
    return cmocka_run_group_tests(tests, begin, end) != 0;
}
