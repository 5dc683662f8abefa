/* theory/one-token-map: one virtual token can carry any map from token to token.
 *
 * Claim    For every V there is ONE fixed transformer (context 2, one attention layer with two heads, three linear
 *          layers) such that for every map m of {0..V-1} into itself the virtual token s = (m(0)/V, ..., m(V-1)/V)
 *          makes it answer m(x) to the user's token x.  One vector has V^V behaviours.
 * Method   Build the network.  Try all V^V maps for small V in F64, F32, F16 (every operation rounded) and with
 *          hard-max attention; random maps for V = 94, and over V in every format; the case flip of 94 characters.
 *          Repeat over temperatures, with the logits scaled by length and by key size.
 * Expect   Every map exact, but none of V = 94 in F16, whose tangent unembedding ends at V = 36.  By length the
 *          temperature does not matter at all; by key size exactness starts where e^(-T/sqrt 2) - e^-T falls to
 *          1/(2V-2).
 * Cost     a second; three seconds; five seconds.
 * Source   Petrov, Torr and Bibi, "When do prompting and prefix-tuning work?", ICLR 2024, theorem 2.
 * Not      Existence, not learnability: the network was built to be steered.
 *
 * How it works.  Row 0 is [s ; 1 0], row 1 is [one-hot(x) ; 0 1].  Head A attends to itself and returns one-hot(x);
 * head F attends to row 0 and returns s.  Their sum exceeds 1 in coordinate x alone, so ReLU(h - 1) leaves m(x)/V,
 * which is read as in theory/one-token.
 *
 * Why temperature cancels.  Row 1 gives head A's target the weight a = 1/(1 + e^-beta) and head F's the weight f,
 * alike.  h = a x + (1 - a) s + f s + (1 - f) x, and where both heads have one scale, a = f and h = x + s for every
 * T > 0.  By key size A has beta = T/sqrt 2 and F has T; with e = f - a, z = m(x)/V - e (1 - m(x)/V).  ReLU saves 0,
 * so that m(x) = 1 is the first to be lost: it needs e (1 - 1/V) < 1/(2V), and e is about e^(-T/sqrt 2) - e^-T. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "plot/plot.h"
#include "run/experiment.h"
#include "theory/construct.h"

/* ---- the network ---- */

Net one_token_map_net(Arena *a, int64_t v)
{
    Net net = construct_open(a, v);
    int64_t d = v > 2 ? v : 2; /* room for a value, or a key */
    construct_block(&net, 3);
    Head *own = construct_head(&net, d, v + 2, 2);
    matrix_identity(own->q, 0, v, 2, 1); /* [0 I]: the position */
    matrix_identity(own->k, 0, v, 2, 1);
    matrix_identity(own->v, 0, 0, v, 1); /* [I 0]: the content */
    Head *fetch = construct_head(&net, d, v + 2, 1);
    matrix_row(fetch->q, 0, v, 2, 1); /* [0 1 1]: the query is always 1 */
    matrix_row(fetch->k, 0, v, 1, 1); /* position coordinate 0: the key is 1 at the virtual token only */
    matrix_identity(fetch->v, 0, 0, v, 1);
    construct_read(&net, v, d);
    return net;
}

/* Which of the B*V answers are right: maps (B,V), every x with every map; right[b] counts. */
static void ask(Arena *step, const Net *net, const Column *column, BuiltAttention how, const int32_t *map, int64_t b,
                int64_t *right)
{
    enum { CHUNK = 2048 };
    int64_t v = net->vocab, per = CHUNK / v > 1 ? CHUNK / v : 1;
    for (int64_t first = 0; first < b; first += per) {
        ArenaMark mark = arena_mark(step);
        int64_t maps = b - first < per ? b - first : per, rows = maps * v;
        Tensor x = tensor_zero(step, F64, SHAPE(rows, 2, v + 2));
        int32_t *y = arena_take(step, sizeof *y * (size_t)rows);
        for (int64_t i = 0; i < rows; i++) {
            const int32_t *m = map + (first + i / v) * v;
            for (int64_t j = 0; j < v; j++) tensor_set(x, i * 2 * (v + 2) + j, (double)m[j] / (double)v);
            tensor_set(x, i * 2 * (v + 2) + v, 1);
            tensor_set(x, (i * 2 + 1) * (v + 2) + i % v, 1);
            tensor_set(x, (i * 2 + 1) * (v + 2) + v + 1, 1);
        }
        construct_answer_column(step, net, column, x, how, y);
        for (int64_t i = 0; i < maps; i++) right[first + i] = 0;
        for (int64_t i = 0; i < rows; i++) right[first + i / v] += y[i] == map[first * v + i];
        arena_drop(step, mark);
    }
}

