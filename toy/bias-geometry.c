/* toy/bias-geometry: the geometry of the term that a prefix adds to the residual stream.
 *
 * Claim    At layer 1 the term that a prefix adds spans n_H n_S directions, whatever its task.
 * Method   Pretrain on a mixture of tasks without a task token; train one tied prefix per task, at several learning
 *          rates.  In F64, on one set of token sequences, D = t' - (1 - a) t per head and through the output
 *          projection: its singular values per layer.  At layer 1 the principal angles between the spans of two
 *          tasks' D, compared with those of random spans of the same size.  Then arithmetic without training: the sum
 *          of the prefixes for two tasks, the sum minus the common start, their mean, and both concatenated, scored
 *          on the composition of the two tasks, with a prefix trained for it for comparison; and the straight path
 *          from one prefix to another, scored on both tasks.
 * Expect   Rank n_H n_S at layer 1 for every task and seed.  For the rest there is no prediction: it is measured.
 * Cost     seconds; two minutes; half an hour.
 * Source   Petrov, Torr and Bibi (ICLR 2024), section 4 and experiments 2 and 3.
 *
 * Proof of the rank: D_i = W_O sum_h sum_p a_ihp v_hp is a combination of the n_H n_S fixed vectors W_O^h v_hp.
 *
 * What it does not show: that prefixes cannot be composed.  Four ways to add two vectors are four ways. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "lab/sweep.h"
#include "measure/measure.h"
#include "num/gemm.h"
#include "num/linalg.h"

enum { TASKS = 4, LAYERS = 6, NUMBERS = 8192, WIDEST = 256, STEPS = 9 };
typedef enum { SUM, SUM_LESS_START, MEAN, SIDE_BY_SIDE, TRAINED, WAYS } Way;
static const char *const WAY[WAYS] = {"sum", "sum minus start", "mean", "concatenated", "trained for it"};

typedef struct { /* a trained prefix: (layers, slots, width) */
    LabResult result;
    float slots[NUMBERS];
} Outcome;

typedef struct {                     /* of one seed */
    double spectrum[LAYERS][WIDEST]; /* singular values over the largest, mean over tasks */
    double rank[TASKS], participation[LAYERS];
    double angle[TASKS + 1][TASKS + 1], random_angle; /* mean principal angle, degrees, layer 1; last: the start */
    double composed[WAYS], path[STEPS][2];            /* exact match, % */
} Geometry;

typedef struct {
    LabModel recipe;
    DigitMix task;             /* one prefix each */
    const DigitTask *composed; /* of tasks compose[0] and compose[1] */
    int compose[2], path[2];   /* indices of tasks */
    int slots;
    int64_t probes;
    const Outcome *best[TASKS + 1]; /* (seeds) per task, then the composed one */
} Question;

/* ---- prefixes as vectors ---- */

static Param *slots_of(const Model *m, int l)
{
    return param_find(m->params, str_print(m->run, "peft.prefix.decoder.layer.%d.slots", l));
}

/* Writes a x + b y + c z, laid out as the prefixes are, into the virtual tokens from `first` on of each layer. */
static void put(Model *m, int slots, int first, double a, const float *x, double b, const float *y, double c,
                const float *z)
{
    int64_t each = slots * m->config.dim;
    for (int l = 0; l < m->config.layers; l++)
        for (int64_t i = 0; i < each; i++) {
            int64_t at = l * each + i;
            tensor_set(slots_of(m, l)->val, first * m->config.dim + i,
                       a * (double)x[at] + b * (double)y[at] + c * (double)z[at]);
        }
}

static void get(float *out, const Model *m)
{
    for (int l = 0; l < m->config.layers; l++) {
        Tensor s = slots_of(m, l)->val;
        for (int64_t i = 0; i < tensor_count(s); i++) out[l * tensor_count(s) + i] = (float)tensor_get(s, i);
    }
}

static LabArm prefix_arm(Arena *a, int slots)
{
    LabArm arm = lab_arm("prefix-tied");
    arm.options = str_print(a, "kind=tied,length=%d,init_sd=1", slots);
    return arm;
}

static Status tune(Run *r, SweepJob *j, void *out, void *user)
{
    (void)user;
    Outcome *o = out;
    const DigitMix scored = {{digit_task(j->arm.target)}, 1};
    TRY(lab_tune(r, j->run, j->m, j->hooks, j->model, &j->arm, &scored, j->seed, &o->result));
    get(o->slots, j->m);
    return OK;
}

