/* theory/prefix-bias: a prefix cannot reorder attention; it adds a bias.
 *
 * Claim    With frozen weights, a prefix leaves the ratios of content-to-content attention of a layer unchanged:
 *          A'_ij = (1 - a_i) A_ij for content j, and the head's output is t'_i = (1 - a_i) t_i + sum_p A'_ip v_p. So
 *          all that a prefix adds to the residual stream lies in n_H * n_S directions.
 * Method   Random pre-norm transformers, and any checkpoint (--set model=DIR), with strong random prefixes: free
 *          keys and values, vectors tied through LayerNorm and projections, and tied without LayerNorm. Q1,
 *          Q3: change of renormalised content attention, prefixes everywhere against nowhere, by layer: maximum
 *          absolute difference, mean KL and total variation.  Q2: the same at every layer l when both runs carry the
 *          prefixes below l. Q4: the mixture identity for t'.  Q5: singular values of the added term after the output
 *          projection. Q6: the mass a_i by layer and position.  Q8: cosines between the biases of different prefixes.
 * Expect   Q1 of layer 1, Q2 and Q4 of every layer at rounding; rank n_H * n_S, wherever that fits the hidden size,
 *          in layer 1.  Total drift above layer 1 is NOT zero: the inputs of those layers have moved.
 * Cost     a second; half a minute; three minutes.
 * Source   Petrov, Torr and Bibi (ICLR 2024), section 4; for several heads and free keys the same three-line proof.
 *
 * Proof    Numerators exp(q_i.k_j) of content terms do not involve the prefix; only the denominator gains its terms.
 *          Divide: every content weight shrinks by one factor (1 - a_i), a_i being the mass the prefix takes.
 *          Attention rows sum to 1, so biases of the projections only add constants: the proof covers them.
 *
 * Not shown: that a task is out of reach.  Layers above the first do see new attention
 * (theory/second-layer analyses it), and t_i may hold the information that a task needs in small weights. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "num/linalg.h"
#include "num/stats.h"
#include "plot/plot.h"
#include "run/experiment.h"
#include "theory/subject.h"

enum { WIDTH = 64, DEEPEST = 48, PREFIXES = 4 };
typedef enum { FREE, TIED, BARE, KINDS } Kind;
static const char *const KIND[KINDS] = {"free", "tied", "bare"}; /* bare: tied, in a net without LayerNorm */

/* ---- the quantities */

typedef struct {             /* of one layer */
    double conditional, q4;  /* Q2: prefixes below in both runs, toggled here; Q4 in that pair */
    AttentionChange drift;   /* Q1, Q3: prefixes everywhere against nowhere */
    double alpha, low, high; /* Q6: mean and 1st and 99th percentile of the mass on the prefix */
    int64_t rank;            /* Q5, of D = t' - (1 - a) t against nowhere, output projection applied */
    double participation;    /* ratio of that spectrum */
    double cosine, apart;    /* Q8: largest |cosine| of two biases, least distance from the others' span */
} Level;
typedef struct {
    int layers, heads;
    int64_t raw_rank; /* of t' - t in layer 1 */
    double scale;     /* largest spread of the logits of a row, at least 1: rounding is proportional to it */
    Level at[DEEPEST];
} Found;
typedef struct {                   /* for figures, on the run arena */
    Tensor with, without, content; /* first row and head of layer 1 */
    Tensor alpha;                  /* (layers, T) */
    Tensor spectrum[DEEPEST];
} Shown;

static double spread(Tensor scores)
{
    int64_t s = tensor_last(scores);
    double widest = 1;
    for (int64_t r = 0; r < tensor_count(scores) / s; r++) {
        double least = INFINITY, most = -INFINITY;
        for (int64_t j = 0; j < s; j++) {
            double x = tensor_get(scores, r * s + j);
            if (isinf(x)) continue;
            least = fmin(least, x), most = fmax(most, x);
        }
        widest = fmax(widest, most - least);
    }
    return widest;
}

static void see_alpha(Level *out, Arena *step, Map with)
{
    Tensor alpha = measure_alpha(step, with);
    int64_t n = tensor_count(alpha);
    double *x = NEW(step, double, n);
    for (int64_t i = 0; i < n; i++) x[i] = tensor_get(alpha, i);
    out->alpha = stats_summary(x, n).mean;
    out->low = stats_quantile(x, n, 0.01);
    out->high = stats_quantile(x, n, 0.99);
}

