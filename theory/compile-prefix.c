/* theory/compile-prefix: which static update of the weights does a trained prefix equal?
 *
 * Claim    What a trained prefix adds behind the attention of a one-layer model is mostly a constant vector: that
 *          alone leaves less than half of it.  No static update of the output projection is all of it: even one of
 *          full rank, with a bias, leaves more than 5 % of the squared effect on inputs that it was not fitted to.
 * Method   A one-layer model pretrained on four digit tasks, a free prefix trained on each target.  At every output
 *          position t is the heads' mixture without the prefix and y the change that the prefix makes behind W_O.  Of
 *          all updates y ~ D t + b the best of each rank of D, by least squares on one half of the inputs
 *          (reduced-rank regression), is scored on the other half, and put into the model in the prefix's place.
 * Expect   With a gate alpha that is the same for all inputs, y = alpha (W_O g - W_O t) were exactly of this form, so
 *          the rest that is left at full rank grows with the spread of alpha, which is given beside it.
 * Gates    The prefix elicits: 50 % exact match, mean over the targets.
 * Cost     two seconds; two minutes; an hour.
 * Source   Dherin and others ("Learning without training", arXiv 2507.16003, 2025) give an update of rank 1 for each
 *          query by itself; this is the static one.  The mirror of theory/compile-adapters.  Reduced-rank regression:
 *          Izenman, J. Multivariate Analysis 5 (1975).
 *
 * What it does not show: deeper layers, and updates of other matrices or of several at once.  Fitted is the squared
 * error of the change, not the loss; the exact match under the fitted update is measured all the same. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "lab/probs.h"
#include "lab/sweep.h"
#include "measure/observe.h"
#include "num/linalg.h"
#include "theory/dense.h"

enum { TASKS = 4, RANKS = 16 };

typedef struct {
    LabResult result;
    double left[RANKS];  /* share of the squared effect on held-out inputs, by rank */
    double exact[RANKS]; /* exact match in % with the update in the prefix's place */
    double spread;       /* standard deviation of alpha over inputs, mean over heads and positions */
} Outcome;

typedef struct {
    LabModel model;
    DigitMix targets;
    double rank[RUN_LIST];
    int ranks;
    int64_t inputs;
    Sweep sweep;
} Question;

static Status ask(Run *r, Question *q)
{
    LabModel *l = &q->model;
    *l = lab_elicitor(run_preset(r));
    l->tasks = run_text(r, "tasks"), l->dim = (int)run_int(r, "dim"), l->heads = (int)run_int(r, "heads");
    l->steps = run_int(r, "pretrain-steps"), l->lr = run_real(r, "lr"), l->test = run_int(r, "test");
    TRY(lab_check(l));
    TRY(digits_mix(&q->targets, run_text(r, "targets")));
    q->ranks = run_list(r, "ranks", q->rank), q->inputs = run_int(r, "inputs");
    if (q->targets.n > TASKS || q->ranks > RANKS)
        return err_fail(E_CONFIG, "at most %d targets and %d ranks", TASKS, RANKS);
    for (int t = 0; t < q->targets.n; t++) {
        LabArm arm = lab_arm("prefix");
        arm.name = arm.target = q->targets.task[t]->name, arm.steps = run_int(r, "steps");
        arm.options = str_print(run_arena(r), "kind=free,init_sd=1,length=%lld", (long long)run_int(r, "length"));
        q->sweep.arm[q->sweep.arms++] = (SweepArm){arm, l, t};
    }
    q->sweep.rates = run_list(r, "rates", q->sweep.scale);
    return OK;
}

/* ---- the effect of the prefix */

typedef struct {
    Tensor mixture, change; /* (inputs LENGTH,C): t and y */
} Effect;

typedef struct {
    Arena *a;
    Tensor in, out;
} Seen;

static void keep(Where at, Tensor in, Tensor out, void *user)
{
    (void)at;
    Seen *s = user;
    s->in = tensor_cast(s->a, in, F64), s->out = tensor_cast(s->a, out, F64);
}

static Seen look(Arena *a, Model *m, Hooks *hooks, const Batch *b)
{
    Seen s = {.a = a};
    observe_peek(m, hooks, b, &(Where){SITE_ATTN_OUT, 0, PART_DECODER}, 1, &(Peek){keep, &s});
    return s;
}

