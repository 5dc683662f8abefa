/* vernier runs: the run directories below a folder as a table; one of them in full; and removal of the
 * files that their manifests list, of single runs or of all that did not end. */
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/print.h"
#include "run/folder.h"
#include "run/found.h"
#include "run/lock.h"
#include "runs/stock.h"
#include "runs/tables.h"

enum { MOST_COLUMNS = 32, SETTINGS_SHOWN = 6 };

/* The directories that are named from operand `first` on, without slashes at their ends; by default runs. */
static const char **directories(int *n, const Args *a, int first)
{
    static const char *const RUNS[] = {"runs"};
    const int given = args_count(a) - first;
    const char **dir = NEW(args_arena(a), const char *, given + 1);
    *n = given > 0 ? given : 1;
    for (int i = 0; i < *n; i++) {
        const char *one = given > 0 ? args_at(a, first + i) : RUNS[0];
        size_t length = strlen(one);
        while (length > 1 && one[length - 1] == '/') length--;
        dir[i] = str_copy(args_arena(a), one, length);
    }
    return dir;
}

/* ---- list */

static const char *day(Arena *a, int64_t when)
{
    char text[32];
    struct tm local;
    const time_t t = (time_t)when;
    if (!when || !localtime_r(&t, &local)) return "";
    strftime(text, sizeof text, "%Y-%m-%d %H:%M", &local);
    return str_copy(a, text, strlen(text));
}

/* One column: the text of a run, or with r NULL its name. */
typedef struct {
    const char *name;
    const char *(*text)(const RunResult *, Arena *, const char *key);
} Column;

static const char *directory_of(const RunResult *r, Arena *a, const char *key)
{
    (void)a, (void)key;
    return r->dir;
}

static const char *day_of(const RunResult *r, Arena *a, const char *key)
{
    (void)key;
    return day(a, r->when);
}

static const char *experiment_of(const RunResult *r, Arena *a, const char *key)
{
    (void)a, (void)key;
    return r->experiment;
}

static const char *result_of(const RunResult *r, Arena *a, const char *key)
{
    (void)a, (void)key;
    return stock_outcome(r);
}

static const char *held_of(const RunResult *r, Arena *a, const char *key)
{
    const Held h = stock_held(r, a, key);
    return h.metric ? stock_interval(a, h.metric) : result_setting(r, key) ? result_setting_text(r, a, key) : h.text;
}

static const char *key_metric_of(const RunResult *r, Arena *a, const char *key)
{
    const RunMetric *m = stock_key_metric(r, a);
    (void)key;
    return m ? str_print(a, "%s %s", m->name, stock_interval(a, m)) : "";
}

static bool one_experiment(const Stock *s)
{
    for (int i = 1; i < s->n; i++)
        if (strcmp(s->run[i].experiment, s->run[0].experiment) != 0) return false;
    return true;
}

/* The settings that differ stand in columns of their own where all runs are of one experiment, else in one. */
static int columns_of(Column out[MOST_COLUMNS], const Stock *s, const Args *args, int keys, const char *const *key)
{
    const char *shown[MOST_COLUMNS / 2];
    const int wanted = args_all(args, "show", shown, MOST_COLUMNS / 2);
    const bool one = one_experiment(s);
    int n = 0;
    out[n++] = (Column){"run", directory_of};
    if (!args_given(args, "show")) out[n++] = (Column){"date", day_of};
    if (!one) out[n++] = (Column){"experiment", experiment_of};
    for (int k = 0; one && k < keys && k < SETTINGS_SHOWN; k++) out[n++] = (Column){key[k], held_of};
    out[n++] = (Column){"result", result_of};
    for (int i = 0; i < wanted; i++) out[n++] = (Column){shown[i], held_of};
    if (!wanted) out[n++] = (Column){"metric", key_metric_of};
    return n;
}

static Grid list_table(const Stock *s, const Args *args)
{
    Arena *a = args_arena(args);
    Column column[MOST_COLUMNS];
    const char **key, *head[MOST_COLUMNS + 1], *cell[MOST_COLUMNS + 1];
    const int keys = results_differ(&key, a, s->n, s->run), n = columns_of(column, s, args, keys, key);
    const bool labels = !one_experiment(s) && keys;
    for (int c = 0; c < n; c++) head[c] = column[c].name;
    head[n] = "settings that differ";
    GridRows rows = grid_begin(a, n + labels, head);
    for (int i = 0; i < s->n; i++) {
        for (int c = 0; c < n; c++) cell[c] = column[c].text(&s->run[i], a, column[c].name);
        cell[n] = result_label(a, &s->run[i], keys, key);
        grid_row(&rows, cell);
    }
    return grid_end(&rows, NULL);
}

