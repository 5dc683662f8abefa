/* toy/ambiguity: how does a model pretrained on k tasks without a task token behave, and how soon does a prefix
 * settle the task?
 *
 * Claim    A model pretrained on a mixture of k tasks without a task token solves each of them on 1/k of the inputs,
 *          on average over tasks. A prefix for one of them settles the task at the first output.
 * Method   Pretrain one small decoder for each k.  Greedy exact match on every task of the mixture; its mean over
 *          tasks is compared with 1/k.  From each model train a prefix for a task that all mixtures share, at several
 *          rates; the lowest late loss counts.  At every point of the curve the first output is scored on held-out
 *          inputs: the task is settled at the first point where its accuracy reaches the setting `told`.  The plateau
 *          is the longest stretch of the training loss within a tenth, above twice its final value.
 * Expect   k times the mean exact match near 1, and not above it except for inputs on which tasks agree.  There is no
 *          prediction for the steps until the task is settled: they are measured against k.
 * Cost     seconds; two minutes; an hour.
 * Source   Petrov, Torr and Bibi (ICLR 2024), experiment 2: k = 4, 15 to 31 % per task, and a prefix that stayed on a
 *          plateau for 17 000 steps.
 *
 * What it does not show: k alone.  More tasks are also less training of each, within one budget. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "lab/sweep.h"

enum { COUNTS = 6 };

typedef struct {
    LabResult result;
    double told, plateau; /* steps; told is NaN when it never was */
} Outcome;

typedef struct {
    LabModel recipe[COUNTS];
    DigitMix mix[COUNTS], target;
    int counts;
    double told;
} Question;

typedef struct {                          /* of one pretrained model */
    double exact[DIGIT_MIX], first, late; /* %; token accuracy at the first output, and in context at the last five */
} Pretrained;

/* ---- jobs ---- */

static double first_output(Model *m, const Hooks *hooks, const LabModel *l, const DigitMix *target)
{
    LabHeld held[DIGIT_MIX];
    lab_held(held, m, hooks, l, target, 100, rng_stream(1, "watch"));
    return held[0].place_token[0];
}

/* Job (k, seed). */
static Status read_pretrained(Run *r, int i, void *out, void *user)
{
    const Question *q = user;
    Pretrained *p = out;
    int seeds = run_seeds(r), c = i / seeds;
    Arena run = arena_open(0);
    Model *m;
    DigitScore score[DIGIT_MIX];
    LabHeld held[DIGIT_MIX];
    TRY(lab_open(&m, &run, r, &q->recipe[c], run_seed(r, i % seeds)));
    lab_score(m, NULL, &q->recipe[c], &q->mix[c], score);
    lab_held(held, m, NULL, &q->recipe[c], &q->mix[c], 200, rng_stream(1, "held"));
    for (int k = 0; k < q->mix[c].n; k++) {
        p->exact[k] = 100 * score[k].exact;
        p->first += 100 * held[k].place_token[0] / q->mix[c].n;
        for (int at = LENGTH / 2; at < LENGTH; at++)
            p->late += 100 * held[k].place_token[at] / (q->mix[c].n * (LENGTH - LENGTH / 2));
    }
    arena_close(&run);
    return OK;
}

/* The longest stretch of points, in steps, whose losses lie within a tenth of the first of them and above twice the
 * final loss. */
static double longest_plateau(const LabResult *x)
{
    double longest = 0;
    for (int from = 0; from < x->points; from++)
        for (int to = from; to < x->points; to++) {
            double loss = (double)x->loss[to], first = (double)x->loss[from];
            if (fabs(loss - first) > 0.1 * first || loss < 2 * x->last) break;
            longest = fmax(longest, (double)(x->step[to] - x->step[from]));
        }
    return longest;
}

