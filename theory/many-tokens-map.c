/* theory/many-tokens-map: N0 virtual tokens can carry any map from a token to an answer of N0 tokens.
 *
 * Claim    For every V and N0 there is ONE fixed transformer (one attention layer with two heads, three linear
 *          layers) such that for every map m from {0..V-1} to {0..V-1}^N0 the virtual tokens
 *          s^p = (m(0)_p/V, ..., m(V-1)_p/V), p = 0..N0-1, make it answer m(x)_0, m(x)_1, ... to the user's token x.
 *          N0 vectors have V^(V N0) behaviours.
 * Method   Build the network.  Every map of small (V, N0) in F64, F32, F16 (every operation rounded) and with
 *          hard-max attention; random maps of V = 94, N0 = 10; a table that completes an animal for each capital
 *          letter and a food for each small one.  The lowest inverse temperature that still works.
 * Expect   Every map exact.
 * Cost     a second; three seconds; six seconds.
 * Source   Petrov, Torr and Bibi, "When do prompting and prefix-tuning work?", ICLR 2024, section 3, longer answers.
 * Not      Existence, not learnability.  Generated tokens are never used: every answer token is looked up.
 *
 * How it works.  A row is [content (V) ; position e_r (2 N0)]: the virtual tokens in rows 0..N0-1, the user's token
 * one-hot in row N0, then the tokens generated so far.  At row N0 + i, head "N0 back" attends to position i and
 * returns s^i; head "user token" attends to position N0 and returns one-hot(x).  Their sum exceeds 1 in coordinate x
 * alone, so ReLU(h - 1) leaves m(x)_i/V, which is read as in theory/one-token. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "plot/plot.h"
#include "run/experiment.h"
#include "theory/construct.h"

/* ---- the network ---- */

Net many_tokens_map_net(Arena *a, int64_t v, int64_t answers)
{
    Net net = construct_open(a, v);
    int64_t p = 2 * answers, d = v > p ? v : p; /* positions; room for a value, or a key */
    construct_block(&net, 3);
    Head *back = construct_head(&net, d, v + p, p);
    matrix_identity(back->q, 0, v + answers, answers, 1); /* [0 0 I; 0 0 0]: row N0 + i attends to position i */
    matrix_identity(back->k, 0, v, p, 1);                 /* [0 I]: the position */
    matrix_identity(back->v, 0, 0, v, 1);                 /* [I 0]: the content */
    Head *user = construct_head(&net, d, v + p, 1);
    matrix_row(user->q, 0, v, p, 1);           /* [0 1]: the query is always 1 */
    matrix_row(user->k, 0, v + answers, 1, 1); /* position coordinate N0: the key is 1 at the user's token only */
    matrix_identity(user->v, 0, 0, v, 1);
    construct_read(&net, v, d);
    return net;
}

/* The rows so far of one question: map (V,N0), the user's token x, and the tokens generated. */
static void lay_out(Tensor rows, const int32_t *map, int64_t v, int64_t answers, int64_t x, const int32_t *said)
{
    int64_t c = v + 2 * answers;
    for (int64_t p = 0; p < rows.dim[0]; p++) {
        tensor_set(rows, p * c + v + p, 1);
        if (p < answers)
            for (int64_t j = 0; j < v; j++) tensor_set(rows, p * c + j, (double)map[j * answers + p] / (double)v);
        else
            tensor_set(rows, p * c + (p == answers ? x : said[p - answers - 1]), 1);
    }
}

/* Greedy answers of `maps` maps (maps,V,N0) to every user token: y (maps,V,N0). */
static void answer(Arena *step, const Net *net, const Column *column, BuiltAttention how, const int32_t *map,
                   int64_t maps, int64_t answers, int32_t *y)
{
    int64_t v = net->vocab, b = maps * v;
    for (int64_t i = 0; i < answers; i++) {
        ArenaMark mark = arena_mark(step);
        Tensor x = tensor_zero(step, F64, SHAPE(b, answers + 1 + i, v + 2 * answers));
        int32_t *next = arena_take(step, sizeof *next * (size_t)b);
        for (int64_t k = 0; k < b; k++)
            lay_out(tensor_at(x, k), map + k / v * v * answers, v, answers, k % v, y + k * answers);
        construct_answer_column(step, net, column, x, how, next);
        for (int64_t k = 0; k < b; k++) y[k * answers + i] = next[k];
        arena_drop(step, mark);
    }
}

