/* Measures of line rankings: against JITLine's evaluation, and the floors on the lines of JIT-Defects4J. */
#include "learn/golden.h"

#include "tasks/jit_lines.h"

static void measures_of_the_package(void **state)
{
    (void)state;
    cJSON *root = golden_read("line_metrics"), *one;
    cJSON_ArrayForEach(one, root)
    {
        int64_t n;
        double *score = golden_numbers(&n, one, "score"), *buggy = golden_numbers(NULL, one, "buggy");
        LineScores s = effort_lines(golden_labels(buggy, n), score, n);
        const char *const key[] = {"ifa", "top5", "top10", "recall20", "effort20"};
        const double got[] = {s.ifa, s.top_5, s.top_10, s.recall_at_20, s.effort_at_20};
        for (int k = 0; k < 5; k++)
            near(got[k], cJSON_GetObjectItemCaseSensitive(one, key[k])->valuedouble, 1e-15, key[k]);
    }
    cJSON_Delete(root);
}

/* The added lines of all 475 defective commits of the test set, as measured before with other programs. */
static void floors(void **state)
{
    (void)state;
    JitFaulty s;
    const char *path = shared_path(&arena, "data/jit/test_lines.jsonl");
    if (access(path, R_OK)) {
        print_message("# skipped: no %s\n", path);
        skip();
    }
    EXPECT(!jit_lines_read(&s, &arena, path), "%s", err_message());
    assert_int_equal(s.n, 475);
    static const double WANT[LINE_FLOORS][5] = {
        {8.6, .311, .312, .141, .436}, {8.5, .303, .308, .121, .443}, {8.0, .328, .315, .168, .406}};
    LineScores *each = NEW(&arena, LineScores, s.n);
    for (int k = 0; k < LINE_FLOORS; k++) {
        for (int64_t i = 0; i < s.n; i++) {
            double *score = NEW(&arena, double, s.change[i].file->n + 1);
            jit_lines_floor(score, &s.change[i], (LineFloor)k);
            each[i] = jit_lines_measure(&s.change[i], s.faulty[i], score, true);
        }
        LineScores m = jit_lines_mean(each, s.n);
        near(m.ifa, WANT[k][0], 0.06, LINE_FLOOR[k]);
        near(m.top_5, WANT[k][1], 0.0015, LINE_FLOOR[k]);
        near(m.top_10, WANT[k][2], 0.0015, LINE_FLOOR[k]);
        near(m.recall_at_20, WANT[k][3], 0.0015, LINE_FLOOR[k]);
        near(m.effort_at_20, WANT[k][4], 0.0015, LINE_FLOOR[k]);
    }
}

static Status read_text(JitFaulty *s, const char *text)
{
    const char *path = str_print(&arena, "%s/lines.jsonl", dir);
    assert_true(!file_write(path, text, strlen(text)));
    return jit_lines_read(s, &arena, path);
}

static void lines_of_a_file(void **state)
{
    (void)state;
    JitFaulty s;
    assert_true(!read_text(&s, "{\"id\": \"x\", \"lines\": [[\"a\", 1, \"\xc3\xa9t\xc3\xa9\"], [\"d\", 0, \"four\"], "
                               "[\"a\", 0, \"\"]]}\n{\"id\": \"y\", \"lines\": []}\n"));
    double score[3];
    jit_lines_floor(score, &s.change[0], LINES_BY_LENGTH);
    assert_true(s.n == 2 && score[0] == 3 && score[1] == 4 && score[2] == 0);
    near(jit_lines_measure(&s.change[0], s.faulty[0], score, true).ifa, 0, 0, "IFA of added lines");
    near(jit_lines_measure(&s.change[0], s.faulty[0], score, false).ifa, 1, 0, "IFA of all lines");
    assert_true(isnan(jit_lines_measure(&s.change[1], s.faulty[1], score, true).ifa));
    static const char *const BAD[][2] = {
        {"{\"lines\": []}", "id is not"},
        {"{\"id\": \"x\"}", "lines is not"},
        {"{\"id\": \"x\", \"lines\": [[\"k\", 0, \"\"]]}", "line 1 is not of the form"},
        {"{\"id\": \"x\", \"lines\": [[\"a\", 0.5, \"\"]]}", "line 1 is not of the form"},
        {"{\"id\": \"x\", \"lines\": [[\"a\", 1, \"\"], [\"a\", 1]]}", "line 2 is not of the form"},
        {"{\"id\": \"x\", \"lines\": [3]}", "line 1 is not of the form"},
        {"\n", "no commit"}};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        assert_true(read_text(&s, BAD[i][0]) != OK);
        EXPECT(strstr(err_message(), BAD[i][1]), "'%s' does not say '%s'", err_message(), BAD[i][1]);
        err_clear();
    }
}

SUITE(cmocka_unit_test_setup_teardown(measures_of_the_package, begin, end),
      cmocka_unit_test_setup_teardown(floors, begin, end),
      cmocka_unit_test_setup_teardown(lines_of_a_file, begin, end))
