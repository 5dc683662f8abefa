/* Reading repositories that git itself would hardly write: unusual authors, encodings, replacements, grafts, contents
 * that are not there, packs made by hand, names that lead nowhere.  Expected values follow git's own sources. */
#include "expect.h"

#include <zlib.h>

#include "made_repo.h"
#include "change/mailmap.h"

static Repo *repo;
static const RepoCommit *commits;
static int64_t n_commits;

static Status history(const char *range)
{
    TRY(repo_open(&repo, &arena, root));
    Status s = repo_history(repo, range, &commits, &n_commits);
    if (s) repo_close(repo);
    return s;
}

static void open_history(const char *range)
{
    Status s = history(range);
    EXPECT(!s, "%s", err_message());
}

static CodeChange described(int64_t at, const char **email, int64_t *replaced)
{
    CodeChange c;
    assert_true(repo_describe(repo, &arena, &commits[at], &c, email, replaced));
    return c;
}

static void expect_refused(Status code, const char *word, const char *range)
{
    Status s = history(range);
    EXPECT(s == code && strstr(err_message(), word), "code %d, expected %d; '%s' should say '%s'", s, code,
           err_message(), word);
    err_clear();
}

static bool is_said(const char *word)
{
    bool said = false;
    for (const char *s; (s = repo_remark(repo));) said |= strstr(s, word) != NULL;
    return said;
}

/* ---- commits ---- */

static void reads_people_as_git_does(void **state)
{
    (void)state;
    static const struct {
        const char *line, *name, *email;
        int64_t time;
    } CASE[] = {{"A U Thor <a@x.org> 1234567890 +0000", "A U Thor", "a@x.org", 1234567890},
                {"A <a@x.org>1234567890 +0000", "A", "a@x.org", 1234567890},
                {"A<a@x.org>   1234567890", "A", "a@x.org", 1234567890},
                {"A <a@x.org>", "A", "a@x.org", TIME_UNKNOWN},
                {"A <a@x.org> yesterday +0000", "A", "a@x.org", TIME_UNKNOWN},
                {"A <a@x.org> -5 +0000", "A", "a@x.org", TIME_UNKNOWN},
                {"A <a@x.org> 18446744073709551615 +0000", "A", "a@x.org", TIME_UNKNOWN},
                {"A <a@x.org> 99999999999999999999999999 +0000", "A", "a@x.org", TIME_UNKNOWN},
                {"A <a@x.org> 9223372036854775807 +0000", "A", "a@x.org", TIME_UNKNOWN},
                {"A a@x.org 1600000000 +0000", "", "", TIME_UNKNOWN},
                {"A <a@x.org 1600000000 +0000", "", "", TIME_UNKNOWN},
                {"", "", "", TIME_UNKNOWN},
                {"<a@x.org> 7 +0000", "", "a@x.org", 7},
                {"A <a@x.org>> 7 +0000", "A", "a@x.org", 7},
                {"A <<a@x.org> 7 +0000", "A", "<a@x.org", 7}};
    new_repo("people");
    git_oid tree = tree_of("a.c", text_blob("int a;\n"));
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        const char *email;
        int64_t replaced = 0;
        git_oid before = commit_of(tree, NULL, dated(0), "", "before\n");
        git_oid odd = commit_of(tree, &before, CASE[i].line, "", "odd\n\n");
        set_branch("refs/heads/x", commit_of(tree, &odd, dated(1), "", "after\n"));
        open_history("x");
        assert_int_equal(n_commits, 3);
        CodeChange c = described(1, &email, &replaced);
        EXPECT(!strcmp(c.author, CASE[i].name) && !strcmp(email, CASE[i].email) && c.time == CASE[i].time,
               "'%s' is '%s', '%s', %lld", CASE[i].line, c.author, email, (long long)c.time);
        assert_string_equal(c.message, "odd");
        assert_string_equal(c.parent[0], hex(before));
        assert_string_equal(described(0, NULL, &replaced).message, "before");
        repo_close(repo);
    }
}