/* Every run with all settings and metrics, one in each column. */
static Grid tidy_table(const Stock *s, Arena *a)
{
    static const char *const OWN[] = {"dir", "experiment", "status", "verdict"};
    enum { OWNS = sizeof OWN / sizeof *OWN, MOST = 2000 };
    const char **head = NEW(a, const char *, MOST), **cell = NEW(a, const char *, MOST);
    int n = OWNS, settings;
    memcpy(head, OWN, sizeof OWN);
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < s->n; i++)
            for (int k = 0; k < (pass ? s->run[i].metrics : s->run[i].sets); k++) {
                const char *name = pass ? s->run[i].metric[k].name : s->run[i].set[k].key;
                bool old = n == MOST;
                for (int j = OWNS; j < n && !old; j++) old = !strcmp(head[j], name);
                if (!old) head[n++] = name;
            }
        if (!pass) settings = n;
    }
    GridRows rows = grid_begin(a, n, head);
    for (int i = 0; i < s->n; i++) {
        for (int c = 0; c < n; c++) {
            const RunMetric *m = c < settings ? NULL : result_metric(&s->run[i], head[c]);
            cell[c] = c < OWNS                 ? stock_held(&s->run[i], a, head[c]).text
                      : c < settings           ? result_setting(&s->run[i], head[c])
                      : m && isfinite(m->mean) ? str_print(a, "%.9g", m->mean)
                                               : "";
        }
        grid_row(&rows, cell);
    }
    return grid_end(&rows, NULL);
}

static cJSON *run_json(const RunResult *r)
{
    cJSON *o = cJSON_CreateObject(), *set = NULL, *metrics = NULL;
    cJSON_AddStringToObject(o, "dir", r->dir);
    cJSON_AddStringToObject(o, "experiment", r->experiment);
    cJSON_AddStringToObject(o, "status", r->status);
    if (*r->verdict) cJSON_AddStringToObject(o, "verdict", r->verdict);
    cJSON_AddStringToObject(o, "sentence", r->sentence);
    set = cJSON_AddObjectToObject(o, "settings");
    for (int k = 0; k < r->sets; k++) cJSON_AddStringToObject(set, r->set[k].key, r->set[k].value);
    metrics = cJSON_AddObjectToObject(o, "metrics");
    for (int k = 0; k < r->metrics; k++) cJSON_AddNumberToObject(metrics, r->metric[k].name, r->metric[k].mean);
    return o;
}

static cJSON *list_json(void *user)
{
    const Stock *s = user;
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < s->n; i++) cJSON_AddItemToArray(list, run_json(&s->run[i]));
    return list;
}

static Status list(const Args *args, int first)
{
    Arena *a = args_arena(args);
    Stock s;
    int n;
    const char *sort = args_text(args, "sort", NULL), *shown[MOST_COLUMNS / 2], **dir = directories(&n, args, first);
    TRY(tables_check(args));
    if (args_count(args) == first && access(dir[0], F_OK))
        return err_fail(E_IO,
                        "runs: no such directory here, where runs are kept by default; name one: vernier runs DIR");
    TRY(stock_read(&s, a, n, dir));
    TRY(stock_choose(&s, args));
    const int wanted = args_all(args, "show", shown, MOST_COLUMNS / 2);
    for (int i = 0; i < wanted && s.n; i++) TRY(stock_has(&s, a, "show", shown[i]));
    if (sort && s.n) TRY(stock_sort(&s, a, sort));
    if (!s.n && !args_quiet(args)) print_err("no run meets the conditions\n");
    const Grid table = list_table(&s, args);
    return tables_write(
        &(Tables){.title = "Runs", .table = &table, .tidy = tidy_table(&s, a), .json = list_json, .user = &s}, args);
}

/* ---- show */

static void add_fact(GridRows *rows, const char *name, const char *value)
{
    if (value && *value) grid_row(rows, (const char *const[]){name, value});
}

