/* theory/packed-map: one virtual token can carry any map from two tokens to one.
 *
 * Claim    For every V there is ONE fixed transformer (context 4, two attention layers, ReLU layers between) such
 *          that for every map m(i,j) of two tokens to one, the virtual token s_i = sum_j m(i,j) V^-(j+1) makes it
 *          answer m(x1,x2) to the user's x1 x2.  One vector of V numbers has V^(V^2) behaviours: a row of the map
 *          sits in one number.
 * Method   Build the network, the unpacking of base-V digits included: it is made of ReLU layers, nothing happens
 *          outside.  Every map of V = 2 and V = 3 in F64, F32 and with hard-max attention.  Random maps over V in all
 *          formats, for two unpackers in the network and, for comparison, plain rounding and plain truncation of the
 *          number.
 * Expect   Every map exact.  Rounding ends at V = 13 in F64 and V = 7 in F32, where the half step V^-V/2 meets the
 *          last digit; truncation loses maps, 30 % of those of V = 3, and more once the number went through
 *          ReLU(1 + s - 1).
 * Cost     a second; five seconds; a quarter of a minute.
 * Source   Petrov, Torr and Bibi, "When do prompting and prefix-tuning work?", ICLR 2024, section 3, two user tokens;
 *          their code unpacks outside the network.
 * Not      Existence, not learnability: V^V levels in one number are nothing that gradient descent would find.
 *
 * How it works.  Rows: a zero sink, the virtual token, x1, x2.  Layer 1 gives row 2 [one-hot(x1) + s | 0] and row 3
 * [0 | 2 one-hot(x2)]; ReLU(h - 1) leaves s_x1 and one-hot(x2).  The unpacker turns the number into V digits / V.
 * Layer 2 adds at row 3 the digits of row 2 to its own one-hot(x2), and the digit x2 is read as in theory/one-token.
 *
 * A digit by ReLU.  u = s + V^-V/2 stays half a lattice step away from every boundary.  w = V u; with delta below
 * that distance, (w - m)/delta is above 1 where the digit is at least m and below 0 elsewhere, m = 1..V-1.  So the
 * digit is
 *
 *   difference   sum_m ReLU((w-m)/delta) - ReLU((w-m)/delta - 1)        one layer; subtracts two large numbers
 *   clamp        sum_m 1 - ReLU(1 - ReLU(w-m)/delta)                    two layers; no large number survives
 *
 * and u = w - digit goes on to the next, delta = V^-(V-1-k)/4 for digit k. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "plot/plot.h"
#include "run/experiment.h"
#include "theory/construct.h"

/* ---- the network ---- */

/* One head of layer 1: row `at` attends to row `to`, the other rows to the sink.  Its value is `size` times the
 * content, in outputs first..first+V-1. */
static void route(Net *net, int at, int to, int64_t first, double size)
{
    int64_t v = net->vocab;
    Head *h = construct_head(net, 2 * v, v + 4, 2);
    for (int p = 0; p < 4; p++) matrix_row(h->q, p == at, v + p, 1, 1);
    matrix_row(h->k, 0, v, 1, 1);
    matrix_row(h->k, 1, v + to, 1, 1);
    matrix_identity(h->v, first, 0, v, size);
}

/* Digit k of the state (u ; V digits ; V others): two or three layers.  Each hidden layer holds the ReLUs first, then
 * w and the values that are only passed on. These are all at least 0, so ReLU does not change them. */
static void unpack_digit(Net *net, Unpacker kind, int64_t k)
{
    int64_t v = net->vocab, state = 1 + 2 * v, terms = v - 1, units = kind == UNPACK_CLAMP ? terms : 2 * terms;
    double delta = pow((double)v, (double)(k - v + 1)) / 4;
    BuiltLayer *l = construct_layer(net, units + state, state, true);
    for (int64_t i = 0; i < units; i++) {
        double m = (double)(i % terms + 1), scale = kind == UNPACK_CLAMP ? 1 : 1 / delta;
        matrix_row(l->w, i, 0, 1, (double)v * scale);
        tensor_set(l->b, i, -m * scale - (double)(i / terms)); /* the second half of the units is one step later */
    }
    matrix_row(l->w, units, 0, 1, (double)v); /* w */
    matrix_identity(l->w, units + 1, 1, state - 1, 1);
    if (kind == UNPACK_CLAMP) {
        l = construct_layer(net, units + state, units + state, true);
        matrix_identity(l->w, 0, 0, units, -1 / delta);
        for (int64_t i = 0; i < units; i++) tensor_set(l->b, i, 1);
        matrix_identity(l->w, units, units, state, 1);
    }
    l = construct_layer(net, state, units + state, false);
    matrix_identity(l->w, 0, units, state, 1);
    double sign = kind == UNPACK_CLAMP ? -1 : 1;
    for (int64_t i = 0; i < units; i++) {
        double part = i < terms ? sign : -sign;
        matrix_row(l->w, 1 + k, i, 1, part); /* the digit */
        matrix_row(l->w, 0, i, 1, -part);    /* u = w - digit */
    }
    if (kind == UNPACK_CLAMP) tensor_set(l->b, 1 + k, (double)terms), tensor_set(l->b, 0, -(double)terms);
}

