/* Files of texts as people write them, and summaries over texts of which some have no number. */
#include "expect.h"

#include <string.h>
#include <unistd.h>

#include "analysis/corpus.h"

static Status read_from(const char ***text, int64_t *n, Arena *a, const char *content)
{
    const char *path = "/tmp/vernier-test-texts";
    EXPECT(!file_write(path, content, strlen(content)), "%s", err_message());
    Status s = corpus_texts(text, n, a, path);
    unlink(path);
    return s;
}

static void texts_are_read(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    const char **text;
    int64_t n;
    EXPECT(!read_from(&text, &n, &a, "one\r\n\n  \n two \nthree"), "%s", err_message());
    assert_int_equal(n, 3);
    assert_string_equal(text[0], "one");
    assert_string_equal(text[1], " two ");
    assert_string_equal(text[2], "three");
    EXPECT(!read_from(&text, &n, &a, "\n{\"text\": \"a\\nb\", \"x\": 1}\n{\"text\": \"{\"}\n"), "%s", err_message());
    assert_int_equal(n, 2);
    assert_string_equal(text[0], "a\nb");
    assert_string_equal(text[1], "{");
    static const char *const same[] = {"[{\"text\": \"a,b\"}, {\"text\": \"c\"}]", "[\"a,b\",\n \"c\"]\n",
                                       "\xef\xbb\xbf"
                                       "a,b\r\nc",
                                       "\xef\xbb\xbf{\"text\": \"a,b\"}\r\n{\"text\": \"c\"}"};
    for (int i = 0; i < 4; i++) {
        EXPECT(!read_from(&text, &n, &a, same[i]), "%s: %s", same[i], err_message());
        assert_int_equal(n, 2);
        assert_string_equal(text[0], "a,b");
        assert_string_equal(text[1], "c");
    }
    EXPECT(!read_from(&text, &n, &a, "[INST] no array\n[1]\n\xe9"), "%s", err_message());
    assert_int_equal(n, 3);
    assert_string_equal(text[2], "\xe9"); /* tokenizers have tokens for all bytes */
    assert_int_equal(read_from(&text, &n, &a,
                               "\xff\xfe"
                               "a"),
                     E_FORMAT);
    err_clear();
    static const char *const bad[] = {"", "\n \n", "{\"text\": \"a\"}\n{\"text\": 1}\n", "{\"text\": \"a\"}\nb", "{"};
    for (int i = 0; i < 5; i++) {
        EXPECT(read_from(&text, &n, &a, bad[i]) == E_FORMAT, "%s", bad[i]);
        assert_true((strstr(err_message(), "texts:2:") != NULL) == (i == 2 || i == 3));
        err_clear();
    }
    arena_close(&a);
}

static void summaries_leave_out_what_is_no_number(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    const double v[] = {NAN, 1, 3, NAN, 2};
    Summary s = corpus_summary(v, 5, &a);
    assert_true(s.n == 3 && fabs(s.mean - 2) < 1e-15 && s.least == 1 && s.most == 3 && s.ci95.lo < 2);
    s = corpus_summary(v, 1, &a);
    assert_true(s.n == 0 && isnan(s.mean));
    arena_close(&a);
}

SUITE(cmocka_unit_test(texts_are_read), cmocka_unit_test(summaries_leave_out_what_is_no_number))
