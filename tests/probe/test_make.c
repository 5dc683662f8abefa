/* Probing sets from change records: the properties that each recipe guarantees, measured on its rows; methods cut out
 * of changes; near-duplicates; synthetic changes; datasheets of the published sets. */
#include "expect.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scratch.h"
#include "shared.h"
#include "change/javagen_change.h"
#include "probe/make.h"
#include "change/neardup.h"
#include "probe/pool.h"
#include "probe/sheet.h"

static MakeOptions options(ProbeTask task)
{
    return (MakeOptions){
        .task = task, .generated = 2000, .difficulty = 1, .size = {160, 60, 60}, .max_chars = 2000, .seed = 3};
}

static DataSheet sheet_of(Dataset *d, const MakeOptions *o)
{
    MakeStats stats;
    DataSheet s;
    Status status = make_probe(d, &arena, o, &stats);
    EXPECT(status == OK, "%s", err_message());
    assert_int_equal(stats.read, o->generated);
    assert_int_equal(sheet_make(&s, d, o->task), OK);
    return s;
}

/* In %, on a split. */
static double floor_of(const DataSheet *s, const char *rule, Split split)
{
    int r = 0;
    while (r < s->n_rules && strcmp(s->rule[r]->name, rule)) r++;
    assert_true(r < s->n_rules);
    return 100 * s->accuracy[r][split];
}

static void expect_no_leaks(const DataSheet *s)
{
    const Dataset *d = s->set;
    for (int k = 0; k < SPLITS; k++) assert_int_equal(d->count[k][0], d->count[k][1]);
    assert_int_equal(s->duplicates, 0);
    assert_int_equal(s->contradictions, 0);
    assert_int_equal(s->shared_subjects, 0);
    assert_int_equal(s->shared_messages, 0);
    assert_int_equal(s->near_across, 0);
}

static void clean_sets_leak_nothing(void **state)
{
    (void)state;
    Dataset d;
    MakeOptions o = options(TASK_TYP);
    DataSheet s = sheet_of(&d, &o);
    expect_no_leaks(&s);
    assert_true(fabs(floor_of(&s, "misspelling", SPLIT_TEST) - 50) < 1e-9);
    assert_int_equal(s.shared_pairs, 0);
    o = options(TASK_CCM);
    s = sheet_of(&d, &o);
    expect_no_leaks(&s);
    for (int k = 0; k < SPLITS; k++) {
        assert_true(fabs(floor_of(&s, "overlap", (Split)k) - 50) < 8);
        assert_true(fabs(floor_of(&s, "stems", (Split)k) - 50) < 8);
    }
    assert_true(fabs(s.overlap[0] - s.overlap[1]) < 0.006);
    assert_int_equal(s.subjects, d.n / 2); /* every change and every message twice: */
    assert_int_equal(s.messages, d.n / 2);
    Table times = table_open(&arena, d.n);
    for (int64_t i = 0; i < d.n; i++) { /* once True, once False */
        const Example *e = &d.example[i];
        Bytes change = text_subject(&arena, TASK_CCM, e);
        *table_add(&times, change.text, change.len, NULL) += e->label ? 1 : 100;
        *table_add(&times, e->text, e->len - change.len, NULL) += e->label ? 1 : 100;
    }
    assert_int_equal(times.count, d.n);
    for (int64_t i = 0; i < times.room; i++)
        if (times.slot[i].key) assert_int_equal(times.slot[i].value, 101);
    o = options(TASK_LTP);
    s = sheet_of(&d, &o);
    expect_no_leaks(&s);
    assert_int_equal(s.header_rows, 0);
    o.balance = true;
    s = sheet_of(&d, &o);
    expect_no_leaks(&s);
    for (int k = 0; k < SPLITS; k++) {
        assert_true(fabs(floor_of(&s, "position", (Split)k) - 50) < 1e-9);
        assert_true(fabs(floor_of(&s, "neighbours", (Split)k) - 50) < 1e-9);
    }
}

