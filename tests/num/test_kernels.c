/* Every fast kernel against the reference, on every instruction set this machine has.
 *
 * Shapes run over 0, 1, odd sizes, sizes around the vector length and sizes above the parallel threshold.  Outputs
 * are filled with noise first, end in a guard that must survive, and are compared element by element: |fast - ref|
 * may be `units` of FLT_EPSILON times (|ref| + floor).  VERNIER_SEED chooses other numbers; a failure prints the
 * seed. */
#include "expect.h"

#include <float.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "num/dropout.h"
#include "num/fast.h"
#include "num/fastmath.h"
#include "num/kernels.h"

enum { GUARD = 16, MAX_TABLES = 3 };
typedef struct {
    const char *name;
    const Kernels *k;
} Table;

static Arena arena;
static uint64_t seed;
static const int64_t SIZES[] = {0, 1, 2, 3, 7, 15, 16, 17, 31, 33, 127, 128, 129, 1000, 8193, 132000};
static const int64_t SHAPES[][2] = {{0, 5},   {5, 0},   {1, 1},    {1, 16},   {3, 7},     {2, 17},    {4, 33},
                                    {9, 100}, {5, 129}, {33, 768}, {7, 1500}, {200, 700}, {60, 2300}, {131100, 1}};

static int tables(Table t[MAX_TABLES])
{
    int n = 0;
    t[n++] = (Table){"generic", &KERNELS_GENERIC};
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (&KERNELS_AVX2 && __builtin_cpu_supports("avx2")) t[n++] = (Table){"avx2", &KERNELS_AVX2};
    if (&KERNELS_AVX512 && __builtin_cpu_supports("avx512bw")) t[n++] = (Table){"avx512", &KERNELS_AVX512};
#endif
    return n;
}

static int setup(void **state)
{
    const char *s = getenv("VERNIER_SEED");
    (void)state;
    seed = s ? strtoull(s, NULL, 10) : 1;
    arena = arena_open(0);
    return 0;
}

/* ---- arrays */

static float *random_floats(const char *name, int64_t n)
{
    float *x = arena_take(&arena, (size_t)(n + GUARD) * sizeof *x);
    uint64_t stream = rng_stream(seed, name);
    for (int64_t i = 0; i < n + GUARD; i++) {
        uint64_t u = stream + (uint64_t)i * 0x9E3779B97F4A7C15u; /* a cheap hash: tests draw millions */
        u = (u ^ u >> 31) * 0xBF58476D1CE4E5B9u;
        u = (u ^ u >> 29) * 0x94D049BB133111EBu;
        x[i] = (float)((double)(u >> 40) * 0x1p-24 * 6 - 3);
    }
    return x;
}

static float *positive_floats(const char *name, int64_t n)
{
    float *x = random_floats(name, n);
    for (int64_t i = 0; i < n; i++) x[i] = 0.1f + fabsf(x[i]);
    return x;
}

static int32_t *random_ids(const char *name, int64_t n, int32_t below)
{
    int32_t *id = arena_take(&arena, (size_t)(n + 1) * sizeof *id);
    uint64_t s = rng_stream(seed, name);
    for (int64_t i = 0; i < n; i++) id[i] = (int32_t)rng_below(s, (uint64_t)i, below + 1) - 1;
    return id;
}

/* Two copies of the same noise: out[0] for the reference, out[1] for the kernel under test. */
typedef struct {
    float *out[2];
} Pair;

static Pair noise_pair(const char *name, int64_t n)
{
    return (Pair){{random_floats(name, n), random_floats(name, n)}};
}

static void agree(Pair p, int64_t n, double units, double floor, const char *table, const char *what)
{
    for (int64_t i = 0; i < n; i++) {
        double ref = (double)p.out[0][i], fast = (double)p.out[1][i];
        bool same = (isnan(ref) && isnan(fast)) || ref == fast ||
                    fabs(ref - fast) <= units * (double)FLT_EPSILON * (fabs(ref) + floor);
        EXPECT(same, "%s %s: element %lld of %lld is %.9g, reference %.9g (seed %llu)", table, what, (long long)i,
               (long long)n, fast, ref, (unsigned long long)seed);
    }
    EXPECT(!memcmp(p.out[0] + n, p.out[1] + n, GUARD * sizeof(float)), "%s %s wrote past %lld elements", table, what,
           (long long)n);
}

