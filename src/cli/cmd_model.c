/* vernier model inspect: the module tree of a checkpoint or of an architecture, and what a method adds to it. */
#include <string.h>

#include "base/str.h"
#include "cli/command.h"
#include "nn/inspect.h"
#include "peft/peft.h"

enum { MOST_METHODS = 16 };

static Status config_of(Config *c, const Args *a)
{
    const char *name = args_text(a, "arch", NULL);
    if (args_count(a) == 2) {
        if (name) return fail(E_CONFIG, "a directory and --arch are given; one of them says which model");
        TRY(config_load(c, args_at(a, 1)));
    } else {
        const Arch *arch = arch_find(name ? name : "roberta");
        if (!arch) return fail(E_CONFIG, "--arch is '%.30s'; `vernier list` shows the architectures", name);
        arch->defaults(c);
    }
    const Pair *set;
    int n = args_settings(a, &set);
    for (int i = 0; i < n; i++) {
        if (!set[i].value) return fail(E_CONFIG, "--set %s lacks a value: key=value is expected", set[i].key);
        TRY(config_set(c, set[i].key, set[i].value));
    }
    return OK;
}

static Status attach(Model *m, const Args *a)
{
    const char *method[MOST_METHODS];
    int n = args_all(a, "method", method, MOST_METHODS);
    int64_t size = 0;
    TRY(args_int(&size, a, "size", 0, 0, 1 << 24));
    Hooks *hooks = hooks_new(args_arena(a));
    for (int i = 0; i < n; i++) {
        const Peft *p = peft_find(method[i]);
        if (!p) return fail(E_CONFIG, "--method is '%.30s'; `vernier list` shows the methods", method[i]);
        PeftConfig c = {0};
        p->defaults(&c, &m->config);
        int *knob = p->knob ? p->knob(&c) : NULL;
        if (size && !knob) return fail(E_CONFIG, "%s has neither rank, width nor length to set with --size", p->name);
        if (size) *knob = (int)size;
        TRY(peft_attach(p, m, hooks, &c));
    }
    return OK;
}

static Status model(const Args *a)
{
    if (strcmp(args_at(a, 0), "inspect"))
        return fail(E_CONFIG, "'%.30s' is nothing to do with a model; inspect is", args_at(a, 0));
    Config c = {0};
    TRY(config_of(&c, a));
    int64_t classes;
    TRY(args_int(&classes, a, "classes", c.classes, 0, 1 << 20));
    c.classes = (int)classes;
    Model *m;
    TRY(inspect_open(&m, args_arena(a), &c));
    TRY(attach(m, a));
    model_inspect(stdout, m);
    return OK;
}

static const Option OPTIONS[] = {
    {"arch", "NAME", "an architecture at its published size (default roberta), where no directory is given"},
    {"set", "KEY=VALUE", "a field of its config: layers, dim, heads, vocab, ...; may be repeated"},
    {"classes", "N", "with a classification head for N classes"},
    {"method", "NAME", "attach a tuning method and show what it adds and trains; may be repeated"},
    {"size", "N", "the method's rank, width or length (default: the method's own)"},
    {0}};
static const Command MODEL = {.name = "model",
                              .summary = "the module tree of a model, its sizes, and what a method would train",
                              .usage = "inspect [options] [DIR]",
                              .about = "DIR is a checkpoint directory, of which config.json is enough.",
                              .example =
                                  "vernier model inspect --arch roberta --set layers=2 --method lora --size 4\n"
                                  "  vernier model inspect --arch t5 --method prefix --method parallel",
                              .options = OPTIONS,
                              .settings = true,
                              .least = 1,
                              .most = 2,
                              .run = model};
REGISTER(command, MODEL)
