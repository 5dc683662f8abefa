/* theory/bayes-prompt: how near to a new prior a prompt brings a predictor.
 *
 * Claim    A sequence model pretrained on coins of unknown bias can be prompted to predict one coin optimally (by a
 *          real-valued prefix, not by hard tokens); none of the prefixes trained here makes it optimal for a
 *          mixture of two coins, while LoRA and tuning of all weights do.
 * Method   Pretrain on coins with bias Beta(1,1).  Tune on the coin .2, and on a fair choice between the coins .2 and
 *          .8: the best of all hard prefixes, a prefix on the simplex of token vectors, in their span, any vector;
 *          free keys and values in every layer, as many and more (at six times the learning rate); the embedding, the
 *          unembedding, both, LoRA, everything.  Cumulative regret (nats) against an oracle that is given the coin,
 *          on fresh sequences, compared with exact Bayes predictors.
 * Expect   Coin: the free prefix reaches the optimum.  Mixture: no prefix does, LoRA and full tuning do.
 * Cost     a second; a minute; half a day (estimated).
 * Source   Genewein et al., "Understanding prompt tuning and in-context learning via meta-learning", NeurIPS 2025.
 *
 * Why.  The pretrained predictor is, in the ideal, p(1 | k ones in n) = (k + 1)/(n + 2): a Bayes mixture.  A prefix
 * with h1 ones of h conditions it to (k + 1 + h1)/(n + 2 + h), and in the limit to any Beta(a, b) prior, which can be
 * as sharp as a single coin; but a Beta density has one peak inside (0,1), so no a and b make two coins of it.  The
 * "best Beta" line is that bound: the least regret over a and b, computed and not trained.  A network's prefix is not
 * bound by it, since the network is no exact conjugate predictor, and closes more of the gap; its regret is measured.
 * Margin: a share of 0.9 of the gap counts as the optimum (`near`), since training leaves a few per cent everywhere.
 * Why the initial weights have size 1/sqrt(width).  A virtual token passes through LayerNorm, so W_Q and W_K bound
 * its logit. Pretraining needs no sharp attention and leaves them small; with GPT-2's .02 six virtual tokens weigh
 * little more than six tokens (--set init=0.1 shows it).  The published network normalises queries and keys instead.
 *
 * Not shown.  Frozen sinusoidal positions, LayerNorm and biases, one learning rate; no recurrent networks. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "num/stats.h"
#include "peft/peft.h"
#include "plot/plot.h"
#include "run/experiment.h"
#include "run/parallel.h"
#include "theory/coins.h"
#include "train/train.h"

enum { BOS = 2, VOCAB = 3, SLOTS = 10 };

/* ---- a model's view of a batch ---- */

/* BOS, `slots` fillers that a prefix replaces, then all tokens except the last. The prefix's end predicts the
 * first. */
static Batch batch_of(Arena *a, Source s, int64_t b, int64_t n, int64_t slots, uint64_t stream, uint64_t first,
                      double *bias)
{
    int64_t t = slots + n;
    int32_t *ids = NEW(a, int32_t, b * t), *target = NEW(a, int32_t, b * t), x[ROOM];
    for (int64_t r = 0; r < b; r++) {
        int32_t *row = ids + r * t, *want = target + r * t;
        double p = coin_draw(x, n, s, stream, first + (uint64_t)r);
        if (bias) bias[r] = p;
        row[0] = BOS;
        for (int64_t i = 0; i < slots; i++) want[i] = -1;
        memcpy(row + 1 + slots, x, sizeof *x * (size_t)(n - 1));
        memcpy(want + slots, x, sizeof *x * (size_t)n);
    }
    return (Batch){.b = b, .t = t, .ids = ids, .target = target};
}

