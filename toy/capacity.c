/* toy/capacity: how many bits does a number of a prefix hold?
 *
 * Claim    The information that a frozen model recalls through a prefix grows at most linearly with the number of
 *          virtual tokens. Per number it stays far below the log2 V bits of the constructed transformer.
 * Method   Two frozen models of one shape: trained (a sorter) and random.  Maps: M distinct random inputs, a random
 *          answer of V = 8 for each; a free prefix of n_S virtual tokens is trained on all of them at once, at
 *          several learning rates. With a fraction e wrong, M (log2 V - H(e) - e log2(V - 1)) bits are stored: the
 *          information that a symmetric channel with that error passes.  The capacity at n_S is the most over M.
 *          Strings: N random tokens of V, from nothing but a prefix of one virtual token; recalled means exact match.
 * Expect   Capacity over virtual tokens never above the line through the shortest prefix; the constructed transformer
 *          recalls every string of N tokens from N numbers.
 * Cost     seconds; two minutes; an hour.
 * Source   Petrov, Torr and Bibi (ICLR 2024), theorem 1, for the constructed bits; Meyer et al. (2025) for the linear
 *          bound.  The constructed transformer itself is run by theory/one-token.
 *
 * What it does not show: capacity.  Information that training did not store within its steps might still be
 * storable. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "lab/sweep.h"

enum { VALUES = DIGITS, INPUT = 4, SIZES = 4 };
typedef enum { TRAINED, RANDOM, MODELS } Which;
static const char *const WHICH[MODELS] = {"trained", "random"};

typedef struct { /* the data that one method is to recall */
    Which which;
    bool string;
    int slots, count, values; /* length of the prefix; pairs of a map, or tokens of a string; size of the alphabet */
} Cell;

typedef struct {
    LabResult result; /* `last`: the loss on the data to recall */
    double recalled;  /* fraction of pairs, or of strings */
} Outcome;

typedef struct {
    LabModel recipe;
    Cell cell[SWEEP_ARMS];
    int64_t steps;
    double random_sd;
    int strings;
} Question;

/* ---- the data to recall ---- */

/* M distinct inputs of INPUT digits behind the pad token, read out at the last of them. */
static Batch a_map(Arena *a, const Cell *c, uint64_t stream)
{
    int64_t t = 1 + INPUT;
    int32_t *ids = NEW(a, int32_t, c->count * t), *keep = NEW(a, int32_t, c->count), *y = NEW(a, int32_t, c->count),
            all[DIGITS * DIGITS * DIGITS * DIGITS];
    for (int i = 0; i < DIGITS * DIGITS * DIGITS * DIGITS; i++) all[i] = i;
    rng_shuffle(stream, DIGITS * DIGITS * DIGITS * DIGITS, all);
    for (int r = 0; r < c->count; r++) {
        for (int i = 0, rest = all[r]; i < INPUT; i++, rest /= DIGITS) ids[r * t + 1 + i] = rest % DIGITS;
        keep[r] = INPUT;
        y[r] = (int32_t)rng_below(rng_mix(stream, 1), (uint64_t)r, c->values);
    }
    return (Batch){.b = c->count, .t = t, .k = 1, .ids = ids, .keep = keep, .target = y};
}

/* N tokens; the pad token predicts the first, each token the next. */
static Batch a_string(Arena *a, const Cell *c, uint64_t stream)
{
    int32_t *ids = NEW(a, int32_t, c->count), *keep = NEW(a, int32_t, c->count), *y = NEW(a, int32_t, c->count);
    for (int i = 0; i < c->count; i++) {
        y[i] = (int32_t)rng_below(stream, (uint64_t)i, c->values);
        keep[i] = i;
        if (i + 1 < c->count) ids[i + 1] = y[i];
    }
    return (Batch){.b = 1, .t = c->count, .k = c->count, .ids = ids, .keep = keep, .target = y};
}

static double recalled(Model *m, const Hooks *hooks, const Batch *b)
{
    Arena step = arena_open(0);
    Var *x = model_logits(m, &(Pass){.tape = tape_open(&step, false), .hooks = hooks}, b);
    int64_t n = b->b * b->k, right = 0, v = tensor_last(x->val);
    for (int64_t i = 0; i < n; i++)
        right += tensor_argmax(tensor_at(tensor_reshape(x->val, SHAPE(n, v)), i)) == b->target[i];
    arena_close(&step);
    return (double)right / (double)n;
}

