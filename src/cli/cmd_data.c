/* vernier data: code changes from a repository, probing sets from code changes, and datasheets of probing sets. */
#include <string.h>

#include "cli/data.h"

static Status data(const Args *a)
{
    const char *verb;
    TRY(args_verb(&verb, a, "mine|make|sheet"));
    if (!strcmp(verb, "mine")) return data_mine(a);
    return !strcmp(verb, "make") ? data_make(a) : data_sheet(a);
}

static const Option OPTIONS[] = {
    {"out", "FILE", "the file to write: the records or the probing set", "mine|make"},
    OVERWRITE_OPTION_OF("mine|make"),
    {"json", NULL, "print the summary, or the sheet, as JSON"},
    {"range", "A..B", "the commits of B that are not in A, or all of B (default HEAD; so is an open end)", "mine"},
    {"since", "DAY", "from this day on (2024-01-31, UTC, or seconds since 1970)", "mine"},
    {"until", "DAY", "before this day", "mine"},
    {"lang", "LIST", "java, c, cpp, csharp, python, javascript (default all); other files are skipped", "mine"},
    {"mixed", NULL, "keep changes with files of several languages", "mine"},
    {"keep", "LIST", "do not leave out these: merges, reverts, releases, bots, unreadable (messages not in ASCII)",
     "mine"},
    {"bots", "LIST",
     "more authors to leave out as bots: names or addresses; known accounts and names with [bot] are always left out",
     "mine"},
    {"issue-prefix", "LIST",
     "remove the issue keys of these projects (ABC,XYZ) anywhere in a subject.  #12, GH-12 and keys of well-known "
     "projects (HBASE-12) are always removed where they are separate words; none keeps all keys",
     "mine"},
    {"whole-message", NULL, "keep the whole message, unfiltered; default: its first line, cleaned", "mine"},
    {"min-words", "N", "minimum number of words of a message (default 3)", "mine"},
    {"max-words", "N", "maximum number of words of a message (default 30; 0: no limit)", "mine"},
    {"max-files", "N", "maximum number of files of a change (default 3; 0: no limit)", "mine"},
    {"max-chars", "N", "maximum number of characters of a change's lines (default 2000; mine 0: no limit)",
     "mine|make typ|make ccm|make ltp"},
    {"max-bytes", "N", "maximum size of a file in bytes (default 1048576)", "mine"},
    {"rename-limit", "N",
     "compare all pairs for renames up to N by N files of a commit (default 1000, git's own; 0: no limit).  "
     "diff.renameLimit and diff.renames of git's configuration are ignored: the records depend only on the commits",
     "mine"},
    {"context", "N", "unchanged lines to keep around each change (default 1; typ needs whole methods: 1000)", "mine"},
    {"features", NULL, "add the 14 measures of each commit's history", "mine"},
    {"repo", "NAME", "the name of the repository in the records (default: its directory)", "mine"},
    {"resume", NULL,
     "continue a killed run even if the branch has moved since, up to its old end (without this option the same "
     "command continues it if the branch has not moved)",
     "mine"},
    {"n", "N", "maximum number of records; number of synthetic changes (default 2000)", "mine|make changes"},
    {"from", "FILE", "change records to sample from; may be repeated (default: synthetic changes)",
     "make typ|make ccm|make ltp", .repeated = true},
    {"recipe", "NAME", "clean (default): no leakage and no known shortcuts; study: as published, with both",
     "make typ|make ccm|make ltp"},
    {"sizes", "N,N,N", "examples of training, validation and test (default 600,200,200)",
     "make typ|make ccm|make ltp"},
    {"seed", "N", "seed of the sample (default 1)", "make"},
    {"fault", "KIND", "type (default): two types are swapped; or spelling", "make typ"},
    {"fragments", NULL, "also take code that is not a whole method", "make typ"},
    {"balance", NULL, "balance the position and the neighbouring tags over the two labels", "make ltp"},
    {"difficulty", "N", "of synthetic changes: 0 messages name everything, 1 in other words, 2 nothing (default 1)",
     "make"},
    {"task", "TASK", "typ, ccm or ltp", "sheet"},
    {0}};
static const Verb VERBS[] = {
    {"mine", "PATH",
     "writes a git repository's commits as change records, one JSON object a line.  Its filters are those of the "
     "published data sets of commit messages."},
    {"make", "typ|ccm|ltp|changes",
     "writes a probing set (split, label, text) with its datasheet, or synthetic changes.  typ is made of changes of "
     "Java methods; for whole methods mine them with --context 1000.",
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
                             .summary = "mine code changes from a repository, make probing sets, check data sets",
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
