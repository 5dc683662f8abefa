/* vernier data: code changes from a repository, probing sets from code changes, and what such a set is worth. */
#include <string.h>

#include "cli/data.h"

static Status data(const Args *a)
{
    const char *what;
    TRY(args_verb(&what, a, "mine|make|sheet", "data"));
    if (!strcmp(what, "mine")) return data_mine(a);
    return !strcmp(what, "make") ? data_make(a) : data_sheet(a);
}

static const Option OPTIONS[] = {
    {"out", "FILE", "where the records or the probing set go", "mine|make"},
    OVERWRITE_OPTION_OF("mine|make"),
    {"json", NULL, "the summary, or the sheet, as JSON"},
    {"range", "A..B", "the commits of B that A has not, or all of B (default HEAD; so is an open end)", "mine"},
    {"since", "DAY", "from this day on (2024-01-31, UTC, or seconds since 1970)", "mine"},
    {"until", "DAY", "before this day", "mine"},
    {"lang", "LIST", "java, c, cpp, csharp, python, javascript (default all); other files are passed over", "mine"},
    {"mixed", NULL, "keep changes whose files are of several languages", "mine"},
    {"keep", "LIST", "do not leave out these: merges, reverts, releases, bots, unreadable (messages not in ASCII)",
     "mine"},
    {"bots", "LIST",
     "more authors to leave out as bots: names or addresses; known accounts and names with [bot] are anyway", "mine"},
    {"issue-prefix", "LIST",
     "remove the issue keys of these projects (ABC,XYZ) anywhere in a subject.  #12, GH-12 and keys of well-known "
     "projects (HBASE-12) go anyway where they stand alone; none keeps all keys",
     "mine"},
    {"whole-message", NULL, "the message as it is, unfiltered; default: its first line, cleaned", "mine"},
    {"min-words", "N", "least words of a message (default 3)", "mine"},
    {"max-words", "N", "most words of a message (default 30; 0: no limit)", "mine"},
    {"max-files", "N", "most files of a change (default 3; 0: no limit)", "mine"},
    {"max-chars", "N", "most characters of a change's lines (default 2000; mine 0: no limit)",
     "mine|make typ|make ccm|make ltp"},
    {"max-bytes", "N", "most bytes of a file (default 1048576)", "mine"},
    {"rename-limit", "N",
     "compare all pairs for renames up to N by N files of a commit (default 1000, git's own; 0: no limit).  "
     "diff.renameLimit and diff.renames of git's configuration have no say: the records depend on the commits alone",
     "mine"},
    {"context", "N", "kept lines around each change (default 1; typ wants whole methods: 1000)", "mine"},
    {"features", NULL, "add the 14 measures of each commit's history", "mine"},
    {"repo", "NAME", "what the records call the repository (default: its directory)", "mine"},
    {"resume", NULL,
     "the same command continues a killed run anyway; with this also where the branch has moved since, and then up "
     "to "
     "where it was",
     "mine"},
    {"n", "N", "so many records at most; so many invented changes (default 2000)", "mine|make changes"},
    {"from", "FILE", "change records to draw from; may be repeated (default: invented changes)",
     "make typ|make ccm|make ltp"},
    {"recipe", "NAME", "clean (default: no leaks, no short cuts known), or study: as published, with both",
     "make typ|make ccm|make ltp"},
    {"sizes", "N,N,N", "rows of training, validation and test (default 600,200,200)", "make typ|make ccm|make ltp"},
    {"seed", "N", "another draw (default 1)", "make"},
    {"fault", "KIND", "type (default: two types change places), or spelling", "make typ"},
    {"fragments", NULL, "take code that is no whole method, too", "make typ"},
    {"balance", NULL, "place and neighbouring marks are alike under both labels", "make ltp"},
    {"difficulty", "N", "of invented changes: 0 messages name everything, 1 in words, 2 nothing (default 1)", "make"},
    {"task", "TASK", "typ, ccm or ltp", "sheet"},
    {0}};
static const Verb VERBS[] = {
    {"mine", "PATH",
     "writes the commits of the git repository PATH as change records, one JSON object a line.  The filters are "
     "those "
     "of the commit-message sets."},
    {"make", "typ|ccm|ltp|changes",
     "writes a probing set (split, label, text) and its datasheet beside it, or changes: synthetic ones.",
     "typ|ccm|ltp|changes"},
    {"sheet", "FILE",
     "reports the size and balance of a probing set, the leakage between its splits, and the accuracy of heuristic "
     "baselines on it."},
    {0}};
static const Choice CHOICES[] = {{"task", "typ|ccm|ltp"},
                                 {"recipe", "clean|study"},
                                 {"fault", "type|spelling"},
                                 {"lang", "java|c|cpp|csharp|python|javascript"},
                                 {"keep", "merges|reverts|releases|bots|unreadable"},
                                 {0}};
static const Command DATA = {.name = "data",
                             .summary = "code changes: mine a repository, make probing sets, say what a set is worth",
                             .usage = "mine PATH | make typ|ccm|ltp|changes | sheet FILE  [options]",
                             .verbs = VERBS,
                             .choices = CHOICES,
                             .example = "vernier data mine ~/src/project --lang java --features --out changes.jsonl\n"
                                        "  vernier data make ccm --from changes.jsonl --out ccm.txt\n"
                                        "  vernier data make ltp --balance --out ltp.txt\n"
                                        "  vernier data sheet ltp.txt --task ltp",
                             .options = OPTIONS,
                             .least = 1,
                             .most = 2,
                             .run = data};
REGISTER(command, DATA)