/* ---- spectra and angles ---- */

static Status in_f64(Model **out, Arena *run, const Model *m)
{
    TRY(model_open(out, run, &m->config, F64, 0));
    for (int i = 0; i < params_n(m->params); i++) {
        const Param *from = params_at(m->params, i);
        Tensor to = param_find((*out)->params, from->name)->val;
        for (int64_t k = 0; k < tensor_count(to); k++) tensor_set(to, k, tensor_get(from->val, k));
    }
    return OK;
}

/* The mean principal angle between two row spaces with orthonormal bases (K,C) each: arccos of the singular values of
 * A B'. */
static Status mean_angle(double *degrees, Arena *step, Tensor a, Tensor b)
{
    int64_t k = a.dim[0], c = a.dim[1];
    Tensor m = tensor_new(step, F64, SHAPE(k, k)), s;
    gemm_parallel(F64, k, k, c, 1, (Mat){a.data, c, false}, (Mat){b.data, c, true}, 0, m.data, k);
    TRY(linalg_singular(&s, step, m));
    *degrees = 0;
    for (int64_t i = 0; i < k; i++) *degrees += acos(fmin(1, tensor_get(s, i))) * 180 / M_PI / (double)k;
    return OK;
}

static Status random_basis(Tensor *out, Arena *step, int64_t k, int64_t c, uint64_t stream)
{
    Tensor x = tensor_new(step, F64, SHAPE(k, c));
    Svd svd;
    for (int64_t i = 0; i < k * c; i++) tensor_set(x, i, rng_normal(stream, (uint64_t)i));
    TRY(linalg_svd(&svd, step, x));
    *out = svd.vt;
    return OK;
}

/* The term that the attached prefix adds, per layer; k = number of tasks: the start, of which only the span
 * counts. */
static Status look(Geometry *out, Tensor *basis, Arena *run, Model *m, Hooks *hooks, const Batch *probe,
                   const Seen *before, const Question *q, int k)
{
    Seen with[LAYERS];
    bool task = k < q->task.n;
    measure_pass(with, run, m, hooks, PART_DECODER, probe);
    for (int l = 0; l < (task ? m->config.layers : 1); l++) {
        Map on = {.seen = &with[l], .reserved = q->slots}, off = {.seen = &before[l], .reserved = q->slots};
        Tensor d = measure_added(run, on, off);
        Svd svd;
        TRY(linalg_svd(&svd, run, measure_projected(run, m, (Where){.layer = l, .part = PART_DECODER}, d, -1)));
        if (l == 0) *basis = tensor_rows(svd.vt, 0, q->slots * m->config.heads);
        if (!task) break;
        for (int64_t i = 0; i < m->config.dim; i++)
            out->spectrum[l][i] += tensor_get(svd.s, i) / tensor_get(svd.s, 0) / q->task.n;
        out->participation[l] += linalg_participation(svd.s) / q->task.n;
        if (l == 0) out->rank[k] = (double)linalg_numerical_rank(svd.s);
    }
    return OK;
}

static Status geometry(Geometry *out, Arena *run, const Model *base, const Question *q, int seed, const float *start,
                       uint64_t stream)
{
    Arena step = arena_open(0);
    Model *m;
    Seen before[LAYERS];
    Tensor basis[TASKS + 1], random[2];
    int n = q->task.n;
    TRY(in_f64(&m, run, base));
    Batch probe = digits_batch(run, &q->task, q->recipe.layout, q->probes, rng_stream(1, "probe"), 0, true);
    probe.keep = NULL, probe.k = 0;
    measure_pass(before, run, m, NULL, PART_DECODER, &probe);
    Hooks *hooks = hooks_new(run);
    LabArm arm = prefix_arm(run, q->slots);
    TRY(lab_attach(m, hooks, &q->recipe, &arm));
    for (int k = 0; k <= n; k++) {
        const float *s = k < n ? q->best[k][seed].slots : start;
        put(m, q->slots, 0, 1, s, 0, s, 0, s);
        TRY(look(out, &basis[k], run, m, hooks, &probe, before, q, k));
    }
    for (int a = 0; a <= n; a++)
        for (int b = 0; b <= n; b++) TRY(mean_angle(&out->angle[a][b], &step, basis[a], basis[b]));
    for (int i = 0; i < 2; i++)
        TRY(random_basis(&random[i], &step, basis[0].dim[0], basis[0].dim[1], rng_mix(stream, (uint64_t)i)));
    TRY(mean_angle(&out->random_angle, &step, random[0], random[1]));
    arena_close(&step);
    return OK;
}

