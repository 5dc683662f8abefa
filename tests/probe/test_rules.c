/* The rules that solve the tasks without knowing code: on rows where the answer is plain, and on the
 * published sets. */
#include "expect.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena.h"
#include "base/str.h"
#include "shared.h"
#include "probe/rules.h"

static const Rule *rule(const char *name)
{
    const Rule *r = RULES;
    while (r->name && strcmp(r->name, name)) r++;
    assert_non_null(r->name);
    return r;
}

static void cuts_words_and_rows(void **state)
{
    (void)state;
    Table t = table_open(&arena, 16);
    static const char TEXT[] = "parseHTTPLine x2 ABC_defGhi; Abcdefg";
    WordSet w = word_set(&arena, &t, TEXT, strlen(TEXT), 3, 0),
            v = word_set(&arena, &t, "http LINE abcdeX", 16, 3, 5);
    static const char *const WORDS[] = {"parse", "http", "line", "abc", "def", "ghi", "abcdefg"};
    assert_int_equal(w.n, 7);
    for (int i = 0; i < 7; i++) assert_int_equal(table_get(&t, WORDS[i], strlen(WORDS[i]), -1), i);
    assert_int_equal(v.n, 3);
    assert_true(fabs(word_overlap(w, v) - 2 / 8.0) < 1e-12);
    assert_true(word_overlap((WordSet){0}, (WordSet){0}) == 0);
    Segment *s;
    size_t message;
    static const char ROW[] = "do <b> it<add>a<b><mask><del>c";
    assert_int_equal(text_segments(&s, &arena, ROW, strlen(ROW), &message), 3);
    assert_int_equal(message, 9);
    assert_int_equal(s[0].len, 4);
    assert_int_equal(s[1].len, 0);
    assert_int_equal(s[2].mark, MARK_DEL);
    assert_int_equal(text_masked(s, 3), 1);
    assert_true(java_is_misspelling("itn", 3) && java_is_misspelling("boolaen", 7));
    assert_false(java_is_misspelling("int", 3) || java_is_misspelling("tin", 3) || java_is_misspelling("", 0));
    Example e = {.text = "itn x = ( long ) 1 ;", .len = 20};
    assert_string_equal(text_subject(&arena, TASK_TYP, &e).text, "T x = ( T ) 1 ;");
}

static void refuses_other_labels(void **state)
{
    (void)state;
    static const char *const LABEL[] = {"no", "yes"};
    Example e[] = {{SPLIT_TRAIN, 0, "a", 1}, {SPLIT_TRAIN, 1, "b", 1}};
    Dataset d = {.name = "x", .n = 2, .example = e, .n_labels = 2, .label = LABEL};
    int32_t guess[2];
    dataset_count(&d, &arena);
    for (const Rule *r = RULES + 1; r->name; r++) {
        assert_int_equal(r->guess(guess, &arena, &d), E_MISMATCH);
        err_clear();
    }
    assert_true(isnan(rule_accuracy(&d, guess, SPLIT_TEST)));
}

enum { ROWS = 12 };

/* The predictions of a rule on rows "split label text"; the labels are the expected predictions. */
static void guesses(const char *name, const char *const *label, const char *const text[ROWS],
                    const int expected[ROWS], int train)
{
    Example e[ROWS];
    int n = 0;
    for (; n < ROWS && text[n]; n++)
        e[n] = (Example){n < train ? SPLIT_TRAIN : SPLIT_TEST, expected[n], text[n], strlen(text[n])};
    Dataset d = {.name = name, .n = n, .example = e, .n_labels = 2, .label = label};
    int32_t guess[ROWS];
    dataset_count(&d, &arena);
    assert_int_equal(rule(name)->guess(guess, &arena, &d), OK);
    for (int i = 0; i < n; i++)
        EXPECT(guess[i] == expected[i], "%s on \"%s\": %d, expected %d", name, text[i], guess[i], expected[i]);
}

