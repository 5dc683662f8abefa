/* One heat map on its way to paper.  Not for users of plot.h. */
#ifndef PLOT_HEAT_H
#define PLOT_HEAT_H

#include "plot/draw.h"

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

#endif
