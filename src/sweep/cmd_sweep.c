/* vernier sweep: one command over lists and ranges of its options, on the cores of this machine or as a job array of
 * Slurm, and one table of the results. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/print.h"
#include "base/sha256.h"
#include "run/machine.h"
#include "run/signals.h"
#include "sweep/cells.h"
#include "sweep/collect.h"
#include "sweep/slurm.h"

enum { MOST_OPTIONS = 64 };

static const Option OPTIONS[] = {
    {"out", "DIR",
     "the directory of the sweep; default: runs/sweep/HASH, where HASH is that of the words that do not vary"},
    {"jobs", "N", "cells at a time; default: as many as there are cores; with --slurm, no limit"},
    {"max-cells", "N", "reject a sweep of more cells than N (default 1000)"},
    {"dry-run", NULL, "check every cell by its command, print the commands, and run nothing"},
    {"slurm", NULL, "write DIR/sweep.sbatch and submit it: a job array with a task for each cell that is not done"},
    {"print-slurm", NULL, "print that script, and submit nothing"},
    {"slurm-option", "KEY=VALUE",
     "a line #SBATCH --KEY=VALUE: partition, time, mem, cpus-per-task, ...; may be repeated"},
    {"index", "N", "cell: the number of the cell; default: SLURM_ARRAY_TASK_ID"},
    {"by", "METRIC", "collect: the metric to choose by; default: that of the validation, else the first"},
    {"lowest", NULL, "collect: the lowest value is the best (default: of losses, perplexities and errors)"},
    {"highest", NULL, "collect: the highest value is the best"},
    {"json", NULL, "collect: print the table as JSON"},
    {0}};

/* Options may stand before and behind the words of the command. */
typedef struct {
    const Args *early, *late;
    Arena *arena;
} Words;

static const Args *of(const Words *w, const char *option)
{
    return args_given(w->late, option) ? w->late : w->early;
}

static bool given(const Words *w, const char *option)
{
    return args_given(of(w, option), option);
}

static const Command SWEEP;

static bool quiet(const Words *w)
{
    return given(w, "quiet");
}

/* ---- running */

/* runs/sweep/HASH of the command, its words, and the settings that vary: other values extend the same sweep. */
static const char *directory(const Words *w, const Plan *p)
{
    const char *out = args_text(of(w, "out"), "out", NULL);
    if (out) {
        size_t n = strlen(out);
        while (n > 1 && out[n - 1] == '/') n--;
        return str_copy(w->arena, out, n);
    }
    Plan any = *p;
    Cell cell = {"", p->key}; /* each value is its own key */
    int n;
    any.cell = &cell;
    const char **word = plan_argv(&n, &any, w->arena, 0, NULL);
    Sha256 all = sha256_begin();
    for (int i = 0; i < n; i++) sha256_add(&all, word[i], strlen(word[i]) + 1);
    return str_print(w->arena, "runs/sweep/%.8s", sha256_end(&all).hex);
}

/* Cells at a time, and the cores of each. */
static Status share_cores(Cells *c, const Words *w)
{
    int64_t jobs;
    int cores = machine_threads();
    bool fixed = plan_gives(c->plan, "threads");
    int64_t most = c->plan->n < cores ? c->plan->n : cores;
    TRY(args_int(&jobs, of(w, "jobs"), "jobs", fixed ? 1 : most, 1, 256));
    c->jobs = (int)jobs;
    c->threads = fixed ? 0 : cores / c->jobs > 1 ? cores / c->jobs : 1;
    return OK;
}

static Status verdict(const Outcome *o, int64_t n, const char *dir)
{
    if (o->stopped || o->done + o->failed + o->busy < n)
        return err_fail(E_INTERRUPT, "interrupted; %lld of %lld cells are done, and the same command continues",
                        (long long)o->done, (long long)n);
    if (o->failed)
        return err_fail(E_NUMERIC, "%lld of %lld %s failed; the logs are in %s/logs", (long long)o->failed,
                        (long long)n, str_plural(n, "cell", "cells"), dir);
    if (o->busy)
        return err_fail(E_NUMERIC, "%lld of %lld %s in use by another process", (long long)o->busy, (long long)n,
                        str_plural(o->busy, "cell is", "cells are"));
    return OK;
}

static Status collect_options(Collect *c, const Words *w)
{
    if (given(w, "lowest") && given(w, "highest"))
        return err_fail(E_CONFIG, "--lowest and --highest exclude each other; expected one of them");
    *c = (Collect){.by = args_text(of(w, "by"), "by", NULL), .json = given(w, "json")};
    c->direction = given(w, "lowest") ? -1 : given(w, "highest") ? 1 : 0;
    return OK;
}

