#include "nn/causal.h"

Stack *causal_begin(Model *m, const char *tokens, const char *positions)
{
    const Config *c = &m->config;
    const Init normal = {INIT_NORMAL, c->init_sd};
    Causal *g = m->blocks = NEW(m->run, Causal, 1);
    Stack *s = build_stack(m, PART_DECODER, true);
    g->tokens = build_param(m, tokens, normal, SHAPE(c->vocab, c->dim));
    if (positions) g->positions = build_param(m, positions, normal, SHAPE(c->positions, c->dim));
    return s;
}

void causal_end(Model *m, const char *final, bool bias, const char *head)
{
    const Config *c = &m->config;
    const Init normal = {INIT_NORMAL, c->init_sd};
    Causal *g = m->blocks;
    g->final = build_norm(m, final, bias);
    g->head_name = head;
    if (!c->no_lm_head) g->head = c->tie_head ? g->tokens : build_param(m, head, normal, SHAPE(c->vocab, c->dim));
    if (c->classes) g->score = build_param(m, "score.weight", normal, SHAPE(c->classes, c->dim));
}

double causal_untie(Model *m)
{
    Causal *g = m->blocks;
    g->head = build_copy(m, g->head_name, g->tokens, 1);
    return 1;
}

Var *causal_hidden(Model *m, Pass *p, const Batch *x)
{
    const Causal *g = m->blocks;
    const Where embed = {SITE_RESID, LAYER_EMBED, PART_DECODER};
    Rows r;
    int mark = tape_enter(p->tape);
    CHECK(!x->span, "a batch gives %s spans", m->config.arch);
    Var *h = block_embed_tokens(p, PART_DECODER, tape_param(p->tape, g->tokens), 1, x->ids, x->b, x->t, &r);
    rows_limit(p, &r, PART_DECODER, x->len, x->mask);
    rows_see(p, &r, PART_DECODER, x);
    rows_keep(p, &r, x->keep, x->k);
    if (g->positions) h = block_add_positions(p, PART_DECODER, h, g->positions, 0, &r);
    h = block_dropout(p, m->decoder->dropout, embed, h);
    h = block_run(p, m->decoder, hook_run(p, embed, h, h), &r);
    if (p->cache) cache_advance(p->cache, &r, x->len);
    return tape_leave(p->tape, mark, block_norm(p, &g->final, h, NULL));
}

Var *causal_logits(Model *m, Pass *p, Var *h)
{
    const Causal *g = m->blocks;
    return op_linear(p->tape, h, tape_param(p->tape, g->head), OUT_IN, NULL, ACT_NONE);
}

Var *causal_loss(Model *m, Pass *p, Var *h, const int32_t *target)
{
    const Causal *g = m->blocks;
    return op_head_xent(p->tape, h, tape_param(p->tape, g->head), OUT_IN, NULL, target, NULL);
}

Var *causal_classify(Model *m, Pass *p, const Batch *x)
{
    const Causal *g = m->blocks;
    Batch last = *x;
    last.keep = rows_last(p, x);
    last.k = 1;
    return op_linear(p->tape, causal_hidden(m, p, &last), tape_param(p->tape, g->score), OUT_IN, NULL, ACT_NONE);
}
