/* Hugging Face PEFT, writing configs: the settings from which it builds the same modules, defaults left out.  A
 * target is written as the shortest ends of names that hit the adapted layers and no other module of the model. */
#include <stdio.h>
#include <string.h>

#include "adapter/hf.h"
#include "base/str.h"
#include "nn/build.h"
#include "nn/config.h"
#include "peft/ia3.h"
#include "peft/layers.h"
#include "peft/lora.h"
#include "peft/place.h"
#include "peft/token_rows.h"

static bool ends_with(const char *name, const char *suffix)
{
    size_t n = strlen(name), s = strlen(suffix);
    return n >= s && !strcmp(name + n - s, suffix) && (n == s || name[n - s - 1] == '.');
}

/* ---- targets */

/* Modules that may be in the library's model whether ours has them or not. */
static const char *const OTHERS[] = {"classifier.dense",
                                     "classifier.out_proj",
                                     "classification_head.dense",
                                     "classification_head.out_proj",
                                     "pooler.dense",
                                     "lm_head.dense",
                                     "lm_head.decoder",
                                     "cls.predictions.transform.dense",
                                     "cls.predictions.decoder",
                                     "cls.seq_relationship",
                                     "classifier",
                                     "score",
                                     "lm_head"};

typedef struct {
    const Adapter *a;
    const Linear **in; /* the layers meant */
    int n;
} Set;

static bool holds(const Set *s, const Linear *l)
{
    for (int i = 0; i < s->n; i++)
        if (s->in[i] == l) return true;
    return false;
}

static bool hits_only(const Set *s, const char *suffix)
{
    const Model *m = s->a->model;
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++)
        if (ends_with(OTHERS[i], suffix)) return false;
    for (int i = 0; i < m->n_linears; i++)
        if (adapter_is_whole(&m->linears[i]) && ends_with(m->linears[i].name, suffix) && !holds(s, &m->linears[i]))
            return false;
    for (int i = 0; i < m->n_outer; i++)
        if (ends_with(m->outer[i].name, suffix) && !holds(s, &m->outer[i])) return false;
    return true;
}

/* At worst the whole name, which the library takes for its own end. */
static const char *shortest(const Set *s, const char *name)
{
    for (const char *at = name + strlen(name); at > name; at--)
        if (at[-1] == '.' && hits_only(s, at)) return at;
    return name;
}

static void add_once(cJSON *list, const char *text)
{
    const cJSON *j;
    cJSON_ArrayForEach(j, list)
    {
        if (!strcmp(j->valuestring, text)) return;
    }
    cJSON_AddItemToArray(list, cJSON_CreateString(text));
}

static void add_targets(cJSON *list, const Set *s)
{
    for (int i = 0; i < s->n; i++) add_once(list, shortest(s, s->in[i]->name));
}

/* ---- methods */

static void describe_rules(const Adapter *a, cJSON *root, const Set *s)
{
    cJSON *ranks = cJSON_AddObjectToObject(root, "rank_pattern"),
          *alphas = cJSON_AddObjectToObject(root, "alpha_pattern");
    for (int i = 0; i < s->n; i++)
        for (int j = 0; j < a->cfg.n_rules; j++) {
            const LoraRule *r = &a->cfg.rules[j];
            if (!str_glob(r->target, s->in[i]->name)) continue;
            const char *name = hf_module(a, s->in[i]);
            if (r->rank != a->cfg.rank) cJSON_AddNumberToObject(ranks, name, r->rank);
            if (r->alpha != a->cfg.alpha) cJSON_AddNumberToObject(alphas, name, r->alpha);
            break;
        }
}

static Set matched(const Adapter *a, const PeftConfig *cfg)
{
    Set s = {a, NEW(a->run, const Linear *, a->model->n_linears + a->model->n_outer), 0};
    for (const Linear *l = NULL; (l = lora_next(a->model, cfg, l));) s.in[s.n++] = l;
    return s;
}

static Set adapted(const Adapter *a)
{
    return matched(a, &a->cfg);
}

/* The layers that are adapted, as numbers. */
static cJSON *layer_list(const Set *s)
{
    cJSON *list = cJSON_CreateArray();
    bool *on = NEW(s->a->run, bool, LAYERS_MOST);
    for (int i = 0; i < s->n; i++) on[s->in[i]->at.layer] = true;
    for (int l = 0; l < LAYERS_MOST; l++)
        if (on[l]) cJSON_AddItemToArray(list, cJSON_CreateNumber(l));
    return list;
}