static Grid about_table(const RunResult *r, Arena *a)
{
    GridRows rows = grid_begin(a, 2, (const char *const[]){"", ""});
    add_fact(&rows, "experiment", r->experiment);
    add_fact(&rows, "title", r->title);
    add_fact(&rows, "result", stock_outcome(r));
    add_fact(&rows, "sentence", r->sentence);
    add_fact(&rows, "date", day(a, r->when));
    add_fact(&rows, "program", r->version);
    if (!isnan(r->trainable))
        add_fact(&rows, "parameters", str_print(a, "%.0f, of which %.0f trained", r->total, r->trainable));
    if (!isnan(r->seconds)) add_fact(&rows, "time", str_print(a, "%.1f s", r->seconds));
    if (!isnan(r->peak)) add_fact(&rows, "memory", str_print(a, "%.0f MiB", r->peak / 1048576));
    add_fact(&rows, "files", str_print(a, "%d, %.1f MB", r->files, r->bytes / 1e6));
    if (!access(str_print(a, "%s/options.json", r->dir), F_OK)) {
        const size_t n = strcspn(r->command, " ");
        add_fact(&rows, "again",
                 str_print(a, "vernier %.*s --config %s/options.json --out DIR", (int)n, r->command, r->dir));
    }
    return grid_end(&rows, r->dir);
}

static Grid settings_table(const RunResult *r, Arena *a)
{
    GridRows rows = grid_begin(a, 2, (const char *const[]){"setting", "value"});
    for (int i = 0; i < r->sets; i++)
        grid_row(&rows, (const char *const[]){r->set[i].key, result_setting_text(r, a, r->set[i].key)});
    return grid_end(&rows, "Settings");
}

static Grid metrics_table(const RunResult *r, Arena *a)
{
    GridRows rows = grid_begin(a, 4, (const char *const[]){"metric", "mean", "95 % interval", "n"});
    for (int i = 0; i < r->metrics; i++) {
        const RunMetric *m = &r->metric[i];
        const char *interval = isnan(m->ci95.lo) ? "" : str_print(a, "[%.4g, %.4g]", m->ci95.lo, m->ci95.hi);
        grid_row(&rows, (const char *const[]){m->name, isnan(m->mean) ? "n/a" : stock_number(a, m->mean), interval,
                                              str_print(a, "%d", m->n)});
    }
    return grid_end(&rows, "Metrics");
}

static cJSON *show_json(void *user)
{
    return run_json(user);
}

static Status show(const Args *args)
{
    Arena *a = args_arena(args);
    Stock s;
    int n;
    const char **dir = directories(&n, args, 1);
    if (args_count(args) != 2)
        return err_fail(E_CONFIG, "runs show needs one RUN: vernier runs show runs/toy/e1/latest");
    TRY(tables_check(args));
    TRY(stock_read(&s, a, 1, dir));
    if (s.n > 1) return err_fail(E_CONFIG, "%s holds %d runs; vernier runs %s lists them", dir[0], s.n, dir[0]);
    Grid table[] = {about_table(s.run, a), settings_table(s.run, a), metrics_table(s.run, a)};
    table[0].next = &table[1], table[1].next = &table[2];
    return tables_write(
        &(Tables){.title = s.run->dir, .table = table, .tidy = tidy_table(&s, a), .json = show_json, .user = s.run},
        args);
}

/* ---- remove and prune */

static Status remove_run(const Args *args, const char *dir, bool work_alone, int *removed)
{
    Removed r;
    if (args_given(args, "dry-run")) {
        print_out("%s\n", dir);
        ++*removed;
        return OK;
    }
    TRY(folder_remove(&r, args_arena(args), dir, work_alone));
    ++*removed;
    print_out("%s: %d %s removed, %.1f MB%s\n", dir, r.files, str_plural(r.files, "file", "files"), r.bytes / 1e6,
              !r.stays     ? ""
              : work_alone ? "; the rest stays"
                           : "; other files are in it and stay");
    return OK;
}

static Status remove_runs(const Args *args)
{
    int n, removed = 0;
    const char **dir = directories(&n, args, 1);
    if (args_count(args) < 2) return err_fail(E_CONFIG, "runs remove needs the run directories to remove");
    for (int i = 0; i < n; i++) TRY(remove_run(args, dir[i], false, &removed));
    return OK;
}

/* Directories with unfinished work that no process holds.  Below a run nothing is looked for. */
static Status prune_below(const Args *args, const char *root, int *removed)
{
    Arena *a = args_arena(args);
    const char **found = NULL, *who;
    int n = 0, room = 0;
    FTS *tree = folder_walk(root, FTS_PHYSICAL);
    for (FTSENT *e; (e = fts_read(tree));) {
        if (e->fts_info != FTS_D || strcmp(e->fts_name, "unfinished") != 0) continue;
        fts_set(tree, e, FTS_SKIP);
        GROW(a, found, n, room, 16);
        found[n++] = str_copy(a, e->fts_path, strlen(e->fts_path) - sizeof "/unfinished" + 1);
    }
    fts_close(tree);
    for (int i = 0; i < n; i++) {
        if (access(str_print(a, "%s/unfinished/manifest.json", found[i]), F_OK)) continue;
        if (lock_held(&who, a, found[i]))
            print_err("%s is in use by process %s and stays\n", found[i], who);
        else
            TRY(remove_run(args, found[i], true, removed));
    }
    return OK;
}