/* Q5: singular values of d after the output projection of layer l. */
static Status spectrum(Tensor *out, Arena *a, const Subject *s, int l, Tensor d)
{
    return linalg_singular(out, a, measure_projected(a, s->m, (Where){.layer = l, .part = s->part}, d, -1));
}

static Status see_spectrum(Level *out, Tensor *values, Arena *run, Arena *step, const Subject *s, int l, Map with,
                           Map without)
{
    TRY(spectrum(values, run, s, l, measure_added(step, with, without)));
    out->rank = linalg_numerical_rank(*values);
    out->participation = linalg_participation(*values);
    return OK;
}

static Status raw_rank(int64_t *out, Arena *step, const Subject *s, Tensor with, Tensor without)
{
    int64_t n = tensor_count(with), hd = tensor_last(with);
    Tensor change = tensor_new(step, F64, SHAPE(n / hd, hd)), values;
    for (int64_t i = 0; i < n; i++) tensor_set(change, i, tensor_get(with, i) - tensor_get(without, i));
    TRY(spectrum(&values, step, s, 0, change));
    *out = linalg_numerical_rank(values);
    return OK;
}

/* ---- Q8: biases of different prefixes; the bias of one in a layer is the mean over rows of sum_p A'_ip W_O v_p */

static void mean_row(Tensor out, Tensor rows)
{
    int64_t c = tensor_last(rows), n = tensor_count(rows) / c;
    tensor_fill(out, 0);
    for (int64_t i = 0; i < n * c; i++)
        tensor_set(out, i % c, tensor_get(out, i % c) + tensor_get(rows, i) / (double)n);
}

static Status compare_biases(Found *out, Arena *step, Subject *s)
{
    Arena kept = arena_open(0);
    ArenaMark mark = arena_mark(step);
    Tensor *bias = NEW(step, Tensor, s->layers);
    for (int l = 0; l < s->layers; l++) bias[l] = tensor_new(step, F64, SHAPE(PREFIXES, s->m->config.dim));
    for (int k = 0; k < PREFIXES; k++) {
        normal_fill(s->m, "peft.prefix.*", s->sd, rng_mix(s->seed, (uint64_t)k));
        ArenaMark pass = arena_mark(step), empty = arena_mark(&kept);
        Seen *seen = subject_observe(s, &kept);
        for (int l = 0; l < s->layers; l++) {
            Tensor mixed = measure_mixture(step, (Map){.seen = &seen[l], .extra = s->slots});
            Where at = {.layer = l, .part = s->part};
            mean_row(tensor_at(bias[l], k), measure_projected(step, s->m, at, mixed, -1));
        }
        arena_drop(&kept, empty);
        arena_drop(step, pass);
    }
    arena_close(&kept);
    normal_fill(s->m, "peft.prefix.*", s->sd, s->seed);
    for (int l = 0; l < s->layers; l++) {
        Directions d;
        TRY(measure_directions(&d, step, bias[l]));
        out->at[l].cosine = d.cosine;
        out->at[l].apart = d.apart;
    }
    arena_drop(step, mark);
    return OK;
}

/* ---- one subject */

/* Q2 and Q4, from the top layer down: `with` has prefixes everywhere; each pass takes one more layer's away.  Returns
 * the last pass, without any.  Two arenas take turns, so that two passes are in memory and not as many as layers. */
static Seen *toggle_each(Found *out, Arena *run, Arena *step, Subject *s, Seen *with)
{
    Arena turn[2] = {arena_open(0), arena_open(0)};
    ArenaMark empty[2] = {arena_mark(&turn[0]), arena_mark(&turn[1])};
    for (int l = s->layers - 1; l >= 0; l--) {
        Arena *into = l ? &turn[l % 2] : run;
        if (l) arena_drop(into, empty[l % 2]);
        hooks_clear_from(s->hooks, 2 * l);
        Seen *without = subject_observe(s, into);
        Map x = {.seen = &with[l], .extra = s->slots}, y = {.seen = &without[l]};
        out->at[l].conditional = measure_change(x, y, -1).gap;
        out->at[l].q4 = measure_residual(step, x, y);
        with = without;
    }
    arena_close(&turn[0]);
    arena_close(&turn[1]);
    return with;
}

