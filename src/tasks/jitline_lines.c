/* Lines by their words: LIME's weights as published, or the credits of the words at this commit. */
#include <string.h>

#include "base/rng.h"
#include "metric/words.h"
#include "tasks/jitline.h"
#include "text/codeclean.h"

enum { LIME_SAMPLES = 5000, LIME_WORDS = 100 };

typedef double WordScore(const JitLine *, Arena *step, const ChangeLine *, const double *weight);

static void each_line(double *out, const JitLine *m, Arena *step, const CodeChange *c, WordScore *score,
                      const double *weight)
{
    for (int64_t f = 0, n = 0; f < c->n_files; f++)
        for (int64_t l = 0; l < c->file[f].n; l++) {
            if (c->file[f].line[l].kind == LINE_KEEP) continue;
            ArenaMark mark = arena_mark(step);
            out[n++] = score(m, step, &c->file[f].line[l], weight);
            arena_drop(step, mark);
        }
}

/* ---- as published */

static void scores_of_samples(double *score, const double *z, int64_t n, void *user)
{
    const JitLine *m = user;
#pragma omp parallel
    {
        Arena mine = arena_open(sizeof(double) * (size_t)m->columns + ((size_t)1 << 20));
        double *x = NEW(&mine, double, m->columns);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < n; i++) {
            for (int64_t j = 0; j < m->columns; j++) x[j] = m->mean[j] + m->sd[j] * z[i * m->columns + j];
            score[i] = jitline_classify(m, x);
        }
        arena_close(&mine);
    }
}

static double sum_of_equal_words(const JitLine *m, Arena *step, const ChangeLine *l, const double *weight)
{
    Bytes clean = jitline_line(step, l->text, l->len, m->plan.as_published);
    double sum = 0;
    const char *rest = clean.text, *word;
    size_t n;
    for (int k = 0; k < LIME_WORDS && code_word(&rest, &word, &n); k++) {
        int64_t j = table_get(&m->words.column, word, n, -1);
        if (j >= 0 && weight[j] > 0) sum += weight[j];
    }
    return sum;
}

static Status rank_by_lime(double *out, JitLine *m, Arena *step, const CodeChange *c)
{
    double *row;
    if (!m->lime) {
        m->samples = arena_open(0);
        m->lime = NEW(&m->samples, Lime, 1);
        uint64_t stream = rng_stream(m->plan.seed, "jitline/lime");
        *m->lime = lime_open(&m->samples, LIME_SAMPLES, m->columns, stream, scores_of_samples, m);
    }
    TRY(jitline_row(&row, m, step, c));
    double score = jitline_classify(m, row);
    for (int64_t j = 0; j < m->columns; j++) row[j] = (row[j] - m->mean[j]) / m->sd[j];
    Explanation e;
    TRY(lime_explain(&e, step, m->lime, row, score, 1));
    each_line(out, m, step, c, sum_of_equal_words, e.coefficient);
    return OK;
}

/* ---- by credits */

static double sum_of_shares(const JitLine *m, Arena *step, const ChangeLine *l, const double *share)
{
    Bytes clean = jitline_line(step, l->text, l->len, m->plan.as_published);
    int32_t *column;
    double sum = 0;
    int64_t n = vocabulary_columns(&column, step, &m->words, words_lower(step, clean.text, clean.len));
    for (int64_t i = 0; i < n; i++) sum += share[column[i]];
    return sum;
}

/* The credit of each word in the commit's score, in equal shares to its occurrences. */
static Status rank_by_credit(double *out, JitLine *m, Arena *step, const CodeChange *c)
{
    double *row, *credit = NEW(step, double, m->columns + 1);
    TRY(jitline_row(&row, m, step, c));
    if (m->forest) forest_credit(credit, m->forest, row);
    for (int64_t j = 0; j < m->words.n; j++) {
        if (!m->forest) credit[j] = m->linear.weight[j] * row[j];
        credit[j] = row[j] > 0 ? credit[j] / row[j] : 0;
    }
    each_line(out, m, step, c, sum_of_shares, credit);
    return OK;
}

Status jitline_lines(double *out, JitLine *m, Arena *step, const CodeChange *c)
{
    ArenaMark mark = arena_mark(step);
    Status s = m->plan.lime ? rank_by_lime(out, m, step, c) : rank_by_credit(out, m, step, c);
    arena_drop(step, mark);
    return s;
}
