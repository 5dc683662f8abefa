/* Options are checked before the first experiment starts.  Of several experiments, the failure of one does not keep
 * the others from running; the report then names those that did not end. */
#include "base/clock.h"
#include "cli/launch.h"

#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/print.h"
#include "run/logs.h"
#include "run/report.h"
#include "run/signals.h"

static const Option OPTIONS[] = {LAUNCH_OPTIONS(OUT_OF_RUNS)};

const char *experiment_name(Arena *a, const Experiment *e)
{
    return str_print(a, "%s/%s", e->group, e->name);
}

/* A key that the experiment does not declare may be a misspelt option.  If it is nearer to a setting, the error comes
 * from opening the run. */
static Status check_keys(const Args *a, const Experiment *e)
{
    const KeyValue *set;
    const char *names[128];
    int n = 0, n_set = args_settings(a, &set);
    for (const Option *o = OPTIONS; o->name; o++) names[n++] = o->name;
    for (const Setting *s = e->settings; s && s->key && n < 127; s++) names[n++] = s->key;
    names[n] = NULL;
    for (int i = 0; i < n_set; i++) {
        bool part = false; /* "steps" is a part of the setting "prefix-steps" */
        for (const Setting *s = e->settings; s && s->key; s++) part |= strstr(s->key, set[i].key) != NULL;
        const char *near = part ? NULL : str_nearest(set[i].key, names);
        for (const Option *o = OPTIONS; o->name; o++)
            if (near == o->name)
                return err_fail(E_CONFIG, "unknown option --%s; did you mean --%s?", set[i].key, near);
    }
    return OK;
}

/* The results of a list of experiments. */
typedef struct {
    int n, printed, failed, dirs;
    const char **dir; /* their run directories, for the report */
    bool supported;   /* every claim so far */
    Status first;
    GridRows verdicts; /* of several */
} Tally;

/* A row of the closing table.  The run ends before the table is printed. */
static void add_verdict(Tally *t, Arena *a, const Run *r, Status status)
{
    const char *sentence = status ? err_message() : r->sentence;
    if (!t->verdicts.cols) t->verdicts = grid_begin(a, 3, (const char *const[]){"experiment", "verdict", "finding"});
    grid_row(&t->verdicts, (const char *const[]){experiment_name(a, r->experiment),
                                                 status ? "did not end" : verdict_name(r->verdict),
                                                 str_copy(a, sentence, strlen(sentence))});
}

/* The closing table is at most 80 columns wide: sentences are cut to the room that the names leave. */
static void print_verdicts(const Tally *t, Arena *a)
{
    enum { WIDE = 80, INDENT = 2, BETWEEN = 4 };
    Buf b = buf_open(a);
    size_t name = 0;
    if (!t->verdicts.cols) return;
    for (int i = 0; i < t->verdicts.n; i += 3)
        if (strlen(t->verdicts.cell[i]) > name) name = strlen(t->verdicts.cell[i]);
    const size_t used = INDENT + BETWEEN + name + strlen("not supported"), room = used < WIDE - 20 ? WIDE - used : 20;
    for (int i = 2; i < t->verdicts.n; i += 3) {
        const char *s = t->verdicts.cell[i];
        if (strlen(s) > room) t->verdicts.cell[i] = str_print(a, "%.*s ...", (int)text_whole(s, room - 4), s);
    }
    const Grid g = grid_end(&t->verdicts, NULL);
    grid_form(&b, &g, GRID_TEXT, INDENT);
    print_out("\n");
    print_layout(b.text, b.len);
}

static Status print_json(Arena *a, const char *dir, Tally *t)
{
    Bytes text;
    TRY(file_read(&text, a, str_print(a, "%s/results.json", dir)));
    if (t->n > 1) print_out(t->printed ? ",\n" : "[\n");
    print_layout(text.text, text.len);
    t->printed++;
    return OK;
}

/* One experiment from settings to printed results. */
static Status launch(const Args *a, const Request *q, Tally *t)
{
    Run *r;
    TRY(run_open(&r, q));
    Status status = run_go(r);
    const char *results = run_path(r, "results.json");
    if (!status && r->verdict != SUPPORTED) t->supported = false;
    if (!status && args_given(a, "json")) {
        status = print_json(args_arena(a), r->dir, t);
    } else if (!status) {
        if (t->printed++) print_out("\n");
        if (t->n > 1)
            results_print_short(r);
        else
            results_print(r);
    }
    if (t->n > 1) add_verdict(t, args_arena(a), r, status);
    if (!status && !q->dir) folder_latest(&r->folder);
    if (!access(results, F_OK)) t->dir[t->dirs++] = str_copy(args_arena(a), r->dir, strlen(r->dir));
    if (status == E_INTERRUPT && !q->quiet) progress_kept(r->folder.dir);
    run_close(r);
    return status ? status : cli_flush();
}

/* ---- the time left */

/* The number that the words at `at` begin with: "half a", "two", "a few"; 0: none. */
static double number_word(const char *at)
{
    static const struct {
        const char *word;
        double value;
    } WORDS[] = {{"a quarter of", 0.25},
                 {"half", 0.5},
                 {"a few", 4},
                 {"some", 4},
                 {"three", 3},
                 {"two", 2},
                 {"five", 5},
                 {"six", 6},
                 {"ten", 10},
                 {"twenty", 20},
                 {"a", 1},
                 {"an", 1}};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        const size_t n = strlen(WORDS[i].word);
        if (!strncmp(at, WORDS[i].word, n) && at[n] == ' ') return WORDS[i].value;
    }
    return 0;
}

