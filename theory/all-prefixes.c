/* theory/all-prefixes: a bound for every prefix of every length, on a model of one layer.
 *
 * Claim    In one layer a prefix of any length, keys and values tied or free, acts through a table: for each (token,
 *          position) of the query a mass a > 0 and a mean value g.  The best table therefore bounds every prefix.
 * Method   The query of row i is q = W_Q LN(w[token] + p[position]), a function of (token, position) alone.  With
 *              a(q) = sum_p exp(q k_p)     g(q) = sum_p exp(q k_p) v_p / a(q)     Z = sum over content of exp(q k_j)
 *          the head's output is (Z t + a g) / (Z + a), whatever the number of virtual tokens.  First the identity:
 *          strong random prefixes are read into a table and the logits of both compared.  Then the bound: on the
 *          ascending sorter, tables (several starts) and free prefixes are trained alike to sort descending, each at
 *          several rates.
 * Expect   Logits agree to rounding.  No trained prefix ends clearly below the table. The difference between them is
 *          the most that a longer prefix could still gain. LoRA of rank 1 everywhere, with a tenth of the parameters,
 *          is not in the class. It shows whether the task itself is within reach of these steps.
 * Cost     a second; under two minutes; half an hour.
 * Source   The decomposition extends Petrov, Torr and Bibi (ICLR 2024), section 4, to all lengths at once.
 *
 * The table owns the reserved filler token, so that token is out of the content sums. A prefix beside it is still in
 * the class, because filler and prefix together are one (a, g).
 *
 * Not shown: the optimum of the class.  Training estimates it from above, so it is no certificate; and
 * some tables are prefixes only in the limit of many virtual tokens, or of none. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "lab/probs.h"
#include "lab/sweep.h"
#include "lab/table.h"

enum { LOOK = 64 };
typedef enum { TABLE, PREFIX, OTHER } Kind;

typedef struct {
    LabResult result;
    double mass[LENGTH]; /* mean a / (Z + a) by output position */
} Outcome;

typedef struct {
    LabModel model;
    Sweep sweep;
    double start_sd[RUN_LIST], length[RUN_LIST];
    int starts, lengths;
} Question;

static void add_arm(Question *q, LabArm arm, Kind kind)
{
    q->sweep.arm[q->sweep.arms++] = (SweepArm){arm, &q->model, (int)kind};
}

static Status ask(Run *r, Question *q)
{
    Arena *a = run_arena(r);
    LabModel *l = &q->model;
    *l = lab_sorter(run_preset(r));
    l->dim = (int)run_int(r, "dim"), l->steps = run_int(r, "pretrain-steps"), l->lr = run_real(r, "lr");
    l->test = run_int(r, "test");
    q->starts = run_list(r, "starts", q->start_sd), q->lengths = run_list(r, "lengths", q->length);
    if (q->starts + q->lengths + 1 > SWEEP_ARMS)
        return err_fail(E_CONFIG, "starts and lengths: at most %d together", SWEEP_ARMS - 1);
    int64_t steps = run_int(r, "steps");
    for (int i = 0; i < q->starts; i++)
        add_arm(
            q,
            (LabArm){.name = str_print(a, "table %g", q->start_sd[i]), .target = "desc", .lr = 2e-2, .steps = steps},
            TABLE);
    for (int i = 0; i < q->lengths; i++) {
        LabArm arm = lab_arm("prefix");
        arm.name = str_print(a, "prefix %g", q->length[i]);
        arm.options = str_print(a, "kind=free,length=%g,init_sd=1", q->length[i]);
        arm.target = "desc", arm.steps = steps;
        add_arm(q, arm, PREFIX);
    }
    LabArm lora = lab_arm("lora");
    lora.name = "LoRA 1", lora.options = "rank=1,alpha=1,target=*", lora.target = "desc", lora.steps = steps;
    add_arm(q, lora, OTHER);
    q->sweep.rates = run_list(r, "rates", q->sweep.scale);
    return OK;
}

static Batch look_at(Arena *a, const LabModel *l)
{
    DigitMix desc = {{digit_task("desc")}, 1};
    return digits_batch(a, &desc, l->layout, LOOK, rng_stream(1, "look"), 0, true);
}