typedef enum { UNTUNED, HARD, SIMPLEX, REAL, SOFT, FREE, WEIGHTS } Kind;
static const struct {
    const char *name;
    Kind kind;
    const char *glob; /* the model's parameters that are trained */
} WAY[] = {{"untuned", UNTUNED, NULL},
           {"hard tokens", HARD, NULL},
           {"simplex prefix", SIMPLEX, ""},
           {"real prefix", REAL, ""},
           {"soft prefix", SOFT, ""},
           {"free prefix", FREE, "peft.*"},
           {"long free prefix", FREE, "peft.*"},
           {"embedding", WEIGHTS, "wte.*"},
           {"unembedding", WEIGHTS, "lm_head.*"},
           {"both", WEIGHTS, "wte.*|lm_head.*"},
           {"LoRA", WEIGHTS, "peft.*"},
           {"full", WEIGHTS, "*"}};
enum {
    WAYS = sizeof WAY / sizeof *WAY,
    FIRST_PREFIX = 1,
    SOFT_PREFIX = 4,
    LONG_PREFIX = 6,
    EMBEDDING = 7,
    BOTH = 9,
    LORA = WAYS - 2,
    FULL = WAYS - 1
};

typedef struct {
    Kind kind;
    int64_t slots;
    Param *p;            /* (P,2) mixture of the two token vectors, or (P,C) */
    Tensor hard, tokens; /* (P,2) one-hot; (2,C) vectors of tokens 0 and 1 */
    Tensor start, place; /* (1+P,C) with BOS's vector first, zero below; (1+P,P) moves virtual token i to row 1 + i */
} Prefix;

static Var *prefix_hook(Pass *pass, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    const Prefix *x = user;
    Tape *t = pass->tape;
    Var *w = x->kind == HARD ? tape_leaf(t, x->hard) : tape_param(t, x->p);
    if (x->kind == SIMPLEX) w = op_softmax(t, w);
    if (x->kind != SOFT) w = op_linear(t, w, tape_leaf(t, x->tokens), IN_OUT, NULL, ACT_NONE);
    Var *rows = op_linear(t, tape_leaf(t, x->place), w, IN_OUT, NULL, ACT_NONE);
    return op_prepend(t, op_add(t, rows, 1, tape_leaf(t, x->start)), out, 1 + x->slots);
}

static Prefix *attach_prefix(Model *m, Hooks *hooks, Kind kind, int64_t slots)
{
    Prefix *x = NEW(m->run, Prefix, 1);
    Tensor table = param_find(m->params, "wte.weight")->val;
    int64_t c = tensor_last(table);
    *x = (Prefix){.kind = kind, .slots = slots, .tokens = tensor_copy(m->run, tensor_rows(table, 0, 2))};
    x->hard = tensor_zero(m->run, F32, SHAPE(slots, 2));
    x->start = tensor_zero(m->run, F32, SHAPE(1 + slots, c));
    x->place = tensor_zero(m->run, F32, SHAPE(1 + slots, slots));
    for (int64_t i = 0; i < c; i++) tensor_set(x->start, i, tensor_get(table, BOS * c + i));
    for (int64_t i = 0; i < slots; i++) tensor_set(x->place, (1 + i) * slots + i, 1);
    if (kind != HARD) {
        Init init = {INIT_NORMAL, kind == SOFT ? m->config.init_sd : 0.1};
        x->p = param_add(m->params, "prompt", init, SHAPE(slots, kind == SOFT ? c : 2));
        x->p->trainable = true;
    }
    hook_add(hooks, (Where){SITE_EMBED, LAYER_EMBED, PART_DECODER}, prefix_hook, x);
    return x;
}

/* ---- training ---- */

