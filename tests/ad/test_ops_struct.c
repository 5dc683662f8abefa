/* The ops that move rows and columns, and T5's relative positions. */
#include "opcheck.h"

#include <string.h>

#include "ad/op.h"

static Arena run;

static Tensor some(DType dtype, const char *name, int rank, const int64_t *dim)
{
    if (!run.base) run = arena_open(0);
    return noise(&run, dtype, rng_stream(23, name), rank, dim);
}

/* ---- prepend */

static Var *prepend(Tape *t, Var *const *in, void *ctx)
{
    return op_prepend(t, in[0], in[1], *(const int64_t *)ctx);
}

static void prefixes(void **state)
{
    (void)state;
    for (int64_t skip = 0; skip <= 4; skip += 2) {
        Tensor in[] = {some(F64, "p", SHAPE(2, 3)), some(F64, "x", SHAPE(3, 4, 3))};
        Tensor y = opcheck_value(&run, prepend, &skip, 2, in);
        assert_int_equal(y.dim[1], 2 + 4 - skip);
        for (int64_t b = 0; b < 3; b++)
            for (int64_t i = 0; i < y.dim[1]; i++)
                for (int64_t c = 0; c < 3; c++)
                    assert_true(opcheck_at(y, b, i, c) ==
                                (i < 2 ? tensor_get(in[0], i * 3 + c) : opcheck_at(in[1], b, i - 2 + skip, c)));
        opcheck("prepend", prepend, &skip, 2, in);
    }
}

/* ---- rows */

static Var *rows(Tape *t, Var *const *in, void *ctx)
{
    return op_rows(t, in[0], ctx, 2, 4);
}

static void chosen_rows(void **state)
{
    (void)state;
    int32_t index[] = {0, 2, 2, -1, -1, 1, 0, 1}; /* repeated, absent, out of order */
    Tensor x = some(F64, "x", SHAPE(2, 3, 5)), y = opcheck_value(&run, rows, index, 1, &x);
    for (int64_t b = 0; b < 2; b++)
        for (int64_t k = 0; k < 4; k++)
            for (int64_t c = 0; c < 5; c++) {
                int32_t i = index[b * 4 + k];
                assert_true(opcheck_at(y, b, k, c) == (i < 0 ? 0 : opcheck_at(x, b, i, c)));
            }
    opcheck("rows", rows, index, 1, &x);
}

/* ---- cols */

typedef struct {
    int64_t first, n;
} Range;

static Var *cols(Tape *t, Var *const *in, void *ctx)
{
    const Range *r = ctx;
    return op_cols(t, in[0], r->first, r->n);
}

static Var *all_cols(Tape *t, Var *const *in, void *ctx) /* several ranges of one Var: gradients add up */
{
    (void)ctx;
    return op_add(t, op_mul(t, op_cols(t, in[0], 0, 3), op_cols(t, in[0], 3, 3)), 0.5, op_cols(t, in[0], 1, 3));
}

static void column_ranges(void **state)
{
    (void)state;
    Tensor x = some(F64, "x", SHAPE(2, 3, 6));
    Range ranges[] = {{0, 6}, {0, 1}, {2, 3}, {5, 1}, {4, 0}};
    for (int i = 0; i < 5; i++) {
        Tensor y = opcheck_value(&run, cols, &ranges[i], 1, &x);
        for (int64_t r = 0; r < 6; r++)
            for (int64_t c = 0; c < ranges[i].n; c++)
                assert_true(tensor_get(y, r * ranges[i].n + c) == tensor_get(x, r * 6 + ranges[i].first + c));
        opcheck("cols", cols, &ranges[i], 1, &x);
    }
    opcheck("three ranges", all_cols, NULL, 1, &x);
}

static Var *column_runs(Tape *t, Var *const *in, void *ctx)
{
    const Range *r = ctx;
    return op_cols_runs(t, in[0], r->first, r->n, 2, 5);
}