static Status tune(Run *r, SweepJob *j, void *out, void *user)
{
    const Question *q = user;
    Outcome *o = out;
    PrefixTable *table;
    if (j->tag == TABLE)
        TRY(table_attach(&table, j->m, j->hooks, j->model->layout, q->start_sd[j->index],
                         rng_mix(j->seed, (uint64_t)j->index)));
    TRY(sweep_train(r, j, &o->result));
    Batch b = look_at(j->run, j->model);
    if (j->tag == PREFIX) probs_mass(o->mass, probs_of(j->run, j->m, j->hooks, &b, 0), j->model->layout);
    if (j->tag != TABLE) return OK;
    model_loss(j->m, &(Pass){.tape = tape_open(j->run, false), .hooks = j->hooks}, &b);
    Tensor alpha = table_alpha(table);
    for (int64_t i = 0; i < LOOK * LENGTH; i++) o->mass[i % LENGTH] += tensor_get(alpha, i) / LOOK;
    return OK;
}

static const Outcome *seen(const SweepBest *b, int seed)
{
    return (const Outcome *)b->outcome + seed;
}

/* ---- the identity */

/* Largest difference of logits between a random prefix and the table read off it, over the largest logit. */
static Status one_identity(double *gap, Run *r, const Question *q, const char *options, uint64_t seed)
{
    Arena run = arena_open(0);
    Model *m, *copy;
    Hooks *hooks = hooks_new(&run), *tabled = hooks_new(&run);
    PrefixTable *table;
    TRY(lab_open(&m, &run, r, &q->model, seed));
    TRY(lab_open(&copy, &run, r, &q->model, seed));
    LabArm arm = lab_arm("prefix");
    arm.options = options;
    TRY(lab_attach(m, hooks, &q->model, &arm));
    TRY(table_attach(&table, copy, tabled, q->model.layout, 0, 0));
    TRY(table_from_prefix(table, m, hooks));
    Batch b = look_at(&run, &q->model);
    Tensor x = model_logits(m, &(Pass){.tape = tape_open(&run, false), .hooks = hooks}, &b)->val;
    Tensor y = model_logits(copy, &(Pass){.tape = tape_open(&run, false), .hooks = tabled}, &b)->val;
    double size = 1, worst = 0;
    for (int64_t i = 0; i < tensor_count(x); i++) {
        worst = fmax(worst, fabs(tensor_get(x, i) - tensor_get(y, i)));
        size = fmax(size, fabs(tensor_get(x, i)));
    }
    *gap = worst / size;
    arena_close(&run);
    return OK;
}

static Status identity(double *worst, Run *r, const Question *q)
{
    static const struct {
        const char *name, *options;
    } WAY[] = {{"1 tied virtual token in place of the filler", "kind=tied,length=1,init_sd=3"},
               {"4 tied virtual tokens beside it", "kind=tied,length=4,init_sd=3"},
               {"10 free virtual tokens", "kind=free,length=10,init_sd=1"},
               {"100 free virtual tokens", "kind=free,length=100,init_sd=2"}};
    *worst = 0;
    for (size_t w = 0; w < sizeof WAY / sizeof *WAY; w++)
        for (int i = 0; i < run_seeds(r); i++) {
            double gap = 0;
            TRY(one_identity(&gap, r, q, WAY[w].options, run_seed(r, i)));
            run_metric(
                r, RANGE_EXTREME,
                str_print(run_arena(r), "table against prefix, %s: relative difference of logits", WAY[w].name), i,
                gap);
            *worst = fmax(*worst, gap);
        }
    return OK;
}

/* ---- figures */

