/* Hugging Face PEFT, reading.  Which modules a config means is decided on the names that the library sees, the base
 * model's prefix included; every adapted layer then has tensors under its own name.  AdaLoRA is read as the LoRA that
 * it has become, B diag(E) A with the rows that pruning left, under the scale of the rank before it.
 *
 * Format: huggingface/peft, src/peft/utils/save_and_load.py and the tuners' configs. */
#include <math.h>
#include <string.h>

#include "adapter/hf.h"
#include "adapter/match.h"
#include "base/str.h"
#include "nn/build.h"
#include "nn/config.h"
#include "peft/ia3.h"
#include "peft/lora.h"
#include "peft/place.h"

enum { MOST_RANK = 1 << 16, MOST_TOKENS = 1 << 20 };

static Status identify(Adapter *a)
{
    TRY(json_text(&a->kind, a->root, "peft_type", a->path));
    TRY(json_text(&a->base, a->root, "base_model_name_or_path", a->path));
    a->name = "default";
    return a->kind ? OK : err_fail(E_FORMAT, "%s: peft_type is null", a->path);
}

/* ---- LoRA and its relatives */

/* The number that a pattern gives a linear layer: that of the first key which its name, or an end of it behind a dot,
 * matches.  Ranks and alphas are looked up each alone, as PEFT does from 0.14 on. */
static Status pattern_of(double *value, bool *any, const Adapter *a, const char *patterns, const Linear *l)
{
    const char *name = hf_module(a, l);
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(a->root, patterns), *j;
    if (!adapter_json_is_set(a->root, patterns)) return OK;
    if (!cJSON_IsObject(object)) return err_fail(E_FORMAT, "%s: %s is no object", a->path, patterns);
    cJSON_ArrayForEach(j, object)
    {
        bool fits;
        const char *form = str_print(a->run, "(?:.*\\.)?(?:%s)$", j->string);
        TRY(match_regex(&fits, NULL, form, false, name, a->path, patterns));
        if (!fits) continue;
        if (!cJSON_IsNumber(j))
            return err_fail(E_FORMAT, "%s: %s['%.60s'] is not a number", a->path, patterns, j->string);
        *value = j->valuedouble;
        *any = true;
        return OK;
    }
    return OK;
}

static Status rule_for(LoraRule *r, bool *any, const Adapter *a, const Linear *l)
{
    double rank = r->rank;
    *any = false;
    TRY(pattern_of(&rank, any, a, "rank_pattern", l));
    TRY(pattern_of(&r->alpha, any, a, "alpha_pattern", l));
    if (rank != floor(rank) || rank < 1 || rank > MOST_RANK)
        return err_fail(E_FORMAT, "%s: rank_pattern gives %s the rank %g, expected 1 to %d", a->path, l->name, rank,
                        MOST_RANK);
    r->rank = (int)rank;
    return OK;
}

static Status set_rules(Adapter *a, const Linear **target, int n)
{
    LoraRule *rules = NEW(a->run, LoraRule, n);
    PeftConfig *c = &a->cfg;
    for (int i = 0; i < n; i++) {
        LoraRule *r = &rules[c->n_rules];
        bool any;
        *r = (LoraRule){target[i]->name, c->rank, c->alpha};
        TRY(rule_for(r, &any, a, target[i]));
        c->n_rules += any;
    }
    c->rules = rules;
    return OK;
}

static Status set_bias(Adapter *a)
{
    static const char *const MODES[] = {"none", "all", "lora_only"};
    const char *bias = "none";
    TRY(json_text(&bias, a->root, "bias", a->path));
    for (int i = 0; i < 3; i++)
        if (!strcmp(bias, MODES[i])) {
            a->cfg.bias = (BiasMode)i;
            return OK;
        }
    return err_fail(E_FORMAT, "%s: bias is '%.30s', expected none, all or lora_only", a->path, bias);
}

/* Starts that take a part out of the base weights: attaching takes it out again, as PEFT does when it reads such a
 * file.  Others do so by a rule that is not here. */
