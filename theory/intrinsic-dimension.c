/* theory/intrinsic-dimension: in how many random directions can a model learn a task?
 *
 * Claim    A pretrained model learns a new task inside a random subspace of the weights of its blocks, theta_0 + P z,
 *          of few dimensions; d_90 is the smallest of those tried with 90 % of full tuning's accuracy.  On the same
 *          task a prefix with more parameters than d_90 falls short.  LoRA and adapters of that size may fall short
 *          as well, so this says nothing about prefixes alone.
 * Method   The ascending sorter of E1, tuned to sort descending, to add 1, and to count digits ("histogram"), with z
 *          of d parameters and P a random D x d matrix of +-1/sqrt(D), made from a seed and never stored. It is
 *          compared with full tuning, free prefixes, LoRA and adapters, each at its best learning rate (by late
 *          training loss; data never repeat).
 * Expect   d_90 well below D, and prefixes with more parameters than d_90 below 90 % of full tuning.
 * Cost     a second; a minute; some hours (estimated).
 * Source   Aghajanyan et al., "Intrinsic dimensionality explains the effectiveness of language model fine-tuning",
 *          ACL 2021; Li et al., ICLR 2018.
 *
 * The projection.  P_ij = s_i H(i, c_j) / sqrt(D): random signs s, and d distinct random columns c_j of the
 * Walsh-Hadamard matrix H(i, c) = (-1)^popcount(i & c) of the next power of two, N.  Every entry is +-1/sqrt(D),
 * columns have length 1 and, up to the rows that N has too many, right angles; P z and P'g cost N log N and not D d.
 * --set projection=independent draws every sign by itself, for comparison: the same in all but cost.
 *
 * Learning rates.  Adam moves each z_j by about its learning rate, so a weight moves by rate * sqrt(d/D). The rates
 * tried are multiples of sqrt(D/d) times full tuning's usual learning rate.
 *
 * Not shown. A layer-wise scale (SAID) and large models; d_90 is one of the dimensions tried, at one
 * length of training. A task that full tuning does not learn in that time shows nothing; with one layer the histogram
 * is such a task. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "lab/lab.h"
#include "theory/subspace.h"

/* The methods compared: full tuning, other methods, then subspaces of d dimensions.  The key is part of a
 * method's seed: recorded results depend on it. */
static const struct {
    const char *key, *name, *method, *options;
    double lr;
} METHOD[] = {{"full", "full", "full", NULL, 1e-3},
              {"prefix, 8 slots", /* words: ok */
               "prefix, 8 virtual tokens", "prefix", "kind=free,length=8,init_sd=1", 5e-2},
              {"prefix, 64 slots", /* words: ok */
               "prefix, 64 virtual tokens", "prefix", "kind=free,length=64,init_sd=1", 5e-2},
              {"LoRA, rank 1", "LoRA, rank 1", "lora", "rank=1,alpha=1,target=*", 5e-3},
              {"adapter, width 8", "adapter, bottleneck 8", "houlsby", "width=8", 5e-3}};
enum { METHODS = sizeof METHOD / sizeof *METHOD, FULL = 0, FIRST_PREFIX = 1, LAST_PREFIX = 2 };

typedef struct {
    LabModel recipe;
    DigitMix tasks; /* each is a target of its own */
    double rate[RUN_LIST], d[RUN_LIST];
    int rates, dims, arms; /* METHODS, then one for each d */
} Plan;

/* The compared methods sit in the blocks, and so does the subspace unless it is given the token table, the
 * unembedding and the last norm, too. */
static const char *reach(const Run *r)
{
    return run_has(r, "reach", "blocks") ? "h.*|*.h.*" : "*";
}