static Status draw_losses(Run *r, const Question *q, const SweepBest *best)
{
    const char *label[SWEEP_ARMS];
    for (int k = 0; k < q->sweep.arms; k++) label[k] = q->sweep.arm[k].arm.name;
    DigitFloors floor = digits_floors(digit_task("desc"), 50000, 1);
    RefLine ref[] = {{floor.position, "ignoring the input", false}, {floor.previous, "last output only", false}};
    Series loss = sweep_series(run_arena(r), best, q->sweep.arms, run_seeds(r), SWEEP_LOSS, NULL),
           exact = sweep_series(run_arena(r), best, q->sweep.arms, run_seeds(r), SWEEP_EXACT, NULL);
    Fig *f = run_figure(
        r, "losses",
        str_print(run_arena(r),
                  "Descending from an ascending sorter: tables by the standard deviation of their start, free "
                  "prefixes by length, LoRA of rank 1 on every linear layer. Left: loss of the last tenth of "
                  "the steps; right: greedy exact match. Best learning rate of %d, mean and range of %d %s.",
                  q->sweep.rates, run_seeds(r), str_plural(run_seeds(r), "seed", "seeds")),
        500, 190);
    fig_bars(f, fig_cell(f, 1, 2, 0), 1, &loss, label,
             (PlotStyle){.letter = "a", .y = {.title = "late loss (nats per token)"}, .ref = ref, .refs = 2});
    fig_bars(f, fig_cell(f, 1, 2, 1), 1, &exact, label,
             (PlotStyle){.letter = "b", .y = {.title = "exact match (%)", .lo = 0, .hi = 100}});
    return fig_close(f);
}

static Series by_place(Run *r, const SweepBest *b, const char *label, bool mass)
{
    Arena *a = run_arena(r);
    Series s = {.x = tensor_new(a, F64, SHAPE(LENGTH)),
                .y = tensor_zero(a, F64, SHAPE(LENGTH)),
                .label = label,
                .marked = true};
    for (int i = 0; i < LENGTH; i++) {
        double sum = 0;
        for (int k = 0; k < run_seeds(r); k++)
            sum += (mass ? seen(b, k)->mass[i] : 100 * b->result[k].score[0].place[i]) / run_seeds(r);
        tensor_set(s.x, i, i + 1), tensor_set(s.y, i, sum);
    }
    return s;
}

static Status draw_places(Run *r, const Question *q, const SweepBest *best, int table)
{
    Series mass[SWEEP_ARMS], right[SWEEP_ARMS];
    int n = 0;
    for (int k = table; k < q->sweep.arms; k = k == table ? q->starts : k + 1) {
        if (q->sweep.arm[k].tag == OTHER) continue;
        const char *label = k == table ? "table" : q->sweep.arm[k].arm.name;
        mass[n] = by_place(r, &best[k], label, true);
        right[n++] = by_place(r, &best[k], label, false);
    }
    Fig *f =
        run_figure(r, "places",
                   str_print(run_arena(r),
                             "By output position, mean of %d %s: the share of attention a / (Z + a) that goes to the "
                             "prefix or the table (with the filler token), and the accuracy of greedy tokens.",
                             run_seeds(r), str_plural(run_seeds(r), "seed", "seeds")),
                   500, 190);
    fig_lines(f, fig_cell(f, 1, 2, 0), n, mass,
              (PlotStyle){.letter = "a",
                          .x = {.title = "output position"},
                          .y = {.title = "mass a / (Z + a)", .lo = 0, .hi = 1}});
    fig_lines(f, fig_cell(f, 1, 2, 1), n, right,
              (PlotStyle){.letter = "b",
                          .x = {.title = "output position"},
                          .y = {.title = "token accuracy (%)", .lo = 0, .hi = 100}});
    return fig_close(f);
}

static int least_loss(const SweepBest *best, int from, int to, int seeds)
{
    int least = from;
    for (int k = from + 1; k < to; k++)
        if (sweep_loss(&best[k], seeds) < sweep_loss(&best[least], seeds)) least = k;
    return least;
}

