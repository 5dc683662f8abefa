/* theory/second-layer: the effect of a prefix in layer 1 on the attention of layer 2.
 *
 * Claim    A prefix cannot change the attention pattern of layer 1 (theory/prefix-bias), but it changes the inputs of
 *          layer 2. In a net of two attention layers and nothing else, the logits of layer 2 then change by a
 *          rescaling with known factors and a matrix of rank at most 2 n_H n_S. A low-rank change dH of the second
 *          layer's form changes them by rank r; training its weights by any rank.  Residual connections keep that
 *          bound. Layer norm and the feed-forward lift it, though most of the change stays in the first directions.
 * Method   Random two-layer nets in F64, one input of N tokens.  The logits of layer 2 with the prefix, without it,
 *          and with a prefix that takes its mass but whose values are zero.  The four terms below are added up and
 *          compared; ranks are those of row-centred differences, since softmax ignores a constant in a row.
 *          Then the residual connection, the norm and the feed-forward are switched on one after the other.
 * Expect   The terms add up to rounding; rank 2 n_H n_S for every head and virtual token count tried; 2 n_H (n_S - 1)
 *          + 1 when the prefix's mass is the same in every row; rank r for dH; then full rank.
 * Cost     a second; ten seconds; a minute.
 * Source   Petrov, Torr and Bibi (ICLR 2024), section 5.2, state in words that deeper layers see a bias; the
 *          decomposition is elementary.
 *
 * Proof    Row i leaves layer 1 as y_i = c_i + b_i, with c_i = sum_h (1 - a^h_i) t^h_i the content's part, shrunk,
 *          and b_i = sum_h sum_p A^h_ip u^h_p the prefix's, u^h_p = W_O^h v^h_p fixed vectors.  With the form H of
 *          layer 2,
 *
 *              y_i'H y_j = c_i'H c_j + c_i'H b_j + b_i'H c_j + b_i'H b_j.
 *
 *          For one head the first term is (1 - a_i)(1 - a_j) times the logit without prefix.  The second and fourth
 *          together, y_i'H b_j = sum_p (y_i'H u_p) A_jp, have rank n_S per head: where the query decides how much it
 *          prefers keys that attended to virtual token p.  The third, sum_p A_ip (u_p'H c_j), has rank n_S per head:
 *          a preference for contents that depends on the query only through its mixture of virtual tokens.  If a
 *          head's mass sum_p A_jp is the same number for all j, its columns A_jp sum to a multiple of the ones:
 *          centring takes one of them from the second group, and in the third all heads share that direction.
 *          Together 2 n_H (n_S - 1) + 1, so 1 for one virtual token: the same vector added to every row. A residual
 *          connection adds x_i to c_i and leaves the count as it is.  Layer norm divides row i by a norm that the
 *          bias has changed, a factor of its own for every i and j.
 *
 * Not shown: which of these changes training would choose, or whether rank matters to a task. */
#include <math.h>

#include "ad/op.h"
#include "base/rng.h"
#include "base/str.h"
#include "num/linalg.h"
#include "num/stats.h"
#include "plot/plot.h"
#include "run/experiment.h"

enum { DIM = 32, HIDDEN = 128 };

/* ---- the net */

typedef enum { STRIPPED, RESIDUAL, NORM, MLP, STAGES } Stage; /* each adds to the one before */
static const char *const STAGE[STAGES] = {"attention alone", "+ residual", "+ layer norm", "+ feed-forward"};

typedef struct {
    int64_t n, slots; /* tokens; of the prefix */
    int heads;        /* of layer 1; layer 2 shows one */
    Tensor x;         /* (N,DIM) */
    Tensor q, k, v, o, up, down, q2, k2;
    Tensor key, value; /* (slots,DIM) */
} Net;

static Tensor normal(Arena *a, uint64_t seed, const char *name, double sd, int64_t rows, int64_t cols)
{
    Tensor t = tensor_new(a, F64, SHAPE(rows, cols));
    for (int64_t i = 0; i < rows * cols; i++) tensor_set(t, i, sd * rng_normal(rng_stream(seed, name), (uint64_t)i));
    return t;
}

