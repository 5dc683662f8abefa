/* theory/norm-bound: LayerNorm before attention bounds the mass that a tied prefix can take.
 *
 * Claim    A virtual token whose key comes from a vector through LayerNorm and W_K has a bounded logit: LayerNorm
 *          fixes the vector's length. For a query q the logit is at most L(q) below, and m virtual tokens take at
 *          most m e^L / (m e^L + Z) of the attention, Z being the content's sum.  The bound is reached.  Free keys,
 *          and tied ones without LayerNorm, have no bound: their mass goes to 1 as the vector grows.
 * Method   Random one-layer decoders in F64.  For single queries the maximiser below is put into all virtual tokens,
 *          at lengths over six decades, for each kind of prefix; the mass is read from the running net and compared
 *          with the formula.  Random prefixes of all lengths are compared with the bound of every query.
 * Expect   Tied: the measured mass is the formula's to rounding at every length that is large against LayerNorm's
 *          eps; no random prefix exceeds it.  Free and bare: the mass exceeds the bound and reaches 1.
 * Cost     a second; ten seconds; a minute.
 * Source   The prefixes of Petrov, Torr and Bibi (ICLR 2024) pass through LayerNorm in all of their experiments
 *          except one; the bound is elementary.
 *
 * Proof    LayerNorm maps s to g * n + b with n = (s - mean) / sd: of mean 0 and length sqrt(d), any direction.  With
 *          u = g * W_K'q the logit is (n.u + q.(W_K b + b_K)) / sqrt(D), largest where n is along u less its mean,
 *          u_0:  L(q) = (sqrt(d) |u_0| + q.(W_K b + b_K)) / sqrt(D).  Every virtual token adds at most e^L to the
 *          denominator.
 *
 * Not shown: one vector serves one query and one head here; a prefix has to serve all of them at once. */
#include <math.h>

#include "base/rng.h"
#include "base/str.h"
#include "measure/observe.h"
#include "num/stats.h"
#include "plot/plot.h"
#include "run/experiment.h"
#include "theory/subject.h"

enum { DIM = 32, HEADS = 4, HEAD_DIM = DIM / HEADS, TOKENS = 12, ROWS = 8, LENGTHS = 13 };
typedef enum { FREE, BARE, TIED, KINDS } Kind;
static const char *const KIND[KINDS] = {"free", "tied, no norm", "tied"};

static double length_of(int i) /* 10^-2 .. 10^4 */
{
    return pow(10, -2 + 0.5 * i);
}

/* ---- a net, its queries, and the scores of its content */

typedef struct {
    double sd; /* of the weights */
    int slots;
} Plan;

typedef struct {
    Subject s;
    Tensor q;      /* (B,T,H*D) */
    Tensor scores; /* (B,H,T,T) of the content */
    Tensor wk, bk; /* (DIM,DIM) with a row per key coordinate; (DIM) */
    Tensor gain, bias;
    Tensor slots; /* of the prefix: (m,DIM) vectors, or keys where free */
} Net;

static Status open_net(Net *n, Arena *run, Kind kind, uint64_t seed, Plan p)
{
    NetShape shape = {.dim = DIM, .heads = HEADS, .layers = 1, .vocab = 32, .tokens = TOKENS, .rows = ROWS};
    shape.bare = kind == BARE, shape.init_sd = p.sd;
    TRY(subject_random(&n->s, run, shape, F64, seed));
    Model *m = n->s.m;
    if (kind != BARE) { /* as if LayerNorm had been trained */
        Param *g = param_find(m->params, "h.0.ln_1.weight");
        for (int64_t i = 0; i < DIM; i++)
            tensor_set(g->val, i, exp(0.3 * rng_normal(rng_stream(seed, "gain"), (uint64_t)i)));
        n->gain = g->val, n->bias = param_find(m->params, "h.0.ln_1.bias")->val;
    }
    const Linear *k = model_linear(m, (Where){SITE_K, 0, PART_DECODER});
    n->wk = tensor_new(run, F64, SHAPE(DIM, DIM)), n->bk = tensor_new(run, F64, SHAPE(DIM));
    for (int64_t i = 0; i < DIM * DIM; i++) /* c_attn is stored (in,out) */
        tensor_set(n->wk, i, tensor_get(k->w->val, i % DIM * 3 * DIM + k->first + i / DIM));
    for (int64_t i = 0; i < DIM; i++) tensor_set(n->bk, i, tensor_get(k->b->val, k->first + i));

    static const Where at[] = {{SITE_Q, 0, PART_DECODER}, {SITE_SCORES, 0, PART_DECODER}};
    Tensor seen[2];
    observe_many(seen, run, m, NULL, &n->s.batch, at, 2);
    n->q = seen[0], n->scores = seen[1];
    TRY(subject_prefix(&n->s, run, kind == FREE ? PREFIX_FREE : PREFIX_TIED, p.slots, 1));
    const char *name = kind == FREE ? "peft.prefix.decoder.layer.0.keys" : "peft.prefix.decoder.layer.0.slots";
    n->slots = param_find(m->params, name)->val;
    return OK;
}

