/* One list of tables in every form. */
#include "runs/tables.h"

#include <string.h>

#include "base/print.h"
#include "plot/report.h"

typedef enum { FORM_TEXT, FORM_CSV, FORM_MARKDOWN, FORM_LATEX, FORM_JSON, FORM_HTML } Form;

/* --format, else the ending of the file. */
static Status form_of(Form *form, const Args *a)
{
    static const char *const FORMATS[] = {"text", "csv", "markdown", "latex", "json", "html", NULL};
    static const char *const ENDING[] = {"*.txt", "*.csv", "*.md", "*.tex", "*.json", "*.html|*.htm"};
    const char *out = args_text(a, "out", "");
    int one = args_given(a, "json") ? FORM_JSON : FORM_TEXT;
    for (int i = FORM_TEXT; i <= FORM_HTML; i++)
        if (str_glob(ENDING[i], out)) one = i;
    TRY(args_word(&one, a, "format", one, FORMATS));
    *form = (Form)one;
    if (one == FORM_HTML && !*out) return err_fail(E_CONFIG, "--format html needs --out FILE");
    return OK;
}

Status tables_check(const Args *a)
{
    Form form;
    const char *out = args_text(a, "out", NULL);
    TRY(form_of(&form, a));
    return out ? args_output(a, "--out", out, 0) : OK;
}

/* Prints the path, as vernier report prints it. */
static Status written(Status status, const char *path)
{
    if (!status) print_out("%s\n", path);
    return status;
}

static Status write_page(const Tables *t, const char *path)
{
    Report *page = report_open(path, t->title);
    if (t->lead) report_lead(page, t->lead);
    for (const Grid *g = t->table; g; g = g->next) {
        if (g->caption) report_heading(page, 2, g->caption);
        report_table(page, NULL, g->cols, g->head, g->rows, g->cell);
    }
    return report_close(page);
}

static void add_tables(Buf *b, const Tables *t, Form form)
{
    static const GridForm GRID[] = {GRID_TEXT, GRID_CSV, GRID_MARKDOWN, GRID_LATEX};
    if (form == FORM_CSV) {
        grid_form(b, &t->tidy, GRID_CSV, 0);
        return;
    }
    if (t->lead) buf_print(b, form == FORM_LATEX ? "%% %s\n\n" : "%s\n\n", t->lead);
    for (const Grid *g = t->table; g; g = g->next) {
        if (g->caption && form != FORM_LATEX) buf_print(b, form == FORM_MARKDOWN ? "## %s\n\n" : "%s\n", g->caption);
        grid_form(b, g, GRID[form], form == FORM_TEXT && g->caption ? 2 : 0);
        if (g->next) buf_print(b, "\n");
    }
}

static void add_json(Buf *b, const Tables *t)
{
    cJSON *root = t->json(t->user);
    char *text = json_printed(root, false);
    buf_print(b, "%s\n", text);
    cJSON_free(text);
    cJSON_Delete(root);
}

Status tables_write(const Tables *t, const Args *a)
{
    Form form;
    const char *out = args_text(a, "out", NULL);
    Buf b = buf_open(args_arena(a));
    TRY(form_of(&form, a));
    if (form == FORM_HTML) return written(write_page(t, out), out);
    if (form == FORM_JSON)
        add_json(&b, t);
    else
        add_tables(&b, t, form);
    if (out) return written(file_write(out, b.text, b.len), out);
    print_layout(b.text, b.len);
    return OK;
}