static Net random_net(Arena *a, uint64_t seed, int64_t n, int heads, int64_t slots)
{
    const double sd = 1 / sqrt(DIM);
    return (Net){.n = n,
                 .slots = slots,
                 .heads = heads,
                 .x = normal(a, seed, "x", 1, n, DIM),
                 .q = normal(a, seed, "q", 1.5 * sd, DIM, DIM), /* attention that is neither flat nor one-hot */
                 .k = normal(a, seed, "k", 1.5 * sd, DIM, DIM),
                 .v = normal(a, seed, "v", sd, DIM, DIM),
                 .o = normal(a, seed, "o", sd, DIM, DIM),
                 .up = normal(a, seed, "up", sd, HIDDEN, DIM),
                 .down = normal(a, seed, "down", 1 / sqrt(HIDDEN), DIM, HIDDEN),
                 .q2 = normal(a, seed, "q2", sd, DIM, DIM),
                 .k2 = normal(a, seed, "k2", sd, DIM, DIM),
                 .key = normal(a, seed, "key", 1.5, slots, DIM),
                 .value = normal(a, seed, "value", 1.5, slots, DIM)};
}

/* ---- one pass */

typedef enum { NONE, MASS, WHOLE } Take; /* of the prefix: nothing; its keys, with values of zero; all */
typedef struct {
    Tensor probs;  /* (H,N,slots+N) of layer 1; NONE: (H,N,N) */
    Tensor heads;  /* (N,DIM) its mixed values */
    Tensor size;   /* (N) the divisor of the norm before layer 2; 1 where there is none */
    Tensor logits; /* (N,N) of layer 2 */
} Seen;

/* Moves the logits of the prefix so that it takes the mass `alpha` of every row. */
static void fix_mass(Tensor scores, int64_t slots, double alpha)
{
    int64_t s = tensor_last(scores);
    for (int64_t r = 0; r < tensor_count(scores) / s; r++) {
        double prefix = 0, content = 0;
        for (int64_t j = 0; j < s; j++) *(j < slots ? &prefix : &content) += exp(tensor_get(scores, r * s + j));
        double move = log(content / prefix) + log(alpha / (1 - alpha));
        for (int64_t j = 0; j < slots; j++) tensor_set(scores, r * s + j, tensor_get(scores, r * s + j) + move);
    }
}

static Var *linear(Tape *t, Var *x, Tensor w)
{
    return op_linear(t, x, tape_leaf(t, w), OUT_IN, NULL, ACT_NONE);
}

static Var *standardised(Tape *t, Var *x)
{
    Tensor one = tensor_new(tape_arena(t), F64, SHAPE(DIM)), zero = tensor_zero(tape_arena(t), F64, SHAPE(DIM));
    tensor_fill(one, 1);
    return op_norm(t, x, NULL, tape_leaf(t, one), tape_leaf(t, zero), 0);
}

static Tensor deviations(Arena *a, Tensor x) /* of the rows of x (N,DIM) about their means */
{
    int64_t n = tensor_count(x) / DIM;
    Tensor sd = tensor_new(a, F64, SHAPE(n));
    for (int64_t i = 0; i < n; i++) {
        double sum = 0, squares = 0;
        for (int64_t c = 0; c < DIM; c++) sum += tensor_get(x, i * DIM + c) / DIM;
        for (int64_t c = 0; c < DIM; c++) squares += pow(tensor_get(x, i * DIM + c) - sum, 2) / DIM;
        tensor_set(sd, i, sqrt(squares));
    }
    return sd;
}

