/* LoRA: y = W x + b + s B A block_dropout(x), with A (r,in) and B (out,r) for every linear layer whose name matches.
 * A starts as U(-1/sqrt(in), 1/sqrt(in)) and B at zero, so attaching changes nothing until training does.
 * s = alpha/r, or alpha/sqrt(r) under rank stabilisation, which keeps learning even at high rank.
 *
 * GPT-2 computes queries, keys and values with one matrix: "*.c_attn" adapts it as a whole (one A, a B of 3C rows,
 * as Hugging Face PEFT does), "*.c_attn.q" a third of it.  A glob that matches both adapts the whole only.
 * A and B keep their shapes whatever the layout of W; merging transposes where W is stored (in,out). */
#include "peft/lora.h"

#include <math.h>
#include <string.h>

#include "base/str.h"
#include "nn/build.h"
#include "peft/layers.h"
#include "peft/place.h"
#include "peft/token_rows.h"

typedef struct {
    Param *a, *b, *bias; /* bias NULL: none */
    double scale, dropout;
} Lora;

void lora_defaults(PeftConfig *cfg, const Config *c)
{
    place_all(cfg, true);
    cfg->rank = 8;
    cfg->alpha = 8;
    const Arch *arch = arch_find(c->arch);
    cfg->target = arch && arch->targets ? arch->targets : "*";
}

/* ---- which linear layers */

bool lora_is_outer(const Linear *l)
{
    return l->at.site == SITE_COUNT;
}

static bool matches(const Model *m, const PeftConfig *cfg, const Linear *l)
{
    if (lora_is_outer(l)) return cfg->tables && str_glob(cfg->tables, l->name);
    return str_glob(cfg->target, l->name) && place_in(m, cfg, l->at);
}

static bool is_part_of(const Linear *third, const Linear *whole)
{
    return third->w == whole->w && third->out < whole->out;
}

static bool adapts(const Model *m, const PeftConfig *cfg, const Linear *l)
{
    if (!matches(m, cfg, l)) return false;
    for (int i = 0; i < m->n_linears; i++)
        if (is_part_of(l, &m->linears[i]) && matches(m, cfg, &m->linears[i])) return false;
    return true;
}

const Linear *lora_each(const Model *m, const Linear *after)
{
    const Linear *end = m->linears + m->n_linears, *outer_end = m->outer + m->n_outer;
    if (!after) return m->n_linears ? m->linears : m->n_outer ? m->outer : NULL;
    if (after >= m->linears && after < end && after + 1 < end) return after + 1;
    if (after == end - 1) return m->n_outer ? m->outer : NULL;
    return after + 1 < outer_end ? after + 1 : NULL;
}

const Linear *lora_find(const Model *m, const char *name)
{
    const Linear *l = NULL;
    while ((l = lora_each(m, l)) && strcmp(l->name, name) != 0) continue;
    return l;
}

const Linear *lora_next(const Model *m, const PeftConfig *cfg, const Linear *after)
{
    do after = lora_each(m, after);
    while (after && !adapts(m, cfg, after));
    return after;
}

const char *lora_name(const Model *m, const char *method, const Linear *l, const char *what)
{
    return str_print(m->run, "peft.%s.%s.%s", method, l->name, what);
}

/* ---- errors */

/* The endings of the linear layers' names: the vocabulary of targets. */
static const char *endings(const Model *m, const char **list, int room)
{
    Buf text = buf_open(m->run);
    int n = 0;
    for (int i = 0; i < m->n_linears; i++) {
        const char *dot = strrchr(m->linears[i].name, '.');
        const char *end = dot ? dot + 1 : m->linears[i].name;
        int j = 0;
        while (j < n && strcmp(list[j], end) != 0) j++;
        if (j < n || n == room - 1) continue;
        list[n++] = end;
        buf_print(&text, "%s%s", n > 1 ? ", " : "", end);
    }
    list[n] = NULL;
    return text.text;
}

