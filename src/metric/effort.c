/* A ranking is a list of ties, each a run of items with one key.  The items of a tie are read in a random order, and
 * the measures are linear in that order, so each needs one expectation over a tie of n items with d defects:
 *
 *   clean items before the first defect     (n - d) / (d + 1)
 *   effort read up to the r-th defect       r / (d + 1) of the clean effort, r / d of the defects'
 *   defects found within a given effort     the sum over defects of P(those read before it, and itself, fit)
 *
 * Where all efforts of the tie are e, `room` holds room / e items and the last one is that share of d.  Where they
 * differ, metric/tie.h sums over all orders. */
#include "metric/effort.h"

#include <math.h>
#include <stdlib.h>

#include "metric/tie.h"

typedef struct {
    int64_t n, defects;
    double effort, faulty; /* of all items; of the defects */
    const TieItem *item;   /* (n) by effort, descending */
} Tie;

typedef struct {
    int64_t n, ties;
    double defects, effort;
    TieItem *item;
    Tie *tie; /* in the order of reading */
    Arena *scratch;
} Ranking;

static int descending(double x, double y)
{
    return (x < y) - (x > y);
}

/* By key, NaN last; within a tie the sums below are taken in an order that does not depend on the rows. */
static int by_key(const void *a, const void *b)
{
    const TieItem *x = a, *y = b;
    if (isnan(x->key) != isnan(y->key)) return isnan(x->key) ? 1 : -1;
    int order = descending(x->key, y->key);
    if (!order) order = descending(y->effort, x->effort);
    return order ? order : y->label - x->label;
}

/* Sorts the items by their keys and cuts them into ties. */
static void rank(Ranking *r)
{
    qsort(r->item, (size_t)r->n, sizeof *r->item, by_key);
    r->ties = 0;
    r->defects = r->effort = 0;
    for (int64_t i = 0; i < r->n; i++) {
        const TieItem *now = &r->item[i], *last = now - (i > 0);
        bool both = isnan(now->key) && isnan(last->key);
        if (!i || (!both && (now->key < last->key || isnan(now->key)))) r->tie[r->ties++] = (Tie){.item = now};
        Tie *t = &r->tie[r->ties - 1];
        t->n++, t->defects += now->label;
        t->effort += now->effort, t->faulty += now->label * now->effort;
        r->defects += now->label, r->effort += now->effort;
    }
}

/* A small arena of its own, since the bootstrap ranks thousands of times. */
static Ranking ranking_open(Arena *scratch, int64_t n)
{
    *scratch = arena_open((size_t)(n + 1) * (sizeof(TieItem) + sizeof(Tie) + 2 * sizeof(double)) + ((size_t)1 << 26));
    return (Ranking){
        .n = n, .item = NEW(scratch, TieItem, n + 1), .tie = NEW(scratch, Tie, n + 1), .scratch = scratch};
}

/* ---- expected values within a tie */

/* Defects found when `room` is left for the tie. */
static double found_within(Arena *scratch, const Tie *t, double room)
{
    if (room < 0 || !t->defects) return 0;
    if (t->effort <= room) return (double)t->defects;
    if (descending(t->item[0].effort, t->item[t->n - 1].effort) == 0)
        return floor(room / t->item[0].effort) * (double)t->defects / (double)t->n;
    return tie_found(scratch, t->item, t->n, room);
}

/* ---- measures of a ranking */

/* Sums of efforts that are no whole numbers are rounded; the last digits of the limit are given to them. */
static double recall_within(const Ranking *r, double share)
{
    double room = share * r->effort * (1 + 1e-12), found = 0;
    for (int64_t k = 0; k < r->ties && room >= 0; k++) {
        found += found_within(r->scratch, &r->tie[k], room);
        room -= r->tie[k].effort;
    }
    return found / r->defects;
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

/* The effort read up to a fifth of the defects. */
static double effort_to_fifth(const Ranking *r)
{
    double wanted = ceil(0.2 * r->defects), read = 0;
    const Tie *t = r->tie;
    for (; (double)t->defects < wanted; t++) {
        read += t->effort;
        wanted -= (double)t->defects;
    }
    double defects = (double)t->defects;
    return read + wanted / (defects + 1) * (t->effort - t->faulty) + wanted / defects * t->faulty;
}

static double clean_before_defect(const Ranking *r)
{
    double clean = 0;
    const Tie *t = r->tie;
    for (; !t->defects; t++) clean += (double)t->n;
    return clean + (double)(t->n - t->defects) / (double)(t->defects + 1);
}

/* The area when commits are read by sign * label / effort. */
static double area_by_label(Ranking *r, double sign)
{
    for (int64_t i = 0; i < r->n; i++) r->item[i].key = sign * r->item[i].label / r->item[i].effort;
    rank(r);
    return area(r);
}

EffortScores effort_scores(const int32_t *label, const double *score, const double *effort, int64_t n)
{
    EffortScores s = {NAN, NAN, NAN, NAN};
    Arena scratch;
    Ranking r = ranking_open(&scratch, n);
    for (int64_t i = 0; i < n; i++)
        r.item[i] = (TieItem){effort[i] > 0 ? score[i] / effort[i] : (double)INFINITY, effort[i], label[i]};
    rank(&r);
    if (r.defects > 0 && r.effort > 0) {
        s.recall_at_20 = recall_within(&r, 0.2);
        s.effort_at_20 = effort_to_fifth(&r) / r.effort;
        s.ifa = clean_before_defect(&r);
        double ours = area(&r), best = area_by_label(&r, 1), worst = area_by_label(&r, -1);
        s.popt = best - worst > 1e-12 ? 1 - (best - ours) / (best - worst) : (double)NAN;
    }
    arena_close(&scratch);
    return s;
}

/* Faulty lines among the first k. */
static double faulty_among(const Ranking *r, double k)
{
    return recall_within(r, k / r->effort) * r->defects;
}

LineScores effort_lines(const int32_t *faulty, const double *score, int64_t n)
{
    LineScores s = {NAN, NAN, NAN, NAN, NAN};
    Arena scratch;
    Ranking r = ranking_open(&scratch, n);
    for (int64_t i = 0; i < n; i++) r.item[i] = (TieItem){score[i], 1, faulty[i]};
    rank(&r);
    if (r.defects > 0) {
        double five = fmin(5, r.effort), ten = fmin(10, r.effort);
        s.ifa = clean_before_defect(&r);
        s.top_5 = faulty_among(&r, five) / five;
        s.top_10 = faulty_among(&r, ten) / ten;
        s.recall_at_20 = recall_within(&r, 0.2);
        s.effort_at_20 = effort_to_fifth(&r) / r.effort;
    }
    arena_close(&scratch);
    return s;
}
