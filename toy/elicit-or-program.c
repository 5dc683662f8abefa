/* toy/elicit-or-program: does a prefix teach a task, or does it call up one that pretraining has built?
 *
 * Claim    From two layers on, a prefix makes an ascending sorter sort descending, and it does so only because the
 *          frozen network has learned to sort: on networks pretrained on tasks that need no sorting, on labels that
 *          the input does not determine, or not at all, the same prefix fails.
 * Method   Networks of one shape pretrained on several sources; on each a free prefix in every layer, and LoRA, are
 *          trained to sort descending, learning rates swept.  Among the sources are the sorter with the weights of
 *          one of its layers drawn anew, which tells where the parts lie that a prefix needs.  Effect, for each seed:
 *          exact match on the sorter less that on the best of the unrelated sources.
 * Expect   The effect exceeds 25 points: less would leave most of a prefix's success to the network's shape.
 * Gates    The sorter sorts (50 % exact match), and full fine-tuning of the random network learns the target in as
 *          many steps (50 %), so that the task is within reach of the shape and the budget.
 * Cost     seconds; five minutes; four hours.
 * Source   Petrov, Torr and Bibi (ICLR 2024), section 5, have depths 1 and 4 and no network pretrained on something
 *          else; Wang et al. (PrefixMemory-Tuning, ICLR 2026) hold that prefixes elicit; Zhong and Andreas
 *          ("Algorithmic capabilities of random transformers", NeurIPS 2024) train the embeddings of random networks.
 *
 * What it does not show: that a prefix cannot program such a network with more steps, more virtual tokens, or other
 * learning rates.  LoRA on the same sources is the comparison: what it learns there is within reach of the frozen
 * parts and a small change of them. */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "lab/sweep.h"

typedef enum { RELATED, UNRELATED, BROKEN } Kind;
typedef struct {
    const char *name, *label, *task;
    Kind kind;
    int redrawn; /* the layer whose weights are drawn anew, counted from 1; 0: none */
    bool untrained;
} Source;
static const Source SOURCES[] = {
    {"asc", "ascending", "asc", RELATED},
    {"asc-add1", "ascending, + 1", "asc-add1", RELATED},
    {"asc-layer1", "layer 1 redrawn", "asc", BROKEN, .redrawn = 1},
    {"asc-layer2", "layer 2 redrawn", "asc", BROKEN, .redrawn = 2},
    {"copy", "copy", "copy", UNRELATED},
    {"max", "running maximum", "max", UNRELATED},
    {"histogram", "histogram", "histogram", UNRELATED},
    {"asc-other", "shuffled labels", "asc-other", UNRELATED},
    {"random", "random initialisation", "asc", UNRELATED, .untrained = true},
};
enum { SORTER, MOST_SOURCES = sizeof SOURCES / sizeof *SOURCES, MOST_SHAPES = 6 };
typedef enum { BEFORE, PREFIX, LORA, WAYS } Way;
static const char *const WAY[WAYS] = {"before", "prefix", "LoRA"};

typedef struct {
    LabModel trained[MOST_SOURCES], random;
    int arm[MOST_SOURCES][WAYS]; /* in the sweep; -1: the shape lacks the layer */
    int full;                    /* the arm of full fine-tuning from random initialisation */
} Shape;
typedef struct {
    const Source *source[MOST_SOURCES];
    Shape shape[MOST_SHAPES];
    int sources, shapes;
    LabModel kept[MOST_SHAPES * MOST_SOURCES]; /* all that are pretrained */
    int kepts;
    Sweep sweep;
} Question;

/* ---- the question */

static int add_arm(Run *r, Question *q, LabArm arm, const LabModel *l, const char *what, int tag)
{
    arm.name = str_print(run_arena(r), "%d layers, %d heads, %s", l->layers, l->heads, what);
    q->sweep.arm[q->sweep.arms] = (SweepArm){arm, l, tag};
    return q->sweep.arms++;
}

static LabArm arm_for(Run *r, const Source *s, Way w)
{
    static const char *const METHOD[] = {"none", "prefix", "lora"};
    LabArm arm = lab_arm(METHOD[w]);
    arm.target = w == BEFORE ? s->task : "desc";
    arm.steps = w == BEFORE ? 0 : run_int(r, "steps");
    if (w == PREFIX)
        arm.options = str_print(run_arena(r), "kind=free,init_sd=1,length=%lld", (long long)run_int(r, "length"));
    return arm;
}

