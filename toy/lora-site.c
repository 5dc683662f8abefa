/* toy/lora-site: where must a low-rank update sit?
 *
 * Claim    An update need not change the attention pattern to learn a task. On a one-layer sorter LoRA on the
 *          feed-forward layers alone leaves the pattern of the content exactly as it was. It learns no less of the
 *          new task than LoRA on queries and keys with as many parameters, and all linear layers together learn most.
 * Method   E1's ascending sorter; targets descending sort and the histogram; LoRA on {Q,K}, {V}, {O}, {V,O},
 *          {O,MLP}, {MLP} and all linear layers, several ranks, learning rates swept.  Measured with accuracy: the
 *          drift of layer 1's content attention on fixed tokens: the mean total variation of renormalised rows, and
 *          the largest change of one weight.
 * Expect   Drift exactly 0 for V, O and MLP - the input of layer 1's queries and keys has not changed - and not for
 *          {Q,K} and all.  Descending, at the largest rank: MLP not below {Q,K} of equal parameters by two points of
 *          token accuracy, all above MLP.
 * Cost     seconds; under two minutes; an hour.
 * Source   Petrov, Torr and Bibi (ICLR 2024), section 5, experiment 4, compares a prefix with LoRA on {O,MLP}: a
 *          placement that leaves layer 1's pattern alone, too.
 *
 * What it does not show: the accuracy that each site could reach with more steps.  The steps are the same for all. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "lab/probs.h"
#include "lab/sweep.h"

enum { LOOK = 64, TASKS = 2 };
typedef struct {
    LabResult result;
    ProbsDrift drift;
} Outcome;

static const struct {
    const char *name, *target;
    bool moves; /* may change layer 1's content attention */
} SITE[] = {{"Q,K", "*.c_attn.q|*.c_attn.k", true},
            {"V", "*.c_attn.v", false},
            {"O", "*.attn.c_proj", false},
            {"V,O", "*.c_attn.v|*.attn.c_proj", false},
            {"O,MLP", "*.attn.c_proj|*.mlp.*", false},
            {"MLP", "*.mlp.*", false},
            {"all", "*.c_attn.q|*.c_attn.k|*.c_attn.v|*.c_proj|*.c_fc", true},
            {"Q,K as MLP", "*.c_attn.q|*.c_attn.k", true}};
enum { SITES_N = sizeof SITE / sizeof *SITE, QK = 0, MLP = 5, ALL = 6, EQUAL = 7 };

typedef struct {
    LabModel model;
    Sweep sweep;
    double rank[RUN_LIST];
    int ranks;
    DigitMix targets;
} Question;

static int arm_at(const Question *q, int task, int site, int rank)
{
    return (task * SITES_N + site) * q->ranks + rank;
}

/* The rank on Q and K that has at least as many parameters as `rank` on the feed-forward layers: 4 d against 10 d
 * each. */
static double equal_rank(double rank)
{
    return ceil(2.5 * rank);
}

static Status ask(Run *r, Question *q)
{
    Arena *a = run_arena(r);
    LabModel *l = &q->model;
    *l = lab_sorter(run_preset(r));
    l->dim = (int)run_int(r, "dim"), l->steps = run_int(r, "pretrain-steps"), l->lr = run_real(r, "lr");
    l->test = run_int(r, "test");
    q->ranks = run_list(r, "ranks", q->rank);
    TRY(digits_mix(&q->targets, run_text(r, "targets")));
    if (q->targets.n > TASKS || q->ranks * q->targets.n * SITES_N > SWEEP_ARMS)
        return err_fail(E_CONFIG, "at most %d targets and %d ranks", TASKS, SWEEP_ARMS / TASKS / SITES_N);
    for (int t = 0; t < q->targets.n; t++)
        for (int s = 0; s < SITES_N; s++)
            for (int k = 0; k < q->ranks; k++) {
                LabArm arm = lab_arm("lora");
                arm.name = str_print(a, "%s: LoRA %g on %s", q->targets.task[t]->name, q->rank[k], SITE[s].name);
                double rank = s == EQUAL ? equal_rank(q->rank[k]) : q->rank[k];
                arm.options = str_print(a, "rank=%g,alpha=%g,target=%s", rank, rank, SITE[s].target);
                arm.target = q->targets.task[t]->name, arm.steps = run_int(r, "steps");
                q->sweep.arm[q->sweep.arms++] = (SweepArm){arm, l, s};
            }
    q->sweep.rates = run_list(r, "rates", q->sweep.scale);
    return OK;
}

