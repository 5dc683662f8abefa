/* Attention: the fused op, the open triple and the kernels below them, against one another, against the definition
 * written out once more here, and against central differences. */
#include "opcheck.h"

#include <stdlib.h>
#include <string.h>

#include "ad/op.h"
#include "num/attend.h"
#include "num/dropout.h"
#include "num/kernels.h"

/* ---- the cases: every setting of Attn, alone and together */

typedef struct {
    const char *name;
    int64_t b, t, s;
    Attn a;
    bool bias, open;
} Case;

static const int32_t LEN_4_7[] = {4, 7}, LEN_0_3[] = {0, 3}, LEN_5_1_3[] = {5, 1, 3};
static const uint8_t MASK_2_7[] = {1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 0};
static const uint8_t MASK_2_6[] = {0, 0, 1, 0, 1, 1,
                                   1, 1, 0, 1, 1, 1}; /* row 0, causal: queries 0 and 1 see nothing */
static const int32_t QPOS_2_3[] = {1, 6, -1, -1, 0, 4};
/* Query 1 of row 0 sees nothing of its own, query 2 of row 1 all. */
static const uint8_t SEES_2_3_7[] = {1, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 1, 1, 0,
                                     1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1};
enum { H = 2, D = 3 };
#define ATTN .heads = H, .head_dim = D, .scale = 0.6
#define GROUPED(heads_, kv_heads_) .heads = heads_, .kv_heads = kv_heads_, .head_dim = D, .scale = 0.6
#define NAMED(name_, b_, t_, s_) .name = name_, .b = b_, .t = t_, .s = s_

static const Case CASES[] = {
    {NAMED("self", 2, 5, 5), .a = {ATTN}},
    {NAMED("cross", 2, 3, 7), .a = {ATTN}},
    {NAMED("causal", 2, 6, 6), .a = {ATTN, .causal = true}},
    {NAMED("causal with a cache", 2, 3, 7), .a = {ATTN, .causal = true}},
    {NAMED("one query with a cache", 2, 1, 7), .a = {ATTN, .causal = true}},
    {NAMED("prefix", 2, 4, 6), .a = {ATTN, .prefix = 2}},
    {NAMED("prefix alone", 2, 4, 2), .a = {ATTN, .prefix = 2}},
    {NAMED("causal with a prefix", 2, 5, 7), .a = {ATTN, .causal = true, .prefix = 2}},
    {NAMED("causal, prefix and cache", 2, 2, 7), .a = {ATTN, .causal = true, .prefix = 1}},
    {NAMED("lengths", 2, 3, 7), .a = {ATTN, .klen = LEN_4_7}},
    {NAMED("lengths with dead rows", 2, 3, 4), .a = {ATTN, .klen = LEN_0_3}},
    {NAMED("lengths and a prefix", 2, 3, 5), .a = {ATTN, .klen = LEN_0_3, .prefix = 2}},
    {NAMED("causal lengths", 3, 5, 5), .a = {ATTN, .klen = LEN_5_1_3, .causal = true}},
    {NAMED("mask", 2, 4, 7), .a = {ATTN, .mask = MASK_2_7}},
    {NAMED("mask and a prefix", 2, 4, 9), .a = {ATTN, .mask = MASK_2_7, .prefix = 2}},
    {NAMED("causal mask with dead rows", 2, 6, 6), .a = {ATTN, .mask = MASK_2_6, .causal = true}},
    {NAMED("query positions", 2, 3, 7), .a = {ATTN, .qpos = QPOS_2_3, .causal = true}},
    {NAMED("query positions and a prefix", 2, 3, 9), .a = {ATTN, .qpos = QPOS_2_3, .causal = true, .prefix = 2}},
    {NAMED("padding queries", 2, 3, 7), .a = {ATTN, .qpos = QPOS_2_3}},
    {NAMED("a mask for each query", 2, 3, 7), .a = {ATTN, .sees = SEES_2_3_7}},
    {NAMED("a mask for each query and a prefix", 2, 3, 9),
     .a = {ATTN, .sees = SEES_2_3_7, .klen = LEN_4_7, .prefix = 2}},
    {NAMED("bias", 2, 3, 7), .a = {ATTN}, .bias = true},
    {NAMED("bias, causal and prefix", 2, 5, 7), .a = {ATTN, .causal = true, .prefix = 2}, .bias = true},
    {NAMED("dropout", 2, 5, 7), .a = {ATTN, .dropout = 0.3, .stream = 5}},
    {NAMED("everything", 2, 3, 9),
     .a = {ATTN, .causal = true, .prefix = 2, .klen = LEN_4_7, .mask = MASK_2_7, .sees = SEES_2_3_7, .qpos = QPOS_2_3,
           .dropout = 0.25, .stream = 9},
     .bias = true},
    {NAMED("grouped heads", 2, 3, 7), .a = {GROUPED(4, 2)}},
    {NAMED("one key head for all", 2, 5, 5), .a = {GROUPED(3, 1), .causal = true}},
    {NAMED("grouped heads, bias and dropout", 2, 3, 7), .a = {GROUPED(6, 2), .dropout = 0.3, .stream = 5},
     .bias = true},
    {NAMED("window", 2, 6, 6), .a = {ATTN, .window = 2}},
    {NAMED("a window of one key", 2, 4, 4), .a = {ATTN, .window = 1}},
    {NAMED("a window wider than the text", 2, 4, 4), .a = {ATTN, .window = 9, .causal = true}},
    {NAMED("causal window with a cache", 2, 3, 7), .a = {ATTN, .window = 3, .causal = true}},
    {NAMED("one query, window and cache", 2, 1, 23), .a = {ATTN, .window = 4, .causal = true, .prefix = 2}},
    {NAMED("window and prefix", 2, 21, 24), .a = {ATTN, .window = 3, .prefix = 3}},
    {NAMED("window behind all keys", 2, 3, 7), .a = {ATTN, .window = 2, .klen = LEN_0_3, .causal = true}},
    {NAMED("window, query positions and a prefix", 2, 3, 9), .a = {ATTN, .window = 3, .qpos = QPOS_2_3, .prefix = 2}},
    {NAMED("everything in groups and windows", 2, 3, 9),
     .a = {GROUPED(4, 2), .causal = true, .window = 4, .prefix = 2, .klen = LEN_4_7, .mask = MASK_2_7,
           .sees = SEES_2_3_7, .qpos = QPOS_2_3, .dropout = 0.25, .stream = 9},
     .bias = true},
};
enum { CASE_COUNT = sizeof CASES / sizeof CASES[0] };

