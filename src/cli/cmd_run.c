/* vernier run, theory, toy, probe: the same launcher under four names.  `run` takes GROUP/NAME or a glob of
 * them; `theory` and `toy` take names of their group, all of it when none is given; `probe` takes --task. */
#include <string.h>

#include "base/print.h"
#include "cli/launch.h"
#include "cli/page.h"

static const Option OPTIONS[] = {LAUNCH_OPTIONS(OUT_OF_RUNS)};
static const Option PROBE_OPTIONS[] = {
    {"task", "NAME", "the probing task: an experiment of the group probes"},
    LAUNCH_OPTIONS(
        "the run directory; default: runs/probes/NAME/HASH, with the link runs/probes/NAME/latest to the newest")};

static const Choice CHOICES[] = {LAUNCH_CHOICES, {0}};
static const Choice PROBE_CHOICES[] = {{"task", "@probes"}, LAUNCH_CHOICES, {0}};

/* The nearest name is found without the groups: a common group does not make two names similar, and the group may be
 * wrong. */
static Status no_experiment(Arena *a, const char *name)
{
    const Experiment **all = list_experiments(a);
    int n = 0;
    while (all[n]) n++;
    const char **names = NEW(a, const char *, n + 1), *slash = strchr(name, '/');
    for (int i = 0; i < n; i++) names[i] = all[i]->name;
    const char *near = str_nearest(slash ? slash + 1 : name, names);
    for (int i = 0; near && i < n; i++)
        if (names[i] == near)
            return err_fail(E_CONFIG, "no experiment \"%s\"; did you mean %s?", name, experiment_name(a, all[i]));
    return err_fail(E_CONFIG, "no experiment \"%s\"; 'vernier list' names them", name);
}

/* Adds every experiment that `pattern` names to the NULL-ended list. */
static Status choose(const Experiment **list, Arena *a, const char *pattern)
{
    const Experiment **all = list_experiments(a), **end = list;
    bool found = false;
    while (*end) end++;
    for (; *all; all++) {
        if (!str_glob(pattern, experiment_name(a, *all))) continue;
        found = true;
        *end++ = *all;
        *end = NULL;
    }
    return found ? OK : no_experiment(a, pattern);
}

static Status chosen(const Experiment ***out, const Args *a, const char *group)
{
    Arena *arena = args_arena(a);
    int n = (int)(experiment_end() - experiment_begin()), words = args_count(a) + 1;
    *out = NEW(arena, const Experiment *, n *words + 1);
    for (int i = 0; i < args_count(a); i++) {
        const char *name = group && !strcmp(args_at(a, i), "all") ? "*" : args_at(a, i);
        bool whole = !group || strchr(name, '/');
        TRY(choose(*out, arena, whole ? name : str_print(arena, "%s/%s", group, name)));
    }
    if (group && !args_count(a)) TRY(choose(*out, arena, str_print(arena, "%s/*", group)));
    return OK;
}

static Status run_any(const Args *a)
{
    const Experiment **list;
    TRY(chosen(&list, a, NULL));
    return launch_all(a, list, "runs", false);
}

static Status check_any(const Args *a)
{
    const Experiment **list;
    TRY(chosen(&list, a, NULL));
    return launch_check(a, list);
}

/* A command without a word lists its experiments: all of them take long. */
static Status show_group(const Args *a, const char *group)
{
    list_experiments_of(args_arena(a), group);
    print_out("\n'vernier %s NAME' runs one, and 'vernier %s all' all of them\n", group, group);
    return OK;
}

static Status run_theory(const Args *a)
{
    const Experiment **list;
    if (args_bare(a)) return show_group(a, "theory");
    TRY(chosen(&list, a, "theory"));
    return launch_all(a, list, "runs", false);
}

static Status check_theory(const Args *a)
{
    const Experiment **list;
    TRY(chosen(&list, a, "theory"));
    return launch_check(a, list);
}

static Status run_toy(const Args *a)
{
    const Experiment **list;
    if (args_bare(a)) return show_group(a, "toy");
    TRY(chosen(&list, a, "toy"));
    return launch_all(a, list, "runs", false);
}

static Status check_toy(const Args *a)
{
    const Experiment **list;
    TRY(chosen(&list, a, "toy"));
    return launch_check(a, list);
}

/* Columns are named, so the data are a table of the user's own. */
static bool table_given(const Args *a)
{
    const KeyValue *set;
    bool given = false;
    for (int n = args_settings(a, &set); n-- > 0;)
        given |= !strcmp(set[n].key, "text-column") || !strcmp(set[n].key, "label-column");
    return given;
}

static Status chosen_task(const Experiment ***out, const Args *a)
{
    Arena *arena = args_arena(a);
    const char *task = args_text(a, "task", table_given(a) ? "own" : NULL);
    *out = NEW(arena, const Experiment *, experiment_end() - experiment_begin() + 1);
    if (!task)
        return err_fail(E_CONFIG, "--task NAME is missing; 'vernier list' names the experiments of the group probes");
    return choose(*out, arena, str_print(arena, "probes/%s", task));
}

