/* toy/length: does a longer prefix do more, and can it do harm when its norm is capped?
 *
 * Claim    With free norms a longer prefix never does worse.  With every coordinate of its keys and values capped,
 *          accuracy stops rising with length, for two reasons that pull against each other: n virtual tokens are
 *          needed to take enough mass (alpha <= n e^B / (Z + n e^B) for scores below B), and n virtual tokens take at
 *          least some (alpha >= n e^-B / (Z + n e^-B)) whether that helps or not.
 * Method   E1's sorter, descending as target; free prefixes of 1 to 64 virtual tokens, uncapped and under two caps,
 *          learning rates swept.  A capped key or value is c x rms x tanh(theta), where rms is the root mean square
 *          coordinate of the content's own keys or values: the cap holds at every step.  Also measured: how many
 *          virtual tokens are used (exp of the entropy of their shares) and the mass on them.
 * Expect   Uncapped: loss falls with length, by less and less.  Capped: a least loss at some length, or a plateau.
 * Cost     seconds; two minutes; hours.
 * Source   Petrov, Torr and Bibi (ICLR 2024), section 5, find that prefixes of ten virtual tokens use fewer.
 *
 * What it does not show: the best prefix of a length.  Longer ones may simply train more slowly or faster. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "lab/probs.h"
#include "lab/sweep.h"
#include "measure/observe.h"

enum { CAPS = 8, LENGTHS = 16, LOOK = 64 };

typedef struct {
    LabResult result;
    double used, mass; /* virtual tokens; attention on them */
} Outcome;

typedef struct {
    LabModel model;
    double cap[RUN_LIST], length[RUN_LIST]; /* cap 0: none */
    int caps, lengths;
    Sweep sweep;
} Question;

static int arm_at(const Question *q, int cap, int length)
{
    return cap * q->lengths + length;
}

static const char *cap_name(Run *r, const Question *q, int cap)
{
    return q->cap[cap] > 0 ? str_print(run_arena(r), "cap %g", q->cap[cap]) : "no cap";
}

static Status ask(Run *r, Question *q)
{
    LabModel *l = &q->model;
    *l = lab_sorter(run_preset(r));
    l->dim = (int)run_int(r, "dim"), l->steps = run_int(r, "pretrain-steps"), l->lr = run_real(r, "lr");
    l->test = run_int(r, "test");
    q->caps = run_list(r, "caps", q->cap), q->lengths = run_list(r, "lengths", q->length);
    if (q->caps > CAPS || q->lengths > LENGTHS || q->caps * q->lengths > SWEEP_ARMS)
        return err_fail(E_CONFIG, "at most %d caps, %d lengths, %d of both together", CAPS, LENGTHS, SWEEP_ARMS);
    for (int c = 0; c < q->caps; c++)
        for (int n = 0; n < q->lengths; n++) {
            /* The name is part of the arm's seed: recorded results depend on it. */
            const char *name =
                str_print(run_arena(r), "%g slots, %s", q->length[n], cap_name(r, q, c)); /* words: ok */
            LabArm arm = {.name = name, .target = "desc", .lr = 5e-2, .steps = run_int(r, "steps")};
            q->sweep.arm[q->sweep.arms++] = (SweepArm){arm, l, c * LENGTHS + n};
        }
    q->sweep.rates = run_list(r, "rates", q->sweep.scale);
    return OK;
}

/* ---- capped virtual tokens */

typedef struct {
    Param *row;
    double scale; /* 0: uncapped */
} Capped;

static Var *prepend(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    const Capped *c = user;
    Tape *t = p->tape;
    Var *rows = tape_param(t, c->row);
    if (c->scale > 0) rows = op_scale(t, op_act(t, ACT_TANH, rows), c->scale);
    return op_prepend(t, rows, out, 0);
}

static double rms(Tensor x)
{
    double sum = 0;
    for (int64_t i = 0; i < tensor_count(x); i++) sum += tensor_get(x, i) * tensor_get(x, i);
    return sqrt(sum / (double)tensor_count(x));
}