static void converts_encodings(void **state)
{
    (void)state;
    static const struct {
        const char *header, *message, *expected;
        int64_t replaced;
        bool named;
    } CASE[] = {{"", "caf\xc3\xa9", "café", 0, false},
                {"", "caf\xe9", "caf\xef\xbf\xbd", 1, false},
                {"encoding ISO-8859-1\n", "caf\xe9", "café", 0, false},
                {"encoding latin-1\n", "caf\xe9", "café", 0, false},
                {"encoding windows-1251\n", "\xe4\xe0", "да", 0, false},
                {"encoding EUC-JP\n", "\xc6\xfc\xcb\xdc", "日本", 0, false},
                {"encoding ISO-2022-JP\n", "\x1b$BF|K\\\x1b(B and $", "日本 and $", 0, false},
                {"encoding EUC-JP\n", "a\xc6", "a\xef\xbf\xbd", 1, false},
                {"encoding UTF8\n", "caf\xc3\xa9", "café", 0, false},
                {"encoding x-no-such\n", "caf\xc3\xa9", "café", 0, true},
                {"gpgsig -----BEGIN\n encoding EUC-JP\n -----END\n", "caf\xc3\xa9", "café", 0, false}};
    new_repo("encodings");
    git_oid tree = tree_of("a.c", text_blob("int a;\n"));
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        int64_t replaced = 0;
        set_branch("refs/heads/x", commit_of(tree, NULL, dated(0), CASE[i].header, CASE[i].message));
        open_history("x");
        CodeChange c = described(0, NULL, &replaced);
        EXPECT(!strcmp(c.message, CASE[i].expected) && replaced == CASE[i].replaced,
               "case %zu is '%s', %lld replaced", i, c.message, (long long)replaced);
        assert_true(is_said("x-no-such") == CASE[i].named);
        repo_close(repo);
    }
    set_branch("refs/heads/x",
               commit_of(tree, NULL, "J\xfcrg <j@x.org> 5 +0000", "encoding ISO-8859-1\n", "a name, too\n"));
    int64_t replaced = 0;
    open_history("x");
    assert_string_equal(described(0, NULL, &replaced).author, "Jürg");
    repo_close(repo);
}

static void follows_the_mailmap(void **state)
{
    (void)state;
    static const char MAP[] =
        "# a remark\n  Proper Name   <one@x.org>\n<proper@x.org> <two@x.org>\n"
        "Both <both@x.org> <THREE@x.org>\nOnly <only@x.org> Bob B <four@x.org> # words\n"
        "no address\nHalf <half\n<> <one@x.org>\nAdded <five@x.org>\n<six@x.org> <five@x.org>\n";
    static const char *const CASE[][4] = {
        {"x", "One@X.org", "Proper Name", "One@X.org"}, {"x", "two@x.org", "x", "proper@x.org"},
        {"x", "three@x.org", "Both", "both@x.org"},     {"bob b", "four@x.org", "Only", "only@x.org"},
        {"Ann", "four@x.org", "Ann", "four@x.org"},     {"x", "five@x.org", "Added", "six@x.org"},
        {"x", "none@x.org", "x", "none@x.org"}};
    Mailmap m = mailmap_read(&arena, MAP);
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        const char *name = CASE[i][0], *email = CASE[i][1];
        mailmap_apply(&m, &arena, &name, &email);
        EXPECT(!strcmp(name, CASE[i][2]) && !strcmp(email, CASE[i][3]), "%s <%s> is %s <%s>", CASE[i][0], CASE[i][1],
               name, email);
    }
    const char *email;
    int64_t replaced = 0;
    new_repo("mailmap");
    three_commits();
    git_oid map = text_blob("Ann Other <ann@new.org> <ANN@x.org>\n");
    git_oid tip = commit_of(tree_of_two("a.c", made_blob[2], ".mailmap", map), &made[2], dated(3), "", "map\n");
    set_branch("refs/heads/later", tip);
    ok(git_repository_set_head(git, "refs/heads/later"));
    open_history("HEAD~2");
    assert_int_equal(n_commits, 2);
    assert_string_equal(described(0, &email, &replaced).author, "Ann Other");
    assert_string_equal(email, "ann@new.org");
    repo_close(repo);
}

/* ---- replacements, grafts and .mailmap ---- */

