/* theory/compile-adapters: how much of a trained adapter could a prefix have done?
 *
 * Claim    Of the effect of a trained LoRA on a first-layer head, at a fixed readout token and position, the best
 *          prefix of any length leaves a part.  A constant vector added behind the head leaves no more: the gate of a
 *          prefix, which tells inputs apart, buys nothing here.
 * Method   Pretrain the one-layer model of four digit tasks, train LoRA on its attention for another task, and for
 *          every readout (position, token), head and side (the update of Q, K, V or O alone, or all) compute the
 *          best prefix of any length exactly.  Uncompilable fraction: squared error left, over the squared effect.
 * Expect   More than 5 % left over: less would count as compiled.  The constant within .02 of the prefix, by an
 *          equivalence test: both differ by less than a fiftieth of the effect.  How much is the measurement;
 *          published is only a table of assumed numbers, 18 to 74 %.
 * Cost     two seconds; a minute; two hours.
 * Source   The theory is Mondal and Shihab's ("When can prefixes compile LoRA?", preprint 2026); the models are
 *          those of Petrov, Torr and Bibi (ICLR 2024).
 *
 * Optimum  In layer 1 the query depends on token and position alone, so at one readout all inputs share it and a
 *          prefix of any length is a mass a > 0 and a numerator b: the head gives (N_i + b)/(Z_i + a) on input i.
 *          With targets T_i the error sum |T_i - (N_i + b)/(Z_i + a)|^2 is quadratic in b: with g_i = 1/(Z_i + a)
 *          and u_i = T_i - g_i N_i, b = sum g u / sum g^2.  The rest is a search over the one number a.
 * Metric   Everything is measured where it matters, after the output projection: W_O' t' of the adapted head against
 *          W_O times the output under the prefix. The head's prefix cannot reach the part of W_O' t' outside the
 *          range of this head's W_O. The mean of that part is left to other heads' prefixes, free of charge, and only
 *          the rest counts.
 * Reading  Each readout gets a prefix of its own here, so the fraction is a lower bound for one prefix that has to
 *          serve them all.  It measures the error of the head's output, not the loss on the task: later parts of the
 *          model may not need it, or may correct it. */
#include <math.h>

#include "base/rng.h"
#include "base/str.h"
#include "lab/lab.h"
#include "measure/observe.h"
#include "num/linalg.h"
#include "plot/plot.h"
#include "run/experiment.h"
#include "theory/dense.h"
#include "theory/fit.h"

typedef enum { Q, K, V, O, ALL, SIDES } Side;
enum { BINS = 10, MOST_HEADS = 8, FEWEST = 20 }; /* FEWEST: inputs that a readout must have to count */
static const char *const SIDE[SIDES] = {"Q", "K", "V", "O", "all"};

/* ---- the layer, with and without its adapter ---- */

typedef struct {
    int heads, head, dim;
    int64_t n, t;      /* inputs, tokens in each */
    Tensor out[2];     /* W_O (C,C) as (in,out); [1]: with the update */
    Tensor rows[O][2]; /* queries, keys, values of every token, (n T,C); [1]: with the update */
} Layer;

/* The matrix of one linear layer as (in,out), and its LoRA update where it has one (alpha = rank: the scale is 1). */
static void weights(Tensor *w, Tensor *updated, Arena *a, const Model *m, const Linear *l)
{
    int64_t all = tensor_last(l->w->val);
    CHECK(l->layout == IN_OUT, "%s is not stored as (in,out)", l->name);
    *w = tensor_new(a, F64, SHAPE(l->in, l->out));
    for (int64_t i = 0; i < l->in * l->out; i++)
        tensor_set(*w, i, tensor_get(l->w->val, i / l->out * all + l->first + i % l->out));
    *updated = *w;
    const Param *down = param_find(m->params, str_print(a, "peft.lora.%s.A", l->name)),
                *up = param_find(m->params, str_print(a, "peft.lora.%s.B", l->name));
    if (down)
        *updated = dense_sum(a, *w, 1,
                             dense_product(a, dense_transpose(a, tensor_cast(a, down->val, F64)),
                                           dense_transpose(a, tensor_cast(a, up->val, F64))));
}

