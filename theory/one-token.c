/* theory/one-token: one virtual token can carry any sequence.
 *
 * Claim    For every V and N there is ONE fixed transformer (one attention layer with two heads, three linear
 *          layers) such that every sequence Y in {0..V-1}^N is what greedy decoding emits after the single virtual
 *          token s = (Y_0/V, ..., Y_{N-1}/V).  One soft token has V^N behaviours; one hard token has at most V.
 * Method   Build the network from its formulas on the library's attention and linear ops.  Decode all V^N
 *          sequences for small V and N in F32 and F64.  Bisect for the lowest inverse temperature T at which a
 *          set of sequences with all the extremes survives, and compare with the formula.
 * Expect   Every sequence reproduced; the measured temperature within 1 % of the formula where V >= 94.
 * Cost     a second; half a minute; a minute.
 * Source   Petrov, Torr and Bibi, "When do prompting and prefix-tuning work?", ICLR 2024, theorem 1.
 *
 * How it works.  Row r of the input is [content (N) ; position e_r (N)].  Head P looks at itself and returns e_r;
 * head F looks at row 0 and returns s.  Their sum e_r + s exceeds 1 in coordinate r alone, so ReLU(h - 1) leaves
 * s_r there and nothing elsewhere, and a row of ones sums it into the scalar z = Y_r/V.  Logit j is the tangent of
 * the parabola (z - 1/2)^2 at j/V: (2j/V - 1) z + 1/4 - (j/V)^2 = -(z - j/V)^2 + a term without j, so the
 * largest logit belongs to the grid point nearest to z. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ad/op.h"
#include "base/rng.h"
#include "base/str.h"
#include "cli/experiment.h"
#include "plot/plot.h"

/* ---- the network ---- */

typedef struct {
    int64_t v, n;
    double scale_p, scale_f;         /* what multiplies q.k in each head */
    Tensor q_p, kv_p, q_f, k_f, v_f; /* (N,2N) each; both heads are given key size N, the unused rows are 0 */
    Tensor w1, b1, w2, w3, b3;       /* (N,N), (N), (1,N), (V,1), (V) */
} Net;

static Net network(Arena *a, DType type, int64_t v, int64_t n)
{
    Net net = {.v = v, .n = n};
    Tensor *wide[] = {&net.q_p, &net.kv_p, &net.q_f, &net.k_f, &net.v_f};
    for (int i = 0; i < 5; i++) *wide[i] = tensor_zero(a, type, SHAPE(n, 2 * n));
    net.w1 = tensor_zero(a, type, SHAPE(n, n));
    net.b1 = tensor_zero(a, type, SHAPE(n));
    net.w2 = tensor_zero(a, type, SHAPE(1, n));
    net.w3 = tensor_zero(a, type, SHAPE(v, 1));
    net.b3 = tensor_zero(a, type, SHAPE(v));
    for (int64_t i = 0; i < n; i++) {
        tensor_set(net.q_p, i * 2 * n + n + i, 1);  /* [0 I]: the position */
        tensor_set(net.kv_p, i * 2 * n + n + i, 1); /* [0 I] */
        tensor_set(net.q_f, n + i, 1);              /* first row [0 1]: the query is always 1 */
        tensor_set(net.v_f, i * 2 * n + i, 1);      /* [I 0]: the content */
        tensor_set(net.w1, i * n + i, 1);
        tensor_set(net.b1, i, -1);
        tensor_set(net.w2, i, 1);
    }
    tensor_set(net.k_f, n, 1); /* first row picks position coordinate 0: the key is 1 at the virtual token only */
    for (int64_t j = 0; j < v; j++) {
        double at = (double)j / (double)v;
        tensor_set(net.w3, j, 2 * at - 1);
        tensor_set(net.b3, j, 0.25 - at * at);
    }
    return net;
}

