/* One uniform number per position decides whether it is chosen; the smallest of a row is chosen in any case. */
#include "train/mlm.h"

#include <string.h>

#include "base/rng.h"

MlmPlan mlm_plan(const Bpe *b)
{
    BpeSpecials special = bpe_specials(b);
    return (MlmPlan){.share = 0.15, .mask = special.mask, .first = special.unk + 1, .last = special.mask};
}

static bool eligible(const MlmPlan *p, int32_t id)
{
    return id >= p->first && id < p->last;
}

static int32_t corrupted(const MlmPlan *p, int32_t id, uint64_t stream, uint64_t at)
{
    double u = rng_uniform(rng_mix(stream, 1), at);
    if (u < 0.8) return p->mask;
    if (u < 0.9) return p->first + (int32_t)rng_below(rng_mix(stream, 2), at, p->last - p->first);
    return id;
}

/* Marks the chosen positions of one row; returns how many. */
static int64_t choose(uint8_t *chosen, const int32_t *id, int64_t n, const MlmPlan *p, uint64_t stream, uint64_t at)
{
    int64_t count = 0, lowest = -1;
    double least = 2;
    for (int64_t i = 0; i < n; i++) {
        chosen[i] = 0;
        if (!eligible(p, id[i])) continue;
        double u = rng_uniform(stream, at + (uint64_t)i);
        chosen[i] = u < p->share;
        count += chosen[i];
        if (u < least) {
            least = u;
            lowest = i;
        }
    }
    if (count || lowest < 0) return count;
    chosen[lowest] = 1;
    return 1;
}

Batch mlm_corrupt(Arena *step, const Batch *clean, const MlmPlan *p, uint64_t stream, uint64_t index)
{
    int64_t b = clean->b, t = clean->t, k = 1;
    uint64_t mine = rng_mix(stream, index);
    uint8_t *chosen = NEW(step, uint8_t, b * t);
    for (int64_t r = 0; r < b; r++) {
        int64_t n = clean->len ? clean->len[r] : t;
        int64_t count = choose(chosen + r * t, clean->ids + r * t, n, p, mine, (uint64_t)(r * t));
        if (count > k) k = count;
    }
    int32_t *ids = NEW(step, int32_t, b * t), *keep = NEW(step, int32_t, b * k), *target = NEW(step, int32_t, b * k);
    memcpy(ids, clean->ids, sizeof *ids * (size_t)(b * t));
    for (int64_t r = 0; r < b; r++) {
        int64_t n = 0;
        for (int64_t i = 0; i < t; i++) {
            int64_t at = r * t + i;
            if (!chosen[at]) continue;
            keep[r * k + n] = (int32_t)i;
            target[r * k + n++] = clean->ids[at];
            ids[at] = corrupted(p, clean->ids[at], mine, (uint64_t)at);
        }
        for (; n < k; n++) keep[r * k + n] = target[r * k + n] = -1;
    }
    Batch out = *clean;
    out.ids = ids, out.keep = keep, out.k = k, out.target = target, out.label = NULL;
    return out;
}
