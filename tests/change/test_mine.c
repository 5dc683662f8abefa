/* Mining a repository that the test makes: the records, the measures against values computed by hand, ranges,
 * filters, damage, and that a killed run goes on without loss or duplicates. */
#include "expect.h"

#include <git2.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scratch.h"
#include "change/history.h"
#include "change/mine.h"

static git_repository *git;
static const int64_t START = 1000000000, DAY = 86400;

static int begin_tree(void **state)
{
    if (begin(state)) return 1;
    git_libgit2_init();
    return git_repository_init(&git, str_print(&arena, "%s/tree", dir), 0);
}

static int end_tree(void **state)
{
    git_repository_free(git);
    git_libgit2_shutdown();
    return end(state);
}

/* Puts a file into the index, or (text NULL) takes it out. */
static void put(const char *path, const char *text, size_t len)
{
    git_index *index;
    git_index_entry entry = {.mode = GIT_FILEMODE_BLOB, .path = path};
    assert_int_equal(git_repository_index(&index, git), 0);
    if (text)
        assert_int_equal(git_index_add_from_buffer(index, &entry, text, len), 0);
    else
        assert_int_equal(git_index_remove_bypath(index, path), 0);
    git_index_free(index);
}

static void put_text(const char *path, const char *text)
{
    put(path, text, text ? strlen(text) : 0);
}

/* Commits the index on the branch; `other` is a second parent or NULL. */
static git_oid commit_as(const char *author, int64_t time, const char *message, const git_oid *other)
{
    git_index *index;
    git_oid tree_id, id, head;
    git_tree *tree;
    git_signature *who;
    git_commit *parent[2];
    size_t n = 0;
    assert_int_equal(git_repository_index(&index, git), 0);
    assert_int_equal(git_index_write_tree(&tree_id, index), 0);
    assert_int_equal(git_tree_lookup(&tree, git, &tree_id), 0);
    assert_int_equal(git_signature_new(&who, author, str_print(&arena, "%s@x.org", author), time, 0), 0);
    if (!git_reference_name_to_id(&head, git, "HEAD"))
        assert_int_equal(git_commit_lookup(&parent[n++], git, &head), 0);
    if (other) assert_int_equal(git_commit_lookup(&parent[n++], git, other), 0);
    assert_int_equal(
        git_commit_create(&id, git, "HEAD", who, who, NULL, message, tree, n, (const git_commit **)parent), 0);
    while (n) git_commit_free(parent[--n]);
    git_signature_free(who);
    git_tree_free(tree);
    git_index_free(index);
    return id;
}

static git_oid four[4];

/* The history whose measures are known. */
static void make_history(void)
{
    put_text("src/A.java", "a1\na2\na3\n");
    put_text("lib/B.java", "b1\nb2\nb3\nb4\nb5\nb6\n");
    put_text("README", "words\n");
    four[0] = commit_as("Ann", START, "initial import of sources", NULL);
    put_text("src/A.java", "a1\nx2\ny2\na3\n");
    four[1] = commit_as("Bob", START + DAY, "fix wrong count in A (#12)\n\nSigned-off-by: Bob\n", NULL);
    put_text("lib/B.java", NULL);
    put_text("lib/C.java", "b1\nb2\nb3\nb4\nb5\nb6\nb7\n");
    put_text("Top.java", "t1\nt2\nt3\nt4\n");
    put_text("src/A.java", "a1\nx2\ny2\n");
    four[2] = commit_as("Ann", START + 3 * DAY, "move B to C and add the top class", NULL);
    put_text("lib/C.java", "b1\nb2\nb3\nc4\nb5\nb6\nb7\n");
    four[3] = commit_as("Bob", START + 4 * DAY, "change the fourth line of C", NULL);
}

static MineOptions options(const char *out)
{
    MineOptions o;
    mine_defaults(&o);
    o.path = str_print(&arena, "%s/tree", dir);
    o.out = str_print(&arena, "%s/%s", dir, out);
    o.repo = "tree";
    return o;
}

