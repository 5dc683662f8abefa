/* Norm tuning: train the gains (and biases) of the layer norms of the body, or of those that `target` names, in a
 * head or not.  Defined on every architecture, and the rest of BitFit on one without biases. */
#include "peft/place.h"

#include <string.h>

#include "base/str.h"
#include "peft/layers.h"

/* Norms as the checkpoints name them: BERT; BART and T5; BART's embeddings; GPT-2; the Llama family, GPT-NeoX and
 * ModernBERT. */
static const char *const NORMS =
    "*LayerNorm.*|*layer_norm.*|*layernorm_embedding.*|*ln_?.*|*layernorm.*|*_norm.*|norm.*|*.norm.*";

static bool wants(const Model *m, const PeftConfig *cfg, const Param *p)
{
    if (!layers_list_holds(m, cfg->layers, p)) return false;
    if (cfg->target) return str_glob(cfg->target, p->name) && strncmp(p->name, "peft.", 5) != 0;
    return place_is_body(p, NORMS);
}

static void defaults(PeftConfig *cfg, const Config *c)
{
    (void)cfg, (void)c;
}

static int64_t count(const Model *m, const PeftConfig *cfg)
{
    int64_t n = 0;
    for (int i = 0; i < params_n(m->params); i++)
        if (wants(m, cfg, params_at(m->params, i))) n += tensor_count(params_at(m->params, i)->val);
    return n;
}

static Status attach(Model *m, Hooks *hooks, const PeftConfig *cfg)
{
    (void)hooks;
    if (!count(m, cfg))
        return err_fail(E_CONFIG, "norms: this %s model has no LayerNorm or RMSNorm with parameters", m->config.arch);
    for (int i = 0; i < params_n(m->params); i++) {
        const Param *p = params_at(m->params, i);
        if (wants(m, cfg, p)) params_train(m->params, p->name, true);
    }
    return OK;
}

const Peft PEFT_NORMS = {
    .name = "norms",
    .summary = "train the gains and biases of LayerNorm or RMSNorm only",
    .source = "Qi et al., Parameter-Efficient Tuning on Layer Normalization for Pre-trained Language Models, 2022",
    .defaults = defaults,
    .attach = attach,
    .count = count,
    .changes_base = true,
    .lr = 1e-3,
    .small_lr = 3e-4,
};
REGISTER(peft, PEFT_NORMS)
