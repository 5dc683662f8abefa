/* modules_to_save.  PEFT puts a trained copy in the place of such a module.  Whatever shares the module's weights
 * elsewhere keeps the base's, so a tied model comes apart: with the input table saved the head stays on the old one,
 * and with the head saved the input stays.  In T5 and BART the module `shared` is read by nobody, as both stacks and
 * the head hold its weights under names of their own: a saved copy of it changes nothing.
 *
 * A table that is in the file without being in modules_to_save (a resized vocabulary) is loaded into the tied weights
 * themselves, and every user of them follows. */
#include <string.h>

#include "adapter/hf.h"
#include "base/str.h"
#include "nn/build.h"
#include "nn/config.h"

static bool ends_with(const char *name, size_t n, const char *end)
{
    size_t k = strlen(end);
    return n >= k && !strncmp(name + n - k, end, k);
}

/* The library compares the end of a module's name only, whether a dot stands before it or not; with a module its
 * inner ones are saved. */
static bool is_saved(const Adapter *a, const char *param)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(a->root, "modules_to_save"), *one;
    const char *name = adapter_base_name(a, param);
    for (const char *dot = name; (dot = strchr(dot, '.')); dot++) cJSON_ArrayForEach(one, list)
        {
            if (cJSON_IsString(one) && ends_with(name, (size_t)(dot - name), one->valuestring)) return true;
        }
    return false;
}

/* A head or a table of tokens that was saved whole is no longer the other one: the model gets a head of its own. */
static Status untie(Adapter *a)
{
    const Model *m = a->model;
    const Alias *tied = build_tied_head(m->arch);
    bool table = tied && is_saved(a, tied->name), head = tied && is_saved(a, tied->file);
    bool tie = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(a->root, "ensure_weight_tying"));
    if (table && m->arch->encode) {
        a->unread = a->library->carried(a, param_find(m->params, tied->name), 0);
        adapter_remark(a, "modules_to_save holds %s, of which PEFT's models read no copy: it changes nothing",
                       tied->name);
        table = false;
    }
    bool was_tied = m->config.tie_head || m->untied != 0; /* LoRA on one of the pair has untied it, too */
    if (!(table || head) || !was_tied || m->config.no_lm_head || m->config.classes) return OK;
    if (head && tie)
        return err_fail(E_MISMATCH, "%s: ensure_weight_tying is set, which is not supported for a saved %s", a->path,
                        tied->file);
    if (m->config.plain_head)
        return err_fail(E_MISMATCH,
                        "%s: modules_to_save holds %s, which this model's head shares; PEFT does not define "
                        "the head then",
                        a->path, tied->name);
    a->saved_apart = true;
    if (m->config.tie_head) model_untie(a->model);
    return OK;
}

/* In an encoder-decoder `embed_tokens` are two modules, each of which is saved for its own stack. */
static Status part_tables(Adapter *a)
{
    const Model *m = a->model;
    bool saved = false;
    for (const Alias *t = m->arch->format->alias; m->arch->part_tables && t && t->name; t++)
        saved |= !build_is_any_head(t->file) && is_saved(a, t->file);
    if (!saved) return OK;
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(a->root, "ensure_weight_tying")))
        return err_fail(E_MISMATCH, "%s: ensure_weight_tying is set, which is not supported for a saved embed_tokens",
                        a->path);
    a->saved_apart = true;
    build_part_tables(a->model);
    return OK;
}

/* The config names the trained modules, and the file has to hold them. */
static Status check_there(const Adapter *a)
{
    const Model *m = a->model;
    for (int i = 0; i < params_n(m->params); i++) {
        const Param *p = params_at(m->params, i);
        const char *name;
        if (str_glob("peft.*", p->name) || build_is_class_head(p->name) || !is_saved(a, p->name)) continue;
        bool there = false;
        for (int which = 0; !there && (name = a->library->carried(a, p, which)); which++)
            there = adapter_stored(a, name) != NULL;
        if (!there)
            return err_fail(E_MISMATCH,
                            "%s: has no tensor for %s, which modules_to_save of adapter_config.json holds",
                            weights_path(a->weights), adapter_base_name(a, p->name));
    }
    return OK;
}

Status hf_prepare(Adapter *a)
{
    TRY(untie(a));
    TRY(part_tables(a));
    return check_there(a);
}
