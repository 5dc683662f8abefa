/* toy/fibre-pairs: inputs that no prefix can distinguish, whatever its length.
 *
 * Claim    In a one-layer sorter the content of an input reaches the next token through its summary (query, Z, h)
 *          alone, under every prefix.  There are pairs of inputs with one summary and different targets. On them no
 *          prefix has a mean loss below log 2, nor answers both; LoRA does.
 * Method   Pretrain ascending; the task is descending.  Among many inputs take, for every output, the pairs with
 *          equal queries, different targets and the nearest summaries (data); exchange digits while that brings them
 *          nearer (climbed); then shift the content embeddings of the second input by the least that makes the
 *          summaries equal (met): a shift below 1 leaves every embedding nearest to its own digit.  Train prefixes of
 *          several lengths and LoRA on the task, each at several learning rates, and evaluate all in F64 on the
 *          pairs.
 * Expect   Met pairs: every prefix gives both inputs one distribution p, so its mean loss is at least
 *          -(log p(y) + log p(y')) / 2 >= log 2.  All pairs: the head's two outputs differ by no more than the slack.
 * Cost     seconds; two minutes; an hour.
 * Source   The bound is the observability argument of Mondal and Shihab (2026), with Petrov, Torr and Bibi (ICLR
 *          2024).
 *
 * Proof of the slack: toy/fibre.h.
 *
 * What it does not show: that digits themselves collide.  Unshifted pairs are near, not equal, and a prefix with
 * large enough values could in principle separate them; the certificate is for the shifted ones. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "lab/sweep.h"
#include "measure/observe.h"
#include "num/stats.h"
#include "toy/fibre.h"

enum { PAIRS = 60, LONGEST = 5 };
typedef enum { DATA, CLIMBED, MET, KINDS } Kind;
static const char *const KIND[KINDS] = {"data pairs", "climbed pairs", "met pairs"};

typedef struct {
    int n;
    Pair found[PAIRS], climbed[PAIRS]; /* climbed ones carry the shift that makes them met */
} Pairs;

typedef struct { /* of one trained model */
    LabResult result;
    double loss[KINDS][PAIRS], apart[KINDS][PAIRS]; /* mean loss; distance between the head's two outputs */
    bool both[KINDS][PAIRS];                        /* both answers right */
    double cap;                                     /* largest norm of a prefix's, or the pad token's, value */
} Outcome;

typedef struct {
    LabModel recipe;
    const DigitTask *task;
    const Pairs *pairs; /* (seeds) */
    int prefixes;       /* methods that are prefixes; LoRA is the one after, and LoRA behind attention the next */
} Question;

/* ---- the pairs of one pretrained model ---- */

/* The model and, where a method is attached, its trained parameters, in F64. */
static Status doubled(Model **out, Hooks *hooks, Arena *run, const Model *m, const LabModel *l, const LabArm *arm)
{
    TRY(model_open(out, run, &m->config, F64, 0));
    if (arm) TRY(lab_attach(*out, hooks, l, arm));
    for (int i = 0; i < params_n(m->params); i++) {
        const Param *from = params_at(m->params, i);
        Param *to = param_find((*out)->params, from->name);
        for (int64_t k = 0; k < tensor_count(from->val); k++) tensor_set(to->val, k, tensor_get(from->val, k));
    }
    return OK;
}

static Status find_pairs(Run *r, int i, void *out, void *user)
{
    const Question *q = user;
    Pairs *p = out;
    Arena run = arena_open(0), step = arena_open(0);
    Model *m, *m64;
    double cap = run_real(r, "cap");
    TRY(lab_open(&m, &run, r, &q->recipe, run_seed(r, i)));
    TRY(doubled(&m64, NULL, &run, m, &q->recipe, NULL));
    const Fibre *f = fibre_open(&run, m64);
    p->n = fibre_search(p->found, &step, f, q->task, (int)run_int(r, "inputs"), (int)run_int(r, "pairs") / LENGTH,
                        cap, rng_stream(run_seed(r, i), "pairs"));
    for (int k = 0; k < p->n; k++) {
        if (run_stopped()) return run_interrupted();
        p->climbed[k] = p->found[k];
        fibre_climb(&p->climbed[k], f, q->task, cap);
        TRY(fibre_meet(&p->climbed[k], &step, f));
        run_progress(r, "pairs", k + 1, p->n, NAN);
    }
    arena_close(&step), arena_close(&run);
    return OK;
}

/* ---- one pair under a trained model ---- */