typedef struct {
    double maps, answers; /* shares that are exact */
    int64_t total;
} Share;

static Share share_right(Arena *step, const Column *column, int64_t v, BuiltAttention how, const int32_t *map,
                         int64_t b)
{
    ArenaMark mark = arena_mark(step);
    Net net = one_token_map_net(step, v);
    int64_t *right = NEW(step, int64_t, b), whole = 0, single = 0;
    ask(step, &net, column, how, map, b, right);
    for (int64_t i = 0; i < b; i++) whole += right[i] == v, single += right[i];
    arena_drop(step, mark);
    return (Share){(double)whole / (double)b, (double)single / (double)(b * v), b};
}

static int32_t *random_maps(Arena *a, uint64_t seed, int64_t v, int64_t b)
{
    int32_t *map = arena_take(a, sizeof *map * (size_t)(b * v));
    uint64_t stream = rng_mix(rng_stream(seed, "maps"), (uint64_t)v);
    for (int64_t i = 0; i < b * v; i++) map[i] = (int32_t)rng_below(stream, (uint64_t)i, v);
    return map;
}

/* ---- the measurements, one job per column or format ---- */

typedef struct {
    Share all, large; /* every map of V <= max-v; random maps of V = v */
} Exhausted;

static Status exhaust(Run *r, int i, void *result, void *user)
{
    (void)user;
    Exhausted *out = result;
    *out = (Exhausted){0};
    Arena step = arena_open(0);
    BuiltAttention how = {BY_LENGTH, run_real(r, "t")};
    double good = 0;
    for (int64_t v = 2; v <= run_int(r, "max-v"); v++) {
        if (run_stopped()) return run_interrupted();
        ArenaMark mark = arena_mark(&step);
        int64_t count = (int64_t)llround(pow((double)v, (double)v));
        int32_t *map = arena_take(&step, sizeof *map * (size_t)(count * v));
        for (int64_t k = 0; k < count; k++)
            for (int64_t j = 0, rest = k; j < v; j++, rest /= v) map[k * v + j] = (int32_t)(rest % v);
        good += share_right(&step, &COLUMN[i], v, how, map, count).maps * (double)count;
        out->all.total += count;
        arena_drop(&step, mark);
        run_progress(r, "every map", v - 1, run_int(r, "max-v") - 1, NAN);
    }
    out->all.maps = good / (double)out->all.total;
    int64_t v = run_int(r, "v"), n = run_int(r, "random");
    out->large = share_right(&step, &COLUMN[i], v, how, random_maps(&step, run_seed(r, 0), v, n), n);
    arena_close(&step);
    return OK;
}

enum { POINTS = 20 };
typedef struct {
    double v[POINTS], share[POINTS];
    int n;
} Curve;

/* Job f: single answers right against V, every operation rounded to format f. */
static Status over_vocabulary(Run *r, int f, void *result, void *user)
{
    (void)user;
    Curve *out = result;
    *out = (Curve){0};
    Arena step = arena_open(0);
    const Column column = {.rounded = true, .format = (Format)f};
    for (double v = 4; out->n < POINTS && v <= (double)run_int(r, "v"); v = fmax(v + 1, floor(v * 1.3))) {
        if (run_stopped()) return run_interrupted();
        ArenaMark mark = arena_mark(&step);
        int32_t *map = random_maps(&step, run_seed(r, 0), (int64_t)v, run_int(r, "curve"));
        out->v[out->n] = v;
        out->share[out->n++] = share_right(&step, &column, (int64_t)v, (BuiltAttention){BY_LENGTH, run_real(r, "t")},
                                           map, run_int(r, "curve"))
                                   .answers;
        arena_drop(&step, mark);
    }
    arena_close(&step);
    return OK;
}

/* Where e^(-T/sqrt 2) - e^-T falls to 1/(2V - 2): the last root, by bisection. */
static double key_size_threshold(double v)
{
    double low = 1, high = 100; /* the left side is largest at T = sqrt 2 ln 2 / (sqrt 2 - 1) < 3, then falls */
    if (v > 4) low = 3;
    while (high - low > 1e-9) {
        double t = (low + high) / 2;
        *((exp(-t / sqrt(2)) - exp(-t)) * (1 - 1 / v) > 1 / (2 * v) ? &low : &high) = t;
    }
    return high;
}

