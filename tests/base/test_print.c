/* Printing: as printf, except for characters that a terminal would obey. */
#include "expect.h"

#include <string.h>

#include "base/err.h"
#include "base/print.h"
#include "base/str.h"
#include "scratch.h"

static char text[1024];

static int into(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = print_into(text, sizeof text, fmt, args);
    va_end(args);
    return n;
}

#define SAME(...)                                                                                                    \
    do {                                                                                                             \
        char wanted[1024];                                                                                           \
        int n = snprintf(wanted, sizeof wanted, __VA_ARGS__), got = into(__VA_ARGS__);                               \
        assert_string_equal(text, wanted);                                                                           \
        assert_int_equal(got, n);                                                                                    \
    } while (0)

static void formats_as_printf_does(void **state)
{
    (void)state;
    SAME("plain, 100 %%");
    SAME("%s|%10s|%-10s|%.2s|%*s|%-*s|%.*s|%*s", "abc", "abc", "abc", "abc", 5, "a", 5, "a", 2, "abc", -5, "b");
    SAME("%c|%3c|%-3c|", 'x', 'y', 'z');
    SAME("%d|%5d|%-5d|%05d|%+d|% d|%.3d|%*d|%-*d|", 42, 42, 42, 42, 42, 42, 7, 6, 1, 6, 2);
    SAME("%i %ld %lld %zu %jd %td %hd %hhd", -1, -2L, -3LL, (size_t)4, (intmax_t)-5, (ptrdiff_t)-6, (short)-7,
         (signed char)-8);
    SAME("%u %lu %llu %x %X %#x %o %hu %hhu", 1U, 2UL, 3ULL, 255U, 255U, 255U, 8U, (unsigned short)65535,
         (unsigned char)255);
    SAME("%lld %llu %u", INT64_MIN + 0LL, UINT64_MAX + 0ULL, UINT32_MAX);
    SAME("%f|%.3f|%10.2e|%-12g|%+.4g|%G|%a|%Lf|%.0f", 1.5, 2.0 / 3, 12345.678, 1e-7, 3.14159, 1e20, 1.0, 2.5L, 0.5);
    SAME("%g %g %g %5.1f", (double)NAN, (double)INFINITY, -(double)INFINITY, (double)NAN);
    SAME("%p", (void *)text);
    SAME("\033[32m%s\033[0m\r\n\t", "the program's own"); /* a format goes out as it stands */
}

static void shows(const char *in, const char *out)
{
    int n = into("%s", in);
    EXPECT(!strcmp(text, out), "'%s', expected '%s'", text, out);
    assert_int_equal(n, (int)(strlen(out)));
}

static void what_comes_in_is_shown(void **state)
{
    (void)state;
    shows("a\033[31mb", "a\\x1B[31mb");
    shows("\001\x7f\r", "\\x01\\x7F\\x0D");
    shows("line\nof\ttext", "line\\x0Aof\\x09text");
    shows("\xc2\x80\xc2\x9b", "\\u{80}\\u{9B}");
    shows("\u200e\u200f\u061c\u202a\u202e\u2066\u2069\u2028\u2029",
          "\\u{200E}\\u{200F}\\u{61C}\\u{202A}\\u{202E}\\u{2066}\\u{2069}\\u{2028}\\u{2029}");
    shows("\xff\xc0\xaf\xed\xa0\x80", "\\xFF\\xC0\\xAF\\xED\\xA0\\x80");
    shows("\xe2\x80", "\\xE2\\x80"); /* no precision cut it: it is broken */
    into("%s", "\u00e9\u4e2d\U0001F600\u200b \\ \"");
    assert_string_equal(text, "\u00e9\u4e2d\U0001F600\u200b \\ \"");
    into("%c%c", '\033', 'a');
    assert_string_equal(text, "\\x1Ba");
    /* Once shown, it stays as it is: messages are quoted in messages. */
    into("%s", "\033");
    char *once = str_copy(&arena, text, strlen(text));
    shows(once, once);
}

static void fields_count_characters(void **state)
{
    (void)state;
    assert_int_equal(into("%-4s|%4s|", "\u00e9", "\u4e2d"), 10);
    assert_string_equal(text, "\u00e9   |   \u4e2d|");
    into("%8s|", "\033a");
    assert_string_equal(text, "   \\x1Ba|");
    into("%.3s|%.4s|%.1s", "a\u00e9\u00e9", "\u4e2d\u4e2d", "\xff");
    assert_string_equal(text, "a\u00e9|\u4e2d|\\xFF");
    into("%.*s", 3, (const char[3]){'a', 'b', '\n'}); /* without a NUL behind it */
    assert_string_equal(text, "ab\\x0A");
}

/* Whatever the size of the buffer: ended, and cut at most between characters. */
static void buffers_are_never_overrun(void **state)
{
    (void)state;
    for (size_t room = 1; room < 40; room++) {
        char small[64];
        memset(small, 'z', sizeof small);
        va_list none;
        memset(&none, 0, sizeof none);
        print_into(small, room, "ab\u00e9\u4e2d\U0001F600 and so on, and on, and on", none);
        size_t len = strlen(small);
        EXPECT(len < room && small[room] == 'z', "%zu bytes in %zu", len, room);
        for (size_t i = 0, n; i < len; i += n) EXPECT((n = utf8_length(small + i, len - i)) > 0, "cut in %s", small);
    }
}

static void messages_are_one_printable_line(void **state)
{
    (void)state;
    char longer[3000];
    memset(longer, '\033', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    err_clear();
    assert_int_equal(err_fail(E_FORMAT, "%s: \"%.5s\" in line %d", "a\nb", "\u202e\u00e9x", 3), E_FORMAT);
    assert_string_equal(err_message(), "a\\x0Ab: \"\\u{202E}\u00e9\" in line 3");
    err_clear();
    err_fail(E_IO, "%s", longer);
    EXPECT(strlen(err_message()) > 900 && !strchr(err_message(), '\033'), "%s", err_message());
    for (const char *s = err_message(); *s; s += 4) EXPECT(!strncmp(s, "\\x1B", 4), "an escape was cut: %s", s);
    err_clear();
}

static void pages_keep_lines(void **state)
{
    (void)state;
    assert_string_equal(text_shown(&arena, "a\n\tb\033\u202e\xff"), "a\n\tb\\x1B\\u{202E}\uFFFD");
    assert_string_equal(text_shown(&arena, ""), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_as_printf_does),          cmocka_unit_test(what_comes_in_is_shown),
        cmocka_unit_test(fields_count_characters),         cmocka_unit_test(buffers_are_never_overrun),
        cmocka_unit_test(messages_are_one_printable_line), cmocka_unit_test(pages_keep_lines)};
    return cmocka_run_group_tests(tests, begin, end) != 0;
}