static void see_maps(Shown *show, Arena *run, const Subject *s, const Seen *with, const Seen *without)
{
    show->with = tensor_at(tensor_at(with->probs, 0), 0);
    show->without = tensor_at(tensor_at(without->probs, 0), 0);
    show->content = tensor_at(tensor_at(measure_content(run, (Map){.seen = with, .extra = s->slots}), 0), 0);
}

static void see_positions(Tensor out, Arena *step, Map with, int l) /* mean mass on the prefix by position */
{
    Tensor alpha = measure_alpha(step, with);
    int64_t t = tensor_last(alpha), rows = tensor_count(alpha) / t;
    for (int64_t i = 0; i < tensor_count(alpha); i++)
        tensor_set(out, l * t + i % t, tensor_get(out, l * t + i % t) + tensor_get(alpha, i) / (double)rows);
}

static Status examine(Found *out, Shown *show, Arena *run, Arena *step, Subject *s)
{
    *out = (Found){.layers = s->layers, .scale = 1};
    if (s->layers > DEEPEST) return err_fail(E_CONFIG, "%d layers; at most %d are examined", s->layers, DEEPEST);
    TRY(compare_biases(out, step, s));
    Seen *with = subject_observe(s, run), *without = toggle_each(out, run, step, s, with);
    ArenaMark mark = arena_mark(step);
    out->heads = (int)with[0].probs.dim[1];
    TRY(raw_rank(&out->raw_rank, step, s, with[0].heads, without[0].heads));
    show->alpha = tensor_zero(run, F64, SHAPE(s->layers, s->batch.t));
    for (int l = 0; l < s->layers; l++) {
        Map x = {.seen = &with[l], .extra = s->slots}, y = {.seen = &without[l]};
        out->at[l].drift = measure_change(x, y, -1);
        out->scale = fmax(out->scale, fmax(spread(with[l].scores), spread(without[l].scores)));
        see_alpha(&out->at[l], step, x);
        see_positions(show->alpha, step, x, l);
        TRY(see_spectrum(&out->at[l], &show->spectrum[l], run, step, s, l, x, y));
    }
    see_maps(show, run, s, with, without);
    arena_drop(step, mark);
    return OK;
}

typedef struct {
    double worst;   /* of the quantities that the theorem sets to zero: Q1 of layer 1, Q2 and Q4 everywhere */
    double allowed; /* the bound that rounding allows */
    int64_t rank;   /* of the term added to layer 1 */
} Brief;

static Brief brief(const Found *f, DType type)
{
    Brief b = {.worst = f->at[0].drift.gap, .rank = f->at[0].rank};
    b.allowed = 8 * (type == F64 ? DBL_EPSILON : (double)FLT_EPSILON) * f->scale;
    for (int l = 0; l < f->layers; l++) {
        double w = f->at[l].conditional > f->at[l].q4 ? f->at[l].conditional : f->at[l].q4;
        if (!(w <= b.worst)) b.worst = w; /* NaN stays */
    }
    return b;
}

/* ---- the grid of random networks */

typedef struct {
    int seed, heads, slots, layers;
    Kind kind;
    DType type;
} Case;

/* Networks of one job, which has one seed, dtype and kind; case i of all jobs. */
static int nets_n(const Run *r)
{
    double list[RUN_LIST];
    return run_list(r, "heads", list) * run_list(r, "slots", list) * run_list(r, "layers", list);
}

static Case case_of(const Run *r, int i)
{
    double heads[RUN_LIST], slots[RUN_LIST], layers[RUN_LIST];
    int nh = run_list(r, "heads", heads), ns = run_list(r, "slots", slots), nl = run_list(r, "layers", layers);
    Case c = {.slots = (int)slots[i % ns]};
    i /= ns, c.heads = (int)heads[i % nh];
    i /= nh, c.layers = (int)layers[i % nl];
    i /= nl, c.kind = (Kind)(i % KINDS);
    i /= KINDS, c.type = i % 2 ? F32 : F64;
    c.seed = i / 2;
    return c;
}

static PrefixKind prefix_kind(Kind k)
{
    return k == FREE ? PREFIX_FREE : PREFIX_TIED;
}

