/* Pfeiffer adapters: one after the feed-forward.  On post-norm layers the adapter reads LN(s + x) through the frozen
 * norm and its output joins s before that norm is applied again: y = LN(x + s + A(LN(s + x))).  On pre-norm layers
 * y = x + s + A(s + x).  The preset of the adapters library (seq_bn): ReLU, a bottleneck of a sixteenth. */
#include "peft/bottleneck.h"

static const Bottleneck FORM = {.method = "pfeiffer", .form = ADAPT_SUM, .attn = false, .ffn = true};

static void defaults(PeftConfig *cfg, const Config *c)
{
    (void)c;
    bottleneck_defaults(cfg, ACT_RELU, 16, 1);
}

static Status attach(Model *m, Hooks *hooks, const PeftConfig *cfg)
{
    return bottleneck_attach(&FORM, m, hooks, cfg);
}

static int64_t count(const Model *m, const PeftConfig *cfg)
{
    return bottleneck_count(&FORM, m, cfg);
}

const Peft PEFT_PFEIFFER = {
    .name = "pfeiffer",
    .summary = "one bottleneck adapter per layer, after the feed-forward",
    .source = "Pfeiffer et al., AdapterFusion, EACL 2021",
    .defaults = defaults,
    .attach = attach,
    .count = count,
    .knob = bottleneck_knob,
    .lr = 2e-5,
    .small_lr = 1e-3,
};
REGISTER(peft, PEFT_PFEIFFER)
