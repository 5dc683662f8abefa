/* Properties of every metric, whatever its input: agreement with its definition, written out plainly, on random
 * input, and the laws that follow from the definition. */
#include "expect.h"

#include <string.h>

#include "arena.h"
#include "base/str.h"
#include "metric/bleu.h"
#include "metric/effort.h"
#include "metric/messages.h"
#include "metric/meteor.h"
#include "metric/rouge.h"
#include "metric/score.h"

enum { TURNS = 300, LONGEST = 12 };

static int64_t below(uint64_t turn, uint64_t i, int64_t n)
{
    return rng_below(rng_mix(rng_stream(3, "laws"), turn), i, n);
}

/* A text of up to LONGEST words from a vocabulary so small that n-grams come again. */
static Words random_words(uint64_t turn, int side)
{
    Words w = {below(turn, (uint64_t)side, LONGEST + 1), NEW(&arena, int32_t, LONGEST)};
    for (int64_t i = 0; i < w.n; i++)
        w.id[i] = (int32_t)below(turn, 100 * ((uint64_t)side + 1) + (uint64_t)i, 1 + (int64_t)turn % 5);
    return w;
}

static bool same_gram(const int32_t *a, const int32_t *b, int k)
{
    return !memcmp(a, b, sizeof *a * (size_t)k);
}

static int64_t occurrences(Words w, const int32_t *gram, int k)
{
    int64_t n = 0;
    for (int64_t i = 0; i + k <= w.n; i++) n += same_gram(w.id + i, gram, k);
    return n;
}

/* Of every distinct n-gram of the hypothesis, as many as both sides have. */
static int64_t clipped(Words h, Words r, int k)
{
    int64_t n = 0;
    for (int64_t i = 0; i + k <= h.n; i++) {
        bool first = true;
        for (int64_t j = 0; j < i; j++) first &= !same_gram(h.id + j, h.id + i, k);
        int64_t a = occurrences(h, h.id + i, k), b = occurrences(r, h.id + i, k);
        if (first) n += a < b ? a : b;
    }
    return n;
}

static void bleu_is_its_definition(void **state)
{
    (void)state;
    BleuCounts sum = {0}, check = {0};
    for (uint64_t turn = 0; turn < TURNS; turn++) {
        Words h = random_words(turn, 0), r = random_words(turn, 1);
        BleuCounts c = {0};
        size_t before = (size_t)(arena.top - arena.base);
        bleu_count(&c, &arena, h, r);
        bleu_count(&sum, &arena, h, r); /* adds */
        assert_int_equal(arena.top - arena.base, before);
        assert_true(c.hypothesis == h.n && c.reference == r.n);
        check.hypothesis += h.n, check.reference += r.n;
        double norm = 0, cc = 0, p[BLEU_ORDERS], mean = 0;
        for (int k = 1; k <= BLEU_ORDERS; k++) {
            int64_t match = clipped(h, r, k), total = h.n >= k ? h.n - k + 1 : 0;
            EXPECT(c.match[k - 1] == match && c.total[k - 1] == total,
                   "turn %d, order %d: %lld of %lld, expected %lld of %lld", (int)turn, k, (long long)c.match[k - 1],
                   (long long)c.total[k - 1], (long long)match, (long long)total);
            check.match[k - 1] += match, check.total[k - 1] += total;
            p[k - 1] = total ? (double)match / (double)total : 0;
            if (k <= 4) norm += log((double)match + (k > 1) + 1e-300) - log((double)total + (k > 1) + 1e-300);
        }
        if (h.n && c.match[0]) {
            near(bleu_norm(&c), exp(norm / 4) * exp(fmin(0, 1 - (double)(r.n + 1) / (double)(h.n + 1))), 1e-12,
                 "B-Norm");
            mean = p[0] + 1;
            for (int k = 0; k < 4; k++) mean = (mean + p[k] + p[k + 1]) / 3, cc += log(mean) / 4;
            near(bleu_cc(&c), exp(cc) * exp(fmin(0, 1 - (double)r.n / (double)h.n)), 1e-12, "B-CC");
        } else {
            near(bleu_cc(&c), 0, 0, "B-CC without a common word");
        }
    }
    assert_memory_equal(&sum, &check, sizeof sum);
    double product = 1;
    for (int k = 0; k < 4; k++) product *= (double)check.match[k] / (double)check.total[k];
    near(bleu_moses(&check),
         pow(product, 0.25) * exp(fmin(0, 1 - (double)check.reference / (double)check.hypothesis)), 1e-12, "B-Moses");
    check.reference = check.hypothesis + 50;
    near(bleu_moses(&check), pow(product, 0.25) * exp(-50.0 / (double)check.hypothesis), 1e-12, "B-Moses, too short");
    check.match[3] = 0;
    near(bleu_moses(&check), 0, 0, "B-Moses without a common 4-gram");
}