static Status net_of(Run *r, Case c, Arena *run, Subject *out)
{
    NetShape net = {.dim = WIDTH, .heads = c.heads, .layers = c.layers, .vocab = 16, .tokens = 12, .rows = 16};
    net.bare = c.kind == BARE;
    net.init_sd = 0.15; /* wide enough that attention is far from uniform */
    if (WIDTH % c.heads) return err_fail(E_CONFIG, "heads=%d does not divide the hidden size %d", c.heads, WIDTH);
    TRY(subject_random(out, run, net, c.type, run_seed(r, c.seed)));
    return subject_prefix(out, run, prefix_kind(c.kind), c.slots, run_real(r, "strength"));
}

static Status job(Run *r, int i, void *out, void *user)
{
    (void)user;
    Arena run = arena_open(0), step = arena_open(0);
    ArenaMark empty = arena_mark(&run);
    for (int k = 0, n = nets_n(r); k < n; k++) {
        if (run_stopped()) return run_interrupted();
        Case c = case_of(r, i * n + k);
        Subject s;
        Found found;
        Shown show;
        TRY(net_of(r, c, &run, &s));
        TRY(examine(&found, &show, &run, &step, &s));
        ((Brief *)out)[k] = brief(&found, c.type);
        arena_drop(&run, empty);
    }
    arena_close(&run);
    arena_close(&step);
    return OK;
}

/* ---- the results: one subject over seeds, in metrics and figures */
typedef struct {
    const char *name, *what; /* of its metrics; of the subject, for captions */
    int seeds, heads, slots;
    DType type;
    Found *found;
    Shown show; /* of the first seed */
} Story;

static void record_layer(Run *r, const Story *s, int seed, int l)
{
    const Level *x = &s->found[seed].at[l];
    const struct {
        const char *name;
        double value;
        ClaimRange range;
    } metric[] = {{"largest change of content attention (Q1)", x->drift.gap, RANGE_EXTREME},
                  {"mean KL of content attention, nats (Q3)", x->drift.kl, RANGE_POSITIVE},
                  {"mean total variation of content attention (Q3)", x->drift.tv, RANGE_SHARE},
                  {"conditional change (Q2)", x->conditional, RANGE_EXTREME},
                  {"residual of the mixture (Q4)", x->q4, RANGE_EXTREME},
                  {"rank of the added term (Q5)", (double)x->rank, RANGE_EXTREME},
                  {"participation ratio of the added term (Q5)", x->participation, RANGE_POSITIVE},
                  {"prefix mass, mean (Q6)", x->alpha, RANGE_SHARE},
                  {"prefix mass, 1st percentile (Q6)", x->low, RANGE_SHARE},
                  {"prefix mass, 99th percentile (Q6)", x->high, RANGE_SHARE},
                  {"largest cosine of two prefixes' biases (Q8)", x->cosine, RANGE_EXTREME},
                  {"least distance of a bias from the span of three others (Q8)", x->apart, RANGE_EXTREME}};
    for (size_t i = 0; i < sizeof metric / sizeof *metric; i++)
        run_metric(r, metric[i].range, str_print(run_arena(r), "%s, layer %d: %s", s->name, l + 1, metric[i].name),
                   seed, metric[i].value);
}

static void record(Run *r, const Story *s)
{
    for (int i = 0; i < s->seeds; i++) {
        for (int l = 0; l < s->found[i].layers; l++) record_layer(r, s, i, l);
        run_metric(r, RANGE_EXTREME, str_print(run_arena(r), "%s, layer 1: rank of t' - t", s->name), i,
                   (double)s->found[i].raw_rank);
    }
}

static Status draw_maps(Run *r, const Story *s)
{
    int n = (int)s->show.without.dim[0];
    Span span[] = {{0, s->slots, "prefix"}, {s->slots, s->slots + n, "content"}};
    HeatStyle style[] = {{.title = "with prefix", .letter = "a", .hi = 1, .col_span = span, .col_spans = 2},
                         {.title = "content, renormalised", .letter = "b", .hi = 1},
                         {.title = "without prefix", .letter = "c", .hi = 1, .bar = true, .bar_title = "weight"}};
    for (int i = 0; i < 3; i++) style[i].row_title = i ? NULL : "query", style[i].col_title = "key";
    Fig *f =
        run_figure(r, "maps",
                   str_print(run_arena(r),
                             "One head of layer 1, one input (%s). Renormalising the weights that the prefix leaves "
                             "(b) restores the map without it (c), to rounding: the prefix takes mass, it does not "
                             "reorder.",
                             s->what),
                   500, 172);
    fig_heatmaps(f, fig_whole(f), 3, (Tensor[]){s->show.with, s->show.content, s->show.without}, style);
    return fig_close(f);
}

