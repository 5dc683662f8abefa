/* Tables do the work: a Format lists the keys of its family, and reading, writing and range checks follow. */
#include "nn/config.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "io/json.h"
#include "nn/build.h"

const Arch *arch_find(const char *name)
{
    for (const Arch *const *a = arch_begin(); a < arch_end(); a++)
        if (!strcmp((*a)->name, name)) return *a;
    return NULL;
}

int config_room(const Config *c)
{
    const Arch *arch = arch_find(c->arch);
    return arch && arch->room ? arch->room(c) : 0;
}

static const struct {
    const char *name;
    Act act;
} ACTS_HF[] = {{"relu", ACT_RELU},           {"gelu", ACT_GELU},
               {"gelu_new", ACT_GELU_TANH},  {"gelu_pytorch_tanh", ACT_GELU_TANH},
               {"silu", ACT_SILU},           {"swish", ACT_SILU},
               {"tanh", ACT_TANH},           {"gelu_python", ACT_GELU},
               {"gelu_fast", ACT_GELU_TANH}, {"linear", ACT_NONE}};
enum { N_ACTS_HF = sizeof ACTS_HF / sizeof *ACTS_HF };

const char *act_to_hf(Act act)
{
    for (int i = 0; i < N_ACTS_HF; i++)
        if (ACTS_HF[i].act == act) return ACTS_HF[i].name;
    return "linear";
}

Status act_from_hf(Act *out, const char *name, const char *key, const char *path)
{
    for (int i = 0; i < N_ACTS_HF; i++) {
        if (strcmp(ACTS_HF[i].name, name)) continue;
        *out = ACTS_HF[i].act;
        return OK;
    }
    return err_fail(E_FORMAT, "%s: %s is '%.30s', known are relu, gelu, gelu_new, silu, tanh, linear", path, key,
                    name);
}

/* Of several end tokens, as Llama 3 has them, the first is the one of the config; generation knows them all. */
static const cJSON *first_id(const cJSON *root, const char *key)
{
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(root, key);
    return cJSON_IsArray(j) && str_glob("eos_token_id", key) ? cJSON_GetArrayItem(j, 0) : NULL;
}

static Status read_first_id(int *out, const Field *f, const cJSON *id, const char *path)
{
    if (!cJSON_IsNumber(id) || !(id->valuedouble >= f->least && id->valuedouble <= f->most))
        return err_fail(E_FORMAT, "%s: %s is a list, but not of token ids", path, f->key);
    *out = (int)id->valuedouble;
    return OK;
}

static Status read_field(Config *c, const Field *f, const cJSON *root, const char *path)
{
    void *at = (char *)c + f->offset;
    const char *text = NULL;
    const cJSON *id = first_id(root, f->key);
    if (id && f->kind == FIELD_INT) return read_first_id(at, f, id, path);
    switch (f->kind) {
    case FIELD_INT: return json_int(at, root, f->key, (int)f->least, (int)f->most, path);
    case FIELD_REAL: return json_real(at, root, f->key, f->least, f->most, path);
    case FIELD_BOOL: return json_bool(at, root, f->key, path);
    case FIELD_ACT: TRY(json_text(&text, root, f->key, path)); return text ? act_from_hf(at, text, f->key, path) : OK;
    }
    return OK;
}

/* A field under its own key and then, as the reference sets them in this order, under its general one. */
static Status read_named(Config *c, const Format *format, const Field *f, const cJSON *root, const char *path)
{
    TRY(read_field(c, f, root, path));
    for (const Alias *g = format->general; g && g->name; g++) {
        if (strcmp(g->name, f->key) != 0) continue;
        Field general = *f;
        general.key = g->file;
        TRY(read_field(c, &general, root, path));
    }
    return OK;
}

/* Whatever the family, these change the meaning of the weights. */
static const Fixed COMMON[] = {{"quantization_config", ""},
                               {"is_decoder", "false"},
                               {"add_cross_attention", "false"},
                               {"tie_encoder_decoder", "false"},
                               {"position_embedding_type", "absolute"},
                               {"pruned_heads", "{}"},
                               {0}};