static void follows_replacements_and_grafts(void **state)
{
    (void)state;
    int64_t n, replaced = 0;
    RepoDelta *delta;
    new_repo("replaced");
    three_commits();
    git_oid by = commit_of(made_tree[2], &made[0], dated(2), "", "replaced\n");
    set_branch(str_print(&arena, "refs/replace/%s", hex(made[2])), by);
    open_history(NULL);
    assert_int_equal(n_commits, 2);
    CodeChange c = described(1, NULL, &replaced);
    assert_string_equal(c.message, "replaced");
    assert_string_equal(c.id, hex(made[2])); /* as git log has it */
    assert_true(repo_diff(repo, &arena, &commits[1], &delta, &n));
    int64_t added, removed;
    assert_int_equal(repo_numstat(repo, &delta[0], 1000, &added, &removed), LINES_OK);
    assert_int_equal(added, 2);
    repo_close(repo);

    new_repo("grafted");
    three_commits();
    write_in_git("info/grafts", str_print(&arena, "# a remark\n%s %s\n", hex(made[2]), hex(made[0])));
    open_history(NULL);
    assert_int_equal(n_commits, 2);
    assert_string_equal(described(1, NULL, &replaced).parent[0], hex(made[0]));
    repo_close(repo);
    write_in_git("info/grafts", str_print(&arena, "%s %s\n", hex(made[0]), hex(made[2])));
    expect_refused(E_FORMAT, "their own ancestors", NULL);

    new_repo("shallow");
    three_commits();
    write_in_git("shallow", str_print(&arena, "%s\n", hex(made[1])));
    assert_int_equal(unlink(loose_path(made[0])), 0);
    open_history(NULL);
    assert_int_equal(n_commits, 2);
    assert_true(commits[0].cut && commits[0].shallow && !commits[1].cut && repo_about(repo)->shallow);
    assert_int_equal(repo_about(repo)->unreadable, 0);
    assert_int_equal(repo_about(repo)->damaged, 0);
    repo_close(repo);
}

/* ---- contents ---- */

static void tells_unknown_from_empty(void **state)
{
    (void)state;
    int64_t n, lines, added, removed;
    char late[8002], early[8002];
    memset(late, 'x', sizeof late);
    memset(early, 'x', sizeof early);
    late[8000] = early[7999] = 0;
    new_repo("contents");
    git_oid id[] = {text_blob("a\nb\nc"),      text_blob(""),       blob(late, sizeof late),
                    blob(early, sizeof early), text_blob("gone\n"), text_blob("damaged\n")};
    assert_int_equal(unlink(loose_path(id[4])), 0);
    unlink(loose_path(id[5]));
    assert_int_equal(file_write(loose_path(id[5]), "?", 1), OK);
    three_commits();
    open_history(NULL);
    static const LinesResult EXPECTED[] = {LINES_OK, LINES_OK, LINES_OK, LINES_BINARY, LINES_MISSING, LINES_DAMAGED};
    static const int64_t COUNT[] = {3, 0, 1, 0, 0, 0};
    for (int i = 0; i < 6; i++) {
        LinesResult got = repo_count(repo, id[i].id, 100000, &lines);
        EXPECT(got == EXPECTED[i] && lines == COUNT[i], "contents %d: %d with %lld lines", i, got, (long long)lines);
    }
    assert_int_equal(repo_count(repo, id[0].id, 4, &lines), LINES_HUGE);
    RepoDelta d = {.old_path = "a.c", .new_path = "a.c"};
    memcpy(d.old_id, id[4].id, 20);
    memcpy(d.new_id, id[0].id, 20);
    assert_int_equal(repo_numstat(repo, &d, 1000, &added, &removed), LINES_MISSING);
    memcpy(d.old_id, id[1].id, 20);
    assert_int_equal(repo_numstat(repo, &d, 1000, &added, &removed), LINES_OK);
    assert_true(added == 3 && removed == 0);
    assert_int_equal(repo_about(repo)->damaged, 2);
    assert_true(is_said(hex(id[5])));
    RepoDelta *delta;
    assert_true(repo_diff(repo, &arena, &commits[2], &delta, &n) && n == 1);
    repo_close(repo);
}

static void knows_partial_clones(void **state)
{
    (void)state;
    int64_t lines;
    git_config *c;
    new_repo("partial");
    three_commits();
    ok(git_repository_config(&c, git));
    ok(git_config_set_int32(c, "core.repositoryformatversion", 1));
    ok(git_config_set_string(c, "extensions.partialclone", "origin"));
    git_config_free(c);
    assert_int_equal(unlink(loose_path(made_blob[0])), 0);
    open_history(NULL);
    assert_true(repo_about(repo)->partial);
    assert_int_equal(repo_count(repo, made_blob[0].id, 1000, &lines), LINES_MISSING);
    assert_int_equal(repo_about(repo)->damaged, 0); /* it is only not fetched */
    assert_true(is_said("partial clone"));
    repo_close(repo);
}

/* ---- names ---- */

