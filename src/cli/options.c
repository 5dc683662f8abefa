/* Options from tables.  --name VALUE and --name=VALUE are the same, and so are `-` and `_` in a name.  `--` ends
 * the options.  An option that no table has is an error that names the nearest one, unless the command keeps
 * settings: then --key VALUE is kept until the experiment that declares the key is found. */
#include "cli/config.h"
#include "cli/page.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/lines.h"
#include "base/str.h"
#include "num/kernels.h"
#include "run/machine.h"
#include "run/run.h"

REGISTRY(Command, command)

enum { MOST_OUTPUTS = 8 };
struct Args {
    Arena *arena;
    const Command *command;
    KeyValue *given, *setting;
    const char **operand;
    int n_given, n_setting, n_operand;
    KeyValue output[MOST_OUTPUTS]; /* its role, and its path */
    int n_output;
};

const Command *command_find(const char *name)
{
    for (const Command *const *c = command_begin(); c < command_end(); c++)
        if (!strcmp((*c)->name, name)) return *c;
    return NULL;
}

Status cli_apply(const Args *a)
{
    static const char *const choices[] = {[KERNELS_FAST] = "fast", [KERNELS_REF] = "ref", NULL};
    int64_t n;
    int choice;
    TRY(args_word(&choice, a, "kernels", KERNELS_FAST, choices));
    kernels_use((KernelChoice)choice);
    TRY(args_int(&n, a, "threads", machine_threads(), 1, 1024));
    machine_allow_traps(args_given(a, "trap-fp"));
    return machine_use_threads((int)n);
}

/* Whether the n characters are one of the names "a|b|c". */
static bool is_named(const char *names, const char *name, size_t n)
{
    for (const char *one = names; one; one = strchr(one, '|') ? strchr(one, '|') + 1 : NULL) {
        size_t i = 0;
        while (i < n && (one[i] == name[i] || (one[i] == '-' && name[i] == '_'))) i++;
        if (i == n && (!one[n] || one[n] == '|')) return true;
    }
    return false;
}

static const Option *find_in(const Option *table, const char *name, size_t n)
{
    for (; table && table->name; table++)
        if (is_named(table->name, name, n) || is_named(table->alias, name, n)) return table;
    return NULL;
}

const Option *option_find(const Command *c, const char *name, size_t n)
{
    const Option *o = find_in(c->options, name, n);
    for (const KeyValue *k = LIBRARY_NAMES; !o && k->key; k++)
        if (is_named(k->key, name, n)) o = find_in(c->options, k->value, strlen(k->value));
    return o ? o : find_in(COMMON_OPTIONS, name, n);
}

/* The name that --help shows for an option, by any of its names. */
static const char *shown_name(const Args *a, const char *option)
{
    const Option *o = option_find(a->command, option, strlen(option));
    CHECK(o, "option --%s is not in the table of %s", option, a->command->name);
    return o->name;
}

static Status unknown(const Command *c, const char *name)
{
    const char *list[128];
    int n = 0;
    for (const Option *o = c->options; o && o->name && n < 100; o++) list[n++] = o->name;
    for (const Option *o = COMMON_OPTIONS; o->name; o++) list[n++] = o->name;
    list[n] = NULL;
    const char *near = str_nearest(name, list);
    if (near) return err_fail(E_CONFIG, "unknown option --%s; did you mean --%s?", name, near);
    return err_fail(E_CONFIG, "unknown option --%s; 'vernier %s --help' lists the options", name, c->name);
}

/* A word that may be the value of the option before it: anything but another option. */
static bool is_value(const char *s)
{
    return s && strncmp(s, "--", 2) != 0;
}