static Status tune(Run *r, SweepJob *j, void *out, void *user)
{
    const Question *q = user;
    Outcome *o = out;
    TRY(lab_tune(r, j->run, j->m, j->hooks, j->model, &j->arm, NULL, j->seed, &o->result));
    o->told = NAN;
    for (int p = o->result.points - 1; p >= 0; p--)
        if ((double)o->result.watched[p] >= q->told) o->told = (double)o->result.step[p];
    o->plateau = longest_plateau(&o->result);
    return OK;
}

/* ---- figures ---- */

static Tensor counts(Arena *a, const Question *q)
{
    Tensor x = tensor_new(a, F64, SHAPE(q->counts));
    for (int c = 0; c < q->counts; c++) tensor_set(x, c, q->mix[c].n);
    return x;
}

static Status draw_pretrained(Run *r, const Question *q, const double *mean, const double *first, const double *late)
{
    Arena *a = run_arena(r);
    int seeds = run_seeds(r);
    Series line[4] = {seeds_series(a, mean, q->counts, seeds, "exact match"),
                      seeds_series(a, first, q->counts, seeds, "first output"),
                      seeds_series(a, late, q->counts, seeds, "last outputs, in context"),
                      {.y = tensor_new(a, F64, SHAPE(q->counts)), .label = "100 / k", .dashed = true}};
    for (int c = 0; c < q->counts; c++) tensor_set(line[3].y, c, 100.0 / q->mix[c].n);
    for (int i = 0; i < 4; i++) line[i].x = counts(a, q), line[i].marked = i < 3;
    Fig *f = run_figure(r, "pretrained",
                        str_print(a,
                                  "Models pretrained on k tasks without a task token, mean over tasks, mean and "
                                  "range of %d seeds. Exact match is about 1/k; once the context shows which task it "
                                  "is, the accuracy of the last outputs is far higher.",
                                  seeds),
                        340, 210);
    fig_lines(f, fig_whole(f), 4, line,
              (PlotStyle){.x = {.title = "tasks in pretraining, k", .log = true},
                          .y = {.title = "accuracy (%)", .lo = 0, .hi = 100}});
    return fig_close(f);
}

static Status draw_curves(Run *r, const Question *q, const Outcome *const *best)
{
    Arena *a = run_arena(r);
    int n = q->target.n, seeds = run_seeds(r);
    Fig *f = run_figure(r, "curves",
                        str_print(a,
                                  "Training loss of a prefix for one task, from models pretrained on k tasks; mean "
                                  "and range of %d %s.",
                                  seeds, str_plural(seeds, "seed", "seeds")),
                        n > 1 ? 500 : 300, 200);
    for (int t = 0; t < n; t++) {
        Series line[COUNTS];
        for (int c = 0; c < q->counts; c++) {
            LabResult *x = NEW(a, LabResult, seeds);
            for (int i = 0; i < seeds; i++) x[i] = best[c * n + t][i].result;
            line[c] = lab_curve(a, x, seeds, str_print(a, "k = %d", q->mix[c].n));
        }
        fig_lines(f, fig_cell(f, 1, n, t), q->counts, line,
                  (PlotStyle){.letter = (const char *const[]){"a", "b", "c"}[t % 3],
                              .title = q->target.task[t]->name,
                              .x = {.title = "step of prefix tuning"},
                              .y = {.title = "loss (nats per token)", .log = true}});
    }
    return fig_close(f);
}

/* ---- the experiment ---- */

