/* Learners are found by name, and their options are read from text and written as text. */
#include "expect.h"
#include <string.h>

#include "tasks/learner.h"

static const Learner TREES = {
    .name = "trees",
    .options = (const LearnerOption[]){{.name = "k", .otherwise = 5, .least = 0, .most = 20},
                                       {.name = "rate", .otherwise = 0.5, .least = 0, .most = 1, .real = true},
                                       {.name = "balance", .otherwise = 1, .words = "smote|weights|none"},
                                       {0}}};
REGISTER(learner, TREES)

static void finds_what_registered(void **state)
{
    (void)state;
    assert_ptr_equal(learner_find("trees"), &TREES);
    assert_non_null(learner_find("words"));
    assert_non_null(learner_find("la"));
    assert_null(learner_find("tree"));
}

static void reads_and_writes_options(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    double v[LEARNER_OPTIONS];
    assert_int_equal(learner_set(v, &TREES, ""), OK);
    assert_string_equal(learner_values(&a, &TREES, v), "k=5,rate=0.5,balance=weights");
    assert_int_equal(learner_set(v, &TREES, "balance=none,k=20,rate=1e-3"), OK);
    assert_string_equal(learner_values(&a, &TREES, v), "k=20,rate=0.001,balance=none");
    double again[LEARNER_OPTIONS];
    assert_int_equal(learner_set(again, &TREES, learner_values(&a, &TREES, v)), OK);
    assert_memory_equal(v, again, sizeof v);
    assert_int_equal(learner_set(v, learner_find("la"), ""), OK);
    assert_string_equal(learner_values(&a, learner_find("la"), v), "");
    arena_close(&a);
}

static void names_the_slip(void **state)
{
    (void)state;
    double v[LEARNER_OPTIONS];
    static const char *const SLIP[][2] = {
        {"k", "has no setting k"},
        {"depth=3", "has no setting depth=3"},
        {"k=21", "from 0 to 20"},
        {"k=2.5", "expected a whole number"},
        {"k=nan", "expected a whole number"},
        {"k=", "expected a whole number"},
        {"rate=2", "expected a number"},
        {"balance=smot", "expected smote|weights|none"},
        {"k=0000000000000000000000000000000000000000000000001", "expected a whole number"}};
    for (size_t i = 0; i < sizeof SLIP / sizeof *SLIP; i++) {
        assert_int_equal(learner_set(v, &TREES, SLIP[i][0]), E_CONFIG);
        EXPECT(strstr(err_message(), SLIP[i][1]), "%s: %s", SLIP[i][0], err_message());
        err_clear();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds_what_registered),
                                       cmocka_unit_test(reads_and_writes_options), cmocka_unit_test(names_the_slip)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
