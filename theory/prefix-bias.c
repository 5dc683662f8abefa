/* theory/prefix-bias: a prefix cannot reorder attention; it adds a bias.
 *
 * Claim    With frozen weights, a prefix leaves the ratios of content-to-content attention of a layer unchanged:
 *          A'_ij = (1 - a_i) A_ij for content j, and the head's output is t'_i = (1 - a_i) t_i + sum_p A'_ip v_p.
 *          So all that a prefix adds to the residual stream lies in n_H * n_S directions.
 * Method   Random pre-norm transformers with strong random prefixes.  Q1: content attention of layer 1, with prefixes
 *          everywhere against nowhere.  Q2: the same at every layer l when both runs carry the prefixes below l.  Q4:
 *          the mixture identity for t'.  Rank: singular values of what the prefix adds after the output projection.
 * Expect   Q1, Q2, Q4 at rounding in F64 and F32; rank n_H * n_S wherever that fits the width.  Total drift at
 *          layers above the first is NOT zero: their inputs have moved.
 * Cost     a second; ten seconds; a minute.
 * Source   Petrov, Torr and Bibi (ICLR 2024), section 4; for several heads and free keys the same three-line proof.
 *
 * Proof    Numerators exp(q_i.k_j) of content terms do not involve the prefix; only the denominator gains its terms.
 *          Divide: every content weight shrinks by one factor (1 - a_i), a_i being the mass the prefix takes. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "cli/experiment.h"
#include "nn/model.h"
#include "num/gemm.h"
#include "num/linalg.h"
#include "plot/plot.h"

enum { LAYERS = 4, WIDTH = 64, TOKENS = 12, ROWS = 50, VOCAB = 16 };

/* ---- a prefix, as a pair of hooks ---- */

static Var *prepend(Pass *p, Where at, Var *in, Var *out, void *slots)
{
    (void)at, (void)in;
    return op_prepend(p->tape, tape_leaf(p->tape, *(Tensor *)slots), out, 0);
}

typedef struct { /* what one layer did in one pass */
    Capture probs, heads;
} Seen;

/* One pass with prefixes on the layers below `upto`; slots[l][0] are keys, slots[l][1] values, (n_S, WIDTH) each. */
static void observe(Arena *run, Arena *step, Model *m, const Batch *batch, Tensor slots[LAYERS][2], int upto,
                    Seen seen[LAYERS])
{
    Hooks *hooks = hooks_new(run);
    for (int l = 0; l < upto; l++) {
        hook_add(hooks, (Where){SITE_KEYS, l, PART_DECODER}, prepend, &slots[l][0]);
        hook_add(hooks, (Where){SITE_VALUES, l, PART_DECODER}, prepend, &slots[l][1]);
    }
    for (int l = 0; l < LAYERS; l++) {
        seen[l] = (Seen){.probs = {.arena = run}, .heads = {.arena = run}};
        hook_observe(hooks, (Where){SITE_PROBS, l, PART_DECODER}, hook_capture, &seen[l].probs);
        hook_observe(hooks, (Where){SITE_HEADS, l, PART_DECODER}, hook_capture, &seen[l].heads);
    }
    ArenaMark mark = arena_mark(step);
    model_hidden(m, &(Pass){.tape = tape_open(step, false), .hooks = hooks}, batch);
    arena_drop(step, mark);
}

/* ---- the quantities ---- */

/* The mass that row r of the flattened (B,H,T,S) map gives to columns first..first+n-1.  What a prefix leaves to the
 * content is summed over the content: one minus the prefix's mass would lose all digits when the prefix takes nearly
 * everything. */
static double mass(Tensor probs, int64_t r, int64_t first, int64_t n)
{
    int64_t s = tensor_last(probs);
    double sum = 0;
    for (int64_t j = first; j < first + n; j++) sum += tensor_get(probs, r * s + j);
    return sum;
}

/* max |A - A'| over content, both renormalised per row: Q1, or Q2 when the two runs share the layer's input. */
static double content_gap(Tensor with, Tensor without)
{
    int64_t n = tensor_last(without), slots = tensor_last(with) - n, rows = tensor_count(without) / n;
    double worst = 0;
    for (int64_t r = 0; r < rows; r++) {
        double left = mass(with, r, slots, n);
        for (int64_t j = 0; j < n; j++)
            worst = fmax(worst,
                         fabs(tensor_get(with, r * (n + slots) + slots + j) / left - tensor_get(without, r * n + j)));
    }
    return worst;
}

/* What the prefix added per head: D = t' - (1 - a) t, rows (B*T), columns (H*D).  Q4 is how far D is from
 * sum_p A'_ip v_p, relative to the largest entry of t'. */
