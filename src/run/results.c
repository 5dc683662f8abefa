/* The one shape of results.json, the same numbers as tidy CSV, and the table a person reads.
 *
 *   {"experiment", "title", "claim", "method", "expect", "source", "preset", "seeds": [..], "status", "verdict",
 *    "sentence", "claims": [{"kind": "claim", "gate", "exact" or "open", "claim", "verdict", "sentence", "form",
 *    "margin", "mean", "level", "interval": [lo, hi], "detectable", "n"}] where there are any,
 *    "metrics": {name: {"values": [..], "mean", "sd", "ci95": [lo, hi], "least", "most", "range"}},
 *    "comparisons": [..],
 *    "tables": [{"caption", "head": [..], "rows": [[..]]}] where there are any, "figures": [{"name", "caption"}],
 *    "notes": [..]}
 *
 * Tables of times and memory, which differ between equal runs, are in timings.json, {"tables": ..} as above.
 * A number that is not finite is null.  A run that did not end has status "failed" or "interrupted" and gives
 * the reason; its verdict is then inconclusive, whatever was recorded before. */
#include "base/print.h"
#include "run/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "io/json.h"

static void add_number_or_null(cJSON *array, double x)
{
    cJSON_AddItemToArray(array, isfinite(x) ? cJSON_CreateNumber(x) : cJSON_CreateNull());
}

static void add_pair(cJSON *object, const char *name, double a, double b)
{
    cJSON *pair = cJSON_AddArrayToObject(object, name);
    add_number_or_null(pair, a);
    add_number_or_null(pair, b);
}

static void add_metrics(cJSON *root, Arena *a, const Run *r)
{
    cJSON *metrics = cJSON_AddObjectToObject(root, "metrics");
    for (const Metric *m = r->metrics; m; m = m->next) {
        cJSON *one = cJSON_AddObjectToObject(metrics, m->name), *values = cJSON_AddArrayToObject(one, "values");
        for (int i = 0; i < m->n; i++) add_number_or_null(values, m->value[i]);
        Summary s = metric_summary(a, m);
        cJSON_AddNumberToObject(one, "mean", s.mean); /* cJSON writes NaN and infinity as null */
        cJSON_AddNumberToObject(one, "sd", s.sd);
        add_pair(one, "ci95", s.ci95.lo, s.ci95.hi);
        cJSON_AddNumberToObject(one, "least", s.least);
        cJSON_AddNumberToObject(one, "most", s.most);
        cJSON_AddStringToObject(one, "range", claim_range_name(m->range));
    }
}

static void add_comparisons(cJSON *root, const Run *r)
{
    cJSON *list = cJSON_AddArrayToObject(root, "comparisons");
    for (const Note *c = r->compares; c; c = c->next) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "a", c->text);
        cJSON_AddStringToObject(one, "b", c->more);
        cJSON_AddNumberToObject(one, "pairs", c->n);
        cJSON_AddNumberToObject(one, "mean_difference", c->mean);
        add_pair(one, "ci95", c->lo, c->hi);
        cJSON_AddNumberToObject(one, "p", c->p);
        cJSON_AddItemToArray(list, one);
    }
}

static cJSON *words(int n, const char *const *word)
{
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < n; i++) cJSON_AddItemToArray(list, cJSON_CreateString(word[i] ? word[i] : ""));
    return list;
}

static void add_tables(cJSON *root, const Grid *tables)
{
    cJSON *list = tables ? cJSON_AddArrayToObject(root, "tables") : NULL;
    for (const Grid *t = tables; t; t = t->next) {
        cJSON *one = cJSON_CreateObject(), *rows = cJSON_CreateArray();
        cJSON_AddStringToObject(one, "caption", t->caption);
        cJSON_AddItemToObject(one, "head", words(t->cols, t->head));
        for (int i = 0; i < t->rows; i++) cJSON_AddItemToArray(rows, words(t->cols, t->cell + i * t->cols));
        cJSON_AddItemToObject(one, "rows", rows);
        cJSON_AddItemToArray(list, one);
    }
}