static Effect effect(Arena *a, Model *m, Hooks *hooks, const Batch *b)
{
    Seen plain = look(a, m, NULL, b), with = look(a, m, hooks, b);
    int64_t c = tensor_last(plain.out), rows = tensor_count(plain.out) / c;
    return (Effect){tensor_reshape(plain.in, SHAPE(rows, c)),
                    tensor_reshape(dense_sum(a, with.out, -1, plain.out), SHAPE(rows, c))};
}

/* ---- the static update */

typedef struct {
    Tensor bias, map; /* (C); (C,C) as (in,out) */
} Update;

static Tensor column_means(Arena *a, Tensor x)
{
    int64_t rows = x.dim[0], c = x.dim[1];
    Tensor m = tensor_zero(a, F64, SHAPE(c));
    for (int64_t i = 0; i < rows * c; i++)
        tensor_set(m, i % c, tensor_get(m, i % c) + tensor_get(x, i) / (double)rows);
    return m;
}

static Tensor centred(Arena *a, Tensor x, Tensor mean)
{
    Tensor y = tensor_copy(a, x);
    for (int64_t i = 0; i < tensor_count(y); i++) tensor_set(y, i, tensor_get(x, i) - tensor_get(mean, i % x.dim[1]));
    return y;
}

/* Least squares with an intercept, and of the fitted values the r leading directions: the best map of each rank. */
static Status fit(Update *of_rank, Arena *a, const Effect *e, const double *rank, int ranks)
{
    Tensor x0 = column_means(a, e->mixture), y0 = column_means(a, e->change), x = centred(a, e->mixture, x0), whole;
    Svd svd;
    TRY(dense_solve(&whole, a, x, centred(a, e->change, y0)));
    TRY(linalg_svd(&svd, a, dense_product(a, x, whole)));
    int64_t c = whole.dim[0];
    for (int k = 0; k < ranks; k++) {
        int64_t r = (int64_t)fmin(rank[k], (double)c);
        Tensor onto = tensor_zero(a, F64, SHAPE(c, c)); /* projection onto the leading directions of the output */
        for (int64_t i = 0; i < c * c; i++) {
            double sum = 0;
            for (int64_t j = 0; j < r; j++)
                sum += tensor_get(svd.vt, j * c + i / c) * tensor_get(svd.vt, j * c + i % c);
            tensor_set(onto, i, sum);
        }
        of_rank[k].map = dense_product(a, whole, onto);
        Tensor moved = dense_product(a, tensor_reshape(x0, SHAPE(1, c)), of_rank[k].map);
        of_rank[k].bias = dense_sum(a, y0, -1, tensor_reshape(moved, SHAPE(c)));
    }
    return OK;
}

/* Squared error over squared effect. */
static double left(Arena *a, const Update *u, const Effect *e)
{
    Tensor said = dense_product(a, e->mixture, u->map);
    double error = 0, all = 0;
    for (int64_t i = 0; i < tensor_count(said); i++) {
        double y = tensor_get(e->change, i), gap = tensor_get(said, i) + tensor_get(u->bias, i % said.dim[1]) - y;
        error += gap * gap, all += y * y;
    }
    return error / all;
}

static Var *updated(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at;
    const Update *u = user;
    Tape *t = p->tape;
    return op_add(t, out, 1, op_linear(t, in, tape_leaf(t, u->map), IN_OUT, tape_leaf(t, u->bias), ACT_NONE));
}

static Status tune(Run *r, SweepJob *j, void *out, void *user)
{
    const Question *q = user;
    Outcome *o = out;
    Arena *a = j->run;
    const DigitLayout layout = j->model->layout;
    DigitMix task = {{q->targets.task[j->tag]}, 1};
    TRY(sweep_train(r, j, &o->result));
    uint64_t stream = rng_stream(1, "compile");
    Batch fitted = digits_batch(a, &task, layout, q->inputs, stream, 0, true),
          held = digits_batch(a, &task, layout, q->inputs, stream, (uint64_t)q->inputs, true);
    Effect of_fitted = effect(a, j->m, j->hooks, &fitted), of_held = effect(a, j->m, j->hooks, &held);
    Update update[RANKS];
    TRY(fit(update, a, &of_fitted, q->rank, q->ranks));
    o->spread = probs_spread(probs_of(a, j->m, j->hooks, &held, 0), layout);
    for (int k = 0; k < q->ranks; k++) {
        o->left[k] = left(a, &update[k], &of_held);
        Update narrow = {tensor_cast(a, update[k].bias, F32), tensor_cast(a, update[k].map, F32)};
        Hooks *hooks = hooks_new(a);
        hook_add(hooks, (Where){SITE_ATTN_OUT, 0, PART_DECODER}, updated, &narrow);
        DigitScore score;
        lab_score(j->m, hooks, j->model, &task, &score);
        o->exact[k] = 100 * score.exact;
    }
    return OK;
}

