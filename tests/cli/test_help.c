/* Help shows nothing that is not there: every example is taken by the parser, and every option that a text names is
 * in a table. */
#include "expect.h"

#include <ctype.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "cli/page.h"
#include "nn/model.h"
#include "run/run.h"

REGISTRY(Command, command)

enum { MOST_WORDS = 64 };
static Arena arena;

static int setup(void **state)
{
    (void)state;
    arena = arena_open((size_t)1 << 28);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    arena_close(&arena);
    return 0;
}

/* ---- examples */

/* A line as a shell cuts it: words between spaces, quotes, and nothing from `>` on. */
static int cut(char **word, const char *line)
{
    int n = 0;
    while (*(line += strspn(line, " ")) && *line != '>') {
        Buf one = buf_open(&arena);
        for (char quote = 0; *line && (quote || *line != ' '); line++)
            if (quote ? *line == quote : *line == '\'' || *line == '"')
                quote = quote ? 0 : *line;
            else
                buf_add(&one, line, 1);
        assert_true(n < MOST_WORDS);
        word[n++] = one.text;
    }
    return n;
}

/* The first one that a name, or a pattern GROUP/NAME, stands for. */
static const Experiment *named(const char *group, const char *name)
{
    for (const Experiment **e = list_experiments(&arena); *e; e++) {
        bool whole = strchr(name, '/') && str_glob(name, str_print(&arena, "%s/%s", (*e)->group, (*e)->name));
        if (whole || (!strcmp((*e)->group, group) && !strcmp((*e)->name, name))) return *e;
    }
    return NULL;
}

static bool declares(const Experiment *e, const char *key)
{
    for (const Setting *s = e ? e->settings : NULL; s && s->key; s++)
        if (!strcmp(s->key, key)) return true;
    return false;
}

/* Settings are fields of a model, or those of the experiment that the line names. */
static void check_settings(const char *line, const Command *c, const Args *args)
{
    const KeyValue *set;
    int n = args_settings(args, &set);
    Config config = {0};
    bool probe = !strcmp(c->name, "probe");
    const char *name = probe ? args_text(args, "task", "") : args_count(args) ? args_at(args, 0) : "";
    const Experiment *e = named(probe ? "probes" : c->name, name);
    for (int i = 0; i < n; i++)
        if (c->verbs)
            EXPECT(!config_set(&config, set[i].key, set[i].value), "%s: %s", line, err_message());
        else
            EXPECT(declares(e, set[i].key), "%s: no setting %s", line, set[i].key);
    if (choice_among(c, "preset") && *name) EXPECT(e, "%s: no experiment %s", line, name);
}

static bool is_word(const char *among, const char *word, size_t n)
{
    for (const KeyValue *w = words_of(&arena, among); w->key; w++)
        if (strlen(w->key) == n && !strncmp(w->key, word, n)) return true;
    return false;
}

/* Values, or the items of a list of them, are fixed words where the option takes only those. */
static void check_choices(const char *line, const Command *c, const Args *args)
{
    for (const Choice *k = c->choices; k && k->option; k++) {
        const char *value = args_text(args, k->option, NULL);
        for (size_t n; value && *value; value += n + (value[n] == ',')) {
            n = strcspn(value, ",");
            EXPECT(is_word(k->among, value, n), "%s: --%s takes %s", line, k->option, k->among);
        }
    }
}

/* The words that Option.of speaks of: a subcommand, or the value of --task. */
static const char *scope_of(const char *line, const Command *c, const Args *args)
{
    if (!c->verbs) return choice_among(c, "task") ? args_text(args, "task", "") : "";
    const Verb *v = c->verbs;
    while (v->name && strcmp(v->name, args_at(args, 0)) != 0) v++;
    EXPECT(v->name, "%s: no such subcommand", line);
    bool kind = v->among && args_count(args) > 1;
    return kind ? str_print(&arena, "%s %s", v->name, args_at(args, 1)) : v->name;
}

static void check_example(const char *line)
{
    char *word[MOST_WORDS];
    Args *args;
    int n = cut(word, line);
    EXPECT(n > 1 && !strcmp(word[0], "vernier"), "%s: is no example of vernier", line);
    const Command *c = command_find(word[1]);
    EXPECT(c, "%s: no such command", line);
    EXPECT(!args_parse(&args, &arena, c, n - 2, word + 2), "%s: %s", line, err_message());
    const char *scope = scope_of(line, c, args);
    for (const Option *o = c->options; o && o->name && o->of; o++)
        if (args_given(args, o->name)) EXPECT(!args_of(args, scope), "%s: %s", line, err_message());
    check_settings(line, c, args);
    check_choices(line, c, args);
}

static void examples_are_parsed(void **state)
{
    (void)state;
    for (const Command *const *c = command_begin(); c < command_end(); c++) {
        const char *text = page_examples(&arena, *c, "");
        assert_true(*text);
        for (const char *end; (end = strchr(text, '\n')); text = end + 1)
            check_example(str_copy(&arena, text, (size_t)(end - text)));
    }
}

