/* Whose past a file has after renames, and which measures are unknown when contents cannot be read.  The measures
 * themselves are in test_mine.c, against values computed by hand. */
#include "expect.h"

#include <string.h>

#include "scratch.h"
#include "change/history.h"

static History *history;
static int64_t now;
static double f[N_FEATURES];
static const double UNKNOWN = NAN;

static int begin_history(void **state)
{
    history = history_open(&arena);
    now = 0;
    (void)state;
    return 0;
}

static int end_history(void **state)
{
    (void)state;
    history_close(history);
    return 0;
}

/* One commit a day. */
static void commit(const char *author, int n, const Touched *file)
{
    history_add(history, f, author, now += 86400, "a message", file, n);
}

static void one(const char *author, FileStatus status, const char *old_path, const char *new_path, int added)
{
    commit(author, 1, &(Touched){old_path, new_path, status, added, 0, -1, false});
}

static void expect_past(int line, double lt, double nuc, double ndev)
{
    const double found[] = {f[FEATURE_lt], f[FEATURE_nuc], f[FEATURE_ndev]}, wanted[] = {lt, nuc, ndev};
    static const char *const name[] = {"lt", "nuc", "ndev"};
    for (int k = 0; k < 3; k++) {
        bool same = isnan(wanted[k]) ? isnan(found[k]) : found[k] >= wanted[k] && found[k] <= wanted[k];
        EXPECT(same, "line %d: %s is %g, expected %g", line, name[k], found[k], wanted[k]);
    }
}
#define PAST(lt, nuc, ndev) expect_past(__LINE__, lt, nuc, ndev)

static void a_name_that_comes_again_is_another_file(void **state)
{
    (void)state;
    one("Ann", FILE_ADDED, "a", "a", 25);
    one("Ann", FILE_RENAMED, "a", "b", 0);
    PAST(25, 1, 1);
    one("Ann", FILE_RENAMED, "b", "c", 0);
    PAST(25, 2, 1);
    one("Bob", FILE_ADDED, "a", "a", 20);
    PAST(0, 0, 1);
    one("Bob", FILE_ADDED, "b", "b", 10);
    PAST(0, 0, 1);
    one("Ann", FILE_MODIFIED, "c", "c", 1);
    PAST(25, 3, 1);
    one("Bob", FILE_MODIFIED, "a", "a", 1);
    PAST(20, 1, 1);
    one("Bob", FILE_MODIFIED, "b", "b", 1);
    PAST(10, 1, 1);
    one("Cid", FILE_RENAMED, "a", "d", 0); /* the second a leaves, too */
    PAST(21, 2, 1);
    one("Cid", FILE_ADDED, "a", "a", 5);
    PAST(0, 0, 1);
    one("Cid", FILE_MODIFIED, "d", "d", 1);
    PAST(21, 3, 2);
}

static void two_files_change_names(void **state)
{
    (void)state;
    one("Ann", FILE_ADDED, "a", "a", 3);
    one("Bob", FILE_ADDED, "b", "b", 40);
    commit("Ann", 2,
           (Touched[]){{"b", "a", FILE_RENAMED, 0, 0, -1, false}, {"a", "b", FILE_RENAMED, 0, 0, -1, false}});
    one("Cid", FILE_MODIFIED, "a", "a", 0);
    PAST(40, 2, 2);
    one("Cid", FILE_MODIFIED, "b", "b", 0);
    PAST(3, 2, 2);
}

static void a_deleted_file_comes_back_with_its_past(void **state)
{
    (void)state;
    one("Ann", FILE_ADDED, "a", "a", 3);
    commit("Ann", 1, &(Touched){"a", "a", FILE_DELETED, 0, 3, -1, false});
    one("Bob", FILE_ADDED, "a", "a", 7);
    PAST(0, 2, 1);
    EXPECT(f[FEATURE_age] > 0.9 && f[FEATURE_age] < 1.1, "age %g, and the deletion is a change", f[FEATURE_age]);
    one("Bob", FILE_MODIFIED, "a", "a", 0);
    PAST(7, 3, 2);
}

/* A branch that does not have the rename yet still changes the file, under its old name. */
static void branches_may_use_the_old_name(void **state)
{
    (void)state;
    one("Ann", FILE_ADDED, "a", "a", 3);
    one("Ann", FILE_RENAMED, "a", "b", 0);
    one("Bob", FILE_MODIFIED, "a", "a", 2);
    PAST(3, 2, 1);
    one("Ann", FILE_MODIFIED, "b", "b", 0);
    PAST(5, 3, 2);
}

