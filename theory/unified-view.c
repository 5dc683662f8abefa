/* theory/unified-view: a prefix is a gated parallel adapter with a softmax in it.
 *
 * Claim    A head with a prefix computes (1 - l(x)) Attn(x) + l(x) softmax(x W_q P_k') P_v.  So prefix-tuning and
 *          adapters differ along four axes only: function form, modified representation, insertion, composition.
 * Method   Identity: the library's prefix on random two-layer transformers against an adapter written by hand from
 *          W_1 = W_q P_k', W_2 = P_v and the gate l, F64 and F32, logits compared.  Walk: one frozen layer, a target
 *          layer with other weights, and at one parameter count every design from the prefix to a scaled parallel
 *          adapter on the feed-forward, one axis at a time; fitted error on new inputs.
 * Expect   Identity to rounding.  The walk is a measurement. Published experiments on language tasks find the
 *          feed-forward the better place and a scaled parallel adapter the best of single methods.
 * Cost     a second; half a minute; ten minutes.
 * Source   He, Zhou, Ma, Berg-Kirkpatrick and Neubig, "Towards a unified view of parameter-efficient transfer
 *          learning", ICLR 2022.
 *
 * Identity  Let Z_p and Z_c be the sums of exponentials over prefix and content, l = Z_p/(Z_p + Z_c).  The head is
 *           (N_c + N_p)/(Z_c + Z_p) = (1 - l) N_c/Z_c + l N_p/Z_p, and N_p/Z_p is a softmax over the virtual tokens'
 *           logits x W_q P_k' times P_v: a bottleneck of width n_S whose non-linearity is softmax.  Every head has
 *           its l.
 * Not shown  The axes on trained models; several heads, where a prefix has one bottleneck per head. */
#include <math.h>

#include "base/rng.h"
#include "base/str.h"
#include "peft/peft.h"
#include "plot/plot.h"
#include "run/experiment.h"
#include "theory/dense.h"
#include "theory/fit.h"

/* ---- the identity, on the library's transformers ---- */

enum { LAYERS = 2, WIDTH = 32, HEADS = 4, HEAD = WIDTH / HEADS, SLOTS = 6, ROWS = 8, TOKENS = 10, VOCAB = 16 };

typedef struct {                                      /* the adapter of one layer, from the prefix's parameters */
    double w1[HEADS][SLOTS][WIDTH], c1[HEADS][SLOTS]; /* x W_1 + c_1: W_q and its bias, times the prefix's keys */
    Tensor w2;                                        /* (SLOTS,WIDTH): the prefix's values */
    Var *x, *k;                                       /* of the pass: the projections' input, and the content keys */
} Gated;

static void build_adapter(Gated *g, const Model *m, int layer, Tensor keys, Tensor values)
{
    const Linear *q = model_linear(m, (Where){SITE_Q, layer, PART_DECODER});
    int64_t all = tensor_last(q->w->val); /* GPT-2 stores (in,out) with the three projections side by side */
    g->w2 = values;
    for (int h = 0; h < HEADS; h++)
        for (int p = 0; p < SLOTS; p++) {
            g->c1[h][p] = 0;
            for (int j = 0; j < WIDTH; j++) g->w1[h][p][j] = 0;
            for (int c = h * HEAD; c < (h + 1) * HEAD; c++) {
                double key = tensor_get(keys, p * WIDTH + c) / sqrt(HEAD);
                g->c1[h][p] += key * tensor_get(q->b->val, q->first + c);
                for (int j = 0; j < WIDTH; j++) g->w1[h][p][j] += key * tensor_get(q->w->val, j * all + q->first + c);
            }
        }
}

static Var *see_input(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)p, (void)at;
    ((Gated *)user)->x = in;
    return out;
}

static Var *see_keys(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)p, (void)at, (void)in;
    ((Gated *)user)->k = out;
    return out;
}

