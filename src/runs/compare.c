/* The numbers of a comparison. */
#include "runs/compare.h"

#include <math.h>
#include <string.h>

enum { MOST_METRICS = 12, ROOM = 4000 };

char comparison_letter(int run)
{
    return (char)('A' + run);
}

/* ---- metrics */

/* A measure of the validation examples lends its interval to the metric of a run with one seed. */
static void lend_intervals(RunMetric *m, Arena *a, const Rows *rows, int draws)
{
    RowTest test[ROW_MEASURES];
    Interval ci95[ROW_MEASURES];
    const int n = rows_measure(test, ci95, a, rows, draws);
    for (int k = 0; k < n; k++)
        if (m->n == 1 && !strcmp(m->name, str_print(a, "validation: %s", test[k].name))) m->ci95 = ci95[k];
}

static bool differs(const Comparison *c, const char *name)
{
    const RunMetric *first = result_metric(&c->run[0], name);
    for (int i = 1; i < c->n; i++) {
        const RunMetric *m = result_metric(&c->run[i], name);
        if (!m || !first) return true;
        if (m->n != first->n || memcmp(m->value, first->value, sizeof *m->value * (size_t)m->n) != 0) return true;
    }
    return false;
}

/* Parameter counts stand among the costs. */
static bool is_cost(const char *name)
{
    return str_glob("parameters|trainable parameters", name);
}

static void add_metric(Comparison *c, const char *name)
{
    for (int i = 0; i < c->metrics; i++)
        if (!strcmp(c->metric[i], name)) return;
    CHECK(c->metrics < ROOM, "%d metrics", c->metrics);
    c->metric[c->metrics++] = name;
}

static Status add_wanted(Comparison *c, const Stock *s, const CompareWish *w)
{
    for (int i = 0; i < w->wanted; i++) {
        TRY(stock_has(s, c->arena, "metric", w->metric[i]));
        for (int k = 0; k < c->n; k++) {
            const Held h = stock_held(&c->run[k], c->arena, w->metric[i]);
            if (h.metric) add_metric(c, h.metric->name);
        }
    }
    return c->metrics ? OK : err_fail(E_CONFIG, "--metric %s: is a setting; expected a metric", w->metric[0]);
}

/* The one by which a run is known comes first, then the others in the order of their recording. */
static void add_differing(Comparison *c, const CompareWish *w)
{
    const RunMetric *first = stock_key_metric(&c->run[0], c->arena);
    if (first) add_metric(c, first->name);
    for (int i = 0; i < ROW_MEASURES && c->rows[0].n; i++) {
        const RunMetric *m = result_metric(&c->run[0], str_print(c->arena, "validation: %s", ROW_MEASURE[i]));
        if (m) add_metric(c, m->name); /* its examples can be tested even where the values are equal */
    }
    for (int i = 0; i < c->n; i++)
        for (int k = 0; k < c->run[i].metrics && c->metrics < ROOM; k++) {
            const char *name = c->run[i].metric[k].name;
            if (!is_cost(name) && (w->all || differs(c, name))) add_metric(c, name);
        }
    if (w->all || c->metrics <= MOST_METRICS) return;
    c->left_out = c->metrics - MOST_METRICS;
    c->metrics = MOST_METRICS;
}

static void take_values(Comparison *c, int draws)
{
    c->value = NEW(c->arena, RunMetric *, c->metrics + 1);
    for (int k = 0; k < c->metrics; k++) {
        c->value[k] = NEW(c->arena, RunMetric, c->n);
        for (int i = 0; i < c->n; i++) {
            const RunMetric *m = result_metric(&c->run[i], c->metric[k]);
            c->value[k][i] = m ? *m : (RunMetric){.name = NULL, .mean = NAN, .ci95 = {NAN, NAN}};
            if (m && isnan(m->ci95.lo)) lend_intervals(&c->value[k][i], c->arena, &c->rows[i], draws);
        }
    }
}

/* ---- tests */

