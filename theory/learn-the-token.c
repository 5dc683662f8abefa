/* theory/learn-the-token: gradient descent finds the virtual token of a constructed transformer.
 *
 * Claim    Through the network of theory/one-token with hard-max attention, the negative log-likelihood of a sequence
 *          is convex in the virtual token, and Adam finds a token for any sequence, provided that the logits are
 *          multiplied by about V^2.  At their own scale the softmax is so flat that the minimum lies off the grid.
 * Method   Convexity on random segments of the unit cube, and of a larger cube where it need not hold.  Adam from a
 *          uniform start towards random targets, kept in the unit cube, logits multiplied by 1, V, V^2; a target
 *          counts when every token is the arg max after the last step.  V^2 once more, free to leave the cube.
 * Expect   No segment of the unit cube above its chord; success 0, a few, and 100 %.
 * Cost     a second; a quarter of a minute; a minute.
 * Source   Petrov, Torr and Bibi (ICLR 2024), theorem 1, made trainable; compare Kuratov et al. (ACL 2025), who train
 *          one vector of a pretrained model to generate a text.
 * Not      The network was built to be steered.  Nothing follows for a transformer that was trained on data.
 *
 * Proof    On the unit cube s_j - 1 <= 0, so that ReLU(h - 1) leaves s_r alone at row r and z_r = s_r.  The logits
 *          are affine in z_r, l_k = (2k/V - 1) z_r + 1/4 - (k/V)^2, and the loss of row r is
 *          log sum_k exp(c l_k) - c l_y: a log-sum-exp of affine functions minus an affine function, hence convex.
 *          Its derivative is zero where the softmax's mean of k is y.  The softmax is a normal of variance 1/(2 c)
 *          about z, cut to the grid 0..(V-1)/V, so for c >> V^2 it is narrower than a step, and for c << V^2 the cut
 *          ends pull the mean off. */
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/str.h"
#include "plot/plot.h"
#include "run/experiment.h"
#include "theory/construct.h"
#include "train/optim.h"

/* ---- the loss ---- */

static int32_t *random_targets(Arena *a, uint64_t seed, int64_t v, int64_t count)
{
    int32_t *y = arena_take(a, sizeof *y * (size_t)count);
    for (int64_t i = 0; i < count; i++) y[i] = (int32_t)rng_below(rng_stream(seed, "targets"), (uint64_t)i, v);
    return y;
}

static Tensor uniform(Arena *a, uint64_t stream, int64_t b, int64_t n, double lo, double hi)
{
    Tensor s = tensor_new(a, F64, SHAPE(b, 1, n));
    for (int64_t i = 0; i < b * n; i++) tensor_set(s, i, lo + (hi - lo) * rng_uniform(stream, (uint64_t)i));
    return s;
}

/* ---- convexity ---- */

/* The loss of each of B targets, summed over its tokens. */
static double *losses(Arena *a, const Net *net, Tensor s, const int32_t *target, double c)
{
    int64_t b = s.dim[0], n = tensor_last(s), v = net->vocab;
    Tape *t = tape_open(a, false);
    Tensor l = construct_steered(t, net, tape_leaf(t, s), c)->val;
    double *loss = NEW(a, double, b);
    for (int64_t i = 0; i < b * n; i++) {
        double top = tensor_get(l, i * v + tensor_argmax(tensor_at(tensor_reshape(l, SHAPE(b * n, v)), i))), sum = 0;
        for (int64_t k = 0; k < v; k++) sum += exp(tensor_get(l, i * v + k) - top);
        loss[i / n] += top + log(sum) - tensor_get(l, i * v + target[i]);
    }
    return loss;
}

typedef struct {
    double above;  /* the most that a point of a segment lies above the chord, relative to the chord */
    double broken; /* the share of segments with a point above it, beyond rounding */
} Convexity;

