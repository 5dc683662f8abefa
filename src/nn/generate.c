/* The first pass reads the whole prompt, keeping the last row of each; every further pass reads one token a row.  The
 * encoder runs once.  What outlives a pass (keys, values, the encoder's result) is on an arena of this call. */
#include "nn/generate.h"

#include <string.h>

#include "nn/block.h"

GenerateConfig generate_defaults(const Model *m, int max_new)
{
    const Config *c = &m->config;
    return (GenerateConfig){.max_new = max_new,
                            .eos = c->eos,
                            .start = c->decoder_start >= 0 ? c->decoder_start : c->bos,
                            .force_eos = !strcmp(c->arch, "bart")};
}

typedef struct {
    Model *model;
    const Hooks *hooks;
    Arena *step;
    Cache *cache;
    Tensor memory; /* of the encoder; data NULL without one */
} Decoder;

static int32_t prompt_length(const Batch *x, int64_t b)
{
    return x->len ? x->len[b] : (int32_t)x->t;
}

static Status check(const Model *m, const Batch *x, const GenerateConfig *c)
{
    const Config *k = &m->config;
    if (!m->decoder || k->no_lm_head)
        return fail(E_CONFIG, "this %s model has no decoder with a language-model head", k->arch);
    if (c->max_new < 1) return fail(E_CONFIG, "max_new is %d, expected at least 1", c->max_new);
    if (c->eos >= k->vocab) return fail(E_CONFIG, "eos is %d, the vocabulary has %d tokens", c->eos, k->vocab);
    if (!x->ids && (c->start < 0 || c->start >= k->vocab))
        return fail(E_CONFIG, "start is %d, expected a token id below %d", c->start, k->vocab);
    for (int64_t b = 0; x->ids && b < x->b; b++) {
        int32_t n = prompt_length(x, b);
        if (n < 1) return fail(E_CONFIG, "prompt %lld is empty", (long long)b);
        if (k->positions && n + c->max_new - 1 > k->positions)
            return fail(E_CONFIG, "prompt %lld of %d tokens and %d new ones exceed the model's %d positions",
                        (long long)b, n, c->max_new, k->positions);
        if (!strcmp(k->arch, "t5") && n != prompt_length(x, 0))
            return fail(E_CONFIG, "t5's decoder takes prompts of one length; prompt %lld has %d tokens, the first %d",
                        (long long)b, n, prompt_length(x, 0));
    }
    return OK;
}

/* The likeliest next token of each row; the first of equals. */
static void choose(int32_t *next, Decoder *d, const Batch *x)
{
    ArenaMark mark = arena_mark(d->step);
    Pass p = {.tape = tape_open(d->step, false), .hooks = d->hooks, .cache = d->cache};
    Var *memory = d->memory.data ? tape_leaf(p.tape, d->memory) : NULL;
    Tensor logits = model_logits_with(d->model, &p, x, memory)->val;
    int64_t v = tensor_last(logits);
    for (int64_t b = 0; b < x->b; b++) {
        int64_t best = 0;
        for (int64_t i = 1; i < v; i++)
            if (tensor_get(logits, b * v + i) > tensor_get(logits, b * v + best)) best = i;
        next[b] = (int32_t)best;
    }
    arena_drop(d->step, mark);
}

/* The prompt as a pass over all of it that keeps each row's last position. */
static Batch first_batch(Arena *a, const Batch *x, const GenerateConfig *c)
{
    Batch y = *x;
    int32_t *keep = NEW(a, int32_t, x->b);
    if (!x->ids) {
        int32_t *start = NEW(a, int32_t, x->b);
        for (int64_t b = 0; b < x->b; b++) start[b] = c->start;
        y.ids = start;
        y.t = 1;
        y.len = NULL;
    }
    for (int64_t b = 0; b < x->b; b++) keep[b] = prompt_length(&y, b) - 1;
    y.keep = keep;
    y.k = 1;
    y.mask = NULL;
    return y;
}

static void run_encoder(Decoder *d, Arena *keep, const Batch *x)
{
    if (!d->model->arch->encode) return;
    ArenaMark mark = arena_mark(d->step);
    Pass p = {.tape = tape_open(d->step, false), .hooks = d->hooks};
    d->memory = tensor_copy(keep, d->model->arch->encode(d->model, &p, x)->val);
    arena_drop(d->step, mark);
}

Status generate(int32_t *out, int32_t *out_len, Model *m, const Hooks *hooks, Arena *step, const Batch *x,
                const GenerateConfig *c)
{
    TRY(check(m, x, c));
    Arena keep = arena_open((size_t)1 << 36);
    Decoder d = {.model = m, .hooks = hooks, .step = step};
    Batch y = first_batch(&keep, x, c);
    d.cache = cache_new(&keep, m->decoder->n, x->b, y.t + c->max_new);
    int32_t *next = NEW(&keep, int32_t, x->b), pad = m->config.pad >= 0 ? m->config.pad : c->eos;
    for (int64_t i = 0; i < x->b * c->max_new; i++) out[i] = pad;
    memset(out_len, 0, sizeof *out_len * (size_t)x->b);

    run_encoder(&d, &keep, x);
    bool *ended = NEW(&keep, bool, x->b);
    int64_t open = x->b;
    for (int i = 0; i < c->max_new && open; i++) {
        choose(next, &d, &y);
        for (int64_t b = 0; b < x->b; b++) {
            if (ended[b]) { /* any token will do */
                next[b] = pad >= 0 ? pad : 0;
                continue;
            }
            if (c->force_eos && c->eos >= 0 && i == c->max_new - 1) next[b] = c->eos;
            out[b * c->max_new + i] = next[b];
            out_len[b] = i + 1;
            ended[b] = next[b] == c->eos;
            open -= ended[b];
        }
        y = (Batch){.b = x->b, .t = 1, .ids = next, .s = x->s, .src = x->src, .src_len = x->src_len};
    }
    arena_close(&keep);
    return OK;
}
