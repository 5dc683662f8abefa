/* The expected number of defects within an effort: against all orders, against random orders, against rounding. */
#include "expect.h"

#include <stdlib.h>
#include <time.h>

#include "arena.h"
#include "metric/tie.h"

static int descending(const void *a, const void *b)
{
    const TieItem *x = a, *y = b;
    return (x->effort < y->effort) - (x->effort > y->effort);
}

/* Efforts by kind: a few values; whole numbers over six orders of magnitude; any numbers; two giants among dwarfs. */
enum { FEW, HEAVY, REAL, GIANTS, KINDS };
static TieItem *draw(uint64_t stream, int64_t n, int kind)
{
    TieItem *item = NEW(&arena, TieItem, n);
    for (int64_t i = 0; i < n; i++) {
        double u = rng_uniform(stream, (uint64_t)i), effort = floor(4 * u);
        if (kind == HEAVY) effort = floor(pow(10, 6 * u));
        if (kind == REAL) effort = 0.1 * floor(300 * u) + (i % 3 == 0 ? sqrt(u) : 0);
        if (kind == GIANTS) effort = i < 2 ? 1e6 : 1 + floor(9 * u);
        item[i] = (TieItem){0, effort, rng_uniform(stream + 1000, (uint64_t)i) < 0.4};
    }
    item[n / 2].label = 1;
    qsort(item, (size_t)n, sizeof *item, descending);
    return item;
}

static double sum(const TieItem *item, int64_t n, bool defects)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++) s += defects ? item[i].label : item[i].effort;
    return s;
}

static double found_in(const TieItem *item, const int *order, int64_t n, double room)
{
    double read = 0, found = 0;
    for (int64_t i = 0; i < n; i++) {
        read += item[order[i]].effort;
        if (read > room) break;
        found += item[order[i]].label;
    }
    return found;
}

/* Of all orders of the items from the k-th on, after those before it. */
static double over_orders(const TieItem *item, int *order, int k, int n, double room)
{
    if (k == n) return found_in(item, order, n, room);
    double mean = 0;
    for (int i = k; i < n; i++) {
        int held = order[k];
        order[k] = order[i], order[i] = held;
        mean += over_orders(item, order, k + 1, n, room) / (n - k);
        held = order[k];
        order[k] = order[i], order[i] = held;
    }
    return mean;
}

static void all_orders(void **state)
{
    (void)state;
    for (int n = 1; n <= 8; n++)
        for (int kind = 0; kind < KINDS; kind++)
            for (uint64_t c = 0; c < (n < 8 ? 6 : 1); c++) {
                TieItem *item = draw(rng_mix(rng_stream(4, "orders"), c + 100 * (uint64_t)n), n, kind);
                double total = sum(item, n, false);
                for (int k = 0; k <= 10; k++) {
                    int order[8] = {0, 1, 2, 3, 4, 5, 6, 7};
                    double room = total * k / 10 * (1 + 1e-12), want = over_orders(item, order, 0, n, room);
                    double got = tie_found(&arena, item, n, room);
                    EXPECT(fabs(got - want) < 1e-11, "%d items of kind %d, case %d, %d0 %%: %.15g, expected %.15g", n,
                           kind, (int)c, k, got, want);
                }
            }
}

/* The mean over many random orders, within five standard errors and the rounding error. */
static void random_orders(const TieItem *item, int64_t n, int orders, double rounding, const char *what)
{
    double total = sum(item, n, false), defects = sum(item, n, true);
    int *order = NEW(&arena, int, n);
    for (int i = 0; i < n; i++) order[i] = i;
    for (int k = 1; k < 10; k += 4) {
        double room = total * k / 10 * (1 + 1e-12), mean = 0, squares = 0;
        for (uint64_t r = 0; r < (uint64_t)orders; r++) {
            for (int64_t i = 0; i < n - 1; i++) {
                int64_t j = i + rng_below(rng_mix(77, r), (uint64_t)i, n - i);
                int held = order[i];
                order[i] = order[j], order[j] = held;
            }
            double share = found_in(item, order, n, room) / defects;
            mean += share / orders, squares += share * share / orders;
        }
        double error = sqrt(fmax(squares - mean * mean, 0) / orders),
               got = tie_found(&arena, item, n, room) / defects;
        EXPECT(fabs(got - mean) <= 5 * error + rounding, "%s, %d0 %%: %.6f, over random orders %.6f +- %.6f", what, k,
               got, mean, error);
    }
}

