/* metrics.jsonl of a work that was interrupted: no line is doubled, none is lost, and an altered one is noticed. */
#include "expect.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "run/log.h"
#include "scratch.h"

static const char *in(const char *name)
{
    return str_print(&arena, "%s/%s", dir, name);
}

static const char *const NAMES[] = {"loss", "lr"};

static void add(const char *path, const char *phase, int64_t step)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0666);
    assert_int_equal(log_line(fd, -1, phase, step, 2, NAMES, (const double[]){1.0 / (double)step, NAN}), 0);
    close(fd);
}

/* Two steps of pretraining, then `steps` of tuning with an evaluation in front of every second one. */
static void fill(const char *path, int64_t steps)
{
    unlink(path);
    for (int64_t i = 1; i <= 2; i++) add(path, "pretraining", i);
    for (int64_t i = 1; i <= steps; i++) {
        if (i % 2 == 0) add(path, "validation", i);
        add(path, "tuning", i);
    }
}

static const char *text_of(const char *path)
{
    Bytes b;
    EXPECT(file_read(&b, &arena, path) == OK, "%s", err_message());
    return b.text;
}

static void later_lines_go(void **state)
{
    (void)state;
    const char *path = in("metrics.jsonl");
    bool gaps;
    for (int64_t at = 0; at <= 6; at++) {
        fill(path, at);
        const char *want = text_of(path);
        fill(path, 6);
        assert_int_equal(log_cut(path, &arena, "pretraining", "tuning", at, &gaps), OK);
        assert_string_equal(text_of(path), want);
        assert_false(gaps);
    }
    assert_int_equal(log_cut(path, &arena, "", "pretraining", 1, &gaps), OK);
    assert_non_null(strstr(text_of(path), "\"step\":1,"));
    assert_null(strstr(text_of(path), "\"step\":2,"));
    assert_int_equal(log_cut(path, &arena, "", "pretraining", 2, &gaps), OK);
    assert_true(gaps);
    unlink(path);
    assert_int_equal(log_cut(path, &arena, "", "tuning", 0, &gaps), OK);
    assert_false(gaps);
}

static void half_a_line_goes(void **state)
{
    (void)state;
    const char *path = in("metrics.jsonl");
    bool gaps;
    fill(path, 3);
    Bytes whole;
    assert_int_equal(file_read(&whole, &arena, path), OK);
    for (size_t n = whole.len - 1; n > whole.len - 20; n--) {
        assert_int_equal(file_write(path, whole.text, n), OK);
        assert_int_equal(log_cut(path, &arena, "pretraining", "tuning", 3, &gaps), OK);
        const char *text = text_of(path);
        EXPECT(gaps && text[strlen(text) - 1] == '\n', "%s", text);
    }
}

static void a_log_is_believed_as_it_was(void **state)
{
    (void)state;
    const char *path = in("metrics.jsonl"), *note = in("metrics.sha256");
    fill(path, 4);
    const char *then = text_of(path);
    size_t n = strlen(then);
    assert_false(log_restore(path, note, &arena));
    assert_int_equal(log_seal(path, note, &arena), OK);
    assert_true(log_restore(path, note, &arena));
    add(path, "tuning", 5);
    assert_true(log_restore(path, note, &arena)); /* what was added later is removed */
    assert_string_equal(text_of(path), then);
    for (size_t at = 0; at < n; at += 7) {
        Bytes b;
        assert_int_equal(file_read(&b, &arena, path), OK);
        b.text[at] ^= 1;
        assert_int_equal(file_write(path, b.text, n), OK);
        EXPECT(!log_restore(path, note, &arena), "byte %zu is altered", at);
        assert_int_equal(file_write(path, then, n), OK);
    }
    assert_int_equal(file_write(path, then, n - 1), OK);
    assert_false(log_restore(path, note, &arena));
    unlink(path);
    assert_false(log_restore(path, note, &arena));
}

static void series_are_read_back(void **state)
{
    (void)state;
    const char *path = in("metrics.jsonl");
    LogSeries s;
    fill(path, 5);
    assert_int_equal(log_series(&s, &arena, path, "tuning", "loss"), OK);
    assert_int_equal(s.n, 5);
    near(s.value[3], 0.25, 0, "loss of step 4");
    near(s.step[3], 4, 0, "its step");
    assert_int_equal(log_series(&s, &arena, path, "validation", "lr"), OK);
    EXPECT(s.n == 2 && isnan(s.value[0]), "null is no number");
    assert_int_equal(log_series(&s, &arena, path, "tuning", "auc"), OK);
    assert_int_equal(s.n, 0);
    assert_int_equal(log_series(&s, &arena, in("none"), "tuning", "loss"), OK);
    assert_int_equal(s.n, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
SUITE(TEST(later_lines_go), TEST(half_a_line_goes), TEST(a_log_is_believed_as_it_was), TEST(series_are_read_back))
