/* What all versions of the attention kernels share: how far a query sees, and how much scratch they need. */
#include "num/attend.h"

/* An upper bound for every version: the fast backward holds k and v transposed and k by rows, two tiles of the
 * map, two tiles of rows, and the dropout decisions of a tile; the reference holds two rows in double. */
size_t attend_scratch(const Attend *a)
{
    int64_t keys = a->s + 32, dim = a->dim + 16, rows = 64;
    int64_t floats = 3 * keys * dim + 2 * rows * dim + 3 * rows * keys + 1024;
    return (size_t)((floats + 15) / 16 * 16) * sizeof(float) * (size_t)a->threads;
}

/* The position of a query among the content keys. */
static int64_t position(const Attend *a, int64_t b, int64_t i)
{
    return a->qpos ? a->qpos[b * a->t + i] : a->s - a->prefix - a->t + i;
}

int64_t attend_from(const Attend *a, int64_t b, int64_t i)
{
    int64_t pos = position(a, b, i);
    return a->prefix + (a->window && pos >= a->window ? pos - a->window + 1 : 0);
}

int64_t attend_reach(const Attend *a, int64_t b, int64_t i)
{
    int64_t n = a->s - a->prefix, reach = a->klen ? a->klen[b] : n, pos = position(a, b, i);
    if (a->qpos && pos < 0) return 0;
    int64_t beyond = a->causal ? 1 : a->window; /* the first content key after pos that is hidden; 0: none is */
    if (beyond && pos + beyond < reach) reach = pos + beyond;
    return a->prefix + (reach < 0 ? 0 : reach < n ? reach : n);
}
