/* A cell is compiled and run as jupyter-c-kernel does it, and its output is read back from files.  Compilers and
 * cells are started without a shell. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "notebook/notebook.h"

enum { MOST_WORDS = 250 };
typedef struct {
    const char *word[MOST_WORDS + 1]; /* NULL-ended */
    int n;
} Words;

static Status add_word(Words *w, const char *word)
{
    if (w->n == MOST_WORDS) return err_fail(E_FORMAT, "a compiler line of more than %d words", MOST_WORDS);
    w->word[w->n++] = word;
    return OK;
}

/* Adds the words of each line "//%NAME: words" of a cell. */
static Status add_flags(Words *w, Arena *a, const char *source, const char *name)
{
    size_t n = strlen(name);
    for (const char *line = source; line; line = strchr(line, '\n'), line += line != NULL) {
        if (strncmp(line, "//%", 3) || strncmp(line + 3, name, n) || line[3 + n] != ':') continue;
        const char *rest = str_copy(a, line + 4 + n, strcspn(line + 4 + n, "\n")), *item;
        for (size_t k; str_next(&rest, " \t\r", &item, &k);)
            if (k) TRY(add_word(w, str_copy(a, item, k)));
    }
    return OK;
}

static int open_for_output(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
}

/* Runs the words in a folder with both outputs in files there; *code is the exit status, or 128 and the signal. */
static Status start(int *code, const char *folder, const Words *w, const char *out, const char *err)
{
    pid_t child = fork();
    if (!child) {
        int o = -1, e = -1, in = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (!chdir(folder)) o = open_for_output(out), e = open_for_output(err);
        if (in < 0 || o < 0 || e < 0 || dup2(in, 0) < 0 || dup2(o, 1) < 0 || dup2(e, 2) < 0) _exit(126);
        execvp(w->word[0], (char **)(uintptr_t)w->word);
        _exit(127);
    }
    if (child < 0) return err_fail(E_IO, "%s: cannot be started: %s", w->word[0], strerror(errno));
    int how;
    while (waitpid(child, &how, 0) < 0)
        if (errno != EINTR) return err_fail(E_IO, "%s: %s", w->word[0], strerror(errno));
    if (WIFSIGNALED(how) && WTERMSIG(how) == SIGINT) return err_fail(E_INTERRUPT, "interrupted");
    *code = WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how);
    return *code == 127 ? err_fail(E_IO, "%s: cannot be started; CC names another", w->word[0]) : OK;
}

/* The line of an error that a reader wants to see first. */
static const char *first_line(Arena *a, const char *text)
{
    const char *at = strstr(text, "error: ");
    if (at) text = at + strlen("error: ");
    while (isspace((unsigned char)*text)) text++;
    return *text ? str_copy(a, text, strcspn(text, "\n")) : "it printed nothing on stderr";
}

static Status read_text(const char **out, Arena *a, const char *folder, const char *file)
{
    Bytes b;
    TRY(file_read(&b, a, str_print(a, "%s/%s", folder, file)));
    *out = b.text;
    return OK;
}

static void add_output(Cell *c, Arena *a, int *room, Output o)
{
    GROW(a, c->output, c->outputs, *room, 4);
    c->output[c->outputs++] = o;
}

/* Is this line "Figure PATH.png: caption"?  The path stays within the folder. */
static bool is_figure(Arena *a, const char *line, size_t n, Output *o)
{
    static const char WORD[] = "Figure ";
    const char *path = line + sizeof WORD - 1, *colon = memchr(line, ':', n);
    if (n < sizeof WORD || strncmp(line, WORD, sizeof WORD - 1) || !colon || colon - path < 5) return false;
    if (strncmp(colon - 4, ".png", 4) || *path == '/') return false;
    size_t skip = colon[1] == ' ' ? 2 : 1;
    *o = (Output){.kind = OUTPUT_FIGURE,
                  .path = str_copy(a, path, (size_t)(colon - path)),
                  .text = str_copy(a, colon + skip, n - (size_t)(colon + skip - line))};
    return !strstr(o->path, "..") && !strchr(o->path, ' ');
}

/* Text up to and with a figure's line, the figure, and so on; then the text on stderr. */
static Status split_output(Cell *c, Arena *a, const char *folder, const char *text, const char *errors)
{
    int room = 0;
    const char *from = text, *line = text;
    while (*line) {
        size_t n = strcspn(line, "\n");
        Output figure;
        bool found = is_figure(a, line, n, &figure);
        line += n + (line[n] == '\n');
        if (!found) continue;
        TRY(file_read(&figure.png, a, str_print(a, "%s/%s", folder, figure.path)));
        if (figure.png.len < 24 || memcmp(figure.png.text, "\211PNG", 4))
            return err_fail(E_FORMAT, "%s/%s: is no PNG picture", folder, figure.path);
        add_output(c, a, &room, (Output){.text = str_copy(a, from, (size_t)(line - from))});
        add_output(c, a, &room, figure);
        from = line;
    }
    if (*from) add_output(c, a, &room, (Output){.text = from});
    if (*errors) add_output(c, a, &room, (Output){.kind = OUTPUT_STDERR, .text = errors});
    return OK;
}

static Status run_cell(Cell *c, Arena *a, const Notebook *nb, const char *folder)
{
    const char *stem = str_print(a, "cells/%s-%d", nb->name, c->number), *text = "", *errors = "";
    const char *cc = getenv("CC"), *file = str_print(a, "%s.c", stem), *program = str_print(a, "%s.bin", stem);
    const char *out = str_print(a, "%s.out", stem), *err = str_print(a, "%s.err", stem);
    const char *source = str_print(a, "#line %d \"%s.c\"\n%s\n", c->line, nb->name, c->source);
    TRY(file_write(str_print(a, "%s/%s", folder, file), source, strlen(source)));
    Words w = {0}, self = {{str_print(a, "./%s", program)}, 1};
    const char *rest = cc && *cc ? cc : "cc", *item;
    for (size_t k; str_next(&rest, " ", &item, &k);)
        if (k) TRY(add_word(&w, str_copy(a, item, k)));
    TRY(add_word(&w, file));
    TRY(add_flags(&w, a, c->source, "cflags"));
    TRY(add_word(&w, "-o"));
    TRY(add_word(&w, program));
    TRY(add_flags(&w, a, c->source, "ldflags"));
    int code;
    TRY(start(&code, folder, &w, out, err));
    TRY(read_text(&errors, a, folder, err));
    if (code)
        return err_fail(E_NUMERIC, "%s:%d: code cell %d does not compile: %s", nb->path, c->line, c->number,
                        first_line(a, errors));
    TRY(add_flags(&self, a, c->source, "args"));
    TRY(start(&code, folder, &self, out, err));
    TRY(read_text(&text, a, folder, out));
    TRY(read_text(&errors, a, folder, err));
    if (code)
        return err_fail(E_NUMERIC, "%s:%d: code cell %d ends with exit status %d: %s", nb->path, c->line, c->number,
                        code, first_line(a, errors));
    return split_output(c, a, folder, text, errors);
}

Status notebook_run(Notebook *nb, Arena *a, const char *folder)
{
    TRY(file_make_dir(str_print(a, "%s/cells", folder)));
    for (int i = 0; i < nb->cells; i++)
        if (nb->cell[i].code) TRY(run_cell(&nb->cell[i], a, nb, folder));
    return OK;
}
