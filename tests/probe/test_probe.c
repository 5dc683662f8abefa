/* The linear probe: its optimum against the plain objective, its measures by hand, its baselines and controls. */
#include "expect.h"

#include <gsl/gsl_linalg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "arena.h"
#include "base/str.h"
#include "probe/javagen.h"
#include "probe/probe.h"

static const char *const NAME[] = {"a", "b", "c"};

/* n examples with labels 0..c-1 in turn; of every ten, six train, two validate, two test. */
static Dataset examples(int64_t n, int c)
{
    Dataset d = {.name = "made", .n = n, .n_labels = c, .label = NAME};
    d.example = NEW(&arena, Example, n);
    for (int64_t i = 0; i < n; i++) {
        int64_t turn = i / c % 10;
        Split s = turn < 6 ? SPLIT_TRAIN : turn < 8 ? SPLIT_VALID : SPLIT_TEST;
        d.example[i] = (Example){s, (int32_t)(i % c), "", 0};
    }
    dataset_count(&d, &arena);
    return d;
}

/* Normal features whose first columns lean towards the label by `signal`, on scales from 1 to 1000. */
static Tensor leaning(const Dataset *d, int64_t dim, double signal, uint64_t stream)
{
    Tensor x = noise(&arena, F32, stream, SHAPE(d->n, dim));
    for (int64_t i = 0; i < d->n; i++)
        for (int64_t j = 0; j < dim; j++) {
            double lean = j < d->n_labels && d->example[i].label == j ? signal : 0;
            tensor_set(x, i * dim + j, (tensor_get(x, i * dim + j) + lean) * pow(10, (double)(j % 4)) + 5);
        }
    return x;
}

/* The gradient of the objective as the header states it, by plain loops over standardised rows; its norm. */
static double gradient_norm(const ProbeResult *r, Tensor x, const Dataset *d)
{
    int c = r->n_labels;
    int64_t dim = x.dim[1];
    double *g = NEW(&arena, double, c *(dim + 1)), n = (double)d->size[SPLIT_TRAIN], norm = 0;
    for (int64_t i = 0; i < d->n; i++) {
        if (d->example[i].split != SPLIT_TRAIN) continue;
        double p[3], sum = 0;
        for (int k = 0; k < c; k++) {
            p[k] = tensor_get(r->bias, k);
            for (int64_t j = 0; j < dim; j++) {
                double z = (tensor_get(x, i * dim + j) - tensor_get(r->mean, j)) / tensor_get(r->sd, j);
                p[k] += tensor_get(r->weight, k * dim + j) * z;
            }
            sum += p[k] = exp(p[k]);
        }
        for (int k = 0; k < c; k++) {
            double e = p[k] / sum - (d->example[i].label == k);
            g[c * dim + k] += e / n;
            for (int64_t j = 0; j < dim; j++)
                g[k * dim + j] +=
                    e / n * (tensor_get(x, i * dim + j) - tensor_get(r->mean, j)) / tensor_get(r->sd, j);
        }
    }
    for (int64_t k = 0; k < c * (dim + 1); k++) {
        if (k < c * dim) g[k] += r->penalty * tensor_get(r->weight, k);
        norm += g[k] * g[k];
    }
    return sqrt(norm);
}

/* More rows than columns and the reverse, two and three labels, strong and weak penalties. */
static void finds_the_stated_optimum(void **state)
{
    (void)state;
    static const double PENALTY[] = {0.3, 0.002};
    for (int run = 0; run < 8; run++) {
        Dataset d = examples(run & 1 ? 120 : 400, run & 2 ? 3 : 2);
        Tensor x = leaning(&d, run & 1 ? 200 : 20, 1, (uint64_t)run);
        const ProbeConfig how = {&PENALTY[run >> 2], 1, 500, 1e-7};
        ProbeResult r;
        assert_int_equal(probe_fit(&r, &arena, x, &d, NULL, &how), OK);
        double g = gradient_norm(&r, x, &d);
        EXPECT(r.converged && g < 1e-5, "run %d: gradient %g after %d iterations", run, g, r.iterations);
        EXPECT(r.iterations < 100, "run %d took %d iterations", run, r.iterations);
    }
}