/* x w + bias for all rows */
static Tensor project(Arena *a, const Linear *l, Tensor x, Tensor w)
{
    Tensor y = dense_product(a, x, w);
    for (int64_t i = 0; l->b && i < tensor_count(y); i++)
        tensor_set(y, i, tensor_get(y, i) + tensor_get(l->b->val, l->first + i % l->out));
    return y;
}

static void keep_input(Where at, Tensor in, Tensor out, void *user)
{
    (void)at, (void)out;
    Capture *c = user;
    c->value = tensor_copy(c->arena, in);
}

/* The input of the projections of layer 1, (n T,C): untouched by adapters on the attention. */
static Tensor layer_input(Arena *a, Model *m, const Batch *b)
{
    Capture x = {.arena = a};
    observe_peek(m, NULL, b, &(Where){SITE_K, 0, PART_DECODER}, 1, &(Peek){keep_input, &x});
    return tensor_cast(a, tensor_reshape(x.value, SHAPE(b->b * b->t, m->config.dim)), F64);
}

static Layer look(Arena *a, Model *m, const Batch *b)
{
    static const Site site[] = {SITE_Q, SITE_K, SITE_V, SITE_ATTN_OUT};
    Layer l = {.heads = m->config.heads, .head = m->config.dim / m->config.heads, .dim = m->config.dim};
    l.n = b->b, l.t = b->t;
    Tensor x = layer_input(a, m, b);
    for (int s = Q; s <= O; s++) {
        const Linear *map = model_linear(m, (Where){site[s], 0, PART_DECODER});
        Tensor w[2];
        weights(&w[0], &w[1], a, m, map);
        for (int k = 0; k < 2; k++) {
            if (s == O)
                l.out[k] = w[k];
            else
                l.rows[s][k] = project(a, map, x, w[k]);
        }
    }
    return l;
}

/* ---- one readout ---- */

typedef struct { /* inputs that share token and position, one head, one side */
    int64_t n;
    int d;
    double *z, *num, *target; /* (n), (n,d), (n,d): in coordinates of the range of W_O */
    double outside, effect;   /* squared: variation outside that range; target against the plain head */
    double constant;          /* squared: error left by the best constant shift */
} Readout;

/* Z and the mixture N of head h at position i of input b, from the chosen queries, keys and values. */
static double mix(const Layer *l, const Tensor qkv[O], int64_t b, int64_t i, int h, double *n)
{
    int d = l->head;
    double z = 0;
    for (int c = 0; c < d; c++) n[c] = 0;
    for (int64_t j = 0; j <= i; j++) {
        double s = 0;
        int64_t at = (b * l->t + i) * l->dim + h * d, key = (b * l->t + j) * l->dim + h * d;
        for (int c = 0; c < d; c++) s += tensor_get(qkv[Q], at + c) * tensor_get(qkv[K], key + c);
        double e = exp(s / sqrt(d));
        z += e;
        for (int c = 0; c < d; c++) n[c] += e * tensor_get(qkv[V], key + c);
    }
    return z;
}

static void multiply(double *y, const double *x, Tensor m) /* y = x m, m (d,D) */
{
    int64_t rows = m.dim[0], cols = m.dim[1];
    for (int64_t j = 0; j < cols; j++) y[j] = 0;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) y[j] += x[i] * tensor_get(m, i * cols + j);
}

typedef struct
{ /* of one head and side: W_O and W_O' in coordinates of the range of W_O, and the part of W_O' outside */
    Tensor plain, updated, rest; /* (d,d), (d,d), (d,C) */
} Range;