/* Takes the option at argv[*i] and its value, which may be the next argument; unknown options may be settings. */
static Status take_option(Args *a, char **argv, int argc, int *i)
{
    const char *name = argv[*i] + 2, *equals = strchr(name, '=');
    size_t n = equals ? (size_t)(equals - name) : strlen(name);
    const Option *o = option_find(a->command, name, n);
    const char *next = *i + 1 < argc ? argv[*i + 1] : NULL;
    if (!o && !a->command->settings) return unknown(a->command, str_copy(a->arena, name, n));
    if (o && !o->argument) {
        if (equals) return err_fail(E_CONFIG, "option --%s takes no value", o->name);
        a->given[a->n_given++] = (KeyValue){o->name, ""};
        return OK;
    }
    const char *value = equals ? equals + 1 : is_value(next) ? argv[++*i] : NULL;
    if (!o) {
        a->setting[a->n_setting++] = (KeyValue){str_copy(a->arena, name, n), value};
    } else if (!value) {
        return err_fail(E_CONFIG, "option --%s needs a value: --%s %s", o->name, o->name, o->argument);
    } else if (a->command->settings && !strcmp(o->name, "set")) {
        const char *sign = strchr(value, '=');
        if (!sign || sign == value) return err_fail(E_CONFIG, "--set %s: expected key=value", value);
        a->setting[a->n_setting++] = (KeyValue){str_copy(a->arena, value, (size_t)(sign - value)), sign + 1};
    } else {
        a->given[a->n_given++] = (KeyValue){o->name, value};
    }
    return OK;
}

/* An option of a file, as if it stood on the command line. */
static Status take_entry(Args *a, const ConfigEntry *e)
{
    const Option *o = option_find(a->command, e->key, strlen(e->key));
    const bool switched = o && !o->argument, each = o && o->repeated;
    const bool bare = switched && (e->kind == CONFIG_TRUE || (e->items == 1 && !*e->item[0]));
    Buf all = buf_open(a->arena);
    if (e->kind == CONFIG_NONE && (o || !a->command->settings)) return o ? OK : unknown(a->command, e->key);
    for (int i = 0; i < e->items; i++) {
        if (each) all.len = 0;
        buf_print(&all, "%s%s", all.len ? "," : "", e->item[i]);
        char *arg = str_print(a->arena, "--%s=%s", e->key, all.text), *argv[] = {arg};
        if (!bare && (each || i + 1 == e->items)) TRY(take_option(a, argv, 1, &(int){0}));
    }
    if (e->items && !bare) return OK;
    char *arg = str_print(a->arena, bare ? "--%s" : "--%s=%s", e->key, e->kind == CONFIG_TRUE ? "yes" : "no");
    return take_option(a, &arg, 1, &(int){0});
}

/* --model DIR stands where the operand MODEL would. */
static void place_model(Args *a)
{
    const int at = a->command->model_at - 1;
    const char *model = at >= 0 ? args_text(a, "model", NULL) : NULL;
    if (!model || a->n_operand < at) return;
    memmove(a->operand + at + 1, a->operand + at, sizeof *a->operand * (size_t)(a->n_operand - at));
    a->operand[at] = model;
    a->n_operand++;
    int kept = 0;
    for (int i = 0; i < a->n_given; i++)
        if (strcmp(a->given[i].key, "model") != 0) a->given[kept++] = a->given[i];
    a->n_given = kept;
}

/* Their number, with what their lists hold. */
static int entries_of(const ConfigFile *c)
{
    int n = c->operands;
    for (int i = 0; i < c->n; i++) n += 1 + c->entry[i].items;
    return n;
}

/* Divides the arguments into options, settings and operands, and checks the number of operands. */
Status args_parse(Args **out, Arena *arena, const Command *c, int argc, char **argv)
{
    ConfigFile config;
    TRY(config_file_read(&config, arena, c->name, argc, argv));
    Args *a = *out = NEW(arena, Args, 1);
    const int room = argc + 2 + entries_of(&config);
    *a = (Args){.arena = arena,
                .command = c,
                .given = NEW(arena, KeyValue, room),
                .setting = NEW(arena, KeyValue, room),
                .operand = NEW(arena, const char *, room)};
    bool options = true;
    for (int i = 0; i < config.n; i++) {
        Status status = take_entry(a, &config.entry[i]);
        if (status) return fail_in_file(status, config.entry[i].path);
    }
    for (int i = 0; i < argc; i++) {
        if (options && !strcmp(argv[i], "--"))
            options = false;
        else if (options && !strcmp(argv[i], "-h"))
            a->given[a->n_given++] = (KeyValue){"help", ""};
        else if (options && !strncmp(argv[i], "--", 2))
            TRY(take_option(a, argv, argc, &i));
        else if (options && argv[i][0] == '-' && argv[i][1])
            return err_fail(E_CONFIG, "unknown option %s; options begin with two dashes", argv[i]);
        else
            a->operand[a->n_operand++] = argv[i], options = options && !c->words;
    }
    if (args_help(a)) return OK;
    if (!a->n_operand && config.operands) a->operand = config.operand, a->n_operand = config.operands;
    place_model(a);
    if (a->n_operand < c->least || (c->most >= 0 && a->n_operand > c->most))
        return err_fail(E_CONFIG, "%d %s given; usage: vernier %s %s", a->n_operand,
                        str_plural(a->n_operand, "operand", "operands"), c->name, c->usage);
    return OK;
}

