/* adapter-hub/adapters, reading.  One kind of config describes all bottlenecks by flags; a LoRA config also stands
 * for IA3 (composition_mode scale); a prefix may be flat or come through an MLP that stays in the file.
 *
 * Releases before 1.1.0 ignored a LoRA's alpha, and the oldest, which wrote no version, meant the tanh form by
 * "gelu".
 *
 * Format: adapter-hub/adapters, src/adapters/configuration/adapter_config.py and methods. */
#include "adapter/hub.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "peft/ia3.h"
#include "peft/place.h"

enum { MOST_RANK = 1 << 16, MOST_TOKENS = 1 << 20 };

static const cJSON *config_of(const Adapter *a)
{
    return cJSON_GetObjectItemCaseSensitive(a->root, "config");
}

static Status identify(Adapter *a)
{
    if (!cJSON_IsObject(config_of(a))) return err_fail(E_FORMAT, "%s: config is not an object", a->path);
    a->kind = "bottleneck";
    TRY(json_text(&a->kind, config_of(a), "architecture", a->path));
    TRY(json_text(&a->name, a->root, "name", a->path));
    TRY(json_text(&a->base, a->root, "model_name", a->path));
    return a->name && *a->name ? OK : err_fail(E_FORMAT, "%s: has no name, which the tensors' names carry", a->path);
}

/* At least this release; false where none is given. */
static bool is_release(const Adapter *a, int major, int minor)
{
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(a->root, "version");
    int x, y;
    return cJSON_IsString(j) && sscanf(j->valuestring, "adapters.%d.%d", &x, &y) == 2 &&
           (x > major || (x == major && y >= minor));
}

/* ---- which places */

static Status left_out(bool *out, const Adapter *a, const Model *m, Where at)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(config_of(a), "leave_out"), *j;
    *out = false;
    if (list && !cJSON_IsNull(list) && !cJSON_IsArray(list))
        return err_fail(E_FORMAT, "%s: leave_out is not a list", a->path);
    cJSON_ArrayForEach(j, list)
    {
        if (!cJSON_IsNumber(j))
            return err_fail(E_FORMAT, "%s: leave_out holds an entry that is not a number", a->path);
        if (j->valuedouble == hub_layer(m, at)) *out = true;
    }
    return OK;
}

typedef struct {
    const char **name;
    int n;
} Names;

static Names names_for(const Adapter *a, const Model *m)
{
    return (Names){NEW(a->run, const char *, 16 * (m->config.layers + m->config.decoder_layers) + 16), 0};
}

static void add_place(const Adapter *a, Names *list, Where at, const char *what)
{
    list->name[list->n++] = str_print(a->run, "%s.layer.%d.%s", part_name(at.part), at.layer, what);
}

static Status flag(bool *out, const Adapter *a, const char *key)
{
    return json_bool(out, config_of(a), key, a->path);
}

/* ---- bottlenecks */

static Status read_act(Act *out, const Adapter *a)
{
    const char *name = "relu";
    TRY(json_text(&name, config_of(a), "non_linearity", a->path));
    for (const struct HubAct *h = HUB_ACTS; h->name; h++)
        if (!strcmp(h->name, name)) {
            bool old = !json_has(a->root, "version");
            *out = old && !strcmp(name, "gelu") ? ACT_GELU_TANH : h->act;
            return OK;
        }
    return err_fail(E_MISMATCH, "%s: non_linearity is '%.30s', which is not supported", a->path, name);
}

static int width_for(const Model *m, double factor)
{
    double width = floor(m->config.dim / factor);
    return width < 1 ? 1 : width > 1 << 24 ? 1 << 24 : (int)width;
}