static Status range_of(Range *out, Arena *a, const Layer *l, int h, bool updated)
{
    Svd svd;
    Tensor w = tensor_rows(l->out[0], (int64_t)h * l->head, l->head),
           moved = tensor_rows(l->out[updated], (int64_t)h * l->head, l->head);
    TRY(linalg_svd(&svd, a, w));
    Tensor basis = dense_transpose(a, svd.vt);
    out->plain = dense_product(a, w, basis);
    out->updated = dense_product(a, moved, basis);
    out->rest = dense_sum(a, moved, -1, dense_product(a, out->updated, svd.vt));
    return OK;
}

static Readout gather(Arena *a, const Layer *l, const Range *range, Side side, int h, const int64_t *input, int64_t n,
                      int64_t position)
{
    int d = l->head;
    Readout r = {n, d, NEW(a, double, n), NEW(a, double, n *d), NEW(a, double, n *d)};
    Tensor plain[O], moved[O];
    for (int s = Q; s <= V; s++) plain[s] = l->rows[s][0], moved[s] = l->rows[s][side == ALL || side == (Side)s];
    double *t = NEW(a, double, d), *out = NEW(a, double, l->dim), *shift = NEW(a, double, d),
           *drift = NEW(a, double, l->dim);
    for (int64_t i = 0; i < n; i++) {
        r.z[i] = mix(l, plain, input[i], position, h, t);
        multiply(r.num + i * d, t, range->plain);
        double z = mix(l, moved, input[i], position, h, t);
        for (int c = 0; c < d; c++) t[c] /= z;
        multiply(r.target + i * d, t, range->updated);
        multiply(out, t, range->rest);
        for (int c = 0; c < l->dim; c++) drift[c] += out[c], r.outside += out[c] * out[c];
        for (int c = 0; c < d; c++) {
            double gap = r.target[i * d + c] - r.num[i * d + c] / r.z[i];
            shift[c] += gap, r.effect += gap * gap;
        }
    }
    r.effect += r.outside, r.constant = r.effect;
    for (int c = 0; c < d; c++) r.constant -= shift[c] * shift[c] / (double)n;
    for (int c = 0; c < l->dim; c++) {
        r.outside -= drift[c] * drift[c] / (double)n;
        r.constant -= drift[c] * drift[c] / (double)n;
    }
    return r;
}

/* The squared error left by the best b for one a. */
static double left_at(const Readout *r, double a)
{
    double total = r->outside, weight = 0;
    for (int64_t i = 0; i < r->n; i++) weight += 1 / ((r->z[i] + a) * (r->z[i] + a));
    for (int c = 0; c < r->d; c++) {
        double square = 0, cross = 0;
        for (int64_t i = 0; i < r->n; i++) {
            double g = 1 / (r->z[i] + a), u = r->target[i * r->d + c] - g * r->num[i * r->d + c];
            square += u * u, cross += g * u;
        }
        total += square - cross * cross / weight;
    }
    return fmax(0, total);
}

/* The same at the best a: the limit a -> 0 (virtual tokens of little weight and large values), a grid over twelve
 * decades up to a hundred times the mean of Z, then golden section in log a. */
static double left_over(const Readout *r)
{
    enum { GRID = 25, ROUNDS = 30, LOWEST = -10, DECADES = 12 };
    const double ratio = (sqrt(5) - 1) / 2, step = (double)DECADES / (GRID - 1);
    double mean = 0, best = left_at(r, 0), at = LOWEST, least = INFINITY;
    for (int64_t i = 0; i < r->n; i++) mean += r->z[i] / (double)r->n;
    for (int k = 0; k < GRID; k++) {
        double e = left_at(r, mean * pow(10, LOWEST + k * step));
        if (e < least) least = e, at = LOWEST + k * step;
    }
    best = fmin(best, least);
    double lo = at - step, hi = at + step;
    for (int k = 0; k < ROUNDS; k++) {
        double p = hi - ratio * (hi - lo), q = lo + ratio * (hi - lo), ep = left_at(r, mean * pow(10, p)),
               eq = left_at(r, mean * pow(10, q));
        best = fmin(best, fmin(ep, eq));
        *(ep < eq ? &hi : &lo) = ep < eq ? q : p;
    }
    return best;
}