static void add_shape(Run *r, Question *q, int layers, int heads)
{
    Shape *x = &q->shape[q->shapes++];
    LabModel base = lab_sorter(run_preset(r));
    base.layers = layers, base.heads = heads, base.dim = (int)run_int(r, "dim");
    base.steps = run_int(r, "pretrain-steps"), base.lr = run_real(r, "lr"), base.test = run_int(r, "test");
    x->random = base, x->random.steps = 1, x->random.lr = 1e-12; /* a step that changes nothing */
    q->kept[q->kepts++] = x->random;
    for (int k = 0; k < q->sources; k++) {
        const Source *s = q->source[k];
        x->trained[k] = s->untrained ? x->random : base;
        x->trained[k].tasks = s->task;
        if (!s->untrained && !s->redrawn) q->kept[q->kepts++] = x->trained[k];
        for (int w = 0; w < WAYS; w++)
            x->arm[k][w] = s->redrawn > layers
                               ? -1
                               : add_arm(r, q, arm_for(r, s, (Way)w), &x->trained[k],
                                         str_print(run_arena(r), "%s: %s", s->label, WAY[w]), s->redrawn);
    }
    LabArm full = lab_arm("full");
    full.target = "desc", full.steps = base.steps;
    x->full = add_arm(r, q, full, &x->random, "random initialisation: full fine-tuning", 0);
}

static Status ask(Run *r, Question *q)
{
    double depth[RUN_LIST], heads[RUN_LIST];
    int depths = run_list(r, "layers", depth), widths = run_list(r, "heads", heads);
    for (int k = 0; k < MOST_SOURCES; k++)
        if (k == SORTER || run_has(r, "sources", SOURCES[k].name)) q->source[q->sources++] = &SOURCES[k];
    if (depths * widths > MOST_SHAPES || depths * widths * (q->sources * WAYS + 1) > SWEEP_ARMS)
        return err_fail(E_CONFIG,
                        "%d depths, %d numbers of heads and %d sources are too many; at most %d shapes and %d "
                        "trainings",
                        depths, widths, q->sources, MOST_SHAPES, SWEEP_ARMS);
    for (int d = 0; d < depths; d++)
        for (int h = 0; h < widths; h++) add_shape(r, q, (int)depth[d], (int)heads[h]);
    for (int k = 0; k < q->kepts; k++) TRY(lab_check(&q->kept[k]));
    q->sweep.rates = run_list(r, "rates", q->sweep.scale);
    return OK;
}

/* ---- one training */

/* Layer `n`, counted from 1, takes the weights of the random network with the same seed. */
static Status redraw(Run *r, const SweepJob *j, const LabModel *random, int n)
{
    Model *fresh;
    TRY(lab_open(&fresh, j->run, r, random, j->seed));
    const char *prefix = str_print(j->run, "h.%d.", n - 1);
    int drawn = 0;
    for (int i = 0; i < params_n(j->m->params); i++) {
        Param *p = params_at(j->m->params, i);
        if (strncmp(p->name, prefix, strlen(prefix)) != 0) continue;
        memcpy(p->val.data, param_find(fresh->params, p->name)->val.data, tensor_bytes(p->val));
        drawn++;
    }
    CHECK(drawn, "no parameter of layer %d begins with %s", n, prefix);
    return OK;
}

static Status tune(Run *r, SweepJob *j, void *out, void *user)
{
    const Question *q = user;
    for (int i = 0; j->tag && i < q->shapes; i++) {
        const LabModel *random = &q->shape[i].random;
        if (random->layers == j->model->layers && random->heads == j->model->heads) TRY(redraw(r, j, random, j->tag));
    }
    return sweep_train(r, j, out);
}

/* ---- the results */

static double exact(const SweepBest *best, int arm, int seed)
{
    return 100 * best[arm].result[seed].score[0].exact;
}