static void guess_plain_rows(void **state)
{
    (void)state;
    static const char *const TYP[] = {"FAULT", "ORIG"}, *const CCM[] = {"False", "True"},
                             *const LTP[] = {"add", "del"};
    guesses("misspelling", TYP,
            (const char *const[ROWS]){"int a", "itn a", "( boolaen ) a", "tin . flaot", "short", "", "chra"},
            (const int[ROWS]){1, 0, 0, 0, 1, 1, 0}, 4);
    /* training: two thirds and more of the words shared, or a quarter and less */
    static const char *const PAIRS[ROWS] = {"Fix userName<add>userName();fix",
                                            "drop the cache<add>cache drop the",
                                            "parse lines<del>parse(lines)",
                                            "write text<add>one two three four",
                                            "sort names<del>other things",
                                            "read cache<add>cache of words now",
                                            "close the socket<del>socket.close(the)",
                                            "close the socket<add>names.sort(all)"};
    guesses("stems", CCM, PAIRS, (const int[ROWS]){1, 1, 1, 0, 0, 0, 1, 0}, 6);
    guesses("position", LTP,
            (const char *const[ROWS]){"<mask>a<add>a<del>x", "<del>a<mask>a<add>x", "<del>a<add>a<mask>x<del>y",
                                      "<del>a<add>a<mask>x<add>y", "<del>a<add>a<del>x<mask>y", "<del>a<add>a<mask>x",
                                      "<del>a<add>a<add>x<mask>y<del>z", "<del>a<add>a<del>x<mask>y<add>z"},
            (const int[ROWS]){1, 0, 1, 0, 0, 0, 0, 1}, 4);
    guesses("neighbours", LTP,
            (const char *const[ROWS]){"<del>a<add>a<mask>x", "<del>b<add>b<mask>y", "<del>a<add>a<del>x<mask>y<del>z",
                                      "<del>c<add>c<mask>z", "<del>a<add>a<del>x<add>z<del>u<mask>y<del>z",
                                      "<del>a<add>a<del>x<mask>y<add>z"},
            (const int[ROWS]){1, 1, 0, 1, 0, 1}, 3); /* the last place is unknown: the majority */
}

/* Accuracies in % of a rule on training, validation and test of a published set. */
static void published(const char *set, const char *name, double train, double valid, double test)
{
    const char *path = shared_path(&arena, str_print(&arena, "data/probing/%s.txt", set));
    if (access(path, R_OK)) skip();
    Dataset d;
    assert_int_equal(dataset_read(&d, &arena, path), OK);
    int32_t *guess = NEW(&arena, int32_t, d.n);
    assert_int_equal(rule(name)->guess(guess, &arena, &d), OK);
    const double expected[SPLITS] = {train, valid, test};
    for (int s = 0; s < SPLITS; s++) {
        double got = 100 * rule_accuracy(&d, guess, (Split)s);
        EXPECT(fabs(got - expected[s]) < 0.01, "%s on %s, %s: %.2f, expected %.2f", name, set, split_name((Split)s),
               got, expected[s]);
    }
}

static void solve_the_published_sets(void **state)
{
    (void)state;
    published("typ", "majority", 50, 50, 50);
    published("ccm", "majority", 51.17, 48.5, 48);
    published("ltp", "majority", 58.33, 55.5, 62.5);
    published("typ", "misspelling", 100, 100, 100);
    published("ccm", "overlap", 81.17, 75.5, 81.5);
    published("ccm", "stems", 85.67, 82, 87);
    published("ltp", "position", 80.5, 79.5, 81.5);
    published("ltp", "neighbours", 86.67, 87.5, 87.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cuts_words_and_rows), cmocka_unit_test(refuses_other_labels),
                                       cmocka_unit_test(guess_plain_rows),
                                       cmocka_unit_test(solve_the_published_sets)};
    return cmocka_run_group_tests(tests, begin, end) != 0;
}
