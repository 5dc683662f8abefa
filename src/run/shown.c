/* Reading the files of runs, and their contents as tables of text. */
#include "run/shown.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"

/* ------------------------------------------------------------------------ fields of JSON */

const cJSON *shown_field(const cJSON *o, const char *key)
{
    return cJSON_IsObject(o) ? cJSON_GetObjectItemCaseSensitive(o, key) : NULL;
}

const char *shown_text(const cJSON *o, const char *key)
{
    const cJSON *x = shown_field(o, key);
    return cJSON_IsString(x) ? x->valuestring : "";
}

/* So many significant digits; whole numbers whole; powers of ten as 3.331\u00D710\u207B\u00B9\u2076. */
static const char *print_value(Arena *a, double v, int digits)
{
    static const char *const raised[] = {"\u2070", "\u00B9", "\u00B2", "\u00B3", "\u2074",
                                         "\u2075", "\u2076", "\u2077", "\u2078", "\u2079"};
    bool whole = v == floor(v) && fabs(v) < 1e7;
    const char *plain = whole ? str_print(a, "%.0f", fabs(v)) : str_print(a, "%#.*g", digits, fabs(v));
    const char *e = strchr(plain, 'e');
    size_t n = e ? (size_t)(e - plain) : strlen(plain);
    Buf b = buf_open(a);
    buf_print(&b, "%s", v < 0 ? "\u2212" : "");
    buf_add(&b, plain, n - (plain[n - 1] == '.'));
    if (!e) return b.text;
    buf_print(&b, "\u00D710%s", e[1] == '-' ? "\u207B" : "");
    for (const char *d = e + 2 + strspn(e + 2, "0"); *d; d++) buf_print(&b, "%s", raised[*d - '0']);
    return b.text;
}

static const char *print_number(Arena *a, const cJSON *x, int digits)
{
    return cJSON_IsNumber(x) ? print_value(a, x->valuedouble, digits) : "";
}

const char *shown_number(Arena *a, const cJSON *o, const char *key)
{
    return print_number(a, shown_field(o, key), 4);
}

/* "[lo, hi]", or nothing where there is none or all values agree. */
static const char *interval(Arena *a, const cJSON *o, const char *name)
{
    const cJSON *pair = shown_field(o, name), *lo = cJSON_GetArrayItem(pair, 0), *hi = cJSON_GetArrayItem(pair, 1);
    if (!cJSON_IsNumber(lo) || !cJSON_IsNumber(hi) || lo->valuedouble == hi->valuedouble) return "";
    return str_print(a, "[%s, %s]", print_number(a, lo, 3), print_number(a, hi, 3));
}

/* The interval of a metric; of a maximum, a minimum or a count the least and the greatest value. */
static const char *spread(Arena *a, const cJSON *m)
{
    const cJSON *least = shown_field(m, "least"), *most = shown_field(m, "most");
    if (strcmp(shown_text(m, "range"), "extreme") != 0 || !cJSON_IsNumber(least) || !cJSON_IsNumber(most))
        return interval(a, m, "ci95");
    if (least->valuedouble == most->valuedouble) return "";
    return str_print(a, "%s to %s", print_number(a, least, 3), print_number(a, most, 3));
}

const char *shown_duration(Arena *a, double seconds)
{
    long long s = (long long)(seconds + 0.5);
    if (seconds < 60) return str_print(a, "%.1f s", seconds);
    if (s < 3600) return str_print(a, "%lld min %02lld s", s / 60, s % 60);
    return str_print(a, "%lld h %02lld min", s / 3600, s / 60 % 60);
}

static Status read_json(cJSON **out, const char **raw, Arena *a, const char *path)
{
    Bytes bytes;
    const char *end = NULL;
    TRY(file_read(&bytes, a, path));
    *out = cJSON_ParseWithOpts(bytes.text, &end, 1);
    if (!*out || !cJSON_IsObject(*out))
        return err_fail(E_FORMAT, "%s: byte %zu: expected a JSON object as vernier writes it", path,
                        end ? (size_t)(end - bytes.text) : 0);
    *raw = bytes.text;
    return OK;
}

