/* Which commits are left out by their author and message, and the parts removed from a subject.  Every rule has
 * its look-alikes: people, sentences and names that share a word with the target of the rule. */
#include "expect.h"

#include <string.h>

#include "scratch.h"
#include "change/subject.h"

#define HASH "0123456789abcdef0123456789abcdef01234567"

static void kinds_of_messages(void **state)
{
    (void)state;
    static const struct {
        const char *message;
        SubjectKind kind;
    } CASE[] = {{"Fix caching of receivers", SUBJECT_PLAIN},
                {"Merge two sorted lists faster", SUBJECT_PLAIN}, /* parents make a merge, and not the word */
                {"Merge pull request #3 from a/b", SUBJECT_PLAIN},
                {"Revert \"Add a test\"", SUBJECT_REVERT},
                {"Revert \"Add a test\" (#123)", SUBJECT_REVERT},
                {"Revert \"Add a very long subject that is cut b...\n\n...y the site\"", SUBJECT_REVERT},
                {"Revert \"quoted\" words and more...", SUBJECT_PLAIN},
                {"Reapply \"Add a test\"", SUBJECT_REVERT},
                {"Undo the cache\n\nThis reverts commit " HASH ".", SUBJECT_REVERT},
                {"Undo it\n\nThis reverts commit " HASH ", reversing\nchanges made to " HASH ".\n", SUBJECT_REVERT},
                {"Undo it\n\nThis reverts commit " HASH ", reversing changes made to " HASH ".", SUBJECT_REVERT},
                {"Undo it\r\n\r\nThis reverts commit " HASH ".\r\nIt was slow.", SUBJECT_REVERT},
                {"Revert \"the cache\" for now\n\nThis reverts commit 0123abc.", SUBJECT_REVERT},
                {"Undo the cache\n\nThis reverts commit 0123abc4.", SUBJECT_PLAIN},
                {"Undo the cache\n\nThis reverts commit deadbee, partially.", SUBJECT_PLAIN},
                {"Undo the cache\n\nThis reverts commit " HASH ", partially.", SUBJECT_PLAIN},
                {"Undo the cache\n\nThis reverts commit " HASH " in part.", SUBJECT_PLAIN},
                {"Undo the cache\n\nThis reverts commit " HASH ". But not all.", SUBJECT_PLAIN},
                {"Undo the cache\n\nThis reverts commit " HASH, SUBJECT_PLAIN},
                {"Revert \"the cache\" for now\n\nThis reverts commit deadbee, partially.", SUBJECT_PLAIN},
                {"Revert \"the cache\" for now\n\nThis reverts commit 012abc.", SUBJECT_PLAIN},
                {"Revert to the older parser", SUBJECT_PLAIN},
                {"Revert \"quoted\" words in titles", SUBJECT_PLAIN},
                {"Rollback transaction when the insert fails", SUBJECT_PLAIN},
                {"Back out of the loop early", SUBJECT_PLAIN},
                {"Explain it\n\nThe button says: This reverts commit history.", SUBJECT_PLAIN},
                {"Release 2.1", SUBJECT_RELEASE},
                {"Release version 1.2.3-rc1", SUBJECT_RELEASE},
                {"Release jackson-core-2.3.0", SUBJECT_RELEASE},
                {"Release Foo 1.2.3", SUBJECT_RELEASE},
                {"Release 42", SUBJECT_RELEASE},
                {"v1.2.3", SUBJECT_RELEASE},
                {"1.2.3 (#77)", SUBJECT_RELEASE},
                {"chore(release): 3.0.0", SUBJECT_RELEASE},
                {"Bump version to 1.4.0-SNAPSHOT", SUBJECT_RELEASE},
                {"Prepare for next development iteration 1.5.0-SNAPSHOT", SUBJECT_RELEASE},
                {"[maven-release-plugin] prepare release a-1", SUBJECT_RELEASE},
                {"[maven-release-plugin] prepare for next development iteration", SUBJECT_RELEASE},
                {"Version bump", SUBJECT_RELEASE},
                {"Release the lock before waiting", SUBJECT_PLAIN},
                {"Release the lock after 10 seconds", SUBJECT_PLAIN},
                {"Prepare the statement once", SUBJECT_PLAIN},
                {"Update changelog", SUBJECT_PLAIN},
                {"Upgrade junit to 4.11", SUBJECT_PLAIN},
                {"Bump lodash from 1.2.3 to 1.2.4", SUBJECT_PLAIN},
                {"Set the version of the protocol in requests", SUBJECT_PLAIN},
                {"Add v1.2 of the protocol to the client", SUBJECT_PLAIN},
                {"1.2aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa !x", SUBJECT_PLAIN}};
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        SubjectKind kind = subject_kind(CASE[i].message, "Ann", "ann@x.org", NULL);
        EXPECT(kind == CASE[i].kind, "%s: kind %d, expected %d", CASE[i].message, kind, CASE[i].kind);
    }
}

static void robots_are_accounts(void **state)
{
    (void)state;
    static const struct {
        const char *name, *email;
        bool robot;
    } CASE[] = {{"dependabot[bot]", "49699333+dependabot[bot]@users.noreply.github.com", true},
                {"Ann's app", "12+anns-app[bot]@users.noreply.github.com", true},
                {"renovate-bot", "x@y.org", true},
                {"GitHub Actions", "", true},
                {"Travis CI", "builds@travis-ci.org", true},
                {"our builder", "x@y.org", true},
                {"Ann", "ci@our.org", true},
                {"Travis Muster", "travis@example.org", false},
                {"Travis", "travis@example.org", false},
                {"Dora Jenkins", "dora@jenkins.io", false},
                {"Jenkins", "j@x.org", false},
                {"Elise Talbot", "talbot@x.org", false},
                {"Renovate Miller", "miller@renovate.org", false},
                {"Bo Tbot", "[bot]@x.org ", true},
                {"Ann", "ann@[bot].org", false},
                {"our", "our.org", false}};
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        SubjectKind kind = subject_kind("Change it", CASE[i].name, CASE[i].email, "Our Builder, ci@our.org");
        EXPECT((kind == SUBJECT_BOT) == CASE[i].robot, "%s <%s>: kind %d", CASE[i].name, CASE[i].email, kind);
    }
}