/* The content of results.json: experiment, seeds, verdict, metrics, comparisons, tables, figures and notes. */
static cJSON *results_json(Run *r, Status status)
{
    const Experiment *e = r->experiment;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "experiment", str_print(&r->arena, "%s/%s", e->group, e->name));
    cJSON_AddStringToObject(root, "title", e->title);
    cJSON_AddStringToObject(root, "claim", e->claim);
    cJSON_AddStringToObject(root, "method", e->method);
    cJSON_AddStringToObject(root, "expect", e->expect);
    cJSON_AddStringToObject(root, "source", e->source);
    cJSON_AddStringToObject(root, "preset", preset_name(r->preset));
    cJSON *seeds = cJSON_AddArrayToObject(root, "seeds");
    for (int i = 0; i < r->seeds; i++) cJSON_AddItemToArray(seeds, cJSON_CreateNumber((double)run_seed(r, i)));
    cJSON_AddStringToObject(root, "status", status == E_INTERRUPT ? "interrupted" : status ? "failed" : "done");
    cJSON_AddStringToObject(root, "verdict", verdict_name(status ? INCONCLUSIVE : r->verdict));
    cJSON_AddStringToObject(root, "sentence", status ? err_message() : r->sentence);
    claims_json(root, r);
    add_metrics(root, &r->arena, r);
    add_comparisons(root, r);
    add_tables(root, r->tables);
    cJSON *figures = cJSON_AddArrayToObject(root, "figures");
    for (const Note *f = r->figures; f; f = f->next) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "name", f->text);
        cJSON_AddStringToObject(one, "caption", f->more);
        cJSON_AddItemToArray(figures, one);
    }
    cJSON *notes = cJSON_AddArrayToObject(root, "notes");
    for (const Note *n = r->notes; n; n = n->next) cJSON_AddItemToArray(notes, cJSON_CreateString(n->text));
    return root;
}

/* RFC 4180: lines end in CR LF.  Every row also has the settings, each in a column under its own name, so that the
 * files of several runs can be concatenated and grouped by the settings that differ. */
static Status write_csv(Run *r)
{
    Writer w;
    const Setting *s = r->experiment->settings;
    TRY(writer_open(&w, run_path(r, "results.csv")));
    writer_print(&w, "experiment,preset,seed,metric,value");
    for (int k = 0; s && s[k].key; k++) {
        writer_print(&w, ",");
        writer_csv(&w, s[k].key);
    }
    writer_print(&w, "\r\n");
    for (const Metric *m = r->metrics; m; m = m->next) {
        for (int i = 0; i < m->n; i++) {
            if (!m->given[i]) continue;
            writer_print(&w, "%s/%s,%s,%llu,", r->experiment->group, r->experiment->name, preset_name(r->preset),
                         (unsigned long long)run_seed(r, i));
            writer_csv(&w, m->name);
            writer_print(&w, ",");
            if (isfinite(m->value[i])) writer_print(&w, "%.17g", m->value[i]); /* else empty: no value */
            for (int k = 0; s && s[k].key; k++) {
                writer_print(&w, ",");
                writer_csv(&w, r->value[k]);
            }
            writer_print(&w, "\r\n");
        }
    }
    return writer_close(&w);
}

static Status write_json(Run *r, const char *name, cJSON *root)
{
    Status wrote = json_write(root, run_path(r, "%s", name));
    cJSON_Delete(root);
    return wrote;
}

Status results_write(Run *r, Status status)
{
    TRY(write_json(r, "results.json", results_json(r, status)));
    if (r->measured) {
        cJSON *root = cJSON_CreateObject();
        add_tables(root, r->measured);
        TRY(write_json(r, "timings.json", root));
    }
    return write_csv(r);
}

/* ---- reading back: a run that is done shows the results that it recorded then */

static double number_of(const cJSON *x)
{
    return cJSON_IsNumber(x) ? x->valuedouble : (double)NAN;
}

static const char *text_of(Arena *a, const cJSON *x)
{
    const char *s = cJSON_IsString(x) ? x->valuestring : "";
    return str_copy(a, s, strlen(s));
}

static const cJSON *member(const cJSON *o, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(o, key);
}

static void *append(Run *r, void **end, size_t bytes)
{
    return *end = arena_zero(&r->arena, bytes);
}

