/* toy/suffix: virtual tokens before, behind and between the input.
 *
 * Claim    Virtual tokens behind the input are more expressive than a prefix with as many parameters: their rows have
 *          queries that are free, so they read the content by a pattern of their own, where a prefix only adds a
 *          bias.
 * Method   One sorter per depth, pretrained ascending on rows with filler tokens at all three positions: before the
 *          input, behind it, and one behind each digit.  Then trained word vectors replace the fillers of
 *          one kind (as many in each), positions added as ever, everything else frozen; a free prefix in every layer
 *          with at least as many parameters is compared with them.  Descending is the target; learning rates swept.
 * Expect   In one layer a suffix row's keys and values are functions of its token alone, so to the rows that follow
 *          it is a prefix; only the last one, which itself predicts the first output, reads by a new query.  So in
 *          one layer the three should differ at output 1 alone; with two layers the suffix should lead.
 * Cost     seconds; two minutes; hours.
 * Source   Petrov, Torr and Bibi (ICLR 2024) argue for suffixes in their appendix; Li and Liang (ACL 2021) compared
 *          prefixes with infixes on language tasks.
 *
 * The virtual tokens pass through the first layer's LayerNorm and are bounded by it, the deep prefix is not: the
 * three are comparable with each other, not with it.
 *
 * What it does not show: suffixes with keys and values of their own in each layer; these tokens enter at the
 * bottom. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "lab/sweep.h"

enum { DEPTHS = 4, N = LENGTH };
typedef enum { BEFORE, BEHIND, BETWEEN, PLACES, DEEP = PLACES, LORA, NONE, EACH } Way;
static const char *const WAY_NAME[EACH] = {"prefix", "suffix", "interleaved", "deep prefix", "LoRA 1", "ascending"};

typedef struct {
    LabModel model[DEPTHS];
    double depth[RUN_LIST];
    int depths;
    Sweep sweep;
} Question;

/* Keys and values in every layer: the least number of virtual tokens that has at least N * dim parameters. */
static int deep_length(const LabModel *l)
{
    return (N + 2 * l->layers - 1) / (2 * l->layers);
}

static void add_depth(Run *r, Question *q, int d)
{
    Arena *a = run_arena(r);
    LabModel *l = &q->model[d];
    *l = lab_sorter(run_preset(r));
    l->layers = (int)q->depth[d], l->dim = (int)run_int(r, "dim"), l->heads = (int)run_int(r, "heads");
    l->layout = (DigitLayout){.slots = N, .gap = N, .weave = 1};
    l->steps = run_int(r, "pretrain-steps"), l->lr = run_real(r, "lr"), l->test = run_int(r, "test");
    for (int w = 0; w < EACH; w++) {
        LabArm arm = {.lr = 5e-2, .target = w == NONE ? "asc" : "desc", .steps = w == NONE ? 0 : run_int(r, "steps")};
        arm.name = str_print(a, "%d layer%s: %s", l->layers, l->layers > 1 ? "s" : "", WAY_NAME[w]);
        if (w == DEEP) {
            arm.method = "prefix";
            arm.options = str_print(a, "kind=free,init_sd=1,length=%d", deep_length(l));
        }
        if (w == LORA) arm.method = "lora", arm.options = "rank=1,alpha=1,target=*", arm.lr = 1e-2;
        q->sweep.arm[q->sweep.arms++] = (SweepArm){arm, l, w};
    }
}

static Status ask(Run *r, Question *q)
{
    q->depths = run_list(r, "depths", q->depth);
    if (q->depths > DEPTHS) return err_fail(E_CONFIG, "at most %d depths", DEPTHS);
    for (int d = 0; d < q->depths; d++) add_depth(r, q, d);
    q->sweep.rates = run_list(r, "rates", q->sweep.scale);
    return OK;
}

/* ---- virtual tokens in place of fillers */

static int64_t place_of(Way way, DigitLayout l, int i)
{
    return way == BEFORE ? i : way == BEHIND ? l.slots + LENGTH * (1 + l.weave) + i : l.slots + i * (1 + l.weave) + 1;
}

typedef struct {
    Param *table;
    DigitLayout layout;
    Way way;
} Virtual;

/* Row i of (table; word vectors) is chosen for each position: (N,C) before (B,T,C), then a gather.  Rows that
 * decoding has not reached are not there. */
static Var *replace(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    const Virtual *v = user;
    Tape *t = p->tape;
    int64_t b = out->val.dim[0], n = out->val.dim[1];
    int32_t *from = NEW(tape_arena(t), int32_t, b * n);
    for (int64_t i = 0; i < b * n; i++) from[i] = (int32_t)(N + i % n);
    for (int64_t r = 0; r < b; r++)
        for (int i = 0; i < N; i++) from[r * n + place_of(v->way, v->layout, i)] = i;
    return op_rows(t, op_prepend(t, tape_param(t, v->table), out, 0), from, b, n);
}

