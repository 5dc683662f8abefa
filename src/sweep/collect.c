/* Cells that differ in `seed` alone are one setting.  Its mean and interval are over the seeds that are done
 * (Student's t); one that diverged is a NaN and makes the mean so. */
#include "sweep/collect.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/print.h"
#include "io/json.h"
#include "num/stats.h"
#include "run/folder.h"
#include "run/result.h"
#include "sweep/gather.h"
#include "sweep/summary.h"

/* ---- the metric */

/* Every metric of any cell, in the order in which they were met. */
static int all_metrics(const char ***out, Arena *a, int64_t n, const Gathered *g)
{
    int known = 0, room = 0;
    *out = NULL;
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < g[i].metrics; k++) {
            bool old = false;
            for (int j = 0; j < known && !old; j++) old = !strcmp((*out)[j], g[i].metric[k].name);
            if (old) continue;
            GROW(a, *out, known, room, 32);
            (*out)[known++] = g[i].metric[k].name;
        }
    return known;
}

/* The first metric that all cells have and that differs between them; else the first that all have, or any has. */
static const char *telling(const Sums *s, int n, const char *const *name)
{
    const char *shared = NULL;
    for (int i = 0; i < n; i++) {
        double least = INFINITY, most = -INFINITY;
        bool all = true;
        for (int64_t k = 0; k < s->plan->n; k++) {
            double x = gathered(&s->cell[k], name[i]);
            if (s->cell[k].state != STATE_DONE) continue;
            all &= !isnan(x);
            least = fmin(least, x), most = fmax(most, x);
        }
        if (all && least < most) return name[i];
        if (all && !shared) shared = name[i];
    }
    return shared ? shared : name[0];
}

/* The metric by which a tuning keeps its best evaluation comes first. */
static Status choose_metric(Sums *s, int n, const char *const *name, const Collect *c)
{
    if (c->by) {
        s->metric = metric_like(s->arena, n, name, c->by);
        if (!s->metric) {
            Buf list = buf_open(s->arena);
            for (int i = 0; i < n && i < 12; i++) buf_print(&list, "%s%s", i ? ", " : "", name[i]);
            return err_fail(E_CONFIG, "--by %s: no metric, or more than one, has this name; there are %s%s", c->by,
                            list.text, n > 12 ? ", ..." : "");
        }
    } else {
        s->metric = metric_first(n, name);
        if (!s->metric && n) s->metric = telling(s, n, name);
    }
    s->lowest = c->direction ? c->direction < 0 : s->metric && metric_is_low(s->metric);
    return OK;
}

/* ---- settings */

/* The number of the setting that a cell belongs to; a new one where there is none. */
static int64_t setting_of(Sums *s, int64_t cell)
{
    const Plan *p = s->plan;
    for (int64_t i = 0; i < s->n; i++) {
        bool same = true;
        for (int k = 0; k < p->keys && same; k++)
            same = k == s->seed || !strcmp(s->row[i].value[k], p->cell[cell].value[k]);
        if (same) return i;
    }
    s->row[s->n] = (Row){.value = p->cell[cell].value, .total = NAN, .trainable = NAN, .seconds = NAN, .peak = NAN};
    s->row[s->n].metric = NEW(s->arena, double, p->n);
    return s->n++;
}

static double greater(double a, double b)
{
    return isnan(a) ? b : isnan(b) ? a : fmax(a, b);
}

static void add_cell(Sums *s, Row *r, const Gathered *g)
{
    r->cells++;
    if (g->state != STATE_DONE) return;
    if (s->metric) r->metric[r->done] = gathered(g, s->metric);
    r->done++;
    r->supported += g->verdict && !strcmp(g->verdict, "supported");
    s->verdicts |= g->verdict != NULL;
    r->total = greater(r->total, g->total);
    r->trainable = greater(r->trainable, g->trainable);
    if (!isnan(g->cost.seconds)) r->seconds = (isnan(r->seconds) ? 0 : r->seconds) + g->cost.seconds;
    r->peak = greater(r->peak, g->cost.peak_bytes);
}

static int compare(const void *a, const void *b, void *user)
{
    const Row *x = a, *y = b;
    const Sums *s = user;
    double u = x->over.mean, v = y->over.mean;
    if (isnan(u) || isnan(v)) return isnan(u) - isnan(v);
    if (u != v) return (u < v) == s->lowest ? -1 : 1;
    return 0;
}

static void sum_up(Sums *s)
{
    s->row = NEW(s->arena, Row, s->plan->n);
    for (int64_t i = 0; i < s->plan->n; i++) {
        int64_t at = setting_of(s, i);
        add_cell(s, &s->row[at], &s->cell[i]);
    }
    for (int64_t i = 0; i < s->n; i++) {
        Row *r = &s->row[i];
        r->over = stats_summary(r->metric, s->metric ? r->done : 0);
        if (!r->done || !s->metric) r->over.mean = NAN;
        if (r->done) r->seconds /= r->done;
    }
    qsort_r(s->row, (size_t)s->n, sizeof *s->row, compare, s);
}

/* ---- output */

static void print_rest(const Sums *s)
{
    for (State k = STATE_FAILED; k <= STATE_NONE; k++) {
        int64_t n = 0;
        const char *first = NULL;
        for (int64_t i = 0; i < s->plan->n; i++)
            if (s->cell[i].state == k && !n++) first = s->plan->cell[i].name;
        if (n)
            print_out("%lld %s %s: %s%s\n", (long long)n, str_plural(n, "cell", "cells"), state_name(k), first,
                      n > 1 ? ", ..." : "");
    }
}

static Status write_all(const Sums *s, const char *dir)
{
    Folder f = folder_begin(s->arena, str_print(s->arena, "%s/summary", dir), "sweep collect");
    folder_set(&f, "metric", "%s", s->metric ? s->metric : "");
    TRY(folder_open(&f, true)); /* a summary is made anew */
    Status status = summary_write(s, f.path);
    return status ? folder_drop(&f, status) : folder_finish(&f, NULL);
}

Status collect(const Plan *p, Arena *a, const char *dir, const Collect *c)
{
    Sums s = {.plan = p, .arena = a, .dir = dir, .cell = NEW(a, Gathered, p->n), .seed = -1};
    const char **name;
    int64_t done = 0;
    TRY(gather(s.cell, p, a, dir));
    for (int64_t i = 0; i < p->n; i++) done += s.cell[i].state == STATE_DONE;
    for (int k = 0; k < p->keys; k++)
        if (!strcmp(p->key[k], "seed")) s.seed = k;
    if (!done) return err_fail(E_MISMATCH, "%s: no cell of %lld is done", dir, (long long)p->n);
    int n = all_metrics(&name, a, p->n, s.cell);
    s.metrics = name, s.n_metrics = n;
    TRY(choose_metric(&s, n, name, c));
    sum_up(&s);
    if (c->json)
        summary_json(&s);
    else
        summary_print(&s);
    if (!c->json) print_rest(&s);
    TRY(write_all(&s, dir));
    if (!c->json) print_out("\nwritten to %s/summary\n", dir);
    return OK;
}