static Status read_start(Adapter *a)
{
    const cJSON *start = cJSON_GetObjectItemCaseSensitive(a->root, "init_lora_weights");
    if (!cJSON_IsString(start) || str_glob("gaussian|eva|orthogonal|true", start->valuestring)) return OK;
    if (!strcmp(start->valuestring, "pissa") || !strcmp(start->valuestring, "olora")) {
        a->cfg.init = start->valuestring[0] == 'p' ? START_PISSA : START_OLORA;
        adapter_remark(a, "init_lora_weights is %s: its first product is taken out of the base weights, as PEFT does",
                       start->valuestring);
        return OK;
    }
    return err_fail(
        E_MISMATCH,
        "%s: init_lora_weights is '%.30s': the adapter is relative to a base that was changed at the start", a->path,
        start->valuestring);
}

/* Rejects settings of PEFT that this program does not support, each with its reason. */
static Status refuse_all(Adapter *a)
{
    static const struct {
        const char *key, *why;
    } REFUSED[] = {{"layer_replication", "the base model's layers were repeated"},
                   {"loftq_config", "the base model's weights were quantised"},
                   {"target_parameters", "parameters outside linear layers were adapted"},
                   {"megatron_config", "the base model is split over machines"},
                   {"alora_invocation_tokens", "the adapter acts on part of the text only"},
                   {"use_qalora", "the base model's weights were quantised"},
                   {"use_bdlora", "the factors are block-diagonal"},
                   {"arrow_config", "several adapters are mixed"}};
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++)
        TRY(adapter_refuse(a, a->root, REFUSED[i].key, REFUSED[i].why));
    return read_start(a);
}

/* The names of the targets, of the layers or outside them. */
static const char *names_of(const Adapter *a, const Linear **target, int n, bool outer)
{
    const char **name = NEW(a->run, const char *, n + 1);
    int found = 0;
    for (int i = 0; i < n; i++)
        if (lora_is_outer(target[i]) == outer) name[found++] = target[i]->name;
    return adapter_name_list(a->run, name, found);
}

static bool is_adapted(const Adapter *a, const PeftConfig *c, const char *table)
{
    return str_glob(c->tables, str_copy(a->run, table, strlen(table) - strlen(".weight")));
}

/* The setting that both keep: a head and a table that are adapted together. */
static Status set_targets(Adapter *a, const Model *m, const Linear **target, int n)
{
    PeftConfig *c = &a->cfg;
    c->target = names_of(a, target, n, false);
    c->tables = names_of(a, target, n, true);
    if (!*c->tables) c->tables = NULL;
    if (c->tables && cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(a->root, "ensure_weight_tying")))
        return err_fail(E_MISMATCH, "%s: ensure_weight_tying is set, which is not supported for adapted tables",
                        a->path);
    const Alias *tied = build_tied_head(m->arch);
    c->merge_tied = c->tables && tied && m->config.tie_head && !m->config.no_lm_head && !m->arch->encode &&
                    (is_adapted(a, c, tied->name) || is_adapted(a, c, tied->file));
    if (c->merge_tied)
        adapter_remark(a,
                       "%s and %s are one tensor in the base and two with the adapter; merging changes both, as "
                       "PEFT's merge_and_unload() does",
                       tied->name, tied->file);
    if (c->tables && c->dropout > 0)
        adapter_remark(a, "lora_dropout %g acts in training only, and not on %s here", c->dropout, c->tables);
    return OK;
}

/* Reads the settings of LoRA or DoRA, and the linear layers with their ranks. */
static Status configure_lora(Adapter *a, const Model *m)
{
    const Linear **target;
    int n;
    bool dora = false;
    PeftConfig *c = &a->cfg;
    TRY(refuse_all(a));
    TRY(hf_targets(&target, &n, a, m, true));
    TRY(json_bool(&dora, a->root, "use_dora", a->path));
    TRY(json_int(&c->rank, a->root, "r", 1, MOST_RANK, a->path));
    TRY(json_real(&c->alpha, a->root, "lora_alpha", -1e9, 1e9, a->path));
    TRY(json_real(&c->dropout, a->root, "lora_dropout", 0, 0.999, a->path));
    TRY(json_bool(&c->rslora, a->root, "use_rslora", a->path));
    TRY(json_bool(&c->lora_bias, a->root, "lora_bias", a->path));
    TRY(set_bias(a));
    TRY(set_targets(a, m, target, n));
    TRY(hf_tokens(a, m));
    if (dora) a->method = peft_find("dora");
    return set_rules(a, target, n);
}