static Var *add_shift(Pass *p, Where at, Var *in, Var *out, void *shift)
{
    (void)at, (void)in;
    return op_add(p->tape, out, 1, tape_leaf(p->tape, *(Tensor *)shift));
}

static double log_prob(Tensor logits, int32_t y)
{
    double top = tensor_get(logits, tensor_argmax(logits)), sum = 0;
    for (int v = 0; v < DIGIT_VOCAB; v++) sum += exp(tensor_get(logits, v) - top);
    return tensor_get(logits, y) - top - log(sum);
}

static double between(Tensor a, Tensor b)
{
    double sum = 0;
    for (int64_t i = 0; i < tensor_count(a); i++) sum += pow(tensor_get(a, i) - tensor_get(b, i), 2);
    return sqrt(sum);
}

/* The largest norm among the values in front of the content. */
static double largest_value(Tensor values, int64_t n)
{
    double largest = 0;
    for (int64_t p = 0; p < n; p++) {
        Tensor v = tensor_at(tensor_at(values, 0), p);
        double sum = 0;
        for (int64_t i = 0; i < tensor_count(v); i++) sum += tensor_get(v, i) * tensor_get(v, i);
        largest = fmax(largest, sqrt(sum));
    }
    return largest;
}

static void judge(Outcome *out, Kind kind, int k, Arena *run, Model *m, Hooks *hooks, const Pair *p)
{
    int before = hooks_n(hooks), t = p->at + 1;
    int64_t c = m->config.dim;
    int32_t ids[2 * FIBRE_PLACES], keep[2] = {p->at, p->at};
    Arena step = arena_open(0);
    Tensor shift = tensor_zero(&step, F64, SHAPE(2, t, c));
    for (int s = 0; s < 2; s++) memcpy(ids + s * t, p->row[s], sizeof *ids * (size_t)t);
    for (int64_t i = 0; i < t * c; i++) tensor_set(shift, t * c + i, p->shift[i / c][i % c]);
    static const Where at[] = {
        {SITE_HEADS, 0, PART_DECODER}, {SITE_VALUES, 0, PART_DECODER}, {SITE_LOGITS, LAYER_EMBED, PART_DECODER}};
    Tensor seen[3];
    if (kind == MET) hook_add(hooks, (Where){SITE_RESID, LAYER_EMBED, PART_DECODER}, add_shift, &shift);
    Batch b = {.b = 2, .t = t, .k = 1, .ids = ids, .keep = keep};
    observe_many(seen, run, m, hooks, &b, at, 3);
    Tensor heads = seen[0], values = seen[1], logits = seen[2];
    out->both[kind][k] = true;
    for (int s = 0; s < 2; s++) {
        Tensor x = tensor_at(tensor_reshape(logits, SHAPE(2, DIGIT_VOCAB)), s);
        out->loss[kind][k] -= log_prob(x, p->want[s]) / 2;
        out->both[kind][k] &= tensor_argmax(x) == p->want[s];
    }
    out->apart[kind][k] = between(tensor_at(heads, 0), tensor_at(heads, 1));
    int64_t virtual = values.dim[1] - (t - FIBRE_SLOTS);
    out->cap = fmax(out->cap, largest_value(values, virtual));
    hooks_clear_from(hooks, before);
    arena_close(&step);
}

static Status tune(Run *r, SweepJob *j, void *out, void *user)
{
    const Question *q = user;
    const Pairs *p = &q->pairs[j->seed_index];
    Outcome *o = out;
    TRY(lab_tune(r, j->run, j->m, j->hooks, j->model, &j->arm, NULL, j->seed, &o->result));
    Model *m;
    Hooks *hooks = hooks_new(j->run);
    TRY(doubled(&m, hooks, j->run, j->m, j->model, &j->arm));
    for (int k = 0; k < p->n; k++) {
        judge(o, DATA, k, j->run, m, hooks, &p->found[k]);
        judge(o, CLIMBED, k, j->run, m, hooks, &p->climbed[k]);
        judge(o, MET, k, j->run, m, hooks, &p->climbed[k]);
    }
    return OK;
}

/* ---- the results ---- */

typedef struct {
    double least, loss[KINDS], both[KINDS]; /* least loss of a met pair; means over pairs and seeds; both in % */
    double excess;                          /* by how much a distance exceeded its slack, over the slack */
    double certified; /* for prefixes: mean of (|T - T'| - slack) / 2 on data pairs, T the head's output under LoRA */
} Summed;