static Status ask(Run *r, Question *q, Sweep *s)
{
    double k[RUN_LIST];
    const char *tasks = run_text(r, "tasks");
    q->counts = run_list(r, "counts", k), q->told = run_real(r, "told") / 100;
    if (q->counts > COUNTS) return err_fail(E_CONFIG, "counts: %d of them, at most %d", q->counts, COUNTS);
    TRY(digits_mix(&q->target, run_text(r, "targets")));
    if (q->target.n > 3) return err_fail(E_CONFIG, "targets: %d, at most 3", q->target.n);
    *s = (Sweep){.size = sizeof(Outcome), .tune = tune, .user = q};
    s->rates = run_list(r, "rates", s->scale);
    for (int c = 0; c < q->counts; c++) {
        LabModel *l = &q->recipe[c];
        size_t n = 0;
        for (int i = 0; i < (int)k[c] && tasks[n]; i++) n += strcspn(tasks + n, ",") + (i + 1 < (int)k[c]);
        *l = lab_elicitor(run_preset(r));
        l->tasks = str_copy(run_arena(r), tasks, n);
        l->layers = (int)run_int(r, "layers"), l->dim = (int)run_int(r, "dim"), l->batch = run_int(r, "batch");
        l->steps = run_int(r, "pretrain-steps"), l->test = run_int(r, "test"), l->lr = run_real(r, "lr");
        TRY(lab_check(l));
        TRY(digits_mix(&q->mix[c], l->tasks));
        if (q->mix[c].n != (int)k[c])
            return err_fail(E_CONFIG, "counts: there are no %d tasks in \"%s\"", (int)k[c], tasks);
        for (int t = 0; t < q->target.n; t++) {
            LabArm arm = lab_arm("prefix");
            arm.target = q->target.task[t]->name, arm.steps = run_int(r, "steps"), arm.watch = first_output;
            arm.name = str_print(run_arena(r), "%s of %d", arm.target, (int)k[c]);
            s->arm[s->arms++] = (SweepArm){arm, l};
        }
    }
    return OK;
}

static void record(Run *r, const char *name, const Outcome *o)
{
    Arena *a = run_arena(r);
    for (int i = 0; i < run_seeds(r); i++) {
        run_metric(r, RANGE_POSITIVE, str_print(a, "%s: steps until the task is settled", name), i, o[i].told);
        run_metric(r, RANGE_POSITIVE, str_print(a, "%s: longest plateau (steps)", name), i, o[i].plateau);
        run_metric(r, RANGE_PERCENT, str_print(a, "%s: exact match with its prefix (%%)", name), i,
                   100 * o[i].result.score[0].exact);
        run_metric(r, RANGE_POSITIVE, str_print(a, "%s: late loss", name), i, o[i].result.last);
    }
}

static Status run(Run *r)
{
    Question q = {0};
    Sweep s;
    Arena *a = run_arena(r);
    int seeds = run_seeds(r);
    TRY(ask(r, &q, &s));
    TRY(lab_pretrain(r, q.recipe, q.counts));
    Pretrained *p = NEW(a, Pretrained, q.counts * seeds);
    TRY(run_parallel(r, q.counts * seeds, sizeof *p, read_pretrained, &q, p));
    SweepBest won[SWEEP_ARMS];
    TRY(sweep_run(r, &s, won));

    double *mean = NEW(a, double, q.counts *seeds), *first = NEW(a, double, q.counts *seeds),
           *late = NEW(a, double, q.counts *seeds);
    int untold = 0;
    double *settled = NEW(a, double, seeds);
    const Outcome *best[COUNTS * 3];
    Buf said = buf_open(a);
    for (int c = 0; c < q.counts; c++) {
        int k = q.mix[c].n;
        for (int i = 0; i < seeds; i++) {
            const Pretrained *x = &p[c * seeds + i];
            mean[c * seeds + i] = seeds_mean(x->exact, k), first[c * seeds + i] = x->first;
            late[c * seeds + i] = x->late;
            run_metric(r, RANGE_PERCENT, str_print(a, "k = %d: mean exact match (%%)", k), i, mean[c * seeds + i]);
            run_metric(r, RANGE_POSITIVE, str_print(a, "k = %d: k times mean exact match (%%)", k), i,
                       k * mean[c * seeds + i]);
            run_metric(r, RANGE_PERCENT, str_print(a, "k = %d: accuracy of the last tokens in context (%%)", k), i,
                       x->late);
        }
        double share = k * seeds_mean(mean + c * seeds, seeds), *times = NEW(a, double, seeds);
        for (int i = 0; i < seeds; i++) times[i] = k * mean[c * seeds + i];
        for (int end = 0; end < 2; end++)
            run_claim(r, str_print(a, "k = %d: k times the mean exact match (%%)", k),
                      end ? (Claim){LESS_THAN, 120} : (Claim){MORE_THAN, 50}, RANGE_POSITIVE, times);
        buf_print(&said, "%sk = %d %.0f %%", c ? ", " : "", k, share);
        for (int t = 0; t < q.target.n; t++) {
            int at = c * q.target.n + t;
            best[at] = won[at].outcome;
            record(r, s.arm[at].arm.name, best[at]);
            double told = 0;
            for (int i = 0; i < seeds; i++) {
                told += best[at][i].told / seeds;
                bool never = isnan(best[at][i].told);
                untold += never, settled[i] += (double)!never / s.arms;
            }
            buf_print(&said, ", %s settled after %.0f", q.target.task[t]->name, told);
        }
    }
    TRY(draw_pretrained(r, &q, mean, first, late));
    TRY(draw_curves(r, &q, best));
    run_claim(r, "share of the prefixes that settle their task", (Claim){MORE_THAN, 0.9}, RANGE_SHARE, settled);
    run_conclude(r,
                 "k times the mean exact match of the pretrained model, and steps until a prefix settles the task "
                 "(nan: not for all seeds): %s. %d of %d prefixes never did.",
                 said.text, untold, s.arms * seeds);
    run_note(r,
             "k times the mean below 100 %% means that the tasks are not learned to the end in this budget, above it "
             "that tasks agree on some inputs.");
    return OK;
}