static Status open_model(Model **m, Arena *run, Run *r, uint64_t seed)
{
    Config c = {0};
    arch_find("gpt2")->defaults(&c);
    c.vocab = VOCAB, c.positions = ROOM + SLOTS, c.dim = (int)run_int(r, "dim"), c.heads = (int)run_int(r, "heads");
    c.layers = 1, c.hidden = 4 * c.dim, c.tie_head = false, c.dropout = c.attn_dropout = 0;
    c.init_sd = run_real(r, "init") / sqrt(c.dim);
    if (c.dim % c.heads) return err_fail(E_CONFIG, "%d heads do not divide the hidden size %d", c.heads, c.dim);
    TRY(model_open(m, run, &c, F32, seed));
    Tensor at = param_find((*m)->params, "wpe.weight")->val;
    for (int64_t i = 0; i < tensor_count(at); i++) { /* sinusoids of the size of the token vectors */
        double pos = (double)(i / c.dim), k = (double)(i % c.dim / 2) * 2 / c.dim, angle = pos / pow(1e4, k);
        tensor_set(at, i, c.init_sd * (i % 2 ? cos(angle) : sin(angle)));
    }
    return OK;
}

typedef struct {
    const char *phase;
    Source source;
    int64_t steps, batch, length, slots;
    double lr;
} Course;

static Status train(Run *r, Arena *run, Model *m, const Hooks *hooks, Course c, uint64_t seed)
{
    TrainConfig config = train_defaults();
    config.lr = c.lr, config.total = c.steps, config.seed = seed, config.no_dropout = true;
    config.schedule = SCHEDULE_LINEAR;
    params_train(m->params, "wpe.*", false);
    Trainer *tr;
    TRY(trainer_open(&tr, run, m, hooks, &config));
    Arena step = arena_open(0);
    uint64_t data = rng_mix(rng_stream(seed, "coins/train"), c.source);
    while (tr->step < c.steps) {
        if (run_stopped()) return run_interrupted();
        ArenaMark mark = arena_mark(&step);
        StepStats s;
        Batch b = batch_of(&step, c.source, c.batch, c.length, c.slots, data, (uint64_t)(tr->step * c.batch), NULL);
        TRY(trainer_step(tr, &step, &b, &s));
        arena_drop(&step, mark);
        if (tr->step % 20 == 0) run_progress(r, c.phase, tr->step, c.steps, s.loss);
    }
    arena_close(&step);
    return OK;
}

static Status pretrain(Run *r, int i, void *out, void *user)
{
    (void)user;
    uint64_t seed = run_seed(r, i);
    Arena run = arena_open(0);
    Model *m;
    TRY(open_model(&m, &run, r, seed));
    params_train(m->params, "*", true);
    Course c = {"pretraining",
                UNIFORM,
                run_int(r, "pretrain-steps"),
                run_int(r, "pretrain-batch"),
                run_int(r, "pretrain-length"),
                0,
                run_real(r, "pretrain-lr")};
    TRY(train(r, &run, m, NULL, c, seed));
    const char *kept = run_path(r, "model-seed%llu", (unsigned long long)seed);
    TRY(model_save(m, kept));
    TRY(run_leaves(r, kept));
    *(int *)out = 1;
    arena_close(&run);
    return OK;
}

/* ---- regret ---- */

static void model_says(double *logp, Arena *step, Model *m, const Hooks *hooks, Source s, int64_t n, int64_t t,
                       int64_t slots, uint64_t stream)
{
    enum { CHUNK = 64 };
    for (int64_t first = 0; first < n; first += CHUNK) {
        ArenaMark mark = arena_mark(step);
        int64_t b = n - first < CHUNK ? n - first : CHUNK;
        Batch x = batch_of(step, s, b, t, slots, stream, (uint64_t)first, NULL);
        Tensor z = model_logits(m, &(Pass){.tape = tape_open(step, false), .hooks = hooks}, &x)->val;
        for (int64_t i = 0; i < b * t; i++) {
            int64_t at = i / t * x.t + slots + i % t;
            double sum = 0;
            for (int64_t v = 0; v < VOCAB; v++) sum += exp(tensor_get(z, at * VOCAB + v));
            logp[first * t + i] = tensor_get(z, at * VOCAB + x.target[at]) - log(sum);
        }
        arena_drop(step, mark);
    }
}

