/* The first pass reads the whole prompt, keeping the last row of each; every further pass reads one token a row.  The
 * encoder runs once.  Memory that outlives a pass (keys, values, the encoder's result) is on an arena of this
 * call. */
#include "nn/generate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "nn/block.h"

GenerateConfig generate_defaults(const Model *m, int max_new)
{
    const Config *c = &m->config;
    return (GenerateConfig){.max_new = max_new,
                            .eos = c->eos,
                            .start = c->decoder_start >= 0 ? c->decoder_start : c->bos,
                            .force_eos = m->arch->force_eos,
                            .beams = 1,
                            .n_best = 1,
                            .ends_hold = m->arch->ends_hold,
                            .length_penalty = m->arch->length_penalty};
}

typedef struct {
    Model *model;
    const Hooks *hooks;
    Arena *step;
    Cache *cache;
    Tensor memory; /* of the encoder; data NULL without one */
} Decoder;

typedef struct {
    double score;
    int32_t token;
} Scored;

/* The stack that writes: the decoder, or UniXcoder's encoder. */
static const Stack *writer(const Model *m)
{
    return m->decoder ? m->decoder : m->encoder;
}

static int32_t prompt_length(const Batch *x, int64_t b)
{
    return x->len ? x->len[b] : (int32_t)x->t;
}

/* E_MISMATCH where the model cannot generate, E_CONFIG where a setting or a prompt is out of range. */
static Status check(const Model *m, const Batch *x, const GenerateConfig *c)
{
    const Config *k = &m->config;
    if ((!m->decoder && !k->writes_from_encoder) || k->no_lm_head)
        return err_fail(E_MISMATCH, "this %s model has no decoder with a language-model head", k->arch);
    if (c->max_new < 1) return err_fail(E_CONFIG, "max_new is %d, expected at least 1", c->max_new);
    if (c->eos >= k->vocab) return err_fail(E_CONFIG, "eos is %d, the vocabulary has %d tokens", c->eos, k->vocab);
    if (!(c->temperature >= 0) || !(c->top_p >= 0 && c->top_p <= 1) || c->top_k < 0)
        return err_fail(E_CONFIG, "temperature %g, top_k %d, top_p %g: expected none below 0, top_p at most 1",
                        c->temperature, c->top_k, c->top_p);
    if (!x->ids && (c->start < 0 || c->start >= k->vocab))
        return err_fail(E_CONFIG, "start is %d, expected a token id below %d", c->start, k->vocab);
    int most = config_room(k);
    for (int64_t b = 0; x->ids && b < x->b; b++) {
        int32_t n = prompt_length(x, b);
        if (n < 1) return err_fail(E_CONFIG, "prompt %lld is empty", (long long)b);
        if (most && n + c->max_new - 1 > most)
            return err_fail(E_CONFIG, "prompt %lld of %d %s and %d new %s exceed the model's %d positions",
                            (long long)b, n, str_plural(n, "token", "tokens"), c->max_new,
                            str_plural(c->max_new, "one", "ones"), most);
        if (m->arch->equal_prompts && n != prompt_length(x, 0))
            return err_fail(E_CONFIG, "%s's decoder takes prompts of one length; prompt %lld has %d %s, the first %d",
                            k->arch, (long long)b, n, str_plural(n, "token", "tokens"), prompt_length(x, 0));
    }
    return OK;
}

/* The logits (B,V) of the next token of each row, on the step arena.  One of -infinity is a token never chosen. */
static Status next_logits(Tensor *out, Decoder *d, const Batch *x)
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

static int by_value(const void *a, const void *b)
{
    const Scored *x = a, *y = b;
    return x->score != y->score ? (x->score < y->score) - (x->score > y->score)
                                : (x->token > y->token) - (x->token < y->token);
}

/* One draw from the softmax of the logits, after temperature, top-k and top-p. */
static int32_t sample(Arena *a, Tensor logits, const GenerateConfig *c, double u)
{
    int64_t v = tensor_count(logits), kept = 0;
    Scored *s = NEW(a, Scored, v);
    for (int64_t i = 0; i < v; i++) s[i] = (Scored){tensor_get(logits, i) / c->temperature, (int32_t)i};
    qsort(s, (size_t)v, sizeof *s, by_value);
    if (c->top_k && c->top_k < v) v = c->top_k;
    double top = s[0].score, all = 0, sum = 0;
    for (int64_t i = 0; i < v; i++) all += s[i].score = exp(s[i].score - top);
    while (kept < v && (kept == 0 || !(c->top_p > 0 && c->top_p < 1) || sum < c->top_p * all)) sum += s[kept++].score;
    double reach = u * sum;
    for (int64_t i = 0; i + 1 < kept; i++)
        if ((reach -= s[i].score) < 0) return s[i].token;
    return s[kept - 1].token;
}