static void the_past_goes_through_names_that_are_no_code(void **state)
{
    (void)state;
    one("Ann", FILE_ADDED, "a.c", "a.c", 3);
    history_rename(history, "a.c", "a.txt");
    one("Bob", FILE_ADDED, "a.c", "a.c", 8);
    PAST(0, 0, 1);
    history_rename(history, "none.txt", "other.txt");
    one("Ann", FILE_RENAMED, "a.txt", "b.c", 0);
    PAST(3, 1, 1);
}

static void paths_are_bytes(void **state)
{
    (void)state;
    one("Ann", FILE_ADDED, "d\xe9/a.c", "d\xe9/a.c", 3);
    one("Bob", FILE_ADDED, "d\xe8/a.c", "d\xe8/a.c", 5);
    PAST(0, 0, 1);
    one("Bob", FILE_MODIFIED, "d\xe8/a.c", "d\xe8/a.c", 5);
    PAST(5, 1, 1);
    commit("Bob", 2,
           (Touched[]){{"d\xe8/a.c", "d\xe8/a.c", FILE_MODIFIED, 1, 0, -1, false},
                       {"d\xe9/a.c", "d\xe9/a.c", FILE_MODIFIED, 1, 0, -1, false}});
    EXPECT(f[FEATURE_nd] > 1.5 && f[FEATURE_ns] > 1.5, "nd %g, ns %g", f[FEATURE_nd], f[FEATURE_ns]);
}

static void lines_that_cannot_be_read_are_unknown(void **state)
{
    (void)state;
    Touched big = {"a", "a", FILE_ADDED, -1, -1, -1, false}, small = {"b", "b", FILE_ADDED, 4, 0, -1, false};
    commit("Ann", 2, (Touched[]){big, small});
    EXPECT(isnan(f[FEATURE_la]) && isnan(f[FEATURE_ld]) && isnan(f[FEATURE_entropy]), "la is %g", f[FEATURE_la]);
    PAST(0, 0, 1); /* there was no file before, of any size */
    small.status = big.status = FILE_MODIFIED;
    EXPECT(history_asks(history, &big) && !history_asks(history, &small), "whose lines are unknown");
    commit("Bob", 1, &big); /* still too large */
    PAST(UNKNOWN, 1, 1);
    big.added = 1, big.removed = 0;
    commit("Bob", 1, &big); /* the change is known, the size is not */
    PAST(UNKNOWN, 2, 2);
    EXPECT(f[FEATURE_la] > 0.5 && f[FEATURE_la] < 1.5, "la is %g", f[FEATURE_la]);
    commit("Bob", 2, (Touched[]){big, small});
    PAST(UNKNOWN, 3 + 1, 2);
    big.before = 3;
    commit("Bob", 1, &big);
    PAST(3, 4, 2);
    EXPECT(!history_asks(history, &big), "its lines are known by now");
    commit("Bob", 1, &big);
    PAST(4, 5, 2);
}

/* It is unknown whether an added file is a renamed one, so it is not new, either. */
static void an_unsure_file_has_no_known_past(void **state)
{
    (void)state;
    one("Ann", FILE_ADDED, "a", "a", 3);
    commit("Bob", 1, &(Touched){"b", "b", FILE_ADDED, 4, 0, -1, true});
    PAST(UNKNOWN, UNKNOWN, UNKNOWN);
    EXPECT(isnan(f[FEATURE_age]), "age %g", f[FEATURE_age]);
    one("Bob", FILE_MODIFIED, "b", "b", 1);
    PAST(4, UNKNOWN, UNKNOWN);
    EXPECT(f[FEATURE_age] > 0.9 && f[FEATURE_age] < 1.1, "age %g", f[FEATURE_age]);
    one("Bob", FILE_MODIFIED, "a", "a", 1);
    PAST(3, 1, 1);
}

/* Whether measures are known, in a string: each of lt, nuc, age, ndev, exp, rexp, sexp has its place. */
static void expect_known(int line, const char *wanted)
{
    static const int PLACE[] = {FEATURE_lt,  FEATURE_nuc,  FEATURE_age, FEATURE_ndev,
                                FEATURE_exp, FEATURE_rexp, FEATURE_sexp};
    for (int k = 0; k < 7; k++)
        EXPECT(isnan(f[PLACE[k]]) == (wanted[k] == '?'), "line %d: %s is %g", line, FEATURE_NAME[PLACE[k]],
               f[PLACE[k]]);
}
#define KNOWN(wanted) expect_known(__LINE__, wanted)

