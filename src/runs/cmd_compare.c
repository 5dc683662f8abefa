/* vernier compare RUN RUN...: runs side by side, as tables for a terminal, a paper, a page or a program. */
#include <math.h>
#include <string.h>

#include "base/print.h"
#include "runs/compare.h"
#include "runs/tables.h"

enum { MOST_WANTED = 64, DRAWS = 1000 };

static const char *letter(const Comparison *c, int run)
{
    return str_print(c->arena, "%c", comparison_letter(run));
}

/* ---- tables */

static Grid runs_table(const Comparison *c)
{
    GridRows rows = grid_begin(c->arena, 5, (const char *const[]){"", "run", "experiment", "result", "seeds"});
    for (int i = 0; i < c->n; i++) {
        const RunResult *r = &c->run[i];
        grid_row(&rows, (const char *const[]){letter(c, i), r->dir, r->experiment, stock_outcome(r),
                                              str_print(c->arena, "%d", r->seeds)});
    }
    return grid_end(&rows, "Runs");
}

/* A long value without its middle: the tables are for a reader, and the CSV has all of it. */
static const char *cut(Arena *a, const char *s)
{
    enum { LONG = 40, HALF = 18 };
    const size_t n = strlen(s);
    if (n <= LONG) return s;
    const size_t head = text_whole(s, HALF), tail = n - HALF;
    return str_print(a, "%.*s ... %s", (int)head, s, s + tail + (text_whole(s, tail) < tail));
}

/* A column of names, and one for each run. */
static GridRows begin_by_run(const Comparison *c, const char *name)
{
    const char *head[MOST_COMPARED + 1] = {name};
    for (int i = 0; i < c->n; i++) head[i + 1] = letter(c, i);
    return grid_begin(c->arena, c->n + 1, head);
}

static Grid settings_table(const Comparison *c)
{
    const char *cell[MOST_COMPARED + 1];
    GridRows rows = begin_by_run(c, "setting");
    for (int k = 0; k < c->keys; k++) {
        cell[0] = c->key[k];
        for (int i = 0; i < c->n; i++) {
            const bool there = result_setting(&c->run[i], c->key[k]);
            cell[i + 1] = there ? cut(c->arena, result_setting_text(&c->run[i], c->arena, c->key[k])) : "not set";
        }
        grid_row(&rows, cell);
    }
    return grid_end(&rows, "Settings that differ");
}

static Grid metrics_table(const Comparison *c)
{
    const char *cell[MOST_COMPARED + 1];
    GridRows rows = begin_by_run(c, "metric");
    for (int k = 0; k < c->metrics; k++) {
        cell[0] = c->metric[k];
        for (int i = 0; i < c->n; i++)
            cell[i + 1] = c->value[k][i].name ? stock_interval(c->arena, &c->value[k][i]) : "";
        grid_row(&rows, cell);
    }
    return grid_end(
        &rows, c->left_out
                   ? str_print(c->arena, "Metrics that differ (mean [95 %% interval]; %d more: --all)", c->left_out)
                   : "Metrics (mean [95 % interval])");
}

static const char *probability(Arena *a, double p)
{
    return isnan(p) ? "n/a" : p < 0.0005 ? "<0.0005" : str_print(a, "%.3f", p);
}

static Grid tests_table(const Comparison *c)
{
    static const char *const head[] = {"metric", "runs", "difference", "95 % interval", "p", "Holm", "pairs", "of"};
    Arena *a = c->arena;
    GridRows rows = grid_begin(a, 8, head);
    for (int i = 0; i < c->tests; i++) {
        const PairedTest *t = &c->test[i];
        const char *interval = isnan(t->ci95.lo) ? "" : str_print(a, "[%.3g, %.3g]", t->ci95.lo, t->ci95.hi);
        grid_row(&rows,
                 (const char *const[]){t->metric, str_print(a, "%c - %c", comparison_letter(t->run), 'A'),
                                       stock_number(a, t->difference), interval, probability(a, t->p),
                                       probability(a, t->holm), str_print(a, "%lld", (long long)t->pairs), t->over});
    }
    return grid_end(&rows,
                    "Paired tests (t over seeds, bootstrap over validation examples; Holm: p for all of them)");
}

