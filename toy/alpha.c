/* toy/alpha: how much attention goes to a prefix, and must it depend on the input?
 *
 * Claim    A prefix moves a head's output from t to (1 - alpha) t + alpha mu.  The share alpha depends on the input
 *          through the query and the content's scores, and eliciting a pretrained task needs that: with alpha clamped
 *          to its mean of each head and output position, accuracy falls.
 * Method   A one-layer model pretrained on four tasks without a task token; a free prefix per task, learning rates
 *          swept. alpha is the mass on virtual keys and the reserved filler token, by task, head and output position.
 *          Then greedy accuracy with each row's weights rescaled so that this mass is (a) the mean of its head and
 *          output position, (b) the mean of its head; the shares within prefix and within content stay the row's own.
 * Expect   If a prefix needs only a constant bias with a constant weight, (a) costs nothing.  alpha near 1
 *          means that the content is ignored.
 * Cost     seconds; two minutes; an hour.
 * Source   The gate of He et al. (ICLR 2022), section 3.1, and the alpha of Petrov, Torr and Bibi (ICLR 2024),
 *          section 4, are this number; the models are those of the latter's section 5, experiment 2.
 *
 * What it does not show: the accuracy of a prefix trained with a constant alpha.  The clamp comes after training. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "lab/probs.h"
#include "lab/sweep.h"

enum { TASKS = 8, LOOK = 128, HEADS = 8 };
typedef enum { TRAINED, BY_PLACE, BY_HEAD, CLAMPS } Clamping;
static const char *const CLAMP_NAME[CLAMPS] = {"as trained", "mean of head and position", "mean of head"};

typedef struct {
    LabResult result;
    double alpha[HEADS * LENGTH]; /* of (head, output) */
    double exact[CLAMPS];         /* exact match under each clamp, in % */
    double spread;                /* of alpha over inputs */
} Outcome;

typedef struct {
    LabModel model;
    DigitMix tasks;
    Sweep sweep;
} Question;

static Status ask(Run *r, Question *q)
{
    Arena *a = run_arena(r);
    LabModel *l = &q->model;
    *l = lab_elicitor(run_preset(r));
    l->tasks = run_text(r, "tasks"), l->dim = (int)run_int(r, "dim"), l->heads = (int)run_int(r, "heads");
    l->steps = run_int(r, "pretrain-steps"), l->lr = run_real(r, "lr"), l->test = run_int(r, "test");
    TRY(lab_check(l));
    TRY(digits_mix(&q->tasks, run_text(r, "targets")));
    if (l->heads > HEADS || q->tasks.n > TASKS)
        return err_fail(E_CONFIG, "at most %d heads and %d targets", HEADS, TASKS);
    for (int t = 0; t < q->tasks.n; t++) {
        LabArm arm = lab_arm("prefix");
        arm.name = q->tasks.task[t]->name;
        arm.options = str_print(a, "kind=free,init_sd=1,length=%lld", (long long)run_int(r, "length"));
        arm.target = arm.name, arm.steps = run_int(r, "steps");
        q->sweep.arm[q->sweep.arms++] = (SweepArm){arm, l, t};
    }
    q->sweep.rates = run_list(r, "rates", q->sweep.scale);
    return OK;
}

/* ---- the clamp */

typedef struct {
    DigitLayout layout;
    int64_t slots; /* virtual keys and reserved filler tokens */
    double alpha[HEADS * LENGTH];
} Clamp;

/* Rescales a row of n columns: mass `to` on the first `slots`, 1 - to on the others. */
static void rescale(Tensor p, int64_t at, int64_t n, int64_t slots, double to)
{
    double now = 0;
    for (int64_t j = 0; j < slots; j++) now += tensor_get(p, at + j);
    for (int64_t j = 0; j < n; j++)
        tensor_set(p, at + j, tensor_get(p, at + j) * (j < slots ? to / now : (1 - to) / (1 - now)));
}