/* Job s: maps exact over temperatures, V = v, one scaling of the logits. */
static Status over_temperature(Run *r, int s, void *result, void *user)
{
    (void)user;
    Curve *out = result;
    *out = (Curve){0};
    Arena step = arena_open(0);
    int64_t v = run_int(r, "v"), n = run_int(r, "curve");
    int32_t *map = random_maps(&step, run_seed(r, 0), v, n);
    double law = key_size_threshold((double)v);
    const double at[] = {0.01,       0.03,       0.1,       1,         2,  0.7 * law, 0.9 * law,
                         0.99 * law, 1.01 * law, 1.1 * law, 1.5 * law, 30, 100};
    for (int i = 0; i < (int)(sizeof at / sizeof *at); i++) {
        if (run_stopped()) return run_interrupted();
        out->v[out->n] = at[i];
        out->share[out->n++] = share_right(&step, &COLUMN[0], v, (BuiltAttention){(Scaling)s, at[i]}, map, n).maps;
    }
    arena_close(&step);
    return OK;
}

/* ---- the recorded example ---- */

/* Characters ' ' to '}' as 0..93; letters change case, the rest stays. */
static bool case_flip(Run *r, Arena *step)
{
    enum { V = 94, FIRST = 32 };
    int32_t map[V];
    for (int i = 0; i < V; i++) {
        int c = i + FIRST;
        map[i] = (c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c) - FIRST;
    }
    Share s = share_right(step, &COLUMN[1], V, (BuiltAttention){BY_LENGTH, run_real(r, "t")}, map, 1);
    run_metric(r, RANGE_SHARE, "case flip, accuracy", 0, s.answers);
    run_note(r,
             "The case flip over 94 characters in one vector of 94 numbers: accuracy %g %%, 'f' to 'F' among them.",
             100 * s.answers);
    return s.maps == 1;
}

/* ---- figures ---- */

static Series curve(Arena *a, const Curve *c, const char *label)
{
    Series s = {
        .x = tensor_new(a, F64, SHAPE(c->n)), .y = tensor_new(a, F64, SHAPE(c->n)), .label = label, .marked = true};
    for (int i = 0; i < c->n; i++) {
        tensor_set(s.x, i, c->v[i]);
        tensor_set(s.y, i, c->share[i]);
    }
    return s;
}

static Status draw_formats(Run *r, const Curve *c)
{
    Series line[FORMATS];
    for (int f = 0; f < FORMATS; f++) line[f] = curve(run_arena(r), &c[f], FORMAT_NAME[f]);
    Fig *f = run_figure(r, "formats",
                        str_print(run_arena(r),
                                  "Accuracy of single answers, over vocabularies, %lld random maps each, every "
                                  "operation rounded to the format. F64 and F32 stay at 1 on this range.",
                                  (long long)run_int(r, "curve")),
                        252, 180);
    fig_lines(f, fig_whole(f), FORMATS, line,
              (PlotStyle){.x = {.title = "vocabulary V", .log = true},
                          .y = {.title = "accuracy of answers", .lo = 0, .hi = 1.05}});
    return fig_close(f);
}

static Status draw_temperature(Run *r, const Curve *c)
{
    Arena *a = run_arena(r);
    RefLine law = {key_size_threshold((double)run_int(r, "v")), "law", true};
    Series line[] = {curve(a, &c[0], "by length"), curve(a, &c[1], "by key size")};
    Fig *f =
        run_figure(r, "temperature",
                   str_print(a,
                             "Maps reproduced whole, of %lld random ones with V = %lld (F64). Where both heads share "
                             "one scale of the logits, temperature cancels; where each is scaled by its key size, T "
                             "has to exceed the dashed value (or be so small that both weights are one half).",
                             (long long)run_int(r, "curve"), (long long)run_int(r, "v")),
                   252, 180);
    fig_lines(f, fig_whole(f), 2, line,
              (PlotStyle){.x = {.title = "inverse temperature T", .log = true},
                          .y = {.title = "share of maps exact", .lo = 0, .hi = 1.05},
                          .ref = &law,
                          .refs = 1});
    return fig_close(f);
}

/* ---- the experiment ---- */

