/* Settings as a model has them by itself, the checks on them and on prompts, and the passes with a cache. */
#include "base/str.h"
#include "nn/generate_pass.h"

GenerateConfig generate_defaults(const Model *m, int max_new)
{
    const Config *c = &m->config;
    return (GenerateConfig){.max_new = max_new,
                            .eos = c->eos,
                            .start = c->decoder_start >= 0 ? c->decoder_start : c->bos,
                            .pad = c->pad,
                            .forced_bos = -1,
                            .forced_eos = {&c->eos, m->arch->force_eos && c->eos >= 0},
                            .beams = 1,
                            .n_best = 1,
                            .ends_count = true,
                            .ends_hold = m->arch->ends_hold,
                            .length_penalty = m->arch->length_penalty};
}

bool generate_is_end(const GenerateConfig *c, int32_t id)
{
    bool ends = id >= 0 && id == c->eos;
    for (int i = 0; i < c->more_eos.n; i++) ends |= id == c->more_eos.id[i];
    return ends;
}

bool generate_ends(const GenerateConfig *c, const int32_t *new, int n)
{
    return generate_is_end(c, new[n - 1]) || (c->ends && c->ends(new, n, c->user));
}

int32_t generate_pad(const GenerateConfig *c)
{
    return c->pad >= 0 ? c->pad : c->eos;
}

Status generate_fit(GenerateConfig *c, const Model *m, int64_t n, int otherwise)
{
    int room = config_room(&m->config);
    if (c->max_new > 0) return OK;
    if (c->max_length > 0) {
        if (n >= c->max_length)
            return err_fail(E_CONFIG, "the prompt has %lld %s, and max_length is %d, prompt included", (long long)n,
                            str_plural(n, "token", "tokens"), c->max_length);
        c->max_new = c->max_length - (int)n;
        return OK;
    }
    c->max_new = otherwise;
    if (room && n + otherwise - 1 > room) { /* a long prompt keeps at least half of the positions */
        int left = n < room ? room - (int)n + 1 : 1, least = room / 2 > 1 ? room / 2 : 1;
        if (left < least) left = least;
        if (left < otherwise) c->max_new = left;
    }
    return OK;
}

/* The stack that writes: the decoder, or UniXcoder's encoder. */
static const Stack *writer(const Model *m)
{
    return m->decoder ? m->decoder : m->encoder;
}

static int32_t prompt_length(const Batch *x, int64_t b)
{
    return x->len ? x->len[b] : (int32_t)x->t;
}

/* ---- settings */

static Status check_id(const char *what, int32_t id, int vocab)
{
    return id < vocab ? OK : err_fail(E_CONFIG, "%s is %d, the vocabulary has %d tokens", what, id, vocab);
}

static Status check_list(const char *what, IdList list, int vocab)
{
    for (int i = 0; i < list.n; i++) TRY(check_id(what, list.id[i], vocab));
    return OK;
}

static Status check_ids(const GenerateConfig *c, int vocab)
{
    TRY(check_id("eos", c->eos, vocab));
    TRY(check_id("forced_bos_token_id", c->forced_bos, vocab));
    TRY(check_list("forced_eos_token_id", c->forced_eos, vocab));
    for (int i = 0; i < c->n_bad_words; i++) TRY(check_list("an id of bad_words_ids", c->bad_words[i], vocab));
    return OK;
}

/* E_CONFIG where the prompt of row b does not fit. */
static Status check_prompt(const Model *m, const Batch *x, const GenerateConfig *c, int64_t b)
{
    const Config *k = &m->config;
    int most = config_room(k);
    int32_t n = x->ids ? prompt_length(x, b) : 1;
    if (n < 1) return err_fail(E_CONFIG, "prompt %lld is empty", (long long)b);
    if (most && n + c->max_new - 1 > most)
        return err_fail(E_CONFIG, "prompt %lld of %d %s and %d new %s exceed the model's %d positions", (long long)b,
                        n, str_plural(n, "token", "tokens"), c->max_new, str_plural(c->max_new, "one", "ones"), most);
    if (x->ids && m->arch->equal_prompts && n != prompt_length(x, 0))
        return err_fail(E_CONFIG, "%s's decoder takes prompts of one length; prompt %lld has %d %s, the first %d",
                        k->arch, (long long)b, n, str_plural(n, "token", "tokens"), prompt_length(x, 0));
    return OK;
}

