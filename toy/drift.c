/* toy/drift: how far does each method move attention, layer by layer, when all do the task equally well?
 *
 * Claim    At matched accuracy a prefix leaves the content attention of layer 1 as it was, and moves it in deeper
 *          layers, where its inputs have moved; methods that tune the projections may move it in every layer.
 * Method   Pretrain a four-layer decoder on a mixture of tasks.  Train each method on a target, at several learning
 *          rates, and stop at the first point where the token accuracy, teacher-forced on held-out inputs, reaches
 *          the match; of the rates, the one that matches for most seeds and then soonest counts.  On one set of token
 *          sequences compare the renormalised content attention with and without the method: D_l, the mean KL
 *          divergence and total variation per layer.  For prefixes also with only layer l's own prefix toggled: the
 *          conditional drift, zero by the theorem, which is the zero line.
 * Expect   Prefix: D_1 and the conditional drift at rounding, D_l > 0 above.  LoRA on all linear layers, adapters and
 *          full tuning: no zero except where the placement forces it (adapters act after layer 1's attention).
 * Cost     seconds; two minutes; an hour.
 * Source   Petrov, Torr and Bibi (ICLR 2024) on invariance; the claim of PrefixMemory-Tuning (ICLR 2026) that
 *          prefixes do change attention patterns in deep models is about the layers above the first.
 *
 * What it does not show: the effect of the drift. A method can need drift or merely cause it. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "lab/sweep.h"
#include "measure/measure.h"

enum { LAYERS = 8, TARGETS = 4 };

typedef struct {
    LabResult result; /* `last`: steps to the match, or a number beyond all steps: the sweep takes the least */
    bool matched;
    double token, gap[LAYERS], kl[LAYERS], tv[LAYERS];
    double conditional[LAYERS]; /* largest change with layer l's own prefix toggled alone; NaN for other methods */
} Outcome;

typedef struct {
    LabModel recipe;
    DigitMix target;
    int methods;
    int64_t probes;
} Question;

/* ---- one trained model ---- */

static int64_t virtual_keys(const Seen *s)
{
    return s->probs.dim[3] - s->probs.dim[2];
}

/* Hooks of a prefix are added two a layer, from the first layer on: clearing from 2l leaves the layers below l. */
static void toggle(Outcome *o, SweepJob *j, const Batch *probe, const Seen *all)
{
    Seen with[LAYERS], without[LAYERS];
    int layers = j->model->layers;
    int64_t extra = virtual_keys(all), reserved = j->model->layout.slots;
    memcpy(with, all, sizeof *all * (size_t)layers);
    for (int l = layers - 1; l >= 0; l--) {
        hooks_clear_from(j->hooks, 2 * l);
        measure_pass(without, j->run, j->m, j->hooks, PART_DECODER, probe);
        Map on = {.seen = &with[l], .extra = extra, .reserved = reserved},
            off = {.seen = &without[l], .reserved = reserved};
        o->conditional[l] = measure_change(on, off, -1).gap;
        memcpy(with, without, sizeof *without * (size_t)layers);
    }
}

static Status tune(Run *r, SweepJob *j, void *out, void *user)
{
    const Question *q = user;
    Outcome *o = out;
    Seen before[LAYERS], after[LAYERS];
    const DigitMix task = {{digit_task(j->arm.target)}, 1};
    Batch probe = digits_batch(j->run, &task, j->model->layout, q->probes, rng_stream(1, "probe"), 0, true);
    probe.keep = NULL, probe.k = 0; /* every position is captured */
    measure_pass(before, j->run, j->m, NULL, PART_DECODER, &probe);
    TRY(lab_tune(r, j->run, j->m, j->hooks, j->model, &j->arm, NULL, j->seed, &o->result));
    o->token = lab_watched(&o->result);
    o->matched = sweep_match(&o->result, &j->arm);

    measure_pass(after, j->run, j->m, j->hooks, PART_DECODER, &probe);
    int64_t reserved = j->model->layout.slots;
    for (int l = 0; l < j->model->layers; l++) {
        Map on = {.seen = &after[l], .extra = virtual_keys(&after[l]), .reserved = reserved},
            off = {.seen = &before[l], .reserved = reserved};
        AttentionChange c = measure_change(on, off, -1);
        o->gap[l] = c.gap, o->kl[l] = c.kl, o->tv[l] = c.tv, o->conditional[l] = NAN;
    }
    if (peft_find(j->arm.method)->virtual_keys) toggle(o, j, &probe, after);
    return OK;
}

