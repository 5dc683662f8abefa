/* Attaching in general: the steps that every method shares, and the search for a setting that
 * meets a budget of parameters. */
#include "peft/peft.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "nn/build.h"
#include "peft/blocks.h"
#include "peft/layers.h"

/* The head belongs to the task, not to the method: a classification head trains with every
 * method and counts with none, a language-model head stays frozen. */
static const char *const POOLER = "*pooler.*";

const Peft *peft_find(const char *name)
{
    for (const Peft *const *p = peft_begin(); p < peft_end(); p++)
        if (!strcmp((*p)->name, name)) return *p;
    for (const Peft *const *p = peft_begin(); p < peft_end(); p++)
        if ((*p)->alias && !strcmp((*p)->alias, name)) return *p;
    return NULL;
}

int peft_virtual_tokens(const Peft *method, const PeftConfig *cfg)
{
    return method->virtual_tokens ? method->virtual_tokens(cfg) : 0;
}

double peft_lr(const Peft *method, bool small)
{
    double lr = small ? method->small_lr : method->lr;
    return lr > 0 ? lr : small ? 1e-3 : 1e-4;
}

bool peft_is_head(const char *parameter)
{
    return build_is_any_head(parameter) || str_glob(POOLER, parameter);
}

int64_t peft_head_count(const Model *m)
{
    int64_t n = 0;
    for (int i = 0; i < params_n(m->params); i++)
        if (build_is_class_head(params_at(m->params, i)->name)) n += tensor_count(params_at(m->params, i)->val);
    return n;
}

/* Files and merging find a method's parameters by its name; a head that came apart from its table has its own. */
static void check_names(const Peft *method, const Model *m, int before)
{
    const char *mine = str_print(m->run, "peft.%s.*", method->name);
    for (int i = before; i < params_n(m->params); i++)
        CHECK(str_glob(mine, params_at(m->params, i)->name) || build_is_any_head(params_at(m->params, i)->name),
              "%s adds the parameter %s, expected a name like %s", method->name, params_at(m->params, i)->name, mine);
}

/* A start that takes part of the base into the adapter leaves the layers as no file has them. */
static Status check_blocks(const Peft *method, const Model *m, const PeftConfig *cfg)
{
    if (!cfg->blocks) return OK;
    if (method->trains_all) return err_fail(E_CONFIG, "blocks: %s trains every layer already", method->name);
    if (cfg->init == START_PISSA || cfg->init == START_OLORA)
        return err_fail(E_CONFIG, "blocks: init=pissa and init=olora change the layers that train, expected another");
    return blocks_check(m, cfg->blocks);
}

/* A list of layers that can be read, for a method that acts within layers. */
static Status check_layers(const Peft *method, const Model *m, const PeftConfig *cfg)
{
    Layers c;
    if (!cfg->layers) return OK;
    if (method->before_layers)
        return err_fail(E_CONFIG, "layers: %s acts in front of all layers; expected a method that acts within them",
                        method->name);
    if (cfg->tables || cfg->tokens)
        return err_fail(E_CONFIG, "layers: %s lie outside of all layers; expected layers or %s, not both",
                        cfg->tables ? "tables" : "tokens", cfg->tables ? "tables" : "tokens");
    return layers_read(&c, m, "layers", cfg->layers);
}

/* The base outside of the layers stays as it is, whatever the method is. */
static void freeze_others(Model *m, const PeftConfig *cfg)
{
    for (int i = 0; cfg->layers && i < params_n(m->params); i++) {
        Param *p = params_at(m->params, i);
        bool own = !strncmp(p->name, "peft.", 5) || build_is_class_head(p->name);
        if (p->trainable && !own && !layers_list_holds(m, cfg->layers, p)) p->trainable = false;
    }
}

Status peft_attach(const Peft *method, Model *m, Hooks *hooks, const PeftConfig *cfg)
{
    int before = params_n(m->params);
    if (params_count(m->params, str_print(m->run, "peft.%s.*", method->name), false))
        return err_fail(E_CONFIG, "%s is attached to this model already; a method attaches once", method->name);
    TRY(check_layers(method, m, cfg));
    TRY(check_blocks(method, m, cfg));
    params_train(m->params, "*", false);
    TRY(method->attach(m, hooks, cfg));
    check_names(method, m, before);
    params_train(m->params, "peft.*", true);
    for (const Peft *const *p = peft_begin(); p < peft_end(); p++)
        if ((*p)->frozen) params_train(m->params, (*p)->frozen, false);
    for (int i = 0; i < params_n(m->params); i++)
        if (build_is_class_head(params_at(m->params, i)->name))
            params_train(m->params, params_at(m->params, i)->name, true);
    if (cfg->blocks) TRY(blocks_train(m, cfg->blocks));
    freeze_others(m, cfg);
    return OK;
}

/* ---- options as text */

typedef enum { OPTION_INT, OPTION_REAL, OPTION_FLAG, OPTION_TEXT, OPTION_WORD } OptionForm;
typedef struct {
    const char *key;
    OptionForm form;
    size_t offset;
    const char *const *words; /* OPTION_WORD: what an enumeration's values are called */
    int n_words;
} PeftOption;
#define OPTION(key, form)                                                                                            \
    {                                                                                                                \
#key, OPTION_##form, offsetof(PeftConfig, key)                                                               \
    }
#define WORD(key, words)                                                                                             \
    {                                                                                                                \
#key, OPTION_WORD, offsetof(PeftConfig, key), words, sizeof words / sizeof *words                            \
    }