/* Training of z alone: loss and gradient of the whole model, projected. */
static Status train_subspace(Run *r, Arena *run, Model *m, const Plan *plan, const char *task, const char *name,
                             int64_t d, double rate, uint64_t seed, LabResult *out)
{
    Subspace *s = subspace_open(run, m->params, reach(r), d, run_has(r, "projection", "independent"),
                                rng_stream(seed, "subspace"));
    double lr = METHOD[FULL].lr * rate * sqrt((double)s->size / (double)d);
    int64_t steps = run_int(r, "steps"), late = steps - steps / 10 - 1, batch = plan->recipe.batch;
    DigitMix mix;
    TRY(digits_mix(&mix, task));
    out->params = d;
    Arena step = arena_open(0);
    uint64_t data = rng_stream(rng_mix(seed, rng_stream(0, task)), "subspace/data");
    for (int64_t k = 0; k < steps; k++) {
        if (run_stopped()) return run_interrupted();
        ArenaMark mark = arena_mark(&step);
        subspace_apply(s);
        params_drop_grad(m->params);
        Tape *t = tape_open(&step, true);
        Batch b = digits_batch(&step, &mix, plan->recipe.layout, batch, data, (uint64_t)(k * batch), false);
        Var *loss = model_loss(m, &(Pass){.tape = t}, &b);
        double value = tape_scalar(loss);
        if (!isfinite(value)) {
            out->diverged = true, out->last = NAN;
            break;
        }
        tape_backward(t, loss);
        subspace_step(s, lr, k + 1);
        params_drop_grad(m->params);
        if (k >= late) out->last += value / (double)(steps - late);
        if (k % 50 == 0) run_progress(r, name, k, steps, value);
        arena_drop(&step, mark);
    }
    subspace_apply(s);
    params_train(m->params, "*", false);
    arena_close(&step);
    return OK;
}

/* Job (task, method, rate, seed). */
static Status tune(Run *r, int i, void *out, void *user)
{
    const Plan *plan = user;
    int seeds = run_seeds(r), rate = i / seeds % plan->rates, arm = i / seeds / plan->rates % plan->arms;
    const char *task = plan->tasks.task[i / seeds / plan->rates / plan->arms]->name;
    uint64_t seed = run_seed(r, i % seeds);
    Arena run = arena_open(0);
    Model *m;
    TRY(lab_open(&m, &run, r, &plan->recipe, seed));
    DigitMix mix;
    TRY(digits_mix(&mix, task));
    LabResult *found = out;
    Hooks *hooks = hooks_new(&run);
    if (arm < METHODS) {
        LabArm x = {.method = METHOD[arm].method, .options = METHOD[arm].options, .target = task};
        x.name = str_print(&run, "%s, %s at %g", task, METHOD[arm].key, plan->rate[rate]);
        x.lr = METHOD[arm].lr * plan->rate[rate], x.steps = run_int(r, "steps");
        TRY(lab_tune(r, &run, m, hooks, &plan->recipe, &x, &mix, seed, found));
    } else {
        int64_t d = (int64_t)plan->d[arm - METHODS];
        const char *name = str_print(&run, "%s, d = %lld", task, (long long)d);
        TRY(train_subspace(r, &run, m, plan, task, name, d, plan->rate[rate], seed, found));
        lab_score(m, NULL, &plan->recipe, &mix, found->score);
    }
    arena_close(&run);
    return OK;
}

/* ---- the results ---- */

typedef struct {
    const Plan *plan;
    const LabResult *best[DIGIT_MIX][METHODS + RUN_LIST]; /* one for each seed */
    int seeds;
    int64_t total;
} Found;

static double mean_exact(const Found *f, int task, int arm)
{
    return lab_mean(f->best[task][arm], f->seeds, 0);
}

/* The smallest d of the grid with 90 % of full tuning's exact match; 0: none, or full tuning learned nothing. */
static int64_t d90(const Found *f, int task)
{
    double enough = 0.9 * mean_exact(f, task, FULL);
    for (int k = 0; k < f->plan->dims && enough > 0; k++)
        if (mean_exact(f, task, METHODS + k) >= enough) return (int64_t)f->plan->d[k];
    return 0;
}