/* Sum of exp over the content that position i of a row sees, one head. */
static double content_mass(const Gated *g, Tensor q, int64_t row, int64_t i, int h)
{
    double sum = 0;
    for (int64_t j = 0; j <= i; j++) {
        double s = 0;
        for (int64_t c = h * HEAD; c < (h + 1) * HEAD; c++)
            s +=
                tensor_get(q, (row * TOKENS + i) * WIDTH + c) * tensor_get(g->k->val, (row * TOKENS + j) * WIDTH + c);
        sum += exp(s / sqrt(HEAD));
    }
    return sum;
}

/* The adapter: h becomes (1 - l) h + l softmax(x W_1 + c_1) W_2, head by head. */
static Var *adapt(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at;
    const Gated *g = user;
    Tensor y = tensor_new(tape_arena(p->tape), out->val.dtype, 3, out->val.dim);
    for (int64_t r = 0; r < ROWS * TOKENS; r++)
        for (int h = 0; h < HEADS; h++) {
            double e[SLOTS], mass = 0;
            for (int s = 0; s < SLOTS; s++) {
                double z = g->c1[h][s];
                for (int j = 0; j < WIDTH; j++) z += tensor_get(g->x->val, r * WIDTH + j) * g->w1[h][s][j];
                mass += e[s] = exp(z);
            }
            double gate = mass / (mass + content_mass(g, in->val, r / TOKENS, r % TOKENS, h));
            for (int64_t c = h * HEAD; c < (h + 1) * HEAD; c++) {
                double f = 0;
                for (int s = 0; s < SLOTS; s++) f += e[s] / mass * tensor_get(g->w2, s * WIDTH + c);
                tensor_set(y, r * WIDTH + c, (1 - gate) * tensor_get(out->val, r * WIDTH + c) + gate * f);
            }
        }
    return tape_leaf(p->tape, y);
}

/* Largest difference of logits over the largest logit: library prefix against adapter; *effect: against none. */
static Status identity(double *gap, double *effect, DType type, uint64_t seed)
{
    Arena a = arena_open(0);
    Config c = {0};
    arch_find("gpt2")->defaults(&c);
    c.vocab = VOCAB, c.positions = TOKENS, c.dim = WIDTH, c.heads = HEADS, c.layers = LAYERS, c.hidden = 2 * WIDTH;
    c.dropout = c.attn_dropout = 0, c.init_sd = 0.15;
    Model *m;
    TRY(model_open(&m, &a, &c, type, seed));
    int32_t ids[ROWS * TOKENS];
    for (int i = 0; i < ROWS * TOKENS; i++)
        ids[i] = (int32_t)rng_below(rng_stream(seed, "tokens"), (uint64_t)i, VOCAB);
    Batch batch = {.b = ROWS, .t = TOKENS, .ids = ids};
    const Peft *prefix = peft_find("prefix");
    PeftConfig cfg = {0};
    prefix->defaults(&cfg, &m->config);
    cfg.length = SLOTS, cfg.init_sd = 1.5;
    Hooks *with = hooks_new(&a), *by_hand = hooks_new(&a);
    TRY(peft_attach(prefix, m, with, &cfg));
    Gated *g = NEW(&a, Gated, LAYERS);
    for (int l = 0; l < LAYERS; l++) {
        const char *name = str_print(&a, "peft.prefix.decoder.layer.%d", l);
        build_adapter(&g[l], m, l, param_find(m->params, str_print(&a, "%s.keys", name))->val,
                      param_find(m->params, str_print(&a, "%s.values", name))->val);
        hook_add(by_hand, (Where){SITE_Q, l, PART_DECODER}, see_input, &g[l]);
        hook_add(by_hand, (Where){SITE_KEYS, l, PART_DECODER}, see_keys, &g[l]);
        hook_add(by_hand, (Where){SITE_HEADS, l, PART_DECODER}, adapt, &g[l]);
    }
    Tensor y[3];
    Hooks *const hooks[] = {with, by_hand, NULL};
    for (int i = 0; i < 3; i++)
        y[i] = model_logits(m, &(Pass){.tape = tape_open(&a, false), .hooks = hooks[i]}, &batch)->val;
    double most = dense_gap(y[0], tensor_zero(&a, type, 3, y[0].dim));
    *gap = dense_gap(y[0], y[1]) / most, *effect = dense_gap(y[0], y[2]) / most;
    arena_close(&a);
    return OK;
}

