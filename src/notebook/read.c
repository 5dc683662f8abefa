/* The percent format: marker lines cut the file into cells.  Markdown stands in comments, code as it is. */
#include <string.h>

#include "base/str.h"
#include "notebook/notebook.h"

/* A line that begins a cell; sets whether it is one of code. */
static bool is_marker(const char *line, size_t n, bool *code)
{
    static const char MARK[] = "// %%", TEXT[] = "// %% [markdown]";
    size_t m = sizeof MARK - 1, t = sizeof TEXT - 1;
    if (n < m || strncmp(line, MARK, m)) return false;
    bool text = n >= t && !strncmp(line, TEXT, t);
    *code = !text;
    return text || n == m || line[m] == ' ';
}

static bool is_blank(const char *line, size_t n)
{
    return strspn(line, " \t\r") >= n;
}

/* Adds a line of a cell's text; E_FORMAT where it is not in a comment. */
static Status add_text(Buf *b, const char *line, size_t n, const char *path, int number)
{
    if (!is_blank(line, n)) {
        if (n < 2 || strncmp(line, "//", 2))
            return err_fail(E_FORMAT, "%s:%d: a line of a Markdown cell without // in front", path, number);
        size_t skip = n > 2 && line[2] == ' ' ? 3 : 2;
        buf_add(b, line + skip, n - skip);
    }
    buf_add(b, "\n", 1);
    return OK;
}

/* Blank lines at both ends go; `line` moves with the first. */
static void finish(Cell *c, Buf *b)
{
    char *s = b->text;
    while (*s && is_blank(s, strcspn(s, "\n")) && strchr(s, '\n')) s = strchr(s, '\n') + 1, c->line++;
    size_t n = strlen(s);
    while (n && strchr(" \t\r\n", s[n - 1])) n--;
    s[n] = 0;
    c->source = s;
}

/* The text of the first heading, or the file's name. */
static const char *title_of(Arena *a, const Notebook *nb)
{
    for (int i = 0; i < nb->cells; i++)
        if (!nb->cell[i].code && !strncmp(nb->cell[i].source, "# ", 2))
            return str_copy(a, nb->cell[i].source + 2, strcspn(nb->cell[i].source + 2, "\n"));
    return nb->name;
}

static const char *name_of(Arena *a, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    return str_copy(a, name, dot ? (size_t)(dot - name) : strlen(name));
}

Status notebook_read(Notebook *nb, Arena *a, const char *path)
{
    Bytes file;
    TRY(file_read(&file, a, path));
    if (strlen(file.text) != file.len) return err_fail(E_FORMAT, "%s: has a NUL byte, expected text", path);
    *nb = (Notebook){.path = path, .name = name_of(a, path)};
    int room = 0, count[2] = {0}, number = 0;
    Buf text = {0};
    bool code;
    for (const char *rest = file.text; *rest; rest += *rest == '\n') {
        const char *line = rest;
        size_t n = strcspn(line, "\n");
        rest += n, number++;
        if (is_marker(line, n, &code)) {
            if (nb->cells) finish(&nb->cell[nb->cells - 1], &text);
            GROW(a, nb->cell, nb->cells, room, 16);
            nb->cell[nb->cells++] = (Cell){.code = code, .number = ++count[code], .line = number + 1};
            text = buf_open(a);
        } else if (!nb->cells) {
            if (!is_blank(line, n))
                return err_fail(E_FORMAT, "%s:%d: text before the first cell, expected // %%%%", path, number);
        } else if (nb->cell[nb->cells - 1].code) {
            buf_add(&text, line, n), buf_add(&text, "\n", 1);
        } else {
            TRY(add_text(&text, line, n, path, number));
        }
    }
    if (!count[true]) return err_fail(E_FORMAT, "%s: no code cell, which a line // %%%% begins", path);
    finish(&nb->cell[nb->cells - 1], &text);
    nb->title = title_of(a, nb);
    return OK;
}

const char *cell_id(Arena *a, const Cell *c)
{
    return str_print(a, "%s-%d", c->code ? "code" : "text", c->number);
}