static void place(Series *s, int at, const LabResult *x, int seeds)
{
    double sum = 0, least = 100, most = 0;
    for (int i = 0; i < seeds; i++) {
        double y = 100 * x[i].score[0].exact;
        sum += y / seeds, least = fmin(least, y), most = fmax(most, y);
    }
    tensor_set(s->x, at, (double)x->params);
    tensor_set(s->y, at, sum), tensor_set(s->lo, at, least), tensor_set(s->hi, at, most);
}

static Series blank(Arena *a, int n, const char *label)
{
    Series s = {.label = label, .marked = true};
    s.x = tensor_new(a, F64, SHAPE(n)), s.y = tensor_new(a, F64, SHAPE(n));
    s.lo = tensor_new(a, F64, SHAPE(n)), s.hi = tensor_new(a, F64, SHAPE(n));
    return s;
}

static Status draw(Run *r, const Found *f)
{
    Arena *a = run_arena(r);
    int shown[DIGIT_MIX], n = 0;
    for (int task = 0; task < f->plan->tasks.n; task++)
        if (mean_exact(f, task, FULL) >= run_real(r, "learned")) shown[n++] = task;
    if (!n) shown[n++] = 0;
    int rows = (n + 1) / 2;
    Fig *fig = run_figure(
        r, "dimension",
        str_print(a,
                  "Exact match on held-out inputs against the number of trainable parameters, at each method's best "
                  "learning rate: random subspaces of the sorter's %lld weights, and methods as "
                  "points. Dashed: 90 %% of full tuning. Tasks that full tuning did not learn are left out. Mean "
                  "and range of %d %s.",
                  (long long)f->total, f->seeds, str_plural(f->seeds, "seed", "seeds")),
        500, 210 * rows);
    for (int i = 0; i < n; i++) {
        int task = shown[i];
        Series line[METHODS];
        line[0] = blank(a, f->plan->dims, "subspace");
        for (int k = 0; k < f->plan->dims; k++) place(&line[0], k, f->best[task][METHODS + k], f->seeds);
        for (int k = 1; k < METHODS; k++) {
            line[k] = blank(a, 1, METHOD[k].name);
            place(&line[k], 0, f->best[task][k], f->seeds);
        }
        RefLine ref = {0.9 * mean_exact(f, task, FULL), "90 % of full", false};
        fig_lines(fig, fig_cell(fig, rows, 2, i), METHODS, line,
                  (PlotStyle){.title = f->plan->tasks.task[task]->name,
                              .letter = str_print(a, "%c", 'a' + i),
                              .x = {.title = "trainable parameters", .log = true},
                              .y = {.title = "exact match (%)", .lo = 0, .hi = 100},
                              .ref = &ref,
                              .refs = 1});
    }
    return fig_close(fig);
}

static void record(Run *r, const Found *f)
{
    Arena *a = run_arena(r);
    for (int task = 0; task < f->plan->tasks.n; task++) {
        for (int k = 0; k < f->plan->arms; k++) {
            const char *name = k < METHODS ? METHOD[k].name : str_print(a, "d = %g", f->plan->d[k - METHODS]);
            for (int i = 0; i < f->seeds; i++) {
                const LabResult *x = &f->best[task][k][i];
                run_metric(r, RANGE_PERCENT,
                           str_print(a, "%s, %s: exact match (%%)", f->plan->tasks.task[task]->name, name), i,
                           100 * x->score[0].exact);
                run_metric(r, RANGE_PERCENT,
                           str_print(a, "%s, %s: token accuracy (%%)", f->plan->tasks.task[task]->name, name), i,
                           100 * x->score[0].token);
                run_metric(r, RANGE_POSITIVE,
                           str_print(a, "%s, %s: final loss", f->plan->tasks.task[task]->name, name), i, x->last);
            }
            if (!task && k < METHODS) run_note(r, "%s: %lld parameters.", name, (long long)f->best[0][k]->params);
        }
        run_metric(r, RANGE_EXTREME, str_print(a, "%s: d_90", f->plan->tasks.task[task]->name), 0,
                   d90(f, task) ? (double)d90(f, task) : (double)NAN);
    }
}

