/* The metadata of a GGUF model as the config.json of the same model, so that the loader has one way of reading
 * configs.  A table for each architecture (io/gguf_names.c) has the keys; here is the rest: what the tensors show
 * (tied heads, biases, sizes of the vocabulary), rotary scaling, and settings with which a file declares something
 * that is not supported.  A key of the architecture that is in no table is refused, because it may change the
 * model. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "io/gguf_names.h"

typedef struct {
    const Gguf *g;
    Arena *a;
    const GgufArch *arch;
    cJSON *root;
} Reading;

static const char *key_of(const Reading *r, const char *name)
{
    return str_print(r->a, "%s.%s", r->arch->name, name);
}

static const Stored *tensor_of(const Reading *r, const char *name)
{
    for (int i = 0; i < r->g->n_tensors; i++)
        if (!strcmp(r->g->tensor[i].name, name)) return &r->g->tensor[i];
    return NULL;
}

static Status refuse(const Reading *r, const char *key, const char *what)
{
    return err_fail(E_FORMAT, "%s: %s, which is not supported (key '%s')", r->g->path, what, key);
}

/* ---- values */

/* Metadata are F32: 1e-5 is stored as 9.99999975e-06.  The shortest decimal with the same F32 is meant. */
static double shortest(double x)
{
    char text[32];
    double y = x;
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        y = strtod(text, NULL);
        if ((float)y == (float)x) break;
    }
    return y;
}

static Status copy_key(const Reading *r, const GgufKey *k)
{
    const char *key = key_of(r, k->file);
    int64_t whole = 0;
    double real = 0;
    bool yes = false;
    if (!gguf_value(r->g, key)) {
        if (k->needed) return err_fail(E_FORMAT, "%s: has no key '%s'", r->g->path, key);
        return OK;
    }
    switch (k->kind) {
    case KEY_INT:
        TRY(gguf_int(&whole, r->g, key, 0, INT32_MAX));
        if (k->name) cJSON_AddNumberToObject(r->root, k->name, (double)whole);
        return OK;
    case KEY_REAL:
        TRY(gguf_real(&real, r->g, key, -1e30, 1e30));
        if (k->name) cJSON_AddNumberToObject(r->root, k->name, shortest(real));
        return OK;
    case KEY_BOOL:
        TRY(gguf_bool(&yes, r->g, key));
        if (k->name) cJSON_AddBoolToObject(r->root, k->name, yes);
        return OK;
    case KEY_IGNORED: return OK;
    }
    return OK;
}

static const GgufKey *known_key(const Reading *r, const char *name)
{
    for (const GgufKey *k = r->arch->keys; k->file; k++)
        if (!strcmp(k->file, name)) return k;
    return NULL;
}

static Status copy_keys(const Reading *r)
{
    size_t n = strlen(r->arch->name);
    for (const GgufKey *k = r->arch->keys; k->file; k++) TRY(copy_key(r, k));
    for (int i = 0; i < r->g->n_values; i++) {
        const char *key = r->g->value[i].key;
        if (!strncmp(key, r->arch->name, n) && key[n] == '.' && !known_key(r, key + n + 1))
            return err_fail(E_FORMAT, "%s: key '%s' is not supported for %s models", r->g->path, key, r->arch->name);
    }
    return OK;
}

/* An integer that is absent counts as `other`. */
static Status int_key(int64_t *out, const Reading *r, const char *name, int64_t other)
{
    *out = other;
    return gguf_int(out, r->g, key_of(r, name), 0, INT32_MAX);
}

static Status copy_token(const Reading *r, const char *key, const char *name)
{
    int64_t id = -1;
    TRY(gguf_int(&id, r->g, key, -1, UINT32_MAX));
    if (id >= 0 && id <= INT32_MAX) cJSON_AddNumberToObject(r->root, name, (double)id);
    return OK;
}