Net packed_map_net(Arena *a, int64_t v, Unpacker kind)
{
    Net net = construct_open(a, v);
    int64_t state = 1 + 2 * v;
    construct_block(&net, (int)(3 * v + 3));
    route(&net, 2, 2, 0, 1); /* row 2 fetches x1 from itself, */
    route(&net, 2, 1, 0, 1); /* and the virtual token; */
    route(&net, 3, 3, v, 2); /* row 3 fetches x2, twice its size */
    BuiltLayer *select = construct_layer(&net, 2 * v, 2 * v, true);
    matrix_identity(select->w, 0, 0, 2 * v, 1);
    tensor_fill(select->b, -1);
    BuiltLayer *gather = construct_layer(&net, state, 2 * v, false); /* u, no digits yet, one-hot(x2) */
    matrix_row(gather->w, 0, 0, v, 1);
    tensor_set(gather->b, 0, pow((double)v, -(double)v) / 2);
    matrix_identity(gather->w, 1 + v, v, v, 1);
    for (int64_t k = 0; k < v; k++) unpack_digit(&net, kind, k);
    BuiltLayer *scale = construct_layer(&net, 2 * v, state, false);
    matrix_identity(scale->w, 0, 1, v, 1 / (double)v);
    matrix_identity(scale->w, v, 1 + v, v, 1);

    construct_block(&net, 3);
    Head *digits = construct_head(&net, v, 2 * v, 1), *own = construct_head(&net, v, 2 * v, 1);
    matrix_row(digits->q, 0, v, v, 1); /* a row with a one-hot(x2) attends */
    matrix_row(digits->k, 0, 0, v, 1); /* to a row with digits */
    matrix_identity(digits->v, 0, 0, v, 1);
    matrix_row(own->q, 0, v, v, 1);
    matrix_row(own->k, 0, v, v, 1);
    matrix_identity(own->v, 0, v, v, 1);
    construct_read(&net, v, v);
    return net;
}

/* ---- running it ---- */

static double packed(const int32_t *row, int64_t v)
{
    double s = 0;
    for (int64_t j = v - 1; j >= 0; j--) s = (s + row[j]) / (double)v;
    return s;
}

typedef struct {
    int64_t maps, rows, answers; /* that are correct */
} Right;

/* maps (B,V,V); every pair of user tokens with every map. */
static Right ask(Arena *step, const Net *net, const Column *column, BuiltAttention how, const int32_t *map,
                 int64_t maps)
{
    enum { CHUNK = 2048 };
    int64_t v = net->vocab, square = v * v, per = CHUNK / square > 1 ? CHUNK / square : 1, c = v + 4;
    Right right = {0};
    for (int64_t first = 0; first < maps; first += per) {
        ArenaMark mark = arena_mark(step);
        int64_t n = maps - first < per ? maps - first : per, b = n * square;
        const int32_t *m = map + first * square;
        Tensor x = tensor_zero(step, F64, SHAPE(b, 4, c));
        int32_t *y = arena_take(step, sizeof *y * (size_t)b);
        for (int64_t i = 0; i < b; i++) {
            Tensor rows = tensor_at(x, i);
            for (int p = 0; p < 4; p++) tensor_set(rows, p * c + v + p, 1);
            for (int64_t j = 0; j < v; j++) tensor_set(rows, c + j, packed(m + (i / square * v + j) * v, v));
            tensor_set(rows, 2 * c + i % square / v, 1);
            tensor_set(rows, 3 * c + i % v, 1);
        }
        construct_answer_column(step, net, column, x, how, y);
        for (int64_t i = 0; i < b; i++) right.answers += y[i] == m[i];
        for (int64_t i = 0; i < n * v; i++) right.rows += !memcmp(y + i * v, m + i * v, sizeof *y * (size_t)v);
        for (int64_t i = 0; i < n; i++)
            right.maps += !memcmp(y + i * square, m + i * square, sizeof *y * (size_t)square);
        arena_drop(step, mark);
    }
    return right;
}

