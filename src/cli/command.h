/* Commands of the one program.  A command is one file cmd_NAME.c that ends with REGISTER(command, SYMBOL); its
 * options are a table from which both the parser and --help are made, so neither can forget the other.
 *
 *   static const Option OPTIONS[] = {{"model", "DIR", "the checkpoint to read"}, {"merge", NULL, "..."}, {0}};
 *   static Status tune(const Args *a) { const char *dir = args_text(a, "model", NULL); ... }
 *   static const Command TUNE = {.name = "tune", .summary = "...", .usage = "[options] FILE",
 *                                .example = "vernier tune ...", .options = OPTIONS, .run = tune};
 *   REGISTER(command, TUNE)
 *
 * Every command also takes the common options (--help, --quiet, --threads, --kernels, --trap-fp), which are
 * applied before it runs.  Data goes to stdout, messages to stderr; errors are returned, and main prints them.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "base/registry.h"
#include "base/str.h"

typedef struct {
    const char *name;     /* without the dashes */
    const char *argument; /* "N", "FILE", as --help shows it; NULL: a switch */
    const char *help;     /* a sentence; names the default */
    const char *of;       /* the verbs that it applies to, "mine|make changes" (make is any make); NULL: all */
    const char *alias;    /* other names that are accepted and not shown by --help: "max|length"; NULL: none */
    bool repeated;        /* every use counts: args_all() */
} Option;
/* The row of every command that writes files of the user's choice; `verbs` as above. */
#define OVERWRITE_OPTION_OF(verbs)                                                                                   \
    {                                                                                                                \
        "overwrite", NULL,                                                                                           \
            "replace the output even where another command or other input made it (default: keep it)", verbs         \
    }
#define OVERWRITE_OPTION OVERWRITE_OPTION_OF(NULL)
/* The row of a command with .model_at. */
#define MODEL_OPTION                                                                                                 \
    {                                                                                                                \
        "model", "DIR", "the model, in place of the operand MODEL"                                                   \
    }

typedef struct Args Args;

/* Words that help, man pages and completion list: "smoke|quick", where a name after '@' stands for all that the
 * program has of it: @methods, @architectures, @commands, @experiments, or those of one group (@toy). */
typedef struct {
    const char *option, *among; /* the fixed words that the option takes; args_word() takes no others */
} Choice;
/* A subcommand, the first operand of its command. */
typedef struct {
    const char *name, *usage; /* "mine", and its operands: "PATH" */
    const char *about;        /* begins with a verb, as its name comes before: "writes ...".  Ends with a full stop */
    const char *among;        /* the words that its own first operand takes; NULL: any */
} Verb;
typedef struct {
    const char *name, *summary; /* the summary is one line of `vernier --help` */
    const char *usage;          /* what follows the name: "[options] DIR..." */
    const char *about;          /* a paragraph; may be NULL */
    const Verb *verbs;          /* ends with {0}; NULL: the first operand is none */
    const char *among;          /* the words that operands are among; NULL: any, files as a rule */
    const Choice *choices;      /* ends with {0}; NULL: none */
    bool hidden;                /* the overview leaves it out */
    bool ranks;                 /* several processes may work on it together (base/ranks.h) */
    const char *example;        /* one or more lines, each a command that works */
    const Option *options;      /* ends with {0}; NULL: none */
    bool settings;              /* options that are not in the table are kept: args_settings() */
    bool words;      /* the first operand ends the options, as env(1) has it: all that follow are operands */
    int least, most; /* operands; most < 0: any number */
    int model_at;    /* operand that names a model, from 1, for which --model may stand; 0: none */
    Status (*run)(const Args *);
    Status (*check)(const Args *);   /* would `run` accept them?  Reads no more than it must; NULL: nobody can say */
    void (*more_help)(const Args *); /* adds the part of --help that depends on the operands, before the options */
} Command;

const char *args_name(const Args *);      /* of the command */
const Option *args_options(const Args *); /* its table */
Arena *args_arena(const Args *);          /* lives until the program ends */
int args_count(const Args *);             /* operands */
const char *args_at(const Args *, int i);
bool args_given(const Args *, const char *option);
const char *args_text(const Args *, const char *option, const char *otherwise); /* the last one given counts */
Status args_int(int64_t *out, const Args *, const char *option, int64_t otherwise, int64_t least, int64_t most);
Status args_real(double *out, const Args *, const char *option, double otherwise, double least, double most);
Status args_word(int *out, const Args *, const char *option, int otherwise, const char *const *words); /* its index */
int args_all(const Args *, const char *option, const char **out, int most); /* every use of a repeated option */
int args_settings(const Args *,
                  const KeyValue **out); /* --set key=value and, with .settings, --key value; in order */
/* E_CONFIG where an option or a setting is given that belongs to other verbs of the command than this one. */
Status args_of(const Args *, const char *verb);
/* The same of a command whose first operand is the verb, one of "mine|make|sheet". */
Status args_verb(const char **verb, const Args *, const char *verbs);
/* The text that a command reads: --text, the operand (a file), or standard input.  E_CONFIG: both are given. */
Status args_content(Bytes *out, const Args *, int operand);
/* The status of a fault in that text: a typed text is a fault of usage, a file's text is a fault of that file. */
Status args_content_fault(Status, const Args *, int operand);
/* The user named `path` for the command to write, as the option or operand `role`; operands from `first` on name
 * files.  Checked before the work: it is neither an input nor another output, and can be written.  Without
 * --overwrite it is protected (file.h). */
Status args_output(const Args *, const char *role, const char *path, int first);
/* The same of a directory; no other output lies in it. */
Status args_output_dir(const Args *, const char *role, const char *path, int first);
bool args_bare(const Args *); /* neither options nor settings nor operands are given */
bool args_quiet(const Args *);
Status cli_flush(void); /* standard output, after a long step: E_IO; a reader that went away is no error */

/* Used by main and by tests. */
int cli_main(int argc, char **argv); /* the whole program; returns its exit code */
Status args_parse(Args **out, Arena *, const Command *, int argc,
                  char **argv); /* argv[0] is the first after the name */
bool args_help(const Args *);
Status command_help(const Command *, const Args *); /* E_CONFIG: an operand that is none of its verbs */
const Command *command_find(const char *name);      /* NULL when there is none */
const Option *option_find(const Command *, const char *name, size_t n); /* of the n bytes, or a common one; NULL */
Status cli_apply(const Args *);                                         /* the common options take effect */

#endif