/* Root mean square coordinate of the content's keys or values on some inputs. */
static double content_rms(Arena *run, Model *m, const LabModel *l, Site site)
{
    DigitMix asc = {{digit_task("asc")}, 1};
    Batch b = digits_batch(run, &asc, l->layout, LOOK, rng_stream(1, "look"), 0, true);
    return rms(observe_one(run, m, NULL, &b, (Where){site, 0, PART_DECODER}));
}

static Status tune(Run *r, SweepJob *j, void *out, void *user)
{
    const Question *q = user;
    Outcome *o = out;
    Model *m = j->m;
    static const Site SITE[] = {SITE_KEYS, SITE_VALUES};
    double cap = q->cap[j->tag / LENGTHS];
    int64_t n = (int64_t)q->length[j->tag % LENGTHS];
    params_train(m->params, "*", false);
    for (int i = 0; i < 2; i++) {
        Capped *c = NEW(m->run, Capped, 1);
        c->row = param_add(m->params, i ? "peft.capped.values" : "peft.capped.keys", (Init){INIT_NORMAL, 1},
                           SHAPE(n, m->config.dim));
        c->scale = cap * content_rms(m->run, m, j->model, SITE[i]);
        hook_add(j->hooks, (Where){SITE[i], 0, PART_DECODER}, prepend, c);
    }
    params_train(m->params, "peft.*", true);
    TRY(sweep_train(r, j, &o->result));

    DigitMix desc = {{digit_task("desc")}, 1};
    Batch b = digits_batch(j->run, &desc, j->model->layout, LOOK, rng_stream(1, "look"), 0, true);
    Tensor probs = probs_of(j->run, m, j->hooks, &b, 0);
    DigitLayout none = j->model->layout;
    none.slots = 0, none.gap += j->model->layout.slots; /* the same rows, and only virtual keys as virtual tokens */
    o->used = probs_slots_used(probs, none);
    double mass[LENGTH];
    probs_mass(mass, probs, none);
    for (int i = 0; i < LENGTH; i++) o->mass += mass[i] / LENGTH;
    return OK;
}

/* ---- figures */

static Series with_x(Run *r, const Question *q, Series s)
{
    s.x = tensor_new(run_arena(r), F64, SHAPE(q->lengths));
    for (int n = 0; n < q->lengths; n++) tensor_set(s.x, n, q->length[n]);
    s.marked = true;
    return s;
}

static const Outcome *seen(const SweepBest *b, int seed)
{
    return (const Outcome *)b->outcome + seed;
}

static Series seen_over(Run *r, const Question *q, const SweepBest *best, int cap, bool mass)
{
    Series s = {.y = tensor_zero(run_arena(r), F64, SHAPE(q->lengths)), .label = cap_name(r, q, cap)};
    for (int n = 0; n < q->lengths; n++)
        for (int i = 0; i < run_seeds(r); i++) {
            const Outcome *o = seen(&best[arm_at(q, cap, n)], i);
            tensor_set(s.y, n, tensor_get(s.y, n) + (mass ? o->mass : o->used) / run_seeds(r));
        }
    return with_x(r, q, s);
}