/* ---- the walk: one frozen layer, one head ---- */

enum { DIM = 16, LENGTH = 8, FFN = 2 * DIM };

enum { Q, K, V, O, UP, DOWN, MATRICES };
typedef struct {
    Tensor w[MATRICES]; /* (out,in) each */
} Layer;

typedef enum { SOFTMAX, RELU } Form;
typedef enum { GATED, ADD } Composition;
typedef enum { HEADS_OUT, FFN_OUT } Place;
typedef struct {
    const char *name;
    Form form;
    Composition composition;
    Place place;
    bool sequential, from_x; /* from_x: W_1 is free instead of passing through W_q */
    double scale;
    double share; /* of the parameters; the rest is a prefix beside it */
} Design;
static const Design DESIGN[] = {
    {"prefix", SOFTMAX, GATED, HEADS_OUT, false, false, 1, 1},
    {"ReLU", RELU, GATED, HEADS_OUT, false, false, 1, 1},
    {"no gate", SOFTMAX, ADD, HEADS_OUT, false, false, 1, 1},
    {"ReLU, no gate", RELU, ADD, HEADS_OUT, false, false, 1, 1},
    {"from x", RELU, ADD, HEADS_OUT, false, true, 1, 1},
    {"scaled", RELU, ADD, HEADS_OUT, false, true, 4, 1},
    {"sequential", RELU, ADD, HEADS_OUT, true, true, 1, 1},
    {"FFN", RELU, ADD, FFN_OUT, false, true, 1, 1},
    {"FFN, scaled", RELU, ADD, FFN_OUT, false, true, 4, 1},
    {"FFN, seq.", RELU, ADD, FFN_OUT, true, true, 1, 1},
    {"prefix + FFN", RELU, ADD, FFN_OUT, false, true, 4, 0.75},
};
enum { DESIGNS = sizeof DESIGN / sizeof *DESIGN };

typedef struct {
    Param *keys, *values; /* of a prefix, or P_k and P_v of its relatives */
    Param *down, *up;     /* of an adapter */
} Numbers;

static Layer random_layer(Arena *a, uint64_t stream)
{
    Layer l;
    for (int i = 0; i < MATRICES; i++)
        l.w[i] =
            dense_normal(a, i == UP ? FFN : DIM, i == DOWN ? FFN : DIM, 1 / sqrt(DIM), rng_mix(stream, (uint64_t)i));
    return l;
}

/* The layer turned towards another: cos and sin keep the size of the weights. */
static Layer turned(Arena *a, const Layer *l, const Layer *other, double angle)
{
    Layer t;
    for (int i = 0; i < MATRICES; i++)
        t.w[i] = dense_sum(a, dense_sum(a, l->w[i], cos(angle) - 1, l->w[i]), sin(angle), other->w[i]);
    return t;
}

static Var *map(Tape *t, Var *x, Tensor w)
{
    return op_linear(t, x, tape_leaf(t, w), OUT_IN, NULL, ACT_NONE);
}

/* softmax or ReLU of x P_k'/sqrt(d), times P_v */
static Var *bottleneck(Tape *t, Form form, Var *x, Param *pk, Param *pv)
{
    Var *z = op_scale(t, op_linear(t, x, tape_param(t, pk), OUT_IN, NULL, ACT_NONE), 1 / sqrt(DIM));
    Var *f = form == SOFTMAX ? op_softmax(t, z) : op_act(t, ACT_RELU, z);
    return op_linear(t, f, tape_param(t, pv), IN_OUT, NULL, ACT_NONE);
}

