/* toy/e1: can a prefix teach a sorter to sort the other way round?
 *
 * Claim    A one-layer transformer pretrained to sort ascending can be fine-tuned to sort descending, but not
 *          prefix-tuned: a prefix cannot give it the new attention pattern.
 * Method   The published recipe: pretrain ascending; from there fine-tune everything, or train one virtual token that
 *          passes through LayerNorm and projections.  Greedy exact match on held-out inputs, all seeds.
 * Expect   Published: ascending 91 +- 5 % before, descending 85 +- 5 % after full tuning, 0 % with the prefix.
 *          On one token sequence, content attention renormalised is the same with and without the trained prefix.
 * Cost     seconds; half a minute; a quarter of an hour.
 * Source   Petrov, Torr and Bibi (ICLR 2024), section 5, experiment 1, and its public code.
 *
 * What it does not show: one virtual token bounded by LayerNorm at one learning rate is not every prefix. Compare
 * with the baselines in the loss figure: a loss above them is worse than ignoring the input. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "lab/sweep.h"
#include "toy/probe.h"

typedef enum { PRETRAINED, TUNED, PREFIXED, ARMS } Arm;
static const char *const ARM_NAME[ARMS] = {"pretrain", "full", "prefix"};
static const char *const ARM_TITLE[ARMS] = {"pretrained", "fully tuned", "prefix"};
enum { ASC, DESC, SORTS };
static const char *const SORT_TITLE[SORTS] = {"ascending", "descending"};

typedef struct { /* the result of one method and seed; sent between processes as bytes */
    LabResult result;
    Probe probe;
    Places places; /* of the task the method was trained for; the former one is the other */
} Outcome;

typedef struct {
    LabModel recipe;
    DigitMix sorts;     /* scored, and scored late */
    LabResult *learned; /* of pretraining, per seed */
} Study;

static Status ask(Run *r, Study *s)
{
    LabModel *l = &s->recipe;
    *l = lab_sorter(run_preset(r));
    l->dim = (int)run_int(r, "dim"), l->batch = run_int(r, "batch"), l->test = run_int(r, "test");
    l->steps = run_int(r, "pretrain-steps"), l->lr = run_real(r, "lr");
    return digits_mix(&s->sorts, "asc,desc");
}

static LabArm arm_of(const Run *r, const Study *s, Arm which)
{
    LabArm arm = lab_arm(which == PRETRAINED ? "none" : which == TUNED ? "full" : "prefix-tied");
    arm.name = ARM_NAME[which], arm.target = "desc", arm.late = &s->sorts;
    if (which == TUNED) arm.lr = run_real(r, "lr"), arm.steps = run_int(r, "full-steps");
    if (which == PREFIXED) arm.lr = run_real(r, "prefix-lr"), arm.steps = run_int(r, "prefix-steps");
    return arm;
}

/* Job (method, seed), from the seed's kept ascending sorter on. */
static Status tune(Run *r, int i, void *result, void *user)
{
    const Study *s = user;
    Outcome *out = result;
    Arm which = (Arm)(i / run_seeds(r));
    uint64_t seed = run_seed(r, i % run_seeds(r));
    Arena run = arena_open(0);
    Model *m, *base;
    TRY(lab_open(&m, &run, r, &s->recipe, seed));
    TRY(lab_open(&base, &run, r, &s->recipe, seed));
    Hooks *hooks = hooks_new(&run);
    LabArm arm = arm_of(r, s, which);
    if (which == PRETRAINED) out->result = s->learned[i];
    TRY(lab_tune(r, &run, m, hooks, &s->recipe, &arm, &s->sorts, seed, &out->result));
    TRY(probe_look(&out->probe, &run, m, hooks, base));
    const DigitTask *const *task = s->sorts.task;
    probe_places(&out->places, m, hooks, &s->recipe, task[which > PRETRAINED], task[which == PRETRAINED]);
    arena_close(&run);
    return OK;
}

/* ---- the results ---- */

static Status draw_maps(Run *r, const Outcome *all, int seeds)
{
    static const char *const title[] = {"pretrained, ascending", "fully fine-tuned", "with the trained prefix"};
    Arena *a = run_arena(r);
    HeatStyle style[ARMS];
    Tensor map[ARMS];
    for (int arm = 0; arm < ARMS; arm++) {
        const Probe *p = &all[arm * seeds].probe;
        style[arm] = probe_style(a, p, 0);
        style[arm].title = title[arm], style[arm].letter = (const char *const[]){"a", "b", "c"}[arm];
        style[arm].bar = arm == ARMS - 1;
        map[arm] = tensor_over((void *)(uintptr_t)p->map[0], F32, SHAPE(PROBE_T, PROBE_T));
    }
    Fig *f = run_figure(
        r, "attention",
        "Attention of the one layer on the probe input and the model's own output. An output row of the ascending "
        "sorter attends to the digit it is about to write; full tuning moves that pattern; the prefix only takes "
        "mass away from it. P: the prefix's virtual token, which holds a filler token in (a) and (b).",
        500, 180);
    fig_heatmaps(f, fig_whole(f), ARMS, map, style);
    return fig_close(f);
}

