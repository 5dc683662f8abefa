/* toy/depth: at which depth does a prefix begin to learn a new task?
 *
 * Claim    A prefix that cannot learn a task in one layer cannot learn it in a few. From an ascending sorter of 1 to
 *          6 layers it learns neither to sort descending nor the histogram. LoRA on all linear layers learns
 *          descending at every depth.
 * Method   Sorters of several depths with all else equal; on each, free prefixes in every layer and LoRA as a
 *          control, several learning rates each, same steps.  In layer 1 a prefix cannot change the relative
 *          attention to content; from layer 2 on it can, through the bias it added below.
 * Expect   The theorem makes no prediction here. The result is the depth at which the prefix first reaches 50 % exact
 *          match.  Published: 0 % on descending with one layer, 0.3 to 0.6 % on the histogram with four.
 * Cost     seconds; two minutes; some hours.
 * Source   Petrov, Torr and Bibi (ICLR 2024), section 5, experiments 1, 3 and 4 have depths 1 and 4 only.
 *
 * What it does not show: that a depth is a wall.  Steps and rates are limited, the pretrained models differ in
 * accuracy, and the histogram is a task for a model that has only ever sorted. */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "lab/sweep.h"

enum { DEPTHS = 8, WAYS = 2, TASKS = 3 };
static const char *const WAY[WAYS] = {"prefix", "LoRA"};
static const char *const LETTER[2 * TASKS] = {"a", "b", "c", "d", "e", "f"};

typedef struct {
    LabModel model[DEPTHS];
    double depth[RUN_LIST];
    int depths;
    DigitMix targets;
    Sweep sweep;
} Question;

/* The methods' order is (depth; pretrained, then (target, way)). */
static int arm_at(const Question *q, int depth, int target, int way)
{
    return depth * (1 + q->targets.n * WAYS) + (target < 0 ? 0 : 1 + target * WAYS + way);
}

static void add_depth(Run *r, Question *q, int d)
{
    Arena *a = run_arena(r);
    LabModel *l = &q->model[d];
    *l = lab_sorter(run_preset(r));
    l->layers = (int)q->depth[d], l->heads = (int)run_int(r, "heads"), l->dim = (int)run_int(r, "dim");
    l->steps = run_int(r, "pretrain-steps"), l->lr = run_real(r, "lr"), l->test = run_int(r, "test");
    LabArm none = {.name = str_print(a, "%d layers: pretrained, ascending", l->layers), .target = "asc"};
    q->sweep.arm[q->sweep.arms++] = (SweepArm){none, l, 0};
    for (int t = 0; t < q->targets.n; t++)
        for (int w = 0; w < WAYS; w++) {
            LabArm arm = lab_arm(w ? "lora" : "prefix");
            arm.name = str_print(a, "%d layers: %s, %s", l->layers, q->targets.task[t]->name, WAY[w]);
            arm.options = w ? "rank=4,alpha=4,target=*"
                            : str_print(a, "kind=free,init_sd=1,length=%lld", (long long)run_int(r, "length"));
            arm.target = q->targets.task[t]->name, arm.steps = run_int(r, "steps");
            q->sweep.arm[q->sweep.arms++] = (SweepArm){arm, l, 0};
        }
}

static Status ask(Run *r, Question *q)
{
    q->depths = run_list(r, "depths", q->depth);
    TRY(digits_mix(&q->targets, run_text(r, "targets")));
    if (q->depths > DEPTHS || q->targets.n > TASKS)
        return err_fail(E_CONFIG, "at most %d depths and %d targets", DEPTHS, TASKS);
    for (int d = 0; d < q->depths; d++) add_depth(r, q, d);
    q->sweep.rates = run_list(r, "rates", q->sweep.scale);
    return OK;
}

static Series over_depth(Run *r, const Question *q, const SweepBest *best, int target, int way, SweepWhat what,
                         const char *label)
{
    SweepBest of[DEPTHS];
    for (int d = 0; d < q->depths; d++) of[d] = best[arm_at(q, d, target, way)];
    return sweep_series(run_arena(r), of, q->depths, run_seeds(r), what, label);
}