static Var *first_layer(Tape *t, const Net *net, Take take, double alpha, Var *x, Seen *out)
{
    Arena *a = tape_arena(t);
    Attn attn = {.heads = net->heads, .head_dim = DIM / net->heads, .prefix = take == NONE ? 0 : net->slots};
    attn.scale = 1 / sqrt(attn.head_dim);
    Var *q = linear(t, x, net->q), *k = linear(t, x, net->k), *v = linear(t, x, net->v);
    if (take != NONE) {
        Tensor value = take == WHOLE ? net->value : tensor_zero(a, F64, 2, net->value.dim);
        k = op_prepend(t, tape_leaf(t, net->key), k, 0);
        v = op_prepend(t, tape_leaf(t, value), v, 0);
    }
    Var *scores = op_scores(t, q, k, NULL, attn);
    if (take != NONE && alpha > 0) fix_mass(scores->val, net->slots, alpha);
    Var *probs = op_softmax(t, scores), *heads = op_mix(t, probs, v, attn);
    out->probs = tensor_at(probs->val, 0);
    out->heads = tensor_at(heads->val, 0);
    return linear(t, heads, net->o);
}

/* alpha 0: the prefix takes the mass its keys give it.  All is on the step arena. */
static Seen observe(Arena *step, const Net *net, Stage stage, Take take, double alpha)
{
    Seen out;
    Tape *t = tape_open(step, false);
    Var *x = tape_leaf(t, tensor_reshape(net->x, SHAPE(1, net->n, DIM)));
    Var *y = first_layer(t, net, take, alpha, x, &out);
    if (stage >= RESIDUAL) y = op_add(t, x, 1, y);
    if (stage >= MLP) {
        Var *h = op_linear(t, standardised(t, y), tape_leaf(t, net->up), OUT_IN, NULL, ACT_GELU);
        y = op_add(t, y, 1, linear(t, h, net->down));
    }
    out.size = deviations(step, y->val);
    if (stage < NORM) tensor_fill(out.size, 1);
    if (stage >= NORM) y = standardised(t, y);
    Attn attn = {.heads = 1, .head_dim = DIM, .scale = 1 / sqrt(DIM)};
    Var *logits = op_scores(t, linear(t, y, net->q2), linear(t, y, net->k2), NULL, attn);
    out.logits = tensor_reshape(logits->val, SHAPE(net->n, net->n));
    return out;
}

/* ---- differences of logits */

/* x - y, row-centred.  With sizes, entry (i,j) of each is first multiplied by its sizes i and j. */
static Tensor change(Arena *a, const Seen *x, const Seen *y, bool undo)
{
    int64_t n = x->logits.dim[0];
    Tensor d = tensor_new(a, F64, SHAPE(n, n));
    for (int64_t i = 0; i < n; i++) {
        double mean = 0;
        for (int64_t j = 0; j < n; j++) {
            double fx = undo ? tensor_get(x->size, i) * tensor_get(x->size, j) : 1;
            double fy = undo ? tensor_get(y->size, i) * tensor_get(y->size, j) : 1;
            double gap = fx * tensor_get(x->logits, i * n + j) - fy * tensor_get(y->logits, i * n + j);
            tensor_set(d, i * n + j, gap);
            mean += gap / (double)n;
        }
        for (int64_t j = 0; j < n; j++) tensor_set(d, i * n + j, tensor_get(d, i * n + j) - mean);
    }
    return d;
}

static Status rank_of(int64_t *out, Tensor *spectrum, Arena *a, Tensor d)
{
    Tensor s;
    TRY(linalg_singular(&s, a, d));
    *out = linalg_numerical_rank(s);
    if (spectrum) *spectrum = s;
    return OK;
}

static double share_beyond(Tensor s, int64_t k) /* of the sum of squares, the share outside the first k */
{
    double all = 0, rest = 0;
    for (int64_t i = 0; i < tensor_count(s); i++) {
        double square = tensor_get(s, i) * tensor_get(s, i);
        all += square;
        if (i >= k) rest += square;
    }
    return rest / all;
}

/* ---- the four terms, from the net without prefix, the weights, and the vectors u */