/* Commands of the documents: those behind a prompt, and the last cell of a table's row. */
static void documents_show_commands_that_parse(void **state)
{
    (void)state;
    static const char *const NAMES[] = {"README.md", "docs/tour.md"};
    for (int i = 0; i < 2; i++) {
        Bytes text;
        if (file_read(&text, &arena, NAMES[i])) skip();
        for (const char *line = text.text, *end; *line; line = *end ? end + 1 : end) {
            end = line + strcspn(line, "\n");
            const char *one = str_copy(&arena, line, (size_t)(end - line)), *cell = strstr(one, "| `vernier ");
            if (!strncmp(one, "$ vernier ", 10)) check_example(one + 2);
            if (cell) check_example(str_copy(&arena, cell + 3, strcspn(cell + 3, "`")));
        }
    }
}

static void subcommands_have_examples(void **state)
{
    (void)state;
    for (const Command *const *c = command_begin(); c < command_end(); c++)
        for (const Verb *v = (*c)->verbs; v && v->name; v++) {
            EXPECT(*page_examples(&arena, *c, v->name), "%s %s has no example", (*c)->name, v->name);
            EXPECT(islower(v->about[0]) && v->about[strlen(v->about) - 1] == '.', "%s %s: '%s'", (*c)->name, v->name,
                   v->about);
        }
}

/* ---- tables */

static bool in_table(const Option *table, const char *name, size_t n)
{
    for (; table && table->name; table++)
        if (strlen(table->name) == n && !strncmp(table->name, name, n)) return true;
    return false;
}

static bool is_alias(const Option *table, const char *name)
{
    for (; table && table->name; table++)
        if (table->alias && str_glob(table->alias, name)) return true;
    return false;
}

static bool exists(const char *name, size_t n)
{
    if (in_table(COMMON_OPTIONS, name, n)) return true;
    for (const Command *const *c = command_begin(); c < command_end(); c++)
        if (in_table((*c)->options, name, n) || is_alias((*c)->options, str_copy(&arena, name, n))) return true;
    for (const Experiment **e = list_experiments(&arena); *e; e++)
        if (declares(*e, str_copy(&arena, name, n))) return true;
    return false;
}

/* Options in capitals stand for any: --KEY VALUE. */
static void check_text(const char *where, const char *text)
{
    for (const char *at = text; at && (at = strstr(at, "--")); at += 2) {
        size_t n = strspn(at + 2, "abcdefghijklmnopqrstuvwxyz0123456789-");
        bool word = n && (at == text || strchr(" (['`", at[-1]));
        if (word) EXPECT(exists(at + 2, n), "%s names --%.*s, which is no option", where, (int)n, at + 2);
    }
}

static void texts_name_options_that_exist(void **state)
{
    (void)state;
    for (const Command *const *c = command_begin(); c < command_end(); c++) {
        check_text((*c)->name, (*c)->usage);
        check_text((*c)->name, (*c)->about);
        for (const Verb *v = (*c)->verbs; v && v->name; v++) {
            check_text((*c)->name, v->about);
            check_text((*c)->name, v->usage);
        }
        for (const Option *o = (*c)->options; o && o->name; o++) check_text((*c)->name, o->help);
    }
    for (const Experiment **e = list_experiments(&arena); *e; e++) {
        check_text((*e)->name, (*e)->method);
        check_text((*e)->name, (*e)->expect);
        for (const Setting *s = (*e)->settings; s && s->key; s++) check_text((*e)->name, s->help);
    }
}

static void check_verbs_of(const Command *c, const Option *o)
{
    for (const char *of = o->of; of && *of; of += *of == '|') {
        size_t n = strcspn(of, "|"), first = strcspn(of, " |");
        bool found = false;
        for (const Verb *v = c->verbs; v && v->name; v++)
            if (strlen(v->name) == first && !strncmp(v->name, of, first))
                found = first == n || is_word(v->among, of + first + 1, n - first - 1);
        if (!c->verbs) found = is_word(choice_among(c, "task"), of, n);
        EXPECT(found, "--%s of %s is for %.*s, which is none of its subcommands", o->name, c->name, (int)n, of);
        of += n;
    }
}

static void tables_agree(void **state)
{
    (void)state;
    for (const Command *const *c = command_begin(); c < command_end(); c++) {
        for (const Option *o = (*c)->options; o && o->name; o++) check_verbs_of(*c, o);
        for (const Choice *k = (*c)->choices; k && k->option; k++) {
            EXPECT(in_table((*c)->options, k->option, strlen(k->option)), "%s has choices for --%s", (*c)->name,
                   k->option);
            EXPECT(words_of(&arena, k->among)->key, "%s: --%s has no words", (*c)->name, k->option);
        }
        EXPECT(!(*c)->among || words_of(&arena, (*c)->among)->key, "%s has no words", (*c)->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_are_parsed),
        cmocka_unit_test(documents_show_commands_that_parse),
        cmocka_unit_test(subcommands_have_examples),
        cmocka_unit_test(texts_name_options_that_exist),
        cmocka_unit_test(tables_agree),
    };
    return cmocka_run_group_tests(tests, setup, finish) != 0;
}
