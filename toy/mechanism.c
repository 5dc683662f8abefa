/* toy/mechanism: how does a prefix use content through a frozen attention pattern?
 *
 * Claim    Pretraining put into the ascending sorter's pattern, which a prefix cannot change, the information that
 *          "repeat the digit or move on" needs: whether copies of the current digit remain is read off a head's
 *          output better than off that of a randomly initialised model. The next digit in ascending order gains more
 *          from pretraining than the next in descending order, and that is where the prefix fails.
 * Method   Train a free prefix on descending, learning rates swept.  On descending rows, for each output after the
 *          first, the attention output t_i without and with the prefix and the row's position go to a linear probe
 *          (least squares to one-hot classes, one probe for each token, held-out accuracy).  Classes: copies of the
 *          current digit still to come (0, 1, 2, more), next smaller digit of the input, next larger digit.
 *          Reference: the probe that has token and position only, and the one that has the counts of all digits.
 *          Then an intervention: the prefix's contribution to the head, alpha g, is replaced by its mean at the
 *          output position.
 * Expect   Copies: the sorter removes a larger share of the errors of token and position alone than the randomly
 *          initialised model does.  Any pattern averages the values of digits and so carries counts; the difference
 *          is the gain of pretraining, and its margin is 0.  Larger less smaller: the same.  If the prefix needs its
 *          (token, position) lookup, clamping its contribution costs the accuracy gained.
 * Cost     seconds; a minute; half an hour.
 * Source   Follows a question that Petrov, Torr and Bibi (ICLR 2024) leave open; probes after Alain and
 *          Bengio (2016).
 *
 * What it does not show: that the model uses the information that a probe can read. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "lab/sweep.h"
#include "measure/observe.h"
#include "num/linalg.h"

enum { ROWS = LENGTH - 1, CLASSES = DIGITS + 1, MANY = 3 };
typedef enum { COPIES, SMALLER, LARGER, QUESTIONS } Question;
typedef enum { PLACE_ONLY, WITHOUT, WITH, COUNTS, SOURCES } Source;
static const char *const QUESTION_NAME[QUESTIONS] = {"copies left", "next smaller digit", "next larger digit"};
static const char *const SOURCE_NAME[SOURCES] = {"token and position", "and output without prefix",
                                                 "and output with prefix", "and all counts"};

typedef struct {
    LabResult result;
    double right[QUESTIONS][SOURCES]; /* accuracy of each probe, in % */
    double clamped;                   /* token accuracy with the bias at its mean, in % */
} Outcome;

enum { SORTER, RANDOM, MODELS };
typedef struct {
    LabModel model[MODELS];
    Sweep sweep;
    int64_t examples;
} Study;

/* ---- labels: the information that a row of a descending output could use */

static void label_rows(int32_t label[QUESTIONS][ROWS], const int32_t *out)
{
    int count[DIGITS] = {0};
    for (int i = 0; i < LENGTH; i++) count[out[i]]++;
    for (int i = 0; i < ROWS; i++) {
        int now = out[i], written = 0, smaller = now - 1, larger = now + 1;
        for (int j = 0; j <= i; j++) written += out[j] == now;
        while (smaller >= 0 && !count[smaller]) smaller--;
        while (larger < DIGITS && !count[larger]) larger++;
        int left = count[now] - written;
        label[COPIES][i] = left < MANY ? left : MANY;
        label[SMALLER][i] = smaller < 0 ? DIGITS : smaller;
        label[LARGER][i] = larger;
    }
}

/* ---- probes: one for each token, since the meaning of a head's output depends on the digit just written */

typedef struct {
    Tensor x;             /* (N, 1 + ROWS + width): a constant, the position, and the features of the source */
    const int32_t *token; /* (N) */
} Rows;

