/* toy/sample-efficiency: how many examples does each form of a prefix need?
 *
 * Claim    With few training examples a prefix whose keys and values come from one vector (tied) or from a shared MLP
 *          has a lower loss on unseen inputs than one whose keys and values are free.
 * Method   Pretrain on a mixture of tasks without a task token.  Take n distinct examples of one task, repeat them
 *          for a fixed number of steps, and train a tied, a free and an MLP prefix of one length, and LoRA, each at
 *          several rates.  The rate is chosen by the loss on held-out inputs, reported on others.  The same with the
 *          least held-out loss along the way, as early stopping would have it.
 * Expect   By the theory of attention as a mixture of experts, shared structure between keys and values gives
 *          estimation rates near n^(-1/2), free ones can be far slower: tied and MLP below free at small n.
 * Cost     seconds; two minutes; an hour.
 * Source   Le et al., Revisiting prefix-tuning: statistical benefits of reparameterization (ICLR 2025).
 *
 * What it does not show: rates.  A handful of n on one task is a comparison, not an exponent; and steps are the same
 * for all n, so large n means fewer passes. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "lab/sweep.h"

enum { FORMS = 4, COUNTS = 8 };
static const char *const FORM[FORMS] = {"tied", "free", "mlp", "lora"};
static const double RATE[FORMS] = {1e-1, 5e-2, 5e-3, 5e-3};

typedef struct {
    LabResult result; /* `last`: loss on the held-out inputs by which the rate is chosen */
    double loss, least,
        exact;    /* on other held-out inputs: final, and at the best point of the curve; exact match, % */
    double train; /* late training loss */
} Outcome;

typedef struct {
    LabModel recipe;
    double examples[RUN_LIST];
    int counts;
} Question;

static Status tune(Run *r, SweepJob *j, void *out, void *user)
{
    (void)user;
    Outcome *o = out;
    const DigitMix target = {{digit_task(j->arm.target)}, 1};
    LabHeld choose, judge;
    TRY(lab_tune(r, j->run, j->m, j->hooks, j->model, &j->arm, NULL, j->seed, &o->result));
    lab_held(&choose, j->m, j->hooks, j->model, &target, j->model->test, rng_stream(1, "choose"));
    lab_held(&judge, j->m, j->hooks, j->model, &target, j->model->test, rng_stream(1, "judge"));
    o->train = o->result.last, o->result.last = o->result.diverged ? (double)NAN : choose.loss;
    o->loss = judge.loss, o->least = INFINITY, o->exact = 100 * o->result.score[0].exact;
    for (int p = 0; p < o->result.points; p++) o->least = fmin(o->least, (double)o->result.watched[p]);
    return OK;
}

/* ---- the results ---- */

typedef double Value(const Outcome *);
static double final_loss(const Outcome *o)
{
    return o->loss;
}
static double least_loss(const Outcome *o)
{
    return o->least;
}
static double exact_match(const Outcome *o)
{
    return o->exact;
}

static double *values(Arena *a, const Question *q, const Outcome *const *best, int form, int seeds, Value *value)
{
    double *y = NEW(a, double, q->counts *seeds);
    for (int c = 0; c < q->counts; c++)
        for (int i = 0; i < seeds; i++) y[c * seeds + i] = value(&best[c * FORMS + form][i]);
    return y;
}

static Status draw(Run *r, const Question *q, const Outcome *const *best)
{
    static const struct {
        const char *title, *y;
        Value *value;
        bool log;
    } PANEL[] = {{"after the last step", "held-out loss (nats)", final_loss, true},
                 {"at the best step", "held-out loss (nats)", least_loss, true},
                 {"after the last step", "exact match (%)", exact_match, false}};
    Arena *a = run_arena(r);
    Tensor x = tensor_new(a, F64, SHAPE(q->counts));
    for (int c = 0; c < q->counts; c++) tensor_set(x, c, q->examples[c]);
    Fig *f =
        run_figure(r, "examples",
                   str_print(a,
                             "Task \"%s\" learned from n distinct examples, mean and range of %d %s at each method's "
                             "best learning rate: loss on unseen inputs after all steps (a) and where it was least "
                             "(b), and exact match (c).",
                             run_text(r, "target"), run_seeds(r), str_plural(run_seeds(r), "seed", "seeds")),
                   500, 180);
    for (int p = 0; p < 3; p++) {
        Series line[FORMS];
        for (int k = 0; k < FORMS; k++) {
            line[k] = seeds_series(a, values(a, q, best, k, run_seeds(r), PANEL[p].value), q->counts, run_seeds(r),
                                   FORM[k]);
            line[k].x = x, line[k].marked = true;
        }
        fig_lines(f, fig_cell(f, 1, 3, p), FORMS, line,
                  (PlotStyle){.letter = (const char *const[]){"a", "b", "c"}[p],
                              .title = PANEL[p].title,
                              .x = {.title = "examples n", .log = true},
                              .y = {.title = PANEL[p].y, .log = PANEL[p].log}});
    }
    return fig_close(f);
}

