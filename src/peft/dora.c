/* DoRA: W' = m (W + s B A) / |W + s B A|, with a magnitude m and a norm for each output, so
 *
 *     y = (m / n) (W x + s B A dropout(x)) + b,      n = |W + s B A|
 *
 * m starts at the norms of W and B at zero, so attaching changes nothing.  The norm is a constant in the backward
 * pass, as the paper proposes and the PEFT library does, unless norm_gradient sets the exact gradient.
 *
 * Under plain_norm, as the adapters library computes it, n = |W + B A| and the bias is scaled along:
 *
 *     y = (m / n) (W x + b + s B A dropout(x))
 *
 * Merging writes W' and puts the ratio m / n where m was, from which unmerging restores both. */
#include <math.h>

#include "nn/block.h"
#include "peft/lora.h"
#include "peft/place.h"
#include "peft/token_rows.h"

typedef struct {
    const Linear *linear;
    Param *a, *b, *m;
    double scale, norm_scale, dropout;
    bool held, with_bias;
} Dora;

/* b as the layer's output has it: the parts of a fused projection own a part of theirs. */
static Var *bias_of(Tape *t, const Linear *l)
{
    Var *b = tape_param(t, l->b);
    return b && tensor_count(b->val) != l->out ? block_part(t, l, b) : b;
}

static Var *minus_one(Tape *t, Var *x)
{
    Tensor one = tensor_new(tape_arena(t), x->val.dtype, x->val.rank, x->val.dim);
    tensor_fill(one, 1);
    return op_add(t, x, -1, tape_leaf(t, one));
}

/* y = z + (m/n - 1) (z - b) with z = W x + b + s B A x, or without that b: exactly W x + b where m is n and
 * B zero. */
static Var *dora_hook(Pass *p, Where at, Var *in, Var *out, void *user)
{
    const Dora *d = user;
    const Linear *l = d->linear;
    Tape *t = p->tape;
    int mark = tape_enter(t);
    Var *a = tape_param(t, d->a), *b = tape_param(t, d->b), *bias = d->with_bias ? NULL : bias_of(t, l);
    Var *x = pass_dropout(p, in, d->dropout, pass_stream(p, at, "dora"));
    Var *low = op_linear(t, x, a, OUT_IN, NULL, ACT_NONE);
    Var *z = op_add(t, out, d->scale, op_linear(t, low, b, OUT_IN, NULL, ACT_NONE));
    const WeightRows rows = {l->layout, l->first, l->run, l->step};
    Var *gain = op_norm_ratio(t, tape_param(t, d->m), tape_param(t, l->w), rows, a, b, d->norm_scale, d->held);
    Var *change = op_scale_cols(t, bias ? op_add(t, z, -1, bias) : z, minus_one(t, gain));
    return tape_leave(t, mark, op_add(t, z, 1, change));
}

static double weight(const Linear *l, int64_t o, int64_t i)
{
    return tensor_get(l->w->val, linear_at(l, o, i));
}

static double norm_of(const Linear *l, int64_t o)
{
    double sum = 0;
    for (int64_t i = 0; i < l->in; i++) sum += weight(l, o, i) * weight(l, o, i);
    return sqrt(sum);
}

static double norm_scale(const PeftConfig *cfg, const Linear *l)
{
    return cfg->plain_norm ? 1 : lora_scale(cfg, l);
}

static Status attach(Model *m, Hooks *hooks, const PeftConfig *cfg)
{
    TRY(lora_untie(m, cfg, "dora"));
    TRY(lora_check(m, cfg, "dora"));
    if (cfg->lora_bias) return err_fail(E_CONFIG, "dora: a bias on B (lora_bias) is not supported");
    if (cfg->plain_norm && cfg->tables) return err_fail(E_CONFIG, "dora: plain_norm on tables is not supported");
    for (const Linear *l = NULL; (l = lora_next(m, cfg, l));) {
        int64_t rank = lora_rank(cfg, l);
        Dora *d = NEW(m->run, Dora, 1);
        *d = (Dora){.linear = l,
                    .scale = lora_scale(cfg, l),
                    .norm_scale = norm_scale(cfg, l),
                    .dropout = cfg->dropout,
                    .held = !cfg->norm_gradient,
                    .with_bias = cfg->plain_norm};
        d->a = param_add(m->params, lora_name(m, "dora", l, "A"), lora_start_down(l, cfg), SHAPE(rank, l->in));
        d->b = param_add(m->params, lora_name(m, "dora", l, "B"), (Init){INIT_ZERO, 0}, SHAPE(l->out, rank));
        d->m = param_add(m->params, lora_name(m, "dora", l, "magnitude"), (Init){INIT_ONE, 0}, SHAPE(l->out));
        for (int64_t o = 0; o < l->out; o++) tensor_set(d->m->val, o, norm_of(l, o));
        TRY(lora_start(l, cfg, d->a, d->b));
        if (lora_is_outer(l))
            lora_derive(m, hooks, l, d->a, d->b, d->m, d->scale, d->held);
        else
            hook_add_rows(hooks, l->at, dora_hook, d);
    }
    lora_bias_train(m, cfg);
    return token_rows_attach(m, hooks, cfg, "dora");
}