static Grid cost_table(const Comparison *c)
{
    static const struct {
        const char *name;
        int digits;
        double unit;
    } ROW[] = {{"parameters", 0, 1},         {"trainable parameters", 0, 1}, {"time (s)", 1, 1},
               {"processor time (s)", 1, 1}, {"memory (MiB)", 0, 1048576},   {"files (MB)", 2, 1e6}};
    const char *cell[MOST_COMPARED + 1];
    GridRows rows = begin_by_run(c, "cost");
    for (size_t k = 0; k < sizeof ROW / sizeof *ROW; k++) {
        bool any = false;
        cell[0] = ROW[k].name;
        for (int i = 0; i < c->n; i++) {
            const RunResult *r = &c->run[i];
            const double cost[] = {r->total,       r->trainable, r->seconds,
                                   r->cpu_seconds, r->peak,      r->files ? r->bytes : (double)NAN};
            any |= !isnan(cost[k]);
            cell[i + 1] = isnan(cost[k]) ? "" : str_print(c->arena, "%.*f", ROW[k].digits, cost[k] / ROW[k].unit);
        }
        if (any) grid_row(&rows, cell);
    }
    return grid_end(&rows, "Cost");
}

/* ---- for programs */

/* A row for each run and metric, with the settings in columns. */
static Grid tidy_table(const Comparison *c)
{
    static const char *const OWN[] = {"run", "experiment", "metric", "mean", "sd", "lo", "hi", "n"};
    enum { OWNS = sizeof OWN / sizeof *OWN };
    Arena *a = c->arena;
    const char **head = NEW(a, const char *, OWNS + c->keys), **cell = NEW(a, const char *, OWNS + c->keys);
    memcpy(head, OWN, sizeof OWN);
    for (int k = 0; k < c->keys; k++) head[OWNS + k] = c->key[k];
    GridRows rows = grid_begin(a, OWNS + c->keys, head);
    for (int k = 0; k < c->metrics; k++)
        for (int i = 0; i < c->n; i++) {
            const RunMetric *m = &c->value[k][i];
            const double number[] = {m->mean, m->sd, m->ci95.lo, m->ci95.hi};
            if (!m->name) continue;
            cell[0] = c->run[i].dir, cell[1] = c->run[i].experiment, cell[2] = c->metric[k];
            for (int x = 0; x < 4; x++) cell[3 + x] = isfinite(number[x]) ? str_print(a, "%.9g", number[x]) : "";
            cell[7] = str_print(a, "%d", m->n);
            for (int s = 0; s < c->keys; s++) cell[OWNS + s] = result_setting(&c->run[i], c->key[s]);
            grid_row(&rows, cell);
        }
    return grid_end(&rows, NULL);
}

static void add_interval(cJSON *o, Interval ci95)
{
    cJSON *pair = cJSON_AddArrayToObject(o, "ci95");
    cJSON_AddItemToArray(pair, cJSON_CreateNumber(ci95.lo)); /* cJSON writes NaN as null */
    cJSON_AddItemToArray(pair, cJSON_CreateNumber(ci95.hi));
}

static cJSON *run_json(const Comparison *c, int i)
{
    cJSON *o = cJSON_CreateObject(), *set, *metrics;
    cJSON_AddStringToObject(o, "dir", c->run[i].dir);
    cJSON_AddStringToObject(o, "experiment", c->run[i].experiment);
    set = cJSON_AddObjectToObject(o, "settings_that_differ");
    for (int k = 0; k < c->keys; k++) {
        const char *value = result_setting(&c->run[i], c->key[k]);
        if (value) cJSON_AddStringToObject(set, c->key[k], value);
    }
    metrics = cJSON_AddObjectToObject(o, "metrics");
    for (int k = 0; k < c->metrics; k++) {
        const RunMetric *m = &c->value[k][i];
        if (!m->name) continue;
        cJSON *one = cJSON_AddObjectToObject(metrics, m->name);
        cJSON_AddNumberToObject(one, "mean", m->mean);
        add_interval(one, m->ci95);
    }
    return o;
}

static cJSON *compare_json(void *user)
{
    const Comparison *c = user;
    cJSON *root = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(root, "runs");
    for (int i = 0; i < c->n; i++) cJSON_AddItemToArray(list, run_json(c, i));
    list = cJSON_AddArrayToObject(root, "tests");
    for (int i = 0; i < c->tests; i++) {
        const PairedTest *t = &c->test[i];
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "metric", t->metric);
        cJSON_AddStringToObject(one, "run", c->run[t->run].dir);
        cJSON_AddStringToObject(one, "minus", c->run[0].dir);
        cJSON_AddNumberToObject(one, "difference", t->difference);
        add_interval(one, t->ci95);
        cJSON_AddNumberToObject(one, "p", t->p);
        cJSON_AddNumberToObject(one, "p_holm", t->holm);
        cJSON_AddNumberToObject(one, "pairs", (double)t->pairs);
        cJSON_AddStringToObject(one, "of", t->over);
        cJSON_AddItemToArray(list, one);
    }
    return root;
}

