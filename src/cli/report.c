/* Reading back what runs wrote.  The files may come from anywhere, so nothing is taken for granted: a field
 * that is missing or of another type reads as empty. */
#include "cli/report.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "base/file.h"
#include "base/str.h"
#include "plot/report.h"

typedef struct {
    const char *dir;
    cJSON *results, *manifest;
    const char *manifest_text;
} Source;

/* ------------------------------------------------------------------------ fields of JSON */

static const cJSON *field(const cJSON *o, const char *key)
{
    return cJSON_IsObject(o) ? cJSON_GetObjectItemCaseSensitive(o, key) : NULL;
}

static const char *text(const cJSON *o, const char *key)
{
    const cJSON *x = field(o, key);
    return cJSON_IsString(x) ? x->valuestring : "";
}

static const char *print_number(Arena *a, const cJSON *x)
{
    return cJSON_IsNumber(x) ? str_print(a, "%.5g", x->valuedouble) : "";
}

static const char *number(Arena *a, const cJSON *o, const char *key)
{
    return print_number(a, field(o, key));
}

/* "[lo, hi]" or nothing. */
static const char *interval(Arena *a, const cJSON *o)
{
    const cJSON *pair = field(o, "ci95"), *lo = cJSON_GetArrayItem(pair, 0), *hi = cJSON_GetArrayItem(pair, 1);
    if (!cJSON_IsNumber(lo) || !cJSON_IsNumber(hi)) return "";
    return str_print(a, "[%.5g, %.5g]", lo->valuedouble, hi->valuedouble);
}

static Status read_json(cJSON **out, const char **raw, Arena *a, const char *path)
{
    Bytes bytes;
    const char *end = NULL;
    TRY(file_read(&bytes, a, path));
    *out = cJSON_ParseWithOpts(bytes.text, &end, 1);
    if (!*out || !cJSON_IsObject(*out))
        return fail(E_FORMAT, "%s: byte %zu: expected a JSON object as vernier writes it", path,
                    end ? (size_t)(end - bytes.text) : 0);
    *raw = bytes.text;
    return OK;
}

static Status source_open(Source *s, Arena *a, const char *dir)
{
    const char *ignored;
    *s = (Source){.dir = dir};
    TRY(read_json(&s->results, &ignored, a, str_print(a, "%s/results.json", dir)));
    TRY(read_json(&s->manifest, &s->manifest_text, a, str_print(a, "%s/manifest.json", dir)));
    return OK;
}

/* ------------------------------------------------------------------------------- the page */

static const char *wall(Arena *a, const Source *s)
{
    const cJSON *t = field(field(s->manifest, "time"), "wall_seconds");
    return cJSON_IsNumber(t) ? str_print(a, "%.1f s", t->valuedouble) : "";
}

static void add_summary(Report *page, Arena *a, int n, const Source *s)
{
    static const char *const head[] = {"experiment", "verdict", "in a sentence", "preset", "seeds", "time"};
    enum { COLS = sizeof head / sizeof *head };
    const char **cell = NEW(a, const char *, n *COLS);
    for (int i = 0; i < n; i++) {
        const cJSON *o = s[i].results;
        bool done = !strcmp(text(o, "status"), "done");
        const char *row[COLS] = {text(o, "experiment"),
                                 text(o, done ? "verdict" : "status"),
                                 text(o, "sentence"),
                                 text(o, "preset"),
                                 str_print(a, "%d", cJSON_GetArraySize(field(o, "seeds"))),
                                 wall(a, s + i)};
        memcpy(cell + i * COLS, row, sizeof row);
    }
    report_heading(page, 2, "Summary");
    report_table(page, NULL, COLS, head, n, cell);
}

static void add_metrics(Report *page, Arena *a, const cJSON *o)
{
    static const char *const head[] = {"metric", "mean", "sd", "95 % interval", "values"};
    enum { COLS = sizeof head / sizeof *head, SHOWN = 5 };
    const cJSON *metrics = field(o, "metrics"), *m;
    int rows = cJSON_GetArraySize(metrics), i = 0;
    const char **cell = NEW(a, const char *, rows *COLS + 1);
    cJSON_ArrayForEach(m, metrics)
    {
        Buf values = buf_open(a);
        const cJSON *list = field(m, "values"), *x;
        int n = cJSON_GetArraySize(list), k = 0;
        cJSON_ArrayForEach(x, list) if (n > 1 && k++ < SHOWN)
            buf_print(&values, "%s%s", k > 1 ? ", " : "", cJSON_IsNumber(x) ? print_number(a, x) : "none");
        if (n > SHOWN) buf_print(&values, ", ... (%d)", n);
        const char *row[COLS] = {m->string, number(a, m, "mean"), number(a, m, "sd"), interval(a, m), values.text};
        memcpy(cell + i++ * COLS, row, sizeof row);
    }
    if (rows) report_table(page, NULL, COLS, head, rows, cell);
}