static Status run_probe(const Args *a)
{
    const Experiment **list;
    TRY(chosen_task(&list, a));
    return launch_all(a, list, "runs", false);
}

static Status check_probe(const Args *a)
{
    const Experiment **list;
    TRY(chosen_task(&list, a));
    return launch_check(a, list);
}

static void print_setting(Arena *a, const Setting *s)
{
    const char *v[PRESETS];
    for (Preset p = SMOKE; p < PRESETS; p++) v[p] = *setting_value(s, p) ? setting_value(s, p) : "none";
    bool same = !strcmp(v[SMOKE], v[QUICK]) && !strcmp(v[QUICK], v[PAPER]);
    const char *values = same ? v[SMOKE] : str_print(a, "%s / %s / %s", v[SMOKE], v[QUICK], v[PAPER]);
    if (s->value[REAL_DATA]) values = str_print(a, "%s; real: %s", values, v[REAL_DATA]);
    print_item(str_print(a, "    --%s", s->key), 24,
               str_print(a, "%s%s%s%s; default %s", s->help, s->among ? " (" : "", s->among ? s->among : "",
                         s->among ? ")" : "", values));
}

/* --help with an experiment's name also shows its claim and its settings. */
static void settings_help(const Args *args, const char *pattern)
{
    Arena *a = args_arena(args);
    for (const Experiment *const *e = experiment_begin(); e < experiment_end(); e++) {
        if (!str_glob(pattern, experiment_name(a, *e))) continue;
        print_out("\n%s\n", experiment_name(a, *e));
        print_item("  claim", 11, (*e)->claim);
        print_item("  method", 11, (*e)->method);
        print_item("  expect", 11, (*e)->expect);
        print_item("  cost", 11, (*e)->cost);
        print_item("  source", 11, (*e)->source);
        const Setting *s = (*e)->settings;
        if (s && s->key) print_out("  settings (smoke / quick / paper where they differ)\n");
        for (; s && s->key; s++) print_setting(a, s);
    }
}

static void help_any(const Args *a)
{
    for (int i = 0; i < args_count(a); i++)
        settings_help(a,
                      strchr(args_at(a, i), '/') ? args_at(a, i) : str_print(args_arena(a), "*/%s", args_at(a, i)));
}

static void help_probe(const Args *a)
{
    const char *task = args_text(a, "task", NULL);
    if (!task && args_count(a)) task = args_at(a, 0); /* vernier help probe typ */
    if (task) settings_help(a, str_print(args_arena(a), "probes/%s", task));
}

static const Command RUN = {.name = "run",
                            .summary = "run experiments by GROUP/NAME or a glob such as 'toy/*'",
                            .usage = "[options] GROUP/NAME...",
                            .example = "vernier run theory/one-token --preset quick --seeds 3 --out runs/one-token",
                            .options = OPTIONS,
                            .among = "@experiments",
                            .choices = CHOICES,
                            .settings = true,
                            .least = 1,
                            .most = -1,
                            .run = run_any,
                            .check = check_any,
                            .more_help = help_any};
static const Command THEORY = {.name = "theory",
                               .summary = "check theorems numerically; lists them when none is named",
                               .usage = "[options] [NAME... | all]",
                               .example = "vernier theory one-token",
                               .options = OPTIONS,
                               .among = "@theory|all",
                               .choices = CHOICES,
                               .settings = true,
                               .most = -1,
                               .run = run_theory,
                               .check = check_theory,
                               .more_help = help_any};
static const Command TOY = {.name = "toy",
                            .summary = "run toy experiments; lists them when none is named",
                            .usage = "[options] [NAME... | all]",
                            .example = "vernier toy e1 --preset smoke",
                            .options = OPTIONS,
                            .among = "@toy|all",
                            .choices = CHOICES,
                            .settings = true,
                            .most = -1,
                            .run = run_toy,
                            .check = check_toy,
                            .more_help = help_any};
static const Command PROBE = {.name = "probe",
                              .summary = "train probing classifiers on a model's layers, on a code-change task",
                              .usage = "--task NAME [options]",
                              .example = "vernier probe --task typ --preset smoke\n"
                                         "  vernier probe --task ccm --data ccm.txt --model codebert/ --adapter "
                                         "lora/ --mode both --seeds 1",
                              .options = PROBE_OPTIONS,
                              .choices = PROBE_CHOICES,
                              .settings = true,
                              .run = run_probe,
                              .check = check_probe,
                              .more_help = help_probe};
REGISTER(command, RUN)
REGISTER(command, THEORY)
REGISTER(command, TOY)
REGISTER(command, PROBE)