/* Trains on the one batch until its loss is small. */
static Status memorise(Run *r, SweepJob *j, const Batch *b, int64_t steps, double *loss)
{
    TrainConfig c = train_defaults();
    c.lr = j->arm.lr, c.total = steps, c.no_dropout = true, c.seed = j->seed;
    Trainer *tr;
    TRY(trainer_open(&tr, j->run, j->m, j->hooks, &c));
    Arena step = arena_open(0);
    *loss = INFINITY;
    while (tr->step<steps && * loss> 0.01) {
        if (run_stopped()) return run_interrupted();
        ArenaMark mark = arena_mark(&step);
        StepStats s;
        Status status = trainer_step(tr, &step, b, &s);
        arena_drop(&step, mark);
        if (status == E_NUMERIC) {
            err_clear();
            *loss = NAN;
            break;
        }
        TRY(status);
        *loss = s.loss;
        if (tr->step % 50 == 0) run_progress(r, j->arm.name, tr->step, steps, s.loss);
    }
    arena_close(&step);
    return OK;
}

/* A model of the trained one's shape with fresh weights, the method attached. */
static Status begin(SweepJob *j, const Question *q, uint64_t salt)
{
    const Cell *c = &q->cell[j->index];
    Config config = j->m->config;
    config.init_sd = q->random_sd;
    if (c->which == RANDOM) TRY(model_open(&j->m, j->run, &config, F32, j->seed));
    j->hooks = hooks_new(j->run);
    TRY(lab_attach(j->m, j->hooks, j->model, &j->arm));
    for (int i = 0; i < params_n(j->m->params) && salt; i++) { /* another string, another start */
        Param *p = params_at(j->m->params, i);
        for (int64_t k = 0; p->trainable && k < tensor_count(p->val); k++)
            tensor_set(p->val, k, rng_normal(rng_mix(rng_stream(j->seed, p->name), salt), (uint64_t)k));
    }
    return OK;
}

static Status tune(Run *r, SweepJob *j, void *out, void *user)
{
    const Question *q = user;
    const Cell *c = &q->cell[j->index];
    Outcome *o = out;
    int trials = c->string ? q->strings : 1;
    for (int s = 0; s < trials; s++) {
        uint64_t stream = rng_mix(rng_stream(j->seed, c->string ? "string" : "map"), (uint64_t)s);
        double loss = NAN;
        if (s) TRY(lab_open(&j->m, j->run, r, j->model, j->seed));
        TRY(begin(j, q, (uint64_t)s));
        Batch b = c->string ? a_string(j->run, c, stream) : a_map(j->run, c, stream);
        TRY(memorise(r, j, &b, q->steps, &loss));
        double share = isnan(loss) ? 0 : recalled(j->m, j->hooks, &b);
        o->result.last += loss / trials;
        o->recalled += (c->string ? share >= 1 : share) / trials;
    }
    o->result.diverged = isnan(o->result.last);
    o->result.params = params_count(j->m->params, NULL, true);
    return OK;
}

/* Bits that M answers of V hold when a fraction of them is recalled. */
static double bits(const Cell *c, double recalled_share)
{
    double e = 1 - recalled_share, v = c->values, loss = 0;
    if (e > 0) loss += -e * log2(e) + e * log2(v - 1);
    if (e < 1) loss -= (1 - e) * log2(1 - e);
    return c->count * fmax(0, log2(v) - loss) * (recalled_share > 1 / v);
}

/* ---- the results ---- */

typedef struct {
    int sizes, slots[SIZES];
    double *most[MODELS]; /* (sizes, seeds) bits of the best M */
    int largest;          /* pairs of the largest map */
    bool full;            /* it was recalled whole somewhere */
    int64_t params[SIZES];
} Capacity;

static void collect(Run *r, const Question *q, const Sweep *s, const SweepBest *won, Capacity *c)
{
    Arena *a = run_arena(r);
    int seeds = run_seeds(r);
    for (int k = 0; k < s->arms; k++) {
        const Cell *cell = &q->cell[k];
        const Outcome *o = won[k].outcome;
        for (int i = 0; i < seeds; i++) {
            run_metric(
                r, RANGE_PERCENT,
                str_print(a, "%s: %s (%%)", s->arm[k].arm.name, cell->string ? "strings recalled" : "recalled"), i,
                100 * o[i].recalled);
            if (cell->string) continue;
            int at = 0;
            while (c->slots[at] != cell->slots) at++;
            double *most = &c->most[cell->which][at * seeds + i], now = bits(cell, o[i].recalled);
            *most = fmax(*most, now), c->params[at] = o[i].result.params;
            c->full = c->full || (cell->count == c->largest && o[i].recalled >= 1);
        }
    }
    for (int w = 0; w < MODELS; w++)
        for (int k = 0; k < c->sizes; k++)
            for (int i = 0; i < seeds; i++) {
                const char *name = str_print(a, "%s, %d virtual tokens", WHICH[w], c->slots[k]);
                double b = c->most[w][k * seeds + i];
                run_metric(r, RANGE_POSITIVE, str_print(a, "%s: bits stored", name), i, b);
                run_metric(r, RANGE_POSITIVE, str_print(a, "%s: bits per number", name), i, b / (double)c->params[k]);
            }
}

