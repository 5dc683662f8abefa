/* T5's relative position bias (Raffel et al. 2020): near distances have a bucket each, far ones share buckets whose
 * width grows with the logarithm of the distance, and everything beyond max_distance is one bucket.
 *
 *   bias_hij = table_{bucket(j - pos_i), h}      dtable_{u,h} = sum over bucket(j - pos_i) = u of dbias_hij
 *
 * The bucket depends on j - pos_i alone, so it is looked up in a list over that difference. */
#include <math.h>
#include <string.h>

#include "ad/wide.h"
#include "base/err.h"

typedef struct {
    RelPos r;
    int64_t least;         /* the difference j - pos_i that bucket[0] belongs to */
    const int32_t *bucket; /* on the step arena */
} RelposSaved;

/* Float32 and truncation throughout, as the published checkpoints were trained: in double some boundary
 * distances would fall into the next bucket. */
int relpos_bucket(int64_t key_minus_query, int buckets, int max_distance, bool bidirectional)
{
    int n = bidirectional ? buckets / 2 : buckets, base = bidirectional && key_minus_query > 0 ? n : 0;
    int64_t r = key_minus_query < 0 ? -key_minus_query : bidirectional ? key_minus_query : 0;
    int exact = n / 2;
    if (r < exact) return base + (int)r;
    float span = (float)log((double)max_distance / exact);
    int far = exact + (int)(logf((float)r / (float)exact) / span * (float)(n - exact));
    return base + (far < n - 1 ? far : n - 1);
}

static int64_t position(const RelPos *r, int64_t i)
{
    return r->qpos ? r->qpos[i] : r->n - r->t + i;
}

/* One head of the bias, read (into `bias`) or gone back (from it, into `column`); both strided by the heads. */
#define HEAD(name, REAL, STATEMENT)                                                                                  \
    static void name(const RelposSaved *s, REAL *column, int64_t heads, REAL *bias)                                  \
    {                                                                                                                \
        for (int64_t i = 0; i < s->r.t; i++) {                                                                       \
            const int32_t *u = s->bucket - position(&s->r, i) - s->least;                                            \
            REAL *row = bias + i * s->r.n;                                                                           \
            for (int64_t j = 0; j < s->r.n; j++) STATEMENT;                                                          \
        }                                                                                                            \
    }
HEAD(read_f32, float, row[j] = column[u[j] * heads])
HEAD(read_f64, double, row[j] = column[u[j] * heads])
HEAD(back_f32, float, column[u[j] * heads] += row[j])
HEAD(back_f64, double, column[u[j] * heads] += row[j])

static void each_head(const RelposSaved *s, Tensor table, Tensor bias, bool back)
{
    int64_t heads = table.dim[1], size = s->r.t * s->r.n;
#pragma omp parallel for if (heads * size > 1 << 18)
    for (int64_t h = 0; h < heads; h++) {
        if (table.dtype == F32)
            (back ? back_f32 : read_f32)(s, (float *)table.data + h, heads, (float *)bias.data + h * size);
        else
            (back ? back_f64 : read_f64)(s, (double *)table.data + h, heads, (double *)bias.data + h * size);
    }
}

static void relpos_backward(Tape *t, Var *out)
{
    each_head(out->saved, tape_grad(t, out->in[0], NULL), out->grad, true);
}

static const Op RELPOS = {"relpos", relpos_backward, .half = true};

Var *op_relpos(Tape *t, Var *table, RelPos r)
{
    int64_t low = INT64_MAX, high = 0;
    int sides = r.bidirectional ? 2 : 1;
    CHECK(table->val.rank == 2 && table->val.dim[0] >= 2 * sides && r.max_distance > table->val.dim[0] / (2 * sides),
          "relative positions with a table %s and distances to %d", tensor_shape(table->val), r.max_distance);
    for (int64_t i = 0; i < r.t; i++) {
        if (position(&r, i) < low) low = position(&r, i);
        if (i == 0 || position(&r, i) > high) high = position(&r, i);
    }
    int64_t differences = r.t > 0 ? high - low + r.n : 0;
    int32_t *bucket = NEW(tape_arena(t), int32_t, differences > 0 ? differences : 1);
    for (int64_t i = 0; i < differences; i++)
        bucket[i] = relpos_bucket(i - high, (int)table->val.dim[0], r.max_distance, r.bidirectional);
    RelposSaved *s = NEW(tape_arena(t), RelposSaved, 1);
    *s = (RelposSaved){r, -high, bucket};
    DType dtype = dtype_is_narrow(table->val.dtype) ? F32 : table->val.dtype;
    Tensor y = tape_alloc(t, dtype, SHAPE(table->val.dim[1], r.t, r.n));
    Tensor wide = wide_open(t, table->val);
    each_head(s, wide, y, false);
    wide_close(t, wide, table->val);
    Var *out = tape_push(t, &RELPOS, y, table, NULL, NULL, NULL, 0);
    out->saved = s;
    return out;
}
