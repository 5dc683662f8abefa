/* theory/one-token: one virtual token can carry any sequence.
 *
 * Claim    For every V and N there is ONE fixed transformer (one attention layer with two heads, three linear
 *          layers) such that greedy decoding emits every sequence Y in {0..V-1}^N after the single virtual token s =
 *          (Y_0/V, ..., Y_{N-1}/V).  One soft token has V^N behaviours; one hard token has at most V.
 * Method   Build the network from its formulas.  Decode all V^N sequences for small V and N: in F64, F32 and with
 *          hard-max attention on the library's ops, in F16 with every operation rounded.  Bisect for the lowest
 *          inverse temperature at which a set of sequences with all the extremes survives, for both scalings of the
 *          logits.  Find, per number format, the first V of which some token is read back wrongly, for three
 *          unembeddings.
 * Expect   Every sequence reproduced in every column; measured temperature within 1 % of the formula where V >= 94;
 *          the first failures at V = 15 (BF16), 37 (F16), about 3 000 (F32) and none up to 200 000 (F64).
 * Cost     a second; five seconds; half a minute.
 * Source   Petrov, Torr and Bibi, "When do prompting and prefix-tuning work?", ICLR 2024, theorem 1.
 * Not      Existence, not learnability: the network was built to be steered.  theory/learn-the-token trains the
 *          token.
 *
 * How it works.  Row r of the input is [content (N) ; position e_r (N)].  Head P attends to itself and returns e_r;
 * head F attends to row 0 and returns s.  Their sum e_r + s exceeds 1 in coordinate r alone, so ReLU(h - 1) leaves
 * s_r there and nothing elsewhere, and a row of ones sums it into the scalar z = Y_r/V.  Logit j is the tangent of
 * the parabola (z - 1/2)^2 at j/V: (2j/V - 1) z + 1/4 - (j/V)^2 = -(z - j/V)^2 + a term without j, so the largest
 * logit belongs to the grid point nearest to z.
 *
 * How hot it may be.  Softmax leaves head P the weight a on itself, 1 - a <= (N-1) e^-beta elsewhere, so the entry
 * that should be 1 + s_r is 1 - a lower; logits by key size leak in head P alone (key size N, beta = T/sqrt(N)), and
 * staying under the decision margin 1/(2V) takes T > sqrt(N) ln(2V(N-1)).  The authors divide by the square root of
 * the current length instead; head F then leaks as much, and T > sqrt(N) ln(4V(N-1)). */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "plot/plot.h"
#include "run/experiment.h"
#include "theory/construct.h"
#include "theory/readout.h"

/* ---- the network ---- */

Net one_token_net(Arena *a, int64_t v, int64_t n)
{
    Net net = construct_open(a, v);
    construct_block(&net, 3);
    Head *p = construct_head(&net, n, 2 * n, n);
    matrix_identity(p->q, 0, n, n, 1); /* [0 I]: the position */
    matrix_identity(p->k, 0, n, n, 1);
    matrix_identity(p->v, 0, n, n, 1);
    Head *f = construct_head(&net, n, 2 * n, 1);
    matrix_row(f->q, 0, n, n, 1);      /* [0 1]: the query is always 1 */
    matrix_row(f->k, 0, n, 1, 1);      /* position coordinate 0: the key is 1 at the virtual token only */
    matrix_identity(f->v, 0, 0, n, 1); /* [I 0]: the content */
    construct_read(&net, n, n);
    return net;
}

/* Greedy decoding of B virtual tokens s = want/V; y (B,N) receives the tokens.  `embed` (V,N) is the token embedding,
 * which the theorem leaves free; without data it is zero. */