/* ---- a trained prefix, for comparison ---- */

typedef struct {
    Tensor z, num, target; /* (1,n,1), (1,n,d), (1,n,d) */
    Tensor q, k, v;        /* (n,1,d), (n,T,d), (n,T,d) */
    Param *keys, *values;
} Check;

static Var *check_loss(Tape *t, int64_t step, void *user)
{
    (void)step;
    Check *c = user;
    Attn attn = {.heads = 1, .head_dim = (int)tensor_last(c->q), .scale = 1 / sqrt((double)tensor_last(c->q))};
    attn.prefix = c->keys->val.dim[0];
    Var *k = op_prepend(t, tape_param(t, c->keys), tape_leaf(t, c->k), 0),
        *v = op_prepend(t, tape_param(t, c->values), tape_leaf(t, c->v), 0);
    return op_mse(t, op_attend(t, tape_leaf(t, c->q), k, v, NULL, attn), c->target);
}

/* Error that a trained prefix of `slots` leaves on one readout, over the optimum: at least 1 when both are
 * correct. */
static Status trained_ratio(double *ratio, Run *r, const Layer *l, const Readout *at, const Range *range,
                            const int64_t *input, int64_t position, int h, uint64_t seed)
{
    Arena a = arena_open(0);
    int d = l->head;
    int64_t n = at->n, t = position + 1;
    Check c = {.q = tensor_new(&a, F64, SHAPE(n, 1, d)), .k = tensor_new(&a, F64, SHAPE(n, t, d))};
    c.v = tensor_new(&a, F64, 3, c.k.dim), c.target = tensor_over(at->target, F64, SHAPE(n, 1, d));
    double *value = NEW(&a, double, d), *coordinate = NEW(&a, double, d);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < t; j++) {
            int64_t from = (input[i] * l->t + j) * l->dim + h * d, to = (i * t + j) * d;
            for (int s = 0; s < d; s++) value[s] = tensor_get(l->rows[V][0], from + s);
            multiply(coordinate, value, range->plain);
            for (int s = 0; s < d; s++) {
                tensor_set(c.k, to + s, tensor_get(l->rows[K][0], from + s));
                tensor_set(c.v, to + s, coordinate[s]);
                if (j == position) tensor_set(c.q, i * d + s, tensor_get(l->rows[Q][0], from + s));
            }
        }
    ParamSet *ps = params_open(&a, F64, seed);
    int64_t slots = run_int(r, "slots");
    c.keys = fit_param(ps, "keys", (Init){INIT_NORMAL, 1}, SHAPE(slots, d));
    c.values = fit_param(ps, "values", (Init){INIT_NORMAL, 0.1}, SHAPE(slots, d));
    double loss;
    TRY(fit_descend(&loss, ps, check_loss, &c, (Fit){0.1, run_int(r, "check-steps")}));
    *ratio = (loss * (double)n + at->outside) / left_over(at);
    arena_close(&a);
    return OK;
}

/* ---- one adapter ---- */

typedef struct { /* plain bytes */
    double effect[SIDES][MOST_HEADS], left[SIDES][MOST_HEADS], constant[SIDES][MOST_HEADS];
    int64_t bin[BINS]; /* readouts by fraction, all sides together */
    double ratio, exact;
    int heads;
} Found;

static Status measure_side(Run *r, Found *f, const Layer *l, Side side, const int64_t *input, int64_t n,
                           int64_t position, uint64_t check)
{
    for (int h = 0; h < l->heads; h++) {
        Arena a = arena_open(0);
        Range range;
        TRY(range_of(&range, &a, l, h, side == O || side == ALL));
        Readout at = gather(&a, l, &range, side, h, input, n, position);
        double left = left_over(&at);
        f->effect[side][h] += at.effect, f->left[side][h] += left, f->constant[side][h] += at.constant;
        int bin = at.effect > 0 ? (int)(BINS * left / at.effect) : 0;
        if (side == ALL) f->bin[bin < BINS ? bin : BINS - 1]++;
        if (check && side == ALL && h == 0)
            TRY(trained_ratio(&f->ratio, r, l, &at, &range, input, position, h, check));
        arena_close(&a);
    }
    return OK;
}