/* How many of the maps are reproduced whole. */
static int64_t reproduced(Arena *step, const Column *column, BuiltAttention how, const int32_t *map, int64_t maps,
                          int64_t v, int64_t answers)
{
    enum { CHUNK = 1024 };
    int64_t good = 0, size = v * answers, per = CHUNK / v > 1 ? CHUNK / v : 1;
    ArenaMark all = arena_mark(step);
    Net net = many_tokens_map_net(step, v, answers);
    for (int64_t first = 0; first < maps; first += per) {
        ArenaMark mark = arena_mark(step);
        int64_t n = maps - first < per ? maps - first : per;
        int32_t *y = arena_take(step, sizeof *y * (size_t)(n * size));
        answer(step, &net, column, how, map + first * size, n, answers, y);
        for (int64_t i = 0; i < n; i++)
            good += !memcmp(y + i * size, map + (first + i) * size, sizeof *y * (size_t)size);
        arena_drop(step, mark);
    }
    arena_drop(step, all);
    return good;
}

/* ---- every map ---- */

static const struct {
    int64_t v, answers;
} SIZE[] = {{2, 1}, {2, 2}, {2, 3}, {3, 1}, {3, 2}};

typedef struct {
    int64_t good, total, random;
} Count;

static int32_t *random_maps(Arena *a, uint64_t seed, int64_t n, int64_t v, int64_t answers)
{
    int32_t *map = arena_take(a, sizeof *map * (size_t)(n * v * answers));
    for (int64_t i = 0; i < n * v * answers; i++)
        map[i] = (int32_t)rng_below(rng_stream(seed, "maps"), (uint64_t)i, v);
    return map;
}

/* Job i: column i of the table. */
static Status exhaust(Run *r, int i, void *result, void *user)
{
    (void)user;
    Count *out = result;
    *out = (Count){0};
    Arena step = arena_open(0);
    BuiltAttention how = {BY_LENGTH, run_real(r, "t")};
    for (int s = 0; s < (int)(sizeof SIZE / sizeof *SIZE); s++) {
        if (run_stopped()) return run_interrupted();
        int64_t v = SIZE[s].v, size = v * SIZE[s].answers, n = (int64_t)llround(pow((double)v, (double)size));
        int32_t *map = arena_take(&step, sizeof *map * (size_t)(n * size));
        for (int64_t k = 0; k < n; k++)
            for (int64_t j = 0, rest = k; j < size; j++, rest /= v) map[k * size + j] = (int32_t)(rest % v);
        out->good += reproduced(&step, &COLUMN[i], how, map, n, v, SIZE[s].answers);
        out->total += n;
        run_progress(r, "every map", s + 1, 5, NAN);
    }
    int64_t v = run_int(r, "v"), answers = run_int(r, "answers"), n = run_int(r, "random");
    if (!COLUMN[i].rounded)
        out->random =
            reproduced(&step, &COLUMN[i], how, random_maps(&step, run_seed(r, 0), n, v, answers), n, v, answers);
    arena_close(&step);
    return OK;
}

/* ---- the table of words ---- */

enum { V = 94, FIRST = 32, LONGEST = 10, WORDS = 26 };
static const char *const ANIMAL[WORDS] = {"lligator", "adger",  "amel",  "olphin", "lephant", "lamingo", "iraffe",
                                          "edgehog",  "guana",  "aguar", "oala",   "eopard",  "eerkat",  "arwhal",
                                          "ctopus",   "enguin", "uail",  "accoon", "quirrel", "ortoise", "akari",
                                          "ulture",   "ombat",  "erus",  "ak",     "ebra"};
static const char *const FOOD[WORDS] = {
    "sparagus", "lueberries", "innamon", "umplings", "ggplant",   "alafel", "ranola",  "azelnuts", "ce cream",
    "am",       "iwi",        "asagne",  "ushrooms", "oodles",    "range",  "ancakes", "uinoa",    "avioli",
    "paghetti", "omato",      "don",     "anilla",   "atermelon", "igua",   "oghurt",  "ucchini"};