static int64_t common(Words a, Words b, int64_t i, int64_t j)
{
    static int64_t known[LONGEST + 1][LONGEST + 1];
    if (i == a.n && j == b.n) memset(known, 0, sizeof known);
    for (int64_t x = 1; x <= i; x++)
        for (int64_t y = 1; y <= j; y++)
            known[x][y] = a.id[x - 1] == b.id[y - 1]          ? known[x - 1][y - 1] + 1
                          : known[x - 1][y] > known[x][y - 1] ? known[x - 1][y]
                                                              : known[x][y - 1];
    return known[i][j];
}

/* Two texts of 100,000 words, of which one is the other with every third word replaced: word by word it would be
 * 10^10 comparisons. */
static void rouge_of_long_texts(void **state)
{
    (void)state;
    enum { LONG = 100000 };
    Words h = {LONG, NEW(&arena, int32_t, LONG)}, r = {LONG, NEW(&arena, int32_t, LONG)};
    for (int64_t i = 0; i < LONG; i++) {
        r.id[i] = (int32_t)(i % 977);
        h.id[i] = i % 3 ? r.id[i] : 977 + (int32_t)(i % 5);
    }
    assert_int_equal(rouge_lcs(&arena, h, r), LONG - (LONG + 2) / 3);
}

static void rouge_is_its_definition(void **state)
{
    (void)state;
    for (uint64_t turn = 0; turn < TURNS; turn++) {
        Words h = random_words(turn, 0), r = random_words(turn, 1);
        int64_t lcs = common(h, r, h.n, r.n);
        assert_int_equal(rouge_lcs(&arena, h, r), lcs);
        assert_int_equal(rouge_lcs(&arena, r, h), lcs);
        assert_int_equal(rouge_lcs(&arena, h, h), h.n);
        double p = (double)lcs / (double)h.n, q = (double)lcs / (double)r.n, b = 1.2 * 1.2;
        near(rouge_l(&arena, h, r), lcs ? (1 + b) * p * q / (q + b * p) : 0, 1e-12, "ROUGE-L");
    }
}

/* A text against itself is one chunk of n words; against one without a common word it has nothing; its halves turned
 * round are two chunks. */
static void meteor_of_nltk(void **state)
{
    (void)state;
    Buf text = buf_open(&arena), turned = buf_open(&arena);
    for (int n = 1; n < 9; n++) {
        buf_print(&text, "%sword%c", n > 1 ? " " : "", 'a' + n);
        Bytes whole = {text.text, text.len}, other = {(char *)(uintptr_t) "x yy Zzz", 8};
        near(meteor_nltk(&arena, NULL, whole, whole), 1 - 0.5 / pow(n, 3), 1e-12, "a text against itself");
        near(meteor_nltk(&arena, NULL, whole, other), 0, 0, "nothing in common");
        near(meteor_nltk(&arena, NULL, other, whole), 0, 0, "nothing in common");
        turned = buf_open(&arena);
        for (int i = 0; i < n; i++) buf_print(&turned, "%sWORD%c", i ? " " : "", 'a' + 1 + (i + n / 2) % n);
        near(meteor_nltk(&arena, NULL, (Bytes){turned.text, turned.len}, whole),
             1 - 0.5 * pow((n > 1 ? 2.0 : 1.0) / n, 3), 1e-12, "halves turned round");
        Buf longer = buf_open(&arena); /* as many words again that match nothing: precision a half */
        buf_print(&longer, "%s", text.text);
        for (int i = 0; i < n; i++) buf_print(&longer, " q%dq", i);
        near(meteor_nltk(&arena, NULL, (Bytes){longer.text, longer.len}, whole), (1 - 0.5 / pow(n, 3)) * 0.5 / 0.55,
             1e-12, "half of the hypothesis");
        near(meteor_nltk(&arena, NULL, whole, (Bytes){longer.text, longer.len}), (1 - 0.5 / pow(n, 3)) * 0.5 / 0.95,
             1e-12, "half of the reference");
    }
    Bytes a = {(char *)(uintptr_t) "flies hopping home", 18}, b = {(char *)(uintptr_t) "fly hopped home", 15};
    near(meteor_nltk(&arena, NULL, a, b), 1 - 0.5 / 27, 1e-12, "stems");
}