/* Every readout of the output positions with enough inputs. */
static Status measure(Run *r, Found *f, Model *m, const LabModel *recipe, const DigitMix *mix, uint64_t seed)
{
    Arena a = arena_open(0);
    Batch b = digits_batch(&a, mix, recipe->layout, run_int(r, "inputs"), rng_stream(1, "readouts"), 0, true);
    Layer l = look(&a, m, &(Batch){.b = b.b, .t = b.t, .ids = b.ids});
    f->heads = l.heads;
    int64_t *input = NEW(&a, int64_t, b.b), first = b.t - LENGTH, readouts = 0;
    for (int64_t position = first; position < b.t; position++)
        for (int32_t token = 0; token < DIGIT_VOCAB; token++) {
            if (run_stopped()) return run_interrupted();
            int64_t n = 0;
            for (int64_t i = 0; i < b.b; i++)
                if (b.ids[i * b.t + position] == token) input[n++] = i;
            if (n < FEWEST) continue;
            readouts++;
            for (int s = 0; s < SIDES; s++)
                TRY(measure_side(r, f, &l, (Side)s, input, n, position, isnan(f->ratio) ? seed : 0));
        }
    arena_close(&a);
    return readouts ? OK : err_fail(E_CONFIG, "inputs: no token occurs %d times at an output position", FEWEST);
}

typedef struct {
    LabModel recipe;
    DigitMix tasks;
    double rank[RUN_LIST];
    int ranks;
} Plan;

/* Job (seed, task, rank). */
static Status job(Run *r, int i, void *out, void *user)
{
    const Plan *p = user;
    int k = i % p->ranks, task = i / p->ranks % p->tasks.n;
    uint64_t seed = run_seed(r, i / p->ranks / p->tasks.n);
    Found *f = out;
    Arena run = arena_open(0);
    Model *m;
    LabResult result = {0};
    TRY(lab_open(&m, &run, r, &p->recipe, seed));
    DigitMix mix = {{p->tasks.task[task]}, 1};
    LabArm arm = lab_arm("lora");
    arm.name = str_print(&run, "lora-%s-%g", mix.task[0]->name, p->rank[k]), arm.target = mix.task[0]->name;
    arm.options = str_print(&run, "rank=%g,alpha=%g,target=%s", p->rank[k], p->rank[k], run_text(r, "sites"));
    arm.steps = run_int(r, "steps"), arm.lr = run_real(r, "lr");
    TRY(lab_tune(r, &run, m, hooks_new(&run), &p->recipe, &arm, &mix, seed, &result));
    f->exact = result.score[0].exact, f->ratio = NAN;
    TRY(measure(r, f, m, &p->recipe, &mix, seed));
    arena_close(&run);
    return OK;
}

/* ---- the results ---- */

static double fraction(const Found *f, Side s)
{
    double left = 0, effect = 0;
    for (int h = 0; h < f->heads; h++) left += f->left[s][h], effect += f->effect[s][h];
    return effect > 0 ? left / effect : 0;
}

static double after_constant(const Found *f, Side s)
{
    double left = 0, effect = 0;
    for (int h = 0; h < f->heads; h++) left += f->constant[s][h], effect += f->effect[s][h];
    return effect > 0 ? left / effect : 0;
}

static const Found *at(const Plan *p, const Found *all, int seed, int task, int rank)
{
    return &all[(seed * p->tasks.n + task) * p->ranks + rank];
}