/* Every hard prefix is tried on tuning sequences; the likeliest stays. */
static void search(Run *r, Arena *step, Model *m, const Hooks *hooks, Prefix *x, Source s, uint64_t stream)
{
    int64_t n = run_int(r, "search"), t = run_int(r, "tune-length");
    double *logp = NEW(step, double, n *t), most = -INFINITY;
    int best = 0;
    for (int code = 0; code <= 1 << x->slots; code++) {
        int use = code < 1 << x->slots ? code : best;
        for (int64_t i = 0; i < 2 * x->slots; i++) tensor_set(x->hard, i, (use >> i / 2 & 1) == i % 2);
        if (code == 1 << x->slots) return;
        model_says(logp, step, m, hooks, s, n, t, x->slots, stream);
        double sum = 0;
        for (int64_t i = 0; i < n * t; i++) sum += logp[i];
        if (sum > most) most = sum, best = code;
    }
}

static Status attach(Run *r, Model *m, Hooks *hooks, int way, Prefix **prefix)
{
    *prefix = NULL;
    if (WAY[way].kind >= HARD && WAY[way].kind <= SOFT)
        *prefix = attach_prefix(m, hooks, WAY[way].kind, run_int(r, "slots"));
    if (WAY[way].kind == FREE) {
        const Peft *free = peft_find("prefix");
        PeftConfig c = {0};
        int64_t length = run_int(r, way == LONG_PREFIX ? "long" : "slots");
        free->defaults(&c, &m->config);
        TRY(peft_set(&c, m->run, str_print(m->run, "kind=free,init_sd=1,length=%lld", (long long)length)));
        TRY(peft_attach(free, m, hooks, &c));
    }
    if (way == LORA) {
        const Peft *lora = peft_find("lora");
        PeftConfig c = {0};
        lora->defaults(&c, &m->config);
        c.rank = (int)run_int(r, "rank"), c.alpha = c.rank, c.target = "*";
        TRY(peft_attach(lora, m, hooks, &c));
    }
    if (WAY[way].kind == WEIGHTS) params_train(m->params, WAY[way].glob, true);
    return OK;
}

static uint64_t test_stream(uint64_t seed, Source s)
{
    return rng_mix(rng_stream(seed, "coins/test"), s);
}

/* Job (target, way, seed). */
static Status tune(Run *r, int i, void *out, void *user)
{
    (void)user;
    int seeds = run_seeds(r), way = i / seeds % WAYS;
    Source target = i / seeds / WAYS ? MIXTURE : COIN;
    uint64_t seed = run_seed(r, i % seeds);
    Arena run = arena_open(0), step = arena_open(0);
    Model *m;
    TRY(model_load(&m, &run, run_path(r, "model-seed%llu", (unsigned long long)seed)));
    Hooks *hooks = hooks_new(&run);
    Prefix *prefix;
    TRY(attach(r, m, hooks, way, &prefix));
    Course c = {WAY[way].name,
                target,
                run_int(r, "tune-steps"),
                run_int(r, "tune-batch"),
                run_int(r, "tune-length"),
                prefix ? prefix->slots : 0,
                run_real(r, "lr") * (WAY[way].kind == FREE ? run_real(r, "free-rate") : 1)};
    if (WAY[way].glob) TRY(train(r, &run, m, hooks, c, seed));
    if (WAY[way].kind == HARD) search(r, &step, m, hooks, prefix, target, rng_stream(seed, "coins/search"));
    int64_t n = run_int(r, "test"), t = run_int(r, "test-length");
    double *logp = NEW(&run, double, n *t);
    model_says(logp, &step, m, hooks, target, n, t, c.slots, test_stream(seed, target));
    coin_settle(out, &run, logp, target, n, t, test_stream(seed, target));
    arena_close(&step);
    arena_close(&run);
    return OK;
}

/* ---- the Bayes predictors ---- */

typedef enum { BAYES, LAPLACE, BETA, BASES } Base;
static const char *const BASE_NAME[BASES] = {"Bayes, given the target", "Bayes, as pretrained", "best Beta prior"};

