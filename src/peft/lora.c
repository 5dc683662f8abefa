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
#include "num/gemm.h"
#include "peft/place.h"

typedef struct {
    Param *a, *b;
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

static const LoraRule *rule_of(const PeftConfig *cfg, const Linear *l)
{
    for (int i = 0; i < cfg->n_rules; i++)
        if (str_glob(cfg->rules[i].target, l->name)) return &cfg->rules[i];
    return NULL;
}

int lora_rank(const PeftConfig *cfg, const Linear *l)
{
    const LoraRule *r = rule_of(cfg, l);
    return r ? r->rank : cfg->rank;
}

double lora_scale(const PeftConfig *cfg, const Linear *l)
{
    const LoraRule *r = rule_of(cfg, l);
    double rank = lora_rank(cfg, l);
    return (r ? r->alpha : cfg->alpha) / (cfg->rslora ? sqrt(rank) : rank);
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

const Linear *lora_next(const Model *m, const PeftConfig *cfg, const Linear *after)
{
    for (int i = after ? (int)(after - m->linears) + 1 : 0; i < m->n_linears; i++)
        if (adapts(m, cfg, &m->linears[i])) return &m->linears[i];
    return NULL;
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
    if (lora_next(m, cfg, NULL)) return OK;
    const char *list[32], *known = endings(m, list, 32);
    const char *dot = strrchr(cfg->target, '.'), *near = str_nearest(dot ? dot + 1 : cfg->target, list);
    return err_fail(
        E_CONFIG, "%s: target \"%s\" matches no linear layer of this %s model%s%s%s; their names end in %s", method,
        cfg->target, m->config.arch, near ? ", nearest is \"*." : "", near ? near : "", near ? "\"" : "", known);
}

/* ---- biases; those of a classification head train anyway and count with it */

bool lora_trains_bias(const Model *m, const PeftConfig *cfg, const Param *p)
{
    if (cfg->bias == BIAS_ALL)
        return str_glob("*.bias", p->name) && !str_glob("peft.*", p->name) && !build_is_class_head(p->name);
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
    Var *x = p->train ? op_dropout(t, in, r->dropout, pass_stream(p, at, "lora")) : in;
    Var *low = op_linear(t, x, tape_param(t, r->a), OUT_IN, NULL, ACT_NONE);
    Var *delta = op_linear(t, low, tape_param(t, r->b), OUT_IN, NULL, ACT_NONE);
    return tape_leave(t, mark, op_add(t, out, r->scale, delta));
}

static Status attach(Model *m, Hooks *hooks, const PeftConfig *cfg)
{
    TRY(lora_check(m, cfg, "lora"));
    for (const Linear *l = NULL; (l = lora_next(m, cfg, l));) {
        int64_t rank = lora_rank(cfg, l);
        Lora *r = NEW(m->run, Lora, 1);
        r->a = param_add(m->params, lora_name(m, "lora", l, "A"), place_fan_in(l->in), SHAPE(rank, l->in));
        r->b = param_add(m->params, lora_name(m, "lora", l, "B"), (Init){INIT_ZERO, 0}, SHAPE(l->out, rank));
        r->scale = lora_scale(cfg, l);
        r->dropout = cfg->dropout;
        hook_add(hooks, l->at, lora_hook, r);
    }
    lora_bias_train(m, cfg);
    return OK;
}

/* On outputs o .. o+n-1, which lie side by side: rows (out,in) or columns (in,out) of W. */
static void fold_run(const Linear *l, int64_t o, int64_t n, Tensor a, Tensor b, double s)
{
    param_widen(l->w);
    Tensor w = l->w->val;
    int64_t r = a.dim[0];
    void *to = tensor_place(w, linear_at(l, o, 0)), *up = tensor_place(b, o * r);
    if (l->layout == OUT_IN)
        gemm_parallel(w.dtype, n, l->in, r, s, (Mat){up, r, false}, (Mat){a.data, l->in, false}, 1, to, l->in);
    else
        gemm_parallel(w.dtype, l->in, n, r, s, (Mat){a.data, l->in, true}, (Mat){up, r, true}, 1, to, tensor_last(w));
}

void lora_fold(const Linear *l, Tensor a, Tensor b, double s)
{
    int64_t run = l->run ? l->run : l->out;
    for (int64_t o = 0; o < l->out; o += run) fold_run(l, o, run, a, b, s);
}

void lora_scale_output(const Linear *l, int64_t o, double c)
{
    param_widen(l->w);
    Tensor w = l->w->val;
    for (int64_t i = 0; i < l->in; i++) {
        int64_t at = linear_at(l, o, i);
        tensor_set(w, at, c * tensor_get(w, at));
    }
}

static Status fold_all(Model *m, const PeftConfig *cfg, double sign)
{
    int folded = 0;
    for (int i = 0; i < m->n_linears; i++) {
        const Linear *l = &m->linears[i];
        const Param *a = param_find(m->params, lora_name(m, "lora", l, "A"));
        const Param *b = param_find(m->params, lora_name(m, "lora", l, "B"));
        if (!a || !b) continue;
        lora_fold(l, a->val, b->val, sign * lora_scale(cfg, l));
        folded++;
    }
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
    int64_t n = bias_count(m, cfg);
    for (const Linear *l = NULL; (l = lora_next(m, cfg, l));) n += lora_rank(cfg, l) * (l->in + l->out);
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
