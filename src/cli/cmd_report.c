/* vernier report DIR...: run directories, or directories that contain some, as one HTML page. */

#include "base/print.h"
#include "base/str.h"
#include "cli/command.h"
#include "run/report.h"

static Status report(const Args *a)
{
    enum { MOST = 1000 };
    Arena *arena = args_arena(a);
    const char **dir = NEW(arena, const char *, MOST);
    int n = 0;
    for (int i = 0; i < args_count(a); i++) TRY(report_find(dir, &n, MOST, arena, args_at(a, i)));
    const char *path = args_text(a, "out", str_print(arena, "%s/report.html", args_at(a, 0)));
    TRY(args_output(a, "--out", path, 0));
    TRY(report_runs(path, arena, n, dir));
    print_out("%s\n", path);
    return OK;
}

static const Option OPTIONS[] = {
    {"out", "FILE", "the page; default report.html in the first DIR"}, OVERWRITE_OPTION, {0}};
static const Command REPORT = {.name = "report",
                               .summary = "make one self-contained HTML page of run directories",
                               .usage = "[options] DIR...",
                               .example = "vernier report runs --out report.html",
                               .options = OPTIONS,
                               .least = 1,
                               .most = -1,
                               .run = report};
REGISTER(command, REPORT)