static Rows features(Arena *a, const Batch *b, Tensor heads, Source source)
{
    int64_t wide = source == PLACE_ONLY ? 0 : source == COUNTS ? DIGITS : tensor_last(heads), first = b->t - ROWS;
    int32_t *token = NEW(a, int32_t, b->b * ROWS);
    Tensor x = tensor_zero(a, F64, SHAPE(b->b * ROWS, 1 + ROWS + wide));
    for (int64_t r = 0; r < b->b; r++)
        for (int64_t i = 0; i < ROWS; i++) {
            int64_t at = (r * ROWS + i) * tensor_last(x), more = at + 1 + ROWS, row = r * b->t + first + i;
            token[r * ROWS + i] = b->ids[row];
            tensor_set(x, at, 1);
            tensor_set(x, at + 1 + i, 1);
            for (int64_t k = 0; k < wide && source != COUNTS; k++)
                tensor_set(x, more + k, tensor_get(heads, row * wide + k));
            for (int64_t k = 0; k < LENGTH && source == COUNTS; k++) {
                int32_t digit = b->target[r * LENGTH + k];
                tensor_set(x, more + digit, tensor_get(x, more + digit) + 1);
            }
        }
    return (Rows){x, token};
}

static int64_t choose(Arena *a, const Rows *rows, const int32_t *label, int32_t token, int64_t from, int64_t to,
                      Tensor *x, Tensor *y)
{
    int64_t n = 0, p = tensor_last(rows->x);
    for (int64_t i = from; i < to; i++) n += rows->token[i] == token;
    *x = tensor_zero(a, F64, SHAPE(n, p)), *y = tensor_zero(a, F64, SHAPE(n, CLASSES));
    for (int64_t i = from, k = 0; i < to; i++) {
        if (rows->token[i] != token) continue;
        for (int64_t j = 0; j < p; j++) tensor_set(*x, k * p + j, tensor_get(rows->x, i * p + j));
        tensor_set(*y, k++ * CLASSES + label[i], 1);
    }
    return n;
}

static int64_t hits(Tensor x, Tensor y, Tensor w)
{
    int64_t right = 0, p = tensor_last(x);
    for (int64_t i = 0; i < x.dim[0]; i++) {
        double score[CLASSES] = {0};
        int best = 0;
        for (int c = 0; c < CLASSES; c++)
            for (int64_t k = 0; k < p; k++) score[c] += tensor_get(x, i * p + k) * tensor_get(w, k * CLASSES + c);
        for (int c = 1; c < CLASSES; c++)
            if (score[c] > score[best]) best = c;
        right += tensor_get(y, i * CLASSES + best) > 0;
    }
    return right;
}

/* Fits on the first half of the rows, accuracy in % on the second. */
static Status probe(double *accuracy, Arena *a, const Rows *rows, const int32_t *label)
{
    int64_t n = rows->x.dim[0], right = 0, seen = 0;
    for (int32_t token = 0; token < DIGITS; token++) {
        ArenaMark mark = arena_mark(a);
        Tensor x, y, w, x2, y2;
        int64_t fit = choose(a, rows, label, token, 0, n / 2, &x, &y),
                held = choose(a, rows, label, token, n / 2, n, &x2, &y2);
        if (fit && held) {
            TRY(linalg_least_squares(&w, NULL, a, x, y, 1e-8));
            right += hits(x2, y2, w), seen += held;
        }
        arena_drop(a, mark);
    }
    *accuracy = seen ? 100 * (double)right / (double)seen : (double)NAN;
    return OK;
}

static Tensor heads_of(Arena *run, Model *m, Hooks *hooks, const Batch *b, Site site)
{
    Batch whole = {.b = b->b, .t = b->t, .ids = b->ids};
    return observe_one(run, m, hooks, &whole, (Where){site, 0, PART_DECODER});
}

/* ---- the intervention */

typedef struct {
    DigitLayout layout;
    int64_t slots;        /* virtual keys, the first of all */
    Tensor probs, values; /* of the pass under way: (B,1,Q,S), (B,S,C) */
    Tensor mean;          /* (LENGTH,C): the prefix's mean contribution at each output */
    bool collect;         /* add to the mean and change nothing; else put the mean in place of each row's own */
} Bias;

static Var *keep_probs(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    ((Bias *)user)->probs = tensor_copy(tape_arena(p->tape), out->val);
    return out;
}

static Var *keep_values(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    ((Bias *)user)->values = tensor_copy(tape_arena(p->tape), out->val);
    return out;
}

/* alpha g of one row at coordinate k: the model has one head. */
static double contribution(const Bias *x, int64_t b, int64_t row, int64_t k)
{
    double sum = 0;
    int64_t s = x->probs.dim[3], c = tensor_last(x->values);
    for (int64_t j = 0; j < x->slots; j++)
        sum += tensor_get(x->probs, row * s + j) * tensor_get(x->values, (b * s + j) * c + k);
    return sum;
}

