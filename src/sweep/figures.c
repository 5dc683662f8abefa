/* Of a setting whose values are numbers a line, else bars.  Other settings that vary are the lines where these are
 * few; where they are many, each value has the best of its rows. */
#include "sweep/figures.h"

#include <math.h>
#include <string.h>

#include "base/file.h"

enum { MOST_LINES = 6, MOST_VALUES = 64 };

/* The different values of a key, in order of size or of appearance. */
typedef struct {
    int n;
    const char *text[MOST_VALUES];
    double x[MOST_VALUES];
    bool numbers;
} Values;

static void add_value(Values *v, const char *text)
{
    double x = NAN;
    for (int i = 0; i < v->n; i++)
        if (!strcmp(v->text[i], text)) return;
    if (v->n == MOST_VALUES) return;
    if (!str_real(text, &x)) v->numbers = false;
    int at = v->n++;
    for (; at > 0 && v->numbers && v->x[at - 1] > x; at--) v->text[at] = v->text[at - 1], v->x[at] = v->x[at - 1];
    v->text[at] = text, v->x[at] = x;
}

/* In the order of the cells, which is that of the command line. */
static Values values_of(const Sums *s, int key)
{
    Values v = {.numbers = true};
    for (int64_t i = 0; i < s->plan->n; i++) add_value(&v, s->plan->cell[i].value[key]);
    return v;
}

/* The values of the other settings, "rank=4, method=lora": the name of a line. */
static const char *others(const Sums *s, const Row *r, int key)
{
    Buf b = buf_open(s->arena);
    for (int k = 0; k < s->plan->keys; k++)
        if (k != key && k != s->seed && values_of(s, k).n > 1)
            buf_print(&b, "%s%s=%s", b.len ? ", " : "", s->plan->key[k], r->value[k]);
    return b.text;
}

typedef struct {
    const char *label;
    double y[MOST_VALUES], lo[MOST_VALUES], hi[MOST_VALUES];
} Curve;

static Curve *curve_of(Curve *c, int *n, const char *label)
{
    for (int i = 0; i < *n; i++)
        if (!strcmp(c[i].label, label)) return &c[i];
    if (*n == MOST_LINES) return NULL;
    Curve *new = &c[(*n)++];
    new->label = label;
    for (int i = 0; i < MOST_VALUES; i++) new->y[i] = new->lo[i] = new->hi[i] = NAN;
    return new;
}

/* Rows are sorted, the best first: with `best`, the first row of a value is the one shown.  The count of curves; 0:
 * there are too many. */
static int read_curves(Curve *c, const Sums *s, int key, const Values *v, bool best)
{
    int n = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const Row *r = &s->row[i];
        Curve *one = curve_of(c, &n, best ? "" : others(s, r, key));
        if (!one) return 0;
        for (int k = 0; k < v->n; k++) {
            if (strcmp(v->text[k], r->value[key]) != 0 || !isnan(one->y[k])) continue;
            one->y[k] = r->over.mean;
            one->lo[k] = isnan(r->over.ci95.lo) ? r->over.mean : r->over.ci95.lo;
            one->hi[k] = isnan(r->over.ci95.hi) ? r->over.mean : r->over.ci95.hi;
        }
    }
    return n;
}

static bool is_log(const Values *v)
{
    return v->numbers && v->n > 2 && v->x[0] > 0 && v->x[v->n - 1] / v->x[0] >= 20;
}

static Status draw(const Sums *s, Report *page, const char *path, int key, Values *v)
{
    Curve *c = NEW(s->arena, Curve, MOST_LINES);
    Series line[MOST_LINES] = {0};
    int n = read_curves(c, s, key, v, false);
    bool best = !n;
    if (best) n = read_curves(c, s, key, v, true);
    for (int i = 0; i < n; i++) {
        line[i] = (Series){.label = *c[i].label ? c[i].label : NULL, .marked = true};
        line[i].y = tensor_over(c[i].y, F64, SHAPE(v->n));
        if (v->numbers) line[i].x = tensor_over(v->x, F64, SHAPE(v->n));
        if (s->seed >= 0) line[i].lo = tensor_over(c[i].lo, F64, SHAPE(v->n));
        if (s->seed >= 0) line[i].hi = tensor_over(c[i].hi, F64, SHAPE(v->n));
    }
    PlotStyle style = {.x = {.title = s->plan->key[key], .log = is_log(v)}, .y = {.title = s->metric}};
    Fig *f = fig_open(path, 340, 220);
    if (v->numbers)
        fig_lines(f, fig_whole(f), n, line, style);
    else
        fig_bars(f, fig_whole(f), n, line, v->text, style);
    const char *over = s->seed >= 0 ? ", mean and 95 % interval over the seeds" : "";
    return report_drawn(page, f,
                        str_print(s->arena, "%s over %s%s%s.", s->metric, s->plan->key[key], over,
                                  best ? "; the best of the other settings" : ""));
}

Status figures_draw(const Sums *s, Report *page, const char *dir)
{
    bool made = false;
    if (!s->metric) return OK;
    for (int k = 0; k < s->plan->keys; k++) {
        Values v = values_of(s, k);
        if (k == s->seed || v.n < 2) continue;
        if (!made) TRY(file_make_dir(dir));
        made = true;
        TRY(draw(s, page, str_print(s->arena, "%s/%d-%.60s", dir, k + 1, s->plan->key[k]), k, &v));
    }
    return OK;
}
