/* Rows of commits, the choice of k, and the fit. */
#include "tasks/jitline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "learn/smote.h"

enum { LEAST_DOCUMENTS = 3, USUAL_K = 5 };
static const double BESIDE_WORDS = 0.2; /* a feature's deviation where a commit's counts have length 1 */

/* ---- rows */

static bool is_linear(const JitLine *m)
{
    return m->plan.classifier != JITLINE_FOREST;
}

/* A feature as it is read; NaN where it is unknown. */
static double feature_of(const JitLinePlan *p, const CodeChange *c, int k)
{
    if (k == FEATURE_fix && p->as_published) return 1;
    if (k == FEATURE_fix && p->no_fix) return NAN;
    return p->as_published ? c->feature[k] : copysign(log1p(fabs(c->feature[k])), c->feature[k]);
}

static void add_features(SparseRows *rows, const JitLine *m, const CodeChange *c)
{
    for (int k = 0; k < N_FEATURES; k++) {
        double x = feature_of(&m->plan, c, k);
        if (isnan(x)) x = m->mean_of[k];
        sparse_add(rows, m->words.n + k, is_linear(m) ? BESIDE_WORDS * (x - m->mean_of[k]) / m->sd_of[k] : x);
    }
}

/* Counts become log(1 + count), of length 1 together. */
static void flatten(SparseEntry *entry, int64_t n)
{
    double squares = 0;
    for (int64_t e = 0; e < n; e++) {
        entry[e].value = log1p(entry[e].value);
        squares += entry[e].value * entry[e].value;
    }
    for (int64_t e = 0; e < n; e++) entry[e].value /= sqrt(squares);
}

static Status add_row(SparseRows *rows, const JitLine *m, Arena *step, const CodeChange *c)
{
    if (m->plan.features && !c->has_features)
        return err_fail(E_MISMATCH,
                        "commit %.40s lacks the features that the model reads (vernier data mine --features)", c->id);
    ArenaMark mark = arena_mark(step);
    int64_t before = rows->entries;
    vocabulary_count(rows, step, &m->words, jitline_document(step, c, m->plan.as_published));
    if (is_linear(m)) flatten(rows->entry + before, rows->entries - before);
    if (m->plan.features) add_features(rows, m, c);
    sparse_next(rows);
    arena_drop(step, mark);
    return OK;
}

static Status matrix_of(Sparse *out, const JitLine *m, Arena *a, const JitSet *s)
{
    Arena step = arena_open(0);
    SparseRows rows = sparse_begin(a, m->columns);
    Status status = OK;
    for (int64_t i = 0; i < s->n && !status; i++) status = add_row(&rows, m, &step, &s->change[i]);
    arena_close(&step);
    if (!status) *out = sparse_end(&rows);
    return status;
}

Status jitline_row(double **out, const JitLine *m, Arena *a, const CodeChange *c)
{
    JitSet one = {.n = 1, .change = (CodeChange *)(uintptr_t)c};
    Sparse row;
    *out = NEW(a, double, m->columns + 1);
    TRY(matrix_of(&row, m, a, &one));
    sparse_scatter(*out, &row, 0);
    return OK;
}

double jitline_classify(const JitLine *m, const double *row)
{
    return m->forest ? forest_score(m->forest, row) : linear_score(&m->linear, row);
}

Status jitline_score(double *out, JitLine *m, Arena *step, const CodeChange *c)
{
    double *row;
    ArenaMark mark = arena_mark(step);
    TRY(jitline_row(&row, m, step, c));
    *out = jitline_classify(m, row);
    arena_drop(step, mark);
    return isfinite(*out)
               ? OK
               : err_fail(E_NUMERIC, "the score of commit %.40s is %g, expected a finite number", c->id, *out);
}

/* ---- the fit */

typedef struct {
    Sparse x;
    int32_t *label;
} Rows;

static Status labelled_rows(Rows *out, const JitLine *m, Arena *a, const JitSet *s)
{
    out->label = NEW(a, int32_t, s->n + 1);
    for (int64_t i = 0; i < s->n; i++) out->label[i] = s->change[i].label == 1;
    return matrix_of(&out->x, m, a, s);
}

/* Balances the classes and fits the classifier; `used` becomes the rows that it was fitted to. */
static Status fit_classifier(JitLine *m, Rows *used, Arena *a, const Rows *given, int64_t k)
{
    const JitLinePlan *p = &m->plan;
    *used = *given;
    if (p->balance == JITLINE_SMOTE) {
        Balanced b;
        TRY(smote_balance(&b, a, &given->x, given->label, k, rng_stream(p->seed, "jitline/smote")));
        *used = (Rows){b.rows, b.label};
    }
    m->forest = NULL;
    bool weights = p->balance == JITLINE_WEIGHTS;
    if (p->classifier != JITLINE_FOREST) {
        LinearPlan plan = {p->classifier == JITLINE_SVM ? LINEAR_SVM : LINEAR_LOGISTIC, p->cost, weights};
        return linear_fit(&m->linear, a, &used->x, used->label, &plan);
    }
    ForestPlan plan = {.trees = p->trees, .balance = weights, .stream = rng_stream(p->seed, "jitline/forest")};
    m->forest = forest_grow(a, &used->x, used->label, &plan);
    return OK;
}