static Status draw(Run *r, const Question *q, const SweepBest *best)
{
    DigitFloors floor = digits_floors(digit_task("desc"), 50000, 1);
    RefLine ref[] = {{floor.position, "ignoring the input", false}, {floor.previous, "last output only", false}};
    Series loss[CAPS], token[CAPS], used[CAPS], mass[CAPS];
    for (int c = 0; c < q->caps; c++) {
        const SweepBest *b = &best[arm_at(q, c, 0)];
        loss[c] =
            with_x(r, q, sweep_series(run_arena(r), b, q->lengths, run_seeds(r), SWEEP_LOSS, cap_name(r, q, c)));
        token[c] =
            with_x(r, q, sweep_series(run_arena(r), b, q->lengths, run_seeds(r), SWEEP_TOKEN, cap_name(r, q, c)));
        used[c] = seen_over(r, q, best, c, false), mass[c] = seen_over(r, q, best, c, true);
    }
    Fig *f = run_figure(
        r, "length",
        str_print(run_arena(r),
                  "Descending from an ascending sorter, by virtual tokens and cap (in units of the content's "
                  "root mean square coordinate), best of %d learning rates, mean and range of %d %s: late "
                  "loss, token accuracy, virtual tokens used (exp of the entropy of their shares), mass on them.",
                  q->sweep.rates, run_seeds(r), str_plural(run_seeds(r), "seed", "seeds")),
        500, 360);
    Axis x = {.title = "slots", .log = true};
    fig_lines(
        f, fig_cell(f, 2, 2, 0), q->caps, loss,
        (PlotStyle){.letter = "a", .x = x, .y = {.title = "late loss (nats)", .log = true}, .ref = ref, .refs = 2});
    fig_lines(f, fig_cell(f, 2, 2, 1), q->caps, token,
              (PlotStyle){.letter = "b", .x = x, .y = {.title = "token accuracy (%)", .lo = 0, .hi = 100}});
    fig_lines(f, fig_cell(f, 2, 2, 2), q->caps, used,
              (PlotStyle){.letter = "c", .x = x, .y = {.title = "virtual tokens used", .log = true}});
    fig_lines(f, fig_cell(f, 2, 2, 3), q->caps, mass,
              (PlotStyle){.letter = "d", .x = x, .y = {.title = "mass on the virtual tokens", .lo = 0, .hi = 1}});
    return fig_close(f);
}

/* How far the loss rises again behind its least value along the lengths: 0 where it only falls. */
static double comeback(const Question *q, const SweepBest *best, int cap, int seeds, int *least)
{
    *least = 0;
    for (int n = 1; n < q->lengths; n++)
        if (sweep_loss(&best[arm_at(q, cap, n)], seeds) < sweep_loss(&best[arm_at(q, cap, *least)], seeds))
            *least = n;
    double bottom = sweep_loss(&best[arm_at(q, cap, *least)], seeds), most = 0;
    for (int n = *least; n < q->lengths; n++) most = fmax(most, sweep_loss(&best[arm_at(q, cap, n)], seeds) - bottom);
    return most;
}

/* Capped values saturate where the longest prefix gains less than the tolerance over the one before; free ones do not
 * rise again above their least loss. */
static void judge(Run *r, const Question *q, const SweepBest *best, int cap, int least, double floor)
{
    Arena *a = run_arena(r);
    int seeds = run_seeds(r), n = q->lengths - 1;
    double tolerance = run_real(r, "tolerance");
    const char *name = cap_name(r, q, cap);
    const double *last = sweep_values(a, &best[arm_at(q, cap, n)], seeds, SWEEP_LOSS);
    if (n < 1) return;
    if (q->cap[cap] > 0) {
        const double *before = sweep_values(a, &best[arm_at(q, cap, n - 1)], seeds, SWEEP_LOSS);
        run_claim(r,
                  str_print(a, "%s: loss with %g virtual tokens less that with %g (nats)", name, q->length[n],
                            q->length[n - 1]),
                  (Claim){MORE_THAN, -tolerance}, RANGE_ANY, seeds_less(a, last, before, seeds));
        return;
    }
    const double *bottom = sweep_values(a, &best[arm_at(q, cap, least)], seeds, SWEEP_LOSS);
    run_gate(r, str_print(a, "%s: least loss, against that of ignoring the input (nats)", name),
             (Claim){LESS_THAN, floor}, RANGE_POSITIVE, bottom);
    if (least < n)
        run_claim(r, str_print(a, "%s: loss with %g virtual tokens less the least (nats)", name, q->length[n]),
                  (Claim){LESS_THAN, tolerance}, RANGE_ANY, seeds_less(a, last, bottom, seeds));
}