/* Runs to the end, or for `steps` commits. */
static MineStats mine(const MineOptions *o, int64_t steps)
{
    Mine *m;
    assert_int_equal(mine_open(&m, &arena, o), OK);
    for (bool more = true; more && steps-- > 0;) assert_int_equal(mine_step(m, &more), OK);
    MineStats s = *mine_stats(m);
    assert_int_equal(mine_close(m), OK);
    return s;
}

static int read_all(CodeChange *c, int most, const char *path)
{
    ChangeReader in;
    bool more;
    int n = 0;
    assert_int_equal(changes_open(&in, path), OK);
    assert_int_equal(changes_next(&in, &arena, &c[n], &more), OK);
    while (more && ++n < most) assert_int_equal(changes_next(&in, &arena, &c[n], &more), OK);
    changes_close(&in);
    return n;
}

static void records_changes(void **state)
{
    (void)state;
    MineOptions o = options("a.jsonl");
    MineStats s = mine(&o, 100);
    CodeChange c[8];
    assert_int_equal(s.count[MINE_written], 4);
    assert_int_equal(s.total, 4);
    assert_int_equal(read_all(c, 8, o.out), 4);
    assert_int_equal(access(str_print(&arena, "%s.state", o.out), F_OK), -1);
    assert_string_equal(c[1].message, "fix wrong count in A");
    assert_string_equal(c[1].author, "Bob");
    assert_int_equal(c[1].time, START + DAY);
    assert_string_equal(c[1].parent[0], c[0].id);
    assert_int_equal(c[0].n_files, 2); /* README is no code */
    assert_int_equal(c[0].file[0].status, FILE_ADDED);
    const ChangeFile *f = &c[1].file[0];
    static const char *const LINES[] = {"a1", "a2", "x2", "y2", "a3"};
    static const LineKind KINDS[] = {LINE_KEEP, LINE_DEL, LINE_ADD, LINE_ADD, LINE_KEEP};
    assert_int_equal(f->n, 5);
    for (int i = 0; i < 5; i++) {
        assert_string_equal(f->line[i].text, LINES[i]);
        assert_int_equal(f->line[i].kind, KINDS[i]);
    }
    f = &c[2].file[1];
    assert_int_equal(f->status, FILE_RENAMED);
    assert_string_equal(f->old_path, "lib/B.java");
    assert_string_equal(f->new_path, "lib/C.java");
    assert_int_equal(f->n, 2); /* one line of context and the new one */
    assert_false(c[1].has_features);
}

static void computes_the_measures(void **state)
{
    (void)state;
    MineOptions o = options("f.jsonl");
    o.features = true;
    mine(&o, 100);
    CodeChange c[8];
    assert_int_equal(read_all(c, 8, o.out), 4);
    const double third = 1 / 3.0, sixth = 1 / 6.0, later = 1 / (1 + 3 / 365.0);
    /*  la ld nf ns nd entropy ndev lt nuc age exp rexp sexp fix */
    const double expected[4][N_FEATURES] = {
        {9, 0, 2, 2, 2, -third * log2(third) - 2 * third * log2(2 * third), 1, 0, 0, 0, 0, 0, 0, 0},
        {2, 1, 1, 1, 1, 0, 1, 3, 1, 1, 0, 0, 0, 1},
        {5, 1, 3, 3, 3, -2 * sixth * log2(sixth) - 4 * sixth * log2(4 * sixth), 2, (6 + 4) / 3.0, 1 + 2,
         (3 + 2) / 3.0, 1, later, 2 / 3.0, 0},
        {1, 1, 1, 1, 1, 0, 2, 7, 2, 1, 1, later, 0, 0}};
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < N_FEATURES; k++)
            EXPECT(fabs(c[i].feature[k] - expected[i][k]) < 1e-8, "commit %d: %s is %.10g, expected %.10g", i,
                   FEATURE_NAME[k], c[i].feature[k], expected[i][k]);
}

