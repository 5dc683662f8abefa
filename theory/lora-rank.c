/* theory/lora-rank: how much rank a frozen network needs to become another one.
 *
 * Claim    Linear nets: with a rank-R update in each of L frozen layers, the best spectral error for a target W is
 *          sigma_{RL+1}(W - W_L..W_1), and it is reached.  ReLU nets: every target of depth T and hidden size at most
 *          D is matched by a frozen net of depth L with rank ceil(D T / L) per layer and free biases.
 * Method   Linear: updates written down layer by layer from one SVD, every R, checked against the singular values;
 *          random updates of the same rank against the bound that makes this optimal.  ReLU: the same updates behind
 *          biases that keep every activation positive, then gradient LoRA with and without biases, and full tuning of
 *          the last layer, each on fresh normal inputs.
 * Expect   Linear error equal to sigma_{RL+1} to 1e-6.  The ReLU construction is exact from the threshold on and not
 *          below it.  The result of gradient descent is reported, not predicted.
 * Cost     a second; under a minute; twenty minutes.
 * Source   Zeng and Lee, "The expressive power of low-rank adaptation", ICLR 2024.
 *
 * Linear   Let E = U S V' be the difference and E_l the l-th block of R singular directions.  Telescoping,
 *          prod(W_l + D_l) = prod W_l + sum_l (W_L..W_{l+1}) D_l (W'_{l-1}..W'_1), W' being the updated layers.
 *          So D_l = (W_L..W_{l+1})^-1 E_l (W'_{l-1}..W'_1)^-1 adds block l and has rank R.  No updates do better: the
 *          difference of the two products has rank at most RL, and Eckart and Young name the best of those.
 * ReLU     Cut the frozen layers into T groups of M = L/T.  In a group all activations but the last are kept positive
 *          by large biases, so the group is the linear case with one target layer; its last bias subtracts the sum
 *          that the others added.  The input has to be bounded: here, the points that are tested.
 * Not shown  That training finds the construction; attention layers, where W_K and W_Q share the work. */
#include <math.h>

#include "base/rng.h"
#include "base/str.h"
#include "num/linalg.h"
#include "plot/plot.h"
#include "run/experiment.h"
#include "theory/dense.h"
#include "theory/fit.h"

enum { WIDTH = 16, MOST_LAYERS = 8, MOST_RANKS = WIDTH, SIZES = 4 };

/* ---- the construction ---- */

/* W_{to-1} .. W_from; the identity when there are none. */
static Tensor chain(Arena *a, int64_t dim, const Tensor *w, int from, int to)
{
    Tensor p = dense_identity(a, dim);
    for (int l = from; l < to; l++) p = dense_product(a, w[l], p);
    return p;
}

/* Directions first..first+n-1 of an SVD; none beyond the last. */
static Tensor block(Arena *a, const Svd *svd, int64_t first, int64_t n)
{
    int64_t d = tensor_count(svd->s), last = first + n < d ? first + n : d;
    Tensor e = tensor_zero(a, F64, SHAPE(d, d));
    for (int64_t k = first; k < last; k++)
        for (int64_t i = 0; i < d * d; i++)
            tensor_set(e, i,
                       tensor_get(e, i) + tensor_get(svd->s, k) * tensor_get(svd->u, i / d * d + k) *
                                              tensor_get(svd->vt, k * d + i % d));
    return e;
}

/* out = left^-1 e right^-1 */
static Status between(Tensor *out, Arena *a, Tensor left, Tensor e, Tensor right)
{
    Tensor half, flipped;
    TRY(dense_solve(&half, a, left, e));
    TRY(dense_solve(&flipped, a, dense_transpose(a, right), dense_transpose(a, half)));
    *out = dense_transpose(a, flipped);
    return OK;
}

/* The updated layers; *sigma gets the singular values of target - product. */
static Status construct(Tensor *updated, Tensor *sigma, Arena *a, const Tensor *w, int layers, Tensor target,
                        int rank)
{
    int64_t d = target.dim[0];
    Svd svd;
    TRY(linalg_svd(&svd, a, dense_sum(a, target, -1, chain(a, d, w, 0, layers))));
    for (int l = 0; l < layers; l++) {
        Tensor update;
        TRY(between(&update, a, chain(a, d, w, l + 1, layers), block(a, &svd, (int64_t)l * rank, rank),
                    chain(a, d, updated, 0, l)));
        updated[l] = dense_sum(a, w[l], 1, update);
    }
    *sigma = svd.s;
    return OK;
}