/* The tuned map against that of the model without hooks, on the same tokens. */
static Status tune(Run *r, SweepJob *j, void *out, void *user)
{
    (void)user;
    Outcome *o = out;
    DigitMix asc = {{digit_task("asc")}, 1};
    TRY(sweep_train(r, j, &o->result));
    Batch b = digits_batch(j->run, &asc, j->model->layout, LOOK, rng_stream(1, "look"), 0, true);
    o->drift =
        probs_drift(probs_of(j->run, j->m, NULL, &b, 0), probs_of(j->run, j->m, j->hooks, &b, 0), j->model->layout);
    return OK;
}

static const Outcome *seen(const SweepBest *b, int seed)
{
    return (const Outcome *)b->outcome + seed;
}

/* ---- figures */

static Status draw_accuracy(Run *r, const Question *q, const SweepBest *best)
{
    const char *label[SITES_N];
    for (int s = 0; s < SITES_N; s++) label[s] = SITE[s].name;
    Fig *f = run_figure(
        r, "accuracy",
        str_print(run_arena(r),
                  "Token accuracy (%%) by the layers that carry the update, at the best of %d learning rates; mean "
                  "and range of %d %s, one bar per rank.",
                  q->sweep.rates, run_seeds(r), str_plural(run_seeds(r), "seed", "seeds")),
        500, 190);
    for (int t = 0; t < q->targets.n; t++) {
        Series bar[RUN_LIST];
        for (int k = 0; k < q->ranks; k++) {
            SweepBest of[SITES_N];
            for (int s = 0; s < SITES_N; s++) of[s] = best[arm_at(q, t, s, k)];
            bar[k] = sweep_series(run_arena(r), of, SITES_N, run_seeds(r), SWEEP_TOKEN,
                                  str_print(run_arena(r), "rank %g", q->rank[k]));
        }
        fig_bars(f, fig_cell(f, 1, q->targets.n, t), q->ranks, bar, label,
                 (PlotStyle){.title = q->targets.task[t]->what,
                             .letter = t ? "b" : "a",
                             .y = {.title = "token accuracy (%)", .lo = 0, .hi = 100}});
    }
    return fig_close(f);
}

static Status draw_losses(Run *r, const Question *q, const SweepBest *best)
{
    const char *label[SITES_N];
    for (int s = 0; s < SITES_N; s++) label[s] = SITE[s].name;
    Fig *f = run_figure(r, "losses",
                        str_print(run_arena(r),
                                  "Late loss by the layers that carry the update, with baselines that need no "
                                  "attention to the input; best of %d learning rates, mean and range of %d %s.",
                                  q->sweep.rates, run_seeds(r), str_plural(run_seeds(r), "seed", "seeds")),
                        500, 340);
    for (int t = 0; t < q->targets.n; t++) {
        DigitFloors floor = digits_floors(q->targets.task[t], 50000, 1);
        RefLine ref[] = {{floor.position, "ignoring the input", false}, {floor.previous, "last output only", false}};
        Series bar[RUN_LIST];
        for (int k = 0; k < q->ranks; k++) {
            SweepBest of[SITES_N];
            for (int s = 0; s < SITES_N; s++) of[s] = best[arm_at(q, t, s, k)];
            bar[k] = sweep_series(run_arena(r), of, SITES_N, run_seeds(r), SWEEP_LOSS,
                                  str_print(run_arena(r), "rank %g", q->rank[k]));
        }
        fig_bars(f, fig_cell(f, q->targets.n, 1, t), q->ranks, bar, label,
                 (PlotStyle){.title = q->targets.task[t]->what,
                             .letter = t ? "b" : "a",
                             .y = {.title = "late loss (nats)"},
                             .ref = ref,
                             .refs = 2});
    }
    return fig_close(f);
}

