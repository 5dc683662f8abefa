/* The names of the adapters library's tensors: <module>.adapters.NAME.<tensor> at the end of a sublayer,
 * <linear>.loras.NAME.<tensor> on a linear layer, and one prefix or prompt for the model under its own prefix. */
#include <stdio.h>
#include <string.h>

#include "adapter/hub.h"
#include "base/str.h"
#include "nn/build.h"
#include "nn/config.h"
#include "peft/ia3.h"
#include "peft/lora.h"
#include "peft/place.h"

/* ---- bottlenecks */

static const char *module_of(const Adapter *a, Part part, int layer, const char *sub)
{
    for (const Sublayer *s = a->model->arch->format->sublayers; s && s->sub; s++)
        if (s->part == part && !strcmp(s->sub, sub))
            return str_print(a->run, "%s%s%d%s.adapters.%s", a->prefix, s->before, layer, s->after, a->name);
    return NULL;
}

static Part part_of(const char *name)
{
    Part p = 0;
    while (p < PART_ANY && strcmp(name, part_name(p)) != 0) p++;
    return p;
}

/* A norm in front is the first stage of adapter_down and has a name of its own, too. */
static Status bind_bottleneck(Adapter *a)
{
    static const struct {
        const char *ours, *theirs;
    } WHAT[] = {{"norm_before", "adapter_norm_before"}, {"norm_after", "adapter_norm_after"}, {"up", "adapter_up"}};
    char form[64], side[16], sub[16], what[32], kind[16];
    snprintf(form, sizeof form, "peft.%s.%%15[a-z].layer.%%d.%%15[a-z].%%31[a-z_].%%15s", a->method->name);
    for (int i = 0; i < params_n(a->model->params); i++) {
        Param *p = params_at(a->model->params, i);
        int layer, n = sscanf(p->name, form, side, &layer, sub, what, kind);
        if (n < 4) continue;
        const char *module = module_of(a, part_of(side), layer, sub), *theirs = NULL;
        if (!module) return err_fail(E_MISMATCH, "%s: the adapters library has no such place", p->name);
        for (size_t j = 0; j < sizeof WHAT / sizeof *WHAT; j++)
            if (!strcmp(WHAT[j].ours, what)) theirs = WHAT[j].theirs;
        if (!strcmp(what, "down")) theirs = a->cfg.norm_before ? "adapter_down.1" : "adapter_down.0";
        const char *name =
            n == 4 ? str_print(a->run, "%s.scaling", module) : str_print(a->run, "%s.%s.%s", module, theirs, kind);
        adapter_bind(a, p, name, p->val.rank, p->val.dim);
        const char *alias = str_print(a->run, "%s.adapter_down.0.%s", module, n == 5 ? kind : "");
        if (!strcmp(what, "norm_before") && (a->writing || adapter_stored(a, alias)))
            adapter_bind(a, p, alias, p->val.rank, p->val.dim);
    }
    return OK;
}

/* ---- linear layers */

/* GPT-2's thirds share tensors: those adapted in a layer lie one below the other. */
typedef struct {
    const char *module;
    int64_t at, of; /* this is number `at` of `of` */
} Block;

typedef bool Adapts(const Adapter *, const Linear *);

static bool has_lora(const Adapter *a, const Linear *l)
{
    return param_find(a->model->params, lora_name(a->model, a->method->name, l, "A")) != NULL;
}

static bool has_ia3(const Adapter *a, const Linear *l)
{
    const char *what = ia3_what(l->at.site, false);
    return what && place_find(a->model, "ia3", l->at, what);
}

/* The module of a linear layer, and the layer's place among the adapted thirds of a fused matrix. */
static Block block_of(const Adapter *a, const Linear *l, Adapts *adapts)
{
    const Model *m = a->model;
    Block b = {str_print(a->run, "%s%s.loras.%s", a->prefix, l->name, a->name), 0, 1};
    if (adapter_is_whole(l)) return b;
    b.of = 0;
    for (int i = 0; i < m->n_linears; i++) {
        const Linear *k = &m->linears[i];
        if (k->w != l->w) continue;
        if (adapter_is_whole(k)) b.module = str_print(a->run, "%s%s.loras.%s", a->prefix, k->name, a->name);
        if (adapter_is_whole(k) || !adapts(a, k)) continue;
        if (k == l) b.at = b.of;
        b.of++;
    }
    return b;
}

/* Binds the matrices of LoRA, and the magnitudes of DoRA, to tensors of the adapters library. */
static Status bind_lora(Adapter *a)
{
    for (const Linear *l = NULL; (l = lora_next(a->model, &a->cfg, l));) {
        if (l->at.site == SITE_QKV)
            return err_fail(E_MISMATCH, "%s: the adapters library adapts thirds of this matrix, not the whole",
                            l->name);
        Block b = block_of(a, l, has_lora);
        Param *down = param_find(a->model->params, lora_name(a->model, a->method->name, l, "A"));
        Param *up = param_find(a->model->params, lora_name(a->model, a->method->name, l, "B"));
        Param *m = param_find(a->model->params, lora_name(a->model, a->method->name, l, "magnitude"));
        int64_t r = down->val.dim[0];
        if (m && !adapter_is_whole(l))
            return err_fail(E_MISMATCH, "%s: the adapters library has no DoRA on thirds of a matrix", l->name);
        adapter_bind(a, down, str_print(a->run, "%s.lora_A", b.module), SHAPE(b.of * r, l->in))->first =
            b.at * r * l->in;
        adapter_bind(a, up, str_print(a->run, "%s.lora_B", b.module), SHAPE(b.of * l->out, r))->first =
            b.at * l->out * r;
        if (m) adapter_bind(a, m, str_print(a->run, "%s.m.weight", b.module), SHAPE(l->out, 1));
    }
    return OK;
}