static Var *all_runs(Tape *t, Var *const *in, void *ctx) /* the parts of a fused layer, head by head */
{
    (void)ctx;
    Var *a = op_cols_runs(t, in[0], 0, 4, 2, 6), *b = op_cols_runs(t, in[0], 2, 4, 2, 6);
    return op_add(t, op_mul(t, a, b), 0.5, op_cols_runs(t, in[0], 4, 4, 2, 6));
}

static void columns_in_runs(void **state)
{
    (void)state;
    Tensor x = some(F64, "x", SHAPE(2, 3, 12));
    Range ranges[] = {{0, 4}, {0, 6}, {5, 4}, {3, 2}, {4, 0}};
    for (int i = 0; i < 5; i++) {
        Tensor y = opcheck_value(&run, column_runs, &ranges[i], 1, &x);
        for (int64_t r = 0; r < 6; r++)
            for (int64_t c = 0; c < ranges[i].n; c++)
                assert_true(tensor_get(y, r * ranges[i].n + c) ==
                            tensor_get(x, r * 12 + ranges[i].first + c / 2 * 5 + c % 2));
        opcheck("cols in runs", column_runs, &ranges[i], 1, &x);
    }
    opcheck("three sets of runs", all_runs, NULL, 1, &x);
}

/* ---- rotary positions */

static Var *rope(Tape *t, Var *const *in, void *ctx)
{
    return op_rope(t, in[0], *(const Turn *)ctx);
}

static Var *rope_and_itself(Tape *t, Var *const *in, void *ctx) /* x has a gradient before its rotation goes back */
{
    return op_mul(t, op_rope(t, in[0], *(const Turn *)ctx), in[0]);
}

/* Two heads of six channels, of which four turn; the last row takes angles of another. */
static void turned_heads(void **state)
{
    (void)state;
    enum { TABLE = 3, HALF = 2 };
    float cosines[TABLE * HALF], sines[TABLE * HALF];
    for (int i = 0; i < TABLE * HALF; i++) cosines[i] = (float)cos(0.7 * i), sines[i] = (float)sin(0.7 * i);
    static const int32_t ROW[] = {2, 0, 1, 0, 0, 2};
    Tensor x = some(F64, "x", SHAPE(2, 3, 12));
    for (int given = 0; given < 2; given++) {
        Turn w = {6, 2 * HALF, TABLE, cosines, sines, given ? ROW : NULL};
        Tensor y = opcheck_value(&run, rope, &w, 1, &x);
        for (int64_t i = 0; i < 6 * 12; i++) {
            int64_t c = i % 6, at = (given ? ROW[i / 12] : i / 12 % TABLE) * HALF + c % HALF;
            double k = (double)cosines[at], s = (double)sines[at], own = tensor_get(x, i), want = own;
            if (c < HALF) want = own * k - tensor_get(x, i + HALF) * s;
            if (c >= HALF && c < 2 * HALF) want = own * k + tensor_get(x, i - HALF) * s;
            assert_true(fabs(tensor_get(y, i) - want) < 1e-15);
        }
        opcheck("rope", rope, &w, 1, &x);
        opcheck("rope times x", rope_and_itself, &w, 1, &x);
    }
}

/* ---- norms of runs */

static Var *norm_runs(Tape *t, Var *const *in, void *ctx)
{
    (void)ctx;
    return op_norm(t, in[0], NULL, in[1], NULL, 1e-6);
}

static void normed_heads(void **state)
{
    (void)state;
    Tensor in[] = {some(F64, "x", SHAPE(2, 3, 12)), some(F64, "gain", SHAPE(4))};
    Tensor y = opcheck_value(&run, norm_runs, NULL, 2, in);
    for (int64_t h = 0; h < 18; h++) {
        double sum = 0;
        for (int c = 0; c < 4; c++) sum += pow(tensor_get(in[0], h * 4 + c), 2) / 4;
        for (int c = 0; c < 4; c++)
            assert_true(fabs(tensor_get(y, h * 4 + c) -
                             tensor_get(in[0], h * 4 + c) / sqrt(sum + 1e-6) * tensor_get(in[1], c)) < 1e-12);
    }
    opcheck("norm of runs", norm_runs, NULL, 2, in);
}