/* It may have changed all that was there, in any place; its author and time are known. */
static void a_commit_of_unknown_files_is_not_one_of_none(void **state)
{
    (void)state;
    one("Ann", FILE_ADDED, "s/a", "s/a", 3);
    one("Bob", FILE_ADDED, "s/b", "s/b", 3);
    history_lose(history, "Ann", now += 86400);
    Touched a = {"s/a", "s/a", FILE_MODIFIED, 1, 0, -1, false},
            made_there = {"s/m", "s/m", FILE_MODIFIED, 1, 0, 9, false};
    EXPECT(history_asks(history, &a) && history_asks(history, &made_there), "their sizes are unknown");
    one("Bob", FILE_MODIFIED, "s/a", "s/a", 1);
    KNOWN("????   ");
    a.before = 5;
    commit("Bob", 1, &a);
    KNOWN(" ? ?   ");
    PAST(5, UNKNOWN, UNKNOWN);
    commit("Cid", 1, &made_there);
    KNOWN(" ???   ");
    PAST(9, UNKNOWN, UNKNOWN);
    one("Ann", FILE_ADDED, "s/new", "s/new", 2);
    KNOWN("      ?");
    EXPECT(f[FEATURE_exp] > 1.5 && f[FEATURE_exp] < 2.5, "exp %g", f[FEATURE_exp]);
    one("Bob", FILE_MODIFIED, "s/new", "s/new", 2);
    KNOWN("       ");
    PAST(2, 1, 1);
    one("Bob", FILE_ADDED, "s/b", "s/b", 2); /* deleted by the lost one, and made again */
    KNOWN("????   ");
    commit("Ann", 0, NULL);
    KNOWN("       "); /* no file, no past of a file */
}

/* The lost commit may be an author's first, at any size of the table of authors: it counts all the same. */
static void a_lost_commit_may_be_an_authors_first(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        char name[24];
        snprintf(name, sizeof name, "author %d", i);
        history_lose(history, name, now += 86400);
        one(name, FILE_ADDED, "s/a", "s/a", 3);
        EXPECT(f[FEATURE_exp] > 0.5 && f[FEATURE_exp] < 1.5, "%s: exp %g, expected 1", name, f[FEATURE_exp]);
        EXPECT(isnan(f[FEATURE_sexp]), "%s: sexp %g, expected unknown", name, f[FEATURE_sexp]);
    }
}

static void behind_a_lost_commit_may_be_anything(void **state)
{
    (void)state;
    one("Ann", FILE_ADDED, "s/a", "s/a", 3);
    history_lose(history, NULL, TIME_UNKNOWN);
    one("Bob", FILE_MODIFIED, "s/a", "s/a", 1);
    KNOWN("???????");
    one("Cid", FILE_ADDED, "s/new", "s/new", 2);
    KNOWN("    ???");
    one("Cid", FILE_MODIFIED, "s/new", "s/new", 2);
    KNOWN("    ???");
    PAST(2, 1, 1);
}

static void expect_time(int line, bool age, bool rexp)
{
    EXPECT(isnan(f[FEATURE_age]) != age, "line %d: age %g", line, f[FEATURE_age]);
    EXPECT(isnan(f[FEATURE_rexp]) != rexp, "line %d: rexp %g", line, f[FEATURE_rexp]);
}
#define TIMES(age, rexp) expect_time(__LINE__, age, rexp)

static void an_unknown_time_is_not_1970(void **state)
{
    (void)state;
    Touched a = {"a", "a", FILE_ADDED, 3, 0, -1, false}, b = {"b", "b", FILE_ADDED, 3, 0, -1, false};
    history_add(history, f, "Ann", TIME_UNKNOWN, "first", &a, 1);
    TIMES(true, true); /* nothing was before it */
    history_add(history, f, "Bob", 86400, "another file", &b, 1);
    TIMES(true, true);
    a.status = b.status = FILE_MODIFIED;
    history_add(history, f, "Bob", 2 * 86400, "its file", &a, 1);
    TIMES(false, true);
    history_add(history, f, "Bob", 3 * 86400, "its file again", &a, 1);
    TIMES(true, true);
    history_add(history, f, "Ann", 4 * 86400, "its author", &b, 1);
    TIMES(true, false);
    history_add(history, f, "Bob", TIME_UNKNOWN, "its own", &b, 1);
    TIMES(false, false);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_history, end_history)
    const struct CMUnitTest tests[] = {
        TEST(a_name_that_comes_again_is_another_file),      TEST(two_files_change_names),
        TEST(a_deleted_file_comes_back_with_its_past),      TEST(branches_may_use_the_old_name),
        TEST(the_past_goes_through_names_that_are_no_code), TEST(paths_are_bytes),
        TEST(lines_that_cannot_be_read_are_unknown),        TEST(an_unsure_file_has_no_known_past),
        TEST(a_commit_of_unknown_files_is_not_one_of_none), TEST(a_lost_commit_may_be_an_authors_first),
        TEST(behind_a_lost_commit_may_be_anything),         TEST(an_unknown_time_is_not_1970)};
    return cmocka_run_group_tests(tests, begin, end) != 0;
}