static void tells_wrong_names_from_damage(void **state)
{
    (void)state;
    char cut[21];
    git_oid other;
    new_repo("names");
    expect_refused(E_IO, "no commits", NULL);
    three_commits();
    snprintf(cut, sizeof cut, "%s", hex(made[1]));
    Buf tag = buf_open(&arena);
    buf_print(&tag, "object %s\ntype commit\ntag v1\ntagger A <a@x.org> 5 +0000\n\nversion\n", hex(made[1]));
    set_branch("refs/tags/v1", write_object(GIT_OBJECT_TAG, tag.text, tag.len));
    const char *const NAMES[] = {"HEAD~1", "HEAD^", "v1", "v1^{}", "v1^0", "HEAD^1^{commit}", cut, hex(made[1])};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        open_history(NAMES[i]);
        EXPECT(!strcmp(repo_about(repo)->tip, hex(made[1])), "%s is %s", NAMES[i], repo_about(repo)->tip);
        repo_close(repo);
    }
    static const char *const WRONG[] = {"HEAD~3",
                                        "HEAD^2",
                                        "nothing",
                                        "abcdef01",
                                        "HEAD^{tree}",
                                        "HEAD^x",
                                        "0123456789012345678901234567890123456789",
                                        "HEAD~99999999999999999999"};
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) expect_refused(E_CONFIG, "commit", WRONG[i]);
    /* A on another branch: shared commits are out, those of A alone are not there */
    git_oid side = commit_of(made_tree[0], &made[0], dated(9), "", "side\n");
    set_branch("refs/heads/side", side);
    open_history("side..HEAD");
    assert_int_equal(n_commits, 3);
    assert_true(!commits[0].wanted && commits[1].wanted && commits[2].wanted);
    repo_close(repo);
    /* the tip of a branch is damaged, missing, or not an id */
    other = commit_of(made_tree[0], NULL, dated(5), "", "other\n");
    set_branch("refs/heads/other", other);
    unlink(loose_path(other));
    expect_refused(E_FORMAT, "missing", "other");
    assert_int_equal(file_write(loose_path(other), "", 0), OK);
    expect_refused(E_FORMAT, "damaged", "other");
    expect_refused(E_FORMAT, "damaged", hex(other));
    write_in_git("refs/heads/other", "1234567");
    expect_refused(E_FORMAT, "damaged", "other");
    write_in_git("HEAD", "ref: refs/heads/nowhere\n");
    expect_refused(E_FORMAT, "HEAD", NULL);
    write_in_git("HEAD", "?");
    assert_true(history(NULL) != OK);
    err_clear();
}

static void names_other_formats(void **state)
{
    (void)state;
    git_config *c;
    new_repo("sha256");
    three_commits();
    ok(git_repository_config(&c, git));
    ok(git_config_set_int32(c, "core.repositoryformatversion", 1));
    ok(git_config_set_string(c, "extensions.objectformat", "sha256"));
    expect_refused(E_FORMAT, "SHA-256", NULL);
    ok(git_config_set_string(c, "extensions.objectformat", "sha1"));
    ok(git_config_set_string(c, "extensions.refstorage", "reftable"));
    expect_refused(E_FORMAT, "references", NULL);
    git_config_free(c);
}

static int looks, most_looks;
static bool after_some(void)
{
    return looks++ >= most_looks;
}

/* Whenever the question to stop is first answered with yes, nothing long follows. */
static void stops_when_asked(void **state)
{
    (void)state;
    int64_t n;
    RepoDelta *delta;
    new_repo("stop");
    three_commits();
    for (most_looks = 0; most_looks < 40; most_looks++) {
        looks = 0;
        assert_int_equal(repo_open(&repo, &arena, root), OK);
        repo_watch(repo, after_some);
        Status s = repo_history(repo, NULL, &commits, &n_commits);
        assert_true(s == OK || s == E_INTERRUPT);
        bool stopped = s != OK;
        for (int i = 0; i < 100 && !stopped; i++) stopped = !repo_diff(repo, &arena, &commits[2], &delta, &n);
        assert_true(stopped && repo_stopped(repo));
        err_clear();
        repo_close(repo);
    }
}

/* ---- objects by hand ---- */

static const char *deflated(const char *s, size_t n, size_t *len)
{
    uLongf room = compressBound(n);
    char *out = arena_take(&arena, room);
    assert_int_equal(compress((Bytef *)out, &room, (const Bytef *)s, n), Z_OK);
    *len = room;
    return out;
}