/* Rows that are equal, that differ in case alone, in one letter, and in length; every choice of rows has the mean. */
static void exact_is_equality(void **state)
{
    (void)state;
    static const char *const PAIR[][2] = {{"Fix it", "Fix it"}, {"fix it", "Fix It"}, {"Fix it", "Fix in"},
                                          {"Fix", "Fix it"},    {"Fix it", "Fix"},    {"Été", "Été"}};
    static const bool SAME[] = {true, false, false, false, false, true},
                      LOWER[] = {true, true, false, false, false, true};
    enum { N = sizeof PAIR / sizeof *PAIR };
    Bytes h[N], r[N];
    for (int i = 0; i < N; i++) {
        h[i] = (Bytes){(char *)(uintptr_t)PAIR[i][0], strlen(PAIR[i][0])};
        r[i] = (Bytes){(char *)(uintptr_t)PAIR[i][1], strlen(PAIR[i][1])};
    }
    MessageRows rows;
    messages_score(&rows, &arena, N, h, r, NULL, NULL);
    for (uint64_t turn = 0; turn < 2 * N; turn++) {
        int64_t chosen[N], n = turn < N ? 1 : 1 + below(turn, 0, N);
        double out[MESSAGE_METRICS], same = 0, lower = 0;
        for (int64_t i = 0; i < n; i++) {
            chosen[i] = turn < N ? (int64_t)turn : below(turn, 1 + (uint64_t)i, N);
            same += SAME[chosen[i]], lower += LOWER[chosen[i]];
        }
        messages_stats(out, chosen, n, &rows);
        near(out[EXACT], 100 * same / (double)n, 1e-12, "exact match");
        near(out[EXACT_LOWER], 100 * lower / (double)n, 1e-12, "exact match, lower case");
    }
}

static void rows_of_a_turn(uint64_t turn, int n, int32_t *label, double *score, double *effort)
{
    for (int i = 0; i < n; i++) {
        label[i] = (int32_t)below(turn, (uint64_t)(2 * i), 2);
        score[i] = (double)below(turn, (uint64_t)(2 * i + 1), 11) / 10; /* with ties */
        effort[i] = (double)(1 + below(turn, (uint64_t)(1000 + i), 40));
    }
    label[0] = 1, label[1] = 0;
}

static void binary_scores_are_their_definitions(void **state)
{
    (void)state;
    enum { N = 25 };
    int32_t label[N];
    double score[N], effort[N];
    for (uint64_t turn = 0; turn < TURNS; turn++) {
        int n = 2 + (int)turn % (N - 1);
        rows_of_a_turn(turn, n, label, score, effort);
        BinaryScores s = score_binary(label, score, n, 0.5);
        double won = 0, pairs = 0, average = 0, brier = 0, tp = 0, fp = 0, tn = 0, fn = 0;
        for (int i = 0; i < n; i++) {
            double above = 0, right = 0;
            for (int j = 0; j < n; j++) {
                if (label[i] && !label[j]) pairs++, won += score[i] > score[j] ? 1 : score[i] < score[j] ? 0 : 0.5;
                if (score[j] >= score[i]) above++, right += label[j];
            }
            if (label[i]) average += right / above;
            brier += (score[i] - label[i]) * (score[i] - label[i]) / n;
            *(score[i] >= 0.5 ? label[i] ? &tp : &fp : label[i] ? &fn : &tn) += 1;
        }
        double spread = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn);
        near(s.auc, won / pairs, 1e-12, "AUC");
        near(score_auc(label, score, n), s.auc, 0, "AUC alone");
        near(s.average_precision, average / (tp + fn), 1e-12, "average precision");
        near(s.brier, brier, 1e-12, "Brier");
        near(s.accuracy, (tp + tn) / n, 1e-12, "accuracy");
        near(s.precision, tp + fp > 0 ? tp / (tp + fp) : 0, 1e-12, "precision");
        near(s.recall, tp / (tp + fn), 1e-12, "recall");
        near(s.f1, 2 * tp / (2 * tp + fp + fn), 1e-12, "F1");
        near(s.mcc, spread > 0 ? (tp * tn - fp * fn) / sqrt(spread) : 0, 1e-12, "MCC");
        score[n - 1] = 1.25;
        assert_true(isnan(score_binary(label, score, n, 0.5).brier));
    }
}

