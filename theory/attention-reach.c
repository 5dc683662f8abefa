/* theory/attention-reach: which attention patterns LoRA and tokens behind the content can reach.
 *
 * Claim    (1) A virtual token behind the content has a query of its own: over n <= D + 1 content tokens it can
 *          attend with any distribution, in every head at once, with all weights frozen.  (2) LoRA of rank r on W_Q
 *          and on W_K changes the form Q'K of the logits by rank 2r. Its least distance to a target form, in spectral
 *          norm, is exactly sigma_{2r+1} of the difference; on W_Q alone, sigma_{r+1}.
 * Method   (1) A random one-layer GPT-2 without the LayerNorm before attention, F64: solve for the token's vector,
 *          put it into the input, run the net, compare.  (2) Random square W_Q, W_K and target: build the two
 *          updates, compare the error with the singular value.
 * Expect   Both at rounding; (1) fails for n > D + 1.
 * Cost     a second; a few seconds; ten seconds.
 * Source   (1) Petrov, Torr and Bibi (ICLR 2024) note that suffixes are less bound than prefixes; the linear system
 *          is elementary.  (2) Zeng and Lee, The expressive power of low-rank adaptation, ICLR 2024.
 *
 * Not shown: a suffix token behind LayerNorm, whose queries are bounded, or that reading the content is
 * of use. Rows of the content itself gain nothing from a suffix (theory/who-escapes). */
#include <math.h>

#include "base/rng.h"
#include "base/str.h"
#include "measure/observe.h"
#include "num/gemm.h"
#include "num/linalg.h"
#include "plot/plot.h"
#include "run/experiment.h"
#include "theory/subject.h"

enum { DIM = 32, HEADS = 4, HEAD_DIM = DIM / HEADS };

static Tensor minus(Arena *a, Tensor x, Tensor y)
{
    Tensor d = tensor_new(a, F64, x.rank, x.dim);
    for (int64_t i = 0; i < tensor_count(d); i++) tensor_set(d, i, tensor_get(x, i) - tensor_get(y, i));
    return d;
}

/* ---- suffix tokens have queries of their own */

/* A suffix token behind n content tokens that attends to them, in every head, with the weights `target` (H,n).  Its
 * query must meet s q.k_j = log p_j + c for all j, c being free: D + 1 unknowns, so n <= D + 1 independent rows [k_j,
 * 1] do. In a net without the LayerNorm before attention the query is W_Q (e + position) + b_Q for any e we like. */
static Status suffix_vector(Tensor *out, Arena *a, const Model *m, Tensor keys, Tensor target)
{
    int64_t n = target.dim[1];
    Tensor q = tensor_new(a, F64, SHAPE(DIM, 1)), w = tensor_new(a, F64, SHAPE(DIM, DIM)), x;
    const Linear *map = model_linear(m, (Where){SITE_Q, 0, PART_DECODER});
    for (int h = 0; h < HEADS; h++) {
        Tensor rows = tensor_new(a, F64, SHAPE(n, HEAD_DIM + 1)), want = tensor_new(a, F64, SHAPE(n, 1));
        for (int64_t j = 0; j < n; j++) {
            for (int64_t c = 0; c < HEAD_DIM; c++)
                tensor_set(rows, j * (HEAD_DIM + 1) + c,
                           tensor_get(keys, j * DIM + h * HEAD_DIM + c) / sqrt(HEAD_DIM));
            tensor_set(rows, j * (HEAD_DIM + 1) + HEAD_DIM, 1);
            tensor_set(want, j, log(tensor_get(target, h * n + j)));
        }
        TRY(linalg_least_squares(&x, NULL, a, rows, want, -1));
        for (int64_t c = 0; c < HEAD_DIM; c++)
            tensor_set(q, h * HEAD_DIM + c,
                       tensor_get(x, c) - tensor_get(map->b->val, map->first + h * HEAD_DIM + c));
    }
    for (int64_t i = 0; i < DIM * DIM; i++) /* c_attn is stored (in,out) */
        tensor_set(w, i, tensor_get(map->w->val, i % DIM * 3 * DIM + map->first + i / DIM));
    TRY(linalg_least_squares(&x, NULL, a, w, q, -1));
    const Param *wpe = param_find(m->params, "wpe.weight");
    *out = tensor_new(a, F64, SHAPE(1, 1, DIM));
    for (int64_t c = 0; c < DIM; c++) tensor_set(*out, c, tensor_get(x, c) - tensor_get(wpe->val, n * DIM + c));
    return OK;
}

