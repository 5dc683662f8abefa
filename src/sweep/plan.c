/* Which words belong to whom: an option that the command has is the command's, but --out and --quiet, which are the
 * sweep's.  A word KEY=VALUES varies a setting: an option of the command; "2", its second operand; "encoder.dim", an
 * item of an option that takes a list K=V,..; a setting of an experiment; and of a command with --options K=V,.. any
 * other key is an item of that. */
#include "sweep/plan.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "io/json.h"

#define ITEMS "K=V,.." /* the argument of an option that takes a list of settings */

/* ---- where a setting goes */

typedef enum { OPERAND, OPTION, ITEM, SETTING, NOWHERE } Place;

static bool takes_items(const Option *o)
{
    return o && o->argument && !strcmp(o->argument, ITEMS);
}

/* The place of a key, the option there, and for an item the key within it. */
static Place place_of(const Option **o, const char **item, const Command *c, const char *key)
{
    const char *dot = strchr(key, '.');
    *item = key;
    *o = option_find(c, key, strlen(key));
    if (strspn(key, "0123456789") == strlen(key)) return OPERAND;
    if (*o) return OPTION;
    if (dot && takes_items(*o = option_find(c, key, (size_t)(dot - key)))) return *item = dot + 1, ITEM;
    if (c->settings) return SETTING;
    return takes_items(*o = option_find(c, "options", 7)) ? ITEM : NOWHERE;
}

Leaves plan_leaves(const Plan *p)
{
    const Option *out = option_find(p->command, "out", 3);
    return !out || !out->argument ? LEAVES_OUTPUT : !strcmp(out->argument, "DIR") ? LEAVES_DIR : LEAVES_FILE;
}

/* ---- dividing the words */

typedef struct {
    Plan *plan;
    Arena *arena;
    const Command *sweep;
    const char **own;
    int *n_own;
    const char *const *word;
    int n;
    bool varies[KNOBS];
} Divider;

static Space space; /* of the command line: there is one */

/* Whether the option --NAME of n bytes is the sweep's, though the words of another command stand before it. */
static bool is_own(const Divider *d, const char *name, size_t n)
{
    static const char SHARED[] = "out|quiet|help";
    const Option *o = option_find(d->sweep, name, n);
    return o && (str_glob(SHARED, o->name) || !option_find(d->plan->command, name, n));
}

/* Takes the option at word i and its value; the index behind them. */
static int take_option(Divider *d, int i)
{
    Plan *p = d->plan;
    const char *name = d->word[i] + 2;
    size_t n = strcspn(name, "=");
    bool own = is_own(d, name, n);
    const Option *o = option_find(own ? d->sweep : p->command, name, n);
    const char *next = i + 1 < d->n && strncmp(d->word[i + 1], "--", 2) != 0 ? d->word[i + 1] : NULL;
    bool takes = next && !name[n] && (o ? o->argument != NULL : p->command->settings && !knob_is(next));
    for (int k = 0; k <= takes; k++)
        if (own)
            d->own[(*d->n_own)++] = d->word[i + k];
        else
            p->option[p->options++] = d->word[i + k];
    return i + 1 + takes;
}

static Status take_knob(Divider *d, const char *word)
{
    enum { MOST_VALUES = 100000 };
    const Option *o, *before;
    const char *item, *other;
    const Command *c = d->plan->command;
    Knob *k = &space.knob[space.n];
    if (space.n == KNOBS) return err_fail(E_CONFIG, "%.80s: more than %d settings vary", word, KNOBS);
    TRY(knob_read(k, d->arena, word, MOST_VALUES));
    Place place = place_of(&o, &item, c, k->key);
    if (place == NOWHERE) { /* the command's own parser names the nearest option */
        Args *ignored;
        char *one[] = {str_print(d->arena, "--%s=x", k->key)};
        TRY(args_parse(&ignored, d->arena, c, 1, one));
    }
    if (o && str_glob("out|quiet|help", o->name))
        return err_fail(E_CONFIG, "%.80s: --%s is of the whole sweep and cannot vary", word, o->name);
    for (int i = 0; i < space.n; i++)
        if (place_of(&before, &other, c, space.knob[i].key) == place && before == o && !strcmp(other, item))
            return err_fail(E_CONFIG, "%s and %s are the same setting; expected it once", space.knob[i].key, k->key);
        else if (place == OPTION && before == o)
            return err_fail(E_CONFIG, "%s and %s are the same setting; expected it once", space.knob[i].key, k->key);
    space.n++;
    return OK;
}