typedef enum { GAP, KL, CONDITIONAL } Curve;

static double pick(const Level *x, Curve c) /* a logarithmic axis cannot show an exact zero */
{
    return fmax(c == GAP ? x->drift.gap : c == KL ? x->drift.kl : x->conditional, 1e-18);
}

/* A quantity by layer: median over seeds, with the range as a band. */
static Series by_layer(Arena *a, const Story *s, Curve curve, const char *label)
{
    int layers = s->found[0].layers;
    Series y = {.x = tensor_new(a, F64, SHAPE(layers)),
                .y = tensor_new(a, F64, SHAPE(layers)),
                .lo = tensor_new(a, F64, SHAPE(layers)),
                .hi = tensor_new(a, F64, SHAPE(layers)),
                .label = label,
                .marked = true};
    double *x = NEW(a, double, s->seeds);
    for (int l = 0; l < layers; l++) {
        for (int i = 0; i < s->seeds; i++) x[i] = pick(&s->found[i].at[l], curve);
        tensor_set(y.x, l, l + 1);
        tensor_set(y.y, l, stats_quantile(x, s->seeds, 0.5));
        tensor_set(y.lo, l, stats_quantile(x, s->seeds, 0));
        tensor_set(y.hi, l, stats_quantile(x, s->seeds, 1));
    }
    return y;
}

static Status draw_layers(Run *r, const Story *s)
{
    Arena *a = run_arena(r);
    int layers = s->found[0].layers;
    const char *number[DEEPEST];
    for (int l = 0; l < layers; l++) number[l] = str_print(a, "%d", l + 1);
    Series series[] = {by_layer(a, s, GAP, "largest change"), by_layer(a, s, KL, "mean KL (nats)"),
                       by_layer(a, s, CONDITIONAL, "this layer alone")};
    Fig *f =
        run_figure(r, "layers",
                   str_print(a,
                             "(a) Change of renormalised content attention, prefixes everywhere against nowhere: "
                             "rounding in layer 1, large above, where the inputs have moved. Toggling a layer's own "
                             "prefix, with the same input, changes nothing anywhere. Median and range over %d "
                             "seeds. (b) Mean mass that the prefix takes, first seed. %s.",
                             s->seeds, s->what),
                   500, 200);
    fig_lines(f, fig_cell(f, 1, 2, 0), 3, series,
              (PlotStyle){.letter = "a",
                          .x = {.title = "layer", .lo = 0, .hi = layers + 1},
                          .y = {.title = "change of attention", .log = true}});
    fig_heatmap(f, fig_cell(f, 1, 2, 1), s->show.alpha,
                (HeatStyle){.title = "prefix mass",
                            .letter = "b",
                            .hi = 1,
                            .bar = true,
                            .row = number,
                            .row_title = "layer",
                            .col_title = "position",
                            .stretch = true});
    return fig_close(f);
}

static Series relative(Arena *a, Tensor values, const char *label)
{
    int64_t n = tensor_count(values);
    Series s = {.x = tensor_new(a, F64, SHAPE(n)), .y = tensor_new(a, F64, SHAPE(n)), .label = label};
    for (int64_t i = 0; i < n; i++) {
        tensor_set(s.x, i, (double)(i + 1));
        tensor_set(s.y, i, fmax(tensor_get(values, i) / tensor_get(values, 0), 1e-18));
    }
    return s;
}