/* Rows that pruning left a layer: as many as its rank_pattern has true, or all of init_r where it has none. */
static Status rows_left(int *rows, const Adapter *a, const Linear *l, int init_r)
{
    static const char *const FORMS[] = {"%s%s.lora_E", "base_model.model.%s%s.lora_E", "%s%s.lora_E.default",
                                        "base_model.model.%s%s.lora_E.default"};
    const cJSON *patterns = cJSON_GetObjectItemCaseSensitive(a->root, "rank_pattern"), *kept = NULL, *one;
    const char *name = hf_tensor(a, l, "lora_A");
    const Stored *s = adapter_stored(a, name);
    for (size_t i = 0; i < sizeof FORMS / sizeof *FORMS && !kept; i++)
        kept = cJSON_GetObjectItemCaseSensitive(patterns, str_print(a->run, FORMS[i], a->prefix, l->name));
    *rows = kept ? 0 : init_r;
    cJSON_ArrayForEach(one, kept) *rows += cJSON_IsTrue(one);
    if (s && s->rank == 2 && s->dim[0] == *rows) return OK;
    return err_fail(E_MISMATCH, "%s: tensor '%s' is %s, expected a matrix of %d rows, as %s has it",
                    weights_path(a->weights), name, s ? stored_shape(s) : "missing", *rows,
                    kept ? "rank_pattern" : "init_r");
}

/* alpha / (r + 1e-5), r being the rank before pruning: the library keeps the scale that the rows were trained with.
 * A linear layer that lost all its rows is left as it is. */
static Status configure_adalora(Adapter *a, const Model *m)
{
    const Linear **target;
    int n, init_r = 12, rows;
    double alpha = 8;
    PeftConfig *c = &a->cfg;
    TRY(hf_targets(&target, &n, a, m, true));
    TRY(json_int(&init_r, a->root, "init_r", 1, MOST_RANK, a->path));
    TRY(json_real(&alpha, a->root, "lora_alpha", -1e9, 1e9, a->path));
    TRY(json_real(&c->dropout, a->root, "lora_dropout", 0, 0.999, a->path));
    TRY(set_bias(a));
    LoraRule *rules = NEW(a->run, LoraRule, n);
    for (int i = 0; i < n; i++) {
        TRY(rows_left(&rows, a, target[i], init_r));
        double scale = (alpha > 0 ? alpha : rows) / (init_r + 1e-5);
        if (!rows) continue;
        target[c->n_rules] = target[i];
        rules[c->n_rules++] = (LoraRule){target[i]->name, rows, scale * rows};
    }
    if (!c->n_rules) return err_fail(E_MISMATCH, "%s: rank_pattern leaves no linear layer a rank above 0", a->path);
    c->rules = rules;
    TRY(set_targets(a, m, target, c->n_rules));
    adapter_remark(a, "AdaLoRA is read as the LoRA it has become: its ranks are fixed from here on");
    return OK;
}

/* Reads the settings of VeRA, whose shared projections must be in the file. */
static Status configure_vera(Adapter *a, const Model *m)
{
    const Linear **target;
    int n;
    bool saved = true;
    TRY(json_bool(&saved, a->root, "save_projection", a->path));
    if (!saved)
        return err_fail(
            E_MISMATCH,
            "%s: save_projection is false: the shared projections come from another generator and are not "
            "in the file",
            a->path);
    TRY(hf_targets(&target, &n, a, m, false));
    TRY(json_int(&a->cfg.rank, a->root, "r", 1, MOST_RANK, a->path));
    TRY(json_real(&a->cfg.dropout, a->root, "vera_dropout", 0, 0.999, a->path));
    TRY(set_bias(a));
    if (a->cfg.bias) return err_fail(E_MISMATCH, "%s: bias is not none, which VeRA has no place for here", a->path);
    a->cfg.target = names_of(a, target, n, false);
    const Stored *shared = adapter_stored(a, "base_model.vera_A");
    if (!shared || shared->rank != 2 || shared->dim[0] != a->cfg.rank) /* it is frozen, so nothing else counts it */
        return err_fail(E_MISMATCH, "%s: r is %d, and tensor 'base_model.vera_A' is %s", a->path, a->cfg.rank,
                        shared ? stored_shape(shared) : "missing");
    return OK;
}

static bool is_named(const char *name, const char *end)
{
    size_t n = strlen(name), k = strlen(end);
    return n > k && !strcmp(name + n - k, end);
}