static void cleans_subjects(void **state)
{
    (void)state;
    static const struct {
        const char *message, *prefixes, *clean;
    } CASE[] = {{"Fix caching of receivers", NULL, "Fix caching of receivers"},
                {"IVY-715: make  output\tconfigurable (closes #12)", "IVY", "make output configurable"},
                {"HADOOP-12. Fix the namenode", "HADOOP", "Fix the namenode"},
                {"HBASE-12 Fix the master", "HBASE", "Fix the master"},
                {"HBASE-12 - Fix the master", "HBASE", "Fix the master"},
                {"[HBASE-7] Fix it [HBASE-8, HBASE-9]", "HBASE", "Fix it"},
                {"[HBASE-7]: Fix it", "HBASE", "Fix it"},
                {"AB-1, CD-2: one and two", "AB,CD", "one and two"},
                {"Handle nulls (fixes AB-12)", "AB", "Handle nulls"},
                {"Handle nulls, fixes AB-12", "AB", "Handle nulls"},
                {"Fix HBASE-123 the thing here", "HBASE", "Fix the thing here"},
                {"Fix HBASE-123: the thing here", "HBASE", "Fix the thing here"},
                {"Fixes HBASE-1 and HBASE-2 in the parser", "HBASE", "Fixes in the parser"},
                {"Handle (HBASE-1, #2) here", "HBASE", "Handle here"},
                {"IE-11: fix the layout here", NULL, "IE-11: fix the layout here"},
                {"JDK-8: drop support of it", NULL, "JDK-8: drop support of it"},
                {"ES-6: use arrows", NULL, "ES-6: use arrows"},
                {"MPEG-4 Files play (MPEG-2)", NULL, "MPEG-4 Files play (MPEG-2)"},
                {"Handle nulls, fixes AB-12", NULL, "Handle nulls, fixes AB-12"},
                {"IVY-715: make it so", NULL, "make it so"},
                {"ABC-715: make it so", NULL, "ABC-715: make it so"},
                {"JIRA-123: Handle the empty list case", NULL, "Handle the empty list case"},
                {"Fix #12 and GH-15 in the parser", NULL, "Fix #12 and GH-15 in the parser"},
                {"Fix #12 and GH-15 in the parser", "HBASE", "Fix #12 and GH-15 in the parser"},
                {"Fixes #12", NULL, "Fixes #12"},
                {"Fix what broke in #12", NULL, "Fix what broke in #12"},
                {"Handle the empty list #12", NULL, "Handle the empty list"},
                {"Handle the empty list. Closes #12 and GH-15.", NULL, "Handle the empty list"},
                {"Handle the empty list (#12, closes GH-15) at last", NULL, "Handle the empty list at last"},
                {"GH-8: null check", NULL, "null check"},
                {"Use 1a2b3c4d as in https://x.org/a?b, says a@b.org", NULL, "Use <hash> as in <url> says <email>"},
                {"\n  Fixes #7 - null check [GH-8]\nmore", NULL, "Fixes #7 - null check"},
                {"Fix null check in foo() (closes #12)", NULL, "Fix null check in foo()"},
                {"Call free() and [] in f(x, y) (#1, #2)", NULL, "Call free() and [] in f(x, y)"},
                {"Fix UTF-8 and SHA-256 handling here", NULL, "Fix UTF-8 and SHA-256 handling here"},
                {"UTF-16: handle the mark (ISO-8859-1)", NULL, "UTF-16: handle the mark (ISO-8859-1)"},
                {"Fix CVE-2024-1234 and GPT-2 on ARM-64", NULL, "Fix CVE-2024-1234 and GPT-2 on ARM-64"},
                {"Handle X-509 and AB-12 in text", NULL, "Handle X-509 and AB-12 in text"},
                {"Entity &#39; stays, C#7 too", NULL, "Entity &#39; stays, C#7 too"},
                {"Fix org/repo#12 for good", NULL, "Fix org/repo#12 for good"},
                {"Move to the new name (org/repo#12)", NULL, "Move to the new name"},
                {".gitignore lists --flag", NULL, ".gitignore lists --flag"},
                {"- use i-- there", NULL, "use i-- there"},
                {"HBASE-12 Fix what ZZ-3 did", "HBASE,HADOOP", "Fix what ZZ-3 did"},
                {"Fix HADOOP-12, UTF-8 (HBASE-3)", "HBASE,HADOOP", "Fix , UTF-8"},
                {"HBASE-12-fix stays, XHBASE-12 too", "HBASE", "HBASE-12-fix stays, XHBASE-12 too"},
                {"IVY-715: make it so", "", "IVY-715: make it so"}};
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        const char *clean = subject_clean(&arena, CASE[i].message, CASE[i].prefixes);
        EXPECT(!strcmp(clean, CASE[i].clean), "%s: \"%s\", expected \"%s\"", CASE[i].message, clean, CASE[i].clean);
    }
    assert_int_equal(subject_words(" a bc  d "), 3);
    assert_false(subject_readable("caf\xc3\xa9"));
    assert_false(subject_readable("1.2.3 == a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(kinds_of_messages), cmocka_unit_test(robots_are_accounts),
                                       cmocka_unit_test(cleans_subjects)};
    return cmocka_run_group_tests(tests, begin, end) != 0;
}
