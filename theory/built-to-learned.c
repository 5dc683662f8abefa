/* theory/built-to-learned: how special must the weights be for one virtual token to carry any sequence?
 *
 * Claim    With noise of standard deviation sigma on every weight of the network of theory/one-token, the
 *          theorem's token fails at half of the targets once sigma reaches a threshold that falls like 1/V^2 with
 *          the vocabulary V.  Gradient descent on the token, through the noisy network, moves this threshold up by
 *          more than a factor of two.
 * Method   Noise is drawn once for each seed and scaled.  Random targets of N tokens; the share that the theorem's
 *          token s = y/V reproduces, and the share that Adam finds from there, at logits times V^2.  The threshold is
 *          where the share crosses one half, on a logarithmic scale between the sigmas tried.
 * Expect   Neighbouring logits of the construction differ by 1/V^2 at the token's own value, so noise of that size
 *          reverses them: a slope of -2 in log V, within .5 for the logarithms of V and N.  The factor is open: noise
 *          in the values can be made good by the token, noise in the logits' biases cannot.
 * Cost     two seconds; a minute; twenty minutes.
 * Source   Theorem 1 of Petrov, Torr and Bibi (ICLR 2024) is the network; Kuratov et al. (ACL 2025) train one vector
 *          of a pretrained model, which is the other end of the way from built to learned.
 *
 * What it does not show: networks that were trained.  The noise is the same for every weight, zeros included, and
 * attention is hard-max as in theory/learn-the-token. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "plot/plot.h"
#include "run/experiment.h"
#include "theory/construct.h"
#include "train/optim.h"

typedef enum { BUILT, FOUND, WAYS } Way;
static const char *const WAY[WAYS] = {"the theorem's token", "Adam's token"};

typedef struct {
    double v[RUN_LIST], n[RUN_LIST], sigma[RUN_LIST]; /* sigma in units of 1/V^2 */
    int vs, ns, sigmas;
} Plan;
typedef struct {
    double share[WAYS]; /* of the targets that are reproduced */
} Cell;

/* ---- a noisy network */

static void stir(Tensor m, double sd, uint64_t *next)
{
    uint64_t stream = (*next)++;
    for (int64_t i = 0; i < tensor_count(m); i++)
        tensor_set(m, i, tensor_get(m, i) + sd * rng_normal(rng_stream(stream, "weights"), (uint64_t)i));
}

static Net noisy_net(Arena *a, int64_t v, int64_t n, double sd, uint64_t seed)
{
    Net net = one_token_net(a, v, n);
    uint64_t next = rng_mix(seed, (uint64_t)(v * 1000 + n));
    for (int k = 0; k < net.blocks; k++) {
        Block *b = &net.block[k];
        for (int h = 0; h < b->heads; h++) {
            stir(b->head[h].q, sd, &next), stir(b->head[h].k, sd, &next), stir(b->head[h].v, sd, &next);
        }
        for (int l = 0; l < b->layers; l++) {
            stir(b->layer[l].w, sd, &next);
            if (b->layer[l].b.data) stir(b->layer[l].b, sd, &next);
        }
    }
    return net;
}

/* Share of the B targets (B,N) whose tokens are all the largest logits (B,N,V). */
static double share_right(Tensor logits, const int32_t *target, int64_t b, int64_t n)
{
    int64_t right = 0, v = tensor_last(logits);
    Tensor rows = tensor_reshape(logits, SHAPE(b * n, v));
    for (int64_t i = 0; i < b; i++) {
        bool all = true;
        for (int64_t r = i * n; r < (i + 1) * n && all; r++) all = tensor_argmax(tensor_at(rows, r)) == target[r];
        right += all;
    }
    return (double)right / (double)b;
}

/* Adam on all tokens at once; it treats every coordinate alone, so that they do not interact. */
static Status descend(Run *r, Arena *run, const Net *net, const int32_t *target, int64_t b, int64_t n, Cell *out)
{
    Arena step = arena_open(0);
    ParamSet *params = params_open(run, F64, 1);
    Param *token = param_add(params, "token", (Init){INIT_ZERO, 0}, SHAPE(b, 1, n));
    double v = (double)net->vocab;
    int64_t steps = run_int(r, "steps");
    for (int64_t i = 0; i < b * n; i++) tensor_set(token->val, i, target[i] / v);
    params_train(params, "*", true);
    TrainConfig adam = train_defaults();
    adam.lr = run_real(r, "lr") / v, adam.beta2 = 0.95, adam.total = steps;
    Slot *slots;
    int n_slots;
    TRY(slots_new(&slots, &n_slots, run, params, &adam));
    for (int64_t s = 0; s <= steps; s++) {
        if (run_stopped()) return run_interrupted();
        ArenaMark mark = arena_mark(&step);
        Tape *t = tape_open(&step, true);
        Var *logits = construct_steered(t, net, tape_param(t, token), v * v);
        double share = share_right(logits->val, target, b, n);
        if (!s) out->share[BUILT] = share;
        out->share[FOUND] = share;
        if (s < steps) {
            tape_backward(t, op_scale(t, op_xent(t, logits, target), (double)(b * n)));
            slots_update(slots, n_slots, &adam, adam.lr, 1, s + 1);
            params_drop_grad(params);
        }
        arena_drop(&step, mark);
    }
    arena_close(&step);
    return OK;
}

