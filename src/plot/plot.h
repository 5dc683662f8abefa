/* Figures.  Every drawing call fills one rectangle of a figure with a finished panel: it measures its own
 * labels, keeps them from overlapping, and leaves the rest to the data.  The only module that uses cairo.
 *
 *     Fig *f = fig_open("figures/probes", 500, 190);           // points; writes .svg, .pdf and .png
 *     fig_heatmap(f, fig_cell(f, 1, 2, 0), probs, (HeatStyle){.title = "Head 0", .hi = 1, .bar = true});
 *     fig_lines(f, fig_cell(f, 1, 2, 1), 2, series, (PlotStyle){.y = {.title = "loss (nats)", .log = true}});
 *     TRY(fig_close(f));
 *
 * Errors stick to the figure: drawing calls return nothing and fig_close reports the first error.  Nothing is
 * kept by reference after a call returns.  The same input gives the same bytes in all three formats.
 *
 * Data are tensors of any dtype.  A Tensor of zeros ({0}) means "not given".  NaN and infinities are never
 * errors: a heat map hatches NaN, which its colour bar then names "n/a", a line breaks, a bar shows "n/a".  Text is
 * UTF-8; bytes that are not become U+FFFD.  A wrong rank or two lengths that disagree are programmer errors and
 * abort. */
#ifndef PLOT_PLOT_H
#define PLOT_PLOT_H

#include <stdbool.h>

#include "base/err.h"
#include "num/tensor.h"
#include "plot/colour.h"

typedef struct Fig Fig;
typedef struct {
    double x, y, w, h; /* points, origin top left */
} Rect;

/* Figures share nothing: each may be drawn by a thread of its own.  fig_close reports every error.
 *
 * `path` ending in .svg, .pdf or .png writes that format alone, in .svg,png (any of them with commas between) those;
 * any other path is a stem for all three. */
Fig *fig_open(const char *path, double w, double h);   /* never NULL */
Rect fig_whole(const Fig *);                           /* the page without its margin */
Rect fig_cell(const Fig *, int rows, int cols, int i); /* i-th panel of a grid, row by row */
void fig_text(Fig *, Rect, const char *utf8);          /* wrapped, from the top left, cut where it does not fit */
void fig_prepare(Fig *);                               /* all of fig_close but the writing, ahead of it */
Status fig_close(Fig *);            /* writes the files; E_IO, or E_CONFIG for a size that is not valid */
bool fig_formats(const char *list); /* svg, pdf or png, or some with commas between */

/* ---- heat maps ---- */

typedef struct {
    int from, to;     /* positions from <= k < to */
    const char *name; /* "prefix", "input", "output" */
} Span;

typedef struct {
    const char *title, *letter;          /* the letter of a panel, set bold before the title */
    double lo, hi;                       /* ends of the colour scale; both 0: the data's own */
    double centre;                       /* MAP_DIVERGING: the value drawn white; the scale is symmetric about it */
    ColourMap map;                       /* MAP_SEQUENTIAL by default */
    const char *const *row, *const *col; /* one label per row and column, or NULL; blanks are made visible */
    const char *row_title, *col_title;
    const Span *row_span, *col_span; /* named ranges: a secondary axis, and rules across the map at their borders */
    int row_spans, col_spans;
    bool causal;  /* column j is masked in row i where j > i + cols - rows */
    bool values;  /* print each value with two decimals where the cells have room */
    bool whole;   /* they are counts: without decimals */
    bool stretch; /* fill the rectangle; otherwise cells are square */
    bool bar;     /* a colour bar at the right; arrows show that data lie beyond its ends */
    const char *bar_title;
} HeatStyle;

void fig_heatmap(Fig *, Rect, Tensor m, HeatStyle); /* m (rows,cols) */

/* A row of n maps with cells of one size, one scale over all of them (the first style's limits and map), and one
 * bar if any style has one.  Use it wherever maps are to be compared. */
void fig_heatmaps(Fig *, Rect, int n, const Tensor *m, const HeatStyle *);

/* ---- lines, points, bars ---- */

typedef struct {
    Tensor x, y;       /* (n) each; without x: 0, 1, 2, ... */
    Tensor lo, hi;     /* (n) each: a band around a line, whiskers on points and bars */
    const char *label; /* NULL: not in the legend */
    int colour;        /* 0: by order; k: the k-th class colour, counted from 1 */
    bool dashed, marked;
} Series;

typedef struct {
    const char *title; /* with its unit: "time (s)" */
    double lo, hi;     /* both 0: from the data */
    bool log;          /* values at or below 0 are not drawn */
    bool whole;        /* linear: no ticks between whole numbers, which are all there is */
} Axis;

typedef struct {
    double at;
    const char *label;
    bool vertical; /* at is an x */
} RefLine;

typedef struct {
    const char *title, *letter;
    Axis x, y;
    const RefLine *ref; /* dashed, labelled outside the plot */
    int refs;
    Tensor links; /* fig_scatter: (n,4) thin lines x0 y0 x1 y1 under the points */
    bool values;  /* fig_bars: print the heights */
    int decimals; /* of those values; 0: two */
} PlotStyle;

void fig_lines(Fig *, Rect, int n, const Series *, PlotStyle);   /* a name at each line's end, or a legend above */
void fig_scatter(Fig *, Rect, int n, const Series *, PlotStyle); /* a shape and a colour per series */

/* Bars in groups: y of each series has one height per group, label[g] names a group (NULL: none). */
void fig_bars(Fig *, Rect, int n, const Series *, const char *const *label, PlotStyle);

/* An axis wide enough for all of n tensors, for panels that share their limits. */
Axis axis_over(const char *title, bool log, int n, const Tensor *);

#endif