static Status draw(Run *r, const Question *q, const SweepBest *best)
{
    Fig *f = run_figure(
        r, "depth",
        str_print(run_arena(r),
                  "From an ascending sorter, by depth: exact match (top) and late loss with the baselines that need "
                  "no attention to the input (bottom), at the best of %d learning rates; mean and "
                  "range of %d %s.",
                  q->sweep.rates, run_seeds(r), str_plural(run_seeds(r), "seed", "seeds")),
        500, 340);
    const char *label[DEPTHS];
    for (int d = 0; d < q->depths; d++) label[d] = str_print(run_arena(r), "%g", q->depth[d]);
    for (int t = 0; t < q->targets.n; t++) {
        DigitFloors floor = digits_floors(q->targets.task[t], 50000, 1);
        RefLine ref[] = {{floor.position, "ignoring the input", false}, {floor.previous, "last output only", false}};
        Series exact[3] = {over_depth(r, q, best, t, 0, SWEEP_EXACT, "prefix"),
                           over_depth(r, q, best, t, 1, SWEEP_EXACT, "LoRA"),
                           over_depth(r, q, best, -1, 0, SWEEP_EXACT, "ascending, before")};
        Series loss[2] = {over_depth(r, q, best, t, 0, SWEEP_LOSS, "prefix"),
                          over_depth(r, q, best, t, 1, SWEEP_LOSS, "LoRA")};
        fig_bars(f, fig_cell(f, 2, q->targets.n, t), 3, exact, label,
                 (PlotStyle){.title = q->targets.task[t]->what,
                             .letter = LETTER[t],
                             .x = {.title = "layers"},
                             .y = {.title = "exact match (%)", .lo = 0, .hi = 100}});
        fig_bars(f, fig_cell(f, 2, q->targets.n, q->targets.n + t), 2, loss, label,
                 (PlotStyle){.letter = LETTER[q->targets.n + t],
                             .x = {.title = "layers"},
                             .y = {.title = "late loss (nats)"},
                             .ref = ref,
                             .refs = 2});
    }
    return fig_close(f);
}

/* "desc: 1: 0.2 (LoRA 95.0), 2: ..." */
static const char *say(Run *r, const Question *q, const SweepBest *best, int target)
{
    Buf text = buf_open(run_arena(r));
    buf_print(&text, "%s", q->targets.task[target]->name);
    for (int d = 0; d < q->depths; d++)
        buf_print(&text, "%s %.1f (LoRA %.1f) with %g", d ? "," : "",
                  sweep_exact(&best[arm_at(q, d, target, 0)], run_seeds(r)),
                  sweep_exact(&best[arm_at(q, d, target, 1)], run_seeds(r)), q->depth[d]);
    return text.text;
}

/* A prefix that fails shows something only where LoRA succeeds in the same steps.  On the first target LoRA's success
 * is part of the claim. */
static void judge(Run *r, const Question *q, const SweepBest *best, int depth, int target)
{
    Arena *a = run_arena(r);
    const double *exact[2], threshold = run_real(r, "threshold");
    const char *name = q->targets.task[target]->name, *at = q->depth[depth] > 1 ? "layers" : "layer",
               *says = str_print(a, "exact match of a prefix on %s with %g %s (%%)", name, q->depth[depth], at);
    for (int k = 0; k < 2; k++)
        exact[k] = sweep_values(a, &best[arm_at(q, depth, target, k)], run_seeds(r), SWEEP_EXACT);
    if (!target)
        run_gate(r, str_print(a, "exact match of LoRA on %s with %g %s (%%)", name, q->depth[depth], at),
                 (Claim){MORE_THAN, threshold}, RANGE_PERCENT, exact[1]);
    bool control = claim_verdict((Claim){MORE_THAN, threshold},
                                 claim_interval(exact[1], run_seeds(r), RANGE_PERCENT, 0.95)) == SUPPORTED;
    if (target && !control)
        run_unjudged(r, says, "LoRA does not learn it in these steps either");
    else
        run_claim(r, says, (Claim){LESS_THAN, threshold}, RANGE_PERCENT, exact[0]);
}