static void study_sets_have_their_short_cuts(void **state)
{
    (void)state;
    Dataset d;
    MakeOptions o = options(TASK_TYP);
    o.study = true;
    DataSheet s = sheet_of(&d, &o);
    assert_true(floor_of(&s, "misspelling", SPLIT_TEST) > 99.9);
    assert_true(s.shared_pairs > 0);
    o = options(TASK_CCM);
    o.study = true;
    s = sheet_of(&d, &o);
    assert_true(s.shared_subjects > 20);
    assert_int_equal(s.subjects, d.n / 2);
    assert_true(floor_of(&s, "stems", SPLIT_TEST) > 60);
    assert_int_equal(d.count[0][1] + d.count[1][1] + d.count[2][1], d.n / 2);
    o = options(TASK_LTP);
    o.study = true;
    s = sheet_of(&d, &o);
    assert_true(s.header_rows > d.n / 5);
    assert_true(floor_of(&s, "neighbours", SPLIT_TEST) > 70);
}

static Bytes written(const Dataset *d, const char *name)
{
    Bytes b;
    const char *path = str_print(&arena, "%s/%s", dir, name);
    assert_int_equal(dataset_write(d, path), OK);
    assert_int_equal(file_read(&b, &arena, path), OK);
    return b;
}

static void seeds_decide(void **state)
{
    (void)state;
    for (int t = 0; t < TASKS; t++) {
        Dataset d;
        MakeOptions o = options((ProbeTask)t);
        sheet_of(&d, &o);
        Bytes a = written(&d, "a");
        sheet_of(&d, &o);
        Bytes b = written(&d, "b");
        o.seed++;
        sheet_of(&d, &o);
        Bytes c = written(&d, "c");
        assert_int_equal(a.len, b.len);
        assert_memory_equal(a.text, b.text, a.len);
        assert_false(a.len == c.len && !memcmp(a.text, c.text, a.len));
    }
}

/* Two records with one method each. */
static const char *two_methods(void)
{
    static const char ROWS[] =
        "{\"id\":\"1\",\"msg\":\"one\",\"files\":[{\"new\":\"A.java\",\"lines\":[\"+int f(int a, String b) {\",\"+ "
        "return "
        "b.length() + a; // c\",\"+}\"]}]}\n"
        "{\"id\":\"2\",\"msg\":\"two\",\"files\":[{\"new\":\"B.java\",\"lines\":[\"-gone\",\" int f(int a, String b) "
        "{\",\"+ return b.size(  ) * a - 2 * a - b.get(\\\"x y\\\") / 9;\",\" }\"]}]}\n"
        "{\"id\":\"3\",\"msg\":\"Two!\",\"files\":[{\"new\":\"C.java\",\"lines\":[\"+int g(boolean a, String b) { a "
        "= b == "
        "null; return 7 + 1; }\"]}]}\n";
    const char *path = str_print(&arena, "%s/two.jsonl", dir);
    assert_int_equal(file_write(path, ROWS, sizeof ROWS - 1), OK);
    return path;
}

static void types_change_places(void **state)
{
    (void)state;
    const char *path = two_methods();
    MakeOptions o = {.task = TASK_TYP, .from = &path, .n_from = 1, .size = {2, 0, 0}, .max_chars = 500, .seed = 1};
    MakeStats stats;
    Dataset d;
    EXPECT(make_probe(&d, &arena, &o, &stats) == OK, "%s", err_message());
    assert_int_equal(stats.repeated, 1); /* "Two!" is "two" */
    for (int i = 0; i < 2; i++) {
        bool first = strstr(d.example[i].text, "length") != NULL, fault = d.example[i].label == 0;
        const char *rest = first ? "{ return b . length ( ) + a ; }"
                                 : "{ return b . size ( ) * a - 2 * a - b . get ( \"x y\" ) / 9 ; }";
        assert_string_equal(d.example[i].text, str_print(&arena, "int f ( %s ) %s",
                                                         fault ? "String a , int b" : "int a , String b", rest));
    }
    assert_int_equal(d.example[0].label + d.example[1].label, 1);
    o.size[0] = 4;
    assert_int_equal(make_probe(&d, &arena, &o, &stats), E_MISMATCH);
    assert_non_null(strstr(err_message(), "2 of 4 rows can be made from 2 usable changes"));
    err_clear();
    o.from = &(const char *){"/no/such.jsonl"};
    assert_int_equal(make_probe(&d, &arena, &o, &stats), E_IO);
    err_clear();
}