static Var *constant(Tape *t, int64_t rows, double value)
{
    Tensor c = tensor_new(tape_arena(t), F64, SHAPE(rows, DIM));
    tensor_fill(c, value);
    return tape_leaf(t, c);
}

/* (1 - l) Attn + l f, the gate l taken from the same keys; heads are replaced by `f` where the design says so. */
static Var *gated(Tape *t, Form form, Var *q, Var *k, Var *v, Param *pk, Param *pv)
{
    int64_t n = pk->val.dim[0];
    Attn attn = {.heads = 1, .head_dim = DIM, .scale = 1 / sqrt(DIM), .causal = true, .prefix = n};
    Var *keys = op_prepend(t, tape_param(t, pk), k, 0), *zero = op_scale(t, v, 0);
    Var *content = op_attend(t, q, keys, op_prepend(t, constant(t, n, 0), v, 0), NULL, attn);
    Var *gate = op_attend(t, q, keys, op_prepend(t, constant(t, n, 1), zero, 0), NULL, attn);
    return op_add(t, content, 1, op_mul(t, gate, bottleneck(t, form, q, pk, pv)));
}

static Var *heads(Tape *t, const Layer *l, const Design *d, const Numbers *n, Var *x)
{
    Var *q = map(t, x, l->w[Q]), *k = map(t, x, l->w[K]), *v = map(t, x, l->w[V]);
    if (n->keys && d->composition == GATED) return gated(t, d->form, q, k, v, n->keys, n->values);
    if (n->keys && d->place == FFN_OUT) return gated(t, SOFTMAX, q, k, v, n->keys, n->values); /* beside it */
    Attn attn = {.heads = 1, .head_dim = DIM, .scale = 1 / sqrt(DIM), .causal = true};
    Var *h = op_attend(t, q, k, v, NULL, attn);
    if (n->keys) return op_add(t, h, d->scale, bottleneck(t, d->form, q, n->keys, n->values));
    if (n->down && d->place == HEADS_OUT)
        return op_add(t, h, d->scale, bottleneck(t, d->form, d->sequential ? h : x, n->down, n->up));
    return h;
}

/* The layer's output; parameters NULL: as it is. */
static Var *forward(Tape *t, const Layer *l, const Design *d, const Numbers *n, Tensor input)
{
    Var *x = tape_leaf(t, input), *y = op_add(t, x, 1, map(t, heads(t, l, d, n, x), l->w[O]));
    Var *f = map(t, op_act(t, ACT_RELU, map(t, y, l->w[UP])), l->w[DOWN]);
    if (n->down && d->place == FFN_OUT)
        f = op_add(t, f, d->scale, bottleneck(t, d->form, d->sequential ? f : y, n->down, n->up));
    return op_add(t, y, 1, f);
}

typedef struct {
    Layer frozen, target;
    const Design *design;
    Numbers numbers;
    uint64_t data;
    int64_t batch;
} Task;

static Var *distance(Tape *t, int64_t step, void *user)
{
    const Task *k = user;
    Tensor x =
        tensor_reshape(dense_normal(tape_arena(t), k->batch * LENGTH, DIM, 1, rng_mix(k->data, (uint64_t)step)),
                       SHAPE(k->batch, LENGTH, DIM));
    Tensor y = forward(tape_open(tape_arena(t), false), &k->target, &DESIGN[0], &(Numbers){0}, x)->val;
    return op_mse(t, forward(t, &k->frozen, k->design, &k->numbers, x), y);
}

/* 2 n DIM parameters in all, whatever the design.  Second matrices start at zero, but a prefix's values: zero values
 * would not make it the identity. */