static const Setting SETTINGS[] = {
    {"tasks",
     "the first k of these are mixed",
     {"asc,add2,desc,add1,copy,reverse,max,shift,histogram,mode,shift2,sum,difference,palindrome,asc-add1,desc-add1"},
     0,
     0,
     NULL},
    {"counts", "values of k", {"2,4", "2,4,8,16", "2,4,8,16"}, 1, DIGIT_MIX},
    {"targets", "tasks to train prefixes for", {"asc", "asc,add2", "asc,add2"}, 0, 0, NULL},
    {"told", "accuracy of the first output at which the task counts as settled (%)", {"80.0"}, 1, 100},
    {"rates", "factors of the prefix's usual learning rate", {"1,", "0.4,1", "0.1,0.3,1"}, 1e-6, 1e6},
    {"steps", "steps of prefix tuning", {"20", "500", "20000"}, 1, 1e7},
    {"pretrain-steps", "steps of pretraining", {"40", "2200", "40000"}, 1, 1e7},
    {"lr", "learning rate of pretraining", {"2e-3", "2e-3", "5e-4"}, 1e-7, 1},
    {"layers", "layers", {"1", "2", "4"}, 1, 64},
    {"dim", "width", {"32", "64", "256"}, 8, 4096},
    {"batch", "examples a step", {"16", "32", "64"}, 1, 65536},
    {"test", "held-out inputs scored", {"50", "200", "3200"}, 1, 1e6},
    {0}};

static const Experiment AMBIGUITY = {
    .group = "toy",
    .name = "ambiguity",
    .title = "Pretraining on k tasks without a task token, and settling the task by a prefix",
    .claim = "A model pretrained on k tasks without a task token solves each on about 1/k of the inputs; a prefix "
             "settles the task at the first output.",
    .method = "Pretrain for several k; greedy exact match on all tasks; train prefixes and watch the first output on "
              "held-out inputs.",
    .expect = "k times the mean exact match near 100 %; no prediction for the steps.",
    .cost = "smoke a second, quick two minutes, paper an hour",
    .source = "after Petrov, Torr, Bibi (ICLR 2024), experiment 2",
    .settings = SETTINGS,
    .seeds = {1, 3, 3},
    .run = run};
REGISTER(experiment, AMBIGUITY)