typedef struct {
    int64_t b, h, i;
} Query;

static Query query_at(int64_t flat) /* of (B,H,T) */
{
    return (Query){flat / (HEADS * TOKENS), flat / TOKENS % HEADS, flat % TOKENS};
}

static double log_z(const Net *n, Query x) /* log of the sum over the content of e^score */
{
    double sum = 0;
    for (int64_t j = 0; j <= x.i; j++)
        sum += exp(tensor_get(n->scores, ((x.b * HEADS + x.h) * TOKENS + x.i) * TOKENS + j));
    return log(sum);
}

static double q_of(const Net *n, Query x, int64_t c)
{
    return tensor_get(n->q, (x.b * TOKENS + x.i) * DIM + x.h * HEAD_DIM + c);
}

/* ---- the formula */

/* u = g * W_K'q, without its mean where there is LayerNorm: the direction in which a vector's logit grows fastest. */
static void best_direction(double u[DIM], const Net *n, Query x)
{
    double mean = 0;
    for (int64_t j = 0; j < DIM; j++) {
        u[j] = 0;
        for (int64_t c = 0; c < HEAD_DIM; c++)
            u[j] += tensor_get(n->wk, (x.h * HEAD_DIM + c) * DIM + j) * q_of(n, x, c);
        if (n->gain.data) u[j] *= tensor_get(n->gain, j);
        mean += u[j] / DIM;
    }
    for (int64_t j = 0; j < DIM && n->gain.data; j++) u[j] -= mean;
}

static double norm_of(const double *x, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += x[i] * x[i];
    return sqrt(sum);
}

static double most_logit(const Net *n, Query x) /* L(q) */
{
    double u[DIM], fixed = 0;
    best_direction(u, n, x);
    for (int64_t c = 0; c < HEAD_DIM; c++) {
        int64_t row = x.h * HEAD_DIM + c;
        double key = tensor_get(n->bk, row);
        for (int64_t j = 0; j < DIM; j++) key += tensor_get(n->wk, row * DIM + j) * tensor_get(n->bias, j);
        fixed += q_of(n, x, c) * key;
    }
    return (sqrt(DIM) * norm_of(u, DIM) + fixed) / sqrt(HEAD_DIM);
}

static double bound(const Net *n, Query x, int slots)
{
    return 1 / (1 + exp(log_z(n, x) - most_logit(n, x)) / slots);
}

/* ---- the measurement */

/* All virtual tokens the same: the best direction at a length.  Free: the head's part of the key along the query. */
static void aim(Net *n, Kind kind, Query x, double length)
{
    double u[DIM] = {0};
    if (kind == FREE)
        for (int64_t c = 0; c < HEAD_DIM; c++) u[x.h * HEAD_DIM + c] = q_of(n, x, c);
    else
        best_direction(u, n, x);
    double norm = norm_of(u, DIM);
    for (int64_t i = 0; i < tensor_count(n->slots); i++) tensor_set(n->slots, i, length * u[i % DIM] / norm);
}

static Tensor masses(Arena *run, const Net *n) /* (B,H,T) on the prefix */
{
    const Seen *seen = subject_observe(&n->s, run);
    return measure_alpha(run, (Map){.seen = seen, .extra = n->s.slots});
}

typedef struct {
    double off;                  /* tied: largest |measured - formula| / formula, at lengths from 1000 on */
    double mass[KINDS][LENGTHS]; /* mean over the queries */
    double bound;                /* mean over the queries */
    int64_t above, tried;        /* random tied prefixes: query by query, how many masses exceed the bound */
    double nearest;              /* the largest share of its bound that one of them reached */
} Found;

static Status aimed(Run *r, Found *out, Kind kind, uint64_t seed, Plan p)
{
    Arena run = arena_open(0), step = arena_open(0);
    Net n = {0};
    int queries = (int)run_int(r, "queries");
    TRY(open_net(&n, &run, kind, seed, p));
    ArenaMark mark = arena_mark(&run);
    for (int k = 0; k < queries; k++) {
        int64_t flat = (int64_t)rng_below(rng_stream(seed, "queries"), (uint64_t)k, ROWS * HEADS * TOKENS);
        Query x = query_at(flat);
        double b = kind == TIED ? bound(&n, x, p.slots) : 0;
        out->bound += b / queries;
        for (int i = 0; i < LENGTHS; i++) {
            aim(&n, kind, x, length_of(i));
            double mass = tensor_get(masses(&run, &n), flat);
            out->mass[kind][i] += mass / queries;
            if (kind == TIED && length_of(i) > 900) out->off = fmax(out->off, fabs(mass / b - 1));
            arena_drop(&run, mark);
        }
    }
    arena_close(&run);
    arena_close(&step);
    return OK;
}

