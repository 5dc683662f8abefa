/* Every look into a model is the same four steps: observers after the hooks that are there, one pass on an arena of
 * its own, the arena closed, the observers taken away. */
#include "measure/observe.h"

static bool wants_logits(const Model *m, const Where *at, int n)
{
    for (int i = 0; i < n && !m->config.no_lm_head; i++)
        if (at[i].site == SITE_LOGITS) return true;
    return false;
}

static bool encoder_is_enough(const Batch *batch, const Where *at, int n)
{
    for (int i = 0; i < n && batch->t; i++)
        if (at[i].part != PART_ENCODER) return false;
    return true;
}

static void run_once(Model *m, const Hooks *hooks, const Batch *batch, const Where *at, int n)
{
    Arena step = arena_open(0);
    Pass pass = {.tape = tape_open(&step, false), .hooks = hooks};
    if (m->arch->encode && encoder_is_enough(batch, at, n))
        model_encode(m, &pass, batch);
    else if (wants_logits(m, at, n))
        model_logits(m, &pass, batch);
    else
        model_hidden(m, &pass, batch);
    arena_close(&step);
}

void observe_many(Tensor *out, Arena *keep, Model *m, Hooks *hooks, const Batch *batch, const Where *at, int n)
{
    Arena own = arena_open(0);
    Capture *seen = NEW(&own, Capture, n);
    if (!hooks) hooks = hooks_new(&own);
    int before = hooks_n(hooks);
    for (int i = 0; i < n; i++) {
        seen[i].arena = keep;
        hook_observe(hooks, at[i], hook_capture, &seen[i]);
    }
    run_once(m, hooks, batch, at, n);
    hooks_clear_from(hooks, before);
    for (int i = 0; i < n; i++) out[i] = seen[i].value;
    arena_close(&own);
}

Tensor observe_one(Arena *keep, Model *m, Hooks *hooks, const Batch *batch, Where at)
{
    Tensor out;
    observe_many(&out, keep, m, hooks, batch, &at, 1);
    return out;
}

void observe_peek(Model *m, Hooks *hooks, const Batch *batch, const Where *rule, int n, Peek *peek)
{
    Arena own = arena_open(0);
    if (!hooks) hooks = hooks_new(&own);
    int before = hooks_n(hooks);
    for (int i = 0; i < n; i++) hook_observe(hooks, rule[i], hook_peek, peek);
    run_once(m, hooks, batch, rule, n);
    hooks_clear_from(hooks, before);
    arena_close(&own);
}
