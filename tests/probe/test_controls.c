/* Classifiers and controls against answers that are known: by hand, in closed form, or from an independent loop. */
#include "expect.h"

#include <string.h>

#include "arena.h"
#include "base/str.h"
#include "probe/classifier.h"
#include "probe/compare.h"
#include "probe/controls.h"
#include "probe/mdl.h"
#include "probe/usable.h"

static const char *const NAME[] = {"a", "b", "c", "d"};

/* n examples with random labels of c and texts of their number; of every ten, six train, two validate, two test. */
static Dataset examples(int64_t n, int c, uint64_t stream)
{
    Dataset d = {.name = "made", .n = n, .n_labels = c, .label = NAME, .example = NEW(&arena, Example, n)};
    for (int64_t i = 0; i < n; i++) {
        const char *text = str_print(&arena, "%lld", (long long)i);
        Split s = i % 10 < 6 ? SPLIT_TRAIN : i % 10 < 8 ? SPLIT_VALID : SPLIT_TEST;
        d.example[i] = (Example){s, (int32_t)rng_below(stream, (uint64_t)i, c), text, strlen(text)};
    }
    dataset_count(&d, &arena);
    return d;
}

/* Normal noise; the label moves its column by `signal`. */
static Tensor leaning(const Dataset *d, int64_t dim, double signal, uint64_t stream)
{
    Tensor x = noise(&arena, F32, stream, SHAPE(d->n, dim));
    for (int64_t i = 0; i < d->n; i++) {
        int64_t at = i * dim + d->example[i].label;
        tensor_set(x, at, tensor_get(x, at) + signal);
    }
    return x;
}

/* ---- classifiers */

static void every_classifier(void **state)
{
    (void)state;
    Dataset d = examples(500, 3, 1);
    Tensor clear = leaning(&d, 20, 6, 2), blind = noise(&arena, F32, 3, SHAPE(500, 20));
    int n = 0;
    for (const Classifier *const *c = classifier_begin(); c < classifier_end(); c++, n++) {
        ProbeResult r, again;
        assert_ptr_equal(classifier_find((*c)->name), *c);
        assert_int_equal((*c)->fit(&r, &arena, clear, &d, NULL, NULL), OK);
        EXPECT(r.accuracy[SPLIT_TEST] > 0.95, "%s: %g", (*c)->name, r.accuracy[SPLIT_TEST]);
        assert_int_equal((*c)->fit(&again, &arena, clear, &d, NULL, NULL), OK);
        EXPECT_NEAR(again.probability, r.probability, 0);
        for (int64_t i = 0; i < d.n; i++) {
            Tensor p = tensor_at(r.probability, i);
            near(tensor_get(p, 0) + tensor_get(p, 1) + tensor_get(p, 2), 1, 1e-12, "sum of probabilities");
            assert_int_equal(r.predicted[i], tensor_argmax(p));
        }
        assert_int_equal((*c)->fit(&r, &arena, blind, &d, NULL, NULL), OK);
        EXPECT(r.accuracy[SPLIT_TEST] < 0.55, "%s on noise: %g", (*c)->name, r.accuracy[SPLIT_TEST]);
        tensor_set(blind, 5, NAN);
        assert_int_equal((*c)->fit(&r, &arena, blind, &d, NULL, NULL), E_NUMERIC);
        err_clear();
        tensor_set(blind, 5, 0);
        Dataset empty = d;
        empty.size[SPLIT_TRAIN] = 0;
        assert_int_equal((*c)->fit(&r, &arena, blind, &empty, NULL, NULL), E_MISMATCH);
        err_clear();
    }
    assert_int_equal(n, 4);
    ProbeResult most;
    probe_majority(&most, &arena, &d);
    double share = (double)d.count[SPLIT_TRAIN][1] / (double)d.size[SPLIT_TRAIN];
    near(tensor_get(most.probability, 7 * 3 + 1), share, 1e-15, "the majority's probabilities are the shares");
    assert_null(classifier_find("oracle"));
}