static Arena run;

static Tensor some(DType dtype, const char *name, int rank, const int64_t *dim)
{
    if (!run.base) run = arena_open(0);
    return noise(&run, dtype, rng_stream(17, name), rank, dim);
}

static int64_t key_heads(const Case *c)
{
    return c->a.kv_heads ? c->a.kv_heads : c->a.heads;
}

static void inputs(const Case *c, DType dtype, Tensor in[4])
{
    int64_t width = c->a.heads * (int64_t)c->a.head_dim, key_width = key_heads(c) * c->a.head_dim;
    in[0] = some(dtype, "q", SHAPE(c->b, c->t, width));
    in[1] = some(dtype, "k", SHAPE(c->b, c->s, key_width));
    in[2] = some(dtype, "v", SHAPE(c->b, c->s, key_width));
    in[3] = some(dtype, "bias", SHAPE(c->a.heads, c->t, c->s - c->a.prefix));
}

static Var *attend(Tape *t, Var *const *in, void *ctx)
{
    const Case *c = ctx;
    Var *bias = c->bias ? in[3] : NULL;
    if (!c->open) return op_attend(t, in[0], in[1], in[2], bias, c->a);
    return op_mix(t, op_softmax(t, op_scores(t, in[0], in[1], bias, c->a)), in[2], c->a);
}

/* ---- the definition */

static bool sees(const Case *c, int64_t b, int64_t i, int64_t j)
{
    int64_t n = c->s - c->a.prefix, content = j - c->a.prefix;
    int64_t pos = c->a.qpos ? c->a.qpos[b * c->t + i] : n - c->t + i;
    if (c->a.qpos && pos < 0) return false;
    if (content < 0) return true;
    if (c->a.klen && content >= c->a.klen[b]) return false;
    if (c->a.mask && !c->a.mask[b * n + content]) return false;
    if (c->a.sees && !c->a.sees[(b * c->t + i) * n + content]) return false;
    if (c->a.window && llabs(pos - content) >= c->a.window) return false;
    return !c->a.causal || content <= pos;
}

