/* The adapter itself, shared by the presets; each preset's file says which form stands where. */
#include "peft/bottleneck.h"

#include <math.h>

#include "base/str.h"
#include "peft/place.h"

typedef struct {
    Param *down, *down_bias, *up, *up_bias;
    const Norm *norm; /* ADAPT_SUM: the frozen norm, or NULL */
    AdaptForm form;
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

static Var *adapter_hook(Pass *p, Where at, Var *x, Var *s, void *user)
{
    const Adapter *a = user;
    Tape *t = p->tape;
    int mark = tape_enter(t);
    Var *z = adapter_input(a, t, x, s);
    Var *low = op_linear(t, z, tape_param(t, a->down), OUT_IN, tape_param(t, a->down_bias), a->act);
    Var *o = op_linear(t, low, tape_param(t, a->up), OUT_IN, tape_param(t, a->up_bias), ACT_NONE);
    if (p->train) o = op_dropout(t, o, a->dropout, pass_stream(p, at, "adapter"));
    return tape_leave(t, mark, op_add(t, s, a->scale, o));
}

static int width_of(const Model *m, const PeftConfig *cfg)
{
    if (cfg->width > 0) return cfg->width;
    return m->config.dim > cfg->reduction ? m->config.dim / cfg->reduction : 1;
}

static Status check(const Bottleneck *b, const Model *m, const PeftConfig *cfg)
{
    if (cfg->width < 0 || (!cfg->width && cfg->reduction < 1))
        return fail(E_CONFIG, "%s: width %d and reduction %d give no bottleneck; one of them is at least 1",
                    b->method, cfg->width, cfg->reduction);
    if (!(cfg->dropout >= 0 && cfg->dropout < 1))
        return fail(E_CONFIG, "%s: dropout is %g, expected at least 0 and below 1", b->method, cfg->dropout);
    if (!isfinite(cfg->scale) || cfg->scale == 0)
        return fail(E_CONFIG, "%s: scale is %g, expected a number other than 0", b->method, cfg->scale);
    return place_check(m, cfg, b->method);
}

static void attach_one(const Bottleneck *b, Model *m, Hooks *hooks, const PeftConfig *cfg, Where at, const char *sub)
{
    int64_t c = m->config.dim, w = width_of(m, cfg);
    Init up = {cfg->init_sd > 0 ? INIT_NORMAL : INIT_ZERO, cfg->init_sd};
    Adapter *a = NEW(m->run, Adapter, 1);
    *a = (Adapter){.form = b->form, .act = cfg->act, .scale = cfg->scale, .dropout = cfg->dropout};
    if (b->form == ADAPT_SUM && m->norm_at) a->norm = m->norm_at(m, at);
#define NAMED(what) str_print(m->run, "%s.%s", sub, what)
    a->down = place_param(m, b->method, at, NAMED("down.weight"), init_fan_in(c), SHAPE(w, c));
    a->down_bias = place_param(m, b->method, at, NAMED("down.bias"), (Init){INIT_ZERO, 0}, SHAPE(w));
    a->up = place_param(m, b->method, at, NAMED("up.weight"), up, SHAPE(c, w));
    a->up_bias = place_param(m, b->method, at, NAMED("up.bias"), (Init){INIT_ZERO, 0}, SHAPE(c));
#undef NAMED
    hook_add(hooks, at, adapter_hook, a);
}

Status bottleneck_attach(const Bottleneck *b, Model *m, Hooks *hooks, const PeftConfig *cfg)
{
    TRY(check(b, m, cfg));
    for (Where at = PLACE_FIRST; place_next(m, cfg, &at);) {
        if (b->attn) attach_one(b, m, hooks, cfg, place_at(at, SITE_ATTN_JOIN), "attn");
        if (b->ffn && at.part != PART_CROSS) attach_one(b, m, hooks, cfg, place_at(at, SITE_FFN_JOIN), "ffn");
    }
    return OK;
}

int64_t bottleneck_count(const Bottleneck *b, const Model *m, const PeftConfig *cfg)
{
    int64_t c = m->config.dim, w = width_of(m, cfg), n = 0;
    for (Where at = PLACE_FIRST; place_next(m, cfg, &at);)
        n += (b->attn + (b->ffn && at.part != PART_CROSS)) * (2 * c * w + w + c);
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
