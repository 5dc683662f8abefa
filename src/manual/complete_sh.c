/* Completion in bash and zsh.  Both scripts hold the same three functions, which print the words of a page, one a
 * line, with a tab and its meaning behind each:
 *
 *   _vernier_next PAGE              the words that may stand behind "data make", or "" for the commands
 *   _vernier_options PAGE           the options there
 *   _vernier_value COMMAND OPTION   the words that an option takes, or one of <file> <dir> <text>; a switch: nothing
 *
 * A driver in the shell's own terms finds the page of the line so far and offers the words of the right function. */
#include <string.h>

#include "manual/completion.h"
#include "run/run.h"

static const char QUOTE[] = "'\\''";

static void line(Buf *b, const char *before, const char *word, const char *text)
{
    buf_print(b, " \\\n        '%s%s%s%s'", before, word, text ? "\t" : "",
              text ? meaning(b->arena, text, QUOTE) : "");
}

static void words(Buf *b, const char *pattern, const char *among)
{
    const KeyValue *w = words_of(b->arena, among);
    if (!w->key) return;
    buf_print(b, "    %s) printf '%%s\\n'", pattern);
    for (; w->key; w++) line(b, "", w->key, w->value);
    buf_print(b, " ;;\n");
}

/* Writes the shell function that lists the words that can follow the words so far. */
static void next_words(Buf *b)
{
    Arena *a = b->arena;
    buf_print(b, "_vernier_next() {\n    case $1 in\n    '') printf '%%s\\n' \\\n        'help\texplain a command'");
    for (const Command **c = commands(a); *c; c++) line(b, "", (*c)->name, (*c)->summary);
    buf_print(b, " ;;\n");
    words(b, "help", "@commands");
    for (const Command **c = commands(a); *c; c++) {
        const Verb *v = (*c)->verbs;
        words(b, str_print(a, "%s | '%s '*", (*c)->name, (*c)->name), (*c)->among);
        if (v) buf_print(b, "    %s | 'help %s') printf '%%s\\n'", (*c)->name, (*c)->name);
        for (; v && v->name; v++) line(b, "", v->name, v->about);
        if ((*c)->verbs) buf_print(b, " ;;\n");
        for (v = (*c)->verbs; v && v->name; v++) words(b, str_print(a, "'%s %s'", (*c)->name, v->name), v->among);
    }
    buf_print(b, "    esac\n}\n");
}

static void options(Buf *b, const Command *c, const char *page)
{
    bool any = false;
    for (const Option *o = c->options; o && o->name; o++) {
        const char *scope = option_scope(b->arena, o, page);
        bool mine = scope && (!*scope || !c->verbs); /* score names tasks, not subcommands */
        if (!mine) continue;
        if (!any)
            buf_print(b, "    '%s%s%s'%s) printf '%%s\\n'", c->name, *page ? " " : "", page,
                      c->verbs ? "" : str_print(b->arena, " | '%s '*", c->name));
        any = true;
        line(b, "--", o->name, o->help);
    }
    if (any) buf_print(b, " ;;\n");
}

/* The pages on which an experiment's settings stand, as a pattern: the first experiment of a line decides. */
static const char *experiment_pages(Arena *a, const Experiment *e)
{
    bool probe = !strcmp(e->group, "probes");
    const char *own = str_print(a, "%s %s", probe ? "probe" : e->group, e->name);
    const char *any = str_print(a, "run %s/%s", e->group, e->name);
    return str_print(a, "'%s' | '%s '* | '%s' | '%s '*", own, own, any, any);
}

/* Writes the shell function that lists the options of a command, subcommand or experiment. */
static void all_options(Buf *b)
{
    Arena *a = b->arena;
    buf_print(b, "_vernier_options() {\n    case $1 in\n    '') printf '%%s\\n' '--version\tname the build' ;;\n");
    for (const Command **c = commands(a); *c; c++) {
        if (!(*c)->verbs) options(b, *c, "");
        for (const Verb *v = (*c)->verbs; v && v->name; v++) {
            options(b, *c, v->name);
            for (const KeyValue *w = words_of(a, v->among); w->key; w++)
                options(b, *c, str_print(a, "%s %s", v->name, w->key));
        }
    }
    buf_print(b, "    esac\n    case $1 in\n");
    for (const Experiment **e = list_experiments(a); *e; e++) {
        if (!(*e)->settings || !(*e)->settings->key) continue;
        buf_print(b, "    %s) printf '%%s\\n'", experiment_pages(a, *e));
        for (const Setting *s = (*e)->settings; s->key; s++) line(b, "--", s->key, s->help);
        buf_print(b, " ;;\n");
    }
    buf_print(b, "    esac\n    printf '%%s\\n'");
    for (const Option *o = COMMON_OPTIONS; o->name; o++) line(b, "--", o->name, o->help);
    buf_print(b, "\n}\n");
}

static void value(Buf *b, const char *pattern, Takes takes, const char *among)
{
    static const char *const KIND[] = {[TAKES_FILE] = "file", [TAKES_DIR] = "dir", [TAKES_TEXT] = "text"};
    if (takes == TAKES_WORDS)
        words(b, pattern, among);
    else if (takes)
        buf_print(b, "    %s) echo '<%s>' ;;\n", pattern, KIND[takes]);
}

/* The option behind its command, as a pattern: its name, and the other names that are accepted. */
static const char *names_of(Arena *a, const Command *c, const Option *o)
{
    Buf out = buf_open(a);
    buf_print(&out, "'%s --%s'", c->name, o->name);
    size_t n;
    for (const char *rest = o->alias, *name; str_next(&rest, "|", &name, &n);)
        buf_print(&out, " | '%s --%.*s'", c->name, (int)n, name);
    return out.text;
}

