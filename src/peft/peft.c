/* Attaching in general: what every method needs done around its own part, and the search for a setting that
 * meets a budget of parameters. */
#include "peft/peft.h"

#include <string.h>

#include "base/str.h"
#include "nn/build.h"

/* What reads the last hidden state belongs to the task, not to the method: a classification head trains with every
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
    for (int i = 0; i < params_n(m->params); i++)
        if (is_class_head(params_at(m->params, i)->name))
            params_train(m->params, params_at(m->params, i)->name, true);
    return OK;
}

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