/* Binds the factors of (IA)3 to tensors of the adapters library, which scales outputs only. */
static Status bind_ia3(Adapter *a)
{
    const Model *m = a->model;
    for (int i = 0; i < m->n_linears; i++) {
        const Linear *l = &m->linears[i];
        const char *input = ia3_what(l->at.site, true);
        if (input && place_find(m, "ia3", l->at, input))
            return err_fail(E_MISMATCH,
                            "%s: the adapters library scales the outputs of linear layers, not their inputs",
                            l->name);
        if (!has_ia3(a, l)) continue;
        Block b = block_of(a, l, has_ia3);
        Param *p = place_find(m, "ia3", l->at, ia3_what(l->at.site, false));
        adapter_bind(a, p, str_print(a->run, "%s.lora_B", b.module), SHAPE(b.of * l->out, 1))->first = b.at * l->out;
    }
    return OK;
}

/* ---- virtual tokens */

/* Keys and values of a part's layers lie side by side, in the flat vector and in the output of the MLP. */
static Status bind_prefix(Adapter *a)
{
    const Model *m = a->model;
    if (a->cfg.kind == PREFIX_TIED) return err_fail(E_MISMATCH, "the adapters library has no tied prefixes");
    for (Where at = PLACE_FIRST; place_next(m, &a->cfg, &at);) {
        const char *stem = str_print(a->run, "%sprefix_tuning.prefix_tunings.%s.%s", a->prefix, a->name,
                                     hub_prefix_part(m, at.part));
        int64_t slots = 2 * model_layers(m, at.part), width = place_width(m, at), p = a->cfg.length, b = a->cfg.width;
        for (int i = 0; i < 2; i++) {
            const char *kind = i ? "values" : "keys";
            int64_t slot = 2 * at.layer + i;
            if (a->cfg.kind == PREFIX_FREE) {
                Binding *x = adapter_bind(a, place_find(m, "prefix", at, kind),
                                          str_print(a->run, "%s.control_trans", stem), SHAPE(p * slots * width));
                x->row = slots * width;
                x->first = slot * width;
                continue;
            }
            adapter_bind(a, place_find(m, "prefix", at, str_print(a->run, "%s.weight", kind)),
                         str_print(a->run, "%s.control_trans.2.weight", stem), SHAPE(slots * width, b))
                ->first = slot * width * b;
            adapter_bind(a, place_find(m, "prefix", at, str_print(a->run, "%s.bias", kind)),
                         str_print(a->run, "%s.control_trans.2.bias", stem), SHAPE(slots * width))
                ->first = slot * width;
        }
        if (a->cfg.kind == PREFIX_FREE || at.layer) continue;
        static const char *const SHARED[][2] = {
            {"table", "wte.weight"}, {"mlp.weight", "control_trans.0.weight"}, {"mlp.bias", "control_trans.0.bias"}};
        for (int i = 0; i < 3; i++) {
            Param *x = place_find(m, "prefix", (Where){.layer = -1, .part = at.part}, SHARED[i][0]);
            adapter_bind(a, x, str_print(a->run, "%s.%s", stem, SHARED[i][1]), x->val.rank, x->val.dim);
        }
    }
    return OK;
}

static Status bind_prompt(Adapter *a)
{
    Part part = model_layers(a->model, PART_ENCODER) ? PART_ENCODER : PART_DECODER;
    Param *p = place_find(a->model, "prompt", (Where){.layer = -1, .part = part}, "table");
    adapter_bind(a, p,
                 str_print(a->run, "%sprompt_tuning.prompt_tunings.%s.prompt_embedding.weight", a->prefix, a->name),
                 2, p->val.dim);
    return OK;
}

static const struct {
    const char *method;
    Status (*bind)(Adapter *);
} METHODS[] = {{"houlsby", bind_bottleneck}, {"pfeiffer", bind_bottleneck}, {"parallel", bind_bottleneck},
               {"lora", bind_lora},          {"dora", bind_lora},           {"ia3", bind_ia3},
               {"prefix", bind_prefix},      {"prompt", bind_prompt}};

Status hub_bind(Adapter *a)
{
    for (size_t i = 0; i < sizeof METHODS / sizeof *METHODS; i++)
        if (!strcmp(METHODS[i].method, a->method->name)) return METHODS[i].bind(a);
    return err_fail(E_MISMATCH, "the adapters library has no method like %s", a->method->name);
}

/* Only heads come along here. */
const char *hub_carried(const Adapter *a, const Param *p, int which)
{
    if (which || !build_is_any_head(p->name)) return NULL;
    return a->hub_head && build_is_class_head(p->name) ? hub_head_name(a, p) : p->name;
}