/* Runs `call` with k and out bound to the reference and to the kernel under test, then compares `pair`. */
#define BOTH(table, call)                                                                                            \
    for (int which_ = 0; which_ < 2; which_++) {                                                                     \
        const Kernels *k = which_ ? (table).k : &KERNELS_REF_F32;                                                    \
        call;                                                                                                        \
    }
#define OUT(pair) ((pair).out[which_])

typedef void SizeTest(Table, int64_t n);
typedef void ShapeTest(Table, int64_t r, int64_t c);

static void over_sizes(SizeTest *test)
{
    Table t[MAX_TABLES];
    for (int i = 0, n = tables(t); i < n; i++) {
        for (size_t j = 0; j < sizeof SIZES / sizeof *SIZES; j++) {
            ArenaMark mark = arena_mark(&arena);
            test(t[i], SIZES[j]);
            arena_drop(&arena, mark);
        }
    }
}

static void over_shapes(ShapeTest *test)
{
    Table t[MAX_TABLES];
    for (int i = 0, n = tables(t); i < n; i++) {
        for (size_t j = 0; j < sizeof SHAPES / sizeof *SHAPES; j++) {
            ArenaMark mark = arena_mark(&arena);
            test(t[i], SHAPES[j][0], SHAPES[j][1]);
            arena_drop(&arena, mark);
        }
    }
}

/* ---- elementwise */

static void arithmetic_of(Table t, int64_t n)
{
    const float *a = random_floats("a", n), *b = random_floats("b", n);
    for (int add = 0; add < 2; add++) {
        Pair y = noise_pair("y", n);
        BOTH(t, k->mul_bwd(OUT(y), a, b, n, add));
        agree(y, n, 1, 3, t.name, "mul_bwd");
        BOTH(t, k->scale(OUT(y), -0.3, a, n, add));
        agree(y, n, 2, 3, t.name, "scale");
    }
    Pair y = noise_pair("y", n);
    BOTH(t, k->mul_fwd(OUT(y), a, b, n));
    agree(y, n, 1, 0, t.name, "mul_fwd");
    BOTH(t, k->add(OUT(y), a, 0.7, b, n));
    agree(y, n, 2, 3, t.name, "add");
    BOTH(t, k->add(OUT(y), OUT(y), 1, b, n));
    agree(y, n, 2, 3, t.name, "add in place");
}

static void arithmetic(void **state)
{
    (void)state;
    over_sizes(arithmetic_of);
}

static void activations_of(Table t, int64_t n)
{
    const float *x = random_floats("x", n), *dy = random_floats("dy", n);
    for (Act a = ACT_NONE; a < ACTS; a++) {
        Pair y = noise_pair("y", n);
        BOTH(t, k->act_fwd(a, OUT(y), x, n));
        agree(y, n, 8, a == ACT_GELU_TANH ? 1 : 0, t.name, ACT_NAMES[a]); /* a cubic inside the exponential */
        for (int add = 0; add < 2; add++) {
            BOTH(t, k->act_bwd(a, OUT(y), dy, x, n, add));
            agree(y, n, 6, 3, t.name, ACT_NAMES[a]);
        }
        BOTH(t, k->act_bwd(a, OUT(y), OUT(y), x, n, false));
        agree(y, n, 12, 6, t.name, ACT_NAMES[a]);
    }
}

static void activations(void **state)
{
    (void)state;
    over_sizes(activations_of);
}

static void dropout_of(Table t, int64_t n)
{
    static const double P[] = {0, 0.1, 0.5, 0.999, 1};
    float *x = random_floats("x", n);
    if (n > 3) x[1] = (float)NAN, x[3] = HUGE_VALF;
    for (int i = 0; i < 10; i++) {
        Pair y = noise_pair("y", n);
        BOTH(t, k->dropout(OUT(y), x, P[i / 2], 99, i * n, n, i % 2));
        agree(y, n, 2, 3, t.name, "dropout");
    }
}

static void dropout_masks(void **state)
{
    (void)state;
    over_sizes(dropout_of);
}