static void add_numbers(Task *k, ParamSet *ps, int n)
{
    const Design *d = k->design;
    int own = (int)lround(n * d->share), beside = n - own;
    bool through_q = !d->from_x;
    Init start = {INIT_NORMAL, 1}, second = {d->composition == GATED ? INIT_NORMAL : INIT_ZERO, 0.1};
    Param **first = through_q ? &k->numbers.keys : &k->numbers.down,
          **other = through_q ? &k->numbers.values : &k->numbers.up;
    *first = fit_param(ps, "first", start, SHAPE(own, DIM));
    *other = fit_param(ps, "second", second, SHAPE(own, DIM));
    if (!beside) return;
    k->numbers.keys = fit_param(ps, "prefix keys", start, SHAPE(beside, DIM));
    k->numbers.values = fit_param(ps, "prefix values", (Init){INIT_NORMAL, 0.1}, SHAPE(beside, DIM));
}

/* Job (seed, design): error on new inputs over that of the frozen layer, at the rate that did best on others. */
static Status walk(Run *r, int i, void *out, void *user)
{
    (void)user;
    double *error = out, lr[RUN_LIST], best = INFINITY;
    int rates = run_list(r, "lr", lr);
    uint64_t seed = run_seed(r, i / DESIGNS), stream = rng_stream(seed, "walk");
    *error = NAN;
    for (int k = 0; k < rates; k++) {
        Arena a = arena_open(0);
        Layer other = random_layer(&a, rng_mix(stream, 1));
        Task t = {.frozen = random_layer(&a, rng_mix(stream, 0)), .design = &DESIGN[i % DESIGNS]};
        t.target = turned(&a, &t.frozen, &other, run_real(r, "angle"));
        t.data = rng_mix(stream, 2), t.batch = run_int(r, "batch");
        Task none = t;
        none.design = &DESIGN[0], none.batch = 1000;
        ParamSet *ps = params_open(&a, F64, seed);
        add_numbers(&t, ps, (int)run_int(r, "width"));
        double loss;
        TRY(fit_descend(&loss, ps, distance, &t, (Fit){lr[k], run_int(r, "steps")}));
        t.batch = none.batch;
        double valid = tape_scalar(distance(tape_open(&a, false), 1 << 30, &t));
        if (valid < best) {
            best = valid;
            *error = tape_scalar(distance(tape_open(&a, false), 1 << 29, &t)) /
                     tape_scalar(distance(tape_open(&a, false), 1 << 29, &none));
        }
        arena_close(&a);
    }
    run_progress(r, "walk", i, run_seeds(r) * DESIGNS, *error);
    return OK;
}

/* ---- figures ---- */

static Status draw_walk(Run *r, const double *error, const double mean[DESIGNS])
{
    Arena *a = run_arena(r);
    Series bar = {.y = tensor_new(a, F64, SHAPE(DESIGNS)),
                  .lo = tensor_new(a, F64, SHAPE(DESIGNS)),
                  .hi = tensor_new(a, F64, SHAPE(DESIGNS))};
    const char *label[DESIGNS];
    for (int d = 0; d < DESIGNS; d++) {
        double lo = INFINITY, hi = -INFINITY;
        for (int s = 0; s < run_seeds(r); s++)
            lo = fmin(lo, error[s * DESIGNS + d]), hi = fmax(hi, error[s * DESIGNS + d]);
        tensor_set(bar.y, d, mean[d]), tensor_set(bar.lo, d, lo), tensor_set(bar.hi, d, hi);
        label[d] = DESIGN[d].name;
    }
    Fig *f =
        run_figure(r, "walk",
                   str_print(a,
                             "From a prefix (left) along the axes of the unified view, %lld parameters each: error "
                             "left after fitting a frozen layer to one with other weights, over the error without "
                             "tuning; mean and range of %d layers. \"From x\" and the designs after it have a free "
                             "first matrix; in the others it passes through W_q.",
                             (long long)(2 * DIM * run_int(r, "width")), run_seeds(r)),
                   500, 190);
    fig_bars(f, fig_whole(f), 1, &bar, label,
             (PlotStyle){.y = {.title = "error left (fraction)", .lo = 0, .hi = 1}, .values = true});
    return fig_close(f);
}

