/* toy/e2: can a prefix elicit one of the tasks that a model has learned?
 *
 * Claim    A one-layer transformer that was trained on a mixture of four tasks, with nothing to identify the one that
 *          is meant, does each of them when a prefix of one virtual token is trained for it, and then does none of
 *          the others.
 * Method   The published recipe: pretrain on asc, desc, +1 and +2 in equal shares, with four heads and no LayerNorm
 *          before attention; train a prefix for each task; greedy exact match of every model on every task, over all
 *          seeds.
 * Expect   Published, one run: without a prefix 16 to 31 % on each; with the task's own prefix 94, 84, 99.6 and
 *          99.8 %; with another task's at most 0.7 %.  Content attention, renormalised, is the same in all models.
 * Cost     seconds; a minute; an hour.
 * Source   Petrov, Torr and Bibi (ICLR 2024), section 5, experiment 2, and its public code.
 *
 * A prefix that starts at N(0,1), as the published ones do, is far from any token of a model whose vectors are small,
 * and can sit for a thousand steps and more where the first token stays ambiguous; quick starts at N(0,0.1^2).
 *
 * What it does not show: that elicitation needs the LayerNorm before attention removed, as in the published recipe,
 * or that it works for tasks that are learned less well. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "measure/observe.h"
#include "toy/probe.h"

enum { TASKS = 4, MODELS = TASKS + 1, SHOWN = 20 };
static const char *const MODEL[MODELS] = {"none", "asc", "desc", "add1", "add2"};
static const char *const TASK_TITLE[TASKS] = {"asc", "desc", "+1", "+2"};

typedef struct { /* of one model of one seed: without a prefix, or with one */
    LabResult result;
    Probe probe;
    double output[SHOWN][2]; /* attention's output at the last input position in two directions of the residual */
} Outcome;

typedef struct {
    LabModel recipe;
    DigitMix tasks;
} Elicitation;

static Status ask(Run *r, Elicitation *e)
{
    LabModel *l = &e->recipe;
    *l = lab_elicitor(run_preset(r));
    l->dim = (int)run_int(r, "dim"), l->batch = run_int(r, "batch"), l->test = run_int(r, "test");
    l->steps = run_int(r, "pretrain-steps"), l->lr = run_real(r, "lr"), l->init_sd = run_real(r, "init");
    TRY(lab_check(l));
    return digits_mix(&e->tasks, l->tasks);
}

/* ---- one model ---- */

/* The layer's own attention output, before it joins the residual, where the input has just been read. */
static void show(Outcome *out, Arena *run, Model *m, Hooks *hooks)
{
    enum { LAST = PROBE_SLOTS + LENGTH, AXES = 7 };
    int32_t row[SHOWN * LAST] = {0};
    for (int i = 0; i < SHOWN; i++)
        digits_draw(row + i * LAST + PROBE_SLOTS, rng_stream(1, "shown"), (uint64_t)i, true);
    Batch shown = {.b = SHOWN, .t = LAST, .ids = row};
    Tensor seen = observe_one(run, m, hooks, &shown, (Where){SITE_ATTN_OUT, 0, PART_DECODER});
    int64_t dim = m->config.dim, x = rng_below(AXES, 0, dim), y = (x + 1 + rng_below(AXES, 1, dim - 1)) % dim;
    for (int i = 0; i < SHOWN; i++) {
        int64_t at = ((int64_t)(i + 1) * LAST - 1) * dim;
        out->output[i][0] = tensor_get(seen, at + x);
        out->output[i][1] = tensor_get(seen, at + y);
    }
}