/* Rate, gain, independence of neighbours, and another mask from another stream. */
static void dropout_statistics(void **state)
{
    enum { N = 1 << 20 };
    float *x = arena_take(&arena, N * sizeof *x), *y = arena_take(&arena, N * sizeof *y);
    float *z = arena_take(&arena, N * sizeof *z);
    (void)state;
    for (int i = 0; i < N; i++) x[i] = 1;
    for (int j = 0; j < 2; j++) {
        double p = j ? 0.25 : 0.1, sum = 0;
        kernels_of(F32)->dropout(y, x, p, 7, 0, N, false);
        kernels_of(F32)->dropout(z, x, p, 8, 0, N, false);
        int64_t dropped = 0, pairs = 0, far = 0, both = 0;
        for (int i = 0; i < N; i++) {
            sum += (double)y[i];
            dropped += y[i] == 0;
            pairs += i > 0 && y[i] == 0 && y[i - 1] == 0;
            far += i >= 16 && y[i] == 0 && y[i - 16] == 0;
            both += y[i] == 0 && z[i] == 0;
        }
        double sd = sqrt(p * (1 - p) * N), sd2 = sqrt(p * p * N);
        EXPECT(fabs((double)dropped - p * N) < 5 * sd, "%lld of %d dropped at p %g", (long long)dropped, N, p);
        EXPECT(fabs(sum / N - 1) < 5 * sd / N / (1 - p), "mean %g", sum / N);
        EXPECT(fabs((double)pairs - p * p * N) < 6 * sd2, "%lld neighbours dropped", (long long)pairs);
        EXPECT(fabs((double)far - p * p * N) < 6 * sd2, "%lld dropped 16 apart", (long long)far);
        EXPECT(fabs((double)both - p * p * N) < 6 * sd2, "%lld dropped in both streams", (long long)both);
    }
}

static void optimiser_of(Table t, int64_t n)
{
    const float *g = random_floats("g", n);
    Pair w = noise_pair("w", n), m = noise_pair("m", n), v = {{positive_floats("v", n), positive_floats("v", n)}};
    for (int step = 1; step < 4; step++) {
        BOTH(t, k->adamw(OUT(w), g, OUT(m), OUT(v), 0.5, 0.9, 0.999, 1e-8, 0.1, 0.5, step, n));
        agree(w, n, 8, 3, t.name, "adamw w");
        agree(m, n, 8, 3, t.name, "adamw m");
        agree(v, n, 8, 3, t.name, "adamw v");
    }
    double ref = KERNELS_REF_F32.sum_squares(g, n), fast = t.k->sum_squares(g, n);
    EXPECT(fabs(ref - fast) <= 1e-12 * ref, "%s sum_squares of %lld: %.17g, reference %.17g", t.name, (long long)n,
           fast, ref);
}

static void optimiser(void **state)
{
    (void)state;
    over_sizes(optimiser_of);
}

/* ---- rows and columns */

static void columns_of(Table t, int64_t r, int64_t c)
{
    const float *x = random_floats("x", r * c), *dy = random_floats("dy", r * c), *s = random_floats("s", c);
    double floor = 3 * sqrt((double)r) + 3, units = 8 + sqrt((double)r) / 16;
    for (int add = 0; add < 2; add++) {
        Pair y = noise_pair("y", r * c);
        BOTH(t, k->scale_cols(OUT(y), x, s, r, c, add));
        agree(y, r * c, 2, 3, t.name, "scale_cols");
    }
    Pair d = noise_pair("d", c);
    BOTH(t, k->dot_cols(OUT(d), dy, x, r, c));
    agree(d, c, units, floor, t.name, "dot_cols");
    BOTH(t, k->sum_cols(OUT(d), dy, r, c));
    agree(d, c, units, floor, t.name, "sum_cols");
    for (Act a = ACT_NONE; a < ACTS; a++) {
        for (int bias = 0; bias < 2; bias++) {
            Pair y = noise_pair("y", r * c), pre = noise_pair("pre", r * c);
            BOTH(t, k->bias_act(a, OUT(y), OUT(pre), bias ? s : NULL, r, c));
            agree(y, r * c, 6, 1e-2, t.name, "bias_act");
            agree(pre, r * c, 0, 0, t.name, "bias_act's sum");
            BOTH(t, k->bias_act(a, OUT(pre), OUT(pre), bias ? s : NULL, r, c));
            agree(pre, r * c, 6, 1e-2, t.name, "bias_act in place");
        }
    }
}

static void columns(void **state)
{
    (void)state;
    over_shapes(columns_of);
}