/* reduction_factor by layer: {"1": 2, "default": 16}. */
static Status read_widths(Adapter *a, const Model *m, const cJSON *factors)
{
    PeftConfig *c = &a->cfg;
    int layers = model_layers(m, PART_ENCODER) + model_layers(m, PART_DECODER);
    LoraRule *rules = NEW(a->run, LoraRule, 3 * layers + 1);
    for (Part part = 0; part < PART_COUNT; part++)
        for (int l = 0; l < model_layers(m, part); l++) {
            const Where at = {.layer = l, .part = part};
            const char *key = str_print(a->run, "%d", hub_layer(m, at));
            double factor;
            if (!json_has(factors, key)) key = "default";
            if (!json_has(factors, key))
                return err_fail(E_MISMATCH, "%s: reduction_factor has none for layer %d and no default", a->path,
                                hub_layer(m, at));
            TRY(json_real(&factor, factors, key, 1e-3, 1e9, a->path));
            rules[c->n_rules++] =
                (LoraRule){str_print(a->run, "%s.layer.%d.*", part_name(part), l), width_for(m, factor), 0};
        }
    c->rules = rules;
    return OK;
}

static Status read_width(Adapter *a, const Model *m)
{
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(config_of(a), "reduction_factor");
    double factor = 16;
    if (cJSON_IsObject(j)) return read_widths(a, m, j);
    TRY(json_real(&factor, config_of(a), "reduction_factor", 1e-3, 1e9, a->path));
    a->cfg.width = width_for(m, factor);
    return OK;
}

static Status read_scaling(PeftConfig *c, const Adapter *a)
{
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(config_of(a), "scaling");
    c->scale = 1;
    if (!cJSON_IsString(j)) return json_real(&c->scale, config_of(a), "scaling", -1e9, 1e9, a->path);
    c->scaling = !strcmp(j->valuestring, "learned") ? SCALE_LEARNED : SCALE_CHANNEL;
    return str_glob("learned|channel", j->valuestring)
               ? OK
               : err_fail(E_FORMAT, "%s: scaling is '%.30s', expected a number, learned or channel", a->path,
                          j->valuestring);
}

static Status read_residual(PeftConfig *c, const Adapter *a, bool reads_sum)
{
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(config_of(a), "residual_before_ln");
    bool before = true, post_add = cJSON_IsString(j) && !strcmp(j->valuestring, "post_add");
    if (!post_add) TRY(flag(&before, a, "residual_before_ln"));
    if (post_add && !reads_sum)
        return err_fail(E_MISMATCH, "%s: residual_before_ln is post_add, which needs original_ln_before", a->path);
    c->residual = post_add ? RESIDUAL_SUM : reads_sum && !before ? RESIDUAL_INPUT : RESIDUAL_OUTPUT;
    return OK;
}

static Status refuse_bottleneck(const Adapter *a)
{
    bool after = true;
    TRY(adapter_refuse(a, config_of(a), "phm_layer", "Compacter's products are not supported"));
    TRY(adapter_refuse(a, config_of(a), "use_gating", "gates are not supported"));
    TRY(adapter_refuse(a, config_of(a), "inv_adapter", "invertible adapters are not supported"));
    TRY(adapter_refuse(a, config_of(a), "adapter_residual_before_ln",
                       "a residual inside the adapter's norm is not supported"));
    TRY(flag(&after, a, "original_ln_after"));
    return after ? OK
                 : err_fail(E_MISMATCH,
                            "%s: original_ln_after is false: leaving out the layer's norm is not supported", a->path);
}

/* Reads the settings of a bottleneck adapter: method, sizes, LayerNorms, scaling and places. */
static Status configure_bottleneck(Adapter *a, const Model *m)
{
    PeftConfig *c = &a->cfg;
    bool mh = false, output = true, cross = false, parallel = false, sum = false, out;
    double later = 0;
    TRY(refuse_bottleneck(a));
    TRY(flag(&mh, a, "mh_adapter"));
    TRY(flag(&output, a, "output_adapter"));
    TRY(flag(&cross, a, "cross_adapter"));
    TRY(flag(&parallel, a, "is_parallel"));
    TRY(flag(&sum, a, "original_ln_before"));
    a->method = peft_find(parallel ? "parallel" : sum ? "pfeiffer" : "houlsby");
    a->method->defaults(c, &m->config);
    TRY(read_act(&c->act, a));
    TRY(read_width(a, m));
    TRY(read_scaling(c, a));
    if (!parallel) TRY(read_residual(c, a, sum));
    TRY(flag(&c->norm_before, a, "ln_before"));
    TRY(flag(&c->norm_after, a, "ln_after"));
    TRY(json_real(&c->dropout, config_of(a), "dropout", 0, 0.999, a->path));
    TRY(json_real(&later, config_of(a), "stochastic_depth", 0, 1, a->path));
    if (later > 0) adapter_remark(a, "stochastic_depth %g acts in training only, and not here", later);
    Names list = names_for(a, m);
    place_all(c, true);
    for (Where at = PLACE_FIRST; place_next(m, c, &at);) {
        TRY(left_out(&out, a, m, at));
        if (!out && (at.part == PART_CROSS ? cross : mh)) add_place(a, &list, at, "attn");
        if (!out && output && at.part != PART_CROSS) add_place(a, &list, at, "ffn");
    }
    c->target = adapter_name_list(a->run, list.name, list.n);
    return OK;
}