static Status run_here(const Words *w, const Plan *p, const char *dir)
{
    Outcome o;
    Collect how;
    TRY(collect_options(&how, w));
    Cells c = {.plan = p, .arena = w->arena, .dir = dir, .quiet = quiet(w)};
    int64_t *all = NEW(w->arena, int64_t, p->n);
    for (int64_t i = 0; i < p->n; i++) all[i] = i;
    TRY(share_cores(&c, w));
    if (!c.quiet)
        print_err("%lld %s in %s, %d at a time\n", (long long)p->n, str_plural(p->n, "cell", "cells"), dir, c.jobs);
    TRY(cells_run(&o, &c, p->n, all));
    bool ended = o.done + o.failed + o.busy == p->n;
    if (ended && o.done) TRY(collect(p, w->arena, dir, &how));
    return verdict(&o, p->n, dir);
}

/* ---- Slurm */

static Status script(const char **text, int64_t *n, const Words *w, const Plan *p, const char *dir)
{
    const char *option[2 * MOST_OPTIONS];
    int64_t jobs, *cell = NEW(w->arena, int64_t, p->n);
    Slurm s = {.option = option};
    s.options = args_all(w->early, "slurm-option", option, MOST_OPTIONS);
    s.options += args_all(w->late, "slurm-option", option + s.options, MOST_OPTIONS);
    TRY(args_int(&jobs, of(w, "jobs"), "jobs", 0, 1, 100000));
    s.jobs = (int)jobs;
    *n = 0;
    for (int64_t i = 0; i < p->n; i++)
        if (!cell_done(p, w->arena, dir, i)) cell[(*n)++] = i;
    return *n ? slurm_script(text, &s, p, w->arena, dir, *n, cell) : OK;
}

static Status submit(const Words *w, const Plan *p, const char *dir, bool overwrite)
{
    const char *text = NULL, *job;
    int64_t n;
    TRY(script(&text, &n, w, p, dir));
    if (!n) {
        print_err("all %lld cells are done; nothing is submitted\n", (long long)p->n);
        return OK;
    }
    if (given(w, "print-slurm")) {
        print_layout(text, strlen(text));
        return OK;
    }
    if (overwrite)
        return err_fail(E_CONFIG, "--overwrite with --slurm would begin a requeued task anew; choose another --out");
    TRY(plan_save(p, w->arena, dir));
    TRY(slurm_submit(&job, w->arena, dir, text));
    print_out("%s\n", job);
    if (!quiet(w))
        print_err("%lld %s submitted as job %s; vernier sweep collect %s makes the table\n", (long long)n,
                  str_plural(n, "task", "tasks"), job, dir);
    return OK;
}

/* ---- the command */

static Status dry_run(const Plan *p, Arena *a, const char *dir)
{
    for (int64_t i = 0; i < p->n; i++) {
        int n;
        const char *out = plan_leaves(p) == LEAVES_DIR ? str_print(a, "%s/%s", dir, p->cell[i].name) : NULL;
        const char **word = plan_argv(&n, p, a, i, out), *line = plan_line(a, n, word);
        print_out("%s\n", line);
    }
    print_err("%lld %s, checked; nothing was run\n", (long long)p->n, str_plural(p->n, "cell", "cells"));
    return OK;
}

static Status sweep_command(const Words *w, Plan *p)
{
    int64_t most;
    bool overwrite = option_find(p->command, "overwrite", 9) && plan_gives(p, "overwrite");
    TRY(args_int(&most, of(w, "max-cells"), "max-cells", 1000, 1, 1000000));
    TRY(plan_cells(p, w->arena, most));
    const char *dir = directory(w, p);
    TRY(plan_check(p, w->arena, dir));
    if (given(w, "dry-run")) return dry_run(p, w->arena, dir);
    TRY(plan_join(p, w->arena, dir, overwrite));
    if (given(w, "slurm") || given(w, "print-slurm")) return submit(w, p, dir, overwrite);
    TRY(plan_save(p, w->arena, dir));
    return run_here(w, p, dir);
}

/* The cores that Slurm gives a task, or all that the process may use. */
static int task_cores(void)
{
    const char *cores = getenv("SLURM_CPUS_PER_TASK");
    int64_t n;
    if (!cores) cores = getenv("SLURM_CPUS_ON_NODE");
    return cores && str_int(cores, &n) && n >= 1 && n <= 1024 ? (int)n : machine_threads();
}