static bool lists(const cJSON *list, int layer)
{
    const cJSON *j;
    cJSON_ArrayForEach(j, list)
    {
        if (j->valueint == layer) return true;
    }
    return false;
}

/* The word in front of the layer's number: "layer" of "encoder.layer.3.attention". */
static const char *layer_word(const Adapter *a, const Linear *l)
{
    const char *at = strstr(l->name, str_print(a->run, ".%d.", l->at.layer)), *from = at;
    while (from && from > l->name && from[-1] != '.') from--;
    return from ? str_copy(a->run, from, (size_t)(at - from)) : NULL;
}

/* Layers that the config names become layers_to_transform, beside targets that hold for all layers; where other
 * layers of another stack have the same numbers, the targets name each module. */
static void add_layered_targets(const Adapter *a, cJSON *root, const Set *s)
{
    PeftConfig all = a->cfg;
    cJSON *target = cJSON_AddArrayToObject(root, "target_modules");
    if (!a->cfg.layers) {
        add_targets(target, s);
        return;
    }
    all.layers = NULL;
    Set wide = matched(a, &all);
    cJSON *layers = layer_list(s);
    const char *word = layer_word(a, s->in[0]);
    bool same = word != NULL;
    for (int i = 0; i < wide.n; i++) same &= holds(s, wide.in[i]) == lists(layers, wide.in[i]->at.layer);
    add_targets(target, same ? &wide : s);
    if (!same) {
        cJSON_Delete(layers);
        return;
    }
    cJSON_AddItemToObject(root, "layers_to_transform", layers);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(root, "layers_pattern"), cJSON_CreateString(word));
}

/* DoRA's sign. */
static bool has_magnitude(const Set *s)
{
    const Adapter *a = s->a;
    return s->n && param_find(a->model->params, lora_name(a->model, a->method->name, s->in[0], "magnitude"));
}

/* Writes the settings of LoRA or DoRA for PEFT. */
static Status describe_lora(Adapter *a, cJSON *root)
{
    static const char *const BIASES[] = {"none", "all", "lora_only"};
    const PeftConfig *c = &a->cfg;
    Set s = adapted(a);
    config_put(root, "peft_type", "LORA");
    cJSON_AddNumberToObject(root, "r", c->rank);
    cJSON_AddNumberToObject(root, "lora_alpha", c->alpha);
    cJSON_AddNumberToObject(root, "lora_dropout", c->dropout);
    cJSON_AddBoolToObject(root, "use_rslora", c->rslora);
    cJSON_AddBoolToObject(root, "use_dora", has_magnitude(&s));
    if (c->init >= START_PISSA) /* PEFT takes the same product out of its base again */
        config_put(root, "init_lora_weights", c->init == START_PISSA ? "pissa" : "olora");
    else
        cJSON_AddBoolToObject(root, "init_lora_weights", true);
    if (c->lora_bias) cJSON_AddBoolToObject(root, "lora_bias", true);
    TRY(hf_describe_tokens(a, root, "trainable_token_indices"));
    config_put(root, "bias", BIASES[c->bias]);
    add_layered_targets(a, root, &s);
    describe_rules(a, root, &s);
    for (int i = 0; c->plain_norm && i < s.n; i++) {
        if (lora_scale(c, s.in[i]) == 1 && !s.in[i]->b) continue;
        TRY(adapter_differs(a, "dora: PEFT's norm has the scale of B A in it, and it leaves biases alone; it will "
                               "answer differently"));
        break;
    }
    if (c->norm_gradient) adapter_remark(a, "norm_gradient: PEFT takes DoRA's norm as a constant when it trains on");
    return OK;
}

static Status describe_vera(Adapter *a, cJSON *root)
{
    Set s = adapted(a);
    config_put(root, "peft_type", "VERA");
    cJSON_AddNumberToObject(root, "r", a->cfg.rank);
    cJSON_AddNumberToObject(root, "vera_dropout", a->cfg.dropout);
    cJSON_AddBoolToObject(root, "save_projection", true);
    cJSON_AddNumberToObject(root, "projection_prng_key", 0);
    config_put(root, "bias", "none");
    add_layered_targets(a, root, &s);
    return OK;
}