/* ---- the results ---- */

static int matched(const Outcome *o, int seeds)
{
    int n = 0;
    for (int i = 0; i < seeds; i++) n += o[i].matched;
    return n;
}

static void record(Run *r, const Question *q, const SweepArm *arm, const Outcome *o)
{
    Arena *a = run_arena(r);
    for (int i = 0; i < run_seeds(r); i++) {
        run_metric(r, RANGE_POSITIVE, str_print(a, "%s: steps to the match", arm->arm.name), i,
                   o[i].matched ? (double)o[i].result.last : (double)NAN);
        run_metric(r, RANGE_PERCENT, str_print(a, "%s: token accuracy (%%)", arm->arm.name), i, 100 * o[i].token);
        for (int l = 0; l < q->recipe.layers; l++) {
            run_metric(r, RANGE_POSITIVE, str_print(a, "%s: layer %d KL (nats)", arm->arm.name, l + 1), i,
                       o[i].kl[l]);
            run_metric(r, RANGE_POSITIVE, str_print(a, "%s: layer %d total variation", arm->arm.name, l + 1), i,
                       o[i].tv[l]);
            if (!isnan(o[i].conditional[l]))
                run_metric(r, RANGE_EXTREME,
                           str_print(a, "%s: layer %d conditional, largest change", arm->arm.name, l + 1), i,
                           o[i].conditional[l]);
        }
    }
    int n = matched(o, run_seeds(r));
    if (n < run_seeds(r))
        run_note(r, "%s: could not be matched for %d of %d %s within %lld steps; its drift is not at the match.",
                 arm->arm.name, run_seeds(r) - n, run_seeds(r), str_plural(run_seeds(r), "seed", "seeds"),
                 (long long)arm->arm.steps);
}

static double kl(const Outcome *o, int l)
{
    return o->kl[l];
}
static double tv(const Outcome *o, int l)
{
    return o->tv[l];
}

/* Above total variation, below KL; a column for each target, bars in groups by layer. */
static Status draw(Run *r, const Question *q, const Outcome *const best[SWEEP_ARMS], char method[][24])
{
    static const struct {
        double (*value)(const Outcome *, int l);
        const char *title;
    } ROW[] = {{tv, "total variation"}, {kl, "KL (nats)"}};
    Arena *a = run_arena(r);
    int layers = q->recipe.layers, seeds = run_seeds(r), n = q->target.n;
    const char *label[LAYERS];
    for (int l = 0; l < layers; l++) label[l] = str_print(a, "layer %d", l + 1);
    Fig *f =
        run_figure(r, "drift",
                   str_print(a,
                             "How far renormalised content attention moved from the pretrained model's, at matched "
                             "accuracy, by layer (mean and range of %d %s). The prefix, like adapters, which act "
                             "after it, leaves layer 1 exactly as it was.",
                             seeds, str_plural(seeds, "seed", "seeds")),
                   n > 1 ? 500 : 300, 320);
    for (int panel = 0; panel < 2 * n; panel++) {
        Series bar[SWEEP_ARMS];
        int t = panel % n, row = panel / n;
        for (int k = 0; k < q->methods; k++) {
            double *y = NEW(a, double, layers *seeds);
            for (int l = 0; l < layers; l++)
                for (int i = 0; i < seeds; i++) y[l * seeds + i] = ROW[row].value(&best[t * q->methods + k][i], l);
            bar[k] = seeds_series(a, y, layers, seeds, method[k]);
        }
        fig_bars(f, fig_cell(f, 2, n, panel), q->methods, bar, label,
                 (PlotStyle){.title = row ? NULL : str_print(a, "target: %s", q->target.task[t]->name),
                             .letter = str_print(a, "%c", 'a' + panel),
                             .y = {.title = ROW[row].title}});
    }
    return fig_close(f);
}

