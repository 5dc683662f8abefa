/* Robots are a list of accounts; reverts, releases and the parts removed from a subject are regular expressions,
 * compiled on first use. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "change/subject.h"

#include <ctype.h>
#include <pcre2.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"

/* ---- robots ---- */

/* Whole names and addresses under which robots commit.  A word that is a person's name, too (Travis, Jenkins), is not
 * among them alone. */
static const char ROBOTS[] =
    "actions-user, action@github.com, allcontributors, arcanist-bot, azure-pipelines-bot, bors, "
    "bors-servo, builds@travis-ci.org, chromium-autoroll, circleci-bot, cla-bot, codecov-io, "
    "conda-forge-admin, copybara-service, copybara-worker, crowdin-bot, dependabot, dependabot-preview, "
    "dependabot-support, support@dependabot.com, deploy@travis-ci.org, engine-flutter-autoroll, "
    "facebook-github-bot, fluttergithubbot, gardener@tensorflow.org, git-for-windows-ci, github actions, "
    "github action, github-actions, github-actions-bot, github-classroom, gitlab-bot, gitter-badger, "
    "googleapis-publisher, greenkeeper, greenkeeperio-bot, hosted weblate, hosted@weblate.org, imgbot, "
    "imgbotapp, jenkins-bot, jenkins-x-bot, jenkins ci, k8s-ci-robot, k8s-merge-robot, "
    "kubernetes-prow-robot, kubernetes prow robot, kubernetes publisher, lgtm-com, mergify, mergify-bot, "
    "npm-cli-bot, openshift-bot, openshift-merge-bot, openshift-merge-robot, openstack proposal bot, "
    "openstack-infra@lists.openstack.org, pre-commit-ci, proposal-bot, pyup-bot, pyup.io bot, "
    "github-bot@pyup.io, readthedocs-assistant, release-please, renovate, renovate-bot, renovate bot, "
    "bot@renovateapp.com, restyled-io, rust-bors, rust-timer, scala steward, scala-steward, "
    "semantic-release-bot, semantic-release-bot@martynus.net, skia-autoroll, skia-flutter-autoroll, "
    "snyk-bot, snyk-test, snyk bot, stale-bot, swift-ci, tensorflower gardener, tensorflower-gardener, "
    "the-github-bot, transifex-integration, travis ci, travis-ci, travis-bot, v8-autoroll, v8 autoroll, "
    "webkit-commit-queue, commit-queue@webkit.org, whitesource-bolt, zuul, zuul@review.opendev.org";

#define COUNT(list) (sizeof(list) / sizeof *(list))

static bool ends_with(const char *s, size_t n, const char *end)
{
    size_t k = strlen(end);
    return n >= k && !strncasecmp(s + n - k, end, k);
}

/* Whether s is one of the names between commas, blanks around them apart. */
static bool in_list(const char *list, const char *s)
{
    size_t n;
    for (const char *rest = list, *p; str_next(&rest, ",", &p, &n);) {
        for (; n && *p == ' '; n--) p++;
        while (n && p[n - 1] == ' ') n--;
        if (n && n == strlen(s) && !strncasecmp(p, s, n)) return true;
    }
    return false;
}

static bool is_robot(const char *author, const char *email, const char *bots)
{
    if (ends_with(author, strlen(author), "[bot]") || ends_with(email, strcspn(email, "@"), "[bot]")) return true;
    return in_list(ROBOTS, author) || in_list(ROBOTS, email) || in_list(bots, author) || in_list(bots, email);
}

/* ---- patterns ---- */

#define VERSION "(?:v\\.?)?\\d++(?:\\.\\d++)++(?:[-.+~_]?[0-9a-z]++)*+"
#define TAG "(?:[a-z][a-z0-9.]*+[-_/])++" VERSION /* project-1.2.0 */
#define NUMBER "(?:" VERSION "|v\\d+(?:[-.]?(?:rc|alpha|beta)\\d*)?|" TAG ")"
#define AROUND                                                                                                       \
    "(?:releas(?:e[sd]?|ing)|versions?|number|bump(?:s|ed|ing)?|set(?:ting)?|updat(?:e[sd]?|ing)|"                   \
    "increment(?:s|ed)?|tag(?:s|ged|ging)?|cut(?:ting)?|prepar(?:e[sd]?|ing)|publish(?:e[sd]|ing)?|"                 \
    "start(?:s|ing)?|begin|back|for|to|the|next|new|of|from|and|in|at|is|as|development|iteration|snapshot|"         \
    "stable|final|candidate|rc\\d*|alpha|beta|chore|build|ci|project)"

