/* Random sequences that repeat once: on them a head that follows a pattern of ids cannot be mistaken for one that
 * follows the grammar of a text. */
#include "analysis/patterns.h"
#include "analysis/tokens.h"
#include "base/rng.h"

enum { SEQUENCES = 4, HALF = 24, LEAST_HALF = 3, FRAME = 2 };

static bool is_special(const Config *c, const Tokenizer *k, int32_t id)
{
    return id == c->pad || id == c->bos || id == c->eos || (k && tokenizer_is_special(k, id));
}

/* [bos] x x [eos of an encoder], x being `half` random ids; returns the length. */
static int64_t draw(int32_t *id, int64_t half, const Model *m, Part part, const Tokenizer *k, uint64_t stream)
{
    const Config *c = &m->config;
    int64_t n = 0;
    if (c->bos >= 0 && c->bos < c->vocab) id[n++] = c->bos;
    for (int64_t i = 0, at = 0; i < half; i++) {
        int32_t one;
        do {
            one = (int32_t)rng_below(stream, (uint64_t)at, c->vocab);
        } while (at++ < 100 * HALF && is_special(c, k, one));
        id[n + i] = id[n + half + i] = one;
    }
    n += 2 * half;
    if (part == PART_ENCODER && c->eos >= 0 && c->eos < c->vocab) id[n++] = c->eos;
    return n;
}

static void add(HeadStats *s, Tensor map, const Maps *x)
{
    s->repeat_previous += pattern_mass(PATTERN_PREVIOUS, map, x->prefix, x->query, x->key) / SEQUENCES;
    s->repeat_duplicate += pattern_mass(PATTERN_DUPLICATE, map, x->prefix, x->query, x->key) / SEQUENCES;
    s->repeat_induction += pattern_mass(PATTERN_INDUCTION, map, x->prefix, x->query, x->key) / SEQUENCES;
}

/* Measures previous, duplicate and induction attention on random sequences that repeat. */
bool pattern_repeats(HeadStats *out, Model *m, Hooks *hooks, Part part, const Tokenizer *k)
{
    int layers = model_layers(m, part), heads = maps_heads(m, part);
    int64_t room = config_room(&m->config), half = room && room < 2 * HALF + FRAME ? (room - FRAME) / 2 : HALF;
    if (part == PART_CROSS || half < LEAST_HALF) return false;
    for (int i = 0; i < layers * (heads + 1); i++)
        out[i].repeat_previous = out[i].repeat_duplicate = out[i].repeat_induction = 0;
    for (int r = 0; r < SEQUENCES; r++) {
        Arena run = arena_open(0);
        int32_t *id = NEW(&run, int32_t, 2 * HALF + FRAME);
        int64_t n = draw(id, half, m, part, k, rng_mix(rng_stream(1, "attend/repeats"), (uint64_t)r));
        Batch b = {.b = 1, .t = n, .ids = id, .s = m->arch->encode ? n : 0, .src = m->arch->encode ? id : NULL};
        Maps x;
        maps_read(&x, &run, m, hooks, &b, part);
        x.query = x.key = id;
        bool drawn = x.t == n; /* virtual tokens of the text's own kind would move the rows */
        for (int l = 0; drawn && l < layers; l++)
            for (int h = HEAD_MEAN; h < heads; h++)
                add(&out[h == HEAD_MEAN ? layers * heads + l : l * heads + h], maps_head(&x, &run, l, h), &x);
        arena_close(&run);
        if (!drawn) return false;
    }
    return true;
}
