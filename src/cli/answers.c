/* See the header.  The tokens are drawn by a fixed seed, so two calls on models of one shape have the same ones. */
#include "cli/answers.h"

#include <math.h>

#include "base/rng.h"

enum { PROBE = 8 };

static Tensor answer(Arena *arena, Model *m, const Hooks *hooks, const Batch *b,
                     Var *(*run)(Model *, Pass *, const Batch *))
{
    Arena step = arena_open(0);
    Tensor t = tensor_copy(arena, run(m, &(Pass){.tape = tape_open(&step, false), .hooks = hooks}, b)->val);
    arena_close(&step);
    return t;
}

Answers answers(Model *m, const Hooks *hooks, Arena *arena)
{
    static int32_t ids[PROBE];
    const Config *c = &m->config;
    Answers y = {0};
    uint64_t s = rng_stream(1, "adapter/merge");
    int room = config_room(c);
    int64_t n = room && room < PROBE ? room : PROBE;
    for (int i = 0; i < n; i++) do {
            s++;
            ids[i] = (int32_t)rng_below(s, (uint64_t)i, c->vocab);
        } while (ids[i] == c->pad);
    if (m->arch->encode && c->eos >= 0) ids[n - 1] = c->eos; /* which their classifiers read */
    Batch b = {.b = 1, .t = n, .ids = ids, .s = m->arch->encode ? n : 0, .src = ids};
    y.of[0] = answer(arena, m, hooks, &b, model_hidden);
    if (!c->no_lm_head) y.of[1] = answer(arena, m, hooks, &b, model_logits);
    if (c->classes) y.of[2] = answer(arena, m, hooks, &b, model_classes);
    return y;
}

static double relative_difference(Tensor a, Tensor b)
{
    double difference = 0, most = 0;
    for (int64_t i = 0; i < tensor_count(a); i++) {
        difference = fmax(difference, fabs(tensor_get(a, i) - tensor_get(b, i)));
        most = fmax(most, fabs(tensor_get(a, i)));
    }
    return most > 0 ? difference / most : difference;
}

double answers_difference(const Answers *a, const Answers *b)
{
    double most = 0;
    for (int i = 0; i < ANSWER_OUTPUTS; i++)
        if (a->of[i].data) most = fmax(most, relative_difference(a->of[i], b->of[i]));
    return most;
}
