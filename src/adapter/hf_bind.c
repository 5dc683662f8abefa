/* The names of PEFT's tensors.  Tuners that wrap modules write base_model.model.<module>.<tensor>; virtual tokens are
 * one tensor, prompt_embeddings, and a head beside them is base_model.<name>. */
#include <stdio.h>
#include <string.h>

#include "adapter/hf.h"
#include "base/str.h"
#include "nn/build.h"
#include "nn/config.h"
#include "peft/ia3.h"
#include "peft/lora.h"
#include "peft/place.h"

const char *hf_tensor(const Adapter *a, const Linear *l, const char *what)
{
    return str_print(a->run, "base_model.model.%s.%s", hf_module(a, l), what);
}

/* The spelling that the file has: some versions end bare parameters in ".weight", and AdaLoRA's A and B do not.  The
 * library takes no other than its own, so that is what is written. */
static const char *spelt(const Adapter *a, const Linear *l, const char *what)
{
    const char *name = hf_tensor(a, l, what);
    size_t n = strlen(name), end = strlen(".weight");
    if (!a->weights || a->writing || adapter_stored(a, name)) return name;
    const char *other = n > end && !strcmp(name + n - end, ".weight") ? str_copy(a->run, name, n - end)
                                                                      : str_print(a->run, "%s.weight", name);
    return adapter_stored(a, other) ? other : name;
}

static Param *param(const Adapter *a, const Linear *l, const char *what)
{
    return param_find(a->model->params, lora_name(a->model, a->method->name, l, what));
}

static Status bind_lora(Adapter *a)
{
    for (const Linear *l = NULL; (l = lora_next(a->model, &a->cfg, l));) {
        if (!adapter_is_whole(l))
            return err_fail(E_MISMATCH, "%s: a third of a matrix is no module of its own, so PEFT cannot adapt it",
                            l->name);
        Param *down = param(a, l, "A"), *up = param(a, l, "B"), *m = param(a, l, "magnitude");
        Param *bias = param(a, l, "bias");
        bool table = lora_is_outer(l) && l->layout == IN_OUT;
        Binding *b =
            adapter_bind(a, down, spelt(a, l, table ? "lora_embedding_A" : "lora_A.weight"), 2, down->val.dim);
        if (a->kind && !strcmp(a->kind, "ADALORA")) b->times = hf_tensor(a, l, "lora_E");
        adapter_bind(a, up, spelt(a, l, table ? "lora_embedding_B" : "lora_B.weight"), 2, up->val.dim);
        if (bias) adapter_bind(a, bias, hf_tensor(a, l, "lora_B.bias"), 1, bias->val.dim);
        if (m) adapter_bind(a, m, spelt(a, l, "lora_magnitude_vector"), 1, m->val.dim);
    }
    return hf_bind_tokens(a);
}

static Status bind_vera(Adapter *a)
{
    Param *shared[] = {param_find(a->model->params, "peft.vera.A"), param_find(a->model->params, "peft.vera.B")};
    for (int i = 0; i < 2; i++)
        adapter_bind(a, shared[i], i ? "base_model.vera_B" : "base_model.vera_A", 2, shared[i]->val.dim);
    for (const Linear *l = NULL; (l = lora_next(a->model, &a->cfg, l));) {
        if (!adapter_is_whole(l))
            return err_fail(E_MISMATCH, "%s: a third of a matrix is no module of its own, so PEFT cannot adapt it",
                            l->name);
        Param *d = param(a, l, "d"), *b = param(a, l, "b");
        adapter_bind(a, d, spelt(a, l, "vera_lambda_d"), 1, d->val.dim);
        adapter_bind(a, b, spelt(a, l, "vera_lambda_b"), 1, b->val.dim);
    }
    return OK;
}

/* [out,1] where outputs are scaled, [1,in] where inputs are. */
static Status bind_ia3(Adapter *a)
{
    Part part = PART_ANY;
    for (int i = 0; i < params_n(a->model->params); i++) {
        Param *p = params_at(a->model->params, i);
        char side[16], what[16];
        int layer;
        bool inputs;
        if (sscanf(p->name, "peft.ia3.%15[a-z].layer.%d.%15s", side, &layer, what) != 3) continue;
        for (part = 0; part < PART_ANY && strcmp(side, part_name(part)); part++) continue;
        const Linear *l = ia3_linear(a->model, (Where){.layer = layer, .part = part}, what, &inputs);
        int64_t n = tensor_count(p->val);
        if (!adapter_is_whole(l))
            return err_fail(E_MISMATCH, "%s: a third of a matrix is no module of its own, so PEFT cannot scale it",
                            l->name);
        if (inputs)
            adapter_bind(a, p, spelt(a, l, "ia3_l"), SHAPE(1, n));
        else
            adapter_bind(a, p, spelt(a, l, "ia3_l"), SHAPE(n, 1));
    }
    return OK;
}

