/* The document of runs, in Markdown and LaTeX. */
#include "run/paper.h"

#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "plot/draw.h"
#include "run/grid.h"
#include "run/shown.h"
#include "run/terms.h"

typedef struct {
    Arena *arena;
    const char *path; /* of the Markdown */
    Buf text, latex;
    bool *used; /* of TERMS */
    int tables, figures;
} Paper;

/* The text without control characters; its terms go to the glossary. */
static const char *seen(Paper *p, const char *text)
{
    text = text_clean(p->arena, text ? text : "");
    for (int i = 0; TERMS[i].key; i++) p->used[i] |= str_word(text, TERMS[i].key) != NULL;
    return text;
}

/* Adds text in which no character is markup; line ends become blanks. */
static void add_text(Paper *p, const char *text)
{
    text = seen(p, text);
    for (const char *s = text; *s; s++) {
        if (strchr("\\`*_[]<>", *s)) buf_add(&p->text, "\\", 1);
        buf_add(&p->text, s, 1);
    }
}

/* "**Method.** It is trained." as a paragraph of its own; nothing where there is no text. */
static void add_paragraph(Paper *p, const char *lead, const char *text)
{
    if (!*text) return;
    if (lead) buf_print(&p->text, "**%s.** ", lead);
    add_text(p, text);
    buf_print(&p->text, "\n\n");
}

static void add_heading(Paper *p, int level, const char *text)
{
    buf_print(&p->text, "%.*s ", level, "####");
    add_text(p, text);
    buf_print(&p->text, "\n\n");
}

/* A table as it is in both documents, without the columns that have nothing in them. */
static void add_table(Paper *p, const Grid *g, const char *otherwise)
{
    const char *caption = g->caption && *g->caption ? g->caption : otherwise;
    if (!g->rows) return;
    int *keep = NEW(p->arena, int, g->cols), cols = 0;
    for (int c = 0; c < g->cols; c++) {
        bool any = false;
        for (int i = 0; i < g->rows; i++) any |= g->cell[i * g->cols + c] && *g->cell[i * g->cols + c];
        if (any) keep[cols++] = c;
    }
    const char **head = NEW(p->arena, const char *, cols), **cell = NEW(p->arena, const char *, cols * g->rows);
    for (int k = 0; k < cols; k++) {
        head[k] = seen(p, g->head[keep[k]]);
        for (int i = 0; i < g->rows; i++) cell[i * cols + k] = seen(p, g->cell[i * g->cols + keep[k]]);
    }
    const Grid shown = {str_print(p->arena, "Table %d: %s", ++p->tables, caption), cols, g->rows, head, cell, NULL};
    buf_print(&p->text, "*Table %d.* ", p->tables);
    add_text(p, caption);
    buf_print(&p->text, "\n\n");
    grid_form(&p->text, &shown, GRID_MARKDOWN, 0);
    buf_print(&p->text, "\n");
    grid_form(&p->latex, &shown, GRID_LATEX, 0);
    buf_print(&p->latex, "\n");
}

/* The pictures stay in the directories of the runs, and the document leads there.  A forge shows PNG. */
static void add_figures(Paper *p, const Shown *s)
{
    const char *to = shown_path(p->arena, p->path, s->dir);
    const cJSON *f;
    cJSON_ArrayForEach(f, shown_field(s->results, "figures"))
    {
        const char *name = shown_text(f, "name"), *caption = shown_text(f, "caption");
        const char *file = str_print(p->arena, "figures/%s.png", name);
        if (!to || !*name || strchr(name, '/') || access(str_print(p->arena, "%s/%s", s->dir, file), F_OK)) continue;
        p->figures++;
        buf_print(&p->text, "![Figure %d](<%s/%s>)\n\n*Figure %d.* ", p->figures, to, file, p->figures);
        add_text(p, caption);
        buf_print(&p->text, "\n\n");
    }
}

/* "seeds 1 to 5; steps=2000, dim=32" */
static const char *settings_of(Paper *p, const Shown *s)
{
    Buf b = buf_open(p->arena);
    const cJSON *x, *seeds = shown_field(s->results, "seeds");
    const int n = cJSON_GetArraySize(seeds);
    if (n) buf_print(&b, "%d %s", n, str_plural(n, "seed", "seeds"));
    if (*shown_text(s->results, "preset")) buf_print(&b, ", preset %s", shown_text(s->results, "preset"));
    const char *before = b.len ? "; " : "";
    cJSON_ArrayForEach(x, shown_field(s->manifest, "config"))
    {
        const char *value = shown_setting(p->arena, x);
        if (!x->string || !*value) continue;
        buf_print(&b, "%s%s=%s", before, x->string, value);
        before = ", ";
    }
    return b.text;
}