/* ---- the least value of the objective, by Newton's method with the whole Hessian */

enum { LARGEST = 3 * 21 };
typedef struct {
    int c, size;    /* labels; parameters: (c, dim + 1), the bias last */
    int64_t n, dim; /* training rows, standardised */
    const double *z;
    const int32_t *y;
    double penalty;
} Fit;

/* The objective, its gradient g (size) and its Hessian h (size,size). */
static double value_at(const Fit *f, const double *w, double *g, double *h)
{
    int64_t wide = f->dim + 1;
    double value = 0, p[3], n = (double)f->n;
    memset(g, 0, sizeof *g * (size_t)f->size);
    memset(h, 0, sizeof *h * (size_t)(f->size * f->size));
    for (int64_t i = 0; i < f->n; i++) {
        const double *z = f->z + i * wide;
        double sum = 0, top = -INFINITY;
        for (int a = 0; a < f->c; a++) {
            p[a] = 0;
            for (int64_t t = 0; t < wide; t++) p[a] += w[a * wide + t] * z[t];
            top = fmax(top, p[a]);
        }
        value -= p[f->y[i]] / n;
        for (int a = 0; a < f->c; a++) sum += p[a] = exp(p[a] - top);
        value += (log(sum) + top) / n;
        for (int a = 0; a < f->c; a++) p[a] /= sum;
        for (int a = 0; a < f->c; a++)
            for (int64_t t = 0; t < wide; t++) {
                g[a * wide + t] += (p[a] - (f->y[i] == a)) * z[t] / n;
                for (int b = 0; b < f->c; b++)
                    for (int64_t u = 0; u < wide; u++)
                        h[(a * wide + t) * f->size + b * wide + u] += p[a] * ((a == b) - p[b]) * z[t] * z[u] / n;
            }
    }
    for (int k = 0; k < f->size; k++) {
        if (k % wide == f->dim) continue;
        value += f->penalty / 2 * w[k] * w[k];
        g[k] += f->penalty * w[k];
        h[k * f->size + k] += f->penalty;
    }
    return value;
}

static double least(const Fit *f)
{
    static double w[LARGEST], g[LARGEST], h[LARGEST * LARGEST], step[LARGEST], next[LARGEST], unused[LARGEST];
    static double other[LARGEST * LARGEST];
    size_t size = (size_t)f->size;
    memset(w, 0, sizeof w);
    for (int round = 0; round < 200; round++) {
        double value = value_at(f, w, g, h), slope = 0, length = 1;
        for (size_t k = 0; k < size; k++) h[k * size + k] += 1e-13; /* a common bias changes nothing */
        gsl_matrix_view m = gsl_matrix_view_array(h, size, size);
        gsl_vector_view right = gsl_vector_view_array(g, size), x = gsl_vector_view_array(step, size);
        assert_int_equal(gsl_linalg_cholesky_decomp1(&m.matrix), 0);
        gsl_linalg_cholesky_solve(&m.matrix, &right.vector, &x.vector);
        for (size_t k = 0; k < size; k++) slope += step[k] * g[k];
        if (slope < 1e-15) return value - slope / 2;
        for (; length > 1e-9; length /= 2) {
            for (size_t k = 0; k < size; k++) next[k] = w[k] - length * step[k];
            if (value_at(f, next, unused, other) <= value - length * slope / 10) break;
        }
        memcpy(w, next, sizeof w);
    }
    return NAN; /* it did not end */
}

