/* vernier list: the names of all experiments, tuning methods, baselines and architectures on one screen, or one of
 * these sections with a line for each, read from the registries. */
#include <string.h>

#include <cjson/cJSON.h>

#include "base/print.h"
#include "cli/page.h"
#include "io/json.h"
#include "nn/model.h"
#include "peft/peft.h"
#include "run/run.h"
#include "tasks/learner.h"
#include "tasks/recipe.h"
#include "tasks/tune.h"

/* "" is everything; else one section: a group of experiments, "tasks", "methods", "baselines" or "architectures". */
static bool shows(const char *section, const char *part)
{
    return !*section || !strcmp(section, part);
}

static cJSON *experiment_json(const Experiment *e)
{
    cJSON *one = cJSON_CreateObject(), *settings = cJSON_CreateObject();
    cJSON_AddStringToObject(one, "group", e->group);
    cJSON_AddStringToObject(one, "name", e->name);
    cJSON_AddStringToObject(one, "title", e->title);
    cJSON_AddStringToObject(one, "claim", e->claim);
    cJSON_AddStringToObject(one, "cost", e->cost);
    cJSON_AddStringToObject(one, "source", e->source);
    cJSON_AddBoolToObject(one, "exact", e->exact);
    for (const Setting *s = e->settings; s && s->key; s++)
        cJSON_AddStringToObject(settings, s->key, setting_value(s, QUICK));
    cJSON_AddItemToObject(one, "settings", settings);
    return one;
}

/* Prints the experiments, methods, baselines or architectures of a section, or all of them when it is "", as JSON. */
static void print_json(const Experiment **list, const char *section)
{
    bool methods = shows(section, "methods"), archs = shows(section, "architectures");
    bool baselines = shows(section, "baselines");
    cJSON *all = cJSON_CreateObject();
    bool tasks = shows(section, "tasks");
    if (!*section || (!methods && !archs && !baselines && !tasks)) {
        cJSON *root = cJSON_AddArrayToObject(all, "experiments");
        for (; *list; list++)
            if (shows(section, (*list)->group)) cJSON_AddItemToArray(root, experiment_json(*list));
    }
    if (tasks) {
        cJSON *table = cJSON_AddObjectToObject(all, "tasks");
        for (const TuneTask *const *t = tune_task_begin(); t < tune_task_end(); t++)
            cJSON_AddStringToObject(table, (*t)->task->name, (*t)->about);
    }
    if (methods) {
        cJSON *table = cJSON_AddObjectToObject(all, "methods");
        for (const Peft *const *p = peft_begin(); p < peft_end(); p++)
            cJSON_AddStringToObject(table, (*p)->name, (*p)->summary);
        for (const Recipe *r = RECIPES; r->name; r++) cJSON_AddStringToObject(table, r->name, r->title);
    }
    if (baselines) {
        cJSON *table = cJSON_AddObjectToObject(all, "baselines");
        for (const Learner *const *l = learner_begin(); l < learner_end(); l++)
            cJSON_AddStringToObject(table, (*l)->name, (*l)->title);
    }
    if (archs) {
        cJSON *table = cJSON_AddObjectToObject(all, "architectures");
        for (const Arch *const *p = arch_begin(); p < arch_end(); p++)
            cJSON_AddStringToObject(table, (*p)->name, (*p)->summary);
    }
    json_print(all);
    cJSON_Delete(all);
}

static const char *method_line(Arena *a, const Peft *p)
{
    return p->alias ? str_print(a, "%s; `%s` is another name of it", p->summary, p->alias) : p->summary;
}

static const char *option_names(Arena *a)
{
    Buf b = buf_open(a);
    PeftConfig none = {0};
    for (int i = 0; i < peft_options(); i++) {
        const char *key;
        peft_option(&key, &none, a, i);
        buf_print(&b, "%s%s", i ? ", " : "", key);
    }
    return b.text;
}

void list_experiments_of(Arena *a, const char *group)
{
    print_out("experiments (vernier run GROUP/NAME; with --help it shows claim, method, cost and settings)\n");
    for (const Experiment **e = list_experiments(a); *e; e++)
        if (!strcmp((*e)->group, group))
            print_item(str_print(a, "  %s/%s", (*e)->group, (*e)->name), 30, (*e)->title);
}

/* The names of a registry behind its title, in lines of the screen's width. */
static void print_names(Arena *a, const char *title, const char *among)
{
    Buf b = buf_open(a);
    int n = 0;
    for (const KeyValue *w = words_of(a, among); w->key; w++) buf_print(&b, "%s%s", n++ ? ", " : "", w->key);
    print_out("%s (%d)\n", title, n);
    print_item("", 4, b.text);
}