/* c_i and b_i before the output projection: heads times 1 - a, and the mixture of the prefix's values. */
static void split(Tensor c, Tensor b, const Net *net, const Seen *none, const Seen *whole)
{
    int64_t d = DIM / net->heads, s = net->slots + net->n;
    for (int64_t i = 0; i < net->n; i++)
        for (int64_t col = 0; col < DIM; col++) {
            int64_t row = (col / d * net->n + i) * s;
            double left = 0, mixed = 0;
            for (int64_t j = net->slots; j < s; j++) left += tensor_get(whole->probs, row + j);
            for (int64_t p = 0; p < net->slots; p++)
                mixed += tensor_get(whole->probs, row + p) * tensor_get(net->value, p * DIM + col);
            tensor_set(c, i * DIM + col, left * tensor_get(none->heads, i * DIM + col));
            tensor_set(b, i * DIM + col, mixed);
        }
}

/* The largest difference between the logits with the prefix and c'Hc + c'Hb + b'Hc + b'Hb, over the largest logit. */
static double terms_residual(Arena *step, const Net *net, const Seen *none, const Seen *whole)
{
    Tensor part[2];
    for (int i = 0; i < 2; i++) part[i] = tensor_new(step, F64, SHAPE(1, net->n, DIM));
    split(part[0], part[1], net, none, whole);
    Tape *t = tape_open(step, false);
    Attn attn = {.heads = 1, .head_dim = DIM, .scale = 1 / sqrt(DIM)};
    Tensor sum = tensor_zero(step, F64, SHAPE(net->n, net->n));
    for (int k = 0; k < 4; k++) {
        Var *left = linear(t, tape_leaf(t, part[k / 2]), net->o),
            *right = linear(t, tape_leaf(t, part[k % 2]), net->o);
        Var *term = op_scores(t, linear(t, left, net->q2), linear(t, right, net->k2), NULL, attn);
        for (int64_t i = 0; i < tensor_count(sum); i++)
            tensor_set(sum, i, tensor_get(sum, i) + tensor_get(term->val, i));
    }
    double worst = 0, largest = 0;
    for (int64_t i = 0; i < tensor_count(sum); i++) {
        double gap = fabs(tensor_get(sum, i) - tensor_get(whole->logits, i));
        if (!(gap <= worst)) worst = gap;
        largest = fmax(largest, fabs(tensor_get(whole->logits, i)));
    }
    return worst / largest;
}

/* ---- one net */

typedef struct {
    double terms;                          /* residual of the four terms */
    int64_t rank[STAGES], raw[STAGES];     /* of the values' term; of all that the prefix changes */
    double beyond[STAGES], spread[STAGES]; /* share outside the first 2 n_H n_S directions; participation ratio */
    int64_t fixed, undone;                 /* rank with the same mass in every row; with the norms undone */
} Found;

static Status examine(Found *out, Tensor spectrum[STAGES], Arena *run, Arena *step, const Net *net, double alpha)
{
    ArenaMark mark = arena_mark(step);
    for (Stage s = 0; s < STAGES; s++) {
        Seen none = observe(step, net, s, NONE, 0), mass = observe(step, net, s, MASS, 0),
             whole = observe(step, net, s, WHOLE, 0);
        TRY(rank_of(&out->rank[s], &spectrum[s], run, change(step, &whole, &mass, false)));
        TRY(rank_of(&out->raw[s], NULL, step, change(step, &whole, &none, false)));
        out->beyond[s] = share_beyond(spectrum[s], 2 * net->heads * net->slots);
        out->spread[s] = linalg_participation(spectrum[s]);
        if (s == STRIPPED) out->terms = terms_residual(step, net, &none, &whole);
        if (s == NORM) TRY(rank_of(&out->undone, NULL, step, change(step, &whole, &mass, true)));
    }
    Seen mass = observe(step, net, STRIPPED, MASS, alpha), whole = observe(step, net, STRIPPED, WHOLE, alpha);
    TRY(rank_of(&out->fixed, NULL, step, change(step, &whole, &mass, false)));
    arena_drop(step, mark);
    return OK;
}

/* The other way to change layer 2: its own weights.  Adds B A, N(0, 1/DIM), of rank r to the queries' matrix, and to
 * the keys' as well where `both`. */