static void refuses_damaged_loose_objects(void **state)
{
    (void)state;
    int64_t lines;
    size_t len;
    new_repo("loose");
    three_commits();
    static const char TEXT[] = "int a;\nint b;\n";
    git_oid id = text_blob(TEXT);
    Bytes whole;
    assert_int_equal(file_read(&whole, &arena, loose_path(id)), OK);
    unlink(loose_path(id));
    static const char *const HEADER[] = {
        "blob 4",  "blob 15",  "blob 99999999999", "blob 99999999999999999999", "blob -1", "blob ", "blob", "tree 14",
        "blub 14", "blob 14 ", "commit 14"};
    for (size_t i = 0; i < sizeof HEADER / sizeof *HEADER; i++) {
        Buf b = buf_open(&arena);
        buf_add(&b, HEADER[i], strlen(HEADER[i]) + 1);
        buf_add(&b, TEXT, strlen(TEXT));
        const char *bytes = deflated(b.text, b.len, &len);
        assert_int_equal(file_write(loose_path(id), bytes, len), OK);
        open_history(NULL);
        EXPECT(repo_count(repo, id.id, 1000, &lines) == LINES_DAMAGED, "'%s' is read", HEADER[i]);
        repo_close(repo);
    }
    for (size_t n = 0; n <= whole.len + 1; n++) { /* cut to every length, and one byte longer */
        char longer[200] = {0};
        memcpy(longer, whole.text, whole.len);
        assert_int_equal(file_write(loose_path(id), longer, n), OK);
        open_history(NULL);
        LinesResult got = repo_count(repo, id.id, 1000, &lines);
        EXPECT(got == (n == whole.len ? LINES_OK : LINES_DAMAGED), "%zu of %zu bytes: %d", n, whole.len, got);
        repo_close(repo);
    }
    static const char OTHER[] = "blob 14\0int a;\nint c;\n"; /* sound, but of another id */
    const char *bytes = deflated(OTHER, sizeof OTHER - 1, &len);
    assert_int_equal(file_write(loose_path(id), bytes, len), OK);
    open_history(NULL);
    assert_int_equal(repo_count(repo, id.id, 1000, &lines), LINES_DAMAGED);
    repo_close(repo);
    unlink(loose_path(id));
    assert_int_equal(mkdir(loose_path(id), 0777), 0);
    open_history(NULL);
    assert_int_equal(repo_count(repo, id.id, 1000, &lines), LINES_DAMAGED);
    repo_close(repo);
    rmdir(loose_path(id));
    assert_int_equal(mkfifo(loose_path(id), 0666), 0); /* opening it would wait for a writer */
    open_history(NULL);
    assert_int_equal(repo_count(repo, id.id, 1000, &lines), LINES_DAMAGED);
    repo_close(repo);
}

/* A pack by hand: entries of any header, and an index of either version that places them anywhere. */
typedef struct {
    git_oid id;
    const char *head, *body; /* head as it is; body deflated */
    size_t n_head, n_body;
    uint64_t offset; /* 0: where it is */
} Packed;

static void put32(Buf *b, uint64_t x)
{
    for (int k = 3; k >= 0; k--) buf_add(b, &(char){(char)(x >> 8 * k)}, 1);
}

static int by_id(const void *a, const void *b)
{
    return git_oid_cmp(&((const Packed *)a)->id, &((const Packed *)b)->id);
}

static void write_pack(const char *name, Packed *e, uint32_t n, int version)
{
    Buf pack = buf_open(&arena), index = buf_open(&arena), far = buf_open(&arena);
    buf_add(&pack, "PACK", 4), put32(&pack, 2), put32(&pack, n);
    for (uint32_t i = 0; i < n; i++) {
        size_t len;
        if (!e[i].offset) e[i].offset = pack.len;
        buf_add(&pack, e[i].head, e[i].n_head);
        const char *body = deflated(e[i].body, e[i].n_body, &len);
        buf_add(&pack, body, len);
    }
    buf_add(&pack, "01234567890123456789", 20);
    qsort(e, n, sizeof *e, by_id);
    if (version == 2) buf_add(&index, "\377tOc\0\0\0\2", 8);
    for (int k = 0; k < 256; k++) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < n; i++) count += e[i].id.id[0] <= k;
        put32(&index, count);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (version == 1) put32(&index, e[i].offset);
        buf_add(&index, (const char *)e[i].id.id, 20);
    }
    for (uint32_t i = 0; version == 2 && i < n; i++) put32(&index, 0);
    for (uint32_t i = 0; version == 2 && i < n; i++) {
        bool large = e[i].offset >> 31;
        put32(&index, large ? (uint64_t)1 << 31 | far.len / 8 : e[i].offset);
        if (large) put32(&far, e[i].offset >> 32), put32(&far, e[i].offset);
    }
    buf_add(&index, far.text, far.len);
    buf_add(&index, "01234567890123456789", 20);
    buf_add(&index, "01234567890123456789", 20);
    const char *stem = str_print(&arena, "%s/.git/objects/pack/%s", root, name);
    assert_int_equal(file_write(str_print(&arena, "%s.pack", stem), pack.text, pack.len), OK);
    assert_int_equal(file_write(str_print(&arena, "%s.idx", stem), index.text, index.len), OK);
}