static Status copy_tokens(const Reading *r)
{
    TRY(copy_token(r, "tokenizer.ggml.bos_token_id", "bos_token_id"));
    TRY(copy_token(r, "tokenizer.ggml.eos_token_id", "eos_token_id"));
    return copy_token(r, "tokenizer.ggml.padding_token_id", "pad_token_id");
}

/* ---- rotary scaling */

static cJSON *add_scaling(const Reading *r, const char *type, double factor)
{
    cJSON *scaling = cJSON_AddObjectToObject(r->root, "rope_scaling");
    cJSON_AddStringToObject(scaling, "rope_type", type);
    cJSON_AddNumberToObject(scaling, "factor", factor);
    return scaling;
}

static Status read_linear(const Reading *r)
{
    const char *type = "none", *key = key_of(r, "rope.scaling.type");
    double factor = 1, attention = 1;
    TRY(gguf_real(&factor, r->g, key_of(r, "rope.scale_linear"), 1e-6, 1e6));
    if (factor != 1) type = "linear";
    TRY(gguf_text(&type, r->a, r->g, key));
    TRY(gguf_real(&factor, r->g, key_of(r, "rope.scaling.factor"), 0, 1e6));
    TRY(gguf_real(&attention, r->g, key_of(r, "rope.scaling.attn_factor"), 0, 1e6));
    if (strcmp(type, "none") && strcmp(type, "linear"))
        return refuse(r, key, str_print(r->a, "declares rotary scaling of type '%.30s'", type));
    if (attention != 1)
        return refuse(r, key_of(r, "rope.scaling.attn_factor"), "declares a factor of rotary attention");
    if (!strcmp(type, "linear") && factor != 1 && factor != 0) add_scaling(r, "linear", shortest(factor));
    return OK;
}

/* llama3's rule: a frequency w is divided by 1, by F, or between them by 1 / ((1 - s) / F + s) with
 * s = (n w / 2 pi - low) / (high - low).  The file holds the divisors alone, which leave n free: 8192 is taken. */
typedef struct {
    int n; /* divisors */
    double base, factor, low, high;
} Llama3;
enum { LLAMA3_LENGTH = 8192 };

static double turns(const Llama3 *l, int i)
{
    return LLAMA3_LENGTH * pow(l->base, -(double)i / l->n) / (2 * M_PI);
}

static double divisor(const Llama3 *l, int i)
{
    double s = (turns(l, i) - l->low) / (l->high - l->low);
    return s >= 1 ? 1 : s <= 0 ? l->factor : 1 / ((1 - s) / l->factor + s);
}

static bool gives_divisors(const Llama3 *l, const Stored *s)
{
    for (int i = 0; i < l->n; i++)
        if (!(fabs(divisor(l, i) / stored_get(s, i) - 1) < 1e-5)) return false;
    return true;
}

/* Between the ends s is linear in the number of turns: the first and the last point give its slope and offset. */
static bool solve_divisors(Llama3 *l, const Stored *s)
{
    int first = -1, last = -1;
    for (int i = 0; i < l->n; i++) {
        if (!(stored_get(s, i) > 1 + 1e-6 && stored_get(s, i) < l->factor * (1 - 1e-6))) continue;
        if (first < 0) first = i;
        last = i;
    }
    if (first == last) return false;
    double part[2];
    for (int k = 0; k < 2; k++) part[k] = (1 / stored_get(s, k ? last : first) - 1 / l->factor) / (1 - 1 / l->factor);
    double slope = (part[0] - part[1]) / (turns(l, first) - turns(l, last));
    l->low = turns(l, last) - part[1] / slope;
    l->high = l->low + 1 / slope;
    return l->low > 0 && l->high > l->low && gives_divisors(l, s);
}

