/* VeRA: y = W x + b_vec * (B (d_vec * (A dropout(x)))), with one random, frozen pair A (r,C) and B (O,r) for the
 * whole model, of which a linear layer takes the first columns and rows that it needs, and two trained vectors for
 * each.  b_vec starts at zero, so attaching changes nothing; d_vec at 0.1.  Trains O + r parameters per layer. */
#include "peft/lora.h"
#include "peft/place.h"

static const char *const SHARED[] = {"peft.vera.A", "peft.vera.B"};

typedef struct {
    const Linear *linear;
    const Param *a, *b; /* shared */
    Param *d, *scale;
    double dropout;
} Vera;

static void defaults(PeftConfig *cfg, const Config *c)
{
    lora_defaults(cfg, c);
    cfg->rank = 256;
    cfg->alpha = 0; /* nothing is scaled by it */
}

static Var *vera_hook(Pass *p, Where at, Var *in, Var *out, void *user)
{
    const Vera *v = user;
    const Linear *l = v->linear;
    Tape *t = p->tape;
    int mark = tape_enter(t);
    Var *x = pass_dropout(p, in, v->dropout, pass_stream(p, at, "vera"));
    Var *a = tape_leaf(t, v->a->val), *b = tape_leaf(t, v->b->val);
    if (tensor_last(a->val) != l->in) a = op_cols(t, a, 0, l->in);
    Var *low = op_scale_cols(t, op_linear(t, x, a, OUT_IN, NULL, ACT_NONE), tape_param(t, v->d));
    Var *y = op_linear_part(t, low, b, OUT_IN, NULL, ACT_NONE, 0, l->out);
    return tape_leave(t, mark, op_add(t, out, 1, op_scale_cols(t, y, tape_param(t, v->scale))));
}

static Status attach(Model *m, Hooks *hooks, const PeftConfig *cfg)
{
    TRY(lora_check(m, cfg, "vera"));
    if (cfg->tables || cfg->tokens || cfg->lora_bias || cfg->init)
        return err_fail(E_CONFIG, "vera: tables, tokens, lora_bias and init belong to lora");
    if (cfg->n_rules || cfg->bias)
        return err_fail(E_CONFIG, "vera: all linear layers have one rank, and no biases train along");
    int64_t in = 0, out = 0, r = cfg->rank;
    for (const Linear *l = NULL; (l = lora_next(m, cfg, l));) {
        if (l->in > in) in = l->in;
        if (l->out > out) out = l->out;
    }
    const Param *a = param_add(m->params, SHARED[0], place_fan_in(in), SHAPE(r, in));
    const Param *b = param_add(m->params, SHARED[1], place_fan_in(r), SHAPE(out, r));
    for (const Linear *l = NULL; (l = lora_next(m, cfg, l));) {
        Vera *v = NEW(m->run, Vera, 1);
        *v = (Vera){.linear = l, .a = a, .b = b, .dropout = cfg->dropout};
        v->d = param_add(m->params, lora_name(m, "vera", l, "d"), (Init){INIT_ONE, 0}, SHAPE(r));
        v->scale = param_add(m->params, lora_name(m, "vera", l, "b"), (Init){INIT_ZERO, 0}, SHAPE(l->out));
        tensor_fill(v->d->val, 0.1);
        hook_add_rows(hooks, l->at, vera_hook, v);
    }
    return OK;
}

/* As the LoRA with A' = diag(d) A and B' = diag(b) B. */
static void fold(Arena *scratch, const Linear *l, Tensor a, Tensor b, Tensor d, Tensor scale, double sign)
{
    param_widen(l->w); /* which may take memory of the same arena, to stay */
    ArenaMark mark = arena_mark(scratch);
    int64_t r = a.dim[0];
    Tensor low = tensor_new(scratch, a.dtype, SHAPE(r, l->in)), up = tensor_new(scratch, a.dtype, SHAPE(l->out, r));
    for (int64_t i = 0; i < tensor_count(low); i++)
        tensor_set(low, i, tensor_get(d, i / l->in) * tensor_get(a, i / l->in * a.dim[1] + i % l->in));
    for (int64_t i = 0; i < tensor_count(up); i++) tensor_set(up, i, tensor_get(scale, i / r) * tensor_get(b, i));
    lora_fold(l, low, up, sign);
    arena_drop(scratch, mark);
}

static Status fold_all(Model *m, double sign)
{
    const Param *a = param_find(m->params, SHARED[0]), *b = param_find(m->params, SHARED[1]);
    if (!a || !b) return err_fail(E_CONFIG, "vera is not attached to this model, so there is nothing to fold");
    for (const Linear *l = m->linears; l < m->linears + m->n_linears; l++) {
        const Param *d = param_find(m->params, lora_name(m, "vera", l, "d"));
        const Param *scale = param_find(m->params, lora_name(m, "vera", l, "b"));
        if (d && scale) fold(m->run, l, a->val, b->val, d->val, scale->val, sign);
    }
    return OK;
}

static Status merge(Model *m, const PeftConfig *cfg)
{
    (void)cfg;
    return fold_all(m, 1);
}

static Status unmerge(Model *m, const PeftConfig *cfg)
{
    (void)cfg;
    return fold_all(m, -1);
}

static int64_t count(const Model *m, const PeftConfig *cfg)
{
    int64_t n = 0;
    for (const Linear *l = NULL; (l = lora_next(m, cfg, l));) n += l->out + cfg->rank;
    return n;
}

const Peft PEFT_VERA = {
    .name = "vera",
    .summary = "two vectors for each linear layer around one frozen random low-rank pair",
    .source = "Kopiczko et al., VeRA: Vector-based Random Matrix Adaptation, ICLR 2024",
    .defaults = defaults,
    .attach = attach,
    .merge = merge,
    .unmerge = unmerge,
    .count = count,
    .knob = lora_knob,
    .frozen = "peft.vera.A|peft.vera.B",
    .lr = 1e-3,
    .small_lr = 1e-3,
};
REGISTER(peft, PEFT_VERA)
