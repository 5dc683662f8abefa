/* Experiments in order; their settings: the form that the defaults show, the check of a value that the user gave, and
 * the values that a run hands out. */
#include "run/run.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *preset_name(Preset p)
{
    static const char *const name[] = {"smoke", "quick", "paper", "real"};
    return name[p];
}

const char *verdict_name(Verdict v)
{
    static const char *const name[] = {"supported", "not supported", "inconclusive"};
    return name[v];
}

const char *setting_value(const Setting *s, Preset p)
{
    while (p > SMOKE && !s->value[p]) p = p == REAL_DATA ? QUICK : p - 1;
    return s->value[p];
}

bool preset_offered(const Experiment *e, Preset p)
{
    const Setting *s = e->settings;
    while (p == REAL_DATA && s && s->key && !s->value[REAL_DATA]) s++;
    return p != REAL_DATA || (s && s->key);
}

/* Calls `each` with the pieces between commas; an empty last piece ("8,") is none.  The count, or -1. */
static int pieces(const char *text, bool (*each)(const char *piece, int i, void *user), void *user)
{
    char piece[128];
    int n = 0;
    size_t len;
    for (const char *at; str_next(&text, ",", &at, &len);) {
        if (len >= sizeof piece) return -1;
        memcpy(piece, at, len);
        piece[len] = 0;
        if (!each(piece, n++, user)) return -1;
    }
    return n;
}

static bool is_number(const char *piece, int i, void *user)
{
    (void)user;
    double x;
    return i < RUN_LIST && str_real(piece, &x);
}

static Form form_of(const char *value)
{
    int64_t i;
    double x;
    if (str_int(value, &i)) return FORM_INT;
    if (str_real(value, &x)) return FORM_REAL;
    if (!strcmp(value, "yes") || !strcmp(value, "no")) return FORM_FLAG;
    return strchr(value, ',') && pieces(value, is_number, NULL) > 0 ? FORM_LIST : FORM_TEXT;
}

Form setting_form(const Setting *s)
{
    Form form = form_of(setting_value(s, SMOKE));
    for (Preset p = QUICK; p < PRESETS; p++) {
        Form other = form_of(setting_value(s, p));
        if (form == FORM_INT && (other == FORM_REAL || other == FORM_LIST)) form = other;
        if (form == FORM_REAL && other == FORM_LIST) form = other;
    }
    return form;
}

/* ---- checking the user's values */

static bool in_range(const char *piece, int i, void *user)
{
    const Setting *s = user;
    double x;
    (void)i;
    return str_real(piece, &x) && ((s->least == 0 && s->most == 0) || (x >= s->least && x <= s->most));
}

static bool in_words(const char *piece, int i, void *user)
{
    const Setting *s = user;
    size_t n = strlen(piece);
    (void)i;
    for (const char *w = s->among; w; w = strchr(w, '|') ? strchr(w, '|') + 1 : NULL)
        if (strcspn(w, "|") == n && !strncmp(w, piece, n)) return true;
    return !strcmp(piece, "all");
}

