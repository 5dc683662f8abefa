/* Small models of every shape, with a batch of rows of different lengths for each. */
#ifndef TESTS_NN_SMALL_H
#define TESTS_NN_SMALL_H

#include <string.h>

#include "base/str.h"
#include "expect.h"
#include "nn/model.h"

static const char *const SHAPES[] = {
    "gpt2",      "roberta", "bert",          "bart",         "t5",         "t5-gated", "bart-pre",
    "t5-layers", "llama",   "llama-grouped", "llama-window", "llama-norm", "gpt_neox", "gpt_neox-sequential",
    "modernbert"};
enum { N_SHAPES = sizeof SHAPES / sizeof *SHAPES, B = 3, T = 6, S = 7, V = 23 };

static inline Config small_config(const char *shape)
{
    Config c = {0};
    char name[16];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(shape, "-"), shape);
    arch_find(name)->defaults(&c);
    c.vocab = V;
    c.dim = 8;
    c.heads = 2;
    c.hidden = 12;
    c.layers = 3;
    c.eos = 2;
    c.bos = 3;
    if (c.positions) c.positions = 20;
    if (c.decoder_layers) c.decoder_layers = 2;
    if (!strcmp(c.arch, "t5")) {
        c.head_dim = 3; /* heads times head size is not the width */
        c.rel_buckets = 8;
        c.rel_distance = 12;
        c.init_sd = 0.5;
    } else {
        c.init_sd = 0.3;
    }
    if (!strcmp(shape, "t5-gated")) {
        c.gated = true;
        c.act = ACT_GELU_TANH;
        c.tie_head = false;
    }
    if (!strcmp(c.arch, "bart")) c.decoder_hidden = 10;
    if (!strcmp(shape, "bart-pre")) { /* MBart */
        c.pre_norm = true;
        strcpy(c.type, "mbart");
    }
    if (!strcmp(shape, "t5-layers")) { /* UMT5 */
        c.gated = c.rel_by_layer = true;
        strcpy(c.type, "umt5");
    }
    if (c.rope.share > 0) c.kv_heads = 0, c.rope.base = 50, c.attn_dropout = 0.1;
    if (!strcmp(shape, "llama-grouped")) { /* and heads times head size is not the hidden size */
        c.heads = 4, c.kv_heads = 2, c.head_dim = 6;
        c.qkv_bias = c.out_bias = c.ffn_bias = true;
        c.tie_head = false;
        c.rope.kind = ROPE_LLAMA3;
        c.rope.factor = 4, c.rope.low = 1, c.rope.high = 3, c.rope.original = 24;
    }
    if (!strcmp(shape, "llama-window")) {
        c.window = 3, c.window_from = 1, c.qkv_bias = true;
        c.rope.kind = ROPE_LINEAR, c.rope.factor = 2;
    }
    if (!strcmp(c.arch, "gpt_neox")) c.rope.share = 0.5; /* of four channels */
    if (!strcmp(shape, "gpt_neox-sequential")) c.parallel = c.qkv_bias = c.out_bias = false;
    if (!strcmp(c.arch, "modernbert")) c.window = 3, c.global_every = 2, c.rope.local_base = 9, c.pad = 1;
    if (!strcmp(shape, "llama-norm")) c.heads = 4, c.kv_heads = 1, c.qk_norm = true;
    return c;
}

/* Biases and gains at their starting values would hide a missing one. */
static inline void stir(Model *m)
{
    for (int i = 0; i < params_n(m->params); i++) {
        Param *p = params_at(m->params, i);
        uint64_t s = rng_stream(5, p->name);
        if (p->val.rank == 1 || strstr(p->name, "final_logits_bias"))
            for (int64_t j = 0; j < tensor_count(p->val); j++)
                tensor_set(p->val, j, tensor_get(p->val, j) + 0.2 * rng_normal(s, (uint64_t)j));
    }
}

static inline Model *small_model(Arena *run, const char *shape, DType dtype)
{
    Config c = small_config(shape);
    Model *m;
    EXPECT(model_open(&m, run, &c, dtype, 11) == OK, "%s", err_message());
    stir(m);
    return m;
}

/* Rows of 6, 4 and 1 tokens beside sources of 5, 7 and 2; padded with the model's own padding where it has any. */
static inline Batch small_batch(Arena *run, const Model *m)
{
    static const int32_t LEN[B] = {6, 4, 1}, SRC_LEN[B] = {5, 7, 2};
    int32_t pad = m->config.pad >= 0 ? m->config.pad : 0;
    int32_t *ids = NEW(run, int32_t, B * T), *src = NEW(run, int32_t, B * S), *target = NEW(run, int32_t, B * T);
    uint64_t s = rng_stream(3, "ids");
    for (int i = 0; i < B * T; i++) {
        bool in = i % T < LEN[i / T];
        ids[i] = in ? 4 + (int32_t)rng_below(s, (uint64_t)i, V - 4) : pad;
        target[i] = in && i % 3 ? 4 + (int32_t)rng_below(s, 100 + (uint64_t)i, V - 4) : -1;
    }
    target[2 * T] = 7; /* the row of one token is scored, too */
    for (int i = 0; i < B * S; i++)
        src[i] = i % S < SRC_LEN[i / S] ? 4 + (int32_t)rng_below(s, 200 + (uint64_t)i, V - 4) : pad;
    bool pair = m->encoder && m->decoder;
    return (Batch){.b = B,
                   .t = T,
                   .ids = ids,
                   .len = LEN,
                   .s = pair ? S : 0,
                   .src = pair ? src : NULL,
                   .src_len = pair ? SRC_LEN : NULL,
                   .target = target};
}