/* ---- linear nets ---- */

typedef struct {
    int dim, layers;
} Size;
static const Size SIZE[SIZES] = {{8, 1}, {8, 2}, {8, 4}, {16, 2}};

typedef struct { /* of one size: error and prediction per rank, relative to sigma_1; the rank random updates add */
    double error[MOST_RANKS], predicted[MOST_RANKS];
    bool bounded; /* no random update added more than RL directions */
} Linear;

static Status linear_rank(Linear *out, Arena *a, const Tensor *w, Size size, Tensor target, int rank, uint64_t stream)
{
    Tensor updated[MOST_LAYERS], random[MOST_LAYERS], sigma, s;
    TRY(construct(updated, &sigma, a, w, size.layers, target, rank));
    double error, top = tensor_get(sigma, 0);
    TRY(dense_norm(&error, a, dense_sum(a, target, -1, chain(a, size.dim, updated, 0, size.layers))));
    out->error[rank - 1] = error / top;
    out->predicted[rank - 1] = rank * size.layers < size.dim ? tensor_get(sigma, rank * size.layers) / top : 0;
    for (int l = 0; l < size.layers; l++) {
        uint64_t mine = rng_mix(stream, (uint64_t)(rank * MOST_LAYERS + l));
        Tensor b = dense_normal(a, size.dim, rank, 1, rng_mix(mine, 0)),
               c = dense_normal(a, rank, size.dim, 1, rng_mix(mine, 1));
        random[l] = dense_sum(a, w[l], 1, dense_product(a, b, c));
    }
    Tensor moved =
        dense_sum(a, chain(a, size.dim, random, 0, size.layers), -1, chain(a, size.dim, w, 0, size.layers));
    TRY(linalg_singular(&s, a, moved));
    out->bounded &= linalg_rank(s, 1e-11) <= rank * size.layers;
    return OK;
}

static Status linear(Linear *out, Size size, uint64_t seed)
{
    Arena a = arena_open(0);
    uint64_t stream = rng_mix(rng_stream(seed, "linear"), (uint64_t)(size.dim * MOST_LAYERS + size.layers));
    Tensor w[MOST_LAYERS];
    for (int l = 0; l < size.layers; l++)
        w[l] = dense_normal(&a, size.dim, size.dim, 0.5, rng_mix(stream, (uint64_t)l));
    Tensor target = dense_normal(&a, size.dim, size.dim, 0.5, rng_mix(stream, MOST_LAYERS));
    out->bounded = true;
    for (int rank = 1; rank <= size.dim; rank++)
        TRY(linear_rank(out, &a, w, size, target, rank, rng_mix(stream, MOST_LAYERS + 1)));
    arena_close(&a);
    return OK;
}

/* ---- ReLU nets ---- */

typedef struct {
    int layers;
    Tensor w[MOST_LAYERS], b[MOST_LAYERS]; /* (D,D), (D) */
} Net;

static Net random_net(Arena *a, int layers, uint64_t stream)
{
    Net net = {.layers = layers};
    for (int l = 0; l < layers; l++) {
        net.w[l] = dense_normal(a, WIDTH, WIDTH, 0.5, rng_mix(stream, (uint64_t)(2 * l)));
        net.b[l] =
            tensor_reshape(dense_normal(a, 1, WIDTH, 0.5, rng_mix(stream, (uint64_t)(2 * l + 1))), SHAPE(WIDTH));
    }
    return net;
}

/* The net's output on x (N,D).  A layer's update A B (D,R)(R,D) and another bias replace it where given. */
static Var *forward(Tape *t, const Net *net, Tensor x, Param *const *down, Param *const *up, Param *const *bias)
{
    Var *h = tape_leaf(t, x);
    for (int l = 0; l < net->layers; l++) {
        Var *b = bias && bias[l] ? tape_param(t, bias[l]) : tape_leaf(t, net->b[l]);
        Var *y = op_linear(t, h, tape_leaf(t, net->w[l]), OUT_IN, b, ACT_NONE);
        if (down && down[l]) {
            Var *low = op_linear(t, h, tape_param(t, down[l]), OUT_IN, NULL, ACT_NONE);
            y = op_add(t, y, 1, op_linear(t, low, tape_param(t, up[l]), OUT_IN, NULL, ACT_NONE));
        }
        h = op_act(t, ACT_RELU, y);
    }
    return h;
}

