/* Batches made from batches: what a decoder is fed for given targets, and the rows that heads read. */
#include "nn/build.h"

void batch_shift_right(int32_t *out, const Config *c, const int32_t *target, int64_t b, int64_t t)
{
    for (int64_t i = 0; i < b; i++) {
        const int32_t *row = target + i * t;
        int64_t n = 0; /* up to the last token of the row */
        for (int64_t j = 0; j < t; j++)
            if (row[j] >= 0 && row[j] != c->pad) n = j + 1;
        int32_t start = c->decoder_start >= 0 ? c->decoder_start : n ? row[n - 1] : c->bos;
        for (int64_t j = 0; j < t; j++) {
            int32_t id = j ? row[j - 1] : start;
            out[i * t + j] = id < 0 ? c->pad : id;
        }
    }
}

int32_t *rows_last(Pass *p, const Batch *x)
{
    int32_t *row = NEW(tape_arena(p->tape), int32_t, x->b);
    for (int64_t b = 0; b < x->b; b++) {
        row[b] = (x->len ? x->len[b] : (int32_t)x->t) - 1;
        while (x->mask && row[b] > 0 && !x->mask[b * x->t + row[b]]) row[b]--;
    }
    return row;
}

Batch batch_source_as_target(const Model *m, Pass *p, const Batch *x)
{
    Arena *a = tape_arena(p->tape);
    int32_t *ids = NEW(a, int32_t, x->b * x->s), *row = NEW(a, int32_t, x->b);
    batch_shift_right(ids, &m->config, x->src, x->b, x->s);
    for (int64_t b = 0; b < x->b; b++) {
        int32_t n = x->src_len ? x->src_len[b] : (int32_t)x->s;
        row[b] = n - 1; /* where a source has no end-of-text token */
        for (int32_t i = 0; i < n; i++)
            if (x->src[b * x->s + i] == m->config.eos) row[b] = i;
    }
    Batch y = *x;
    y.t = x->s;
    y.ids = ids;
    y.len = x->src_len;
    y.mask = NULL;
    y.keep = row;
    y.k = 1;
    return y;
}
