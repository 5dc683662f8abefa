/* Tiny models of every architecture, batches for them, and method settings that fit them.  Every size differs from
 * every other, heads x head size differs from the model width where the architecture allows it (T5, Llama), and no
 * parameter is left at a value that hides something (biases of 0, gains of 1). */
#ifndef TESTS_PEFT_TINY_H
#define TESTS_PEFT_TINY_H

#include "expect.h"

#include <string.h>

#include "ad/gradcheck.h"
#include "base/str.h"
#include "peft/peft.h"

typedef struct {
    Arena run, step;
} Arenas;

static inline Arenas arenas(void)
{
    return (Arenas){arena_open((size_t)1 << 30), arena_open((size_t)1 << 30)};
}

static inline void arenas_close(Arenas *a)
{
    arena_close(&a->run);
    arena_close(&a->step);
}

static inline double narrow(double x)
{
    return (double)(float)x;
}

/* Add noise to every parameter whose name matches; values are rounded to F32 first, so that an F32 and an F64 model
 * stirred alike are the same model. */
static inline void stir(Model *m, const char *glob, double sd, uint64_t seed)
{
    for (int i = 0; i < params_n(m->params); i++) {
        Param *p = params_at(m->params, i);
        if (!str_glob(glob, p->name)) continue;
        uint64_t s = rng_stream(seed, p->name);
        for (int64_t j = 0; j < tensor_count(p->val); j++)
            tensor_set(p->val, j, narrow(narrow(tensor_get(p->val, j)) + sd * rng_normal(s, (uint64_t)j)));
    }
}

static inline Config tiny_config(const Arch *arch)
{
    Config c = {0};
    arch->defaults(&c);
    c.vocab = 17;
    if (c.positions) c.positions = 40;
    c.dim = 12;
    c.heads = 3;
    c.head_dim = strcmp(arch->name, "t5") == 0 ? 5 : strcmp(arch->name, "llama") == 0 ? 6 : 0;
    c.kv_heads = strcmp(arch->name, "llama") == 0; /* of three heads */
    if (strcmp(arch->name, "gpt_neox") == 0) c.rope.share = 0.5;
    if (strcmp(arch->name, "modernbert") == 0) c.window = 3, c.global_every = 2, c.pad = 1, c.bos = 2, c.eos = 3;
    c.hidden = 22;
    c.layers = 2;
    if (arch->decode) {
        c.decoder_layers = 3;
        c.decoder_hidden = 26;
        c.decoder_heads = strcmp(arch->name, "bart") == 0 ? 2 : 0;
    }
    c.dropout = c.attn_dropout = c.act_dropout = c.head_dropout = 0;
    c.init_sd = strcmp(arch->name, "modernbert") ? 0.3 : 0.2;
    return c;
}

static inline Model *open_stirred(Arena *run, const Config *c, DType dtype)
{
    Model *m = NULL;
    Status s = model_open(&m, run, c, dtype, 5);
    EXPECT(s == OK, "%s: %s", c->arch, err_message());
    stir(m, "*", 0.2, 6);
    return m;
}

static inline Model *tiny(Arena *run, const Arch *arch, DType dtype)
{
    Config c = tiny_config(arch);
    return open_stirred(run, &c, dtype);
}

enum { TINY_B = 2, TINY_T = 5, TINY_S = 6 };
typedef struct {
    Batch batch;
    int32_t ids[TINY_B * TINY_T], src[TINY_B * TINY_S], target[TINY_B * TINY_T], len[TINY_B], src_len[TINY_B],
        label[TINY_B];
} TinyBatch;

/* ragged: the second row is shorter and ends in padding.  labels: two classes instead of targets. */
static inline Batch *tiny_batch(Arena *run, const Model *m, bool ragged, bool labels)
{
    TinyBatch *x = NEW(run, TinyBatch, 1);
    bool decodes = m->arch->decode != NULL;
    uint64_t s = rng_stream(9, "batch");
    for (int b = 0; b < TINY_B; b++) {
        x->len[b] = ragged && b ? TINY_T - 2 : TINY_T;
        x->src_len[b] = ragged && !b ? TINY_S - 1 : TINY_S;
        x->label[b] = b % 2;
        for (int i = 0; i < TINY_T; i++) {
            int at = b * TINY_T + i;
            bool there = i < x->len[b];
            x->ids[at] = there ? 4 + (int32_t)rng_below(s, (uint64_t)at, m->config.vocab - 4) : m->config.pad;
            x->target[at] = there && i != 1 ? (int32_t)rng_below(s, (uint64_t)at + 100, m->config.vocab) : -1;
        }
        for (int i = 0; i < TINY_S; i++) {
            int at = b * TINY_S + i;
            x->src[at] = i < x->src_len[b] ? 4 + (int32_t)rng_below(s, (uint64_t)at + 200, m->config.vocab - 4)
                                           : m->config.pad;
        }
    }
    x->batch = (Batch){.b = TINY_B, .t = TINY_T, .ids = x->ids, .len = ragged ? x->len : NULL};
    if (decodes) {
        x->batch.s = TINY_S;
        x->batch.src = x->src;
        x->batch.src_len = ragged ? x->src_len : NULL;
    }
    if (labels)
        x->batch.label = x->label;
    else
        x->batch.target = x->target;
    return &x->batch;
}