/* ---- arithmetic and paths ---- */

static double tokens(Model *m, const Hooks *hooks, const Question *q, const DigitTask *task)
{
    DigitScore s[DIGIT_MIX];
    lab_score(m, hooks, &q->recipe, &(DigitMix){{task}, 1}, s);
    return 100 * s[0].token;
}

static Status arithmetic(Geometry *out, Arena *run, Run *r, const Question *q, int seed, float *start)
{
    const float *a = q->best[q->compose[0]][seed].slots, *b = q->best[q->compose[1]][seed].slots,
                *own = q->best[q->task.n][seed].slots, *from = q->best[q->path[0]][seed].slots,
                *to = q->best[q->path[1]][seed].slots;
    Model *m, *wide;
    Hooks *hooks = hooks_new(run), *wide_hooks = hooks_new(run);
    LabArm arm = prefix_arm(run, q->slots), twice = prefix_arm(run, 2 * q->slots);
    TRY(lab_open(&m, run, r, &q->recipe, run_seed(r, seed)));
    TRY(lab_attach(m, hooks, &q->recipe, &arm));
    get(start, m); /* nothing is trained yet */
    const struct {
        double a, b, start;
    } TERMS[] = {[SUM] = {1, 1, 0}, [SUM_LESS_START] = {1, 1, -1}, [MEAN] = {0.5, 0.5, 0}};
    for (int w = SUM; w <= MEAN; w++) {
        put(m, q->slots, 0, TERMS[w].a, a, TERMS[w].b, b, TERMS[w].start, start);
        out->composed[w] = tokens(m, hooks, q, q->composed);
    }
    put(m, q->slots, 0, 1, own, 0, own, 0, own);
    out->composed[TRAINED] = tokens(m, hooks, q, q->composed);
    for (int i = 0; i < STEPS; i++) {
        double x = (double)i / (STEPS - 1);
        put(m, q->slots, 0, 1 - x, from, x, to, 0, to);
        for (int s = 0; s < 2; s++) out->path[i][s] = tokens(m, hooks, q, q->task.task[q->path[s]]);
    }
    TRY(lab_open(&wide, run, r, &q->recipe, run_seed(r, seed)));
    TRY(lab_attach(wide, wide_hooks, &q->recipe, &twice));
    put(wide, q->slots, 0, 1, a, 0, a, 0, a);
    put(wide, q->slots, q->slots, 1, b, 0, b, 0, b);
    out->composed[SIDE_BY_SIDE] = tokens(wide, wide_hooks, q, q->composed);
    return OK;
}

static Status measure(Run *r, int i, void *out, void *user)
{
    const Question *q = user;
    Arena run = arena_open(0);
    Model *m;
    TRY(lab_open(&m, &run, r, &q->recipe, run_seed(r, i)));
    float *start = NEW(&run, float, NUMBERS);
    TRY(arithmetic(out, &run, r, q, i, start));
    TRY(geometry(out, &run, m, q, i, start, rng_stream(run_seed(r, i), "random spans")));
    arena_close(&run);
    return OK;
}

/* ---- figures ---- */

static Status draw_spectrum(Run *r, const Question *q, const Geometry *shape)
{
    Arena *a = run_arena(r);
    int seeds = run_seeds(r), n = q->recipe.dim;
    Series line[LAYERS];
    Tensor x = tensor_new(a, F64, SHAPE(n));
    for (int i = 0; i < n; i++) tensor_set(x, i, i + 1);
    for (int l = 0; l < q->recipe.layers; l++) {
        double *y = NEW(a, double, n *seeds);
        for (int i = 0; i < n; i++)
            for (int s = 0; s < seeds; s++) y[i * seeds + s] = fmax(1e-17, shape[s].spectrum[l][i]);
        line[l] = seeds_series(a, y, n, seeds, str_print(a, "layer %d", l + 1));
        line[l].x = x;
    }
    RefLine edge = {q->slots * q->recipe.heads + 0.5, "heads x virtual tokens", true};
    Fig *f = run_figure(
        r, "spectrum",
        str_print(a,
                  "Singular values of the term that a prefix of %d virtual tokens adds to the residual stream, mean "
                  "over %d tasks and %d %s. At layer 1 they stop at heads x virtual tokens; above it the inputs "
                  "of the layer have moved too.",
                  q->slots, q->task.n, seeds, str_plural(seeds, "seed", "seeds")),
        300, 190);
    fig_lines(f, fig_whole(f), q->recipe.layers, line,
              (PlotStyle){.x = {.title = "index"},
                          .y = {.title = "singular value / largest", .log = true, .lo = 1e-17, .hi = 2},
                          .ref = &edge,
                          .refs = 1});
    return fig_close(f);
}