/* Per seed: exact match less 0.9 of full tuning's. */
static const double *above(Run *r, const Found *f, int task, int arm)
{
    double *x = NEW(run_arena(r), double, f->seeds);
    for (int i = 0; i < f->seeds; i++)
        x[i] = 100 * (f->best[task][arm][i].score[0].exact - 0.9 * f->best[task][FULL][i].score[0].exact);
    return x;
}

/* On a task that full tuning learns: the largest subspace of less than half of the weights reaches it, and each
 * method with at least d_90 parameters falls short. */
static void judge_task(Run *r, const Found *f, int task)
{
    const char *name = f->plan->tasks.task[task]->name;
    int half = -1;
    int64_t d = d90(f, task);
    for (int k = 0; k < f->plan->dims; k++)
        if (2 * f->plan->d[k] < (double)f->total) half = k;
    if (half >= 0)
        run_claim(r,
                  str_print(run_arena(r), "%s: exact match with d = %g less 0.9 of full tuning's (points)", name,
                            f->plan->d[half]),
                  (Claim){MORE_THAN, 0}, RANGE_ANY, above(r, f, task, METHODS + half));
    for (int k = FIRST_PREFIX; k <= LAST_PREFIX; k++)
        if (d && f->best[task][k]->params >= d)
            run_claim(r,
                      str_print(run_arena(r), "%s: exact match of %s less 0.9 of full tuning's (points)", name,
                                METHOD[k].name),
                      (Claim){LESS_THAN, 0}, RANGE_ANY, above(r, f, task, k));
}

/* Appends the result on a task; false: full tuning did not learn it. */
static bool say(Buf *said, const Found *f, int task, double learned)
{
    int64_t d = d90(f, task);
    double full = mean_exact(f, task, FULL);
    buf_print(said, " %s: full tuning %.1f %%", f->plan->tasks.task[task]->name, full);
    if (full < learned) {
        buf_print(said, ", so nothing is concluded.");
        return false;
    }
    if (d)
        buf_print(said, ", d_90 = %lld of %lld;", (long long)d, (long long)f->total);
    else
        buf_print(said, ", d_90 beyond the %g tried;", f->plan->d[f->plan->dims - 1]);
    for (int k = 1; k < METHODS; k++) {
        double exact = mean_exact(f, task, k);
        int64_t n = f->best[task][k]->params;
        buf_print(said, " %s (%lld parameters) %.1f %%%s", METHOD[k].name, (long long)n, exact,
                  k < METHODS - 1 ? "," : ".");
    }
    return true;
}

static void judge(Run *r, const Found *f)
{
    Buf said = buf_open(run_arena(r));
    double *most = NEW(run_arena(r), double, f->seeds);
    for (int task = 0; task < f->plan->tasks.n; task++) {
        for (int i = 0; i < f->seeds; i++) most[i] = fmax(most[i], 100 * f->best[task][FULL][i].score[0].exact);
        if (say(&said, f, task, run_real(r, "learned"))) judge_task(r, f, task);
    }
    run_gate(r, "exact match of full tuning on the task that it learns best (%)",
             (Claim){MORE_THAN, run_real(r, "learned")}, RANGE_PERCENT, most);
    run_conclude(r, "Exact match, mean of %d %s.%s", f->seeds, str_plural(f->seeds, "seed", "seeds"), said.text);
}