/* The first screen: the names of everything, and where more stands. */
static void print_overview(Arena *a)
{
    print_names(a, "theory: theorems checked numerically", "@theory");
    print_names(a, "toy: small transformers trained on digit tasks", "@toy");
    print_names(a, "probes: classifiers on frozen features, and the study of tuning", "@probes");
    print_names(a, "tasks of tuning", "@tasks");
    print_names(a, "methods of tuning", "@methods|@recipes");
    print_names(a, "baselines of defect prediction", "@baselines");
    print_names(a, "architectures", "@architectures");
    print_out(
        "\n'vernier list toy' lists one section with titles, and 'vernier toy e1 --help' explains an experiment\n");
}

/* A table whose title has an empty line above it, unless it is all that is asked for. */
static void print_title(const char *section, const char *title)
{
    print_out("%s%s\n", *section ? "" : "\n", title);
}

/* "k (0 to 20, default 0): neighbours ..." */
static const char *option_line(Arena *a, const LearnerOption *o)
{
    size_t n;
    const char *rest = o->words, *word = "";
    if (!o->words) return str_print(a, "%g to %g, default %g: %s", o->least, o->most, o->otherwise, o->about);
    for (int i = 0; i <= (int)o->otherwise; i++) str_next(&rest, "|", &word, &n);
    return str_print(a, "%s, default %.*s: %s", o->words, (int)n, word, o->about);
}

static void print_baselines(Arena *a, const char *section)
{
    print_title(section, "baselines of defect prediction");
    for (const Learner *const *l = learner_begin(); l < learner_end(); l++) {
        print_item(str_print(a, "  %s", (*l)->name), 14, str_print(a, "%s (%s)", (*l)->title, (*l)->source));
        for (const LearnerOption *o = (*l)->options; o && o->name; o++)
            print_item(str_print(a, "    %s", o->name), 18, option_line(a, o));
    }
}

static void print_tasks(Arena *a, const char *section)
{
    print_title(section, "tasks (vernier tune --task NAME)");
    for (const TuneTask *const *t = tune_task_begin(); t < tune_task_end(); t++)
        print_item(str_print(a, "  %s", (*t)->task->name), 14, (*t)->about);
}

/* Lists experiments, tasks, tuning methods, baselines and architectures, or one section of them, as text or JSON. */
static Status list(const Args *a)
{
    static const char *const SECTIONS[] = {"theory",  "toy",       "probes",        "tasks",
                                           "methods", "baselines", "architectures", NULL};
    const Experiment **all = list_experiments(args_arena(a));
    const char *section = args_count(a) ? args_at(a, 0) : "";
    int i = 0;
    while (*section && SECTIONS[i] && strcmp(SECTIONS[i], section) != 0) i++;
    if (!SECTIONS[i])
        return err_fail(
            E_CONFIG,
            "unknown section '%.30s'; expected theory, toy, probes, tasks, methods, baselines or architectures",
            section);
    if (args_given(a, "json")) {
        print_json(all, section);
        return OK;
    }
    if (!*section) {
        print_overview(args_arena(a));
        return OK;
    }
    if (i < 3) list_experiments_of(args_arena(a), section);
    if (shows(section, "tasks")) print_tasks(args_arena(a), section);
    if (shows(section, "methods")) {
        print_title(section, "tuning methods");
        for (const Peft *const *p = peft_begin(); p < peft_end(); p++)
            print_item(str_print(args_arena(a), "  %s", (*p)->name), 14, method_line(args_arena(a), *p));
        for (const Recipe *r = RECIPES; r->name; r++)
            print_item(str_print(args_arena(a), "  %s", r->name), 14,
                       str_print(args_arena(a), "%s (%s)", r->title, r->source));
        print_item("their options, for vernier tune --options:", 4, option_names(args_arena(a)));
    }
    if (shows(section, "baselines")) print_baselines(args_arena(a), section);
    if (shows(section, "architectures")) {
        print_title(section, "architectures");
        for (const Arch *const *p = arch_begin(); p < arch_end(); p++)
            print_item(str_print(args_arena(a), "  %s", (*p)->name), 14, (*p)->summary);
    }
    return OK;
}

static const Option OPTIONS[] = {{"json", NULL, "print one JSON document instead of the text"}, {0}};
static const Command LIST = {
    .name = "list",
    .summary = "list the experiments, tasks, tuning methods, baselines and architectures; one section with titles",
    .usage = "[options] [theory|toy|probes|tasks|methods|baselines|architectures]",
    .example = "vernier list\n"
               "  vernier list toy\n"
               "  vernier list methods",
    .options = OPTIONS,
    .among = "theory|toy|probes|tasks|methods|baselines|architectures",
    .most = 1,
    .run = list};
REGISTER(command, LIST)