/* rope_freqs.weight: the divisors of the frequencies. */
static Status read_divisors(const Reading *r, const Stored *s, int64_t channels)
{
    Llama3 l = {.n = (int)channels / 2, .base = 10000, .factor = 1, .low = 1, .high = 4};
    if (!stored_is_float(s) || s->rank != 1 || s->count != l.n)
        return err_fail(E_FORMAT, "%s: tensor '%s' has shape %s, expected [%d]", r->g->path, s->name, stored_shape(s),
                        l.n);
    TRY(gguf_real(&l.base, r->g, key_of(r, "rope.freq_base"), 1, 1e30));
    for (int i = 0; i < l.n; i++) l.factor = fmax(l.factor, stored_get(s, i));
    if (gives_divisors(&l, s)) { /* the published numbers, or no scaling at all */
        if (l.factor == 1) return OK;
    } else if (!solve_divisors(&l, s)) {
        return err_fail(E_FORMAT, "%s: tensor '%s' holds no scaling of llama3's kind, which alone is supported",
                        r->g->path, s->name);
    }
    if (json_has(r->root, "rope_scaling"))
        return refuse(r, key_of(r, "rope.scaling.type"), "declares two rotary scalings");
    cJSON *scaling = add_scaling(r, "llama3", shortest(l.factor));
    cJSON_AddNumberToObject(scaling, "low_freq_factor", l.low);
    cJSON_AddNumberToObject(scaling, "high_freq_factor", l.high);
    cJSON_AddNumberToObject(scaling, "original_max_position_embeddings", LLAMA3_LENGTH);
    return OK;
}

/* ---- beyond the tables */

static Status read_decoder(const Reading *r)
{
    int64_t dim, heads, channels, value, turning, experts, used;
    TRY(int_key(&dim, r, "embedding_length", 0));
    TRY(int_key(&heads, r, "attention.head_count", 0));
    TRY(int_key(&channels, r, "attention.key_length", heads ? dim / heads : 0));
    TRY(int_key(&value, r, "attention.value_length", channels));
    TRY(int_key(&turning, r, "rope.dimension_count", channels));
    TRY(int_key(&experts, r, "expert_count", 0));
    TRY(int_key(&used, r, "expert_used_count", 0));
    if (experts || used) return refuse(r, key_of(r, "expert_count"), "is a mixture of experts");
    if (value != channels)
        return refuse(r, key_of(r, "attention.value_length"), "has values of another size than its keys");
    if (turning != channels)
        return refuse(r, key_of(r, "rope.dimension_count"), "turns a part of each head's channels only");
    TRY(read_linear(r));
    const Stored *divisors = tensor_of(r, "rope_freqs.weight");
    if (divisors) TRY(read_divisors(r, divisors, channels));
    return OK;
}

/* With a window it is the family's member that has one. */
static Status finish_llama(const Reading *r)
{
    int64_t window;
    TRY(read_decoder(r));
    TRY(int_key(&window, r, "attention.sliding_window", 0));
    if (window) cJSON_ReplaceItemInObject(r->root, "model_type", cJSON_CreateString("mistral"));
    cJSON_AddBoolToObject(r->root, "attention_bias", tensor_of(r, "blk.0.attn_q.bias") != NULL);
    cJSON_AddBoolToObject(r->root, "mlp_bias", tensor_of(r, "blk.0.ffn_up.bias") != NULL);
    return OK;
}

static Status finish_qwen(const Reading *r)
{
    int64_t window;
    TRY(read_decoder(r));
    TRY(int_key(&window, r, "attention.sliding_window", 0));
    if (window) cJSON_AddBoolToObject(r->root, "use_sliding_window", true);
    return OK;
}

static Status finish_neox(const Reading *r)
{
    int64_t dim, heads, turning;
    TRY(int_key(&dim, r, "embedding_length", 0));
    TRY(int_key(&heads, r, "attention.head_count", 1));
    TRY(int_key(&turning, r, "rope.dimension_count", 0));
    if (!heads || dim % heads || turning * heads > dim)
        return err_fail(E_FORMAT, "%s: %lld channels turn in each of %lld heads, but %lld are all that there are",
                        r->g->path, (long long)turning, (long long)heads, (long long)dim);
    cJSON_AddNumberToObject(r->root, "rotary_pct", (double)turning * (double)heads / (double)dim);
    cJSON_AddStringToObject(r->root, "hidden_act", "gelu");
    return read_linear(r);
}