static Tensor by_definition(const Case *c, const Tensor *in)
{
    int64_t heads = c->a.heads, width = heads * D, key_width = key_heads(c) * D, n = c->s - c->a.prefix;
    Tensor y = tensor_zero(&run, F64, SHAPE(c->b, c->t, width));
    for (int64_t r = 0; r < c->b * heads * c->t; r++) {
        int64_t b = r / (heads * c->t), h = r / c->t % heads, i = r % c->t;
        int64_t kv = h / (heads / key_heads(c));
        double sum = 0;
        for (int pass = 0; pass < 2; pass++) {
            for (int64_t j = 0; j < c->s; j++) {
                if (!sees(c, b, i, j)) continue;
                double x = c->bias && j >= c->a.prefix ? tensor_get(in[3], (h * c->t + i) * n + j - c->a.prefix) : 0;
                for (int64_t d = 0; d < D; d++)
                    x += c->a.scale * tensor_get(in[0], (b * c->t + i) * width + h * D + d) *
                         tensor_get(in[1], (b * c->s + j) * key_width + kv * D + d);
                if (pass == 0) sum += exp(x);
                double p = exp(x) / sum, cut = round(65536 * c->a.dropout);
                if (cut > 0) p *= dropout_keeps((uint32_t)cut, c->a.stream, r * c->s + j) ? 65536 / (65536 - cut) : 0;
                for (int64_t d = 0; d < D && pass == 1; d++) {
                    int64_t at = (b * c->t + i) * width + h * D + d;
                    tensor_set(y, at,
                               tensor_get(y, at) + p * tensor_get(in[2], (b * c->s + j) * key_width + kv * D + d));
                }
            }
        }
    }
    return y;
}

static void both_paths_follow_the_definition(void **state)
{
    (void)state;
    for (int i = 0; i < CASE_COUNT; i++) {
        Tensor in[4];
        inputs(&CASES[i], F64, in);
        Tensor want = by_definition(&CASES[i], in);
        for (int open = 0; open < 2; open++) {
            Case c = CASES[i];
            c.open = open;
            Tape *t = tape_open(&run, false);
            Var *v[4];
            for (int j = 0; j < 4; j++) v[j] = tape_leaf(t, in[j]);
            print_message("# %s, %s\n", c.name, open ? "open" : "fused");
            EXPECT_NEAR(attend(t, v, &c)->val, want, 3e-15);
        }
    }
}

/* ---- the two paths and central differences */

static void backward_of(const Case *c, bool open, const Tensor in[4], Tensor *y, Tensor grad[4])
{
    Case path = *c;
    path.open = open;
    Tape *t = tape_open(&run, true);
    Var *v[4];
    for (int j = 0; j < 4; j++) v[j] = tape_input(t, in[j]);
    Var *a = attend(t, v, &path);
    *y = tensor_copy(&run, a->val);
    tape_backward(t, opcheck_dot(t, a, a));
    for (int j = 0; j < 4; j++)
        grad[j] = v[j]->grad.data ? v[j]->grad : tensor_zero(&run, F64, in[j].rank, in[j].dim);
}

static void paths_agree_to_rounding(void **state)
{
    (void)state;
    for (int i = 0; i < CASE_COUNT; i++) {
        Tensor in[4], y[2], grad[2][4];
        inputs(&CASES[i], F64, in);
        for (int open = 0; open < 2; open++) backward_of(&CASES[i], open, in, &y[open], grad[open]);
        print_message("# %s\n", CASES[i].name);
        EXPECT_NEAR(y[1], y[0], 2e-15);
        for (int j = 0; j < 4; j++) EXPECT_NEAR(grad[1][j], grad[0][j], 4e-15);
    }
}

static void gradients(bool open)
{
    for (int i = 0; i < CASE_COUNT; i++) {
        Case c = CASES[i];
        Tensor in[4];
        char what[80];
        c.open = open;
        inputs(&c, F64, in);
        snprintf(what, sizeof what, "%s, %s", c.name, open ? "open" : "fused");
        opcheck(what, attend, &c, c.bias ? 4 : 3, in);
    }
}

static void fused_gradients(void **state)
{
    (void)state;
    gradients(false);
}

static void open_gradients(void **state)
{
    (void)state;
    gradients(true);
}

static Var *attend_itself(Tape *t, Var *const *in, void *ctx)
{
    Var *same[] = {in[0], in[0], in[0], NULL};
    return attend(t, same, ctx);
}

static void one_input_in_three_roles(void **state)
{
    (void)state;
    Tensor x = some(F64, "x", SHAPE(2, 5, H * D));
    for (int open = 0; open < 2; open++) {
        Case c = {NAMED("", 2, 5, 5), .a = {ATTN, .causal = true}, .open = open};
        opcheck("attention of x by x on x", attend_itself, &c, 1, &x);
    }
}

/* One map mixes two sets of values, as a hook that reads the map may do: every gradient arrives twice. */
static Var *mix_twice(Tape *t, Var *const *in, void *ctx)
{
    const Case *c = ctx;
    Var *z = op_scores(t, in[0], in[1], NULL, c->a), *p = op_softmax(t, z), *p2 = op_softmax(t, z);
    Var *y = op_add(t, op_mix(t, p, in[2], c->a), -0.5, op_mix(t, p, in[1], c->a));
    return op_add(t, y, 2, op_mix(t, p2, in[2], c->a));
}