/* ---- LoRA and IA3 */

/* Whether a linear layer is adapted, in the letters of attn_matrices and the two flags. */
static Status is_adapted(bool *out, const Adapter *a, const Model *m, const Linear *l)
{
    const cJSON *letters = cJSON_GetObjectItemCaseSensitive(config_of(a), "attn_matrices"), *j;
    bool attention = true, up = false, down = false, skipped;
    TRY(flag(&attention, a, "selfattn_lora"));
    TRY(flag(&up, a, "intermediate_lora"));
    TRY(flag(&down, a, "output_lora"));
    TRY(left_out(&skipped, a, m, l->at));
    if ((up || down) && !hub_feed_forward(m, 0))
        return err_fail(E_MISMATCH,
                        "%s: intermediate_lora and output_lora on the gated feed-forward of %s are not supported",
                        a->path, m->config.arch);
    *out = (up && l->at.site == hub_feed_forward(m, 0)) || (down && l->at.site == hub_feed_forward(m, 1));
    const char *letter = l->at.site == SITE_Q ? "q" : l->at.site == SITE_K ? "k" : l->at.site == SITE_V ? "v" : NULL;
    if (letters && !cJSON_IsArray(letters)) return err_fail(E_FORMAT, "%s: attn_matrices is not a list", a->path);
    cJSON_ArrayForEach(j, letters)
    {
        if (!cJSON_IsString(j) || !str_glob("q|k|v", j->valuestring))
            return err_fail(E_FORMAT, "%s: attn_matrices holds something other than q, k and v", a->path);
        if (attention && letter && !strcmp(letter, j->valuestring)) *out = true;
    }
    if (!letters && attention && letter && *letter != 'k') *out = true;
    if (skipped) *out = false;
    return OK;
}

/* Reads the linear layers of (IA)3, which the adapters library stores as LoRA that scales. */
static Status configure_ia3(Adapter *a, const Model *m)
{
    double alpha = 1;
    Names list = names_for(a, m);
    a->method = peft_find("ia3");
    a->method->defaults(&a->cfg, &m->config);
    TRY(json_real(&alpha, config_of(a), "alpha", -1e9, 1e9, a->path));
    if (alpha != 1)
        return err_fail(E_MISMATCH, "%s: alpha is %g beside composition_mode scale, expected 1", a->path, alpha);
    for (int i = 0; i < m->n_linears; i++) {
        bool adapted;
        TRY(is_adapted(&adapted, a, m, &m->linears[i]));
        if (adapted) add_place(a, &list, m->linears[i].at, ia3_what(m->linears[i].at.site, false));
    }
    a->cfg.target = adapter_name_list(a->run, list.name, list.n);
    return OK;
}