/* The next token of each row: the likeliest (the first of equals), or a draw. */
static Status choose(int32_t *next, Decoder *d, const Batch *x, const GenerateConfig *c, int step)
{
    ArenaMark mark = arena_mark(d->step);
    Tensor logits;
    TRY(next_logits(&logits, d, x));
    for (int64_t b = 0; b < x->b; b++) {
        Tensor row = tensor_at(logits, b);
        uint64_t stream = rng_mix(rng_stream(c->seed, "generate"), (uint64_t)b);
        next[b] = c->temperature > 0 ? sample(d->step, row, c, rng_uniform(stream, (uint64_t)step))
                                     : (int32_t)tensor_argmax(row);
    }
    arena_drop(d->step, mark);
    return OK;
}

/* The prompt as a pass over all of it that keeps each row's last position. */
static Batch first_batch(Arena *a, const Model *m, const Batch *x, const GenerateConfig *c)
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

static Batch next_batch(const Model *m, const Batch *x, int64_t b, const int32_t *next)
{
    return (Batch){
        .b = b, .t = 1, .ids = next, .s = x->s, .src = x->src, .src_len = x->src_len, .causal = !m->decoder};
}

static Cache *cache_for(Arena *a, const Model *m, int64_t b, int64_t room)
{
    Cache *c = cache_new(a, writer(m)->n, b, room);
    c->part = writer(m)->part;
    return c;
}

static void run_encoder(Decoder *d, Arena *keep, const Batch *x)
{
    if (!d->model->arch->encode) return;
    ArenaMark mark = arena_mark(d->step);
    Pass p = {.tape = tape_open(d->step, false), .hooks = d->hooks};
    d->memory = tensor_copy(keep, model_encode(d->model, &p, x)->val);
    arena_drop(d->step, mark);
}

Status generate_tokens(int32_t *out, int32_t *out_len, Model *m, const Hooks *hooks, Arena *step, const Batch *x,
                       const GenerateConfig *c)
{
    TRY(check(m, x, c));
    Arena keep = arena_open((size_t)1 << 36);
    Decoder d = {.model = m, .hooks = hooks, .step = step};
    Batch y = first_batch(&keep, m, x, c);
    d.cache = cache_for(&keep, m, x->b, y.t + c->max_new);
    int32_t *next = NEW(&keep, int32_t, x->b), pad = m->config.pad >= 0 ? m->config.pad : c->eos;
    for (int64_t i = 0; i < x->b * c->max_new; i++) out[i] = pad;
    memset(out_len, 0, sizeof *out_len * (size_t)x->b);

    run_encoder(&d, &keep, x);
    bool *ended = NEW(&keep, bool, x->b);
    int64_t open = x->b;
    Status status = OK;
    for (int i = 0; i < c->max_new && open; i++) {
        if ((status = choose(next, &d, &y, c, i))) break;
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
        y = next_batch(m, x, x->b, next);
    }
    arena_close(&keep);
    return status;
}

/* ---- beam search */

typedef struct {
    double score; /* sum of log-probabilities over length^penalty */
    int32_t *token;
    int len;
} Result;
typedef struct {  /* one row of the batch: its open beams and its finished results */
    Result *done; /* (beams + 1) */
    int n;
    bool closed, led; /* led: the likeliest beam has ended */
} Row;
typedef struct {
    Decoder d;
    const GenerateConfig *c;
    Arena *keep;
    int64_t rows, v;
    Row *row;
    double *sum;     /* (rows,beams) log-probability of each open beam */
    int32_t *tokens; /* (rows,beams,max_new) */
    int32_t *next, *from;
} Beams;

static double penalised(const GenerateConfig *c, double sum, int len)
{
    return sum / pow(len, c->length_penalty);
}

static double worst_of(const Row *r)
{
    double worst = INFINITY;
    for (int i = 0; i < r->n; i++) worst = fmin(worst, r->done[i].score);
    return worst;
}

/* The `beams` best finished results are kept. */
static void finish(Beams *b, Row *r, const int32_t *token, int len, int counted, double sum)
{
    Result new = {penalised(b->c, sum, counted), NEW(b->keep, int32_t, b->c->max_new), len};
    if (r->n == b->c->beams && !(new.score > worst_of(r))) return;
    memcpy(new.token, token, sizeof *token * (size_t)len);
    r->done[r->n++] = new;
    if (r->n <= b->c->beams) return;
    int worst = 0;
    for (int i = 1; i < r->n; i++)
        if (r->done[i].score < r->done[worst].score) worst = i;
    r->done[worst] = r->done[--r->n];
}

