/* States are kept in the order of the effort that is left.  A step over an item merges those in which it is not read
 * yet with those in which it is, which leave less; both lists are in order.  A state holds, for every node t, two
 * weights: of no defect chosen so far, and of one chosen as the defect i, which is read for certain. */
#include "metric/tie.h"

#include <gsl/gsl_integration.h>
#include <math.h>
#include <string.h>

#include "base/err.h"

enum {
    MOST_STATES = 1 << 13, /* of an exact sum */
    MOST_WEIGHTS = 1 << 20,
    MOST_WORK = 1 << 21, /* weights that an exact sum may compute */
    NODES = 12,          /* of a rounded sum */
    CELLS = 128,         /* to which its states are rounded once they are twice as many */
    LUMPS = 48           /* a lump has at least this share of the effort from its first item on */
};

typedef struct {
    int64_t n;
    double *left;          /* (n) ascending */
    double *none, *chosen; /* (n,nodes) */
} States;

typedef struct {
    const TieItem *item;
    int64_t n, nodes, room; /* room for states */
    double *after, *faulty; /* (n + 1) effort and defects of the items from the i-th on */
    double *read[2];        /* (nodes) t, the chance that an item is read, after its complement */
    double *weight;         /* (nodes) of the integral */
    States now, next;
    double found, work;
    double spread; /* the part of lumps in the sum of the squares of the efforts */
} Sum;

static States states_open(Arena *a, int64_t room, int64_t nodes)
{
    size_t bytes = sizeof(double) * (size_t)(room * nodes);
    return (States){0, arena_take(a, sizeof(double) * (size_t)room), arena_take(a, bytes), arena_take(a, bytes)};
}

static void place_nodes(Sum *s)
{
    gsl_integration_glfixed_table *table = gsl_integration_glfixed_table_alloc((size_t)s->nodes);
    if (!table) err_no_memory("GSL has none for a rule of integration");
    for (int64_t k = 0; k < s->nodes; k++) {
        gsl_integration_glfixed_point(0, 1, (size_t)k, &s->read[1][k], &s->weight[k], table);
        s->read[0][k] = 1 - s->read[1][k];
    }
    gsl_integration_glfixed_table_free(table);
}

static Sum sum_open(Arena *a, const TieItem *item, int64_t n, int64_t nodes, int64_t room)
{
    Sum s = {.item = item, .n = n, .nodes = nodes, .room = room};
    s.after = arena_take(a, sizeof(double) * (size_t)(n + 1));
    s.faulty = arena_take(a, sizeof(double) * (size_t)(n + 1));
    s.after[n] = s.faulty[n] = 0;
    for (int64_t i = n - 1; i >= 0; i--) {
        s.after[i] = s.after[i + 1] + item[i].effort;
        s.faulty[i] = s.faulty[i + 1] + item[i].label;
    }
    double **row[] = {&s.read[0], &s.read[1], &s.weight};
    for (int k = 0; k < 3; k++) *row[k] = arena_take(a, sizeof(double) * (size_t)nodes);
    place_nodes(&s);
    s.now = states_open(a, room, nodes);
    s.next = states_open(a, room, nodes);
    return s;
}

/* A state of the next list, with `left` to read, out of state `from`: the items up to the to-th are read, or not. */
static void add(Sum *s, double left, int64_t from, bool read, double defects, int64_t to)
{
    const double *restrict p = s->read[read];
    const double *restrict none = s->now.none + from * s->nodes, *restrict chosen = s->now.chosen + from * s->nodes;
    if (!read) defects = 0;
    if (left >= s->after[to]) { /* all that follows fits */
        double found = 0;
        for (int64_t k = 0; k < s->nodes; k++)
            found += s->weight[k] * (p[k] * chosen[k] + (defects + p[k] * s->faulty[to]) * none[k]);
        s->found += found;
        return;
    }
    States *n = &s->next;
    if (!n->n || left - n->left[n->n - 1] > 1e-13 * s->after[0]) { /* else it is the same but for rounding */
        n->left[n->n] = left;
        memset(n->none + n->n * s->nodes, 0, sizeof *none * (size_t)s->nodes);
        memset(n->chosen + n->n * s->nodes, 0, sizeof *none * (size_t)s->nodes);
        n->n++;
    }
    double *restrict to_none = n->none + (n->n - 1) * s->nodes;
    double *restrict to_chosen = n->chosen + (n->n - 1) * s->nodes;
    for (int64_t k = 0; k < s->nodes; k++) {
        to_none[k] += p[k] * none[k];
        to_chosen[k] += p[k] * chosen[k] + defects * none[k];
    }
}

static void exchange(Sum *s)
{
    States other = s->now;
    s->now = s->next, s->next = other;
    s->next.n = 0;
}

