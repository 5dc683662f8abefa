/* metrics.jsonl of a work that was interrupted: no line is doubled, none is lost, and an altered one is noticed. */
#include "expect.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "run/log.h"
#include "run/logs.h"
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

/* ---- the forms of other programs */

static void csv_has_a_column_for_each_number(void **state)
{
    (void)state;
    fill(in("metrics.jsonl"), 2);
    assert_int_equal(logs_csv(&arena, dir), OK);
    assert_string_equal(text_of(in("metrics.csv")), "phase,step,loss,lr\r\npretraining,1,1,\r\npretraining,2,0.5,\r\n"
                                                    "tuning,1,1,\r\nvalidation,2,0.5,\r\ntuning,2,0.5,\r\n");
}

static void the_state_of_a_trainer(void **state)
{
    (void)state;
    fill(in("metrics.jsonl"), 4);
    const TrainerFacts facts = {.epochs = 3, .epoch_steps = 4, .total = 12, .best_step = 2, .best = "loss"};
    assert_int_equal(logs_trainer_state(&arena, dir, &facts), OK);
    const char *text = text_of(in("trainer_state.json"));
    static const char *const parts[] = {"\"best_metric\":\t0.5,", "\"epoch\":\t1,", "\"global_step\":\t4,",
                                        "\"eval_loss\":\t0.25,\n", "\"learning_rate\":\tnull"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        EXPECT(strstr(text, parts[i]), "%s is not in %s", parts[i], text);
    EXPECT(!strstr(text, "pretraining"), "the history holds lines of the pretraining");
}

/* Castagnoli's CRC by long division of polynomials, as the standard defines it. */
static uint32_t crc_of(const char *bytes, size_t n)
{
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < 8 * n; i++) {
        const uint32_t bit = ((uint32_t)(unsigned char)bytes[i / 8] >> (i % 8) & 1u) ^ (crc & 1u);
        crc = crc >> 1 ^ bit * 0x82F63B78u;
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xA282EAD8u;
}

static uint32_t word_at(const char *at)
{
    uint32_t x;
    memcpy(&x, at, sizeof x);
    return x;
}

/* The records of an event file; each must be whole. */
static int records_in(const char *path)
{
    Bytes b;
    int n = 0;
    EXPECT(file_read(&b, &arena, path) == OK, "%s", err_message());
    for (size_t at = 0; at < b.len; n++) {
        const uint32_t len = word_at(b.text + at);
        EXPECT(word_at(b.text + at + 4) == 0 && at + 16 + len <= b.len, "record %d has %u bytes", n, len);
        EXPECT(word_at(b.text + at + 8) == crc_of(b.text + at, 8), "record %d: the length's checksum", n);
        EXPECT(word_at(b.text + at + 12 + len) == crc_of(b.text + at + 12, len), "record %d: its checksum", n);
        at += 16 + len;
    }
    return n;
}

#define EVENTS "events.out.tfevents.0.vernier"

static void events_are_records(void **state)
{
    (void)state;
    EXPECT(crc_of("123456789", 9) == ((0xE3069283u >> 15 | 0xE3069283u << 17) + 0xA282EAD8u), "the check value");
    fill(in("metrics.jsonl"), 3);
    assert_int_equal(logs_events(&arena, dir), OK);
    assert_int_equal(records_in(in("tensorboard/" EVENTS)), 1 + 2 + 4);
    int fd = open(in("metrics.jsonl"), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    for (int job = 0; job < 3; job++) log_line(fd, job, "pretraining", 200, 2, NAMES, (const double[]){1, 2});
    close(fd);
    assert_int_equal(logs_events(&arena, dir), OK);
    assert_int_equal(records_in(in("tensorboard/job-2/" EVENTS)), 2);
}

/* While a model trains, after an interruption, and at its end, the file is the same. */
static void live_events_are_those_of_the_log(void **state)
{
    (void)state;
    LiveEvents e = {.fd = -1};
    const char *path = in("tensorboard/" EVENTS), *log = in("metrics.jsonl");
    unlink(log);
    assert_int_equal(events_open(&e, &arena, dir), OK);
    for (int64_t step = 1; step <= 300; step++) {
        const double loss = 1 / (double)step;
        if (step == 200) assert_int_equal(events_open(&e, &arena, dir), OK);
        add(log, "tuning", step);
        events_add(&e, &arena, "tuning", step, 2, NAMES, (const double[]){loss, NAN});
    }
    events_close(&e);
    const Bytes none = {0};
    Bytes live = none, made = none;
    assert_int_equal(file_read(&live, &arena, path), OK);
    assert_int_equal(logs_events(&arena, dir), OK);
    assert_int_equal(file_read(&made, &arena, path), OK);
    EXPECT(live.len == made.len && !memcmp(live.text, made.text, made.len), "%zu and %zu bytes", live.len, made.len);
    assert_int_equal(records_in(path), 301);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
SUITE(TEST(later_lines_go), TEST(half_a_line_goes), TEST(a_log_is_believed_as_it_was), TEST(series_are_read_back),
      TEST(csv_has_a_column_for_each_number), TEST(the_state_of_a_trainer), TEST(events_are_records),
      TEST(live_events_are_those_of_the_log))