/* A setting that varies is not given a fixed value, too. */
static Status check_fixed(const Plan *p)
{
    for (int i = 0; i < p->options; i++) {
        const char *name = p->option[i] + 2;
        if (strncmp(p->option[i], "--", 2) != 0) continue;
        const Option *o, *fixed = option_find(p->command, name, strcspn(name, "="));
        for (int k = 0; k < space.n; k++) {
            const char *item;
            Place place = place_of(&o, &item, p->command, space.knob[k].key);
            bool same = place == OPTION ? o == fixed
                                        : place == SETTING && strlen(space.knob[k].key) == strcspn(name, "=") &&
                                              !strncmp(name, space.knob[k].key, strcspn(name, "="));
            if (same)
                return err_fail(E_CONFIG, "--%.*s has a fixed value, and %s=... varies it; expected one of them",
                                (int)strcspn(name, "="), name, space.knob[k].key);
        }
    }
    return OK;
}

static Status divide(Divider *d)
{
    Plan *p = d->plan;
    bool options = true;
    for (int i = 0; i < d->n;) {
        const char *word = d->word[i];
        if (options && !strcmp(word, "--")) {
            options = false;
            i++;
        } else if (options && !strcmp(word, "-h")) {
            d->own[(*d->n_own)++] = d->word[i++];
        } else if (options && !strcmp(word, "-m")) {
            i++; /* as Hydra has it: a sweep it is in any case */
        } else if (options && !strncmp(word, "--", 2)) {
            i = take_option(d, i);
        } else if (options && knob_is(word)) {
            TRY(take_knob(d, word));
            i++;
        } else {
            p->operand[p->operands++] = word;
            i++;
        }
    }
    return OK;
}

/* A command that only prints is asked for JSON, whose numbers can be collected. */
static void ask_for_numbers(Plan *p)
{
    const Option *json = option_find(p->command, "json", 4);
    bool csv = option_find(p->command, "csv", 3) && plan_gives(p, "csv");
    if (plan_leaves(p) == LEAVES_OUTPUT && json && !plan_gives(p, "json") && !csv) p->option[p->options++] = "--json";
}

Status plan_read(Plan *p, Arena *a, const Command *sweep, int n, const char *const *word, const char **own,
                 int *n_own)
{
    *p = (Plan){.command = command_find(word[0]),
                .option = NEW(a, const char *, n + 2),
                .operand = NEW(a, const char *, n + 1)};
    if (!p->command || p->command == sweep || p->command->hidden)
        return err_fail(E_CONFIG, "no command \"%.40s\" to sweep; 'vernier --help' lists the commands", word[0]);
    Divider d = {.plan = p, .arena = a, .sweep = sweep, .own = own, .n_own = n_own, .word = word + 1, .n = n - 1};
    space.n = 0;
    TRY(divide(&d));
    ask_for_numbers(p);
    return check_fixed(p);
}

