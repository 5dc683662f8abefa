#include "tasks/effort.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    double key, effort;
    int32_t label;
    int64_t place;
} Item;

static int by_key(const void *a, const void *b) /* descending; NaN, of 0/0, last */
{
    const Item *x = a, *y = b;
    if (isnan(x->key) != isnan(y->key)) return isnan(x->key) ? 1 : -1;
    if (x->key > y->key || x->key < y->key) return x->key > y->key ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

typedef struct {
    int64_t n, defects;
    double total;
    Item *item;
} Ranking;

static double recall_within(const Ranking *r, double share)
{
    double effort = 0, found = 0;
    for (int64_t i = 0; i < r->n; i++) {
        effort += r->item[i].effort;
        if (effort <= share * r->total) found += r->item[i].label;
    }
    return found / (double)r->defects;
}

static double area(const Ranking *r)
{
    double sum = 0, last = recall_within(r, 0.1);
    for (int k = 2; k <= 10; k++) {
        double now = recall_within(r, k / 10.0);
        sum += 0.1 * (last + now) / 2;
        last = now;
    }
    return sum;
}

/* The area when commits are read by sign * label / effort. */
static double area_by_label(Ranking r, double sign)
{
    for (int64_t i = 0; i < r.n; i++) r.item[i].key = sign * r.item[i].label / r.item[i].effort;
    qsort(r.item, (size_t)r.n, sizeof *r.item, by_key);
    return area(&r);
}

EffortScores effort_scores(const int32_t *label, const double *score, const double *effort, int64_t n)
{
    EffortScores s = {NAN, NAN, NAN, NAN};
    Arena scratch = arena_open(0);
    Ranking r = {.n = n, .item = arena_take(&scratch, sizeof *r.item * (size_t)(n + 1))};
    for (int64_t i = 0; i < n; i++) {
        double key = effort[i] > 0 ? score[i] / effort[i] : (double)INFINITY;
        r.item[i] = (Item){key, effort[i], label[i], i};
        r.defects += label[i];
        r.total += effort[i];
    }
    if (r.defects && r.total > 0) {
        qsort(r.item, (size_t)n, sizeof *r.item, by_key);
        s.recall_at_20 = recall_within(&r, 0.2);
        int64_t wanted = (int64_t)ceil(0.2 * (double)r.defects), i = 0, before = 0;
        double read = r.item[0].effort;
        while (!r.item[before].label) before++;
        for (int64_t found = r.item[0].label; found < wanted; found += r.item[i].label) read += r.item[++i].effort;
        s.ifa = (double)before;
        s.effort_at_20 = trunc(read) / r.total;
        double ours = area(&r), best = area_by_label(r, 1), worst = area_by_label(r, -1);
        s.popt = 1 - (best - ours) / (best - worst);
    }
    arena_close(&scratch);
    return s;
}

LineScores effort_lines(const int32_t *faulty, const double *score, int64_t n)
{
    LineScores s = {NAN, NAN, NAN, NAN, NAN};
    Arena scratch = arena_open(0);
    Item *item = arena_take(&scratch, sizeof *item * (size_t)(n + 1));
    int64_t all = 0, found = 0;
    for (int64_t i = 0; i < n; i++) {
        item[i] = (Item){score[i], 1, faulty[i], i};
        all += faulty[i];
    }
    qsort(item, (size_t)n, sizeof *item, by_key);
    int64_t wanted = (int64_t)ceil(0.2 * (double)all), fifth = (int64_t)(0.2 * (double)n);
    if (all) s.recall_at_20 = 0;
    for (int64_t i = 0; i < n && all; i++) {
        found += item[i].label;
        if (found == 1 && item[i].label) s.ifa = (double)i;
        if (found == wanted && item[i].label) s.effort_at_20 = (double)(i + 1) / (double)n;
        if (i + 1 == (n < 5 ? n : 5)) s.top_5 = (double)found / (double)(i + 1);
        if (i + 1 == (n < 10 ? n : 10)) s.top_10 = (double)found / (double)(i + 1);
        if (i + 1 == fifth) s.recall_at_20 = (double)found / (double)all;
    }
    arena_close(&scratch);
    return s;
}