/* The logits (B,V) of the last of p rows, x (B,p,2N). */
static Var *last_logits(Tape *t, const Net *net, Tensor x, double t_p, double t_f)
{
    int64_t b = x.dim[0], p = x.dim[1];
    Var *rows = tape_leaf(t, x), *w[] = {tape_leaf(t, net->q_p), tape_leaf(t, net->kv_p), tape_leaf(t, net->q_f),
                                         tape_leaf(t, net->k_f), tape_leaf(t, net->v_f)};
    int32_t *last = arena_take(tape_arena(t), sizeof *last * (size_t)b);
    for (int64_t i = 0; i < b; i++) last[i] = (int32_t)(p - 1);
    Var *query = op_rows(t, rows, last, b, 1), *h[2];
    for (int f = 0; f < 2; f++) {
        Attn attn = {.heads = 1, .head_dim = (int)net->n, .scale = f ? t_f : t_p};
        Var *q = op_linear(t, query, w[f ? 2 : 0], OUT_IN, NULL, ACT_NONE);
        Var *k = op_linear(t, rows, w[f ? 3 : 1], OUT_IN, NULL, ACT_NONE);
        Var *v = op_linear(t, rows, w[f ? 4 : 1], OUT_IN, NULL, ACT_NONE);
        h[f] = op_attend(t, q, k, v, NULL, attn);
    }
    Var *sum = op_add(t, h[0], 1, h[1]);
    Var *z1 = op_linear(t, sum, tape_leaf(t, net->w1), OUT_IN, tape_leaf(t, net->b1), ACT_RELU);
    Var *z2 = op_linear(t, z1, tape_leaf(t, net->w2), OUT_IN, NULL, ACT_RELU);
    return op_linear(t, z2, tape_leaf(t, net->w3), OUT_IN, tape_leaf(t, net->b3), ACT_NONE);
}

static int32_t argmax(Tensor logits, int64_t row, int64_t v)
{
    int32_t best = 0;
    for (int32_t j = 1; j < v; j++)
        if (tensor_get(logits, row * v + j) > tensor_get(logits, row * v + best)) best = j;
    return best;
}

/* Greedy decoding of B virtual tokens s (B,N) at inverse temperature T; y (B,N) receives the tokens.  The token
 * embedding is arbitrary in the theorem; it is zero here.  Scaling: q.k is multiplied by T/sqrt(key size), with
 * key size N in head P and 1 in head F. */
static void decode(Arena *step, const Net *net, DType type, Tensor s, double temperature, int32_t *y)
{
    int64_t b = s.dim[0], n = net->n;
    for (int64_t p = 1; p <= n; p++) {
        ArenaMark mark = arena_mark(step);
        Tensor x = tensor_zero(step, type, SHAPE(b, p, 2 * n));
        for (int64_t i = 0; i < b; i++) {
            for (int64_t j = 0; j < n; j++) tensor_set(x, i * p * 2 * n + j, tensor_get(s, i * n + j));
            for (int64_t r = 0; r < p; r++) tensor_set(x, (i * p + r) * 2 * n + n + r, 1);
        }
        Tape *t = tape_open(step, false);
        Var *logits = last_logits(t, net, x, temperature / sqrt((double)n), temperature);
        for (int64_t i = 0; i < b; i++) y[i * n + p - 1] = argmax(logits->val, i, net->v);
        arena_drop(step, mark);
    }
}

/* ---- what is asked of it ---- */

/* How many of the B target sequences (B,N) come back exactly. */
static int64_t reproduced(Arena *step, DType type, int64_t v, int64_t n, const int32_t *target, int64_t b,
                          double temperature)
{
    enum { CHUNK = 512 };
    int64_t good = 0;
    for (int64_t first = 0; first < b; first += CHUNK) {
        ArenaMark mark = arena_mark(step);
        int64_t rows = b - first < CHUNK ? b - first : CHUNK;
        const int32_t *want = target + first * n;
        Net net = network(step, type, v, n);
        Tensor s = tensor_new(step, type, SHAPE(rows, n));
        for (int64_t i = 0; i < rows * n; i++) tensor_set(s, i, (double)want[i] / (double)v);
        int32_t *y = arena_take(step, sizeof *y * (size_t)(rows * n));
        decode(step, &net, type, s, temperature, y);
        for (int64_t i = 0; i < rows; i++) good += !memcmp(y + i * n, want + i * n, sizeof *y * (size_t)n);
        arena_drop(step, mark);
    }
    return good;
}