static Status draw_angles(Run *r, const Question *q, const Geometry *shape, double random_angle)
{
    Arena *a = run_arena(r);
    int n = q->task.n + 1;
    const char *name[TASKS + 1];
    Tensor m = tensor_zero(a, F64, SHAPE(n, n));
    for (int i = 0; i < n * n; i++) {
        name[i % n] = i % n < n - 1 ? q->task.task[i % n]->name : "start";
        for (int s = 0; s < run_seeds(r); s++)
            tensor_set(m, i, tensor_get(m, i) + shape[s].angle[i / n][i % n] / run_seeds(r));
    }
    Fig *f =
        run_figure(r, "angles",
                   str_print(a,
                             "Mean principal angle between the spans of two tasks' biases at layer 1, mean of %d "
                             "seeds. Random spans of the same size in the same space: %.0f degrees.",
                             run_seeds(r), random_angle),
                   252, 190);
    fig_heatmap(f, fig_whole(f), m,
                (HeatStyle){.hi = 90, .row = name, .col = name, .values = true, .bar = true, .bar_title = "degrees"});
    return fig_close(f);
}

static Status draw_arithmetic(Run *r, const Question *q, const Geometry *shape)
{
    Arena *a = run_arena(r);
    int seeds = run_seeds(r);
    double *y = NEW(a, double, WAYS *seeds);
    for (int w = 0; w < WAYS; w++)
        for (int s = 0; s < seeds; s++) y[w * seeds + s] = shape[s].composed[w];
    Series bar = seeds_series(a, y, WAYS, seeds, NULL), line[2];
    Tensor x = tensor_new(a, F64, SHAPE(STEPS));
    for (int k = 0; k < 2; k++) {
        double *p = NEW(a, double, STEPS *seeds);
        for (int i = 0; i < STEPS; i++) {
            tensor_set(x, i, (double)i / (STEPS - 1));
            for (int s = 0; s < seeds; s++) p[i * seeds + s] = shape[s].path[i][k];
        }
        line[k] = seeds_series(a, p, STEPS, seeds, q->task.task[q->path[k]]->name);
        line[k].x = x, line[k].marked = true;
    }
    Fig *f =
        run_figure(r, "arithmetic",
                   str_print(a,
                             "(a) Token accuracy on \"%s\" of prefixes made from those for \"%s\" and \"%s\". (b) "
                             "Token accuracy on both tasks along the straight path between two prefixes. Mean and "
                             "range of %d %s.",
                             q->composed->name, q->task.task[q->compose[0]]->name, q->task.task[q->compose[1]]->name,
                             seeds, str_plural(seeds, "seed", "seeds")),
                   500, 190);
    fig_bars(
        f, fig_cell(f, 1, 2, 0), 1, &bar, WAY,
        (PlotStyle){.letter = "a", .title = "composed", .y = {.title = "token accuracy (%)", .lo = 0, .hi = 100}});
    fig_lines(f, fig_cell(f, 1, 2, 1), 2, line,
              (PlotStyle){.letter = "b",
                          .title = "interpolated",
                          .x = {.title = "share of the second prefix"},
                          .y = {.title = "token accuracy (%)", .lo = 0, .hi = 100}});
    return fig_close(f);
}

/* ---- the experiment ---- */

static int index_of(const DigitMix *mix, const char *name)
{
    for (int k = 0; k < mix->n; k++)
        if (!strcmp(mix->task[k]->name, name)) return k;
    return -1;
}

static Status two_of(int out[2], const DigitMix *mix, const char *list)
{
    DigitMix two;
    TRY(digits_mix(&two, list));
    for (int i = 0; i < 2; i++)
        if (two.n != 2 || (out[i] = index_of(mix, two.task[i]->name)) < 0)
            return err_fail(E_CONFIG, "\"%s\": expected two of the tasks of pretraining", list);
    return OK;
}