/* Queries are the last rows of the content, of which there are n - virtual keys; a row's position determines its
 * output. */
static Var *clamp(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    const Clamp *c = user;
    Tensor probs = tensor_copy(tape_arena(p->tape), out->val);
    int64_t heads = probs.dim[1], t = probs.dim[2], n = probs.dim[3], content = n - c->slots + c->layout.slots;
    for (int64_t row = 0; row < probs.dim[0] * heads * t; row++) {
        int64_t output = content - t + row % t - (digits_start(c->layout) - 1), head = row / t % heads;
        if (output >= 0) rescale(probs, row * n, n, c->slots, c->alpha[head * LENGTH + output]);
    }
    return tape_leaf(p->tape, probs);
}

static Status tune(Run *r, SweepJob *j, void *out, void *user)
{
    const Question *q = user;
    Outcome *o = out;
    const DigitLayout layout = j->model->layout;
    DigitMix task = {{q->tasks.task[j->tag]}, 1};
    TRY(sweep_train(r, j, &o->result));
    Batch b = digits_batch(j->run, &task, layout, LOOK, rng_stream(1, "look"), 0, true);
    Tensor probs = probs_of(j->run, j->m, j->hooks, &b, 0);
    probs_mass(o->alpha, probs, layout);
    o->spread = probs_spread(probs, layout);
    int heads = j->model->heads;
    for (int k = 0; k < CLAMPS; k++) {
        Clamp c = {.layout = layout, .slots = probs.dim[3] - probs.dim[2] + layout.slots};
        for (int i = 0; i < heads * LENGTH; i++) {
            double mean = 0;
            for (int at = 0; at < LENGTH; at++) mean += o->alpha[i / LENGTH * LENGTH + at] / LENGTH;
            c.alpha[i] = k == BY_PLACE ? o->alpha[i] : mean;
        }
        int before = hooks_n(j->hooks);
        if (k != TRAINED) hook_add(j->hooks, (Where){SITE_PROBS, 0, PART_DECODER}, clamp, &c);
        DigitScore score;
        lab_score(j->m, j->hooks, j->model, &task, &score);
        hooks_clear_from(j->hooks, before);
        o->exact[k] = 100 * score.exact;
    }
    return OK;
}

static const Outcome *seen(const SweepBest *b, int seed)
{
    return (const Outcome *)b->outcome + seed;
}

/* ---- figures */

static Status draw_maps(Run *r, const Question *q, const SweepBest *best)
{
    Arena *a = run_arena(r);
    Tensor map[TASKS];
    HeatStyle style[TASKS];
    const char **head = NEW(a, const char *, q->model.heads), **place = NEW(a, const char *, LENGTH);
    for (int h = 0; h < q->model.heads; h++) head[h] = str_print(a, "%d", h + 1);
    for (int i = 0; i < LENGTH; i++) place[i] = str_print(a, "%d", i + 1);
    for (int t = 0; t < q->tasks.n; t++) {
        map[t] = tensor_new(a, F64, SHAPE(q->model.heads, LENGTH));
        for (int i = 0; i < q->model.heads * LENGTH; i++) tensor_set(map[t], i, seen(&best[t], 0)->alpha[i]);
        style[t] = (HeatStyle){.title = q->tasks.task[t]->name,
                               .hi = 1,
                               .row = head,
                               .col = place,
                               .row_title = t ? NULL : "head",
                               .col_title = "output position",
                               .bar = t == q->tasks.n - 1,
                               .bar_title = "alpha"};
    }
    Fig *f =
        run_figure(r, "alpha",
                   str_print(a,
                             "Share of attention on the prefix and the filler token, alpha, by task, head and "
                             "output position; mean over %d inputs, first seed. At 1 the head ignores the input.",
                             LOOK),
                   500, 90);
    fig_heatmaps(f, fig_whole(f), q->tasks.n, map, style);
    return fig_close(f);
}