static void record(Run *r, const SweepArm *arm, const Outcome *o)
{
    Arena *a = run_arena(r);
    for (int i = 0; i < run_seeds(r); i++) {
        run_metric(r, RANGE_POSITIVE, str_print(a, "%s: held-out loss", arm->arm.name), i, o[i].loss);
        run_metric(r, RANGE_POSITIVE, str_print(a, "%s: least held-out loss on the way", arm->arm.name), i,
                   o[i].least);
        run_metric(r, RANGE_POSITIVE, str_print(a, "%s: training loss", arm->arm.name), i, o[i].train);
        run_metric(r, RANGE_PERCENT, str_print(a, "%s: exact match (%%)", arm->arm.name), i, o[i].exact);
    }
}

/* ---- the experiment ---- */

static Status ask(Run *r, Question *q, Sweep *s)
{
    LabModel *l = &q->recipe;
    int length = (int)run_int(r, "length");
    *l = lab_elicitor(run_preset(r));
    l->tasks = run_text(r, "pretrain"), l->layers = (int)run_int(r, "layers"), l->dim = (int)run_int(r, "dim");
    l->steps = run_int(r, "pretrain-steps"), l->test = run_int(r, "test"), l->layout.slots = length;
    l->no_attn_norm = !run_flag(r, "norm"), l->batch = run_int(r, "batch");
    TRY(lab_check(l));
    TRY(digits_mix(&(DigitMix){0}, run_text(r, "target")));
    q->counts = run_list(r, "examples", q->examples);
    if (q->counts > COUNTS) return err_fail(E_CONFIG, "examples: %d counts, at most %d", q->counts, COUNTS);
    *s = (Sweep){.size = sizeof(Outcome), .tune = tune, .user = q};
    s->rates = run_list(r, "rates", s->scale);
    for (int c = 0; c < q->counts; c++)
        for (int k = 0; k < FORMS; k++) {
            bool prefix = k < FORMS - 1;
            LabArm arm = lab_arm(prefix ? "prefix" : "lora");
            if (prefix)
                arm.options =
                    str_print(run_arena(r), "kind=%s,length=%d,init_sd=1,width=%d", FORM[k], length, l->dim);
            arm.lr = RATE[k];
            arm.name = str_print(run_arena(r), "%s, n = %d", FORM[k], (int)q->examples[c]);
            arm.target = run_text(r, "target"), arm.steps = run_int(r, "steps");
            arm.examples = (int64_t)q->examples[c], arm.watch = lab_watch_loss;
            s->arm[s->arms++] = (SweepArm){arm, l};
        }
    return OK;
}