static Status check_fixed(const Fixed *f, const cJSON *root, const char *path)
{
    for (; f && f->key; f++) {
        const cJSON *j = cJSON_GetObjectItemCaseSensitive(root, f->key);
        if (!j || cJSON_IsNull(j)) continue;
        char *value = cJSON_IsString(j) ? NULL : json_printed(j, true);
        const char *text = value ? value : j->valuestring;
        Status s = OK;
        if (strcmp(text, f->only) != 0)
            s = *f->only ? err_fail(E_FORMAT, "%s: %s is %.40s, only %s is supported", path, f->key, text, f->only)
                         : err_fail(E_FORMAT, "%s: has a %s, which is not supported", path, f->key);
        cJSON_free(value);
        TRY(s);
    }
    return OK;
}

/* "bart, plbart, gpt2, ...": the registered families, or the values of model_type that they read. */
static const char *known_names(char text[256], bool types)
{
    size_t n = 0;
    *text = 0;
    for (const Arch *const *a = arch_begin(); a < arch_end() && n < 256; a++)
        for (const char *at = types ? (*a)->format->types : (*a)->name; *at && n < 256; at += *at == '|') {
            int length = (int)strcspn(at, "|");
            n += (size_t)snprintf(text + n, 256 - n, "%s%.*s", n ? ", " : "", length, at);
            at += length;
        }
    return text;
}

/* Types whose names suggest a family that they do not belong to. */
static const Fixed STRANGERS[] = {
    {"codet5p", "CodeT5+ of 2B parameters and more joins a CodeGen encoder and decoder by cross-attention in some "
                "layers, which is not T5's shape"},
    {"codet5p_embedding", "it is an encoder alone with a projection, and T5's encoder-decoders are supported"},
    {0}};

/* E_FORMAT for a type that no family reads. */
static Status unknown_type(const char *type, const char *path)
{
    char known[256];
    for (const Fixed *s = STRANGERS; s->key; s++)
        if (!strcmp(s->key, type))
            return err_fail(E_FORMAT, "%s: model_type is '%s', which is not supported: %s", path, type, s->only);
    return err_fail(E_FORMAT, "%s: model_type is '%.30s', expected one of %s", path, type, known_names(known, true));
}

static const Arch *arch_of_type(const char *type)
{
    for (const Arch *const *a = arch_begin(); a < arch_end(); a++)
        if (str_glob((*a)->format->types, type)) return *a;
    return NULL;
}

Status config_read(Config *c, const Arch **out, const cJSON *root, const char *path)
{
    if (!cJSON_IsObject(root)) return err_fail(E_FORMAT, "%s: is not a JSON object", path);
    const char *type = NULL;
    TRY(json_text(&type, root, "model_type", path));
    char known[256];
    if (!type) return err_fail(E_FORMAT, "%s: has no model_type, expected one of %s", path, known_names(known, true));
    const Arch *arch = arch_of_type(type);
    if (!arch) return unknown_type(type, path);
    *c = (Config){0};
    TRY(check_fixed(COMMON, root, path));
    TRY(check_fixed(arch->format->fixed, root, path));
    arch->defaults(c);
    if (arch->format->absent) arch->format->absent(c, type);
    for (const Field *f = arch->format->fields; f->key; f++) TRY(read_named(c, arch->format, f, root, path));
    if (arch->format->read) TRY(arch->format->read(c, root, path));
    *out = arch;
    return OK;
}

void config_put(cJSON *root, const char *key, const char *value)
{
    cJSON_AddStringToObject(root, key, value);
}

/* transformers 5 rejects a config in which a field of type float is the integer 1. */
void config_put_real(cJSON *root, const char *key, double value)
{
    char text[64];
    bool whole = value == floor(value) && fabs(value) < 1e15;
    snprintf(text, sizeof text, "%.1f", value);
    cJSON_AddItemToObject(root, key, whole ? cJSON_CreateRaw(text) : cJSON_CreateNumber(value));
}

void config_put_architecture(cJSON *root, const char *name)
{
    cJSON_AddItemToArray(cJSON_AddArrayToObject(root, "architectures"), cJSON_CreateString(name));
}

