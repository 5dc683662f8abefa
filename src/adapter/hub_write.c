/* adapter-hub/adapters, writing configs.  The library's flags adapt the same linear layers everywhere but in
 * leave_out: the adapted places are checked layer by layer and refused, by name, where flags
 * cannot say it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "adapter/hub.h"
#include "base/str.h"
#include "nn/build.h"
#include "nn/config.h"
#include "peft/ia3.h"
#include "peft/lora.h"
#include "peft/place.h"

/* ---- columns: the places of a layer that can be adapted */

enum { MOST_COLUMNS = 5 };
typedef struct {
    int n, shared; /* columns; the first so many exist at cross-attention, too */
    const char *name[MOST_COLUMNS];
    bool (*wants)(const Adapter *, Where, int column);
    bool self[MOST_COLUMNS], cross[MOST_COLUMNS]; /* found: adapted in some layer */
} Columns;

static bool any_in_layer(const Adapter *a, const Columns *c, Where at)
{
    for (int i = 0; i < (at.part == PART_CROSS ? c->shared : c->n); i++)
        if (c->wants(a, at, i)) return true;
    return false;
}

/* Calls for every place that the model has, turned on or not. */
#define EACH_PLACE(m, at)                                                                                            \
    for (Where at = {.layer = 0, .part = 0}; at.part < PART_COUNT; at.part++)                                        \
        for (at.layer = 0; at.layer < model_layers(m, at.part); at.layer++)

static bool layer_is_out(const Adapter *a, const Columns *c, int number)
{
    EACH_PLACE(a->model, at) if (hub_layer(a->model, at) == number && any_in_layer(a, c, at)) return false;
    return true;
}

/* Fills self, cross and leave_out; E_MISMATCH names the first place that the flags would adapt and we do not. */
static Status read_columns(Adapter *a, Columns *c, cJSON *leave_out)
{
    const Model *m = a->model;
    EACH_PLACE(m, at)
    for (int i = 0; i < (at.part == PART_CROSS ? c->shared : c->n); i++)
        if (c->wants(a, at, i)) (at.part == PART_CROSS ? c->cross : c->self)[i] = true;
    int layers = model_layers(m, PART_ENCODER) + model_layers(m, PART_DECODER);
    for (int l = 0; l < layers; l++)
        if (layer_is_out(a, c, l)) cJSON_AddItemToArray(leave_out, cJSON_CreateNumber(l));
    EACH_PLACE(m, at)
    for (int i = 0; i < (at.part == PART_CROSS ? c->shared : c->n); i++) {
        bool flagged = (at.part == PART_CROSS ? c->cross : c->self)[i];
        if (flagged && !c->wants(a, at, i) && !layer_is_out(a, c, hub_layer(m, at)))
            return err_fail(
                E_MISMATCH,
                "%s: %s of layer %d, %s, is not adapted; the adapters library adapts it in every layer or none",
                a->method->name, c->name[i], at.layer, part_name(at.part));
    }
    return OK;
}

/* ---- bottlenecks */

static bool has_sub(const Adapter *a, Where at, int column)
{
    return place_find(a->model, a->method->name, at, column ? "ffn.up.weight" : "attn.up.weight") != NULL;
}

static const char *act_name(Act act)
{
    for (const struct HubAct *h = HUB_ACTS; h->name; h++)
        if (h->act == act) return h->name;
    return "relu";
}

/* The library takes no integer for a scaling. */
static void put_scaling(const Adapter *a, cJSON *c)
{
    const PeftConfig *cfg = &a->cfg;
    const char *number = str_print(a->run, "%.17g", cfg->scale);
    if (cfg->scaling)
        config_put(c, "scaling", cfg->scaling == SCALE_LEARNED ? "learned" : "channel");
    else
        cJSON_AddRawToObject(c, "scaling", strpbrk(number, ".e") ? number : str_print(a->run, "%s.0", number));
}