static Status draw_spectrum(Run *r, const Story *s)
{
    enum { SHOWN = 6 };
    Arena *a = run_arena(r);
    Series series[SHOWN];
    int layers = s->found[0].layers, n = layers < SHOWN ? layers : SHOWN;
    for (int i = 0; i < n; i++) {
        int l = n > 1 ? i * (layers - 1) / (n - 1) : 0;
        series[i] = relative(a, s->show.spectrum[l], str_print(a, "layer %d", l + 1));
    }
    Fig *f = run_figure(
        r, "spectrum",
        str_print(a,
                  "Singular values of t' - (1 - a) t after the output projection, prefixes everywhere "
                  "against nowhere (%s; first seed). In layer 1 they stop at %d = %d heads x %d virtual tokens; "
                  "above it t itself has moved.",
                  s->what, s->heads * s->slots, s->heads, s->slots),
        340, 220);
    RefLine edge = {s->heads * s->slots + 0.5, "heads x virtual tokens", true};
    fig_lines(f, fig_whole(f), n, series,
              (PlotStyle){.x = {.title = "index"},
                          .y = {.title = "singular value / largest", .log = true},
                          .ref = &edge,
                          .refs = s->heads * s->slots < tensor_count(s->show.spectrum[0])});
    return fig_close(f);
}

/* ---- the experiment */

typedef Status Make(Run *, Kind, int seed, Arena *, Subject *);

static Status make_random(Run *r, Kind kind, int seed, Arena *run, Subject *out)
{
    return net_of(r, (Case){.seed = seed, .heads = 4, .slots = 3, .layers = 4, .kind = kind, .type = F64}, run, out);
}

static Status make_loaded(Run *r, Kind kind, int seed, Arena *run, Subject *out)
{
    TRY(subject_load(out, run, run_text(r, "model"), run_text(r, "part"), run_seed(r, seed), (int)run_int(r, "rows"),
                     (int)run_int(r, "tokens")));
    return subject_prefix(out, run, prefix_kind(kind), (int)run_int(r, "model-slots"), run_real(r, "strength"));
}

/* A subject over all seeds: each has a model of its own, since a prefix is attached once. */
static Status tell(Run *r, const char *name, Make *make, Kind kind, Story *s)
{
    Arena *run = run_arena(r), step = arena_open(0);
    *s = (Story){.name = name, .seeds = run_seeds(r), .found = NEW(run, Found, run_seeds(r))};
    for (int i = 0; i < s->seeds; i++) {
        if (run_stopped()) return run_interrupted();
        Arena own = arena_open(0);
        Subject x;
        Shown show;
        TRY(make(r, kind, i, i ? &own : run, &x));
        TRY(examine(&s->found[i], i ? &show : &s->show, i ? &own : run, &step, &x));
        s->slots = x.slots;
        s->heads = s->found[i].heads;
        s->type = params_dtype(x.m->params);
        s->what = str_print(run, "%s, %s%s, %d layers, %s", x.m->config.arch, part_name(x.part),
                            x.part == PART_CROSS ? "-attention" : " self-attention", x.layers, dtype_name(s->type));
        arena_close(&own);
        run_progress(r, name, i + 1, s->seeds, NAN);
    }
    arena_close(&step);
    record(r, s);
    return OK;
}

typedef struct {
    double worst[2];     /* of Q1, Q2, Q4, in F64 and F32 */
    int good, n;         /* networks within rounding */
    int ranked, ranks_n; /* F64 networks whose layer-1 rank is as predicted */
} Tally;

static void count(Tally *t, Brief b, DType type, int rank) /* rank 0: not checked */
{
    t->n++;
    t->good += b.worst <= b.allowed;
    if (!(b.worst <= t->worst[type == F32])) t->worst[type == F32] = b.worst;
    t->ranks_n += rank > 0;
    t->ranked += rank > 0 && b.rank == rank;
}

static Status grid(Run *r, Tally *t)
{
    Arena *a = run_arena(r);
    int nets = nets_n(r), jobs = KINDS * 2 * run_seeds(r);
    Brief *all = NEW(a, Brief, nets * jobs);
    TRY(run_parallel(r, jobs, sizeof *all * (size_t)nets, job, NULL, all));
    for (int i = 0; i < jobs; i++) {
        Tally own = {0};
        Case c = {0};
        for (int k = 0; k < nets; k++) {
            c = case_of(r, i * nets + k);
            int rank = c.type == F32 ? 0 : c.heads * c.slots < WIDTH ? c.heads * c.slots : WIDTH;
            count(&own, all[i * nets + k], c.type, rank);
            count(t, all[i * nets + k], c.type, rank);
            if (rank && c.kind == FREE && c.layers == case_of(r, 0).layers)
                run_metric(r, RANGE_EXTREME, str_print(a, "rank, %d heads, %d virtual tokens", c.heads, c.slots),
                           c.seed, (double)all[i * nets + k].rank);
        }
        run_metric(r, RANGE_EXTREME, str_print(a, "%s, %s: worst of Q1, Q2, Q4", dtype_name(c.type), KIND[c.kind]),
                   c.seed, own.worst[c.type == F32]);
    }
    return OK;
}

