/* Beam search.  Each step scores every continuation of every open beam; the best are kept, those that end are set
 * aside as results.  Follows the Transformers library (4.57, _beam_search), with one row independent of the others;
 * and UniXcoder's own search, where a result that ends keeps its beam. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/generate_pass.h"

typedef struct {
    double score;
    int32_t token;
} Scored;

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
    Batch prompts; /* one for every beam */
    int most;      /* candidates of a row */
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
static void finish(Beams *b, Row *r, const int32_t *token, int len, double sum)
{
    Result new = {penalised(b->c, sum, len), NEW(b->keep, int32_t, b->c->max_new), len};
    if (r->n == b->c->beams && !(new.score > worst_of(r))) return;
    memcpy(new.token, token, sizeof *token * (size_t)len);
    r->done[r->n++] = new;
    if (r->n <= b->c->beams) return;
    int worst = 0;
    for (int i = 1; i < r->n; i++)
        if (r->done[i].score <= r->done[worst].score) worst = i;
    r->n--;
    for (int i = worst; i < r->n; i++) r->done[i] = r->done[i + 1]; /* equals stay in the order in which they ended */
}

/* What each token would add to the sum of beam `at`, after the rules. */
static double *log_probabilities(Beams *b, Tensor logits, int64_t at, int i)
{
    double *z = NEW(b->d.step, double, b->v);
    Written w = generate_written(&b->prompts, at);
    w.new = b->tokens + at * b->c->max_new, w.n_new = i;
    for (int64_t t = 0; t < b->v; t++) z[t] = tensor_get(logits, at * b->v + t);
    generate_log_softmax(z, b->v);
    generate_rules(z, b->v, &w, b->c, b->d.step);
    if (b->c->renormalize) generate_log_softmax(z, b->v);
    return z;
}

/* The best continuations of one row, best first: score, and beam * V + token.  There are enough for `beams` of them
 * to stay open, even if each beam comes to every end. */
static void candidates(Beams *b, Tensor logits, int64_t row, int i, Scored *best)
{
    int k = b->c->beams, n = 0;
    for (int j = 0; j < k; j++) {
        ArenaMark mark = arena_mark(b->d.step);
        const double *z = log_probabilities(b, logits, row * k + j, i);
        for (int64_t t = 0; t < b->v; t++) {
            double score = b->sum[row * k + j] + z[t];
            if (n == b->most && !(score > best[n - 1].score)) continue;
            int place = n < b->most ? n++ : n - 1;
            for (; place > 0 && best[place - 1].score < score; place--) best[place] = best[place - 1];
            best[place] = (Scored){score, (int32_t)(j * b->v + t)};
        }
        arena_drop(b->d.step, mark);
    }
    for (; n < b->most; n++) best[n] = (Scored){-INFINITY, 0};
}

/* Whether no open beam can win: `beams` results are there, and the likeliest open one, at the length that it has or,
 * where the longest counts most, could have, is no better than the worst of them. */
static bool is_over(const Beams *b, const Row *r, double best_open, int len)
{
    const GenerateConfig *c = b->c;
    if (r->n < c->beams) return false;
    if (c->early_stopping == STOP_WHEN_FULL) return true;
    if (c->early_stopping == STOP_NEVER && c->length_penalty > 0) len = c->max_new;
    return worst_of(r) >= penalised(c, best_open, len);
}

/* One row one token on: finished results are set aside, the best open ones take the beams. */
static void extend(Beams *b, int64_t row, int i, const Scored *best, int32_t *old)
{
    int k = b->c->beams, open = 0, most = b->c->max_new;
    Row *r = &b->row[row];
    for (int rank = 0; rank < b->most && open < k; rank++) {
        int beam = best[rank].token / (int)b->v, token = best[rank].token % (int)b->v;
        int32_t *so_far = old + (row * k + beam) * most;
        so_far[i] = token;
        if (generate_ends(b->c, so_far, i + 1)) {
            if (rank < k && !r->closed && isfinite(best[rank].score)) finish(b, r, so_far, i + 1, best[rank].score);
            continue;
        }
        int64_t to = row * k + open++;
        memcpy(b->tokens + to * most, so_far, sizeof *old * (size_t)i);
        b->tokens[to * most + i] = b->next[to] = token;
        b->from[to] = (int32_t)(row * k + beam);
        b->sum[to] = best[rank].score;
    }
    for (; open < k; open++) { /* nothing but an end was allowed */
        int64_t to = row * k + open;
        b->sum[to] = -INFINITY, b->from[to] = (int32_t)to, b->next[to] = 0;
    }
    if (is_over(b, r, b->c->ends_count ? best[0].score : b->sum[row * k], i + 1)) r->closed = true;
}