static void decode(Arena *step, const Net *net, const Column *column, const int32_t *want, int64_t b, int64_t n,
                   Tensor embed, BuiltAttention how, int32_t *y)
{
    for (int64_t p = 1; p <= n; p++) {
        ArenaMark mark = arena_mark(step);
        Tensor x = tensor_zero(step, F64, SHAPE(b, p, 2 * n));
        int32_t *next = arena_take(step, sizeof *next * (size_t)b);
        for (int64_t i = 0; i < b; i++) {
            for (int64_t j = 0; j < n; j++)
                tensor_set(x, i * p * 2 * n + j, (double)want[i * n + j] / (double)net->vocab);
            for (int64_t r = 0; r < p; r++) tensor_set(x, (i * p + r) * 2 * n + n + r, 1);
            for (int64_t r = 1; embed.data && r < p; r++)
                for (int64_t j = 0; j < n; j++)
                    tensor_set(x, (i * p + r) * 2 * n + j, tensor_get(embed, y[i * n + r - 1] * n + j));
        }
        construct_answer_column(step, net, column, x, how, next);
        for (int64_t i = 0; i < b; i++) y[i * n + p - 1] = next[i];
        arena_drop(step, mark);
    }
}

/* How many of the B target sequences (B,N) are reproduced exactly. */
static int64_t reproduced(Arena *step, const Column *column, int64_t v, int64_t n, const int32_t *target, int64_t b,
                          Tensor embed, BuiltAttention how)
{
    enum { CHUNK = 512 };
    int64_t good = 0;
    ArenaMark all = arena_mark(step);
    Net net = one_token_net(step, v, n);
    for (int64_t first = 0; first < b; first += CHUNK) {
        ArenaMark mark = arena_mark(step);
        int64_t rows = b - first < CHUNK ? b - first : CHUNK;
        const int32_t *want = target + first * n;
        int32_t *y = arena_take(step, sizeof *y * (size_t)(rows * n));
        decode(step, &net, column, want, rows, n, embed, how, y);
        for (int64_t i = 0; i < rows; i++) good += !memcmp(y + i * n, want + i * n, sizeof *y * (size_t)n);
        arena_drop(step, mark);
    }
    arena_drop(step, all);
    return good;
}

/* ---- every sequence of every size ---- */

typedef struct {
    int64_t good, total;
} Count;

/* Job i: column i of the table. */
static Status exhaust(Run *r, int i, void *result, void *user)
{
    (void)user;
    Count *out = result;
    *out = (Count){0};
    Arena step = arena_open(0);
    BuiltAttention how = {BY_LENGTH, run_real(r, "t")};
    for (int64_t v = 2; v <= run_int(r, "max-v"); v++)
        for (int64_t n = 1; n <= run_int(r, "max-n"); n++) {
            if (run_stopped()) return run_interrupted();
            ArenaMark mark = arena_mark(&step);
            int64_t count = (int64_t)llround(pow((double)v, (double)n));
            int32_t *all = arena_take(&step, sizeof *all * (size_t)(count * n));
            for (int64_t k = 0; k < count; k++)
                for (int64_t j = 0, rest = k; j < n; j++, rest /= v) all[k * n + j] = (int32_t)(rest % v);
            out->good += reproduced(&step, &COLUMN[i], v, n, all, count, (Tensor){0}, how);
            out->total += count;
            arena_drop(&step, mark);
            run_progress(r, "every sequence", v * 10 + n, run_int(r, "max-v") * 10 + run_int(r, "max-n"), NAN);
        }
    arena_close(&step);
    return OK;
}

/* ---- temperature ---- */

enum { SEQUENCES = 64 };
static const char *const SCALING_NAME[] = {"by length", "by key size"};

/* Constant, alternating and random sequences: all the extremes are among them. */
static int32_t *extremes(Arena *a, uint64_t seed, int64_t v, int64_t n)
{
    int32_t *set = arena_take(a, sizeof *set * SEQUENCES * (size_t)n);
    uint64_t stream = rng_stream(seed, "temperature");
    for (int64_t i = 0; i < SEQUENCES; i++)
        for (int64_t j = 0; j < n; j++)
            set[i * n + j] = i == 0   ? 0
                             : i == 1 ? (int32_t)(v - 1)
                             : i < 4  ? (int32_t)((j + i) % 2 * (v - 1))
                                      : (int32_t)rng_below(stream, (uint64_t)(i * n + j), v);
    return set;
}

static double formula(Scaling scaling, int64_t v, double n)
{
    return sqrt(n) * log((scaling == BY_LENGTH ? 4.0 : 2.0) * (double)v * fmax(n - 1, 1));
}

typedef struct {
    int64_t v, n;
    Scaling scaling;
} Size;

