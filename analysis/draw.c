/* A grid is laid out from the size of one cell: as large as four maps in a row allow while each token's label still
 * has room, with fewer maps in a row for longer texts.  Every row of maps is one call of fig_heatmaps with the same
 * limits, so that colours mean the same everywhere in the figure. */
#include "analysis/draw.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "analysis/maps.h"
#include "base/str.h"

static const double WIDTH = 500, LEAST_PITCH = 6.6, MOST_PITCH = 20, LEAST_MAP = 84, GAP = 10, BAR = 46;
/* Space below a map is guessed small, so that its height decides the size of cells and all rows agree. */
static const double FLAT = 11, UPRIGHT = 0.75;
static const double LETTER = 4.7, LONGEST = 90, TITLE_SPACE = 14, ROW_GAP = 9, AXIS_SPACE = 11, SPAN_SPACE = 12,
                    MARGIN = 5, TALLEST = 4800;

static double label_length(const char *const *label, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) {
        double chars = 0;
        for (const char *s = label[i]; *s; s++) chars += (*s & 0xC0) != 0x80;
        most = fmax(most, chars * LETTER);
    }
    return fmin(most + 4, LONGEST);
}

typedef struct {
    int across;  /* maps in a row */
    double cell; /* size */
    double left; /* room for row labels */
    double w, h; /* of one map, and with its title and axis */
} Grid;

static Grid lay_out_in(const MapLabels *l, int across, double room)
{
    double left = label_length(l->row, l->t) + AXIS_SPACE, cols = (double)l->s, names = label_length(l->col, l->s);
    double cell = fmin((room - left - GAP * (across - 1)) / across / cols, fmax(MOST_PITCH, LEAST_MAP / cols));
    double under = (names < cell ? FLAT : UPRIGHT * names) + AXIS_SPACE + (l->prefix ? SPAN_SPACE : 0);
    return (Grid){across, cell, left, cell * cols, TITLE_SPACE + cell * (double)l->t + under};
}

/* Most maps in a row whose labels all have room; where not even one has, the text is long and two must do. */
static Grid lay_out(const MapLabels *l, int n)
{
    enum { ACROSS = 4, LONG = 2 };
    Grid y = {0};
    for (int k = n < ACROSS ? n : ACROSS; k >= 1; k--) {
        y = lay_out_in(l, k, WIDTH - 2 * MARGIN - BAR);
        if (y.cell >= LEAST_PITCH) break;
    }
    int least = y.cell < LEAST_PITCH && n > 1 ? LONG : y.across;
    for (int k = least; k <= n; k++) {
        y = lay_out_in(l, k, WIDTH - 2 * MARGIN - BAR);
        if ((n + k - 1) / k * (y.h + ROW_GAP) <= TALLEST) break;
    }
    return y;
}

static HeatStyle style_of(const MapLabels *l, const Span *span, const char *title, bool first)
{
    HeatStyle s = {.title = title, .col = l->col, .col_title = l->col_title, .causal = l->causal};
    if (first) {
        s.row = l->row;
        s.row_title = l->row_title;
    }
    if (l->prefix) {
        s.col_span = span;
        s.col_spans = 2;
    }
    return s;
}

static void set_scale(HeatStyle *s, bool difference, double limit)
{
    s->lo = difference ? -limit : 0;
    s->hi = limit;
    s->map = difference ? MAP_DIVERGING : MAP_SEQUENTIAL;
}

typedef struct {
    Span at[2];
} Spans;
static Spans spans_of(const MapLabels *l)
{
    return (Spans){{{0, (int)l->prefix, "prefix"}, {(int)l->prefix, (int)l->s, "text"}}};
}

/* Lays the maps out in rows that fit the page, each row with one colour bar. */
Fig *draw_grid(const char *path, Arena *a, const MapLabels *l, const MapGrid *g)
{
    const Spans spans = spans_of(l);
    Grid y = lay_out(l, g->n);
    int rows = (g->n + y.across - 1) / y.across;
    double width = 2 * MARGIN + y.left + y.across * y.w + GAP * (y.across - 1) + BAR;
    Fig *f = fig_open(path, width, 2 * MARGIN + rows * (y.h + ROW_GAP) - ROW_GAP);
    HeatStyle *style = NEW(a, HeatStyle, y.across);
    for (int r = 0; r < rows; r++) {
        int from = r * y.across, n = g->n - from < y.across ? g->n - from : y.across;
        for (int k = 0; k < n; k++) {
            style[k] = style_of(l, spans.at, g->title[from + k], !k);
            set_scale(&style[k], g->difference, g->limit);
        }
        style[n - 1].bar = true;
        style[n - 1].bar_title = g->difference ? "difference" : "attention";
        Rect row = {MARGIN, MARGIN + r * (y.h + ROW_GAP), y.left + n * y.w + GAP * (n - 1) + BAR, y.h};
        fig_heatmaps(f, row, n, g->map + from, style);
    }
    return f;
}