/* What is open of the first n - 1, and the one whose opening failed. */
static Status shown_read(Shown *s, Arena *a, const char *dir)
{
    const char *ignored;
    *s = (Shown){.dir = dir};
    TRY(read_json(&s->results, &ignored, a, str_print(a, "%s/results.json", dir)));
    TRY(read_json(&s->manifest, &s->manifest_text, a, str_print(a, "%s/manifest.json", dir)));
    TRY(result_read(&s->run, a, dir));
    const char *timings = str_print(a, "%s/timings.json", dir);
    return access(timings, F_OK) ? OK : read_json(&s->timings, &ignored, a, timings);
}

/* Runs of one experiment are told apart by the settings in which they differ. */
static void label_runs(Shown *s, Arena *a, int n)
{
    const char **key;
    RunResult *run = NEW(a, RunResult, n + 1);
    for (int i = 0; i < n; i++) run[i] = s[i].run;
    const int keys = results_differ(&key, a, n, run);
    for (int i = 0; i < n; i++) {
        int others = 0;
        for (int k = 0; k < n; k++) others += k != i && !strcmp(run[k].experiment, run[i].experiment);
        s[i].label = others ? result_label(a, &run[i], keys, key) : "";
    }
}

Status shown_open(Shown **out, Arena *a, int n, const char *const *dir)
{
    Shown *s = *out = NEW(a, Shown, n);
    Status status = OK;
    for (int i = 0; i < n && !status; i++) status = shown_read(s + i, a, dir[i]);
    if (status)
        shown_close(n, s);
    else
        label_runs(s, a, n);
    return status;
}

void shown_close(int n, Shown *s)
{
    for (int i = 0; i < n; i++) {
        cJSON_Delete(s[i].results);
        cJSON_Delete(s[i].manifest);
        cJSON_Delete(s[i].timings);
    }
}

const char *shown_time(Arena *a, const Shown *s)
{
    const cJSON *t = shown_field(shown_field(s->manifest, "time"), "wall_seconds");
    return cJSON_IsNumber(t) ? shown_duration(a, t->valuedouble) : "";
}

const char *shown_setting(Arena *a, const cJSON *x)
{
    return cJSON_IsString(x)   ? x->valuestring
           : cJSON_IsBool(x)   ? cJSON_IsTrue(x) ? "yes" : "no"
           : cJSON_IsNumber(x) ? str_print(a, "%.10g", x->valuedouble)
                               : "";
}

/* The path from the folder of the page to a directory: "../runs/toy/e1", or NULL where one of them has no place. */
const char *shown_path(Arena *a, const char *page, const char *dir)
{
    const char *slash = strrchr(page, '/'); /* the page is not there yet */
    char *from = realpath(slash ? str_print(a, "%.*s/", (int)(slash - page), page) : ".", NULL);
    char *to = realpath(dir, NULL);
    Buf b = buf_open(a);
    size_t same = 0;
    for (size_t i = 0; from && to && (!i || from[i - 1]); i++) {
        const bool end = (!from[i] || from[i] == '/') && (!to[i] || to[i] == '/');
        if (end) same = i;
        if (from[i] != to[i] || !from[i]) break;
    }
    for (const char *up = from ? from + same : ""; *up; up++)
        if (*up == '/' && up[1]) buf_print(&b, "../");
    if (from && to) buf_print(&b, "%s", to[same] ? to + same + 1 : ".");
    const bool both = from && to;
    free(from);
    free(to);
    return both ? b.text : NULL;
}

bool shown_is_done(const Shown *s)
{
    return !strcmp(shown_text(s->results, "status"), "done");
}

const char *shown_verdict(const Shown *s)
{
    return shown_text(s->results, shown_is_done(s) && shown_field(s->results, "verdict") ? "verdict" : "status");
}

const char *shown_title(Arena *a, const Shown *s)
{
    const char *const name = shown_text(s->results, "experiment"), *const title = shown_text(s->results, "title");
    return str_print(a, *s->label ? "%s: %s (%s)" : "%s: %s", name, title, s->label);
}