const char *args_name(const Args *a)
{
    return a->command->name;
}

const Option *args_options(const Args *a)
{
    return a->command->options;
}

Arena *args_arena(const Args *a)
{
    return a->arena;
}

int args_count(const Args *a)
{
    return a->n_operand;
}

const char *args_at(const Args *a, int i)
{
    CHECK(i >= 0 && i < a->n_operand, "operand %d of %d", i, a->n_operand);
    return a->operand[i];
}

const char *args_text(const Args *a, const char *option, const char *otherwise)
{
    const char *name = shown_name(a, option);
    for (int i = a->n_given; i-- > 0;)
        if (!strcmp(a->given[i].key, name)) return a->given[i].value;
    return otherwise;
}

bool args_given(const Args *a, const char *option)
{
    return args_text(a, option, NULL) != NULL;
}

bool args_help(const Args *a)
{
    return args_given(a, "help");
}

Status args_content(Bytes *out, const Args *a, int operand)
{
    const char *text = args_text(a, "text", NULL);
    bool file = args_count(a) > operand;
    if (text && file) return err_fail(E_CONFIG, "--text and a FILE are given; one of them is the text");
    if (!text) return text_read(out, args_arena(a), file ? args_at(a, operand) : "/dev/stdin", BYTES_ANY);
    *out = (Bytes){str_copy(args_arena(a), text, strlen(text)), strlen(text)};
    return OK;
}

Status args_content_fault(Status status, const Args *a, int operand)
{
    if (args_given(a, "text")) return status;
    return fail_in_file(status, args_count(a) > operand ? args_at(a, operand) : "standard input");
}