/* Writes the shell function that gives the kind of an option's value, or its choices. */
static void values(Buf *b)
{
    Arena *a = b->arena;
    buf_print(b, "_vernier_value() {\n    case \"$1 $2\" in\n");
    for (const Command **c = commands(a); *c; c++)
        for (const Option *o = (*c)->options; o && o->name; o++)
            value(b, names_of(a, *c, o), option_takes(*c, o), choice_among(*c, o->name));
    for (const Option *o = COMMON_OPTIONS; o->name; o++) {
        const char *among = NULL;
        for (const Choice *k = COMMON_CHOICES; k->option; k++)
            if (!strcmp(k->option, o->name)) among = k->among;
        value(b, str_print(a, "*' --%s'", o->name),
              !o->argument ? TAKES_NOTHING
              : among      ? TAKES_WORDS
                           : TAKES_TEXT,
              among);
    }
    buf_print(b, "    esac\n    case \"$3 $2\" in\n");
    for (const Experiment **e = list_experiments(a); *e; e++)
        for (const Setting *s = (*e)->settings; s && s->key; s++) {
            const char *group = !strcmp((*e)->group, "probes") ? "probe" : (*e)->group;
            value(b,
                  str_print(a, "'%s %s --%s' | 'run %s/%s --%s'", group, (*e)->name, s->key, (*e)->group, (*e)->name,
                            s->key),
                  setting_takes(s), s->among);
        }
    buf_print(b, "    esac\n}\n");
}

/* Sets `page`, the command with its subcommand, kind or experiment, from the words before the one to complete. */
static const char PAGE[] = "_vernier_page() { # the words of the line, without vernier and the last\n"
                           "    page= value=\n"
                           "    local first=\n"
                           "    while [ $# -gt 0 ]; do\n"
                           "        case $1 in\n"
                           "        --*=*) ;;\n"
                           "        --*)\n"
                           "            if [ -n \"$(_vernier_value \"$first\" \"$1\" \"$page\")\" ]; then\n"
                           "                [ $# -gt 1 ] || { value=$1; return; }\n"
                           "                if [ \"$2\" = = ]; then\n" /* bash cuts --option=value into three words */
                           "                    [ $# -gt 2 ] || { value=$1; return; }\n"
                           "                    shift\n"
                           "                fi\n"
                           "                [ \"$first $1\" != 'probe --task' ] || page=\"probe $2\"\n"
                           "                shift\n"
                           "            fi ;;\n"
                           "        -*) ;;\n"
                           "        *)\n"
                           "            if [ -z \"$page\" ]; then\n"
                           "                page=$1 first=$1\n"
                           "            elif _vernier_next \"$page\" | cut -f 1 | grep -qxF -e \"$1\"; then\n"
                           "                page=\"$page $1\"\n"
                           "            fi ;;\n"
                           "        esac\n"
                           "        shift\n"
                           "    done\n"
                           "}\n";

static const char BASH[] =
    "_vernier() {\n"
    "    local page value offered cur=${COMP_WORDS[COMP_CWORD]}\n"
    "    _vernier_page \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"\n"
    "    [ \"$cur\" != = ] || cur=\n"
    "    if [ -n \"$value\" ]; then\n"
    "        offered=$(_vernier_value \"${page%% *}\" \"$value\" \"$page\")\n"
    "    elif [ \"${cur#-}\" != \"$cur\" ]; then\n"
    "        offered=$(_vernier_options \"$page\")\n"
    "    else\n"
    "        offered=$(_vernier_next \"$page\")\n"
    "    fi\n"
    "    case $offered in\n"
    "    '<text>') COMPREPLY=() ;;\n"
    "    '<dir>') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- \"$cur\") ;;\n"
    "    '' | '<file>') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
    "    *) mapfile -t COMPREPLY < <(compgen -W \"$(cut -f 1 <<<\"$offered\")\" -- \"$cur\") ;;\n"
    "    esac\n"
    "}\n"
    "complete -F _vernier vernier\n";

static const char ZSH[] =
    "_vernier() {\n"
    "    local page value offered tab=$'\\t'\n"
    "    _vernier_page \"${(@)words[2,CURRENT-1]}\"\n"
    "    if [ -n \"$value\" ]; then\n"
    "        offered=$(_vernier_value \"${page%% *}\" \"$value\" \"$page\")\n"
    "    elif [[ $PREFIX == -* ]]; then\n"
    "        offered=$(_vernier_options \"$page\")\n"
    "    else\n"
    "        offered=$(_vernier_next \"$page\")\n"
    "    fi\n"
    "    case $offered in\n"
    "    '<text>') _message 'a value' ;;\n"
    "    '<dir>') _files -/ ;;\n"
    "    '' | '<file>') _files ;;\n"
    "    *)\n"
    "        local -a list=(\"${(@f)offered}\")\n"
    "        list=(\"${(@)list//:/\\\\:}\")\n"
    "        list=(\"${(@)list/$tab/:}\")\n"
    "        _describe vernier list ;;\n"
    "    esac\n"
    "}\n"
    "if [ \"$funcstack[1]\" = _vernier ]; then _vernier \"$@\"; else compdef _vernier vernier; fi\n";

void complete_sh(Buf *b, bool zsh)
{
    buf_print(b, "%s# Completion of vernier's command lines in %s, written by `vernier completion %s`.\n",
              zsh ? "#compdef vernier\n" : "", zsh ? "zsh" : "bash", zsh ? "zsh" : "bash");
    next_words(b);
    all_options(b);
    values(b);
    buf_add(b, PAGE, sizeof PAGE - 1);
    buf_print(b, "%s", zsh ? ZSH : BASH);
}
