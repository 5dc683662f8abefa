/* An epoch is planned when it begins: a permutation of the examples and the places where it is cut.  Both come from
 * counter-based draws named by the epoch, so any batch can be reached without taking those before it. */
#include "train/batch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

enum { POOL_BATCHES = 64 }; /* in one pool: enough for even lengths, few enough that epochs differ */

struct Batcher {
    Examples set;
    BatchPlan plan;
    int32_t *order; /* (N) examples in the order of the epoch's batches */
    int64_t *cut;   /* (n_batches + 1) batch i is order[cut[i]..cut[i+1]-1] */
    int32_t *visit; /* the order in which batches come */
    int64_t *key;   /* (N) scratch of the sort */
    int64_t typical_rows, n_batches, epoch, next;
};

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Sorts a stretch of the order by length (times sign); equal lengths keep their order. */
static void sort_by(Batcher *f, const int32_t *len, int sign, int64_t first, int64_t n)
{
    int32_t *order = f->order + first, *copy = f->visit;
    for (int64_t i = 0; i < n; i++) f->key[i] = sign * (int64_t)len[order[i]] * ((int64_t)1 << 32) + i;
    qsort(f->key, (size_t)n, sizeof *f->key, ascending);
    for (int64_t i = 0; i < n; i++) copy[i] = order[f->key[i] & 0xffffffff];
    memcpy(order, copy, sizeof *order * (size_t)n);
}

/* Examples with two lengths are sorted by one into stripes and by the other within each, up and down in turn, so
 * that neighbours are close in both. */
static void sort_pool(Batcher *f, int64_t first, int64_t n)
{
    sort_by(f, f->set.len, 1, first, n);
    if (!f->set.src) return;
    int64_t stripe = (int64_t)sqrt((double)n * (double)f->typical_rows) + 1;
    for (int64_t i = 0; i < n; i += stripe)
        sort_by(f, f->set.src_len, i / stripe % 2 ? -1 : 1, first + i, n - i < stripe ? n - i : stripe);
}

/* May `rows` examples of at most t and s tokens stand in one batch? */
static bool fits(const BatchPlan *p, int64_t rows, int64_t t, int64_t s)
{
    return rows == 1 || ((!p->rows || rows <= p->rows) && (!p->tokens || rows * (t + s) <= p->tokens));
}

static void cut_pool(Batcher *f, int64_t first, int64_t n)
{
    int64_t rows = 0, t = 0, s = 0;
    for (int64_t i = first; i < first + n; i++) {
        int32_t e = f->order[i];
        int64_t et = f->set.len[e], es = f->set.src ? f->set.src_len[e] : 0;
        if (rows && fits(&f->plan, rows + 1, et > t ? et : t, es > s ? es : s)) {
            rows++;
            t = et > t ? et : t;
            s = es > s ? es : s;
        } else {
            f->cut[f->n_batches++] = i;
            rows = 1;
            t = et;
            s = es;
        }
    }
}

/* Rows in a batch of examples of mean length. */
static int64_t typical_rows(const Examples *x, const BatchPlan *p)
{
    double total = 0, rows = p->rows ? (double)p->rows : (double)x->n;
    for (int64_t i = 0; i < x->n; i++) total += x->len[i] + (x->src ? x->src_len[i] : 0);
    if (p->tokens) rows = fmin(rows, (double)p->tokens * (double)x->n / total);
    return rows > 1 ? (int64_t)rows : 1;
}

static void plan_epoch(Batcher *f)
{
    int64_t n = f->set.n, pool = f->plan.shuffle ? f->typical_rows * POOL_BATCHES : n;
    uint64_t stream = rng_mix(rng_stream(f->plan.seed, "train/batches"), (uint64_t)f->epoch);
    for (int32_t i = 0; i < n; i++) f->order[i] = i;
    if (f->plan.shuffle) rng_shuffle(stream, n, f->order);
    f->n_batches = f->next = 0;
    for (int64_t i = 0; i < n; i += pool) {
        int64_t size = n - i < pool ? n - i : pool;
        sort_pool(f, i, size);
        cut_pool(f, i, size);
    }
    f->cut[f->n_batches] = n;
    for (int32_t i = 0; i < f->n_batches; i++) f->visit[i] = i;
    if (f->plan.shuffle) rng_shuffle(rng_mix(stream, 1), f->n_batches, f->visit);
}