static Status ask(Run *r, Question *q, Sweep *s)
{
    LabModel *l = &q->recipe;
    *l = lab_elicitor(run_preset(r));
    l->tasks = run_text(r, "pretrain"), l->layers = (int)run_int(r, "layers"), l->dim = (int)run_int(r, "dim");
    l->heads = (int)run_int(r, "heads"), l->steps = run_int(r, "pretrain-steps"), l->test = run_int(r, "test");
    l->batch = run_int(r, "batch");
    q->slots = (int)run_int(r, "slots"), l->layout.slots = q->slots, q->probes = run_int(r, "probes");
    TRY(lab_check(l));
    TRY(digits_mix(&q->task, l->tasks));
    if (q->task.n > TASKS || q->slots * l->layers * l->dim > NUMBERS || q->slots * l->heads > l->dim)
        return err_fail(E_CONFIG, "at most %d tasks, %d parameters in a prefix, heads x virtual tokens %d", TASKS,
                        NUMBERS, l->dim);
    TRY(two_of(q->compose, &q->task, run_text(r, "compose")));
    TRY(two_of(q->path, &q->task, run_text(r, "path")));
    q->composed = digit_task(run_text(r, "composed"));
    if (!q->composed) return err_fail(E_CONFIG, "composed: there is no task \"%s\"", run_text(r, "composed"));
    *s = (Sweep){.size = sizeof(Outcome), .tune = tune, .user = q};
    s->rates = run_list(r, "rates", s->scale);
    for (int k = 0; k <= q->task.n; k++) {
        LabArm arm = prefix_arm(run_arena(r), q->slots);
        arm.target = k < q->task.n ? q->task.task[k]->name : q->composed->name;
        arm.name = k < q->task.n ? arm.target : str_print(run_arena(r), "%s, composed", arm.target);
        arm.steps = run_int(r, "steps");
        s->arm[s->arms++] = (SweepArm){arm, l};
    }
    return OK;
}

static void record(Run *r, const Question *q, const Geometry *s, int i)
{
    Arena *a = run_arena(r);
    for (int k = 0; k < q->task.n; k++) {
        const char *name = q->task.task[k]->name;
        run_metric(r, RANGE_PERCENT, str_print(a, "%s: exact match with its prefix (%%)", name), i,
                   100 * q->best[k][i].result.score[0].exact);
        run_metric(r, RANGE_EXTREME, str_print(a, "%s: rank at layer 1", name), i, s->rank[k]);
        for (int b = 0; b < k; b++)
            run_metric(r, RANGE_POSITIVE,
                       str_print(a, "%s and %s: mean principal angle (degrees)", name, q->task.task[b]->name), i,
                       s->angle[k][b]);
        run_metric(r, RANGE_POSITIVE, str_print(a, "%s and the start: mean principal angle (degrees)", name), i,
                   s->angle[k][q->task.n]);
    }
    run_metric(r, RANGE_POSITIVE, "random spans: mean principal angle (degrees)", i, s->random_angle);
    for (int l = 0; l < q->recipe.layers; l++)
        run_metric(r, RANGE_POSITIVE, str_print(a, "layer %d: participation ratio", l + 1), i, s->participation[l]);
    for (int w = 0; w < WAYS; w++)
        run_metric(r, RANGE_PERCENT, str_print(a, "%s, %s: token accuracy (%%)", q->composed->name, WAY[w]), i,
                   s->composed[w]);
    for (int k = 0; k < 2; k++)
        run_metric(r, RANGE_PERCENT, str_print(a, "half way: %s token accuracy (%%)", q->task.task[q->path[k]]->name),
                   i, s->path[STEPS / 2][k]);
}