/* Exactness needs head P's leak, (N-1) e^{-T/sqrt(N)} of weight, to stay below the decision margin 1/(2V). */
static double formula(int64_t v, int64_t n)
{
    return sqrt((double)n) * log(2.0 * (double)v * (double)(n > 1 ? n - 1 : 1));
}

static double safe_temperature(int64_t v, int64_t n)
{
    return 1.25 * formula(v, n) + 1;
}

/* Every sequence of every size, in one dtype: the fraction reproduced. */
static Status exhaust(Run *r, Arena *step, DType type, double *fraction, int64_t *total)
{
    int64_t good = 0;
    *total = 0;
    for (int64_t v = 2; v <= run_int(r, "max-v"); v++)
        for (int64_t n = 1; n <= run_int(r, "max-n"); n++) {
            if (run_stopped()) return run_interrupted();
            ArenaMark mark = arena_mark(step);
            int64_t count = (int64_t)llround(pow((double)v, (double)n));
            int32_t *all = arena_take(step, sizeof *all * (size_t)(count * n));
            for (int64_t i = 0; i < count; i++)
                for (int64_t j = 0, rest = i; j < n; j++, rest /= v) all[i * n + j] = (int32_t)(rest % v);
            good += reproduced(step, type, v, n, all, count, safe_temperature(v, n));
            *total += count;
            arena_drop(step, mark);
            run_progress(r, type == F32 ? "all sequences, F32" : "all sequences, F64", v * 10 + n,
                         run_int(r, "max-v") * 10 + run_int(r, "max-n"), NAN);
        }
    *fraction = (double)good / (double)*total;
    return OK;
}

/* The lowest T at which constant, alternating and random sequences all come back, by bisection in F64. */
static double measured_temperature(Arena *step, uint64_t seed, int64_t v, int64_t n)
{
    enum { SEQUENCES = 64 };
    ArenaMark mark = arena_mark(step);
    int32_t *set = arena_take(step, sizeof *set * SEQUENCES * (size_t)n);
    uint64_t stream = rng_stream(seed, "temperature");
    for (int64_t i = 0; i < SEQUENCES; i++)
        for (int64_t j = 0; j < n; j++)
            set[i * n + j] = i == 0   ? 0
                             : i == 1 ? (int32_t)(v - 1)
                             : i < 4  ? (int32_t)((j + i) % 2 * (v - 1))
                                      : (int32_t)rng_below(stream, (uint64_t)(i * n + j), v);
    double low = 0, high = 2.7 * formula(v, n); /* not 2: the formula itself should be no point of the bisection */
    while (high - low > 1e-4 * high) {
        double middle = (low + high) / 2;
        bool exact = reproduced(step, F64, v, n, set, SEQUENCES, middle) == SEQUENCES;
        *(exact ? &high : &low) = middle;
    }
    arena_drop(step, mark);
    return high;
}

/* A text of the user's choice, one vector, and what the network says when given that vector alone. */
static void spell(Run *r, Arena *step)
{
    const char *text = run_text(r, "text");
    int64_t n = (int64_t)strlen(text), v = 256;
    if (!n) return;
    Net net = network(step, F32, v, n);
    Tensor s = tensor_new(step, F32, SHAPE(1, n));
    for (int64_t i = 0; i < n; i++) tensor_set(s, i, (double)(unsigned char)text[i] / (double)v);
    int32_t *y = arena_take(step, sizeof *y * (size_t)n);
    decode(step, &net, F32, s, safe_temperature(v, n), y);
    char *said = arena_zero(run_arena(r), (size_t)n + 1);
    for (int64_t i = 0; i < n; i++) said[i] = (char)y[i];
    run_note(r, "Given one vector of %lld numbers (byte/256 each), the network says: \"%s\"%s", (long long)n, said,
             strcmp(said, text) ? ", which is NOT the text asked for" : "");
    run_metric(r, "text reproduced", 0, !strcmp(said, text));
}

