/* vernier data: code changes from a repository, probing sets from code changes, and what such a set is worth. */
#include <string.h>

#include "cli/data.h"

static Status data(const Args *a)
{
    const char *what = args_at(a, 0);
    if (!strcmp(what, "mine")) return data_mine(a);
    if (!strcmp(what, "make")) return data_make(a);
    if (!strcmp(what, "sheet")) return data_sheet(a);
    return fail(E_CONFIG, "'%.30s' is nothing to do with data; mine, make and sheet are", what);
}

static const Option OPTIONS[] = {
    {"out", "FILE", "mine, make: where the records or the probing set go"},
    {"json", NULL, "mine, sheet: the summary or the sheet as JSON"},
    {"range", "A..B", "mine: the commits of B that A has not, or all of B (default HEAD)"},
    {"since", "DAY", "mine: from this day on (2024-01-31, UTC, or seconds since 1970)"},
    {"until", "DAY", "mine: before this day"},
    {"lang", "LIST", "mine: java, c, cpp, csharp, python, javascript (default all); other files are passed over"},
    {"mixed", NULL, "mine: keep changes whose files are of several languages"},
    {"keep", "LIST", "mine: keep merges, reverts, releases, bots, too"},
    {"whole-message", NULL, "mine: the message as it is, unfiltered; default: its first line, cleaned"},
    {"min-words", "N", "mine: least words of a message (default 3)"},
    {"max-words", "N", "mine: most words of a message (default 30; 0: no limit)"},
    {"max-files", "N", "mine: most files of a change (default 3; 0: no limit)"},
    {"max-chars", "N", "mine: most characters of a change's lines (default 2000; 0: no limit)"},
    {"max-bytes", "N", "mine: most bytes of a file (default 1048576)"},
    {"context", "N", "mine: kept lines around each change (default 1; typ wants whole methods: 1000)"},
    {"features", NULL, "mine: add the 14 measures of each commit's history"},
    {"repo", "NAME", "mine: what the records call the repository (default: its directory)"},
    {"resume", NULL, "mine: go on where a killed run of the same options stopped"},
    {"n", "N", "mine: stop after N records; make changes: how many (default 2000)"},
    {"from", "FILE", "make: change records to draw from; may be repeated (default: invented changes)"},
    {"recipe", "NAME", "make: clean (default: no leaks, no short cuts known), or study: as published, with both"},
    {"sizes", "N,N,N", "make: rows of training, validation and test (default 600,200,200)"},
    {"seed", "N", "make: another draw (default 1)"},
    {"fault", "KIND", "make typ: type (default: two types change places), or spelling"},
    {"fragments", NULL, "make typ: take code that is no whole method, too"},
    {"balance", NULL, "make ltp: place and neighbouring marks are alike under both labels"},
    {"difficulty", "N", "make, invented changes: 0 messages name everything, 1 in words, 2 nothing (default 1)"},
    {"task", "TASK", "sheet: typ, ccm or ltp"},
    {0}};
static const Command DATA = {
    .name = "data",
    .summary = "code changes: mine a repository, make probing sets, say what a set is worth",
    .usage = "mine PATH | make typ|ccm|ltp|changes | sheet FILE  [options]",
    .about =
        "mine writes a git repository's commits as change records, one JSON object a line; the filters are those of "
        "the commit-message sets.  make writes a probing set (split, label, text) and its datasheet beside it, or "
        "changes: invented ones.  sheet says what a probing set holds, what leaks between its splits, and what "
        "rules that know no code score on it.",
    .example = "vernier data mine ~/src/project --lang java --features --out changes.jsonl\n"
               "  vernier data make ccm --from changes.jsonl --out ccm.txt\n"
               "  vernier data make ltp --balance --out ltp.txt\n"
               "  vernier data sheet ltp.txt --task ltp",
    .options = OPTIONS,
    .least = 1,
    .most = 2,
    .run = data};
REGISTER(command, DATA)