/* Job i: (seed, V, N, sigma), the last one innermost. */
static Status job(Run *r, int i, void *out, void *user)
{
    const Plan *p = user;
    int seed = i / (p->vs * p->ns * p->sigmas);
    int64_t v = (int64_t)p->v[i / (p->ns * p->sigmas) % p->vs], n = (int64_t)p->n[i / p->sigmas % p->ns];
    int64_t b = run_int(r, "targets");
    double sd = p->sigma[i % p->sigmas] / (double)(v * v);
    Arena run = arena_open(0);
    Net net = noisy_net(&run, v, n, sd, run_seed(r, seed));
    int32_t *target = NEW(&run, int32_t, b * n);
    for (int64_t k = 0; k < b * n; k++)
        target[k] = (int32_t)rng_below(rng_stream(run_seed(r, seed), "targets"), (uint64_t)k, v);
    TRY(descend(r, &run, &net, target, b, n, out));
    arena_close(&run);
    return OK;
}

/* ---- the results */

static const Cell *at(const Plan *p, const Cell *all, int seed, int v, int n, int sigma)
{
    return &all[((seed * p->vs + v) * p->ns + n) * p->sigmas + sigma];
}

/* log of sigma V^2 where the share first crosses one half; an end of the range where it never does. */
static double threshold(const Plan *p, const Cell *all, int seed, int v, int n, Way w)
{
    for (int k = 0; k < p->sigmas; k++) {
        double share = at(p, all, seed, v, n, k)->share[w];
        if (share >= 0.5) continue;
        if (!k) return log(p->sigma[0]);
        double before = at(p, all, seed, v, n, k - 1)->share[w], part = (before - 0.5) / (before - share);
        return log(p->sigma[k - 1]) + part * (log(p->sigma[k]) - log(p->sigma[k - 1]));
    }
    return log(p->sigma[p->sigmas - 1]);
}

/* Of one seed: the slope of the theorem's threshold in log V, mean over N; and the factor by which Adam moves it, as
 * the mean of its logarithm to base 2. */
static void measure(Run *r, const Plan *p, const Cell *all, int seed, double *fall, double *gain)
{
    Arena *a = run_arena(r);
    *fall = *gain = 0;
    for (int n = 0; n < p->ns; n++) {
        double x[RUN_LIST], y[RUN_LIST];
        for (int v = 0; v < p->vs; v++) {
            double built = threshold(p, all, seed, v, n, BUILT), found = threshold(p, all, seed, v, n, FOUND);
            x[v] = log(p->v[v]), y[v] = built - 2 * x[v];
            *gain += (found - built) / log(2) / (p->ns * p->vs);
            const char *size = str_print(a, "V %g, N %g", p->v[v], p->n[n]);
            run_metric(r, RANGE_POSITIVE, str_print(a, "%s: threshold of sigma V^2, theorem's token", size), seed,
                       exp(built));
            run_metric(r, RANGE_POSITIVE, str_print(a, "%s: threshold of sigma V^2, Adam's token", size), seed,
                       exp(found));
        }
        *fall += stats_slope(x, y, p->vs) / p->ns;
    }
}

static Status draw(Run *r, const Plan *p, const Cell *all)
{
    Arena *a = run_arena(r);
    int seeds = run_seeds(r);
    Tensor map[WAYS];
    HeatStyle style[WAYS];
    const char **row = NEW(a, const char *, p->vs * p->ns), **col = NEW(a, const char *, p->sigmas);
    for (int k = 0; k < p->sigmas; k++) col[k] = str_print(a, "%g", p->sigma[k]);
    for (int i = 0; i < p->vs * p->ns; i++) row[i] = str_print(a, "%g, %g", p->v[i / p->ns], p->n[i % p->ns]);
    for (int w = 0; w < WAYS; w++) {
        map[w] = tensor_zero(a, F64, SHAPE(p->vs * p->ns, p->sigmas));
        for (int i = 0; i < p->vs * p->ns * p->sigmas; i++)
            for (int s = 0; s < seeds; s++)
                tensor_set(map[w], i,
                           tensor_get(map[w], i) + all[s * p->vs * p->ns * p->sigmas + i].share[w] / seeds);
        style[w] = (HeatStyle){.title = WAY[w],
                               .letter = w ? "b" : "a",
                               .hi = 1,
                               .row = row,
                               .col = col,
                               .row_title = w ? NULL : "V, N",
                               .col_title = "noise, in units of 1/V²",
                               .bar = w == WAYS - 1,
                               .bar_title = "share of targets"};
    }
    Fig *f =
        run_figure(r, "phases",
                   str_print(a,
                             "Share of %lld random targets of N tokens that one virtual token reproduces through "
                             "the network of theorem 1 with Gaussian noise on every weight, for the theorem's own "
                             "token and for the one that Adam finds; mean of %d %s.",
                             (long long)run_int(r, "targets"), seeds, str_plural(seeds, "seed", "seeds")),
                   500, 60 + 16 * p->vs * p->ns);
    fig_heatmaps(f, fig_whole(f), WAYS, map, style);
    return fig_close(f);
}