static double auc_of(const JitLine *m, Arena *a, const Rows *valid)
{
    double *score = NEW(a, double, valid->x.lines + 1), *x = NEW(a, double, m->columns + 1);
    if (m->forest) forest_scores(score, m->forest, &valid->x);
    for (int64_t i = 0; i < valid->x.lines && !m->forest; i++) {
        sparse_scatter(x, &valid->x, i);
        score[i] = linear_score(&m->linear, x);
        sparse_clear(x, &valid->x, i);
    }
    return score_auc(valid->label, score, valid->x.lines);
}

static bool both_classes(const Rows *r)
{
    bool has[2] = {false, false};
    for (int64_t i = 0; i < r->x.lines; i++) has[r->label[i]] = true;
    return has[0] && has[1];
}

/* The published search is over a score that takes twenty values, so they are all computed. */
static Status choose_k(JitLine *m, const Rows *train, const Rows *valid, const TuneWatch *watch)
{
    double best = -1, worst = 2;
    Arena scratch = arena_open(0);
    Status s = OK;
    for (int64_t k = 1; k <= JITLINE_MOST_K && !s; k++) {
        ArenaMark mark = arena_mark(&scratch);
        Rows used;
        s = fit_classifier(m, &used, &scratch, train, k);
        double auc = s ? 0 : auc_of(m, &scratch, valid);
        if (auc > best) best = auc, m->plan.k = k;
        if (auc < worst) worst = auc;
        arena_drop(&scratch, mark);
        if (!s && watch && !tuning_goes_on(k, (void *)(uintptr_t)watch))
            s = err_fail(E_INTERRUPT, "interrupted before the end");
    }
    if (!s && watch)
        tuning_remark(watch, &scratch, "SMOTE with %lld %s: validation AUC %.4f, the best of 1 to %d (worst %.4f)",
                      (long long)m->plan.k, str_plural(m->plan.k, "neighbour", "neighbours"), best, JITLINE_MOST_K,
                      worst);
    arena_close(&scratch);
    return s;
}

static int by_hash(const void *a, const void *b)
{
    const CodeChange *x = a, *y = b;
    return strcmp(x->id, y->id);
}

/* The published split: the first 80 % by hash, and the others. */
static void cut_by_hash(JitSet *train, JitSet *rest, Arena *a, const JitSet *s)
{
    CodeChange *change = NEW(a, CodeChange, s->n);
    memcpy(change, s->change, sizeof *change * (size_t)s->n);
    qsort(change, (size_t)s->n, sizeof *change, by_hash);
    int64_t n = s->n * 4 / 5;
    *train = (JitSet){.n = n, .change = change}, *rest = (JitSet){.n = s->n - n, .change = change + n};
    jit_count(train), jit_count(rest);
}

static void learn_columns(JitLine *m, const JitSet *train)
{
    Arena scratch = arena_open(0);
    Bytes *text = NEW(&scratch, Bytes, train->n + 1);
    for (int64_t i = 0; i < train->n; i++)
        text[i] = jitline_document(&scratch, &train->change[i], m->plan.as_published);
    m->words = vocabulary_learn(m->run, text, train->n, LEAST_DOCUMENTS);
    m->columns = m->words.n + (m->plan.features ? N_FEATURES : 0);
    arena_close(&scratch);
}

/* Mean and deviation of each feature over the commits that have it; the deviation of a constant one, or of one that
 * is not read, is 1. */
static void learn_features(JitLine *m, const JitSet *train)
{
    for (int k = 0; k < N_FEATURES; k++) {
        double sum = 0, squares = 0, n = 0;
        for (int64_t i = 0; i < train->n && m->plan.features; i++) {
            double x = feature_of(&m->plan, &train->change[i], k);
            if (!isnan(x)) sum += x, n++;
        }
        m->mean_of[k] = n > 0 ? sum / n : 0;
        for (int64_t i = 0; i < train->n && m->plan.features; i++) {
            double d = feature_of(&m->plan, &train->change[i], k) - m->mean_of[k];
            if (!isnan(d)) squares += d * d;
        }
        m->sd_of[k] = squares > 1e-12 * n ? sqrt(squares / n) : 1;
    }
}

static Status check_columns(const JitLine *m)
{
    if (m->columns) return OK;
    return err_fail(E_MISMATCH, "no word stands in %d commits and the features are not read: nothing to learn from",
                    LEAST_DOCUMENTS);
}

Status jitline_fit(JitLine **out, Arena *run, const JitSet *given, const JitSet *valid, const JitLinePlan *plan,
                   const TuneWatch *watch)
{
    JitSet train = *given, rest;
    JitLine *m = *out = NEW(run, JitLine, 1);
    *m = (JitLine){.plan = *plan, .run = run};
    if (plan->features && !train.features)
        return err_fail(E_MISMATCH,
                        "a commit lacks the features, which this method reads (vernier data mine --features)");
    if (plan->as_published && !valid) cut_by_hash(&train, &rest, run, given), valid = &rest;
    learn_columns(m, &train);
    learn_features(m, &train);
    TRY(check_columns(m));
    Rows rows, judges, used;
    TRY(labelled_rows(&rows, m, run, &train));
    if (plan->balance != JITLINE_SMOTE)
        m->plan.k = 0;
    else if (!m->plan.k) {
        m->plan.k = USUAL_K;
        if (valid) TRY(labelled_rows(&judges, m, run, valid));
        if (valid && both_classes(&judges)) TRY(choose_k(m, &rows, &judges, watch));
    }
    TRY(fit_classifier(m, &used, run, &rows, m->plan.k));
    m->mean = NEW(run, double, m->columns + 1), m->sd = NEW(run, double, m->columns + 1);
    sparse_moments(m->mean, m->sd, &used.x);
    return OK;
}