static Var *swap_bias(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    Bias *x = user;
    int64_t b = out->val.dim[0], q = out->val.dim[1], c = tensor_last(out->val), t = x->probs.dim[3] - x->slots;
    Tensor y = tensor_copy(tape_arena(p->tape), out->val);
    for (int64_t row = 0; row < b * q; row++) {
        int64_t output = t - q + row % q - (digits_start(x->layout) - 1);
        for (int64_t k = 0; k < c && output >= 0; k++) {
            double own = contribution(x, row / q, row, k), mean = tensor_get(x->mean, output * c + k);
            if (x->collect)
                tensor_set(x->mean, output * c + k, mean + own / (double)b);
            else
                tensor_set(y, row * c + k, tensor_get(y, row * c + k) - own + mean);
        }
    }
    return x->collect ? out : tape_leaf(p->tape, y);
}

static double score_clamped(SweepJob *j, const Batch *b, int64_t slots)
{
    Hooks *hooks = j->hooks;
    int before = hooks_n(hooks);
    DigitMix desc = {{digit_task("desc")}, 1};
    Bias x = {.layout = j->model->layout, .slots = slots, .collect = true};
    x.mean = tensor_zero(j->run, F64, SHAPE(LENGTH, j->m->config.dim));
    hook_observe(hooks, (Where){SITE_VALUES, 0, PART_DECODER}, keep_values, &x);
    hook_observe(hooks, (Where){SITE_PROBS, 0, PART_DECODER}, keep_probs, &x);
    hook_add(hooks, (Where){SITE_HEADS, 0, PART_DECODER}, swap_bias, &x);
    Arena step = arena_open(0);
    model_hidden(j->m, &(Pass){.tape = tape_open(&step, false), .hooks = hooks}, b);
    arena_close(&step);
    x.collect = false;
    DigitScore score;
    lab_score(j->m, hooks, j->model, &desc, &score);
    hooks_clear_from(hooks, before);
    return 100 * score.token;
}

static Status tune(Run *r, SweepJob *j, void *out, void *user)
{
    const Study *s = user;
    Outcome *o = out;
    Arena *run = j->run;
    DigitMix desc = {{digit_task("desc")}, 1};
    TRY(sweep_train(r, j, &o->result));
    Batch b = digits_batch(run, &desc, j->model->layout, s->examples, rng_stream(1, "probes"), 0, false);
    Tensor heads[SOURCES] = {[WITHOUT] = heads_of(run, j->m, hooks_new(run), &b, SITE_HEADS),
                             [WITH] = heads_of(run, j->m, j->hooks, &b, SITE_HEADS)};
    int32_t *label[QUESTIONS];
    for (int k = 0; k < QUESTIONS; k++) label[k] = NEW(run, int32_t, b.b * ROWS);
    for (int64_t i = 0; i < b.b; i++) {
        int32_t row[QUESTIONS][ROWS];
        label_rows(row, b.target + i * LENGTH);
        for (int k = 0; k < QUESTIONS; k++) memcpy(label[k] + i * ROWS, row[k], sizeof row[k]);
    }
    for (int f = 0; f < SOURCES; f++) {
        Rows x = features(run, &b, heads[f], (Source)f);
        for (int k = 0; k < QUESTIONS; k++) TRY(probe(&o->right[k][f], run, &x, label[k]));
    }
    int64_t slots = tensor_at(heads_of(run, j->m, j->hooks, &b, SITE_VALUES), 0).dim[0] - b.t;
    Batch some = digits_batch(run, &desc, j->model->layout, 200, rng_stream(2, "probes"), 0, false);
    o->clamped = score_clamped(j, &some, slots);
    return OK;
}

static const Outcome *seen(const SweepBest *b, int seed)
{
    return (const Outcome *)b->outcome + seed;
}

/* ---- figure, verdict */