static void exact(Regret *out, Arena *a, Base base, Source s, Beta beta, int64_t n, int64_t t, uint64_t stream)
{
    ArenaMark mark = arena_mark(a);
    double *logp = NEW(a, double, n *t);
    int32_t x[ROOM];
    for (int64_t i = 0; i < n; i++) {
        coin_draw(x, t, s, stream, (uint64_t)i);
        if (base == BAYES)
            coin_pair(logp + i * t, x, t, s == COIN ? 1 : 0.5);
        else
            coin_beta(logp + i * t, x, t, base == BETA ? beta.a : 1, base == BETA ? beta.b : 1);
    }
    coin_settle(out, a, logp, s, n, t, stream);
    arena_drop(a, mark);
}

/* ---- the results ---- */

static const char *const TARGET[] = {"one coin", "two coins"};

static double mean_at(const Regret *x, int seeds, int64_t after)
{
    double sum = 0;
    for (int i = 0; i < seeds; i++) sum += (double)x[i].mean[after - 1] / seeds;
    return sum;
}

static Series curve(Arena *a, const Regret *x, int seeds, int64_t t, const char *label)
{
    Series s = {.y = tensor_zero(a, F64, SHAPE(t)), .lo = tensor_zero(a, F64, SHAPE(t)), .label = label};
    s.hi = tensor_zero(a, F64, SHAPE(t)), s.x = tensor_zero(a, F64, SHAPE(t));
    for (int64_t k = 0; k < t; k++) {
        double sum[3] = {0};
        for (int i = 0; i < seeds; i++)
            sum[0] += (double)x[i].mean[k], sum[1] += (double)x[i].lo[k], sum[2] += (double)x[i].hi[k];
        tensor_set(s.x, k, (double)(k + 1)), tensor_set(s.y, k, sum[0] / seeds);
        tensor_set(s.lo, k, sum[1] / seeds), tensor_set(s.hi, k, sum[2] / seeds);
    }
    return s;
}

typedef struct {
    const Regret *tuned[2], *exact[2]; /* per target: (WAYS, seeds); (BASES, seeds) */
} Found;

static Status draw_curves(Run *r, const Found *found)
{
    enum { SHOWN = 3 };
    static const int shown[SHOWN] = {FIRST_PREFIX, SOFT_PREFIX, LORA};
    Arena *a = run_arena(r);
    int seeds = run_seeds(r);
    int64_t t = run_int(r, "test-length");
    Fig *f =
        run_figure(r, "regret",
                   str_print(a,
                             "Cumulative regret against the oracle: mean over sequences, band the middle half of "
                             "them, averaged over %d %s. Methods were tuned on the first %lld tokens. Dashed: "
                             "exact predictors.",
                             seeds, str_plural(seeds, "seed", "seeds"), (long long)run_int(r, "tune-length")),
                   500, 210);
    for (int g = 0; g < 2; g++) {
        Series line[SHOWN + BASES];
        for (int k = 0; k < SHOWN; k++)
            line[k] = curve(a, found->tuned[g] + shown[k] * seeds, seeds, t, WAY[shown[k]].name);
        for (int b = 0; b < BASES; b++) {
            Series s = curve(a, found->exact[g] + b * seeds, seeds, t, BASE_NAME[b]);
            line[SHOWN + b] = (Series){.x = s.x, .y = s.y, .label = s.label, .dashed = true};
        }
        fig_lines(f, fig_cell(f, 1, 2, g), SHOWN + BASES, line,
                  (PlotStyle){.title = TARGET[g],
                              .letter = g ? "b" : "a",
                              .x = {.title = "tokens seen"},
                              .y = {.title = "cumulative regret (nats)"}});
    }
    return fig_close(f);
}

