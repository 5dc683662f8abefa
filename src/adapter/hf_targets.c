/* Which modules a PEFT config adapts.  It is decided on the names that the library sees, the base model's prefix
 * included, in its order: exclude_modules and modules_to_save first, then target_modules as a regular expression for
 * the whole name or as a list of names and ends of names.  layers_to_transform narrows the ends down, and neither an
 * expression nor a whole name.  "all-linear" is every linear layer but the output head, and with SEQ_CLS but the
 * classification head. */
#include <string.h>

#include "adapter/hf.h"
#include "adapter/match.h"
#include "base/str.h"
#include "nn/build.h"
#include "nn/config.h"
#include "peft/lora.h"

const char *hf_module(const Adapter *a, const Linear *l)
{
    const char *name = adapter_base_name(a, str_print(a->run, "%s.weight", l->name));
    return str_copy(a->run, name, strlen(name) - strlen(".weight"));
}

/* ---- defaults */

/* What the library adapts where target_modules or feedforward_modules is absent or null (utils/constants.py); a type
 * that a method lacks has to be named there, too. */
static const struct {
    const char *type, *lora, *adalora, *ia3, *feed_forward, *norms;
} DEFAULTS[] = {
    {"bert", "query|value", "query|value", "key|value|output.dense", "output.dense", NULL},
    {"roberta", "query|value", "query|key|value|dense", "key|value|output.dense", "output.dense", NULL},
    {"xlm-roberta", "query|value", NULL, NULL, NULL, NULL},
    {"gpt2", "c_attn", "c_attn", "c_attn|mlp.c_proj", "mlp.c_proj", "ln_1|ln_2|ln_f"},
    {"llama", "q_proj|v_proj", "q_proj|v_proj", "k_proj|v_proj|down_proj", "down_proj",
     "input_layernorm|post_attention_layernorm|norm"},
    {"mistral", "q_proj|v_proj", NULL, "k_proj|v_proj|down_proj", "down_proj",
     "input_layernorm|post_attention_layernorm|norm"},
    {"qwen2", "q_proj|v_proj", "q_proj|v_proj", "q_proj|v_proj|down_proj", "down_proj", "post_attention_layernorm"},
    {"qwen3", "q_proj|v_proj", "q_proj|v_proj", "q_proj|v_proj|down_proj", "down_proj", "post_attention_layernorm"},
    {"gpt_neox", "query_key_value", "query_key_value", "query_key_value|dense_4h_to_h", "dense_4h_to_h", NULL},
    {"t5", "q|v", "q|k|v|o|wi|wo", "k|v|wo", "wo", "layer_norm|final_layer_norm"},
    {"mt5", "q|v", "q|k|v|o|wi_0|wi_1|wo", "k|v|wi_1", "", "layer_norm|final_layer_norm"},
    {"bart", "q_proj|v_proj", "q_proj|k_proj|v_proj|out_proj|fc1|fc2", "q_proj|v_proj|fc2", "fc2",
     "self_attn_layer_norm|encoder_attn_layer_norm|final_layer_norm"}};

static Status set_default(Adapter *a, const char *key, const char *names, const char *type)
{
    size_t n;
    if (adapter_json_is_set(a->root, key) || cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(a->root, key))) return OK;
    if (!names)
        return err_fail(E_MISMATCH, "%s: %s is missing, and PEFT has no default for %s with %s", a->path, key,
                        a->kind, type);
    cJSON_DeleteItemFromObjectCaseSensitive(a->root, key);
    cJSON *list = cJSON_AddArrayToObject(a->root, key);
    for (const char *rest = names, *at; str_next(&rest, "|", &at, &n);)
        cJSON_AddItemToArray(list, cJSON_CreateString(str_copy(a->run, at, n)));
    return OK;
}