static Status draw_capacity(Run *r, const Capacity *c)
{
    Arena *a = run_arena(r);
    int seeds = run_seeds(r);
    Series line[MODELS + 1];
    Tensor x = tensor_new(a, F64, SHAPE(c->sizes));
    for (int k = 0; k < c->sizes; k++) tensor_set(x, k, c->slots[k]);
    for (int w = 0; w < MODELS; w++) line[w] = seeds_series(a, c->most[w], c->sizes, seeds, WHICH[w]);
    line[MODELS] = (Series){.y = tensor_new(a, F64, SHAPE(c->sizes)), .label = "proportional", .dashed = true};
    for (int k = 0; k < c->sizes; k++)
        tensor_set(line[MODELS].y, k, seeds_mean(c->most[TRAINED], seeds) * c->slots[k] / c->slots[0]);
    for (int i = 0; i <= MODELS; i++) line[i].x = x, line[i].marked = i < MODELS;
    Fig *f = run_figure(
        r, "capacity",
        str_print(a,
                  "Bits of a random map recalled through a prefix of free virtual tokens in a frozen model, mean "
                  "and range of %d %s; dashed: proportional to the number of virtual tokens, through the trained "
                  "model's shortest prefix.",
                  seeds, str_plural(seeds, "seed", "seeds")),
        300, 190);
    fig_lines(f, fig_whole(f), MODELS + 1, line,
              (PlotStyle){.x = {.title = "slots", .log = true}, .y = {.title = "bits stored", .log = true}});
    return fig_close(f);
}

static Status draw_strings(Run *r, const Question *q, const Sweep *s, const SweepBest *won)
{
    Arena *a = run_arena(r);
    Series dots[MODELS];
    for (int w = 0; w < MODELS; w++) {
        int n = 0;
        for (int k = 0; k < s->arms; k++) n += q->cell[k].string && q->cell[k].which == (Which)w;
        dots[w] = (Series){.x = tensor_new(a, F64, SHAPE(n)),
                           .y = tensor_zero(a, F64, SHAPE(n)),
                           .label = str_print(a, "%s model", WHICH[w])};
        n = 0;
        for (int k = 0; k < s->arms; k++) {
            if (!q->cell[k].string || q->cell[k].which != (Which)w) continue;
            const Outcome *o = won[k].outcome;
            double mean = 0;
            for (int i = 0; i < run_seeds(r); i++) mean += 100 * o[i].recalled / run_seeds(r);
            tensor_set(dots[w].x, n, q->cell[k].count * log2(q->cell[k].values));
            tensor_set(dots[w].y, n++, mean);
        }
    }
    RefLine built = {100, "constructed", false};
    Fig *f = run_figure(
        r, "strings",
        str_print(a,
                  "Random strings recalled whole from one trained virtual token of a frozen model, against their "
                  "bits N log2 V (%d strings of each size, %d %s). The constructed transformer of "
                  "theorem 1 recalls all.",
                  q->strings, run_seeds(r), str_plural(run_seeds(r), "seed", "seeds")),
        300, 190);
    fig_scatter(f, fig_whole(f), MODELS, dots,
                (PlotStyle){.x = {.title = "bits of a string"},
                            .y = {.title = "recalled whole (%)", .lo = -5, .hi = 105},
                            .ref = &built,
                            .refs = 1});
    return fig_close(f);
}

/* ---- the experiment ---- */