/* ---- figures ---- */

/* Points that are marked but not joined: NaN between them breaks the line. */
static Series dots(Arena *a, int64_t n, const double *x, const double *y, const char *label)
{
    Series s = {
        .x = tensor_new(a, F64, SHAPE(2 * n)), .y = tensor_new(a, F64, SHAPE(2 * n)), .label = label, .marked = true};
    for (int64_t i = 0; i < 2 * n; i++) {
        tensor_set(s.x, i, x[i / 2]);
        tensor_set(s.y, i, i % 2 ? (double)NAN : y[i / 2]);
    }
    return s;
}

/* The V logits as functions of z: tangents of a parabola.  Their upper envelope touches the parabola at the grid
 * points and bends halfway between them, where the arg max changes. */
static Status draw_tangents(Run *r)
{
    enum { V = 10, BENDS = 2 * V + 1 };
    Arena *a = run_arena(r);
    Series line[V + 2];
    double touch_x[V], touch_y[V];
    for (int j = 0; j < V; j++) {
        double at = (double)j / V;
        Tensor x = tensor_new(a, F64, SHAPE(2)), y = tensor_new(a, F64, SHAPE(2));
        for (int e = 0; e < 2; e++) {
            tensor_set(x, e, e);
            tensor_set(y, e, (2 * at - 1) * e + 0.25 - at * at);
        }
        line[j] = (Series){.x = x, .y = y, .colour = 1, .label = j == V / 2 ? "logit j" : NULL};
        touch_x[j] = at, touch_y[j] = (at - 0.5) * (at - 0.5);
    }
    Tensor x = tensor_new(a, F64, SHAPE(BENDS)), y = tensor_new(a, F64, SHAPE(BENDS));
    for (int i = 0; i < BENDS; i++) {
        double z = (double)i / (2 * V), most = -INFINITY;
        for (int j = 0; j < V; j++) most = fmax(most, (2 * touch_x[j] - 1) * z + 0.25 - touch_x[j] * touch_x[j]);
        tensor_set(x, i, z);
        tensor_set(y, i, most);
    }
    line[V] = (Series){.x = x, .y = y, .colour = 2, .label = "largest"};
    line[V + 1] = dots(a, V, touch_x, touch_y, NULL);
    line[V + 1].colour = 2;
    Fig *f = run_figure(r, "tangents",
                        "The ten logits of the unembedding (V = 10) as functions of the scalar z. Each is the "
                        "tangent of (z - 1/2)^2 at j/V (marks); the largest belongs to the nearest grid point.",
                        252, 190);
    fig_lines(f, fig_whole(f), V + 2, line,
              (PlotStyle){.x = {.title = "z", .lo = 0, .hi = 1}, .y = {.title = "logit", .lo = -0.2, .hi = 0.3}});
    return fig_close(f);
}

static Status draw_temperatures(Run *r, int64_t v, int sizes, const double *length, const double *measured)
{
    enum { GRID = 100 };
    Arena *a = run_arena(r);
    Tensor x = tensor_new(a, F64, SHAPE(GRID)), y = tensor_new(a, F64, SHAPE(GRID));
    for (int i = 0; i < GRID; i++) {
        double n = 2 + (length[sizes - 1] - 2) * i / (GRID - 1);
        tensor_set(x, i, n);
        tensor_set(y, i, sqrt(n) * log(2 * (double)v * (n - 1)));
    }
    Series line[2] = {{.x = x, .y = y, .label = "formula", .dashed = true},
                      dots(a, sizes, length, measured, "measured")};
    Fig *f = run_figure(r, "temperature",
                        str_print(a,
                                  "Lowest inverse temperature at which every tested sequence is reproduced, "
                                  "V = %lld, against sqrt(N) ln(2V(N-1)).",
                                  (long long)v),
                        252, 180);
    fig_lines(f, fig_whole(f), 2, line,
              (PlotStyle){.x = {.title = "sequence length N"}, .y = {.title = "inverse temperature T"}});
    return fig_close(f);
}