/* Separable, collinear and badly scaled features, two and three labels, each penalty of the grid by itself. */
static void loss_is_least(void **state)
{
    (void)state;
    enum { KINDS = 4 };
    static const double PENALTY[] = {1, 0.01, 0.0001};
    static const char *const KIND[KINDS] = {"separable", "collinear", "badly scaled", "noise"};
    for (int run = 0; run < KINDS * 2 * 3; run++) {
        int kind = run % KINDS, c = 2 + run / KINDS % 2;
        Dataset d = examples(300, c);
        Tensor x = tensor_cast(&arena, leaning(&d, 20, kind == 0 ? 8 : kind == 3 ? 0 : 1.5, (uint64_t)run), F64);
        for (int64_t i = 0; i < d.n; i++)
            for (int64_t j = 10; j < 20 && (kind == 1 || kind == 2); j++) {
                double like = tensor_get(x, i * 20 + j % 4), own = tensor_get(x, i * 20 + j);
                tensor_set(x, i * 20 + j, kind == 1 ? like + 1e-4 * own : own * own * own * pow(10, (double)j - 15));
            }
        const ProbeConfig how = {&PENALTY[run / (2 * KINDS)], 1, 0, 0};
        ProbeResult r;
        assert_int_equal(probe_fit(&r, &arena, x, &d, NULL, &how), OK);
        double *z = NEW(&arena, double, d.n * 21);
        int32_t *y = NEW(&arena, int32_t, d.n);
        Fit f = {c, c * 21, 0, 20, z, y, r.penalty};
        for (int64_t i = 0; i < d.n; i++) {
            if (d.example[i].split != SPLIT_TRAIN) continue;
            for (int64_t j = 0; j < 20; j++)
                z[f.n * 21 + j] = (tensor_get(x, i * 20 + j) - tensor_get(r.mean, j)) / tensor_get(r.sd, j);
            z[f.n * 21 + 20] = 1;
            y[f.n++] = d.example[i].label;
        }
        double want = least(&f);
        EXPECT(r.converged && r.loss < want * (1 + 1e-6) && r.loss > want * (1 - 1e-9),
               "%s, %d labels, penalty %g: loss %.12g, least %.12g (%.2g above) after %d iterations", KIND[kind], c,
               r.penalty, r.loss, want, r.loss / want - 1, r.iterations);
    }
}

/* More columns than rows, where any labels are separable: against a fit to a far smaller gradient. */
static void loss_is_least_in_many_dimensions(void **state)
{
    (void)state;
    static const double PENALTY[] = {0.01, 0.0001};
    for (int run = 0; run < 4; run++) {
        Dataset d = examples(200, 2 + run % 2);
        Tensor x = leaning(&d, 300, 1, (uint64_t)run);
        const ProbeConfig usual = {&PENALTY[run / 2], 1, 0, 0}, strict = {&PENALTY[run / 2], 1, 20000, 1e-9};
        ProbeResult r, best;
        assert_int_equal(probe_fit(&r, &arena, x, &d, NULL, &usual), OK);
        assert_int_equal(probe_fit(&best, &arena, x, &d, NULL, &strict), OK);
        double bound = pow(gradient_norm(&best, x, &d), 2) / 2 / best.penalty; /* strongly convex by the penalty */
        EXPECT(bound < 1e-7 * best.loss, "the strict fit is only known to be within %g of %g", bound, best.loss);
        EXPECT(r.converged && r.loss < best.loss * (1 + 1e-6),
               "run %d: loss %.12g, least %.12g after %d and %d steps", run, r.loss, best.loss, r.iterations,
               best.iterations);
    }
}

static void separates_and_generalises(void **state)
{
    (void)state;
    Dataset d = examples(600, 3);
    ProbeResult r, again;
    Tensor x = leaning(&d, 10, 6, 1);
    assert_int_equal(probe_fit(&r, &arena, x, &d, NULL, NULL), OK);
    EXPECT(r.accuracy[SPLIT_TEST] > 0.97 && r.converged, "test accuracy %g", r.accuracy[SPLIT_TEST]);
    assert_int_equal(probe_fit(&again, &arena, x, &d, NULL, NULL), OK);
    EXPECT_NEAR(again.weight, r.weight, 0); /* the same bytes */
    int64_t total = 0;
    for (int i = 0; i < 9; i++) total += r.confusion[i];
    assert_int_equal(total, d.size[SPLIT_TEST]);
}