/* A null stands for a value that is not finite, which makes the mean null, or for one that was not given. */
static void recall_metrics(Run *r, const cJSON *metrics)
{
    Metric **end = &r->metrics;
    const cJSON *one, *x;
    cJSON_ArrayForEach(one, metrics)
    {
        Metric *m = append(r, (void **)end, sizeof *m);
        int n = cJSON_GetArraySize(member(one, "values"));
        bool finite = cJSON_IsNumber(member(one, "mean"));
        m->name = str_copy(&r->arena, one->string, strlen(one->string));
        m->range = claim_range_named(text_of(&r->arena, member(one, "range")));
        m->value = NEW(&r->arena, double, n + 1);
        m->given = NEW(&r->arena, bool, n + 1);
        cJSON_ArrayForEach(x, member(one, "values"))
        {
            m->given[m->n] = cJSON_IsNumber(x) || !finite;
            m->value[m->n++] = number_of(x);
        }
        end = &m->next;
    }
}

static void recall_comparisons(Run *r, const cJSON *list)
{
    Note **end = &r->compares;
    const cJSON *c;
    cJSON_ArrayForEach(c, list)
    {
        Note *n = append(r, (void **)end, sizeof *n);
        n->text = text_of(&r->arena, member(c, "a"));
        n->more = text_of(&r->arena, member(c, "b"));
        n->n = (int)number_of(member(c, "pairs"));
        n->mean = number_of(member(c, "mean_difference"));
        n->p = number_of(member(c, "p"));
        end = &n->next;
    }
}

static void recall_tables(Run *r, Grid **end, const cJSON *list)
{
    const cJSON *t, *row, *x;
    cJSON_ArrayForEach(t, list)
    {
        Grid *g = append(r, (void **)end, sizeof *g);
        int cols = cJSON_GetArraySize(member(t, "head")), rows = cJSON_GetArraySize(member(t, "rows")), i = 0;
        const char **cell = NEW(&r->arena, const char *, (rows + 1) * cols + 1);
        cJSON_ArrayForEach(x, member(t, "head")) cell[i++] = text_of(&r->arena, x);
        cJSON_ArrayForEach(row, member(t, "rows")) for (int c = 0; c < cols; c++) cell[i++] =
            text_of(&r->arena, cJSON_GetArrayItem(row, c));
        *g = (Grid){text_of(&r->arena, member(t, "caption")), cols, rows, cell, cell + cols, NULL};
        end = &g->next;
    }
}

static void recall_notes(Run *r, Note **end, const cJSON *list)
{
    const cJSON *x;
    cJSON_ArrayForEach(x, list)
    {
        Note *n = append(r, (void **)end, sizeof *n);
        n->text = text_of(&r->arena, cJSON_IsObject(x) ? member(x, "name") : x);
        end = &n->next;
    }
}

/* The results of a run that was done before, read back for the table. */
static Status recall(Run *r)
{
    cJSON *root;
    const char *path = run_path(r, "results.json"), *verdict = "";
    int v = SUPPORTED;
    TRY(json_read(&root, &r->arena, path));
    Status status = json_text(&verdict, root, "verdict", path);
    while (v <= INCONCLUSIVE && strcmp(verdict_name((Verdict)v), verdict) != 0) v++;
    if (!status && (v > INCONCLUSIVE || !cJSON_IsObject(member(root, "metrics"))))
        status = err_fail(E_FORMAT, "%s: has no verdict and metrics, expected the results of a run", path);
    if (!status) {
        r->verdict = (Verdict)v;
        r->sentence = text_of(&r->arena, member(root, "sentence"));
        claims_recall(r, member(root, "claims"));
        recall_metrics(r, member(root, "metrics"));
        recall_comparisons(r, member(root, "comparisons"));
        recall_tables(r, &r->tables, member(root, "tables"));
        recall_notes(r, &r->notes, member(root, "notes"));
        recall_notes(r, &r->figures, member(root, "figures"));
    }
    cJSON_Delete(root);
    path = run_path(r, "timings.json");
    if (status || access(path, F_OK)) return status;
    TRY(json_read(&root, &r->arena, path));
    recall_tables(r, &r->measured, member(root, "tables"));
    cJSON_Delete(root);
    return OK;
}

