/* Reading the files of runs.  The files may come from anywhere, so nothing is taken for granted: a field
 * that is missing or of another type reads as empty. */
#include "run/report.h"

#include <dirent.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "base/file.h"
#include "base/str.h"
#include "plot/report.h"
#include "run/result.h"

typedef struct {
    const char *dir;
    cJSON *results, *manifest, *timings; /* timings: NULL where there are none */
    const char *manifest_text;
    RunResult run;     /* for the settings that differ */
    const char *label; /* "lr=0.004": its settings that others of its experiment have not, or "" */
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

static const char *number(Arena *a, const cJSON *o, const char *key)
{
    return print_number(a, field(o, key), 4);
}

/* "[lo, hi]", or nothing where there is none or all values agree. */
static const char *interval(Arena *a, const cJSON *o, const char *name)
{
    const cJSON *pair = field(o, name), *lo = cJSON_GetArrayItem(pair, 0), *hi = cJSON_GetArrayItem(pair, 1);
    if (!cJSON_IsNumber(lo) || !cJSON_IsNumber(hi) || lo->valuedouble == hi->valuedouble) return "";
    return str_print(a, "[%s, %s]", print_number(a, lo, 3), print_number(a, hi, 3));
}

/* The interval of a metric; of a maximum, a minimum or a count the least and the greatest value. */
static const char *spread(Arena *a, const cJSON *m)
{
    const cJSON *least = field(m, "least"), *most = field(m, "most");
    if (strcmp(text(m, "range"), "extreme") != 0 || !cJSON_IsNumber(least) || !cJSON_IsNumber(most))
        return interval(a, m, "ci95");
    if (least->valuedouble == most->valuedouble) return "";
    return str_print(a, "%s to %s", print_number(a, least, 3), print_number(a, most, 3));
}

static const char *duration(Arena *a, double seconds)
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

static Status source_open(Source *s, Arena *a, const char *dir)
{
    const char *ignored;
    *s = (Source){.dir = dir};
    TRY(read_json(&s->results, &ignored, a, str_print(a, "%s/results.json", dir)));
    TRY(read_json(&s->manifest, &s->manifest_text, a, str_print(a, "%s/manifest.json", dir)));
    TRY(result_read(&s->run, a, dir));
    const char *timings = str_print(a, "%s/timings.json", dir);
    return access(timings, F_OK) ? OK : read_json(&s->timings, &ignored, a, timings);
}

static void label_sources(Source *s, Arena *a, int n)
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

/* ------------------------------------------------------------------------------- the page */

static const char *wall(Arena *a, const Source *s)
{
    const cJSON *t = field(field(s->manifest, "time"), "wall_seconds");
    return cJSON_IsNumber(t) ? duration(a, t->valuedouble) : "";
}

/* Adds a table with one line for each run: verdict or status, sentence, preset, seeds and time; of several runs of
 * one experiment also the settings that differ, and the directory. */
static void add_summary(Report *page, Arena *a, int n, const Source *s)
{
    static const char *const head[] = {"experiment", "verdict", "in a sentence",        "preset",
                                       "seeds",      "time",    "settings that differ", "directory"};
    enum { COLS = sizeof head / sizeof *head };
    const char **cell = NEW(a, const char *, n *COLS);
    int cols = COLS - 2, used = 0;
    for (int i = 0; i < n; i++)
        if (*s[i].label) cols = COLS;
    for (int i = 0; i < n; i++) {
        const cJSON *o = s[i].results;
        bool done = !strcmp(text(o, "status"), "done");
        const char *row[COLS] = {text(o, "experiment"),
                                 text(o, done && field(o, "verdict") ? "verdict" : "status"),
                                 text(o, "sentence"),
                                 text(o, "preset"),
                                 str_print(a, "%d", cJSON_GetArraySize(field(o, "seeds"))),
                                 wall(a, s + i),
                                 s[i].label,
                                 s[i].dir};
        memcpy(cell + used, row, (size_t)cols * sizeof *row);
        used += cols;
    }
    report_heading(page, 2, "Summary");
    report_table(page, NULL, cols, head, n, cell);
}

/* Rows from..to of the metrics; columns that would be empty, as with one seed, are left out. */
static void add_metric_rows(Report *page, Arena *a, const cJSON *metrics, int from, int to)
{
    static const char *const many[] = {"metric", "mean", "sd", "[95 % interval] or range", "n"};
    static const char *const one[] = {"metric", "value"};
    enum { COLS = sizeof many / sizeof *many };
    int i = 0, used = 0, seeds = 0;
    const cJSON *m, *x;
    cJSON_ArrayForEach(m, metrics) if (cJSON_GetArraySize(field(m, "values")) > seeds) seeds =
        cJSON_GetArraySize(field(m, "values"));
    const int cols = seeds > 1 ? COLS : 2;
    const char **cell = NEW(a, const char *, (to - from) * COLS + 1);
    cJSON_ArrayForEach(m, metrics)
    {
        int n = 0;
        if (i++ < from || i > to) continue;
        cJSON_ArrayForEach(x, field(m, "values")) n += cJSON_IsNumber(x);
        const char *mean = number(a, m, "mean");
        const char *row[COLS] = {m->string, *mean ? mean : "n/a", print_number(a, field(m, "sd"), 3), spread(a, m),
                                 str_print(a, "%d", n)};
        memcpy(cell + used, row, (size_t)cols * sizeof *row);
        used += cols;
    }
    if (used) report_table(page, NULL, cols, seeds > 1 ? many : one, used / cols, cell);
}

/* The first metrics are those an experiment thought of first; of a long list the others are folded away. */
static void add_metrics(Report *page, Arena *a, const cJSON *o)
{
    enum { SHOWN = 10, LONG = 14 };
    const cJSON *metrics = field(o, "metrics");
    int rows = cJSON_IsObject(metrics) ? cJSON_GetArraySize(metrics) : 0, shown = field(o, "tables") ? 0
                                                                                  : rows > LONG      ? SHOWN
                                                                                                     : rows;
    if (shown) add_metric_rows(page, a, metrics, 0, shown);
    if (shown == rows) return;
    report_fold(page, str_print(a, "%d %smetrics", rows - shown, shown ? "more " : ""));
    add_metric_rows(page, a, metrics, shown, rows);
    report_unfold(page);
}

/* Adds the table of paired t tests, if the run has any. */
static void add_comparisons(Report *page, Arena *a, const cJSON *o)
{
    static const char *const head[] = {"compared", "mean difference", "95 % interval", "p", "pairs"};
    enum { COLS = sizeof head / sizeof *head };
    const cJSON *list = field(o, "comparisons"), *c;
    int rows = cJSON_GetArraySize(list), i = 0;
    const char **cell = NEW(a, const char *, rows *COLS + 1);
    cJSON_ArrayForEach(c, list)
    {
        const char *row[COLS] = {str_print(a, "%s \u2212 %s", text(c, "a"), text(c, "b")),
                                 number(a, c, "mean_difference"), interval(a, c, "ci95"),
                                 print_number(a, field(c, "p"), 3), number(a, c, "pairs")};
        memcpy(cell + i++ * COLS, row, sizeof row);
    }
    if (rows) report_table(page, "Paired t tests over seeds", COLS, head, rows, cell);
}

/* The parts of the verdict: gates, claims and exact claims, with the interval and the margin that decide each. */
static void add_claims(Report *page, Arena *a, const cJSON *o)
{
    static const char *const head[] = {"part of the verdict", "verdict", "mean", "interval", "required"};
    enum { COLS = sizeof head / sizeof *head };
    const cJSON *list = field(o, "claims"), *c;
    int rows = cJSON_GetArraySize(list), i = 0;
    const char **cell = NEW(a, const char *, rows *COLS + 1);
    cJSON_ArrayForEach(c, list)
    {
        bool within = !strcmp(text(c, "form"), "within"), gate = !strcmp(text(c, "kind"), "gate");
        const char *margin = number(a, c, "margin");
        const char *row[COLS] = {str_print(a, "%s%s", gate ? "condition: " : "", text(c, "claim")),
                                 text(c, "verdict"), number(a, c, "mean"), interval(a, c, "interval"),
                                 !*margin ? ""
                                          : str_print(a, "%s %s%s", text(c, "form"), within ? "\u00B1" : "", margin)};
        memcpy(cell + i++ * COLS, row, sizeof row);
    }
    if (rows)
        report_table(page,
                     "Parts of the verdict: 95 % intervals over seeds, 90 % ones for \"within\"; without its "
                     "conditions a run is inconclusive",
                     COLS, head, rows, cell);
}

static int texts(const char **out, int most, const cJSON *list)
{
    int n = 0;
    const cJSON *x;
    cJSON_ArrayForEach(x, list) if (n < most) out[n++] = cJSON_IsString(x) ? x->valuestring : "";
    return n;
}

static void add_tables(Report *page, Arena *a, const cJSON *o)
{
    const cJSON *t, *row;
    cJSON_ArrayForEach(t, field(o, "tables"))
    {
        int cols = cJSON_GetArraySize(field(t, "head")), rows = cJSON_GetArraySize(field(t, "rows")), i = 0;
        if (!cols || !rows) continue;
        const char **head = NEW(a, const char *, cols), **cell = NEW(a, const char *, rows *cols);
        texts(head, cols, field(t, "head"));
        cJSON_ArrayForEach(row, field(t, "rows")) texts(cell + cols * i++, cols, row);
        report_table(page, text(t, "caption"), cols, head, rows, cell);
    }
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

/* Facts of which something is known. */
static void add_facts(Report *page, Arena *a, int n, const char *const (*fact)[2])
{
    const char *(*known)[2] = (const char *(*)[2])NEW(a, const char *, 2 * n);
    int k = 0;
    for (int i = 0; i < n; i++)
        if (*fact[i][1]) memcpy(known[k++], fact[i], sizeof *known);
    if (k) report_facts(page, k, (const char *const(*)[2])known);
}

static const char *setting(Arena *a, const cJSON *x)
{
    return cJSON_IsString(x)   ? x->valuestring
           : cJSON_IsBool(x)   ? cJSON_IsTrue(x) ? "yes" : "no"
           : cJSON_IsNumber(x) ? str_print(a, "%.10g", x->valuedouble)
                               : "";
}

/* The settings of the run, for a person; the whole manifest, for a repetition. */
static void add_settings(Report *page, Arena *a, const Source *s)
{
    const cJSON *config = field(s->manifest, "config"), *x;
    int n = 0, rows = cJSON_GetArraySize(config);
    const char *(*pair)[2] = (const char *(*)[2])NEW(a, const char *, 2 * (rows + 4));
    cJSON_ArrayForEach(x, config)
    {
        pair[n][0] = x->string ? x->string : "";
        pair[n++][1] = setting(a, x);
    }
    const char *const more[][2] = {{"preset", text(s->manifest, "preset")},
                                   {"first seed", number(a, s->manifest, "seed")},
                                   {"time", wall(a, s)},
                                   {"directory", s->dir}};
    memcpy(pair + n, more, sizeof more);
    report_fold(page, "Settings");
    add_facts(page, a, n + 4, (const char *const(*)[2])pair);
    report_unfold(page);
    report_details(page, "Manifest (manifest.json)", s->manifest_text);
}

/* The first question of a reader: is the claim supported?  A tuning makes no claim and has only its sentence. */
static void add_verdict(Report *page, Arena *a, const cJSON *o)
{
    const char *verdict = text(o, "verdict"), *status = text(o, "status");
    bool done = !strcmp(status, "done");
    ReportVerdict level = !done                               ? VERDICT_INCONCLUSIVE
                          : !strcmp(verdict, "supported")     ? VERDICT_SUPPORTED
                          : !strcmp(verdict, "not supported") ? VERDICT_NOT_SUPPORTED
                                                              : VERDICT_INCONCLUSIVE;
    const char *sentence = done ? text(o, "sentence") : str_print(a, "%s: %s", status, text(o, "sentence"));
    if (field(o, "claim"))
        report_verdict(page, level, text(o, "claim"), sentence);
    else
        report_text(page, sentence);
}

/* The path from the folder of the page to a directory: "../runs/toy/e1", or NULL where one of them has no place. */
static const char *path_from(Arena *a, const char *page, const char *dir)
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

/* Links to the data behind the section, and to each figure as PDF. */
static void add_files(Report *page, Arena *a, const Source *s, const char *page_path)
{
    static const char *const DATA[] = {"results.csv", "results.json", "metrics.csv", "validation.jsonl",
                                       "options.json"};
    enum { DATAS = sizeof DATA / sizeof *DATA };
    const cJSON *figures = field(s->results, "figures"), *f;
    const char *to = path_from(a, page_path, s->dir);
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
        const char *name = str_print(a, "figures/%s.pdf", text(f, "name"));
        if (!*text(f, "name") || strchr(text(f, "name"), '/') || access(str_print(a, "%s/%s", s->dir, name), F_OK))
            continue;
        link[n][0] = str_print(a, "%s.pdf", text(f, "name")), link[n++][1] = str_print(a, "%s/%s", to, name);
    }
    report_links(page, "Files", n, (const char *const(*)[2])link);
}

/* Adds a run's section: verdict, method, tables, metrics, comparisons, figures, notes and settings. */
static void add_run(Report *page, Arena *a, const Source *s, const char *path)
{
    const cJSON *o = s->results, *note;
    report_heading(page, 2,
                   str_print(a, "%s: %s%s%s%s", text(o, "experiment"), text(o, "title"), *s->label ? " (" : "",
                             s->label, *s->label ? ")" : ""));
    add_verdict(page, a, o);
    const char *const about[][2] = {
        {"Method", text(o, "method")}, {"Expected", text(o, "expect")}, {"Source", text(o, "source")}};
    add_facts(page, a, 3, about);
    add_claims(page, a, o);
    add_tables(page, a, o);
    add_tables(page, a, s->timings);
    add_metrics(page, a, o);
    add_comparisons(page, a, o);
    add_figures(page, a, s);
    cJSON_ArrayForEach(note, field(o, "notes")) if (cJSON_IsString(note)) report_text(page, note->valuestring);
    add_files(page, a, s, path);
    add_settings(page, a, s);
}

/* Adds the first run's machine and build, with the total time and the largest peak memory of all runs. */
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
                                    {"time", seconds > 0 ? duration(a, seconds) : ""},
                                    {"peak memory", peak > 0 ? str_print(a, "%.0f MiB", peak / (1 << 20)) : ""}};
    report_heading(page, 2, "Machine and time");
    add_facts(page, a, sizeof facts / sizeof *facts, facts);
}