/* An expression for the whole name, or a list of its ends, behind a dot or not. */
static Status is_feed_forward(bool *out, const Adapter *a, const char *name)
{
    const cJSON *given = cJSON_GetObjectItemCaseSensitive(a->root, "feedforward_modules"), *one;
    if (!cJSON_IsArray(given)) return match_modules(out, a->root, "feedforward_modules", name, a->path);
    *out = false;
    cJSON_ArrayForEach(one, given)
    {
        if (!cJSON_IsString(one))
            return err_fail(E_FORMAT, "%s: feedforward_modules holds something that is no text", a->path);
        *out |= is_named(name, one->valuestring);
    }
    return OK;
}

/* Reads the linear layers of (IA)3, and whether each is scaled at its input or its output. */
static Status configure_ia3(Adapter *a, const Model *m)
{
    const Linear **target;
    int n;
    TRY(hf_targets(&target, &n, a, m, false));
    const char **name = NEW(a->run, const char *, n);
    for (int i = 0; i < n; i++) {
        const Linear *l = target[i];
        const char *full = hf_module(a, l);
        bool input;
        TRY(is_feed_forward(&input, a, full));
        const char *what = ia3_what(l->at.site, input);
        if (!what)
            return err_fail(E_MISMATCH, "%s: feedforward_modules holds %s, whose input others read, too", a->path,
                            full);
        name[i] = str_print(a->run, "%s.layer.%d.%s", part_name(l->at.part), l->at.layer, what);
    }
    a->cfg.target = adapter_name_list(a->run, name, n);
    return OK;
}

/* ---- norms and rows */

/* Reads the norms that LN tuning trains: those of the targets that are vectors. */
static Status configure_norms(Adapter *a, const Model *m)
{
    Buf target = buf_open(a->run);
    for (int i = 0; i < params_n(m->params); i++) {
        Param *p = params_at(m->params, i);
        bool wanted;
        if (p->val.rank != 1 || !is_named(p->name, ".weight")) continue;
        Linear l = {.name = str_copy(a->run, p->name, strlen(p->name) - strlen(".weight")),
                    .at = {SITE_COUNT, LAYER_EMBED, PART_ANY},
                    .w = p,
                    .out = p->val.dim[0]};
        TRY(hf_is_target(&wanted, a, m, &l));
        if (wanted) buf_print(&target, "%s%s.weight|%s.bias", target.len ? "|" : "", l.name, l.name);
    }
    a->cfg.target = target.text;
    return target.len
               ? OK
               : err_fail(E_MISMATCH, "%s: target_modules matches no norm of this %s model", a->path, m->config.arch);
}

static Status configure_tokens(Adapter *a, const Model *m)
{
    return hf_tokens(a, m);
}

/* ---- virtual tokens */

static Status transformers(Adapter *a, const Model *m)
{
    a->stride = m->arch->encode ? 2 : 1;
    return json_int(&a->stride, a->root, "num_transformer_submodules", 1, 2, a->path);
}

/* Reads the settings of prefix tuning, and checks them against the model's layers and hidden size. */
static Status configure_prefix(Adapter *a, const Model *m)
{
    Part part = m->decoder ? PART_DECODER : PART_ENCODER;
    int layers = m->config.layers, width = place_width(m, (Where){.layer = 0, .part = part}), dim = width;
    PeftConfig *c = &a->cfg;
    TRY(adapter_refuse_window(a, m));
    TRY(transformers(a, m));
    TRY(json_int(&c->length, a->root, "num_virtual_tokens", 1, MOST_TOKENS, a->path));
    TRY(json_int(&layers, a->root, "num_layers", 1, 4096, a->path));
    TRY(json_int(&dim, a->root, "token_dim", 1, 1 << 24, a->path));
    if (dim != width || layers < model_layers(m, part))
        return err_fail(E_MISMATCH,
                        "%s: num_layers %d and token_dim %d, but this %s model has %d layers and keys of %d", a->path,
                        layers, dim, m->config.arch, model_layers(m, part), width);
    a->slots = 2 * layers;
    memset(c->on, 0, sizeof c->on);
    c->on[part] = true; /* of an encoder-decoder, the decoder's self-attention alone */
    c->shift_positions = true;
    return OK;
}