double launch_cost(const Experiment *e, Preset preset)
{
    static const struct {
        const char *word;
        double seconds;
    } UNITS[] = {{"second", 1}, {"minute", 60}, {"hour", 3600}, {"day", 86400}};
    const char *at = strstr(e->cost, preset_name(preset));
    if (!at) return 60;
    at += strlen(preset_name(preset));
    const size_t n = strcspn(at, ",");
    double many = 0;
    for (size_t i = 0; i + 1 < n && !many; i++)
        if (at[i] == ' ') many = number_word(at + i + 1);
    for (size_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++) {
        const char *unit = strstr(at, UNITS[i].word);
        const bool more = strstr(at, " and a half") && strstr(at, " and a half") < at + n;
        if (unit && unit < at + n) return (many ? many + 0.5 * more : 4) * UNITS[i].seconds;
    }
    return 60;
}

double launch_left(double spent, double done, double left)
{
    enum { DOUBT = 20 }; /* seconds of belief in the costs as they are declared, before any is measured */
    return left * (spent + DOUBT) / (done + DOUBT);
}

/* Before each of several: the time so far, and an estimate of the rest from the costs that experiments declare and
 * the speed at which those before came. */
static void announce(const Args *a, const Request *q, const Experiment **list, int i, double seconds)
{
    char spent[32], left[32];
    double done = 0, rest = 0;
    int n = 0;
    for (; list[n]; n++) *(n < i ? &done : &rest) += launch_cost(list[n], q->preset);
    progress_span(spent, sizeof spent, seconds);
    progress_span(left, sizeof left, launch_left(seconds, done, rest));
    print_err("%d/%d %s  (%s so far, about %s left)\n", i + 1, n, experiment_name(args_arena(a), list[i]), spent,
              left);
}

static Status check_each(const Args *a, Request q, const Experiment **list)
{
    for (int i = 0; list[i]; i++) {
        TRY(check_keys(a, list[i]));
        q.experiment = list[i];
        TRY(run_check(&q));
    }
    return OK;
}

/* Checks all requests first, then runs them in turn. One that fails is reported and counted. */
static Status launch_each(const Args *a, Request q, const Experiment **list, Tally *t)
{
    TRY(check_each(a, q, list));
    double began = clock_now();
    for (int i = 0; i < t->n; i++) {
        const char *name = experiment_name(args_arena(a), list[i]);
        q.experiment = list[i];
        if (run_stopped()) return run_interrupted();
        if (t->n > 1 && !q.quiet) announce(a, &q, list, i, clock_now() - began);
        Status status = launch(a, &q, t);
        if (!status) continue;
        if (t->n == 1 || status == E_INTERRUPT) return status;
        print_err("%s: %s\n", name, err_message());
        err_clear();
        if (!t->failed++) t->first = status;
    }
    return OK;
}

/* Reads the options of a run: preset, seeds, settings, --overwrite and --resume. */
static Status request_from(Request *q, const Args *a)
{
    static const char *const presets[] = {"smoke", "quick", "paper", "real", NULL};
    int preset, log;
    int64_t seeds, seed;
    TRY(args_word(&preset, a, "preset", QUICK, presets));
    TRY(args_word(&log, a, "log", 0, (const char *const[]){LOGS_EVENTS, NULL}));
    TRY(args_int(&seeds, a, "seeds", 0, 1, 10000));
    TRY(args_int(&seed, a, "seed", 1, 0, (int64_t)1 << 53)); /* JSON readers keep 53 bits */
    *q = (Request){.preset = (Preset)preset, .seeds = (int)seeds, .seed = (uint64_t)seed};
    q->tensorboard = args_given(a, "log");
    q->overwrite = args_given(a, "overwrite");
    q->quiet = args_quiet(a);
    q->n_set = args_settings(a, &q->set);
    if (q->overwrite && args_given(a, "resume"))
        return err_fail(E_CONFIG,
                        "--resume continues a run and --overwrite starts it anew; expected only one of them");
    return OK;
}

Status launch_check(const Args *a, const Experiment **list)
{
    Request q;
    TRY(request_from(&q, a));
    return check_each(a, q, list);
}

/* Runs the experiments in order and writes their report. With --gate, a claim that is not supported is an error. */
Status launch_all(const Args *a, const Experiment **list, const char *otherwise, bool page)
{
    Arena *arena = args_arena(a);
    Tally t = {.supported = true};
    Request q;
    const char *out = args_text(a, "out", NULL), *parent = out ? out : otherwise;
    while (list[t.n]) t.n++;
    CHECK(t.n, "no experiment to launch");
    page |= t.n > 1;
    TRY(request_from(&q, a));
    q.dir = page ? NULL : out;
    q.below = parent;
    q.listed = page;
    t.dir = NEW(arena, const char *, t.n + 1);
    const char *path = str_print(arena, "%s/report.html", parent);
    if (page && !q.overwrite) TRY(report_place(path));
    Status status = launch_each(a, q, list, &t);
    if (args_given(a, "json") && t.n > 1) print_out("%s]\n", t.printed ? "" : "[");
    if (!args_given(a, "json")) print_verdicts(&t, arena);
    if (status) return status;
    if (page && t.dirs) {
        TRY(report_runs(path, NULL, arena, t.dirs, t.dir));
        if (!args_given(a, "json")) print_out("\nreport %s\n", path);
    }
    if (t.failed)
        return err_fail(t.first, "%d of %d %s did not end", t.failed, t.n,
                        str_plural(t.n, "experiment", "experiments"));
    return !t.supported && args_given(a, "gate") ? err_fail(E_NUMERIC, "a claim is not supported") : OK;
}
