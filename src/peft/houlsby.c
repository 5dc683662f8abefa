/* Houlsby adapters: s + A(s) after attention and after the feed-forward, both before the residual is added.
 * The preset of the adapters library (double_seq_bn): SiLU, a bottleneck of a sixteenth.  Cross-attention has none
 * unless its part is turned on. */
#include "peft/bottleneck.h"

static const Bottleneck FORM = {.method = "houlsby", .form = ADAPT_OUTPUT, .attn = true, .ffn = true};

static void defaults(PeftConfig *cfg, const Config *c)
{
    (void)c;
    bottleneck_defaults(cfg, ACT_SILU, 16, 1);
}

static Status attach(Model *m, Hooks *hooks, const PeftConfig *cfg)
{
    return bottleneck_attach(&FORM, m, hooks, cfg);
}

static int64_t count(const Model *m, const PeftConfig *cfg)
{
    return bottleneck_count(&FORM, m, cfg);
}

const Peft PEFT_HOULSBY = {
    .name = "houlsby",
    .summary = "two bottleneck adapters per layer, after attention and after the feed-forward",
    .source = "Houlsby et al., Parameter-Efficient Transfer Learning for NLP, ICML 2019",
    .defaults = defaults,
    .attach = attach,
    .count = count,
    .knob = bottleneck_knob,
};
REGISTER(peft, PEFT_HOULSBY)