static Status configure_prompt(Adapter *a, const Model *m)
{
    int dim = m->config.dim;
    TRY(transformers(a, m));
    TRY(json_int(&a->cfg.length, a->root, "num_virtual_tokens", 1, MOST_TOKENS, a->path));
    TRY(json_int(&dim, a->root, "token_dim", 1, 1 << 24, a->path));
    if (dim != m->config.dim)
        return err_fail(E_MISMATCH, "%s: token_dim is %d, this %s model has %d", a->path, dim, m->config.arch,
                        m->config.dim);
    a->cfg.read_prompt = m->config.classes > 0;
    if (!strcmp(a->kind, "P_TUNING")) adapter_remark(a, "P-tuning is read as the prompt that its encoder has made");
    return OK;
}

/* ---- all of them */

#define COMMON                                                                                                       \
    "peft_type", "task_type", "auto_mapping", "base_model_name_or_path", "revision", "inference_mode",               \
        "peft_version", "modules_to_save"
#define TUNED "target_modules", "exclude_modules", "bias", "layers_to_transform", "layers_pattern", "fan_in_fan_out"
static const char *const LORA_KEYS[] = {COMMON,
                                        TUNED,
                                        "r",
                                        "lora_alpha",
                                        "lora_dropout",
                                        "use_rslora",
                                        "use_dora",
                                        "lora_bias",
                                        "trainable_token_indices",
                                        "ensure_weight_tying",
                                        "qalora_group_size",
                                        "rank_pattern",
                                        "alpha_pattern",
                                        "megatron_core",
                                        "init_lora_weights",
                                        "eva_config",
                                        NULL};
static const char *const ADALORA_KEYS[] = {COMMON,
                                           TUNED,
                                           "r",
                                           "init_r",
                                           "target_r",
                                           "lora_alpha",
                                           "lora_dropout",
                                           "tinit",
                                           "tfinal",
                                           "deltaT",
                                           "beta1",
                                           "beta2",
                                           "total_step",
                                           "orth_reg_weight",
                                           "rank_pattern",
                                           "megatron_core",
                                           "init_lora_weights",
                                           NULL};
static const char *const VERA_KEYS[] = {
    COMMON, TUNED, "r", "d_initial", "vera_dropout", "projection_prng_key", "save_projection", "init_weights", NULL};
static const char *const IA3_KEYS[] = {COMMON, TUNED, "feedforward_modules", "init_ia3_weights", NULL};
static const char *const NORM_KEYS[] = {COMMON, "target_modules", "exclude_modules", NULL};
static const char *const TOKEN_KEYS[] = {COMMON, "target_modules", "token_indices", "init_weights", NULL};
static const char *const VIRTUAL_KEYS[] = {COMMON,
                                           "num_virtual_tokens",
                                           "token_dim",
                                           "num_transformer_submodules",
                                           "num_attention_heads",
                                           "num_layers",
                                           "encoder_hidden_size",
                                           "prefix_projection",
                                           "init_weights",
                                           "prompt_tuning_init",
                                           "prompt_tuning_init_text",
                                           "tokenizer_name_or_path",
                                           "tokenizer_kwargs",
                                           "encoder_reparameterization_type",
                                           "encoder_num_layers",
                                           "encoder_dropout",
                                           NULL};

static const struct {
    const char *kind, *method;
    Status (*configure)(Adapter *, const Model *);
    const char *const *known;
    bool targets; /* adapts target_modules */
} KINDS[] = {{"LORA", "lora", configure_lora, LORA_KEYS, true},
             {"ADALORA", "lora", configure_adalora, ADALORA_KEYS, true},
             {"VERA", "vera", configure_vera, VERA_KEYS, true},
             {"IA3", "ia3", configure_ia3, IA3_KEYS, true},
             {"LN_TUNING", "norms", configure_norms, NORM_KEYS, true},
             {"TRAINABLE_TOKENS", "tokens", configure_tokens, TOKEN_KEYS, false},
             {"PREFIX_TUNING", "prefix", configure_prefix, VIRTUAL_KEYS, false},
             {"PROMPT_TUNING", "prompt", configure_prompt, VIRTUAL_KEYS, false},
             {"P_TUNING", "prompt", configure_prompt, VIRTUAL_KEYS, false}};