/* ---- the results */

static const Outcome *of(const SweepBest *best, int task, int seed)
{
    return (const Outcome *)best[task].outcome + seed;
}

/* Means over the targets, (seeds): of the share left at a rank, and of the exact match. */
static void by_seed(Run *r, const Question *q, const SweepBest *best, int k, double *share, double *exact)
{
    for (int s = 0; s < run_seeds(r); s++) {
        share[s] = exact[s] = 0;
        for (int t = 0; t < q->targets.n; t++) {
            share[s] += of(best, t, s)->left[k] / q->targets.n;
            exact[s] += of(best, t, s)->exact[k] / q->targets.n;
        }
    }
}

static Status draw(Run *r, const Question *q, const SweepBest *best)
{
    Arena *a = run_arena(r);
    int seeds = run_seeds(r);
    Series line[TASKS], match[TASKS];
    Tensor x = tensor_new(a, F64, SHAPE(q->ranks));
    for (int k = 0; k < q->ranks; k++) tensor_set(x, k, q->rank[k]);
    for (int t = 0; t < q->targets.n; t++) {
        double *share = NEW(a, double, q->ranks *seeds), *exact = NEW(a, double, q->ranks *seeds);
        for (int i = 0; i < q->ranks * seeds; i++) {
            share[i] = of(best, t, i % seeds)->left[i / seeds];
            exact[i] = of(best, t, i % seeds)->exact[i / seeds];
        }
        line[t] = seeds_series(a, share, q->ranks, seeds, q->targets.task[t]->name);
        match[t] = seeds_series(a, exact, q->ranks, seeds, q->targets.task[t]->name);
        line[t].x = match[t].x = x, line[t].marked = match[t].marked = true;
    }
    Fig *f =
        run_figure(r, "ranks",
                   str_print(a,
                             "The best static update of the output projection in the place of a trained prefix, "
                             "by its rank (0: a bias alone): a, share of the prefix's squared effect that is left "
                             "on held-out inputs; b, exact match of the model with the update. Mean and range of "
                             "%d %s.",
                             seeds, str_plural(seeds, "seed", "seeds")),
                   500, 190);
    fig_lines(f, fig_cell(f, 1, 2, 0), q->targets.n, line,
              (PlotStyle){.letter = "a", .x = {.title = "rank", .whole = true}, .y = {.title = "share left"}});
    fig_lines(f, fig_cell(f, 1, 2, 1), q->targets.n, match,
              (PlotStyle){.letter = "b",
                          .x = {.title = "rank", .whole = true},
                          .y = {.title = "exact match (%)", .lo = 0, .hi = 100}});
    return fig_close(f);
}

static void record(Run *r, const Question *q, const SweepBest *best)
{
    Arena *a = run_arena(r);
    for (int t = 0; t < q->targets.n; t++)
        for (int s = 0; s < run_seeds(r); s++) {
            const char *task = q->targets.task[t]->name;
            const Outcome *o = of(best, t, s);
            run_metric(r, RANGE_POSITIVE, str_print(a, "%s: standard deviation of alpha over inputs", task), s,
                       o->spread);
            for (int k = 0; k < q->ranks; k++) {
                run_metric(r, RANGE_POSITIVE, str_print(a, "%s: share left at rank %g", task, q->rank[k]), s,
                           o->left[k]);
                run_metric(r, RANGE_PERCENT, str_print(a, "%s: exact match at rank %g (%%)", task, q->rank[k]), s,
                           o->exact[k]);
            }
        }
}