static Status low_rank(int64_t *out, Arena *step, const Net *net, uint64_t seed, int64_t r, bool both)
{
    ArenaMark mark = arena_mark(step);
    Net changed = *net;
    Tensor *w[] = {&changed.q2, &changed.k2};
    for (int i = 0; i < 1 + both; i++) {
        Tensor a = normal(step, seed, i ? "A of k" : "A of q", 0.2, r, DIM);
        Tensor b = normal(step, seed, i ? "B of k" : "B of q", 0.2, DIM, r);
        *w[i] = tensor_copy(step, *w[i]);
        for (int64_t k = 0; k < DIM * DIM; k++)
            for (int64_t j = 0; j < r; j++)
                tensor_set(*w[i], k,
                           tensor_get(*w[i], k) + tensor_get(b, k / DIM * r + j) * tensor_get(a, j * DIM + k % DIM));
    }
    Seen before = observe(step, net, STRIPPED, NONE, 0), after = observe(step, &changed, STRIPPED, NONE, 0);
    TRY(rank_of(out, NULL, step, change(step, &after, &before, false)));
    arena_drop(step, mark);
    return OK;
}

/* ---- figures */

static Series curve(Arena *a, Tensor s, const char *label)
{
    int64_t n = 2 * DIM - 2; /* the rank that two forms of this size can have together */
    Series y = {.x = tensor_new(a, F64, SHAPE(n)), .y = tensor_new(a, F64, SHAPE(n)), .label = label};
    for (int64_t i = 0; i < n; i++) {
        tensor_set(y.x, i, (double)(i + 1));
        tensor_set(y.y, i, fmax(tensor_get(s, i) / tensor_get(s, 0), 1e-18));
    }
    return y;
}

static Status draw_spectrum(Run *r, const Net *net, const Tensor spectrum[STAGES])
{
    Arena *a = run_arena(r);
    Series series[STAGES];
    for (int s = 0; s < STAGES; s++) series[s] = curve(a, spectrum[s], STAGE[s]);
    int64_t bound = 2 * net->heads * net->slots;
    Fig *f = run_figure(
        r, "spectrum",
        str_print(a,
                  "Singular values of the term that the values of a prefix in layer 1 add to the logits of layer 2 "
                  "(rows centred, %d tokens, %d head, %d virtual tokens, one net, F64). Attention alone "
                  "and with a residual connection they stop at 2 x heads x virtual tokens = %d.",
                  (int)net->n, net->heads, (int)net->slots, (int)bound),
        340, 220);
    RefLine edge = {(double)bound + 0.5, "2 x heads x virtual tokens", true};
    fig_lines(f, fig_whole(f), STAGES, series,
              (PlotStyle){.x = {.title = "index"},
                          .y = {.title = "singular value / largest", .log = true, .lo = 1e-17, .hi = 100},
                          .ref = &edge,
                          .refs = 1});
    return fig_close(f);
}

/* Ranks and shares by stage, one head, for each number of virtual tokens: medians over seeds. */
static Status draw_stages(Run *r, const Found *found, int ns, const double *slots, int stride)
{
    Arena *a = run_arena(r);
    Series rank[RUN_LIST], share[RUN_LIST];
    double *x = NEW(a, double, run_seeds(r));
    for (int k = 0; k < ns; k++) {
        const char *label = str_print(a, "%g virtual token%s", slots[k], slots[k] > 1 ? "s" : "");
        rank[k] = (Series){.y = tensor_new(a, F64, SHAPE(STAGES)), .label = label};
        share[k] = (Series){.y = tensor_new(a, F64, SHAPE(STAGES)), .label = label};
        for (int s = 0; s < STAGES; s++) {
            for (int i = 0; i < run_seeds(r); i++) x[i] = (double)found[i * stride + k].rank[s];
            tensor_set(rank[k].y, s, stats_quantile(x, run_seeds(r), 0.5));
            for (int i = 0; i < run_seeds(r); i++) x[i] = found[i * stride + k].beyond[s];
            tensor_set(share[k].y, s, 100 * stats_quantile(x, run_seeds(r), 0.5));
        }
    }
    Fig *f =
        run_figure(r, "stages",
                   str_print(a,
                             "(a) Rank of the term that a prefix's values add to the logits of layer 2, one head, as "
                             "parts are switched on. (b) How much of it, in sum of squares, lies outside the first 2 "
                             "x virtual tokens directions. Medians over %d %s. Layer norm and feed-forward lift the "
                             "bound on the rank; most of the change stays in these directions.",
                             run_seeds(r), str_plural(run_seeds(r), "seed", "seeds")),
                   500, 210);
    static const char *const SHORT[STAGES] = {"attention", "+residual", "+norm", "+MLP"};
    fig_bars(f, fig_cell(f, 1, 2, 0), ns, rank, SHORT, (PlotStyle){.letter = "a", .y = {.title = "rank"}});
    fig_bars(f, fig_cell(f, 1, 2, 1), ns, share, SHORT,
             (PlotStyle){.letter = "b", .y = {.title = "share beyond (%)"}});
    return fig_close(f);
}