/* Job (model, seed): 0 without a prefix, k with one for task k - 1. */
static Status elicit(Run *r, int i, void *result, void *user)
{
    const Elicitation *e = user;
    Outcome *out = result;
    int which = i / run_seeds(r);
    uint64_t seed = run_seed(r, i % run_seeds(r));
    Arena run = arena_open(0);
    Model *m, *base;
    TRY(lab_open(&m, &run, r, &e->recipe, seed));
    TRY(lab_open(&base, &run, r, &e->recipe, seed));
    Hooks *hooks = hooks_new(&run);
    LabArm arm = lab_arm(which ? "prefix-tied" : "none");
    arm.name = MODEL[which];
    if (which) {
        arm.target = MODEL[which];
        arm.options = str_print(&run, "kind=tied,length=1,init_sd=%g", run_real(r, "prefix-init"));
        arm.lr = run_real(r, "prefix-lr"), arm.steps = run_int(r, "prefix-steps");
    }
    TRY(lab_tune(r, &run, m, hooks, &e->recipe, &arm, &e->tasks, seed, &out->result));
    TRY(probe_look(&out->probe, &run, m, hooks, base));
    show(out, &run, m, hooks);
    arena_close(&run);
    return OK;
}

/* ---- the results ---- */

static double exact(const Outcome *all, int seeds, int model, int task)
{
    double sum = 0;
    for (int i = 0; i < seeds; i++) sum += 100 * all[model * seeds + i].result.score[task].exact / seeds;
    return sum;
}

static Status draw_matrix(Run *r, const Outcome *all, int seeds)
{
    Arena *a = run_arena(r);
    Tensor matrix = tensor_new(a, F64, SHAPE(MODELS, TASKS));
    for (int i = 0; i < MODELS * TASKS; i++) tensor_set(matrix, i, exact(all, seeds, i / TASKS, i % TASKS));
    const char *const row[MODELS] = {"none", "asc", "desc", "+1", "+2"};
    Fig *f = run_figure(r, "accuracy",
                        str_print(a,
                                  "Exact match (%%) on held-out inputs, mean of %d %s. Without a prefix the model "
                                  "picks among its tasks; each prefix makes it do its own task and no other.",
                                  seeds, str_plural(seeds, "seed", "seeds")),
                        252, 230);
    fig_heatmap(f, fig_whole(f), matrix,
                (HeatStyle){.hi = 100,
                            .row = row,
                            .col = TASK_TITLE,
                            .row_title = "prefix trained for",
                            .col_title = "task scored",
                            .values = true,
                            .bar = true,
                            .bar_title = "exact match (%)"});
    return fig_close(f);
}

/* A row of four heads for each model from `first` on; skip 1: the prefix column left out and content renormalised. */
static Status draw_maps(Run *r, const Outcome *all, int seeds, const char *name, int first, int skip,
                        const char *caption)
{
    Arena *a = run_arena(r);
    Fig *f = run_figure(r, name, caption, 500, 132 * (MODELS - first));
    for (int k = first; k < MODELS; k++) {
        const Probe *p = &all[k * seeds].probe;
        Tensor map[PROBE_HEADS];
        HeatStyle style[PROBE_HEADS];
        for (int h = 0; h < PROBE_HEADS; h++) {
            map[h] = skip ? probe_content(a, p, h)
                          : tensor_over((void *)(uintptr_t)p->map[h], F32, SHAPE(PROBE_T, PROBE_T));
            style[h] = probe_style(a, p, skip);
            style[h].title = str_print(a, "%s, head %d", k ? TASK_TITLE[k - 1] : "no prefix", h + 1);
            style[h].bar = h == PROBE_HEADS - 1;
        }
        fig_heatmaps(f, fig_cell(f, MODELS - first, 1, k - first), PROBE_HEADS, map, style);
    }
    return fig_close(f);
}

static Series points(Arena *a, const Outcome *o, const char *label, int colour, int first, int every)
{
    int n = (SHOWN - first + every - 1) / every;
    Series s = {
        .x = tensor_new(a, F64, SHAPE(n)), .y = tensor_new(a, F64, SHAPE(n)), .label = label, .colour = colour};
    for (int i = 0; i < n; i++) {
        tensor_set(s.x, i, o->output[first + i * every][0]);
        tensor_set(s.y, i, o->output[first + i * every][1]);
    }
    return s;
}

/* Left: each input is drawn as one of the tasks, although nothing in it identifies the task.  Right: the same inputs
 * moved by each prefix, with lines from where they were. */