/* ---- the experiment ---- */

static Status run(Run *r)
{
    int seeds = run_seeds(r), best = 0;
    double worst[2] = {0}, least = INFINITY, *error = NEW(run_arena(r), double, seeds *DESIGNS), mean[DESIGNS] = {0};
    for (int s = 0; s < seeds; s++)
        for (int type = 0; type < 2; type++) {
            double gap = 0, effect = 0;
            TRY(identity(&gap, &effect, type ? F32 : F64, run_seed(r, s)));
            run_metric(r, RANGE_EXTREME, type ? "prefix against adapter, F32" : "prefix against adapter, F64", s,
                       gap);
            if (!type) run_metric(r, RANGE_EXTREME, "prefix against none, F64", s, effect);
            worst[type] = fmax(worst[type], gap), least = fmin(least, effect);
        }
    TRY(run_parallel(r, seeds * DESIGNS, sizeof *error, walk, NULL, error));
    for (int i = 0; i < seeds * DESIGNS; i++) {
        run_metric(r, RANGE_POSITIVE, str_print(run_arena(r), "%s: error left", DESIGN[i % DESIGNS].name),
                   i / DESIGNS, error[i]);
        mean[i % DESIGNS] += error[i] / seeds;
    }
    for (int d = 0; d < DESIGNS; d++)
        if (mean[d] < mean[best]) best = d;
    TRY(draw_walk(r, error, mean));
    run_note(r, "Not tested here: the walk on pretrained models; the target differs from the frozen layer in every "
                "matrix, and another target may rank the designs otherwise.");
    run_verdict(r, worst[0] < 1e-12 && worst[1] < 2e-5 && least > 1e-3 ? SUPPORTED : NOT_SUPPORTED,
                "Prefix and gated adapter agree in all logits to %.0e (F64) and %.0e (F32) while the prefix moves "
                "them by at least %.0e of the largest. Error left after fitting: prefix %.2f, ReLU for softmax %.2f, "
                "no gate %.2f, both %.2f, on the feed-forward %.2f; best: %s %.2f.",
                worst[0], worst[1], least, mean[0], mean[1], mean[2], mean[3], mean[7], DESIGN[best].name,
                mean[best]);
    return OK;
}

static const Setting SETTINGS[] = {
    {"width", "prefix length, or width of the bottleneck", {"4", "8", "8"}, 1, 1024},
    {"angle", "angle between the target's weights and the frozen ones (radians)", {"0.5", NULL, NULL}, 0.01, 1.6},
    {"steps", "gradient steps", {"30", "800", "10000"}, 1, 1e7},
    {"batch", "sequences a step", {"16", "32", "64"}, 1, 65536},
    {"lr",
     "learning rates; the best on other inputs counts",
     {"3e-2,", "1e-2,5e-2", "3e-3,1e-2,3e-2,1e-1"},
     1e-7,
     10},
    {0}};

static const Experiment UNIFIED_VIEW = {
    .group = "theory",
    .name = "unified-view",
    .title = "A prefix is a gated parallel adapter",
    .claim =
        "A head with a prefix computes (1 - l) Attn + l softmax(x W_q P_k') P_v: a parallel adapter with a gate and "
        "a softmax non-linearity.",
    .method =
        "The library's prefix against an adapter written by hand, logits in F64 and F32; then every design between "
        "prefix and scaled parallel adapter fitted to one regression task at one parameter count.",
    .expect = "Agreement to rounding; the walk is a measurement.",
    .cost = "smoke a second, quick half a minute, paper ten minutes",
    .source = "He et al. (ICLR 2022)",
    .settings = SETTINGS,
    .seeds = {1, 3, 5},
    .exact = true,
    .run = run};
REGISTER(experiment, UNIFIED_VIEW)
