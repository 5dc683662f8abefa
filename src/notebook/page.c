/* The page of a notebook: a report whose blocks are the cells.  Headings of level 2 and 3 enter the list of contents;
 * the first heading is the title.  The lines of a cell for the compiler are left out, and a line of output that names
 * a figure gives way to the figure. */
#include <string.h>

#include "base/str.h"
#include "notebook/notebook.h"
#include "plot/report.h"
#include "text/lex.h"

static void add_code(Buf *out, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *entity = s[i] == '&' ? "&amp;" : s[i] == '<' ? "&lt;" : s[i] == '>' ? "&gt;" : NULL;
        if (entity)
            buf_print(out, "%s", entity);
        else
            buf_add(out, s + i, 1);
    }
}

const char *code_html(Arena *a, const char *c)
{
    static const char *const CLASS[] = {[LEX_KEYWORD] = "kw", [LEX_TYPE] = "kw",    [LEX_NUMBER] = "nu",
                                        [LEX_STRING] = "st",  [LEX_COMMENT] = "co", [LEX_OTHER] = NULL};
    Buf out = buf_open(a);
    Lexer lexer = lex_open(LANG_C, c, strlen(c));
    size_t at = 0;
    for (Lexeme t; lex_next(&lexer, &t); at = t.end) {
        const char *class = CLASS[t.kind];
        add_code(&out, c + at, t.begin - at);
        if (class) buf_print(&out, "<span class=\"%s\">", class);
        add_code(&out, c + t.begin, t.end - t.begin);
        if (class) buf_print(&out, "</span>");
    }
    add_code(&out, c + at, strlen(c + at));
    return out.text;
}

/* A text cell: its headings, and the blocks between them. */
static void add_text(Report *r, Arena *a, const char *s)
{
    Buf block = buf_open(a);
    bool listing = false;
    for (const char *line = s; *line;) {
        size_t n = strcspn(line, "\n"), level = strspn(line, "#");
        if (!strncmp(line, "```", 3)) listing = !listing;
        bool heading = !listing && level >= 1 && level <= 3 && line[level] == ' ';
        if (heading) {
            report_html(r, markdown_html(a, block.text));
            block = buf_open(a);
            if (level > 1) report_heading(r, (int)level, str_copy(a, line + level + 1, n - level - 1));
        } else {
            buf_add(&block, line, n);
            buf_add(&block, "\n", 1);
        }
        line += n + (line[n] == '\n');
    }
    report_html(r, markdown_html(a, block.text));
}

/* A text without the lines that begin with one of two words. */
static const char *without(Arena *a, const char *s, const char *word, const char *only_last)
{
    Buf out = buf_open(a);
    while (*s) {
        size_t n = strcspn(s, "\n");
        n += s[n] == '\n';
        bool last = !s[n];
        if (!(word && !strncmp(s, word, strlen(word))) &&
            !(only_last && last && !strncmp(s, only_last, strlen(only_last))))
            buf_add(&out, s, n);
        s += n;
    }
    return out.text;
}

static void add_output(Report *r, Arena *a, const Cell *c, int i, const char *folder)
{
    const Output *o = &c->output[i];
    bool shown = i + 1 < c->outputs && o[1].kind == OUTPUT_FIGURE;
    if (o->kind == OUTPUT_FIGURE) {
        size_t stem = strlen(o->path) - strlen(".png");
        report_figure(r, str_print(a, "%s/%.*s.svg", folder, (int)stem, o->path), o->text);
        return;
    }
    const char *text = shown ? without(a, o->text, NULL, "Figure ") : o->text;
    Buf b = buf_open(a);
    add_code(&b, text, strlen(text));
    if (*text) report_html(r, str_print(a, "<pre class=\"result\">%s</pre>\n", b.text));
}

Status notebook_page(const Notebook *nb, Arena *a, const char *folder, const char *path)
{
    Report *r = report_open(path, nb->title);
    for (int i = 0; i < nb->cells; i++) {
        const Cell *c = &nb->cell[i];
        if (!c->code) add_text(r, a, c->source);
        if (c->code)
            report_html(
                r, str_print(a, "<pre class=\"code\">%s</pre>\n", code_html(a, without(a, c->source, "//%", NULL))));
        for (int k = 0; k < c->outputs; k++) add_output(r, a, c, k, folder);
    }
    return report_close(r);
}