/* The names that transformers gives to classes of these types. */
static const Alias CLASSES[] = {{"xlm-roberta", "XLMRoberta"},
                                {"camembert", "Camembert"},
                                {"mt5", "MT5"},
                                {"umt5", "UMT5"},
                                {"mbart", "MBart"},
                                {0}};

void config_put_type(cJSON *root, const Config *c, const char *type, const char *family, const char *task)
{
    char name[64];
    for (const Alias *a = CLASSES; a->name; a++)
        if (!strcmp(a->name, c->type)) family = a->file;
    config_put(root, "model_type", *c->type ? c->type : type);
    snprintf(name, sizeof name, "%s%s", family, task);
    config_put_architecture(root, name);
}

void config_set_type(Config *c, const char *type, const char *own)
{
    snprintf(c->type, sizeof c->type, "%s", strcmp(type, own) ? type : "");
}

cJSON *config_write(const Config *c, const Arch *arch)
{
    cJSON *root = cJSON_CreateObject();
    arch->format->write(c, root);
    for (const Field *f = arch->format->fields; f->key; f++) {
        const void *at = (const char *)c + f->offset;
        switch (f->kind) {
        case FIELD_INT:
            if (*(const int *)at >= 0) cJSON_AddNumberToObject(root, f->key, *(const int *)at);
            break;
        case FIELD_REAL:
            if (*(const double *)at >= 0) config_put_real(root, f->key, *(const double *)at);
            break;
        case FIELD_BOOL: cJSON_AddBoolToObject(root, f->key, *(const bool *)at); break;
        case FIELD_ACT: config_put(root, f->key, act_to_hf(*(const Act *)at)); break;
        }
    }
    return root;
}

double config_size(const Config *c)
{
    double d = c->dim, inner = c->head_dim ? (double)c->heads * c->head_dim : d;
    double shared = c->kv_heads ? (double)c->kv_heads / c->heads : 1, rows = c->rope.share > 0 ? 0 : c->positions;
    double layer = 2 * (1 + shared) * d * inner + (c->gated ? 3 : 2) * d * c->hidden;
    double second = 8 * d * inner + (c->gated ? 3 : 2) * d * (c->decoder_hidden ? c->decoder_hidden : c->hidden);
    return ((double)c->vocab * (c->tie_head ? 1 : 2) + rows + c->types) * d + c->layers * layer +
           c->decoder_layers * second;
}

static Status in_range(const char *what, int x, int least, int most)
{
    if (x < least || x > most) return err_fail(E_CONFIG, "%s is %d, expected %d to %d", what, x, least, most);
    return OK;
}

static Status rate(const char *what, double p)
{
    if (!(p >= 0 && p < 1)) return err_fail(E_CONFIG, "%s is %g, expected at least 0 and below 1", what, p);
    return OK;
}

static Status check_rope(const Config *c)
{
    const Rope *r = &c->rope;
    if (!(r->share >= 0 && r->share <= 1)) return err_fail(E_CONFIG, "rope.share is %g, expected 0 to 1", r->share);
    if (r->share > 0 && !(r->base > 0 && r->local_base >= 0))
        return err_fail(E_CONFIG, "rope.base is %g and rope.local_base %g, expected numbers above 0", r->base,
                        r->local_base);
    if (r->kind != ROPE_PLAIN && !(r->factor > 0))
        return err_fail(E_CONFIG, "rope.factor is %g, expected above 0", r->factor);
    TRY(in_range("window", c->window, 0, 1 << 28));
    TRY(in_range("window_from", c->window_from, 0, 4096));
    return in_range("global_every", c->global_every, 0, 4096);
}

static Status check_heads(const Config *c, const char *what, int heads)
{
    if (heads < 1 || heads > 4096) return err_fail(E_CONFIG, "%s is %d, expected 1 to 4096", what, heads);
    if (!c->head_dim && c->dim % heads)
        return err_fail(E_CONFIG, "dim %d is not a multiple of %s %d; set head_dim, or change one", c->dim, what,
                        heads);
    return OK;
}