static Summed sum_up(Run *r, const Question *q, const Outcome *o, const Outcome *lora)
{
    Summed s = {.least = INFINITY, .excess = -INFINITY};
    int seeds = run_seeds(r);
    for (int i = 0; i < seeds; i++) {
        const Pairs *p = &q->pairs[i];
        for (int k = 0; k < p->n; k++) {
            double share = 1.0 / (p->n * seeds),
                   slack[2] = {fibre_slack(p->found[k].gap, o[i].cap), fibre_slack(p->climbed[k].gap, o[i].cap)};
            for (int kind = 0; kind < KINDS; kind++) {
                s.loss[kind] += share * o[i].loss[kind][k];
                s.both[kind] += share * 100 * o[i].both[kind][k];
                if (kind != MET) s.excess = fmax(s.excess, o[i].apart[kind][k] / slack[kind] - 1);
            }
            s.least = fmin(s.least, o[i].loss[MET][k]);
            s.certified += share * fmax(0, (lora[i].apart[DATA][k] - slack[0]) / 2);
        }
    }
    return s;
}

static void record(Run *r, const Question *q, const char *name, const Outcome *o)
{
    Arena *a = run_arena(r);
    for (int i = 0; i < run_seeds(r); i++) {
        for (int kind = 0; kind < KINDS; kind++) {
            double both = 0;
            int n = q->pairs[i].n;
            for (int k = 0; k < n; k++) both += 100.0 * o[i].both[kind][k] / n;
            run_metric(r, RANGE_POSITIVE, str_print(a, "%s: mean loss, %s", name, KIND[kind]), i,
                       seeds_mean(o[i].loss[kind], n));
            run_metric(r, RANGE_PERCENT, str_print(a, "%s: both correct, %s (%%)", name, KIND[kind]), i, both);
        }
        run_metric(r, RANGE_EXTREME, str_print(a, "%s: largest value norm in front of the content", name), i,
                   o[i].cap);
        run_metric(r, RANGE_PERCENT, str_print(a, "%s: task exact match (%%)", name), i,
                   100 * o[i].result.score[0].exact);
        run_metric(r, RANGE_POSITIVE, str_print(a, "%s: task loss", name), i, o[i].result.last);
    }
}

/* The slack of the pairs, over that of unrelated pairs; the shifts; the difference left after them. */
static void describe(Run *r, const Question *q, double *moved, double *left)
{
    *moved = *left = 0;
    for (int i = 0; i < run_seeds(r); i++) {
        const Pairs *p = &q->pairs[i];
        double near[PAIRS], nearer[PAIRS], shift[PAIRS], cap = run_real(r, "cap");
        for (int k = 0; k < p->n; k++) {
            near[k] = fibre_slack(p->found[k].gap, cap) / p->found[k].unrelated;
            nearer[k] = fibre_slack(p->climbed[k].gap, cap) / p->climbed[k].unrelated;
            shift[k] = p->climbed[k].moved;
            *moved = fmax(*moved, shift[k]), *left = fmax(*left, p->climbed[k].left);
        }
        run_metric(r, RANGE_POSITIVE, "data pairs: slack over that of unrelated pairs, median", i,
                   stats_quantile(near, p->n, 0.5));
        run_metric(r, RANGE_POSITIVE, "climbed pairs: slack over that of unrelated pairs, median", i,
                   stats_quantile(nearer, p->n, 0.5));
        run_metric(r, RANGE_POSITIVE, "met pairs: largest shift over half the distance of two digits, median", i,
                   stats_quantile(shift, p->n, 0.5));
    }
}

static Status draw_losses(Run *r, int arms, const char *const *name, const Summed *s)
{
    Arena *a = run_arena(r);
    Series bar[KINDS];
    for (int kind = 0; kind < KINDS; kind++) {
        bar[kind] = (Series){.y = tensor_new(a, F64, SHAPE(arms)), .label = KIND[kind]};
        for (int k = 0; k < arms; k++) tensor_set(bar[kind].y, k, s[k].loss[kind]);
    }
    RefLine floor = {log(2), "log 2", false};
    Fig *f = run_figure(r, "losses",
                        str_print(a,
                                  "Mean loss on pairs of inputs with different targets (mean of all pairs and %d "
                                  "seeds). On met pairs, whose summaries are equal, no prefix can go below log 2.",
                                  run_seeds(r)),
                        340, 200);
    fig_bars(f, fig_whole(f), KINDS, bar, name,
             (PlotStyle){.y = {.title = "mean loss of a pair (nats)"}, .ref = &floor, .refs = 1});
    return fig_close(f);
}