/* The same where a result that ends keeps its beam. */
static void extend_holding(Beams *b, int64_t row, int i, const Scored *best, int32_t *old)
{
    int k = b->c->beams, most = b->c->max_new;
    Row *r = &b->row[row];
    for (int j = 0; j < k; j++) {
        int beam = best[j].token / (int)b->v, token = best[j].token % (int)b->v;
        int32_t *so_far = old + (row * k + beam) * most;
        int64_t to = row * k + j;
        so_far[i] = token;
        bool ends = generate_ends(b->c, so_far, i + 1);
        if (ends && !r->closed && isfinite(best[j].score)) finish(b, r, so_far, i + 1, best[j].score);
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
        len[i] = y->len ? y->len[i / k] : (int32_t)y->t;
        keep[i] = len[i] - 1;
        src_len[i] = y->src_len ? y->src_len[i / k] : (int32_t)y->s;
        b->sum[i] = i % k ? -1e9 : 0;
    }
    int32_t *src = NEW(b->keep, int32_t, y->src ? z.b * y->s : 0);
    for (int64_t i = 0; y->src && i < z.b; i++)
        memcpy(src + i * y->s, y->src + i / k * y->s, sizeof *src * (size_t)y->s);
    z.ids = ids, z.len = len, z.keep = keep, z.src = y->src ? src : NULL, z.src_len = y->src ? src_len : NULL;
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
    int32_t pad = generate_pad(c);
    for (int64_t i = 0; i < b->rows; i++) {
        Row *r = &b->row[i];
        if (c->ends_hold) qsort(r->done, (size_t)r->n, sizeof *r->done, by_score);
        for (int j = 0; j < c->beams && !r->closed; j++)
            if (isfinite(b->sum[i * c->beams + j]) && !(c->ends_hold && r->n == c->beams))
                finish(b, r, b->tokens + (i * c->beams + j) * c->max_new, steps, b->sum[i * c->beams + j]);
        if (!c->ends_hold) qsort(r->done, (size_t)r->n, sizeof *r->done, by_score);
        for (int n = 0; n < c->n_best; n++) {
            int64_t at = i * c->n_best + n;
            const Result *d = n < r->n ? &r->done[n] : NULL;
            for (int t = 0; t < c->max_new; t++) out[at * c->max_new + t] = d && t < d->len ? d->token[t] : pad;
            out_len[at] = d ? d->len : 0;
            score[at] = d ? d->score : (double)NAN;
        }
    }
}

/* Beam search: each step scores all candidates of a row, and the cache follows the beams that were chosen. */
static Status search(Beams *b, Batch y, int32_t *out, int32_t *out_len, double *score)
{
    const GenerateConfig *c = b->c;
    int64_t open = b->rows, n = b->rows * c->beams;
    int32_t *old = NEW(b->keep, int32_t, n * c->max_new);
    Scored *best = NEW(b->keep, Scored, b->most);
    int i = 0;
    for (; i < c->max_new && open; i++) {
        ArenaMark mark = arena_mark(b->d.step);
        Tensor logits;
        TRY(generate_logits(&logits, &b->d, &y));
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
        y = generate_next_batch(b->d.model, &y, n, b->next);
    }
    close_rows(b, i, out, out_len, score);
    return OK;
}

Status generate_beams(int32_t *out, int32_t *out_len, double *score, Model *m, const Hooks *hooks, Arena *step,
                      const Batch *x, const GenerateConfig *c)
{
    TRY(generate_check(m, x, c));
    if (c->beams < 1 || c->n_best < 1 || c->n_best > c->beams)
        return err_fail(E_CONFIG, "%d beams and %d results: expected at least one, and no more results than beams",
                        c->beams, c->n_best);
    if ((int64_t)c->beams * m->config.vocab > INT32_MAX) return err_fail(E_CONFIG, "%d beams are too many", c->beams);
    Arena keep = arena_open((size_t)1 << 36);
    int64_t n = x->b * c->beams;
    Beams b = {.d = {.model = m, .hooks = hooks, .step = step}, .c = c, .keep = &keep, .rows = x->b};
    int ends = (c->eos >= 0) + c->more_eos.n;
    b.most = c->beams * (ends > 1 ? ends + 1 : 2);
    b.row = NEW(&keep, Row, x->b);
    for (int64_t i = 0; i < x->b; i++) b.row[i].done = NEW(&keep, Result, c->beams + 1);
    b.sum = NEW(&keep, double, n);
    b.tokens = NEW(&keep, int32_t, n * c->max_new);
    b.next = NEW(&keep, int32_t, n);
    b.from = NEW(&keep, int32_t, n);
    Batch first = generate_first_batch(&keep, m, x, c);
    b.prompts = spread(&b, &first);
    b.d.cache = generate_cache(&keep, m, n, b.prompts.t + c->max_new);
    generate_encode(&b.d, &keep, x);
    spread_memory(&b);
    Status status = search(&b, b.prompts, out, out_len, score);
    arena_close(&keep);
    return status;
}