/* ---- spans */

static Var *spans(Tape *t, Var *const *in, void *ctx)
{
    return op_spans(t, in[0], ctx);
}

static void means_of_runs(void **state)
{
    (void)state;
    int32_t span[2 * 4 * 2] = {-1, -1, 0, 3, 1, 1, 3, 4, 0, 4, -1, -1, 2, 3, -1, -1};
    Tensor x = some(F64, "x", SHAPE(2, 4, 5)), y = opcheck_value(&run, spans, span, 1, &x);
    for (int64_t b = 0; b < 2; b++)
        for (int64_t i = 0; i < 4; i++)
            for (int64_t c = 0; c < 5; c++) {
                int32_t lo = span[2 * (b * 4 + i)], hi = span[2 * (b * 4 + i) + 1];
                double want = lo < 0 ? opcheck_at(x, b, i, c) : 0;
                for (int32_t j = lo; j < hi && lo >= 0; j++) want += opcheck_at(x, b, j, c) / (hi - lo);
                assert_true(fabs(opcheck_at(y, b, i, c) - want) < 1e-15);
            }
    opcheck("spans", spans, span, 1, &x);
}

/* ---- pool */

static Var *pool(Tape *t, Var *const *in, void *ctx)
{
    return op_pool(t, in[0], ctx);
}

static void pooled_means(void **state)
{
    (void)state;
    int32_t len[] = {3, 0, 1};
    for (int all = 0; all < 2; all++) {
        Tensor x = some(F64, "x", SHAPE(3, 4, 5)), y = opcheck_value(&run, pool, all ? NULL : len, 1, &x);
        for (int64_t b = 0; b < 3; b++)
            for (int64_t c = 0; c < 5; c++) {
                int64_t n = all ? 4 : len[b];
                double sum = 0;
                for (int64_t i = 0; i < n; i++) sum += opcheck_at(x, b, i, c);
                EXPECT(fabs(opcheck_at(y, b, 0, c) - (n ? sum / (double)n : 0)) < 1e-15, "mean of row %d", (int)b);
            }
        opcheck("pool", pool, all ? NULL : len, 1, &x);
    }
}

/* ---- relative positions */

static Var *relpos(Tape *t, Var *const *in, void *ctx)
{
    return op_relpos(t, in[0], *(const RelPos *)ctx);
}

/* Distances at which a new bucket begins, as transformers on PyTorch computes them: float32 and truncation.  In
 * double, or rounded, boundaries like 16, 32 and 64 would move. */
static const int BOTH_32[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91};
static const int PAST_32[] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                              16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113};
static const int BOTH_8[] = {0, 1, 2, 7}, PAST_8[] = {0, 1, 2, 3, 4, 6, 9, 14};

/* The first and the last distance of the buckets at the edges, for other sizes: the exact ones end at n / 2 - 1, the
 * next begins at n / 2, and max_distance is in the last one. */
static void bucket_edges(int n, int max_distance)
{
    for (int both = 0; both < 2; both++) {
        int own = both ? n / 2 : n, exact = own / 2, last = -1;
        for (int r = 0; r <= 2 * max_distance; r++) {
            int u = relpos_bucket(-r, n, max_distance, both);
            if (r <= exact) EXPECT(u == r, "%d of %d: distance %d is in bucket %d", n, max_distance, r, u);
            EXPECT(u >= last && u < own, "%d of %d: bucket %d of distance %d follows %d", n, max_distance, u, r,
                   last);
            if (r >= max_distance)
                EXPECT(u == own - 1, "%d of %d: distance %d is in bucket %d", n, max_distance, r, u);
            last = u;
        }
    }
}