static Tensor added(Arena *a, const Seen *with, const Seen *without, Tensor values, int heads, double *q4)
{
    int64_t n = tensor_last(without->probs.value), slots = tensor_last(with->probs.value) - n, d = WIDTH / heads;
    Tensor out = tensor_new(a, F64, SHAPE(ROWS * n, WIDTH));
    double worst = 0, largest = 0;
    for (int64_t b = 0; b < ROWS; b++)
        for (int64_t i = 0; i < n; i++)
            for (int64_t c = 0; c < WIDTH; c++) {
                int64_t row = (b * heads + c / d) * n + i, at = (b * n + i) * WIDTH + c;
                double left = mass(with->probs.value, row, slots, n), mixed = 0;
                for (int64_t p = 0; p < slots; p++)
                    mixed += tensor_get(with->probs.value, row * (n + slots) + p) * tensor_get(values, p * WIDTH + c);
                double t = tensor_get(with->heads.value, at);
                double bias = t - left * tensor_get(without->heads.value, at);
                tensor_set(out, at, bias);
                worst = fmax(worst, fabs(bias - mixed));
                largest = fmax(largest, fabs(t));
            }
    *q4 = worst / largest;
    return out;
}

/* The same in the residual stream: D W_O. */
static Tensor projected(Arena *a, const Model *m, Tensor d)
{
    const Linear *o = model_linear(m, (Where){SITE_ATTN_OUT, 0, PART_DECODER});
    Tensor w = tensor_cast(a, o->w->val, F64), out = tensor_new(a, F64, SHAPE(d.dim[0], WIDTH));
    gemm(F64, d.dim[0], WIDTH, WIDTH, 1, (Mat){d.data, WIDTH, false}, (Mat){w.data, WIDTH, o->layout == OUT_IN}, 0,
         out.data, WIDTH);
    return out;
}

/* ---- one random network ---- */

typedef struct {
    double q1, q2, q4, drift[LAYERS]; /* drift: content gap per layer, prefixes everywhere against nowhere */
    double alpha;                     /* mean mass on the prefix, layer 1 */
    int64_t rank, full_rank;          /* of what was added, and of t' - t, both after the output projection */
    Tensor spectrum, with, without;   /* singular values; row 0 head 0 attention maps of layer 1 */
} Found;

/* One random network.  `layers` says how far up the identities are checked; the ranks need only the first. */
static Status measure(Arena *run, Arena *step, DType type, uint64_t seed, int heads, int n_slots, int layers,
                      Found *out)
{
    Config c = {0};
    arch_find("gpt2")->defaults(&c);
    c.vocab = VOCAB, c.positions = TOKENS, c.dim = WIDTH, c.heads = heads, c.layers = LAYERS, c.hidden = 2 * WIDTH;
    c.init_sd = 0.15; /* wide enough that attention is far from uniform */
    Model *m;
    TRY(model_open(&m, run, &c, type, seed));
    int32_t *ids = arena_take(run, sizeof *ids * ROWS * TOKENS);
    uint64_t stream = rng_stream(seed, "tokens"), slot_stream = rng_stream(seed, "slots");
    for (int i = 0; i < ROWS * TOKENS; i++) ids[i] = (int32_t)rng_below(stream, (uint64_t)i, VOCAB);
    Batch batch = {.b = ROWS, .t = TOKENS, .ids = ids};
    Tensor slots[LAYERS][2];
    for (int l = 0; l < LAYERS; l++)
        for (int kv = 0; kv < 2; kv++) {
            slots[l][kv] = tensor_new(run, type, SHAPE(n_slots, WIDTH));
            for (int64_t i = 0; i < n_slots * WIDTH; i++)
                tensor_set(slots[l][kv], i,
                           2 * rng_normal(rng_mix(slot_stream, (uint64_t)(2 * l + kv)), (uint64_t)i));
        }

    Seen upto[LAYERS + 1][LAYERS]; /* upto[u]: prefixes on layers 0..u-1 */
    for (int u = 0; u <= layers; u++) observe(run, step, m, &batch, slots, u, upto[u]);
    *out = (Found){0};
    for (int l = 0; l < layers; l++) {
        double q4;
        added(step, &upto[l + 1][l], &upto[l][l], slots[l][1], heads, &q4);
        out->q4 = fmax(out->q4, q4);
        out->q2 = fmax(out->q2, content_gap(upto[l + 1][l].probs.value, upto[l][l].probs.value));
        out->drift[l] = content_gap(upto[layers][l].probs.value, upto[0][l].probs.value);
    }
    out->q1 = out->drift[0];
    const Seen *with = &upto[1][0], *without = &upto[0][0];
    double q4;
    Tensor bias = projected(run, m, added(run, with, without, slots[0][1], heads, &q4)),
           raw = tensor_new(run, F64, 2, bias.dim);
    for (int64_t i = 0; i < tensor_count(raw); i++)
        tensor_set(raw, i, tensor_get(with->heads.value, i) - tensor_get(without->heads.value, i));
    TRY(linalg_singular(&out->spectrum, run, bias));
    Tensor raw_spectrum;
    TRY(linalg_singular(&raw_spectrum, run, projected(run, m, raw)));
    out->rank = linalg_rank(out->spectrum, 1e-9);
    out->full_rank = linalg_rank(raw_spectrum, 1e-9);
    for (int64_t r = 0; r < ROWS * heads * TOKENS; r++)
        out->alpha += mass(with->probs.value, r, 0, n_slots) / (ROWS * heads * TOKENS);
    out->with = tensor_at(tensor_at(with->probs.value, 0), 0);
    out->without = tensor_at(tensor_at(without->probs.value, 0), 0);
    return OK;
}