static int by_name(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

static Status check_names(const Plan *p, Arena *a)
{
    const char **name = NEW(a, const char *, p->n);
    for (int64_t i = 0; i < p->n; i++) name[i] = p->cell[i].name;
    qsort(name, (size_t)p->n, sizeof *name, by_name);
    for (int64_t i = 1; i < p->n; i++)
        if (!strcmp(name[i - 1], name[i]))
            return err_fail(E_CONFIG, "two cells would have the directory %s; expected each combination once",
                            name[i]);
    return OK;
}

Status plan_cells(Plan *p, Arena *a, int64_t most)
{
    if (!space.n)
        return err_fail(E_CONFIG, "no setting of %s varies; expected KEY=VALUE,VALUE or KEY=LEAST..MOST",
                        p->command->name);
    TRY(space_count(&p->n, &space, a, most));
    p->keys = space.n;
    p->key = NEW(a, const char *, space.n);
    for (int k = 0; k < space.n; k++) p->key[k] = space.knob[k].key;
    p->cell = NEW(a, Cell, p->n);
    for (int64_t i = 0; i < p->n; i++) {
        int at[KNOBS];
        space_at(at, &space, i);
        p->cell[i] = (Cell){space_name(&space, a, at), NEW(a, const char *, space.n)};
        for (int k = 0; k < space.n; k++) p->cell[i].value[k] = space.knob[k].value[at[k]];
    }
    return check_names(p, a);
}

/* ---- the words of a cell */

/* The fixed value of an option; "" without one. */
static const char *fixed_value(const Plan *p, const Option *o)
{
    const char *value = "";
    for (int i = 0; i < p->options; i++) {
        const char *name = p->option[i] + 2;
        size_t n = strcspn(name, "=");
        if (strncmp(p->option[i], "--", 2) != 0 || option_find(p->command, name, n) != o) continue;
        value = name[n] ? name + n + 1 : i + 1 < p->options ? p->option[i + 1] : "";
    }
    return value;
}

bool plan_gives(const Plan *p, const char *option)
{
    const Option *o = option_find(p->command, option, strlen(option)), *other;
    const char *item;
    for (int k = 0; k < p->keys; k++)
        if (place_of(&other, &item, p->command, p->key[k]) == OPTION && other == o) return true;
    for (int i = 0; i < p->options; i++) {
        const char *name = p->option[i] + 2;
        if (!strncmp(p->option[i], "--", 2) && option_find(p->command, name, strcspn(name, "=")) == o) return true;
    }
    return false;
}

/* "--options=alpha=16,rank=4": the fixed items, then those of all settings that go to the same option. */
static const char *items(const Plan *p, Arena *a, const Cell *cell, const Option *list)
{
    Buf b = buf_open(a);
    const Option *o;
    const char *item, *fixed = fixed_value(p, list);
    buf_print(&b, "--%s=%s", list->name, fixed);
    bool first = !*fixed;
    for (int k = 0; k < p->keys; k++) {
        if (place_of(&o, &item, p->command, p->key[k]) != ITEM || o != list) continue;
        buf_print(&b, "%s%s=%s", first ? "" : ",", item, cell->value[k]);
        first = false;
    }
    return b.text;
}

/* An option or a setting with its value; a switch is there with "yes" and absent with "no".  NULL: absent. */
static const char *setting(Arena *a, const Option *o, const char *key, const char *value)
{
    if (o && !o->argument) {
        if (str_glob("no|false|0", value)) return NULL;
        if (str_glob("yes|true|1", value)) return str_print(a, "--%s", o->name);
    }
    return str_print(a, "--%s=%s", o ? o->name : key, value); /* the command itself rejects a value of a switch */
}

const char **plan_argv(int *n, const Plan *p, Arena *a, int64_t cell, const char *out)
{
    const Cell *c = &p->cell[cell];
    const char **word = NEW(a, const char *, p->options + p->operands + p->keys + 8), *item;
    const Option *o, *list[KNOBS];
    int lists = 0, fixed = 0;
    *n = 0;
    word[(*n)++] = p->command->name;
    for (int i = 0; i < p->options; i++) word[(*n)++] = p->option[i];
    for (int k = 0; k < p->keys; k++) {
        Place place = place_of(&o, &item, p->command, p->key[k]);
        bool known = false;
        for (int l = 0; place == ITEM && l < lists; l++) known |= list[l] == o;
        if (place == ITEM && !known) word[(*n)++] = items(p, a, c, list[lists++] = o);
        if (place != OPTION && place != SETTING) continue;
        const char *one = setting(a, o, p->key[k], c->value[k]);
        if (one) word[(*n)++] = one;
    }
    if (out) word[(*n)++] = str_print(a, "--out=%s", out);
    int before = *n;
    for (int at = 1; at <= p->operands + p->keys; at++) {
        const char *varied = NULL;
        for (int k = 0; k < p->keys; k++) {
            int64_t number;
            if (str_int(p->key[k], &number) && number == at) varied = c->value[k];
        }
        if (varied || fixed < p->operands) word[(*n)++] = varied ? varied : p->operand[fixed++];
    }
    bool dashed = false;
    for (int i = before; i < *n; i++) dashed |= *word[i] == '-';
    if (dashed) {
        memmove(word + before + 1, word + before, (size_t)(*n - before) * sizeof *word);
        word[before] = "--";
        (*n)++;
    }
    word[*n] = NULL;
    return word;
}

const char *shell_word(Arena *a, const char *s)
{
    static const char PLAIN[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
    if (*s && strspn(s, PLAIN) == strlen(s)) return s;
    Buf b = buf_open(a);
    buf_add(&b, "'", 1);
    for (; *s; s++)
        if (*s == '\'')
            buf_add(&b, "'\\''", 4);
        else
            buf_add(&b, s, 1);
    buf_add(&b, "'", 1);
    return b.text;
}

const char *plan_line(Arena *a, int n, const char *const *word)
{
    Buf b = buf_open(a);
    buf_add(&b, "vernier", 7);
    for (int i = 0; i < n; i++) buf_print(&b, " %s", shell_word(a, word[i]));
    return b.text;
}

/* ---- checking */

static Status check_cell(const Plan *p, Arena *a, int64_t cell, const char *dir)
{
    Args *args;
    int n;
    const char *out = plan_leaves(p) == LEAVES_OUTPUT ? NULL : str_print(a, "%s/%s", dir, p->cell[cell].name);
    const char **word = plan_argv(&n, p, a, cell, out);
    TRY(args_parse(&args, a, p->command, n - 1, (char **)(uintptr_t)(word + 1)));
    return p->command->check ? p->command->check(args) : OK;
}

static const char *nearest_option(const Command *c, const char *key)
{
    enum { MOST = 128 };
    const char *list[MOST + 1];
    int n = 0;
    for (const Option *o = c->options; o && o->name && n < MOST; o++) list[n++] = o->name;
    list[n] = NULL;
    return str_nearest(key, list);
}

/* A remark on the first key that --options takes because no option has its name. */
static const char *guessed(const Plan *p, Arena *a)
{
    const Option *o;
    const char *item;
    for (int k = 0; k < p->keys; k++) {
        if (place_of(&o, &item, p->command, p->key[k]) != ITEM || item != p->key[k]) continue;
        const char *near = nearest_option(p->command, item);
        return str_print(a, " (%s has no option --%s, so it went to --options%s%s%s)", p->command->name, item,
                         near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    }
    return "";
}

Status plan_check(const Plan *p, Arena *a, const char *dir)
{
    int64_t bad = 0;
    Status first = OK;
    const char *said = "", *name = "";
    for (int64_t i = 0; i < p->n; i++) {
        ArenaMark mark = arena_mark(a);
        Status s = check_cell(p, a, i, dir);
        arena_drop(a, mark);
        if (!s) continue;
        if (!bad++) first = s, name = p->cell[i].name, said = str_copy(a, err_message(), strlen(err_message()));
        err_clear();
    }
    if (!bad) return OK;
    const char *more =
        bad > 1 ? str_print(a, "; %lld more of %lld cells are rejected", (long long)bad - 1, (long long)p->n) : "";
    return err_fail(first, "%s: %s%s%s", name, said, guessed(p, a), more);
}

/* ---- sweep.json */

const char *plan_path(Arena *a, const char *dir)
{
    return str_print(a, "%s/sweep.json", dir);
}

static Status texts(const char ***out, int *n, Arena *a, const cJSON *root, const char *key, const char *path)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, key), *x;
    if (!cJSON_IsArray(list)) return err_fail(E_FORMAT, "%s: expected a list \"%s\"", path, key);
    *n = 0;
    *out = NEW(a, const char *, cJSON_GetArraySize(list) + 1);
    cJSON_ArrayForEach(x, list)
    {
        if (!cJSON_IsString(x)) return err_fail(E_FORMAT, "%s: \"%s\" has an item that is not a text", path, key);
        (*out)[(*n)++] = str_copy(a, x->valuestring, strlen(x->valuestring));
    }
    return OK;
}

/* A name is one part of a path, so no cell leaves the directory. */
static bool is_name(const char *s)
{
    return *s && *s != '.' && !strchr(s, '/');
}

static Status take_cells(Plan *p, Arena *a, const cJSON *root, const char *path)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "cells"), *x;
    p->cell = NEW(a, Cell, cJSON_GetArraySize(list) + 1);
    cJSON_ArrayForEach(x, list)
    {
        int n;
        const char *name = "";
        Cell *c = &p->cell[p->n++];
        TRY(json_text(&name, x, "name", path));
        TRY(texts(&c->value, &n, a, x, "values", path));
        if (!is_name(name) || n != p->keys)
            return err_fail(E_FORMAT, "%s: cell %lld: expected a name and %d values", path, (long long)p->n - 1,
                            p->keys);
        c->name = str_copy(a, name, strlen(name));
    }
    return OK;
}