/* The same outside the network, every operation rounded to a format: rounding to the lattice, cutting off below it,
 * and the ReLU differences one pair at a time, where ReLU(x) - ReLU(x - 1) of one stored x is exact. */
typedef enum { ROUNDING, TRUNCATION, PAIRWISE, PLAIN_WAYS } Plain;

static bool lattice_comes_back(Format f, double u, const int32_t *row, int64_t v, bool truncate)
{
    double base = (double)v, level = format_round(f, u * format_round(f, pow(base, base)));
    level = truncate ? floor(level) : nearbyint(level);
    for (int64_t j = v - 1; j >= 0; j--, level = floor(level / base))
        if (fmod(level, base) != row[j]) return false;
    return true;
}

static bool pairs_come_back(Format f, double u, const int32_t *row, int64_t v)
{
    double base = (double)v;
    u = format_round(f, u + format_round(f, pow(base, -base) / 2));
    for (int64_t k = 0; k < v; k++) {
        double w = format_round(f, base * u), delta = format_round(f, pow(base, (double)(k - v + 1)) / 4), digit = 0;
        for (int64_t m = 1; m < v; m++) {
            double x = format_round(f, format_round(f, w - (double)m) / delta);
            double pair = format_round(f, fmax(x, 0) - fmax(format_round(f, x - 1), 0));
            digit = format_round(f, digit + pair);
        }
        if (!(fabs(digit - row[k]) < 0.5)) return false;
        u = format_round(f, w - digit);
    }
    return true;
}

/* `through`: the number went through ReLU(1 + s - 1), as it does in the network. */
static bool row_comes_back(Format f, const int32_t *row, int64_t v, Plain way, bool through)
{
    double u = format_round(f, packed(row, v));
    if (through) u = format_round(f, format_round(f, 1 + u) - 1);
    return way == PAIRWISE ? pairs_come_back(f, u, row, v) : lattice_comes_back(f, u, row, v, way == TRUNCATION);
}

static int32_t *random_maps(Arena *a, uint64_t seed, int64_t v, int64_t n)
{
    int32_t *map = arena_take(a, sizeof *map * (size_t)(n * v * v));
    uint64_t stream = rng_mix(rng_stream(seed, "maps"), (uint64_t)v);
    for (int64_t i = 0; i < n * v * v; i++) map[i] = (int32_t)rng_below(stream, (uint64_t)i, v);
    return map;
}

/* ---- every map of V = 2 and 3 ---- */

enum { CASES = 3 };
static const Column CASE[CASES] = {
    {"F64", .type = F64}, {"F32", .type = F32}, {"hard-max", .type = F32, .hard = true}};

typedef struct {
    int64_t good, total,
        truncated[2]; /* maps of the largest V that truncation gets right: as packed, after 1 + s - 1 */
} Count;

static Status exhaust(Run *r, int i, void *result, void *user)
{
    (void)user;
    Count *out = result;
    *out = (Count){0};
    Arena step = arena_open(0);
    for (int64_t v = 2; v <= run_int(r, "max-v"); v++) {
        if (run_stopped()) return run_interrupted();
        int64_t square = v * v, n = (int64_t)llround(pow((double)v, (double)square));
        int32_t *map = arena_take(&step, sizeof *map * (size_t)(n * square));
        for (int64_t k = 0; k < n; k++)
            for (int64_t j = 0, rest = k; j < square; j++, rest /= v) map[k * square + j] = (int32_t)(rest % v);
        Net net = packed_map_net(&step, v, UNPACK_CLAMP);
        out->good += ask(&step, &net, &CASE[i], (BuiltAttention){BY_LENGTH, run_real(r, "t")}, map, n).maps;
        out->total += n;
        for (int through = 0; through < 2; through++) {
            out->truncated[through] = 0;
            for (int64_t k = 0; k < n; k++) {
                bool all = true;
                for (int64_t row = 0; row < v; row++)
                    all &= row_comes_back(FORMAT_F64, map + k * square + row * v, v, TRUNCATION, through);
                out->truncated[through] += all;
            }
        }
        run_progress(r, "every map", v - 1, run_int(r, "max-v") - 1, NAN);
    }
    arena_close(&step);
    return OK;
}

