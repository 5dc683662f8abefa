/* See the header. */
#include "nn/stacked.h"

#include "nn/block.h"
#include "nn/build.h"

static Var *stacked_classes(Model *m, Pass *p, const Batch *x)
{
    const Stacked *s = m->stacked;
    const Config *c = &m->config;
    double rate = c->head_dropout < 0 ? c->dropout : c->head_dropout;
    int mark = tape_enter(p->tape);
    Var *h = model_pooled(m, p, x, s->config.pooler ? POOL_POOLER : m->encoder ? POOL_FIRST : POOL_LAST);
    for (int i = 0; i < s->config.layers; i++) {
        h = block_dropout(p, rate, (Where){SITE_LOGITS, i, m->arch->last}, h);
        h = op_linear(p->tape, h, tape_param(p->tape, s->w[i]), OUT_IN, tape_param(p->tape, s->b[i]),
                      i < s->config.layers - 1 ? s->config.act : ACT_NONE);
    }
    return tape_leave(p->tape, mark, h);
}

Status stacked_build(Model *m, const StackedConfig *c)
{
    int64_t dim = m->config.dim;
    if (c->layers < 1 || c->layers > STACKED_MOST || c->classes < 1)
        return err_fail(E_CONFIG, "a classification head of %d layers and %d classes, expected 1 to %d layers",
                        c->layers, c->classes, STACKED_MOST);
    if (m->arch->encode || (c->pooler && (!m->config.pooler || !m->arch->pool)))
        return err_fail(E_CONFIG, "a classification head of %d layers reads %s, which this %s model does not have",
                        c->layers, c->pooler ? "the pooler" : "one stack", m->config.arch);
    Stacked *s = NEW(m->run, Stacked, 1);
    s->config = *c;
    for (int i = 0; i < c->layers; i++) {
        bool last = i == c->layers - 1;
        int64_t out = last ? c->classes : dim;
        s->w[i] = build_param(m, NAMED(m, "classifier.stacked.%d.weight", i), (Init){INIT_NORMAL, m->config.init_sd},
                              SHAPE(out, dim));
        if (!last || c->bias)
            s->b[i] = build_param(m, NAMED(m, "classifier.stacked.%d.bias", i), (Init){INIT_ZERO, 0}, SHAPE(out));
    }
    m->config.classes = c->classes;
    m->stacked = s;
    m->classify = stacked_classes;
    return OK;
}