static Status draw(Run *r, const SweepBest *best)
{
    Series bar[SOURCES];
    int seeds = run_seeds(r);
    double *right = NEW(run_arena(r), double, QUESTIONS *seeds);
    for (int f = 0; f < SOURCES; f++) {
        for (int k = 0; k < QUESTIONS; k++)
            for (int i = 0; i < seeds; i++) right[k * seeds + i] = seen(best, i)->right[k][f];
        bar[f] = seeds_series(run_arena(r), right, QUESTIONS, seeds, SOURCE_NAME[f]);
    }
    Fig *f = run_figure(r, "probes",
                        str_print(run_arena(r),
                                  "Accuracy of a linear probe on the attention output in descending rows, with the "
                                  "token and position of the row; held-out inputs, mean and range of %d %s.",
                                  seeds, str_plural(seeds, "seed", "seeds")),
                        440, 210);
    fig_bars(f, fig_whole(f), SOURCES, bar, QUESTION_NAME,
             (PlotStyle){.y = {.title = "probe accuracy (%)", .lo = 0, .hi = 100}});
    return fig_close(f);
}

/* The share of the errors of token and position alone that the attention output removes, in one seed and on average.
 * */
static double removed_in(const Outcome *o, Question k, Source f)
{
    return (o->right[k][f] - o->right[k][0]) / (100 - o->right[k][0]);
}

static double removed(const SweepBest *b, int seeds, Question k, Source f)
{
    double sum = 0;
    for (int i = 0; i < seeds; i++) sum += removed_in(seen(b, i), k, f) / seeds;
    return sum;
}

/* Averaging one-hot-like values under any pattern carries counts, so each claim is one about the sorter less the same
 * measurement on a randomly initialised model. */
static void judge(Run *r, const SweepBest best[MODELS])
{
    Arena *a = run_arena(r);
    int seeds = run_seeds(r);
    double *copies = NEW(a, double, seeds), *kept = NEW(a, double, seeds), *order = NEW(a, double, seeds);
    double floor = digits_floors(digit_task("desc"), 50000, 1).position;
    for (int i = 0; i < seeds; i++)
        for (int m = 0; m < MODELS; m++) {
            const Outcome *o = seen(&best[m], i);
            double sign = m == SORTER ? 1 : -1;
            copies[i] += sign * removed_in(o, COPIES, WITHOUT), kept[i] += sign * removed_in(o, COPIES, WITH);
            order[i] += sign * (removed_in(o, LARGER, WITHOUT) - removed_in(o, SMALLER, WITHOUT));
        }
    run_gate(r, "loss of the prefix on descending, against that of ignoring the input (nats)",
             (Claim){LESS_THAN, floor}, RANGE_POSITIVE, sweep_values(a, &best[SORTER], seeds, SWEEP_LOSS));
    run_claim(r, "errors removed on copies left, sorter less random model", (Claim){MORE_THAN, 0}, RANGE_ANY, copies);
    run_claim(r, "the same with the prefix", (Claim){MORE_THAN, 0}, RANGE_ANY, kept);
    run_claim(r, "errors removed on the next larger less the next smaller digit, sorter less random model",
              (Claim){MORE_THAN, 0}, RANGE_ANY, order);
}