/* ---- where the formats end ---- */

enum { LARGEST = 15, WAYS = UNPACKERS + PLAIN_WAYS };
static const char *const WAY_NAME[WAYS] = {"network, difference", "network, clamp", "rounding", "truncation",
                                           "pairs"};

typedef struct {
    double rows[FORMATS][WAYS]; /* share of random rows that are reproduced; NaN: not tried */
} Limits;

/* Job i: vocabulary i + 2.  The 16-bit formats run in plain loops and are tried where they can work. */
static Status limits(Run *r, int i, void *result, void *user)
{
    (void)user;
    Limits *out = result;
    Arena step = arena_open(0);
    int64_t v = i + 2, n = run_int(r, "rows") / v + 1;
    int32_t *map = random_maps(&step, run_seed(r, 0), v, n);
    for (int f = 0; f < FORMATS; f++) {
        if (run_stopped()) return run_interrupted();
        Column column = {.rounded = FORMAT_BITS[f] == 16, .type = f == FORMAT_F64 ? F64 : F32, .format = (Format)f};
        for (int k = 0; k < UNPACKERS; k++) {
            Net net = packed_map_net(&step, v, (Unpacker)k);
            BuiltAttention how = {HARD_MAX, 1};
            out->rows[f][k] = column.rounded && v > 6
                                  ? (double)NAN
                                  : (double)ask(&step, &net, &column, how, map, n).rows / (double)(n * v);
        }
        for (int k = 0; k < PLAIN_WAYS; k++) {
            int64_t good = 0;
            for (int64_t row = 0; row < n * v; row++)
                good += row_comes_back((Format)f, map + row * v, v, (Plain)k, true);
            out->rows[f][UNPACKERS + k] = (double)good / (double)(n * v);
        }
    }
    arena_close(&step);
    return OK;
}

/* The largest V up to which every tried row was reproduced; 0: not even V = 2. */
static int64_t last_good(const Limits *l, int n, int f, int way)
{
    int64_t v = 1;
    while (v - 1 < n && l[v - 1].rows[f][way] == 1) v++;
    return v == 1 ? 0 : v;
}

/* ---- temperature ---- */

enum { TEMPERATURES = 12 };
static const double TEMPERATURE[TEMPERATURES] = {10, 15, 18, 19, 20, 20.5, 21, 21.5, 22, 25, 30, 60};

static Status over_temperature(Run *r, int i, void *result, void *user)
{
    (void)user;
    Arena step = arena_open(0);
    int64_t v = run_int(r, "v"), n = run_int(r, "curve");
    Net net = packed_map_net(&step, v, UNPACK_CLAMP);
    int32_t *map = random_maps(&step, run_seed(r, 0), v, n);
    *(double *)result =
        (double)ask(&step, &net, &CASE[0], (BuiltAttention){BY_LENGTH, TEMPERATURE[i]}, map, n).maps / (double)n;
    arena_close(&step);
    return OK;
}

/* ---- the recorded example: ten letters, six answers of which are known ---- */

static int64_t ten_letters(Run *r, Arena *step)
{
    enum { V = 10 };
    static const char *const known[] = {"ABA", "AAF", "BAH", "DED", "BBG", "BGH"};
    int32_t *map = random_maps(step, run_seed(r, 0), V, 1);
    for (int i = 0; i < 6; i++) map[(known[i][0] - 'A') * V + known[i][1] - 'A'] = known[i][2] - 'A';
    Net net = packed_map_net(step, V, UNPACK_CLAMP);
    return ask(step, &net, &CASE[0], (BuiltAttention){BY_LENGTH, run_real(r, "t")}, map, 1).answers;
}

/* ---- figures ---- */

