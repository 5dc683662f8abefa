/* LoRA: y = W x + b + s B A dropout(x), with A (r,in) and B (out,r) for every linear map whose name matches.
 * A starts as U(-1/sqrt(in), 1/sqrt(in)) and B at zero, so attaching changes nothing until training does.
 * s = alpha/r, or alpha/sqrt(r) under rank stabilisation, which keeps learning even at high rank.
 *
 * GPT-2 computes queries, keys and values with one matrix: "*.c_attn" adapts it as a whole (one A, a B of 3C rows,
 * as Hugging Face PEFT does), "*.c_attn.q" a third of it.  A glob that matches both adapts the whole only.
 * A and B keep their shapes whatever the layout of W; merging transposes where W is stored (in,out). */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "num/gemm.h"
#include "peft/place.h"

typedef struct {
    Param *a, *b;
    double scale, dropout;
} Lora;

static const struct {
    const char *arch, *target;
} TARGETS[] = {
    {"roberta", "*.query|*.value"}, {"bart", "*.q_proj|*.v_proj"}, {"t5", "*.q|*.v"}, {"gpt2", "*.c_attn"}};

static void defaults(PeftConfig *cfg, const Config *c)
{
    place_all(cfg, true);
    cfg->rank = 8;
    cfg->alpha = 8;
    cfg->target = "*";
    for (size_t i = 0; i < sizeof TARGETS / sizeof *TARGETS; i++)
        if (!strcmp(TARGETS[i].arch, c->arch)) cfg->target = TARGETS[i].target;
}

static double scale_of(const PeftConfig *cfg)
{
    return cfg->alpha / (cfg->rslora ? sqrt(cfg->rank) : cfg->rank);
}

static bool matches(const PeftConfig *cfg, const Linear *l)
{
    return l->at.part < PART_COUNT && cfg->on[l->at.part] && str_glob(cfg->target, l->name);
}

static bool is_part_of(const Linear *third, const Linear *whole)
{
    return third->w == whole->w && third->out < whole->out;
}

static bool adapts(const Model *m, const PeftConfig *cfg, const Linear *l)
{
    if (!matches(cfg, l)) return false;
    for (int i = 0; i < m->n_linears; i++)
        if (is_part_of(l, &m->linears[i]) && matches(cfg, &m->linears[i])) return false;
    return true;
}

static Var *lora_hook(Pass *p, Where at, Var *in, Var *out, void *user)
{
    const Lora *r = user;
    Tape *t = p->tape;
    int mark = tape_enter(t);
    Var *x = p->train ? op_dropout(t, in, r->dropout, pass_stream(p, at, "lora")) : in;
    Var *low = op_linear(t, x, tape_param(t, r->a), OUT_IN, NULL, ACT_NONE);
    Var *delta = op_linear(t, low, tape_param(t, r->b), OUT_IN, NULL, ACT_NONE);
    return tape_leave(t, mark, op_add(t, out, r->scale, delta));
}

/* What the maps' names end in: the vocabulary in which a target is written. */
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

static Status check(const Model *m, const PeftConfig *cfg)
{
    if (cfg->rank < 1) return fail(E_CONFIG, "lora: rank is %d, expected at least 1", cfg->rank);
    if (!(cfg->dropout >= 0 && cfg->dropout < 1))
        return fail(E_CONFIG, "lora: dropout is %g, expected at least 0 and below 1", cfg->dropout);
    if (!isfinite(cfg->alpha)) return fail(E_CONFIG, "lora: alpha is not a finite number");
    TRY(place_check(m, cfg, "lora"));
    for (int i = 0; i < m->n_linears; i++)
        if (adapts(m, cfg, &m->linears[i])) return OK;
    const char *list[32], *known = endings(m, list, 32);
    const char *dot = strrchr(cfg->target, '.'), *near = str_nearest(dot ? dot + 1 : cfg->target, list);
    return fail(E_CONFIG, "lora: target \"%s\" matches no linear map of this %s model%s%s%s; their names end in %s",
                cfg->target, m->config.arch, near ? ", nearest is \"*." : "", near ? near : "", near ? "\"" : "",
                known);
}

static const char *factor_name(const Model *m, const Linear *l, char factor)
{
    return str_print(m->run, "peft.lora.%s.%c", l->name, factor);
}

static Status attach(Model *m, Hooks *hooks, const PeftConfig *cfg)
{
    TRY(check(m, cfg));
    for (int i = 0; i < m->n_linears; i++) {
        const Linear *l = &m->linears[i];
        if (!adapts(m, cfg, l)) continue;
        Lora *r = NEW(m->run, Lora, 1);
        r->a = param_add(m->params, factor_name(m, l, 'A'), init_fan_in(l->in), SHAPE(cfg->rank, l->in));
        r->b = param_add(m->params, factor_name(m, l, 'B'), (Init){INIT_ZERO, 0}, SHAPE(l->out, cfg->rank));
        r->scale = scale_of(cfg);
        r->dropout = cfg->dropout;
        hook_add(hooks, l->at, lora_hook, r);
    }
    return OK;
}

/* W += s B A, on the rows (out,in) or columns (in,out) of W that the map owns. */
static void fold(const Linear *l, const Param *a, const Param *b, double s)
{
    Tensor w = l->w->val;
    int64_t r = a->val.dim[0];
    char *at = w.data;
    if (l->layout == OUT_IN)
        gemm(w.dtype, l->out, l->in, r, s, (Mat){b->val.data, r, false}, (Mat){a->val.data, l->in, false}, 1,
             at + (size_t)(l->first * l->in) * dtype_size(w.dtype), l->in);
    else
        gemm(w.dtype, l->in, l->out, r, s, (Mat){a->val.data, l->in, true}, (Mat){b->val.data, r, true}, 1,
             at + (size_t)l->first * dtype_size(w.dtype), tensor_last(w));
}

static Status fold_all(Model *m, const PeftConfig *cfg, double sign)
{
    int folded = 0;
    for (int i = 0; i < m->n_linears; i++) {
        const Linear *l = &m->linears[i];
        const Param *a = param_find(m->params, factor_name(m, l, 'A'));
        const Param *b = param_find(m->params, factor_name(m, l, 'B'));
        if (!a || !b) continue;
        fold(l, a, b, sign * scale_of(cfg));
        folded++;
    }
    return folded ? OK : fail(E_CONFIG, "lora is not attached to this model, so there is nothing to fold");
}

static Status merge(Model *m, const PeftConfig *cfg)
{
    return fold_all(m, cfg, 1);
}

static Status unmerge(Model *m, const PeftConfig *cfg)
{
    return fold_all(m, cfg, -1);
}

static int64_t count(const Model *m, const PeftConfig *cfg)
{
    int64_t n = 0;
    for (int i = 0; i < m->n_linears; i++)
        if (adapts(m, cfg, &m->linears[i])) n += cfg->rank * (m->linears[i].in + m->linears[i].out);
    return n;
}

static int *knob(PeftConfig *cfg)
{
    return &cfg->rank;
}

const Peft PEFT_LORA = {
    .name = "lora",
    .summary = "add a low-rank product to chosen linear maps",
    .source = "Hu et al., LoRA, ICLR 2022; rank stabilisation: Kalajdzievski 2023",
    .defaults = defaults,
    .attach = attach,
    .merge = merge,
    .unmerge = unmerge,
    .count = count,
    .knob = knob,
};
REGISTER(peft, PEFT_LORA)