/* ---- figures ---- */

static Status draw_maps(Run *r, Tensor with, Tensor without, int n_slots)
{
    Arena *a = run_arena(r);
    Tensor content = tensor_new(a, F64, 2, without.dim);
    for (int64_t i = 0; i < TOKENS; i++)
        for (int64_t j = 0; j < TOKENS; j++)
            tensor_set(content, i * TOKENS + j,
                       tensor_get(with, i * (TOKENS + n_slots) + n_slots + j) / mass(with, i, n_slots, TOKENS));
    Span span[] = {{0, n_slots, "prefix"}, {n_slots, n_slots + TOKENS, "content"}};
    HeatStyle style[] = {
        {.title = "with prefix", .letter = "a", .hi = 1, .causal = true, .col_span = span, .col_spans = 2},
        {.title = "content, renormalised", .letter = "b", .hi = 1, .causal = true},
        {.title = "without prefix", .letter = "c", .hi = 1, .causal = true, .bar = true}};
    Fig *f = run_figure(r, "maps",
                        "One head of layer 1. Renormalising what the prefix leaves over (b) gives back the map "
                        "without it (c), to rounding: the prefix takes mass, it does not reorder.",
                        500, 190);
    fig_heatmaps(f, fig_whole(f), 3, (Tensor[]){with, content, without}, style);
    return fig_close(f);
}

static Status draw_spectrum(Run *r, Tensor spectrum, int heads, int n_slots)
{
    Arena *a = run_arena(r);
    int64_t n = tensor_count(spectrum);
    Tensor at = tensor_new(a, F64, SHAPE(n)), scaled = tensor_new(a, F64, SHAPE(n));
    for (int64_t i = 0; i < n; i++) {
        tensor_set(at, i, (double)(i + 1));
        tensor_set(scaled, i, tensor_get(spectrum, i) / tensor_get(spectrum, 0));
    }
    Fig *f = run_figure(r, "spectrum",
                        str_print(a,
                                  "Singular values of what %d slots add to the residual stream of a layer "
                                  "with %d heads (%d rows, F64). They stop at %d = heads x slots.",
                                  n_slots, heads, ROWS * TOKENS, heads * n_slots),
                        252, 180);
    RefLine edge = {heads * n_slots + 0.5, "heads x slots", true};
    fig_lines(f, fig_whole(f), 1, &(Series){.x = at, .y = scaled, .marked = true},
              (PlotStyle){.x = {.title = "index"},
                          .y = {.title = "singular value / largest", .log = true},
                          .ref = &edge,
                          .refs = 1});
    return fig_close(f);
}

static Status draw_drift(Run *r, const Found *found, int seeds)
{
    Arena *a = run_arena(r);
    Tensor mean = tensor_zero(a, F64, SHAPE(LAYERS));
    const char *label[LAYERS];
    for (int l = 0; l < LAYERS; l++) {
        label[l] = str_print(a, "layer %d", l + 1);
        for (int i = 0; i < seeds; i++) tensor_set(mean, l, tensor_get(mean, l) + found[i].drift[l] / seeds);
    }
    Fig *f = run_figure(r, "drift",
                        "Largest change of renormalised content attention, prefixes everywhere against nowhere. "
                        "Layer 1 is zero by the theorem; above it the inputs themselves have moved.",
                        252, 170);
    fig_bars(f, fig_whole(f), 1, &(Series){.y = mean}, label,
             (PlotStyle){.y = {.title = "largest change of a probability", .lo = 0, .hi = 1}, .values = true});
    return fig_close(f);
}

/* ---- the experiment ---- */