/* Reads the settings of LoRA, DoRA or (IA)3 (composition_mode scale), and the adapted linear layers. */
static Status configure_lora(Adapter *a, const Model *m)
{
    const char *mode = "add";
    bool dora = false;
    PeftConfig *c = &a->cfg;
    TRY(adapter_refuse(a, config_of(a), "use_gating", "gates are not supported"));
    TRY(adapter_refuse(a, config_of(a), "vera_d", "the adapters library's VeRA is not supported"));
    TRY(adapter_refuse(a, config_of(a), "vera_b", "the adapters library's VeRA is not supported"));
    TRY(json_text(&mode, config_of(a), "composition_mode", a->path));
    if (!strcmp(mode, "scale")) return configure_ia3(a, m);
    if (strcmp(mode, "add") != 0)
        return err_fail(E_FORMAT, "%s: composition_mode is '%.30s', expected add or scale", a->path, mode);
    TRY(flag(&dora, a, "use_dora"));
    a->method = peft_find(dora ? "dora" : "lora");
    a->method->defaults(c, &m->config);
    c->plain_norm = dora;
    TRY(json_int(&c->rank, config_of(a), "r", 1, MOST_RANK, a->path));
    TRY(json_real(&c->alpha, config_of(a), "alpha", -1e9, 1e9, a->path));
    TRY(json_real(&c->dropout, config_of(a), "dropout", 0, 0.999, a->path));
    if (!is_release(a, 1, 1)) {
        adapter_remark(a, "alpha %g is read as r: releases before 1.1.0 ignored it", c->alpha);
        c->alpha = c->rank;
    }
    Names list = names_for(a, m);
    for (int i = 0; i < m->n_linears; i++) {
        bool adapted;
        TRY(is_adapted(&adapted, a, m, &m->linears[i]));
        if (adapted) list.name[list.n++] = m->linears[i].name;
    }
    c->target = adapter_name_list(a->run, list.name, list.n);
    return OK;
}

/* ---- virtual tokens */

/* Reads the settings of prefix tuning: length, MLP or free vectors, and the attention kinds. */
static Status configure_prefix(Adapter *a, const Model *m)
{
    PeftConfig *c = &a->cfg;
    bool flat = false, encoder = true, cross = true;
    const char *act = "tanh";
    double rate = 0;
    a->method = peft_find("prefix");
    a->method->defaults(c, &m->config);
    c->length = 30;
    TRY(adapter_refuse_window(a, m));
    TRY(adapter_refuse(a, config_of(a), "use_gating", "gates are not supported"));
    TRY(adapter_refuse(a, config_of(a), "leave_out", "a prefix in some layers only is not supported"));
    TRY(flag(&flat, a, "flat"));
    TRY(flag(&encoder, a, "encoder_prefix"));
    TRY(flag(&cross, a, "cross_prefix"));
    TRY(json_text(&act, config_of(a), "non_linearity", a->path));
    TRY(json_int(&c->length, config_of(a), "prefix_length", 1, MOST_TOKENS, a->path));
    TRY(json_int(&c->width, config_of(a), "bottleneck_size", 1, MOST_TOKENS, a->path));
    TRY(json_real(&rate, config_of(a), "dropout", 0, 1, a->path));
    if (rate > 0) adapter_remark(a, "dropout %g acts in training only, and not on a prefix here", rate);
    if (!flat && strcmp(act, "tanh") != 0)
        return err_fail(E_MISMATCH, "%s: non_linearity is '%.30s', and a prefix's MLP has tanh here", a->path, act);
    c->kind = flat ? PREFIX_FREE : PREFIX_MLP;
    c->on[PART_ENCODER] = !m->arch->encode || encoder;
    c->on[PART_CROSS] = cross;
    c->displaced = true;
    return OK;
}

static Status configure_prompt(Adapter *a, const Model *m)
{
    const char *combine = "prefix";
    a->method = peft_find("prompt");
    a->method->defaults(&a->cfg, &m->config);
    a->cfg.length = 10;
    TRY(json_text(&combine, config_of(a), "combine", a->path));
    if (strcmp(combine, "prefix") != 0)
        return err_fail(E_MISMATCH, "%s: combine is '%.30s': only a prompt in front is supported", a->path, combine);

    a->cfg.late = true;
    a->cfg.read_prompt = m->config.classes > 0;
    return json_int(&a->cfg.length, config_of(a), "prompt_length", 1, MOST_TOKENS, a->path);
}

/* ---- all of them */

static const char *const TOP_KEYS[] = {"config",     "hidden_size", "model_class", "model_name",
                                       "model_type", "name",        "version",     NULL};