static Status run(Run *r)
{
    Study s = {.examples = run_int(r, "examples")};
    for (int m = 0; m < MODELS; m++) {
        LabModel *l = &s.model[m];
        *l = lab_sorter(run_preset(r));
        l->dim = (int)run_int(r, "dim"), l->lr = m == SORTER ? run_real(r, "lr") : 1e-12;
        l->steps = m == SORTER ? run_int(r, "pretrain-steps") : 1, l->test = run_int(r, "test");
    }
    LabArm arm = lab_arm("prefix");
    arm.options = str_print(run_arena(r), "kind=free,init_sd=1,length=%lld", (long long)run_int(r, "length"));
    arm.target = "desc", arm.steps = run_int(r, "steps");
    s.sweep = (Sweep){.arms = MODELS, .tune = tune, .size = sizeof(Outcome), .user = &s};
    for (int m = 0; m < MODELS; m++) {
        arm.name = m == SORTER ? "prefix" : "prefix on a randomly initialised model";
        s.sweep.arm[m] = (SweepArm){arm, &s.model[m], m};
    }
    s.sweep.rates = run_list(r, "rates", s.sweep.scale);
    TRY(lab_pretrain(r, s.model, MODELS));
    SweepBest both[MODELS], best;
    TRY(sweep_run(r, &s.sweep, both));
    sweep_record(r, &s.sweep, both);
    best = both[SORTER];
    int seeds = run_seeds(r);
    double clamped = 0;
    for (int i = 0; i < seeds; i++) {
        for (int k = 0; k < QUESTIONS; k++)
            for (int f = 0; f < SOURCES; f++)
                for (int m = 0; m < MODELS; m++)
                    run_metric(r, RANGE_PERCENT,
                               str_print(run_arena(r), "%s%s, from %s%s (%%)", m == SORTER ? "" : "random model: ",
                                         QUESTION_NAME[k], f ? "token, position " : "", SOURCE_NAME[f]),
                               i, seen(&both[m], i)->right[k][f]);
        double clamped_now = seen(&best, i)->clamped;
        run_metric(r, RANGE_PERCENT, "token accuracy with the prefix's contribution at its mean (%)", i, clamped_now);
        clamped += clamped_now / seeds;
    }
    TRY(draw(r, &best));
    double copies = removed(&best, seeds, COPIES, WITHOUT), smaller = removed(&best, seeds, SMALLER, WITHOUT),
           larger = removed(&best, seeds, LARGER, WITHOUT), kept = removed(&best, seeds, COPIES, WITH);
    run_note(r, "The counts of all digits would remove %.0f, %.0f and %.0f %% with such a probe.",
             100 * removed(&best, seeds, COPIES, COUNTS), 100 * removed(&best, seeds, SMALLER, COUNTS),
             100 * removed(&best, seeds, LARGER, COUNTS));
    run_note(
        r,
        "Token accuracy: %.1f %% with the prefix, %.1f %% with its contribution clamped to the mean of the output "
        "position.",
        sweep_token(&best, seeds), clamped);
    judge(r, both);
    run_conclude(
        r,
        "Of the errors that token and position alone make, the pretrained attention output removes %.0f %% on "
        "copies left (%.0f %% with the prefix), %.0f %% on the next smaller digit (%.0f %%), %.0f %% on the next "
        "larger (%.0f %%); a randomly initialised model's removes %.0f, %.0f and %.0f %%; mean of %d %s.",
        100 * copies, 100 * kept, 100 * smaller, 100 * removed(&best, seeds, SMALLER, WITH), 100 * larger,
        100 * removed(&best, seeds, LARGER, WITH), 100 * removed(&both[RANDOM], seeds, COPIES, WITHOUT),
        100 * removed(&both[RANDOM], seeds, SMALLER, WITHOUT), 100 * removed(&both[RANDOM], seeds, LARGER, WITHOUT),
        seeds, str_plural(seeds, "seed", "seeds"));
    return OK;
}

static const Setting SETTINGS[] = {
    {"length", "free virtual tokens", {"4", "10", "50"}, 1, 512},
    {"examples", "examples for the probes, half of them held out", {"60", "2000", "8000"}, 20, 1e5},
    {"rates", "factors of the usual learning rate, 5e-2", {"1,", "0.5,1,3", "0.2,0.5,1,3,9"}, 1e-6, 1e6},
    {"steps", "steps of tuning", {"10", "1200", "10000"}, 1, 1e7},
    {"pretrain-steps", "steps of ascending pretraining", {"40", "2000", "20000"}, 1, 1e7},
    {"lr", "learning rate of pretraining", {"2e-3", "1.5e-3", "5e-4"}, 1e-7, 1},
    {"dim", "hidden size", {"32", "64", "96"}, 8, 4096},
    {"test", "held-out inputs scored", {"50", "800", "3200"}, 1, 1e6},
    {0}};

static const Experiment MECHANISM = {
    .group = "toy",
    .name = "mechanism",
    .title = "How a prefix uses content through a frozen pattern",
    .claim =
        "Ascending pretraining put into the pattern whether copies of the current digit remain, and the next larger "
        "digit rather than the next smaller: both are read better than off a randomly initialised model.",
    .method = "Linear probes, one for each token, on the attention output of descending rows without and with a "
              "trained prefix, beside the position; the prefix's contribution clamped to its mean.",
    .expect = "The sorter's output removes a larger share of the errors on copies left than a randomly initialised "
              "model's, "
              "with and without the prefix, and exceeds it more on the next larger digit than on the next smaller.",
    .cost = "smoke seconds, quick a minute, paper half an hour",
    .source = "after Petrov, Torr, Bibi (ICLR 2024); probes after Alain and Bengio (2016)",
    .settings = SETTINGS,
    .seeds = {1, 3, 3},
    .run = run};
REGISTER(experiment, MECHANISM)
