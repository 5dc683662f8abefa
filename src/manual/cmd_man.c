/* vernier man DIR: a manual page for the program and one for each command, as roff with the man(7) macros, made from
 * the same tables as --help.  `make man` calls it; the overview does not list it.
 *
 * Text becomes roff in two steps: esc() turns the characters that roff obeys into escapes, fill() breaks a paragraph
 * into short lines.  A date stands on a page only where SOURCE_DATE_EPOCH gives one, so that equal sources give equal
 * bytes. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/print.h"
#include "cli/page.h"
#include "run/run.h"

/* A dash that is typed stays the ASCII one: in a word that begins with a dash, and everywhere in code. */
static void esc(Buf *out, const char *s, size_t n, bool code)
{
    static const char OBEYED[] = "\\'`^~\"", *const AS[] = {"\\e", "\\(aq", "\\(ga", "\\(ha", "\\(ti", "\\(dq"};
    bool typed = false;
    for (size_t i = 0; i < n;) {
        Glyph g = glyph_at(s + i, n - i);
        const char *at = g.bytes == 1 ? strchr(OBEYED, s[i]) : NULL;
        if (!i || strchr(" ('\"", s[i - 1])) typed = s[i] == '-';
        if (at)
            buf_print(out, "%s", AS[at - OBEYED]);
        else if (s[i] == '-')
            buf_print(out, "%s", typed || code ? "\\-" : "-");
        else if (g.bytes > 1)
            buf_print(out, "\\[u%04X]", (unsigned)g.code);
        else
            buf_add(out, s + i, 1);
        i += g.bytes;
    }
}

/* A paragraph in lines of at most 78 characters, none of which roff takes as a request. */
static void fill(Buf *out, const char *text)
{
    size_t column = 0;
    for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
        size_t n = strcspn(text, " ");
        Buf word = buf_open(out->arena);
        esc(&word, text, n, false);
        bool wrap = column && column + 1 + word.len > 78;
        if (column) buf_print(out, "%s", wrap ? "\n" : " ");
        if (!column || wrap) column = 0;
        if (!column && strchr(".'", *text)) buf_print(out, "\\&");
        buf_add(out, word.text, word.len);
        column += word.len + 1;
        text += n;
    }
    buf_print(out, "\n");
}

/* The same of a text that begins a sentence and is to end as one. */
static void sentence(Buf *out, const char *text)
{
    char *s = str_print(out->arena, "%s%s", text, strchr(".?!", text[strlen(text) - 1]) ? "" : ".");
    *s = (char)toupper(*s);
    fill(out, s);
}

static void bold(Buf *out, const char *before, const char *text)
{
    buf_print(out, "\\fB");
    esc(out, before, strlen(before), true);
    esc(out, text, strlen(text), true);
    buf_print(out, "\\fR");
}

/* Writes a page's head: title, date from SOURCE_DATE_EPOCH, version, name and summary. */
static void begin(Buf *out, const char *name, const char *summary)
{
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    char date[16] = "";
    int64_t seconds;
    if (epoch && str_int(epoch, &seconds)) strftime(date, sizeof date, "%Y-%m-%d", gmtime(&(time_t){seconds}));
    buf_print(out, ".TH ");
    for (const char *c = name; *c; c++) buf_print(out, *c == '-' ? "\\-" : "%c", toupper(*c));
    buf_print(out, " 1 \"%s\" \"vernier ", date);
    esc(out, vernier_version(), strlen(vernier_version()), true);
    buf_print(out, "\" \"Vernier\"\n.SH NAME\n");
    esc(out, name, strlen(name), true);
    buf_print(out, " \\- ");
    esc(out, summary, strlen(summary), false);
    buf_print(out, "\n.SH SYNOPSIS\n");
}