static Status ranks(Run *r, Arena *step, int *right, int *cases)
{
    double heads[RUN_LIST], slots[RUN_LIST];
    int nh = run_list(r, "heads", heads), ns = run_list(r, "slots", slots);
    Found last = {0};
    *right = *cases = 0;
    for (int h = 0; h < nh; h++)
        for (int s = 0; s < ns; s++) {
            if (run_stopped()) return run_interrupted();
            int want = (int)(heads[h] * slots[s]);
            if (WIDTH % (int)heads[h])
                return fail(E_CONFIG, "heads=%d does not divide the width %d", (int)heads[h], WIDTH);
            TRY(measure(run_arena(r), step, F64, run_seed(r, 0), (int)heads[h], (int)slots[s], 1, &last));
            *right += last.rank == (want < WIDTH ? want : WIDTH);
            ++*cases;
            run_metric(r, str_print(run_arena(r), "rank, %g heads %g slots", heads[h], slots[s]), 0,
                       (double)last.rank);
            run_metric(r, str_print(run_arena(r), "rank of t'-t, %g heads %g slots", heads[h], slots[s]), 0,
                       (double)last.full_rank);
            run_progress(r, "ranks", *cases, nh * ns, NAN);
        }
    return draw_spectrum(r, last.spectrum, (int)heads[nh - 1], (int)slots[ns - 1]);
}

static Status run(Run *r)
{
    enum { HEADS = 4, SLOTS = 3 };
    Arena step = arena_open(0);
    int seeds = run_seeds(r), right, cases;
    Found *f64 = NEW(run_arena(r), Found, seeds), *f32 = NEW(run_arena(r), Found, seeds);
    double worst64 = 0, worst32 = 0;
    for (int i = 0; i < seeds; i++) {
        if (run_stopped()) return run_interrupted();
        TRY(measure(run_arena(r), &step, F64, run_seed(r, i), HEADS, SLOTS, LAYERS, &f64[i]));
        TRY(measure(run_arena(r), &step, F32, run_seed(r, i), HEADS, SLOTS, LAYERS, &f32[i]));
        run_metric(r, "Q1, F64", i, f64[i].q1);
        run_metric(r, "Q1, F32", i, f32[i].q1);
        run_metric(r, "Q2, F64", i, f64[i].q2);
        run_metric(r, "Q2, F32", i, f32[i].q2);
        run_metric(r, "Q4, F64", i, f64[i].q4);
        run_metric(r, "Q4, F32", i, f32[i].q4);
        run_metric(r, "mean prefix mass, layer 1", i, f64[i].alpha);
        for (int l = 0; l < LAYERS; l++)
            run_metric(r, str_print(run_arena(r), "drift, layer %d", l + 1), i, f64[i].drift[l]);
        worst64 = fmax(worst64, fmax(f64[i].q1, fmax(f64[i].q2, f64[i].q4)));
        worst32 = fmax(worst32, fmax(f32[i].q1, fmax(f32[i].q2, f32[i].q4)));
        run_progress(r, "identities", i + 1, seeds, NAN);
    }
    TRY(ranks(r, &step, &right, &cases));
    TRY(draw_maps(r, f64[0].with, f64[0].without, SLOTS));
    TRY(draw_drift(r, f64, seeds));
    arena_close(&step);
    run_note(r, "Not tested here: trained prefixes and pretrained models; the identity does not depend on either.");
    run_verdict(
        r, worst64 < 1e-13 && worst32 < 1e-5 && right == cases ? HOLDS : FAILS,
        "Worst of Q1, Q2, Q4 over %d networks: %.1e in F64, %.1e in F32; rank of the added bias is heads x slots in "
        "%d of %d cases.",
        seeds, worst64, worst32, right, cases);
    return OK;
}

static const Setting SETTINGS[] = {
    {"heads", "head counts of the rank table", {"1,4", "1,2,4,8", "1,2,4,8"}, 1, WIDTH},
    {"slots", "prefix lengths of the rank table", {"1,3", "1,2,3", "1,2,3,6"}, 1, 32},
    {0}};

static const Experiment PREFIX_BIAS = {
    .group = "theory",
    .name = "prefix-bias",
    .title = "A prefix adds a bias; it cannot reorder attention",
    .claim = "In a layer with frozen weights a prefix scales all content attention of a row by one factor and adds a "
             "mixture "
             "of fixed vectors: n_H n_S directions in the residual stream.",
    .method =
        "Random four-layer transformers with strong random prefixes; attention and head outputs captured with and "
        "without, in F64 and F32; singular values of what was added.",
    .expect = "Q1, Q2, Q4 at rounding (F64 below 1e-13); rank n_H n_S; drift above layer 1 is not zero.",
    .cost = "smoke a second, quick ten seconds, paper a minute",
    .source = "Petrov, Torr, Bibi (ICLR 2024), section 4",
    .settings = SETTINGS,
    .seeds = {1, 3, 10},
    .run = run};
REGISTER(experiment, PREFIX_BIAS)