/* Job i: the lowest T at which the whole set is reproduced, by bisection in F64. */
static Status bisect(Run *r, int i, void *result, void *user)
{
    Size size = ((const Size *)user)[i];
    Arena step = arena_open(0);
    int32_t *set = extremes(&step, run_seed(r, 0), size.v, size.n);
    double low = 0,
           high = 2.7 * formula(size.scaling, size.v, (double)size.n); /* the formula is no bisection point */
    while (high - low > 1e-4 * high) {
        if (run_stopped()) return run_interrupted();
        BuiltAttention how = {size.scaling, (low + high) / 2};
        bool exact = reproduced(&step, &COLUMN[0], size.v, size.n, set, SEQUENCES, (Tensor){0}, how) == SEQUENCES;
        *(exact ? &high : &low) = how.temperature;
    }
    *(double *)result = high;
    arena_close(&step);
    return OK;
}

/* ---- number formats ---- */

enum { GRID_V = 12, GRID_N = 8, TOKENS = 32, LARGE = 2 }; /* V = 2..4096, N = 1..128, doubling */
static const int64_t LARGE_V[LARGE] = {50257, 200000};

typedef struct {
    int64_t first[READOUTS]; /* the first V that fails; 0: none */
    double share[GRID_V][GRID_N], large[LARGE];
} Frontier;

/* The share of tokens that the network reads back at the last position, where attention leaks most. */
static double share_right(Arena *step, uint64_t stream, Format f, int64_t v, int64_t n, BuiltAttention how)
{
    ArenaMark mark = arena_mark(step);
    int64_t b = v < TOKENS ? v : TOKENS, good = 0;
    Net net = one_token_net(step, v, n);
    Tensor x = tensor_zero(step, F64, SHAPE(b, n, 2 * n));
    int32_t *y = arena_take(step, sizeof *y * (size_t)b), *want = arena_take(step, sizeof *want * (size_t)b);
    for (int64_t i = 0; i < b; i++) {
        want[i] = (int32_t)(i * (v - 1) / (b - 1)); /* from the first token to the last */
        for (int64_t j = 0; j < n; j++) {
            double token = j == n - 1 ? want[i] : (double)rng_below(stream, (uint64_t)(i * n + j), v);
            tensor_set(x, i * n * 2 * n + j, token / (double)v);
            tensor_set(x, (i * n + j) * 2 * n + n + j, 1);
        }
    }
    construct_answer_rounded(step, &net, f, x, how, y);
    for (int64_t i = 0; i < b; i++) good += y[i] == want[i];
    arena_drop(step, mark);
    return (double)good / (double)b;
}

/* The 16-bit formats fail so early that large vocabularies are tried with the others only. */
static bool wide(Format f)
{
    return FORMAT_BITS[f] > 16;
}

/* Job f: one format. */
static Status frontier(Run *r, int f, void *result, void *user)
{
    (void)user;
    Frontier *out = result;
    *out = (Frontier){0};
    Arena step = arena_open(0);
    int64_t scan = run_int(r, "scan"), most = run_int(r, "most");
    for (int k = 0; k < READOUTS; k++) {
        if (run_stopped()) return run_interrupted();
        out->first[k] = readout_first_failure(&step, (Format)f, (Readout)k, scan, most);
    }
    for (int k = 0; k < LARGE && wide((Format)f); k++)
        out->large[k] =
            1 - (double)readout_wrong(&step, (Format)f, READ_TANGENT, LARGE_V[k], INT64_MAX) / (double)LARGE_V[k];
    uint64_t stream = rng_stream(run_seed(r, 0), "frontier");
    BuiltAttention how = {BY_LENGTH, run_real(r, "t")};
    for (int n = 0; n < GRID_N; n++)
        for (int v = 0; v < GRID_V; v++) {
            if (run_stopped()) return run_interrupted();
            if (1 << n > run_int(r, "grid-n")) continue;
            out->share[v][n] = share_right(&step, stream, (Format)f, 2 << v, 1 << n, how);
            run_progress(r, "formats", n * GRID_V + v + 1, GRID_N * GRID_V, NAN);
        }
    arena_close(&step);
    return OK;
}

/* ---- a text of the user's choice ---- */