static Status run(Run *r)
{
    Plan p;
    p.vs = run_list(r, "v", p.v), p.ns = run_list(r, "n", p.n), p.sigmas = run_list(r, "sigmas", p.sigma);
    for (int k = 1; k < p.sigmas; k++)
        if (p.sigma[k] <= p.sigma[k - 1]) return err_fail(E_CONFIG, "sigmas: expected ascending numbers");
    if (p.vs < 2) return err_fail(E_CONFIG, "v: expected at least two sizes, for a slope");
    int seeds = run_seeds(r), jobs = seeds * p.vs * p.ns * p.sigmas;
    Arena *a = run_arena(r);
    Cell *all = NEW(a, Cell, jobs);
    TRY(run_parallel(r, jobs, sizeof *all, job, &p, all));
    double *fall = NEW(a, double, seeds), *gain = NEW(a, double, seeds), *gap = NEW(a, double, seeds),
           *quiet = arena_zero(a, sizeof(double) * (size_t)seeds);
    for (int s = 0; s < seeds; s++) {
        measure(r, &p, all, s, &fall[s], &gain[s]);
        gap[s] = fall[s] + 2;
        for (int i = 0; i < p.vs * p.ns; i++)
            quiet[s] += 100 * at(&p, all, s, i / p.ns, i % p.ns, 0)->share[BUILT] / (p.vs * p.ns);
        run_metric(r, RANGE_ANY, "slope of the theorem's threshold in log V", s, fall[s]);
        run_metric(r, RANGE_ANY, "Adam's threshold over the theorem's (log2)", s, gain[s]);
    }
    TRY(draw(r, &p, all));
    run_gate(r, "at the least noise the theorem's token works (% of the targets)", (Claim){MORE_THAN, 90},
             RANGE_PERCENT, quiet);
    run_claim(r, "slope of the threshold in log V, less -2", (Claim){WITHIN, 0.5}, RANGE_ANY, gap);
    run_claim(r, "Adam's threshold over the theorem's (log2)", (Claim){MORE_THAN, 1}, RANGE_ANY, gain);
    run_note(r, "Not tested: noise in some of the weights alone, soft attention, and networks that were trained.");
    run_conclude(
        r,
        "The noise at which the theorem's token fails at half of the targets falls like V^%.2f; Adam's token "
        "bears %.2f times as much (means over %d %s, V from %g to %g).",
        stats_summary(fall, seeds).mean, exp2(stats_summary(gain, seeds).mean), seeds,
        str_plural(seeds, "seed", "seeds"), p.v[0], p.v[p.vs - 1]);
    return OK;
}

static const Setting SETTINGS[] = {
    {"v", "vocabularies V", {"4,8", "4,8,16", "4,8,16,32,64"}, 2, 200},
    {"n", "lengths N of the sequences", {"4,", "4,16", "2,4,8,16,32"}, 1, 64},
    {"sigmas",
     "noise on the weights in units of 1/V^2, ascending",
     {"0.01,0.1,1", "0.01,0.03,0.06,0.1,0.17,0.3,0.6,1,2",
      "0.01,0.02,0.03,0.045,0.06,0.08,0.1,0.13,0.17,0.22,0.3,0.45,"
      "0.6,1,2"},
     1e-9,
     100},
    {"targets", "random targets of each cell", {"20", "60", "400"}, 1, 100000},
    {"steps", "steps of Adam", {"40", "200", "2000"}, 1, 1000000},
    {"lr", "learning rate of Adam in units of 1/V (betas 0.9, 0.95)", {"0.05", NULL, NULL}, 1e-6, 1},
    {0}};

static const Experiment BUILT_TO_LEARNED = {
    .group = "theory",
    .name = "built-to-learned",
    .title = "How special the weights are through which one token carries any sequence",
    .claim = "The noise on the weights at which the theorem's token fails falls like 1/V^2 with the vocabulary, and "
             "gradient descent on the token bears more than twice as much.",
    .method = "Gaussian noise on every weight of the constructed network; the share of random targets that the "
              "theorem's token and Adam's reproduce, over noise, V and N.",
    .expect = "A slope of -2 within .5, and a factor above two.",
    .cost = "smoke two seconds, quick a minute, paper twenty minutes",
    .source = "after Petrov, Torr, Bibi (ICLR 2024), theorem 1; Kuratov et al. (ACL 2025)",
    .settings = SETTINGS,
    .seeds = {1, 5, 5},
    .run = run};
REGISTER(experiment, BUILT_TO_LEARNED)
