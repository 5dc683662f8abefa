/* What a query alone can add.  The queries of the only layer, its content's mass and its mean depend on frozen
 * weights alone, so features of the queries and log Z enter the tape as constants. */
#include "theory/memory.h"

#include <math.h>
#include <string.h>

/* ---- phi(q)' M ---- */

typedef struct {
    const char *phi;
    Param *m;
} Memory;

static double phi(const char *kind, double x)
{
    if (!strcmp(kind, "relu")) return fmax(x, 0);
    double elu = x > 0 ? x : expm1(x);
    return strcmp(kind, "elu+1") ? elu : elu + 1;
}

/* At HEADS a hook is given the queries and the mixed values. */
static Var *memory_hook(Pass *p, Where at, Var *q, Var *out, void *user)
{
    (void)at;
    const Memory *x = user;
    Tensor f = tensor_new(tape_arena(p->tape), q->val.dtype, q->val.rank, q->val.dim);
    for (int64_t i = 0; i < tensor_count(f); i++) tensor_set(f, i, phi(x->phi, tensor_get(q->val, i)));
    Var *m = tape_param(p->tape, x->m);
    return op_add(p->tape, out, 1, op_linear(p->tape, tape_leaf(p->tape, f), m, IN_OUT, NULL, ACT_NONE));
}

void memory_attach(Model *m, Hooks *hooks, const char *kind)
{
    Memory *x = NEW(m->run, Memory, 1);
    int64_t d = m->config.dim;
    *x = (Memory){kind, param_add(m->params, "memory", (Init){INIT_ZERO, 0}, SHAPE(d, d))};
    x->m->trainable = true;
    hook_add(hooks, (Where){SITE_HEADS, 0, PART_DECODER}, memory_hook, x);
}

/* ---- the table of all prefixes ---- */

typedef struct {
    Tensor words; /* (V,C) */
    int64_t positions;
    Param *a, *g;            /* (V*P,1) logarithm of the mass; (V*P,C) */
    int32_t *token;          /* (B,T) of this pass, on its tape */
    int64_t t;               /* of this pass */
    Tensor logits, one, two; /* (B,K,2) [0, log Z] of this pass; (C,2): what spreads each of two weights over C */
    Tensor first;            /* (2,1): puts log a into column 0 */
} Table;

/* A row's token is known by its vector. */
static Var *see_tokens(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    Table *x = user;
    int64_t n = out->val.dim[0] * out->val.dim[1], c = tensor_last(out->val), v = x->words.dim[0];
    x->t = out->val.dim[1];
    x->token = NEW(tape_arena(p->tape), int32_t, n);
    for (int64_t i = 0; i < n; i++) {
        int32_t k = 0;
        while (k < v && (tensor_get(x->words, k * c) != tensor_get(out->val, i * c) ||
                         tensor_get(x->words, k * c + 1) != tensor_get(out->val, i * c + 1)))
            k++;
        CHECK(k < v, "row %lld is no word vector", (long long)i);
        x->token[i] = k;
    }
    return out;
}

static Var *see_scores(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    Table *x = user;
    Tensor s = out->val; /* (B,1,K,S) */
    x->logits = tensor_zero(tape_arena(p->tape), s.dtype, SHAPE(s.dim[0], s.dim[2], 2));
    for (int64_t i = 0, n = tensor_last(s); i < s.dim[0] * s.dim[2]; i++) {
        double z = 0;
        for (int64_t j = 0; j < n; j++) z += exp(tensor_get(s, i * n + j));
        tensor_set(x->logits, 2 * i + 1, log(z));
    }
    return out;
}

/* t' = Z/(Z+a) t + a/(Z+a) g; the two weights are a softmax over [log a, log Z]. */
static Var *table_hook(Pass *p, Where at, Var *q, Var *out, void *user)
{
    (void)at;
    const Table *x = user;
    Tape *t = p->tape;
    int64_t b = q->val.dim[0], k = q->val.dim[1];
    int32_t *cell = NEW(tape_arena(t), int32_t, b * k);
    for (int64_t i = 0; i < b * k; i++) { /* the rows that ask are the last k */
        int64_t place = x->t - k + i % k;
        cell[i] = (int32_t)(x->token[i / k * x->t + place] * x->positions + place);
    }
    Var *mass =
        op_linear(t, op_embed(t, tape_param(t, x->a), cell, b, k), tape_leaf(t, x->first), OUT_IN, NULL, ACT_NONE);
    Var *w = op_softmax(t, op_add(t, tape_leaf(t, x->logits), 1, mass));
    Var *prefix = op_linear(t, w, tape_leaf(t, x->one), OUT_IN, NULL, ACT_NONE);
    Var *content = op_linear(t, w, tape_leaf(t, x->two), OUT_IN, NULL, ACT_NONE);
    Var *g = op_embed(t, tape_param(t, x->g), cell, b, k);
    return op_add(t, op_mul(t, content, out), 1, op_mul(t, prefix, g));
}

void table_attach(Model *m, Hooks *hooks)
{
    Table *x = NEW(m->run, Table, 1);
    int64_t v = m->config.vocab, p = m->config.positions, c = m->config.dim;
    *x = (Table){.words = param_find(m->params, "wte.weight")->val, .positions = p};
    x->a = param_add(m->params, "table.mass", (Init){INIT_ZERO, 0}, SHAPE(v * p, 1));
    x->g = param_add(m->params, "table.value", (Init){INIT_NORMAL, 0.02}, SHAPE(v * p, c));
    x->a->trainable = x->g->trainable = true;
    x->one = tensor_zero(m->run, params_dtype(m->params), SHAPE(c, 2)),
    x->two = tensor_zero(m->run, params_dtype(m->params), SHAPE(c, 2));
    x->first = tensor_zero(m->run, params_dtype(m->params), SHAPE(2, 1));
    tensor_set(x->first, 0, 1);
    for (int64_t i = 0; i < c; i++) tensor_set(x->one, 2 * i, 1), tensor_set(x->two, 2 * i + 1, 1);
    hook_observe(hooks, (Where){SITE_EMBED, LAYER_EMBED, PART_DECODER}, see_tokens, x);
    hook_observe(hooks, (Where){SITE_SCORES, 0, PART_DECODER}, see_scores, x);
    hook_add(hooks, (Where){SITE_HEADS, 0, PART_DECODER}, table_hook, x);
}