/* Finished runs that meet --where go, too: as a whole. */
static Status prune_chosen(const Args *args, int n, const char *const *dir, int *removed)
{
    Stock s;
    if (!args_given(args, "where")) return OK;
    TRY(stock_read(&s, args_arena(args), n, dir));
    TRY(stock_choose(&s, args));
    for (int i = 0; i < s.n; i++)
        if (stock_done(&s.run[i])) TRY(remove_run(args, s.run[i].dir, false, removed));
    return OK;
}

static Status prune(const Args *args)
{
    int n, removed = 0;
    const char **dir = directories(&n, args, 1);
    for (int i = 0; i < n; i++) {
        TRY(file_there(dir[i]));
        TRY(prune_below(args, dir[i], &removed));
    }
    TRY(prune_chosen(args, n, dir, &removed));
    if (args_quiet(args)) return OK;
    if (args_given(args, "dry-run"))
        print_err("%d %s would be removed\n", removed, str_plural(removed, "run", "runs"));
    else if (!removed)
        print_err("nothing to remove\n");
    return OK;
}

/* ---- the command */

static Status runs(const Args *args)
{
    const char *verb = args_count(args) ? args_at(args, 0) : "";
    const bool named = str_glob("list|show|remove|prune", verb);
    TRY(args_of(args, named ? verb : "list"));
    if (!strcmp(verb, "show")) return show(args);
    if (!strcmp(verb, "remove")) return remove_runs(args);
    return !strcmp(verb, "prune") ? prune(args) : list(args, named);
}

static const Option OPTIONS[] = {
    {"where", "KEY=VALUE",
     "only runs with that value of a setting, a metric, or of dir, experiment, command, status or verdict; also != < "
     "<= "
     "> >=, and * in a text; may be repeated, and all must hold",
     "list|prune", .repeated = true},
    {"show", "KEY", "a column with this setting or metric; may be repeated; default: the metric of the validation",
     "list", .repeated = true},
    {"sort", "KEY", "in the order of this setting or metric, the smallest first; -KEY: the largest first", "list"},
    {"dry-run", NULL, "name the runs that would be removed, and remove nothing", "remove|prune"},
    {"format", "FORM",
     "text (default), csv (all settings and metrics), markdown, latex, json or html; default with --out: by its "
     "ending",
     "list|show"},
    {"json", NULL, "the same as --format json", "list|show"},
    {"out", "FILE", "write to FILE in place of the terminal", "list|show"},
    OVERWRITE_OPTION_OF("list|show"),
    {0}};
static const Choice CHOICES[] = {FORMAT_CHOICE, {0}};
static const Verb VERBS[] = {
    {"list", "[DIR...]",
     "lists the runs below DIR (default: runs), each with the settings in which it differs from others of its "
     "experiment, its result and a metric.  vernier runs DIR does the same."},
    {"show", "RUN", "shows one run: its finding, settings, metrics with intervals, cost, and how to run it again."},
    {"remove", "RUN...",
     "removes runs: the files that their manifests list and their unfinished work.  Other files stay, and their "
     "directory with them."},
    {"prune", "[DIR...]",
     "removes the unfinished work of runs that failed or were interrupted, unless a process is at it, and with "
     "--where the finished runs that meet the conditions."},
    {0}};
static const Command RUNS = {.name = "runs",
                             .summary = "list, filter, show and remove the runs below a directory",
                             .usage = "[list] [DIR...] | show RUN | remove RUN... | prune [DIR...]",
                             .about =
                                 "Run directories are those that vernier run, theory, toy, probe and tune fill.  By "
                                 "default they lie below runs.",
                             .example = "vernier runs list\n"
                                        "  vernier runs list grid --where method=lora --where 'f1>0.6' --sort -f1\n"
                                        "  vernier runs list grid --format csv --out all.csv\n"
                                        "  vernier runs show runs/toy/e1/latest\n"
                                        "  vernier runs remove runs/toy/e1/1a2b3c4d\n"
                                        "  vernier runs prune --dry-run",
                             .options = OPTIONS,
                             .verbs = VERBS,
                             .choices = CHOICES,
                             .most = -1,
                             .run = runs};
REGISTER(command, RUNS)
