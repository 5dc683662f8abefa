/* The forms of a table of texts. */
#include "run/grid.h"

#include <string.h>

GridRows grid_begin(Arena *a, int cols, const char *const *head)
{
    GridRows g = {.arena = a, .cols = cols, .head = NEW(a, const char *, cols)};
    memcpy(g.head, head, (size_t)cols * sizeof *head);
    return g;
}

void grid_row(GridRows *g, const char *const *cell)
{
    for (int c = 0; c < g->cols; c++) {
        GROW(g->arena, g->cell, g->n, g->room, 64);
        g->cell[g->n++] = cell[c];
    }
}

Grid grid_end(const GridRows *g, const char *caption)
{
    return (Grid){caption, g->cols, g->n / g->cols, g->head, g->cell, NULL};
}

/* Row -1 is the head. */
static const char *cell_of(const Grid *g, int row, int col)
{
    const char *s = row < 0 ? g->head[col] : g->cell[(size_t)row * (size_t)g->cols + (size_t)col];
    return s ? s : "";
}

/* ---- text */

/* Characters, not bytes. */
static int wide(const char *s)
{
    int n = 0;
    for (; *s; s++) n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

/* Of words, not of numbers (or the text for a missing number). */
static bool is_wordy(const Grid *g, int col)
{
    for (int i = 0; i < g->rows; i++) {
        const char *s = cell_of(g, i, col);
        if (*s && strcmp(s, "n/a") != 0 && !strchr("0123456789+-", *s)) return true;
    }
    return false;
}

static void add_text(Buf *b, const Grid *g, int indent)
{
    int *width = NEW(b->arena, int, g->cols);
    bool *wordy = NEW(b->arena, bool, g->cols);
    for (int c = 0; c < g->cols; c++) {
        wordy[c] = is_wordy(g, c);
        for (int i = -1; i < g->rows; i++)
            if (wide(cell_of(g, i, c)) > width[c]) width[c] = wide(cell_of(g, i, c));
    }
    for (int i = -1; i < g->rows; i++) {
        size_t start = b->len;
        buf_print(b, "%*s", indent, "");
        for (int c = 0; c < g->cols; c++) {
            const char *s = cell_of(g, i, c);
            const int pad = width[c] - wide(s);
            buf_print(b, "%s%*s%s%*s", c ? "  " : "", wordy[c] ? 0 : pad, "", s, wordy[c] ? pad : 0, "");
        }
        while (b->len > start && b->text[b->len - 1] == ' ') b->text[--b->len] = 0;
        buf_add(b, "\n", 1);
    }
}

/* ---- CSV */

static void add_field(Buf *b, const char *s)
{
    if (!s[strcspn(s, ",\"\r\n")]) {
        buf_print(b, "%s", s);
        return;
    }
    buf_add(b, "\"", 1);
    for (; *s; s++) buf_add(b, *s == '"' ? "\"\"" : s, *s == '"' ? 2 : 1);
    buf_add(b, "\"", 1);
}

static void add_csv(Buf *b, const Grid *g)
{
    for (int i = -1; i < g->rows; i++)
        for (int c = 0; c < g->cols; c++) {
            add_field(b, cell_of(g, i, c));
            buf_add(b, c + 1 < g->cols ? "," : "\n", 1);
        }
}

/* ---- Markdown */

static void add_markdown(Buf *b, const Grid *g)
{
    for (int i = -1; i < g->rows; i++) {
        for (int c = 0; c < g->cols; c++) {
            buf_print(b, c ? " | " : "| ");
            for (const char *s = cell_of(g, i, c); *s; s++)
                buf_print(b, strchr("|<*`\\", *s) ? "\\%c" : *s == '\n' ? " " : "%c", *s);
        }
        buf_print(b, " |\n");
        for (int c = 0; i < 0 && c < g->cols; c++)
            buf_print(b, "%s%s", is_wordy(g, c) ? "|---" : "|---:", c + 1 < g->cols ? "" : "|\n");
    }
}

/* ---- LaTeX */

static void add_tex(Buf *b, const char *s)
{
    static const char *const MARK[][2] = {{"\\", "\\textbackslash{}"},
                                          {"~", "\\textasciitilde{}"},
                                          {"^", "\\textasciicircum{}"},
                                          {"\u2212", "$-$"},
                                          {"<", "$<$"},
                                          {">", "$>$"}};
    while (*s) {
        size_t n = 1;
        const char *as = NULL;
        for (size_t k = 0; !as && k < sizeof MARK / sizeof *MARK; k++)
            if (!strncmp(s, MARK[k][0], strlen(MARK[k][0]))) as = MARK[k][1], n = strlen(MARK[k][0]);
        if (!as && strchr("&%$#_{}", *s)) buf_add(b, "\\", 1);
        buf_add(b, as ? as : s, as ? strlen(as) : 1);
        s += n;
    }
}

static void add_latex(Buf *b, const Grid *g)
{
    if (g->caption) {
        buf_print(b, "%% %s\n", g->caption);
    }
    buf_print(b, "\\begin{tabular}{");
    for (int c = 0; c < g->cols; c++) buf_print(b, is_wordy(g, c) ? "l" : "r");
    buf_print(b, "}\n\\toprule\n");
    for (int i = -1; i < g->rows; i++) {
        for (int c = 0; c < g->cols; c++) {
            add_tex(b, cell_of(g, i, c));
            buf_print(b, c + 1 < g->cols ? " & " : " \\\\\n");
        }
        if (i < 0) buf_print(b, "\\midrule\n");
    }
    buf_print(b, "\\bottomrule\n\\end{tabular}\n");
}

void grid_form(Buf *b, const Grid *g, GridForm form, int indent)
{
    if (form == GRID_TEXT)
        add_text(b, g, indent);
    else if (form == GRID_CSV)
        add_csv(b, g);
    else if (form == GRID_MARKDOWN)
        add_markdown(b, g);
    else
        add_latex(b, g);
}