static Status draw_bars(Run *r, const Found *found)
{
    Arena *a = run_arena(r);
    int seeds = run_seeds(r), n = WAYS + 2;
    int64_t after[2] = {run_int(r, "tune-length"), run_int(r, "test-length")};
    const char *label[WAYS + 2];
    Fig *f =
        run_figure(r, "methods",
                   str_print(a,
                             "Mean cumulative regret after %lld (tuned on) and %lld tokens, mean and range of %d "
                             "seeds. The two groups at the right are exact; none can do better than the last.",
                             (long long)after[0], (long long)after[1], seeds),
                   500, 230);
    for (int g = 0; g < 2; g++) {
        Series bar[2];
        for (int s = 0; s < 2; s++) {
            bar[s] = (Series){.label = str_print(a, "after %lld", (long long)after[s])};
            bar[s].y = tensor_new(a, F64, SHAPE(n)), bar[s].lo = tensor_new(a, F64, SHAPE(n));
            bar[s].hi = tensor_new(a, F64, SHAPE(n));
            for (int k = 0; k < n; k++) {
                const Regret *x = k < WAYS    ? found->tuned[g] + k * seeds
                                  : k == WAYS ? found->exact[g] + BETA * seeds
                                              : found->exact[g] + BAYES * seeds;
                double least = INFINITY, most = -INFINITY;
                for (int i = 0; i < seeds; i++) {
                    double y = (double)x[i].mean[after[s] - 1];
                    least = fmin(least, y), most = fmax(most, y);
                }
                label[k] = k < WAYS ? WAY[k].name : k == WAYS ? "best Beta" : "Bayes";
                tensor_set(bar[s].y, k, mean_at(x, seeds, after[s]));
                tensor_set(bar[s].lo, k, least), tensor_set(bar[s].hi, k, most);
            }
        }
        fig_bars(f, fig_cell(f, 1, 2, g), 2, bar, label,
                 (PlotStyle){.title = TARGET[g], .letter = g ? "b" : "a", .y = {.title = "regret (nats)"}});
    }
    return fig_close(f);
}

static void record(Run *r, const Found *found, int64_t after)
{
    Arena *a = run_arena(r);
    int seeds = run_seeds(r);
    for (int g = 0; g < 2; g++)
        for (int k = 0; k < WAYS + BASES; k++) {
            const Regret *x = k < WAYS ? found->tuned[g] + k * seeds : found->exact[g] + (k - WAYS) * seeds;
            const char *name = k < WAYS ? WAY[k].name : BASE_NAME[k - WAYS];
            for (int i = 0; i < seeds; i++)
                run_metric(r, RANGE_POSITIVE,
                           str_print(a, "%s: %s, regret after %lld", TARGET[g], name, (long long)after), i,
                           (double)x[i].mean[after - 1]);
        }
}

/* The share of the way from the untuned model to the exact optimum, after the tuning length. */
static double closed(const Found *f, int target, int way, int seeds, int64_t after)
{
    double from = mean_at(f->tuned[target] + UNTUNED * seeds, seeds, after),
           to = mean_at(f->exact[target] + BAYES * seeds, seeds, after);
    return (from - mean_at(f->tuned[target] + way * seeds, seeds, after)) / (from - to);
}

/* The same seed by seed. */
static const double *closed_by(Run *r, const Found *f, int target, int way, int64_t after)
{
    double *v = NEW(run_arena(r), double, run_seeds(r));
    for (int i = 0; i < run_seeds(r); i++) {
        double from = (double)f->tuned[target][UNTUNED * run_seeds(r) + i].mean[after - 1],
               to = (double)f->exact[target][BAYES * run_seeds(r) + i].mean[after - 1];
        v[i] = (from - (double)f->tuned[target][way * run_seeds(r) + i].mean[after - 1]) / (from - to);
    }
    return v;
}

/* Of the prefixes the one that closes most on the test sequences stands for them all, which makes it harder to find
 * that none gets there. */
