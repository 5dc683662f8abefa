/* Shared by the drawing files: the figure itself, text, and scales.  Not for users of plot.h. */
#ifndef PLOT_DRAW_H
#define PLOT_DRAW_H

#include <cairo.h>
#include <pango/pangocairo.h>

#include "base/arena.h"
#include "base/str.h"
#include "base/table.h"
#include "plot/plot.h"

enum { MOST_TICKS = 64 };
enum { FORMAT_SVG, FORMAT_PDF, FORMAT_PNG, FORMATS };
static const double TEXT = 7, TITLE = 8; /* points: body and title size */
static const double PNG_SCALE = 3;       /* pixels a point */

struct Fig {
    Arena arena; /* holds the figure and everything it copies */
    cairo_surface_t *record;
    cairo_t *cr;
    PangoContext *text;
    Table lines; /* of text laid out so far, by text and how it is set */
    struct Line *last;
    const char *path;
    double w, h;
    Status status; /* the first error, with its sentence, for fig_close to report; cairo keeps its own */
    const char *error;
    Buf bytes[FORMATS]; /* the formats rendered so far */
};

bool fig_render(Fig *, int format);                     /* into bytes[], once; false: fig_close gives the reason */
const char *fig_file(const Fig *, Arena *, int format); /* that closing writes; NULL: not in that format */

/* PNG files in memory; false: libpng cannot.  Colours are 0xAARRGGBB, and only the first may be clear. */
bool png_of_indices(Buf *, int w, int h, const uint8_t *index, const uint32_t *colour, int colours);
bool png_of_surface(Buf *, cairo_surface_t *); /* CAIRO_FORMAT_RGB24 */

/* Text.  The anchor is a point on the text: along it 0 start, 0.5 centre, 1 end; across it one of these. */
typedef enum { MIDDLE, TOP, BASE } Across;
typedef struct {
    double size; /* 0: TEXT */
    double along;
    Across across;
    Rgb colour;
    double turn; /* degrees, anticlockwise */
    double room; /* longest width before it is elided; 0: any */
    bool bold;
} Type;
void text_open(Fig *); /* before the first text; text_close after the last */
void text_close(Fig *);
double text_width(Fig *, const char *, double size);
void text_at(Fig *, double x, double y, const char *, Type);
/* An axis title that reads upwards, to the right of x: around `want`, elided and moved to stay within lo..hi. */
void text_upward(Fig *, double x, double want, double lo, double hi, const char *);
/* Valid UTF-8, few accents a letter, control and direction characters shown as base/print.h shows them; the
 * text itself where it is so already. */
const char *text_clean(Arena *, const char *);
const char *text_visible(Arena *, const char *token); /* the same, blanks shown as signs */
void panel_title(Fig *, Rect, const char *letter, const char *title);
double panel_title_height(const char *letter, const char *title);

/* Moves n labels of given sizes from the centres they want, as little as possible, so that they do not
 * overlap within [lo,hi]; false when they do not fit. */
bool draw_spread(int n, double *centre, const double *size, double lo, double hi);

/* A scale maps data lo..hi onto points from..to. */
typedef struct {
    double lo, hi, from, to;
    bool log, whole; /* whole: ticks at whole numbers only */
} Scale;
typedef struct {
    double at[MOST_TICKS];
    char label[MOST_TICKS][32]; /* empty: a minor tick */
    int n;
} Ticks;
double scale_at(const Scale *, double value);
bool scale_has(const Scale *, double value); /* finite, and positive on a logarithmic scale */
void ticks_choose(Ticks *, const Scale *, int most);

/* Tensors that may be absent, and the finite range of their values. */
typedef struct {
    double lo, hi; /* lo > hi: nothing finite yet */
} Range;
bool axis_given(Tensor);
void range_add(Range *, double value, bool log);
void range_add_all(Range *, Tensor, bool log);
Scale scale_over(Axis, Range, double pad); /* limits only */

void draw_set_colour(cairo_t *, Rgb, double alpha);
void draw_box(cairo_t *, Rect);
void draw_segment(cairo_t *, double x0, double y0, double x1, double y1);

#endif