static Status at_random(Run *r, Found *out, uint64_t seed, Plan p)
{
    Arena run = arena_open(0), step = arena_open(0);
    Net n = {0};
    TRY(open_net(&n, &run, TIED, seed, p));
    double *limit = NEW(&run, double, ROWS *HEADS *TOKENS);
    for (int64_t i = 0; i < ROWS * HEADS * TOKENS; i++) limit[i] = bound(&n, query_at(i), p.slots);
    ArenaMark mark = arena_mark(&run);
    for (int k = 0; k < (int)run_int(r, "draws"); k++) {
        normal_fill(n.s.m, "peft.prefix.*", length_of(k % LENGTHS), rng_mix(seed, (uint64_t)k));
        Tensor mass = masses(&run, &n);
        for (int64_t i = 0; i < ROWS * HEADS * TOKENS; i++, out->tried++) {
            double share = tensor_get(mass, i) / limit[i];
            out->above += share > 1 + 1e-12;
            out->nearest = fmax(out->nearest, share);
        }
        arena_drop(&run, mark);
    }
    arena_close(&run);
    arena_close(&step);
    return OK;
}

/* ---- figure */

static Series curve(Arena *a, int n, const char *label)
{
    return (Series){.x = tensor_new(a, F64, SHAPE(n)), .y = tensor_new(a, F64, SHAPE(n)), .label = label};
}

typedef struct { /* found[(seed * scales + scale) * counts + count] */
    double scale[RUN_LIST], slots[RUN_LIST];
    int scales, counts, seeds;
    Found *found;
} Grid;

static Found *at(const Grid *g, int seed, int scale, int count)
{
    return &g->found[(seed * g->scales + scale) * g->counts + count];
}

/* Mass by length, in the nets of the middle scale, with the first number of virtual tokens. */
static void draw_lengths(Fig *f, Rect where, Arena *a, const Grid *g)
{
    Series line[KINDS + 1];
    for (int k = 0; k <= KINDS; k++) line[k] = curve(a, LENGTHS, k < KINDS ? KIND[k] : "bound");
    line[KINDS].dashed = true;
    for (int i = 0; i < LENGTHS; i++)
        for (int k = 0; k <= KINDS; k++) {
            double sum = 0;
            for (int s = 0; s < g->seeds; s++) {
                const Found *x = at(g, s, g->scales / 2, 0);
                sum += (k < KINDS ? x->mass[k][i] : x->bound) / g->seeds;
            }
            tensor_set(line[k].x, i, length_of(i));
            tensor_set(line[k].y, i, sum);
        }
    fig_lines(f, where, KINDS + 1, line,
              (PlotStyle){.letter = "a",
                          .x = {.title = "length of the vector", .log = true},
                          .y = {.title = "prefix mass", .hi = 1.05}});
}

/* Mass of the longest tied vector by number of virtual tokens, for each scale of the weights; the bound as a dashed
 * line. */
static void draw_slots(Fig *f, Rect where, Arena *a, const Grid *g)
{
    Series line[2 * RUN_LIST];
    for (int c = 0; c < g->scales; c++) {
        Series *measured = &line[c], *limit = &line[g->scales + c];
        *measured = curve(a, g->counts, str_print(a, "weights %g", g->scale[c]));
        *limit = curve(a, g->counts, NULL);
        measured->marked = limit->dashed = true;
        measured->colour = limit->colour = c + 1;
        for (int j = 0; j < g->counts; j++) {
            double sum[2] = {0};
            for (int s = 0; s < g->seeds; s++) {
                sum[0] += at(g, s, c, j)->mass[TIED][LENGTHS - 1] / g->seeds;
                sum[1] += at(g, s, c, j)->bound / g->seeds;
            }
            tensor_set(measured->x, j, log2(g->slots[j])), tensor_set(measured->y, j, sum[0]);
            tensor_set(limit->x, j, log2(g->slots[j])), tensor_set(limit->y, j, sum[1]);
        }
    }
    fig_lines(f, where, 2 * g->scales, line,
              (PlotStyle){.letter = "b",
                          .x = {.title = "log2 of virtual tokens"},
                          .y = {.title = "prefix mass", .hi = 1.05}});
}