static const char *const KINDS[] = {"free", "tied", "mlp"};
static const char *const BIASES[] = {"none", "all", "targets"};
static const char *const SCALINGS[] = {"fixed", "learned", "channel"};
static const char *const RESIDUALS[] = {"output", "sum", "input"};
static const char *const STARTS[] = {"plain", "gaussian", "pissa", "olora"};
static const PeftOption OPTIONS[] = {OPTION(rank, INT),
                                     OPTION(alpha, REAL),
                                     OPTION(target, TEXT),
                                     OPTION(rslora, FLAG),
                                     OPTION(dropout, REAL),
                                     OPTION(width, INT),
                                     OPTION(reduction, INT),
                                     OPTION(scale, REAL),
                                     WORD(act, ACT_NAMES),
                                     OPTION(length, INT),
                                     WORD(kind, KINDS),
                                     OPTION(no_norm, FLAG),
                                     OPTION(reserved, INT),
                                     OPTION(shift_positions, FLAG),
                                     OPTION(displaced, FLAG),
                                     OPTION(late, FLAG),
                                     OPTION(norm_gradient, FLAG),
                                     OPTION(plain_norm, FLAG),
                                     OPTION(norm_before, FLAG),
                                     OPTION(norm_after, FLAG),
                                     OPTION(init_sd, REAL),
                                     OPTION(read_prompt, FLAG),
                                     WORD(bias, BIASES),
                                     OPTION(lora_bias, FLAG),
                                     WORD(init, STARTS),
                                     OPTION(tables, TEXT),
                                     OPTION(tokens, TEXT),
                                     OPTION(blocks, TEXT),
                                     OPTION(layers, TEXT),
                                     OPTION(positions, TEXT),
                                     WORD(scaling, SCALINGS),
                                     WORD(residual, RESIDUALS),
                                     {"encoder", OPTION_FLAG, offsetof(PeftConfig, on[PART_ENCODER])},
                                     {"decoder", OPTION_FLAG, offsetof(PeftConfig, on[PART_DECODER])},
                                     {"cross", OPTION_FLAG, offsetof(PeftConfig, on[PART_CROSS])},
                                     {0}};
#undef OPTION
#undef WORD

static int word_index(const char *const *words, int n, const char *word)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(words[i], word)) return i;
    return -1;
}

/* false where the value does not have the form of the option. */
static bool set_option(PeftConfig *cfg, const PeftOption *o, const char *value)
{
    static const char *const FLAGS[] = {"no", "yes"};
    void *field = (char *)cfg + o->offset;
    int64_t whole;
    int word;
    switch (o->form) {
    case OPTION_INT:
        if (!str_int(value, &whole) || whole < 0 || whole > 1 << 24) return false;
        *(int *)field = (int)whole;
        return true;
    case OPTION_REAL: return str_real(value, field);
    case OPTION_FLAG:
        if ((word = word_index(FLAGS, 2, value)) >= 0) *(bool *)field = word;
        return word >= 0;
    case OPTION_TEXT: *(const char **)field = value; return *value;
    case OPTION_WORD:
        if ((word = word_index(o->words, o->n_words, value)) >= 0)
            memcpy(field, &(unsigned){(unsigned)word}, sizeof(unsigned));
        return word >= 0;
    }
    return false;
}

static Status unknown_option(const char *key)
{
    char known[512] = "";
    for (const PeftOption *o = OPTIONS; o->key; o++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", *known ? ", " : "", o->key);
    return err_fail(E_CONFIG, "a method has no option \"%s\"; there are %s", key, known);
}

Status peft_set_one(PeftConfig *cfg, Arena *a, const char *key, const char *value)
{
    const PeftOption *o = OPTIONS;
    while (o->key && strcmp(o->key, key) != 0) o++;
    if (!o->key) return unknown_option(key);
    return set_option(cfg, o, str_copy(a, value, strlen(value)))
               ? OK
               : err_fail(E_CONFIG, "option %s of a method cannot be \"%s\"", key, value);
}

Status peft_set(PeftConfig *cfg, Arena *a, const char *text)
{
    size_t n;
    for (const char *rest = text, *at; str_next(&rest, ",", &at, &n);) {
        size_t k = strcspn(at, "=,");
        TRY(peft_set_one(cfg, a, str_copy(a, at, k), k < n ? str_copy(a, at + k + 1, n - k - 1) : ""));
    }
    return OK;
}

int peft_options(void)
{
    return (int)(sizeof OPTIONS / sizeof *OPTIONS) - 1;
}

const char *peft_option(const char **key, const PeftConfig *cfg, Arena *a, int i)
{
    const PeftOption *o = &OPTIONS[i];
    const void *field = (const char *)cfg + o->offset;
    *key = o->key;
    switch (o->form) {
    case OPTION_INT: return str_print(a, "%d", *(const int *)field);
    case OPTION_REAL: return str_print(a, "%.17g", *(const double *)field);
    case OPTION_FLAG: return *(const bool *)field ? "yes" : "no";
    case OPTION_TEXT: return *(const char *const *)field;
    case OPTION_WORD: break;
    }
    unsigned word;
    memcpy(&word, field, sizeof word);
    return o->words[word];
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
    if (!method->knob) return err_fail(E_CONFIG, "%s has no setting that changes its size", method->name);
    TRY(check_layers(method, m, cfg));
    int64_t least = count_with(method, m, *cfg, 1);
    if (least > budget)
        return err_fail(E_CONFIG, "%s has at least %lld parameters on this model; the budget is %lld", method->name,
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

const char *peft_size(const Peft *method, const PeftConfig *cfg, Arena *a)
{
    PeftConfig copy = *cfg;
    ptrdiff_t at = method->knob ? (const char *)method->knob(&copy) - (const char *)&copy : -1;
    for (int i = 0; i < peft_options(); i++) {
        const char *key, *value = peft_option(&key, cfg, a, i);
        if ((ptrdiff_t)OPTIONS[i].offset == at) return str_print(a, "%s=%s", key, value);
    }
    return NULL;
}
