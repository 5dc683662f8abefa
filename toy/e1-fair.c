/* toy/e1-fair: is it prefixes that cannot reverse a sorter, or one virtual token bounded by LayerNorm, at one
 * learning rate?
 *
 * Claim    The zero of E1 belongs to one virtual token that passes through LayerNorm: at every learning rate it stays
 *          above the loss of ignoring the input. Free keys and values in many virtual tokens fall below that
 *          baseline, so a prefix does use content through an unchanged attention pattern; but no prefix that training
 *          found solves the task.
 * Method   E1's ascending sorter, descending as target.  Six parameterisations - a vector through LayerNorm and
 *          projections (E1's), past LayerNorm, free keys and values, keys and values from an MLP, word vectors at
 *          reserved positions (soft prompt) - times lengths times learning rates. The learning rate with the least
 *          late loss represents its method.  The table that contains every prefix of every length
 *          (theory/all-prefixes) and LoRA of rank 1 on all linear layers are trained alike for reference.
 * Expect   Tied virtual token above 1.37 nats, free virtual tokens below it; no prefix below the table.
 * Cost     seconds; under two minutes; an hour or two.
 * Source   Petrov, Torr and Bibi (ICLR 2024), section 5, experiment 1, tests the first parameterisation at one
 *          learning rate.
 *
 * What it does not show: limits.  Every number is the result of these steps; the table is an estimate too. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "lab/sweep.h"
#include "lab/table.h"

typedef enum { TIED, BARE, FREE, MLP, PROMPT, KINDS, TABLE = KINDS, OTHER } Kind;
static const char *const KIND_NAME[KINDS] = {"tied", "no norm", "free", "mlp", "prompt"};

typedef struct {
    LabModel model[RUN_LIST]; /* E1's, and for longer prompts one with as many reserved positions */
    int models, lengths;
    double length[RUN_LIST];
    double length_of[SWEEP_ARMS];
    Sweep sweep;
    int64_t steps;
} Question;

static Status add_arm(Question *q, LabArm arm, const LabModel *model, Kind kind, double length)
{
    if (q->sweep.arms == SWEEP_ARMS) return err_fail(E_CONFIG, "more than %d methods", SWEEP_ARMS);
    arm.target = arm.target ? arm.target : "desc";
    arm.steps = kind == OTHER && !arm.method ? 0 : q->steps;
    q->length_of[q->sweep.arms] = length;
    q->sweep.arm[q->sweep.arms++] = (SweepArm){arm, model, (int)kind};
    return OK;
}

/* The learning rates are absolute: every method's usual learning rate is 1. */
static Status add_prefix(Question *q, Run *r, Kind kind, double length)
{
    static const char *const OPTIONS[KINDS] = {"kind=tied", "kind=tied,no_norm=yes", "kind=free", "kind=mlp,width=32",
                                               ""};
    Arena *a = run_arena(r);
    const LabModel *model = &q->model[0];
    if (kind == PROMPT && length > 1) {
        q->model[q->models] = q->model[0];
        q->model[q->models].layout.slots = (int64_t)length;
        model = &q->model[q->models++];
    }
    return add_arm(q,
                   (LabArm){.name = str_print(a, "%s %g", KIND_NAME[kind], length),
                            .method = kind == PROMPT ? NULL : "prefix",
                            .options = str_print(a, "%s,length=%g,init_sd=1", OPTIONS[kind], length),
                            .lr = 1,
                            .decay = 0.01},
                   model, kind, length);
}