/* The maximum absolute difference between the target and the suffix token's attention, renormalised to the
 * content. */
static Status suffix_gap(double *out, uint64_t seed, int64_t n)
{
    Arena run = arena_open(0);
    Subject s;
    NetShape shape = {.dim = DIM, .heads = HEADS, .layers = 1, .vocab = 32, .tokens = (int)n, .rows = 1, .spare = 1};
    shape.bare = true, shape.init_sd = 0.25;
    TRY(subject_random(&s, &run, shape, F64, seed));
    Hooks *hooks = hooks_new(&run);
    Tensor keys = observe_one(&run, s.m, NULL, &s.batch, (Where){SITE_KEYS, 0, PART_DECODER});

    Tensor target = tensor_new(&run, F64, SHAPE(HEADS, n)), vector;
    for (int h = 0; h < HEADS; h++) {
        double sum = 0;
        for (int64_t j = 0; j < n; j++) sum += exp(2 * rng_normal(rng_mix(seed, (uint64_t)h), (uint64_t)j));
        for (int64_t j = 0; j < n; j++)
            tensor_set(target, h * n + j, exp(2 * rng_normal(rng_mix(seed, (uint64_t)h), (uint64_t)j)) / sum);
    }
    TRY(suffix_vector(&vector, &run, s.m, keys, target));
    Batch batch = longer_batch(&run, s.batch, 1);
    hook_add(hooks, (Where){SITE_EMBED, LAYER_EMBED, PART_DECODER}, append_vectors, &vector);
    Tensor probs = observe_one(&run, s.m, hooks, &batch, (Where){SITE_PROBS, 0, PART_DECODER});
    *out = 0;
    for (int h = 0; h < HEADS; h++) {
        int64_t row = (h * (n + 1) + n) * (n + 1);
        double mass = 0;
        for (int64_t j = 0; j < n; j++) mass += tensor_get(probs, row + j);
        for (int64_t j = 0; j < n; j++)
            *out = fmax(*out, fabs(tensor_get(probs, row + j) / mass - tensor_get(target, h * n + j)));
    }
    arena_close(&run);
    return OK;
}

/* ---- how near rank r on Q, or on Q and K, can come to a given form */

static Tensor product(Arena *a, Tensor x, bool tx, Tensor y, bool ty) /* square, (DIM,DIM) */
{
    Tensor out = tensor_new(a, F64, SHAPE(DIM, DIM));
    gemm_parallel(F64, DIM, DIM, DIM, 1, (Mat){x.data, DIM, tx}, (Mat){y.data, DIM, ty}, 0, out.data, DIM);
    return out;
}

static Tensor plus(Arena *a, Tensor x, Tensor y)
{
    Tensor sum = tensor_copy(a, x);
    for (int64_t i = 0; i < tensor_count(x); i++) tensor_set(sum, i, tensor_get(x, i) + tensor_get(y, i));
    return sum;
}

static Status inverse(Tensor *out, Arena *a, Tensor m)
{
    Tensor one = tensor_zero(a, F64, SHAPE(DIM, DIM));
    for (int64_t i = 0; i < DIM; i++) tensor_set(one, i * (DIM + 1), 1);
    return linalg_least_squares(out, NULL, a, m, one, -1);
}

static Tensor part_of(Arena *a, Svd e, int64_t from, int64_t to) /* sum of its terms from..to-1 */
{
    Tensor out = tensor_zero(a, F64, SHAPE(DIM, DIM));
    for (int64_t i = 0; i < DIM * DIM; i++)
        for (int64_t k = from; k < to; k++)
            tensor_set(out, i,
                       tensor_get(out, i) + tensor_get(e.u, i / DIM * DIM + k) * tensor_get(e.s, k) *
                                                tensor_get(e.vt, k * DIM + i % DIM));
    return out;
}