/* Gains are vectors, and so are the biases beside them. */
bool hf_is_norm(const Adapter *a, const Param *p)
{
    const char *dot = strrchr(p->name, '.');
    if (!p->trainable || !dot || str_glob("peft.*", p->name)) return false;
    const Param *gain = param_find(a->model->params, str_print(a->run, "%.*s.weight", (int)(dot - p->name), p->name));
    return gain && gain->val.rank == 1;
}

/* LN tuning: whole norms of the base, under the name of the tuner's layer. */
static Status bind_norms(Adapter *a)
{
    for (int i = 0; i < params_n(a->model->params); i++) {
        Param *p = params_at(a->model->params, i);
        if (!hf_is_norm(a, p)) continue;
        const char *name = adapter_base_name(a, p->name), *dot = strrchr(name, '.');
        adapter_bind(a, p,
                     str_print(a->run, "base_model.model.%.*s.ln_tuning_layers%s", (int)(dot - name), name, dot),
                     p->val.rank, p->val.dim);
    }
    return OK;
}

/* Keys and values of all layers lie side by side.  The library repeats the table once for each transformer
 * and lets layer i read slots 2 i stride and 2 i stride + 1, so in an encoder-decoder they run out and start
 * over. */
static Status bind_prefix(Adapter *a)
{
    const Model *m = a->model;
    if (a->cfg.kind != PREFIX_FREE)
        return err_fail(
            E_MISMATCH,
            "PEFT keeps a prefix as its keys and values; it has no place for an MLP or tied virtual tokens");
    for (Where at = PLACE_FIRST; place_next(m, &a->cfg, &at);)
        for (int i = 0; i < 2; i++) {
            Param *p = place_find(m, "prefix", at, i ? "values" : "keys");
            int64_t width = tensor_last(p->val);
            Binding *b = adapter_bind(a, p, "prompt_embeddings", SHAPE(a->cfg.length, a->slots * width));
            b->row = a->slots * width;
            b->first = (2 * a->stride * at.layer + i) % a->slots * width;
        }
    return OK;
}

/* An encoder-decoder's table has a second half, for a decoder that never reads it. */
static Status bind_prompt(Adapter *a)
{
    Part part = model_layers(a->model, PART_ENCODER) ? PART_ENCODER : PART_DECODER;
    Param *p = place_find(a->model, "prompt", (Where){.layer = -1, .part = part}, "table");
    adapter_bind(a, p, "prompt_embeddings", SHAPE((int64_t)a->cfg.length * a->stride, tensor_last(p->val)));
    return OK;
}

static const struct {
    const char *method;
    Status (*bind)(Adapter *);
} METHODS[] = {{"lora", bind_lora},   {"dora", bind_lora},        {"vera", bind_vera},     {"ia3", bind_ia3},
               {"norms", bind_norms}, {"tokens", hf_bind_tokens}, {"prefix", bind_prefix}, {"prompt", bind_prompt}};

Status hf_bind(Adapter *a)
{
    for (size_t i = 0; i < sizeof METHODS / sizeof *METHODS; i++)
        if (!strcmp(METHODS[i].method, a->method->name)) return METHODS[i].bind(a);
    return err_fail(
        E_MISMATCH,
        "Hugging Face PEFT has no method like %s; expected lora, dora, vera, ia3, norms, tokens, prefix or "
        "prompt",
        a->method->name);
}

/* The weight or bias of a module with a low-rank product moves into its base_layer. */
static const char *wrapped(const Adapter *a, const Param *p)
{
    for (const Linear *l = NULL; (l = lora_each(a->model, l));)
        if ((l->b == p || l->w == p) && param(a, l, "A"))
            return hf_tensor(a, l, l->b == p ? "base_layer.bias" : "base_layer.weight");
    return NULL;
}

/* Name number `which` of those that the file may have for a parameter which is tied to others. */
static const char *tied_name(const Adapter *a, const Param *p, int which)
{
    for (const Alias *t = a->model->arch->format->alias; t && t->name; t++)
        if (!strcmp(t->name, p->name) && !param_find(a->model->params, t->file) && !which--) return t->file;
    return NULL;
}

const char *hf_carried(const Adapter *a, const Param *p, int which)
{
    const char *inner = wrapped(a, p), *name = p->name;
    if (inner && which == 0) return inner;
    if (!inner) which++; /* 1: its own name, 2 and on: those of parameters tied to it */
    if (which > 1) name = tied_name(a, p, which - 2);
    return name ? str_print(a->run, "base_model.%s%s", a->method->virtual_tokens ? "" : "model.",
                            adapter_base_name(a, name))
                : NULL;
}