/* ---- the experiment */

typedef struct {
    int right, n;          /* ranks that are as predicted */
    double terms;          /* the worst residual */
    bool grown;            /* norm and feed-forward exceed the bound everywhere */
    double beyond[STAGES]; /* largest share */
} Tally;

static void check(Run *r, Tally *t, int seed, const char *what, int64_t measured, int64_t predicted)
{
    t->n++;
    t->right += measured == predicted;
    run_metric(r, RANGE_EXTREME, what, seed, (double)measured);
}

static void count(Run *r, Tally *t, const Found *f, int seed, int heads, int slots)
{
    Arena *a = run_arena(r);
    const char *net =
        str_print(a, "%d head%s, %d virtual token%s", heads, heads > 1 ? "s" : "", slots, slots > 1 ? "s" : "");
    int64_t bound = 2 * (int64_t)heads * slots, fixed = 2 * (int64_t)heads * (slots - 1) + 1;
    check(r, t, seed, str_print(a, "%s: rank, attention alone", net), f->rank[STRIPPED], bound);
    check(r, t, seed, str_print(a, "%s: rank, same mass in every row", net), f->fixed, fixed);
    check(r, t, seed, str_print(a, "%s: rank, + residual", net), f->rank[RESIDUAL], bound);
    check(r, t, seed, str_print(a, "%s: rank, + layer norm undone", net), f->undone, bound);
    for (int s = NORM; s < STAGES; s++) {
        run_metric(r, RANGE_EXTREME, str_print(a, "%s: rank, %s", net, STAGE[s]), seed, (double)f->rank[s]);
        t->grown = t->grown && f->rank[s] > bound;
    }
    for (int s = 0; s < STAGES; s++) {
        run_metric(r, RANGE_POSITIVE, str_print(a, "%s: participation ratio, %s", net, STAGE[s]), seed, f->spread[s]);
        if (s >= NORM)
            run_metric(r, RANGE_SHARE, str_print(a, "%s: share beyond, %s", net, STAGE[s]), seed, f->beyond[s]);
        t->beyond[s] = fmax(t->beyond[s], f->beyond[s]);
    }
    run_metric(r, RANGE_EXTREME, str_print(a, "%s: rank with the rescaling left in, attention alone", net), seed,
               (double)f->raw[STRIPPED]);
    if (!(f->terms <= t->terms)) t->terms = f->terms;
}

static Status weights(Run *r, Tally *t, Arena *step, int seed)
{
    double ranks[RUN_LIST];
    int n = run_list(r, "ranks", ranks);
    Net net = random_net(run_arena(r), run_seed(r, seed), run_int(r, "tokens"), 1, 1);
    for (int i = 0; i < n; i++)
        for (int both = 0; both < 2; both++) {
            int64_t rank = 0;
            TRY(low_rank(&rank, step, &net, run_seed(r, seed), (int64_t)ranks[i], both));
            check(r, t, seed,
                  str_print(run_arena(r), "rank %g in %s of layer 2: rank", ranks[i], both ? "Q and K" : "Q"), rank,
                  (1 + both) * (int64_t)ranks[i]);
        }
    return OK;
}