static Status draw_sides(Run *r, const Plan *p, const Found *all)
{
    Arena *a = run_arena(r);
    int seeds = run_seeds(r);
    Fig *f =
        run_figure(r, "sides",
                   str_print(a,
                             "Share of a trained LoRA's effect on first-layer heads that the best prefix of any "
                             "length leaves over, at fixed readout: the update of one matrix alone, and all four. "
                             "Mean and range of %d pretrained models.",
                             seeds),
                   p->ranks > 1 ? 500 : 300, 180);
    for (int k = 0; k < p->ranks; k++) {
        Series bar[DIGIT_MIX];
        for (int t = 0; t < p->tasks.n; t++) {
            bar[t] = (Series){.y = tensor_zero(a, F64, SHAPE(SIDES)),
                              .lo = tensor_zero(a, F64, SHAPE(SIDES)),
                              .hi = tensor_zero(a, F64, SHAPE(SIDES)),
                              .label = p->tasks.task[t]->name};
            for (int s = 0; s < SIDES; s++) {
                double lo = INFINITY, hi = -INFINITY, sum = 0;
                for (int i = 0; i < seeds; i++) {
                    double x = fraction(at(p, all, i, t, k), (Side)s);
                    sum += x / seeds, lo = fmin(lo, x), hi = fmax(hi, x);
                }
                tensor_set(bar[t].y, s, sum), tensor_set(bar[t].lo, s, lo), tensor_set(bar[t].hi, s, hi);
            }
        }
        fig_bars(f, fig_cell(f, 1, p->ranks, k), p->tasks.n, bar, SIDE,
                 (PlotStyle){.title = str_print(a, "rank %g", p->rank[k]),
                             .y = {.title = k ? NULL : "uncompilable fraction", .lo = 0, .hi = 1}});
    }
    return fig_close(f);
}

static Status draw_heads(Run *r, const Plan *p, const Found *all)
{
    Arena *a = run_arena(r);
    Tensor map[DIGIT_MIX];
    HeatStyle style[DIGIT_MIX];
    int heads = all[0].heads;
    const char **row = NEW(a, const char *, heads);
    for (int h = 0; h < heads; h++) row[h] = str_print(a, "head %d", h);
    for (int t = 0; t < p->tasks.n; t++) {
        const Found *f = at(p, all, 0, t, p->ranks - 1);
        map[t] = tensor_zero(a, F64, SHAPE(heads, SIDES));
        for (int i = 0; i < heads * SIDES; i++) {
            double effect = f->effect[i % SIDES][i / SIDES];
            tensor_set(map[t], i, effect > 0 ? f->left[i % SIDES][i / SIDES] / effect : (double)NAN);
        }
        style[t] = (HeatStyle){.title = p->tasks.task[t]->name,
                               .hi = 1,
                               .row = row,
                               .col = SIDE,
                               .values = true,
                               .bar = t == p->tasks.n - 1};
    }
    Fig *f =
        run_figure(r, "heads",
                   str_print(a,
                             "Uncompilable fraction by head and side, rank %g, first pretrained model (head numbers "
                             "mean nothing across models).",
                             p->rank[p->ranks - 1]),
                   500, 190);
    fig_heatmaps(f, fig_whole(f), p->tasks.n, map, style);
    return fig_close(f);
}