/* Writes the linear layers of (IA)3 for PEFT, which scales each at its input or its output, not both. */
static Status describe_ia3(Adapter *a, cJSON *root)
{
    const Model *m = a->model;
    Set out = {a, NEW(a->run, const Linear *, m->n_linears), 0},
        in = {a, NEW(a->run, const Linear *, m->n_linears), 0};
    for (int i = 0; i < m->n_linears; i++)
        for (int input = 0; input < 2; input++) {
            const Linear *l = &m->linears[i];
            const char *what = ia3_what(l->at.site, input);
            if (!what || !place_in(m, &a->cfg, l->at) || !place_wants(&a->cfg, l->at, what)) continue;
            Set *s = input ? &in : &out;
            if (input && holds(&out, l))
                return err_fail(E_MISMATCH, "%s: PEFT scales a linear layer's output or its input, not both",
                                l->name);
            s->in[s->n++] = l;
        }
    config_put(root, "peft_type", "IA3");
    cJSON *target = cJSON_AddArrayToObject(root, "target_modules");
    cJSON *inputs = cJSON_AddArrayToObject(root, "feedforward_modules");
    add_targets(target, &out);
    add_targets(target, &in); /* the second list has to be part of the first */
    add_targets(inputs, &in);
    cJSON_AddBoolToObject(root, "init_ia3_weights", true);
    return OK;
}

/* LN tuning names the norms whole, as every one of them is a module of its own. */
static Status describe_norms(Adapter *a, cJSON *root)
{
    config_put(root, "peft_type", "LN_TUNING");
    cJSON *list = cJSON_AddArrayToObject(root, "target_modules");
    for (int i = 0; i < params_n(a->model->params); i++) {
        const Param *p = params_at(a->model->params, i);
        const char *name = adapter_base_name(a, p->name);
        if (hf_is_norm(a, p) && str_glob("*.weight", name))
            add_once(list, str_copy(a->run, name, strlen(name) - strlen(".weight")));
    }
    return OK;
}

static Status describe_tokens(Adapter *a, cJSON *root)
{
    config_put(root, "peft_type", "TRAINABLE_TOKENS");
    TRY(hf_describe_tokens(a, root, "token_indices"));
    cJSON_AddItemToArray(cJSON_AddArrayToObject(root, "target_modules"),
                         cJSON_CreateString(hf_module(a, token_rows_table(a->model))));
    return OK;
}

static void describe_virtual(const Adapter *a, cJSON *root, int layers, int64_t dim)
{
    cJSON_AddNumberToObject(root, "num_virtual_tokens", a->cfg.length);
    cJSON_AddNumberToObject(root, "token_dim", (double)dim);
    cJSON_AddNumberToObject(root, "num_layers", layers);
    cJSON_AddNumberToObject(root, "num_attention_heads", a->model->config.heads);
    cJSON_AddNumberToObject(root, "num_transformer_submodules", a->stride);
}

/* In an encoder-decoder every second pair of slots is read; a table of twice the layers keeps a pair for each. */
static Status describe_prefix(Adapter *a, cJSON *root)
{
    const Model *m = a->model;
    const PeftConfig *c = &a->cfg;
    Part part = m->decoder ? PART_DECODER : PART_ENCODER;
    TRY(adapter_refuse_window(a, m));
    if (c->kind != PREFIX_FREE)
        return err_fail(
            E_MISMATCH,
            "prefix: PEFT's files hold keys and values; they have no place for an MLP or tied virtual tokens");
    if (c->layers)
        return err_fail(E_MISMATCH, "layers: PEFT has a prefix in all layers; there is none outside of %s",
                        c->layers);
    for (Part p = 0; p < PART_COUNT; p++)
        if (model_layers(m, p) && c->on[p] != (p == part))
            return err_fail(E_MISMATCH, "prefix: %s, but PEFT adds prefixes to the %s's self-attention only",
                            c->on[p] ? str_print(a->run, "there is one for %s", part_name(p))
                                     : "there is none for it",
                            part_name(part));
    if (c->displaced)
        return err_fail(E_MISMATCH, "prefix: displaced positions (the adapters library on T5) are not PEFT's");
    if (!c->shift_positions)
        TRY(adapter_differs(
            a,
            "prefix: PEFT moves the content's positions by its %d virtual tokens; trained without, it will "
            "answer differently there",
            c->length));
    if (!a->slots) {
        a->stride = m->arch->encode ? 2 : 1;
        a->slots = 2 * a->stride * model_layers(m, part);
        if (a->stride > 1)
            adapter_remark(
                a, "num_layers is written as twice the decoder's, so that no two layers share a place in the table");
    }
    config_put(root, "peft_type", "PREFIX_TUNING");
    cJSON_AddBoolToObject(root, "prefix_projection", false);
    int width = place_width(m, (Where){.layer = 0, .part = part}), heads = m->config.kv_heads;
    describe_virtual(a, root, a->slots / 2, width);
    if (heads) /* PEFT makes keys and values of these alone */
        cJSON_SetNumberValue(cJSON_GetObjectItemCaseSensitive(root, "num_attention_heads"), heads);
    cJSON_AddNumberToObject(root, "encoder_hidden_size", m->config.dim);
    return OK;
}