static Status ask(Run *r, Question *q)
{
    LabModel *l = &q->model[0];
    *l = lab_sorter(run_preset(r));
    l->dim = (int)run_int(r, "dim"), l->steps = run_int(r, "pretrain-steps"), l->lr = run_real(r, "lr");
    l->test = run_int(r, "test");
    q->models = 1, q->steps = run_int(r, "steps");
    q->lengths = run_list(r, "lengths", q->length);
    for (int k = 0; k < KINDS; k++)
        for (int i = 0; i < q->lengths; i++)
            if (run_has(r, "kinds", k == BARE ? "bare" : KIND_NAME[k])) TRY(add_prefix(q, r, (Kind)k, q->length[i]));
    double many[RUN_LIST];
    int n = run_list(r, "many", many);
    for (int i = 0; i < n; i++) TRY(add_prefix(q, r, FREE, many[i]));
    TRY(add_arm(q, (LabArm){.name = "table", .lr = 1}, l, TABLE, 0));
    TRY(add_arm(
        q, (LabArm){.name = "LoRA 1", .method = "lora", .options = "rank=1,alpha=1,target=*", .lr = 1, .decay = 0.01},
        l, OTHER, 0));
    TRY(add_arm(q, (LabArm){.name = "pretrained, ascending", .target = "asc"}, l, OTHER, 0));
    q->sweep.rates = run_list(r, "rates", q->sweep.scale);
    return OK;
}

/* The reserved positions get trained word vectors in place of the filler's. */
static Var *replace(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    Param *table = user;
    return op_prepend(p->tape, tape_param(p->tape, table), out, table->val.dim[0]);
}

static void reserve(SweepJob *j)
{
    params_train(j->m->params, "*", false);
    Param *p = param_add(j->m->params, "peft.reserved.table", (Init){INIT_NORMAL, 1},
                         SHAPE(j->model->layout.slots, j->m->config.dim));
    params_train(j->m->params, "peft.*", true);
    hook_add(j->hooks, (Where){SITE_EMBED, LAYER_EMBED, PART_DECODER}, replace, p);
}

static Status tune(Run *r, SweepJob *j, void *out, void *user)
{
    (void)user;
    PrefixTable *table;
    if (j->tag == TABLE) TRY(table_attach(&table, j->m, j->hooks, j->model->layout, 0, j->seed));
    if (j->tag == PROMPT) reserve(j);
    return sweep_train(r, j, out);
}

/* ---- figures */

static Series line_over(Run *r, int n, const char *label)
{
    Arena *a = run_arena(r);
    return (Series){.x = tensor_new(a, F64, SHAPE(n)),
                    .y = tensor_new(a, F64, SHAPE(n)),
                    .lo = tensor_new(a, F64, SHAPE(n)),
                    .hi = tensor_new(a, F64, SHAPE(n)),
                    .label = label,
                    .marked = true};
}

static void put(Series *s, int at, double x, const LabResult *result, int seeds)
{
    double sum = 0, least = INFINITY, most = -INFINITY;
    for (int i = 0; i < seeds; i++) {
        double y = result[i].last;
        sum += y / seeds, least = fmin(least, y), most = fmax(most, y);
    }
    tensor_set(s->x, at, x), tensor_set(s->y, at, sum), tensor_set(s->lo, at, least), tensor_set(s->hi, at, most);
}

/* Loss against rate, one panel per length: E1's own comparison is one point of the first panel. */
static Status draw_rates(Run *r, const Question *q, const SweepBest *best, const RefLine ref[3])
{
    int seeds = run_seeds(r);
    Fig *f =
        run_figure(r, "rates",
                   str_print(run_arena(r),
                             "Late loss on descending against the learning rate, by parameterisation and length; "
                             "mean and range of %d %s. Dashed: the losses that need no attention to the input, and "
                             "the trained table that contains every prefix.",
                             seeds, str_plural(seeds, "seed", "seeds")),
                   500, 200);
    for (int c = 0; c < q->lengths; c++) {
        Series line[KINDS];
        int n = 0;
        for (int k = 0; k < q->sweep.arms; k++) {
            if (q->sweep.arm[k].tag >= KINDS || q->length_of[k] != q->length[c] || n == KINDS) continue;
            line[n] = line_over(r, q->sweep.rates, KIND_NAME[q->sweep.arm[k].tag]);
            line[n].colour = q->sweep.arm[k].tag + 1;
            for (int i = 0; i < q->sweep.rates; i++)
                put(&line[n], i, q->sweep.scale[i], best[k].all + i * seeds, seeds);
            n++;
        }
        fig_lines(f, fig_cell(f, 1, q->lengths, c), n, line,
                  (PlotStyle){.title = str_print(run_arena(r), "%g virtual token%s", q->length[c],
                                                 q->length[c] > 1 ? "s" : ""),
                              .letter = (const char *const[]){"a", "b", "c", "d"}[c & 3],
                              .x = {.title = "learning rate", .log = true},
                              .y = {.title = "late loss (nats)", .log = true},
                              .ref = ref,
                              .refs = 3});
    }
    return fig_close(f);
}