/* A factor whose quotient, rounded down, is the width. */
static double factor_for(int dim, int width)
{
    return dim % width ? dim / (width + 0.5) : dim / width;
}

static int width_at(const Adapter *a, Where at, const char *sub)
{
    const Param *p = place_find(a->model, a->method->name, at, str_print(a->run, "%s.down.weight", sub));
    return p ? (int)p->val.dim[0] : 0;
}

/* One factor for all, or one by layer: attention, cross-attention and feed-forward of a layer share theirs. */
static Status put_factors(const Adapter *a, cJSON *c)
{
    const Model *m = a->model;
    int layers = model_layers(m, PART_ENCODER) + model_layers(m, PART_DECODER), first = 0;
    int *width = NEW(a->run, int, layers + 1);
    bool same = true;
    EACH_PLACE(m, at)
    for (int sub = 0; sub < 2; sub++) {
        int w = width_at(a, at, sub ? "ffn" : "attn"), *of = &width[hub_layer(m, at)];
        if (!w) continue;
        if (*of && *of != w)
            return err_fail(E_MISMATCH, "%s: widths %d and %d in layer %d; the adapters library has one for a layer",
                            a->method->name, *of, w, hub_layer(m, at));
        *of = w;
        if (!first) first = w;
        same &= w == first;
    }
    if (same) {
        cJSON_AddNumberToObject(c, "reduction_factor", factor_for(m->config.dim, first ? first : 1));
        return OK;
    }
    cJSON *factors = cJSON_AddObjectToObject(c, "reduction_factor");
    for (int l = 0; l < layers; l++)
        if (width[l])
            cJSON_AddNumberToObject(factors, str_print(a->run, "%d", l), factor_for(m->config.dim, width[l]));
    cJSON_AddNumberToObject(factors, "default", factor_for(m->config.dim, first));
    return OK;
}

/* Writes the settings of a bottleneck adapter for the adapters library. */
static Status describe_bottleneck(Adapter *a, cJSON *c, bool parallel, bool sum)
{
    static const char *const STARTS[] = {"bert", "mam_adapter"};
    static const char *const OFF[] = {"phm_layer", "use_gating", "adapter_residual_before_ln"};
    const PeftConfig *cfg = &a->cfg;
    Columns col = {.n = 2, .shared = 1, .name = {"attention", "feed-forward"}, .wants = has_sub};
    TRY(read_columns(a, &col, cJSON_AddArrayToObject(c, "leave_out")));
    cJSON_AddBoolToObject(c, "mh_adapter", col.self[0]);
    cJSON_AddBoolToObject(c, "output_adapter", col.self[1]);
    cJSON_AddBoolToObject(c, "cross_adapter", col.cross[0]);
    cJSON_AddBoolToObject(c, "is_parallel", parallel);
    cJSON_AddBoolToObject(c, "original_ln_before", sum);
    cJSON_AddBoolToObject(c, "original_ln_after", true);
    cJSON_AddBoolToObject(c, "ln_before", cfg->norm_before);
    cJSON_AddBoolToObject(c, "ln_after", cfg->norm_after);
    if (cfg->residual == RESIDUAL_SUM)
        config_put(c, "residual_before_ln", "post_add");
    else
        cJSON_AddBoolToObject(c, "residual_before_ln", cfg->residual == RESIDUAL_OUTPUT);
    config_put(c, "non_linearity", act_name(cfg->act));
    TRY(put_factors(a, c));
    put_scaling(a, c);
    config_put(c, "init_weights", STARTS[parallel]);
    cJSON_AddNumberToObject(c, "dropout", cfg->dropout);
    for (int i = 0; i < 3; i++) cJSON_AddBoolToObject(c, OFF[i], false);
    cJSON_AddNullToObject(c, "inv_adapter");
    return OK;
}

static Status describe_houlsby(Adapter *a, cJSON *c)
{
    return describe_bottleneck(a, c, false, false);
}

static Status describe_pfeiffer(Adapter *a, cJSON *c)
{
    return describe_bottleneck(a, c, false, true);
}