static double clamped(const SweepBest *b, int seeds, int clamping)
{
    double sum = 0;
    for (int i = 0; i < seeds; i++) sum += seen(b, i)->exact[clamping] / seeds;
    return sum;
}

static Status draw_clamps(Run *r, const Question *q, const SweepBest *best)
{
    Arena *a = run_arena(r);
    const char *label[TASKS];
    Series bar[CLAMPS];
    for (int k = 0; k < CLAMPS; k++) {
        bar[k] = (Series){.label = CLAMP_NAME[k],
                          .y = tensor_new(a, F64, SHAPE(q->tasks.n)),
                          .lo = tensor_new(a, F64, SHAPE(q->tasks.n)),
                          .hi = tensor_new(a, F64, SHAPE(q->tasks.n))};
        for (int t = 0; t < q->tasks.n; t++) {
            double least = INFINITY, most = -INFINITY;
            for (int i = 0; i < run_seeds(r); i++) {
                least = fmin(least, seen(&best[t], i)->exact[k]), most = fmax(most, seen(&best[t], i)->exact[k]);
            }
            tensor_set(bar[k].y, t, clamped(&best[t], run_seeds(r), k));
            tensor_set(bar[k].lo, t, least), tensor_set(bar[k].hi, t, most);
            label[t] = q->tasks.task[t]->name;
        }
    }
    Fig *f = run_figure(r, "clamped",
                        str_print(a,
                                  "Greedy exact match with the trained prefix, and with alpha clamped to its mean of "
                                  "each head and output position, or of each head; mean and range of %d %s.",
                                  run_seeds(r), str_plural(run_seeds(r), "seed", "seeds")),
                        340, 200);
    fig_bars(f, fig_whole(f), CLAMPS, bar, label, (PlotStyle){.y = {.title = "exact match (%)", .lo = 0, .hi = 100}});
    return fig_close(f);
}

static void record(Run *r, const Question *q, const SweepBest *best)
{
    Arena *a = run_arena(r);
    for (int t = 0; t < q->tasks.n; t++)
        for (int i = 0; i < run_seeds(r); i++) {
            const char *name = q->tasks.task[t]->name;
            double alpha = 0;
            for (int k = 0; k < q->model.heads * LENGTH; k++)
                alpha += seen(&best[t], i)->alpha[k] / (q->model.heads * LENGTH);
            run_metric(r, RANGE_SHARE, str_print(a, "%s: alpha, mean", name), i, alpha);
            run_metric(r, RANGE_POSITIVE, str_print(a, "%s: alpha, standard deviation over inputs", name), i,
                       seen(&best[t], i)->spread);
            for (int k = 1; k < CLAMPS; k++)
                run_metric(r, RANGE_PERCENT,
                           str_print(a, "%s: exact match with alpha at its %s (%%)", name, CLAMP_NAME[k]), i,
                           seen(&best[t], i)->exact[k]);
        }
}

/* A task is judged where its prefix elicits it in 20 % of inputs or more.  It loses a tenth of its accuracy where the
 * clamped accuracy less 0.9 of the free one is below 0, seed by seed. */
static void judge(Run *r, const char *task, const SweepBest *best)
{
    Arena *a = run_arena(r);
    int seeds = run_seeds(r);
    bool elicited = clamped(best, seeds, TRAINED) >= 20;
    for (int k = BY_PLACE; k <= BY_HEAD; k++) {
        const char *says = str_print(a, "%s: exact match with alpha at its %s less 0.9 of that without (points)",
                                     task, CLAMP_NAME[k]);
        double *left = NEW(a, double, seeds);
        for (int i = 0; i < seeds; i++) left[i] = seen(best, i)->exact[k] - 0.9 * seen(best, i)->exact[TRAINED];
        if (elicited)
            run_claim(r, says, (Claim){LESS_THAN, 0}, RANGE_ANY, left);
        else
            run_unjudged(r, says, "since the prefix elicits it on less than 20 % of inputs");
    }
}