static Status run(Run *r)
{
    Question q = {0};
    Sweep s;
    int seeds = run_seeds(r), right = 0;
    TRY(ask(r, &q, &s));
    TRY(lab_pretrain(r, &q.recipe, 1));
    SweepBest won[SWEEP_ARMS];
    TRY(sweep_run(r, &s, won));
    for (int k = 0; k < s.arms; k++) q.best[k] = won[k].outcome;
    Geometry *shape = NEW(run_arena(r), Geometry, seeds);
    TRY(run_parallel(r, seeds, sizeof *shape, measure, &q, shape));

    double *elicits = NEW(run_arena(r), double, seeds);
    double own = 0, angle = 0, start = 0, random = 0, way[WAYS] = {0}, half[2] = {0};
    int n = q.task.n;
    for (int i = 0; i < seeds; i++) {
        record(r, &q, &shape[i], i);
        random += shape[i].random_angle / seeds;
        for (int k = 0; k < n; k++) {
            right += (int)shape[i].rank[k] == q.slots * q.recipe.heads;
            own += 100 * q.best[k][i].result.score[0].exact / (n * seeds);
            elicits[i] += 100 * q.best[k][i].result.score[0].exact / n;
            start += shape[i].angle[k][n] / (seeds * n);
            for (int b = 0; b < k; b++) angle += shape[i].angle[k][b] / (seeds * n * (n - 1) / 2.0);
        }
        for (int w = 0; w < WAYS; w++) way[w] += shape[i].composed[w] / seeds;
        for (int k = 0; k < 2; k++) half[k] += shape[i].path[STEPS / 2][k] / seeds;
    }
    TRY(draw_spectrum(r, &q, shape));
    TRY(draw_angles(r, &q, shape, random));
    TRY(draw_arithmetic(r, &q, shape));
    run_gate(r, "exact match of the prefixes on their tasks, mean (%)", (Claim){MORE_THAN, 20}, RANGE_PERCENT,
             elicits);
    run_exact(r, "the rank at layer 1 is heads x virtual tokens", right == n * seeds);
    run_conclude(
        r,
        "Rank at layer 1 is heads x virtual tokens = %d in %d of %d cases (prefixes elicit their tasks at "
        "%.0f %%). Mean principal angle between tasks %.0f degrees, to their common start %.0f, random %.0f. "
        "\"%s\" by arithmetic: sum %.1f %%, minus start %.1f %%, mean %.1f %%, concatenated %.1f %%; trained "
        "%.1f %%. Half way between two prefixes: %.1f %% and %.1f %%.",
        q.slots * q.recipe.heads, right, n * seeds, own, angle, start, random, q.composed->name, way[SUM],
        way[SUM_LESS_START], way[MEAN], way[SIDE_BY_SIDE], way[TRAINED], half[0], half[1]);
    run_note(
        r, "The verdict is on the rank alone, which is an identity: it checks the measurement on trained models and "
           "is no evidence about training. All prefixes of a seed start from the same vectors.");
    return OK;
}

static const Setting SETTINGS[] = {
    {"pretrain",
     "tasks of pretraining, mixed without a task token; one prefix each",
     {"asc,desc,add1,add2"},
     0,
     0,
     NULL},
    {"compose", "two of them whose prefixes are added", {"asc,add1"}, 0, 0, NULL},
    {"composed", "the task that would be their composition", {"asc-add1"}, 0, 0, NULL},
    {"path", "two of them to interpolate between", {"asc,desc"}, 0, 0, NULL},
    {"slots", "virtual tokens of a prefix", {"1", "4", "4"}, 1, 16},
    {"rates", "factors of the prefix's usual learning rate", {"1,", "2,8", "0.3,1,3,10"}, 1e-6, 1e6},
    {"steps", "steps of tuning", {"20", "500", "20000"}, 1, 1e7},
    {"pretrain-steps", "steps of pretraining", {"40", "2000", "20000"}, 1, 1e7},
    {"batch", "examples a step", {"16", "48", "64"}, 1, 65536},
    {"layers", "layers", {"2"}, 1, LAYERS},
    {"heads", "heads", {"4"}, 1, 64},
    {"dim", "width", {"32", "64", "256"}, 8, WIDEST},
    {"probes", "inputs on which the bias is measured", {"8", "24", "64"}, 1, 1024},
    {"test", "held-out inputs scored", {"50", "200", "3200"}, 1, 1e6},
    {0}};

static const Experiment BIAS_GEOMETRY = {
    .group = "toy",
    .name = "bias-geometry",
    .title = "The geometry of the term that prefixes add",
    .claim = "At layer 1 the term that a trained prefix adds to the residual stream spans n_H n_S directions, "
             "whatever the task.",
    .method = "One prefix per pretraining task; singular values of the added bias per layer in F64; principal angles "
              "between tasks; sums, means and straight paths of prefixes scored without training.",
    .expect = "Rank n_H n_S at layer 1; no prediction for angles, arithmetic and interpolation.",
    .cost = "smoke a second, quick two minutes, paper half an hour",
    .source = "after Petrov, Torr, Bibi (ICLR 2024), section 4 and experiments 2 and 3",
    .settings = SETTINGS,
    .seeds = {1, 3, 3},
    .run = run};
REGISTER(experiment, BIAS_GEOMETRY)
