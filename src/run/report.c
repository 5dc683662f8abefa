/* The page of runs, in HTML. */
#include "run/report.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "plot/report.h"
#include "run/shown.h"
#include "run/terms.h"

static void add_table(Report *page, const Grid *g)
{
    if (g->rows) report_table(page, g->caption, g->cols, g->head, g->rows, g->cell);
}

/* The first metrics are those an experiment thought of first; of a long list the others are folded away. */
static void add_metrics(Report *page, Arena *a, const Shown *s)
{
    enum { SHOWN = 10, LONG = 14 };
    const int rows = shown_metric_count(s);
    const int first = shown_field(s->results, "tables") ? 0 : rows > LONG ? SHOWN : rows;
    const Grid shown = shown_metrics(a, s, 0, first), folded = shown_metrics(a, s, first, rows);
    if (first) add_table(page, &shown);
    if (first == rows) return;
    report_fold(page, str_print(a, "%d %smetrics", rows - first, first ? "more " : ""));
    add_table(page, &folded);
    report_unfold(page);
}

static void add_figures(Report *page, Arena *a, const Shown *s)
{
    const cJSON *f;
    cJSON_ArrayForEach(f, shown_field(s->results, "figures"))
    {
        const char *name = shown_text(f, "name");
        if (*name && !strchr(name, '/'))
            report_figure(page, str_print(a, "%s/figures/%s.svg", s->dir, name), shown_text(f, "caption"));
    }
}

/* Facts of which something is known. */
static void add_facts(Report *page, Arena *a, int n, const char *const (*fact)[2])
{
    const char *(*known)[2] = (const char *(*)[2])NEW(a, const char *, 2 * n);
    int k = 0;
    for (int i = 0; i < n; i++)
        if (*fact[i][1]) memcpy(known[k++], fact[i], sizeof *known);
    if (k) report_facts(page, k, (const char *const(*)[2])known);
}

/* The settings of the run, for a person; the whole manifest, for a repetition. */
static void add_settings(Report *page, Arena *a, const Shown *s)
{
    const cJSON *config = shown_field(s->manifest, "config"), *x;
    int n = 0, rows = cJSON_GetArraySize(config);
    const char *(*pair)[2] = (const char *(*)[2])NEW(a, const char *, 2 * (rows + 4));
    cJSON_ArrayForEach(x, config)
    {
        pair[n][0] = x->string ? x->string : "";
        pair[n++][1] = shown_setting(a, x);
    }
    const char *const more[][2] = {{"preset", shown_text(s->manifest, "preset")},
                                   {"first seed", shown_number(a, s->manifest, "seed")},
                                   {"time", shown_time(a, s)},
                                   {"directory", s->dir}};
    memcpy(pair + n, more, sizeof more);
    report_fold(page, "Settings");
    add_facts(page, a, n + 4, (const char *const(*)[2])pair);
    report_unfold(page);
    report_details(page, "Manifest (manifest.json)", s->manifest_text);
}

/* The first question of a reader: is the claim supported?  A tuning makes no claim and has only its sentence. */
static void add_verdict(Report *page, Arena *a, const Shown *s)
{
    const char *verdict = shown_verdict(s), *sentence = shown_text(s->results, "sentence");
    const bool done = shown_is_done(s);
    ReportVerdict level = !done                               ? VERDICT_INCONCLUSIVE
                          : !strcmp(verdict, "supported")     ? VERDICT_SUPPORTED
                          : !strcmp(verdict, "not supported") ? VERDICT_NOT_SUPPORTED
                                                              : VERDICT_INCONCLUSIVE;
    if (!done) sentence = str_print(a, "%s: %s", verdict, sentence);
    if (shown_field(s->results, "claim"))
        report_verdict(page, level, shown_text(s->results, "claim"), sentence);
    else
        report_text(page, sentence);
}

/* Links to the data behind the section, and to each figure as PDF. */
static void add_files(Report *page, Arena *a, const Shown *s, const char *page_path)
{
    static const char *const DATA[] = {"results.csv", "results.json", "metrics.csv", "validation.jsonl",
                                       "options.json"};
    enum { DATAS = sizeof DATA / sizeof *DATA };
    const cJSON *figures = shown_field(s->results, "figures"), *f;
    const char *to = shown_path(a, page_path, s->dir);
    const char *(*link)[2] = (const char *(*)[2])NEW(a, const char *, 2 * (DATAS + cJSON_GetArraySize(figures) + 1));
    int n = 0;
    if (!to) return;
    link[n][0] = s->dir, link[n++][1] = to;
    for (int i = 0; i < DATAS; i++) {
        if (access(str_print(a, "%s/%s", s->dir, DATA[i]), F_OK)) continue;
        link[n][0] = DATA[i], link[n++][1] = str_print(a, "%s/%s", to, DATA[i]);
    }
    cJSON_ArrayForEach(f, figures)
    {
        const char *name = str_print(a, "figures/%s.pdf", shown_text(f, "name"));
        if (!*shown_text(f, "name") || strchr(shown_text(f, "name"), '/') ||
            access(str_print(a, "%s/%s", s->dir, name), F_OK))
            continue;
        link[n][0] = str_print(a, "%s.pdf", shown_text(f, "name")), link[n++][1] = str_print(a, "%s/%s", to, name);
    }
    report_links(page, "Files", n, (const char *const(*)[2])link);
}