/* The other methods of PEFT 0.21. */
static const struct {
    const char *kind, *what;
} OTHERS[] = {{"ADAMSS", "adapted subspaces of the weights"},
              {"ADAPTION_PROMPT", "gated prompts inside the layers (LLaMA-Adapter)"},
              {"BEFT", "trained biases of projections"},
              {"BOFT", "butterfly products of rotations"},
              {"BONE", "block-wise sums of inputs"},
              {"C3A", "circular convolutions"},
              {"CARTRIDGE", "a trained cache of keys and values"},
              {"CPT", "context-aware prompts"},
              {"DEFT", "decomposed fine-tuning of the weights"},
              {"DELORA", "normalised low-rank products"},
              {"FOURIERFT", "trained Fourier coefficients of a weight"},
              {"FROD", "trained entries of shared decompositions"},
              {"GLORA", "generalised low-rank changes"},
              {"GRALORA", "block-wise low-rank products"},
              {"HIRA", "Hadamard products with the base weight"},
              {"HRA", "Householder reflections"},
              {"LILY", "low-rank products that layers share"},
              {"LOHA", "Hadamard products of low-rank matrices"},
              {"LOKR", "Kronecker products"},
              {"MISS", "sums over shards of the input"},
              {"MULTITASK_PROMPT_TUNING", "prompts made of several tasks'"},
              {"OFT", "block-diagonal rotations"},
              {"OSF", "orthogonal subspaces of the weights"},
              {"PEANUT", "small networks applied to the weights"},
              {"POLY", "a mixture of several adapters"},
              {"PSOFT", "rotations in a principal subspace"},
              {"PVERA", "sampled VeRA vectors"},
              {"RANDLORA", "sums of random low-rank products"},
              {"ROAD", "rotations of pairs of outputs"},
              {"SHADOW", "a second network beside the base"},
              {"SHIRA", "sparse entries of a weight"},
              {"SUPERTUNING", "a method of the newest releases"},
              {"TINYLORA", "a few shared numbers in a fixed basis"},
              {"UNILORA", "one shared vector of parameters"},
              {"VBLORA", "a shared bank of vectors"},
              {"WAVEFT", "trained wavelet coefficients of a weight"},
              {"XLORA", "a mixture of several adapters"}};

static Status other_kind(const Adapter *a)
{
    Buf read = buf_open(a->run);
    const char *what = NULL;
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) buf_print(&read, "%s%s", i ? ", " : "", KINDS[i].kind);
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++)
        if (!strcmp(OTHERS[i].kind, a->kind)) what = OTHERS[i].what;
    return err_fail(E_MISMATCH, "%s: peft_type is %.40s%s%s%s, which is not supported; supported are %s", a->path,
                    a->kind, what ? " (" : "", what ? what : "", what ? ")" : "", read.text);
}

/* A class head that the adapter was trained with has to come along: without it the labels would be noise.  Beside
 * TRAINABLE_TOKENS the library trains none. */
static Status check_head(const Adapter *a, const Model *m)
{
    const char *task = "";
    TRY(json_text(&task, a->root, "task_type", a->path));
    if (strcmp(task, "SEQ_CLS") != 0 || adapter_classes(a) || !strcmp(a->kind, "TRAINABLE_TOKENS")) return OK;
    if (m->config.classes)
        return err_fail(E_MISMATCH, "%s: task_type is SEQ_CLS, and %s has no classification head", a->path,
                        weights_path(a->weights));
    return OK;
}

/* Finds the method of the peft_type and reads its settings; unknown settings become remarks. */
static Status configure(Adapter *a, const Model *m)
{
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (strcmp(KINDS[i].kind, a->kind) != 0) continue;
        a->method = peft_find(KINDS[i].method);
        a->method->defaults(&a->cfg, &m->config);
        TRY(check_head(a, m));
        if (KINDS[i].targets) TRY(hf_defaults(a, m));
        TRY(KINDS[i].configure(a, m));
        adapter_unknown(a, a->root, KINDS[i].known);
        return OK;
    }
    return other_kind(a);
}

const Library LIBRARY_HF = {.name = "hf",
                            .wrapped = true,
                            .title = "Hugging Face PEFT",
                            .mark = "peft_type",
                            .weights = {"adapter_model.safetensors", "adapter_model.bin"},
                            .stem = "base_model.model.",
                            .identify = identify,
                            .reshape = hf_resize,
                            .configure = configure,
                            .prepare = hf_prepare,
                            .bind = hf_bind,
                            .carried = hf_carried,
                            .describe = hf_describe};