static Status describe_parallel(Adapter *a, cJSON *c)
{
    return describe_bottleneck(a, c, true, false);
}

/* ---- LoRA and IA3 */

enum { N_COLUMNS = 5 };
static Site column_site(const Model *m, int column)
{
    static const Site ATTENTION[] = {SITE_Q, SITE_K, SITE_V};
    return column < 3 ? ATTENTION[column] : hub_feed_forward(m, column - 3);
}

static bool has_column(const Model *m, Site site)
{
    for (int i = 0; i < N_COLUMNS; i++)
        if (column_site(m, i) == site) return true;
    return false;
}

static bool has_lora(const Adapter *a, Where at, int column)
{
    const Linear *l = model_linear(a->model, place_at(at, column_site(a->model, column)));
    return l && param_find(a->model->params, lora_name(a->model, a->method->name, l, "A"));
}

static bool has_ia3(const Adapter *a, Where at, int column)
{
    const char *what = ia3_what(column_site(a->model, column), false);
    return what && place_find(a->model, "ia3", at, what);
}

/* The flags of LoRA and IA3: which of queries, keys, values and feed-forward layers are adapted, and which layers
 * are left out. */
static Status put_columns(Adapter *a, cJSON *c, bool (*wants)(const Adapter *, Where, int))
{
    static const char *const LETTER[] = {"q", "k", "v"};
    Columns col = {.n = N_COLUMNS,
                   .shared = 3,
                   .name = {"query", "key", "value", "first feed-forward layer", "second feed-forward layer"},
                   .wants = wants};
    TRY(read_columns(a, &col, cJSON_AddArrayToObject(c, "leave_out")));
    cJSON *letters = cJSON_AddArrayToObject(c, "attn_matrices");
    bool any = false;
    for (int i = 0; i < 3; i++) {
        if (model_layers(a->model, PART_CROSS) && col.self[i] != col.cross[i])
            return err_fail(E_MISMATCH, "%s: %s is adapted in %s-attention alone; the adapters library adapts both",
                            a->method->name, col.name[i], col.self[i] ? "self" : "cross");
        if (col.self[i]) cJSON_AddItemToArray(letters, cJSON_CreateString(LETTER[i]));
        any |= col.self[i];
    }
    cJSON_AddBoolToObject(c, "selfattn_lora", any);
    cJSON_AddBoolToObject(c, "intermediate_lora", col.self[3]);
    cJSON_AddBoolToObject(c, "output_lora", col.self[4]);
    config_put(c, "architecture", "lora");
    cJSON_AddBoolToObject(c, "use_gating", false);
    cJSON_AddNullToObject(c, "dtype");
    return OK;
}

/* The library's DoRA is ours with plain_norm, which is the same where the scale is 1 and there are no biases. */
static Status check_dora(Adapter *a)
{
    const PeftConfig *c = &a->cfg;
    for (const Linear *l = NULL; (l = lora_next(a->model, c, l));)
        if (lora_scale(c, l) != 1 || l->b)
            return adapter_differs(a, "dora: the adapters library's norm leaves out the scale of B A, and it scales "
                                      "biases; it will answer differently");
    return OK;
}