static Status draw(Run *r, const Question *q, const SweepBest *best)
{
    Arena *a = run_arena(r);
    int seeds = run_seeds(r);
    Fig *f =
        run_figure(r, "sources",
                   str_print(a,
                             "Descending sort learned on networks with different pretraining, frozen: exact match "
                             "of a free prefix and of LoRA at the best of %d learning rates; mean and range of %d "
                             "%s.",
                             q->sweep.rates, seeds, str_plural(seeds, "seed", "seeds")),
                   500, 40 + 150 * q->shapes);
    for (int i = 0; i < q->shapes; i++) {
        const Shape *x = &q->shape[i];
        const char *label[MOST_SOURCES];
        double *value[2] = {NEW(a, double, MOST_SOURCES *seeds), NEW(a, double, MOST_SOURCES *seeds)};
        int n = 0;
        for (int k = 0; k < q->sources; k++) {
            if (x->arm[k][PREFIX] < 0) continue;
            for (int s = 0; s < seeds; s++)
                for (int w = 0; w < 2; w++) value[w][n * seeds + s] = exact(best, x->arm[k][PREFIX + w], s);
            label[n++] = q->source[k]->label;
        }
        Series bar[2] = {seeds_series(a, value[0], n, seeds, "prefix"), seeds_series(a, value[1], n, seeds, "LoRA")};
        fig_bars(f, fig_cell(f, q->shapes, 1, i), 2, bar, label,
                 (PlotStyle){.title = str_print(a, "%d %s, %d %s", x->random.layers,
                                                str_plural(x->random.layers, "layer", "layers"), x->random.heads,
                                                str_plural(x->random.heads, "head", "heads")),
                             .y = {.title = "exact match (%)", .lo = 0, .hi = 100}});
    }
    return fig_close(f);
}

static const char *by_seed(Arena *a, const SweepBest *best, int arm, int seeds)
{
    double *x = NEW(a, double, seeds);
    for (int s = 0; s < seeds; s++) x[s] = exact(best, arm, s);
    return seeds_text(a, x, seeds);
}

static void tabulate(Run *r, const Question *q, const SweepBest *best)
{
    enum { COLUMNS = 5 };
    static const char *const HEAD[COLUMNS] = {"pretrained on", "own task, %", "prefix, %", "prefix, nats", "LoRA, %"};
    Arena *a = run_arena(r);
    int seeds = run_seeds(r);
    for (int i = 0; i < q->shapes; i++) {
        const Shape *x = &q->shape[i];
        const char **cell = NEW(a, const char *, MOST_SOURCES *COLUMNS);
        int rows = 0;
        for (int k = 0; k < q->sources; k++) {
            if (x->arm[k][PREFIX] < 0) continue;
            const char **c = cell + COLUMNS * rows++;
            c[0] = q->source[k]->label;
            c[1] = by_seed(a, best, x->arm[k][BEFORE], seeds);
            c[2] = by_seed(a, best, x->arm[k][PREFIX], seeds);
            c[3] = str_print(a, "%.2f", sweep_loss(&best[x->arm[k][PREFIX]], seeds));
            c[4] = by_seed(a, best, x->arm[k][LORA], seeds);
        }
        run_table(r,
                  str_print(a,
                            "%d %s, %d %s: exact match on the task of pretraining, and on descending after tuning; "
                            "mean (range) of %d %s. Ignoring the input has a loss of %.2f nats.",
                            x->random.layers, str_plural(x->random.layers, "layer", "layers"), x->random.heads,
                            str_plural(x->random.heads, "head", "heads"), seeds, str_plural(seeds, "seed", "seeds"),
                            digits_floors(digit_task("desc"), 50000, 1).position),
                  COLUMNS, HEAD, rows, cell);
    }
}

static double best_unrelated(const Question *q, const Shape *x, const SweepBest *best, int seed)
{
    double most = 0;
    for (int k = 0; k < q->sources; k++)
        if (q->source[k]->kind == UNRELATED) most = fmax(most, exact(best, x->arm[k][PREFIX], seed));
    return most;
}

static void judge(Run *r, const Question *q, const Shape *x, const SweepBest *best)
{
    const double sorts = 50, learns = 50, effect = run_real(r, "effect");
    Arena *a = run_arena(r);
    int seeds = run_seeds(r);
    double *before = NEW(a, double, seeds), *full = NEW(a, double, seeds), *gain = NEW(a, double, seeds);
    const char *shape = str_print(a, "%d layers, %d heads", x->random.layers, x->random.heads);
    for (int s = 0; s < seeds; s++) {
        before[s] = exact(best, x->arm[SORTER][BEFORE], s), full[s] = exact(best, x->full, s);
        gain[s] = exact(best, x->arm[SORTER][PREFIX], s) - best_unrelated(q, x, best, s);
        run_metric(r, RANGE_ANY,
                   str_print(a, "%s: prefix on the sorter less the best unrelated source (points)", shape), s,
                   gain[s]);
    }
    if (x->random.layers < 2) return; /* the claim begins there */
    run_gate(r, str_print(a, "%s: the sorter sorts (%% exact match)", shape), (Claim){MORE_THAN, sorts},
             RANGE_PERCENT, before);
    run_gate(
        r, str_print(a, "%s: full fine-tuning from random initialisation learns the target (%% exact match)", shape),
        (Claim){MORE_THAN, learns}, RANGE_PERCENT, full);
    run_claim(r, str_print(a, "%s: prefix on the sorter less the best unrelated source (points)", shape),
              (Claim){MORE_THAN, effect}, RANGE_ANY, gain);
}