static void norms_of(Table t, int64_t r, int64_t c)
{
    if (!c) return;
    const float *x = random_floats("x", r * c), *res = random_floats("res", r * c), *dy = random_floats("dy", r * c);
    const float *g = positive_floats("g", c), *b = random_floats("b", c);
    /* one or two columns: the variance can nearly vanish, and then nothing is well conditioned */
    double eps = c < 3 ? 1 : 1e-5, floor = 3 * sqrt((double)r) + 3, units = 8 + sqrt((double)r) / 16;
    for (int i = 0; i < 8; i++) {
        bool rms = i & 1, residual = i & 2, save = i & 4;
        Pair y = noise_pair("y", r * c), h = noise_pair("h", r * c), s = noise_pair("s", r);
        BOTH(t, k->norm_fwd(OUT(y), save ? OUT(h) : NULL, save ? OUT(s) : NULL, x, residual ? res : NULL, g,
                            rms ? NULL : b, eps, r, c));
        agree(y, r * c, 16, 3, t.name, "norm_fwd y");
        agree(h, r * c, 16, 3, t.name, "norm_fwd xhat");
        agree(s, r, 16, 0, t.name, "norm_fwd rstd");
        if (!save) continue;
        Pair again = noise_pair("again", r * c);
        BOTH(t, k->affine(OUT(again), OUT(h), g, rms ? NULL : b, r, c));
        for (int f = 0; f < 2; f++)
            EXPECT(!memcmp(again.out[f], y.out[f], sizeof(float) * (size_t)(r * c)), "%s: affine is not y", t.name);
        for (int add = 0; add < 2; add++) {
            Pair dz = noise_pair("dz", r * c), dg = noise_pair("dg", c), db = noise_pair("db", c);
            const float *hat = h.out[0], *rstd = s.out[0];
            BOTH(t, k->norm_bwd(OUT(dz), OUT(dg), rms ? NULL : OUT(db), dy, hat, rstd, g, rms, r, c, add));
            agree(dz, r * c, 16, 6, t.name, "norm_bwd dz");
            agree(dg, c, units, floor, t.name, "norm_bwd dg");
            agree(db, c, units, floor, t.name, "norm_bwd db");
            BOTH(t, k->norm_bwd(NULL, OUT(dg), NULL, dy, hat, rstd, g, rms, r, c, add));
            agree(dg, c, units, floor, t.name, "norm_bwd dg alone");
        }
        Pair d = noise_pair("dy", r * c), dg = noise_pair("dg", c);
        BOTH(t, k->norm_bwd(OUT(d), OUT(dg), NULL, OUT(d), h.out[0], s.out[0], g, rms, r, c, false));
        agree(d, r * c, 16, 6, t.name, "norm_bwd in place");
        agree(dg, c, units, floor, t.name, "norm_bwd dg in place");
    }
}

static void norms(void **state)
{
    (void)state;
    over_shapes(norms_of);
}

static void embeddings_of(Table t, int64_t r, int64_t c)
{
    const int32_t rows = 5, *id = random_ids("id", r, rows);
    const float *table = random_floats("table", rows * c), *dy = random_floats("dy", r * c);
    Pair y = noise_pair("y", r * c), d = noise_pair("d", rows * c);
    BOTH(t, k->embed_fwd(OUT(y), table, id, r, c));
    agree(y, r * c, 0, 0, t.name, "embed_fwd");
    BOTH(t, k->embed_bwd(OUT(d), dy, id, r, c));
    agree(d, rows * c, 0.1, 0, t.name, "embed_bwd"); /* the same additions in the same order */
}

static void embeddings(void **state)
{
    (void)state;
    over_shapes(embeddings_of);
}

/* ---- softmax and cross-entropy */

/* Rows with masked elements, one all masked, one with NaN, one with +inf, and large values. */
static void spoil(float *x, int64_t r, int64_t c)
{
    for (int64_t i = 0; i < r; i++) {
        for (int64_t j = 0; j < c; j++) {
            if (i % 5 == 1) x[i * c + j] = -HUGE_VALF;
            if (i % 5 == 2 && j % 3 == 1) x[i * c + j] = -HUGE_VALF;
            if (i % 5 == 3) x[i * c + j] *= 1e4f;
        }
        if (c && i == 4) x[i * c + c / 2] = (float)NAN;
        if (c && i == 8) x[i * c + c - 1] = HUGE_VALF;
        if (c > 1 && i == 6) x[i * c + c - 1] = (float)NAN; /* NaN among -inf */
    }
}