static void finds_methods(void **state)
{
    (void)state;
    static const struct {
        const char *text, *method;
    } CASE[] = {
        {"class A { @Override public List<int[]> f(int a) throws E, F { if (a) { g(a); } } int x; }",
         "@ Override public List < int [ ] > f ( int a ) throws E , F { if ( a ) { g ( a ) ; } }"},
        {"void g() { long tooShort; } } static void h ( ) { for (int i = 0; ; ) { } return ; }",
         "static void h ( ) { for ( int i = 0 ; ; ) { } return ; }"},
        {"int f(int a) { return new B() { int cut; } .c(a) + 2", NULL},
        {"void f() { a(b, c, d, e, f, g, h, i); }", NULL}, /* no primitive type */
        {"int f(int a) { a; }", NULL},                     /* too short */
    };
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        const char *got = pool_method(&arena, CASE[i].text, strlen(CASE[i].text), false);
        EXPECT(got ? CASE[i].method && !strcmp(got, CASE[i].method) : !CASE[i].method, "%s", got ? got : "(none)");
    }
    assert_non_null(pool_method(&arena, CASE[2].text, strlen(CASE[2].text), true));
}

static void groups_near_duplicates(void **state)
{
    (void)state;
    enum { N = 60, WORDS = 80 };
    Bytes text[N];
    int64_t group[N];
    for (int i = 0; i < N; i++) {
        Buf b = buf_open(&arena);
        int base = i % 20; /* 20 texts; copies 20..39 differ in one word, 40..59 in every fourth */
        for (int w = 0; w < WORDS; w++) {
            bool other = (i >= 20 && i < 40 && w == 40) || (i >= 40 && w % 4 == 0);
            buf_print(&b, "w%d_%d%s ", base, w, other ? "x" : "");
        }
        text[i] = (Bytes){b.text, b.len};
    }
    neardup_find(group, &arena, text, N, 0.8);
    for (int i = 0; i < N; i++) assert_int_equal(group[i], i >= 40 ? i : i % 20);
    static char two_words[] = "a b";
    for (int i = 0; i < N; i++) text[i] = (Bytes){two_words, i % 2 ? 3 : 0};
    neardup_find(group, &arena, text, N, 0.8);
    for (int i = 0; i < N; i++) assert_int_equal(group[i], i % 2);
}

static bool has_capital_inside(const char *s)
{
    for (; *s; s++)
        if (islower((unsigned char)*s) && isupper((unsigned char)s[1])) return true;
    return false;
}

static void invents_changes(void **state)
{
    (void)state;
    int64_t kinds[8] = {0}, buggy = 0, bounds = 0;
    static const char *const KIND[] = {"rename", "check", "log", "method", "constant", "type", "fix", "plant"};
    for (int64_t i = 0; i < 3000; i++) {
        CodeChange c, again;
        ArenaMark mark = arena_mark(&arena);
        int difficulty = (int)(i % 3), k = 0;
        javagen_change(&c, &arena, 5, i, difficulty);
        javagen_change(&again, &arena, 5, i, difficulty);
        Buf a = buf_open(&arena), b = buf_open(&arena);
        change_print(&a, &c);
        change_print(&b, &again);
        assert_string_equal(a.text, b.text);
        while (strcmp(KIND[k], c.kind)) k++;
        kinds[k]++;
        buggy += c.label;
        int64_t added = change_count(&c, LINE_ADD), removed = change_count(&c, LINE_DEL);
        EXPECT(added > 0, "%s: nothing added", c.kind);
        if (!strcmp(c.kind, "plant")) assert_int_equal(c.label, 1);
        if (strcmp(c.kind, "plant") && strcmp(c.kind, "method")) assert_int_equal(c.label, 0);
        if (k == 0 || k >= 4) assert_int_equal(added, removed);
        if (k >= 1 && k <= 3) assert_int_equal(removed, 0);
        for (int64_t l = 0; l < c.file->n; l++) { /* a bound one too far comes in with a defect and goes with a fix */
            const ChangeLine *x = &c.file->line[l];
            if (!strstr(x->text, "; i <= ")) continue;
            if (x->kind == LINE_ADD) assert_int_equal(c.label, 1);
            if (x->kind == LINE_DEL) assert_string_equal(c.kind, "fix");
            bounds++;
        }
        if (difficulty == 2) assert_false(has_capital_inside(c.message));
        for (int64_t l = 0; l + 1 < c.file->n; l++) /* a removed line is not an added one */
            if (c.file->line[l].kind == LINE_DEL && c.file->line[l + 1].kind == LINE_ADD)
                assert_string_not_equal(c.file->line[l].text, c.file->line[l + 1].text);
        arena_drop(&arena, mark);
    }
    for (int k = 0; k < 8; k++) assert_true(kinds[k] > 250);
    assert_true(bounds > 20);
    assert_true(buggy > kinds[7] && buggy < kinds[7] + kinds[3]);
}