/* ---- the experiment ---- */

static Status temperatures(Run *r, Arena *step, double *worst)
{
    double n_of[RUN_LIST];
    int sizes = run_list(r, "lengths", n_of);
    int64_t v = run_int(r, "v");
    double measured[RUN_LIST];
    *worst = 0;
    for (int i = 0; i < sizes; i++) {
        if (run_stopped()) return run_interrupted();
        int64_t n = (int64_t)n_of[i];
        double m = measured[i] = measured_temperature(step, run_seed(r, 0), v, n), p = formula(v, n);
        *worst = fmax(*worst, fabs(m / p - 1));
        run_metric(r, str_print(run_arena(r), "lowest T, V=%lld N=%lld", (long long)v, (long long)n), 0, m);
        run_metric(r, str_print(run_arena(r), "formula T, V=%lld N=%lld", (long long)v, (long long)n), 0, p);
        run_progress(r, "temperature", i + 1, sizes, NAN);
    }
    return draw_temperatures(r, v, sizes, n_of, measured);
}

static Status run(Run *r)
{
    Arena step = arena_open(0);
    double f32 = 0, f64 = 0, gap = 0;
    int64_t total;
    TRY(exhaust(r, &step, F64, &f64, &total));
    TRY(exhaust(r, &step, F32, &f32, &total));
    run_metric(r, "sequences", 0, (double)total);
    run_metric(r, "reproduced, F64", 0, f64);
    run_metric(r, "reproduced, F32", 0, f32);
    TRY(temperatures(r, &step, &gap));
    run_metric(r, "temperature gap", 0, gap);
    spell(r, &step);
    TRY(draw_tangents(r));
    arena_close(&step);
    run_verdict(
        r, f64 == 1 && f32 == 1 && gap < 0.01 ? HOLDS : FAILS,
        "%.6g %% of all %lld sequences (V <= %lld, N <= %lld) come back in F32 and %.6g %% in F64; the lowest "
        "working temperature is within %.2g %% of the formula.",
        100 * f32, (long long)total, (long long)run_int(r, "max-v"), (long long)run_int(r, "max-n"), 100 * f64,
        100 * gap);
    return OK;
}

static const Setting SETTINGS[] = {
    {"max-v", "largest vocabulary of the exhaustive check", {"3", "5", "5"}, 2, 6},
    {"max-n", "longest sequence of the exhaustive check", {"4", "6", "6"}, 1, 8},
    {"v", "vocabulary of the temperature measurement", {"94", "94", "94"}, 2, 3000},
    {"lengths", "sequence lengths of the temperature measurement", {"10,", "5,10,20,40", "5,10,20,40,64"}, 2, 256},
    {"text", "a text to spell out of one vector", {"I love transformers!", NULL, NULL}},
    {0}};

static const Experiment ONE_TOKEN = {
    .group = "theory",
    .name = "one-token",
    .title = "One virtual token can carry any sequence",
    .claim =
        "There is one fixed transformer that emits every one of V^N sequences after a single virtual token; a hard "
        "token could select at most V of them.",
    .method =
        "A network built from the theorem's formulas on the library's own attention and linear layers decodes all "
        "sequences for small V and N in F32 and F64; bisection finds the lowest inverse temperature that still "
        "works.",
    .expect = "All sequences reproduced in both precisions; measured temperature within 1 % of sqrt(N) ln(2V(N-1)).",
    .cost = "smoke a second, quick and paper under a minute",
    .source = "Petrov, Torr, Bibi (ICLR 2024), theorem 1",
    .settings = SETTINGS,
    .run = run};
REGISTER(experiment, ONE_TOKEN)