Status lora_check(const Model *m, const PeftConfig *cfg, const char *method)
{
    if (cfg->rank < 1) return err_fail(E_CONFIG, "%s: rank is %d, expected at least 1", method, cfg->rank);
    if (!(cfg->dropout >= 0 && cfg->dropout < 1))
        return err_fail(E_CONFIG, "%s: dropout is %g, expected at least 0 and below 1", method, cfg->dropout);
    if (!isfinite(cfg->alpha)) return err_fail(E_CONFIG, "%s: alpha is not a finite number", method);
    for (int i = 0; i < cfg->n_rules; i++)
        if (cfg->rules[i].rank < 1 || !isfinite(cfg->rules[i].alpha))
            return err_fail(E_CONFIG, "%s: rank %d and alpha %g for \"%s\", expected at least 1 and a number", method,
                            cfg->rules[i].rank, cfg->rules[i].alpha, cfg->rules[i].target);
    TRY(place_check(m, cfg, method));
    TRY(token_rows_check(m, cfg, method));
    for (const Linear *l = NULL; (l = lora_next(m, cfg, l));) {
        TRY(lora_start_check(l, cfg, method));
        if (cfg->lora_bias && lora_is_outer(l) && !l->b)
            return err_fail(E_CONFIG, "%s: lora_bias has no place on %s, which has no bias", method, l->name);
    }
    if (lora_next(m, cfg, NULL)) return OK;
    const char *list[32], *known = endings(m, list, 32);
    const char *dot = strrchr(cfg->target, '.'), *near = str_nearest(dot ? dot + 1 : cfg->target, list);
    return err_fail(E_CONFIG,
                    "%s: target \"%s\" matches no linear layer %s%sof this %s model%s%s%s; their names end in %s",
                    method, cfg->target, cfg->layers ? "in the layers " : "",
                    cfg->layers ? str_print(m->run, "%s ", cfg->layers) : "", m->config.arch,
                    near ? ", nearest is \"*." : "", near ? near : "", near ? "\"" : "", known);
}

/* ---- biases; those of a classification head train anyway and count with it */

bool lora_trains_bias(const Model *m, const PeftConfig *cfg, const Param *p)
{
    if (cfg->bias == BIAS_ALL)
        return str_glob("*.bias", p->name) && !str_glob("peft.*", p->name) && !build_is_class_head(p->name) &&
               layers_list_holds(m, cfg->layers, p);
    for (const Linear *l = NULL; cfg->bias == BIAS_TARGETS && (l = lora_next(m, cfg, l));)
        if (l->b == p) return true;
    return false;
}

static int64_t bias_count(const Model *m, const PeftConfig *cfg)
{
    int64_t n = 0;
    for (int i = 0; i < params_n(m->params) && cfg->bias; i++)
        if (lora_trains_bias(m, cfg, params_at(m->params, i))) n += tensor_count(params_at(m->params, i)->val);
    return n;
}

void lora_bias_train(Model *m, const PeftConfig *cfg)
{
    for (int i = 0; i < params_n(m->params) && cfg->bias; i++) {
        Param *p = params_at(m->params, i);
        if (lora_trains_bias(m, cfg, p)) param_train(p, true);
    }
}

/* ---- the method */

static Var *lora_hook(Pass *p, Where at, Var *in, Var *out, void *user)
{
    const Lora *r = user;
    Tape *t = p->tape;
    int mark = tape_enter(t);
    Var *x = pass_dropout(p, in, r->dropout, pass_stream(p, at, "lora"));
    Var *low = op_linear(t, x, tape_param(t, r->a), OUT_IN, NULL, ACT_NONE);
    Var *delta = op_linear(t, low, tape_param(t, r->b), OUT_IN, tape_param(t, r->bias), ACT_NONE);
    return tape_leave(t, mark, op_add(t, out, r->scale, delta));
}

static Var *with_bias(Tape *t, Var *base, void *user)
{
    const Lora *r = user;
    return op_add(t, base, r->scale, tape_param(t, r->bias));
}

static void attach_outside(Model *m, Hooks *hooks, const Linear *l, Lora *r)
{
    lora_derive(m, hooks, l, r->a, r->b, NULL, r->scale, false);
    if (r->bias) hooks_derive(hooks, l->b, with_bias, r);
}