/* Adds a run's section: verdict, method, tables, metrics, comparisons, figures, notes and settings. */
static void add_run(Report *page, Arena *a, const Shown *s, const char *path)
{
    const cJSON *o = s->results, *note;
    const Grid claims = shown_claims(a, s), comparisons = shown_comparisons(a, s);
    report_heading(page, 2, shown_title(a, s));
    add_verdict(page, a, s);
    const char *const about[][2] = {{"Method", shown_text(o, "method")},
                                    {"Expected", shown_text(o, "expect")},
                                    {"Source", shown_text(o, "source")}};
    add_facts(page, a, 3, about);
    add_table(page, &claims);
    for (const Grid *t = shown_tables(a, o); t; t = t->next) add_table(page, t);
    for (const Grid *t = shown_tables(a, s->timings); t; t = t->next) add_table(page, t);
    add_metrics(page, a, s);
    add_table(page, &comparisons);
    add_figures(page, a, s);
    cJSON_ArrayForEach(note, shown_field(o, "notes")) if (cJSON_IsString(note)) report_text(page, note->valuestring);
    add_files(page, a, s, path);
    add_settings(page, a, s);
}

static void add_machine(Report *page, Arena *a, int n, const Shown *s)
{
    enum { MOST = 8 };
    const char *fact[MOST][2];
    const int facts = shown_machine(a, n, s, fact, MOST);
    report_heading(page, 2, "Machine and time");
    if (facts) report_facts(page, facts, (const char *const(*)[2])fact);
}

/* "3 experiments: 3 supported, 0 not supported; Intel(R) Xeon(R); 2026-11-23". */
static const char *lead(Arena *a, int n, const Shown *s)
{
    Buf b = buf_open(a);
    buf_print(&b, "%s", shown_tally(a, n, s));
    const char *cpu = shown_text(shown_field(s->manifest, "machine"), "cpu"),
               *when = shown_text(shown_field(s->manifest, "time"), "start");
    const char *version = shown_text(shown_field(s->manifest, "tool"), "version");
    if (*cpu) buf_print(&b, " \u00B7 %s", cpu);
    if (*when) buf_print(&b, " \u00B7 %.10s", when);
    if (*version) buf_print(&b, " \u00B7 vernier %s", version);
    return b.text;
}

/* Reads the results of all runs, then writes the summary, a section for each run, the machine, and the terms. */
Status report_runs(const char *path, const char *title, Arena *a, int n, const char *const *dir)
{
    Shown *s;
    TRY(shown_open(&s, a, n, dir));
    if (!title) title = n == 1 ? shown_text(s->results, "title") : "Results of the experiments";
    const Grid summary = shown_summary(a, n, s);
    Report *page = report_open(path, title);
    report_terms(page, TERMS);
    report_lead(page, lead(a, n, s));
    report_heading(page, 2, "Summary");
    add_table(page, &summary);
    for (int i = 0; i < n; i++) add_run(page, a, s + i, path);
    add_machine(page, a, n, s);
    report_glossary(page, "Terms");
    const Status status = report_close(page);
    shown_close(n, s);
    return status;
}

Status report_place(const char *path)
{
    char head[512] = "";
    FILE *f = fopen(path, "rb");
    if (!f) return OK; /* none, or one that the writer will name */
    bool empty = !fread(head, 1, sizeof head - 1, f);
    fclose(f);
    if (empty || strstr(head, REPORT_MARK)) return OK;
    return err_fail(E_CONFIG, "%s is not a report of vernier, so it is not replaced; --overwrite replaces it", path);
}

/* ---------------------------------------------------------------------- finding run directories */

/* Lists the directories below `dir` that contain results.json, in the order of their names. */
static void find_below(const char **out, int *n, int most, Arena *a, const char *dir, int depth)
{
    struct dirent **entry;
    if (*n < most && !access(str_print(a, "%s/results.json", dir), F_OK)) {
        out[(*n)++] = dir;
        return;
    }
    int entries = depth ? scandir(dir, &entry, NULL, alphasort) : 0;
    for (int i = 0; i < entries; i++) {
        struct stat st; /* a link, such as `latest`, leads to a directory that is found elsewhere */
        const char *below = str_print(a, "%s/%s", dir, entry[i]->d_name);
        bool maybe = entry[i]->d_name[0] != '.' && !lstat(below, &st) && S_ISDIR(st.st_mode);
        if (maybe) find_below(out, n, most, a, below, depth - 1);
        free(entry[i]);
    }
    if (entries > 0) free(entry);
}

Status report_find(const char **out, int *n, int most, Arena *a, const char *dir)
{
    enum { DEPTH = 6 }; /* PARENT/runs/GROUP/NAME/HASH/unfinished */
    int before = *n;
    find_below(out, n, most, a, dir, DEPTH);
    return *n > before ? OK : err_fail(E_IO, "%s: no run directory (one with a results.json) there or below", dir);
}