/* E_MISMATCH where the model cannot generate, E_CONFIG where a setting or a prompt is out of range. */
Status generate_check(const Model *m, const Batch *x, const GenerateConfig *c)
{
    const Config *k = &m->config;
    if ((!m->decoder && !k->writes_from_encoder) || k->no_lm_head)
        return err_fail(E_MISMATCH, "this %s model has no decoder with a language-model head", k->arch);
    if (c->max_new < 1) return err_fail(E_CONFIG, "max_new is %d, expected at least 1", c->max_new);
    if (!(c->temperature >= 0) || !(c->top_p >= 0 && c->top_p <= 1) || c->top_k < 0)
        return err_fail(E_CONFIG, "temperature %g, top_k %d, top_p %g: expected none below 0, top_p at most 1",
                        c->temperature, c->top_k, c->top_p);
    TRY(check_ids(c, k->vocab));
    if (!x->ids && (c->start < 0 || c->start >= k->vocab))
        return err_fail(E_CONFIG, "start is %d, expected a token id below %d", c->start, k->vocab);
    for (int64_t b = 0; b < x->b; b++) TRY(check_prompt(m, x, c, b));
    return OK;
}

/* ---- passes */

Status generate_logits(Tensor *out, Decoder *d, const Batch *x)
{
    Pass p = {.tape = tape_open(d->step, false), .hooks = d->hooks, .cache = d->cache};
    Var *memory = d->memory.data ? tape_leaf(p.tape, d->memory) : NULL;
    Tensor logits = model_logits_with(d->model, &p, x, memory)->val;
    *out = tensor_reshape(logits, SHAPE(x->b, tensor_last(logits)));
    int64_t odd = tensor_find_nonfinite(*out, true);
    return odd < 0 ? OK
                   : err_fail(E_NUMERIC, "the logit of token %lld is %g, expected a finite number",
                              (long long)(odd % tensor_last(*out)), tensor_get(*out, odd));
}

/* The prompt as a pass over all of it that keeps each row's last position. */
Batch generate_first_batch(Arena *a, const Model *m, const Batch *x, const GenerateConfig *c)
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
    y.mask = y.sees = NULL; /* generation takes no layouts but lengths */
    y.position = y.span = NULL;
    y.causal = !m->decoder && !c->both_ways;
    return y;
}

Batch generate_next_batch(const Model *m, const Batch *x, int64_t b, const int32_t *next)
{
    return (Batch){
        .b = b, .t = 1, .ids = next, .s = x->s, .src = x->src, .src_len = x->src_len, .causal = !m->decoder};
}

Cache *generate_cache(Arena *a, const Model *m, int64_t b, int64_t room)
{
    Cache *c = cache_new(a, writer(m)->n, b, room);
    c->part = writer(m)->part;
    return c;
}

void generate_encode(Decoder *d, Arena *keep, const Batch *x)
{
    if (!d->model->arch->encode) return;
    ArenaMark mark = arena_mark(d->step);
    Pass p = {.tape = tape_open(d->step, false), .hooks = d->hooks};
    d->memory = tensor_copy(keep, d->model->arch->encode(d->model, &p, x)->val);
    arena_drop(d->step, mark);
}

Written generate_written(const Batch *prompts, int64_t b)
{
    Written w = {.prompt = prompts->ids + b * prompts->t, .n_prompt = prompt_length(prompts, b)};
    w.source = prompts->src ? prompts->src + b * prompts->s : w.prompt;
    w.n_source = !prompts->src ? w.n_prompt : prompts->src_len ? prompts->src_len[b] : prompts->s;
    return w;
}