Status batcher_open(Batcher **out, Arena *run, const Examples *set, const BatchPlan *plan)
{
    if (set->n <= 0 || set->n > INT32_MAX)
        return err_fail(E_CONFIG, "batches of %lld examples, expected at least one", (long long)set->n);
    if (plan->rows < 0 || plan->tokens < 0)
        return err_fail(E_CONFIG, "a batch of %lld rows and %lld tokens", (long long)plan->rows,
                        (long long)plan->tokens);
    for (int32_t i = 0; i < set->n; i++)
        if (set->len[i] < 1 || (set->src && set->src_len[i] < 1))
            return err_fail(E_CONFIG, "example %d has no tokens", i);
    Batcher *f = NEW(run, Batcher, 1);
    *f = (Batcher){.set = *set, .plan = *plan, .typical_rows = typical_rows(set, plan)};
    f->order = NEW(run, int32_t, set->n);
    f->visit = NEW(run, int32_t, set->n);
    f->key = NEW(run, int64_t, set->n);
    f->cut = NEW(run, int64_t, set->n + 1);
    plan_epoch(f);
    *out = f;
    return OK;
}

void batcher_next(Batcher *f, Arena *step, Batch *out, const int32_t **rows)
{
    int64_t at = f->cut[f->visit[f->next]], n = f->cut[f->visit[f->next] + 1] - at;
    int32_t *list = NEW(step, int32_t, n);
    memcpy(list, f->order + at, sizeof *list * (size_t)n);
    *out = batch_of(step, &f->set, &f->plan, list, n);
    if (rows) *rows = list;
    if (++f->next < f->n_batches) return;
    f->epoch++;
    plan_epoch(f);
}

/* Epochs may have different numbers of batches where tokens are the budget, so they are counted through. */
void batcher_seek(Batcher *f, int64_t batches)
{
    CHECK(batches >= 0, "a batcher cannot go to batch %lld", (long long)batches);
    f->epoch = 0;
    for (plan_epoch(f); batches >= f->n_batches; plan_epoch(f)) {
        batches -= f->n_batches;
        f->epoch++;
    }
    f->next = batches;
}

int64_t batcher_in_epoch(const Batcher *f)
{
    return f->n_batches;
}

/* ---- collation */

static int64_t longest(const int32_t *len, const int32_t *rows, int64_t b)
{
    int64_t n = 0;
    for (int64_t i = 0; i < b; i++)
        if (len[rows[i]] > n) n = len[rows[i]];
    return n;
}

static int32_t *gather_lengths(Arena *a, const int32_t *len, const int32_t *rows, int64_t b)
{
    int32_t *out = NEW(a, int32_t, b);
    for (int64_t i = 0; i < b; i++) out[i] = len[rows[i]];
    return out;
}

/* (B,T): the rows side by side, filled up with `fill`. */
static int32_t *gather(Arena *a, const int32_t *const *column, const int32_t *len, const int32_t *rows, int64_t b,
                       int64_t t, int32_t fill)
{
    int32_t *out = NEW(a, int32_t, b * t);
    for (int64_t i = 0; i < b; i++)
        for (int64_t j = 0; j < t; j++) out[i * t + j] = j < len[rows[i]] ? column[rows[i]][j] : fill;
    return out;
}

/* Narrows the targets (B,T) to the scored ones (B,K) and records which they were. */
static void keep_scored(Batch *x, Arena *a)
{
    int64_t k = 0;
    for (int64_t i = 0; i < x->b; i++) {
        int64_t n = 0;
        for (int64_t j = 0; j < x->t; j++) n += x->target[i * x->t + j] >= 0;
        if (n > k) k = n;
    }
    if (!k || k == x->t) return;
    int32_t *keep = NEW(a, int32_t, x->b * k), *target = NEW(a, int32_t, x->b * k);
    for (int64_t i = 0; i < x->b; i++) {
        int64_t n = i * k;
        for (int32_t j = 0; j < x->t; j++) {
            if (x->target[i * x->t + j] < 0) continue;
            keep[n] = j;
            target[n++] = x->target[i * x->t + j];
        }
        for (; n < (i + 1) * k; n++) keep[n] = target[n] = -1;
    }
    x->keep = keep;
    x->target = target;
    x->k = k;
}

Batch batch_of(Arena *a, const Examples *set, const BatchPlan *plan, const int32_t *rows, int64_t b)
{
    Batch x = {.b = b, .t = longest(set->len, rows, b), .row = rows};
    x.ids = gather(a, set->ids, set->len, rows, b, x.t, plan->pad);
    x.len = gather_lengths(a, set->len, rows, b);
    if (set->src) {
        x.s = longest(set->src_len, rows, b);
        x.src = gather(a, set->src, set->src_len, rows, b, x.s, plan->pad);
        x.src_len = gather_lengths(a, set->src_len, rows, b);
    }
    if (set->target) x.target = gather(a, set->target, set->len, rows, b, x.t, -1);
    if (set->label) x.label = gather_lengths(a, set->label, rows, b);
    if (x.target && !plan->all_positions) keep_scored(&x, a);
    return x;
}