static Tensor output(Arena *a, const Net *net, Tensor x)
{
    return forward(tape_open(a, false), net, x, NULL, NULL, NULL)->val;
}

static double per_output(Tensor y, Tensor target) /* mean squared error of an entry */
{
    double sum = 0;
    for (int64_t i = 0; i < tensor_count(y); i++) sum += pow(tensor_get(y, i) - tensor_get(target, i), 2);
    return sum / (double)tensor_count(y);
}

/* max over points and coordinates of |p x|, x (N,D) */
static double reach(Arena *a, Tensor p, Tensor x)
{
    Tensor y = dense_product(a, x, dense_transpose(a, p));
    return dense_gap(y, tensor_zero(a, F64, 2, y.dim));
}

/* The frozen net with the constructed updates and biases, exact on the points x where the rank allows. */
static Status constructed(Net *out, Arena *a, const Net *frozen, const Net *target, Tensor x, int rank)
{
    *out = *frozen;
    int m = frozen->layers / target->layers;
    for (int g = 0; g < target->layers; g++) {
        Tensor *w = out->w + g * m, *b = out->b + g * m, sigma;
        TRY(construct(w, &sigma, a, frozen->w + g * m, m, target->w[g], rank));
        Tensor put_on = tensor_zero(a, F64, SHAPE(WIDTH, 1));
        for (int l = 0; l < m; l++) {
            put_on = dense_product(a, w[l], put_on);
            double lift = 1.5 * reach(a, chain(a, WIDTH, w, 0, l + 1), x);
            b[l] = tensor_new(a, F64, SHAPE(WIDTH));
            for (int64_t i = 0; i < WIDTH; i++)
                tensor_set(b[l], i,
                           l < m - 1 ? lift : tensor_get(target->b[g], i) - tensor_get(put_on, i)); /* take it off */
            for (int64_t i = 0; i < WIDTH && l < m - 1; i++) tensor_set(put_on, i, tensor_get(put_on, i) + lift);
        }
        if (g + 1 < target->layers) {
            Net group = {.layers = m};
            for (int l = 0; l < m; l++) group.w[l] = w[l], group.b[l] = b[l];
            x = output(a, &group, x);
        }
    }
    return OK;
}

typedef enum { LORA_BIAS, LORA, LAST, BUILT, ARMS } Arm;
static const char *const ARM_NAME[ARMS] = {"LoRA and biases", "LoRA", "last layer", "construction"};

typedef struct { /* the data of a fit's loss */
    const Net *frozen, *target;
    Param *down[MOST_LAYERS], *up[MOST_LAYERS], *bias[MOST_LAYERS];
    int64_t batch;
    uint64_t data;
} Job;

static Var *distance(Tape *t, int64_t step, void *user)
{
    Job *j = user;
    Tensor x = dense_normal(tape_arena(t), j->batch, WIDTH, 1, rng_mix(j->data, (uint64_t)step));
    return op_mse(t, forward(t, j->frozen, x, j->down, j->up, j->bias), output(tape_arena(t), j->target, x));
}

/* Parameters of one method. LoRA's A starts at zero and B at N(0, 1/4), as published. */
static ParamSet *prepare(Job *j, Arena *a, Arm arm, int rank, uint64_t seed)
{
    ParamSet *ps = params_open(a, F64, seed);
    for (int l = 0; l < j->frozen->layers; l++) {
        bool here = arm == LAST ? l == j->frozen->layers - 1 : true;
        if (!here) continue;
        int64_t r = arm == LAST ? WIDTH : rank;
        j->down[l] = fit_param(ps, str_print(a, "down.%d", l), (Init){INIT_NORMAL, 0.5}, SHAPE(r, WIDTH));
        j->up[l] = fit_param(ps, str_print(a, "up.%d", l), (Init){INIT_ZERO, 0}, SHAPE(WIDTH, r));
        if (arm == LAST)
            for (int64_t i = 0; i < r * r; i++) tensor_set(j->down[l]->val, i, i % (r + 1) == 0);
        if (arm == LAST) j->down[l]->trainable = false; /* the identity: the update is any matrix */
        if (arm == LORA) continue;
        j->bias[l] = fit_param(ps, str_print(a, "bias.%d", l), (Init){INIT_ZERO, 0}, SHAPE(WIDTH));
        for (int64_t i = 0; i < WIDTH; i++) tensor_set(j->bias[l]->val, i, tensor_get(j->frozen->b[l], i));
    }
    return ps;
}