/* Drift against accuracy: if a new pattern were needed, points would rise from the left. */
static Status draw_drift(Run *r, const Question *q, const SweepBest *best)
{
    Arena *a = run_arena(r);
    Series point[SITES_N];
    int n = q->ranks * run_seeds(r);
    for (int s = 0; s < SITES_N; s++) {
        point[s] =
            (Series){.x = tensor_new(a, F64, SHAPE(n)), .y = tensor_new(a, F64, SHAPE(n)), .label = SITE[s].name};
        for (int i = 0; i < n; i++) {
            const SweepBest *b = &best[arm_at(q, 0, s, i / run_seeds(r))];
            tensor_set(point[s].x, i, seen(b, i % run_seeds(r))->drift.variation);
            tensor_set(point[s].y, i, 100 * b->result[i % run_seeds(r)].score[0].token);
        }
    }
    Fig *f =
        run_figure(r, "drift",
                   str_print(a,
                             "Task \"%s\": change of layer 1's content attention (mean total variation over output "
                             "rows, fixed tokens) against token accuracy; a point per rank and seed. V, O and MLP "
                             "stand exactly at 0.",
                             q->targets.task[0]->name),
                   340, 210);
    fig_scatter(
        f, fig_whole(f), SITES_N, point,
        (PlotStyle){.x = {.title = "attention drift"}, .y = {.title = "token accuracy (%)", .lo = 0, .hi = 100}});
    return fig_close(f);
}

/* A site at the largest rank. */
static const SweepBest *at_most(const Question *q, const SweepBest *best, int site)
{
    return &best[arm_at(q, 0, site, q->ranks - 1)];
}

/* The margin of two points is the least difference of token accuracy that a reader would act on. */
static void judge(Run *r, const Question *q, const SweepBest *best, double still, double moved)
{
    Arena *a = run_arena(r);
    int seeds = run_seeds(r);
    double floor = digits_floors(q->targets.task[0], 50000, 1).position;
    const double *token[SITES_N];
    for (int s = 0; s < SITES_N; s++) token[s] = sweep_values(a, at_most(q, best, s), seeds, SWEEP_TOKEN);
    run_gate(r, "loss of LoRA on all layers, against that of ignoring the input (nats)", (Claim){LESS_THAN, floor},
             RANGE_POSITIVE, sweep_values(a, at_most(q, best, ALL), seeds, SWEEP_LOSS));
    run_exact(r, "layer 1's content attention is the same bytes under V, O and MLP, and not under Q,K and all",
              still <= 0 && moved > 0);
    run_claim(r, "token accuracy, MLP less Q,K of equal parameters (points)", (Claim){MORE_THAN, -2}, RANGE_ANY,
              seeds_less(a, token[MLP], token[EQUAL], seeds));
    run_claim(r, "token accuracy, all less MLP (points)", (Claim){MORE_THAN, 0}, RANGE_ANY,
              seeds_less(a, token[ALL], token[MLP], seeds));
    const SweepBest *qk = at_most(q, best, QK), *equal = at_most(q, best, EQUAL), *mlp = at_most(q, best, MLP),
                    *all = at_most(q, best, ALL);
    run_conclude(
        r,
        "\"%s\", token accuracy (exact match, parameters) at rank %g and the best learning rate, mean of %d %s: "
        "{Q,K} "
        "%.1f (%.1f, %lld), {Q,K} of rank %g %.1f (%.1f, %lld), {MLP} %.1f (%.1f, %lld), all %.1f (%.1f, %lld) %%. "
        "Layer 1's content attention changes by exactly %g under V, O and MLP, and by at least %.2g under {Q,K} and "
        "all.",
        q->targets.task[0]->name, q->rank[q->ranks - 1], seeds, str_plural(seeds, "seed", "seeds"),
        sweep_token(qk, seeds), sweep_exact(qk, seeds), (long long)qk->result->params,
        equal_rank(q->rank[q->ranks - 1]), sweep_token(equal, seeds), sweep_exact(equal, seeds),
        (long long)equal->result->params, sweep_token(mlp, seeds), sweep_exact(mlp, seeds),
        (long long)mlp->result->params, sweep_token(all, seeds), sweep_exact(all, seeds),
        (long long)all->result->params, still, moved);
}

