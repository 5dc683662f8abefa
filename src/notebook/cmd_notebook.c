/* vernier notebook: a notebook in C, run and written as .ipynb and as a page. */
#include <string.h>

#include "base/print.h"
#include "base/str.h"
#include "cli/command.h"
#include "notebook/notebook.h"

static const Option OPTIONS[] = {
    {"out", "DIR", "the folder in which cells run, and which receives NAME.ipynb and NAME.html (default out)"},
    {"against", "FILE",
     "compare with this .ipynb, made earlier or elsewhere. Exit status 1 and the first cell that differs where it is "
     "stale. Decimal numbers may differ by one unit of their last digit; a picture counts by its size and caption"},
    {"store", "FILE", "keep the notebook here as well: this .ipynb is written where it is not there or is stale"},
    OVERWRITE_OPTION,
    {0}};

/* Writes the notebook to `path`, unless the one there says the same. */
static Status store(Arena *a, const Notebook *nb, const char *json, const char *path)
{
    Notebook old;
    bool fresh = !file_there(path) && !notebook_load(&old, a, path) && !notebook_compare(nb, &old, a);
    if (fresh) return OK;
    err_clear();
    print_err("%s is written anew\n", path);
    return file_write(path, json, strlen(json));
}

static Status notebook(const Args *args)
{
    Arena *a = args_arena(args);
    const char *out = args_text(args, "out", "out"), *against = args_text(args, "against", NULL);
    const char *kept = args_text(args, "store", NULL);
    Notebook nb, stored;
    TRY(notebook_read(&nb, a, args_at(args, 0)));
    if (against) TRY(notebook_load(&stored, a, against));
    const char *ipynb = str_print(a, "%s/%s.ipynb", out, nb.name), *page = str_print(a, "%s/%s.html", out, nb.name);
    TRY(file_make_dir(out));
    TRY(args_output(args, "--out", ipynb, 0));
    TRY(args_output(args, "--out", page, 0));
    if (kept) TRY(args_output(args, "--store", kept, 0));
    TRY(notebook_run(&nb, a, out));
    const char *json = notebook_json(a, &nb);
    TRY(file_write(ipynb, json, strlen(json)));
    TRY(notebook_page(&nb, a, out, page));
    if (kept) TRY(store(a, &nb, json, kept));
    if (!args_quiet(args)) print_err("%s and %s are written\n", ipynb, page);
    return against ? notebook_compare(&nb, &stored, a) : OK;
}

static const Command NOTEBOOK = {
    .name = "notebook",
    .summary = "run a notebook in C; write it as .ipynb and as a page",
    .usage = "[options] FILE.c",
    .about =
        "Reads a file in percent format: a line // %% [markdown] begins a cell of text in comments, a line // %% "
        "begins a cell of code. Each cell of code is a whole program, which the C compiler (CC in the "
        "environment, cc by default) compiles with the words of its lines //%cflags: and //%ldflags:, as "
        "jupyter-c-kernel does. Cells run in one folder and share the files below it. A line of output 'Figure "
        "PATH.png: caption' shows that picture. The notebook has nbformat 4.5 and the kernel C.",
    .example = "vernier notebook --out out notebooks-c/01-tensor.c\n"
               "vernier notebook --out o --overwrite --against notebooks-c/01-tensor.ipynb notebooks-c/01-tensor.c",
    .options = OPTIONS,
    .least = 1,
    .most = 1,
    .run = notebook};
REGISTER(command, NOTEBOOK)
