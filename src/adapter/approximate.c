/* A LoRA of the difference of two models.  A fused projection counts as one matrix.  Tables and heads are listed, not
 * adapted: their decomposition takes minutes, and a change of single rows has no low rank. */
#include <math.h>
#include <string.h>

#include "adapter/combine.h"
#include "adapter/library.h"
#include "base/str.h"
#include "nn/build.h"
#include "peft/lora.h"
#include "peft/place.h"

typedef struct {
    const Model *before, *after;
    Approximated *row;
    int n;
} Change;

static double norm_of_difference(const Param *p, const Param *q)
{
    double sum = 0;
    for (int64_t i = 0; i < tensor_count(p->val); i++) {
        double d = tensor_get(q->val, i) - tensor_get(p->val, i);
        sum += d * d;
    }
    return sqrt(sum);
}

/* The layer that owns all of its matrix, and changed. */
static bool changed(const Change *c, const Linear *l)
{
    if (lora_is_outer(l) || l->first || l->run || tensor_count(l->w->val) != l->in * l->out) return false;
    const Linear *now = lora_find(c->after, l->name);
    return now && norm_of_difference(l->w, now->w) > 0;
}

static Status check_shape(const Change *c)
{
    const ParamSet *a = c->before->params, *b = c->after->params;
    for (int i = 0; i < params_n(a); i++) {
        const Param *p = params_at(a, i), *q = param_find(b, p->name);
        if (!q || !tensor_same_shape(p->val, q->val))
            return err_fail(E_MISMATCH, "%s of the base %s, so the two models cannot be compared", p->name,
                            q ? "has another shape in the tuned model" : "is not in the tuned model");
    }
    return OK;
}

/* Which biases a LoRA has to keep: none, of the adapted layers, or all. */
static BiasMode biases(const Change *c)
{
    BiasMode mode = BIAS_NONE;
    const ParamSet *set = c->before->params;
    for (int i = 0; i < params_n(set); i++) {
        const Param *p = params_at(set, i);
        if (!str_glob("*.bias", p->name) || build_is_class_head(p->name) ||
            !(norm_of_difference(p, param_find(c->after->params, p->name)) > 0))
            continue;
        bool of_target = false;
        for (const Linear *l = NULL; (l = lora_each(c->before, l));) of_target |= l->b == p && changed(c, l);
        if (!of_target) return BIAS_ALL;
        mode = BIAS_TARGETS;
    }
    return mode;
}

static Status attach(Adapter *out, const Change *c, int rank)
{
    Model *m = out->model;
    const char **name = NEW(m->run, const char *, m->n_linears + 1);
    int n = 0;
    for (const Linear *l = NULL; (l = lora_each(c->before, l));)
        if (changed(c, l)) name[n++] = l->name;
    if (!n)
        return err_fail(E_MISMATCH, "no matrix of a linear layer differs from the base's, so a LoRA has no place");
    place_all(&out->cfg, true);
    out->cfg.rank = rank, out->cfg.alpha = rank;
    out->cfg.target = adapter_name_list(m->run, name, n);
    out->cfg.bias = biases(c);
    return peft_attach(out->method, m, hooks_new(m->run), &out->cfg);
}

static Status factor(Change *c, Adapter *out, const Linear *l)
{
    Svd svd;
    Arena scratch = arena_open(0);
    Tensor w = linear_matrix(&scratch, lora_find(c->after, l->name)),
           base = linear_matrix(&scratch, lora_find(c->before, l->name));
    for (int64_t i = 0; i < tensor_count(w); i++) tensor_set(w, i, tensor_get(w, i) - tensor_get(base, i));
    Param *a = param_find(out->model->params, lora_name(out->model, "lora", l, "A")),
          *b = param_find(out->model->params, lora_name(out->model, "lora", l, "B"));
    Status s = lora_factor(&svd, &scratch, w, 1, a, b);
    double all = 0, rest = 0;
    for (int64_t k = 0; !s && k < tensor_count(svd.s); k++) {
        double x = tensor_get(svd.s, k);
        all += x * x;
        if (k >= a->val.dim[0]) rest += x * x;
    }
    /* singular values below the rounding of the stored weights are no rank */
    if (!s) c->row[c->n++] = (Approximated){l->name, true, sqrt(all), linalg_rank(svd.s, 1e-5), sqrt(rest / all)};
    arena_close(&scratch);
    return s;
}

/* Biases that the LoRA keeps, the classification head, and the parameters that it lacks. */
static void keep_others(Change *c, Adapter *out)
{
    const ParamSet *set = c->before->params;
    for (int i = 0; i < params_n(set); i++) {
        const Param *p = params_at(set, i), *q = param_find(c->after->params, p->name);
        Param *r = param_find(out->model->params, p->name);
        double norm = norm_of_difference(p, q);
        bool head = build_is_class_head(p->name), bias = lora_trains_bias(out->model, &out->cfg, r), linear = false;
        for (const Linear *l = NULL; (l = lora_each(c->before, l));) linear |= l->w == p && changed(c, l);
        if (head || bias) param_train(r, true), tensor_put(r->val, q->val);
        if (norm > 0 && !head && !bias && !linear) c->row[c->n++] = (Approximated){p->name, false, norm, 0, 1};
    }
}

Status adapter_approximate(Adapter **out, Approximated **rows, int *n, Model *to, const Model *before,
                           const Model *after, int rank)
{
    const Peft *lora = peft_find("lora");
    PeftConfig cfg = {0};
    Change c = {before, after, NEW(to->run, Approximated, params_n(before->params) + 1), 0};
    TRY(check_shape(&c));
    lora->defaults(&cfg, &to->config);
    *out = adapter_of(to, lora, &cfg, "approximated");
    TRY(attach(*out, &c, rank));
    for (const Linear *l = NULL; (l = lora_next(to, &(*out)->cfg, l));) TRY(factor(&c, *out, l));
    keep_others(&c, *out);
    *rows = c.row, *n = c.n;
    return OK;
}