static git_oid id_of(const char *s)
{
    git_oid id;
    ok(git_odb_hash(&id, s, strlen(s), GIT_OBJECT_BLOB));
    return id;
}

static void reads_packs_and_refuses_bad_ones(void **state)
{
    (void)state;
    int64_t lines;
    static const char ONE[] = "one\ntwo\nabc\n", TWO[] = "one\nnew\ntwo\nabc\n";
    static const char DELTA[] = "\x0c\x10\x90\x04\x04new\n\x91\x04\x08"; /* copy 4, insert 4, copy 8 from 4 */
    enum { N_DELTA = sizeof DELTA - 1 };
    for (int version = 1; version <= 2; version++) {
        new_repo(str_print(&arena, "pack%d", version));
        three_commits();
        git_oid one = id_of(ONE), two = id_of(TWO);
        char head[21] = {0x70 | N_DELTA}; /* a delta against an id */
        memcpy(head + 1, one.id, 20);
        Packed e[] = {{one, "\x3c", ONE, 1, 12, 0}, {two, head, DELTA, 21, N_DELTA, 0}};
        write_pack("pack-a", e, 2, version);
        open_history(NULL);
        assert_int_equal(repo_count(repo, one.id, 1000, &lines), LINES_OK);
        assert_int_equal(lines, 3);
        assert_int_equal(repo_count(repo, two.id, 1000, &lines), LINES_OK);
        assert_int_equal(lines, 4);
        repo_close(repo);
    }
    /* deltas against each other; offsets outside, in 64 bits, too; a size that cannot be; a delta of another base */
    git_oid a = id_of("a\n"), b = id_of("b\n"), c = id_of("c\n"), d = id_of("d\n"), f = id_of("f\n"), g = id_of(TWO);
    char to_b[21] = {0x70 | N_DELTA}, to_a[21] = {0x70 | N_DELTA}, to_f[21] = {0x70 | N_DELTA};
    memcpy(to_b + 1, b.id, 20), memcpy(to_a + 1, a.id, 20), memcpy(to_f + 1, f.id, 20);
    Packed e[] = {{a, to_b, DELTA, 21, N_DELTA, 0},
                  {b, to_a, DELTA, 21, N_DELTA, 0},
                  {c, "\x32", "c\n", 1, 2, 3147131},
                  {d, "\x32", "d\n", 1, 2, (uint64_t)1 << 40},
                  {f, "\xb2\xff\xff\xff\xff\x7f", "f\n", 6, 2, 0},
                  {g, to_f, DELTA, 21, N_DELTA, 0}};
    write_pack("pack-b", e, 6, 2);
    open_history(NULL);
    for (int i = 0; i < 6; i++) {
        LinesResult got = repo_count(repo, e[i].id.id, 1000, &lines);
        bool fine = !git_oid_cmp(&e[i].id, &g); /* it is in the other pack, too */
        EXPECT(got == (fine ? LINES_OK : LINES_DAMAGED), "%s: %d", hex(e[i].id), got);
    }
    assert_true(is_said("(git fsck)"));
    repo_close(repo);
    expect_refused(E_FORMAT, "does not end", hex(a)); /* read at once, without asking for its size */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_people_as_git_does),
                                       cmocka_unit_test(converts_encodings),
                                       cmocka_unit_test(follows_the_mailmap),
                                       cmocka_unit_test(follows_replacements_and_grafts),
                                       cmocka_unit_test(tells_unknown_from_empty),
                                       cmocka_unit_test(knows_partial_clones),
                                       cmocka_unit_test(tells_wrong_names_from_damage),
                                       cmocka_unit_test(names_other_formats),
                                       cmocka_unit_test(stops_when_asked),
                                       cmocka_unit_test(refuses_damaged_loose_objects),
                                       cmocka_unit_test(reads_packs_and_refuses_bad_ones)};
    return cmocka_run_group_tests(tests, begin_repo, end_repo) != 0;
}