/* Matched against the subject; the whole of it, upper and lower case alike. */
static const struct {
    SubjectKind kind;
    const char *pattern;
} KIND[] = {
    /* GitHub adds the number of the pull request, and cuts a long subject with three dots. */
    {SUBJECT_REVERT, "^(?:revert|reapply) \"(?:.*\"(?: \\(#\\d+\\))?|[^\"]*(?:\\.\\.\\.|\xe2\x80\xa6))$"},
    {SUBJECT_RELEASE, "^\\[(?:maven-)?release-plugin\\]"},
    {SUBJECT_RELEASE, "^\\W*(?:" AROUND "\\W+)*" NUMBER "(?:\\W+(?:" AROUND "|" NUMBER "))*(?: \\(#\\d+\\))?\\W*$"},
    {SUBJECT_RELEASE, "^\\W*releas(?:e[sd]?|ing) (?:of )?[\\w.-]+ (?:version )?" VERSION "\\W*$"},
    {SUBJECT_RELEASE, "^\\W*(?:releas(?:e[sd]?|ing)|version)\\W+\\d+\\W*$"},
    {SUBJECT_RELEASE, "^\\W*(?:version (?:number )?bump|(?:bump|increment) (?:the )?version(?: number)?)\\W*$"}};

/* git's own sentence, a line of the message by itself; ids are short only under a subject that is git's, too. */
#define SENTENCE(digits)                                                                                             \
    "^This reverts commit [0-9a-f]{" digits "}(?:,\\s+reversing\\s+changes\\s+made\\s+to\\s+[0-9a-f]{" digits        \
    "})?\\.[ \\t\\r]*$"
static const char TRAILER[] = "(?ms)" SENTENCE("40") "|\\A\\s*Revert \".*" SENTENCE("7,40");

typedef struct {
    const char *pattern, *with;
} Rule;

/* Applied in order to the first line. */
static const Rule CLEAN[] = {{"\\b(https?|ftp|git|ssh)://\\S+", "<url>"},
                             {"[\\w.+-]+@[\\w-]+(\\.[\\w-]+)+", "<email>"},
                             {"\\b(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{7,40}\\b", "<hash>"},
                             {"(?i)\\b(signed-off-by|reviewed-by|co-authored-by|git-svn-id|change-id):.*$", ""}};

/* References: #12, owner/name#12, GH-12, and keys of projects (HBASE-12), whose alternatives take the place of KEYS.
 * Known are names of trackers and of projects, those of JIT-Defects4J among them. */
#define KEYS "<KEYS>"
#define TRACKERS "(?i:jira|issue|bug|ticket)"
#define PROJECTS                                                                                                     \
    "BCEL|BEANUTILS|CODEC|COLLECTIONS|COMPRESS|CONFIGURATION|DBCP|DIGESTER|DELTASPIKE|GIRAPH|GORA|IVY|JCS|JSPWIKI|"  \
    "LANG|MATH|NET|OPENNLP|PARQUET|SANTUARIO|SCXML|SYSTEMML|VALIDATOR|VFS|AMBARI|CALCITE|CAMEL|CASSANDRA|DERBY|"     \
    "DRILL|FLINK|GROOVY|HADOOP|HBASE|HDFS|HHH|HIVE|IGNITE|KAFKA|LUCENE|MAPREDUCE|MNG|NIFI|OAK|OOZIE|PIG|SLING|SOLR|" \
    "SPARK|SPR|STORM|TINKERPOP|WICKET|YARN|ZOOKEEPER"
#define REFERENCE                                                                                                    \
    "(?:(?:(?<![\\w&#])(?:[\\w.-]+/[\\w.-]+)?#|(?<![\\w-])(?:(?i:gh)|" KEYS ")-)\\d+(?![\\w-]|\\.\\d)"               \
    ")"