/* E_CONFIG unless the value has the setting's type, and lies in its range or among its choices. */
Status run_setting_check(const Setting *s, const char *value)
{
    Form form = setting_form(s);
    int64_t i;
    double x;
    if (form == FORM_INT && !str_int(value, &i))
        return err_fail(E_CONFIG, "setting %s: \"%s\" is not an integer", s->key, value);
    if (form == FORM_REAL && !str_real(value, &x))
        return err_fail(E_CONFIG, "setting %s: \"%s\" is not a finite number", s->key, value);
    if (form == FORM_FLAG && strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
        return err_fail(E_CONFIG, "setting %s: \"%s\" is neither yes nor no", s->key, value);
    if (form == FORM_LIST && pieces(value, is_number, NULL) <= 0)
        return err_fail(E_CONFIG, "setting %s: \"%s\" is not a comma list of 1 to %d numbers", s->key, value,
                        RUN_LIST);
    if (form <= FORM_REAL || form == FORM_LIST) {
        if (pieces(value, in_range, (void *)(uintptr_t)s) < 0)
            return err_fail(E_CONFIG, "setting %s: %s is out of range, expected %g to %g", s->key, value, s->least,
                            s->most);
    } else if (s->among && pieces(value, in_words, (void *)(uintptr_t)s) <= 0) {
        return err_fail(E_CONFIG, "setting %s: \"%s\" is not among %s", s->key, value, s->among);
    }
    return OK;
}

/* The arguments of the Transformers library's Trainer and of its example scripts. */
const KeyValue LIBRARY_NAMES[] = {{"output-dir", "out"},
                                  {"learning-rate", "lr"},
                                  {"num-train-epochs", "epochs"},
                                  {"per-device-train-batch-size", "batch"},
                                  {"train-batch-size", "batch"},
                                  {"gradient-accumulation-steps", "accumulate"},
                                  {"early-stopping-patience", "patience"},
                                  {"model-name-or-path", "model"},
                                  {"pretrained-model-name-or-path", "model"},
                                  {"train-file", "train"},
                                  {"validation-file", "valid"},
                                  {"max-seq-length", "max-length"},
                                  {"block-size", "max-length"},
                                  {0}};

/* Whether two names are the same but for `-` and `_`. */
static bool same_name(const char *a, const char *b)
{
    for (; *a && *b; a++, b++)
        if (*a != *b && !(strchr("-_", *a) && strchr("-_", *b))) return false;
    return *a == *b;
}

static const Setting *named(const Run *r, const char *key, int *index)
{
    const Setting *s = r->experiment->settings;
    for (int i = 0; s && s[i].key; i++) {
        if (!same_name(s[i].key, key)) continue;
        *index = i;
        return s + i;
    }
    return NULL;
}

const Setting *run_setting(const Run *r, const char *key, int *index)
{
    const Setting *s = named(r, key, index);
    for (const KeyValue *k = LIBRARY_NAMES; !s && k->key; k++)
        if (same_name(k->key, key)) s = named(r, k->value, index);
    return s;
}

/* ---- values */

static const char *value_of(const Run *r, const char *key, Form form)
{
    int i;
    const Setting *s = run_setting(r, key, &i);
    CHECK(s, "%s reads setting \"%s\", but does not declare it", r->experiment->name, key);
    Form has = setting_form(s);
    bool fits = has == form || (form == FORM_REAL && has == FORM_INT) || form == FORM_TEXT ||
                (form == FORM_LIST && has <= FORM_REAL);
    CHECK(fits, "%s reads setting \"%s\" in another form than its default's", r->experiment->name, key);
    return r->value[i];
}

Arena *run_arena(Run *r)
{
    return &r->arena;
}

Preset run_preset(const Run *r)
{
    return r->preset;
}

int64_t run_int(const Run *r, const char *key)
{
    int64_t x = 0;
    str_int(value_of(r, key, FORM_INT), &x);
    return x;
}

double run_real(const Run *r, const char *key)
{
    double x = 0;
    str_real(value_of(r, key, FORM_REAL), &x);
    return x;
}

bool run_flag(const Run *r, const char *key)
{
    return !strcmp(value_of(r, key, FORM_FLAG), "yes");
}

const char *run_text(const Run *r, const char *key)
{
    return value_of(r, key, FORM_TEXT);
}

static bool is_other(const char *piece, int i, void *user)
{
    (void)i;
    return strcmp(piece, user) != 0 && strcmp(piece, "all") != 0;
}

bool run_has(const Run *r, const char *key, const char *word)
{
    return pieces(value_of(r, key, FORM_TEXT), is_other, (void *)(uintptr_t)word) < 0;
}

static bool put_number(const char *piece, int i, void *user)
{
    double *out = user;
    return i < RUN_LIST && str_real(piece, out + i);
}

int run_list(const Run *r, const char *key, double out[RUN_LIST])
{
    return pieces(value_of(r, key, FORM_LIST), put_number, out);
}

int run_seeds(const Run *r)
{
    return r->seeds;
}

uint64_t run_seed(const Run *r, int i)
{
    CHECK(i >= 0 && i < r->seeds, "seed %d of %d", i, r->seeds);
    return r->seed + (uint64_t)i;
}

int run_threads(const Run *r)
{
    return r->threads;
}

bool run_resuming(const Run *r)
{
    return r->folder.resumed;
}

const char *run_path(Run *r, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const char *tail = str_vprint(&r->arena, fmt, args, NULL);
    va_end(args);
    return str_print(&r->arena, "%s/%s", r->dir, tail);
}

/* ---- the registry */

static int by_name(const void *a, const void *b)
{
    const Experiment *x = *(const Experiment *const *)a, *y = *(const Experiment *const *)b;
    int group = strcmp(x->group, y->group);
    return group ? group : strcmp(x->name, y->name);
}

const Experiment **list_experiments(Arena *a)
{
    size_t n = (size_t)(experiment_end() - experiment_begin());
    const Experiment **list = NEW(a, const Experiment *, n + 1);
    if (n) memcpy(list, experiment_begin(), n * sizeof *list);
    qsort(list, n, sizeof *list, by_name);
    return list;
}