/* Printable characters have id = byte - 32 and V = 94, as in the authors' example (T = 50 by length); a text with
 * other bytes has them as ids, V = 256. */
static int64_t ids_of(const char *text, int64_t n, int32_t *id, int *first)
{
    bool printable = true;
    for (int64_t i = 0; i < n; i++) printable &= text[i] >= ' ' && text[i] <= '}';
    *first = printable ? ' ' : 0;
    for (int64_t i = 0; i < n; i++) id[i] = (unsigned char)text[i] - *first;
    return printable ? 94 : 256;
}

/* Once with the token embedding at zero; and the extremes with normal noise of standard deviation 10 in it, which
 * must not matter. */
static Status spell(Run *r, Arena *step, bool *exact, int64_t *noisy)
{
    const char *text = run_text(r, "text");
    int64_t n = (int64_t)strlen(text);
    if (!n) return err_fail(E_CONFIG, "text: empty, expected at least one character");
    int32_t *want = arena_take(step, sizeof *want * (size_t)n), *y = arena_take(step, sizeof *y * (size_t)n);
    int space;
    int64_t v = ids_of(text, n, want, &space);
    BuiltAttention how = {BY_LENGTH, fmax(run_real(r, "t"), 1.1 * formula(BY_LENGTH, v, (double)n))};
    Net net = one_token_net(step, v, n);
    decode(step, &net, &COLUMN[1], want, 1, n, (Tensor){0}, how, y);
    char *said = arena_zero(run_arena(r), (size_t)n + 1);
    for (int64_t i = 0; i < n; i++) said[i] = (char)(y[i] + space);
    *exact = !strcmp(said, text);
    run_note(r, "Given one vector of %lld numbers (token/%lld each), the network generates at T = %.4g: \"%s\"%s",
             (long long)n, (long long)v, how.temperature, said, *exact ? "" : ", which is NOT the text given");
    Tensor embed = tensor_new(step, F64, SHAPE(v, n));
    for (int64_t i = 0; i < v * n; i++)
        tensor_set(embed, i, 10 * rng_normal(rng_stream(run_seed(r, 0), "embedding"), (uint64_t)i));
    *noisy = reproduced(step, &COLUMN[0], v, n, extremes(step, run_seed(r, 0), v, n), SEQUENCES, embed, how);
    return OK;
}

/* ---- figures ---- */

/* Points that are drawn but not joined: NaN between them breaks the line. */
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
                        "tangent of (z - 1/2)^2 at j/V (dots); the largest belongs to the nearest grid point.",
                        252, 190);
    fig_lines(f, fig_whole(f), V + 2, line,
              (PlotStyle){.x = {.title = "z", .lo = 0, .hi = 1}, .y = {.title = "logit", .lo = -0.2, .hi = 0.3}});
    return fig_close(f);
}

static Status draw_temperatures(Run *r, const Size *size, const double *measured, int n)
{
    enum { GRID = 100, MOST = 2 };
    Arena *a = run_arena(r);
    int64_t v = size[0].v;
    Series line[2 * MOST];
    for (int s = 0; s < MOST; s++) {
        Tensor x = tensor_new(a, F64, SHAPE(GRID)), y = tensor_new(a, F64, SHAPE(GRID));
        double at[RUN_LIST], t[RUN_LIST], longest = 2;
        int k = 0;
        for (int i = 0; i < n; i++)
            if (size[i].v == v && (int)size[i].scaling == s)
                at[k] = (double)size[i].n, longest = fmax(longest, at[k]), t[k++] = measured[i];
        for (int i = 0; i < GRID; i++) {
            double length = 2 + (longest - 2) * i / (GRID - 1);
            tensor_set(x, i, length);
            tensor_set(y, i, formula((Scaling)s, v, length));
        }
        line[s] = (Series){.x = x, .y = y, .label = SCALING_NAME[s], .dashed = s == 1, .colour = s + 1};
        line[MOST + s] = dots(a, k, at, t, NULL);
        line[MOST + s].colour = s + 1;
    }
    Fig *f =
        run_figure(r, "temperature",
                   str_print(a,
                             "Lowest inverse temperature at which all %d test sequences are reproduced (dots), V = "
                             "%lld, and the formulas sqrt(N) ln(4V(N-1)) for logits divided by the square root "
                             "of the current length, sqrt(N) ln(2V(N-1)) for the square root of the key size.",
                             SEQUENCES, (long long)v),
                   252, 180);
    fig_lines(f, fig_whole(f), 2 * MOST, line,
              (PlotStyle){.x = {.title = "sequence length N"}, .y = {.title = "inverse temperature T"}});
    return fig_close(f);
}