static Status draw_losses(Run *r, const Outcome *all, int seeds, DigitFloors floors)
{
    Arena *a = run_arena(r);
    RefLine ref[] = {{floors.position, "ignoring the input", false}, {floors.previous, "last output only", false}};
    Series line[ARMS];
    LabResult *of_arm = NEW(a, LabResult, seeds);
    for (int arm = 0; arm < ARMS; arm++) {
        for (int i = 0; i < seeds; i++) of_arm[i] = all[arm * seeds + i].result;
        line[arm] = lab_curve(a, of_arm, seeds, ARM_NAME[arm]);
    }
    Fig *f = run_figure(r, "loss",
                        str_print(a,
                                  "Training loss, mean and range of %d %s, with two baselines for the descending "
                                  "task: the least loss from the output position alone, or with the previous output.",
                                  seeds, str_plural(seeds, "seed", "seeds")),
                        340, 200);
    fig_lines(
        f, fig_whole(f), ARMS, line,
        (PlotStyle){
            .x = {.title = "step"}, .y = {.title = "loss (nats per token)", .log = true}, .ref = ref, .refs = 2});
    return fig_close(f);
}

/* By output position: mean and range over seeds of token accuracy, or of tokens that are the former task's
 * instead. */
static Series by_position(Arena *a, const Outcome *o, int seeds, bool former, const char *label)
{
    Tensor x = tensor_new(a, F64, SHAPE(LENGTH)), mean = tensor_zero(a, F64, SHAPE(LENGTH)),
           lo = tensor_new(a, F64, SHAPE(LENGTH)), hi = tensor_new(a, F64, SHAPE(LENGTH));
    for (int p = 0; p < LENGTH; p++) {
        double sum = 0, least = 100, most = 0;
        for (int i = 0; i < seeds; i++) {
            double y = 100 * (former ? o[i].places.former : o[i].places.right)[p];
            sum += y / seeds, least = fmin(least, y), most = fmax(most, y);
        }
        tensor_set(x, p, p + 1), tensor_set(mean, p, sum), tensor_set(lo, p, least), tensor_set(hi, p, most);
    }
    return (Series){.x = x, .y = mean, .lo = lo, .hi = hi, .label = label};
}

static Status draw_places(Run *r, const Outcome *all, int seeds)
{
    Arena *a = run_arena(r);
    Fig *f = run_figure(r, "positions",
                        str_print(a,
                                  "Greedy output by position, mean and range of %d %s. (a) Token accuracy on the "
                                  "task trained for: ascending before, descending after. (b) Tokens that are wrong "
                                  "after tuning and equal to the ascending sort's at that position.",
                                  seeds, str_plural(seeds, "seed", "seeds")),
                        430, 190);
    Series right[ARMS], former[ARMS - 1];
    for (int arm = 0; arm < ARMS; arm++) {
        right[arm] = by_position(a, all + arm * seeds, seeds, false, ARM_TITLE[arm]);
        if (arm) former[arm - 1] = by_position(a, all + arm * seeds, seeds, true, ARM_TITLE[arm]);
        if (arm) former[arm - 1].colour = arm + 1;
    }
    PlotStyle style = {.letter = "a",
                       .title = "right",
                       .x = {.title = "output position", .lo = 1, .hi = LENGTH},
                       .y = {.title = "of tokens (%)", .lo = 0, .hi = 100}};
    fig_lines(f, fig_cell(f, 1, 2, 0), ARMS, right, style);
    style.letter = "b", style.title = "ascending instead", style.y.title = "of tokens (%)";
    fig_lines(f, fig_cell(f, 1, 2, 1), ARMS - 1, former, style);
    return fig_close(f);
}

static void record(Run *r, const Outcome *all, int seeds)
{
    Arena *a = run_arena(r);
    for (int i = 0; i < seeds; i++) {
        run_metric(r, RANGE_EXTREME, "content attention, pretrained against prefix: largest change", i,
                   all[PREFIXED * seeds + i].probe.gap);
        run_metric(r, RANGE_EXTREME, "content attention, pretrained against full tuning: largest change", i,
                   all[TUNED * seeds + i].probe.gap);
    }
    for (int arm = 0; arm < ARMS; arm++)
        for (int i = 0; i < seeds; i++) {
            const Outcome *o = &all[arm * seeds + i];
            for (int k = 0; k < SORTS; k++) {
                const char *what = str_print(a, "%s: %s", ARM_NAME[arm], SORT_TITLE[k]);
                run_metric(r, RANGE_PERCENT, str_print(a, "%s exact match (%%)", what), i,
                           100 * o->result.score[k].exact);
                run_metric(r, RANGE_PERCENT, str_print(a, "%s token accuracy (%%)", what), i,
                           100 * o->result.score[k].token);
                run_metric(r, RANGE_PERCENT, str_print(a, "%s exact match, late mean (%%)", what), i,
                           lab_late(&o->result, k));
            }
            run_metric(r, RANGE_POSITIVE, str_print(a, "%s: final loss", ARM_NAME[arm]), i, o->result.last);
            if (arm)
                run_metric(r, RANGE_PERCENT,
                           str_print(a, "%s: wrong tokens that equal the ascending sort's (%%)", ARM_NAME[arm]), i,
                           100 * o->places.wrong);
        }
}