static void one_map_used_twice(void **state)
{
    (void)state;
    Case c = {NAMED("", 2, 4, 5), .a = {ATTN, .causal = true, .dropout = 0.3}};
    Tensor in[4];
    for (int i = 0; i < 2; i++) {
        inputs(&c, F64, in);
        opcheck("one map used twice", mix_twice, &c, 3, in);
        c.a.dropout = 0;
    }
}

static void rows_that_see_nothing(void **state)
{
    (void)state;
    static const int32_t none[] = {0, 0};
    for (int open = 0; open < 2; open++) {
        Case c = {NAMED("", 2, 3, 4), .a = {ATTN, .klen = none, .dropout = 0.5}};
        Tensor in[4], y, grad[4];
        inputs(&c, F64, in);
        backward_of(&c, open, in, &y, grad);
        for (int64_t i = 0; i < tensor_count(y); i++) assert_true(tensor_get(y, i) == 0);
        for (int j = 0; j < 3; j++)
            for (int64_t i = 0; i < tensor_count(grad[j]); i++) assert_true(tensor_get(grad[j], i) == 0);
    }
}

/* ---- the effect of a prefix (the identity behind the limits of prefix-tuning) */

static Tensor probs_of(const Case *c, const Tensor in[3])
{
    Tape *t = tape_open(&run, false);
    return op_softmax(t, op_scores(t, tape_leaf(t, in[0]), tape_leaf(t, in[1]), NULL, c->a))->val;
}

static void a_prefix_only_scales_content_attention(void **state)
{
    (void)state;
    enum { P = 3, N = 5, WIDTH = H * D };
    Case with = {NAMED("", 2, N, P + N), .a = {ATTN, .causal = true, .prefix = P}};
    Case without = {NAMED("", 2, N, N), .a = {ATTN, .causal = true}};
    Tensor in[4], bare[3];
    inputs(&with, F64, in);
    bare[0] = in[0];
    bare[1] = tensor_new(&run, F64, SHAPE(2, N, WIDTH));
    for (int64_t b = 0; b < 2; b++)
        for (int64_t i = 0; i < N * WIDTH; i++)
            tensor_set(bare[1], b * N * WIDTH + i, tensor_get(in[1], (b * (P + N) + P) * WIDTH + i));
    Tensor p = probs_of(&with, in), q = probs_of(&without, bare);
    for (int64_t row = 0; row < 2 * H * N; row++) {
        double mass = 0;
        for (int64_t j = 0; j < P; j++) mass += tensor_get(p, row * (P + N) + j);
        EXPECT(mass > 0.01 && mass < 1, "prefix mass %g", mass);
        for (int64_t j = 0; j < N; j++) {
            double scaled = tensor_get(p, row * (P + N) + P + j) / (1 - mass), plain = tensor_get(q, row * N + j);
            EXPECT(fabs(scaled - plain) < 2e-15, "content weight %g, without the prefix %g", scaled, plain);
        }
    }
}

/* ---- kernels: every table against the reference, over awkward shapes */

typedef struct {
    const char *name;
    const AttendKernels *kernels;
} Table;