static Status draw_clusters(Run *r, const Outcome *all, int seeds)
{
    Arena *a = run_arena(r);
    Series left[TASKS], right[TASKS];
    Tensor links = tensor_new(a, F64, SHAPE(TASKS * SHOWN, 4)), x[2 * TASKS], y[2 * TASKS];
    for (int k = 0; k < TASKS; k++) {
        left[k] = points(a, &all[0], TASK_TITLE[k], k + 1, k, TASKS);
        right[k] = points(a, &all[(k + 1) * seeds], TASK_TITLE[k], k + 1, 0, 1);
        x[k] = left[k].x, x[TASKS + k] = right[k].x, y[k] = left[k].y, y[TASKS + k] = right[k].y;
        for (int i = 0; i < SHOWN; i++)
            for (int c = 0; c < 4; c++)
                tensor_set(links, (k * SHOWN + i) * 4 + c, all[c < 2 ? 0 : (k + 1) * seeds].output[i][c % 2]);
    }
    PlotStyle style = {.title = "without a prefix",
                       .letter = "a",
                       .x = axis_over("one direction", false, 2 * TASKS, x),
                       .y = axis_over("another direction", false, 2 * TASKS, y)};
    Fig *f = run_figure(r, "clusters",
                        str_print(a,
                                  "Output of the attention layer at the last input position, in two directions of "
                                  "the residual stream chosen at random, for %d inputs of one seed. (a) Without a "
                                  "prefix nothing separates the tasks. (b) Each prefix displaces all inputs; lines "
                                  "start where they were.",
                                  SHOWN),
                        430, 200);
    fig_scatter(f, fig_cell(f, 1, 2, 0), TASKS, left, style);
    style.title = "with each prefix", style.letter = "b", style.links = links;
    fig_scatter(f, fig_cell(f, 1, 2, 1), TASKS, right, style);
    return fig_close(f);
}

static void record(Run *r, const Outcome *all, int seeds)
{
    Arena *a = run_arena(r);
    for (int k = 0; k < MODELS; k++)
        for (int i = 0; i < seeds; i++) {
            const Outcome *o = &all[k * seeds + i];
            for (int t = 0; t < TASKS; t++)
                run_metric(r, RANGE_PERCENT,
                           str_print(a, "prefix %s: task %s exact match (%%)", MODEL[k], MODEL[t + 1]), i,
                           100 * o->result.score[t].exact);
            if (!k) continue;
            run_metric(r, RANGE_POSITIVE, str_print(a, "prefix %s: final loss", MODEL[k]), i, o->result.last);
            run_metric(r, RANGE_EXTREME,
                       str_print(a, "prefix %s: largest change of relative content attention", MODEL[k]), i,
                       o->probe.gap);
        }
}

static void judge(Run *r, const Outcome *all, int seeds)
{
    double other = 0, gap = 0, *known = NEW(run_arena(r), double, seeds), *most = NEW(run_arena(r), double, seeds);
    for (int i = 0; i < seeds; i++)
        for (int k = 0; k < MODELS; k++)
            for (int t = 0; t < TASKS; t++) {
                double x = 100 * all[k * seeds + i].result.score[t].exact;
                if (!k) known[i] += x;
                if (k && k != t + 1) most[i] = fmax(most[i], x), other = fmax(other, exact(all, seeds, k, t));
            }
    run_gate(r, "exact match of the pretrained model, summed over the four tasks (%)", (Claim){MORE_THAN, 60},
             RANGE_POSITIVE, known);
    for (int t = 0; t < TASKS; t++) {
        double *own = NEW(run_arena(r), double, seeds);
        for (int i = 0; i < seeds; i++) own[i] = 100 * all[(t + 1) * seeds + i].result.score[t].exact;
        run_claim(r, str_print(run_arena(r), "exact match on %s with its own prefix (%%)", MODEL[t + 1]),
                  (Claim){MORE_THAN, 50}, RANGE_PERCENT, own);
    }
    run_claim(r, "greatest exact match with the prefix of another task (%)", (Claim){LESS_THAN, 5}, RANGE_PERCENT,
              most);
    for (int i = 0; i < MODELS * seeds; i++) gap = fmax(gap, all[i].probe.gap);
    run_exact(r, "the prefixes leave relative content attention as it is, to 5e-6", gap < 5e-6);
    run_conclude(r,
                 "Exact match (mean of %d %s): asc %.1f, desc %.1f, +1 %.1f, +2 %.1f %% with the task's own prefix, "
                 "%.1f, %.1f, %.1f, %.1f %% without any; another task's prefix gives at most %.2f %%. The prefixes "
                 "change relative content attention by at most %.1e.",
                 seeds, str_plural(seeds, "seed", "seeds"), exact(all, seeds, 1, 0), exact(all, seeds, 2, 1),
                 exact(all, seeds, 3, 2), exact(all, seeds, 4, 3), exact(all, seeds, 0, 0), exact(all, seeds, 0, 1),
                 exact(all, seeds, 0, 2), exact(all, seeds, 0, 3), other, gap);
}