static const double *exact_of(Run *r, const Outcome *o, int seeds, int sort)
{
    double *v = NEW(run_arena(r), double, seeds);
    for (int i = 0; i < seeds; i++) v[i] = 100 * o[i].result.score[sort].exact;
    return v;
}

static void judge(Run *r, const Outcome *all, int seeds)
{
    double gap = 0;
    for (int i = 0; i < seeds; i++) gap = fmax(gap, all[PREFIXED * seeds + i].probe.gap);
    const double *asc = exact_of(r, all, seeds, ASC), *full = exact_of(r, all + TUNED * seeds, seeds, DESC),
                 *prefix = exact_of(r, all + PREFIXED * seeds, seeds, DESC);
    run_gate(r, "exact match of the pretrained sorter on ascending (%)", (Claim){MORE_THAN, 50}, RANGE_PERCENT, asc);
    run_gate(r, "exact match of full tuning on descending (%)", (Claim){MORE_THAN, 50}, RANGE_PERCENT, full);
    run_claim(r, "exact match of the prefix on descending (%)", (Claim){LESS_THAN, 5}, RANGE_PERCENT, prefix);
    run_exact(r, "a prefix leaves relative content attention as it is, to 5e-6", gap < 5e-6);
    run_conclude(r,
                 "Exact match: ascending %.1f %% pretrained; descending %.1f %% fully tuned, %.2f %% with the prefix "
                 "(mean of %d %s). The trained prefix changes relative content attention by at most %.1e.",
                 seeds_mean(asc, seeds), seeds_mean(full, seeds), seeds_mean(prefix, seeds), seeds,
                 str_plural(seeds, "seed", "seeds"), gap);
}

static Status run(Run *r)
{
    Study s = {0};
    int seeds = run_seeds(r);
    TRY(ask(r, &s));
    s.learned = NEW(run_arena(r), LabResult, seeds);
    TRY(lab_pretrain_watched(r, &s.recipe, 1, &s.sorts, s.learned));
    Outcome *all = NEW(run_arena(r), Outcome, ARMS * seeds);
    TRY(run_parallel(r, ARMS * seeds, sizeof *all, tune, &s, all));

    DigitFloors floors = digits_floors(digit_task("desc"), 100000, 1);
    record(r, all, seeds);
    TRY(draw_maps(r, all, seeds));
    TRY(draw_losses(r, all, seeds, floors));
    TRY(draw_places(r, all, seeds));
    run_note(r, "The prefix ends at a loss of %.2f nats; ignoring the input altogether would cost %.2f.",
             all[PREFIXED * seeds].result.last, floors.position);
    run_note(r, "Not tested here: free keys and values, more virtual tokens, other learning rates. A zero for this "
                "parameterisation is not a zero for every prefix.");
    judge(r, all, seeds);
    return OK;
}

static const Setting SETTINGS[] = {
    {"pretrain-steps", "steps of ascending pretraining", {"60", "2400", "20000"}, 1, 1e7},
    {"full-steps", "steps of full fine-tuning", {"40", "1200", "10000"}, 1, 1e7},
    {"prefix-steps", "steps of prefix-tuning", {"40", "1500", "40000"}, 1, 1e7},
    {"lr", "learning rate of pretraining and full tuning", {"2e-3", "1.5e-3", "5e-4"}, 1e-7, 1},
    {"prefix-lr", "learning rate of the prefix", {"5e-3", "5e-3", "5e-4"}, 1e-7, 10},
    {"dim", "hidden size", {"32", "96", "96"}, 8, 4096},
    {"batch", "examples a step", {"16", "64", "64"}, 1, 65536},
    {"test", "held-out inputs scored", {"100", "1600", "3200"}, 1, 1000000},
    {0}};

static const Experiment E1 = {
    .group = "toy",
    .name = "e1",
    .title = "Ascending to descending: full tuning against a prefix",
    .claim = "A one-layer transformer that sorts ascending can be fully fine-tuned to sort descending, but not "
             "prefix-tuned with one virtual token: the prefix cannot give it the new attention pattern.",
    .method = "The published recipe over several seeds: pretrain, then fine-tune everything or train the prefix; "
              "greedy exact "
              "match on held-out inputs; attention maps; relative content attention compared on one token sequence.",
    .expect = "Published: 91 +- 5 % ascending, 85 +- 5 % descending after full tuning, 0 % with the prefix; relative "
              "content "
              "attention unchanged by the prefix.",
    .cost = "smoke seconds, quick half a minute, paper a quarter of an hour",
    .source = "Petrov, Torr, Bibi (ICLR 2024), section 5, experiment 1",
    .settings = SETTINGS,
    .seeds = {1, 3, 3},
    .run = run};
REGISTER(experiment, E1)