/* ---- the experiment ---- */

static Status ask(Run *r, Question *q, Sweep *s, char method[][24])
{
    LabModel *l = &q->recipe;
    *l = lab_composer(run_preset(r));
    l->tasks = run_text(r, "pretrain");
    l->layers = (int)run_int(r, "layers"), l->dim = (int)run_int(r, "dim"), l->layout.slots = 1;
    l->steps = run_int(r, "pretrain-steps"), l->lr = run_real(r, "lr"), l->batch = run_int(r, "batch");
    l->test = run_int(r, "test"), q->probes = run_int(r, "probes");
    TRY(lab_check(l));
    TRY(digits_mix(&q->target, run_text(r, "targets")));
    TRY(sweep_methods(method, SWEEP_ARMS, &q->methods, run_text(r, "methods")));
    if (q->target.n > TARGETS || q->target.n * q->methods > SWEEP_ARMS)
        return err_fail(E_CONFIG, "%d targets and %d methods: at most %d and %d combinations", q->target.n,
                        q->methods, TARGETS, SWEEP_ARMS);
    *s = (Sweep){.size = sizeof(Outcome), .tune = tune, .user = q};
    s->rates = run_list(r, "rates", s->scale);
    double match[RUN_LIST];
    int matches = run_list(r, "match", match);
    for (int t = 0; t < q->target.n; t++)
        for (int k = 0; k < q->methods; k++) {
            LabArm arm = lab_arm(method[k]);
            arm.name = str_print(run_arena(r), "%s, %s", method[k], q->target.task[t]->name);
            arm.target = q->target.task[t]->name, arm.steps = run_int(r, "steps");
            arm.watch = lab_watch_token, arm.until = match[t < matches ? t : matches - 1] / 100;
            s->arm[s->arms++] = (SweepArm){arm, l};
        }
    return OK;
}