static Status temperatures(Run *r, bool *as_said)
{
    Curve c[2];
    TRY(run_parallel(r, 2, sizeof *c, over_temperature, NULL, c));
    double law = key_size_threshold((double)run_int(r, "v"));
    *as_said = true;
    for (int i = 0; i < c[0].n; i++) {
        run_metric(r, RANGE_SHARE, str_print(run_arena(r), "maps exact, by length, T=%.4g", c[0].v[i]), 0,
                   c[0].share[i]);
        run_metric(r, RANGE_SHARE, str_print(run_arena(r), "maps exact, by key size, T=%.4g", c[1].v[i]), 0,
                   c[1].share[i]);
        *as_said &= c[0].share[i] == 1 && (c[1].v[i] < law || c[1].share[i] == 1) &&
                    (c[1].v[i] < 0.5 * law || c[1].v[i] > law || c[1].share[i] < 1);
    }
    run_metric(r, RANGE_POSITIVE, "threshold T by key size, formula", 0, law);
    return draw_temperature(r, c);
}

static Status run(Run *r)
{
    Arena step = arena_open(0);
    Exhausted found[COLUMNS];
    Curve format[FORMATS];
    bool cancels = false, exact = true;
    TRY(run_parallel(r, COLUMNS, sizeof *found, exhaust, NULL, found));
    for (int i = 0; i < COLUMNS; i++) {
        run_metric(
            r, RANGE_SHARE,
            str_print(run_arena(r), "maps exact, V <= %lld, %s", (long long)run_int(r, "max-v"), COLUMN[i].name), 0,
            found[i].all.maps);
        run_metric(
            r, RANGE_SHARE,
            str_print(run_arena(r), "random maps exact, V=%lld, %s", (long long)run_int(r, "v"), COLUMN[i].name), 0,
            found[i].large.maps);
        exact &= found[i].all.maps == 1 && (found[i].large.maps == 1 || COLUMN[i].rounded);
    }
    run_metric(r, RANGE_EXTREME, "maps", 0, (double)found[0].all.total);
    TRY(run_parallel(r, FORMATS, sizeof *format, over_vocabulary, NULL, format));
    TRY(draw_formats(r, format));
    TRY(temperatures(r, &cancels));
    bool flip = case_flip(r, &step);
    arena_close(&step);
    run_note(r, "Not tested here: whether such a token exists for a transformer that was not built for it.");
    run_verdict(
        r, exact && cancels && flip ? SUPPORTED : NOT_SUPPORTED,
        "All %lld maps of V <= %lld: %g %% in F64, %g %% in F32, %g %% in F16, %g %% with hard-max; %lld random maps "
        "of V = %lld: %g, %g, %g and %g %%; by length %s temperature matters; the case flip %s.",
        (long long)found[0].all.total, (long long)run_int(r, "max-v"), 100 * found[0].all.maps,
        100 * found[1].all.maps, 100 * found[2].all.maps, 100 * found[3].all.maps, (long long)run_int(r, "random"),
        (long long)run_int(r, "v"), 100 * found[0].large.maps, 100 * found[1].large.maps, 100 * found[2].large.maps,
        100 * found[3].large.maps, cancels ? "no" : "some", flip ? "is exact" : "is NOT exact");
    return OK;
}

static const Setting SETTINGS[] = {
    {"max-v", "largest vocabulary of the exhaustive check", {"4", "6", "6"}, 2, 7},
    {"v", "vocabulary of the random maps", {"94", NULL, NULL}, 5, 500},
    {"random", "random maps of that vocabulary", {"4", "100", "300"}, 1, 100000},
    {"curve", "random maps at each point of the figures", {"2", "20", "60"}, 1, 100000},
    {"t", "inverse temperature", {"100", NULL, NULL}, 1e-3, 1e4},
    {0}};

static const Experiment ONE_TOKEN_MAP = {
    .group = "theory",
    .name = "one-token-map",
    .title = "One virtual token can carry any map from token to token",
    .claim =
        "There is one fixed transformer that answers m(x) to the token x for every one of the V^V maps m, each map "
        "given by a single virtual token.",
    .method =
        "The network of the theorem answers every input of every map for small V, in F64, F32, F16 and with hard-max "
        "attention, random maps for V = 94, and the case flip; the share of exact maps over temperatures.",
    .expect = "Every map exact, except V = 94 in F16; no dependence on temperature where both heads share one scale.",
    .cost = "smoke a second, quick three seconds, paper five seconds",
    .source = "Petrov, Torr, Bibi (ICLR 2024), theorem 2",
    .settings = SETTINGS,
    .exact = true,
    .run = run};
REGISTER(experiment, ONE_TOKEN_MAP)