/* Draws n grids, a group in parallel, and gives each figure to `each` in order. */
Status draw_grids(int n, const char *const *path, const MapLabels *l, const MapGrid *g, EachFig each, void *user)
{
    enum { MOST = 64 };
    const int threads = omp_get_max_threads(), at_once = threads < MOST ? threads : MOST;
    Status status = OK;
    for (int from = 0; from < n && !status; from += at_once) {
        const int some = n - from < at_once ? n - from : at_once;
        Fig *f[MOST];
#pragma omp parallel for schedule(static, 1)
        for (int i = 0; i < some; i++) {
            Arena a = arena_open((size_t)1 << 28);
            f[i] = draw_grid(path[from + i], &a, l, &g[from + i]);
            fig_prepare(f[i]);
            arena_close(&a);
        }
        for (int i = 0; i < some; i++) {
            Status one = each(f[i], from + i, user);
            if (!status) status = one;
        }
    }
    return status;
}

/* Draws one row for each pair: both maps on a shared scale, and their difference on its own. */
Fig *draw_pairs(const char *path, Arena *a, const MapLabels *l, const char *const name[2], int n, const MapPair *p)
{
    const Spans spans = spans_of(l);
    Grid y = lay_out_in(l, 3, WIDTH - 2 * MARGIN - 2 * BAR - 2 * GAP);
    double shared = y.left + 2 * y.w + GAP + BAR, alone = y.w + BAR + GAP, width = 2 * MARGIN + shared + GAP + alone;
    Fig *f = fig_open(path, width, 2 * MARGIN + n * (y.h + ROW_GAP) - ROW_GAP);
    for (int i = 0; i < n; i++, p++) {
        double top = MARGIN + i * (y.h + ROW_GAP);
        const Tensor both[] = {p->a, p->b}, change = maps_difference(a, p->b, p->a);
        HeatStyle style[3];
        for (int k = 0; k < 3; k++) {
            bool last = k == 2;
            const char *what = last ? "change" : name[k];
            style[k] = style_of(l, spans.at, k ? what : str_print(a, "%s, %s", p->title, what), !k);
            set_scale(&style[k], last,
                      draw_limit(last ? maps_largest(change) : fmax(maps_largest(p->a), maps_largest(p->b))));
            style[k].bar = k > 0;
            style[k].bar_title = last ? "difference" : "attention";
        }
        fig_heatmaps(f, (Rect){MARGIN, top, shared, y.h}, 2, both, style);
        fig_heatmap(f, (Rect){MARGIN + shared + GAP, top, alone, y.h}, change, style[2]);
    }
    return f;
}

static const char **numbers(Arena *a, const int *value, int64_t n)
{
    const char **text = NEW(a, const char *, n);
    for (int64_t i = 0; i < n; i++) text[i] = str_print(a, "%d", value[i]);
    return text;
}

/* No two numbers differ: a scale of their own would have no length. */
static bool all_same(Tensor t)
{
    double least = INFINITY, most = -INFINITY;
    for (int64_t k = 0; k < tensor_count(t); k++) {
        least = fmin(least, tensor_get(t, k));
        most = fmax(most, tensor_get(t, k));
    }
    return !(least < most) && least >= 0;
}

/* Draws n heat maps of layers by heads in a row, with square cells that shrink to fit. */
Fig *draw_glances(const char *path, Arena *a, int n, const Glance *g, const int *layer, const int *head)
{
    const int64_t layers = g->value.dim[0], heads = g->value.dim[1];
    const double SIDES = 82; /* labels and bar */
    double cell = fmin(fmin((WIDTH - SIDES * n) / n / (double)heads, MOST_PITCH), 240.0 / (double)layers);
    double w = fmax(cell * (double)heads, LEAST_MAP) + SIDES, h = fmax(cell * (double)layers, 40) + 40;
    Fig *f = fig_open(path, 2 * MARGIN + n * w, 2 * MARGIN + h);
    for (int k = 0; k < n; k++, g++) {
        HeatStyle s = {
            .title = g->title, .bar_title = g->unit, .bar = true, .row_title = "layer", .col_title = "head"};
        s.row = numbers(a, layer, layers);
        s.col = numbers(a, head, heads);
        if (g->difference || all_same(g->value)) set_scale(&s, g->difference, draw_limit(maps_largest(g->value)));
        fig_heatmap(f, (Rect){MARGIN + k * w, MARGIN, w, h}, g->value, s);
    }
    return f;
}

double draw_limit(double largest)
{
    if (!(largest > 0)) return 1;
    double step = pow(10, floor(log10(largest)));
    if (largest < 5 * step) step /= 2;
    return ceil(largest / step - 1e-9) * step;
}

/* The 99 % quantile of the absolute values that are not zero, by a histogram. */
double draw_limit_of(int n, const Tensor *map)
{
    enum { BINS = 4096 };
    int64_t count[BINS] = {0}, all = 0, below = 0;
    double most = 0;
    int bin = 0;
    for (int i = 0; i < n; i++) most = fmax(most, maps_largest(map[i]));
    if (!(most > 0)) return draw_limit(0);
    for (int i = 0; i < n; i++)
        for (int64_t k = 0; k < tensor_count(map[i]); k++) {
            double v = fabs(tensor_get(map[i], k));
            if (!(v > 0)) continue;
            count[(int)fmin(v / most * BINS, BINS - 1)]++;
            all++;
        }
    while (bin < BINS && (double)below < 0.99 * (double)all) below += count[bin++];
    return draw_limit(most * bin / BINS);
}

const char *figure_path(Arena *a, const char *dir, const char *name, const char *formats)
{
    return str_print(a, "%s/figures/%s%s%s", dir, name, formats ? "." : "", formats ? formats : "");
}