/* The tested methods: every registered one, and variants of some. */
typedef struct {
    const char *method, *name;
    void (*set)(PeftConfig *, const Model *); /* NULL: the defaults, shrunk */
} Variant;

static inline void set_tied(PeftConfig *cfg, const Model *m)
{
    (void)m;
    cfg->kind = PREFIX_TIED;
}

static inline void set_reserved(PeftConfig *cfg, const Model *m)
{
    (void)m;
    cfg->kind = PREFIX_TIED;
    cfg->length = cfg->reserved = 2;
}

static inline void set_shifted(PeftConfig *cfg, const Model *m)
{
    (void)m;
    cfg->shift_positions = true;
}

static inline void set_mlp(PeftConfig *cfg, const Model *m)
{
    (void)m;
    cfg->kind = PREFIX_MLP;
}

static inline void set_all_linears(PeftConfig *cfg, const Model *m)
{
    (void)m;
    cfg->target = "*";
    cfg->rslora = true;
}

static inline void set_thirds(PeftConfig *cfg, const Model *m)
{
    if (model_linear(m, (Where){SITE_QKV, 0, m->arch->last})) cfg->target = "*.q|*.v";
}

static inline void set_everywhere(PeftConfig *cfg, const Model *m)
{
    (void)m;
    cfg->on[PART_CROSS] = true;
}

static inline void set_displaced(PeftConfig *cfg, const Model *m)
{
    (void)m;
    cfg->displaced = true;
}

static inline void set_late(PeftConfig *cfg, const Model *m)
{
    (void)m;
    cfg->late = cfg->read_prompt = true;
}

static inline void set_rules(PeftConfig *cfg, const Model *m)
{
    static const LoraRule rules[] = {{"*.0.*", 3, 5}, {"*", 1, 2}};
    (void)m;
    cfg->rules = rules;
    cfg->n_rules = 2;
    cfg->bias = BIAS_TARGETS;
}

/* Every form of PEFT and the adapters library beyond the paper's three. */
static inline void set_every_scale(PeftConfig *cfg, const Model *m)
{
    (void)m;
    cfg->target = "*";
}

static inline void set_fused(PeftConfig *cfg, const Model *m)
{
    if (model_linear(m, (Where){SITE_QKV, 0, m->arch->last})) cfg->target = "*.qkv";
}

/* Matrices outside the layers, under the names of all architectures; a tied head and its table come apart. */
static inline void set_tables(PeftConfig *cfg, const Model *m)
{
    (void)m;
    cfg->tables = "wte|wpe|embed_in|tok_embeddings|embeddings.*|lm_head.dense|pooler.dense|*relative_attention_bias|"
                  "*embed_positions";
}

static inline void set_bias_of_b(PeftConfig *cfg, const Model *m)
{
    for (int i = 0; i < m->n_linears; i++) cfg->lora_bias |= m->linears[i].b != NULL;
    Buf outside = buf_open(m->run); /* layers with a bias that are outside the blocks, too */
    for (int i = 0; i < m->n_outer; i++)
        if (m->outer[i].b && m->outer[i].layout == OUT_IN && !str_glob("class*|score*", m->outer[i].name))
            buf_print(&outside, "%s%s", outside.len ? "|" : "", m->outer[i].name);
    if (outside.len) cfg->tables = outside.text;
}

static inline void set_widths(PeftConfig *cfg, const Model *m)
{
    static const LoraRule rules[] = {{"*.layer.1.*", 3, 0}};
    (void)m;
    cfg->rules = rules;
    cfg->n_rules = 1;
}

static inline void set_rows_too(PeftConfig *cfg, const Model *m)
{
    (void)m;
    cfg->tokens = "3|0|5";
}

static inline void set_norms_and_channels(PeftConfig *cfg, const Model *m)
{
    (void)m;
    cfg->norm_before = cfg->norm_after = true;
    cfg->scaling = SCALE_CHANNEL;
}

static inline void set_sum(PeftConfig *cfg, const Model *m)
{
    (void)m;
    cfg->residual = RESIDUAL_SUM;
    cfg->scaling = SCALE_LEARNED;
}

static inline void set_second_layer(PeftConfig *cfg, const Model *m)
{
    (void)m;
    cfg->target = "*.layer.1.attn";
    cfg->residual = RESIDUAL_INPUT;
}

static inline void set_exact(PeftConfig *cfg, const Model *m)
{
    (void)m;
    cfg->norm_gradient = true;
}