static void judge(Run *r, const Found *f, int64_t after)
{
    int seeds = run_seeds(r), best = FIRST_PREFIX;
    for (int k = FIRST_PREFIX; k <= LONG_PREFIX; k++)
        if (closed(f, 1, k, seeds, after) > closed(f, 1, best, seeds, after)) best = k;
    double *untuned = NEW(run_arena(r), double, seeds), *gain = NEW(run_arena(r), double, seeds),
           near = run_real(r, "near");
    const double *hard = closed_by(r, f, 0, FIRST_PREFIX, after), *soft = closed_by(r, f, 0, SOFT_PREFIX, after);
    for (int i = 0; i < seeds; i++) {
        untuned[i] = (double)(f->tuned[0][i].mean[after - 1] / f->exact[0][LAPLACE * seeds + i].mean[after - 1]);
        gain[i] = soft[i] - hard[i];
    }
    run_gate(r, "one coin: regret of the untuned model over that of the Bayes predictor as pretrained",
             (Claim){LESS_THAN, 1.5}, RANGE_POSITIVE, untuned);
    run_claim(r, "one coin: share of the regret above the optimum that the soft prefix removes",
              (Claim){MORE_THAN, near}, RANGE_ANY, soft);
    run_claim(r, "one coin: the same less that of the best hard prefix", (Claim){MORE_THAN, 0}, RANGE_ANY, gain);
    run_claim(r, str_print(run_arena(r), "two coins: share that the best prefix removes (%s)", WAY[best].name),
              (Claim){LESS_THAN, near}, RANGE_ANY, closed_by(r, f, 1, best, after));
    for (int k = LORA; k <= FULL; k++)
        run_claim(r, str_print(run_arena(r), "two coins: share that %s removes", k == LORA ? "LoRA" : "full tuning"),
                  (Claim){MORE_THAN, near}, RANGE_ANY, closed_by(r, f, 1, k, after));
    const Regret *beta = f->exact[1] + BETA * seeds, *bayes = f->exact[1] + BAYES * seeds;
    double gap = mean_at(f->tuned[1], seeds, after) - mean_at(bayes, seeds, after);
    Buf two = buf_open(run_arena(r));
    for (int k = FIRST_PREFIX; k < WAYS; k++)
        buf_print(&two, "%s%s %.0f %%", k > FIRST_PREFIX ? ", " : "", WAY[k].name,
                  100 * closed(f, 1, k, seeds, after));
    run_conclude(
        r,
        "Of the regret after %lld tokens that lies between the pretrained model and the optimum, one coin: the "
        "soft prefix removes %.0f %%, the best hard prefix %.0f %%; two coins: %s (mean of %d %s; at least %.0f "
        "%% counts as reaching it). The best Beta prior, which no prefix is bound by, would remove %.0f %%.",
        (long long)after, 100 * closed(f, 0, SOFT_PREFIX, seeds, after),
        100 * closed(f, 0, FIRST_PREFIX, seeds, after), two.text, seeds, str_plural(seeds, "seed", "seeds"),
        100 * near, 100 * (mean_at(f->tuned[1], seeds, after) - mean_at(beta, seeds, after)) / gap);
}

static Status run(Run *r)
{
    Arena *a = run_arena(r);
    int seeds = run_seeds(r);
    int64_t t = run_int(r, "test-length"), n = run_int(r, "test"), after = run_int(r, "tune-length");
    if (after > t)
        return err_fail(E_CONFIG, "tune-length %lld exceeds test-length %lld", (long long)after, (long long)t);
    TRY(run_parallel(r, seeds, sizeof(int), pretrain, NULL, NEW(a, int, seeds)));
    Regret *all = NEW(a, Regret, 2 * WAYS * seeds), *exactly = NEW(a, Regret, 2 * BASES * seeds);
    TRY(run_parallel(r, 2 * WAYS * seeds, sizeof *all, tune, NULL, all));
    Found found = {{all, all + WAYS * seeds}, {exactly, exactly + BASES * seeds}};
    for (int g = 0; g < 2; g++) {
        Source s = g ? MIXTURE : COIN;
        Beta beta = coin_best_beta(s, after);
        for (int b = 0; b < BASES * seeds; b++)
            exact(exactly + g * BASES * seeds + b, a, (Base)(b / seeds), s, beta, n, t,
                  test_stream(run_seed(r, b % seeds), s));
        run_note(r, "%s: the best Beta prior for %lld tokens has a = %.3g, b = %.3g (grid 1/16 to 4096).", TARGET[g],
                 (long long)after, beta.a, beta.b);
    }
    record(r, &found, after);
    if (t > after) record(r, &found, t);
    TRY(draw_curves(r, &found));
    TRY(draw_bars(r, &found));
    run_note(r,
             "Past the pretraining length of %lld the network extrapolates. Not tested: other learning rates, longer "
             "prefixes, "
             "untrained and recurrent networks.",
             (long long)run_int(r, "pretrain-length"));
    judge(r, &found, after);
    return OK;
}