static void test_seeds(Comparison *c, const char *name, int run)
{
    const RunResult *r = &c->run[0], *q = &c->run[run];
    const RunMetric *m = result_metric(r, name), *k = result_metric(q, name);
    if (!m || !k) return;
    double *x = NEW(c->arena, double, m->n + 1), *y = NEW(c->arena, double, m->n + 1);
    int64_t n = 0;
    for (int i = 0; i < m->n && i < r->seeds; i++)
        for (int j = 0; j < k->n && j < q->seeds; j++)
            if (r->seed[i] == q->seed[j] && !isnan(m->value[i]) && !isnan(k->value[j]))
                x[n] = m->value[i], y[n++] = k->value[j];
    if (n < 2) return;
    const Paired t = stats_paired(y, x, n);
    c->test[c->tests++] = (PairedTest){name, "seeds", run, t.difference, t.p, NAN, t.ci95, n};
}

/* Runs share examples where they were validated on the same file, or on the same share of one. */
static bool same_examples(const RunResult *r, const RunResult *q)
{
    const bool own = result_setting(r, "valid") || result_setting(q, "valid");
    return results_share(r, q, own ? "valid" : "train");
}

static void test_rows(Comparison *c, int run, int draws)
{
    RowTest t[ROW_MEASURES];
    int64_t pairs;
    if (!same_examples(&c->run[0], &c->run[run])) return;
    const int n = rows_compare(t, &pairs, c->arena, &c->rows[0], &c->rows[run], draws);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < c->metrics; k++)
            if (!strcmp(c->metric[k], str_print(c->arena, "validation: %s", t[i].name)) ||
                !strcmp(c->metric[k], t[i].name))
                c->test[c->tests++] =
                    (PairedTest){c->metric[k], "examples",         run,  t[i].contrast.difference, t[i].contrast.p,
                                 NAN,          t[i].contrast.ci95, pairs};
}

static void test_all(Comparison *c, int draws)
{
    const int most = c->n * (c->metrics + ROW_MEASURES) + 1;
    double *p = NEW(c->arena, double, most);
    c->test = NEW(c->arena, PairedTest, most);
    for (int i = 1; i < c->n; i++) {
        for (int k = 0; k < c->metrics; k++) test_seeds(c, c->metric[k], i);
        test_rows(c, i, draws);
    }
    for (int i = 0; i < c->tests; i++) p[i] = c->test[i].p;
    stats_holm(p, p, c->tests);
    for (int i = 0; i < c->tests; i++) c->test[i].holm = p[i];
}

Status comparison_make(Comparison *c, Arena *a, const Stock *s, const CompareWish *w)
{
    *c = (Comparison){.arena = a, .n = s->n, .run = s->run, .rows = NEW(a, Rows, s->n)};
    c->metric = NEW(a, const char *, ROOM + 1);
    c->keys = results_differ(&c->key, a, s->n, s->run);
    for (int i = 0; i < c->n; i++) TRY(rows_read(&c->rows[i], a, c->run[i].dir));
    if (w->wanted)
        TRY(add_wanted(c, s, w));
    else
        add_differing(c, w);
    take_values(c, w->draws);
    test_all(c, w->draws);
    return OK;
}

/* ---- the sentence */

static const PairedTest *key_test(const Comparison *c)
{
    for (int k = 0; k < c->metrics; k++)
        for (int i = 0; i < c->tests; i++)
            if (!strcmp(c->test[i].metric, c->metric[k])) return &c->test[i];
    return NULL;
}

const char *comparison_sentence(const Comparison *c)
{
    Arena *a = c->arena;
    Buf b = buf_open(a);
    const PairedTest *t = key_test(c);
    if (!c->keys) buf_print(&b, "No setting differs.  ");
    if (!t) {
        buf_print(&b, "No test is possible: the runs share neither two seeds nor examples with these metrics.");
        return b.text;
    }
    for (int i = 0; i < c->tests; i++) {
        const PairedTest *x = &c->test[i];
        if (strcmp(x->metric, t->metric) != 0) continue;
        const bool found = x->holm < 0.05, less = x->difference < 0;
        buf_print(&b, "%s of %c %s that of %c (difference %.3g", x->metric, comparison_letter(x->run),
                  !found ? "does not differ significantly from"
                  : less ? "is lower than"
                         : "is higher than",
                  comparison_letter(0), x->difference);
        if (!isnan(x->ci95.lo)) buf_print(&b, " [%.3g, %.3g]", x->ci95.lo, x->ci95.hi);
        buf_print(&b, ", adjusted p %.2g, %lld %s).\n", x->holm, (long long)x->pairs, x->over);
    }
    while (b.len && b.text[b.len - 1] == '\n') b.text[--b.len] = 0;
    return b.text;
}