static Status describe_prompt(Adapter *a, cJSON *root)
{
    if (a->cfg.late && a->model->config.positions)
        return err_fail(
            E_MISMATCH,
            "prompt: PEFT's passes the embedding's positions and norm, this one joins behind them (late)");
    if (!a->stride) a->stride = a->model->arch->encode ? 2 : 1;
    if (a->model->config.classes && !a->cfg.read_prompt && model_layers(a->model, PART_ENCODER) && !a->model->decoder)
        TRY(adapter_differs(
            a, "prompt: PEFT's classification head reads the first virtual token, not the text's first"));
    config_put(root, "peft_type", "PROMPT_TUNING");
    config_put(root, "prompt_tuning_init", "RANDOM");
    describe_virtual(a, root, a->model->config.layers, a->model->config.dim);
    return OK;
}

/* ---- fields of all methods */

/* Writes the task type for PEFT, or the base model's class where PEFT has no such type. */
static void describe_task(const Adapter *a, cJSON *root)
{
    const Model *m = a->model;
    const char *task = m->config.classes      ? "SEQ_CLS"
                       : m->arch->encode      ? "SEQ_2_SEQ_LM"
                       : m->decoder           ? "CAUSAL_LM"
                       : m->config.no_lm_head ? "FEATURE_EXTRACTION"
                                              : NULL;
    if (task) {
        config_put(root, "task_type", task);
        return;
    }
    cJSON_AddNullToObject(root, "task_type");
    cJSON *mapping = cJSON_AddObjectToObject(root, "auto_mapping"), *base = config_write(&m->config, m->arch);
    const char *type = cJSON_GetObjectItemCaseSensitive(base, "model_type")->valuestring;
    const cJSON *class = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(base, "architectures"), 0);
    config_put(mapping, "base_model_class", class->valuestring);
    config_put(mapping, "parent_library", str_print(a->run, "transformers.models.%s.modeling_%s", type, type));
    cJSON_Delete(base);
}

/* Lists the modules that are saved whole: the classification head, and those of the adapter that was read. */
static void describe_saved(const Adapter *a, cJSON *root)
{
    cJSON *list = cJSON_AddArrayToObject(root, "modules_to_save");
    for (int i = 0; i < params_n(a->model->params); i++) {
        const char *name = params_at(a->model->params, i)->name;
        if (build_is_class_head(name)) add_once(list, str_copy(a->run, name, strcspn(name, ".")));
    }
    const cJSON *saved = cJSON_GetObjectItemCaseSensitive(a->root, "modules_to_save"), *one;
    if (!a->saved_apart) return;
    cJSON_ArrayForEach(one, saved) /* the table or the head, which read so comes apart again */
    {
        bool unread = a->unread && cJSON_IsString(one) &&
                      str_glob(str_print(a->run, "*%s.weight", one->valuestring), a->unread);
        if (cJSON_IsString(one) && !unread) add_once(list, one->valuestring);
    }
}

static const struct {
    const char *method;
    Status (*describe)(Adapter *, cJSON *);
} METHODS[] = {{"lora", describe_lora},     {"dora", describe_lora},    {"vera", describe_vera},
               {"ia3", describe_ia3},       {"norms", describe_norms},  {"tokens", describe_tokens},
               {"prefix", describe_prefix}, {"prompt", describe_prompt}};

/* Writes adapter_config.json for PEFT: the method's settings, task, saved modules and base model. */
Status hf_describe(Adapter *a, cJSON *root)
{
    for (size_t i = 0; i < sizeof METHODS / sizeof *METHODS; i++) {
        if (strcmp(METHODS[i].method, a->method->name) != 0) continue;
        TRY(METHODS[i].describe(a, root));
        if (!a->method->virtual_tokens)
            cJSON_AddBoolToObject(root, "fan_in_fan_out", a->model->linears[0].layout == IN_OUT);
        describe_task(a, root);
        describe_saved(a, root);
        config_put(root, "base_model_name_or_path", a->base ? a->base : "");
        cJSON_AddBoolToObject(root, "inference_mode", true);
        return OK;
    }
    return err_fail(
        E_MISMATCH,
        "Hugging Face PEFT has no method like %s; expected lora, dora, vera, ia3, norms, tokens, prefix or "
        "prompt",
        a->method->name);
}