static Status run(Run *r)
{
    Elicitation e = {0};
    int seeds = run_seeds(r);
    TRY(ask(r, &e));
    TRY(lab_pretrain(r, &e.recipe, 1));
    Outcome *all = NEW(run_arena(r), Outcome, MODELS * seeds);
    TRY(run_parallel(r, MODELS * seeds, sizeof *all, elicit, &e, all));
    record(r, all, seeds);
    TRY(draw_matrix(r, all, seeds));
    TRY(draw_maps(
        r, all, seeds, "attention", 1, 0,
        "Attention of the four heads on the probe input and the model's own output, with the prefix of each "
        "task (one seed)."));
    TRY(draw_maps(
        r, all, seeds, "content", 0, 1,
        "The same without the prefix column, every row renormalised over its content, and the model without "
        "a prefix on top. Input rows are identical; output rows differ only because the tokens do."));
    TRY(draw_clusters(r, all, seeds));
    run_note(
        r, "Not tested here: the LayerNorm before attention, which the published recipe removes for this experiment "
           "alone; prefixes of more virtual tokens; a prefix's learning rate.");
    judge(r, all, seeds);
    return OK;
}

static const Setting SETTINGS[] = {
    {"pretrain-steps", "steps of pretraining on the mixture", {"60", "10000", "20000"}, 1, 1e7},
    {"prefix-steps", "steps of each prefix", {"40", "1000", "30000"}, 1, 1e7},
    {"lr", "learning rate of pretraining", {"2e-3", "2e-3", "5e-4"}, 1e-7, 1},
    {"prefix-lr", "learning rate of the prefixes", {"2e-2", "2e-2", "5e-5"}, 1e-7, 10},
    {"init", "standard deviation of the model's initial weights", {"0.05", "0.05", "0.02"}, 1e-6, 10},
    {"prefix-init", "standard deviation of a prefix's start", {"0.1", "0.1", "1.0"}, 0, 10},
    {"dim", "hidden size", {"32", "128", "256"}, 8, 4096},
    {"batch", "examples a step", {"16", "32", "64"}, 1, 65536},
    {"test", "held-out inputs scored", {"100", "800", "3200"}, 1, 1000000},
    {0}};

static const Experiment E2 = {
    .group = "toy",
    .name = "e2",
    .title = "A prefix elicits one of the pretrained tasks",
    .claim = "A one-layer transformer trained on a mixture of four tasks does each of them, and none of the others, "
             "with a trained prefix of one virtual token.",
    .method = "Pretrain on the mixture without a token that names the task; train one prefix for each task; greedy "
              "exact match of every model on every task.",
    .expect =
        "Published, one run: 94, 84, 99.6 and 99.8 % with the task's own prefix, at most 0.7 % with another's, 16 "
        "to 31 % without.",
    .cost = "smoke seconds, quick a minute, paper an hour",
    .source = "Petrov, Torr, Bibi (ICLR 2024), section 5, experiment 2",
    .settings = SETTINGS,
    .seeds = {1, 3, 3},
    .run = run};
REGISTER(experiment, E2)