/* Test error of the rate that did best on other points. */
static Status trained(double *error, Run *r, const Net *frozen, const Net *target, Tensor x, Tensor check, Arm arm,
                      int rank, uint64_t seed)
{
    double lr[RUN_LIST], best = INFINITY;
    int rates = run_list(r, "lr", lr);
    *error = NAN;
    for (int i = 0; i < rates; i++) {
        Arena a = arena_open(0);
        Job j = {frozen, target, .batch = run_int(r, "batch"), .data = rng_stream(seed, "batches")};
        ParamSet *ps = prepare(&j, &a, arm, rank, seed);
        double loss;
        TRY(fit_descend(&loss, ps, distance, &j, (Fit){lr[i], run_int(r, "steps")}));
        Tape *t = tape_open(&a, false);
        double valid = per_output(forward(t, frozen, check, j.down, j.up, j.bias)->val, output(&a, target, check));
        if (valid < best) {
            best = valid;
            *error = per_output(forward(t, frozen, x, j.down, j.up, j.bias)->val, output(&a, target, x));
        }
        arena_close(&a);
    }
    return OK;
}

/* Job i: seed, depth, method and rank; last-layer tuning has one "rank". */
typedef struct {
    double depth[RUN_LIST], rank[RUN_LIST];
    int depths, ranks;
} Grid;

static int cell(const Grid *g, int seed, int depth, int arm, int rank)
{
    return ((seed * g->depths + depth) * ARMS + arm) * g->ranks + rank;
}

static Status one(Run *r, int i, void *out, void *user)
{
    const Grid *g = user;
    int k = i % g->ranks, arm = i / g->ranks % ARMS, d = i / g->ranks / ARMS % g->depths,
        seed = i / g->ranks / ARMS / g->depths;
    double *error = out;
    *error = NAN;
    if (arm == LAST && k) return OK;
    Arena a = arena_open(0);
    uint64_t stream = rng_mix(rng_stream(run_seed(r, seed), "nets"), (uint64_t)g->depth[d]);
    Net target = random_net(&a, (int)g->depth[d], rng_mix(stream, 1)),
        frozen = random_net(&a, 2 * target.layers, rng_mix(stream, 2)), net;
    Tensor x = dense_normal(&a, run_int(r, "test"), WIDTH, 1, rng_mix(stream, 3)),
           check = dense_normal(&a, run_int(r, "test"), WIDTH, 1, rng_mix(stream, 4));
    if (arm == BUILT) {
        TRY(constructed(&net, &a, &frozen, &target, x, (int)g->rank[k]));
        *error = per_output(output(&a, &net, x), output(&a, &target, x));
    } else {
        TRY(trained(error, r, &frozen, &target, x, check, (Arm)arm, (int)g->rank[k], run_seed(r, seed)));
    }
    arena_close(&a);
    run_progress(r, "ReLU nets", i, run_seeds(r) * g->depths * ARMS * g->ranks, *error);
    return OK;
}

/* ---- figures ---- */

