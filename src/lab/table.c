/* The table as hooks.  Everything below it is frozen, so the pretrained mixture, the mass of the filler tokens and
 * their values are constants of a pass; only d and g are looked up on the tape:
 *
 *     EMBED   which token is in each row     PROBS, VALUES   mass and values of the pretrained filler tokens
 *     HEADS   out = content's mixture + alpha (g - content's mixture) */
#include "lab/table.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "measure/observe.h"

struct PrefixTable {
    Model *model;
    Param *mass, *value;
    Tensor widen; /* (H*D,H): 1 where a coordinate belongs to a head */
    DigitLayout layout;
    int64_t heads, size; /* size of a head */
    /* of the pass under way, on its step arena */
    int32_t *token; /* (B,T) */
    int64_t b, t;
    Tensor probs, values, alpha; /* (B,H,Q,S), (B,S,H*D), (B,Q,H) */
};

Tensor table_alpha(const PrefixTable *x)
{
    return x->alpha;
}

/* Rows of the token table are copied into the residual stream, so a row's first number names its token. */
static Var *see_tokens(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    PrefixTable *x = user;
    Tensor table = param_find(x->model->params, "wte.weight")->val;
    int64_t c = tensor_last(table), v = table.dim[0];
    x->b = out->val.dim[0], x->t = out->val.dim[1];
    x->token = NEW(tape_arena(p->tape), int32_t, x->b * x->t);
    for (int64_t i = 0; i < x->b * x->t; i++) {
        double first = tensor_get(out->val, i * c);
        int32_t id = 0;
        while (id < v && tensor_get(table, id * c) != first) id++;
        CHECK(id < v, "row %lld of the input is not a token: a table cannot be combined with a prompt", (long long)i);
        x->token[i] = id;
    }
    return out;
}

static Var *see_values(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    ((PrefixTable *)user)->values = tensor_copy(tape_arena(p->tape), out->val);
    return out;
}

static Var *see_probs(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    ((PrefixTable *)user)->probs = tensor_copy(tape_arena(p->tape), out->val);
    return out;
}

/* Mass of the first n keys in row (b,h,i), and their part of the mixture at coordinate k of that head. */
static double slot_mass(const PrefixTable *x, int64_t n, int64_t b, int64_t h, int64_t i)
{
    double sum = 0;
    int64_t q = x->probs.dim[2], s = x->probs.dim[3], row = ((b * x->heads + h) * q + i) * s;
    for (int64_t j = 0; j < n; j++) sum += tensor_get(x->probs, row + j);
    return sum;
}

static double slot_part(const PrefixTable *x, int64_t n, int64_t b, int64_t h, int64_t i, int64_t k)
{
    double sum = 0;
    int64_t q = x->probs.dim[2], s = x->probs.dim[3], row = ((b * x->heads + h) * q + i) * s;
    for (int64_t j = 0; j < n; j++)
        sum += tensor_get(x->probs, row + j) * tensor_get(x->values, (b * s + j) * x->heads * x->size + k);
    return sum;
}

/* The content's mixture (B,Q,H*D) and logit alpha_0 (B,Q,H) of a pass.  Rows of the filler tokens themselves see no
 * content: they keep their output, alpha = 0. */
static void constants(const PrefixTable *x, Tensor out, Tensor content, Tensor logit, int64_t q)
{
    const double never = -60;
    int64_t slots = x->layout.slots, hd = x->heads * x->size;
    for (int64_t b = 0; b < x->b; b++)
        for (int64_t i = 0; i < q; i++)
            for (int64_t h = 0; h < x->heads; h++) {
                bool own = x->t - q + i < slots;
                double m = own ? 0 : slot_mass(x, slots, b, h, i);
                tensor_set(logit, (b * q + i) * x->heads + h, own ? never : log(m) - log1p(-m));
                for (int64_t k = h * x->size; k < (h + 1) * x->size; k++) {
                    double part = own ? 0 : slot_part(x, slots, b, h, i, k);
                    int64_t to = (b * q + i) * hd + k;
                    tensor_set(content, to, (tensor_get(out, to) - part) / (1 - m));
                }
            }
}

static Var *sigmoid(Tape *t, Var *z)
{
    Tensor half = tensor_new(tape_arena(t), z->val.dtype, z->val.rank, z->val.dim);
    tensor_fill(half, 0.5);
    return op_add(t, tape_leaf(t, half), 0.5, op_act(t, ACT_TANH, op_scale(t, z, 0.5)));
}

static Var *mix(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    PrefixTable *x = user;
    Tape *t = p->tape;
    Arena *a = tape_arena(t);
    int64_t q = out->val.dim[1], positions = x->model->config.positions;
    Tensor content = tensor_new(a, F32, 3, out->val.dim), logit = tensor_new(a, F32, SHAPE(x->b, q, x->heads));
    int32_t *row = NEW(a, int32_t, x->b * q);
    constants(x, out->val, content, logit, q);
    for (int64_t i = 0; i < x->b * q; i++) { /* kept rows are the last of their sequence */
        int64_t place = x->t - q + i % q;
        row[i] = (int32_t)(x->token[i / q * x->t + place] * positions + place);
    }
    Var *z = op_add(t, tape_leaf(t, logit), 1, op_embed(t, tape_param(t, x->mass), row, x->b, q));
    Var *alpha = sigmoid(t, z), *base = tape_leaf(t, content);
    x->alpha = tensor_copy(a, alpha->val);
    Var *wide = op_linear(t, alpha, tape_leaf(t, x->widen), OUT_IN, NULL, ACT_NONE);
    Var *step = op_add(t, op_embed(t, tape_param(t, x->value), row, x->b, q), -1, base);
    return op_add(t, base, 1, op_mul(t, wide, step));
}

