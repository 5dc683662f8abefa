/* One grid of texts serves the terminal, CSV, Markdown and the page. */
#include "sweep/summary.h"

#include <math.h>
#include <string.h>

#include "base/print.h"
#include "io/json.h"
#include "plot/report.h"
#include "run/grid.h"
#include "sweep/figures.h"

enum { COLUMNS = KNOBS + 8 };

typedef struct {
    int cols, rows;
    const char *head[COLUMNS], **cell; /* (rows, cols) */
} Texts;

static const char *text_of(Arena *a, double x, const char *form)
{
    if (isnan(x)) return "";
    if (!strcmp(form, "whole")) return str_print(a, "%.0f", x);
    return str_print(a, "%.*g", 4, x);
}

static const char *interval(Arena *a, Interval i)
{
    if (isnan(i.lo) || isnan(i.hi)) return "";
    return str_print(a, "%.4g to %.4g", i.lo, i.hi);
}

static bool any(const Sums *s, double (*get)(const Row *))
{
    for (int64_t i = 0; i < s->n; i++)
        if (!isnan(get(&s->row[i]))) return true;
    return false;
}

static double trainable(const Row *r)
{
    return r->trainable;
}

static double lower_end(const Row *r)
{
    return r->over.ci95.lo;
}

static double seconds(const Row *r)
{
    return r->seconds;
}

/* The columns of a row, or with row NULL their names; the count. */
static int columns(const char **out, const Sums *s, const Row *r)
{
    int n = 0;
    Arena *a = s->arena;
    for (int k = 0; k < s->plan->keys; k++)
        if (k != s->seed) out[n++] = r ? r->value[k] : s->plan->key[k];
    out[n++] = !r ? (s->seed < 0 ? "cells" : "seeds")
                  : str_print(a, r->done == r->cells ? "%d" : "%d of %d", r->done, r->cells);
    if (s->metric) out[n++] = r ? text_of(a, r->over.mean, "") : s->metric;
    if (s->metric && any(s, lower_end)) out[n++] = r ? interval(a, r->over.ci95) : "95 % interval";
    if (s->verdicts) out[n++] = r ? str_print(a, "%d of %d", r->supported, r->done) : "supported";
    if (any(s, trainable)) out[n++] = r ? text_of(a, r->trainable, "whole") : "trainable parameters";
    if (any(s, seconds)) {
        out[n++] = r ? text_of(a, r->seconds, "") : "seconds";
        out[n++] = r ? text_of(a, r->peak / 1048576, "whole") : "peak MiB";
    }
    return n;
}

static Texts texts_of(const Sums *s)
{
    Texts t = {.rows = (int)s->n};
    t.cols = columns(t.head, s, NULL);
    t.cell = NEW(s->arena, const char *, t.rows *t.cols + 1);
    for (int i = 0; i < t.rows; i++) columns(t.cell + (size_t)i * (size_t)t.cols, s, &s->row[i]);
    return t;
}

static Grid grid_of(const Texts *t)
{
    return (Grid){NULL, t->cols, t->rows, t->head, t->cell, NULL};
}

static const char *sentence(const Sums *s)
{
    if (!s->metric) return "The cells have no metrics.";
    const Row *best = &s->row[0];
    Buf b = buf_open(s->arena);
    for (int k = 0; k < s->plan->keys; k++)
        if (k != s->seed) buf_print(&b, "%s%s=%s", b.len ? " " : "", s->plan->key[k], best->value[k]);
    if (isnan(best->over.mean)) return str_print(s->arena, "No cell has a finite value of %s.", s->metric);
    return str_print(s->arena, "Best by %s (the %s): %s%s%.4g%s.", s->metric, s->lowest ? "lowest" : "highest",
                     b.text, b.len ? ", " : "", best->over.mean,
                     best->done > 1 ? str_print(s->arena, ", the mean of %d seeds", best->done) : "");
}

void summary_print(const Sums *s)
{
    Buf b = buf_open(s->arena);
    const Texts t = texts_of(s);
    const Grid g = grid_of(&t);
    grid_form(&b, &g, GRID_TEXT, 0);
    print_layout(b.text, b.len);
    print_out("\n%s\n", sentence(s));
}

/* ---- JSON */