static const char *const BOTTLENECK_KEYS[] = {"architecture",
                                              "mh_adapter",
                                              "output_adapter",
                                              "cross_adapter",
                                              "is_parallel",
                                              "original_ln_before",
                                              "original_ln_after",
                                              "ln_before",
                                              "ln_after",
                                              "residual_before_ln",
                                              "adapter_residual_before_ln",
                                              "non_linearity",
                                              "reduction_factor",
                                              "scaling",
                                              "dropout",
                                              "stochastic_depth",
                                              "leave_out",
                                              "use_gating",
                                              "init_weights",
                                              "init_weights_seed",
                                              "inv_adapter",
                                              "inv_adapter_reduction_factor",
                                              "phm_layer",
                                              "phm_dim",
                                              "phm_rank",
                                              "phm_bias",
                                              "phm_c_init",
                                              "phm_init_range",
                                              "learn_phm",
                                              "hypercomplex_nonlinearity",
                                              "shared_phm_rule",
                                              "factorized_phm_rule",
                                              "shared_W_phm",
                                              "factorized_phm_W",
                                              NULL};
static const char *const LORA_KEYS[] = {"architecture",
                                        "r",
                                        "alpha",
                                        "attn_matrices",
                                        "selfattn_lora",
                                        "intermediate_lora",
                                        "output_lora",
                                        "composition_mode",
                                        "dropout",
                                        "use_dora",
                                        "use_gating",
                                        "init_weights",
                                        "init_weights_seed",
                                        "leave_out",
                                        "dtype",
                                        NULL};
static const char *const PREFIX_KEYS[] = {"architecture",
                                          "prefix_length",
                                          "bottleneck_size",
                                          "flat",
                                          "encoder_prefix",
                                          "cross_prefix",
                                          "non_linearity",
                                          "dropout",
                                          "use_gating",
                                          "shared_gating",
                                          "leave_out",
                                          "init_weights_seed",
                                          NULL};
static const char *const PROMPT_KEYS[] = {
    "architecture",      "combine", "prompt_length", "prompt_init", "prompt_init_text", "random_uniform_scale",
    "init_weights_seed", NULL};
static const struct {
    const char *kind;
    Status (*configure)(Adapter *, const Model *);
    const char *const *known;
} KINDS[] = {{"bottleneck", configure_bottleneck, BOTTLENECK_KEYS},
             {"lora", configure_lora, LORA_KEYS},
             {"prefix_tuning", configure_prefix, PREFIX_KEYS},
             {"prompt_tuning", configure_prompt, PROMPT_KEYS}};

/* Checks the hidden size, and reads the settings of the method; unknown settings become remarks. */
static Status configure(Adapter *a, const Model *m)
{
    int dim = m->config.dim;
    TRY(json_int(&dim, a->root, "hidden_size", 1, 1 << 24, a->path));
    if (dim != m->config.dim)
        return err_fail(E_MISMATCH, "%s: hidden_size is %d, this %s model has %d", a->path, dim, m->config.arch,
                        m->config.dim);
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (strcmp(KINDS[i].kind, a->kind) != 0) continue;
        TRY(KINDS[i].configure(a, m));
        adapter_unknown(a, a->root, TOP_KEYS);
        adapter_unknown(a, config_of(a), KINDS[i].known);
        return OK;
    }
    return err_fail(E_MISMATCH,
                    "%s: architecture is %.40s; read here are bottlenecks (null), lora, prefix_tuning and "
                    "prompt_tuning",
                    a->path, a->kind);
}

const Library LIBRARY_HUB = {.name = "adapters",
                             .title = "adapters",
                             .mark = "config",
                             .weights = {"pytorch_adapter.bin", "adapter.safetensors"},
                             .head = {"pytorch_model_head.bin", "model_head.safetensors"},
                             .stem = "",
                             .identify = identify,
                             .opened = hub_head_open,
                             .reshape = hub_reshape,
                             .configure = configure,
                             .bind = hub_bind,
                             .carried = hub_carried,
                             .describe = hub_describe,
                             .describe_head = hub_describe_head};