static void words_map(int32_t map[V * LONGEST])
{
    memset(map, 0, sizeof *map * V * LONGEST); /* id 0 is the blank: padding, and the answer to all else */
    for (int w = 0; w < WORDS; w++)
        for (int i = 0; i < LONGEST; i++) {
            if (i < (int)strlen(ANIMAL[w])) map[('A' + w - FIRST) * LONGEST + i] = ANIMAL[w][i] - FIRST;
            if (i < (int)strlen(FOOD[w])) map[('a' + w - FIRST) * LONGEST + i] = FOOD[w][i] - FIRST;
        }
}

/* The table as ten virtual tokens; 'b' has to give its food.  In F32 at the temperature of the run. */
static bool words(Run *r, Arena *step)
{
    int32_t map[V * LONGEST];
    words_map(map);
    BuiltAttention how = {BY_LENGTH, run_real(r, "t")};
    Net net = many_tokens_map_net(step, V, LONGEST);
    int32_t *y = arena_take(step, sizeof *y * V * LONGEST);
    answer(step, &net, &COLUMN[1], how, map, 1, LONGEST, y);
    char said[LONGEST + 1] = "";
    for (int i = 0; i < LONGEST; i++) said[i] = (char)(y[('b' - FIRST) * LONGEST + i] + FIRST);
    bool exact = !memcmp(y, map, sizeof *y * V * LONGEST);
    run_metric(r, RANGE_SHARE, "table of words exact", 0, exact);
    run_note(r, "A table of 52 words in ten vectors: 'b' is continued by \"%s\", and %s.", said,
             exact ? "all other 93 answers agree" : "some of the others are WRONG");
    return exact && !strcmp(said, "lueberries");
}

/* ---- temperature ---- */

static Status lowest_temperature(double *lowest, Run *r, Arena *step)
{
    int64_t v = run_int(r, "v"), answers = run_int(r, "answers"), n = run_int(r, "bisect");
    int32_t *map = random_maps(step, run_seed(r, 0), n, v, answers);
    double low = 0, high = run_real(r, "t");
    while (high - low > 0.01 * high) {
        if (run_stopped()) return run_interrupted();
        double t = (low + high) / 2;
        *(reproduced(step, &COLUMN[1], (BuiltAttention){BY_LENGTH, t}, map, n, v, answers) == n ? &high : &low) = t;
    }
    *lowest = high;
    return OK;
}

/* ---- the figure ---- */

/* The attention of the two heads while 'b' is answered. The rows below the user's token count. */
static Status draw_heads(Run *r, Arena *step)
{
    enum { ANSWERS = 5, P = 2 * ANSWERS };
    static const char word[] = "lueberries";
    Arena *a = run_arena(r);
    int32_t map[V * ANSWERS] = {0}, said[ANSWERS];
    for (int i = 0; i < ANSWERS; i++) map[('b' - FIRST) * ANSWERS + i] = said[i] = word[i] - FIRST;
    Net net = many_tokens_map_net(step, V, ANSWERS);
    Tensor x = tensor_zero(step, F64, SHAPE(1, P, V + P)), seen[MAX_HEADS], rows[2];
    lay_out(tensor_at(x, 0), map, V, ANSWERS, 'b' - FIRST, said);
    construct_maps(step, &net, x, (BuiltAttention){BY_LENGTH, run_real(r, "t")}, 0, seen);
    const char *label[P];
    for (int i = 0; i < P; i++)
        label[i] = i < ANSWERS    ? str_print(a, "s%d", i)
                   : i == ANSWERS ? "b"
                                  : str_print(a, "%c", word[i - ANSWERS - 1]);
    Span span[] = {{0, ANSWERS, "virtual"}, {ANSWERS, P, "user, answer"}};
    HeatStyle style[2];
    for (int h = 0; h < 2; h++) {
        rows[h] = tensor_rows(seen[h], ANSWERS, ANSWERS);
        style[h] = (HeatStyle){.title = h ? "head \"user token\"" : "head \"N0 back\"",
                               .letter = h ? "b" : "a",
                               .hi = 1,
                               .row = label + ANSWERS,
                               .col = label,
                               .col_span = span,
                               .col_spans = 2,
                               .bar = h == 1};
    }
    Fig *f = run_figure(
        r, "heads",
        "Attention of the two heads while the user's token b is answered. Row by row the first walks through the "
        "virtual tokens, the second stays with the user's token; generated letters are never attended to.",
        400, 128);
    fig_heatmaps(f, fig_whole(f), 2, rows, style);
    return fig_close(f);
}

