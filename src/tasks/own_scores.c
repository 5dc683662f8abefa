/* Measures of predictions on the user's rows, and the two baselines beside them: one that ignores the input, and a
 * linear classifier of its words. */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "learn/linear.h"
#include "metric/words.h"
#include "tasks/own.h"

void own_scores(Scores *out, Arena *a, const OwnPlan *p, const OwnSet *s, const OwnPredictions *y, int draws,
                uint64_t seed)
{
    Arena scratch = arena_open(0);
    ScoreDraws how = {.draws = draws, .seed = seed};
    ClassRows classes = {s->n, p->classes, s->class, y->class, y->probability, &scratch};
    NumberRows numbers = {s->n, s->value, y->value, &scratch};
    *out = (Scores){0};
    measures_name(out, p->kind->measure, p->kind->measures);
    for (int k = 0; k < out->n; k++) out->why[k] = "the rows lack a class, or a value is constant";
    scores_compute(out, a, &how, s->n, p->kind->stats, p->kind->target == OWN_NUMBERS ? (void *)&numbers : &classes,
                   NULL);
    arena_close(&scratch);
}

/* ---- the baseline that ignores the input */

OwnPredictions own_ignorant(Arena *a, const OwnPlan *p, const OwnSet *train, int64_t n)
{
    OwnPredictions y = {.n = n};
    if (p->kind->target == OWN_NUMBERS) {
        y.value = NEW(a, double, n);
        for (int64_t i = 0; i < n; i++) y.value[i] = p->mean;
        return y;
    }
    double *share = NEW(a, double, p->classes);
    int32_t best = 0;
    for (int64_t i = 0; i < train->n; i++) share[train->class[i]] += 1 / (double)train->n;
    for (int32_t c = 1; c < p->classes; c++)
        if (share[c] > share[best]) best = c;
    y.probability = NEW(a, double, n * p->classes), y.class = NEW(a, int32_t, n);
    for (int64_t i = 0; i < n; i++) {
        memcpy(y.probability + i * p->classes, share, sizeof *share * (size_t)p->classes);
        y.class[i] = best;
    }
    return y;
}

/* ---- words */

typedef struct {
    Arena *arena;
    Lexicon *words;
    int64_t columns; /* two for each word: of the first text and of the second */
    double *idf;     /* (columns) */
} Bag;

static Words words_of(const Bag *b, Arena *a, Bytes text)
{
    Bytes lower = words_lower(a, text.text, text.len);
    return words_and_signs(b->words, lower.text, lower.len);
}

/* The counts of a row's words by column; `touched` lists the columns, each once. */
static int64_t count_words(double *count, int32_t *touched, const Bag *b, Arena *a, const OwnSet *s, int64_t i)
{
    int64_t n = 0;
    for (int side = 0; side < 2; side++) {
        const Bytes *text = side ? s->pair : s->text;
        if (!text) continue;
        Words w = words_of(b, a, text[i]);
        for (int64_t k = 0; k < w.n; k++) {
            int64_t column = 2 * (int64_t)w.id[k] + side;
            if (column >= b->columns) continue; /* a word that training never showed */
            if (!(count[column] > 0)) touched[n++] = (int32_t)column;
            count[column]++;
        }
    }
    return n;
}

/* One row's columns, and the counts in them, which forget() makes zero again. */
typedef struct {
    Arena arena;
    double *count;    /* (columns) */
    int32_t *touched; /* (columns) */
} Counter;

static Counter counter_open(const Bag *b)
{
    Counter c = {.arena = arena_open(0)};
    c.count = NEW(&c.arena, double, b->columns + 1);
    c.touched = NEW(&c.arena, int32_t, b->columns + 1);
    return c;
}

static void forget(Counter *c, int64_t n)
{
    for (int64_t k = 0; k < n; k++) c->count[c->touched[k]] = 0;
}