static const Setting SETTINGS[] = {
    {"dim", "hidden size", {"16", "32", "128"}, 4, 1024},
    {"heads", "attention heads", {"4", "4", "4"}, 1, 64},
    {"init", "standard deviation of the initial weights, times 1/sqrt(width)", {"1.0", "1.0", "1.0"}, 1e-3, 100},
    {"pretrain-steps", "steps of pretraining", {"40", "600", "1000"}, 1, 1e6},
    {"pretrain-batch", "sequences a step in pretraining", {"16", "48", "256"}, 1, 65536},
    {"pretrain-length", "tokens of a pretraining sequence", {"40", "100", "100"}, 2, ROOM - 2},
    {"pretrain-lr", "learning rate of pretraining", {"5e-3", "3e-3", "1e-3"}, 1e-7, 1},
    {"tune-steps", "steps of tuning", {"30", "700", "1000"}, 1, 1e6},
    {"tune-batch", "sequences a step in tuning", {"16", "32", "256"}, 1, 65536},
    {"tune-length", "tokens of a tuning sequence", {"20", "50", "50"}, 2, ROOM - 2},
    {"lr", "learning rate of every tuning", {"5e-3", "5e-3", "5e-3"}, 1e-7, 1},
    {"slots", "virtual tokens of a prefix", {"3", "6", "6"}, 1, SLOTS},
    {"long", "virtual tokens of the long free prefix", {"6", "50", "50"}, 1, 512},
    {"free-rate", "factor on the learning rate of free keys and values", {"6.0", NULL, NULL}, 1e-3, 1e3},
    {"rank", "rank of LoRA", {"4", "4", "4"}, 1, 64},
    {"search", "sequences on which hard prefixes are compared", {"32", "128", "512"}, 1, 65536},
    {"test", "sequences scored", {"64", "512", "2048"}, 2, 65536},
    {"test-length", "tokens of a scored sequence", {"40", "200", "200"}, 2, ROOM - 2},
    {"near", "share of the regret to remove that counts as reaching the optimum", {"0.9", "0.9", "0.9"}, 0, 1},
    {0}};

static const Experiment BAYES_PROMPT = {
    .group = "theory",
    .name = "bayes-prompt",
    .title = "How near to a new prior a prompt brings a predictor",
    .claim =
        "A predictor pretrained on coins of unknown bias can be prompted to the optimum for one coin by a "
        "real-valued prefix, but for a mixture of two coins by none of the trained prefixes; LoRA and full tuning "
        "reach both.",
    .method = "Pretrain on coins with a uniform bias; tune hard, simplex, real, soft and free prefixes, embedding, "
              "unembedding, LoRA and all weights; cumulative regret beside exact Bayes predictors.",
    .expect =
        "One coin: soft prefix at the optimum, hard tokens not. Two coins: all prefixes above it, LoRA and full "
        "tuning at it.",
    .cost = "smoke a second, quick a minute, paper half a day (estimated)",
    .source = "Genewein et al. (NeurIPS 2025)",
    .settings = SETTINGS,
    .seeds = {1, 3, 10},
    .run = run};
REGISTER(experiment, BAYES_PROMPT)