/* ---- merging */

typedef struct {
    const Param *a, *b;
    Param *m;
} Factors;

static bool factors_of(Factors *f, const Model *m, const Linear *l)
{
    *f = (Factors){param_find(m->params, lora_name(m, "dora", l, "A")),
                   param_find(m->params, lora_name(m, "dora", l, "B")),
                   param_find(m->params, lora_name(m, "dora", l, "magnitude"))};
    return f->a && f->b && f->m;
}

static void scale_output(const Linear *l, const PeftConfig *cfg, int64_t o, double by)
{
    lora_scale_output(l, o, by);
    if (!cfg->plain_norm || !l->b) return;
    int64_t i = tensor_count(l->b->val) == l->out ? o : linear_row(l, o);
    tensor_set(l->b->val, i, by * tensor_get(l->b->val, i));
}

static void fold(const Linear *l, const Factors *f, const PeftConfig *cfg)
{
    double s = lora_scale(cfg, l), in_norm = norm_scale(cfg, l);
    lora_fold(l, f->a->val, f->b->val, in_norm);
    for (int64_t o = 0; o < l->out; o++) {
        double n = norm_of(l, o);
        tensor_set(f->m->val, o, n > 0 ? tensor_get(f->m->val, o) / n : 1);
    }
    if (s != in_norm) lora_fold(l, f->a->val, f->b->val, s - in_norm);
    for (int64_t o = 0; o < l->out; o++) scale_output(l, cfg, o, tensor_get(f->m->val, o));
}

static void unfold(const Linear *l, const Factors *f, const PeftConfig *cfg)
{
    double s = lora_scale(cfg, l), in_norm = norm_scale(cfg, l);
    for (int64_t o = 0; o < l->out; o++) scale_output(l, cfg, o, 1 / tensor_get(f->m->val, o));
    if (s != in_norm) lora_fold(l, f->a->val, f->b->val, in_norm - s);
    for (int64_t o = 0; o < l->out; o++) tensor_set(f->m->val, o, norm_of(l, o) * tensor_get(f->m->val, o));
    lora_fold(l, f->a->val, f->b->val, -in_norm);
}

static Status merge(Model *m, const PeftConfig *cfg)
{
    int folded = 0;
    Factors f;
    for (const Linear *l = NULL; (l = lora_each(m, l));)
        if (factors_of(&f, m, l)) fold(l, &f, cfg), folded++;
    token_rows_swap(m, cfg, "dora", true);
    return folded ? OK : err_fail(E_CONFIG, "dora is not attached to this model, so there is nothing to fold");
}

static Status unmerge(Model *m, const PeftConfig *cfg)
{
    int folded = 0;
    Factors f;
    for (int dry = 1; dry >= 0; dry--) /* check everything before changing anything */
        for (const Linear *l = NULL; (l = lora_each(m, l));) {
            if (!factors_of(&f, m, l)) continue;
            for (int64_t o = 0; o < l->out; o++)
                if (dry && tensor_get(f.m->val, o) == 0)
                    return err_fail(E_NUMERIC, "%s: a magnitude of 0 cannot be unmerged", f.m->name);
            if (!dry) unfold(l, &f, cfg), folded++;
        }
    token_rows_swap(m, cfg, "dora", false);
    return folded ? OK : err_fail(E_CONFIG, "dora is not attached to this model, so there is nothing to unfold");
}

static int64_t count(const Model *m, const PeftConfig *cfg)
{
    int64_t n = lora_count(m, cfg);
    for (const Linear *l = NULL; (l = lora_next(m, cfg, l));) n += l->out;
    return n;
}

const Peft PEFT_DORA = {
    .name = "dora",
    .summary = "low-rank change of a linear layer's directions, and a magnitude for each output",
    .source = "Liu et al., DoRA: Weight-Decomposed Low-Rank Adaptation, ICML 2024",
    .defaults = lora_defaults,
    .attach = attach,
    .merge = merge,
    .unmerge = unmerge,
    .count = count,
    .knob = lora_knob,
    .lr = 1e-4,
    .small_lr = 1e-3,
};
REGISTER(peft, PEFT_DORA)