static Status run(Run *r)
{
    Question *q = arena_zero(run_arena(r), sizeof *q);
    TRY(ask(r, q));
    TRY(lab_pretrain(r, &q->model, 1));
    q->sweep.tune = tune, q->sweep.size = sizeof(Outcome), q->sweep.user = q;
    SweepBest best[SWEEP_ARMS];
    TRY(sweep_run(r, &q->sweep, best));
    sweep_record(r, &q->sweep, best);
    record(r, q, best);
    TRY(draw(r, q, best));

    Arena *a = run_arena(r);
    int seeds = run_seeds(r), last = q->ranks - 1;
    double *prefix = arena_zero(a, sizeof(double) * (size_t)seeds), *share[2], *exact[2];
    for (int k = 0; k < 2; k++) {
        share[k] = NEW(a, double, seeds), exact[k] = NEW(a, double, seeds);
        by_seed(r, q, best, k ? last : 0, share[k], exact[k]);
    }
    for (int s = 0; s < seeds; s++)
        for (int t = 0; t < q->targets.n; t++)
            prefix[s] += 100 * of(best, t, s)->result.score[0].exact / q->targets.n;
    run_gate(r, "the prefix elicits (% exact match)", (Claim){MORE_THAN, 50}, RANGE_PERCENT, prefix);
    if (q->rank[0] == 0)
        run_claim(r, "share of the effect that a constant vector leaves", (Claim){LESS_THAN, 0.5}, RANGE_POSITIVE,
                  share[0]);
    if (q->rank[last] >= q->model.dim)
        run_claim(r, "share of the effect that an update of full rank leaves", (Claim){MORE_THAN, 0.05},
                  RANGE_POSITIVE, share[1]);
    run_note(r, "Not tested: layers above the first, and static updates of other matrices.");
    run_conclude(
        r,
        "Of the squared effect of a trained prefix a static update of rank %g leaves %.3f and one of rank %g "
        "%.3f on held-out inputs. Exact match: prefix %.1f %%, with these updates %.1f and %.1f %% (means over "
        "%d %s and the targets %s).",
        q->rank[0], seeds_mean(share[0], seeds), q->rank[last], seeds_mean(share[1], seeds),
        seeds_mean(prefix, seeds), seeds_mean(exact[0], seeds), seeds_mean(exact[1], seeds), seeds,
        str_plural(seeds, "seed", "seeds"), run_text(r, "targets"));
    return OK;
}

static const Setting SETTINGS[] = {
    {"tasks", "tasks of pretraining, mixed", {"asc,desc,add1,add2"}, 0, 0, NULL},
    {"targets", "tasks to call up, up to four", {"desc", "asc,desc,add1,add2", NULL}, 0, 0, NULL},
    {"ranks",
     "ranks of the update, ascending; 0 is a bias alone, the hidden size is full rank",
     {"0,16", "0,1,2,4,8,16,32,64", "0,1,2,4,8,16,32,64,128,256"},
     0,
     4096},
    {"length", "free virtual tokens of each prefix", {"2", "4", "10"}, 1, 512},
    {"rates", "factors of the usual learning rate, 5e-2", {"1,", "0.3,1", "0.1,0.3,1,3"}, 1e-6, 1e6},
    {"steps", "steps of tuning", {"10", "1000", "30000"}, 1, 1e7},
    {"pretrain-steps", "steps of pretraining", {"40", "3500", "20000"}, 1, 1e7},
    {"lr", "learning rate of pretraining", {"2e-3", "1.5e-3", "5e-4"}, 1e-7, 1},
    {"heads", "heads", {"4"}, 1, 64},
    {"dim", "hidden size", {"16", "64", "256"}, 8, 4096},
    {"inputs",
     "inputs that the update is fitted to, and as many that it is scored on",
     {"60", "400", "3200"},
     10,
     1e6},
    {"test", "held-out inputs of the exact match", {"50", "400", "3200"}, 1, 1e6},
    {0}};

static const Experiment COMPILE_PREFIX = {
    .group = "theory",
    .name = "compile-prefix",
    .title = "Which static update of the weights a trained prefix equals",
    .claim = "In a one-layer model a constant vector leaves less than half of what a trained prefix adds behind the "
             "attention, and no static update of the output projection leaves less than 5 %.",
    .method = "Prefixes trained on pretrained digit tasks; reduced-rank regression of their effect on the heads' own "
              "mixture, scored on other inputs and put into the model.",
    .expect = "A constant does most of it; what full rank leaves comes from the spread of the gate alpha.",
    .cost = "smoke two seconds, quick two minutes, paper an hour",
    .source = "after Dherin and others (arXiv 2507.16003, 2025)",
    .settings = SETTINGS,
    .seeds = {1, 3, 5},
    .run = run};
REGISTER(experiment, COMPILE_PREFIX)