static Status draw_limits(Run *r, const Limits *l, int n)
{
    Arena *a = run_arena(r);
    Fig *f = run_figure(
        r, "limits",
        str_print(
            a,
            "Random rows of a map, packed into one number, that are reproduced whole (about %lld rows for each V, "
            "hard-max attention). The clamp unpacker goes as far as rounding does; differences lose digits to "
            "cancellation when they are weights of a layer, not when each pair is taken alone; truncation is "
            "safe only where V is a power of two.",
            (long long)run_int(r, "rows")),
        500, 210);
    for (int panel = 0; panel < 2; panel++) {
        Series line[WAYS];
        for (int w = 0; w < WAYS; w++) {
            line[w] = (Series){.x = tensor_new(a, F64, SHAPE(n)),
                               .y = tensor_new(a, F64, SHAPE(n)),
                               .label = WAY_NAME[w],
                               .dashed = w == UNPACKERS,
                               .marked = w != UNPACKERS};
            for (int i = 0; i < n; i++) {
                tensor_set(line[w].x, i, i + 2);
                tensor_set(line[w].y, i, l[i].rows[panel][w]);
            }
        }
        fig_lines(f, fig_cell(f, 1, 2, panel), WAYS, line,
                  (PlotStyle){.title = FORMAT_NAME[panel],
                              .letter = panel ? "b" : "a",
                              .x = {.title = "vocabulary V"},
                              .y = {.title = "share of rows reproduced", .lo = 0, .hi = 1.05}});
    }
    return fig_close(f);
}

static Status draw_capacity(Run *r, const Limits *l, int n, const double *share)
{
    Arena *a = run_arena(r);
    Tensor v = tensor_new(a, F64, SHAPE(n)), bits = tensor_new(a, F64, SHAPE(n)),
           t = tensor_new(a, F64, SHAPE(TEMPERATURES)), maps = tensor_new(a, F64, SHAPE(TEMPERATURES));
    for (int i = 0; i < n; i++) tensor_set(v, i, i + 2), tensor_set(bits, i, (i + 2) * log2(i + 2));
    for (int i = 0; i < TEMPERATURES; i++) tensor_set(t, i, TEMPERATURE[i]), tensor_set(maps, i, share[i]);
    Series line[1 + FORMATS] = {{.x = v, .y = bits, .label = "V log2 V", .colour = 6}};
    int lines = 1;
    for (int f = 0; f < FORMATS; f++) {
        int64_t last = last_good(l, n, f, UNPACK_CLAMP);
        if (!last) continue;
        Tensor x = tensor_new(a, F64, SHAPE(1)), y = tensor_new(a, F64, SHAPE(1));
        tensor_set(x, 0, (double)last), tensor_set(y, 0, (double)last * log2((double)last));
        line[lines++] = (Series){.x = x, .y = y, .label = FORMAT_NAME[f], .marked = true, .colour = f + 1};
    }
    RefLine digits[] = {{53, "F64", false}, {24, "F32", false}, {11, "F16", false}, {8, "BF16", false}};
    Fig *f = run_figure(
        r, "capacity",
        str_print(
            a,
            "(a) Bits that one number of the virtual token holds, the largest V of each format (dots, clamp "
            "unpacker), and the digits of the formats (dashed). (b) Maps of V = %lld that are reproduced whole, of "
            "%lld random ones, over the inverse temperature.",
            (long long)run_int(r, "v"), (long long)run_int(r, "curve")),
        500, 200);
    fig_lines(f, fig_cell(f, 1, 2, 0), lines, line,
              (PlotStyle){.letter = "a",
                          .title = "bits in one number",
                          .x = {.title = "vocabulary V"},
                          .y = {.title = "bits per number", .lo = 0, .hi = 60},
                          .ref = digits,
                          .refs = FORMATS});
    fig_lines(f, fig_cell(f, 1, 2, 1), 1, &(Series){.x = t, .y = maps, .marked = true},
              (PlotStyle){.letter = "b",
                          .title = "temperature",
                          .x = {.title = "inverse temperature T"},
                          .y = {.title = "share of maps exact", .lo = 0, .hi = 1.05}});
    return fig_close(f);
}

/* ---- the experiment ---- */

static Status measure_limits(Run *r, Limits *found, int n)
{
    Arena *a = run_arena(r);
    TRY(run_parallel(r, n, sizeof *found, limits, NULL, found));
    for (int f = 0; f < FORMATS; f++)
        for (int w = 0; w < WAYS; w++) {
            run_metric(r, RANGE_EXTREME, str_print(a, "largest V, %s, %s", FORMAT_NAME[f], WAY_NAME[w]), 0,
                       (double)last_good(found, n, f, w));
            for (int v = 2; v - 2 < n && f <= FORMAT_F32; v++)
                run_metric(r, RANGE_SHARE,
                           str_print(a, "share of rows, %s, %s, V=%d", FORMAT_NAME[f], WAY_NAME[w], v), 0,
                           found[v - 2].rows[f][w]);
        }
    return draw_limits(r, found, n);
}