static Status run(Run *r)
{
    Question q = {0};
    TRY(ask(r, &q));
    TRY(lab_pretrain(r, q.model, q.depths));
    SweepBest best[SWEEP_ARMS];
    TRY(sweep_run(r, &q.sweep, best));
    sweep_record(r, &q.sweep, best);
    TRY(draw(r, &q, best));
    int seeds = run_seeds(r);
    double threshold = run_real(r, "threshold");
    Buf said = buf_open(run_arena(r));
    for (int t = 0; t < q.targets.n; t++) {
        double first = NAN;
        for (int d = q.depths - 1; d >= 0; d--) {
            if (sweep_exact(&best[arm_at(&q, d, t, 0)], seeds) >= threshold) first = q.depth[d];
        }
        if (!isnan(first))
            run_metric(r, RANGE_EXTREME,
                       str_print(run_arena(r), "%s: least depth with a successful prefix", q.targets.task[t]->name),
                       0, first);
        buf_print(&said, "%s%s", t ? "; " : "", say(r, &q, best, t));
    }
    run_note(r, "A method succeeds from %g %% exact match on; the least such depth of the prefix is recorded.",
             threshold);
    run_note(r, "Where LoRA fails on a task too, these steps show nothing about prefixes on it.");
    for (int t = 0; t < q.targets.n; t++)
        for (int d = 0; d < q.depths; d++) judge(r, &q, best, d, t);
    run_conclude(
        r,
        "Exact match (%%) of a prefix of %lld free virtual tokens per layer, by number of layers (mean of %d "
        "%s): %s.",
        (long long)run_int(r, "length"), seeds, str_plural(seeds, "seed", "seeds"), said.text);
    return OK;
}

static const Setting SETTINGS[] = {
    {"depths", "numbers of layers", {"1,2", "1,2,3", "1,2,3,4,5,6"}, 1, 64},
    {"targets", "tasks to learn, up to three; the first is the one LoRA must learn", {"desc,histogram"}, 0, 0, NULL},
    {"length", "free virtual tokens in each layer", {"2", "10", "10"}, 1, 512},
    {"rates", "factors of each method's usual learning rate", {"1,", "0.4,2", "0.04,0.1,0.4,1,2"}, 1e-6, 1e6},
    {"steps", "steps of tuning", {"10", "600", "20000"}, 1, 1e7},
    {"pretrain-steps", "steps of ascending pretraining", {"40", "1500", "20000"}, 1, 1e7},
    {"lr", "learning rate of pretraining", {"2e-3", "1.5e-3", "5e-4"}, 1e-7, 1},
    {"heads", "heads", {"1"}, 1, 64},
    {"dim", "hidden size", {"16", "48", "96"}, 8, 4096},
    {"test", "held-out inputs scored", {"50", "400", "3200"}, 1, 1e6},
    {"threshold", "exact match that counts as learned (%)", {"50.0"}, 0, 100},
    {0}};

static const Experiment DEPTH = {
    .group = "toy",
    .name = "depth",
    .title = "At which depth does a prefix begin to learn?",
    .claim =
        "A prefix on an ascending sorter learns neither to sort descending nor the histogram at any depth from 1 "
        "to 6, while LoRA learns descending at each.",
    .method = "Sorters of several depths; free prefixes in every layer and LoRA as a control, learning rates swept, "
              "same steps.",
    .expect = "Published: 0 % with one layer on descending, under 1 % with four on the histogram; the depths between "
              "and beyond are open.",
    .cost = "smoke seconds, quick two minutes, paper some hours",
    .source = "after Petrov, Torr, Bibi (ICLR 2024), section 5",
    .settings = SETTINGS,
    .seeds = {1, 3, 3},
    .run = run};
REGISTER(experiment, DEPTH)