static Status draw_frontier(Run *r, const Frontier *found)
{
    Arena *a = run_arena(r);
    int cols = 0;
    while (cols < GRID_N && 1 << cols <= run_int(r, "grid-n")) cols++;
    const char *row[GRID_V], *col[GRID_N];
    for (int v = 0; v < GRID_V; v++) row[v] = str_print(a, "%d", 2 << v);
    for (int n = 0; n < cols; n++) col[n] = str_print(a, "%d", 1 << n);
    Tensor map[FORMATS];
    HeatStyle style[FORMATS];
    for (int f = 0; f < FORMATS; f++) {
        map[f] = tensor_new(a, F64, SHAPE(GRID_V, cols));
        for (int v = 0; v < GRID_V; v++)
            for (int n = 0; n < cols; n++) tensor_set(map[f], v * cols + n, found[f].share[v][n]);
        style[f] = (HeatStyle){.title = FORMAT_NAME[f],
                               .letter = (const char *const[]){"a", "b", "c", "d"}[f],
                               .hi = 1,
                               .row = row,
                               .col = col,
                               .col_title = "length N",
                               .row_title = f ? NULL : "vocabulary V",
                               .bar = f == FORMATS - 1,
                               .bar_title = "token accuracy"};
    }
    Fig *f = run_figure(r, "frontier",
                        str_print(a,
                                  "Share of up to %d tokens, from the first to the last of the vocabulary, that are "
                                  "reproduced at the last position, T = %g by length, every operation rounded to the "
                                  "format. Downwards digits run out, to the right attention leaks. Vocabulary and "
                                  "length double from cell to cell.",
                                  TOKENS, run_real(r, "t")),
                        500, 178);
    fig_heatmaps(f, fig_whole(f), FORMATS, map, style);
    return fig_close(f);
}

/* The largest vocabulary that was seen to work. */
static double usable(Run *r, const Frontier *f, int readout)
{
    return (double)(f->first[readout] ? f->first[readout] - 1 : run_int(r, "most"));
}

static Status draw_behaviours(Run *r, const Frontier *found)
{
    enum { LENGTHS = 64, V = 94 };
    Arena *a = run_arena(r);
    Tensor n = tensor_new(a, F64, SHAPE(LENGTHS)), soft = tensor_new(a, F64, SHAPE(LENGTHS)),
           hard = tensor_new(a, F64, SHAPE(LENGTHS));
    for (int i = 0; i < LENGTHS; i++) {
        tensor_set(n, i, i + 1);
        tensor_set(soft, i, (i + 1) * log2(V));
        tensor_set(hard, i, log2(V));
    }
    Series line[] = {{.x = n, .y = soft, .label = "one soft token"}, {.x = n, .y = hard, .label = "one hard token"}};
    Series bar[READOUTS];
    for (int k = 0; k < READOUTS; k++) {
        bar[k] = (Series){.y = tensor_new(a, F64, SHAPE(FORMATS)), .label = READOUT_NAME[k]};
        for (int f = 0; f < FORMATS; f++)
            tensor_set(bar[k].y, f,
                       log2(usable(r, &found[f], k)) / (FORMAT_BITS[f] * (k == READ_CIRCLE ? 2.0 : 1.0)));
    }
    Fig *f = run_figure(
        r, "behaviours",
        str_print(a,
                  "(a) Behaviours of one prompt token, V = %d: V^N for the constructed network with a "
                  "soft token, at most V for a hard one. (b) The fair comparison: bits of behaviour per bit "
                  "that the soft token stores, at the largest V whose tokens are all reproduced, for three "
                  "unembeddings. A hard token cannot exceed 1. Where no failure was found the bar is a "
                  "lower bound, V = %lld.",
                  V, (long long)run_int(r, "most")),
        500, 190);
    fig_lines(f, fig_cell(f, 1, 2, 0), 2, line,
              (PlotStyle){.letter = "a",
                          .title = "per token",
                          .x = {.title = "sequence length N"},
                          .y = {.title = "log2 of behaviours (bits)", .log = true}});
    fig_bars(f, fig_cell(f, 1, 2, 1), READOUTS, bar, FORMAT_NAME,
             (PlotStyle){.letter = "b",
                         .title = "per stored bit",
                         .y = {.title = "bits per stored bit", .lo = 0, .hi = 0.8},
                         .values = true});
    return fig_close(f);
}