static Status draw_readouts(Run *r, const Plan *p, const Found *all)
{
    Arena *a = run_arena(r);
    Series bar[DIGIT_MIX];
    const char *label[BINS];
    for (int b = 0; b < BINS; b++) label[b] = str_print(a, "%.1f", (double)b / BINS);
    for (int t = 0; t < p->tasks.n; t++) {
        double total = 0;
        bar[t] = (Series){.y = tensor_zero(a, F64, SHAPE(BINS)), .label = p->tasks.task[t]->name};
        for (int s = 0; s < run_seeds(r); s++)
            for (int k = 0; k < p->ranks; k++)
                for (int b = 0; b < BINS; b++) {
                    double n = (double)at(p, all, s, t, k)->bin[b];
                    tensor_set(bar[t].y, b, tensor_get(bar[t].y, b) + n);
                    total += n;
                }
        for (int b = 0; b < BINS; b++) tensor_set(bar[t].y, b, tensor_get(bar[t].y, b) / fmax(1, total));
    }
    Fig *f =
        run_figure(r, "readouts",
                   str_print(a,
                             "Uncompilable fraction of the whole adapter, readout by readout (position, token, "
                             "head): share of readouts in each tenth, named by its lower end, over %d models and "
                             "all ranks.",
                             run_seeds(r)),
                   340, 180);
    fig_bars(f, fig_whole(f), p->tasks.n, bar, label,
             (PlotStyle){.x = {.title = "uncompilable fraction, from"}, .y = {.title = "share of readouts"}});
    return fig_close(f);
}

static void record(Run *r, const Plan *p, const Found *all)
{
    Arena *a = run_arena(r);
    for (int i = 0; i < run_seeds(r); i++)
        for (int t = 0; t < p->tasks.n; t++)
            for (int k = 0; k < p->ranks; k++) {
                const Found *f = at(p, all, i, t, k);
                const char *name = str_print(a, "%s, rank %g", p->tasks.task[t]->name, p->rank[k]);
                for (int s = 0; s < SIDES; s++) {
                    run_metric(r, RANGE_SHARE, str_print(a, "%s, %s: uncompilable", name, SIDE[s]), i,
                               fraction(f, (Side)s));
                    run_metric(r, RANGE_SHARE, str_print(a, "%s, %s: left by a constant", name, SIDE[s]), i,
                               after_constant(f, (Side)s));
                }
                run_metric(r, RANGE_PERCENT, str_print(a, "%s: exact match (%%)", name), i, 100 * f->exact);
                run_metric(r, RANGE_POSITIVE, str_print(a, "%s: trained prefix over optimum", name), i, f->ratio);
            }
}

/* A seed's values are means over its adapters, which lie `each` apart. The margins: a constant counts as doing as
 * well when it leaves less than .02 of the effect more, and an effect as not compiled when .05 of it is left. */
static void judge(Run *r, const Found *all, int each, bool sound)
{
    int seeds = run_seeds(r);
    double *exact = NEW(run_arena(r), double, seeds), *left = NEW(run_arena(r), double, seeds),
           *more = NEW(run_arena(r), double, seeds);
    for (int i = 0; i < seeds; i++)
        for (int k = 0; k < each; k++) {
            const Found *f = &all[i * each + k];
            exact[i] += 100 * f->exact / each, left[i] += fraction(f, ALL) / each;
            more[i] += (after_constant(f, ALL) - fraction(f, ALL)) / each;
        }
    run_gate(r, "exact match of the adapters, mean (%)", (Claim){MORE_THAN, 20}, RANGE_PERCENT, exact);
    run_exact(r, "no trained prefix is better than the computed optimum", sound);
    run_claim(r, "share of the effect that the best prefix leaves", (Claim){MORE_THAN, 0.05}, RANGE_SHARE, left);
    run_claim(r, "share that the best constant leaves less that of the best prefix", (Claim){WITHIN, 0.02}, RANGE_ANY,
              more);
}