/* Exclusive or: no straight line, but a hidden layer. */
static void hidden_layer(void **state)
{
    (void)state;
    Dataset d = examples(600, 2, 4);
    Tensor x = noise(&arena, F64, 5, SHAPE(600, 2));
    for (int64_t i = 0; i < d.n; i++)
        d.example[i].label = (tensor_get(x, 2 * i) > 0) != (tensor_get(x, 2 * i + 1) > 0);
    dataset_count(&d, &arena);
    ProbeResult line, net;
    assert_int_equal(classifier_find("logistic")->fit(&line, &arena, x, &d, NULL, NULL), OK);
    assert_int_equal(classifier_find("mlp")->fit(&net, &arena, x, &d, NULL, NULL), OK);
    EXPECT(line.accuracy[SPLIT_TEST] < 0.65 && net.accuracy[SPLIT_TEST] > 0.9, "line %g, net %g",
           line.accuracy[SPLIT_TEST], net.accuracy[SPLIT_TEST]);
    EXPECT(net.gradient >= 0 && net.converged == (net.gradient < 1e-3), "gradient %g", net.gradient);
}

/* Two means at -1 and 1 with training rows at -1.5, -.5, .5, 1.5: v = .25 / variance 1.25. */
static void centroid_by_hand(void **state)
{
    (void)state;
    static const double AT[] = {-1.5, -0.5, 0.5, 1.5, 0.25};
    Dataset d = {.name = "made", .n = 5, .n_labels = 2, .label = NAME, .example = NEW(&arena, Example, 5)};
    Tensor x = tensor_new(&arena, F64, SHAPE(5, 1));
    for (int i = 0; i < 5; i++) {
        tensor_set(x, i, AT[i]);
        d.example[i] = (Example){i < 4 ? SPLIT_TRAIN : SPLIT_TEST, i >= 2, "", 0};
    }
    dataset_count(&d, &arena);
    ProbeResult r;
    assert_int_equal(classifier_find("centroid")->fit(&r, &arena, x, &d, NULL, NULL), OK);
    near(r.penalty, 1, 0, "spread");
    near(tensor_get(r.probability, 9), 1 / (1 + exp((0.75 * 0.75 - 1.25 * 1.25) / (2 * 0.25))), 1e-12, "posterior");
}

/* The published protocol again, by plain loops over its formulas, on one training row: there is no order. */
static void karmakar_by_formula(void **state)
{
    (void)state;
    Dataset d = {.name = "made", .n = 2, .n_labels = 2, .label = NAME, .example = NEW(&arena, Example, 2)};
    d.example[0] = (Example){SPLIT_TRAIN, 1, "", 0}, d.example[1] = (Example){SPLIT_TEST, 0, "", 0};
    dataset_count(&d, &arena);
    Tensor x = tensor_new(&arena, F64, SHAPE(2, 1));
    tensor_set(x, 0, 3), tensor_set(x, 1, -2);
    ProbeResult r;
    assert_int_equal(classifier_find("karmakar-compat")->fit(&r, &arena, x, &d, NULL, NULL), OK);
    near(r.penalty, 1e-5, 0, "of equal decays the smallest");
    assert_int_equal(r.iterations, 20);
    double w[4], m[4] = {0}, v[4] = {0};
    uint64_t stream = rng_mix(rng_stream(42, "karmakar"), 0);
    for (int i = 0; i < 4; i++) w[i] = 2 * rng_uniform(stream, (uint64_t)i) - 1; /* w0 b0 w1 b1, within 1/sqrt(1) */
    for (int t = 1; t <= 20; t++) {
        double p = 1 / (1 + exp(w[2] * 3 + w[3] - w[0] * 3 - w[1])); /* of label 0 */
        double g[] = {3 * p, p, -3 * p, -p};
        for (int i = 0; i < 4; i++) {
            g[i] += 1e-5 * w[i];
            m[i] = 0.9 * m[i] + 0.1 * g[i], v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i];
            w[i] -= 1e-3 * (m[i] / (1 - pow(0.9, t))) / (sqrt(v[i] / (1 - pow(0.999, t))) + 1e-8);
        }
    }
    near(tensor_get(r.weight, 0), w[0], 1e-12, "weight"), near(tensor_get(r.bias, 1), w[3], 1e-12, "bias");
}

/* ---- controls */

