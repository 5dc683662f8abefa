/* Two tables of regular expressions, compiled on first use. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "tasks/subject.h"

#include <ctype.h>
#include <pcre2.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

/* Matched against "subject\nauthor <email>"; the first that fits decides. */
static const struct {
    SubjectKind kind;
    const char *pattern;
} KIND[] = {
    {SUBJECT_BOT,
     "\\n.*(\\[bot\\]|\\b(dependabot|greenkeeper|renovate|pyup|snyk|autoroll\\w*|buildbot|jenkins|travis|"
     "github[- ]?actions?|web-?flow-?bot|\\w+-bot)\\b)"},
    {SUBJECT_BOT, "^(chore|build|fix)?(\\([^)]*\\))?:? ?(bump|update|upgrade) [^\\n]* from v?\\d\\S* to v?\\d"},
    {SUBJECT_MERGE,
     "^\\W*merg(e[ds]?|ing)( \\w+){0,2} (branch(es)?|pull|pr|remote|tag|commits?|trunk|master|main|into|from|"
     "with|changes|revisions?|r?\\d+)\\b"},
    {SUBJECT_MERGE, "^\\W*(merge[ds]?:?|auto-?merge\\b[^\\n]*|pull request\\b[^\\n]*)\\n"},
    {SUBJECT_REVERT, "^\\W*(revert(s|ed|ing)?|roll ?back|back(ed|ing)? out)\\b"},
    {SUBJECT_RELEASE,
     "^\\[?(maven-)?releas(e|ed|ing)(-plugin\\]|:|\\n| notes| candidate| of | version| [^\\n]{0,20}v?\\d)"},
    {SUBJECT_RELEASE, "^prepar(e|ed|ing) (for )?(the )?(next )?(release|development|version|v?\\d)"},
    {SUBJECT_RELEASE,
     "^\\W*(bump(ed|s|ing)?|updat(e|ed|ing)|upgrad(e|ed|ing)|increment(ed)?|set|cut|tag(ged)?)?( \\S+)? ?"
     "(to )?(version( number)?( bump)?|v?\\d+(\\.\\d+)+\\S*)( (to|for|number)?[^\\n]{0,20})?\\n"},
    {SUBJECT_RELEASE, "^[^\\n]{0,20}\\b(change ?log|release notes|news file)\\b[^\\n]{0,20}\\n"}};

/* Applied in order to the first line. */
static const struct {
    const char *pattern, *with;
} CLEAN[] = {
    {"\\b(https?|ftp|git|ssh)://\\S+", "<url>"},
    {"[\\w.+-]+@[\\w-]+(\\.[\\w-]+)+", "<email>"},
    {"\\b(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{7,40}\\b", "<hash>"},
    {"(?i)\\b(signed-off-by|reviewed-by|co-authored-by|git-svn-id|change-id):.*$", ""},
    {"(?i)[(\\[]?(\\b(close[sd]?|fix(es|ed)?|resolve[sd]?|refs?|see|issue|bug|pr|gh)[ :]*)?(#|gh-)\\d+[)\\]]?", ""},
    {"[(\\[]?\\b[A-Z][A-Z0-9]+-\\d+\\b[)\\]]?", ""},
    {"[(\\[][\\s,;]*[)\\]]", ""},
    {"\\s+", " "},
    {"^[\\s:;,.*#|-]+|[\\s:;,-]+$", ""}};

#define COUNT(list) (sizeof(list) / sizeof *(list))
static pcre2_code *kind_code[COUNT(KIND)], *clean_code[COUNT(CLEAN)];
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
    for (size_t i = 0; i < COUNT(CLEAN); i++) clean_code[i] = compiled(CLEAN[i].pattern, 0);
}

/* The first line that is not blank; its length. */
static size_t first_line(const char **line, const char *message)
{
    *line = message + strspn(message, " \t\r\n");
    size_t n = strcspn(*line, "\r\n");
    return n < 4096 ? n : 4096;
}

SubjectKind subject_kind(const char *message, const char *author, const char *email)
{
    char text[5000];
    const char *line;
    int n = (int)first_line(&line, message);
    snprintf(text, sizeof text, "%.*s\n%.200s <%.200s>", n, line, author, email);
    pthread_once(&once, compile_all);
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    SubjectKind kind = SUBJECT_PLAIN;
    for (size_t i = 0; i < COUNT(KIND) && !kind; i++)
        if (pcre2_match(kind_code[i], (PCRE2_SPTR)text, strlen(text), 0, 0, match, NULL) >= 0) kind = KIND[i].kind;
    pcre2_match_data_free(match);
    return kind;
}

char *subject_clean(Arena *a, const char *message)
{
    const char *line;
    size_t n = first_line(&line, message);
    char *text = str_copy(a, line, n);
    pthread_once(&once, compile_all);
    for (size_t i = 0; i < COUNT(CLEAN); i++) {
        PCRE2_SIZE room = 4 * strlen(text) + 64; /* a replacement is at most seven bytes, for three or more */
        char *to = arena_take(a, room);
        if (pcre2_substitute(clean_code[i], (PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, 0, PCRE2_SUBSTITUTE_GLOBAL, NULL,
                             NULL, (PCRE2_SPTR)CLEAN[i].with, PCRE2_ZERO_TERMINATED, (PCRE2_UCHAR *)to, &room) >= 0)
            text = to;
    }
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