Status hf_defaults(Adapter *a, const Model *m)
{
    size_t i = 0, n = sizeof DEFAULTS / sizeof *DEFAULTS;
    cJSON *base = config_write(&m->config, m->arch);
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(base, "model_type");
    const char *type = str_copy(a->run, j->valuestring, strlen(j->valuestring)), *names;
    cJSON_Delete(base);
    bool ia3 = !strcmp(a->kind, "IA3");
    while (i < n && strcmp(DEFAULTS[i].type, type) != 0) i++;
    if (i == n)
        names = NULL;
    else if (ia3)
        names = DEFAULTS[i].ia3;
    else if (!strcmp(a->kind, "ADALORA"))
        names = DEFAULTS[i].adalora;
    else
        names = !strcmp(a->kind, "LN_TUNING") ? DEFAULTS[i].norms : DEFAULTS[i].lora;
    TRY(set_default(a, "target_modules", names, type));
    return ia3 ? set_default(a, "feedforward_modules", i < n ? DEFAULTS[i].feed_forward : NULL, type) : OK;
}

/* ---- which modules */

/* The number of the layer, as the library reads it out of a name; -1: none.  Without a pattern it is the first
 * number that stands between two dots. */
static Status layer_number(int *layer, const Adapter *a, const char *pattern, const char *name)
{
    const char *form = pattern ? str_print(a->run, "(?:^|.*?\\.)%s\\.(\\d+)\\.", pattern) : ".*?\\.[^.]*\\.(\\d+)\\.";
    bool found;
    int at;
    *layer = -1;
    TRY(match_regex(&found, &at, form, false, name, a->path, "layers_pattern"));
    for (const char *s = name + at; found && at >= 0 && *s >= '0' && *s <= '9' && *layer < 1 << 24; s++)
        *layer = 10 * (*layer < 0 ? 0 : *layer) + *s - '0';
    return OK;
}

/* The first of the patterns that matches decides. */
static Status layer_of(int *layer, const Adapter *a, const char *name)
{
    const cJSON *given = cJSON_GetObjectItemCaseSensitive(a->root, "layers_pattern"), *one;
    bool empty = !given || cJSON_IsNull(given) || (cJSON_IsString(given) && !*given->valuestring) ||
                 (cJSON_IsArray(given) && !given->child);
    if (empty) return layer_number(layer, a, NULL, name);
    if (cJSON_IsString(given)) return layer_number(layer, a, given->valuestring, name);
    *layer = -1;
    if (!cJSON_IsArray(given)) return err_fail(E_FORMAT, "%s: layers_pattern is neither a text nor a list", a->path);
    cJSON_ArrayForEach(one, given)
    {
        if (!cJSON_IsString(one))
            return err_fail(E_FORMAT, "%s: layers_pattern holds something that is no text", a->path);
        if (*layer < 0) TRY(layer_number(layer, a, one->valuestring, name));
    }
    return OK;
}

/* layers_to_transform: one number or a list of them. */
static Status in_layers(bool *out, const Adapter *a, const char *name)
{
    const cJSON *layers = cJSON_GetObjectItemCaseSensitive(a->root, "layers_to_transform"), *one;
    int layer;
    *out = true;
    if (!layers || cJSON_IsNull(layers) || (cJSON_IsArray(layers) && !layers->child)) return OK;
    TRY(layer_of(&layer, a, name));
    *out = cJSON_IsNumber(layers) && layer >= 0 && layers->valuedouble == layer;
    cJSON_ArrayForEach(one, layers) *out |= layer >= 0 && cJSON_IsNumber(one) && one->valuedouble == layer;
    return OK;
}

/* A module that is trained whole is not adapted, too. */
static Status is_saved(bool *out, const Adapter *a, const char *name)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(a->root, "modules_to_save"), *one;
    *out = false;
    cJSON_ArrayForEach(one, list)
    {
        bool found;
        if (!cJSON_IsString(one)) continue;
        const char *form = str_print(a->run, "(^|.*\\.)%s($|\\..*)", one->valuestring);
        TRY(match_regex(&found, NULL, form, false, name, a->path, "modules_to_save"));
        *out |= found;
    }
    return OK;
}