static void takes_ranges_and_filters(void **state)
{
    (void)state;
    MineOptions o = options("r.jsonl");
    CodeChange c[8];
    char a[41], b[41];
    o.range = str_print(&arena, "%s..%s", git_oid_tostr(a, 41, &four[1]), git_oid_tostr(b, 41, &four[2]));
    o.features = true;
    MineStats s = mine(&o, 100);
    assert_int_equal(read_all(c, 8, o.out), 1);
    assert_string_equal(c[0].id, b);
    assert_true(fabs(c[0].feature[FEATURE_nuc] - 3) < 1e-12); /* history before the range counts */
    o = options("r2.jsonl");
    o.since = START + DAY;
    o.until = START + 3 * DAY;
    s = mine(&o, 100);
    assert_int_equal(s.count[MINE_written], 1);
    assert_int_equal(s.count[MINE_dated], 3);
    o = options("r3.jsonl");
    o.max_files = 2;
    o.min_words = 5;
    o.max_chars = 8;
    s = mine(&o, 100);
    assert_int_equal(s.count[MINE_words], 1); /* initial import of sources */
    assert_int_equal(s.count[MINE_files], 1);
    assert_int_equal(s.count[MINE_chars], 1); /* the fix has ten with its context */
    assert_int_equal(s.count[MINE_written], 1);
    o = options("r4.jsonl");
    memset(o.lang, 0, sizeof o.lang);
    o.lang[LANG_PYTHON] = true;
    s = mine(&o, 100);
    assert_int_equal(s.count[MINE_no_code], 4);
    o = options("r5.jsonl");
    o.range = "no-such-branch";
    Mine *m;
    assert_int_equal(mine_open(&m, &arena, &o), E_CONFIG);
    err_clear();
    o.range = NULL;
    o.path = dir;
    assert_int_equal(mine_open(&m, &arena, &o), E_IO);
    err_clear();
}

/* Merges, robots, reverts, releases, binary and huge files, other encodings, several languages, a mode change. */
static void make_odd_commits(void)
{
    int64_t t = START + 10 * DAY;
    git_oid head;
    assert_int_equal(git_reference_name_to_id(&head, git, "HEAD"), 0);
    put_text("m.py", "m = 1\n");
    commit_as("Ann", t, "Merge branch 'side'", &four[0]);
    put_text("Top.java", "t1\n");
    commit_as("dependabot[bot]", t + 1, "Bump the top of it", NULL);
    put_text("Top.java", "t1\nt2\n");
    commit_as("Ann", t + 2, "Revert \"the top of it\"", NULL);
    put_text("Top.java", "t1\nt2\nt3\n");
    commit_as("Ann", t + 3, "prepare release 1.2.0", NULL);
    put("Bin.java", "a\0b\n", 4);
    commit_as("Ann", t + 4, "add a binary file here", NULL);
    put_text("Latin.java", "caf\xe9\n");
    commit_as("Ann", t + 5, "add a file in Latin", NULL);
    char *huge = arena_take(&arena, 3000);
    memset(huge, 'x', 3000);
    put("Huge.java", huge, 3000);
    commit_as("Ann", t + 6, "add a file of bytes", NULL);
    put_text("m.py", "m = 2\n");
    put_text("Top.java", "t1\nt2\n");
    commit_as("Ann", t + 7, "change two languages at once", NULL);
    put_text("x.h", "int x;\n");
    put_text("x.cc", "int x = 1;\n");
    commit_as("Ann", t + 7, "add a header and its source", NULL); /* one language: C++ */
    put_text("README", "more words\n");
    commit_as("Ann", t + 8, "write down some more words", NULL);
    put_text("Top.java", "t1\nt2\nt3\nt4\n");
    commit_as("Ann", t + 9, "\xd0\xbf\xd1\x80\xd0\xb8 \xd0\xb2\xd0\xb5\xd1\x82 m", NULL);
}

