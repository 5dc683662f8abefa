/* One token after another: the likeliest, or a draw. */
#include <string.h>

#include "base/rng.h"
#include "nn/generate_pass.h"
#include "nn/generate_rules.h"

typedef struct {
    Decoder d;
    const GenerateConfig *c;
    Batch prompts;
    int32_t *out, *next;
    bool *ended; /* rows */
} Writing;

/* The likeliest token (the first of equals), or a draw. */
static int32_t choose_by(const double *z, int64_t v, const GenerateConfig *c, Arena *step, int64_t b, int i)
{
    if (c->temperature > 0) {
        uint64_t stream = rng_mix(rng_stream(c->seed, "generate"), (uint64_t)b);
        return generate_draw(z, v, c, step, rng_uniform(stream, (uint64_t)i));
    }
    int64_t best = 0;
    for (int64_t t = 1; t < v; t++)
        if (z[t] > z[best]) best = t;
    return (int32_t)best;
}

/* The next token of row b, behind i new ones. */
static int32_t choose(Writing *g, Tensor logits, int64_t b, int i)
{
    int64_t v = tensor_count(logits);
    ArenaMark mark = arena_mark(g->d.step);
    Written w = generate_written(&g->prompts, b);
    w.new = g->out + b * g->c->max_new, w.n_new = i;
    double *z = NEW(g->d.step, double, v);
    for (int64_t t = 0; t < v; t++) z[t] = tensor_get(logits, t);
    generate_rules(z, v, &w, g->c, g->d.step);
    int32_t token = choose_by(z, v, g->c, g->d.step, b, i);
    arena_drop(g->d.step, mark);
    return token;
}

/* A row that has ended goes on with padding: any token will do. */
static Status write_tokens(Writing *g, int32_t *out_len)
{
    const GenerateConfig *c = g->c;
    int32_t pad = generate_pad(c);
    int64_t n = g->prompts.b, open = n;
    Batch y = g->prompts;
    for (int i = 0; i < c->max_new && open; i++) {
        ArenaMark mark = arena_mark(g->d.step);
        Tensor logits;
        TRY(generate_logits(&logits, &g->d, &y));
        for (int64_t b = 0; b < n; b++) {
            g->next[b] = g->ended[b] ? pad >= 0 ? pad : 0 : choose(g, tensor_at(logits, b), b, i);
            if (g->ended[b]) continue;
            g->out[b * c->max_new + i] = g->next[b];
            out_len[b] = i + 1;
            g->ended[b] = generate_ends(c, g->out + b * c->max_new, i + 1);
            open -= g->ended[b];
        }
        arena_drop(g->d.step, mark);
        y = generate_next_batch(g->d.model, &g->prompts, n, g->next);
    }
    return OK;
}

Status generate_tokens(int32_t *out, int32_t *out_len, Model *m, const Hooks *hooks, Arena *step, const Batch *x,
                       const GenerateConfig *c)
{
    TRY(generate_check(m, x, c));
    Arena keep = arena_open((size_t)1 << 36);
    Writing g = {.d = {.model = m, .hooks = hooks, .step = step}, .c = c, .out = out};
    g.prompts = generate_first_batch(&keep, m, x, c);
    g.next = NEW(&keep, int32_t, x->b);
    g.ended = NEW(&keep, bool, x->b);
    g.d.cache = generate_cache(&keep, m, x->b, g.prompts.t + c->max_new);
    for (int64_t i = 0; i < x->b * c->max_new; i++) out[i] = generate_pad(c);
    memset(out_len, 0, sizeof *out_len * (size_t)x->b);
    generate_encode(&g.d, &keep, x);
    Status status = write_tokens(&g, out_len);
    arena_close(&keep);
    return status;
}