static Status one_cell(const Words *w, const char *dir)
{
    Plan p;
    Outcome o;
    int64_t index;
    const char *task = getenv("SLURM_ARRAY_TASK_ID");
    TRY(plan_load(&p, w->arena, dir));
    if (!given(w, "index") && !task)
        return err_fail(E_CONFIG, "which cell is meant?  Expected --index N, or SLURM_ARRAY_TASK_ID of a job array");
    TRY(args_int(&index, of(w, "index"), "index", 0, 0, p.n - 1));
    if (!given(w, "index") && (!str_int(task, &index) || index < 0 || index >= p.n))
        return err_fail(E_CONFIG, "SLURM_ARRAY_TASK_ID=%s: expected 0 to %lld", task, (long long)p.n - 1);
    Cells c = {.plan = &p, .arena = w->arena, .dir = dir, .jobs = 1, .quiet = quiet(w)};
    if (!plan_gives(&p, "threads")) c.threads = task_cores();
    TRY(cells_run(&o, &c, 1, &index));
    return verdict(&o, 1, dir);
}

static Status collect_words(const Words *w, const char *dir)
{
    Plan p;
    Collect c;
    TRY(collect_options(&c, w));
    TRY(plan_load(&p, w->arena, dir));
    return collect(&p, w->arena, dir, &c);
}

/* "collect DIR" and "cell DIR", with options of the sweep alone behind them. */
static Status verb(Words *w, int n, const char *const *word)
{
    Args *late;
    Command *plain = NEW(w->arena, Command, 1);
    *plain = SWEEP;
    plain->words = false; /* here options may follow the operand */
    TRY(args_parse(&late, w->arena, plain, n - 1, (char **)(uintptr_t)(word + 1)));
    w->late = late;
    if (args_help(late)) return command_help(&SWEEP, late);
    if (args_count(late) != 1)
        return err_fail(E_CONFIG, "sweep %s needs the directory of a sweep: vernier sweep %s DIR", word[0], word[0]);
    return !strcmp(word[0], "collect") ? collect_words(w, args_at(late, 0)) : one_cell(w, args_at(late, 0));
}

static Status sweep(const Args *a)
{
    Words w = {.early = a, .late = a, .arena = args_arena(a)};
    int n = args_count(a), n_own = 0;
    const char **word = NEW(w.arena, const char *, n + 1), **own = NEW(w.arena, const char *, n + 1);
    Plan p;
    Args *late;
    for (int i = 0; i < n; i++) word[i] = args_at(a, i);
    if (str_glob("collect|cell", word[0])) return verb(&w, n, word);
    TRY(plan_read(&p, w.arena, &SWEEP, n, word, own, &n_own));
    own[n_own++] = word[0]; /* the one operand that it must have */
    TRY(args_parse(&late, w.arena, &SWEEP, n_own, (char **)(uintptr_t)own));
    w.late = late;
    return args_help(late) ? command_help(&SWEEP, late) : sweep_command(&w, &p);
}

static const Command SWEEP = {
    .name = "sweep",
    .summary = "run a command over lists and ranges of its options, here or on Slurm, and tabulate the results",
    .usage = "[options] COMMAND [its words] KEY=VALUES...\n"
             "       vernier sweep collect DIR [options]\n"
             "       vernier sweep cell DIR [--index N]",
    .about =
        "KEY=VALUES varies a setting: lr=1e-4,3e-4 is a list, seed=1..5 a range, lr=1e-5..1e-3/log5 five values even "
        "in "
        "the logarithm, 0..1/0.25 steps.  KEY is an option of COMMAND, a setting of its experiment, an item of its "
        "--options (rank), an item of another list (encoder.dim), or the number of an operand "
        "(1=theory/one-token,toy/e1).  "
        "All other words are those of COMMAND.  Every combination is a cell, an ordinary command with the directory "
        "DIR/KEY=VALUE,...; the result of a command that prints is a file there.  All cells are checked before the "
        "first "
        "one starts.  The same command continues an interrupted sweep, tries failed cells again, and adds new "
        "values.  A "
        "cell that fails is reported and does not stop the others; the exit code is then 1.  collect makes one "
        "table: "
        "the best settings first, by the validation, with mean and 95 % interval over the values of seed, and "
        "parameters, seconds and memory.  It writes DIR/summary: CSV, Markdown, figures and index.html.  cell runs "
        "one cell, as the tasks of a job array do.",
    .example = "vernier sweep tune --task jit --train commits.jsonl --model codebert lr=1e-4,3e-4 rank=4,8,16 "
               "seed=1..5 --out grid\n"
               "  vernier sweep theory one-token seeds=1 seed=1..5 --dry-run\n"
               "  vernier sweep probe --task typ model=codebert,graphcodebert --jobs 2\n"
               "  vernier sweep predict 1=grid/rank=4,grid/rank=8 test.jsonl\n"
               "  vernier sweep collect grid --by auc\n"
               "  vernier sweep tune --task jit --train commits.jsonl seed=1..5 --slurm --slurm-option time=2:00:00",
    .options = OPTIONS,
    .among = "@commands|collect|cell",
    .words = true,
    .least = 1,
    .most = -1,
    .run = sweep};
REGISTER(command, SWEEP)