/* One head of full size, form Q'K, target Q'K + E.  With E = E1 + E2 + rest, E1 and E2 the next r singular terms
 * each: dQ' = E1 K^-1 has rank r and gives E1; then dK = (Q + dQ)'^-1 E2 has rank r and gives E2.  No change of rank
 * 2r does better (Eckart and Young), and rank r on both makes none of a higher one.  Q alone: E1 only. */
static Status lora_errors(double *one, double *both, Tensor *sigma, Arena *a, uint64_t seed, int64_t r)
{
    Tensor w[3], kinv, qinv, left;
    for (int i = 0; i < 3; i++) {
        w[i] = tensor_new(a, F64, SHAPE(DIM, DIM));
        for (int64_t k = 0; k < DIM * DIM; k++)
            tensor_set(w[i], k, rng_normal(rng_mix(seed, (uint64_t)i), (uint64_t)k) / sqrt(DIM));
    }
    Tensor target = plus(a, product(a, w[0], true, w[1], false), w[2]), q, k;
    Svd e;
    TRY(linalg_svd(&e, a, w[2]));
    TRY(inverse(&kinv, a, w[1]));
    q = plus(a, w[0], product(a, kinv, true, part_of(a, e, 0, r), true));
    TRY(inverse(&qinv, a, q));
    k = plus(a, w[1], product(a, qinv, true, part_of(a, e, r, 2 * r), false));
    TRY(linalg_singular(&left, a, minus(a, target, product(a, q, true, w[1], false))));
    *one = tensor_get(left, 0);
    TRY(linalg_singular(&left, a, minus(a, target, product(a, q, true, k, false))));
    *both = tensor_get(left, 0);
    *sigma = e.s;
    return OK;
}

/* ---- figures */

static Series over(Arena *a, int n, const char *label, bool line)
{
    return (Series){.x = tensor_new(a, F64, SHAPE(n)),
                    .y = tensor_new(a, F64, SHAPE(n)),
                    .label = label,
                    .dashed = line,
                    .marked = !line};
}

static Status draw_reach(Run *r, const double *gap, int most, Series lora[4])
{
    Arena *a = run_arena(r);
    Series reach = over(a, most - 1, NULL, false);
    for (int n = 2; n <= most; n++) tensor_set(reach.x, n - 2, n), tensor_set(reach.y, n - 2, fmax(gap[n], 1e-17));
    Fig *f =
        run_figure(r, "reach",
                   str_print(a,
                             "(a) A suffix token set to attend to n content tokens with a random distribution, in "
                             "all %d heads at once: largest error of a weight, worst of %d %s. Up to D + 1 = %d "
                             "tokens any distribution is reached. (b) Spectral distance to a random target of the "
                             "logits' form after rank r on Q, or on Q and K; dashed, the singular values sigma_{r+1} "
                             "and sigma_{2r+1} that bound it from below (first seed).",
                             HEADS, run_seeds(r), str_plural(run_seeds(r), "seed", "seeds"), HEAD_DIM + 1),
                   500, 200);
    RefLine edge = {HEAD_DIM + 1.5, "D + 1", true};
    fig_lines(f, fig_cell(f, 1, 2, 0), 1, &reach,
              (PlotStyle){.letter = "a",
                          .x = {.title = "content tokens"},
                          .y = {.title = "largest error", .log = true},
                          .ref = &edge,
                          .refs = 1});
    fig_lines(f, fig_cell(f, 1, 2, 1), 4, lora,
              (PlotStyle){.letter = "b", .x = {.title = "rank r"}, .y = {.title = "distance to target"}});
    return fig_close(f);
}

/* ---- the experiment */