static inline void set_plain_norm(PeftConfig *cfg, const Model *m)
{
    (void)m;
    cfg->plain_norm = true;
}

static inline void set_exact_thirds(PeftConfig *cfg, const Model *m)
{
    set_exact(cfg, m);
    set_thirds(cfg, m);
}

static inline void set_all_maps(PeftConfig *cfg, const Model *m)
{
    (void)m;
    cfg->target = "*";
}

static inline void set_biases(PeftConfig *cfg, const Model *m)
{
    (void)m;
    cfg->bias = BIAS_ALL;
}

/* A stack that writes has no last positions. */
static inline void set_ends(PeftConfig *cfg, const Model *m)
{
    cfg->positions = m->config.classes || !model_layers(m, PART_DECODER) ? "f2+l1" : "f2";
}

enum { VARIANTS_MAX = 48 };
/* Registered methods sorted by link order, then the variants.  Returns their number. */
static inline int variants(Variant *v)
{
    static const Variant extra[] = {{"lora", "lora all", set_all_linears},
                                    {"lora", "lora thirds", set_thirds},
                                    {"houlsby", "houlsby cross", set_everywhere},
                                    {"prefix", "prefix tied", set_tied},
                                    {"prefix", "prefix reserved", set_reserved},
                                    {"prefix", "prefix mlp", set_mlp},
                                    {"prefix", "prefix shifted", set_shifted},
                                    {"prefix", "displaced", set_displaced},
                                    {"lora", "lora biases", set_biases},
                                    {"lora", "lora rules", set_rules},
                                    {"lora", "lora tables", set_tables},
                                    {"lora", "lora bias", set_bias_of_b},
                                    {"lora", "lora tokens", set_rows_too},
                                    {"dora", "dora tables", set_tables},
                                    {"dora", "dora exact", set_exact},
                                    {"dora", "dora thirds", set_exact_thirds},
                                    {"dora", "dora plain", set_plain_norm},
                                    {"vera", "vera all", set_all_maps},
                                    {"prompt", "late", set_late},
                                    {"loreft", "loreft ends", set_ends},
                                    {"ia3", "ia3 all", set_every_scale},
                                    {"ia3", "ia3 fused", set_fused},
                                    {"houlsby", "houlsby norms", set_norms_and_channels},
                                    {"pfeiffer", "pfeiffer sum", set_sum},
                                    {"houlsby", "two widths", set_widths},
                                    {"pfeiffer", "one layer", set_second_layer}};
    int n = 0;
    for (const Peft *const *p = peft_begin(); p < peft_end(); p++) v[n++] = (Variant){(*p)->name, (*p)->name, NULL};
    for (size_t i = 0; i < sizeof extra / sizeof *extra; i++) v[n++] = extra[i];
    return n;
}

static inline PeftConfig variant_config(const Variant *v, const Model *m)
{
    PeftConfig cfg = {0};
    peft_find(v->method)->defaults(&cfg, &m->config);
    if (cfg.rank) cfg.rank = 2;
    cfg.alpha = 3;
    if (cfg.reduction || cfg.width) cfg.width = 5;
    if (cfg.length) cfg.length = 3;
    if (cfg.tokens) cfg.tokens = "4|1|5|6|7|8|9|10|11"; /* rows that the batch has */
    if (v->set) v->set(&cfg, m);
    return cfg;
}

/* Attach a variant; false where the method refuses the architecture (the message is left for the caller). */
static inline bool attach_variant(const Variant *v, Model *m, Hooks *hooks)
{
    PeftConfig cfg = variant_config(v, m);
    Status s = peft_attach(peft_find(v->method), m, hooks, &cfg);
    EXPECT(s == OK || s == E_CONFIG, "%s on %s: %s", v->name, m->config.arch, err_message());
    return s == OK;
}

static inline Var *see_nothing(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)p, (void)at, (void)in, (void)user;
    return out;
}

/* Make every attention take the open path. */
static inline void open_paths(Hooks *hooks)
{
    hook_observe(hooks, (Where){SITE_PROBS, LAYER_ANY, PART_ANY}, see_nothing, NULL);
}

static inline Tensor logits_of(Arenas *a, Model *m, const Hooks *hooks, const Batch *b)
{
    ArenaMark mark = arena_mark(&a->step);
    Pass p = {.tape = tape_open(&a->step, false), .hooks = hooks};
    Tensor y = tensor_copy(&a->run, model_logits(m, &p, b)->val);
    arena_drop(&a->step, mark);
    return y;
}

static inline double largest_gap(Tensor a, Tensor b)
{
    double worst = 0;
    for (int64_t i = 0; i < tensor_count(a); i++) {
        double gap = fabs(tensor_get(a, i) - tensor_get(b, i));
        if (!(gap <= worst)) worst = gap;
    }
    return worst;
}

#endif