/* ---- the experiment ---- */

static Status run(Run *r)
{
    Arena step = arena_open(0);
    Count count[COLUMNS];
    int64_t good = 0, wanted = 0, random = 0, asked = 0, n = run_int(r, "random");
    TRY(run_parallel(r, COLUMNS, sizeof *count, exhaust, NULL, count));
    for (int i = 0; i < COLUMNS; i++) {
        good += count[i].good, wanted += count[i].total;
        run_metric(r, RANGE_SHARE, str_print(run_arena(r), "every map, share exact, %s", COLUMN[i].name), 0,
                   (double)count[i].good / (double)count[i].total);
        if (COLUMN[i].rounded) continue;
        random += count[i].random, asked += n;
        run_metric(r, RANGE_SHARE, str_print(run_arena(r), "random maps, share exact, %s", COLUMN[i].name), 0,
                   (double)count[i].random / (double)n);
    }
    bool spelt = words(r, &step);
    double lowest = 0;
    TRY(lowest_temperature(&lowest, r, &step));
    run_metric(r, RANGE_EXTREME, "lowest T", 0, lowest);
    TRY(draw_heads(r, &step));
    arena_close(&step);
    run_note(r, "The random maps are not tried in F16, where V = 94 is beyond the vocabulary that the tangents can "
                "distinguish.");
    run_verdict(r, good == wanted && random == asked && spelt ? SUPPORTED : NOT_SUPPORTED,
                "%g %% of all %lld maps of (V,N0) = (2,1), (2,2), (2,3), (3,1), (3,2) are reproduced in each of F64, "
                "F32, F16 and hard-max; of %lld random maps with V = %lld, N0 = %lld %g %% in F64, F32 and hard-max; "
                "'b' %s; T = %g would do (T = %g used).",
                100 * (double)good / (double)wanted, (long long)count[0].total, (long long)n,
                (long long)run_int(r, "v"), (long long)run_int(r, "answers"), 100 * (double)random / (double)asked,
                spelt ? "is continued by \"lueberries\"" : "is continued WRONGLY", lowest, run_real(r, "t"));
    return OK;
}

static const Setting SETTINGS[] = {
    {"v", "vocabulary of the random maps", {"94", NULL, NULL}, 2, 500},
    {"answers", "answer length N0 of the random maps", {"3", "10", "10"}, 1, 32},
    {"random", "number of random maps", {"1", "10", "20"}, 1, 10000},
    {"bisect", "random maps that the lowest temperature has to get right", {"1", "2", "5"}, 1, 1000},
    {"t",
     "inverse temperature; logits are divided by the square root of the current length",
     {"100", NULL, NULL},
     1,
     1e4},
    {0}};

static const Experiment MANY_TOKENS_MAP = {
    .group = "theory",
    .name = "many-tokens-map",
    .title = "N0 virtual tokens can carry any map to answers of N0 tokens",
    .claim =
        "There is one fixed transformer that answers the N0 tokens m(x) to the token x for every one of the V^(V N0) "
        "maps m, each map given by N0 virtual tokens.",
    .method =
        "The construction answers every input of every map for five small sizes in F64, F32, F16 and with hard-max "
        "attention, random maps with V = 94, and a table of words.",
    .expect = "Every map exact; the table continues b by lueberries.",
    .cost = "smoke a second, quick three seconds, paper six seconds",
    .source = "Petrov, Torr, Bibi (ICLR 2024), section 3",
    .settings = SETTINGS,
    .exact = true,
    .run = run};
REGISTER(experiment, MANY_TOKENS_MAP)