static Status draw_pairs(Run *r, const Question *q, const Outcome *prefix, const char *name, const Outcome *lora)
{
    Arena *a = run_arena(r);
    const Outcome *o[2] = {prefix, lora};
    const char *label[2] = {name, "lora"};
    Series dots[2];
    int n = 0;
    for (int i = 0; i < run_seeds(r); i++) n += 2 * q->pairs[i].n;
    for (int s = 0; s < 2; s++) {
        dots[s] = (Series){.x = tensor_new(a, F64, SHAPE(n)), .y = tensor_new(a, F64, SHAPE(n)), .label = label[s]};
        int at = 0;
        for (int i = 0; i < run_seeds(r); i++)
            for (int k = 0; k < 2 * q->pairs[i].n; k++, at++) {
                const Pairs *p = &q->pairs[i];
                const Pair *pair = k < p->n ? &p->found[k] : &p->climbed[k - p->n];
                tensor_set(dots[s].x, at, fibre_slack(pair->gap, run_real(r, "cap")) / pair->unrelated);
                tensor_set(dots[s].y, at, o[s][i].loss[k < p->n ? DATA : CLIMBED][k % p->n]);
            }
    }
    RefLine floor = {log(2), "log 2", false};
    Fig *f =
        run_figure(r, "pairs",
                   "Pairs of real inputs, found and climbed, all seeds: mean loss of the best prefix and of LoRA "
                   "against the distance of the two summaries (slack over that of unrelated pairs). At distance "
                   "zero log 2 is the least for any prefix.",
                   340, 210);
    fig_scatter(f, fig_whole(f), 2, dots,
                (PlotStyle){.x = {.title = "slack / slack of unrelated pairs", .log = true},
                            .y = {.title = "mean loss of a pair (nats)", .log = true},
                            .ref = &floor,
                            .refs = 1});
    return fig_close(f);
}

/* ---- the experiment ---- */

static Status ask(Run *r, Question *q, Sweep *s)
{
    Arena *a = run_arena(r);
    double length[RUN_LIST];
    int n = run_list(r, "lengths", length);
    q->recipe = lab_sorter(run_preset(r));
    q->recipe.dim = (int)run_int(r, "dim"), q->recipe.steps = run_int(r, "pretrain-steps");
    q->recipe.test = run_int(r, "test");
    q->task = digit_task(run_text(r, "task"));
    if (!q->task) return err_fail(E_CONFIG, "task: unknown task \"%s\"", run_text(r, "task"));
    if (n > LONGEST) return err_fail(E_CONFIG, "lengths: %d given, at most %d", n, LONGEST);
    *s = (Sweep){.size = sizeof(Outcome), .tune = tune, .user = q};
    s->rates = run_list(r, "rates", s->scale);
    s->arm[s->arms++] = (SweepArm){lab_arm("prefix-tied"), &q->recipe};
    for (int k = 0; k < n; k++) {
        LabArm arm = lab_arm("prefix");
        arm.name = str_print(a, "free-%d", (int)length[k]);
        arm.options = str_print(a, "kind=free,length=%d,init_sd=1", (int)length[k]);
        s->arm[s->arms++] = (SweepArm){arm, &q->recipe};
    }
    q->prefixes = s->arms;
    s->arm[s->arms++] = (SweepArm){lab_arm("lora"), &q->recipe};
    LabArm behind = lab_arm("lora");
    behind.name = "lora O,MLP", behind.options = "target=*.attn.c_proj|*.mlp.*";
    s->arm[s->arms++] = (SweepArm){behind, &q->recipe};
    for (int k = 0; k < s->arms; k++) s->arm[k].arm.steps = run_int(r, "steps"), s->arm[k].arm.target = q->task->name;
    return lab_check(&q->recipe);
}

