/* One heat map on its way to paper.  Not for users of plot.h. */
#ifndef PLOT_HEAT_H
#define PLOT_HEAT_H

#include <math.h>

#include "plot/draw.h"

static const double LEAST_TEXT = 5.8; /* points: smaller labels and numbers are left out */

typedef struct {
    double size, length; /* of the text; the length a label may take */
    int every;           /* 1: each position is labelled */
    bool upright;        /* column labels read upwards */
} Labels;

typedef struct {
    const void *value; /* (rows,cols) */
    bool wide;         /* F64, else F32 */
    HeatStyle style;   /* its labels as they are shown */
    int rows, cols;
    Rect area;                       /* of the cells */
    double cw, ch;                   /* of one cell */
    double left, top, bottom;        /* margins around the cells */
    double row_longest, col_longest; /* widths at the full text size */
    Labels row, col;
} HeatMap;

typedef struct {
    ColourMap map;
    double lo, hi, per;    /* 1 / (hi - lo) */
    bool below, above;     /* some data lie beyond the ends */
    bool none;             /* some are NaN */
    const uint32_t *shade; /* the map as a palette, its first entry clear; where a map is drawn as an image */
} HeatScale;

/* ---- cells ---- */

bool draw_is_image(const HeatMap *);             /* so many cells that they are drawn as an image */
const uint32_t *draw_shades(Arena *, ColourMap); /* HeatScale.shade */
void draw_cells(Fig *, const HeatMap *, const HeatScale *);
void draw_hatch_path(cairo_t *, Rect, double step, bool both); /* over the current path, which ends with it */

static inline bool is_masked(const HeatMap *h, int i, int j)
{
    return h->style.causal && j > i + h->cols - h->rows;
}

static inline double cell_value(const HeatMap *h, int i, int j) /* NaN where it is masked */
{
    int64_t at = (int64_t)i * h->cols + j;
    if (is_masked(h, i, j)) return (double)NAN;
    return h->wide ? ((const double *)h->value)[at] : (double)((const float *)h->value)[at];
}

static inline double cell_place(const HeatScale *s, double v) /* on the scale: 0 at lo, 1 at hi */
{
    return s->per > 0 ? (v - s->lo) * s->per : 0.5;
}

#endif
