/* The adapter itself, shared by the presets; each preset's file chooses the forms. */
#include "peft/bottleneck.h"

#include <math.h>

#include "base/str.h"
#include "peft/place.h"

typedef struct {
    Param *down, *down_bias, *up, *up_bias;
    Param *learned;     /* (1) or (C): the learned scale, or NULL */
    Norm before, after; /* the adapter's own norms; gain NULL: none */
    const Norm *norm;   /* ADAPT_SUM: the frozen norm, or NULL */
    AdaptForm form;
    ResidualMode residual;
    Act act;
    double scale, dropout;
} Adapter;

static Var *adapter_input(const Adapter *a, Tape *t, Var *x, Var *s)
{
    switch (a->form) {
    case ADAPT_OUTPUT: return s;
    case ADAPT_PARALLEL: return x;
    case ADAPT_SUM: break;
    }
    if (!a->norm) return op_add(t, s, 1, x);
    return op_norm(t, s, x, tape_param(t, a->norm->gain), tape_param(t, a->norm->bias), a->norm->eps);
}

static Var *own_norm(Tape *t, const Norm *n, Var *x)
{
    return n->gain ? op_norm(t, x, NULL, tape_param(t, n->gain), tape_param(t, n->bias), n->eps) : x;
}

/* One number becomes a channel's worth through a matrix of ones. */
static Var *learned_scale(const Adapter *a, Tape *t, Var *o)
{
    Var *s = tape_param(t, a->learned);
    if (!s) return o;
    int64_t c = tensor_last(o->val);
    if (tensor_count(s->val) != c) {
        Tensor one = tensor_new(tape_arena(t), s->val.dtype, SHAPE(c, 1));
        tensor_fill(one, 1);
        s = op_linear(t, s, tape_leaf(t, one), OUT_IN, NULL, ACT_NONE);
    }
    return op_scale_cols(t, o, s);
}

/* base + scale * up(act(down(norm(input)))): what is read, what is added to and where the norms are is the method's
 * form. */
static Var *adapter_hook(Pass *p, Where at, Var *x, Var *s, void *user)
{
    const Adapter *a = user;
    Tape *t = p->tape;
    int mark = tape_enter(t);
    Var *z = adapter_input(a, t, x, s);
    Var *low =
        op_linear(t, own_norm(t, &a->before, z), tape_param(t, a->down), OUT_IN, tape_param(t, a->down_bias), a->act);
    Var *o = op_linear(t, low, tape_param(t, a->up), OUT_IN, tape_param(t, a->up_bias), ACT_NONE);
    o = learned_scale(a, t, o);
    o = pass_dropout(p, o, a->dropout, pass_stream(p, at, "adapter"));
    double scale = a->scale;
    if (a->after.gain) { /* the norm comes after the scale */
        o = own_norm(t, &a->after, scale == 1 ? o : op_scale(t, o, scale));
        scale = 1;
    }
    Var *base = a->residual == RESIDUAL_SUM ? op_add(t, s, 1, x) : a->residual == RESIDUAL_INPUT ? z : s;
    return tape_leave(t, mark, op_add(t, base, scale, o));
}

/* Of a place: that of the first rule for PART.layer.L.{attn,ffn}, or the one of all. */
static int width_of(const Model *m, const PeftConfig *cfg, Where at, int sub)
{
    const char *name = str_print(m->run, "%s.layer.%d.%s", part_name(at.part), at.layer, sub ? "ffn" : "attn");
    for (int i = 0; i < cfg->n_rules; i++)
        if (str_glob(cfg->rules[i].target, name)) return cfg->rules[i].rank;
    if (cfg->width > 0) return cfg->width;
    return m->config.dim > cfg->reduction ? m->config.dim / cfg->reduction : 1;
}

static Status check(const Bottleneck *b, const Model *m, const PeftConfig *cfg)
{
    if (cfg->width < 0 || (!cfg->width && cfg->reduction < 1))
        return err_fail(E_CONFIG, "%s: width %d and reduction %d give no bottleneck; one of them is at least 1",
                        b->method, cfg->width, cfg->reduction);
    for (int i = 0; i < cfg->n_rules; i++)
        if (cfg->rules[i].rank < 1)
            return err_fail(E_CONFIG, "%s: width %d for \"%s\", expected at least 1", b->method, cfg->rules[i].rank,
                            cfg->rules[i].target);
    if (!(cfg->dropout >= 0 && cfg->dropout < 1))
        return err_fail(E_CONFIG, "%s: dropout is %g, expected at least 0 and below 1", b->method, cfg->dropout);
    if (!isfinite(cfg->scale) || cfg->scale == 0)
        return err_fail(E_CONFIG, "%s: scale is %g, expected a number other than 0", b->method, cfg->scale);
    if (cfg->residual != RESIDUAL_OUTPUT && b->form != ADAPT_SUM)
        return err_fail(E_CONFIG, "%s: only an adapter that reads the sum can be added to it", b->method);
    TRY(place_check(m, cfg, b->method));
    return bottleneck_count(b, m, cfg) ? OK
                                       : err_fail(E_CONFIG,
                                                  "%s: target \"%s\" names no place of this %s model; its names are "
                                                  "like encoder.layer.0.attn and .ffn",
                                                  b->method, cfg->target ? cfg->target : "", m->config.arch);
}