static Status run(Run *r)
{
    Plan p = {.recipe = lab_elicitor(run_preset(r))};
    p.recipe.steps = run_int(r, "pretrain-steps"), p.recipe.dim = (int)run_int(r, "dim");
    p.recipe.heads = (int)run_int(r, "heads");
    TRY(lab_check(&p.recipe));
    TRY(digits_mix(&p.tasks, run_text(r, "tasks")));
    p.ranks = run_list(r, "ranks", p.rank);
    TRY(lab_pretrain(r, &p.recipe, 1));
    int seeds = run_seeds(r), jobs = seeds * p.tasks.n * p.ranks;
    Found *all = NEW(run_arena(r), Found, jobs);
    TRY(run_parallel(r, jobs, sizeof *all, job, &p, all));
    record(r, &p, all);
    TRY(draw_sides(r, &p, all));
    TRY(draw_heads(r, &p, all));
    TRY(draw_readouts(r, &p, all));
    double least = INFINITY, most = 0, side[SIDES] = {0}, below = INFINITY, exact = 0, shifted = 0;
    for (int i = 0; i < jobs; i++) {
        double x = fraction(&all[i], ALL);
        least = fmin(least, x), most = fmax(most, x), below = fmin(below, all[i].ratio);
        exact += all[i].exact / jobs;
        for (int s = 0; s < SIDES; s++) side[s] += fraction(&all[i], (Side)s) / jobs;
        shifted += after_constant(&all[i], ALL) / jobs;
    }
    run_note(
        r,
        "A trained prefix of %lld virtual tokens, checked on one readout of each adapter, comes to %.3f times the "
        "optimum's error at the best.",
        (long long)run_int(r, "slots"), below);
    run_note(r, "Each readout has a prefix of its own; one for all of them can only do worse. Not tested: what the "
                "rest costs in accuracy, deeper layers, adapters on one side alone.");
    judge(r, all, jobs / seeds, below > 1 - 1e-6);
    run_conclude(r,
                 "Uncompilable fraction of whole adapters: %.2f to %.2f (claimed: above 0.05), mean %.2f, over %d "
                 "adapters (mean exact match %.0f %%). Means by side: Q %.2f, K %.2f, V %.2f, O %.2f. "
                 "The best constant shift alone leaves %.2f of the whole.",
                 least, most, side[ALL], jobs, 100 * exact, side[Q], side[K], side[V], side[O], shifted);
    return OK;
}

static const Setting SETTINGS[] = {
    {"tasks", "tasks that adapters are trained on", {"desc", "desc,histogram", "desc,add1,histogram,reverse"}},
    {"ranks", "LoRA ranks", {"2,", "1,8", "1,2,4,8,16"}, 1, 64},
    {"sites", "linear layers that LoRA adapts, a glob", {"*.c_attn.*|*.attn.c_proj", NULL, NULL}},
    {"steps", "steps of adapter training", {"10", "600", "10000"}, 1, 1e7},
    {"lr", "learning rate of adapters", {"1e-2", "1e-2", "5e-3"}, 1e-7, 1},
    {"pretrain-steps", "steps of pretraining", {"20", "1200", "20000"}, 1, 1e7},
    {"dim", "hidden size", {"32", "64", "256"}, 8, 4096},
    {"heads", "heads", {"4", NULL, NULL}, 1, MOST_HEADS},
    {"inputs", "held-out inputs that readouts are taken from", {"200", "800", "4000"}, 20, 1e6},
    {"slots", "length of the trained prefix that is checked", {"4", NULL, NULL}, 1, 1024},
    {"check-steps", "gradient steps of that prefix", {"50", "1500", "10000"}, 1, 1e7},
    {0}};

static const Experiment COMPILE_ADAPTERS = {
    .group = "theory",
    .name = "compile-adapters",
    .title = "How much of a trained adapter a prefix could have done",
    .claim = "Of the effect of a trained LoRA on a first-layer head at a fixed readout the best prefix of any length "
             "leaves a part, and does no better than a constant vector added behind the head.",
    .method =
        "LoRA trained on digit tasks; at every readout, head and side the exact optimum over all prefixes; squared "
        "error left over, as a share of the adapter's effect.",
    .expect =
        "More than 5 % left over, and a constant within .02 of the best prefix; how much is left is the measurement "
        "(assumed in print: 18 to 74 %).",
    .cost = "smoke two seconds, quick a minute, paper two hours",
    .source = "after Mondal, Shihab (preprint 2026)",
    .settings = SETTINGS,
    .seeds = {1, 3, 5},
    .run = run};
REGISTER(experiment, COMPILE_ADAPTERS)
