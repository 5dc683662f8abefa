/* Attaching in general: the steps that every method shares, and the search for a setting that
 * meets a budget of parameters. */
#include "peft/peft.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "nn/build.h"

/* The head belongs to the task, not to the method: a classification head trains with every
 * method and counts with none, a language-model head stays frozen. */
static const char *const OTHER_HEAD = "lm_head.*|final_logits_bias|*pooler.*";

const Peft *peft_find(const char *name)
{
    for (const Peft *const *p = peft_begin(); p < peft_end(); p++)
        if (!strcmp((*p)->name, name)) return *p;
    return NULL;
}

bool peft_is_head(const char *parameter)
{
    return is_class_head(parameter) || str_glob(OTHER_HEAD, parameter);
}

int64_t peft_head_count(const Model *m)
{
    int64_t n = 0;
    for (int i = 0; i < params_n(m->params); i++)
        if (is_class_head(params_at(m->params, i)->name)) n += tensor_count(params_at(m->params, i)->val);
    return n;
}

Status peft_attach(const Peft *method, Model *m, Hooks *hooks, const PeftConfig *cfg)
{
    if (params_count(m->params, str_print(m->run, "peft.%s.*", method->name), false))
        return fail(E_CONFIG, "%s is attached to this model already; a method attaches once", method->name);
    params_train(m->params, "*", false);
    TRY(method->attach(m, hooks, cfg));
    params_train(m->params, "peft.*", true);
    for (const Peft *const *p = peft_begin(); p < peft_end(); p++)
        if ((*p)->frozen) params_train(m->params, (*p)->frozen, false);
    for (int i = 0; i < params_n(m->params); i++)
        if (is_class_head(params_at(m->params, i)->name))
            params_train(m->params, params_at(m->params, i)->name, true);
    return OK;
}

/* ---- options as text */

typedef enum { OPTION_INT, OPTION_REAL, OPTION_FLAG, OPTION_TEXT, OPTION_KIND, OPTION_ACT, OPTION_PART } OptionForm;
typedef struct {
    const char *key;
    OptionForm form;
    size_t offset;
} PeftOption;
#define OPTION(key, form)                                                                                            \
    {                                                                                                                \
#key, OPTION_##form, offsetof(PeftConfig, key)                                                               \
    }
static const PeftOption OPTIONS[] = {OPTION(rank, INT),
                                     OPTION(alpha, REAL),
                                     OPTION(target, TEXT),
                                     OPTION(rslora, FLAG),
                                     OPTION(dropout, REAL),
                                     OPTION(width, INT),
                                     OPTION(reduction, INT),
                                     OPTION(scale, REAL),
                                     OPTION(act, ACT),
                                     OPTION(length, INT),
                                     OPTION(kind, KIND),
                                     OPTION(no_norm, FLAG),
                                     OPTION(reserved, INT),
                                     OPTION(shift_positions, FLAG),
                                     OPTION(displaced, FLAG),
                                     OPTION(late, FLAG),
                                     OPTION(norm_gradient, FLAG),
                                     OPTION(norm_before, FLAG),
                                     OPTION(norm_after, FLAG),
                                     OPTION(init_sd, REAL),
                                     {"encoder", OPTION_PART, offsetof(PeftConfig, on[PART_ENCODER])},
                                     {"decoder", OPTION_PART, offsetof(PeftConfig, on[PART_DECODER])},
                                     {"cross", OPTION_PART, offsetof(PeftConfig, on[PART_CROSS])},
                                     {0}};
#undef OPTION
static const char *const KINDS[] = {"free", "tied", "mlp", NULL};

static int word_index(const char *const *words, const char *word, int n)
{
    for (int i = 0; i < n && words[i]; i++)
        if (!strcmp(words[i], word)) return i;
    return -1;
}

static bool set_option(void *field, OptionForm form, const char *value)
{
    int64_t whole;
    int word = 0;
    switch (form) {
    case OPTION_INT:
        if (!str_int(value, &whole) || whole < 0 || whole > 1 << 24) return false;
        *(int *)field = (int)whole;
        return true;
    case OPTION_REAL: return str_real(value, field);
    case OPTION_PART:
    case OPTION_FLAG:
        if ((word = word_index((const char *const[]){"no", "yes"}, value, 2)) >= 0) *(bool *)field = word;
        return word >= 0;
    case OPTION_TEXT: *(const char **)field = value; return *value;
    case OPTION_KIND:
        if ((word = word_index(KINDS, value, 3)) >= 0) *(PrefixKind *)field = (PrefixKind)word;
        return word >= 0;
    case OPTION_ACT:
        if ((word = word_index(ACT_NAMES, value, ACTS)) >= 0) *(Act *)field = (Act)word;
        return word >= 0;
    }
    return false;
}

static Status unknown_option(const char *key)
{
    char known[512] = "";
    for (const PeftOption *o = OPTIONS; o->key; o++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", *known ? ", " : "", o->key);
    return fail(E_CONFIG, "a method has no option \"%s\"; there are %s", key, known);
}

Status peft_set(PeftConfig *cfg, Arena *a, const char *text)
{
    for (const char *at = text; at && *at;) {
        size_t n = strcspn(at, ","), k = strcspn(at, "=,");
        const char *key = str_copy(a, at, k), *value = k < n ? str_copy(a, at + k + 1, n - k - 1) : "";
        const PeftOption *o = OPTIONS;
        while (o->key && strcmp(o->key, key) != 0) o++;
        if (!o->key) return unknown_option(key);
        if (!set_option((char *)cfg + o->offset, o->form, value))
            return fail(E_CONFIG, "option %s of a method cannot be \"%s\"", key, value);
        at += n + (at[n] == ',');
    }
    return OK;
}

/* ---- sizes */

static int64_t count_with(const Peft *method, const Model *m, PeftConfig cfg, int setting)
{
    *method->knob(&cfg) = setting;
    return method->count(m, &cfg);
}

/* Counts grow with the setting, so bisection finds the last one within the budget; no setting exceeds the budget
 * itself, because each step adds at least one number. */
Status peft_fit(const Peft *method, const Model *m, PeftConfig *cfg, int64_t budget)
{
    if (!method->knob) return fail(E_CONFIG, "%s has no setting that changes its size", method->name);
    int64_t least = count_with(method, m, *cfg, 1);
    if (least > budget)
        return fail(E_CONFIG, "%s has at least %lld parameters on this model; the budget is %lld", method->name,
                    (long long)least, (long long)budget);
    int fits = 1, exceeds = budget < 1 << 24 ? (int)budget + 1 : 1 << 24;
    while (exceeds - fits > 1) {
        int middle = fits + (exceeds - fits) / 2;
        if (count_with(method, m, *cfg, middle) <= budget)
            fits = middle;
        else
            exceeds = middle;
    }
    *method->knob(cfg) = fits;
    return OK;
}