static cJSON *row_json(const Sums *s, const Row *r)
{
    cJSON *one = cJSON_CreateObject(), *set = cJSON_AddObjectToObject(one, "settings");
    for (int k = 0; k < s->plan->keys; k++)
        if (k != s->seed) cJSON_AddStringToObject(set, s->plan->key[k], r->value[k]);
    cJSON_AddNumberToObject(one, "cells", r->cells);
    cJSON_AddNumberToObject(one, "done", r->done);
    cJSON *values = cJSON_AddArrayToObject(one, "values");
    for (int i = 0; s->metric && i < r->done; i++) cJSON_AddItemToArray(values, cJSON_CreateNumber(r->metric[i]));
    cJSON_AddNumberToObject(one, "mean", r->over.mean);
    cJSON *pair = cJSON_AddArrayToObject(one, "ci95");
    cJSON_AddItemToArray(pair, cJSON_CreateNumber(r->over.ci95.lo));
    cJSON_AddItemToArray(pair, cJSON_CreateNumber(r->over.ci95.hi));
    cJSON_AddNumberToObject(one, "trainable_parameters", r->trainable);
    cJSON_AddNumberToObject(one, "seconds", r->seconds);
    cJSON_AddNumberToObject(one, "peak_bytes", r->peak);
    return one;
}

void summary_json(const Sums *s)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "metric", s->metric ? s->metric : "");
    cJSON_AddStringToObject(root, "best", s->lowest ? "lowest" : "highest");
    cJSON *rows = cJSON_AddArrayToObject(root, "rows");
    for (int64_t i = 0; i < s->n; i++) cJSON_AddItemToArray(rows, row_json(s, &s->row[i]));
    json_print(root);
    cJSON_Delete(root);
}

/* ---- files */

static Status write_form(const Sums *s, const Texts *t, GridForm form, const char *path)
{
    Buf b = buf_open(s->arena);
    const Grid g = grid_of(t);
    grid_form(&b, &g, form, 0);
    if (form == GRID_MARKDOWN) buf_print(&b, "\n%s\n", sentence(s));
    return file_write(path, b.text, b.len);
}

/* Every cell with its settings, its state, its cost and all metrics. */
static Status write_cells(const Sums *s, const char *path)
{
    Writer w;
    const Plan *p = s->plan;
    TRY(writer_open(&w, path));
    writer_add(&w, "cell", 4);
    for (int k = 0; k < p->keys; k++) {
        writer_add(&w, ",", 1);
        writer_csv(&w, p->key[k]);
    }
    writer_print(&w, ",state,parameters,trainable,attempts,seconds,cpu_seconds,peak_bytes");
    for (int m = 0; m < s->n_metrics; m++) {
        writer_add(&w, ",", 1);
        writer_csv(&w, s->metrics[m]);
    }
    writer_add(&w, "\n", 1);
    for (int64_t i = 0; i < p->n; i++) {
        const Gathered *g = &s->cell[i];
        writer_csv(&w, p->cell[i].name);
        for (int k = 0; k < p->keys; k++) {
            writer_add(&w, ",", 1);
            writer_csv(&w, p->cell[i].value[k]);
        }
        writer_print(&w, ",%s", state_name(g->state));
        const double cost[] = {g->total,        g->trainable,        (double)g->cost.attempts,
                               g->cost.seconds, g->cost.cpu_seconds, g->cost.peak_bytes};
        for (size_t k = 0; k < sizeof cost / sizeof *cost; k++) writer_csv_number(&w, cost[k]);
        for (int m = 0; m < s->n_metrics; m++) writer_csv_number(&w, gathered(g, s->metrics[m]));
        writer_add(&w, "\n", 1);
    }
    return writer_close(&w);
}

static Status write_page(const Sums *s, const Texts *t, const char *dir)
{
    Arena *a = s->arena;
    int n;
    Cell any = {"", NEW(a, const char *, KNOBS)};
    Plan p = *s->plan;
    for (int k = 0; k < KNOBS; k++) any.value[k] = "...";
    p.cell = &any;
    const char **word = plan_argv(&n, &p, a, 0, NULL), *line = plan_line(a, n, word);
    Report *page =
        report_open(str_print(a, "%s/index.html", dir), str_print(a, "Sweep of vernier %s", p.command->name));
    report_lead(page, line);
    report_text(page, sentence(s));
    report_table(page, NULL, t->cols, t->head, t->rows, t->cell);
    Status status = figures_draw(s, page, str_print(a, "%s/figures", dir));
    Status wrote = report_close(page);
    return status ? status : wrote;
}

Status summary_write(const Sums *s, const char *dir)
{
    Texts t = texts_of(s);
    TRY(write_form(s, &t, GRID_CSV, str_print(s->arena, "%s/table.csv", dir)));
    TRY(write_form(s, &t, GRID_MARKDOWN, str_print(s->arena, "%s/table.md", dir)));
    TRY(write_cells(s, str_print(s->arena, "%s/cells.csv", dir)));
    return write_page(s, &t, dir);
}