/* The sublayers of a place: 0 attention, 1 feed-forward. */
static bool adapts(const Bottleneck *b, const PeftConfig *cfg, Where at, int sub)
{
    if (sub && at.part == PART_CROSS) return false;
    return cfg->target ? place_wants(cfg, at, sub ? "ffn" : "attn") : sub ? b->ffn : b->attn;
}

static Norm own(const Bottleneck *b, Model *m, Where at, const char *name)
{
    return (Norm){
        place_param(m, b->method, at, str_print(m->run, "%s.weight", name), (Init){INIT_ONE, 0},
                    SHAPE(m->config.dim)),
        place_param(m, b->method, at, str_print(m->run, "%s.bias", name), (Init){INIT_ZERO, 0}, SHAPE(m->config.dim)),
        1e-5};
}

/* The parameters and the hook of one place. */
static void attach_one(const Bottleneck *b, Model *m, Hooks *hooks, const PeftConfig *cfg, Where at, const char *sub)
{
    int64_t c = m->config.dim, w = width_of(m, cfg, at, at.site == SITE_FFN_JOIN);
    Init up = {cfg->init_sd > 0 ? INIT_NORMAL : INIT_ZERO, cfg->init_sd};
    Adapter *a = NEW(m->run, Adapter, 1);
    *a = (Adapter){.form = b->form,
                   .act = cfg->act,
                   .scale = cfg->scaling ? 1 : cfg->scale,
                   .dropout = cfg->dropout,
                   .residual = cfg->residual};
    if (b->form == ADAPT_SUM && m->norm_at) a->norm = m->norm_at(m, at);
#define NAMED(what) str_print(m->run, "%s.%s", sub, what)
    a->down = place_param(m, b->method, at, NAMED("down.weight"), place_fan_in(c), SHAPE(w, c));
    a->down_bias = place_param(m, b->method, at, NAMED("down.bias"), (Init){INIT_ZERO, 0}, SHAPE(w));
    a->up = place_param(m, b->method, at, NAMED("up.weight"), up, SHAPE(c, w));
    a->up_bias = place_param(m, b->method, at, NAMED("up.bias"), (Init){INIT_ZERO, 0}, SHAPE(c));
    if (cfg->norm_before) a->before = own(b, m, at, NAMED("norm_before"));
    if (cfg->norm_after) a->after = own(b, m, at, NAMED("norm_after"));
    if (cfg->scaling)
        a->learned = place_param(m, b->method, at, NAMED("scale"), (Init){INIT_ONE, 0},
                                 SHAPE(cfg->scaling == SCALE_CHANNEL ? c : 1));
#undef NAMED
    hook_add_rows(hooks, at, adapter_hook, a);
}

Status bottleneck_attach(const Bottleneck *b, Model *m, Hooks *hooks, const PeftConfig *cfg)
{
    TRY(check(b, m, cfg));
    for (Where at = PLACE_FIRST; place_next(m, cfg, &at);) {
        if (adapts(b, cfg, at, 0)) attach_one(b, m, hooks, cfg, place_at(at, SITE_ATTN_JOIN), "attn");
        if (adapts(b, cfg, at, 1)) attach_one(b, m, hooks, cfg, place_at(at, SITE_FFN_JOIN), "ffn");
    }
    return OK;
}

int64_t bottleneck_count(const Bottleneck *b, const Model *m, const PeftConfig *cfg)
{
    int64_t c = m->config.dim, n = 0;
    int64_t rest = c + 2 * c * (cfg->norm_before + cfg->norm_after) +
                   (cfg->scaling == SCALE_CHANNEL ? c : cfg->scaling == SCALE_LEARNED);
    for (Where at = PLACE_FIRST; place_next(m, cfg, &at);)
        for (int sub = 0; sub < 2; sub++)
            if (adapts(b, cfg, at, sub)) n += (2 * c + 1) * width_of(m, cfg, at, sub) + rest;
    return n;
}

void bottleneck_defaults(PeftConfig *cfg, Act act, int reduction, double scale)
{
    place_all(cfg, false);
    cfg->act = act;
    cfg->width = 0;
    cfg->reduction = reduction;
    cfg->scale = scale;
}

int *bottleneck_knob(PeftConfig *cfg)
{
    return &cfg->width;
}