static Status run(Run *r)
{
    Arena step = arena_open(0);
    double heads[RUN_LIST], slots[RUN_LIST];
    int nh = run_list(r, "heads", heads), ns = run_list(r, "slots", slots), seeds = run_seeds(r);
    Found *found = NEW(run_arena(r), Found, seeds * nh * ns);
    Tally t = {.grown = true};
    Net shown = {0};
    Tensor shown_spectrum[STAGES], spectrum[STAGES];
    for (int i = 0; i < seeds; i++) {
        for (int k = 0; k < nh * ns; k++) {
            if (run_stopped()) return run_interrupted();
            int h = (int)heads[k / ns], s = (int)slots[k % ns];
            if (DIM % h || 2 * h * s > DIM)
                return err_fail(
                    E_CONFIG,
                    "%d heads with %d virtual tokens: heads must divide the hidden size %d, which must be at "
                    "least twice their product",
                    h, s, DIM);
            Net net = random_net(run_arena(r), run_seed(r, i), run_int(r, "tokens"), h, s);
            bool show = i == 0 && k == ns / 2;
            if (show) shown = net;
            TRY(examine(&found[i * nh * ns + k], show ? shown_spectrum : spectrum, run_arena(r), &step, &net, 0.4));
            count(r, &t, &found[i * nh * ns + k], i, h, s);
        }
        TRY(weights(r, &t, &step, i));
        run_progress(r, "nets", i + 1, seeds, NAN);
    }
    arena_close(&step);
    TRY(draw_spectrum(r, &shown, shown_spectrum));
    TRY(draw_stages(r, found, ns, slots, nh * ns));
    run_note(r, "Random weights and prefixes: no training, no causal mask, one head shown in layer 2.");
    run_verdict(
        r, t.right == t.n && t.terms < 1e-13 && t.grown ? SUPPORTED : NOT_SUPPORTED,
        "%d of %d ranks are as predicted (2 n_H n_S with attention alone and with a residual, 2 n_H (n_S - 1) + 1 "
        "where the mass is the same in every row, r and 2r for a low-rank change of the weights); the four terms "
        "add up to %.1e. LayerNorm and feed-forward %s the bound: they put up to %.0f %% and %.0f %% of the change "
        "outside the first 2 n_H n_S directions.",
        t.right, t.n, t.terms, t.grown ? "exceed" : "do not always exceed", 100 * t.beyond[NORM],
        100 * t.beyond[MLP]);
    return OK;
}

static const Setting SETTINGS[] = {
    {"heads", "head counts of layer 1", {"1,2", "1,2,4", NULL}, 1, DIM},
    {"slots", "prefix lengths", {"1,2,3", "1,2,3", "1,2,3,4"}, 1, 8},
    {"ranks", "ranks of the change of layer 2's weights", {"1,2", "1,2,4", NULL}, 1, DIM / 2},
    {"tokens", "length of the input", {"80", "96", "128"}, 2 * DIM + 1, 512},
    {0}};

static const Experiment SECOND_LAYER = {
    .group = "theory",
    .name = "second-layer",
    .title = "The effect of a prefix in layer 1 on attention in layer 2",
    .claim =
        "Beside the effect of the mass it takes, a prefix of n_S virtual tokens in a layer of n_H heads changes the "
        "next layer's logits by a matrix of rank at most 2 n_H n_S; a low-rank change of that layer's weights "
        "changes them by its rank; LayerNorm and feed-forward lift the bound.",
    .method =
        "Random two-layer nets in F64 with parts switched on one by one; logits of layer 2 with the prefix, with "
        "its values set to zero, and without it; ranks of row-centred differences.",
    .expect = "2 n_H n_S with and without residual, 2 n_H (n_S - 1) + 1 under constant mass, r for rank r, more with "
              "norm and "
              "feed-forward.",
    .cost = "smoke a second, quick ten seconds, paper a minute",
    .source = "Petrov, Torr, Bibi (ICLR 2024), section 5.2",
    .settings = SETTINGS,
    .seeds = {1, 3, 10},
    .exact = true,
    .run = run};
REGISTER(experiment, SECOND_LAYER)