static Status tune(Run *r, SweepJob *j, void *out, void *user)
{
    (void)user;
    if (j->tag >= PLACES) return sweep_train(r, j, out);
    Model *m = j->m;
    Virtual *v = NEW(m->run, Virtual, 1);
    params_train(m->params, "*", false);
    *v = (Virtual){.layout = j->model->layout, .way = (Way)j->tag};
    v->table = param_add(m->params, "peft.virtual.table", (Init){INIT_NORMAL, 0.1}, SHAPE(N, m->config.dim));
    params_train(m->params, "peft.*", true);
    hook_add(j->hooks, (Where){SITE_EMBED, LAYER_EMBED, PART_DECODER}, replace, v);
    return sweep_train(r, j, out);
}

/* ---- figures */

static Status draw_losses(Run *r, const Question *q, const SweepBest *best)
{
    DigitFloors floor = digits_floors(digit_task("desc"), 50000, 1);
    RefLine ref[] = {{floor.position, "ignoring the input", false}, {floor.previous, "last output only", false}};
    const char *label[EACH];
    Series bar[DEPTHS];
    for (int w = 0; w < NONE; w++) label[w] = WAY_NAME[w];
    for (int d = 0; d < q->depths; d++)
        bar[d] = sweep_series(run_arena(r), &best[d * EACH], NONE, run_seeds(r), SWEEP_LOSS,
                              str_print(run_arena(r), "%g layer%s", q->depth[d], q->depth[d] > 1 ? "s" : ""));
    Fig *f = run_figure(
        r, "losses",
        str_print(run_arena(r),
                  "Late loss on descending with ten virtual tokens before, behind or between the "
                  "input, with a prefix in every layer, and with LoRA of rank 1; best of %d learning rates, "
                  "mean and range of %d %s.",
                  q->sweep.rates, run_seeds(r), str_plural(run_seeds(r), "seed", "seeds")),
        340, 200);
    fig_bars(f, fig_whole(f), q->depths, bar, label,
             (PlotStyle){.y = {.title = "late loss (nats per token)"}, .ref = ref, .refs = 2});
    return fig_close(f);
}

static Status draw_places(Run *r, const Question *q, const SweepBest *best)
{
    Fig *f =
        run_figure(r, "places",
                   str_print(run_arena(r),
                             "Greedy token accuracy by output position, mean of %d %s. Output 1 is predicted by "
                             "the last row before the output: a virtual token's own row where they stand behind.",
                             run_seeds(r), str_plural(run_seeds(r), "seed", "seeds")),
                   500, 190);
    for (int d = 0; d < q->depths; d++) {
        Series line[DEEP + 1];
        for (int w = 0; w <= DEEP; w++) {
            line[w] = (Series){.x = tensor_new(run_arena(r), F64, SHAPE(LENGTH)),
                               .y = tensor_zero(run_arena(r), F64, SHAPE(LENGTH)),
                               .label = WAY_NAME[w],
                               .marked = true};
            for (int i = 0; i < LENGTH; i++) {
                double sum = 0;
                for (int s = 0; s < run_seeds(r); s++)
                    sum += 100 * best[d * EACH + w].result[s].score[0].place[i] / run_seeds(r);
                tensor_set(line[w].x, i, i + 1), tensor_set(line[w].y, i, sum);
            }
        }
        fig_lines(f, fig_cell(f, 1, q->depths, d), DEEP + 1, line,
                  (PlotStyle){.title = str_print(run_arena(r), "%g layer%s", q->depth[d], q->depth[d] > 1 ? "s" : ""),
                              .letter = (const char *const[]){"a", "b", "c", "d"}[d],
                              .x = {.title = "output position"},
                              .y = {.title = "token accuracy (%)", .lo = 0, .hi = 100}});
    }
    return fig_close(f);
}

static double first_output(const SweepBest *b, int seeds)
{
    double sum = 0;
    for (int i = 0; i < seeds; i++) sum += 100 * b->result[i].score[0].place[0] / seeds;
    return sum;
}

/* One layer: the suffix's last row predicts the first output by a query of its own.  Two and more: losses, compared
 * only where the suffix has learned something, that is, where its loss is below that of ignoring the input. */
static void judge(Run *r, double depth, const SweepBest *b, double floor)
{
    Arena *a = run_arena(r);
    int seeds = run_seeds(r);
    const char *layers = str_print(a, "%g layer%s", depth, depth > 1 ? "s" : "");
    run_gate(r, str_print(a, "%s: exact match of the pretrained sorter on ascending (%%)", layers),
             (Claim){MORE_THAN, 30}, RANGE_PERCENT, sweep_values(a, &b[NONE], seeds, SWEEP_EXACT));
    if (depth <= 1) {
        double *gain = NEW(a, double, seeds);
        for (int i = 0; i < seeds; i++)
            gain[i] = 100 * (b[BEHIND].result[i].score[0].place[0] - b[BEFORE].result[i].score[0].place[0]);
        run_claim(r, str_print(a, "%s: accuracy of the first output, suffix less prefix (points)", layers),
                  (Claim){MORE_THAN, 10}, RANGE_ANY, gain);
        return;
    }
    const double *behind = sweep_values(a, &b[BEHIND], seeds, SWEEP_LOSS);
    bool learned =
        claim_verdict((Claim){LESS_THAN, floor}, claim_interval(behind, seeds, RANGE_POSITIVE, 0.95)) == SUPPORTED;
    const Way than[] = {BEFORE, DEEP};
    for (int k = 0; k < 2; k++) {
        const char *says =
            str_print(a, "%s: loss of the suffix less that of the %s (nats)", layers, WAY_NAME[than[k]]);
        if (learned)
            run_claim(r, says, (Claim){LESS_THAN, 0}, RANGE_ANY,
                      seeds_less(a, behind, sweep_values(a, &b[than[k]], seeds, SWEEP_LOSS), seeds));
        else
            run_unjudged(
                r, says,
                str_print(a, "since the suffix's loss is not below %.2f, that of ignoring the input", floor));
    }
}