static Status run(Run *r)
{
    Question *q = arena_zero(run_arena(r), sizeof *q);
    TRY(ask(r, q));
    TRY(lab_pretrain(r, q->kept, q->kepts));
    q->sweep.tune = tune, q->sweep.user = q;
    SweepBest best[SWEEP_ARMS];
    TRY(sweep_run(r, &q->sweep, best));
    sweep_record(r, &q->sweep, best);
    tabulate(r, q, best);
    TRY(draw(r, q, best));
    Buf said = buf_open(run_arena(r));
    for (int i = 0; i < q->shapes; i++) {
        const Shape *x = &q->shape[i];
        int seeds = run_seeds(r);
        double other = 0;
        for (int s = 0; s < seeds; s++) other += best_unrelated(q, x, best, s) / seeds;
        judge(r, q, x, best);
        buf_print(&said, "%s%.1f and %.1f with %d layers and %d heads", i ? "; " : "",
                  sweep_exact(&best[x->arm[SORTER][PREFIX]], seeds), other, x->random.layers, x->random.heads);
    }
    run_note(r,
             "Not tested: more virtual tokens, more steps, and sources that share a part of sorting other than the "
             "ones named.");
    run_conclude(
        r,
        "Exact match (%%) of a prefix on descending, on the ascending sorter and on the best of the unrelated "
        "sources: %s.",
        said.text);
    return OK;
}

static const Setting SETTINGS[] = {
    {"sources",
     "pretraining, beside the ascending sorter",
     {"random", "asc-layer1,asc-layer2,copy,asc-other,random",
      "asc-add1,asc-layer1,asc-layer2,copy,max,histogram,asc-other,random"},
     0,
     0,
     "asc|asc-add1|asc-layer1|asc-layer2|copy|max|histogram|asc-other|random"},
    {"layers", "numbers of layers", {"2,", "2,", "1,2,3"}, 1, 16},
    {"heads", "numbers of heads", {"4,", NULL, NULL}, 1, 64},
    {"length", "free virtual tokens in each layer", {"2", "10", "10"}, 1, 512},
    {"rates", "factors of each method's usual learning rate", {"1,", NULL, "0.1,0.3,1,3"}, 1e-6, 1e6},
    {"steps", "steps of tuning", {"10", "1000", "10000"}, 1, 1e7},
    {"pretrain-steps", "steps of pretraining, and of full fine-tuning", {"30", "1500", "10000"}, 1, 1e7},
    {"lr", "learning rate of pretraining", {"2e-3", "1.5e-3", "1e-3"}, 1e-7, 1},
    {"dim", "hidden size", {"16", "32", "64"}, 8, 4096},
    {"test", "held-out inputs scored", {"50", "400", "3200"}, 1, 1e6},
    {"effect", "points of exact match that the claim requires", {"25.0"}, 0, 100},
    {0}};

static const Experiment ELICIT_OR_PROGRAM = {
    .group = "toy",
    .name = "elicit-or-program",
    .title = "Does a prefix teach a task, or call up what pretraining has built?",
    .claim = "From two layers on, a prefix makes an ascending sorter sort descending, and fails on networks whose "
             "pretraining did not need sorting.",
    .method = "Free prefixes and LoRA on frozen networks of one shape with different pretraining, sorters with one "
              "layer redrawn among them; learning rates swept.",
    .expect = "On the sorter a prefix is more than 25 points of exact match above the best unrelated source.",
    .cost = "smoke seconds, quick five minutes, paper four hours",
    .source = "after Petrov, Torr, Bibi (ICLR 2024), section 5",
    .settings = SETTINGS,
    .seeds = {1, 3, 5},
    .run = run};
REGISTER(experiment, ELICIT_OR_PROGRAM)