Status config_check(Config *c)
{
    const Arch *arch = arch_find(c->arch);
    char known[256];
    if (!arch) return err_fail(E_CONFIG, "arch is '%.16s', expected one of %s", c->arch, known_names(known, false));
    if (c->writes_from_encoder && !arch->encoder_writes)
        return err_fail(E_CONFIG, "writes_from_encoder is true, and a %s model's encoder does not write", c->arch);
    TRY(in_range("vocab", c->vocab, 1, 100000000));
    TRY(in_range("dim", c->dim, 1, 1 << 20));
    TRY(in_range("layers", c->layers, 1, 4096));
    TRY(in_range("decoder_layers", c->decoder_layers, 0, 4096));
    TRY(in_range("head_dim", c->head_dim, 0, 1 << 16));
    TRY(in_range("hidden", c->hidden, 0, 1 << 24));
    TRY(in_range("classes", c->classes, 0, 1 << 20));
    TRY(in_range("state_classes", c->state_classes, 0, 1 << 20));
    TRY(in_range("positions", c->positions, 0, 1 << 28));
    TRY(check_heads(c, "heads", c->heads));
    if (c->decoder_heads) TRY(check_heads(c, "decoder_heads", c->decoder_heads));
    if (c->kv_heads < 0 || (c->kv_heads && c->heads % c->kv_heads))
        return err_fail(E_CONFIG, "kv_heads is %d, expected a divisor of heads %d", c->kv_heads, c->heads);
    TRY(check_rope(c));
    if (c->act < 0 || c->act >= ACTS) return err_fail(E_CONFIG, "act is %d, expected 0 to %d", (int)c->act, ACTS - 1);
    TRY(rate("dropout", c->dropout));
    TRY(rate("attn_dropout", c->attn_dropout));
    TRY(rate("act_dropout", c->act_dropout));
    if (c->head_dropout >= 1) return err_fail(E_CONFIG, "head_dropout is %g, expected below 1", c->head_dropout);
    if (!(c->eps > 0 && c->eps < 1)) return err_fail(E_CONFIG, "eps is %g, expected above 0 and below 1", c->eps);
    if (!(c->init_sd >= 0 && c->init_sd < 1e6))
        return err_fail(E_CONFIG, "init_sd is %g, expected at least 0", c->init_sd);
    if (!c->hidden) c->hidden = 4 * c->dim;
    TRY(arch->check(c));
    if (!c->head_dim && (!c->decoder_heads || c->decoder_heads == c->heads)) c->head_dim = c->dim / c->heads;
    if (c->rope.share > 0 && !c->kv_heads) c->kv_heads = c->heads;
    if (c->decoder_layers && !c->decoder_heads) c->decoder_heads = c->heads;
    if (c->decoder_layers && !c->decoder_hidden) c->decoder_hidden = c->hidden;
    if (config_size(c) > 4e10)
        return err_fail(E_CONFIG, "these sizes make %.3g parameters, at most 4e10 are allowed", config_size(c));
    return OK;
}

static const Stored *find_under(const Format *f, const Weights *w, const char *name)
{
    char full[512];
    snprintf(full, sizeof full, "%s%s", f->prefix, name);
    const Stored *s = weights_find(w, full);
    return s ? s : weights_find(w, name);
}

/* Files of 2019 call a norm's parameters gamma and beta. */
static const Stored *find_old_norm(const Format *f, const Weights *w, const char *name)
{
    char old[512];
    bool gain = str_glob("*LayerNorm.weight", name);
    if (!gain && !str_glob("*LayerNorm.bias", name)) return NULL;
    snprintf(old, sizeof old, "%.*s%s", (int)(strrchr(name, '.') - name + 1), name, gain ? "gamma" : "beta");
    return find_under(f, w, old);
}

bool format_is_base(const Format *f, const Weights *w)
{
    size_t n = strlen(f->prefix);
    for (int i = 0; i < weights_n(w); i++)
        if (n && !strncmp(weights_at(w, i)->name, f->prefix, n)) return false;
    return true;
}

const Stored *format_find(const Format *f, const Weights *w, const char *name)
{
    const Stored *s = find_under(f, w, name);
    if (!s) s = find_old_norm(f, w, name);
    for (const Alias *a = f->alias; !s && a && a->name; a++)
        if (!strcmp(a->name, name)) s = find_under(f, w, a->file);
    return s;
}

/* ---- fields by their own names, for command lines */