/* Without signal: chance on test; with more columns than rows, perfect on train all the same. */
static void noise_is_memorised_not_learnt(void **state)
{
    (void)state;
    Dataset d = examples(1000, 2);
    ProbeResult r;
    const ProbeConfig weak = {.penalty = (const double[]){1e-3}, .n_penalties = 1};
    assert_int_equal(probe_fit(&r, &arena, noise(&arena, F32, 4, SHAPE(1000, 700)), &d, NULL, &weak), OK);
    EXPECT(r.accuracy[SPLIT_TEST] > 0.38 && r.accuracy[SPLIT_TEST] < 0.62, "test %g", r.accuracy[SPLIT_TEST]);
    EXPECT(r.accuracy[SPLIT_TRAIN] == 1, "train %g", r.accuracy[SPLIT_TRAIN]);
    assert_true(r.ci95.lo < r.accuracy[SPLIT_TEST] && r.ci95.hi > r.accuracy[SPLIT_TEST]);
    int32_t *label = NEW(&arena, int32_t, d.n);
    probe_shuffle_labels(label, &d, 5);
    int64_t moved = 0, count[SPLITS] = {0};
    for (int64_t i = 0; i < d.n; i++) {
        moved += label[i] != d.example[i].label;
        count[d.example[i].split] += label[i];
    }
    assert_true(moved > 300);
    for (int s = 0; s < SPLITS; s++) assert_int_equal(count[s], d.count[s][1]);
    assert_int_equal(probe_fit(&r, &arena, leaning(&d, 10, 6, 1), &d, label, NULL), OK);
    EXPECT(r.accuracy[SPLIT_TEST] > 0.38 && r.accuracy[SPLIT_TEST] < 0.62, "shuffled labels: %g",
           r.accuracy[SPLIT_TEST]);
}

/* Nine of ten train examples and six of eight test examples are "a": accuracy 0.75, F1 of a 12/14, of b 0. */
static void majority_by_hand(void **state)
{
    (void)state;
    Dataset d = {.name = "made", .n = 18, .n_labels = 2, .label = NAME, .example = NEW(&arena, Example, 18)};
    for (int i = 0; i < 18; i++)
        d.example[i] = (Example){i < 10 ? SPLIT_TRAIN : SPLIT_TEST, i == 0 || i == 10 || i == 11, "", 0};
    dataset_count(&d, &arena);
    ProbeResult r;
    probe_majority(&r, &arena, &d);
    EXPECT(r.accuracy[SPLIT_TEST] == 0.75 && r.accuracy[SPLIT_TRAIN] == 0.9, "%g", r.accuracy[SPLIT_TEST]);
    EXPECT(fabs(r.macro_f1[SPLIT_TEST] - 6.0 / 14) < 1e-15, "macro-F1 %g", r.macro_f1[SPLIT_TEST]);
    assert_true(isnan(r.accuracy[SPLIT_VALID]));
    assert_true(r.confusion[0] == 6 && r.confusion[1] == 0 && r.confusion[2] == 2 && r.confusion[3] == 0);
}

static void odd_features(void **state)
{
    (void)state;
    Dataset d = examples(60, 2);
    ProbeResult r;
    Tensor flat = tensor_zero(&arena, F32, SHAPE(60, 4)); /* constant columns carry nothing */
    tensor_fill(flat, 3);
    assert_int_equal(probe_fit(&r, &arena, flat, &d, NULL, NULL), OK);
    EXPECT(r.accuracy[SPLIT_TEST] == 0.5 && tensor_get(r.weight, 0) == 0, "flat: %g", r.accuracy[SPLIT_TEST]);
    Tensor none = tensor_zero(&arena, F32, SHAPE(60, 0));
    assert_int_equal(probe_fit(&r, &arena, none, &d, NULL, NULL), OK);
    tensor_set(flat, 7, NAN);
    assert_int_equal(probe_fit(&r, &arena, flat, &d, NULL, NULL), E_NUMERIC);
    assert_non_null(strstr(err_message(), "element 7"));
    err_clear();
    for (int64_t i = 0; i < d.n; i++) d.example[i].split = SPLIT_TEST;
    dataset_count(&d, &arena);
    assert_int_equal(probe_fit(&r, &arena, none, &d, NULL, NULL), E_MISMATCH);
    err_clear();
}

