/* Completion in fish: a line for every word, with the condition under which it is offered. */
#include <string.h>

#include "manual/completion.h"
#include "run/run.h"

static const char DRIVER[] =
    "function __vernier_on # whether the line so far has this command, and these words behind it\n"
    "    set -l given (commandline -opc)[2..]\n"
    "    test (count $given) -gt 0; and test \"$given[1]\" = \"$argv[1]\"; or return 1\n"
    "    for word in $argv[2..]\n"
    "        contains -- $word $given[2..]; or return 1\n"
    "    end\n"
    "end\n"
    "function __vernier_first # whether no command is there yet\n"
    "    test (count (commandline -opc)) -eq 1\n"
    "end\n";

static const char QUOTE[] = "\\'";

static void offer(Buf *b, const char *when, const char *word, const char *text)
{
    buf_print(b, "complete -c vernier -n '%s' -f -a '%s'", when, word);
    if (text) buf_print(b, " -d '%s'", meaning(b->arena, text, QUOTE));
    buf_print(b, "\n");
}

static void operands(Buf *b, const char *when, const char *among)
{
    for (const KeyValue *w = words_of(b->arena, among); w->key; w++) offer(b, when, w->key, w->value);
}

/* The option --name on the lines that `when` describes, and the completion of its value. */
static void option(Buf *b, const char *when, const char *name, const char *text, Takes takes, const char *among)
{
    static const char *const BEHIND[] = {[TAKES_NOTHING] = "",
                                         [TAKES_FILE] = " -r -F",
                                         [TAKES_DIR] = " -x -a '(__fish_complete_directories)'",
                                         [TAKES_TEXT] = " -x"};
    buf_print(b, "complete -c vernier%s%s%s -l %s -d '%s'", when ? " -n '" : "", when ? when : "", when ? "'" : "",
              name, meaning(b->arena, text, QUOTE));
    if (takes == TAKES_WORDS) {
        buf_print(b, " -x -a '");
        for (const KeyValue *w = words_of(b->arena, among); w->key; w++) buf_print(b, "%s ", w->key);
        b->text[--b->len] = 0;
        buf_print(b, "'");
    } else {
        buf_print(b, "%s", BEHIND[takes]);
    }
    buf_print(b, "\n");
}

/* The lines on which an option is heeded: of "mine|make typ" those with one of the two. */
static const char *lines_of(Arena *a, const Command *c, const Option *o)
{
    Buf out = buf_open(a);
    if (!o->of || !c->verbs) return str_print(a, "__vernier_on %s", c->name);
    for (const char *of = o->of; *of; of += *of == '|') {
        size_t n = strcspn(of, "|");
        buf_print(&out, "%s__vernier_on %s %.*s", out.len ? "; or " : "", c->name, (int)n, of);
        of += n;
    }
    return out.text;
}

static void command(Buf *b, const Command *c)
{
    Arena *a = b->arena;
    Buf verbs = buf_open(a);
    for (const Verb *v = c->verbs; v && v->name; v++) buf_print(&verbs, " %s", v->name);
    for (const Verb *v = c->verbs; v && v->name; v++) {
        const char *on = str_print(a, "__vernier_on %s", c->name);
        offer(b, str_print(a, "__vernier_on help %s", c->name), v->name, v->about);
        offer(b, str_print(a, "%s; and not __fish_seen_subcommand_from%s", on, verbs.text), v->name, v->about);
        operands(b, str_print(a, "%s %s", on, v->name), v->among);
    }
    operands(b, str_print(a, "__vernier_on %s", c->name), c->among);
    for (const Option *o = c->options; o && o->name; o++) {
        size_t n;
        option(b, lines_of(a, c, o), o->name, o->help, option_takes(c, o), choice_among(c, o->name));
        for (const char *rest = o->alias, *other; str_next(&rest, "|", &other, &n);)
            option(b, lines_of(a, c, o), str_copy(a, other, n), o->help, option_takes(c, o),
                   choice_among(c, o->name));
    }
}

static void settings(Buf *b, const Experiment *e)
{
    bool probe = !strcmp(e->group, "probes");
    const char *when = str_print(b->arena, "__vernier_on %s %s; or __vernier_on run %s/%s",
                                 probe ? "probe" : e->group, e->name, e->group, e->name);
    for (const Setting *s = e->settings; s && s->key; s++)
        option(b, when, s->key, s->help, setting_takes(s), s->among);
}

/* Writes the completion script for fish: commands, options, their values and experiments' settings. */
void complete_fish(Buf *b)
{
    buf_print(b, "# Completion of vernier's command lines in fish, written by `vernier completion fish`.\n%s",
              DRIVER);
    offer(b, "__vernier_first", "help", "explain a command");
    operands(b, "__vernier_first", "@commands");
    operands(b, "__vernier_on help; and test (count (commandline -opc)) -eq 2", "@commands");
    buf_print(b, "complete -c vernier -n __vernier_first -l version -d 'name the build'\n");
    for (const Option *o = COMMON_OPTIONS; o->name; o++) {
        bool kernels = !strcmp(o->name, COMMON_CHOICES[0].option);
        option(b, NULL, o->name, o->help,
               !o->argument ? TAKES_NOTHING
               : kernels    ? TAKES_WORDS
                            : TAKES_TEXT,
               kernels ? COMMON_CHOICES[0].among : NULL);
    }
    for (const Command **c = commands(b->arena); *c; c++) command(b, *c);
    for (const Experiment **e = list_experiments(b->arena); *e; e++) settings(b, *e);
}