static Status run(Run *r)
{
    Question q = {0};
    Sweep s;
    TRY(ask(r, &q, &s));
    TRY(lab_pretrain(r, &q.recipe, 1));
    SweepBest won[SWEEP_ARMS];
    TRY(sweep_run(r, &s, won));
    const Outcome *best[SWEEP_ARMS];
    int seeds = run_seeds(r), few = 0, wins = 0;
    Arena *a = run_arena(r);
    double floor = digits_floors(digit_task(run_text(r, "target")), 50000, 1).position;
    Buf said = buf_open(run_arena(r));
    for (int k = 0; k < s.arms; k++) {
        best[k] = won[k].outcome;
        record(r, &s.arm[k], best[k]);
    }
    TRY(draw(r, &q, best));
    for (int c = 0; c < q.counts; c++) {
        buf_print(&said, "%sn = %d", c ? "; " : "", (int)q.examples[c]);
        double mean[FORMS];
        const double *least[FORMS];
        for (int k = 0; k < FORMS; k++) {
            least[k] = values(a, &q, best, k, seeds, least_loss) + c * seeds, mean[k] = seeds_mean(least[k], seeds);
            buf_print(&said, " %s %.3f", FORM[k], mean[k]);
        }
        if (c >= (q.counts + 1) / 2) continue;
        for (int k = 0; k < 3; k += 2)
            run_claim(r,
                      str_print(a, "n = %d: least held-out loss of %s less that of %s (nats)", (int)q.examples[c],
                                FORM[k], FORM[1]),
                      (Claim){LESS_THAN, 0}, RANGE_ANY, seeds_less(a, least[k], least[1], seeds));
        few += 2, wins += (mean[0] < mean[1]) + (mean[2] < mean[1]);
    }
    run_compare(r, str_print(run_arena(r), "%s: least held-out loss on the way", s.arm[0].arm.name),
                str_print(run_arena(r), "%s: least held-out loss on the way", s.arm[1].arm.name));
    run_gate(r, "least held-out loss of the free prefix at the largest n, against that of ignoring the input (nats)",
             (Claim){LESS_THAN, floor}, RANGE_POSITIVE,
             values(a, &q, best, 1, seeds, least_loss) + (q.counts - 1) * seeds);
    run_conclude(r,
                 "Shared forms are below the free prefix in %d of %d comparisons at the smaller n. Least held-out "
                 "loss on the way (nats, mean of %d %s): %s.",
                 wins, few, seeds, str_plural(seeds, "seed", "seeds"), said.text);
    double fit[2] = {0};
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < seeds; i++) fit[k] += best[(q.counts - 1) * FORMS + k][i].train / seeds;
    run_note(r,
             "At the largest n the tied prefix ends at a training loss of %.3f, the free one at %.3f: a difference "
             "there is "
             "capacity or optimisation, not examples.",
             fit[0], fit[1]);
    run_note(r,
             "The least loss on the way is read off held-out inputs too: it favours all methods alike. Numbers of "
             "parameters differ: tied %lld, free %lld, mlp %lld, lora %lld.",
             (long long)best[0]->result.params, (long long)best[1]->result.params, (long long)best[2]->result.params,
             (long long)best[3]->result.params);
    return OK;
}

static const Setting SETTINGS[] = {
    {"pretrain", "tasks of pretraining, mixed without a task token", {"asc,desc,add1,add2"}, 0, 0, NULL},
    {"target", "the task to learn", {"desc"}, 0, 0, NULL},
    {"examples",
     "numbers of distinct examples, up to a batch or multiples of it",
     {"4,16", "2,8,32,128", "2,8,32,128,512,4096"},
     1,
     1e7},
    {"length", "virtual tokens of every prefix", {"2", "4", "10"}, 1, 64},
    {"norm", "a LayerNorm before attention", {"no"}, 0, 0, NULL},
    {"rates",
     "factors of the usual learning rates: tied 0.1, free 0.05, mlp and lora 0.005",
     {"1,", "0.2,1", "0.05,0.2,1,3"},
     1e-6,
     1e6},
    {"steps", "steps of tuning", {"20", "300", "5000"}, 1, 1e7},
    {"pretrain-steps", "steps of pretraining", {"40", "2000", "20000"}, 1, 1e7},
    {"batch", "examples a step", {"16", "32", "64"}, 1, 65536},
    {"layers", "layers", {"1", "1", "2"}, 1, 64},
    {"dim", "width", {"32", "96", "256"}, 8, 4096},
    {"test", "held-out inputs scored", {"50", "200", "3200"}, 1, 1e6},
    {0}};

static const Experiment SAMPLE_EFFICIENCY = {
    .group = "toy",
    .name = "sample-efficiency",
    .title = "Examples needed by tied, free and reparameterised prefixes",
    .claim = "With few examples a prefix whose keys and values share their parameters (tied, or through an MLP) "
             "generalises better than one whose keys and values are free.",
    .method = "Train each form on n distinct examples of a task, repeated, at several learning rates; held-out loss "
              "against n, at the end and at the best step; LoRA beside them.",
    .expect = "Tied and MLP below free at small n.",
    .cost = "smoke a second, quick two minutes, paper an hour",
    .source = "Le et al. (ICLR 2025), statistical benefits of reparameterising prefixes",
    .settings = SETTINGS,
    .seeds = {1, 3, 3},
    .run = run};
REGISTER(experiment, SAMPLE_EFFICIENCY)