/* Writes the settings of LoRA or DoRA for the adapters library, which has one rank and scale for all layers. */
static Status describe_lora(Adapter *a, cJSON *c)
{
    const PeftConfig *cfg = &a->cfg;
    const Linear *first = lora_next(a->model, cfg, NULL);
    int rank = lora_rank(cfg, first);
    if (cfg->bias || cfg->lora_bias)
        return err_fail(E_MISMATCH, "bias: the adapters library has no place for trained biases");
    if (cfg->tables || cfg->tokens || cfg->init >= START_PISSA)
        return err_fail(E_MISMATCH, "%s: the adapters library has no place for it",
                        cfg->tables   ? "tables"
                        : cfg->tokens ? "tokens"
                                      : "init");
    for (const Linear *l = NULL; (l = lora_next(a->model, cfg, l));) {
        if (!has_column(a->model, l->at.site))
            return err_fail(E_MISMATCH,
                            "%s: the adapters library has no LoRA on this layer; it adapts queries, keys, values and "
                            "two layers of the feed-forward",
                            l->name);
        if (lora_rank(cfg, l) != rank || lora_scale(cfg, l) != lora_scale(cfg, first))
            return err_fail(
                E_MISMATCH,
                "rank_pattern or alpha_pattern: %s has rank %d and scale %g, %s %d and %g; the adapters library "
                "has one of each",
                l->name, lora_rank(cfg, l), lora_scale(cfg, l), first->name, rank, lora_scale(cfg, first));
    }
    if (!cfg->plain_norm && param_find(a->model->params, lora_name(a->model, a->method->name, first, "magnitude")))
        TRY(check_dora(a));
    double alpha = cfg->n_rules || cfg->rslora ? lora_scale(cfg, first) * rank : cfg->alpha;
    cJSON_AddNumberToObject(c, "r", rank);
    cJSON_AddNumberToObject(c, "alpha", alpha);
    cJSON_AddNumberToObject(c, "dropout", cfg->dropout);
    config_put(c, "composition_mode", "add");
    config_put(c, "init_weights", "lora");
    if (param_find(a->model->params, lora_name(a->model, a->method->name, first, "magnitude")))
        cJSON_AddBoolToObject(c, "use_dora", true);
    return put_columns(a, c, has_lora);
}

/* Writes the settings of (IA)3 for the adapters library, which scales only some layers' outputs. */
static Status describe_ia3(Adapter *a, cJSON *c)
{
    for (int i = 0; i < a->model->n_linears; i++) {
        const Linear *l = &a->model->linears[i];
        const char *in = ia3_what(l->at.site, true), *out = ia3_what(l->at.site, false);
        bool known = has_column(a->model, l->at.site);
        if ((in && place_find(a->model, "ia3", l->at, in)) ||
            (!known && out && place_find(a->model, "ia3", l->at, out)))
            return err_fail(
                E_MISMATCH,
                "ia3: %s of layer %d, %s: the adapters library scales the outputs of queries, keys, values and "
                "the feed-forward's linear layers, and nothing else",
                in && place_find(a->model, "ia3", l->at, in) ? in : out, l->at.layer, part_name(l->at.part));
    }
    cJSON_AddNumberToObject(c, "r", 1);
    cJSON_AddNumberToObject(c, "alpha", 1);
    cJSON_AddNumberToObject(c, "dropout", 0);
    config_put(c, "composition_mode", "scale");
    config_put(c, "init_weights", "ia3");
    return put_columns(a, c, has_ia3);
}

/* ---- virtual tokens */

/* Writes the settings of prefix tuning for the adapters library, with remarks where it computes differently. */
static Status describe_prefix(Adapter *a, cJSON *c)
{
    const Model *m = a->model;
    const PeftConfig *cfg = &a->cfg;
    Part self = m->decoder ? PART_DECODER : PART_ENCODER;
    TRY(adapter_refuse_window(a, m));
    if (cfg->layers)
        return err_fail(E_MISMATCH, "layers: a prefix in %s alone has no place in the adapters library's files here",
                        cfg->layers);
    if (cfg->kind == PREFIX_TIED) return err_fail(E_MISMATCH, "prefix: the adapters library has no tied prefixes");
    if (!cfg->on[self])
        return err_fail(E_MISMATCH, "prefix: the adapters library always has one for the %s", part_name(self));
    if (cfg->shift_positions)
        TRY(adapter_differs(
            a,
            "prefix: the adapters library does not move the content's positions; trained with PEFT, it will answer "
            "differently there"));
    else if (!cfg->displaced && m->config.rel_buckets)
        TRY(adapter_differs(
            a,
            "prefix: on T5 the adapters library sees content keys %d further right; it will answer differently there",
            cfg->length));
    config_put(c, "architecture", "prefix_tuning");
    cJSON_AddNumberToObject(c, "prefix_length", cfg->length);
    cJSON_AddNumberToObject(c, "bottleneck_size", cfg->width);
    cJSON_AddBoolToObject(c, "flat", cfg->kind == PREFIX_FREE);
    cJSON_AddBoolToObject(c, "encoder_prefix", !m->arch->encode || cfg->on[PART_ENCODER]);
    cJSON_AddBoolToObject(c, "cross_prefix", !m->arch->encode || cfg->on[PART_CROSS]);
    cJSON_AddArrayToObject(c, "leave_out");
    config_put(c, "non_linearity", "tanh");
    cJSON_AddNumberToObject(c, "dropout", 0);
    cJSON_AddBoolToObject(c, "use_gating", false);
    cJSON_AddBoolToObject(c, "shared_gating", true);
    return OK;
}