/* Manifests of earlier versions have no hashes that would reveal damage before. */
Status results_recall(Run *r)
{
    Status status = recall(r);
    if (status != E_FORMAT) return status;
    const char *message = str_copy(&r->arena, err_message(), strlen(err_message()));
    err_clear();
    return err_fail(status, "%s; --overwrite makes the result anew", message);
}

/* ------------------------------------------------------------------------ for a person */

static bool colour(void)
{
    const char *term = getenv("TERM"), *no = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

/* The interval, or where there is none the least and the greatest value. */
static const char *spread_text(Arena *a, ClaimRange range, Summary s)
{
    if (isfinite(s.ci95.lo)) return str_print(a, "[%.6g, %.6g]", s.ci95.lo, s.ci95.hi);
    if (s.least == s.most) return "all equal";
    return str_print(a, "%.6g to %.6g%s", s.least, s.most, range == RANGE_EXTREME ? "" : ", no interval");
}

static void print_metric(Arena *a, const Metric *m, int width)
{
    Summary s = metric_summary(a, m);
    if (!isfinite(s.mean)) {
        print_out("  %-*s  %12s\n", width, m->name, "not finite");
        return;
    }
    print_out("  %-*s  %12.6g", width, m->name, s.mean);
    if (s.n >= 2) print_out("  %10.3g  %s  %lld", s.sd, spread_text(a, m->range, s), (long long)s.n);
    print_out("\n");
}

static void print_table(Arena *a, const Grid *t)
{
    Buf b = buf_open(a);
    print_out("\n");
    print_item("  table", 11, t->caption);
    grid_form(&b, t, GRID_TEXT, 2);
    print_layout(b.text, b.len);
}

static void print_metrics(Run *r)
{
    bool many = false;
    int width = 10;
    for (const Metric *m = r->metrics; m; m = m->next) {
        if ((int)strlen(m->name) > width) width = (int)strlen(m->name);
        many |= m->n > 1;
    }
    if (r->metrics)
        print_out("  %-*s  %12s%s\n", width, "metric", "mean",
                  many ? "          sd  [95 % interval] or range  n" : "");
    for (const Metric *m = r->metrics; m; m = m->next) print_metric(&r->arena, m, width);
}

static void print_verdict(Run *r)
{
    static const int paint[] = {32, 31, 33}; /* green, red, yellow */
    if (colour()) print_out("\033[%dm", paint[r->verdict]);
    print_item("  verdict", 11, str_print(&r->arena, "%s: %s", verdict_name(r->verdict), r->sentence));
    if (colour()) print_out("\033[0m");
}

static void print_title(const Run *r)
{
    const Experiment *e = r->experiment;
    print_out("%s/%s: %s (%s, %d %s)\n", e->group, e->name, e->title, preset_name(r->preset), r->seeds,
              str_plural(r->seeds, "seed", "seeds"));
}

static void print_path(const Run *r)
{
    print_out("  results  %s/results.json%s\n", r->dir, r->folder.done ? " (done before; not run again)" : "");
}

void results_print_short(Run *r)
{
    print_title(r);
    print_verdict(r);
    print_path(r);
}

/* Prints a run's verdict, tables, comparisons, notes and the paths of its files. */
void results_print(Run *r)
{
    print_title(r);
    print_item("  claim", 11, r->experiment->claim);
    print_verdict(r);
    claims_print(r);
    for (const Grid *t = r->tables; t; t = t->next) print_table(&r->arena, t);
    for (const Grid *t = r->measured; t; t = t->next) print_table(&r->arena, t);
    if (r->tables || r->measured) print_out("\n");
    if (!r->tables) print_metrics(r);
    for (const Note *c = r->compares; c; c = c->next) {
        print_out("  %s - %s: ", c->text, c->more);
        if (c->n < 2)
            print_out("too few pairs for a test\n");
        else
            print_out("%.4g, p %.3g over %d pairs\n", c->mean, c->p, c->n);
    }
    for (const Note *n = r->notes; n; n = n->next) print_item("  note", 11, n->text);
    for (const Note *f = r->figures; f; f = f->next) print_out("  figure   %s/figures/%s.svg\n", r->dir, f->text);
    print_path(r);
}