/* "4 experiments: 2 supported, 1 not supported, 1 inconclusive; 1 tuning", as far as the files tell. */
static const char *tally(Arena *a, int n, const Source *s)
{
    int supported = 0, not = 0, claims = 0;
    for (int i = 0; i < n; i++) {
        bool done = !strcmp(text(s[i].results, "status"), "done");
        supported += done && !strcmp(text(s[i].results, "verdict"), "supported");
        not += done && !strcmp(text(s[i].results, "verdict"), "not supported");
        claims += field(s[i].results, "claim") != NULL;
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

/* "3 experiments: 3 supported, 0 not supported; Intel(R) Xeon(R); 2026-11-23". */
static const char *lead(Arena *a, int n, const Source *s)
{
    Buf b = buf_open(a);
    buf_print(&b, "%s", tally(a, n, s));
    const char *cpu = text(field(s->manifest, "machine"), "cpu"), *when = text(field(s->manifest, "time"), "start");
    const char *version = text(field(s->manifest, "tool"), "version");
    if (*cpu) buf_print(&b, " \u00B7 %s", cpu);
    if (*when) buf_print(&b, " \u00B7 %.10s", when);
    if (*version) buf_print(&b, " \u00B7 vernier %s", version);
    return b.text;
}

/* Reads the results of all runs, then writes the summary, a section for each run, and the machine. */
Status report_runs(const char *path, Arena *a, int n, const char *const *dir)
{
    Source *s = NEW(a, Source, n);
    Status status = OK;
    for (int i = 0; i < n && !status; i++) status = source_open(s + i, a, dir[i]);
    if (!status) {
        label_sources(s, a, n);
        const char *title = n == 1 ? text(s->results, "title") : "Results of the experiments";
        Report *page = report_open(path, title);
        report_lead(page, lead(a, n, s));
        add_summary(page, a, n, s);
        for (int i = 0; i < n; i++) add_run(page, a, s + i, path);
        add_machine(page, a, n, s);
        status = report_close(page);
    }
    for (int i = 0; i < n; i++) {
        cJSON_Delete(s[i].results);
        cJSON_Delete(s[i].manifest);
        cJSON_Delete(s[i].timings);
    }
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