/* ---- the experiment ---- */

static Status temperatures(Run *r, double *worst)
{
    double vocab[RUN_LIST], length[RUN_LIST], measured[2 * RUN_LIST];
    int vs = run_list(r, "v", vocab), ns = run_list(r, "lengths", length), n = 0;
    if (2 * vs * ns > 2 * RUN_LIST) return err_fail(E_CONFIG, "v and lengths: at most %d pairs", RUN_LIST);
    Size size[2 * RUN_LIST];
    for (int v = 0; v < vs; v++)
        for (int k = 0; k < ns; k++)
            for (int s = 0; s < 2; s++) size[n++] = (Size){(int64_t)vocab[v], (int64_t)length[k], (Scaling)s};
    TRY(run_parallel(r, n, sizeof *measured, bisect, size, measured));
    *worst = 0;
    for (int i = 0; i < n; i++) {
        Size s = size[i];
        double law = formula(s.scaling, s.v, (double)s.n);
        if (s.v >= 94) *worst = fmax(*worst, fabs(measured[i] / law - 1));
        const char *what =
            str_print(run_arena(r), "V=%lld N=%lld, %s", (long long)s.v, (long long)s.n, SCALING_NAME[s.scaling]);
        run_metric(r, RANGE_EXTREME, str_print(run_arena(r), "lowest T, %s", what), 0, measured[i]);
        run_metric(r, RANGE_POSITIVE, str_print(run_arena(r), "formula T, %s", what), 0, law);
    }
    run_metric(r, RANGE_EXTREME, "largest relative difference of temperatures", 0, *worst);
    return draw_temperatures(r, size, measured, n);
}

static Status formats(Run *r, Frontier *found)
{
    Arena *a = run_arena(r);
    TRY(run_parallel(r, FORMATS, sizeof *found, frontier, NULL, found));
    for (int f = 0; f < FORMATS; f++) {
        for (int k = 0; k < READOUTS; k++) {
            const char *what = str_print(a, "%s, %s", FORMAT_NAME[f], READOUT_NAME[k]);
            if (found[f].first[k])
                run_metric(r, RANGE_EXTREME, str_print(a, "first V that fails, %s", what), 0,
                           (double)found[f].first[k]);
            run_metric(r, RANGE_EXTREME, str_print(a, "largest V that works, %s", what), 0, usable(r, &found[f], k));
        }
        for (int k = 0; k < LARGE && wide((Format)f); k++)
            run_metric(r, RANGE_SHARE,
                       str_print(a, "token accuracy, %s, tangent, V=%lld", FORMAT_NAME[f], (long long)LARGE_V[k]), 0,
                       found[f].large[k]);
    }
    TRY(draw_frontier(r, found));
    return draw_behaviours(r, found);
}

/* Whether the first failure is where it is expected, as far as every V was tried. */
static bool ends_at(Run *r, int64_t first, double expected, double tolerance)
{
    return expected * (1 + tolerance) > (double)run_int(r, "scan") || fabs((double)first / expected - 1) <= tolerance;
}