static Status take_plan(Plan *p, Arena *a, const cJSON *root, const char *path)
{
    const char *command = "";
    *p = (Plan){0};
    TRY(json_text(&command, root, "command", path));
    p->command = command_find(command);
    if (!p->command)
        return err_fail(E_FORMAT, "%s: \"command\" is \"%.40s\", expected one of this program", path, command);
    TRY(texts(&p->option, &p->options, a, root, "options", path));
    TRY(texts(&p->operand, &p->operands, a, root, "operands", path));
    TRY(texts(&p->key, &p->keys, a, root, "keys", path));
    if (p->keys > KNOBS) return err_fail(E_FORMAT, "%s: %d keys, expected at most %d", path, p->keys, KNOBS);
    return take_cells(p, a, root, path);
}

Status plan_load(Plan *p, Arena *a, const char *dir)
{
    cJSON *root;
    const char *path = plan_path(a, dir);
    if (access(path, F_OK)) return err_fail(E_IO, "%s holds no sweep: it has no sweep.json", dir);
    TRY(json_read(&root, a, path));
    Status s = take_plan(p, a, root, path);
    cJSON_Delete(root);
    return s;
}

static void add_texts(cJSON *root, const char *key, int n, const char *const *text)
{
    cJSON *list = cJSON_AddArrayToObject(root, key);
    for (int i = 0; i < n; i++) cJSON_AddItemToArray(list, cJSON_CreateString(text[i]));
}