static int tables(Table out[3])
{
    int n = 0;
    out[n++] = (Table){"generic", &ATTEND_GENERIC};
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (ATTEND_AVX2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        out[n++] = (Table){"avx2", ATTEND_AVX2};
    if (ATTEND_AVX512 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        out[n++] = (Table){"avx512", ATTEND_AVX512};
#endif
    return n;
}

typedef struct {
    Tensor y, lse, dq, dk, dv, dbias;
} Outcome;

/* Outputs start as noise: overwritten values must not show, those added to must. */
static Outcome outcome(const AttendKernels *k, Attend a, const Tensor in[4], bool bias, Tensor dy, bool add)
{
    a.scratch = arena_take(&run, attend_scratch(&a));
    memset(a.scratch, 0xff, attend_scratch(&a));
    Outcome o = {some(F32, "y", 3, in[0].dim),  some(F32, "lse", SHAPE(a.b, a.heads, a.t)),
                 some(F32, "dq", 3, in[0].dim), some(F32, "dk", 3, in[1].dim),
                 some(F32, "dv", 3, in[2].dim), some(F32, "dbias", 3, in[3].dim)};
    const void *extra = bias ? in[3].data : NULL;
    k->fwd(&a, o.y.data, o.lse.data, in[0].data, in[1].data, in[2].data, extra);
    k->bwd(&a, (AttendGrads){o.dq.data, o.dk.data, o.dv.data, add, add, add, bias ? o.dbias.data : NULL}, dy.data,
           (AttendSaved){in[0].data, in[1].data, in[2].data, extra, o.y.data, o.lse.data});
    return o;
}

static Attend shape_of(const Case *c)
{
    Attend a = {.b = c->b, .t = c->t, .s = c->s, .heads = c->a.heads, .dim = c->a.head_dim, .prefix = c->a.prefix};
    a.scale = c->a.scale;
    a.causal = c->a.causal;
    a.kv_heads = c->a.kv_heads;
    a.window = c->a.window;
    a.klen = c->a.klen;
    a.qpos = c->a.qpos;
    a.mask = c->a.mask;
    a.sees = c->a.sees;
    a.dropout = c->a.dropout;
    a.stream = c->a.stream;
    a.threads = 1;
    return a;
}

/* -inf of both sides counts as equal. */
static void finite_log_sums(Tensor lse)
{
    for (int64_t i = 0; i < tensor_count(lse); i++)
        if (isinf(tensor_get(lse, i))) tensor_set(lse, i, -1000);
}

static void compare(const Case *c, double tol)
{
    Tensor in[4];
    Table table[3];
    inputs(c, F32, in);
    Tensor dy = some(F32, "dy", 3, in[0].dim);
    for (int add = 0; add < 2; add++) {
        Outcome want = outcome(&ATTEND_REF_F32, shape_of(c), in, c->bias, dy, add);
        finite_log_sums(want.lse);
        for (int i = 0, n = tables(table); i < n; i++) {
            Outcome got = outcome(table[i].kernels, shape_of(c), in, c->bias, dy, add);
            finite_log_sums(got.lse);
            print_message("# %s: %s, %lld x %lld, %d heads of %d\n", table[i].name, c->name, (long long)c->t,
                          (long long)c->s, c->a.heads, c->a.head_dim);
            EXPECT_NEAR(got.y, want.y, tol);
            EXPECT_NEAR(got.lse, want.lse, tol);
            EXPECT_NEAR(got.dq, want.dq, tol);
            EXPECT_NEAR(got.dk, want.dk, tol);
            EXPECT_NEAR(got.dv, want.dv, tol);
            EXPECT_NEAR(got.dbias, want.dbias, tol);
        }
    }
}

static void fast_kernels_match_the_reference(void **state)
{
    (void)state;
    for (int i = 0; i < CASE_COUNT; i++) compare(&CASES[i], 3e-6);
    static const int64_t size[] = {1, 7, 8, 20, 65, 130};
    static const int dim[] = {1, 4, 17, 32, 40, 48, 96};
    static int32_t len[3];
    for (int i = 0; i < 42; i++) {
        int64_t t = size[i % 6], s = size[i / 7];
        bool causal = i % 2 && t <= s;
        for (int b = 0; b < 3; b++) len[b] = (int32_t)rng_below(3, (uint64_t)(3 * i + b), s + 1);
        Case c = {NAMED(causal ? "causal" : "full", 3, t, s + i % 3), .a = {.heads = 2, .scale = 0.3}};
        c.a.head_dim = dim[i / 6];
        c.a.causal = causal;
        c.a.prefix = i % 3;
        c.a.klen = i % 4 > 1 ? len : NULL;
        c.a.dropout = i % 5 == 4 ? 0.2 : 0;
        c.bias = i % 3 == 1;
        compare(&c, 2e-5);
    }
}

/* Windows and groups over sizes at which tiles, vectors and copies end unevenly. */
static void fast_windows_and_groups_match_the_reference(void **state)
{
    (void)state;
    static const int64_t size[] = {1, 9, 64, 65, 130, 200}, window[] = {1, 3, 16, 33, 64, 500};
    static const int heads[][2] = {{3, 1}, {4, 2}, {2, 2}, {6, 3}};
    static int32_t len[3], at[3 * 200];
    for (int i = 0; i < 72; i++) {
        uint64_t stream = rng_stream((uint64_t)i, "windows");
        int64_t t = size[i % 6], n = t + (i / 6 % 3) * 37, prefix = i % 5 == 4 ? 11 : i % 3;
        for (int b = 0; b < 3; b++) len[b] = (int32_t)rng_below(stream, (uint64_t)b, n + 1);
        for (int q = 0; q < 3 * t; q++) at[q] = (int32_t)rng_below(stream, (uint64_t)(9 + q), n + 1) - 1;
        Case c = {NAMED("window", 3, t, n + prefix), .a = {.scale = 0.3, .prefix = prefix}};
        c.a.heads = heads[i % 4][0];
        c.a.kv_heads = heads[i % 4][1];
        c.a.head_dim = i % 7 ? 16 : 9;
        c.a.window = i % 6 == 5 && i % 4 == 0 ? 0 : window[i / 12];
        c.a.causal = i % 2;
        c.a.klen = i % 3 ? NULL : len;
        c.a.qpos = i % 8 == 7 ? at : NULL;
        c.a.dropout = i % 5 == 3 ? 0.2 : 0;
        c.bias = i % 4 == 1;
        compare(&c, 2e-5);
    }
}

/* Rows first[b] .. first[b]+len[b]-1 of `from` (rows of `width`) become rows to[b] .. of the result's rows. */
static Tensor rows_moved(Tensor from, const int32_t *first, const int32_t *to, const int32_t *len, int64_t b,
                         int64_t rows)
{
    int64_t width = tensor_last(from);
    Tensor y = tensor_zero(&run, from.dtype, SHAPE(1, rows, width));
    for (int64_t i = 0; i < b; i++)
        for (int64_t j = 0; j < len[i] * width; j++)
            tensor_set(y, to[i] * width + j, tensor_get(from, first[i] * width + j));
    return y;
}

/* Packed rows in the fast kernels against padded rows in the reference: the same values, gradients and masks. */
static void packed_rows_match_padded_ones(void **state)
{
    (void)state;
    enum { N = 6, T = 512 };
    static const int32_t LEN[2][N] = {{1, 7, 8, 9, 511, 512}, {512, 1, 9, 511, 8, 7}};
    for (int i = 0; i < 4; i++) {
        const int32_t *len = LEN[i % 2];
        int32_t packed[N + 1] = {0}, padded[N];
        Case c = {NAMED("packed", N, T, T), .a = {.heads = 2, .head_dim = i % 2 ? 9 : 16, .scale = 0.3}};
        c.a.klen = len;
        c.a.dropout = i > 1 ? 0.2 : 0;
        for (int b = 0; b < N; b++) packed[b + 1] = packed[b] + len[b], padded[b] = b * T;
        Tensor in[4], few[4];
        Table table[3];
        inputs(&c, F32, in);
        Tensor dy = some(F32, "dy", 3, in[0].dim);
        for (int k = 0; k < 3; k++) few[k] = rows_moved(in[k], padded, packed, len, N, packed[N]);
        few[3] = in[3];
        Tensor few_dy = rows_moved(dy, padded, packed, len, N, packed[N]);
        dy = tensor_reshape(rows_moved(few_dy, packed, padded, len, N, N * T), 3, in[0].dim); /* zeros at padding */
        Outcome want = outcome(&ATTEND_REF_F32, shape_of(&c), in, false, dy, false);
        Attend a = shape_of(&c);
        a.q_at = a.k_at = packed;
        for (int k = -1, n = tables(table); k < n; k++) {
            Outcome got = outcome(k < 0 ? &ATTEND_REF_F32 : table[k].kernels, a, few, false, few_dy, false);
            EXPECT_NEAR(got.y, rows_moved(want.y, padded, packed, len, N, packed[N]), 2e-5);
            EXPECT_NEAR(got.dq, rows_moved(want.dq, padded, packed, len, N, packed[N]), 2e-5);
            EXPECT_NEAR(got.dk, rows_moved(want.dk, padded, packed, len, N, packed[N]), 2e-5);
            EXPECT_NEAR(got.dv, rows_moved(want.dv, padded, packed, len, N, packed[N]), 2e-5);
        }
    }
}

/* ---- groups and windows in other words */

static Tensor repeated(const Case *c, Tensor x)
{
    int64_t group = c->a.heads / c->a.kv_heads, d = c->a.head_dim;
    Tensor y = tensor_new(&run, x.dtype, SHAPE(x.dim[0], x.dim[1], x.dim[2] * group));
    for (int64_t i = 0; i < tensor_count(y); i++) tensor_set(y, i, tensor_get(x, i / (d * group) * d + i % d));
    return y;
}

/* The sum over the query heads of each group: the repetition, going back. */
static Tensor summed(const Case *c, Tensor dy)
{
    int64_t group = c->a.heads / c->a.kv_heads, d = c->a.head_dim;
    Tensor dx = tensor_zero(&run, F64, SHAPE(dy.dim[0], dy.dim[1], dy.dim[2] / group));
    for (int64_t i = 0; i < tensor_count(dy); i++) {
        int64_t to = i / (d * group) * d + i % d;
        tensor_set(dx, to, tensor_get(dx, to) + tensor_get(dy, i));
    }
    return dx;
}

static void grouped_heads_are_repeated_heads(void **state)
{
    (void)state;
    Case c = {NAMED("", 2, 70, 75), .a = {GROUPED(6, 2), .causal = true, .prefix = 2, .dropout = 0.2, .stream = 3}};
    Table table[3];
    Tensor in[4], dy = some(F32, "dy", SHAPE(2, 70, 6 * D));
    inputs(&c, F32, in);
    for (int i = 0, n = tables(table); i <= n; i++) {
        const AttendKernels *kernels = i < n ? table[i].kernels : &ATTEND_REF_F32;
        Attend grouped = shape_of(&c), plain = grouped;
        plain.kv_heads = 0;
        Tensor again[4] = {in[0], repeated(&c, in[1]), repeated(&c, in[2]), in[3]};
        Outcome g = outcome(kernels, grouped, in, true, dy, false),
                p = outcome(kernels, plain, again, true, dy, false);
        assert_memory_equal(g.y.data, p.y.data, tensor_bytes(p.y));
        assert_memory_equal(g.dq.data, p.dq.data, tensor_bytes(p.dq));
        assert_memory_equal(g.dbias.data, p.dbias.data, tensor_bytes(p.dbias));
        EXPECT_NEAR(g.dk, summed(&c, p.dk), 2e-6);
        EXPECT_NEAR(g.dv, summed(&c, p.dv), 2e-6);
    }
}

static void a_window_is_a_mask(void **state)
{
    (void)state;
    enum { T = 83, N = 90, WINDOW = 12 };
    static uint8_t near[2 * T * N];
    for (int64_t i = 0; i < 2 * T * N; i++) near[i] = llabs(i % N - (N - T + i / N % T)) < WINDOW;
    Table table[3];
    for (int causal = 0; causal < 2; causal++) {
        Case c = {NAMED("", 2, T, N + 3), .a = {ATTN, .causal = causal, .prefix = 3, .dropout = 0.2, .stream = 3}};
        Tensor in[4], dy = some(F32, "dy", SHAPE(2, T, H * D));
        inputs(&c, F32, in);
        for (int i = 0, n = tables(table); i <= n; i++) {
            const AttendKernels *kernels = i < n ? table[i].kernels : &ATTEND_REF_F32;
            Attend window = shape_of(&c), mask = window;
            window.window = WINDOW;
            mask.sees = near;
            Outcome w = outcome(kernels, window, in, true, dy, true), m = outcome(kernels, mask, in, true, dy, true);
            EXPECT_NEAR(w.y, m.y, 1e-6);
            EXPECT_NEAR(w.lse, m.lse, 1e-6);
            EXPECT_NEAR(w.dq, m.dq, 1e-6);
            EXPECT_NEAR(w.dk, m.dk, 1e-6);
            EXPECT_NEAR(w.dv, m.dv, 1e-6);
            EXPECT_NEAR(w.dbias, m.dbias, 1e-6);
        }
    }
}

static void keys_outside_every_window_do_not_show(void **state)
{
    (void)state;
    enum { S = 150, WIDTH = H * 24, PREFIX = 5 };
    Case c = {NAMED("", 1, 20, S), .a = {.heads = 4, .kv_heads = 2, .head_dim = 24, .scale = 0.2, .window = 30}};
    c.a.causal = true;
    c.a.prefix = PREFIX;
    Tensor in[4], dy = some(F32, "dy", SHAPE(1, 20, 96));
    Table table[3];
    inputs(&c, F32, in);
    for (int i = 0, n = tables(table); i <= n; i++) {
        const AttendKernels *kernels = i < n ? table[i].kernels : &ATTEND_REF_F32;
        Tensor dirty[4] = {in[0], tensor_copy(&run, in[1]), tensor_copy(&run, in[2]), in[3]};
        for (int64_t j = PREFIX * WIDTH; j < (S - 20 - 29) * WIDTH; j++) {
            tensor_set(dirty[1], j, (double)NAN);
            tensor_set(dirty[2], j, (double)NAN);
        }
        Outcome clean = outcome(kernels, shape_of(&c), in, false, dy, false);
        Outcome other = outcome(kernels, shape_of(&c), dirty, false, dy, false);
        assert_memory_equal(clean.y.data, other.y.data, tensor_bytes(clean.y));
        assert_memory_equal(clean.dq.data, other.dq.data, tensor_bytes(clean.dq));
        assert_memory_equal(clean.dk.data, other.dk.data, tensor_bytes(clean.dk));
        assert_memory_equal(clean.dv.data, other.dv.data, tensor_bytes(clean.dv));
    }
}

/* Long rows: the tile shrinks to eight queries and the keys take many vectors. */
static void long_rows(void **state)
{
    (void)state;
    Case c = {NAMED("long", 1, 19, 2100), .a = {.heads = 2, .head_dim = 8, .scale = 0.3, .causal = true}};
    compare(&c, 2e-5);
}

static void keys_beyond_the_length_are_never_read(void **state)
{
    (void)state;
    static const int32_t len[] = {5, 20};
    Case c = {NAMED("", 2, 20, 33), .a = {.heads = 2, .head_dim = 24, .scale = 0.2, .klen = len}};
    Tensor in[4], dy = some(F32, "dy", SHAPE(2, 20, 48));
    Table table[3];
    inputs(&c, F32, in);
    for (int i = 0, n = tables(table); i < n; i++) {
        Outcome clean = outcome(table[i].kernels, shape_of(&c), in, false, dy, false);
        Tensor dirty[4] = {in[0], tensor_copy(&run, in[1]), tensor_copy(&run, in[2]), in[3]};
        for (int64_t b = 0; b < 2; b++)
            for (int64_t j = len[b] * 48; j < 33 * 48; j++) {
                tensor_set(dirty[1], b * 33 * 48 + j, (double)NAN);
                tensor_set(dirty[2], b * 33 * 48 + j, (double)NAN);
            }
        Outcome other = outcome(table[i].kernels, shape_of(&c), dirty, false, dy, false);
        assert_memory_equal(clean.y.data, other.y.data, tensor_bytes(clean.y));
        assert_memory_equal(clean.dq.data, other.dq.data, tensor_bytes(clean.dq));
        assert_memory_equal(clean.dk.data, other.dk.data, tensor_bytes(clean.dk));
        assert_memory_equal(clean.dv.data, other.dv.data, tensor_bytes(clean.dv));
    }
}

/* The op runs the kernels that --kernels names: on references, the double-precision arithmetic of the reference
 * shows. */
static void the_kernel_choice_is_heeded(void **state)
{
    (void)state;
    assert_ptr_equal(attend_kernels(F64), &ATTEND_REF_F64);
    kernels_use(KERNELS_REF);
    assert_ptr_equal(attend_kernels(F32), &ATTEND_REF_F32);
    kernels_use(KERNELS_FAST);
    Table table[3];
    int n = tables(table);
    EXPECT(attend_kernels(F32) == table[n - 1].kernels, "the widest of %d tables, %s, is for this processor", n,
           table[n - 1].name);
}

/* ---- the same bytes for any number of threads */

static void thread_counts_do_not_show(void **state)
{
    (void)state;
    Case c = {NAMED("", 3, 40, 44), .a = {.heads = 4, .head_dim = 32, .scale = 0.2, .causal = true, .prefix = 4}};
    c.a.dropout = 0.1;
    c.a.stream = 3;
    Table table[3];
    for (int setting = 0; setting < 4; setting++) {
        bool bias = setting % 2;
        Tensor in[4], dy = some(F32, "dy", SHAPE(3, 40, 128));
        c.bias = bias;
        c.a.kv_heads = setting / 2 ? 2 : 0;
        c.a.window = setting / 2 ? 9 : 0;
        inputs(&c, F32, in);
        for (int i = 0, n = tables(table); i < n; i++) {
            Attend one = shape_of(&c), three = one;
            three.threads = 3;
            Outcome p = outcome(table[i].kernels, one, in, bias, dy, false);
            Outcome q = outcome(table[i].kernels, three, in, bias, dy, false);
            assert_memory_equal(p.y.data, q.y.data, tensor_bytes(p.y));
            assert_memory_equal(p.dq.data, q.dq.data, tensor_bytes(p.dq));
            assert_memory_equal(p.dk.data, q.dk.data, tensor_bytes(p.dk));
            assert_memory_equal(p.dv.data, q.dv.data, tensor_bytes(p.dv));
            assert_memory_equal(p.dbias.data, q.dbias.data, tensor_bytes(p.dbias));
        }
        for (int open = 0; open < 2; open++) {
            c.open = open;
            opcheck_threads(open ? "open attention" : "attention", attend, &c, c.bias ? 4 : 3, in);
        }
    }
}

SUITE(cmocka_unit_test(both_paths_follow_the_definition), cmocka_unit_test(paths_agree_to_rounding),
      cmocka_unit_test(fused_gradients), cmocka_unit_test(open_gradients), cmocka_unit_test(one_input_in_three_roles),
      cmocka_unit_test(one_map_used_twice), cmocka_unit_test(rows_that_see_nothing),
      cmocka_unit_test(a_prefix_only_scales_content_attention), cmocka_unit_test(fast_kernels_match_the_reference),
      cmocka_unit_test(fast_windows_and_groups_match_the_reference), cmocka_unit_test(packed_rows_match_padded_ones),
      cmocka_unit_test(grouped_heads_are_repeated_heads), cmocka_unit_test(a_window_is_a_mask),
      cmocka_unit_test(keys_outside_every_window_do_not_show), cmocka_unit_test(long_rows),
      cmocka_unit_test(keys_beyond_the_length_are_never_read), cmocka_unit_test(the_kernel_choice_is_heeded),
      cmocka_unit_test(thread_counts_do_not_show))