/* "vernier COMMAND rest": a line of the synopsis. */
static void synopsis(Buf *out, const char *command, const char *rest, size_t n)
{
    bold(out, "vernier ", command);
    buf_print(out, " ");
    esc(out, rest, n, true);
    buf_print(out, "\n");
}

/* Usages of several lines begin each with "vernier COMMAND", the first one without. */
static void usage(Buf *out, const Command *c)
{
    const char *name = str_print(out->arena, "vernier %s ", c->name);
    for (const Verb *v = c->verbs; v && v->name; v++) {
        const char *rest = str_print(out->arena, "%s %s [options]", v->name, v->usage);
        synopsis(out, c->name, rest, strlen(rest));
        if (v[1].name) buf_print(out, ".br\n");
    }
    for (const char *line = c->verbs ? "" : c->usage; *line;) {
        line += strspn(line, " \n");
        if (!strncmp(line, name, strlen(name))) line += strlen(name);
        size_t n = strcspn(line, "\n");
        synopsis(out, c->name, line, n);
        line += n;
        if (*line) buf_print(out, ".br\n");
    }
}

static void option(Buf *out, const Option *o, const char *scope)
{
    buf_print(out, ".TP\n");
    bold(out, "--", o->name);
    if (o->argument) {
        buf_print(out, " \\fI");
        esc(out, o->argument, strlen(o->argument), true);
        buf_print(out, "\\fR");
    }
    buf_print(out, "\n");
    if (*scope)
        fill(out, str_print(out->arena, "(%s) %s", scope, o->help));
    else
        fill(out, o->help);
}

/* The options of a page under a heading: where `shared`, those alone that no subcommand has for itself. */
static void options(Buf *out, const char *heading, const Option *table, const char *page, bool shared)
{
    for (; table && table->name; table++) {
        const char *scope = shared == !table->of ? option_scope(out->arena, table, page) : NULL;
        if (!scope) continue;
        buf_print(out, "%s", heading);
        heading = "";
        option(out, table, scope);
    }
}

/* Each subcommand with the options that it has for itself; then those of all. */
static void all_options(Buf *out, const Command *c)
{
    buf_print(out, ".SH OPTIONS\n");
    for (const Verb *v = c->verbs; v && v->name; v++)
        options(out, str_print(out->arena, ".SS Options of %s %s\n", c->name, v->name), c->options, v->name, false);
    if (!c->verbs)
        for (const Option *o = c->options; o && o->name; o++) option(out, o, option_scope(out->arena, o, ""));
    else
        options(out, ".SS Options of every subcommand\n", c->options, "", true);
    options(out, ".SS Options of every command\n", COMMON_OPTIONS, "", true);
}

static void words(Buf *out, const char *heading, const char *among)
{
    const KeyValue *w = words_of(out->arena, among);
    if (w->key) buf_print(out, ".SH %s\n", heading);
    for (; w->key; w++) {
        buf_print(out, ".TP\n");
        bold(out, "", w->key);
        buf_print(out, "\n");
        fill(out, w->value);
    }
}

static void examples(Buf *out, const char *text)
{
    buf_print(out, ".SH EXAMPLES\n.nf\n");
    for (const char *end; (end = strchr(text, '\n')); text = end + 1) {
        esc(out, text, (size_t)(end - text), true);
        buf_print(out, "\n");
    }
    buf_print(out, ".fi\n");
}

static void several_processes(Buf *out)
{
    buf_print(out, ".SH MPI\n");
    fill(out,
         "A program that was built by make MPI=1 may be started by mpirun, or by srun --mpi=pmix, as several "
         "processes on one machine or on machines that share their directories.  The commands tune, predict and "
         "embed share their work out among them.  The result is the same bytes for any number of processes.  The "
         "first one prints and writes files.  When one fails or is lost, all end, and the same command continues "
         "with any number of them.  VERNIER_RANK_TIMEOUT in the environment is the number of seconds to wait for "
         "a process that does not answer; the default is 1800.");
}