static Status draw_accuracy(Run *r, const Question *q, const SweepBest *best)
{
    const char *label[SWEEP_ARMS];
    int n = q->sweep.arms - 1;
    for (int k = 0; k < n; k++) label[k] = q->sweep.arm[k].arm.name;
    Series bar[] = {sweep_series(run_arena(r), best, n, run_seeds(r), SWEEP_EXACT, "exact match"),
                    sweep_series(run_arena(r), best, n, run_seeds(r), SWEEP_TOKEN, "token accuracy")};
    Fig *f = run_figure(r, "accuracy",
                        str_print(run_arena(r),
                                  "Greedy accuracy on descending by parameterisation and number of virtual tokens, "
                                  "at the best of %d learning rates; mean and range of %d %s.",
                                  q->sweep.rates, run_seeds(r), str_plural(run_seeds(r), "seed", "seeds")),
                        500, 200);
    fig_bars(f, fig_whole(f), 2, bar, label, (PlotStyle){.y = {.title = "accuracy (%)", .lo = 0, .hi = 100}});
    return fig_close(f);
}

static int find(const Question *q, Kind kind, double length)
{
    for (int k = 0; k < q->sweep.arms; k++)
        if (q->sweep.arm[k].tag == (int)kind && (length < 0 || q->length_of[k] == length)) return k;
    return -1;
}

static void judge(Run *r, const Question *q, const SweepBest *best, DigitFloors floor)
{
    int seeds = run_seeds(r), table = find(q, TABLE, -1), free = -1, tied = find(q, TIED, 1);
    Arena *a = run_arena(r);
    const double *most = NEW(a, double, seeds);
    for (int k = 0; k < table; k++) {
        most = seeds_most(a, most, sweep_values(a, &best[k], seeds, SWEEP_EXACT), seeds);
        if (q->sweep.arm[k].tag == FREE && (free < 0 || sweep_loss(&best[k], seeds) < sweep_loss(&best[free], seeds)))
            free = k;
    }
    double asc = sweep_exact(&best[q->sweep.arms - 1], seeds);
    if (tied < 0 || free < 0) {
        run_conclude(r,
                     "The comparison needs one tied virtual token and free ones; ascending exact match %.1f %% after "
                     "pretraining.",
                     asc);
        return;
    }
    double one = sweep_loss(&best[tied], seeds), many = sweep_loss(&best[free], seeds);
    run_gate(r, "exact match of the pretrained sorter on ascending (%)", (Claim){MORE_THAN, 30}, RANGE_PERCENT,
             sweep_values(a, &best[q->sweep.arms - 1], seeds, SWEEP_EXACT));
    run_gate(r, "loss of LoRA of rank 1, against that of ignoring the input (nats)",
             (Claim){LESS_THAN, floor.position}, RANGE_POSITIVE,
             sweep_values(a, &best[table + 1], seeds, SWEEP_LOSS));
    run_claim(r, "loss of one virtual token through LayerNorm, against that of ignoring the input (nats)",
              (Claim){MORE_THAN, floor.position}, RANGE_POSITIVE, sweep_values(a, &best[tied], seeds, SWEEP_LOSS));
    run_claim(r, "loss of the best free prefix, against that of ignoring the input (nats)",
              (Claim){LESS_THAN, floor.position}, RANGE_POSITIVE, sweep_values(a, &best[free], seeds, SWEEP_LOSS));
    run_claim(r, "greatest exact match of a trained prefix (%)", (Claim){LESS_THAN, 50}, RANGE_PERCENT, most);
    run_conclude(
        r,
        "Late loss on descending at the best of %d learning rates (mean of %d %s): one virtual token through "
        "LayerNorm %.2f, \"%s\" %.2f, all-prefixes table %.2f, LoRA of rank 1 everywhere %.2f; ignoring the "
        "input costs %.2f, using only the last output %.2f. Exact match: %.1f, %.1f, %.1f and %.1f %% "
        "(ascending before: %.1f %%).",
        q->sweep.rates, seeds, str_plural(seeds, "seed", "seeds"), one, q->sweep.arm[free].arm.name, many,
        sweep_loss(&best[table], seeds), sweep_loss(&best[table + 1], seeds), floor.position, floor.previous,
        sweep_exact(&best[tied], seeds), sweep_exact(&best[free], seeds), sweep_exact(&best[table], seeds),
        sweep_exact(&best[table + 1], seeds), asc);
}