static Status run(Run *r)
{
    Question q = {0};
    Sweep s;
    char method[SWEEP_ARMS][24];
    TRY(ask(r, &q, &s, method));
    TRY(lab_pretrain(r, &q.recipe, 1));
    SweepBest won[SWEEP_ARMS];
    TRY(sweep_run(r, &s, won));
    const Outcome *best[SWEEP_ARMS];
    int seeds = run_seeds(r), layers = q.recipe.layers;
    double first = 0, conditional = 0, above = INFINITY;
    double *met = NEW(run_arena(r), double, seeds), *least = NEW(run_arena(r), double, seeds),
           *right = NEW(run_arena(r), double, seeds);
    int prefixes = 0;
    for (int i = 0; i < seeds; i++) least[i] = INFINITY, right[i] = 100;
    Buf said = buf_open(run_arena(r));
    for (int k = 0; k < s.arms; k++) {
        best[k] = won[k].outcome;
        record(r, &q, &s.arm[k], best[k]);
        double low = 0, high = 0;
        for (int i = 0; i < seeds; i++) low += best[k][i].tv[0] / seeds, high += best[k][i].tv[layers - 1] / seeds;
        int n = matched(best[k], seeds);
        buf_print(&said, "%s%s %.2g to %.2g%s", k ? "; " : "", s.arm[k].arm.name, low, high,
                  n == seeds ? "" : " (not matched)");
        if (!peft_find(s.arm[k].arm.method)->virtual_keys) continue;
        prefixes++;
        for (int i = 0; i < seeds; i++) {
            met[i] += best[k][i].matched, right[i] = fmin(right[i], 100 * best[k][i].token);
            for (int l = 1; l < layers; l++) least[i] = fmin(least[i], best[k][i].tv[l]);
            first = fmax(first, best[k][i].gap[0]);
            for (int l = 0; l < layers; l++) conditional = fmax(conditional, best[k][i].conditional[l]);
            for (int l = 1; l < layers; l++) above = fmin(above, best[k][i].tv[l]);
        }
    }
    TRY(draw(r, &q, best, method));
    bool identity = first < 1e-5 && conditional < 1e-5;
    for (int i = 0; i < seeds; i++) met[i] /= fmax(1, prefixes);
    run_gate(r, "share of the prefixes that reach the match", (Claim){MORE_THAN, 0.9}, RANGE_SHARE, met);
    run_gate(r, "least token accuracy of a prefix at the match (%)", (Claim){MORE_THAN, 60}, RANGE_PERCENT, right);
    run_exact(r, "a prefix leaves the content attention of layer 1, and conditionally that of all layers, to 1e-5",
              identity);
    run_claim(r, "prefix: least total variation above layer 1", (Claim){MORE_THAN, 1e-3}, RANGE_SHARE, least);
    run_conclude(
        r,
        "Prefix: content attention of layer 1 changes by at most %.1e, conditionally in any layer by at most "
        "%.1e, above layer 1 by a total variation of at least %.2g. Total variation from layer 1 to layer %d "
        "at the match: %s.",
        first, conditional, above, layers, said.text);
    return OK;
}

static const Setting SETTINGS[] = {
    {"pretrain", "tasks of pretraining, mixed without a task token", {"asc,desc,add1,add2"}, 0, 0, NULL},
    {"targets", "tasks to learn, an old and a new one", {"desc,desc-add1"}, 0, 0, NULL},
    {"match", "token accuracy at which training stops (%), one per target", {"15,15", "92,80", "98,95"}, 0, 100},
    {"methods", "methods to compare; adapter is Houlsby's", {"prefix,lora,adapter,full"}, 0, 0, NULL},
    {"rates", "factors of each method's usual learning rate", {"1,", "0.4,1", "0.1,0.3,1,3"}, 1e-6, 1e6},
    {"steps", "most steps of tuning", {"20", "500", "20000"}, 1, 1e7},
    {"pretrain-steps", "steps of pretraining", {"40", "1500", "40000"}, 1, 1e7},
    {"lr", "learning rate of pretraining", {"2e-3", "2e-3", "5e-4"}, 1e-7, 1},
    {"layers", "layers", {"4"}, 1, LAYERS},
    {"dim", "width", {"32", "64", "256"}, 8, 4096},
    {"batch", "examples a step", {"16", "32", "64"}, 1, 65536},
    {"probes", "inputs on which attention is compared", {"10", "64", "256"}, 1, 4096},
    {"test", "held-out inputs scored", {"50", "200", "3200"}, 1, 1e6},
    {0}};

static const Experiment DRIFT = {
    .group = "toy",
    .name = "drift",
    .title = "Attention drift by layer, at matched accuracy",
    .claim = "At matched accuracy a prefix leaves the content attention of layer 1 unchanged and moves it in deeper "
             "layers; other methods move it wherever they sit.",
    .method =
        "Tune a four-layer decoder by each method until its token accuracy reaches the match; compare renormalised "
        "content attention with and without, per layer, on fixed sequences.",
    .expect = "Prefix: zero at layer 1 and conditionally everywhere, drift above; the others by placement.",
    .cost = "smoke a second, quick two minutes, paper an hour",
    .source = "Petrov, Torr, Bibi (ICLR 2024), section 4; PrefixMemory-Tuning (ICLR 2026) for the dispute",
    .settings = SETTINGS,
    .seeds = {1, 3, 3},
    .run = run};
REGISTER(experiment, DRIFT)