static Status draw(Run *r, const Grid *g)
{
    Fig *f = run_figure(
        r, "mass",
        str_print(run_arena(r),
                  "Mass that a prefix takes from one query when all its virtual tokens are aimed at it. (a) %g "
                  "virtual token, weights of sd %g, by the length of the vector or free key: through LayerNorm, "
                  "length does not matter once it exceeds LayerNorm's eps. (b) Tied through LayerNorm, by "
                  "number of virtual tokens, for weights of several sd; dashed, the bound. Means over %d queries "
                  "each of %d %s.",
                  g->slots[0], g->scale[g->scales / 2], (int)run_int(r, "queries"), g->seeds,
                  str_plural(g->seeds, "seed", "seeds")),
        500, 200);
    draw_lengths(f, fig_cell(f, 1, 2, 0), run_arena(r), g);
    draw_slots(f, fig_cell(f, 1, 2, 1), run_arena(r), g);
    return fig_close(f);
}

/* ---- the experiment */

static Status one_net(Run *r, const Grid *g, int seed, int scale, int count)
{
    Found *f = at(g, seed, scale, count);
    Plan p = {g->scale[scale], (int)g->slots[count]};
    for (int k = 0; k < KINDS; k++)
        if (k == TIED || !count) TRY(aimed(r, f, (Kind)k, run_seed(r, seed), p));
    TRY(at_random(r, f, run_seed(r, seed), p));
    const char *net = str_print(run_arena(r), "weights %g, virtual tokens %d", p.sd, p.slots);
    run_metric(r, RANGE_SHARE, str_print(run_arena(r), "%s: bound on the mass, mean", net), seed, f->bound);
    run_metric(r, RANGE_SHARE, str_print(run_arena(r), "%s: mass, aimed, mean", net), seed,
               f->mass[TIED][LENGTHS - 1]);
    run_metric(r, RANGE_EXTREME, str_print(run_arena(r), "%s: largest share of its bound, at random", net), seed,
               f->nearest);
    return OK;
}

static Status run(Run *r)
{
    Grid g = {.seeds = run_seeds(r)};
    g.scales = run_list(r, "weights", g.scale), g.counts = run_list(r, "slots", g.slots);
    int n = g.seeds * g.scales * g.counts;
    g.found = NEW(run_arena(r), Found, n);
    double off = 0, nearest = 0, least = 1, mean = 0;
    int64_t above = 0, tried = 0;
    for (int i = 0; i < n; i++) {
        if (run_stopped()) return run_interrupted();
        int count = i % g.counts, scale = i / g.counts % g.scales;
        TRY(one_net(r, &g, i / (g.counts * g.scales), scale, count));
        const Found *f = &g.found[i];
        off = fmax(off, f->off), nearest = fmax(nearest, f->nearest);
        above += f->above, tried += f->tried;
        for (int k = FREE; k <= BARE && !count; k++) least = fmin(least, f->mass[k][LENGTHS - 1]);
        if (!count && scale == g.scales / 2) mean += f->bound / g.seeds;
        run_progress(r, "nets", i + 1, n, NAN);
    }
    TRY(draw(r, &g));
    run_verdict(r, off < 1e-8 && !above && least > 0.999 ? SUPPORTED : NOT_SUPPORTED,
                "A tied prefix behind LayerNorm takes exactly the mass of the formula (relative distance %.0e): with "
                "%g virtual token and weights of sd %g, %.2f of a query's attention on average, however long its "
                "vector. %lld of %lld masses of random prefixes exceed the bound (at most %.3f of it). Free keys, "
                "and virtual tokens without LayerNorm, take at least %.6f.",
                off, g.slots[0], g.scale[g.scales / 2], mean, (long long)above, (long long)tried, nearest, least);
    return OK;
}

static const Setting SETTINGS[] = {
    {"weights", "standard deviations of the weights", {"0.05,0.1,0.2", NULL, NULL}, 1e-3, 1},
    {"slots", "prefix lengths", {"1,4", "1,2,4,8,16,32,64", NULL}, 1, 256},
    {"queries", "queries aimed at, in each net", {"4", "16", "64"}, 1, 384},
    {"draws", "random prefixes of each net", {"13", "52", "260"}, 1, 1e5},
    {0}};

static const Experiment NORM_BOUND = {
    .group = "theory",
    .name = "norm-bound",
    .title = "LayerNorm bounds the mass of a tied prefix",
    .claim = "Virtual tokens that pass through LayerNorm before attention take at most m e^L / (m e^L + Z) of a "
             "query's attention, with L in closed form and reached; free ones, and tied ones without LayerNorm, can "
             "take all of it.",
    .method =
        "The maximising vector for single queries, put into all virtual tokens of random one-layer nets at lengths "
        "over six decades; the mass read from the net against the formula; random prefixes against the bound.",
    .expect = "Equality for tied virtual tokens, no random prefix above the bound, mass 1 for the other two kinds.",
    .cost = "smoke a second, quick ten seconds, paper a minute",
    .source = "Petrov, Torr, Bibi (ICLR 2024) let prefixes pass through LayerNorm; the bound is elementary",
    .settings = SETTINGS,
    .seeds = {1, 3, 10},
    .exact = true,
    .run = run};
REGISTER(experiment, NORM_BOUND)