static Status run(Run *r)
{
    Question q = {0};
    TRY(ask(r, &q));
    TRY(lab_pretrain(r, q.model, q.models));
    q.sweep.tune = tune;
    SweepBest best[SWEEP_ARMS];
    TRY(sweep_run(r, &q.sweep, best));
    sweep_record(r, &q.sweep, best);
    DigitFloors floor = digits_floors(digit_task("desc"), 50000, 1);
    run_metric(r, RANGE_POSITIVE, "baseline: ignoring the input (nats)", 0, floor.position);
    run_metric(r, RANGE_POSITIVE, "baseline: last output only (nats)", 0, floor.previous);
    RefLine ref[] = {{floor.position, "ignoring the input", false},
                     {floor.previous, "last output only", false},
                     {sweep_loss(&best[find(&q, TABLE, -1)], run_seeds(r)), "every prefix (table)", false}};
    TRY(draw_rates(r, &q, best, ref));
    TRY(draw_accuracy(r, &q, best));
    run_note(r,
             "In one layer a soft prompt and a tied virtual token through LayerNorm reach the same keys and values; "
             "they differ in scale and start only. The MLP is a reparameterisation of free keys and values.");
    judge(r, &q, best, floor);
    return OK;
}

static const Setting SETTINGS[] = {
    {"kinds", "parameterisations", {"all"}, 0, 0, "all|tied|bare|free|mlp|prompt"},
    {"lengths", "virtual tokens of every parameterisation", {"1,2", "1,10", "1,10,50"}, 1, 512},
    {"many", "further lengths of the free one", {"4,", "50,", "100,200"}, 1, 4096},
    {"rates", "learning rates", {"5e-2,", "5e-3,5e-2,5e-1", "1e-3,3e-3,1e-2,3e-2,1e-1,3e-1,1"}, 1e-7, 100},
    {"steps", "steps of tuning", {"10", "700", "10000"}, 1, 1e7},
    {"pretrain-steps", "steps of ascending pretraining", {"40", "2000", "20000"}, 1, 1e7},
    {"lr", "learning rate of pretraining", {"2e-3", "1.5e-3", "5e-4"}, 1e-7, 1},
    {"dim", "hidden size", {"32", "48", "96"}, 8, 4096},
    {"test", "held-out inputs scored", {"50", "500", "3200"}, 1, 1e6},
    {0}};

static const Experiment E1_FAIR = {
    .group = "toy",
    .name = "e1-fair",
    .title = "E1 with parameterisation, length and learning rate unconfounded",
    .claim =
        "E1's zero belongs to one virtual token that passes through LayerNorm: free keys and values in many "
        "virtual tokens fall below the loss of ignoring the input, though none that training found solves the task.",
    .method = "Prefix parameterisation x length x learning rate on the ascending sorter with descending as target, "
              "compared with the table that contains every prefix, LoRA of rank 1 and baselines.",
    .expect = "The tied virtual token stays above the baseline at every learning rate, free ones fall below it, no "
              "prefix reaches 50 % exact match.",
    .cost = "smoke seconds, quick under two minutes, paper an hour or two",
    .source = "after Petrov, Torr, Bibi (ICLR 2024), section 5, experiment 1",
    .settings = SETTINGS,
    .seeds = {1, 3, 3},
    .run = run};
REGISTER(experiment, E1_FAIR)
