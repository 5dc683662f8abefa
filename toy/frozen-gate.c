/* toy/frozen-gate: is a prefix more than a steering vector whose weight is fixed?
 *
 * Claim    A prefix makes a head's output (1 - alpha) t + alpha g, and its gate alpha depends on the input.  In one
 *          layer training does without that: a gate that is one number for each head and position, trained with a
 *          vector, elicits a pretrained task as well as a prefix.  With more layers it does not.
 * Method   Models pretrained on four digit tasks without a task token; on each target a free prefix in every layer,
 *          and instead of it, behind every head: a vector; a vector for each position; a vector and a gate; both for
 *          each position.  Gates and vectors are trained from the start, so nothing is clamped after the fact.
 *          Effect, for each seed: exact match of the prefix less that of gate and vector by position, mean over
 *          the targets.
 * Expect   Within 10 points with one layer, more than 10 with two.  The margin is a tenth of the scale, and larger
 *          than the differences between equal runs of toy/alpha.
 * Gates    The prefix elicits: 50 % exact match, mean over the targets.
 * Cost     seconds; five minutes; three hours.
 * Source   The gate is that of He et al. (ICLR 2022), section 3.1; a vector behind attention is steering as in Turner
 *          et al. ("Steering language models with activation engineering", 2023).  toy/alpha clamps the gate of a
 *          prefix that was trained with a free one.
 *
 * Forms    A gate may be any number here, not only one between 0 and 1, and the vector is not tied to it: with the
 *          same layers every prefix whose gate were fixed is among these.
 * What it does not show: that no vector could do it.  Every number is the result of these steps and learning
 * rates. */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "lab/sweep.h"

typedef enum { PREFIX, VECTOR, VECTOR_PLACE, GATE, GATE_PLACE, FORMS } Form;
static const char *const FORM[FORMS] = {"prefix", "vector", "vector by position", "gate and vector",
                                        "gate and vector by position"};
enum { DEPTHS = 4, TASKS = 4 };

typedef struct {
    LabModel model[DEPTHS];
    int depths;
    DigitMix targets;
    Sweep sweep;
} Question;

/* ---- gate and vector */

typedef struct {
    Param *gate, *vector; /* (R,H), (R,C) with R 1 or the positions; gate NULL: none */
    Tensor widen;         /* (C,H): 1 where a channel belongs to a head */
    const int64_t *tokens;
} Steer;

static Var *see_length(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)p, (void)at, (void)in;
    *(int64_t *)user = out->val.dim[1];
    return out;
}

/* Kept rows are the last ones of their sequence. */
static Var *steer(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    const Steer *s = user;
    Tape *t = p->tape;
    int64_t b = out->val.dim[0], q = out->val.dim[1];
    int32_t *row = NEW(tape_arena(t), int32_t, b * q);
    for (int64_t i = 0; s->vector->val.dim[0] > 1 && i < b * q; i++) row[i] = (int32_t)(*s->tokens - q + i % q);
    if (s->gate) {
        Var *gate = op_embed(t, tape_param(t, s->gate), row, b, q);
        out = op_mul(t, op_linear(t, gate, tape_leaf(t, s->widen), OUT_IN, NULL, ACT_NONE), out);
    }
    return op_add(t, out, 1, op_embed(t, tape_param(t, s->vector), row, b, q));
}

static void attach(Model *m, Hooks *hooks, Form form)
{
    const Config *c = &m->config;
    int64_t rows = form == VECTOR_PLACE || form == GATE_PLACE ? c->positions : 1, *tokens = NEW(m->run, int64_t, 1);
    hook_observe(hooks, (Where){SITE_EMBED, LAYER_EMBED, PART_DECODER}, see_length, tokens);
    for (int l = 0; l < c->layers; l++) {
        Steer *s = NEW(m->run, Steer, 1);
        *s = (Steer){.tokens = tokens, .widen = tensor_zero(m->run, F32, SHAPE(c->dim, c->heads))};
        for (int64_t k = 0; k < c->dim; k++) tensor_set(s->widen, k * c->heads + k / (c->dim / c->heads), 1);
        s->vector = param_add(m->params, str_print(m->run, "peft.steer.%d.vector", l), (Init){INIT_ZERO, 0},
                              SHAPE(rows, c->dim));
        if (form == GATE || form == GATE_PLACE)
            s->gate = param_add(m->params, str_print(m->run, "peft.steer.%d.gate", l), (Init){INIT_ONE, 0},
                                SHAPE(rows, c->heads));
        hook_add(hooks, (Where){SITE_HEADS, l, PART_DECODER}, steer, s);
    }
    params_train(m->params, "peft.steer.*", true);
}

static Status tune(Run *r, SweepJob *j, void *out, void *user)
{
    (void)user;
    if (j->tag != PREFIX) attach(j->m, j->hooks, (Form)j->tag);
    return sweep_train(r, j, out);
}

/* ---- the question */