/* The 2 beams best continuations of one row, best first: score, and beam * V + token. */
static void candidates(Beams *b, Tensor logits, int64_t row, int i, Scored *best)
{
    int k = b->c->beams, n = 0, most = 2 * k;
    bool force = b->c->force_eos && b->c->eos >= 0 && i == b->c->max_new - 1;
    for (int j = 0; j < k; j++) {
        int64_t at = (row * k + j) * b->v;
        double top = -INFINITY, total = 0;
        for (int64_t t = 0; t < b->v; t++) top = fmax(top, tensor_get(logits, at + t));
        for (int64_t t = 0; t < b->v; t++) total += exp(tensor_get(logits, at + t) - top);
        for (int64_t t = 0; t < b->v; t++) {
            if (force && t != b->c->eos) continue;
            double score = b->sum[row * k + j] + (force ? 0 : tensor_get(logits, at + t) - top - log(total));
            if (n == most && score <= best[n - 1].score) continue;
            int place = n < most ? n++ : n - 1;
            for (; place > 0 && best[place - 1].score < score; place--) best[place] = best[place - 1];
            best[place] = (Scored){score, (int32_t)(j * b->v + t)};
        }
    }
    for (; n < most; n++) best[n] = (Scored){-INFINITY, 0};
}

/* One row one token on: finished results are set aside, the best open ones take the beams. */
static void extend(Beams *b, int64_t row, int i, const Scored *best, int32_t *old)
{
    int k = b->c->beams, open = 0, most = b->c->max_new;
    Row *r = &b->row[row];
    for (int rank = 0; rank < 2 * k && open < k; rank++) {
        int beam = best[rank].token / (int)b->v, token = best[rank].token % (int)b->v;
        const int32_t *so_far = old + (row * k + beam) * most;
        if (token == b->c->eos) {
            if (rank < k && !r->closed && isfinite(best[rank].score))
                finish(b, r, so_far, i, i + 1, best[rank].score);
            continue;
        }
        int64_t to = row * k + open++;
        memcpy(b->tokens + to * most, so_far, sizeof *old * (size_t)i);
        b->tokens[to * most + i] = b->next[to] = token;
        b->from[to] = (int32_t)(row * k + beam);
        b->sum[to] = best[rank].score;
    }
    for (; open < k; open++) { /* nothing but eos was allowed */
        int64_t to = row * k + open;
        b->sum[to] = -INFINITY, b->from[to] = (int32_t)to, b->next[to] = 0;
    }
    bool full = r->n >= k;
    if (full && (b->c->early_stopping || worst_of(r) >= penalised(b->c, best[0].score, i + 1))) r->closed = true;
}

/* The same where a result that ends keeps its beam. */
static void extend_holding(Beams *b, int64_t row, int i, const Scored *best, int32_t *old)
{
    int k = b->c->beams, most = b->c->max_new;
    Row *r = &b->row[row];
    for (int j = 0; j < k; j++) {
        int beam = best[j].token / (int)b->v, token = best[j].token % (int)b->v;
        const int32_t *so_far = old + (row * k + beam) * most;
        int64_t to = row * k + j;
        bool ends = token == b->c->eos;
        if (ends && !r->closed && isfinite(best[j].score)) finish(b, r, so_far, i, i + 1, best[j].score);
        memcpy(b->tokens + to * most, so_far, sizeof *old * (size_t)i);
        b->tokens[to * most + i] = b->next[to] = token;
        b->from[to] = (int32_t)(row * k + beam);
        b->sum[to] = ends ? (double)-INFINITY : best[j].score;
        r->led |= ends && !j;
    }
    if (r->led && r->n >= k) r->closed = true;
}

/* Each prompt stands once for every beam; only the first of them counts in the first step. */
static Batch spread(Beams *b, const Batch *y)
{
    int k = b->c->beams;
    Batch z = *y;
    z.b = y->b * k;
    int32_t *ids = NEW(b->keep, int32_t, z.b * y->t), *len = NEW(b->keep, int32_t, z.b),
            *keep = NEW(b->keep, int32_t, z.b), *src_len = NEW(b->keep, int32_t, z.b);
    for (int64_t i = 0; i < z.b; i++) {
        memcpy(ids + i * y->t, y->ids + i / k * y->t, sizeof *ids * (size_t)y->t);
        len[i] = prompt_length(y, i / k);
        keep[i] = len[i] - 1;
        src_len[i] = y->src_len ? y->src_len[i / k] : (int32_t)y->s;
        b->sum[i] = i % k ? -1e9 : 0;
    }
    z.ids = ids, z.len = len, z.keep = keep, z.src_len = y->src ? src_len : NULL;
    return z;
}