/* One random point on each of B random segments between corners lo and hi of a cube. */
static Convexity convexity(Arena *step, uint64_t seed, int64_t v, int64_t n, int64_t b, double c, double lo,
                           double hi)
{
    ArenaMark mark = arena_mark(step);
    Net net = one_token_net(step, v, n);
    const int32_t *target = random_targets(step, seed, v, b * n);
    Tensor p = uniform(step, rng_stream(seed, "from"), b, n, lo, hi),
           q = uniform(step, rng_stream(seed, "to"), b, n, lo, hi), m = tensor_new(step, F64, SHAPE(b, 1, n));
    double *at = NEW(step, double, b);
    for (int64_t i = 0; i < b; i++) at[i] = rng_uniform(rng_stream(seed, "at"), (uint64_t)i);
    for (int64_t i = 0; i < b * n; i++)
        tensor_set(m, i, (1 - at[i / n]) * tensor_get(p, i) + at[i / n] * tensor_get(q, i));
    const double *fp = losses(step, &net, p, target, c), *fq = losses(step, &net, q, target, c),
                 *fm = losses(step, &net, m, target, c);
    Convexity out = {-INFINITY, 0};
    for (int64_t i = 0; i < b; i++) {
        double chord = (1 - at[i]) * fp[i] + at[i] * fq[i], above = (fm[i] - chord) / fmax(1, fabs(chord));
        out.above = fmax(out.above, above);
        out.broken += (above > 1e-12) / (double)b;
    }
    arena_drop(step, mark);
    return out;
}

/* ---- descent ---- */

enum { CURVE = 64 };
typedef struct {
    double loss[CURVE], solved[CURVE], at[CURVE]; /* per token, mean over targets; share of targets reproduced */
    int points;
    int64_t dead; /* wrong targets with a number below zero that should not be: ReLU passes no gradient there */
    double success, median; /* right after the last step; median of the first right step of those */
} Descent;

typedef struct {
    double scale[RUN_LIST + 1];
    int scales; /* and one more: V^2, free to leave the cube */
} Plan;