static int arm_at(const Question *q, int depth, int task, Form f)
{
    return (depth * q->targets.n + task) * FORMS + (int)f;
}

static void add_depth(Run *r, Question *q, int d, int layers)
{
    Arena *a = run_arena(r);
    LabModel *l = &q->model[d];
    *l = lab_composer(run_preset(r));
    l->layout.slots = 1;
    l->tasks = run_text(r, "tasks"), l->layers = layers, l->heads = (int)run_int(r, "heads");
    l->dim = (int)run_int(r, "dim"), l->steps = run_int(r, "pretrain-steps"), l->lr = run_real(r, "lr");
    l->test = run_int(r, "test");
    for (int t = 0; t < q->targets.n; t++)
        for (int f = 0; f < FORMS; f++) {
            LabArm arm = lab_arm("prefix");
            if (f == PREFIX)
                arm.options = str_print(a, "kind=free,init_sd=1,length=%lld", (long long)run_int(r, "length"));
            else
                arm.method = NULL, arm.lr = run_real(r, "vector-lr"), arm.decay = 0;
            arm.name = str_print(a, "%d %s, %s: %s", layers, str_plural(layers, "layer", "layers"),
                                 q->targets.task[t]->name, FORM[f]);
            arm.target = q->targets.task[t]->name, arm.steps = run_int(r, "steps");
            q->sweep.arm[q->sweep.arms++] = (SweepArm){arm, l, f};
        }
}

static Status ask(Run *r, Question *q)
{
    double depth[RUN_LIST];
    q->depths = run_list(r, "layers", depth);
    TRY(digits_mix(&q->targets, run_text(r, "targets")));
    if (q->depths > DEPTHS || q->targets.n > TASKS)
        return err_fail(E_CONFIG, "at most %d depths and %d targets", DEPTHS, TASKS);
    for (int d = 0; d < q->depths; d++) add_depth(r, q, d, (int)depth[d]);
    for (int d = 0; d < q->depths; d++) TRY(lab_check(&q->model[d]));
    q->sweep.rates = run_list(r, "rates", q->sweep.scale);
    return OK;
}

/* ---- the results */

/* Exact match in %, mean over the targets: (seeds). */
static double *exact(Run *r, const Question *q, const SweepBest *best, int depth, Form f)
{
    double *x = arena_zero(run_arena(r), sizeof(double) * (size_t)run_seeds(r));
    for (int t = 0; t < q->targets.n; t++)
        for (int s = 0; s < run_seeds(r); s++)
            x[s] += 100 * best[arm_at(q, depth, t, f)].result[s].score[0].exact / q->targets.n;
    return x;
}

static Status draw(Run *r, const Question *q, const SweepBest *best)
{
    Arena *a = run_arena(r);
    int seeds = run_seeds(r);
    const char *label[DEPTHS];
    Series bar[FORMS];
    for (int d = 0; d < q->depths; d++) label[d] = str_print(a, "%d", q->model[d].layers);
    for (int f = 0; f < FORMS; f++) {
        double *value = NEW(a, double, q->depths *seeds);
        for (int d = 0; d < q->depths; d++)
            memcpy(value + d * seeds, exact(r, q, best, d, (Form)f), sizeof(double) * (size_t)seeds);
        bar[f] = seeds_series(a, value, q->depths, seeds, FORM[f]);
    }
    Fig *f =
        run_figure(r, "forms",
                   str_print(a,
                             "Pretrained tasks called up by a prefix, and by vectors and gates that do not depend "
                             "on the input: exact match by number of layers, mean over the tasks %s; mean and "
                             "range of %d %s.",
                             run_text(r, "targets"), seeds, str_plural(seeds, "seed", "seeds")),
                   440, 220);
    fig_bars(f, fig_whole(f), FORMS, bar, label,
             (PlotStyle){.x = {.title = "layers"}, .y = {.title = "exact match (%)", .lo = 0, .hi = 100}});
    return fig_close(f);
}

static void tabulate(Run *r, const Question *q, const SweepBest *best)
{
    Arena *a = run_arena(r);
    int cols = 2 * q->depths + 1, seeds = run_seeds(r);
    const char **head = NEW(a, const char *, cols), **cell = NEW(a, const char *, cols *FORMS);
    head[0] = "form";
    for (int d = 0; d < q->depths; d++) {
        head[1 + 2 * d] =
            str_print(a, "%d %s, %%", q->model[d].layers, str_plural(q->model[d].layers, "layer", "layers"));
        head[2 + 2 * d] = "parameters";
    }
    for (int f = 0; f < FORMS; f++) {
        cell[f * cols] = FORM[f];
        for (int d = 0; d < q->depths; d++) {
            cell[f * cols + 1 + 2 * d] = seeds_text(a, exact(r, q, best, d, (Form)f), seeds);
            cell[f * cols + 2 + 2 * d] =
                str_print(a, "%lld", (long long)best[arm_at(q, d, 0, (Form)f)].result[0].params);
        }
    }
    run_table(r,
              str_print(a, "exact match, mean over the tasks %s; mean (range) of %d %s", run_text(r, "targets"),
                        seeds, str_plural(seeds, "seed", "seeds")),
              cols, head, FORMS, cell);
}