static void bags_by_hand(void **state)
{
    (void)state;
    Dataset d = {.name = "made", .n = 4, .n_labels = 2, .label = NAME, .example = NEW(&arena, Example, 4)};
    static const char *const TEXT[] = {"x  y y", "\ty x x x", "z y", "x x w"};
    for (int i = 0; i < 4; i++)
        d.example[i] = (Example){i < 3 ? SPLIT_TRAIN : SPLIT_TEST, i % 2, TEXT[i], strlen(TEXT[i])};
    dataset_count(&d, &arena);
    Tensor x =
        probe_bag(&arena, &d, NULL, 10); /* columns: y in three training texts, x in two; z and w are too rare */
    const double want[] = {2, 1, 1, 3, 1, 0, 0, 2};
    assert_int_equal(x.dim[1], 2);
    for (int i = 0; i < 8; i++) EXPECT(fabs(tensor_get(x, i) - log1p(want[i])) < 1e-6, "%d: %g", i, tensor_get(x, i));
    assert_int_equal(probe_bag(&arena, &d, NULL, 1).dim[1], 1);
}

/* The task's known baseline: misspelt keywords are words of their own, so counting words nearly solves it. */
static void bag_solves_typ(void **state)
{
    (void)state;
    Dataset d;
    javagen_typ(&d, &arena, 1, JAVAGEN_TYP_SIZES);
    ProbeResult words, pieces;
    assert_int_equal(probe_fit(&words, &arena, probe_bag(&arena, &d, NULL, 500), &d, NULL, NULL), OK);
    EXPECT(words.accuracy[SPLIT_TEST] > 0.95, "bag of words: %g", words.accuracy[SPLIT_TEST]);
    Bytes *corpus = NEW(&arena, Bytes, 500);
    javagen_corpus(corpus, &arena, 1, 500);
    Bpe *bpe;
    assert_int_equal(bpe_train(&bpe, &arena, &(BpeTrain){.size = 800}, corpus, 500), OK);
    assert_int_equal(probe_fit(&pieces, &arena, probe_bag(&arena, &d, bpe, 500), &d, NULL, NULL), OK);
    EXPECT(pieces.accuracy[SPLIT_TEST] > 0.8, "bag of pieces: %g", pieces.accuracy[SPLIT_TEST]);
    bpe_close(bpe);
}

/* A layer of a base-size encoder over 1,000 examples; the limit is loose because test machines are shared. */
static void fits_quickly(void **state)
{
    (void)state;
    Dataset d = examples(1000, 2);
    static const int64_t DIM[] = {128, 768};
    for (int i = 0; i < 2; i++) {
        Tensor x = leaning(&d, DIM[i], 0.7, 8);
        ProbeResult r;
        struct timespec from, to;
        clock_gettime(CLOCK_MONOTONIC, &from);
        assert_int_equal(probe_fit(&r, &arena, x, &d, NULL, NULL), OK);
        clock_gettime(CLOCK_MONOTONIC, &to);
        double seconds = (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
        print_message("# probe of (1000,%d): %.3f s, penalty %g, %d iterations, test %.3f\n", (int)DIM[i], seconds,
                      r.penalty, r.iterations, r.accuracy[SPLIT_TEST]);
        EXPECT(r.converged && seconds < 20, "%g s, converged %d", seconds, r.converged);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
SUITE(T(finds_the_stated_optimum), T(loss_is_least), T(loss_is_least_in_many_dimensions),
      T(separates_and_generalises), T(noise_is_memorised_not_learnt), T(majority_by_hand), T(odd_features),
      T(bags_by_hand), T(bag_solves_typ), T(fits_quickly))
