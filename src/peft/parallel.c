/* Parallel adapters: s + 4 A(x) beside the feed-forward, where x is the residual entering it (in pre-norm models the
 * stream that is not normalised).  The preset of the adapters library (par_bn): ReLU, a bottleneck of a half. */
#include "peft/bottleneck.h"

static const Bottleneck FORM = {.method = "parallel", .form = ADAPT_PARALLEL, .attn = false, .ffn = true};

static void defaults(PeftConfig *cfg, const Config *c)
{
    (void)c;
    bottleneck_defaults(cfg, ACT_RELU, 2, 4);
}

static Status attach(Model *m, Hooks *hooks, const PeftConfig *cfg)
{
    return bottleneck_attach(&FORM, m, hooks, cfg);
}

static int64_t count(const Model *m, const PeftConfig *cfg)
{
    return bottleneck_count(&FORM, m, cfg);
}

const Peft PEFT_PARALLEL = {
    .name = "parallel",
    .summary = "one wide bottleneck adapter in parallel with the feed-forward",
    .source = "He et al., Towards a Unified View of Parameter-Efficient Transfer Learning, ICLR 2022",
    .defaults = defaults,
    .attach = attach,
    .count = count,
    .knob = bottleneck_knob,
    .lr = 2e-5,
    .small_lr = 1e-3,
};
REGISTER(peft, PEFT_PARALLEL)