static void spread_memory(Beams *b)
{
    Tensor m = b->d.memory;
    if (!m.data) return;
    int64_t dim[MAX_RANK];
    memcpy(dim, m.dim, sizeof dim);
    dim[0] *= b->c->beams;
    Tensor wide = tensor_new(b->keep, m.dtype, m.rank, dim);
    for (int64_t i = 0; i < dim[0]; i++)
        memcpy(tensor_at(wide, i).data, tensor_at(m, i / b->c->beams).data, tensor_bytes(tensor_at(m, 0)));
    b->d.memory = wide;
}

static int by_score(const void *a, const void *b)
{
    const Result *x = a, *y = b;
    return (x->score < y->score) - (x->score > y->score);
}

/* Open beams of rows that ran to the end count as results too. */
static void close_rows(Beams *b, int steps, int32_t *out, int32_t *out_len, double *score)
{
    const GenerateConfig *c = b->c;
    int32_t pad = b->d.model->config.pad >= 0 ? b->d.model->config.pad : c->eos;
    for (int64_t i = 0; i < b->rows; i++) {
        Row *r = &b->row[i];
        if (c->ends_hold) qsort(r->done, (size_t)r->n, sizeof *r->done, by_score);
        for (int j = 0; j < c->beams && !r->closed; j++)
            if (isfinite(b->sum[i * c->beams + j]) && !(c->ends_hold && r->n == c->beams))
                finish(b, r, b->tokens + (i * c->beams + j) * c->max_new, steps, steps, b->sum[i * c->beams + j]);
        if (!c->ends_hold) qsort(r->done, (size_t)r->n, sizeof *r->done, by_score);
        for (int n = 0; n < c->n_best; n++) {
            int64_t at = i * c->n_best + n;
            const Result *d = n < r->n ? &r->done[n] : NULL;
            for (int t = 0; t < c->max_new; t++) out[at * c->max_new + t] = d && t < d->len ? d->token[t] : pad;
            out_len[at] = d ? d->len : 0;
            score[at] = d ? d->score : (double)NAN;
            if (d && d->len < c->max_new && c->eos >= 0) out[at * c->max_new + out_len[at]++] = c->eos;
        }
    }
}

/* Beam search: each step scores all candidates of a row, and the cache follows the beams that were chosen. */
static Status search(Beams *b, Batch y, int32_t *out, int32_t *out_len, double *score)
{
    const GenerateConfig *c = b->c;
    int64_t open = b->rows, n = b->rows * c->beams;
    int32_t *old = NEW(b->keep, int32_t, n * c->max_new);
    Scored *best = NEW(b->keep, Scored, 2 * c->beams);
    int i = 0;
    for (; i < c->max_new && open; i++) {
        ArenaMark mark = arena_mark(b->d.step);
        Tensor logits;
        TRY(next_logits(&logits, &b->d, &y));
        b->v = tensor_last(logits);
        memcpy(old, b->tokens, sizeof *old * (size_t)(n * c->max_new));
        open = 0;
        for (int64_t row = 0; row < b->rows; row++) {
            candidates(b, logits, row, i, best);
            (c->ends_hold ? extend_holding : extend)(b, row, i, best, old);
            open += !b->row[row].closed;
        }
        arena_drop(b->d.step, mark);
        cache_reorder(b->d.cache, b->d.step, b->from);
        y = next_batch(b->d.model, &y, n, b->next);
    }
    close_rows(b, i, out, out_len, score);
    return OK;
}

Status generate_beams(int32_t *out, int32_t *out_len, double *score, Model *m, const Hooks *hooks, Arena *step,
                      const Batch *x, const GenerateConfig *c)
{
    TRY(check(m, x, c));
    if (c->beams < 1 || c->n_best < 1 || c->n_best > c->beams)
        return err_fail(E_CONFIG, "%d beams and %d results: expected at least one, and no more results than beams",
                        c->beams, c->n_best);
    if ((int64_t)c->beams * m->config.vocab > INT32_MAX) return err_fail(E_CONFIG, "%d beams are too many", c->beams);
    Arena keep = arena_open((size_t)1 << 36);
    int64_t n = x->b * c->beams;
    Beams b = {.d = {.model = m, .hooks = hooks, .step = step}, .c = c, .keep = &keep, .rows = x->b};
    b.row = NEW(&keep, Row, x->b);
    for (int64_t i = 0; i < x->b; i++) b.row[i].done = NEW(&keep, Result, c->beams + 1);
    b.sum = NEW(&keep, double, n);
    b.tokens = NEW(&keep, int32_t, n * c->max_new);
    b.next = NEW(&keep, int32_t, n);
    b.from = NEW(&keep, int32_t, n);
    Batch first = first_batch(&keep, m, x, c), y = spread(&b, &first);
    b.d.cache = cache_for(&keep, m, n, y.t + c->max_new);
    run_encoder(&b.d, &keep, x);
    spread_memory(&b);
    Status status = search(&b, y, out, out_len, score);
    arena_close(&keep);
    return status;
}