#define OWN(name, kind)                                                                                              \
    {                                                                                                                \
#name, FIELD_##kind, offsetof(Config, name), 0, 0                                                            \
    }
static const Field OWN_FIELDS[] = {OWN(vocab, INT),
                                   OWN(positions, INT),
                                   OWN(dim, INT),
                                   OWN(heads, INT),
                                   OWN(head_dim, INT),
                                   OWN(kv_heads, INT),
                                   OWN(hidden, INT),
                                   OWN(layers, INT),
                                   OWN(decoder_layers, INT),
                                   OWN(decoder_heads, INT),
                                   OWN(decoder_hidden, INT),
                                   OWN(types, INT),
                                   OWN(classes, INT),
                                   OWN(act, ACT),
                                   OWN(gated, BOOL),
                                   OWN(tie_head, BOOL),
                                   OWN(no_attn_norm, BOOL),
                                   OWN(no_lm_head, BOOL),
                                   OWN(plain_head, BOOL),
                                   OWN(writes_from_encoder, BOOL),
                                   OWN(pooler, BOOL),
                                   OWN(next_sentence, BOOL),
                                   OWN(pre_norm, BOOL),
                                   OWN(rel_by_layer, BOOL),
                                   OWN(scale_embedding, BOOL),
                                   OWN(rel_buckets, INT),
                                   OWN(rel_distance, INT),
                                   OWN(rope.share, REAL),
                                   OWN(rope.base, REAL),
                                   OWN(rope.local_base, REAL),
                                   OWN(window, INT),
                                   OWN(window_from, INT),
                                   OWN(global_every, INT),
                                   OWN(qk_norm, BOOL),
                                   OWN(qkv_bias, BOOL),
                                   OWN(out_bias, BOOL),
                                   OWN(ffn_bias, BOOL),
                                   OWN(parallel, BOOL),
                                   OWN(pad, INT),
                                   OWN(bos, INT),
                                   OWN(eos, INT),
                                   OWN(decoder_start, INT),
                                   OWN(eps, REAL),
                                   OWN(dropout, REAL),
                                   OWN(attn_dropout, REAL),
                                   OWN(act_dropout, REAL),
                                   OWN(head_dropout, REAL),
                                   OWN(init_sd, REAL)};
enum { N_OWN = sizeof OWN_FIELDS / sizeof *OWN_FIELDS };

static Status set_act(Act *out, const char *value)
{
    for (int i = 0; i < ACTS; i++) {
        if (strcmp(ACT_NAMES[i], value)) continue;
        *out = (Act)i;
        return OK;
    }
    return err_fail(E_CONFIG, "act is '%.30s', known are none, relu, gelu, gelu_tanh, silu, tanh", value);
}

/* A value that the user wrote, by the kind of its field. */
static Status set_field(Config *c, const Field *f, const char *value)
{
    void *at = (char *)c + f->offset;
    int64_t whole;
    switch (f->kind) {
    case FIELD_INT:
        if (!str_int(value, &whole) || whole < -1 || whole > INT32_MAX)
            return err_fail(E_CONFIG, "%s is '%.30s', expected a whole number", f->key, value);
        *(int *)at = (int)whole;
        return OK;
    case FIELD_REAL:
        if (!str_real(value, at)) return err_fail(E_CONFIG, "%s is '%.30s', expected a number", f->key, value);
        return OK;
    case FIELD_BOOL:
        if (strcmp(value, "true") && strcmp(value, "false") && strcmp(value, "1") && strcmp(value, "0"))
            return err_fail(E_CONFIG, "%s is '%.30s', expected true or false", f->key, value);
        *(bool *)at = *value == 't' || *value == '1';
        return OK;
    case FIELD_ACT: return set_act(at, value);
    }
    return OK;
}

Status config_set(Config *c, const char *key, const char *value)
{
    char known[1024] = "";
    for (int i = 0; i < N_OWN; i++) {
        if (!strcmp(OWN_FIELDS[i].key, key)) return set_field(c, &OWN_FIELDS[i], value);
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", OWN_FIELDS[i].key);
    }
    return err_fail(E_CONFIG, "'%.30s' is no field of a model; known are %s", key, known);
}
