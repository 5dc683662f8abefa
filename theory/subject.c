/* Random tokens for any architecture, random weights for a GPT-2, and a random prefix for both. */
#include "theory/subject.h"

#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "nn/config.h"

void normal_fill(Model *m, const char *glob, double sd, uint64_t seed)
{
    for (int i = 0; i < params_n(m->params); i++) {
        Param *p = params_at(m->params, i);
        if (!str_glob(glob, p->name)) continue;
        uint64_t stream = rng_stream(seed, p->name);
        for (int64_t k = 0; k < tensor_count(p->val); k++)
            tensor_set(p->val, k, sd * rng_normal(stream, (uint64_t)k));
    }
}

/* The padding token is left out: RoBERTa gives it no position. */
static int32_t *random_ids(Arena *run, const Config *c, uint64_t stream, int64_t n)
{
    int32_t *ids = NEW(run, int32_t, n);
    for (int64_t i = 0; i < n; i++) {
        ids[i] = (int32_t)rng_below(stream, (uint64_t)i, c->vocab);
        if (ids[i] == c->pad) ids[i] = (ids[i] + 1) % c->vocab;
    }
    return ids;
}

static Subject over(Arena *run, Model *m, Part part, uint64_t seed, int64_t b, int64_t t)
{
    Subject s = {.m = m, .part = part, .layers = model_layers(m, part), .seed = seed};
    s.batch = (Batch){.b = b, .t = t, .ids = random_ids(run, &m->config, rng_stream(seed, "tokens"), b * t)};
    if (m->encoder && m->decoder) {
        s.batch.s = t;
        s.batch.src = random_ids(run, &m->config, rng_stream(seed, "source"), b * t);
    }
    return s;
}

Status subject_random(Subject *out, Arena *run, NetShape n, DType type, uint64_t seed)
{
    Config c = {0};
    arch_find("gpt2")->defaults(&c);
    c.vocab = n.vocab, c.positions = n.tokens + n.spare, c.dim = n.dim, c.heads = n.heads, c.layers = n.layers;
    c.hidden = 2 * n.dim, c.init_sd = n.init_sd, c.no_attn_norm = n.bare;
    Model *m;
    TRY(model_open(&m, run, &c, type, seed));
    normal_fill(m, "*.bias", 0.1, seed);
    *out = over(run, m, PART_DECODER, seed, n.rows, n.tokens);
    return OK;
}

static DType dtype_for(const Config *c)
{
    double d = c->dim, hidden = c->hidden ? c->hidden : 4 * d;
    double weights = c->vocab * d + (c->layers + c->decoder_layers) * (8 * d * d + 3 * hidden * d);
    return weights < 2.5e8 ? F64 : F32;
}

Status subject_load(Subject *out, Arena *run, const char *dir, const char *part, uint64_t seed, int rows, int tokens)
{
    Config c;
    Model *m;
    TRY(config_load(&c, dir));
    TRY(model_load_as(&m, run, dir, &(LoadOptions){.dtype = dtype_for(&c), .seed = seed}));
    Part at = m->decoder ? PART_DECODER : PART_ENCODER;
    for (int p = 0; p < PART_COUNT; p++)
        if (!strcmp(part, part_name((Part)p))) at = (Part)p;
    if (!model_layers(m, at)) return err_fail(E_CONFIG, "part is %s, but this %s has none", part, m->config.arch);
    int room = config_room(&c);
    if (room && tokens > room) tokens = room;
    *out = over(run, m, at, seed, rows, tokens);
    return OK;
}

Status subject_prefix(Subject *s, Arena *run, PrefixKind kind, int slots, double sd)
{
    const Peft *prefix = peft_find("prefix");
    PeftConfig c = {0};
    prefix->defaults(&c, &s->m->config);
    for (int p = 0; p < PART_COUNT; p++) c.on[p] = p == (int)s->part;
    c.kind = kind;
    c.length = s->slots = slots;
    s->sd = sd;
    s->hooks = hooks_new(run);
    TRY(peft_attach(prefix, s->m, s->hooks, &c));
    CHECK(hooks_n(s->hooks) == 2 * s->layers, "%d hooks for %d layers", hooks_n(s->hooks), s->layers);
    normal_fill(s->m, "peft.prefix.*", sd, s->seed);
    return OK;
}

Seen *subject_observe(const Subject *s, Arena *into)
{
    Seen *seen = NEW(into, Seen, s->layers);
    measure_pass(seen, into, s->m, s->hooks, s->part, &s->batch);
    return seen;
}

Var *append_vectors(Pass *p, Where at, Var *in, Var *out, void *vectors)
{
    (void)at, (void)in;
    Tensor x = tensor_copy(tape_arena(p->tape), out->val), v = *(Tensor *)vectors;
    int64_t b = x.dim[0], t = x.dim[1], c = x.dim[2], n = v.dim[1];
    for (int64_t i = 0; i < b * n * c; i++)
        tensor_set(x, (i / (n * c) * t + t - n + i / c % n) * c + i % c, tensor_get(v, i));
    return tape_leaf(p->tape, x);
}

Batch longer_batch(Arena *run, Batch x, int64_t more)
{
    int32_t *ids = NEW(run, int32_t, x.b * (x.t + more));
    for (int64_t i = 0; i < x.b; i++) memcpy(ids + i * (x.t + more), x.ids + i * x.t, sizeof *ids * (size_t)x.t);
    x.ids = ids;
    x.t += more;
    return x;
}

Status subject_input(Run *r, const char *dir)
{
    const char *config;
    TRY(config_path(&config, run_arena(r), dir));
    return run_input(r, config);
}
