/* JSON that is written: valid UTF-8, nothing in it that a terminal obeys, lengths kept.  JSON that is read: faults
 * that that cJSON would pass over. */
#include "expect.h"

#include <string.h>

#include "base/file.h"
#include "io/json.h"
#include "scratch.h"

static void quotes(const char *s, size_t n, const char *wanted)
{
    Buf b = buf_open(&arena);
    json_quote_bytes(&b, s, n);
    EXPECT(!strcmp(b.text, wanted), "%s, expected %s", b.text, wanted);
    cJSON *back;
    if (!memchr(s, 0, n)) {
        EXPECT(!json_parse(&back, b.text, b.len, "t"), "%s", err_message());
        if (utf8_length(s, n) && !strchr(s, '\xff')) assert_string_equal(back->valuestring, s);
        cJSON_Delete(back);
    }
}

static void strings_are_quoted(void **state)
{
    (void)state;
    quotes("", 0, "\"\"");
    quotes("a\"b\\c/", 6, "\"a\\\"b\\\\c/\"");
    quotes("a\n\tb\r", 5, "\"a\\n\\tb\\u000d\"");
    quotes("\033\x7f", 2, "\"\\u001b\\u007f\"");
    quotes("\xc2\x9b\u202e\u2066\u2028", 11, "\"\\u009b\\u202e\\u2066\\u2028\"");
    quotes("\u0122\u00e9\U0001F600", 8, "\"\u0122\u00e9\U0001F600\""); /* U+0122 ends like a quotation mark */
    quotes("a\xff\xc3", 3, "\"a\uFFFD\uFFFD\"");
    quotes("a\0b\0", 4, "\"a\\u0000b\\u0000\"");
}

static void documents_are_safe(void **state)
{
    (void)state;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "a\u202e", "\"\x7f\xff\n");
    cJSON_AddItemToObject(root, "b", json_string(&arena, "x\0y", 3));
    cJSON_AddNumberToObject(root, "c", NAN);
    char *text = json_printed(root, true);
    assert_string_equal(text, "{\"a\\u202e\":\"\\\"\\u007f\uFFFD\\n\",\"b\":\"x\\u0000y\",\"c\":null}");
    cJSON_free(text);
    text = json_printed(root, false);
    assert_non_null(strstr(text, "\n\t\"b\":\t\"x\\u0000y\""));
    cJSON_free(text);
    cJSON_Delete(root);
}

static void zero_bytes_are_not_passed_over(void **state)
{
    (void)state;
    cJSON *root;
    static const char TEXT[] = "{\"a\":\n \"x\\u0000y\"}", FINE[] = "{\"a\": \"x\\\\u0000y\"}";
    assert_int_equal(json_parse(&root, TEXT, strlen(TEXT), "f.json"), E_FORMAT);
    EXPECT(strstr(err_message(), "f.json:2:4: "), "%s", err_message());
    err_clear();
    assert_int_equal(json_parse(&root, FINE, strlen(FINE), "f.json"), OK); /* the backslash itself is escaped */
    assert_string_equal(cJSON_GetObjectItem(root, "a")->valuestring, "x\\u0000y");
    cJSON_Delete(root);
    char mended[] = "\"\\u0000\\\\u0000\\\\\\u0000\\u000\"";
    assert_int_equal(json_mend_zeros(mended, strlen(mended)), 2);
    assert_string_equal(mended, "\"\\uFFFD\\\\u0000\\\\\\uFFFD\\u000\"");
}

static void a_value_becomes_a_file(void **state)
{
    (void)state;
    const char *path = str_print(&arena, "%s/written.json", dir);
    Bytes text;
    cJSON *root = cJSON_CreateObject(), *back;
    cJSON_AddStringToObject(root, "a", "\033[31m");
    assert_int_equal(json_write(root, path), OK);
    assert_int_equal(file_read(&text, &arena, path), OK);
    assert_string_equal(text.text, "{\n\t\"a\":\t\"\\u001b[31m\"\n}\n");
    assert_int_equal(json_read(&back, &arena, path), OK);
    assert_true(cJSON_Compare(root, back, true));
    assert_int_equal(json_write(root, str_print(&arena, "%s/none/written.json", dir)), E_IO);
    err_clear();
    cJSON_Delete(root), cJSON_Delete(back);
}

static void marks_of_byte_order(void **state)
{
    (void)state;
    cJSON *root;
    const char *path = str_print(&arena, "%s/f.json", dir);
    assert_int_equal(file_write(path, "\xef\xbb\xbf{}", 5), OK);
    assert_int_equal(json_read(&root, &arena, path), OK);
    cJSON_Delete(root);
    assert_int_equal(file_write(path, "\xff\xfe{\0}\0", 6), OK);
    assert_int_equal(json_read(&root, &arena, path), E_FORMAT);
    EXPECT(strstr(err_message(), "UTF-16"), "%s", err_message());
    err_clear();
}

static cJSON *python(const char *text)
{
    cJSON *root;
    const char *path = str_print(&arena, "%s/p.json", dir);
    EXPECT(file_write(path, text, strlen(text)) == OK, "%s", err_message());
    EXPECT(json_read(&root, &arena, path) == OK, "%s: %s", text, err_message());
    return root;
}

/* Of equal keys the last counts, at any depth and among many; numbers that only Python has are values. */
static void files_are_read_as_python_reads_them(void **state)
{
    (void)state;
    cJSON *j = python("{\"a\": 1, \"b\": {\"c\": 1, \"c\": 2}, \"a\": 3, \"d\": [{\"e\": 4, \"e\": 5}], \"a\": 6}");
    int a = 0, c = 0, e = 0;
    assert_int_equal(json_int(&a, j, "a", 0, 9, "t"), OK);
    assert_int_equal(json_int(&c, cJSON_GetObjectItem(j, "b"), "c", 0, 9, "t"), OK);
    assert_int_equal(json_int(&e, cJSON_GetArrayItem(cJSON_GetObjectItem(j, "d"), 0), "e", 0, 9, "t"), OK);
    EXPECT(a == 6 && c == 2 && e == 5 && cJSON_GetArraySize(j) == 3, "%d %d %d", a, c, e);
    cJSON_Delete(j);
    j = python("{\"x\": NaN, \"y\": [Infinity, -Infinity], \"NaN\": \"a NaN \\\" NaN\", \"z\": 7}");
    double x = 1;
    assert_int_equal(json_real(&x, j, "x", 0, 9, "t"), E_FORMAT);
    EXPECT(strstr(err_message(), "x is not a number") != NULL, "%s", err_message());
    err_clear();
    assert_int_equal(json_real(&x, j, "z", 0, 9, "t"), OK);
    assert_string_equal(cJSON_GetObjectItem(j, "NaN")->valuestring, "a NaN \" NaN");
    assert_string_equal(cJSON_GetArrayItem(cJSON_GetObjectItem(j, "y"), 1)->valuestring, "-Infinity");
    cJSON_Delete(j);
    EXPECT(json_read(&j, &arena, "/dev/null") == E_FORMAT && strstr(err_message(), "is empty"), "%s", err_message());
    err_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(strings_are_quoted),
                                       cmocka_unit_test(documents_are_safe),
                                       cmocka_unit_test(zero_bytes_are_not_passed_over),
                                       cmocka_unit_test(marks_of_byte_order),
                                       cmocka_unit_test(files_are_read_as_python_reads_them),
                                       cmocka_unit_test(a_value_becomes_a_file)};
    return cmocka_run_group_tests(tests, begin, end) != 0;
}