/* "4 experiments: 2 supported, 1 not supported, 1 inconclusive; 1 tuning", as far as the files tell. */
const char *shown_tally(Arena *a, int n, const Shown *s)
{
    int supported = 0, not = 0, claims = 0;
    for (int i = 0; i < n; i++) {
        bool done = !strcmp(shown_text(s[i].results, "status"), "done");
        supported += done && !strcmp(shown_text(s[i].results, "verdict"), "supported");
        not += done && !strcmp(shown_text(s[i].results, "verdict"), "not supported");
        claims += shown_field(s[i].results, "claim") != NULL;
    }
    Buf b = buf_open(a);
    if (claims)
        buf_print(&b, "%d %s: %d supported, %d not supported", claims,
                  str_plural(claims, "experiment", "experiments"), supported, not );
    if (supported + not < claims) buf_print(&b, ", %d inconclusive", claims - supported - not );
    if (claims < n)
        buf_print(&b, "%s%d %s", claims ? "; " : "", n - claims, str_plural(n - claims, "tuning", "tunings"));
    return b.text;
}

/* ---------------------------------------------------------------------------------- tables */

/* Of several runs of one experiment also the settings that differ, and the directory. */
Grid shown_summary(Arena *a, int n, const Shown *s)
{
    static const char *const head[] = {"experiment", "verdict", "in a sentence",        "preset",
                                       "seeds",      "time",    "settings that differ", "directory"};
    enum { COLS = sizeof head / sizeof *head };
    int cols = COLS - 2;
    for (int i = 0; i < n; i++)
        if (*s[i].label) cols = COLS;
    GridRows g = grid_begin(a, cols, head);
    for (int i = 0; i < n; i++) {
        const cJSON *o = s[i].results;
        const char *const row[COLS] = {shown_text(o, "experiment"),
                                       shown_verdict(s + i),
                                       shown_text(o, "sentence"),
                                       shown_text(o, "preset"),
                                       str_print(a, "%d", cJSON_GetArraySize(shown_field(o, "seeds"))),
                                       shown_time(a, s + i),
                                       s[i].label,
                                       s[i].dir};
        grid_row(&g, row);
    }
    return grid_end(&g, NULL);
}

Grid shown_claims(Arena *a, const Shown *s)
{
    static const char *const head[] = {"part of the verdict", "verdict", "mean", "interval", "required"};
    enum { COLS = sizeof head / sizeof *head };
    const cJSON *c;
    GridRows g = grid_begin(a, COLS, head);
    cJSON_ArrayForEach(c, shown_field(s->results, "claims"))
    {
        bool within = !strcmp(shown_text(c, "form"), "within"), gate = !strcmp(shown_text(c, "kind"), "gate");
        const char *margin = shown_number(a, c, "margin");
        const char *const row[COLS] = {
            str_print(a, "%s%s", gate ? "condition: " : "", shown_text(c, "claim")), shown_text(c, "verdict"),
            shown_number(a, c, "mean"), interval(a, c, "interval"),
            !*margin ? "" : str_print(a, "%s %s%s", shown_text(c, "form"), within ? "\u00B1" : "", margin)};
        grid_row(&g, row);
    }
    return grid_end(&g, "Parts of the verdict: 95 % intervals over seeds, 90 % ones for \"within\"; without its "
                        "conditions a run is inconclusive");
}

int shown_metric_count(const Shown *s)
{
    const cJSON *metrics = shown_field(s->results, "metrics");
    return cJSON_IsObject(metrics) ? cJSON_GetArraySize(metrics) : 0;
}

/* Columns that would be empty, as with one seed, are left out. */
Grid shown_metrics(Arena *a, const Shown *s, int from, int to)
{
    static const char *const many[] = {"metric", "mean", "sd", "[95 % interval] or range", "n"};
    static const char *const one[] = {"metric", "value"};
    enum { COLS = sizeof many / sizeof *many };
    const cJSON *metrics = shown_field(s->results, "metrics"), *m, *x;
    int i = 0, seeds = 0;
    cJSON_ArrayForEach(m, metrics)
    {
        const int values = cJSON_GetArraySize(shown_field(m, "values"));
        if (values > seeds) seeds = values;
    }
    GridRows g = grid_begin(a, seeds > 1 ? COLS : 2, seeds > 1 ? many : one);
    cJSON_ArrayForEach(m, metrics)
    {
        int n = 0;
        if (i++ < from || i > to) continue;
        cJSON_ArrayForEach(x, shown_field(m, "values")) n += cJSON_IsNumber(x);
        const char *mean = shown_number(a, m, "mean");
        const char *const row[COLS] = {m->string, *mean ? mean : "n/a", print_number(a, shown_field(m, "sd"), 3),
                                       spread(a, m), str_print(a, "%d", n)};
        grid_row(&g, row);
    }
    return grid_end(&g, NULL);
}

