/* The text of --help: of a command, of one of its subcommands, or of an experiment. */
#include <ctype.h>
#include <string.h>

#include "base/print.h"
#include "cli/page.h"

/* Whether `text` begins with the n bytes of whole words at `start`. */
static bool begins(const char *text, const char *start, size_t n)
{
    return !strncmp(text, start, n) && (!text[n] || text[n] == ' ');
}

const char *option_scope(Arena *a, const Option *o, const char *page)
{
    Buf part = buf_open(a);
    size_t deep = strlen(page);
    if (!o->of) return "";
    if (!deep) return words_listed(a, o->of, ", ");
    for (const char *of = o->of; *of; of += *of == '|') {
        size_t n = strcspn(of, "|");
        const char *one = str_copy(a, of, n);
        if (begins(page, one, n)) return "";
        if (begins(one, page, deep)) buf_print(&part, "%s%s", part.len ? ", " : "", one + deep + 1);
        of += n;
    }
    return part.len ? part.text : NULL;
}

const char *page_examples(Arena *a, const Command *c, const char *page)
{
    const char *start = str_print(a, "vernier %s%s%s", c->name, *page ? " " : "", page);
    Buf out = buf_open(a);
    for (const char *line = c->example; *line;) {
        line += strspn(line, " \n");
        size_t n = strcspn(line, "\n");
        if (!*page || begins(str_copy(a, line, n), start, strlen(start))) buf_print(&out, "%.*s\n", (int)n, line);
        line += n;
    }
    return out.text;
}

static void print_options(Arena *a, const char *title, const Option *table, const char *page)
{
    for (; table && table->name; table++) {
        const char *scope = option_scope(a, table, page);
        if (!scope) continue;
        if (title) print_out("\n%s\n", title);
        title = NULL;
        const char *left = str_print(a, "  --%s%s%s", table->name, table->argument ? " " : "",
                                     table->argument ? table->argument : "");
        print_item(left, 26, *scope ? str_print(a, "%s: %s", scope, table->help) : table->help);
    }
}

static void print_verbs(const Command *c)
{
    if (c->verbs) print_out("\nsubcommands ('vernier help %s %s' explains one)\n", c->name, c->verbs->name);
    for (const Verb *v = c->verbs; v && v->name; v++) {
        print_out("  %s %s\n", v->name, v->usage);
        print_item("", 6, v->about);
    }
}

static void print_examples(Arena *a, const Command *c, const char *page)
{
    const char *text = page_examples(a, c, page);
    if (*text) print_out("\nexample\n");
    for (const char *end; (end = strchr(text, '\n')); text = end + 1) {
        print_out("  ");
        print_layout(text, (size_t)(end + 1 - text));
    }
}

/* A word that the operand of a subcommand may be; then it has a page of its own. */
static bool is_among(Arena *a, const char *among, const char *word)
{
    for (const KeyValue *w = words_of(a, among); w->key; w++)
        if (!strcmp(w->key, word)) return true;
    return false;
}

/* Prints the help of one subcommand: usage, description, options and examples. */
static Status verb_help(const Command *c, const Args *args)
{
    Arena *a = args_arena(args);
    const char *page = args_at(args, 0);
    const Verb *v = c->verbs;
    Buf all = buf_open(a);
    for (; v->name && strcmp(v->name, page) != 0; v++) buf_print(&all, "%s%s", all.len ? "|" : "", v->name);
    if (!v->name)
        return err_fail(E_CONFIG, "unknown subcommand '%.30s' of '%s'; expected %s", page, c->name,
                        words_listed(a, all.text, " or "));
    bool kind = args_count(args) > 1 && is_among(a, v->among, args_at(args, 1));
    if (kind) page = str_print(a, "%s %s", page, args_at(args, 1));
    print_out("usage: vernier %s %s%s%s [options]\n", c->name, page, kind ? "" : " ", kind ? "" : v->usage);
    char *about = str_print(a, "%s", v->about);
    *about = (char)toupper(*about);
    print_item("", 0, about);
    print_options(a, "options", c->options, page);
    print_options(a, "common options", COMMON_OPTIONS, "");
    print_examples(a, c, page);
    return OK;
}

Status command_help(const Command *c, const Args *args)
{
    Arena *a = args_arena(args);
    if (c->verbs && args_count(args)) return verb_help(c, args);
    print_out("usage: vernier %s ", c->name);
    print_layout(c->usage, strlen(c->usage)); /* it may have several lines */
    print_out("\n");
    print_item("", 0, c->about ? c->about : c->summary);
    print_verbs(c);
    if (c->more_help) c->more_help(args);
    print_options(a, "options", c->options, "");
    print_options(a, "common options", COMMON_OPTIONS, "");
    print_examples(a, c, "");
    return OK;
}