/* One change in three splits and one in two, a message under two changes, a text twice and under both labels. */
static void counts_leaks(void **state)
{
    (void)state;
    static const char *const LABEL[] = {"False", "True"};
    Example e[] = {{SPLIT_TRAIN, 1, "m<add>one two three four", 0}, {SPLIT_TRAIN, 0, "n<add>five<del>six", 0},
                   {SPLIT_VALID, 0, "o<add>one two three four", 0}, {SPLIT_VALID, 1, "n<add>seven<del>eight", 0},
                   {SPLIT_TEST, 1, "p<add>one two three four", 0},  {SPLIT_TEST, 0, "q<add>five<del>six", 0},
                   {SPLIT_TEST, 1, "q<add>five<del>six", 0}};
    Dataset d = {.name = "x", .n = 7, .example = e, .n_labels = 2, .label = LABEL};
    for (int i = 0; i < 7; i++) e[i].len = strlen(e[i].text);
    dataset_count(&d, &arena);
    DataSheet s;
    assert_int_equal(sheet_make(&s, &d, TASK_CCM), OK);
    assert_int_equal(s.subjects, 3);
    assert_int_equal(s.shared_subjects, 2);
    assert_int_equal(s.messages, 5);
    assert_int_equal(s.shared_messages, 1);
    assert_int_equal(s.duplicates, 1);
    assert_int_equal(s.contradictions, 1);
    assert_int_equal(s.near_rows, 6);
    assert_int_equal(s.near_across, 6);
    assert_int_equal(s.chars[SPLIT_TRAIN].most, 24);
    assert_int_equal(s.words[SPLIT_TRAIN].least, 1);
    assert_int_equal(s.words[SPLIT_TEST].most, 4);
}

/* The published sets, as their authors' texts count. */
static void describes_the_published_sets(void **state)
{
    (void)state;
    DataSheet s[TASKS];
    for (int t = 0; t < TASKS; t++) {
        Dataset *d = NEW(&arena, Dataset, 1);
        const char *path = shared_path(&arena, str_print(&arena, "data/probing/%s.txt", TASK_NAMES[t]));
        if (access(path, R_OK)) skip();
        assert_int_equal(dataset_read(d, &arena, path), OK);
        assert_int_equal(sheet_make(&s[t], d, (ProbeTask)t), OK);
    }
    assert_int_equal(s[TASK_CCM].subjects, 500);
    assert_int_equal(s[TASK_CCM].shared_subjects, 211);
    assert_int_equal(s[TASK_LTP].header_rows, 356);
    assert_int_equal(s[TASK_TYP].correct_type_rows, 126);
    assert_true(fabs(floor_of(&s[TASK_TYP], "misspelling", SPLIT_TEST) - 100) < 1e-9);
    assert_true(fabs(floor_of(&s[TASK_CCM], "overlap", SPLIT_TEST) - 81.5) < 1e-9);
    assert_true(fabs(floor_of(&s[TASK_LTP], "position", SPLIT_TEST) - 81.5) < 1e-9);
    Buf json = buf_open(&arena);
    sheet_json(&json, &s[TASK_CCM]);
    assert_non_null(strstr(json.text, "\"subjects_in_several_splits\": 211,"));
    DataSheet wrong;
    assert_int_equal(sheet_make(&wrong, s[TASK_CCM].set, TASK_LTP), E_MISMATCH);
    err_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(clean_sets_leak_nothing),
                                       cmocka_unit_test(study_sets_have_their_short_cuts),
                                       cmocka_unit_test(seeds_decide),
                                       cmocka_unit_test(types_change_places),
                                       cmocka_unit_test(finds_methods),
                                       cmocka_unit_test(groups_near_duplicates),
                                       cmocka_unit_test(invents_changes),
                                       cmocka_unit_test(counts_leaks),
                                       cmocka_unit_test(describes_the_published_sets)};
    return cmocka_run_group_tests(tests, begin, end) != 0;
}