static Status run(Run *r)
{
    Arena step = arena_open(0);
    Count count[CASES];
    Limits found[LARGEST];
    double share[TEMPERATURES];
    int n = (int)run_int(r, "largest") - 1;
    int64_t good = 0, wanted = 0, v = run_int(r, "max-v");
    TRY(run_parallel(r, CASES, sizeof *count, exhaust, NULL, count));
    for (int i = 0; i < CASES; i++) {
        good += count[i].good, wanted += count[i].total;
        run_metric(r, RANGE_SHARE, str_print(run_arena(r), "every map, share exact, %s", CASE[i].name), 0,
                   (double)count[i].good / (double)count[i].total);
    }
    double truncated[2];
    for (int k = 0; k < 2; k++) {
        truncated[k] = (double)count[0].truncated[k] / pow((double)v, (double)(v * v));
        run_metric(r, RANGE_SHARE,
                   str_print(run_arena(r), "maps of V=%lld that truncation gets right, %s", (long long)v,
                             k ? "after ReLU(1 + s - 1)" : "as packed"),
                   0, truncated[k]);
    }
    TRY(measure_limits(r, found, n));
    TRY(run_parallel(r, TEMPERATURES, sizeof *share, over_temperature, NULL, share));
    for (int i = 0; i < TEMPERATURES; i++)
        run_metric(r, RANGE_SHARE,
                   str_print(run_arena(r), "maps exact, V=%lld, T=%g", (long long)run_int(r, "v"), TEMPERATURE[i]), 0,
                   share[i]);
    TRY(draw_capacity(r, found, n, share));
    int64_t letters = ten_letters(r, &step);
    run_metric(r, RANGE_EXTREME, "ten letters, correct answers of 100", 0, (double)letters);
    arena_close(&step);
    int64_t f64 = last_good(found, n, FORMAT_F64, UNPACK_CLAMP), f32 = last_good(found, n, FORMAT_F32, UNPACK_CLAMP);
    bool ends = f64 == (n + 1 < 13 ? n + 1 : 13) && f32 == (n + 1 < 7 ? n + 1 : 7);
    run_note(r, "Limits are of random rows, not of all: %lld for each V.", (long long)run_int(r, "rows"));
    run_verdict(r, good == wanted && ends && letters == 100 ? SUPPORTED : NOT_SUPPORTED,
                "%g %% of all %lld maps (V <= %lld) are reproduced in each of F64, F32 and hard-max, unpacked by "
                "ReLU inside the network; random rows up to V = %lld in F64 and %lld in F32 (of at most %d tried), "
                "as far as rounding goes; truncation gets %.3g %% of the maps of V = %lld, %.3g %% after ReLU(1 + s "
                "- 1); ten letters: %lld of 100.",
                100 * (double)good / (double)wanted, (long long)count[0].total, (long long)v, (long long)f64,
                (long long)f32, n + 1, 100 * truncated[0], (long long)v, 100 * truncated[1], (long long)letters);
    return OK;
}

static const Setting SETTINGS[] = {{"max-v", "largest vocabulary of the exhaustive check", {"2", "3", "3"}, 2, 3},
                                   {"largest", "largest vocabulary of the limits", {"8", "14", "15"}, 3, 16},
                                   {"rows", "random rows at each vocabulary", {"20", "300", "2000"}, 1, 100000},
                                   {"v", "vocabulary of the temperature curve", {"5", NULL, NULL}, 2, 12},
                                   {"curve", "random maps at each temperature", {"4", "40", "200"}, 1, 10000},
                                   {"t", "inverse temperature", {"1000", NULL, NULL}, 1, 1e5},
                                   {0}};

static const Experiment PACKED_MAP = {
    .group = "theory",
    .name = "packed-map",
    .title = "One virtual token can carry any map from two tokens to one",
    .claim = "There is one fixed two-layer transformer that answers m(x1,x2) for every one of the V^(V^2) maps m, "
             "each map packed base V into the V numbers of a single virtual token.",
    .method =
        "The construction, with the unpacking of digits as ReLU layers inside the network, answers every input of "
        "every map of V = 2 and 3; random rows find the largest V of each number format, beside rounding and "
        "truncation.",
    .expect = "Every map exact; V up to 13 in F64 and 7 in F32, as for rounding; truncation gets about 70 % of the "
              "maps of V = 3.",
    .cost = "smoke a second, quick five seconds, paper a quarter of a minute",
    .source = "Petrov, Torr, Bibi (ICLR 2024), section 3",
    .settings = SETTINGS,
    .exact = true,
    .run = run};
REGISTER(experiment, PACKED_MAP)