static Status draw_linear(Run *r, const Linear found[SIZES])
{
    Arena *a = run_arena(r);
    Fig *f = run_figure(r, "linear",
                        "Linear nets, one random target per panel: spectral error of the constructed updates (dots) "
                        "and sigma_{RL+1} (dashed), relative to the error without updates. From R = D/L on both are "
                        "zero and leave the axis.",
                        500, 160);
    for (int s = 0; s < SIZES; s++) {
        Tensor x = tensor_zero(a, F64, SHAPE(SIZE[s].dim)), e = tensor_zero(a, F64, SHAPE(SIZE[s].dim)),
               p = tensor_zero(a, F64, SHAPE(SIZE[s].dim));
        for (int k = 0; k < SIZE[s].dim; k++) {
            tensor_set(x, k, k + 1);
            tensor_set(e, k, found[s].error[k] > 1e-9 ? found[s].error[k] : 0);
            tensor_set(p, k, found[s].predicted[k]);
        }
        Series line[] = {{.x = x, .y = e, .marked = true, .colour = 1},
                         {.x = x, .y = p, .dashed = true, .colour = 2}};
        RefLine edge = {SIZE[s].dim / SIZE[s].layers, "D/L", true};
        fig_lines(f, fig_cell(f, 1, SIZES, s), 2, line,
                  (PlotStyle){.title = str_print(a, "D = %d, L = %d", SIZE[s].dim, SIZE[s].layers),
                              .x = {.title = "rank R", .lo = 0, .hi = SIZE[s].dim},
                              .y = {.title = s ? NULL : "relative error", .lo = 1e-2, .hi = 1, .log = true},
                              .ref = &edge,
                              .refs = 1});
    }
    return fig_close(f);
}

/* Mean over seeds of log10 error; values below `floor` count as `floor`. */
static double mean_log(const Grid *g, const double *error, int seeds, int d, int arm, int k, double floor)
{
    double sum = 0;
    for (int s = 0; s < seeds; s++) sum += log10(fmax(floor, error[cell(g, s, d, arm, k)])) / seeds;
    return sum;
}

static Status draw_relu(Run *r, const Grid *g, const double *error, int seeds)
{
    Arena *a = run_arena(r);
    Fig *f = run_figure(r, "relu",
                        str_print(a,
                                  "ReLU nets of width %d, frozen depth twice the target's: test error by rank, "
                                  "geometric mean of %d %s. The construction is zero to rounding from the "
                                  "predicted rank on; errors below 1e-8 are drawn at 1e-8.",
                                  WIDTH, seeds, str_plural(seeds, "seed", "seeds")),
                        g->depths > 1 ? 500 : 300, 190);
    for (int d = 0; d < g->depths; d++) {
        static const Arm shown[] = {BUILT, LORA_BIAS, LORA};
        Series line[3];
        for (int i = 0; i < 3; i++) {
            Tensor x = tensor_new(a, F64, SHAPE(g->ranks)), y = tensor_new(a, F64, SHAPE(g->ranks));
            for (int k = 0; k < g->ranks; k++) {
                tensor_set(x, k, g->rank[k]);
                tensor_set(y, k, pow(10, mean_log(g, error, seeds, d, (int)shown[i], k, 1e-8)));
            }
            line[i] = (Series){.x = x, .y = y, .label = ARM_NAME[shown[i]], .marked = true};
        }
        RefLine ref[] = {{WIDTH / 2.0, "predicted", true},
                         {pow(10, mean_log(g, error, seeds, d, LAST, 0, 1e-8)), "last layer", false}};
        fig_lines(f, fig_cell(f, 1, g->depths, d), 3, line,
                  (PlotStyle){.title = str_print(a, "target depth %g", g->depth[d]),
                              .x = {.title = "rank per layer", .lo = 0, .hi = WIDTH},
                              .y = {.title = d ? NULL : "mean squared error", .log = true},
                              .ref = ref,
                              .refs = 2});
    }
    return fig_close(f);
}

/* ---- the experiment ---- */

static Status linear_part(Run *r, double *worst, bool *bounded)
{
    Linear *found = NEW(run_arena(r), Linear, SIZES);
    *worst = 0, *bounded = true;
    for (int i = 0; i < run_seeds(r); i++)
        for (int s = SIZES - 1; s >= 0; s--) {
            TRY(linear(&found[s], SIZE[s], run_seed(r, i)));
            double gap = 0;
            for (int k = 0; k < SIZE[s].dim; k++) gap = fmax(gap, fabs(found[s].error[k] - found[s].predicted[k]));
            run_metric(
                r, RANGE_EXTREME,
                str_print(run_arena(r), "linear, D=%d L=%d: difference from sigma", SIZE[s].dim, SIZE[s].layers), i,
                gap);
            *worst = fmax(*worst, gap), *bounded &= found[s].bounded;
        }
    return draw_linear(r, found);
}