/* One step over the items from..to-1, which are read at one time.  False when there may be no room for the states. */
static bool step(Sum *s, int64_t from, int64_t to)
{
    if (2 * s->now.n > s->room) return false;
    double effort = 0, squares = 0;
    for (int64_t i = from; i < to; i++) {
        effort += s->item[i].effort;
        squares += s->item[i].effort * s->item[i].effort;
    }
    s->spread += effort * effort - squares;
    double defects = s->faulty[from] - s->faulty[to];
    int64_t i = 0, j = 0, n = s->now.n;
    const double *left = s->now.left;
    while (j < n && left[j] < effort) j++;
    while (i < n || j < n) {
        bool read = i == n || (j < n && left[j] - effort < left[i]);
        if (read)
            add(s, left[j] - effort, j, true, defects, to), j++;
        else
            add(s, left[i], i, false, defects, to), i++;
    }
    exchange(s);
    s->work += (double)(s->now.n * s->nodes);
    return true;
}

/* Rounds the states to a grid over the effort from the i-th item on, each shared by two neighbours so that the mean
 * stays. */
static void round_states(Sum *s, int64_t i)
{
    double cell = s->after[i] / CELLS;
    int64_t nodes = s->nodes;
    size_t bytes = sizeof(double) * (size_t)((CELLS + 1) * nodes);
    memset(s->next.none, 0, bytes), memset(s->next.chosen, 0, bytes);
    for (int c = 0; c <= CELLS; c++) s->next.left[c] = c * cell;
    for (int64_t k = 0; k < s->now.n; k++) {
        double at = s->now.left[k] / cell, low = fmin(floor(at), CELLS - 1), share[2] = {1 - (at - low), at - low};
        for (int side = 0; side < 2; side++) {
            double *none = s->next.none + ((int64_t)low + side) * nodes;
            double *chosen = s->next.chosen + ((int64_t)low + side) * nodes;
            for (int64_t j = 0; j < nodes; j++) {
                none[j] += share[side] * s->now.none[k * nodes + j];
                chosen[j] += share[side] * s->now.chosen[k * nodes + j];
            }
        }
    }
    exchange(s);
    s->now.n = CELLS + 1;
}

/* lumps 0: exact, or false where that is too much. */
static bool sum_up(Sum *s, double room, double lumps)
{
    s->found = s->work = s->spread = 0;
    s->now.n = 1, s->next.n = 0;
    s->now.left[0] = room;
    for (int64_t k = 0; k < s->nodes; k++) s->now.none[k] = 1, s->now.chosen[k] = 0;
    for (int64_t i = 0, to; i < s->n && s->now.n; i = to) {
        double effort = s->item[i].effort;
        for (to = i + 1; lumps > 0 && to < s->n && lumps * effort < s->after[i]; to++) effort += s->item[to].effort;
        double most = MOST_WORK - (double)((s->n - i) / 4 * s->now.n * s->nodes); /* the rest costs at least that */
        if (lumps <= 0 && s->work > most) return false;
        if (!step(s, i, to)) return false;
        if (lumps > 0 && s->now.n > 2 * CELLS) round_states(s, to);
    }
    return true;
}

static bool found_exactly(double *found, Arena *scratch, const TieItem *item, int64_t n, double room)
{
    int64_t nodes = (n + 1) / 2, states = MOST_WEIGHTS / nodes;
    if (8 * n * nodes > MOST_WORK) return false; /* there will be more than eight states */
    Sum s = sum_open(scratch, item, n, nodes, states < MOST_STATES ? states : MOST_STATES);
    bool done = sum_up(&s, room, 0);
    *found = s.found;
    return done;
}

/* The error is proportional to the part of the lumps in the variance of S(t), so two sizes of lumps give it. */
static double found_nearly(Arena *scratch, const TieItem *item, int64_t n, double room)
{
    Sum s = sum_open(scratch, item, n, NODES, 4 * CELLS + 4);
    sum_up(&s, room, LUMPS / 2.0);
    double coarse = s.found, coarse_spread = s.spread;
    sum_up(&s, room, LUMPS);
    double found = s.found, gain = coarse_spread - s.spread;
    if (gain > 0) found += (found - coarse) * s.spread / gain;
    return fmin(fmax(found, 0), s.faulty[0]);
}

double tie_found(Arena *scratch, const TieItem *item, int64_t n, double room)
{
    double effort = 0, defects = 0, found;
    for (int64_t i = n - 1; i >= 0; i--) effort += item[i].effort, defects += item[i].label;
    if (effort <= room) return defects;
    ArenaMark mark = arena_mark(scratch);
    if (!found_exactly(&found, scratch, item, n, room)) found = found_nearly(scratch, item, n, room);
    arena_drop(scratch, mark);
    return found;
}