Grid shown_comparisons(Arena *a, const Shown *s)
{
    static const char *const head[] = {"compared", "mean difference", "95 % interval", "p", "pairs"};
    enum { COLS = sizeof head / sizeof *head };
    const cJSON *c;
    GridRows g = grid_begin(a, COLS, head);
    cJSON_ArrayForEach(c, shown_field(s->results, "comparisons"))
    {
        const char *const row[COLS] = {str_print(a, "%s \u2212 %s", shown_text(c, "a"), shown_text(c, "b")),
                                       shown_number(a, c, "mean_difference"), interval(a, c, "ci95"),
                                       print_number(a, shown_field(c, "p"), 3), shown_number(a, c, "pairs")};
        grid_row(&g, row);
    }
    return grid_end(&g, "Paired t tests over seeds");
}

static void texts(const char **out, int most, const cJSON *list)
{
    int n = 0;
    const cJSON *x;
    cJSON_ArrayForEach(x, list) if (n < most) out[n++] = cJSON_IsString(x) ? x->valuestring : "";
}

const Grid *shown_tables(Arena *a, const cJSON *results)
{
    const cJSON *t, *row;
    Grid *first = NULL, **end = &first;
    cJSON_ArrayForEach(t, shown_field(results, "tables"))
    {
        int cols = cJSON_GetArraySize(shown_field(t, "head")), rows = cJSON_GetArraySize(shown_field(t, "rows")),
            i = 0;
        if (!cols || !rows) continue;
        const char **head = NEW(a, const char *, cols), **cell = NEW(a, const char *, rows *cols);
        texts(head, cols, shown_field(t, "head"));
        cJSON_ArrayForEach(row, shown_field(t, "rows")) texts(cell + cols * i++, cols, row);
        *end = NEW(a, Grid, 1);
        **end = (Grid){shown_text(t, "caption"), cols, rows, head, cell, NULL};
        end = &(*end)->next;
    }
    return first;
}

/* The first run's machine and build, with the total time and the largest peak memory of all runs. */
int shown_machine(Arena *a, int n, const Shown *s, const char *fact[][2], int most)
{
    double seconds = 0, peak = 0;
    for (int i = 0; i < n; i++) {
        const cJSON *t = shown_field(shown_field(s[i].manifest, "time"), "wall_seconds");
        const cJSON *m = shown_field(shown_field(s[i].manifest, "memory"), "peak_bytes");
        if (cJSON_IsNumber(t)) seconds += t->valuedouble;
        if (cJSON_IsNumber(m) && m->valuedouble > peak) peak = m->valuedouble;
    }
    const cJSON *machine = shown_field(s->manifest, "machine"), *tool = shown_field(s->manifest, "tool");
    const char *const known[][2] = {{"processor", shown_text(machine, "cpu")},
                                    {"threads", shown_number(a, machine, "threads")},
                                    {"kernels", shown_text(machine, "kernels")},
                                    {"vernier", shown_text(tool, "version")},
                                    {"build", shown_text(tool, "build")},
                                    {"began", shown_text(shown_field(s->manifest, "time"), "start")},
                                    {"time", seconds > 0 ? shown_duration(a, seconds) : ""},
                                    {"peak memory", peak > 0 ? str_print(a, "%.0f MiB", peak / (1 << 20)) : ""}};
    int k = 0;
    for (size_t i = 0; i < sizeof known / sizeof *known && k < most; i++)
        if (*known[i][1]) memcpy(fact[k++], known[i], sizeof *known);
    return k;
}