/* Other names for the classes change nothing; a class that never occurs does not either. */
static void classes_have_no_order(void **state)
{
    (void)state;
    enum { CLASSES = 5 };
    for (uint64_t turn = 0; turn < TURNS; turn++) {
        int64_t table[CLASSES * CLASSES] = {0}, turned[CLASSES * CLASSES] = {0};
        for (int i = 0; i < 40; i++) { /* class 4 never occurs */
            int32_t truth = (int32_t)below(turn, (uint64_t)(2 * i), 4),
                    said = (int32_t)below(turn, (uint64_t)(2 * i + 1), 4);
            if (i % 2) said = truth;
            score_confusion(table, CLASSES, &truth, &said, 1);
            truth = (truth + 3) % CLASSES, said = (said + 3) % CLASSES;
            score_confusion(turned, CLASSES, &truth, &said, 1);
        }
        ClassScores a = score_classes(table, CLASSES), b = score_classes(turned, CLASSES);
        near(a.macro_f1, b.macro_f1, 1e-12, "macro F1"), near(a.weighted_f1, b.weighted_f1, 1e-12, "weighted F1");
        near(a.macro_precision, b.macro_precision, 1e-12, "macro precision");
        near(a.macro_recall, b.macro_recall, 1e-12, "macro recall");
        near(a.weighted_precision, b.weighted_precision, 1e-12, "weighted precision");
        near(a.weighted_recall, a.accuracy, 1e-12, "weighted recall is accuracy");
        near(a.mcc, b.mcc, 1e-12, "MCC");
        double f1 = 0;
        for (int k = 0; k < CLASSES; k++) f1 += score_f1(table, CLASSES, k) / 4;
        near(a.macro_f1, f1, 1e-12, "macro F1 is the mean over the classes that occur");
        EXPECT(a.mcc > 0 && a.mcc < 1 && a.accuracy >= 0.5, "MCC %g, accuracy %g", a.mcc, a.accuracy);
    }
}

/* Reading the defects first, the densest first, is the best order.  Its reverse is the worst, and every other lies
 * between.  Scores enter by their order alone. */
static void effort_has_a_best_and_a_worst(void **state)
{
    (void)state;
    enum { N = 30 };
    int32_t label[N], label2[N];
    double score[N], effort[N], good[N], bad[N], twice[N], score2[N], effort2[N];
    for (uint64_t turn = 0; turn < TURNS; turn++) {
        rows_of_a_turn(turn, N, label, score, effort);
        for (int i = 0; i < N; i++) {
            score[i] += 0.05 + i / 4096.0; /* no two rows of the same density */
            good[i] = label[i] + 1e-6 * (i + 1);
            bad[i] = 1 - label[i] + 1e-6 * (i + 1);
            twice[i] = 2 * score[i];
        }
        EffortScores s = effort_scores(label, score, effort, N), t = effort_scores(label, twice, effort, N);
        EffortScores best = effort_scores(label, good, effort, N), worst = effort_scores(label, bad, effort, N);
        for (int i = 0; i < N; i++) {
            int j = (7 * i + 3) % N;
            label2[i] = label[j], score2[i] = score[j], effort2[i] = effort[j];
        }
        EffortScores moved = effort_scores(label2, score2, effort2, N);
        near(t.popt, s.popt, 1e-12, "twice the scores"), near(moved.popt, s.popt, 1e-9, "rows in another order");
        near(moved.ifa, s.ifa, 1e-9, "rows in another order"),
            near(moved.recall_at_20, s.recall_at_20, 1e-9, "the same");
        near(moved.effort_at_20, s.effort_at_20, 1e-9, "the same"), near(best.ifa, 0, 0, "defects first");
        EXPECT(best.popt > 1 - 1e-9 && best.popt >= s.popt - 1e-9 && s.popt >= -1e-9, "Popt %g of at most %g", s.popt,
               best.popt);
        EXPECT(worst.popt <= s.popt + 0.05 && worst.recall_at_20 <= best.recall_at_20, "worst %g, ours %g",
               worst.popt, s.popt);
        EXPECT(best.recall_at_20 >= s.recall_at_20 && best.effort_at_20 <= s.effort_at_20 + 1e-12,
               "recall %g, effort %g", s.recall_at_20, s.effort_at_20);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
SUITE(T(bleu_is_its_definition), T(rouge_is_its_definition), T(rouge_of_long_texts), T(meteor_of_nltk),
      T(exact_is_equality), T(binary_scores_are_their_definitions), T(classes_have_no_order),
      T(effort_has_a_best_and_a_worst))