static void control_tasks(void **state)
{
    (void)state;
    Dataset d = examples(900, 2, 6);
    for (int64_t i = 0; i < d.n; i++) d.example[i].label = i % 5 == 0; /* a third of training */
    dataset_count(&d, &arena);
    Bytes *key = NEW(&arena, Bytes, d.n);
    for (int64_t i = 0; i < d.n; i++) key[i] = (Bytes){str_print(&arena, "k%d", (int)(i % 31)), 3};
    int32_t *by_key = NEW(&arena, int32_t, d.n), *by_text = NEW(&arena, int32_t, d.n);
    control_labels(by_key, &d, key, 7), control_labels(by_text, &d, NULL, 7);
    int64_t ones = 0, keyed = 0;
    for (int64_t i = 0; i < d.n; i++) {
        assert_int_equal(by_key[i], by_key[i % 31]); /* one label a key, whatever the split */
        ones += by_text[i], keyed += i < 31 ? by_key[i] : 0;
    }
    EXPECT(fabs((double)ones / 900 - 1 / 3.0) < 4 * sqrt(2 / 9.0 / 900), "%lld of 900 draws of a third",
           (long long)ones);
    assert_true(keyed > 0 && keyed < 25);
    control_labels(by_text, &d, NULL, 8);
    int64_t same = 0;
    for (int64_t i = 0; i < d.n; i++) same += by_text[i];
    assert_true(same != ones); /* another stream, other labels */
    /* features that name the key: the control task can be memorised whole; the task is not in them */
    Tensor x = tensor_zero(&arena, F32, SHAPE(d.n, 31));
    for (int64_t i = 0; i < d.n; i++) tensor_set(x, i * 31 + i % 31, 1);
    for (int64_t i = 0; i < d.n; i++) d.example[i].label = (int32_t)rng_below(9, (uint64_t)i, 2);
    dataset_count(&d, &arena);
    Selectivity s;
    assert_int_equal(control_selectivity(&s, classifier_find("logistic"), x, &d, NULL, key, NULL, 3, 10), OK);
    near(s.control[SPLIT_TEST], 1, 0, "a task by key, with features that name the key");
    EXPECT(s.accuracy[SPLIT_TEST] < 0.7 && s.selectivity[SPLIT_TEST] < -0.3, "selectivity %g",
           s.selectivity[SPLIT_TEST]);
    assert_int_equal(control_selectivity(&s, classifier_find("logistic"), x, &d, NULL, NULL, NULL, 3, 11), OK);
    double mean = 0;
    for (uint64_t k = 0; k < 3; k++) { /* each draw has labels of its own */
        ProbeResult r;
        control_labels(by_text, &d, NULL, rng_mix(11, k));
        assert_int_equal(probe_fit(&r, &arena, x, &d, by_text, NULL), OK);
        mean += r.accuracy[SPLIT_TRAIN] / 3;
    }
    near(s.control[SPLIT_TRAIN], mean, 1e-12, "mean over draws");
    EXPECT(fabs(s.control[SPLIT_TEST] - 0.5) < 0.12, "a task by text has nothing to know: %g", s.control[SPLIT_TEST]);
}

/* A classifier that gives the right label 3/4 whatever it saw. */
static Status three_quarters(ProbeResult *out, Arena *a, Tensor x, const Dataset *d, const int32_t *label,
                             const ProbeConfig *how)
{
    (void)how;
    *out = (ProbeResult){.n_labels = d->n_labels, .converged = d->size[SPLIT_TRAIN] >= 40};
    out->probability = tensor_new(a, F64, SHAPE(d->n, d->n_labels));
    tensor_fill(out->probability, 0.25 / (d->n_labels - 1));
    for (int64_t i = 0; i < d->n; i++) { /* the features are the labels: rows must not have been mixed up */
        assert_true(tensor_get(x, i) == label[i]);
        tensor_set(out->probability, i * d->n_labels + label[i], 0.75);
    }
    return OK;
}

