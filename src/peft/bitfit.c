/* BitFit: train the bias vectors of the body and nothing else: projections, feed-forward and norms.  The biases of
 * a language-model head stay frozen, as the head itself does.  A model without biases (T5) leaves nothing to train,
 * which is refused rather than silently becoming a linear probe. */
#include "peft/place.h"

static const char *const BIASES = "*.bias";

static void defaults(PeftConfig *cfg, const Config *c)
{
    (void)cfg, (void)c;
}

static int64_t count(const Model *m, const PeftConfig *cfg)
{
    return place_body_count(m, cfg, BIASES);
}

static Status attach(Model *m, Hooks *hooks, const PeftConfig *cfg)
{
    (void)hooks;
    if (!count(m, cfg))
        return err_fail(E_CONFIG,
                        "bitfit trains biases and %s has none: take norms or ia3, which are nearest in size",
                        m->config.arch);
    place_body_train(m, BIASES);
    return OK;
}

const Peft PEFT_BITFIT = {
    .name = "bitfit",
    .summary = "train the biases only",
    .source = "Ben Zaken et al., BitFit, ACL 2022",
    .defaults = defaults,
    .attach = attach,
    .count = count,
    .changes_base = true,
    .lr = 1e-3,
    .small_lr = 3e-4,
};
REGISTER(peft, PEFT_BITFIT)