static Status run(Run *r)
{
    Question q = {0};
    TRY(ask(r, &q));
    TRY(lab_pretrain(r, &q.model, 1));
    q.sweep.tune = tune, q.sweep.size = sizeof(Outcome);
    SweepBest best[SWEEP_ARMS];
    TRY(sweep_run(r, &q.sweep, best));
    sweep_record(r, &q.sweep, best);
    int seeds = run_seeds(r);
    double still = 0, moved = INFINITY;
    for (int k = 0; k < q.sweep.arms; k++)
        for (int i = 0; i < seeds; i++) {
            double worst = seen(&best[k], i)->drift.worst;
            run_metric(r, RANGE_POSITIVE, str_print(run_arena(r), "%s: attention drift", q.sweep.arm[k].arm.name), i,
                       seen(&best[k], i)->drift.variation);
            if (SITE[q.sweep.arm[k].tag].moves)
                moved = fmin(moved, worst);
            else
                still = fmax(still, worst);
        }
    TRY(draw_accuracy(r, &q, best));
    TRY(draw_losses(r, &q, best));
    TRY(draw_drift(r, &q, best));
    judge(r, &q, best, still, moved);
    return OK;
}

static const Setting SETTINGS[] = {
    {"targets", "one or two tasks to learn", {"desc,histogram"}, 0, 0, NULL},
    {"ranks", "ranks", {"1,", "1,4", "1,2,4,8"}, 1, 64},
    {"rates", "factors of LoRA's usual learning rate, 5e-3", {"2,", "1,3,9", "0.2,0.5,1,2,4,8"}, 1e-6, 1e6},
    {"steps", "steps of tuning", {"10", "600", "10000"}, 1, 1e7},
    {"pretrain-steps", "steps of ascending pretraining", {"40", "2000", "20000"}, 1, 1e7},
    {"lr", "learning rate of pretraining", {"2e-3", "1.5e-3", "5e-4"}, 1e-7, 1},
    {"dim", "hidden size", {"32", "48", "96"}, 8, 4096},
    {"test", "held-out inputs scored", {"50", "500", "3200"}, 1, 1e6},
    {0}};

static const Experiment LORA_SITE = {
    .group = "toy",
    .name = "lora-site",
    .title = "Where must a low-rank update sit?",
    .claim =
        "LoRA on the feed-forward layers alone, with the content's attention pattern exactly unchanged, learns no "
        "less "
        "of the new task than LoRA on queries and keys with as many parameters; all linear layers together learn "
        "most.",
    .method = "LoRA on seven sets of linear layers, and on queries and keys at the parameters of the feed-forward, "
              "several ranks, learning rates swept, from an ascending sorter to "
              "descending and to the histogram; accuracy beside the drift of layer 1's content attention.",
    .expect = "Drift exactly 0 for V, O and MLP; descending: MLP at most two points of token accuracy below {Q,K} of "
              "equal parameters, all above MLP.",
    .cost = "smoke seconds, quick under two minutes, paper an hour",
    .source = "after Petrov, Torr, Bibi (ICLR 2024), section 5, experiment 4",
    .settings = SETTINGS,
    .seeds = {1, 3, 3},
    .run = run};
REGISTER(experiment, LORA_SITE)