static inline Tensor run_logits(Arena *run, Arena *step, Model *m, const Hooks *h, const Batch *x)
{
    ArenaMark mark = arena_mark(step);
    Pass p = {.tape = tape_open(step, false), .hooks = h};
    Tensor y = tensor_copy(run, model_logits(m, &p, x)->val);
    arena_drop(step, mark);
    return y;
}

/* Loss and all gradients of a pass, on the run arena, one after the other. */
static inline Tensor loss_and_gradients(Arena *run, Arena *step, Model *m, Pass p, const Batch *x)
{
    params_train(m->params, "*", true);
    params_zero_grad(m->params);
    ArenaMark mark = arena_mark(step);
    p.tape = tape_open(step, true);
    Var *loss = model_loss(m, &p, x);
    tape_backward(p.tape, loss);
    int64_t n = params_count(m->params, NULL, false), at = 0;
    Tensor all = tensor_new(run, params_dtype(m->params), SHAPE(n + 1));
    for (int i = 0; i < params_n(m->params); i++) {
        Tensor g = params_at(m->params, i)->grad;
        for (int64_t j = 0; j < tensor_count(g); j++) tensor_set(all, at++, tensor_get(g, j));
    }
    tensor_set(all, at, tape_scalar(loss));
    arena_drop(step, mark);
    return all;
}

/* Largest absolute difference between rows i < len[b] of two (B,T,V); `shift` is how much further right b's row
 * stands. */
static inline double rows_gap(Tensor a, Tensor b, const int32_t *len)
{
    double worst = 0;
    int64_t c = tensor_last(a), ta = a.dim[1], tb = b.dim[1];
    for (int64_t r = 0; r < a.dim[0]; r++)
        for (int64_t i = 0; i < (len ? len[r] : ta); i++)
            for (int64_t j = 0; j < c; j++) {
                double gap = fabs(tensor_get(a, (r * ta + i) * c + j) - tensor_get(b, (r * tb + i) * c + j));
                if (!(gap <= worst)) worst = gap;
            }
    return worst;
}

/* ---- hooks of the kinds methods use, with fixed random numbers */

static inline Tensor random_tensor(Arena *run, const Model *m, const char *name, int rank, const int64_t *dim)
{
    return noise(run, params_dtype(m->params), rng_stream(9, name), rank, dim);
}

typedef struct {
    Tensor t[PART_COUNT][5];
} FixedTensors;

static inline Var *prefix_hook(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)in;
    return op_prepend(p->tape, tape_leaf(p->tape, ((FixedTensors *)user)->t[at.part][at.site == SITE_VALUES]), out,
                      0);
}

static inline Var *scale_hook(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)in;
    return op_scale_cols(p->tape, out, tape_leaf(p->tape, ((FixedTensors *)user)->t[at.part][2]));
}

static inline Var *low_rank_hook(Pass *p, Where at, Var *in, Var *out, void *user)
{
    Var *w = tape_leaf(p->tape, ((FixedTensors *)user)->t[at.part][at.site == SITE_K ? 4 : 3]);
    return op_add(p->tape, out, 0.3, op_linear(p->tape, in, w, OUT_IN, NULL, ACT_NONE));
}

static inline Var *prompt_hook(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    return op_prepend(p->tape, tape_leaf(p->tape, *(Tensor *)user), out, 0);
}

/* Prefixes, scaled keys, and low-rank additions to queries, everywhere. */
static inline Hooks *adapted(Arena *run, const Model *m)
{
    Hooks *h = hooks_new(run);
    FixedTensors *f = NEW(run, FixedTensors, 1);
    int64_t hd = model_linear(m, (Where){SITE_Q, 0, m->arch->last})->out;
    int64_t kd = model_linear(m, (Where){SITE_K, 0, m->arch->last})->out;
    for (int part = 0; part < PART_COUNT; part++) {
        f->t[part][0] = random_tensor(run, m, "keys", SHAPE(2, kd));
        f->t[part][1] = random_tensor(run, m, "values", SHAPE(2, kd));
        f->t[part][2] = random_tensor(run, m, "scale", SHAPE(kd));
        f->t[part][3] = random_tensor(run, m, "low", SHAPE(hd, m->config.dim));
        f->t[part][4] = kd == hd ? f->t[part][3] : random_tensor(run, m, "low keys", SHAPE(kd, m->config.dim));
    }
    hook_add(h, (Where){SITE_Q, LAYER_ANY, PART_ANY}, low_rank_hook, f);
    hook_add(h, (Where){SITE_K, LAYER_ANY, PART_ANY}, low_rank_hook, f);
    hook_add(h, (Where){SITE_KEYS, LAYER_ANY, PART_ANY}, scale_hook, f);
    hook_add(h, (Where){SITE_KEYS, LAYER_ANY, PART_ANY}, prefix_hook, f);
    hook_add(h, (Where){SITE_VALUES, LAYER_ANY, PART_ANY}, prefix_hook, f);
    return h;
}

#endif