static void online_code(void **state)
{
    (void)state;
    Dataset d = examples(1000, 4, 12);
    Tensor own = tensor_new(&arena, F64, SHAPE(d.n, 1));
    for (int64_t i = 0; i < d.n; i++) tensor_set(own, i, d.example[i].label);
    const Classifier oracle = {"oracle", "", three_quarters};
    Mdl m;
    assert_int_equal(mdl_online(&m, &oracle, own, &d, NULL, NULL, 2, 1), OK);
    /* 600 rows: ends 16 (at least 4 C) 19 38 75 150 300 600 */
    static const int64_t END[] = {16, 19, 38, 75, 150, 300, 600};
    assert_int_equal(m.blocks, 7);
    for (int k = 0; k < 7; k++) assert_int_equal(m.end[k], END[k]);
    near(m.uniform, 1200, 1e-9, "uniform code");
    near(m.length, 16 * 2 + 584 * log2(4.0 / 3), 1e-9, "length");
    near(m.sd, 0, 1e-9, "spread over shuffles");
    near(m.compression, m.uniform / m.length, 1e-12, "compression");
    near(m.bits[3], log2(4.0 / 3), 1e-12, "bits a label");
    assert_int_equal(m.unconverged, 2 * 3); /* fitted on 16, 19 and 38 rows */

    d = examples(500, 2, 13);
    const Classifier *logistic = classifier_find("logistic");
    assert_int_equal(mdl_online(&m, logistic, noise(&arena, F32, 14, SHAPE(500, 3)), &d, NULL, NULL, 3, 2), OK);
    EXPECT(m.compression > 0.85 && m.compression < 1.02, "noise compresses by %g", m.compression);
    assert_int_equal(mdl_online(&m, logistic, leaning(&d, 3, 12, 15), &d, NULL, NULL, 3, 2), OK);
    EXPECT(m.compression > 10, "what can be read off compresses by %g", m.compression);
    near(m.bits[m.blocks - 1], 0, 0.05, "the last block");
}

static void usable(void **state)
{
    (void)state;
    Dataset d = examples(400, 4, 16);
    for (int64_t i = 0; i < d.n; i++) d.example[i].label = (int32_t)(i / 10 % 4); /* shares of exactly a quarter */
    dataset_count(&d, &arena);
    Tensor p = tensor_zero(&arena, F64, SHAPE(d.n, 4));
    for (int64_t i = 0; i < d.n; i++) tensor_set(p, i * 4 + d.example[i].label, 1);
    Usable u;
    usable_measure(&u, &arena, p, &d, NULL, SPLIT_TEST, 1);
    near(u.mean, 2, 1e-12, "a feature that is the label"), near(u.entropy, 2, 1e-12, "entropy");
    assert_true(u.n == 80 && u.negatives == 0);
    near(u.ci95.lo, 2, 1e-12, "interval");
    tensor_fill(p, 0.25);
    usable_measure(&u, &arena, p, &d, NULL, SPLIT_TEST, 1);
    near(u.mean, 0, 1e-12, "the prior itself");
    /* examples 8, 9 and 19 of the test split: two worse than the prior, the worst first */
    tensor_set(p, 8 * 4 + d.example[8].label, 0.125), tensor_set(p, 19 * 4 + d.example[19].label, 0.03125);
    tensor_set(p, 9 * 4 + d.example[9].label, 0.5);
    usable_measure(&u, &arena, p, &d, NULL, SPLIT_TEST, 1);
    assert_int_equal(u.negatives, 2);
    assert_true(u.negative[0] == 19 && u.negative[1] == 8);
    near(u.mean, (-1 - 3 + 1) / 80.0, 1e-12, "mean");
    assert_true(u.row[0] == 8 && u.row[3] == 19);
    near(u.pvi[3], -3, 1e-12, "pointwise");
}

/* Two probes that are right on the same share of examples, in three seeds that agree on most of them: the test
 * finds a difference in at most 6 %, and one that is there nearly always. */
static void size_of_the_test_over_seeds(void **state)
{
    (void)state;
    enum { SEEDS = 3, TRIALS = 400 };
    Dataset d = examples(200, 2, 17);
    int32_t *guess[2][SEEDS];
    int null = 0, found = 0;
    for (int s = 0; s < 2; s++)
        for (int k = 0; k < SEEDS; k++) guess[s][k] = NEW(&arena, int32_t, d.n);
    for (int t = 0; t < 2 * TRIALS; t++) {
        uint64_t stream = rng_stream((uint64_t)t, "rows"), at = 0;
        for (int s = 0; s < 2; s++)
            for (int64_t i = 0; i < d.n; i++) {
                bool right = rng_uniform(stream, at++) < (t >= TRIALS && s ? 0.2 : 0.7);
                for (int k = 0; k < SEEDS; k++) {
                    bool other = rng_uniform(stream, at++) < 0.1;
                    guess[s][k][i] = d.example[i].label ^ (right == other);
                }
            }
        Comparison c = compare_seeds((const int32_t *const *)guess[0], (const int32_t *const *)guess[1], SEEDS, &d,
                                     NULL, SPLIT_TEST, 199, (uint64_t)t);
        *(t < TRIALS ? &null : &found) += c.p <= 0.05;
    }
    EXPECT(null <= 0.06 * TRIALS + 2 * sqrt(TRIALS * .05 * .95), "rejects %d of %d without a difference", null,
           TRIALS);
    EXPECT(found > 0.9 * TRIALS, "finds %d of %d", found, TRIALS);
}