static Status run(Run *r)
{
    Tally t = {0};
    Story told[3];
    bool given = strcmp(run_text(r, "model"), "none") != 0;
    int n = given ? 3 : 1;
    if (given) TRY(subject_input(r, run_text(r, "model")));
    TRY(tell(r, "random net", make_random, FREE, &told[0]));
    for (int k = 1; k < n; k++)
        TRY(tell(r, str_print(run_arena(r), "model, %s", KIND[k - 1]), make_loaded, (Kind)(k - 1), &told[k]));
    TRY(grid(r, &t));
    const Story *shown = &told[n > 1];
    TRY(draw_maps(r, shown));
    TRY(draw_layers(r, shown));
    TRY(draw_spectrum(r, shown));
    double drift = 0;
    for (int k = 0; k < n; k++)
        for (int i = 0; i < told[k].seeds; i++) {
            const Found *f = &told[k].found[i];
            count(&t, brief(f, told[k].type), told[k].type, 0);
            t.ranks_n += k > 0 && told[k].type == F64;
            t.ranked += k > 0 && told[k].type == F64 && f->at[0].rank <= told[k].heads * told[k].slots;
            for (int l = 1; l < f->layers; l++) drift = fmax(drift, f->at[l].drift.gap);
        }
    run_note(r, "Not tested here: trained prefixes; the identity does not depend on how a prefix came to be.");
    run_verdict(
        r, t.good == t.n && t.ranked == t.ranks_n ? SUPPORTED : NOT_SUPPORTED,
        "The identities Q1 of layer 1, Q2 and Q4 hold to floating-point rounding in %d of %d networks%s (largest "
        "error %.1e in F64, %.1e in F32). The term that the prefix adds to layer 1 has rank heads x virtual tokens%s "
        "in %d of %d. Above layer 1 attention to the content changes by up to %.2f, through the inputs alone.",
        t.good, t.n, given ? ", the given model included" : "", t.worst[0], t.worst[1],
        given ? ", at most that in the given model," : "", t.ranked, t.ranks_n, drift);
    return OK;
}

static const Setting SETTINGS[] = {
    {"heads", "head counts of the random networks", {"1,4", "1,2,4,8", "1,2,4,8"}, 1, WIDTH},
    {"slots", "prefix lengths", {"1,3", "1,2,3,16,64", NULL}, 1, 256},
    {"layers", "depths", {"2,", "3,", "1,2,4,8"}, 1, DEEPEST},
    {"strength", "standard deviation of the prefix's parameters", {"2.0"}, 0, 1e3},
    {"model", "a model directory to measure as well", {"none"}, .reads = "config.json|*"},
    {"part", "the attention of that model to observe", {"auto"}, .among = "auto|encoder|decoder|cross"},
    {"model-slots", "prefix length there", {"8"}, 1, 256},
    {"rows", "inputs of the model", {"8"}, 1, 256},
    {"tokens", "length of each", {"24"}, 1, 1024},
    {0}};

static const Experiment PREFIX_BIAS = {
    .group = "theory",
    .name = "prefix-bias",
    .title = "A prefix adds a bias; it cannot reorder attention",
    .claim = "In a layer with frozen weights a prefix scales all content attention of a row by one factor and adds a "
             "mixture of fixed vectors: n_H n_S directions in the residual stream.",
    .method =
        "Random transformers of several depths and head counts, and any checkpoint, with strong random prefixes "
        "of three kinds; attention and head outputs captured with and without, layer by layer, in F64 and F32; "
        "singular values of the added term.",
    .expect = "Q1, Q2, Q4 at rounding; rank n_H n_S in layer 1; drift above layer 1 is not zero.",
    .cost = "smoke a second, quick ten seconds, paper three minutes",
    .source = "Petrov, Torr, Bibi (ICLR 2024), section 4",
    .settings = SETTINGS,
    .seeds = {1, 3, 10},
    .exact = true,
    .run = run};
REGISTER(experiment, PREFIX_BIAS)