static Status run(Run *r)
{
    Question q = {0};
    TRY(ask(r, &q));
    TRY(lab_pretrain(r, &q.model, 1));
    q.sweep.tune = tune, q.sweep.size = sizeof(Outcome), q.sweep.user = &q;
    SweepBest best[TASKS];
    TRY(sweep_run(r, &q.sweep, best));
    sweep_record(r, &q.sweep, best);
    record(r, &q, best);
    TRY(draw_maps(r, &q, best));
    TRY(draw_clamps(r, &q, best));
    int seeds = run_seeds(r), elicited = 0, falls = 0;
    double *most = NEW(run_arena(r), double, seeds);
    Buf said = buf_open(run_arena(r));
    for (int t = 0; t < q.tasks.n; t++) {
        double free = clamped(&best[t], seeds, TRAINED), fixed = clamped(&best[t], seeds, BY_PLACE);
        for (int i = 0; i < seeds; i++) most[i] = fmax(most[i], seen(&best[t], i)->exact[TRAINED]);
        if (free >= 20) elicited++, falls += fixed < 0.9 * free;
        judge(r, q.tasks.task[t]->name, &best[t]);
        buf_print(&said, "%s%s %.1f, %.1f, %.1f", t ? "; " : "", q.tasks.task[t]->name, free, fixed,
                  clamped(&best[t], seeds, BY_HEAD));
    }
    run_note(
        r, "A task counts as elicited from 20 %% exact match on; accuracy falls when it loses a tenth of its value.");
    run_gate(r, "exact match on the task that its prefix elicits best (%)", (Claim){MORE_THAN, 20}, RANGE_PERCENT,
             most);
    run_conclude(r,
                 "Exact match (%%) with the trained prefix, with alpha at its mean of head and position, and of head "
                 "(mean of %d %s): %s. Clamping by head and position lowers %d of %d elicited tasks.",
                 seeds, str_plural(seeds, "seed", "seeds"), said.text, falls, elicited);
    return OK;
}

static const Setting SETTINGS[] = {
    {"tasks", "tasks of pretraining, mixed", {"asc,desc,add1,add2"}, 0, 0, NULL},
    {"targets", "tasks to elicit or learn", {"asc,desc,add1,add2"}, 0, 0, NULL},
    {"length", "virtual tokens of each prefix", {"1", "4", "4"}, 1, 512},
    {"rates", "factors of the usual learning rate, 5e-2", {"1,", "0.3,1,3", "0.02,0.1,0.3,1,3"}, 1e-6, 1e6},
    {"steps", "steps of tuning", {"10", "1000", "30000"}, 1, 1e7},
    {"pretrain-steps", "steps of pretraining", {"40", "3500", "20000"}, 1, 1e7},
    {"lr", "learning rate of pretraining", {"2e-3", "1.5e-3", "5e-4"}, 1e-7, 1},
    {"heads", "heads", {"4"}, 1, HEADS},
    {"dim", "hidden size", {"32", "64", "256"}, 8, 4096},
    {"test", "held-out inputs scored", {"50", "400", "3200"}, 1, 1e6},
    {0}};

static const Experiment ALPHA = {
    .group = "toy",
    .name = "alpha",
    .title = "Who attends to the prefix, and must that depend on the input?",
    .claim =
        "The share of attention that a prefix takes must depend on the input: clamped to its mean of each head, and "
        "also of each head and output position, every elicited task loses a tenth of its accuracy.",
    .method = "A prefix per task on a one-layer model pretrained on four; alpha by task, head and output position; "
              "greedy accuracy with alpha clamped to its mean.",
    .expect = "Accuracy falls by a tenth or more for every task that the prefix elicits.",
    .cost = "smoke seconds, quick two minutes, paper an hour",
    .source = "He et al. (ICLR 2022), section 3.1; Petrov, Torr, Bibi (ICLR 2024), section 4",
    .settings = SETTINGS,
    .seeds = {1, 3, 3},
    .run = run};
REGISTER(experiment, ALPHA)