static void add_comparisons(Report *page, Arena *a, const cJSON *o)
{
    static const char *const head[] = {"compared", "mean difference", "95 % interval", "p", "pairs"};
    enum { COLS = sizeof head / sizeof *head };
    const cJSON *list = field(o, "comparisons"), *c;
    int rows = cJSON_GetArraySize(list), i = 0;
    const char **cell = NEW(a, const char *, rows *COLS + 1);
    cJSON_ArrayForEach(c, list)
    {
        const char *row[COLS] = {str_print(a, "%s - %s", text(c, "a"), text(c, "b")), number(a, c, "mean_difference"),
                                 interval(a, c), number(a, c, "p"), number(a, c, "pairs")};
        memcpy(cell + i++ * COLS, row, sizeof row);
    }
    if (rows) report_table(page, "Paired t tests over seeds", COLS, head, rows, cell);
}

static void add_figures(Report *page, Arena *a, const Source *s)
{
    const cJSON *f;
    cJSON_ArrayForEach(f, field(s->results, "figures"))
    {
        const char *name = text(f, "name");
        if (*name && !strchr(name, '/'))
            report_figure(page, str_print(a, "%s/figures/%s.svg", s->dir, name), text(f, "caption"));
    }
}

static void add_run(Report *page, Arena *a, const Source *s)
{
    const cJSON *o = s->results, *note;
    const char *verdict = text(o, "verdict"), *status = text(o, "status");
    bool done = !strcmp(status, "done");
    ReportVerdict level = !done                       ? VERDICT_INCONCLUSIVE
                          : !strcmp(verdict, "holds") ? VERDICT_HOLDS
                          : !strcmp(verdict, "fails") ? VERDICT_FAILS
                                                      : VERDICT_INCONCLUSIVE;
    report_heading(page, 2, str_print(a, "%s: %s", text(o, "experiment"), text(o, "title")));
    report_verdict(page, level, text(o, "claim"),
                   done ? text(o, "sentence") : str_print(a, "%s: %s", status, text(o, "sentence")));
    report_text(page, str_print(a, "Method: %s", text(o, "method")));
    report_text(page, str_print(a, "Expected: %s", text(o, "expect")));
    if (*text(o, "source")) report_text(page, str_print(a, "Source: %s", text(o, "source")));
    add_metrics(page, a, o);
    add_comparisons(page, a, o);
    add_figures(page, a, s);
    cJSON_ArrayForEach(note, field(o, "notes")) if (cJSON_IsString(note)) report_text(page, note->valuestring);
    report_details(page, "Settings, inputs, times (manifest.json)", s->manifest_text);
}

static void add_machine(Report *page, Arena *a, int n, const Source *s)
{
    double seconds = 0, peak = 0;
    for (int i = 0; i < n; i++) {
        const cJSON *t = field(field(s[i].manifest, "time"), "wall_seconds");
        const cJSON *m = field(field(s[i].manifest, "memory"), "peak_bytes");
        if (cJSON_IsNumber(t)) seconds += t->valuedouble;
        if (cJSON_IsNumber(m) && m->valuedouble > peak) peak = m->valuedouble;
    }
    const cJSON *machine = field(s->manifest, "machine"), *tool = field(s->manifest, "tool");
    const char *const facts[][2] = {{"processor", text(machine, "cpu")},
                                    {"threads", number(a, machine, "threads")},
                                    {"kernels", text(machine, "kernels")},
                                    {"vernier", text(tool, "version")},
                                    {"build", text(tool, "build")},
                                    {"began", text(field(s->manifest, "time"), "start")},
                                    {"time", str_print(a, "%.1f s", seconds)},
                                    {"peak memory", str_print(a, "%.0f MiB", peak / (1 << 20))}};
    report_heading(page, 2, "Machine and time");
    report_facts(page, sizeof facts / sizeof *facts, facts);
}

Status report_runs(const char *path, Arena *a, int n, const char *const *dir)
{
    Source *s = NEW(a, Source, n);
    Status status = OK;
    for (int i = 0; i < n && !status; i++) status = source_open(s + i, a, dir[i]);
    if (!status) {
        const char *title = n == 1 ? text(s->results, "title") : "Experiments run with vernier";
        Report *page = report_open(path, title);
        add_summary(page, a, n, s);
        for (int i = 0; i < n; i++) add_run(page, a, s + i);
        add_machine(page, a, n, s);
        status = report_close(page);
    }
    for (int i = 0; i < n; i++) {
        cJSON_Delete(s[i].results);
        cJSON_Delete(s[i].manifest);
    }
    return status;
}

/* ---------------------------------------------------------------------- finding run directories */

static void find_below(const char **out, int *n, int most, Arena *a, const char *dir, int depth)
{
    struct dirent **entry;
    if (*n < most && !access(str_print(a, "%s/results.json", dir), F_OK)) {
        out[(*n)++] = dir;
        return;
    }
    int entries = depth ? scandir(dir, &entry, NULL, alphasort) : 0;
    for (int i = 0; i < entries; i++) {
        bool maybe = entry[i]->d_name[0] != '.' && (entry[i]->d_type == DT_DIR || entry[i]->d_type == DT_UNKNOWN);
        if (maybe) find_below(out, n, most, a, str_print(a, "%s/%s", dir, entry[i]->d_name), depth - 1);
        free(entry[i]);
    }
    if (entries > 0) free(entry);
}

Status report_find(const char **out, int *n, int most, Arena *a, const char *dir)
{
    enum { DEPTH = 4 };
    int before = *n;
    find_below(out, n, most, a, dir, DEPTH);
    return *n > before ? OK : fail(E_IO, "%s: no run directory (one with a results.json) there or below", dir);
}