static Status suffix(Run *r, double *gap, int most, double *worst, double *least)
{
    *worst = 0, *least = INFINITY;
    for (int n = 2; n <= most; n++)
        for (int i = 0; i < run_seeds(r); i++) {
            if (run_stopped()) return run_interrupted();
            double g = 0;
            TRY(suffix_gap(&g, run_seed(r, i), n));
            gap[n] = fmax(gap[n], g);
            run_metric(r, RANGE_EXTREME, str_print(run_arena(r), "suffix: error over %d tokens", n), i, g);
            if (n <= HEAD_DIM + 1)
                *worst = fmax(*worst, g);
            else
                *least = fmin(*least, g);
        }
    return OK;
}

static Status lora(Run *r, Series out[4], double *worst)
{
    enum { MOST = DIM / 2 - 1 };
    static const char *const LABEL[] = {"Q", "Q and K", "sigma r+1", "sigma 2r+1"};
    Arena *a = run_arena(r), step = arena_open(0);
    ArenaMark empty = arena_mark(&step);
    *worst = 0;
    for (int k = 0; k < 4; k++) out[k] = over(a, MOST, LABEL[k], k > 1);
    for (int i = 0; i < run_seeds(r); i++)
        for (int n = 1; n <= MOST; n++) {
            double error[2];
            Tensor sigma;
            TRY(lora_errors(&error[0], &error[1], &sigma, &step, run_seed(r, i), n));
            for (int k = 0; k < 2; k++) {
                double bound = tensor_get(sigma, (k + 1) * n);
                double off = fabs(error[k] / bound - 1);
                if (!(off <= *worst)) *worst = off;
                if (n == 1 || n == 4)
                    run_metric(r, RANGE_POSITIVE, str_print(a, "rank %d on %s: distance to target", n, LABEL[k]), i,
                               error[k]);
                if (n == 1 || n == 4)
                    run_metric(r, RANGE_POSITIVE, str_print(a, "rank %d on %s: bound", n, LABEL[k]), i, bound);
                if (i) continue;
                tensor_set(out[k].x, n - 1, n), tensor_set(out[k].y, n - 1, error[k]);
                tensor_set(out[k + 2].x, n - 1, n), tensor_set(out[k + 2].y, n - 1, bound);
            }
            arena_drop(&step, empty);
        }
    arena_close(&step);
    return OK;
}

static Status run(Run *r)
{
    enum { MOST = 2 * HEAD_DIM };
    double gap[MOST + 1] = {0}, reached, missed, off;
    Series lines[4];
    TRY(suffix(r, gap, MOST, &reached, &missed));
    TRY(lora(r, lines, &off));
    TRY(draw_reach(r, gap, MOST, lines));
    run_verdict(r, reached < 1e-9 && missed > 1e-3 && off < 1e-9 ? SUPPORTED : NOT_SUPPORTED,
                "A suffix token reaches any distribution over up to %d tokens (error %.0e; beyond, at least %.2f); "
                "rank r on Q and on K comes to within sigma_{2r+1} of a target form, on Q to within sigma_{r+1} "
                "(relative difference %.0e).",
                HEAD_DIM + 1, reached, missed, off);
    return OK;
}

static const Experiment ATTENTION_REACH = {
    .group = "theory",
    .name = "attention-reach",
    .title = "Attention patterns that LoRA and a suffix can reach",
    .claim =
        "A virtual token behind the content can attend to n <= D + 1 tokens in any way; LoRA of rank r on Q and K "
        "comes to within sigma_{2r+1} of any target form of the logits.",
    .method =
        "A suffix vector solved for random attention, put through a frozen net; low-rank updates built from the "
        "singular vectors of the difference to a random target.",
    .expect =
        "Errors at rounding up to n = D + 1 and above 1e-3 beyond; distance sigma_{2r+1}, or sigma_{r+1} on Q alone.",
    .cost = "smoke a second, quick a few seconds, paper ten seconds",
    .source = "Petrov, Torr, Bibi (ICLR 2024); Zeng, Lee (ICLR 2024)",
    .seeds = {1, 5, 20},
    .exact = true,
    .run = run};
REGISTER(experiment, ATTENTION_REACH)