#define BETWEEN "(?:\\s*[,;/&]\\s*|\\s+and\\s+|\\s+)"
#define CLOSING "(?i:close[sd]?|fix(?:es|ed)?|resolve[sd]?|refs?|see|issue|bug|pr)"
#define REFERENCES REFERENCE "(?:" BETWEEN "(?:" CLOSING "[ :]+)*" REFERENCE ")*"
/* A sentence does not end in one of these words: the reference is part of it. */
#define NEEDS_MORE                                                                                                   \
    "(?i)(?<!\\bin|\\bof|\\bfor|\\bto|\\bby|\\bat|\\bon|\\bas|\\bfrom|\\bwith|\\bafter|\\bbefore|\\bsince|\\band|"   \
    "\\bor|\\bper|\\bvia|\\bthe|\\bthan|\\blike|\\bsee|\\bref|\\brefs|\\bfix|\\bfixes|\\bfixed|\\bclose|\\bcloses|"  \
    "\\bclosed|\\bresolve|\\bresolves|\\bresolved|\\bissue|\\bbug|\\bpr|\\bticket|\\brequest)"

/* References where they stand alone: at the start before a mark, in brackets, and at the end. */
static const char *const ALONE[] = {
    "^\\s*" REFERENCES "\\s*(?::|\\.(?=\\s)|\\s-(?=\\s))",
    "[(\\[]\\s*(?:" CLOSING "[ :]*)*" REFERENCES "\\s*[)\\]]:?",
    "(?:[,;.]|\\s-)\\s+(?i:close[sd]?|fixe[sd]|resolve[sd]?|refs?|see)[ :]+" REFERENCES "[\\s.]*$",
    NEEDS_MORE "(?:\\s*[,;:]|\\s-)?\\s+" REFERENCES "[\\s.]*$"};

/* Keys of the given projects wherever they are; the text around them stays. */
static const char ANYWHERE[] = "(?<![\\w-])(?:" KEYS ")-\\d+(?![\\w-]|\\.\\d)"
                               "(?:" BETWEEN "(?:" KEYS ")-\\d+(?![\\w-]|\\.\\d))*:?";

static const Rule TIDY[] = {{"\\s+", " "}, {"^(?:[\\s:;,|]|[.*#-]+(?=\\s|$))+|(?:\\s-+)?[\\s:;,]*$", ""}};

static pcre2_code *kind_code[COUNT(KIND)], *trailer_code, *clean_code[COUNT(CLEAN)], *tidy_code[COUNT(TIDY)];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static pcre2_code *compiled(const char *pattern, uint32_t flags)
{
    int code;
    PCRE2_SIZE at;
    pcre2_code *c = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, flags, &code, &at, NULL);
    CHECK(c, "the pattern %s does not compile: code %d at byte %zu", pattern, code, at);
    return c;
}

static void compile_all(void)
{
    for (size_t i = 0; i < COUNT(KIND); i++) kind_code[i] = compiled(KIND[i].pattern, PCRE2_CASELESS);
    trailer_code = compiled(TRAILER, 0);
    for (size_t i = 0; i < COUNT(CLEAN); i++) clean_code[i] = compiled(CLEAN[i].pattern, 0);
    for (size_t i = 0; i < COUNT(TIDY); i++) tidy_code[i] = compiled(TIDY[i].pattern, 0);
}

static bool matches(const pcre2_code *code, const char *s, size_t n)
{
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    bool found = pcre2_match(code, (PCRE2_SPTR)s, n, 0, 0, match, NULL) >= 0;
    pcre2_match_data_free(match);
    return found;
}

/* The first line that is not blank, without blanks at its end; its length. */
static size_t first_line(const char **line, const char *message)
{
    *line = message + strspn(message, " \t\r\n");
    size_t n = strcspn(*line, "\r\n");
    if (n > 4096) n = 4096;
    while (n && strchr(" \t", (*line)[n - 1])) n--;
    return n;
}

SubjectKind subject_kind(const char *message, const char *author, const char *email, const char *bots)
{
    const char *line;
    size_t n = first_line(&line, message);
    pthread_once(&once, compile_all);
    if (is_robot(author, email, bots)) return SUBJECT_BOT;
    for (size_t i = 0; i < COUNT(KIND); i++)
        if (matches(kind_code[i], line, n)) return KIND[i].kind;
    return matches(trailer_code, message, strlen(message)) ? SUBJECT_REVERT : SUBJECT_PLAIN;
}

