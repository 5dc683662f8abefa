/* T5's way to cut n tokens into k stretches of random lengths of at least one: k - 1 of the n - 1 places between
 * tokens are drawn. */
#include "train/denoise.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"

/* part[0..k-1] sum to n, each at least 1. */
static void cut(int32_t *part, int64_t n, int64_t k, uint64_t stream)
{
    int64_t left = k - 1, from = 0, made = 0;
    for (int64_t i = 1; i < n && left; i++) {
        if (rng_uniform(stream, (uint64_t)i) * (double)(n - i) >= (double)left) continue;
        part[made++] = (int32_t)(i - from);
        from = i;
        left--;
    }
    part[made] = (int32_t)(n - from);
}

typedef struct {
    int32_t *src, *target; /* room for the row and a sentinel a span */
    int32_t n_src, n_target;
} Row;

static void corrupt_row(Row *r, const int32_t *id, int64_t n, const DenoisePlan *p, Arena *step, uint64_t stream)
{
    int64_t hidden = llround(p->share * (double)n), spans;
    if (hidden < 1) hidden = 1;
    if (hidden > n - 1) hidden = n - 1;
    spans = llround((double)hidden / p->mean);
    if (spans < 1) spans = 1;
    if (spans > hidden) spans = hidden;
    if (spans > n - hidden) spans = n - hidden;
    if (spans > p->sentinels) spans = p->sentinels;
    int32_t *gone = NEW(step, int32_t, spans + 1), *kept = NEW(step, int32_t, spans + 1);
    const int32_t *from = id;
    if (hidden > 0) { /* a row of one token keeps it */
        cut(gone, hidden, spans, rng_mix(stream, 1));
        cut(kept, n - hidden, spans, rng_mix(stream, 2));
    } else {
        spans = 0;
        r->src[r->n_src++] = id[0];
    }
    for (int64_t k = 0; k < spans; k++) {
        memcpy(r->src + r->n_src, from, sizeof *from * (size_t)kept[k]);
        r->n_src += kept[k], from += kept[k];
        r->src[r->n_src++] = r->target[r->n_target++] = p->sentinel[k];
        memcpy(r->target + r->n_target, from, sizeof *from * (size_t)gone[k]);
        r->n_target += gone[k], from += gone[k];
    }
    r->target[r->n_target++] = p->eos;
}

Batch denoise_corrupt(Arena *step, const Model *m, const Batch *clean, const DenoisePlan *p, uint64_t stream,
                      uint64_t index)
{
    int64_t b = clean->b, s = 0, t = 0;
    Row *row = NEW(step, Row, b);
    for (int64_t i = 0; i < b; i++) {
        int64_t n = clean->len ? clean->len[i] : clean->t;
        row[i].src = NEW(step, int32_t, 2 * n + 1), row[i].target = NEW(step, int32_t, 2 * n + 2);
        corrupt_row(&row[i], clean->ids + i * clean->t, n, p, step, rng_mix(rng_mix(stream, index), (uint64_t)i));
        if (row[i].n_src > s) s = row[i].n_src;
        if (row[i].n_target > t) t = row[i].n_target;
    }
    int32_t *src = NEW(step, int32_t, b * s), *src_len = NEW(step, int32_t, b), *ids = NEW(step, int32_t, b * t),
            *target = NEW(step, int32_t, b * t), *len = NEW(step, int32_t, b);
    for (int64_t i = 0; i < b; i++) {
        const Row *r = &row[i];
        for (int64_t k = 0; k < s; k++) src[i * s + k] = k < r->n_src ? r->src[k] : m->config.pad;
        for (int64_t k = 0; k < t; k++) target[i * t + k] = k < r->n_target ? r->target[k] : -1;
        src_len[i] = r->n_src, len[i] = r->n_target;
    }
    batch_shift_right(ids, &m->config, target, b, t);
    return (Batch){.b = b, .t = t, .s = s, .ids = ids, .len = len, .src = src, .src_len = src_len, .target = target};
}