static bool is_listed_whole(const cJSON *list, const char *name)
{
    const cJSON *one;
    cJSON_ArrayForEach(one, list)
    {
        if (cJSON_IsString(one) && !strcmp(one->valuestring, name)) return true;
    }
    return false;
}

static bool is_output_head(const Model *m, const Linear *l)
{
    const Alias *tied = build_tied_head(m->arch);
    return (tied && !strcmp(tied->file, str_print(m->run, "%s.weight", l->name))) || l->out == m->config.vocab;
}

static Status is_linear(bool *out, const Adapter *a, const Model *m, const Linear *l)
{
    const char *task = "";
    TRY(json_text(&task, a->root, "task_type", a->path));
    bool class_head = build_is_class_head(str_print(a->run, "%s.weight", l->name));
    *out = !lora_is_outer(l) ||
           (l->layout == OUT_IN && !is_output_head(m, l) && !(class_head && !strcmp(task, "SEQ_CLS")));
    return OK;
}

Status hf_is_target(bool *out, const Adapter *a, const Model *m, const Linear *l)
{
    const char *name = hf_module(a, l);
    const cJSON *target = cJSON_GetObjectItemCaseSensitive(a->root, "target_modules");
    bool excluded, saved, there = true;
    *out = false;
    if (!adapter_is_whole(l)) return OK;
    TRY(match_modules(&excluded, a->root, "exclude_modules", name, a->path));
    TRY(is_saved(&saved, a, name));
    if (excluded || saved) return OK;
    if (cJSON_IsString(target) && !strcasecmp(target->valuestring, "all-linear")) return is_linear(out, a, m, l);
    TRY(match_modules(out, a->root, "target_modules", name, a->path));
    if (cJSON_IsArray(target) && !is_listed_whole(target, name)) TRY(in_layers(&there, a, name));
    *out = *out && there;
    return OK;
}

/* A head that shares the token table, as the module that PEFT sees. */
static const Linear *tied_head(const Adapter *a, const Model *m)
{
    const Config *c = &m->config;
    const Alias *tied = build_tied_head(m->arch);
    if (!tied || !c->tie_head || c->no_lm_head || c->classes) return NULL;
    Linear *l = NEW(a->run, Linear, 1);
    *l = (Linear){.name = str_copy(a->run, tied->file, strlen(tied->file) - strlen(".weight")),
                  .at = {SITE_COUNT, LAYER_EMBED, PART_ANY},
                  .w = param_find(m->params, tied->name),
                  .layout = OUT_IN,
                  .in = c->dim,
                  .out = c->vocab};
    return l->w ? l : NULL;
}

/* Appends the module where it is a target. */
static Status add(const Linear **list, int *n, const Adapter *a, const Model *m, const Linear *l)
{
    bool wanted = false;
    if (l) TRY(hf_is_target(&wanted, a, m, l));
    if (wanted) list[(*n)++] = l;
    return OK;
}

Status hf_targets(const Linear ***out, int *n, const Adapter *a, const Model *m, bool outer)
{
    const Linear **list = *out = NEW(a->run, const Linear *, m->n_linears + m->n_outer + 1);
    *n = 0;
    for (int i = 0; i < m->n_linears; i++) TRY(add(list, n, a, m, &m->linears[i]));
    for (int i = 0; outer && i < m->n_outer; i++) TRY(add(list, n, a, m, &m->outer[i]));
    if (outer) TRY(add(list, n, a, m, tied_head(a, m)));
    if (*n) return OK;
    return err_fail(E_MISMATCH,
                    "%s: target_modules matches no linear layer of this %s model, whose names are like %s%s", a->path,
                    m->config.arch, a->prefix, m->n_linears ? m->linears[0].name : "");
}
