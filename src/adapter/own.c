/* Our own form, for methods whose like no other library has, and for settings that neither can say:
 *
 *   adapter_config.json          {"vernier_method": "NAME", "options": {...}, ...}: the method and its PeftConfig
 *   adapter_model.safetensors    the trained tensors, each under the name that its parameter has here
 *
 * Nothing here knows a method: a new one is saved the day it is registered.  A setting that has no name as an option
 * (ranks of single maps) cannot be kept and is refused. */
#include <string.h>

#include "adapter/library.h"
#include "base/str.h"
#include "nn/build.h"
#include "nn/config.h"

static const char *const NOTE = "Only Vernier reads this adapter: no other library has its method in this form.";

static Status identify(Adapter *a)
{
    TRY(json_text(&a->kind, a->root, LIBRARY_OWN.mark, a->path));
    TRY(json_text(&a->base, a->root, "base_model_name_or_path", a->path));
    a->name = "default";
    return a->kind ? OK
                   : err_fail(E_FORMAT, "%s: %s is null, expected the name of a method", a->path, LIBRARY_OWN.mark);
}

/* A value that the method does not take is the file's fault. */
static Status read_option(Adapter *a, const cJSON *option)
{
    if (!cJSON_IsString(option))
        return err_fail(E_FORMAT, "%s: options.%.40s is not a string", a->path, option->string);
    if (!peft_set_one(&a->cfg, a->run, option->string, option->valuestring)) return OK;
    err_clear();
    return err_fail(E_FORMAT, "%s: options.%.40s cannot be '%.60s'", a->path, option->string, option->valuestring);
}

/* Reads the method and its options from an adapter in this program's own format. */
static Status configure(Adapter *a, const Model *m)
{
    static const char *const KNOWN[] = {"vernier_method", "note", "options", "base_model_name_or_path", NULL};
    const cJSON *options = cJSON_GetObjectItemCaseSensitive(a->root, "options"), *one;
    a->method = peft_find(a->kind);
    if (!a->method)
        return err_fail(E_MISMATCH, "%s: %s is '%.40s', which is no method that this program has", a->path,
                        LIBRARY_OWN.mark, a->kind);
    if (a->method->changes_base)
        return err_fail(E_MISMATCH, "%s: %s changes the base model itself, so no adapter holds it", a->path,
                        a->method->name);
    if (!cJSON_IsObject(options)) return err_fail(E_FORMAT, "%s: options is missing, expected an object", a->path);
    a->method->defaults(&a->cfg, &m->config);
    cJSON_ArrayForEach(one, options) TRY(read_option(a, one));
    adapter_unknown(a, a->root, KNOWN);
    return OK;
}

/* peft_attach() sees to it that a method's parameters carry its name; others below "peft." belong to a task. */
static Status bind(Adapter *a)
{
    const char *mine = str_print(a->run, "peft.%s.*", a->method->name);
    for (int i = 0; i < params_n(a->model->params); i++) {
        Param *p = params_at(a->model->params, i);
        if (str_glob(mine, p->name)) adapter_bind(a, p, p->name, p->val.rank, p->val.dim);
    }
    return OK;
}

static const char *carried(const Adapter *a, const Param *p, int which)
{
    (void)a;
    return which ? NULL : p->name;
}

/* The fields of the config as text, but those that are zero here and by default: nothing of the method reads them. */
static void describe_options(const Adapter *a, cJSON *options)
{
    PeftConfig usual = {0};
    a->method->defaults(&usual, &a->model->config);
    for (int i = 0; i < peft_options(); i++) {
        const char *key, *value = peft_option(&key, &a->cfg, a->run, i),
                         *other = peft_option(&key, &usual, a->run, i),
                         *zero = peft_option(&key, &(PeftConfig){0}, a->run, i);
        bool idle = zero && value && other && !strcmp(value, zero) && !strcmp(other, zero);
        if (value && !idle) config_put(options, key, value);
    }
}

static Status describe(Adapter *a, cJSON *root)
{
    if (a->cfg.n_rules)
        return err_fail(E_MISMATCH,
                        "%s: ranks and alphas of single linear layers have no place in Vernier's own form",
                        a->method->name);
    config_put(root, LIBRARY_OWN.mark, a->method->name);
    config_put(root, "note", NOTE);
    describe_options(a, cJSON_AddObjectToObject(root, "options"));
    config_put(root, "base_model_name_or_path", a->base ? a->base : "");
    return OK;
}

const Library LIBRARY_OWN = {.name = "vernier",
                             .title = "Vernier",
                             .mark = "vernier_method",
                             .weights = {"adapter_model.safetensors"},
                             .stem = "",
                             .identify = identify,
                             .configure = configure,
                             .bind = bind,
                             .carried = carried,
                             .describe = describe};