/* idf = 1 + log((1 + rows) / (1 + rows with the word)) */
static void learn_idf(Bag *b, const OwnSet *s)
{
    Counter c = counter_open(b);
    for (int64_t i = 0; i < s->n; i++) {
        ArenaMark mark = arena_mark(&c.arena);
        int64_t n = count_words(c.count, c.touched, b, &c.arena, s, i);
        for (int64_t k = 0; k < n; k++) b->idf[c.touched[k]]++;
        forget(&c, n);
        arena_drop(&c.arena, mark);
    }
    for (int64_t k = 0; k < b->columns; k++) b->idf[k] = 1 + log((1 + (double)s->n) / (1 + b->idf[k]));
    arena_close(&c.arena);
}

/* Rows log(1 + count) idf, each of length 1. */
static Sparse rows_of(const Bag *b, const OwnSet *s)
{
    SparseRows grow = sparse_begin(b->arena, b->columns);
    Counter c = counter_open(b);
    for (int64_t i = 0; i < s->n; i++) {
        ArenaMark mark = arena_mark(&c.arena);
        double squares = 0;
        int64_t n = count_words(c.count, c.touched, b, &c.arena, s, i);
        for (int64_t k = 0; k < n; k++) {
            double x = log1p(c.count[c.touched[k]]) * b->idf[c.touched[k]];
            squares += x * x;
        }
        for (int64_t k = 0; k < n; k++) {
            int32_t column = c.touched[k];
            sparse_add(&grow, column, log1p(c.count[column]) * b->idf[column] / sqrt(squares));
        }
        sparse_next(&grow);
        forget(&c, n);
        arena_drop(&c.arena, mark);
    }
    arena_close(&c.arena);
    return sparse_end(&grow);
}

static double dot(const LinearModel *m, const Sparse *x, int64_t line)
{
    double sum = m->bias;
    for (int64_t e = x->start[line]; e < x->start[line + 1]; e++) sum += m->weight[x->index[e]] * x->value[e];
    return 1 / (1 + exp(-sum));
}

static Status fit_class(OwnPredictions *y, Arena *a, const OwnPlan *p, const OwnSet *train, const Sparse *rows,
                        const Sparse *test, int c)
{
    LinearModel m;
    int32_t *label = NEW(a, int32_t, train->n);
    int64_t seen = 0;
    for (int64_t i = 0; i < train->n; i++) seen += label[i] = train->class[i] == c;
    if (!seen || seen == train->n) return OK;
    TRY(linear_fit(&m, a, rows, label, &(LinearPlan){.kind = LINEAR_LOGISTIC, .cost = 4}));
    for (int64_t i = 0; i < y->n; i++) y->probability[i * p->classes + c] = dot(&m, test, i);
    return OK;
}

Status own_words(OwnPredictions *y, Arena *a, const OwnPlan *p, const OwnSet *train, const OwnSet *valid)
{
    Lexicon words = lexicon_open(a);
    Bag bag = {.arena = a, .words = &words};
    for (int64_t i = 0; i < train->n; i++) {
        words_of(&bag, a, train->text[i]);
        if (train->pair) words_of(&bag, a, train->pair[i]);
    }
    bag.columns = 2 * words.number.count;
    bag.idf = NEW(a, double, bag.columns + 1);
    learn_idf(&bag, train);
    Sparse rows = rows_of(&bag, train), test = rows_of(&bag, valid);
    *y = (OwnPredictions){.n = valid->n};
    y->probability = NEW(a, double, valid->n * p->classes), y->class = NEW(a, int32_t, valid->n);
    for (int c = 0; c < p->classes; c++) TRY(fit_class(y, a, p, train, &rows, &test, c));
    for (int64_t i = 0; i < valid->n; i++) {
        double *row = y->probability + i * p->classes, sum = 0;
        for (int c = 0; c < p->classes; c++) sum += row[c];
        for (int32_t c = 0; c < p->classes; c++) {
            row[c] = sum > 0 ? row[c] / sum : 1.0 / p->classes;
            if (row[c] > row[y->class[i]]) y->class[i] = c;
        }
    }
    return OK;
}