static Status attach_one(Model *m, Hooks *hooks, const PeftConfig *cfg, const Linear *l)
{
    int64_t rank = lora_rank(cfg, l);
    Lora *r = NEW(m->run, Lora, 1);
    r->a = param_add(m->params, lora_name(m, "lora", l, "A"), lora_start_down(l, cfg), SHAPE(rank, l->in));
    r->b = param_add(m->params, lora_name(m, "lora", l, "B"), (Init){INIT_ZERO, 0}, SHAPE(l->out, rank));
    if (cfg->lora_bias)
        r->bias = param_add(m->params, lora_name(m, "lora", l, "bias"), (Init){INIT_ZERO, 0}, SHAPE(l->out));
    r->scale = lora_scale(cfg, l);
    r->dropout = cfg->dropout;
    TRY(lora_start(l, cfg, r->a, r->b));
    if (lora_is_outer(l))
        attach_outside(m, hooks, l, r);
    else
        hook_add_rows(hooks, l->at, lora_hook, r);
    return OK;
}

static Status attach(Model *m, Hooks *hooks, const PeftConfig *cfg)
{
    TRY(lora_untie(m, cfg, "lora"));
    TRY(lora_check(m, cfg, "lora"));
    for (const Linear *l = NULL; (l = lora_next(m, cfg, l));) TRY(attach_one(m, hooks, cfg, l));
    lora_bias_train(m, cfg);
    return token_rows_attach(m, hooks, cfg, "lora");
}

/* B's own bias becomes part of the layer's. */
static void fold_bias(const Model *m, const Linear *l, double s)
{
    const Param *bias = param_find(m->params, lora_name(m, "lora", l, "bias"));
    for (int64_t o = 0; bias && o < l->out; o++)
        tensor_set(l->b->val, linear_row(l, o),
                   tensor_get(l->b->val, linear_row(l, o)) + s * tensor_get(bias->val, o));
}

static Status fold_all(Model *m, const PeftConfig *cfg, double sign)
{
    int folded = 0;
    for (const Linear *l = NULL; (l = lora_each(m, l));) {
        const Param *a = param_find(m->params, lora_name(m, "lora", l, "A"));
        const Param *b = param_find(m->params, lora_name(m, "lora", l, "B"));
        if (!a || !b) continue;
        if (!l->b && param_find(m->params, lora_name(m, "lora", l, "bias")))
            return err_fail(E_CONFIG, "lora: %s has no bias, so the one of lora_bias cannot be merged", l->name);
        lora_fold(l, a->val, b->val, sign * lora_scale(cfg, l));
        Param *twin = cfg->merge_tied ? lora_twin(m, l) : NULL;
        if (twin)
            lora_fold(&(Linear){.w = twin, .layout = l->layout, .in = l->in, .out = l->out}, a->val, b->val,
                      sign * lora_scale(cfg, l));
        fold_bias(m, l, sign * lora_scale(cfg, l));
        folded++;
    }
    token_rows_swap(m, cfg, "lora", sign > 0);
    return folded ? OK : err_fail(E_CONFIG, "lora is not attached to this model, so there is nothing to fold");
}

static Status merge(Model *m, const PeftConfig *cfg)
{
    return fold_all(m, cfg, 1);
}

static Status unmerge(Model *m, const PeftConfig *cfg)
{
    return fold_all(m, cfg, -1);
}

int64_t lora_count(const Model *m, const PeftConfig *cfg)
{
    int64_t n = bias_count(m, cfg) + token_rows_count(m, cfg);
    for (const Linear *l = NULL; (l = lora_next(m, cfg, l));)
        n += lora_rank(cfg, l) * (l->in + l->out) + (cfg->lora_bias ? l->out : 0);
    return n;
}

int *lora_knob(PeftConfig *cfg)
{
    return &cfg->rank;
}

const Peft PEFT_LORA = {
    .name = "lora",
    .summary = "add a low-rank product to chosen linear layers",
    .source = "Hu et al., LoRA, ICLR 2022; rank stabilisation: Kalajdzievski 2023",
    .defaults = lora_defaults,
    .attach = attach,
    .merge = merge,
    .unmerge = unmerge,
    .count = lora_count,
    .knob = lora_knob,
    .lr = 1e-4,
    .small_lr = 1e-3,
};
REGISTER(peft, PEFT_LORA)