/* ---- cleaning ---- */

static char *replaced(Arena *a, char *text, const pcre2_code *code, const char *with)
{
    PCRE2_SIZE room = 4 * strlen(text) + 64; /* a replacement is at most seven bytes, for three or more */
    char *to = arena_take(a, room);
    int done = pcre2_substitute(code, (PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, 0, PCRE2_SUBSTITUTE_GLOBAL, NULL, NULL,
                                (PCRE2_SPTR)with, PCRE2_ZERO_TERMINATED, (PCRE2_UCHAR *)to, &room);
    return done >= 0 ? to : text;
}

/* The prefixes between commas as the alternatives of a pattern, which matches nothing where there are none. */
static const char *alternatives(Arena *a, const char *prefixes)
{
    Buf b = buf_open(a);
    buf_print(&b, "(?!)");
    for (const char *p = prefixes; *p;) {
        p += strspn(p, " ,");
        size_t n = strcspn(p, " ,");
        if (n) buf_print(&b, "|\\Q%.*s\\E", (int)n, p);
        p += n;
    }
    return b.text;
}

/* The pattern with `keys` where it has a place for them. */
static pcre2_code *with_keys(Arena *a, const char *pattern, const char *keys)
{
    Buf b = buf_open(a);
    for (const char *place; (place = strstr(pattern, KEYS)); pattern = place + strlen(KEYS))
        buf_print(&b, "%.*s%s", (int)(place - pattern), pattern, keys);
    buf_print(&b, "%s", pattern);
    return compiled(b.text, 0);
}

/* The expressions that remove references and keys.  One set serves all subjects of a history: its prefixes rarely
 * change. */
typedef struct {
    char prefixes[1024]; /* of this set */
    bool made, known;    /* known: prefixes are not "" */
    pcre2_code *alone[COUNT(ALONE)], *anywhere;
} Cutter;

/* The compiled patterns that find issue keys in subjects, cached for the last list of prefixes. */
static const Cutter *cutter(Arena *a, const char *prefixes)
{
    static _Thread_local Cutter c;
    const bool known = !prefixes || *prefixes;
    const char *given = prefixes ? prefixes : "";
    if (c.made && c.known == known && !strcmp(c.prefixes, given)) return &c;
    for (size_t i = 0; i < COUNT(ALONE); i++) pcre2_code_free(c.alone[i]);
    pcre2_code_free(c.anywhere);
    const char *keys = alternatives(a, given), *all = known ? str_print(a, "%s|" TRACKERS "|" PROJECTS, keys) : keys;
    for (size_t i = 0; i < COUNT(ALONE); i++) c.alone[i] = with_keys(a, ALONE[i], all);
    c.anywhere = with_keys(a, ANYWHERE, keys);
    c.known = known;
    c.made = strlen(given) < sizeof c.prefixes; /* a longer list is made anew each time */
    if (c.made) strcpy(c.prefixes, given);
    return &c;
}

char *subject_clean(Arena *a, const char *message, const char *prefixes)
{
    const char *line;
    size_t n = first_line(&line, message);
    char *text = str_copy(a, line, n);
    pthread_once(&once, compile_all);
    const Cutter *c = cutter(a, prefixes);
    for (size_t i = 0; i < COUNT(CLEAN); i++) text = replaced(a, text, clean_code[i], CLEAN[i].with);
    for (size_t i = 0; i < COUNT(ALONE); i++) text = replaced(a, text, c->alone[i], "");
    text = replaced(a, text, c->anywhere, "");
    for (size_t i = 0; i < COUNT(TIDY); i++) text = replaced(a, text, tidy_code[i], TIDY[i].with);
    return text;
}

int subject_words(const char *s)
{
    int n = 0;
    for (; *s; s++) n += *s != ' ' && (s[1] == ' ' || !s[1]);
    return n;
}

bool subject_readable(const char *s)
{
    int64_t letters = 0, all = 0;
    for (; *s; s++, all++) {
        if ((unsigned char)*s >= 127 || (unsigned char)*s < 32) return false;
        letters += isalpha((unsigned char)*s) != 0;
    }
    return all > 0 && 2 * letters >= all;
}