static void judge(Run *r, const Question *q, const SweepBest *best)
{
    Arena *a = run_arena(r);
    int seeds = run_seeds(r);
    double margin = run_real(r, "margin");
    for (int d = 0; d < q->depths; d++) {
        int layers = q->model[d].layers;
        const double *prefix = exact(r, q, best, d, PREFIX), *gate = exact(r, q, best, d, GATE_PLACE);
        const char *name = str_print(a, "%d %s: prefix less gate and vector by position (points)", layers,
                                     str_plural(layers, "layer", "layers"));
        double *gap = NEW(a, double, seeds);
        for (int s = 0; s < seeds; s++) {
            gap[s] = prefix[s] - gate[s];
            run_metric(r, RANGE_ANY, name, s, gap[s]);
        }
        run_gate(
            r,
            str_print(a, "%d %s: the prefix elicits (%% exact match)", layers, str_plural(layers, "layer", "layers")),
            (Claim){MORE_THAN, 50}, RANGE_PERCENT, prefix);
        run_claim(r, name, (Claim){layers > 1 ? MORE_THAN : WITHIN, margin}, RANGE_ANY, gap);
    }
}

static Status run(Run *r)
{
    Question *q = arena_zero(run_arena(r), sizeof *q);
    TRY(ask(r, q));
    TRY(lab_pretrain(r, q->model, q->depths));
    q->sweep.tune = tune, q->sweep.user = q;
    SweepBest best[SWEEP_ARMS];
    TRY(sweep_run(r, &q->sweep, best));
    sweep_record(r, &q->sweep, best);
    tabulate(r, q, best);
    TRY(draw(r, q, best));
    judge(r, q, best);
    Buf said = buf_open(run_arena(r));
    for (int d = 0; d < q->depths; d++)
        buf_print(&said, "%s%.1f, %.1f and %.1f with %d %s", d ? "; " : "",
                  seeds_mean(exact(r, q, best, d, PREFIX), run_seeds(r)),
                  seeds_mean(exact(r, q, best, d, GATE_PLACE), run_seeds(r)),
                  seeds_mean(exact(r, q, best, d, VECTOR_PLACE), run_seeds(r)), q->model[d].layers,
                  str_plural(q->model[d].layers, "layer", "layers"));
    run_note(r,
             "Not tested: coefficients that depend on the token, vectors elsewhere than behind the heads, and tasks "
             "that pretraining did not have.");
    run_conclude(
        r, "Exact match (%%) of a prefix, of gate and vector by position, and of vectors by position alone: %s.",
        said.text);
    return OK;
}

static const Setting SETTINGS[] = {
    {"tasks", "tasks of pretraining, mixed", {"asc,desc,add1,add2"}, 0, 0, NULL},
    {"targets", "tasks to call up, up to four", {"desc", "desc,add1", "asc,desc,add1,add2"}, 0, 0, NULL},
    {"layers", "numbers of layers, up to four", {"1,", "1,2", "1,2,4"}, 1, 16},
    {"heads", "heads", {"4"}, 1, 64},
    {"length", "free virtual tokens in each layer", {"2", "4", "10"}, 1, 512},
    {"rates", "factors of each learning rate", {"1,", NULL, "0.1,0.3,1,3"}, 1e-6, 1e6},
    {"vector-lr", "learning rate of vectors and gates", {"1e-2"}, 1e-7, 1},
    {"steps", "steps of tuning", {"10", "1000", "20000"}, 1, 1e7},
    {"pretrain-steps", "steps of pretraining", {"30", "2400", "20000"}, 1, 1e7},
    {"lr", "learning rate of pretraining", {"2e-3", "1.5e-3", "5e-4"}, 1e-7, 1},
    {"dim", "hidden size", {"16", "64", "128"}, 8, 4096},
    {"test", "held-out inputs scored", {"50", "400", "3200"}, 1, 1e6},
    {"margin", "points of exact match within which both count as equal", {"10.0"}, 0.1, 100},
    {0}};

static const Experiment FROZEN_GATE = {
    .group = "toy",
    .name = "frozen-gate",
    .title = "Is a prefix more than a steering vector with a fixed weight?",
    .claim =
        "In one layer, a vector and a gate that do not depend on the input elicit a pretrained task as well as a "
        "prefix; with more layers they do not.",
    .method = "Free prefixes against trained vectors and gates behind every head, by position or not, on models "
              "pretrained on four tasks.",
    .expect = "A difference in exact match within 10 points with one layer, and of more than 10 points with two.",
    .cost = "smoke seconds, quick five minutes, paper three hours",
    .source = "after He et al. (ICLR 2022), section 3.1; Turner et al. (2023)",
    .settings = SETTINGS,
    .seeds = {1, 3, 5},
    .run = run};
REGISTER(experiment, FROZEN_GATE)