/* ---- the command */

static Status check_runs(const Stock *s)
{
    if (s->n < 2) return err_fail(E_CONFIG, "one run is no comparison; expected two or more");
    if (s->n > MOST_COMPARED)
        return err_fail(E_CONFIG, "%d runs; expected at most %d.  vernier runs --format csv lists any number", s->n,
                        MOST_COMPARED);
    for (int i = 0; i < s->n; i++)
        for (int k = 0; k < i; k++)
            if (!strcmp(s->run[i].dir, s->run[k].dir)) return err_fail(E_CONFIG, "%s is given twice", s->run[i].dir);
    return OK;
}

static const char *remark(const Comparison *c)
{
    for (int i = 1; i < c->n; i++)
        if (strcmp(c->run[i].version, c->run[0].version) != 0)
            return "  The runs are of different versions of the program.";
    return "";
}

static Status compare(const Args *args)
{
    Arena *a = args_arena(args);
    Stock s;
    Comparison c;
    int64_t draws;
    const char *metric[MOST_WANTED], **dir = NEW(a, const char *, args_count(args));
    for (int i = 0; i < args_count(args); i++) dir[i] = args_at(args, i);
    CompareWish wish = {.metric = metric, .wanted = args_all(args, "metric", metric, MOST_WANTED)};
    TRY(args_int(&draws, args, "bootstrap-samples", DRAWS, 100, 1000000));
    wish.draws = (int)draws, wish.all = args_given(args, "all");
    TRY(tables_check(args));
    TRY(stock_read(&s, a, args_count(args), dir));
    TRY(stock_choose(&s, args));
    TRY(check_runs(&s));
    TRY(comparison_make(&c, a, &s, &wish));
    Grid table[] = {runs_table(&c), settings_table(&c), metrics_table(&c), tests_table(&c), cost_table(&c)};
    Grid *first = &table[0], **end = &first->next;
    for (size_t i = 1; i < sizeof table / sizeof *table; i++)
        if (table[i].rows) *end = &table[i], end = &table[i].next;
    return tables_write(&(Tables){.title = "Comparison of runs",
                                  .lead = str_print(a, "%s%s", comparison_sentence(&c), remark(&c)),
                                  .table = first,
                                  .tidy = tidy_table(&c),
                                  .json = compare_json,
                                  .user = &c},
                        args);
}

static const Option OPTIONS[] = {
    {"metric", "NAME", "compare this metric; may be repeated; default: the first twelve that differ",
     .repeated = true},
    {"all", NULL, "compare every metric"},
    {"where", "KEY=VALUE", "only runs with that setting or metric, as in vernier runs; may be repeated",
     .repeated = true},
    {"bootstrap-samples", "N", "bootstrap samples of the validation examples (default 1000)"},
    FORMAT_OPTIONS,
    OVERWRITE_OPTION,
    {0}};
static const Choice CHOICES[] = {FORMAT_CHOICE, {0}};
static const Command COMPARE = {
    .name = "compare",
    .summary = "compare runs: settings that differ, metrics with intervals, paired tests, cost",
    .usage = "[options] RUN RUN...",
    .about =
        "Puts run directories side by side; a directory that holds runs stands for all of them.  Every run is tested "
        "against the first one.  A metric with several values is tested over the seeds that both runs have (paired t "
        "test), and the measures of two tunings on the validation examples that both have (paired bootstrap of "
        "validation.jsonl).  Holm's adjustment counts all tests of the table.  Intervals of a single value are "
        "bootstrap intervals over its validation examples.  vernier model compare compares checkpoints, and "
        "vernier attend --compare their attention.",
    .example = "vernier compare runs/toy/e1/1a2b3c4d runs/toy/e1/5e6f7a8b\n"
               "  vernier compare lora full --metric f1 --metric auc --out table.tex\n"
               "  vernier compare grid --where method=lora --out grid.html",
    .options = OPTIONS,
    .choices = CHOICES,
    .least = 1,
    .most = -1,
    .run = compare};
REGISTER(command, COMPARE)