static Status run(Run *r)
{
    Question q = {0};
    TRY(ask(r, &q));
    TRY(lab_pretrain(r, &q.model, 1));
    q.sweep.tune = tune, q.sweep.size = sizeof(Outcome), q.sweep.user = &q;
    SweepBest best[SWEEP_ARMS];
    TRY(sweep_run(r, &q.sweep, best));
    sweep_record(r, &q.sweep, best);
    int seeds = run_seeds(r);
    for (int k = 0; k < q.sweep.arms; k++)
        for (int i = 0; i < seeds; i++) {
            run_metric(r, RANGE_POSITIVE, str_print(run_arena(r), "%s: virtual tokens used", q.sweep.arm[k].arm.name),
                       i, seen(&best[k], i)->used);
            run_metric(r, RANGE_SHARE, str_print(run_arena(r), "%s: mass", q.sweep.arm[k].arm.name), i,
                       seen(&best[k], i)->mass);
        }
    TRY(draw(r, &q, best));
    Buf said = buf_open(run_arena(r));
    double tolerance = run_real(r, "tolerance");
    DigitFloors floor = digits_floors(digit_task("desc"), 50000, 1);
    int longest = q.lengths - 1;
    for (int c = 0; c < q.caps; c++) {
        int least;
        comeback(&q, best, c, seeds, &least);
        judge(r, &q, best, c, least, floor.position);
        buf_print(&said, "%s%s %.2f with %g, least %.2f with %g, %.2f with %g", c ? "; " : "", cap_name(r, &q, c),
                  sweep_loss(&best[arm_at(&q, c, 0)], seeds), q.length[0],
                  sweep_loss(&best[arm_at(&q, c, least)], seeds), q.length[least],
                  sweep_loss(&best[arm_at(&q, c, q.lengths - 1)], seeds), q.length[q.lengths - 1]);
    }
    run_note(r, "The greatest number of virtual tokens is %g; %g nats count as no difference.", q.length[longest],
             tolerance);
    run_conclude(r, "Late loss on descending by number of virtual tokens (mean of %d %s): %s.", seeds,
                 str_plural(seeds, "seed", "seeds"), said.text);
    return OK;
}

static const Setting SETTINGS[] = {
    {"lengths", "slots", {"1,8", "1,2,4,8,16,32,64", "1,2,4,8,16,32,64"}, 1, 1024},
    {"caps", "caps of a coordinate, times the content's; 0: none", {"0,1", "0,0.5,2", "0,0.25,0.5,1,2"}, 0, 1000},
    {"rates", "factors of the usual learning rate, 5e-2", {"1,", "1,3,9", "0.05,0.2,0.5,1,2,5"}, 1e-6, 1e6},
    {"steps", "steps of tuning", {"10", "600", "10000"}, 1, 1e7},
    {"tolerance", "rise of the loss that counts (nats)", {"0.03"}, 0, 10},
    {"pretrain-steps", "steps of ascending pretraining", {"40", "2000", "20000"}, 1, 1e7},
    {"lr", "learning rate of pretraining", {"2e-3", "1.5e-3", "5e-4"}, 1e-7, 1},
    {"dim", "hidden size", {"32", "48", "96"}, 8, 4096},
    {"test", "held-out inputs scored", {"50", "400", "3200"}, 1, 1e6},
    {0}};

static const Experiment LENGTHS_OF_PREFIX = {
    .group = "toy",
    .name = "length",
    .title = "Longer prefixes: saturation, and harm under a norm cap",
    .claim =
        "With free norms a longer prefix never does worse; with capped keys and values the loss has its least value "
        "at a length in between.",
    .method =
        "Free prefixes of 1 to 64 virtual tokens on the ascending sorter, descending as target, uncapped and with "
        "coordinates bounded through tanh, learning rates swept; virtual tokens used and mass on them.",
    .expect =
        "Uncapped loss falls with length and does not rise again; capped loss rises again, or the longest prefix "
        "is not the best.",
    .cost = "smoke seconds, quick two minutes, paper hours",
    .source = "after Petrov, Torr, Bibi (ICLR 2024), section 5",
    .settings = SETTINGS,
    .seeds = {1, 3, 3},
    .run = run};
REGISTER(experiment, LENGTHS_OF_PREFIX)
