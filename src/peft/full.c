/* Full fine-tuning as a method among the others: every parameter trains, nothing is added.  BART's logit bias is no
 * parameter there but a constant that checkpoints carry.  With the option `layers` it is those layers whole, and the
 * classification head. */
#include "peft/blocks.h"
#include "peft/peft.h"

static const char *const CONSTANT = "final_logits_bias";

static void defaults(PeftConfig *cfg, const Config *c)
{
    (void)cfg, (void)c;
}

static Status attach(Model *m, Hooks *hooks, const PeftConfig *cfg)
{
    (void)hooks, (void)cfg;
    params_train(m->params, "*", true);
    params_train(m->params, CONSTANT, false);
    return OK;
}

static int64_t count(const Model *m, const PeftConfig *cfg)
{
    if (cfg->layers) return blocks_count(m, cfg->layers);
    return params_count(m->params, NULL, false) - params_count(m->params, CONSTANT, false) - peft_head_count(m) -
           params_count(m->params, "peft.*", false);
}

const Peft PEFT_FULL = {
    .name = "full",
    .summary = "train every parameter",
    .source = "Devlin et al., BERT, NAACL 2019",
    .defaults = defaults,
    .attach = attach,
    .count = count,
    .changes_base = true,
    .trains_all = true,
    .lr = 2e-5,
    .small_lr = 3e-4,
};
REGISTER(peft, PEFT_FULL)