static void add(Run *r, Question *q, Sweep *s, Cell c)
{
    Arena *a = run_arena(r);
    LabArm arm = lab_arm("prefix");
    arm.options = str_print(a, "kind=free,length=%d,init_sd=1", c.slots);
    /* The name is part of the arm's seed: recorded results depend on it. */
    arm.name = c.string ? str_print(a, "%s, %d tokens of %d", WHICH[c.which], c.count, c.values)
                        : str_print(a, "%s, %d pairs in %d slots", WHICH[c.which], c.count, c.slots); /* words: ok */
    q->cell[s->arms] = c;
    s->arm[s->arms++] = (SweepArm){arm, &q->recipe};
}

static Status ask(Run *r, Question *q, Sweep *s, Capacity *c)
{
    double slots[RUN_LIST], pairs[RUN_LIST], tokens[RUN_LIST], values[RUN_LIST];
    int n = run_list(r, "slots", slots), m = run_list(r, "pairs", pairs), t = run_list(r, "tokens", tokens),
        v = run_list(r, "values", values);
    LabModel *l = &q->recipe;
    *l = lab_sorter(run_preset(r));
    l->layers = (int)run_int(r, "layers"), l->dim = (int)run_int(r, "dim"), l->heads = (int)run_int(r, "heads");
    l->steps = run_int(r, "pretrain-steps"), l->layout.gap = run_int(r, "gap");
    q->steps = run_int(r, "steps"), q->random_sd = run_real(r, "random-sd"), q->strings = (int)run_int(r, "strings");
    if (n > SIZES || MODELS * (n * m + t * v) > SWEEP_ARMS)
        return err_fail(E_CONFIG, "%d methods, at most %d; %d prefix lengths, at most %d", MODELS * (n * m + t * v),
                        SWEEP_ARMS, n, SIZES);
    for (int i = 0; i < t; i++)
        if (tokens[i] > (double)digits_positions(l->layout))
            return err_fail(E_CONFIG, "tokens: %g do not fit %lld positions", tokens[i],
                            (long long)digits_positions(l->layout));
    *s = (Sweep){.size = sizeof(Outcome), .tune = tune, .user = q};
    s->rates = run_list(r, "rates", s->scale);
    c->sizes = n;
    for (int k = 0; k < n; k++) c->slots[k] = (int)slots[k];
    for (int i = 0; i < m; i++) c->largest = pairs[i] > c->largest ? (int)pairs[i] : c->largest;
    for (int w = 0; w < MODELS; w++) {
        c->most[w] = NEW(run_arena(r), double, n *run_seeds(r));
        for (int i = 0; i < n * m; i++)
            add(r, q, s, (Cell){(Which)w, false, (int)slots[i / m], (int)pairs[i % m], VALUES});
        for (int i = 0; i < t * v; i++)
            add(r, q, s, (Cell){(Which)w, true, 1, (int)tokens[i / v], (int)values[i % v]});
    }
    return lab_check(l);
}

/* From the shortest to the longest prefix: more bits, but no more than in proportion (a tenth is allowed), and fewer
 * than log2 V in each parameter.  Five bits in the shortest are the least that can be told from luck. */
static void judge(Run *r, Arena *a, const Capacity *c, Which w)
{
    int seeds = run_seeds(r), last = c->sizes - 1;
    const char *name = w == TRAINED ? "trained model" : "random model";
    const double *first = c->most[w], *longest = c->most[w] + last * seeds;
    double *steep = NEW(a, double, seeds), *dense = NEW(a, double, seeds);
    for (int i = 0; i < seeds; i++) {
        steep[i] = first[i] > 0 ? longest[i] / first[i] / ((double)c->slots[last] / c->slots[0]) : (double)NAN;
        dense[i] = longest[i] / (double)c->params[last];
    }
    run_gate(r, str_print(a, "%s: bits in the shortest prefix", name), (Claim){MORE_THAN, 5}, RANGE_POSITIVE, first);
    if (c->full || last < 1) {
        run_unjudged(r, str_print(a, "%s: growth with the prefix", name), "since the largest map was recalled whole");
        return;
    }
    run_claim(r, str_print(a, "%s: bits in the longest prefix less those in the shortest", name),
              (Claim){MORE_THAN, 0}, RANGE_ANY, seeds_less(a, longest, first, seeds));
    run_claim(r, str_print(a, "%s: growth over that of the number of virtual tokens", name), (Claim){LESS_THAN, 1.1},
              RANGE_POSITIVE, steep);
    run_claim(r, str_print(a, "%s: bits per parameter of the longest prefix", name), (Claim){LESS_THAN, log2(VALUES)},
              RANGE_POSITIVE, dense);
}

