/* vernier report DIR...: run directories, or directories that contain some, as one HTML page, or as a document. */

#include <string.h>

#include "base/print.h"
#include "base/str.h"
#include "cli/command.h"
#include "run/paper.h"
#include "run/report.h"

/* "docs/study.md" has its tables in docs/study.tex. */
static const char *beside(Arena *a, const char *path, const char *ending)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
    const size_t n = dot && dot > (slash ? slash + 1 : path) ? (size_t)(dot - path) : strlen(path);
    return str_print(a, "%.*s%s", (int)n, path, ending);
}

static Status paper(const Args *a, Arena *arena, int n, const char *const *dir)
{
    const char *path = args_text(a, "out", str_print(arena, "%s/report.md", args_at(a, 0)));
    const char *latex = beside(arena, path, ".tex");
    if (!strcmp(path, latex))
        return err_fail(E_CONFIG, "--out %s: the tables in LaTeX get this name; end it in .md", path);
    TRY(args_output(a, "--out", path, 0));
    TRY(args_output(a, "the tables of --out", latex, 0));
    TRY(paper_runs(path, latex, args_text(a, "title", NULL), arena, n, dir));
    print_out("%s\n%s\n", path, latex);
    return OK;
}

static Status report(const Args *a)
{
    enum { MOST = 1000 };
    Arena *arena = args_arena(a);
    const char **dir = NEW(arena, const char *, MOST);
    int n = 0;
    for (int i = 0; i < args_count(a); i++) TRY(report_find(dir, &n, MOST, arena, args_at(a, i)));
    if (args_given(a, "paper")) return paper(a, arena, n, dir);
    const char *path = args_text(a, "out", str_print(arena, "%s/report.html", args_at(a, 0)));
    TRY(args_output(a, "--out", path, 0));
    TRY(report_runs(path, args_text(a, "title", NULL), arena, n, dir));
    print_out("%s\n", path);
    return OK;
}

static const Option OPTIONS[] = {
    {"out", "FILE", "the page or document; default report.html (--paper: report.md) in the first DIR"},
    {"paper", NULL, "write a document in Markdown, and its tables in LaTeX beside it, with the ending .tex"},
    {"title", "TEXT", "its title"},
    OVERWRITE_OPTION,
    {0}};
static const Command REPORT = {.name = "report",
                               .summary = "make one self-contained HTML page of run directories, or a document",
                               .usage = "[options] DIR...",
                               .example = "vernier report --paper --out study.md runs/probes/study",
                               .options = OPTIONS,
                               .least = 1,
                               .most = -1,
                               .run = report};
REGISTER(command, REPORT)
