/* The frame of a plot: title, legend, axes, grid, reference lines.  Not for users of plot.h. */
#ifndef PLOT_FRAME_H
#define PLOT_FRAME_H

#include "plot/draw.h"

typedef struct {
    const char *label;
    Rgb colour;
    bool line, dashed, block; /* a stroke, or a block of colour */
    int shape;                /* of its marker; -1: none */
    double end;               /* y of the line's last point */
} Key;

typedef struct {
    PlotStyle style;
    Range xr, yr; /* of the data */
    double pad;   /* widens x by this fraction; y always by a little */
    Key *key;
    int keys;
    bool direct;              /* names may be at the ends of lines */
    bool from_zero;           /* bars: the y axis contains 0 */
    const char *const *group; /* bars: names of x = 0, 1, ... in place of ticks */
    int groups;
} FrameSpec;

typedef struct {
    Rect area; /* of the data */
    Scale x, y;
    bool direct; /* names are at the ends of lines */
    Ticks xt, yt;
    double tilt; /* of group names */
    double right, names;
} PlotFrame;

PlotFrame frame_open(Fig *, Rect, FrameSpec *);                /* draws the layer under the data */
void frame_close(Fig *, const PlotFrame *, const FrameSpec *); /* and the layer over it */
void draw_marker(cairo_t *, int shape, double x, double y, double size, Rgb);

#endif