static int bucket_by_table(const int *begin, int n, int r)
{
    int u = 0;
    while (u + 1 < n && begin[u + 1] <= r) u++;
    return u;
}

static void buckets_of(const int *both, const int *past, int n, int max_distance)
{
    for (int r = 0; r < 1024; r++) {
        int near = bucket_by_table(both, n / 2, r), back = bucket_by_table(past, n, r),
            ahead = near + (r ? n / 2 : 0);
        EXPECT(relpos_bucket(-r, n, max_distance, true) == near, "distance -%d is in bucket %d", r, near);
        EXPECT(relpos_bucket(r, n, max_distance, true) == ahead, "distance +%d is in bucket %d", r, ahead);
        EXPECT(relpos_bucket(-r, n, max_distance, false) == back, "looking back %d is in bucket %d", r, back);
        EXPECT(relpos_bucket(r, n, max_distance, false) == 0, "looking back, +%d is in bucket 0", r);
    }
}

/* 18 buckets to distance 128 are 9 to each side: 4 exact ones, and 5 for the 5 octaves from 4 to 128.  Each octave
 * begins on the very boundary: in float32, as PyTorch computes, log 2 / log 32 times 5 is 1, in double it is less. */
static void octaves_begin_on_the_boundary(void **state)
{
    (void)state;
    for (int r = 0; r < 300; r++) {
        int octave = 0;
        while (r >= 4 && 8 << octave <= r && octave < 4) octave++;
        int want = r < 4 ? r : 4 + octave;
        EXPECT(relpos_bucket(-r, 18, 128, true) == want, "distance -%d is in bucket %d, expected %d", r,
               relpos_bucket(-r, 18, 128, true), want);
    }
}

static void buckets(void **state)
{
    (void)state;
    buckets_of(BOTH_32, PAST_32, 32, 128);
    buckets_of(BOTH_8, PAST_8, 8, 20);
    bucket_edges(32, 128);
    bucket_edges(8, 20);
    bucket_edges(4, 9);
    bucket_edges(64, 256);
    bucket_edges(20, 33);
}

static void relative_positions(void **state)
{
    (void)state;
    static const int32_t pos[] = {6, 0, 3};
    RelPos cases[] = {{.t = 5, .n = 5, .max_distance = 6, .bidirectional = true},
                      {.t = 2, .n = 9, .max_distance = 6},
                      {.t = 3, .n = 7, .max_distance = 5, .bidirectional = true, .qpos = pos}};
    for (int i = 0; i < 3; i++) {
        const RelPos *r = &cases[i];
        Tensor table = some(F64, "table", SHAPE(8, 3)), y = opcheck_value(&run, relpos, &cases[i], 1, &table);
        for (int64_t h = 0; h < 3; h++)
            for (int64_t q = 0; q < r->t; q++)
                for (int64_t j = 0; j < r->n; j++) {
                    int64_t at = r->qpos ? r->qpos[q] : r->n - r->t + q;
                    int u = relpos_bucket(j - at, 8, r->max_distance, r->bidirectional);
                    assert_true(opcheck_at(y, h, q, j) == tensor_get(table, u * 3 + h));
                }
        opcheck("relpos", relpos, &cases[i], 1, &table);
    }
}

SUITE(cmocka_unit_test(prefixes), cmocka_unit_test(chosen_rows), cmocka_unit_test(column_ranges),
      cmocka_unit_test(columns_in_runs), cmocka_unit_test(turned_heads), cmocka_unit_test(normed_heads),
      cmocka_unit_test(means_of_runs), cmocka_unit_test(pooled_means), cmocka_unit_test(buckets),
      cmocka_unit_test(octaves_begin_on_the_boundary), cmocka_unit_test(relative_positions))