/* Mean value of the filler tokens and the root mean square of all values, from one row of each digit. */
static void start_values(PrefixTable *x, Arena *step, double sd, uint64_t stream)
{
    int64_t t = x->layout.slots + DIGITS, hd = x->heads * x->size;
    int32_t *ids = NEW(step, int32_t, t);
    for (int32_t i = 0; i < DIGITS; i++) ids[x->layout.slots + i] = i;
    Batch digits = {.b = 1, .t = t, .ids = ids};
    Tensor values = observe_one(step, x->model, NULL, &digits, (Where){SITE_VALUES, 0, PART_DECODER});
    double square = 0;
    for (int64_t i = 0; i < t * hd; i++) square += tensor_get(values, i) * tensor_get(values, i) / (double)(t * hd);
    for (int64_t i = 0; i < tensor_count(x->mass->val); i++)
        tensor_set(x->mass->val, i, sd * rng_normal(rng_stream(stream, "mass"), (uint64_t)i));
    for (int64_t i = 0; i < tensor_count(x->value->val); i++)
        tensor_set(x->value->val, i,
                   tensor_get(values, i % hd) +
                       sd * sqrt(square) * rng_normal(rng_stream(stream, "value"), (uint64_t)i));
}

Status table_attach(PrefixTable **out, Model *m, Hooks *hooks, DigitLayout layout, double sd, uint64_t start)
{
    if (layout.slots < 1) return err_fail(E_CONFIG, "table: expected reserved positions to replace, found none");
    const Config *c = &m->config;
    PrefixTable *x = NEW(m->run, PrefixTable, 1);
    int64_t rows = (int64_t)c->vocab * c->positions;
    *x = (PrefixTable){.model = m, .layout = layout, .heads = c->heads, .size = c->dim / c->heads};
    params_train(m->params, "*", false);
    x->mass = param_add(m->params, "peft.table.mass", (Init){INIT_ZERO, 0}, SHAPE(rows, c->heads));
    x->value = param_add(m->params, "peft.table.value", (Init){INIT_ZERO, 0}, SHAPE(rows, c->dim));
    params_train(m->params, "peft.*", true);
    x->widen = tensor_zero(m->run, F32, SHAPE(c->dim, c->heads));
    for (int64_t k = 0; k < c->dim; k++) tensor_set(x->widen, k * c->heads + k / x->size, 1);
    Arena step = arena_open(0);
    start_values(x, &step, sd, start);
    arena_close(&step);
    hook_observe(hooks, (Where){SITE_EMBED, LAYER_EMBED, PART_DECODER}, see_tokens, x);
    hook_observe(hooks, (Where){SITE_VALUES, 0, PART_DECODER}, see_values, x);
    hook_observe(hooks, (Where){SITE_PROBS, 0, PART_DECODER}, see_probs, x);
    hook_add(hooks, (Where){SITE_HEADS, 0, PART_DECODER}, mix, x);
    *out = x;
    return OK;
}

/* ---- a prefix as a table */

typedef struct {
    Batch batch;
    PrefixTable seen;
    int64_t extra; /* keys of the prefix before the content */
} Look;

static Status look(Look *l, Arena *step, const PrefixTable *x, Model *m, Hooks *hooks, int32_t *ids, int64_t b,
                   int64_t t)
{
    int before = hooks_n(hooks);
    l->seen = *x;
    l->seen.b = b, l->seen.t = t;
    hook_observe(hooks, (Where){SITE_VALUES, 0, PART_DECODER}, see_values, &l->seen);
    hook_observe(hooks, (Where){SITE_PROBS, 0, PART_DECODER}, see_probs, &l->seen);
    l->batch = (Batch){.b = b, .t = t, .ids = ids};
    model_hidden(m, &(Pass){.tape = tape_open(step, false), .hooks = hooks}, &l->batch);
    hooks_clear_from(hooks, before);
    l->extra = l->seen.probs.dim[3] - t;
    return OK;
}

Status table_from_prefix(PrefixTable *x, Model *m, Hooks *hooks)
{
    enum { ROWS = 256 };
    Arena step = arena_open(0);
    int64_t t = digits_positions(x->layout), hd = x->heads * x->size, slots = x->layout.slots;
    int32_t *ids = NEW(&step, int32_t, ROWS * t);
    for (int64_t i = 0; i < ROWS * t; i++)
        ids[i] = i % t < slots ? 0 : (int32_t)rng_below(rng_stream(1, "table"), (uint64_t)i, x->model->config.vocab);
    Look with, base;
    TRY(look(&with, &step, x, m, hooks, ids, ROWS, t));
    TRY(look(&base, &step, x, x->model, hooks_new(&step), ids, ROWS, t));
    int64_t n = with.extra + slots;
    for (int64_t b = 0; b < ROWS; b++)
        for (int64_t i = slots; i < t; i++) {
            int64_t row = ids[b * t + i] * (int64_t)x->model->config.positions + i;
            for (int64_t h = 0; h < x->heads; h++) {
                double a = slot_mass(&with.seen, n, b, h, i), a0 = slot_mass(&base.seen, slots, b, h, i);
                tensor_set(x->mass->val, row * x->heads + h, log(a) - log1p(-a) - log(a0) + log1p(-a0));
                for (int64_t k = h * x->size; k < (h + 1) * x->size; k++)
                    tensor_set(x->value->val, row * hd + k, slot_part(&with.seen, n, b, h, i, k) / a);
            }
        }
    arena_close(&step);
    return OK;
}