/* The key is the first word of the line with the mark, or of the text, and labels agree where keys do. */
static void keys_of_texts(void **state)
{
    (void)state;
    static const char *const TEXT[] = {"add a thing", "add another", "one\n  two <mask> x\nthree", "two", "<mask> y"};
    Example e[5];
    for (int i = 0; i < 5; i++)
        e[i] = (Example){.text = TEXT[i], .len = strlen(TEXT[i]), .split = i % 2 ? SPLIT_TEST : SPLIT_TRAIN};
    Dataset d = {.n = 5, .example = e, .n_labels = 2};
    d.size[SPLIT_TRAIN] = 3, d.size[SPLIT_TEST] = 2;
    Bytes key[5];
    near(control_keys(key, &d, "<mask>"), 1, 0, "share of keys seen");
    const char *const WORD[] = {"add", "add", "two", "two", "<mask>"};
    for (int i = 0; i < 5; i++)
        EXPECT(key[i].len == strlen(WORD[i]) && !memcmp(key[i].text, WORD[i], key[i].len), "key %d: %.*s", i,
               (int)key[i].len, key[i].text);
}

static void comparisons(void **state)
{
    (void)state;
    Dataset d = examples(1000, 2, 17);
    int32_t *a = NEW(&arena, int32_t, d.n), *b = NEW(&arena, int32_t, d.n), at = 0;
    for (int64_t i = 0; i < d.n; i++) {
        a[i] = b[i] = d.example[i].label;
        if (d.example[i].split != SPLIT_TEST)
            a[i] = !a[i]; /* other splits do not count */
        else if (at++ < 10)
            b[i] = !b[i]; /* b is wrong on ten of 200 */
    }
    Comparison c = compare_predictions(a, b, &d, NULL, SPLIT_TEST);
    assert_true(c.n == 200 && c.only_a == 10 && c.only_b == 0);
    near(c.p, 2.0 / 1024, 1e-12, "McNemar"), near(c.b, 0.95, 1e-12, "accuracy");
    assert_string_equal(compare_sentence(&arena, &c, "rule", 0.05),
                        "above the rule (100.0 % against 95.0 %, p = 0.002)");
    assert_string_equal(compare_sentence(&arena, &c, "rule", 0.001),
                        "not above the rule (100.0 % against 95.0 %, p = 0.002)");
    c = compare_predictions(b, a, &d, NULL, SPLIT_TEST);
    assert_string_equal(compare_sentence(&arena, &c, "rule", 0.05),
                        "below the rule (95.0 % against 100.0 %, p = 0.002)");
    /* equal seeds: rows alone, sd sqrt(.05 .95 / 200); then one that is always right beside one that never is */
    const int32_t *const one[] = {b, b};
    Interval i = compare_interval(one, 2, &d, NULL, SPLIT_TEST, 2000, 3);
    double sd = sqrt(0.05 * 0.95 / 200);
    EXPECT(i.lo > 0.95 - 2.6 * sd && i.lo < 0.95 - 1.4 * sd && i.hi < 0.95 + 2.6 * sd && i.hi > 0.95 + 1.2 * sd,
           "%g to %g", i.lo, i.hi);
    for (int64_t k = 0; k < d.n; k++) b[k] = d.example[k].label, a[k] = !b[k];
    const int32_t *const two[] = {a, b};
    i = compare_interval(two, 2, &d, NULL, SPLIT_TEST, 500, 3);
    EXPECT(i.lo <= 0 && i.hi >= 1, "%g to %g", i.lo, i.hi);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
SUITE(T(every_classifier), T(hidden_layer), T(centroid_by_hand), T(karmakar_by_formula), T(control_tasks),
      T(online_code), T(usable), T(comparisons), T(size_of_the_test_over_seeds), T(keys_of_texts))