static void passes_over_the_odd(void **state)
{
    (void)state;
    make_odd_commits();
    MineOptions o = options("o.jsonl");
    o.max_bytes = 2000;
    MineStats s = mine(&o, 100);
    static const int ONE[] = {MINE_merge, MINE_bot,       MINE_revert,  MINE_release,           MINE_binary,
                              MINE_huge,  MINE_languages, MINE_no_code, MINE_unreadable_message};
    for (size_t i = 0; i < sizeof ONE / sizeof *ONE; i++)
        EXPECT(s.count[ONE[i]] == 1, "%s: %lld", MINE_NAME[ONE[i]], (long long)s.count[ONE[i]]);
    assert_int_equal(s.count[MINE_written], 6);
    assert_int_equal(s.replaced, 1);
    CodeChange c[16];
    assert_int_equal(read_all(c, 16, o.out), 6); /* and nothing else was written */
    int64_t sum = 0;
    for (int i = 0; i < MINE_REASONS; i++) sum += s.count[i];
    assert_int_equal(sum, s.total);
    for (int k = 0; k < SUBJECT_KINDS; k++) o.keep[k] = true;
    o.out = str_print(&arena, "%s/o2.jsonl", dir);
    s = mine(&o, 100);
    assert_int_equal(s.count[MINE_written], 11);
}

/* An object that is gone or damaged costs its commit, not the run. */
static void survives_damage(void **state)
{
    (void)state;
    char hex[41];
    git_oid blob;
    git_commit *c;
    git_tree *tree;
    git_tree_entry *entry;
    assert_int_equal(git_commit_lookup(&c, git, &four[3]), 0);
    assert_int_equal(git_commit_tree(&tree, c), 0);
    assert_int_equal(git_tree_entry_bypath(&entry, tree, "lib/C.java"), 0);
    git_oid_cpy(&blob, git_tree_entry_id(entry));
    git_tree_entry_free(entry);
    git_tree_free(tree);
    git_commit_free(c);
    git_oid_tostr(hex, 41, &blob);
    const char *object = str_print(&arena, "%s/tree/.git/objects/%.2s/%s", dir, hex, hex + 2);
    const char *copy = str_print(&arena, "%s/copy", dir);
    assert_int_equal(rename(object, copy), 0);
    MineOptions o = options("d.jsonl");
    o.features = true;
    MineStats s = mine(&o, 100);
    assert_int_equal(s.count[MINE_damaged], 1);
    assert_int_equal(file_write(object, "not an object", 13), OK);
    o.out = str_print(&arena, "%s/d2.jsonl", dir);
    s = mine(&o, 100);
    assert_int_equal(s.count[MINE_damaged], 1);
    assert_int_equal(rename(copy, object), 0);
    /* now a commit in the middle: older ones cannot be found, the next one has lost its parent */
    git_oid_tostr(hex, 41, &four[1]);
    object = str_print(&arena, "%s/tree/.git/objects/%.2s/%s", dir, hex, hex + 2);
    assert_int_equal(rename(object, copy), 0);
    o = options("d3.jsonl");
    o.features = true;
    Mine *m;
    assert_int_equal(mine_open(&m, &arena, &o), OK);
    for (bool more = true; more;) assert_int_equal(mine_step(m, &more), OK);
    assert_int_equal(mine_about(m)->unreadable, 1);
    assert_int_equal(mine_stats(m)->count[MINE_damaged], 1);
    assert_int_equal(mine_close(m), OK);
    CodeChange left[16];
    int n = read_all(left, 16, o.out);
    for (int i = 1; i < n; i++) /* the first has nothing before it */
        EXPECT(isnan(left[i].feature[FEATURE_exp]), "commit %s: exp is %g", left[i].id, left[i].feature[FEATURE_exp]);
    assert_int_equal(rename(copy, object), 0);
}

/* The tree of the second commit is gone: it and the third cannot be compared.  Measures that need them are
 * unknown. */
