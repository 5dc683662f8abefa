/* Norm tuning: train the gains (and biases) of the layer norms of the body.  Defined on every architecture, and
 * the rest of BitFit on one without biases. */
#include "peft/place.h"

/* Norms as the checkpoints name them: RoBERTa; BART and T5; BART's embeddings; GPT-2; Llama, GPT-NeoX, ModernBERT. */
static const char *const NORMS = "*LayerNorm.*|*layer_norm.*|*layernorm_embedding.*|*ln_?.*|*norm.weight|*norm.bias";

static void defaults(PeftConfig *cfg, const Config *c)
{
    (void)cfg, (void)c;
}

static int64_t count(const Model *m, const PeftConfig *cfg)
{
    (void)cfg;
    return place_body_count(m, NORMS);
}

static Status attach(Model *m, Hooks *hooks, const PeftConfig *cfg)
{
    (void)hooks;
    if (!count(m, cfg))
        return err_fail(E_CONFIG, "norms: this %s model has no LayerNorm or RMSNorm with parameters", m->config.arch);
    place_body_train(m, NORMS);
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
