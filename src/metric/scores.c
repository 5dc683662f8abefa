/* Measures with their intervals, then the remarks about missing values.  Measures that share a reason share one. */
#include "metric/scores.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"

void scores_remark(Scores *t, Arena *a, const char *fmt, ...)
{
    char text[600];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    CHECK(t->remarks < SCORES_REMARKS, "more than %d remarks", SCORES_REMARKS);
    t->remark[t->remarks++] = str_copy(a, text, strlen(text));
}

/* ---- the order of the rows */

/* NaN comes last. */
static int by_values(const void *a, const void *b, void *columns)
{
    const double *x = a, *y = b;
    for (int k = 0; k < *(int *)columns; k++) {
        if (isnan(x[k]) != isnan(y[k])) return isnan(x[k]) ? 1 : -1;
        if (x[k] < y[k] || x[k] > y[k]) return x[k] < y[k] ? -1 : 1;
    }
    return 0;
}

void scores_sort(Arena *a, double *const *column, int columns, int64_t n)
{
    int m = 0;
    double *used[SCORES_MOST];
    CHECK(columns <= SCORES_MOST, "rows of %d columns, expected at most %d", columns, SCORES_MOST);
    for (int k = 0; k < columns; k++)
        if (column[k]) used[m++] = column[k];
    ArenaMark mark = arena_mark(a);
    double *row = NEW(a, double, n *m);
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < m; k++) row[i * m + k] = used[k][i];
    qsort_r(row, (size_t)n, sizeof *row * (size_t)m, by_values, &m);
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < m; k++) used[k][i] = row[i * m + k];
    arena_drop(a, mark);
}

/* ---- missing values */

/* "AUC, Brier and Popt", the names of the measures that are marked. */
static const char *names(const Scores *t, Arena *a, const bool *marked)
{
    int left = 0;
    for (int k = 0; k < t->n; k++) left += marked[k];
    Buf b = buf_open(a);
    for (int k = 0, all = left; k < t->n; k++) {
        if (!marked[k]) continue;
        buf_print(&b, "%s%s", left == all ? "" : left == 1 ? " and " : ", ", t->name[k].name);
        left--;
    }
    return b.text;
}

static int count(const Scores *t, const bool *marked)
{
    int n = 0;
    for (int k = 0; k < t->n; k++) n += marked[k];
    return n;
}

static void say_missing(Scores *t, Arena *a)
{
    bool said[SCORES_MOST] = {0};
    for (int k = 0; k < t->n; k++) {
        bool alike[SCORES_MOST] = {0};
        if (said[k] || isfinite(t->value[k])) continue;
        const char *why = t->why[k] ? t->why[k] : "it is not finite";
        for (int j = k; j < t->n; j++)
            alike[j] = !isfinite(t->value[j]) && !strcmp(why, t->why[j] ? t->why[j] : "it is not finite");
        for (int j = k; j < t->n; j++) said[j] |= alike[j];
        scores_remark(t, a, "%s %s no value: %s", names(t, a, alike), str_plural(count(t, alike), "has", "have"),
                      why);
    }
}

/* Measures that are missing in equally many samples share a sentence; `of` is "" or "the difference of ". */
static void say_left_out(Scores *t, Arena *a, const int *left_out, int draws, const char *of, bool stratified)
{
    bool said[SCORES_MOST] = {0};
    for (int k = 0; k < t->n; k++) {
        bool alike[SCORES_MOST] = {0};
        if (said[k] || !left_out[k] || !isfinite(t->value[k]) || (*of && !isfinite(t->contrast[k].difference)))
            continue;
        for (int j = k; j < t->n; j++) alike[j] = left_out[j] == left_out[k] && isfinite(t->value[j]);
        for (int j = k; j < t->n; j++) said[j] |= alike[j];
        const char *which = names(t, a, alike), *have = *of || count(t, alike) == 1 ? "has" : "have";
        if (draws - left_out[k] < 2)
            scores_remark(t, a, "%s%s %s no interval: only %d of %d samples %s a value", of, which, have,
                          draws - left_out[k], draws, str_plural(draws - left_out[k], "gives", "give"));
        else
            scores_remark(
                t, a, "%s%s %s no value in %d of %d samples, which lack a class; the interval is over the rest%s", of,
                which, have, left_out[k], draws, stratified ? "" : " (--stratify samples within each class)");
    }
}

static void say_no_difference(Scores *t, Arena *a)
{
    bool marked[SCORES_MOST] = {0};
    for (int k = 0; k < t->n; k++) marked[k] = isfinite(t->value[k]) && !isfinite(t->contrast[k].difference);
    if (count(t, marked))
        scores_remark(t, a, "the difference of %s has no value: the other system has none", names(t, a, marked));
}

void scores_compute(Scores *t, Arena *arena, const ScoreDraws *drawn, int64_t n, StatsFn *stat, void *a, void *b)
{
    int64_t *all = NEW(arena, int64_t, n);
    int left_out[SCORES_MOST] = {0}, pair_left_out[SCORES_MOST] = {0};
    for (int64_t i = 0; i < n; i++) all[i] = i;
    stat(t->value, all, n, a);
    t->drawn = drawn->draws >= 2 && n > 1, t->paired = b;
    if (drawn->draws && !t->drawn)
        scores_remark(t, arena,
                      n > 1 ? "no intervals: they need two samples or more"
                            : "no intervals: they need two rows or more");
    Bootstrap how = {t->drawn ? drawn->draws : 0, rng_stream(drawn->seed, "score"), drawn->stratum, left_out};
    stats_bootstrap_all(t->ci95, t->n, n, stat, a, &how);
    how.left_out = pair_left_out;
    if (b) stats_bootstrap_paired(t->contrast, t->n, n, stat, a, b, &how);
    say_missing(t, arena);
    say_left_out(t, arena, left_out, how.draws, "", drawn->stratum);
    if (!b) return;
    say_no_difference(t, arena);
    if (memcmp(left_out, pair_left_out, sizeof left_out))
        say_left_out(t, arena, pair_left_out, how.draws, "the difference of ", drawn->stratum);
}