static Status run(Run *r)
{
    Question q = {0};
    TRY(ask(r, &q));
    TRY(lab_pretrain(r, &q.model, 1));
    double gap = 0;
    TRY(identity(&gap, r, &q));
    q.sweep.tune = tune, q.sweep.size = sizeof(Outcome), q.sweep.user = &q;
    SweepBest best[SWEEP_ARMS];
    TRY(sweep_run(r, &q.sweep, best));
    int seeds = run_seeds(r), prefixes = q.starts + q.lengths, table = least_loss(best, 0, q.starts, seeds),
        prefix = least_loss(best, q.starts, prefixes, seeds);
    sweep_record(r, &q.sweep, best);
    for (int p = 0; p < LENGTH; p++)
        for (int i = 0; i < seeds; i++) {
            run_metric(r, RANGE_SHARE, str_print(run_arena(r), "table: mass at output %d", p + 1), i,
                       seen(&best[table], i)->mass[p]);
            run_metric(r, RANGE_PERCENT, str_print(run_arena(r), "table: token accuracy at output %d (%%)", p + 1), i,
                       100 * best[table].result[i].score[0].place[p]);
        }
    TRY(draw_losses(r, &q, best));
    TRY(draw_places(r, &q, best, table));
    double t = sweep_loss(&best[table], seeds), p = sweep_loss(&best[prefix], seeds),
           lora = sweep_loss(&best[prefixes], seeds);
    run_note(
        r,
        "The optimum of the class is estimated by training, from above: with more steps the table's loss may "
        "still fall. Each trained prefix is in the class, so the estimate is the least of them all; tables ended "
        "%.3f nats %s the best prefix, and %.2g count as equal.",
        fabs(t - p), t <= p ? "below" : "above", run_real(r, "tolerance"));
    Arena *a = run_arena(r);
    double floor = digits_floors(digit_task("desc"), 50000, 1).position;
    run_gate(r, "loss of the best table, against that of ignoring the input (nats)", (Claim){LESS_THAN, floor},
             RANGE_POSITIVE, sweep_values(a, &best[table], seeds, SWEEP_LOSS));
    run_exact(r, "a prefix and the table read off it give the same logits, to 1e-4", gap <= 1e-4);
    run_claim(r, "loss of the best table less that of the best trained prefix (nats)",
              (Claim){LESS_THAN, run_real(r, "tolerance")}, RANGE_ANY,
              seeds_less(a, sweep_values(a, &best[table], seeds, SWEEP_LOSS),
                         sweep_values(a, &best[prefix], seeds, SWEEP_LOSS), seeds));
    run_conclude(
        r,
        "Prefixes of 1 to 100 virtual tokens and the tables read off them give the same logits to %.1e. Late loss on "
        "descending (mean of %d %s): best table %.3f (exact match %.1f %%), best trained prefix %.3f "
        "(\"%s\", %.1f %%), LoRA of rank 1 everywhere %.3f (%.1f %%).",
        gap, seeds, str_plural(seeds, "seed", "seeds"), t, sweep_exact(&best[table], seeds), p,
        q.sweep.arm[prefix].arm.name, sweep_exact(&best[prefix], seeds), lora, sweep_exact(&best[prefixes], seeds));
    return OK;
}

static const Setting SETTINGS[] = {
    {"starts",
     "standard deviation of the tables' starts; 0 is the pretrained model",
     {"0,", "0,0.3,1", "0,0.1,0.3,1,2"},
     0,
     100},
    {"lengths", "virtual tokens of the trained free prefixes", {"1,4", "1,10,50", "1,10,50,200"}, 1, 4096},
    {"rates", "factors of each method's usual learning rate", {"1,", "1,3,9", "0.1,0.3,1,3,9"}, 1e-6, 1e6},
    {"steps", "steps of tuning", {"20", "1200", "24000"}, 1, 1e7},
    {"tolerance", "a table this far above the best prefix counts as trained to the end (nats)", {"0.02"}, 0, 10},
    {"pretrain-steps", "steps of ascending pretraining", {"60", "2000", "20000"}, 1, 1e7},
    {"lr", "learning rate of pretraining", {"2e-3", "1.5e-3", "5e-4"}, 1e-7, 1},
    {"dim", "hidden size", {"32", "64", "96"}, 8, 4096},
    {"test", "held-out inputs scored", {"50", "800", "3200"}, 1, 1e6},
    {0}};

static const Experiment ALL_PREFIXES = {
    .group = "theory",
    .name = "all-prefixes",
    .title = "A table that contains every prefix of every length",
    .claim =
        "On a one-layer model every prefix of every length is a table of a mass and a value per (token, position), "
        "and a "
        "trained table has no greater loss than trained prefixes. Its loss is an estimate of the bound, from above.",
    .method =
        "Strong random prefixes are read into tables and logits compared; tables from several starts and free "
        "prefixes of several lengths are trained to sort descending from an ascending sorter, learning rates swept.",
    .expect = "Equal logits to rounding; no prefix clearly below the table's loss.",
    .cost = "smoke a second, quick under two minutes, paper half an hour",
    .source = "after Petrov, Torr, Bibi (ICLR 2024), section 4",
    .settings = SETTINGS,
    .seeds = {1, 3, 3},
    .run = run};
REGISTER(experiment, ALL_PREFIXES)