/* RoBERTa's files name the same architecture, and show it by their tokenizer. */
static Status finish_bert(const Reading *r)
{
    static const char PIECES[] = "bert"; /* the tokenizer of BERT itself */
    const char *model = PIECES, *key = "tokenizer.ggml.model";
    bool causal = false;
    TRY(gguf_bool(&causal, r->g, key_of(r, "attention.causal")));
    if (causal) return refuse(r, key_of(r, "attention.causal"), "is a bert model with causal attention");
    TRY(gguf_text(&model, r->a, r->g, key));
    if (strcmp(model, PIECES) != 0)
        return refuse(r, key, str_print(r->a, "is a bert model with a tokenizer of kind '%.20s'", model));
    const Stored *types = tensor_of(r, "token_types.weight");
    if (types && types->rank == 2) cJSON_AddNumberToObject(r->root, "type_vocab_size", (double)types->dim[0]);
    cJSON_AddStringToObject(r->root, "hidden_act", "gelu");
    return OK;
}

static Status finish_t5(const Reading *r)
{
    int64_t key, value;
    TRY(int_key(&key, r, "attention.key_length", 0));
    TRY(int_key(&value, r, "attention.value_length", key));
    if (key != value)
        return refuse(r, key_of(r, "attention.value_length"), "has values of another size than its keys");
    bool gated = tensor_of(r, "enc.blk.0.ffn_gate.weight") != NULL;
    cJSON_AddStringToObject(r->root, "feed_forward_proj", gated ? "gated-gelu" : "relu");
    return OK;
}

static const struct {
    const char *name;
    Status (*finish)(const Reading *);
} FINISH[] = {{"llama", finish_llama},  {"qwen2", finish_qwen}, {"qwen3", finish_qwen},
              {"gptneox", finish_neox}, {"bert", finish_bert},  {"t5", finish_t5}};

/* A file without a head of its own has the token table for it. */
static Status read_model(const Reading *r)
{
    const Stored *tokens = tensor_of(r, "token_embd.weight");
    cJSON_AddStringToObject(r->root, "model_type", r->arch->type);
    TRY(copy_keys(r));
    TRY(copy_tokens(r));
    if (tokens && tokens->rank == 2) cJSON_AddNumberToObject(r->root, "vocab_size", (double)tokens->dim[0]);
    cJSON_AddBoolToObject(r->root, "tie_word_embeddings", !tensor_of(r, "output.weight"));
    for (size_t i = 0; i < sizeof FINISH / sizeof *FINISH; i++)
        if (!strcmp(FINISH[i].name, r->arch->name)) return FINISH[i].finish(r);
    return OK;
}

Status gguf_config(cJSON **out, Arena *a, const Gguf *g)
{
    const char *name = NULL, *type = "model";
    *out = NULL;
    TRY(gguf_text(&type, a, g, "general.type"));
    TRY(gguf_text(&name, a, g, "general.architecture"));
    if (strcmp(type, "model") != 0)
        return err_fail(E_FORMAT, "%s: general.type is '%.30s', expected model", g->path, type);
    if (!name) return err_fail(E_FORMAT, "%s: has no general.architecture", g->path);
    Reading r = {g, a, gguf_arch(name), NULL};
    if (!r.arch)
        return err_fail(E_FORMAT, "%s: general.architecture is '%.30s', supported are %s", g->path, name,
                        gguf_arch_list(a));
    r.root = cJSON_CreateObject();
    Status s = read_model(&r);
    if (s)
        cJSON_Delete(r.root);
    else
        *out = r.root;
    return s;
}
