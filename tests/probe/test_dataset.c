/* The probing files: accepted and rejected files with the line of the fault, the generated TYP task, the
 * real sets. */
#include "expect.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "base/table.h"
#include "scratch.h"
#include "shared.h"
#include "probe/dataset.h"
#include "probe/javagen.h"

static Status read_text(Dataset *d, const char *text)
{
    char *path = str_print(&arena, "%s/set.txt", dir);
    assert_int_equal(file_write(path, text, strlen(text)), OK);
    return dataset_read(d, &arena, path);
}

static void reads_rows(void **state)
{
    (void)state;
    Dataset d;
    assert_int_equal(read_text(&d, "tr\tb\tx y\nva\ta\t\tz\tw\r\ntr\ta\t\nte\tb\tlast"), OK);
    assert_int_equal(d.n, 4);
    assert_int_equal(d.n_labels, 2);
    assert_string_equal(d.label[0], "a"); /* sorted, although b comes first */
    assert_string_equal(d.example[0].text, "x y");
    assert_int_equal(d.example[0].label, 1);
    assert_string_equal(d.example[1].text, "\tz\tw"); /* further tabs belong to the text, a CR does not */
    assert_int_equal(d.example[1].len, 4);
    assert_int_equal(d.example[1].split, SPLIT_VALID);
    assert_int_equal(d.example[2].len, 0);
    assert_string_equal(d.example[3].text, "last");
    assert_int_equal(d.size[SPLIT_TRAIN], 2);
    assert_int_equal(d.count[SPLIT_TEST][1], 1);
    assert_int_equal(d.count[SPLIT_TEST][0], 0);
    static const char *const SAME[] = {"\xef\xbb\xbftr\ta b\tx\ntr\tc\ty\n", "tr\ta b\tx\r\ntr\tc\ty\r\n\r\n",
                                       "tr\ta b\tx\ntr\tc\ty\n\n \n\t\n"};
    for (size_t i = 0; i < sizeof SAME / sizeof *SAME; i++) {
        EXPECT(!read_text(&d, SAME[i]), "%zu: %s", i, err_message());
        assert_true(d.n == 2 && d.n_labels == 2 && d.example[0].len == 1 && d.example[1].len == 1);
        assert_string_equal(d.label[0], "a b"); /* a blank within a label is part of it */
    }
}

static void names_the_bad_line(void **state)
{
    (void)state;
    static const char *const CASE[][2] = {
        {"tr\ta\tx\ntr b y\n", "set.txt:2: found no tab"},
        {"tr\ta\tx\ntrain\tb\ty\n", "set.txt:2: the line begins with \"train\", expected tr, va or te"},
        {"tr\ta\tx\ntr\tb\n", "set.txt:2: has one tab"},
        {"tr\ta\tx\ntr\t\ty\n", "set.txt:2: the label is empty"},
        {"tr\ta\tx\n\ntr\tb\ty\n", "set.txt:2: "},
        {"tr\ta\tx\ntr\tb\ty\nte\tc\tz\n", "set.txt:3: the label \"c\""},
        {"tr\ta\tx\ntr\tb\ty\n\nte\ta\tz\n", "set.txt:3: found no tab"},
        {"tr\ta\tx\ntr\t a\ty\n", "set.txt:2: the label \" a\" has a blank"},
        {"tr\ta\tx\ntr\ta \ty\n", "set.txt:2: the label \"a \" has a blank"},
        {"tr\ta\tx\ntr\tb\t\xe9\n", "set.txt:2: byte 6 of the line, 0xE9, is not UTF-8"},
        {"tr\ta\tx\n\033]0;x\007\ta\tx\n", "begins with \"\\x1B]0;x\\x07\", expected tr"},
        {"tr\ta\tx\n", "the training split has 1 label,"},
        {"", "the training split has 0 labels,"},
    };
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        Dataset d;
        assert_int_equal(read_text(&d, CASE[i][0]), E_FORMAT);
        EXPECT(strstr(err_message(), CASE[i][1]), "\"%s\", expected \"%s\"", err_message(), CASE[i][1]);
        err_clear();
    }
}

static int tokens(const char *text)
{
    int n = 0;
    for (const char *p = text; *p; p++) n += *p == ' ';
    return n + 1;
}

static const char *const PRIMITIVE[] = {"int", "long", "short", "byte", "char", "boolean", "float", "double"};

/* Primitive keywords among the tokens; with `near`, also those that one swap of neighbours makes into one. */
static int primitives(const char *text, bool near)
{
    int n = 0;
    for (const char *p = text; *p;) {
        size_t len = strcspn(p, " ");
        for (int t = 0; t < 8; t++) {
            if (strlen(PRIMITIVE[t]) != len) continue;
            bool same = memcmp(PRIMITIVE[t], p, len) == 0;
            for (size_t i = 0; near && !same && i + 1 < len; i++)
                same = memcmp(PRIMITIVE[t], p, i) == 0 && p[i] == PRIMITIVE[t][i + 1] &&
                       p[i + 1] == PRIMITIVE[t][i] && memcmp(PRIMITIVE[t] + i + 2, p + i + 2, len - i - 2) == 0;
            n += same;
        }
        p += len + (p[len] == ' ');
    }
    return n;
}