static void record(Run *r, const Grid *g, const double *error)
{
    for (int s = 0; s < run_seeds(r); s++)
        for (int d = 0; d < g->depths; d++)
            for (int arm = 0; arm < ARMS; arm++)
                for (int k = 0; k < (arm == LAST ? 1 : g->ranks); k++)
                    run_metric(r, RANGE_EXTREME,
                               arm == LAST
                                   ? str_print(run_arena(r), "depth %g, %s: error", g->depth[d], ARM_NAME[arm])
                                   : str_print(run_arena(r), "depth %g, %s, rank %g: error", g->depth[d],
                                               ARM_NAME[arm], g->rank[k]),
                               s, error[cell(g, s, d, arm, k)]);
}

static Status run(Run *r)
{
    Grid g;
    double worst, above = 0, below = INFINITY;
    bool bounded;
    g.depths = run_list(r, "depths", g.depth), g.ranks = run_list(r, "ranks", g.rank);
    TRY(linear_part(r, &worst, &bounded));
    int seeds = run_seeds(r), jobs = seeds * g.depths * ARMS * g.ranks;
    double *error = NEW(run_arena(r), double, jobs);
    TRY(run_parallel(r, jobs, sizeof *error, one, &g, error));
    record(r, &g, error);
    for (int s = 0; s < seeds; s++)
        for (int d = 0; d < g.depths; d++)
            for (int k = 0; k < g.ranks; k++) {
                double e = error[cell(&g, s, d, BUILT, k)];
                if (g.rank[k] >= WIDTH / 2.0)
                    above = fmax(above, e);
                else
                    below = fmin(below, e);
            }
    TRY(draw_relu(r, &g, error, seeds));
    run_note(r, "The ReLU construction covers the tested points and any set they bound, not all of R^%d.", WIDTH);
    run_note(r, "Not tested here: attention layers, briefly pretrained frozen nets, weight decay.");
    run_verdict(r, worst < 1e-6 && bounded && above < 1e-12 && below > 1e-9 ? SUPPORTED : NOT_SUPPORTED,
                "Linear: the constructed error is sigma_{RL+1} to %.1e of sigma_1 at every R, and no random update "
                "added more than RL directions%s. ReLU: the construction errs by at most %.1e at rank %d and more "
                "and by at least %.1e below; trained LoRA with biases errs by %.1e at rank %g and %.1e at rank %g "
                "(target depth %g).",
                worst, bounded ? "" : ": FALSE", above, WIDTH / 2, below,
                pow(10, mean_log(&g, error, seeds, 0, LORA_BIAS, 0, 0)), g.rank[0],
                pow(10, mean_log(&g, error, seeds, 0, LORA_BIAS, g.ranks - 1, 0)), g.rank[g.ranks - 1], g.depth[0]);
    return OK;
}

static const Setting SETTINGS[] = {
    {"depths", "target depths; the frozen net is twice as deep", {"1,", "1,2", "1,2"}, 1, MOST_LAYERS / 2},
    {"ranks", "ranks per layer", {"4,8", "1,2,4,6,7,8,10,12,16", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16"}, 1, WIDTH},
    {"steps", "gradient steps", {"60", "800", "5000"}, 1, 1e7},
    {"batch", "inputs a step", {"64", "256", "256"}, 1, 65536},
    {"lr", "learning rates; the best on other points counts", {"1e-2,", "1e-2,3e-3", "1e-2,1e-3,1e-4"}, 1e-7, 1},
    {"test", "test points", {"500", "2000", "5000"}, 1, 1000000},
    {0}};

static const Experiment LORA_RANK = {
    .group = "theory",
    .name = "lora-rank",
    .title = "The rank that turns one network into another",
    .claim =
        "With rank-R updates in L frozen linear layers the best spectral error is sigma_{RL+1}; a ReLU net twice "
        "as deep as its target is matched with rank D/2 per layer.",
    .method =
        "Updates written down from one SVD, for linear nets and, behind lifting biases, for ReLU nets; gradient "
        "LoRA and last-layer tuning beside them.",
    .expect = "Linear error equal to sigma_{RL+1} to 1e-6 at every R; ReLU construction exact from rank D/2 on.",
    .cost = "smoke a second, quick under a minute, paper twenty minutes",
    .source = "Zeng, Lee (ICLR 2024)",
    .settings = SETTINGS,
    .seeds = {1, 3, 5},
    .exact = true,
    .run = run};
REGISTER(experiment, LORA_RANK)