static Status run(Run *r)
{
    Arena step = arena_open(0);
    Count count[COLUMNS];
    Frontier found[FORMATS];
    double gap = 0;
    bool spelt = false;
    int64_t noisy = 0, good = 0, wanted = 0;
    TRY(run_parallel(r, COLUMNS, sizeof *count, exhaust, NULL, count));
    for (int i = 0; i < COLUMNS; i++) {
        good += count[i].good, wanted += count[i].total;
        run_metric(r, RANGE_SHARE, str_print(run_arena(r), "reproduced, %s", COLUMN[i].name), 0,
                   (double)count[i].good / (double)count[i].total);
    }
    run_metric(r, RANGE_EXTREME, "sequences", 0, (double)count[0].total);
    TRY(temperatures(r, &gap));
    TRY(formats(r, found));
    TRY(spell(r, &step, &spelt, &noisy));
    run_metric(r, RANGE_SHARE, "text reproduced", 0, spelt);
    run_metric(r, RANGE_SHARE, "reproduced with embeddings of sd 10", 0, (double)noisy / SEQUENCES);
    TRY(draw_tangents(r));
    arena_close(&step);
    int64_t bf16 = found[FORMAT_BF16].first[READ_TANGENT], f16 = found[FORMAT_F16].first[READ_TANGENT],
            f32 = found[FORMAT_F32].first[READ_TANGENT];
    bool digits = ends_at(r, bf16, 15, 0) && ends_at(r, f16, 37, 0) && ends_at(r, f32, 3000, 0.02) &&
                  !found[FORMAT_F64].first[READ_TANGENT];
    run_note(r,
             "Not tested here: whether a token for a transformer that was not built for it exists or can be found.");
    run_verdict(
        r, good == wanted && gap < 0.01 && spelt && noisy == SEQUENCES && digits ? SUPPORTED : NOT_SUPPORTED,
        "%.6g %% of all %lld sequences (V <= %lld, N <= %lld) are reproduced at T = %g, in each of F64, F32, F16 and "
        "hard-max; \"%s\" %s; the lowest working temperature is within %.2g %% of the formulas for V >= 94; the "
        "first vocabulary with a wrong token is %lld in BF16, %lld in F16, %lld in F32 (0: none found).",
        100 * (double)good / (double)wanted, (long long)count[0].total, (long long)run_int(r, "max-v"),
        (long long)run_int(r, "max-n"), run_real(r, "t"), run_text(r, "text"),
        spelt ? "is reproduced" : "is NOT reproduced", 100 * gap, (long long)bf16, (long long)f16, (long long)f32);
    return OK;
}

static const Setting SETTINGS[] = {
    {"max-v", "largest vocabulary of the exhaustive check", {"3", "5", "5"}, 2, 6},
    {"max-n", "longest sequence of the exhaustive check", {"4", "6", "6"}, 1, 8},
    {"t", "inverse temperature of the exhaustive check, the formats and the text", {"50", NULL, NULL}, 1, 1e4},
    {"v", "vocabularies of the temperature measurement", {"94,", "94,10,256", "94,10,256"}, 2, 3000},
    {"lengths", "sequence lengths of the temperature measurement", {"10,", "5,10,20", "5,10,20,40,64"}, 2, 256},
    {"scan",
     "every vocabulary up to here is tried in every format: a first failure beyond is the first found",
     {"1000", "4096", "12000"},
     2,
     100000},
    {"most", "largest vocabulary tried beyond that, in steps of 5 %", {"1000", "200000", "2100000"}, 2, 1e7},
    {"grid-n", "longest sequence of the map over V and N", {"4", "64", "128"}, 1, 128},
    {"text", "a text to generate from one vector", {"I love transformers!", NULL, NULL}},
    {0}};

static const Experiment ONE_TOKEN = {
    .group = "theory",
    .name = "one-token",
    .title = "One virtual token can carry any sequence",
    .claim =
        "There is one fixed transformer that emits every one of V^N sequences after a single virtual token; a hard "
        "token could select at most V of them.",
    .method = "A network built from the theorem's formulas decodes all sequences for small V and N in F64, F32, F16 "
              "and with hard-max attention; bisection finds the lowest inverse temperature that still works; "
              "rounding every operation finds the first vocabulary whose tokens a format cannot distinguish.",
    .expect =
        "All sequences reproduced in every column; measured temperature within 1 % of sqrt(N) ln(4V(N-1)) for logits "
        "by length and sqrt(N) ln(2V(N-1)) by key size; first failures at V = 15 in BF16, 37 in F16, about 3000 in "
        "F32, none in F64.",
    .cost = "smoke a second, quick five seconds, paper half a minute",
    .source = "Petrov, Torr, Bibi (ICLR 2024), theorem 1",
    .settings = SETTINGS,
    .exact = true,
    .run = run};
REGISTER(experiment, ONE_TOKEN)