static Status describe_prompt(Adapter *a, cJSON *c)
{
    if (a->model->decoder)
        return err_fail(E_MISMATCH, "prompt: the adapters library has prompt tuning on encoders only, not on %s",
                        a->model->config.arch);
    if (!a->cfg.late && a->model->config.positions)
        return err_fail(E_MISMATCH,
                        "prompt: the adapters library's joins behind the embedding (late), this one passes it");
    config_put(c, "architecture", "prompt_tuning");
    config_put(c, "combine", "prefix");
    config_put(c, "prompt_init", "random_uniform");
    cJSON_AddNullToObject(c, "prompt_init_text");
    cJSON_AddNumberToObject(c, "prompt_length", a->cfg.length);
    return OK;
}

/* ---- fields of all methods */

static const struct {
    const char *method;
    Status (*describe)(Adapter *, cJSON *);
} METHODS[] = {{"houlsby", describe_houlsby}, {"pfeiffer", describe_pfeiffer}, {"parallel", describe_parallel},
               {"lora", describe_lora},       {"dora", describe_lora},         {"ia3", describe_ia3},
               {"prefix", describe_prefix},   {"prompt", describe_prompt}};

static void describe_model(const Adapter *a, cJSON *root)
{
    cJSON *base = config_write(&a->model->config, a->model->arch);
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(base, "model_type");
    const cJSON *classes = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(base, "architectures"), 0);
    config_put(root, "model_type", cJSON_IsString(type) ? type->valuestring : a->model->config.arch);
    config_put(root, "model_class", cJSON_IsString(classes) ? classes->valuestring : "");
    config_put(root, "model_name", a->base ? a->base : "");
    cJSON_AddNumberToObject(root, "hidden_size", a->model->config.dim);
    config_put(root, "version", "adapters.1.1.0");
    cJSON_Delete(base);
}

Status hub_describe(Adapter *a, cJSON *root)
{
    for (size_t i = 0; i < sizeof METHODS / sizeof *METHODS; i++) {
        if (strcmp(METHODS[i].method, a->method->name) != 0) continue;
        TRY(METHODS[i].describe(a, cJSON_AddObjectToObject(root, "config")));
        if (a->saved_apart)
            TRY(adapter_differs(a,
                                "the head was saved apart from the token table, and the adapters library ties them "
                                "again; it will answer differently"));
        describe_model(a, root);
        config_put(root, "name", a->name);
        return OK;
    }
    return err_fail(
        E_MISMATCH,
        "the adapters library has no method like %s; expected houlsby, pfeiffer, parallel, lora, dora, ia3, "
        "prefix or prompt",
        a->method->name);
}

void hub_describe_head(const Adapter *a, cJSON *root)
{
    describe_model(a, root);
    if (a->hub_head) {
        hub_head_describe(a, root);
        return;
    }
    cJSON_AddNullToObject(root, "config");
    cJSON_AddNullToObject(root, "name");
    cJSON_AddNumberToObject(root, "num_labels", a->model->config.classes);
}
