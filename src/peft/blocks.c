/* Whole layers of the base: which they are is peft/layers.h, and peft_attach() makes them trainable. */
#include "peft/blocks.h"

#include "peft/layers.h"
#include "peft/peft.h"

Status blocks_check(const Model *m, const char *list)
{
    Layers c;
    return layers_read(&c, m, "blocks", list);
}

Status blocks_train(Model *m, const char *list)
{
    Layers c;
    TRY(layers_read(&c, m, "blocks", list));
    for (int i = 0; i < params_n(m->params); i++)
        if (layers_hold(&c, m, params_at(m->params, i))) param_train(params_at(m->params, i), true);
    return OK;
}

int64_t blocks_count(const Model *m, const char *list)
{
    Layers c;
    int64_t n = 0;
    if (layers_read(&c, m, "blocks", list)) {
        err_clear();
        return 0;
    }
    for (int i = 0; i < params_n(m->params); i++)
        if (layers_hold(&c, m, params_at(m->params, i))) n += tensor_count(params_at(m->params, i)->val);
    return n;
}

/* ---- as a method: the same layers without any other */

static void defaults(PeftConfig *cfg, const Config *c)
{
    (void)c;
    cfg->blocks = "*";
}

/* peft_attach() makes them trainable, as it does beside other methods. */
static Status attach(Model *m, Hooks *hooks, const PeftConfig *cfg)
{
    (void)m, (void)hooks;
    return cfg->blocks ? OK : err_fail(E_CONFIG, "blocks: no layers are chosen, expected blocks=6-11 or the like");
}

static int64_t count(const Model *m, const PeftConfig *cfg)
{
    return cfg->blocks ? blocks_count(m, cfg->blocks) : 0;
}

const Peft PEFT_BLOCKS = {
    .name = "blocks",
    .summary = "train whole layers and nothing else; beside another method: its option blocks",
    .source = "Lee et al., What Would Elsa Do? Freezing Layers During Transformer Fine-Tuning, 2019",
    .defaults = defaults,
    .attach = attach,
    .count = count,
    .changes_base = true,
    .lr = 5e-5,
    .small_lr = 3e-4,
};
REGISTER(peft, PEFT_BLOCKS)
