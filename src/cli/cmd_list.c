/* vernier list: every experiment with its claim and cost, the tuning methods and the architectures, read from the
 * registries. */
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/print.h"
#include "cli/command.h"
#include "run/run.h"
#include "io/json.h"
#include "nn/model.h"
#include "peft/peft.h"

static int by_name(const void *a, const void *b)
{
    const Experiment *x = *(const Experiment *const *)a, *y = *(const Experiment *const *)b;
    int group = strcmp(x->group, y->group);
    return group ? group : strcmp(x->name, y->name);
}

const Experiment **experiments(Arena *a)
{
    size_t n = (size_t)(experiment_end() - experiment_begin());
    const Experiment **list = NEW(a, const Experiment *, n + 1);
    if (n) memcpy(list, experiment_begin(), n * sizeof *list);
    qsort(list, n, sizeof *list, by_name);
    return list;
}

static void print_json(const Experiment **list)
{
    cJSON *root = cJSON_CreateArray();
    for (; *list; list++) {
        const Experiment *e = *list;
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
        cJSON_AddItemToArray(root, one);
    }
    cJSON *all = cJSON_CreateObject(), *methods = cJSON_CreateObject(), *archs = cJSON_CreateObject();
    cJSON_AddItemToObject(all, "experiments", root);
    for (const Peft *const *p = peft_begin(); p < peft_end(); p++)
        cJSON_AddStringToObject(methods, (*p)->name, (*p)->summary);
    for (const Arch *const *p = arch_begin(); p < arch_end(); p++)
        cJSON_AddStringToObject(archs, (*p)->name, (*p)->summary);
    cJSON_AddItemToObject(all, "methods", methods);
    cJSON_AddItemToObject(all, "architectures", archs);
    json_print(all);
    cJSON_Delete(all);
}

static const char *method_line(Arena *a, const Peft *p)
{
    return p->alias ? str_print(a, "%s; `%s` is another name of it", p->summary, p->alias) : p->summary;
}

static Status list(const Args *a)
{
    const Experiment **all = experiments(args_arena(a));
    if (args_given(a, "json")) {
        print_json(all);
        return OK;
    }
    print_out("experiments (vernier run GROUP/NAME; with --help it shows method, expectation and settings)\n");
    for (; *all; all++) {
        print_out("\n  %s/%s: %s\n", (*all)->group, (*all)->name, (*all)->title);
        print_item("    claim", 11, (*all)->claim);
        print_item("    cost", 11, (*all)->cost);
    }
    if (peft_begin() < peft_end()) print_out("\ntuning methods\n");
    for (const Peft *const *p = peft_begin(); p < peft_end(); p++)
        print_item(str_print(args_arena(a), "  %s", (*p)->name), 14, method_line(args_arena(a), *p));
    if (arch_begin() < arch_end()) print_out("\narchitectures\n");
    for (const Arch *const *p = arch_begin(); p < arch_end(); p++)
        print_item(str_print(args_arena(a), "  %s", (*p)->name), 14, (*p)->summary);
    return OK;
}

static const Option OPTIONS[] = {{"json", NULL, "print one JSON document instead of the text"}, {0}};
static const Command LIST = {.name = "list",
                             .summary =
                                 "list the experiments with claim and cost, the tuning methods and the architectures",
                             .usage = "[options]",
                             .example = "vernier list",
                             .options = OPTIONS,
                             .run = list};
REGISTER(command, LIST)
