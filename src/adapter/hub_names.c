/* Names and numbers of the adapters library that its reader, its tensors and its writer share. */
#include "adapter/hub.h"

#include "nn/config.h"

const struct HubAct HUB_ACTS[] = {{"relu", ACT_RELU},
                                  {"swish", ACT_SILU},
                                  {"silu", ACT_SILU},
                                  {"gelu", ACT_GELU},
                                  {"gelu_orig", ACT_GELU},
                                  {"gelu_new", ACT_GELU_TANH},
                                  {"gelu_pytorch_tanh", ACT_GELU_TANH},
                                  {"tanh", ACT_TANH},
                                  {"linear", ACT_NONE},
                                  {NULL, ACT_NONE}};

int hub_layer(const Model *m, Where at)
{
    return at.layer + (at.part != PART_ENCODER ? model_layers(m, PART_ENCODER) : 0);
}

/* Its llama names them crosswise: intermediate is down_proj, and output is up_proj. */
Site hub_feed_forward(const Model *m, int which)
{
    static const Site PLAIN[] = {SITE_FFN_UP, SITE_FFN_OUT};
    return m->config.gated ? m->arch->format->gated_lora[which] : PLAIN[which];
}

const char *hub_prefix_part(const Model *m, Part part)
{
    if (part == PART_CROSS) return "cross_prefix";
    return part == PART_ENCODER && m->arch->encode ? "encoder_prefix" : "self_prefix";
}