static Status run(Run *r)
{
    Question q = {0};
    Sweep s;
    int seeds = run_seeds(r);
    TRY(ask(r, &q, &s));
    TRY(lab_pretrain(r, &q.recipe, 1));
    Pairs *pairs = NEW(run_arena(r), Pairs, seeds);
    TRY(run_parallel(r, seeds, sizeof *pairs, find_pairs, &q, pairs));
    q.pairs = pairs;
    SweepBest won[SWEEP_ARMS];
    TRY(sweep_run(r, &s, won));

    const char *name[SWEEP_ARMS];
    const Outcome *best[SWEEP_ARMS];
    Summed sum[SWEEP_ARMS];
    double least = INFINITY, both = 0, excess = -INFINITY, moved, left;
    int strongest = 0, lora = q.prefixes, behind = lora + 1;
    for (int k = 0; k < s.arms; k++) best[k] = won[k].outcome, name[k] = s.arm[k].arm.name;
    for (int k = 0; k < s.arms; k++) {
        sum[k] = sum_up(r, &q, best[k], best[lora]);
        record(r, &q, name[k], best[k]);
        if (k >= lora) continue;
        least = fmin(least, sum[k].least), both = fmax(both, sum[k].both[MET]), excess = fmax(excess, sum[k].excess);
        if (sum[k].loss[DATA] < sum[strongest].loss[DATA]) strongest = k;
        run_note(r, "%s: certified error of the head's output against LoRA's on data pairs, mean %.2f.", name[k],
                 sum[k].certified);
    }
    describe(r, &q, &moved, &left);
    TRY(draw_losses(r, s.arms, name, sum));
    TRY(draw_pairs(r, &q, best[strongest], name[strongest], best[lora]));
    bool exact = left < 1e-9,
         bound = exact && least > log(2) - 1e-7 && excess<1e-9, alike = sum[behind].least> log(2) - 1e-7;
    double *met = NEW(run_arena(r), double, seeds);
    for (int i = 0; i < seeds; i++) met[i] = seeds_mean(best[lora][i].loss[MET], pairs[i].n);
    if (exact) {
        run_exact(r, "no prefix has a loss below log 2 on a met pair, or outputs further apart than the slack",
                  bound);
        run_exact(r, "nor has LoRA on the output projection and the feed-forward alone", alike);
    } else {
        run_unjudged(r, "the loss of every prefix on met pairs", "since the summaries are not equal to 1e-9");
    }
    run_gate(r, "mean loss of LoRA on met pairs, against log 2 (nats)", (Claim){LESS_THAN, log(2)}, RANGE_POSITIVE,
             met);
    run_conclude(
        r,
        "On %d pairs with equal summaries (to %.0e, shifts at most %.2g) no prefix has a loss below %.4f (log 2 "
        "= %.4f) or answers both (%.0f %%), nor LoRA on O and the feed-forward one below %.4f; LoRA everywhere: mean "
        "loss %.3f, both correct in %.0f %%. On real pairs the "
        "head's outputs stay within the slack (largest part used %.2f).",
        pairs[0].n * seeds, left, moved, least, log(2), both, sum[behind].least, sum[lora].loss[MET],
        sum[lora].both[MET], 1 + excess);
    run_note(r, "A shift below 1 leaves every embedding nearest to its own digit. Prefixes that were not trained are "
                "covered by the proof, not by the measurement.");
    return OK;
}

static const Setting SETTINGS[] = {
    {"task", "the task to learn", {"desc"}, 0, 0, NULL},
    {"lengths", "lengths of the free prefixes", {"1,4", "1,10,50", "1,10,50,200"}, 1, 1024},
    {"rates", "factors of each method's usual learning rate", {"1,", "0.4,1", "0.1,0.3,1,3"}, 1e-6, 1e6},
    {"inputs", "inputs searched for pairs", {"300", "4000", "20000"}, 20, 1e6},
    {"pairs", "pairs kept, divided among the ten outputs", {"20", "40", "60"}, LENGTH, PAIRS},
    {"cap", "norm of prefix values for which pairs are chosen", {"20.0"}, 0, 1e6},
    {"pretrain-steps", "steps of ascending pretraining", {"60", "2000", "20000"}, 1, 1e7},
    {"steps", "steps of tuning", {"20", "700", "6000"}, 1, 1e7},
    {"dim", "hidden size", {"32", "96", "96"}, 8, FIBRE_WIDEST},
    {"test", "held-out inputs scored", {"50", "400", "3200"}, 1, 1e6},
    {0}};

static const Experiment FIBRE_PAIRS = {
    .group = "toy",
    .name = "fibre-pairs",
    .title = "Pairs of inputs that no prefix can distinguish",
    .claim =
        "In a one-layer model two inputs with equal first-layer summaries get one answer under every prefix of every "
        "length; where their targets differ the mean loss is at least log 2, while LoRA goes below.",
    .method =
        "Search inputs for pairs with equal queries, different targets and near summaries, bring them nearer, and "
        "shift embeddings until the summaries meet; evaluate trained prefixes and LoRA on them in F64.",
    .expect = "No prefix below log 2 on met pairs; the head's outputs within the slack on all; LoRA below log 2.",
    .cost = "smoke a second, quick two minutes, paper an hour",
    .source = "Mondal and Shihab (2026), observability; after Petrov, Torr, Bibi (ICLR 2024)",
    .settings = SETTINGS,
    .seeds = {1, 3, 3},
    .run = run};
REGISTER(experiment, FIBRE_PAIRS)