static Status run(Run *r)
{
    Question q = {0};
    Sweep s;
    Capacity c = {0};
    int seeds = run_seeds(r), right[MODELS] = {0}, strings = 0;
    TRY(ask(r, &q, &s, &c));
    TRY(lab_pretrain(r, &q.recipe, 1));
    SweepBest won[SWEEP_ARMS];
    TRY(sweep_run(r, &s, won));
    collect(r, &q, &s, won, &c);
    TRY(draw_capacity(r, &c));
    TRY(draw_strings(r, &q, &s, won));

    Arena *a = run_arena(r);
    double steepest = 0, densest = 0, ends[MODELS][2];
    for (int w = 0; w < MODELS; w++)
        for (int k = 0; k < c.sizes; k++) {
            double mean = seeds_mean(c.most[w] + k * seeds, seeds), first = seeds_mean(c.most[w], seeds);
            steepest = fmax(steepest, mean / first / ((double)c.slots[k] / c.slots[0]));
            densest = fmax(densest, mean / (double)c.params[k]);
            ends[w][k > 0] = mean;
        }
    for (int k = 0; k < s.arms; k++) {
        const Outcome *o = won[k].outcome;
        if (!q.cell[k].string) continue;
        strings += q.strings * seeds * (q.cell[k].which == TRAINED);
        for (int i = 0; i < seeds; i++) right[q.cell[k].which] += (int)lround(o[i].recalled * q.strings);
    }
    for (int w = 0; w < MODELS; w++) judge(r, a, &c, (Which)w);
    run_conclude(
        r,
        "Bits stored with %d and %d virtual tokens: trained model %.0f and %.0f, random model %.0f and %.0f; "
        "at most %.2f times proportional to the virtual tokens, at most %.3f bits per number (constructed: "
        "log2 V = 3). Strings recalled whole from one virtual token: trained %d, random %d of %d.",
        c.slots[0], c.slots[c.sizes - 1], ends[TRAINED][0], ends[TRAINED][1], ends[RANDOM][0], ends[RANDOM][1],
        steepest, densest, right[TRAINED], right[RANDOM], strings);
    if (c.full) run_note(r, "The largest map was recalled whole: there the map is the limit, not the prefix.");
    run_note(r, "Bits count the information that training stored within its steps, a lower bound on the capacity.");
    return OK;
}

static const Setting SETTINGS[] = {
    {"slots", "lengths of the prefix", {"1,4", "1,4,16", "1,4,16,64"}, 1, 1024},
    {"pairs", "sizes of the random maps", {"8,", "64,384", "64,384,2048"}, 2, 4096},
    {"gap", "filler positions in pretraining: the longest string is 20 tokens more", {"0", "40"}, 0, 1000},
    {"tokens", "lengths of the random strings", {"4,", "15,30,60", "15,30,60"}, 1, 1020},
    {"values", "alphabets of the strings", {"2,", "2,8", "2,8"}, 2, DIGIT_VOCAB},
    {"strings", "strings of each size and seed", {"1", "2", "4"}, 1, 64},
    {"rates", "factors of the prefix's usual learning rate", {"1,", "0.4,2", "0.1,0.4,2,6"}, 1e-6, 1e6},
    {"steps", "most steps of tuning", {"20", "400", "5000"}, 1, 1e7},
    {"pretrain-steps", "steps of pretraining the trained model", {"40", "1200", "20000"}, 1, 1e7},
    {"random-sd", "standard deviation of the random model's weights", {"0.1"}, 1e-4, 10},
    {"layers", "layers", {"2"}, 1, 64},
    {"heads", "heads", {"4"}, 1, 64},
    {"dim", "width", {"32", "64", "96"}, 8, 4096},
    {0}};

static const Experiment CAPACITY = {
    .group = "toy",
    .name = "capacity",
    .title = "Bits that a prefix can hold",
    .claim = "The information that a frozen model recalls through a prefix grows at most linearly with its virtual "
             "tokens, and per number stays far below the log2 V bits of the constructed transformer.",
    .method = "Train free prefixes of several lengths to recall random maps, and one virtual token to recall random "
              "strings, in a trained and in a random frozen model.",
    .expect =
        "Bits over virtual tokens not above the line through the shortest prefix; bits per number below log2 V.",
    .cost = "smoke a second, quick two minutes, paper an hour",
    .source = "Petrov, Torr, Bibi (ICLR 2024), theorem 1; Meyer et al. (2025)",
    .settings = SETTINGS,
    .seeds = {1, 3, 3},
    .run = run};
REGISTER(experiment, CAPACITY)