/* ---- the outputs of a command */

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return !strcmp(a, b) || (!stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

static Status twice(const char *path, const char *one, const char *other)
{
    return err_fail(E_CONFIG, "%s is both %s and %s; they must be two files", path, one, other);
}

/* No input of the command is also its output. */
static Status check_inputs(const Args *a, const char *role, const char *path, int first)
{
    for (int i = first; i < a->n_operand; i++)
        if (a->operand[i] != path && same_file(path, a->operand[i])) return twice(path, "an input", role);
    for (int i = 0; i < a->n_given; i++) {
        const KeyValue *p = &a->given[i];
        const Option *o = option_find(a->command, p->key, strlen(p->key));
        bool names_file = o->argument && str_glob("FILE|DIR|PATH|MODEL", o->argument);
        if (names_file && p->value != path && same_file(path, p->value))
            return twice(path, str_print(a->arena, "--%s", p->key), role);
    }
    return OK;
}

/* Whether a path leads below a directory; neither needs to be there yet. */
static bool lies_in(Arena *a, const char *path, const char *dir)
{
    char *part = str_copy(a, path, strlen(path));
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/') n--;
    dir = str_copy(a, dir, n);
    for (char *slash; (slash = strrchr(part, '/')) && slash > part;) {
        *slash = 0;
        if (same_file(part, dir)) return true;
    }
    return *path != '/' && same_file(".", dir);
}

/* No output is another one, or lies in it. */
static Status add_output(Args *a, const char *role, const char *path)
{
    for (int i = 0; i < a->n_output; i++) {
        const KeyValue *p = &a->output[i];
        if (same_file(path, p->value)) return twice(path, p->key, role);
        if (lies_in(a->arena, path, p->value))
            return err_fail(E_CONFIG,
                            "%s (%s) lies in %s (%s), which the command fills by itself; choose another path", path,
                            role, p->value, p->key);
    }
    CHECK(a->n_output < MOST_OUTPUTS, "%d outputs", a->n_output + 1);
    a->output[a->n_output++] = (KeyValue){role, path};
    return OK;
}

Status args_output(const Args *args, const char *role, const char *path, int first)
{
    Args *a = (Args *)(uintptr_t)args; /* it lists its outputs */
    struct stat st;
    TRY(file_writable(path));
    if (!stat(path, &st) && !S_ISREG(st.st_mode)) return OK; /* a device or pipe loses nothing */
    TRY(check_inputs(a, role, path, first));
    TRY(add_output(a, role, path));
    return args_given(a, "overwrite") ? OK : file_protect(path);
}

Status args_output_dir(const Args *args, const char *role, const char *path, int first)
{
    TRY(check_inputs(args, role, path, first));
    return add_output((Args *)(uintptr_t)args, role, path);
}

bool args_bare(const Args *a)
{
    return !a->n_given && !a->n_setting && !a->n_operand;
}

bool args_quiet(const Args *a)
{
    return args_given(a, "quiet");
}

Status args_int(int64_t *out, const Args *a, const char *option, int64_t otherwise, int64_t least, int64_t most)
{
    const char *text = args_text(a, option, NULL);
    *out = otherwise;
    if (!text) return OK;
    const char *name = shown_name(a, option);
    if (!str_int(text, out)) return err_fail(E_CONFIG, "--%s %s: expected an integer", name, text);
    if (*out < least || *out > most)
        return err_fail(E_CONFIG, "--%s %s: expected %lld to %lld", name, text, (long long)least, (long long)most);
    return OK;
}

Status args_real(double *out, const Args *a, const char *option, double otherwise, double least, double most)
{
    const char *text = args_text(a, option, NULL);
    *out = otherwise;
    if (!text) return OK;
    const char *name = shown_name(a, option);
    if (!str_real(text, out)) return err_fail(E_CONFIG, "--%s %s: expected a number", name, text);
    if (*out < least || *out > most) return err_fail(E_CONFIG, "--%s %s: expected %g to %g", name, text, least, most);
    return OK;
}

static const char *joined(Arena *a, const char *const *words)
{
    Buf all = buf_open(a);
    for (; *words; words++) buf_print(&all, "%s%s", all.len ? "|" : "", *words);
    return all.text;
}

Status args_word(int *out, const Args *a, const char *option, int otherwise, const char *const *words)
{
    const char *text = args_text(a, option, NULL), *name = shown_name(a, option);
    const char *shown = choice_among(a->command, name);
    *out = otherwise;
    CHECK(!shown || !strcmp(shown, joined(a->arena, words)), "--%s of %s takes %s, and its choices are %s", name,
          a->command->name, joined(a->arena, words), shown);
    if (!text) return OK;
    for (int i = 0; words[i]; i++)
        if (!strcmp(words[i], text)) return *out = i, OK;
    return err_fail(E_CONFIG, "--%s %s: expected one of %s", name, text,
                    words_listed(a->arena, joined(a->arena, words), ", "));
}

int args_all(const Args *a, const char *option, const char **out, int most)
{
    const char *name = shown_name(a, option);
    int n = 0;
    for (int i = 0; i < a->n_given && n < most; i++)
        if (!strcmp(a->given[i].key, name)) out[n++] = a->given[i].value;
    return n;
}

int args_settings(const Args *a, const KeyValue **out)
{
    *out = a->setting;
    return a->n_setting;
}

static bool applies_to(const char *verb, const Option *o)
{
    for (const char *of = o->of; of; of = strchr(of, '|') ? strchr(of, '|') + 1 : NULL) {
        size_t n = strcspn(of, "|");
        if (!strncmp(verb, of, n) && (!verb[n] || verb[n] == ' ')) return true;
    }
    return !o->of;
}

Status args_of(const Args *a, const char *verb)
{
    for (int i = 0; i < a->n_given; i++) {
        const Option *o = option_find(a->command, a->given[i].key, strlen(a->given[i].key));
        if (!applies_to(verb, o))
            return err_fail(E_CONFIG, "--%s is for %s", o->name, words_listed(a->arena, o->of, ", "));
    }
    const Option *set = find_in(a->command->options, "set", 3);
    return a->n_setting && !applies_to(verb, set) ? unknown(a->command, a->setting[0].key) : OK;
}

Status args_verb(const char **verb, const Args *a, const char *verbs)
{
    *verb = args_at(a, 0);
    if (!str_glob(verbs, *verb))
        return err_fail(E_CONFIG, "unknown subcommand '%.30s' of '%s'; expected %s", *verb, a->command->name,
                        words_listed(a->arena, verbs, " or "));
    return args_of(a, args_count(a) > 1 ? str_print(a->arena, "%s %s", *verb, args_at(a, 1)) : *verb);
}