static Status write_plan(const Plan *p, Arena *a, const char *dir)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "command", p->command->name);
    add_texts(root, "options", p->options, p->option);
    add_texts(root, "operands", p->operands, p->operand);
    add_texts(root, "keys", p->keys, p->key);
    cJSON *cells = cJSON_AddArrayToObject(root, "cells");
    for (int64_t i = 0; i < p->n; i++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddItemToArray(cells, one);
        cJSON_AddStringToObject(one, "name", p->cell[i].name);
        add_texts(one, "values", p->keys, p->cell[i].value);
    }
    Status s = json_write(root, plan_path(a, dir));
    cJSON_Delete(root);
    return s;
}

static bool equal(int n, const char *const *a, int m, const char *const *b)
{
    bool same = n == m;
    for (int i = 0; same && i < n; i++) same = !strcmp(a[i], b[i]);
    return same;
}

/* The first word in which two sweeps differ, as "there ..., now ...". */
static const char *difference(Arena *a, const Plan *was, const Plan *now)
{
    int n, m;
    Plan x = *was, y = *now;
    x.cell = y.cell = &(Cell){"", NEW(a, const char *, KNOBS)};
    for (int k = 0; k < KNOBS; k++) x.cell->value[k] = "*";
    const char **v = plan_argv(&n, &x, a, 0, NULL), **w = plan_argv(&m, &y, a, 0, NULL);
    return str_print(a, "there %s, now %s", plan_line(a, n, v), plan_line(a, m, w));
}

/* The cells of before keep their numbers; new ones follow. */
static Status extend(Plan *p, Arena *a, const char *dir)
{
    Plan was;
    TRY(plan_load(&was, a, dir));
    if (was.command != p->command || !equal(was.options, was.option, p->options, p->option) ||
        !equal(was.operands, was.operand, p->operands, p->operand) || !equal(was.keys, was.key, p->keys, p->key))
        return err_fail(E_CONFIG, "%s holds another sweep (%s); choose another --out", dir, difference(a, &was, p));
    int64_t n = was.n;
    Cell *all = NEW(a, Cell, n + p->n);
    if (was.n) memcpy(all, was.cell, (size_t)was.n * sizeof *all);
    for (int64_t i = 0; i < p->n; i++) {
        bool known = false;
        for (int64_t j = 0; j < was.n && !known; j++) known = !strcmp(was.cell[j].name, p->cell[i].name);
        if (!known) all[n++] = p->cell[i];
    }
    p->cell = all;
    p->n = n;
    return OK;
}

static bool is_empty(const char *dir)
{
    bool empty = true;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) empty &= !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..");
    if (d) closedir(d);
    return empty;
}

Status plan_join(Plan *p, Arena *a, const char *dir, bool overwrite)
{
    bool there = !access(plan_path(a, dir), F_OK);
    if (!there && !is_empty(dir))
        return err_fail(E_CONFIG, "%s has files and no sweep.json; choose another directory for the sweep", dir);
    return there && !overwrite ? extend(p, a, dir) : OK;
}

Status plan_save(const Plan *p, Arena *a, const char *dir)
{
    TRY(file_make_dir(str_print(a, "%s/logs", dir)));
    return write_plan(p, a, dir);
}