static void finish(Buf *out, const char *see)
{
    static const char *const STATUS[][2] = {
        {"0", "done"},
        {"1", "the work failed"},
        {"2", "wrong usage"},
        {"3", "bad input: a file, a repository or a model"},
        {"75",
         "stopped by SIGTERM, SIGHUP, SIGUSR1 or SIGUSR2, as batch systems send them; the same command continues"},
        {"130", "interrupted"}};
    buf_print(out, ".SH EXIT STATUS\n");
    for (size_t i = 0; i < sizeof STATUS / sizeof *STATUS; i++)
        buf_print(out, ".TP\n.B %s\n%s\n", STATUS[i][0], STATUS[i][1]);
    buf_print(out, ".SH SEE ALSO\n%s", see);
}

/* The manual page of one command, in troff. */
static const char *command_page(Arena *a, const Command *c)
{
    Buf out = buf_open(a);
    begin(&out, str_print(a, "vernier-%s", c->name), c->summary);
    usage(&out, c);
    buf_print(&out, ".SH DESCRIPTION\n");
    sentence(&out, c->about ? c->about : c->summary);
    for (const Verb *v = c->verbs; v && v->name; v++) {
        buf_print(&out, ".TP\n");
        bold(&out, "", v->name);
        buf_print(&out, " ");
        esc(&out, v->usage, strlen(v->usage), true);
        buf_print(&out, "\n");
        sentence(&out, v->about);
    }
    all_options(&out, c);
    if (c->among && *c->among == '@') words(&out, "EXPERIMENTS", c->among);
    if (c->ranks) several_processes(&out);
    examples(&out, page_examples(a, c, ""));
    finish(&out, ".BR vernier (1)\n");
    return out.text;
}

/* The manual page vernier(1), with all commands and common options. */
static const char *overview_page(Arena *a, const Command **list)
{
    Buf out = buf_open(a), see = buf_open(a);
    begin(&out, "vernier", "measures what parameter-efficient fine-tuning can and cannot do to a transformer");
    synopsis(&out, "COMMAND", "[options] [operands]", 20);
    buf_print(&out, ".br\n\\fBvernier help\\fR [COMMAND [SUBCOMMAND]]\n.br\n\\fBvernier \\-\\-version\\fR\n");
    buf_print(&out, ".SH DESCRIPTION\n");
    fill(&out,
         "A workbench for parameter-efficient fine-tuning of transformers.  Its commands execute theorems and toy "
         "experiments, tune, probe and inspect models of code changes, and draw attention.  Data goes to "
         "standard output, messages go to standard error.");
    words(&out, "COMMANDS", "@commands");
    buf_print(&out, ".SH OPTIONS\n");
    options(&out, ".SS Options of every command\n", COMMON_OPTIONS, "", true);
    several_processes(&out);
    examples(&out, "vernier list\nvernier demo --out out\n");
    for (; *list; list++) buf_print(&see, ".BR vernier\\-%s (1)%s\n", (*list)->name, list[1] ? "," : "");
    finish(&out, see.text);
    return out.text;
}

static Status write_page(const Args *a, const char *name, const char *text)
{
    return file_write(str_print(args_arena(a), "%s/%s.1", args_at(a, 0), name), text, strlen(text));
}

static Status man(const Args *args)
{
    Arena *a = args_arena(args);
    const Command **list = commands(a);
    TRY(file_make_dir(args_at(args, 0)));
    TRY(write_page(args, "vernier", overview_page(a, list)));
    for (; *list; list++) TRY(write_page(args, str_print(a, "vernier-%s", (*list)->name), command_page(a, *list)));
    return OK;
}

static const Command MAN = {.name = "man",
                            .summary = "write a manual page for each command",
                            .usage = "DIR",
                            .example = "vernier man build/man",
                            .hidden = true,
                            .least = 1,
                            .most = 1,
                            .run = man};
REGISTER(command, MAN)