static void softmaxes_of(Table t, int64_t r, int64_t c)
{
    float *x = random_floats("x", r * c);
    const float *dy = random_floats("dy", r * c);
    for (int bad = 0; bad < 2; bad++) {
        if (bad) spoil(x, r, c);
        Pair y = noise_pair("y", r * c);
        BOTH(t, k->softmax(OUT(y), x, r, c));
        agree(y, r * c, 16, 1e-30, t.name, "softmax");
        for (int add = 0; add < 2; add++) {
            Pair dx = noise_pair("dx", r * c);
            BOTH(t, k->softmax_bwd(OUT(dx), dy, y.out[0], r, c, add));
            agree(dx, r * c, 8, 1, t.name, "softmax_bwd");
        }
    }
}

static void softmaxes(void **state)
{
    (void)state;
    over_shapes(softmaxes_of);
}

static void cross_entropies_of(Table t, int64_t r, int64_t c)
{
    if (!c) return;
    const int32_t *target = random_ids("target", r, (int32_t)c);
    double *loss[2];
    for (int i = 0; i < 4; i++) {
        bool grad = i & 1, bad = i & 2;
        Pair x = noise_pair("x", r * c);
        for (int w = 0; w < 2; w++) {
            if (bad) spoil(x.out[w], r, c);
            loss[w] = arena_take(&arena, (size_t)(r + 1) * sizeof(double));
        }
        BOTH(t, k->xent(loss[which_], OUT(x), target, 0.25, grad, r, c));
        agree(x, r * c, 16, 0.02, t.name, "xent gradient");
        for (int64_t j = 0; j < r; j++) {
            double a = loss[0][j], b = loss[1][j];
            EXPECT((isnan(a) && isnan(b)) || a == b || fabs(a - b) <= 3e-7 * (1 + fabs(a)),
                   "%s xent: loss %lld is %.9g, reference %.9g (seed %llu)", t.name, (long long)j, b, a,
                   (unsigned long long)seed);
        }
    }
}

static void cross_entropies(void **state)
{
    (void)state;
    over_shapes(cross_entropies_of);
}

/* ---- accuracy of the elementary functions, in units in the last place of the exact result */

static double units_off(double ours, double exact)
{
    float rounded = (float)exact;
    if (isnan(exact)) return isnan(ours) ? 0 : HUGE_VAL;
    if (isinf(rounded) || rounded == 0) return (float)ours == rounded ? 0 : HUGE_VAL;
    float next = nextafterf(fabsf(rounded), HUGE_VALF);
    return fabs(ours - exact) / (double)(next - fabsf(rounded));
}

/* Every 1009th float there is: all exponents, subnormals, infinities, NaNs, both signs. */
static void sweep(Act a, double (*exact)(double), double smallest, double limit)
{
    enum { BLOCK = 1 << 12 };
    static float x[BLOCK], y[BLOCK];
    Table t[MAX_TABLES];
    for (int i = 0, n = tables(t); i < n; i++) {
        double worst = 0, at = 0;
        uint64_t step = i == n - 1 ? 1009 : 16 * 1009; /* closest on the table that this machine uses */
        for (uint64_t u = 0; u < (uint64_t)1 << 32;) {
            int len = 0;
            for (; len < BLOCK && u < (uint64_t)1 << 32; u += step) x[len++] = float_of((uint32_t)u);
            t[i].k->act_fwd(a, y, x, len);
            for (int j = 0; j < len; j++) {
                double e = exact((double)x[j]), off = fabs(e) < smallest ? 0 : units_off((double)y[j], e);
                if (off > worst) worst = off, at = (double)x[j];
            }
        }
        EXPECT(worst <= limit, "%s %s: off by %.3g units at %.9g, at most %g", t[i].name, ACT_NAMES[a], worst, at,
               limit);
    }
}

static double exact_gelu(double x)
{
    return isinf(x) ? (x > 0 ? x : nan("")) : 0.5 * x * erfc(-x * M_SQRT1_2);
}

static double exact_silu(double x)
{
    return isinf(x) ? (x > 0 ? x : nan("")) : x / (1 + exp(-x));
}

static void accuracy_of_activations(void **state)
{
    (void)state;
    sweep(ACT_TANH, tanh, 0, 2);
    sweep(ACT_GELU, exact_gelu, 1e-36, 8);
    sweep(ACT_SILU, exact_silu, 1e-36, 4);
}