static int balance(const char *text, char open, char close)
{
    int depth = 0;
    for (const char *p = text; *p; p++) {
        if (p > text && p[-1] != ' ') continue; /* brackets inside literals are not tokens */
        depth += (*p == open) - (*p == close);
        if (depth < 0) return -1;
    }
    return depth;
}

static int by_value(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static void typ_is_balanced_and_disjoint(void **state)
{
    (void)state;
    Dataset d, again, other;
    javagen_typ(&d, &arena, 1, JAVAGEN_TYP_SIZES);
    javagen_typ(&again, &arena, 1, JAVAGEN_TYP_SIZES);
    javagen_typ(&other, &arena, 2, JAVAGEN_TYP_SIZES);
    assert_int_equal(d.n, 1000);
    for (int s = 0; s < SPLITS; s++) {
        assert_int_equal(d.size[s], JAVAGEN_TYP_SIZES[s]);
        assert_int_equal(d.count[s][0], JAVAGEN_TYP_SIZES[s] / 2);
    }
    assert_string_equal(d.label[0], "FAULT");
    Table seen = table_open(&arena, 1000);
    int length[1000], differ = 0;
    for (int64_t i = 0; i < d.n; i++) {
        const Example *e = &d.example[i];
        bool added;
        table_add(&seen, e->text, e->len, &added);
        assert_true(added);
        assert_string_equal(e->text, again.example[i].text);
        differ += strcmp(e->text, other.example[i].text) != 0;
        int right = primitives(e->text, false), near = primitives(e->text, true);
        if (e->label == 0)
            EXPECT(right == 0 && near > 0, "a FAULT with %d right and %d misspelt: %s", right, near - right, e->text);
        else
            EXPECT(right > 0 && near == right, "an ORIG with %d right, %d misspelt: %s", right, near - right,
                   e->text);
        EXPECT(balance(e->text, '{', '}') == 0 && balance(e->text, '(', ')') == 0, "brackets: %s", e->text);
        EXPECT(!strstr(e->text, "  "), "two spaces: %s", e->text);
        length[i] = tokens(e->text);
    }
    assert_true(differ > 990);
    qsort(length, 1000, sizeof *length, by_value);
    EXPECT(length[500] >= 60 && length[500] <= 100, "median length %d", length[500]);
    EXPECT(length[999] < 600, "longest %d", length[999]);
}

/* Over many draws every place of every keyword is swapped, and never a place that changes nothing. */
static void every_swap_occurs(void **state)
{
    (void)state;
    Table seen = table_open(&arena, 64);
    for (uint64_t i = 0; i < 400; i++) {
        int changed;
        char *text = javagen_misspell(&arena, "boolean x = int + ints ;", i, &changed);
        assert_int_equal(changed, 2);
        assert_non_null(strstr(text, " ints ;"));
        table_add(&seen, text, 7, NULL);
    }
    assert_int_equal(seen.count, 5); /* obolean, boloean, booelan, boolaen, boolena; oo stays */
}

static void corpus_is_distinct(void **state)
{
    (void)state;
    enum { N = 2000 };
    Bytes *text = NEW(&arena, Bytes, N);
    javagen_corpus(text, &arena, 1, N);
    Table seen = table_open(&arena, N);
    for (int i = 0; i < N; i++) table_add(&seen, text[i].text, text[i].len, NULL);
    assert_int_equal(seen.count, N);
}

static void written_and_read_again(void **state)
{
    (void)state;
    Dataset d, e;
    javagen_typ(&d, &arena, 3, (const int64_t[]){10, 4, 6});
    char *path = str_print(&arena, "%s/typ.txt", dir);
    assert_int_equal(dataset_write(&d, path), OK);
    assert_int_equal(dataset_read(&e, &arena, path), OK);
    assert_int_equal(e.n, 20);
    for (int i = 0; i < 20; i++) {
        assert_string_equal(d.example[i].text, e.example[i].text);
        assert_int_equal(d.example[i].label, e.example[i].label);
        assert_int_equal(d.example[i].split, e.example[i].split);
    }
}

static void published_sets(void **state)
{
    (void)state;
    static const char *const NAME[] = {"typ", "ccm", "ltp"};
    static const int64_t TRAIN[][2] = {{300, 300}, {307, 293}, {350, 250}}; /* FAULT ORIG, False True, add del */
    for (int i = 0; i < 3; i++) {
        const char *path = shared_path(&arena, str_print(&arena, "data/probing/%s.txt", NAME[i]));
        if (access(path, R_OK)) skip();
        Dataset d;
        assert_int_equal(dataset_read(&d, &arena, path), OK);
        assert_int_equal(d.size[SPLIT_TRAIN], 600);
        assert_int_equal(d.size[SPLIT_TEST], 200);
        assert_int_equal(d.count[SPLIT_TRAIN][0], TRAIN[i][0]);
        assert_int_equal(d.count[SPLIT_TRAIN][1], TRAIN[i][1]);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
SUITE(T(reads_rows), T(names_the_bad_line), T(typ_is_balanced_and_disjoint), T(every_swap_occurs),
      T(corpus_is_distinct), T(written_and_read_again), T(published_sets))