static Status run(Run *r)
{
    Arena *a = run_arena(r);
    int seeds = run_seeds(r);
    Plan plan = {.recipe = lab_sorter(run_preset(r))};
    TRY(digits_mix(&plan.tasks, run_text(r, "tasks")));
    plan.rates = run_list(r, "rates", plan.rate), plan.dims = run_list(r, "d", plan.d);
    plan.arms = METHODS + plan.dims;
    LabModel *l = &plan.recipe;
    l->dim = (int)run_int(r, "dim"), l->layers = (int)run_int(r, "layers"), l->steps = run_int(r, "pretrain-steps");
    l->batch = run_int(r, "batch"), l->lr = run_real(r, "pretrain-lr"), l->test = run_int(r, "test");
    TRY(lab_pretrain(r, l, 1));
    Model *m;
    TRY(lab_open(&m, a, r, l, run_seed(r, 0)));
    Found f = {.plan = &plan, .seeds = seeds, .total = params_count(m->params, reach(r), false)};
    for (int k = 0; k < plan.dims; k++)
        if (plan.d[k] > (double)f.total)
            return err_fail(E_CONFIG, "d is %g, the model has %lld weights", plan.d[k], (long long)f.total);
    int each = plan.rates * seeds, n = plan.tasks.n * plan.arms * each;
    LabResult *all = NEW(a, LabResult, n);
    TRY(run_parallel(r, n, sizeof *all, tune, &plan, all));
    for (int task = 0; task < plan.tasks.n; task++)
        for (int k = 0; k < plan.arms; k++) {
            const LabResult *x = all + (task * plan.arms + k) * each;
            f.best[task][k] = x + lab_best(x, plan.rates, seeds) * seeds;
        }
    run_params(r, "sorter", f.total, 0);
    record(r, &f);
    TRY(draw(r, &f));
    run_note(
        r,
        "Not tested: a scale of its own for each layer, subspaces of a prefix's parameters, other seeds of P for one "
        "model.");
    judge(r, &f);
    return OK;
}

static const Setting SETTINGS[] = {
    {"tasks", "tasks that the ascending sorter is tuned to, one at a time", {"desc", "desc,add1,histogram", NULL}},
    {"reach", "weights that the subspace reaches", {"blocks", NULL, NULL}, 0, 0, "blocks|all"},
    {"projection", "how P is drawn", {"hadamard", NULL, NULL}, 0, 0, "hadamard|independent"},
    {"d", "dimensions tried", {"16,256", "32,128,512,2048,8192", "64,256,1024,4096,16384,65536"}, 1, 1e8},
    {"dim", "hidden size", {"16", "32", "96"}, 8, 1024},
    {"layers", "layers", {"1", "1", "2"}, 1, 16},
    {"pretrain-steps", "steps of ascending pretraining", {"40", "2400", "20000"}, 1, 1e7},
    {"pretrain-lr", "its learning rate", {"3e-3", "3e-3", "5e-4"}, 1e-7, 1},
    {"batch", "examples a step", {"16", "32", "64"}, 1, 65536},
    {"steps", "steps of tuning", {"20", "1000", "6000"}, 1, 1e7},
    {"rates", "factors of each method's usual learning rate", {"1,", "1,4", "1,4"}, 1e-4, 1e4},
    {"test", "held-out inputs scored", {"50", "400", "3200"}, 1, 1e6},
    {"learned", "exact match of full tuning (%) below which nothing is concluded", {"10", "10", "10"}, 0, 100},
    {0}};

static const Experiment INTRINSIC_DIMENSION = {
    .group = "theory",
    .name = "intrinsic-dimension",
    .title = "In how many random directions a task can be learned",
    .claim =
        "A pretrained sorter learns new tasks in a random subspace of the weights of its blocks with few dimensions "
        "d_90; prefixes with more parameters than that fall short.",
    .method = "theta_0 + P z with a random P of +-1/sqrt(D) entries and d parameters z, against full tuning, "
              "prefixes, LoRA and adapters, on descending sort, adding 1 and the histogram.",
    .expect = "d_90 below half of the weights on every task that full tuning learns; a prefix with more parameters "
              "below 90 % of full tuning.",
    .cost = "smoke a second, quick a minute, paper some hours (estimated)",
    .source = "Aghajanyan et al. (ACL 2021); Li et al. (ICLR 2018)",
    .settings = SETTINGS,
    .seeds = {1, 3, 3},
    .run = run};
REGISTER(experiment, INTRINSIC_DIMENSION)