static void accuracy_of_exp(void **state)
{
    double worst = 0;
    (void)state;
    for (uint64_t u = 0; u < (uint64_t)1 << 32; u += 257) {
        float x = float_of((uint32_t)u);
        double off = units_off((double)fast_exp(x), exp((double)x));
        EXPECT(off <= 1.1, "exp(%.9g) = %.9g, expected %.9g", (double)x, (double)fast_exp(x), exp((double)x));
        if (off > worst) worst = off;
    }
    EXPECT(worst > 0.5, "an error of at most %g units is too good to be true", worst);
}

/* The slope of gelu crosses zero, so its error counts against the largest slope. */
static void accuracy_of_gelu_slope(void **state)
{
    Table t[MAX_TABLES];
    (void)state;
    for (int i = 0, n = tables(t); i < n; i++) {
        for (float x = -16; x < 16; x += 0.00037f) {
            float one = 1, d;
            t[i].k->act_bwd(ACT_GELU, &d, &one, &x, 1, false);
            double v = (double)x, exact = 0.5 * erfc(-v * M_SQRT1_2) + v * exp(-0.5 * v * v) * 0.39894228040143268;
            EXPECT(fabs((double)d - exact) <= 2e-7, "%s: slope at %.9g is %.9g, expected %.9g", t[i].name, v,
                   (double)d, exact);
        }
    }
}

/* ---- threads */

static void fill_all(float *y, int64_t r, int64_t c)
{
    const Kernels *k = kernels_of(F32);
    const float *x = random_floats("x", r * c), *z = random_floats("z", r * c);
    const int32_t *id = random_ids("id", r, 9);
    float *h = random_floats("h", r * c), *s = random_floats("s", r), *d = random_floats("d", 9 * c);
    double *loss = arena_take(&arena, (size_t)r * sizeof *loss);
    k->bias_act(ACT_GELU, y, h, x, r, c);
    k->norm_fwd(h, y, s, y, x, z, x, 1e-5, r, c);
    k->norm_bwd(h, y, y + c, h, y, s, x, false, r, c, true);
    k->dropout(y, h, 0.1, 3, 0, r * c, true);
    k->sum_cols(y, h, r, c);
    k->dot_cols(y, h, x, r, c);
    k->embed_bwd(d, h, id, r, c);
    k->add(y, y, 0.01, d, 9 * c);
    k->softmax(h, y, r, c);
    k->softmax_bwd(y, x, h, r, c, true);
    k->adamw(y, x, h, y, 1e-3, 0.9, 0.99, 1, 0.01, 1, 3, r * c);
    y[0] += (float)k->sum_squares(y, r * c);
    k->xent(loss, h, id, 0.5, true, r, c);
    k->add(y, y, 1, h, r * c);
}

static void same_bytes_for_any_threads(void **state)
{
    const int64_t r = 300, c = 1000;
    float *y[3];
    int before = omp_get_max_threads();
    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        y[threads - 1] = random_floats("y", r * c);
        omp_set_num_threads(threads);
        fill_all(y[threads - 1], r, c);
    }
    omp_set_num_threads(before);
    assert_memory_equal(y[0], y[1], (size_t)(r * c) * sizeof(float));
    assert_memory_equal(y[0], y[2], (size_t)(r * c) * sizeof(float));
}

static void choice(void **state)
{
    (void)state;
    kernels_use(KERNELS_REF);
    assert_ptr_equal(kernels_of(F32), &KERNELS_REF_F32);
    assert_string_equal(kernels_name(), "ref");
    kernels_use(KERNELS_FAST);
    assert_ptr_not_equal(kernels_of(F32), &KERNELS_REF_F32);
    assert_ptr_equal(kernels_of(F64), &KERNELS_REF_F64);
    print_message("# fast kernels are %s\n", kernels_name());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic),
        cmocka_unit_test(activations),
        cmocka_unit_test(dropout_masks),
        cmocka_unit_test(dropout_statistics),
        cmocka_unit_test(optimiser),
        cmocka_unit_test(columns),
        cmocka_unit_test(norms),
        cmocka_unit_test(embeddings),
        cmocka_unit_test(softmaxes),
        cmocka_unit_test(cross_entropies),
        cmocka_unit_test(accuracy_of_exp),
        cmocka_unit_test(accuracy_of_activations),
        cmocka_unit_test(accuracy_of_gelu_slope),
        cmocka_unit_test(same_bytes_for_any_threads),
        cmocka_unit_test(choice),
    };
    return cmocka_run_group_tests(tests, setup, NULL) != 0;
}
