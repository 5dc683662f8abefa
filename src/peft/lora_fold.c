/* LoRA's arithmetic on one layer: its rank and scale, and s B A added to W, whatever the layout of W. */
#include <math.h>

#include "base/str.h"
#include "num/gemm.h"
#include "peft/lora.h"

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