static int64_t count_right(Tensor logits, const int32_t *target, int64_t b, int64_t n, int64_t *first, int64_t step)
{
    int64_t right = 0, v = tensor_last(logits);
    Tensor rows = tensor_reshape(logits, SHAPE(b * n, v));
    for (int64_t i = 0; i < b; i++) {
        bool all = true;
        for (int64_t r = 0; r < n && all; r++) all = tensor_argmax(tensor_at(rows, i * n + r)) == target[i * n + r];
        if (all && first[i] < 0) first[i] = step;
        right += all;
    }
    return right;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_step(Arena *a, const int64_t *first, int64_t b)
{
    double *step = NEW(a, double, b);
    int64_t n = 0;
    for (int64_t i = 0; i < b; i++)
        if (first[i] >= 0) step[n++] = (double)first[i];
    qsort(step, (size_t)n, sizeof *step, by_value);
    return !n ? (double)NAN : n % 2 ? step[n / 2] : (step[n / 2 - 1] + step[n / 2]) / 2;
}

/* Back into the cube, a hair inside: at 0 and below ReLU passes no gradient, and above 1 a number leaks into the rows
 * of others. */
static void project(Tensor s, int64_t v)
{
    for (int64_t i = 0; i < tensor_count(s); i++)
        tensor_set(s, i, fmin(fmax(tensor_get(s, i), 0.01 / (double)v), 1 - 0.01 / (double)v));
}

static int64_t count_dead(Tensor s, const int32_t *target, int64_t b, int64_t n)
{
    int64_t dead = 0;
    for (int64_t i = 0; i < b; i++) {
        bool any = false;
        for (int64_t r = 0; r < n; r++) any |= tensor_get(s, i * n + r) <= 0 && target[i * n + r] > 0;
        dead += any;
    }
    return dead;
}

/* Job i: one seed, one scale; the last scale of each seed is V^2 again, without the projection.  All targets at once:
 * Adam treats every coordinate alone, so they do not interact. */
static Status descend(Run *r, int i, void *result, void *user)
{
    const Plan *plan = user;
    Descent *out = result;
    *out = (Descent){0};
    Arena run = arena_open(0), step = arena_open(0);
    uint64_t seed = run_seed(r, i / (plan->scales + 1));
    double c = plan->scale[i % (plan->scales + 1)];
    bool inside = i % (plan->scales + 1) < plan->scales;
    int64_t v = run_int(r, "v"), n = run_int(r, "n"), b = run_int(r, "targets"), steps = run_int(r, "steps");
    Net net = one_token_net(&run, v, n);
    const int32_t *target = random_targets(&run, seed, v, b * n);
    ParamSet *params = params_open(&run, F64, seed);
    Param *token = param_add(params, "token", (Init){INIT_ZERO, 0}, SHAPE(b, 1, n));
    token->val = uniform(&run, rng_stream(seed, "start"), b, n, 0, 1);
    params_train(params, "*", true);
    TrainConfig adam = train_defaults();
    adam.lr = run_real(r, "lr"), adam.beta2 = 0.95, adam.total = steps;
    Slot *slots;
    int n_slots;
    TRY(slots_new(&slots, &n_slots, &run, params, &adam));
    int64_t *first = NEW(&run, int64_t, b), right = 0;
    for (int64_t k = 0; k < b; k++) first[k] = -1;
    for (int64_t s = 0; s <= steps; s++) {
        if (run_stopped()) return run_interrupted();
        ArenaMark mark = arena_mark(&step);
        Tape *t = tape_open(&step, true);
        Var *logits = construct_steered(t, &net, tape_param(t, token), c);
        Var *loss = op_xent(t, tape_view(t, logits), target);
        right = count_right(logits->val, target, b, n, first, s);
        if (s * (CURVE - 1) / steps >= out->points) {
            out->at[out->points] = (double)s;
            out->loss[out->points] = tape_scalar(loss);
            out->solved[out->points++] = (double)right / (double)b;
        }
        if (s < steps) {
            tape_backward(t, op_scale(t, loss, (double)(b * n))); /* each token's own loss, whatever the batch */
            slots_update(slots, n_slots, &adam, adam.lr, 1, s + 1);
            params_drop_grad(params);
            if (inside) project(token->val, v);
        }
        arena_drop(&step, mark);
        if (s % 20 == 0) run_progress(r, "descent", s, steps, out->loss[out->points - 1]);
    }
    out->success = (double)right / (double)b;
    out->dead = count_dead(token->val, target, b, n);
    out->median = median_step(&run, first, b);
    arena_close(&step);
    arena_close(&run);
    return OK;
}

/* ---- figures ---- */

static const char *scale_name(Run *r, double scale)
{
    double power = log(scale) / log((double)run_int(r, "v"));
    return fabs(power) < 1e-9 ? "1" : fabs(power - 1) < 1e-9 ? "V" : str_print(run_arena(r), "V^%.4g", power);
}

/* Mean over seeds of one column of the curves, and their range. */
static Series curve(Run *r, const Descent *d, const Plan *plan, int scale, size_t column)
{
    int seeds = run_seeds(r), n = d[scale].points;
    Arena *a = run_arena(r);
    Series s = {.x = tensor_new(a, F64, SHAPE(n)),
                .y = tensor_zero(a, F64, SHAPE(n)),
                .lo = tensor_new(a, F64, SHAPE(n)),
                .hi = tensor_new(a, F64, SHAPE(n)),
                .label = str_print(a, "c = %s", scale_name(r, plan->scale[scale]))};
    for (int p = 0; p < n; p++) {
        double lo = INFINITY, hi = -INFINITY, sum = 0;
        for (int k = 0; k < seeds; k++) {
            const Descent *e = &d[k * (plan->scales + 1) + scale];
            double y = column ? e->solved[p] : e->loss[p];
            lo = fmin(lo, y), hi = fmax(hi, y), sum += y / seeds;
        }
        tensor_set(s.x, p, d[scale].at[p]);
        tensor_set(s.y, p, sum), tensor_set(s.lo, p, lo), tensor_set(s.hi, p, hi);
    }
    return s;
}

static Status draw_curves(Run *r, const Descent *d, const Plan *plan)
{
    Series loss[RUN_LIST], solved[RUN_LIST];
    for (int s = 0; s < plan->scales; s++) {
        loss[s] = curve(r, d, plan, s, 0);
        solved[s] = curve(r, d, plan, s, 1);
    }
    Fig *f = run_figure(
        r, "descent",
        str_print(run_arena(r),
                  "Adam on the virtual token, logits multiplied by c: loss per token (a) and share of targets whose "
                  "%lld tokens are all reproduced (b). Mean and range over %d %s of %lld targets each.",
                  (long long)run_int(r, "n"), run_seeds(r), str_plural(run_seeds(r), "seed", "seeds"),
                  (long long)run_int(r, "targets")),
        500, 200);
    fig_lines(
        f, fig_cell(f, 1, 2, 0), plan->scales, loss,
        (PlotStyle){.letter = "a", .x = {.title = "step"}, .y = {.title = "loss (nats per token)", .log = true}});
    fig_lines(f, fig_cell(f, 1, 2, 1), plan->scales, solved,
              (PlotStyle){
                  .letter = "b", .x = {.title = "step"}, .y = {.title = "targets reproduced", .lo = 0, .hi = 1.05}});
    return fig_close(f);
}

static Status draw_success(Run *r, const Descent *d, const Plan *plan)
{
    Arena *a = run_arena(r);
    int seeds = run_seeds(r), n = plan->scales;
    double v = (double)run_int(r, "v");
    Series s = {.x = tensor_new(a, F64, SHAPE(n)), .y = tensor_zero(a, F64, SHAPE(n)), .marked = true};
    for (int i = 0; i < n; i++) {
        tensor_set(s.x, i, plan->scale[i]);
        for (int k = 0; k < seeds; k++)
            tensor_set(s.y, i, tensor_get(s.y, i) + 100 * d[k * (n + 1) + i].success / seeds);
    }
    RefLine ref[] = {{v, "V", true}, {v * v, "V^2", true}};
    Fig *f = run_figure(
        r, "success",
        str_print(a,
                  "Share of random targets that are reproduced after %lld steps, mean of %d %s of %lld targets each, "
                  "over the factor on the logits (V = %lld, N = %lld).",
                  (long long)run_int(r, "steps"), seeds, str_plural(seeds, "seed", "seeds"),
                  (long long)run_int(r, "targets"), (long long)run_int(r, "v"), (long long)run_int(r, "n")),
        252, 180);
    fig_lines(f, fig_whole(f), 1, &s,
              (PlotStyle){.x = {.title = "factor c on the logits", .log = true},
                          .y = {.title = "targets reproduced (%)", .lo = 0, .hi = 105},
                          .ref = ref,
                          .refs = 2});
    return fig_close(f);
}

/* ---- the experiment ---- */

static Status check_convexity(Run *r, const Plan *plan, double *above)
{
    Arena step = arena_open(0);
    int64_t v = run_int(r, "v"), n = run_int(r, "n"), b = run_int(r, "segments");
    *above = -INFINITY;
    double outside = 0;
    for (int k = 0; k < plan->scales; k++) {
        if (run_stopped()) return run_interrupted();
        Convexity in = convexity(&step, run_seed(r, 0), v, n, b, plan->scale[k], 0, 1);
        *above = fmax(*above, in.above);
        outside = fmax(outside, convexity(&step, run_seed(r, 0), v, n, b, plan->scale[k], -1, 2).broken);
    }
    run_metric(r, RANGE_EXTREME, "largest rise above a chord, unit cube", 0, *above);
    run_metric(r, RANGE_PERCENT, "segments above their chord, cube from -1 to 2", 0, outside);
    run_note(
        r,
        "Outside the unit cube the ReLU joins in and convexity ends: up to %.2g %% of segments between -1 and 2 rise "
        "above their chord.",
        100 * outside);
    arena_close(&step);
    return OK;
}

typedef struct {
    double success, median; /* in %, and steps: means over seeds */
    int64_t dead;
} Mean;

/* Records one scale over the seeds; k = the number of scales: V^2 without the projection. */
static Mean record(Run *r, const Descent *all, const Plan *plan, int k)
{
    Mean m = {0};
    const char *what = str_print(run_arena(r), "c=%s%s", scale_name(r, plan->scale[k]),
                                 k < plan->scales ? "" : ", free to leave the cube");
    for (int i = 0; i < run_seeds(r); i++) {
        const Descent *d = &all[i * (plan->scales + 1) + k];
        run_metric(r, RANGE_PERCENT, str_print(run_arena(r), "targets reproduced (%%), %s", what), i,
                   100 * d->success);
        if (isfinite(d->median))
            run_metric(r, RANGE_POSITIVE, str_print(run_arena(r), "median steps, %s", what), i, d->median);
        m.success += 100 * d->success / run_seeds(r), m.median += d->median / run_seeds(r), m.dead += d->dead;
    }
    return m;
}

static Mean of_power(Run *r, const Mean *m, const Plan *plan, double power)
{
    for (int k = 0; k < plan->scales; k++)
        if (fabs(plan->scale[k] / pow((double)run_int(r, "v"), power) - 1) < 1e-9) return m[k];
    return (Mean){NAN, NAN, 0};
}

/* Per seed, in %; NULL: V^power is not among the scales. */
static const double *successes(Run *r, const Descent *all, const Plan *plan, double power)
{
    double *x = NEW(run_arena(r), double, run_seeds(r));
    for (int k = 0; k < plan->scales; k++) {
        if (fabs(plan->scale[k] / pow((double)run_int(r, "v"), power) - 1) >= 1e-9) continue;
        for (int i = 0; i < run_seeds(r); i++) x[i] = 100 * all[i * (plan->scales + 1) + k].success;
        return x;
    }
    return NULL;
}

static Status run(Run *r)
{
    Plan plan;
    plan.scales = run_list(r, "scales", plan.scale);
    int seeds = run_seeds(r), n = plan.scales;
    double v = (double)run_int(r, "v"), above;
    for (int k = 0; k < n; k++) plan.scale[k] = pow(v, plan.scale[k]);
    plan.scale[n] = v * v;
    TRY(check_convexity(r, &plan, &above));
    Descent *all = NEW(run_arena(r), Descent, seeds * (n + 1));
    TRY(run_parallel(r, seeds * (n + 1), sizeof *all, descend, &plan, all));
    Mean mean[RUN_LIST + 1];
    for (int k = 0; k <= n; k++) mean[k] = record(r, all, &plan, k);
    TRY(draw_curves(r, all, &plan));
    TRY(draw_success(r, all, &plan));
    run_note(r,
             "Without the projection onto the unit cube %.4g %% of targets are reproduced at V^2; in %lld of %lld "
             "runs the descent had overshot below zero, where ReLU passes no gradient.",
             mean[n].success, (long long)mean[n].dead, (long long)(seeds * run_int(r, "targets")));
    run_note(r, "Not tested here: soft attention, and any network that was not built by hand.");
    Mean flat = of_power(r, mean, &plan, 0), middle = of_power(r, mean, &plan, 1),
         sharp = of_power(r, mean, &plan, 2);
    bool convex = above <= 1e-12,
         enough = run_int(r, "steps") >= 300 && isfinite(flat.success + middle.success + sharp.success);
    run_exact(r, "no segment rises above its chord, to 1e-12", convex);
    const Claim ASKED[] = {{LESS_THAN, 1}, {LESS_THAN, 50}, {MORE_THAN, 99}};
    for (int power = 0; power < 3; power++) {
        const char *says = str_print(run_arena(r), "targets reproduced at factor V^%d (%%)", power);
        const double *x = successes(r, all, &plan, power);
        if (x && enough)
            run_claim(r, says, ASKED[power], RANGE_PERCENT, x);
        else
            run_unjudged(r, says, x ? "since fewer than 300 steps are too few" : "since it is not among the scales");
    }
    run_conclude(
        r,
        "Of %lld random segments %s rises above its chord; Adam reproduces %.3g %% of targets with the logits as "
        "they are, %.3g %% at factor V, %.4g %% at V^2 (median %.3g steps; mean of %d %s of %lld targets, %lld "
        "steps, inside the unit cube).",
        (long long)(n * run_int(r, "segments")), convex ? "none" : "some", flat.success, middle.success,
        sharp.success, sharp.median, seeds, str_plural(seeds, "seed", "seeds"), (long long)run_int(r, "targets"),
        (long long)run_int(r, "steps"));
    return OK;
}

static const Setting SETTINGS[] = {
    {"v", "vocabulary V", {"10", NULL, NULL}, 2, 200},
    {"n", "length N of the sequences", {"10", NULL, NULL}, 1, 64},
    {"scales",
     "factors on the logits, as powers of V",
     {"0,1,2", "0,0.5,1,1.25,1.5,1.75,2,2.5", "0,0.5,1,1.25,1.5,1.75,2,2.5,3"},
     -1,
     4},
    {"targets", "random targets of each seed", {"20", "200", "200"}, 1, 100000},
    {"steps", "steps of Adam", {"100", "600", "2000"}, 1, 1000000},
    {"lr", "learning rate of Adam (betas 0.9, 0.95)", {"0.01", NULL, NULL}, 1e-6, 1},
    {"segments", "random segments of the convexity check at each factor", {"200", "2000", "20000"}, 1, 1000000},
    {0}};

static const Experiment LEARN_THE_TOKEN = {
    .group = "theory",
    .name = "learn-the-token",
    .title = "Gradient descent finds the virtual token of a constructed transformer",
    .claim = "Through the constructed network with hard-max attention the loss is convex in the virtual token, and "
             "Adam finds the token of any sequence once the logits are multiplied by about V^2.",
    .method = "Random segments against their chords; Adam on the virtual token towards random targets, logits "
              "multiplied by powers of V.",
    .expect =
        "No segment above its chord; all targets reproduced at V^2 within about a hundred steps, a few per cent at "
        "V, none at 1.",
    .cost = "smoke a second, quick a quarter of a minute, paper a minute",
    .source = "Petrov, Torr, Bibi (ICLR 2024), theorem 1; Kuratov et al. (ACL 2025) for trained models",
    .settings = SETTINGS,
    .seeds = {1, 3, 3},
    .run = run};
REGISTER(experiment, LEARN_THE_TOKEN)
