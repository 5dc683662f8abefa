/* The strokes that every kind of plot is made of. */
#include "plot/draw.h"

void draw_set_colour(cairo_t *cr, Rgb c, double alpha)
{
    cairo_set_source_rgba(cr, c.r, c.g, c.b, alpha);
}

void draw_box(cairo_t *cr, Rect r)
{
    cairo_rectangle(cr, r.x, r.y, r.w, r.h);
}

void draw_segment(cairo_t *cr, double x0, double y0, double x1, double y1)
{
    cairo_move_to(cr, x0, y0);
    cairo_line_to(cr, x1, y1);
}