static Status run(Run *r)
{
    Question q = {0};
    TRY(ask(r, &q));
    TRY(lab_pretrain(r, q.model, q.depths));
    q.sweep.tune = tune;
    SweepBest best[SWEEP_ARMS];
    TRY(sweep_run(r, &q.sweep, best));
    sweep_record(r, &q.sweep, best);
    TRY(draw_losses(r, &q, best));
    TRY(draw_places(r, &q, best));
    int seeds = run_seeds(r);
    double floor = digits_floors(digit_task("desc"), 50000, 1).position;
    Buf said = buf_open(run_arena(r));
    for (int d = 0; d < q.depths; d++) {
        const SweepBest *b = &best[d * EACH];
        for (int i = 0; i < seeds; i++)
            for (int w = 0; w <= DEEP; w++)
                run_metric(r, RANGE_PERCENT,
                           str_print(run_arena(r), "%s: accuracy of the first output (%%)",
                                     q.sweep.arm[d * EACH + w].arm.name),
                           i, 100 * b[w].result[i].score[0].place[0]);
        judge(r, q.depth[d], b, floor);
        buf_print(&said,
                  "%s%g layer%s: prefix %.2f, suffix %.2f, interleaved %.2f, deep prefix %.2f, LoRA %.2f "
                  "(accuracy of the first output %.0f and %.0f %% with prefix and suffix; ascending before %.0f %%)",
                  d ? "; " : "", q.depth[d], q.depth[d] > 1 ? "s" : "", sweep_loss(&b[BEFORE], seeds),
                  sweep_loss(&b[BEHIND], seeds), sweep_loss(&b[BETWEEN], seeds), sweep_loss(&b[DEEP], seeds),
                  sweep_loss(&b[LORA], seeds), first_output(&b[BEFORE], seeds), first_output(&b[BEHIND], seeds),
                  sweep_exact(&b[NONE], seeds));
    }
    run_note(r,
             "Prefix, suffix and interleaved have %d trained word vectors each; the deep prefix has at least as many "
             "parameters. Losses are compared with two layers and more.",
             N);
    run_note(
        r,
        "Word vectors pass through the LayerNorm of the first layer, so their keys and values are bounded there as "
        "E1's virtual token is; the deep prefix is not bounded. Compare the three places with each other first.");
    run_conclude(r, "Late loss on descending (mean of %d %s), %s.", seeds, str_plural(seeds, "seed", "seeds"),
                 said.text);
    return OK;
}

static const Setting SETTINGS[] = {
    {"depths", "numbers of layers, up to four", {"1,2"}, 1, 64},
    {"rates", "factors of the usual learning rates", {"1,", "0.2,1", "0.02,0.1,0.2,0.4,1,2,5"}, 1e-6, 1e6},
    {"steps", "steps of tuning", {"8", "500", "10000"}, 1, 1e7},
    {"pretrain-steps", "steps of ascending pretraining", {"30", "2000", "20000"}, 1, 1e7},
    {"lr", "learning rate of pretraining", {"2e-3", "1.5e-3", "5e-4"}, 1e-7, 1},
    {"heads", "heads", {"1"}, 1, 64},
    {"dim", "hidden size", {"16", "48", "96"}, 8, 4096},
    {"test", "held-out inputs scored", {"50", "400", "3200"}, 1, 1e6},
    {0}};

static const Experiment SUFFIX = {
    .group = "toy",
    .name = "suffix",
    .title = "Virtual tokens before, behind and between the input",
    .claim =
        "With one layer, virtual tokens behind the input predict the first output better than as many before it, "
        "because their last row has a free query; with two or more they learn more than those, and more than a "
        "prefix "
        "in every layer with as many parameters.",
    .method =
        "Sorters pretrained with fillers in all places; trained word vectors in place of the fillers of one kind; "
        "descending as target, learning rates swept.",
    .expect = "One layer: no difference but at output 1. Two layers: the suffix has the least loss.",
    .cost = "smoke seconds, quick two minutes, paper hours",
    .source = "after Petrov, Torr, Bibi (ICLR 2024), appendix; Li and Liang (ACL 2021), infixes",
    .settings = SETTINGS,
    .seeds = {1, 3, 3},
    .run = run};
REGISTER(experiment, SUFFIX)