static void many_items(void **state)
{
    (void)state;
    random_orders(draw(21, 13, HEAVY), 13, 200000, 1e-12, "13 heavy-tailed efforts");
    random_orders(draw(22, 20, REAL), 20, 100000, 1e-3, "20 efforts");
    random_orders(draw(23, 50, HEAVY), 50, 60000, 1e-3, "50 heavy-tailed efforts");
    random_orders(draw(24, 60, GIANTS), 60, 40000, 1e-12, "two giants");
    random_orders(draw(25, 1000, HEAVY), 1000, 4000, 1e-3, "1000 heavy-tailed efforts");
}

/* Whole numbers are summed exactly; thousandths that nothing else has keep the sums from meeting, so that states are
 * rounded.  The results are as good as the same. */
static void rounding(void **state)
{
    (void)state;
    enum { N = 60 };
    for (uint64_t c = 0; c < 8; c++) {
        TieItem whole[N], odd[N];
        for (int i = 0; i < N; i++) {
            double u = rng_uniform(c, (uint64_t)i);
            whole[i] = (TieItem){0, 1 + floor(c % 2 ? 40 * u : 3 / (u + 0.02)), i % 3 == 0};
        }
        qsort(whole, N, sizeof *whole, descending);
        for (int i = 0; i < N; i++) odd[i] = (TieItem){0, whole[i].effort + 1e-7 * sqrt(i + 2), whole[i].label};
        for (int k = 1; k < 10; k++) {
            double room = floor(sum(whole, N, false) * k / 10) + 0.5, a = tie_found(&arena, whole, N, room),
                   b = tie_found(&arena, odd, N, room);
            EXPECT(fabs(a - b) < 1e-3 * sum(whole, N, true), "case %d, %d0 %%: %.6f exactly, %.6f rounded", (int)c, k,
                   a, b);
        }
    }
}

/* Two equal giants, and a room for one of them and half of the dwarfs: these are read in whole numbers.  A dwarf is
 * found when it is before both giants, or between them and among the first of those there. */
static void fine_room_behind_a_giant(void **state)
{
    (void)state;
    enum { DWARFS = 100 };
    TieItem item[DWARFS + 2] = {{0, 1e6, 0}, {0, 1e6, 0}};
    for (int i = 2; i < DWARFS + 2; i++) item[i] = (TieItem){0, 1, 1};
    double got = tie_found(&arena, item, DWARFS + 2, 1e6 + 50), want = 0;
    for (int a = 0; a <= DWARFS; a++) /* dwarfs before the first giant, and before the second: every a <= b alike */
        for (int b = a; b <= DWARFS; b++) {
            double found = a > 50 ? a : fmin(b, 50);
            want += found / ((DWARFS + 1) * (DWARFS + 2) / 2);
        }
    near(got, want, 1e-9, "dwarfs behind a giant");
}

static void edges(void **state)
{
    (void)state;
    const TieItem idle[] = {{0, 2, 0}, {0, 0, 1}, {0, 0, 1}};
    near(tie_found(&arena, idle, 3, 0), 1, 1e-12,
         "no effort is found before the first that costs"); /* 0, 1 or 2 of them */
    near(tie_found(&arena, idle, 3, 2), 2, 0, "all fits");
    const TieItem one[] = {{0, 5, 1}};
    near(tie_found(&arena, one, 1, 4.9), 0, 0, "one that does not fit");
}

/* A million items in one tie, and a thousand times a small one. */
static void quick(void **state)
{
    (void)state;
    enum { MANY = 1000000 };
    TieItem *item = draw(9, MANY, HEAVY);
    clock_t start = clock();
    double share = tie_found(&arena, item, MANY, 0.2 * sum(item, MANY, false)) / sum(item, MANY, true);
    for (int i = 0; i < 1000; i++) tie_found(&arena, item + 100 * i, 8, item[100 * i].effort);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    near(share, 0.2, 0.001, "of very many, a fifth is found with a fifth of the effort");
    EXPECT(seconds < 5, "%.1f s", seconds);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
SUITE(T(all_orders), T(many_items), T(rounding), T(fine_room_behind_a_giant), T(edges), T(quick))