static void add_run(Paper *p, const Shown *s)
{
    Arena *a = p->arena;
    const cJSON *o = s->results, *note;
    const Grid claims = shown_claims(a, s), metrics = shown_metrics(a, s, 0, shown_metric_count(s)),
               comparisons = shown_comparisons(a, s);
    const char *name = shown_text(o, "experiment");
    add_heading(p, 2, shown_title(a, s));
    add_paragraph(p, "Claim", shown_text(o, "claim"));
    add_paragraph(p, "Method", shown_text(o, "method"));
    add_paragraph(p, "Expected", shown_text(o, "expect"));
    add_paragraph(p, "Source", shown_text(o, "source"));
    add_paragraph(p, str_print(a, "Result: %s", shown_verdict(s)), shown_text(o, "sentence"));
    add_table(p, &claims, "");
    for (const Grid *t = shown_tables(a, o); t; t = t->next) add_table(p, t, name);
    add_table(p, &metrics, str_print(a, "Metrics of %s", name));
    add_table(p, &comparisons, "");
    add_figures(p, s);
    cJSON_ArrayForEach(note, shown_field(o, "notes"))
    {
        buf_print(&p->text, "- ");
        add_text(p, cJSON_IsString(note) ? note->valuestring : "");
        buf_print(&p->text, "\n");
    }
    if (shown_field(o, "notes")) buf_print(&p->text, "\n");
    add_paragraph(p, "Settings", settings_of(p, s));
    for (const Grid *t = shown_tables(a, s->timings); t; t = t->next)
        add_table(p, t, str_print(a, "Cost of %s", name));
}

static void add_machine(Paper *p, int n, const Shown *s)
{
    enum { MOST = 8 };
    static const char *const head[] = {"", ""};
    const char *fact[MOST][2];
    const int facts = shown_machine(p->arena, n, s, fact, MOST);
    GridRows g = grid_begin(p->arena, 2, head);
    for (int i = 0; i < facts; i++) grid_row(&g, fact[i]);
    const Grid machine = grid_end(&g, "Machine and total time");
    add_heading(p, 2, "Machine and time");
    add_table(p, &machine, "");
}

static void add_terms(Paper *p)
{
    add_heading(p, 2, "Terms");
    for (int i = 0; TERMS[i].key; i++) {
        if (!p->used[i]) continue;
        buf_print(&p->text, "- **%s**: ", TERMS[i].key);
        add_text(p, TERMS[i].value);
        buf_print(&p->text, "\n");
    }
}

static int count_terms(void)
{
    int n = 0;
    while (TERMS[n].key) n++;
    return n;
}

Status paper_runs(const char *markdown, const char *latex, const char *title, Arena *a, int n, const char *const *dir)
{
    Shown *s;
    TRY(shown_open(&s, a, n, dir));
    Paper p = {.arena = a, .path = markdown, .text = buf_open(a), .latex = buf_open(a)};
    p.used = NEW(a, bool, count_terms() + 1);
    const Grid summary = shown_summary(a, n, s);
    if (!title) title = n == 1 ? shown_text(s->results, "title") : "Results of the experiments";
    add_heading(&p, 1, title);
    buf_print(&p.text, "<!-- made from run directories by: vernier report --paper -->\n\n");
    buf_print(&p.latex, "%% Tables of: %s (made by: vernier report --paper; package booktabs)\n\n",
              text_clean(a, title));
    add_paragraph(&p, NULL, str_print(a, "%s.", shown_tally(a, n, s)));
    add_heading(&p, 2, "Summary");
    add_table(&p, &summary, "The runs and their results");
    for (int i = 0; i < n; i++) add_run(&p, s + i);
    add_machine(&p, n, s);
    add_terms(&p);
    shown_close(n, s);
    TRY(file_write(markdown, p.text.text, p.text.len));
    return file_write(latex, p.latex.text, p.latex.len);
}
