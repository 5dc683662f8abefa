/* The tables that the readers of command lines and the writers of help share: the commands, the common options, and
 * the words that options and operands take, with the names of registries in place of '@methods' and the like. */
#include <stdlib.h>
#include <string.h>

#include "cli/page.h"
#include "nn/model.h"
#include "peft/peft.h"
#include "run/run.h"
#include "tasks/learner.h"
#include "tasks/recipe.h"
#include "tasks/tune.h"

const Option COMMON_OPTIONS[] = {
    {"help", NULL, "show this text and stop"},
    {"config", "FILE", "read options from a file of JSON or flat YAML; the command line wins", .repeated = true},
    {"quiet", NULL, "no progress and no remarks on standard error"},
    {"threads", "N", "use N cores; default: all this process may run on"},
    {"kernels", "WHICH", "fast, or ref: the plain reference loops; default fast"},
    {"trap-fp", NULL, "stop at the first invalid operation, overflow or division by zero"},
    {0}};
const Choice COMMON_CHOICES[] = {{"kernels", "fast|ref"}, {0}};

REGISTRY(Command, command)

static int by_name(const void *a, const void *b)
{
    const Command *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

const Command **commands(Arena *a)
{
    const Command **list = NEW(a, const Command *, command_end() - command_begin() + 1);
    size_t n = 0;
    for (const Command *const *c = command_begin(); c < command_end(); c++)
        if (!(*c)->hidden) list[n++] = *c;
    qsort(list, n, sizeof *list, by_name);
    return list;
}

const char *words_listed(Arena *a, const char *words, const char *last)
{
    Buf out = buf_open(a);
    for (const char *p = words, *bar; *p; p = bar + 1) {
        bar = strchr(p, '|');
        if (!bar) {
            buf_print(&out, "%s%s", p == words ? "" : last, p);
            break;
        }
        buf_print(&out, "%s%.*s", p == words ? "" : ", ", (int)(bar - p), p);
    }
    return out.text;
}

enum { MOST_WORDS = 256 };

typedef struct {
    Arena *arena;
    KeyValue *word;
    int n;
} WordList;

static void add(WordList *w, const char *word, const char *meaning)
{
    CHECK(w->n + 1 < MOST_WORDS, "%d words", w->n + 1);
    w->word[w->n++] = (KeyValue){word, meaning};
}

/* The experiments of one group by name, or with group NULL all of them as GROUP/NAME. */
static void add_experiments(WordList *w, const char *group)
{
    for (const Experiment **e = list_experiments(w->arena); *e; e++)
        if (!group)
            add(w, str_print(w->arena, "%s/%s", (*e)->group, (*e)->name), (*e)->title);
        else if (!strcmp((*e)->group, group))
            add(w, (*e)->name, (*e)->title);
}

static void add_named(WordList *w, const char *name)
{
    if (!strcmp(name, "methods"))
        for (const Peft *const *p = peft_begin(); p < peft_end(); p++) add(w, (*p)->name, (*p)->summary);
    else if (!strcmp(name, "tasks"))
        for (const TuneTask *const *t = tune_task_begin(); t < tune_task_end(); t++)
            add(w, (*t)->task->name, (*t)->about);
    else if (!strcmp(name, "recipes"))
        for (const Recipe *r = RECIPES; r->name; r++) add(w, r->name, r->title);
    else if (!strcmp(name, "baselines"))
        for (const Learner *const *l = learner_begin(); l < learner_end(); l++) add(w, (*l)->name, (*l)->title);
    else if (!strcmp(name, "architectures"))
        for (const Arch *const *p = arch_begin(); p < arch_end(); p++) add(w, (*p)->name, (*p)->summary);
    else if (!strcmp(name, "commands"))
        for (const Command **c = commands(w->arena); *c; c++) add(w, (*c)->name, (*c)->summary);
    else
        add_experiments(w, strcmp(name, "experiments") ? name : NULL);
}

const KeyValue *words_of(Arena *a, const char *among)
{
    WordList w = {a, NEW(a, KeyValue, MOST_WORDS), 0};
    for (const char *p = among; p && *p; p += *p == '|') {
        size_t n = strcspn(p, "|");
        const char *word = str_copy(a, p, n);
        if (*word == '@')
            add_named(&w, word + 1);
        else
            add(&w, word, NULL);
        p += n;
    }
    return w.word;
}

static const char *among_of(const Choice *table, const char *option)
{
    for (; table && table->option; table++)
        if (!strcmp(table->option, option)) return table->among;
    return NULL;
}

const char *choice_among(const Command *c, const char *option)
{
    const char *among = among_of(c->choices, option);
    return among ? among : among_of(COMMON_CHOICES, option);
}