static void a_lost_tree_leaves_measures_unknown(void **state)
{
    (void)state;
    char hex[41];
    git_commit *c;
    assert_int_equal(git_commit_lookup(&c, git, &four[1]), 0);
    git_oid_tostr(hex, 41, git_commit_tree_id(c));
    git_commit_free(c);
    const char *object = str_print(&arena, "%s/tree/.git/objects/%.2s/%s", dir, hex, hex + 2);
    const char *copy = str_print(&arena, "%s/copy", dir);
    assert_int_equal(rename(object, copy), 0);
    char last[41];
    MineOptions o = options("lost.jsonl");
    o.features = true;
    o.range = git_oid_tostr(last, 41, &four[3]);
    MineStats s = mine(&o, 100);
    CodeChange change[8];
    assert_int_equal(s.count[MINE_damaged], 2);
    assert_int_equal(s.unknown, 1);
    assert_int_equal(read_all(change, 8, o.out), 2);
    const double *f = change[1].feature; /* of Bob, who changes a file that the third commit moved */
    static const int UNKNOWN[] = {FEATURE_ndev, FEATURE_nuc, FEATURE_age, FEATURE_sexp};
    for (int k = 0; k < 4; k++) EXPECT(isnan(f[UNKNOWN[k]]), "%s is %g", FEATURE_NAME[UNKNOWN[k]], f[UNKNOWN[k]]);
    EXPECT(fabs(f[FEATURE_exp] - 1) < 1e-9, "exp is %g: Bob's lost commit counts", f[FEATURE_exp]);
    EXPECT(fabs(f[FEATURE_lt] - 7) < 1e-9 && fabs(f[FEATURE_la] - 1) < 1e-9, "lt is %g", f[FEATURE_lt]);
    assert_int_equal(rename(copy, object), 0);
}

static void goes_on_after_a_kill(void **state)
{
    (void)state;
    Bytes whole, again;
    MineOptions o = options("w.jsonl");
    o.features = true;
    MineStats first = mine(&o, 100);
    assert_int_equal(file_read(&whole, &arena, o.out), OK);
    for (int64_t steps = 1; steps < first.total; steps++) {
        o.out = str_print(&arena, "%s/k%lld.jsonl", dir, (long long)steps);
        o.resume = true; /* nothing to resume yet: it begins */
        mine(&o, steps);
        assert_int_equal(access(o.out, F_OK), -1);
        FILE *f = fopen(str_print(&arena, "%s.vernier.part", o.out), "ab"); /* records written after the last save */
        assert_non_null(f);
        fputs("{\"id\": \"half a row", f);
        fclose(f);
        MineOptions other = o;
        Mine *m;
        other.context = 2;
        assert_int_equal(mine_open(&m, &arena, &other), E_CONFIG);
        err_clear();
        mine(&o, steps / 2); /* stopped again, while the past is walked */
        MineStats s = mine(&o, 100);
        assert_int_equal(s.resumed, steps);
        assert_memory_equal(s.count, first.count, sizeof s.count);
        assert_int_equal(file_read(&again, &arena, o.out), OK);
        assert_int_equal(again.len, whole.len);
        assert_memory_equal(again.text, whole.text, whole.len);
        s = mine(&o, 100); /* nothing to resume: the same records once more */
        assert_int_equal(s.resumed, 0);
        assert_memory_equal(s.count, first.count, sizeof s.count);
    }
}

static void reads_the_repository(void **state)
{
    (void)state;
    make_history();
    records_changes(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_repository),     cmocka_unit_test(computes_the_measures),
        cmocka_unit_test(takes_ranges_and_filters), cmocka_unit_test(passes_over_the_odd),
        cmocka_unit_test(survives_damage),          cmocka_unit_test(a_lost_tree_leaves_measures_unknown),
        cmocka_unit_test(goes_on_after_a_kill)};
    return cmocka_run_group_tests(tests, begin_tree, end_tree) != 0;
}
