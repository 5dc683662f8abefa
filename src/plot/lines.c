/* Lines and points.  A line's name is at its end where the names fit there; otherwise a legend is above
 * the plot.  Reference lines are named in the margin.  Nothing is ever written over the data.
 *
 * Long series are thinned to the least and greatest value of each run of points, which draws the same picture. */
#include "plot/frame.h"

#include <math.h>

static const double THIN = 3; /* vertices drawn per point of width */

static int64_t series_count(const Series *s)
{
    CHECK(axis_given(s->y), "series '%s' has no y", s->label ? s->label : "");
    int64_t n = tensor_count(s->y);
    CHECK(!axis_given(s->x) || tensor_count(s->x) == n, "series: x%s does not fit y%s", tensor_shape(s->x),
          tensor_shape(s->y));
    CHECK(!axis_given(s->lo) || tensor_count(s->lo) == n, "series: lo%s does not fit y%s", tensor_shape(s->lo),
          tensor_shape(s->y));
    CHECK(!axis_given(s->hi) || tensor_count(s->hi) == n, "series: hi%s does not fit y%s", tensor_shape(s->hi),
          tensor_shape(s->y));
    return n;
}

static double series_x(const Series *s, int64_t i)
{
    return axis_given(s->x) ? tensor_get(s->x, i) : (double)i;
}

static void add_ranges(Range *x, Range *y, int n, const Series *s, const PlotStyle *style)
{
    *x = *y = (Range){INFINITY, -INFINITY};
    for (int k = 0; k < n; k++) {
        for (int64_t i = 0, m = series_count(&s[k]); i < m; i++) {
            if (isnan(tensor_get(s[k].y, i))) continue;
            range_add(x, series_x(&s[k], i), style->x.log);
        }
        range_add_all(y, s[k].y, style->y.log);
        range_add_all(y, s[k].lo, style->y.log);
        range_add_all(y, s[k].hi, style->y.log);
    }
    for (int k = 0; k < style->refs; k++)
        range_add(style->ref[k].vertical ? x : y, style->ref[k].at,
                  style->ref[k].vertical ? style->x.log : style->y.log);
    for (int64_t i = 0, m = axis_given(style->links) ? tensor_count(style->links) : 0; i < m; i++)
        range_add(i % 2 ? y : x, tensor_get(style->links, i), i % 2 ? style->y.log : style->x.log);
}

static bool point_of(const PlotFrame *p, const Series *s, int64_t i, Tensor values, double *x, double *y)
{
    double vx = series_x(s, i), vy = tensor_get(values, i);
    if (!scale_has(&p->x, vx) || !scale_has(&p->y, vy)) return false;
    *x = scale_at(&p->x, vx);
    *y = scale_at(&p->y, vy);
    return true;
}

/* How many neighbours share two vertices of a line, or two of a band's edges. */
static int64_t thinning(const PlotFrame *p, int64_t n)
{
    int64_t most = (int64_t)(THIN * p->area.w);
    return n > most && most > 0 ? (2 * n + most - 1) / most : 1;
}

/* Adds the points first..first+n-1 to the path: all of them, or only the least and the greatest. */
static void add_points(cairo_t *cr, const PlotFrame *p, const Series *s, int64_t first, int64_t n, bool thin,
                       bool *pen)
{
    double x, y, least = INFINITY, most = -INFINITY;
    int64_t at_least = first, at_most = first;
    for (int64_t i = first; i < first + n; i++) {
        if (!point_of(p, s, i, s->y, &x, &y)) {
            thin = false; /* a gap is never thinned away */
            break;
        }
        if (y < least) least = y, at_least = i;
        if (y > most) most = y, at_most = i;
    }
    int64_t low = at_least < at_most ? at_least : at_most, high = at_least < at_most ? at_most : at_least;
    for (int64_t i = first; i < first + n; i++) {
        if (thin && i != low && i != high) continue;
        if (!point_of(p, s, i, s->y, &x, &y)) {
            *pen = false;
        } else if (*pen) {
            cairo_line_to(cr, x, y);
        } else {
            cairo_move_to(cr, x, y);
            cairo_line_to(cr, x, y); /* a lone point shows as a dot under round caps */
            *pen = true;
        }
    }
}

static void draw_line(Fig *f, const PlotFrame *p, const Series *s, Rgb colour)
{
    int64_t n = series_count(s), step = thinning(p, n);
    bool pen = false;
    cairo_new_path(f->cr);
    for (int64_t i = 0; i < n; i += step) add_points(f->cr, p, s, i, i + step <= n ? step : n - i, step > 2, &pen);
    cairo_save(f->cr);
    cairo_set_line_cap(f->cr, CAIRO_LINE_CAP_ROUND);
    cairo_set_line_join(f->cr, CAIRO_LINE_JOIN_ROUND);
    if (s->dashed) {
        cairo_set_line_cap(f->cr, CAIRO_LINE_CAP_BUTT);
        cairo_set_dash(f->cr, (double[]){3.5, 2}, 2, 0);
    }
    cairo_set_line_width(f->cr, step > 2 ? 0.7 : 1.1);
    draw_set_colour(f->cr, colour, 1);
    cairo_stroke(f->cr);
    cairo_restore(f->cr);
}

/* Adds to the path the outermost point of `edge` among n neighbours: the highest of them, or the lowest. */
static void add_edge(cairo_t *cr, const PlotFrame *p, const Series *s, Tensor edge, int64_t first, int64_t n,
                     bool high)
{
    double x, y, at = 0, best = 0;
    bool any = false;
    for (int64_t i = first; i < first + n; i++) {
        if (!point_of(p, s, i, edge, &x, &y) || (any && (high ? y >= best : y <= best))) continue;
        any = true; /* y grows downwards on paper */
        at = x;
        best = y;
    }
    if (any) cairo_line_to(cr, at, best);
}

/* The band of one run without gaps: along the upper edge, back along the lower. */
static void fill_band(Fig *f, const PlotFrame *p, const Series *s, int64_t from, int64_t to, Rgb colour)
{
    int64_t step = thinning(p, to - from);
    cairo_new_path(f->cr);
    for (int64_t i = from; i < to; i += step) add_edge(f->cr, p, s, s->hi, i, i + step < to ? step : to - i, true);
    for (int64_t i = from + (to - 1 - from) / step * step; i >= from; i -= step)
        add_edge(f->cr, p, s, s->lo, i, i + step < to ? step : to - i, false);
    cairo_close_path(f->cr);
    draw_set_colour(f->cr, colour, 0.2);
    cairo_fill(f->cr);
}

static void draw_band(Fig *f, const PlotFrame *p, const Series *s, Rgb colour)
{
    double x, y;
    if (!axis_given(s->lo) || !axis_given(s->hi)) return;
    for (int64_t i = 0, n = series_count(s), from; i < n; i++) {
        for (from = i; i < n && point_of(p, s, i, s->lo, &x, &y) && point_of(p, s, i, s->hi, &x, &y);) i++;
        if (i > from) fill_band(f, p, s, from, i, colour);
    }
}

static void draw_whiskers(Fig *f, const PlotFrame *p, const Series *s, Rgb colour)
{
    double x, lo, hi;
    if (!axis_given(s->lo) || !axis_given(s->hi)) return;
    for (int64_t i = 0, n = series_count(s); i < n; i++)
        if (point_of(p, s, i, s->lo, &x, &lo) && point_of(p, s, i, s->hi, &x, &hi)) draw_segment(f->cr, x, lo, x, hi);
    draw_set_colour(f->cr, colour, 1);
    cairo_set_line_width(f->cr, 0.8);
    cairo_stroke(f->cr);
}

static bool within(const Rect *r, double x, double y)
{
    const double hair = 1e-6;
    return x >= r->x - hair && x <= r->x + r->w + hair && y >= r->y - hair && y <= r->y + r->h + hair;
}

static void draw_markers(Fig *f, const PlotFrame *p, const Series *s, int shape, Rgb colour, double size)
{
    double x, y;
    for (int64_t i = 0, n = series_count(s); i < n; i++)
        if (point_of(p, s, i, s->y, &x, &y) && within(&p->area, x, y)) draw_marker(f->cr, shape, x, y, size, colour);
}

static void draw_links(Fig *f, const PlotFrame *p, Tensor links)
{
    if (!axis_given(links)) return;
    CHECK(links.rank == 2 && links.dim[1] == 4, "links are (n,4), not %s", tensor_shape(links));
    for (int64_t i = 0; i < links.dim[0]; i++) {
        double v[4];
        bool whole = true;
        for (int k = 0; k < 4; k++) {
            v[k] = tensor_get(links, 4 * i + k);
            whole &= scale_has(k % 2 ? &p->y : &p->x, v[k]);
            v[k] = whole ? scale_at(k % 2 ? &p->y : &p->x, v[k]) : 0;
        }
        if (whole) draw_segment(f->cr, v[0], v[1], v[2], v[3]);
    }
    draw_set_colour(f->cr, colour_grey(0.6), 0.6);
    cairo_set_line_width(f->cr, 0.3);
    cairo_stroke(f->cr);
}

static Rgb series_colour(const Series *s, int k)
{
    return colour_class(s->colour > 0 ? s->colour - 1 : k);
}

/* The keys of the legend, and where each line ends: a name at the end reads best when all lines end together. */
static void add_keys(FrameSpec *spec, Arena *a, int n, const Series *s, bool lines)
{
    double right = -INFINITY, ends = INFINITY;
    spec->key = NEW(a, Key, n);
    for (int k = 0; k < n; k++) {
        if (!s[k].label) continue;
        Key *key = &spec->key[spec->keys++];
        *key = (Key){.label = s[k].label,
                     .colour = series_colour(&s[k], k),
                     .line = lines,
                     .dashed = s[k].dashed,
                     .shape = !lines || s[k].marked ? k : -1,
                     .end = NAN};
        for (int64_t i = series_count(&s[k]); i-- > 0;) {
            double x = series_x(&s[k], i), y = tensor_get(s[k].y, i);
            if (!isfinite(x) || !isfinite(y) || (spec->style.y.log && y <= 0)) continue;
            key->end = y;
            right = fmax(right, x);
            ends = fmin(ends, x);
            break;
        }
        if (isnan(key->end)) ends = -INFINITY;
    }
    spec->direct = lines && spec->keys > 0 && ends >= right - 0.08 * (right - spec->xr.lo);
}

static Rect widened(Rect r, double by)
{
    return (Rect){r.x - by, r.y - by, r.w + 2 * by, r.h + 2 * by};
}

/* Lines with their bands, or points with their whiskers. */
static void draw(Fig *f, Rect r, int n, const Series *s, PlotStyle style, bool lines)
{
    FrameSpec spec = {.style = style};
    add_ranges(&spec.xr, &spec.yr, n, s, &style);
    spec.pad = lines ? 0 : 0.05;
    add_keys(&spec, &f->arena, n, s, lines);
    PlotFrame p = frame_open(f, r, &spec);
    for (int pass = 0; pass < 2; pass++) { /* strokes end at the frame; a marker on it is drawn whole */
        cairo_save(f->cr);
        draw_box(f->cr, widened(p.area, pass ? 3 : 0.6));
        cairo_clip(f->cr);
        if (!pass && !lines) draw_links(f, &p, style.links);
        for (int k = 0; !pass && lines && k < n; k++) draw_band(f, &p, &s[k], series_colour(&s[k], k));
        for (int k = 0; k < n; k++) {
            Rgb colour = series_colour(&s[k], k);
            if (pass && (!lines || s[k].marked))
                draw_markers(f, &p, &s[k], k, colour, lines ? 2.0 : 2.3);
            else if (!pass && lines)
                draw_line(f, &p, &s[k], colour);
            else if (!pass)
                draw_whiskers(f, &p, &s[k], colour);
        }
        cairo_restore(f->cr);
    }
    frame_close(f, &p, &spec);
}

void fig_lines(Fig *f, Rect r, int n, const Series *s, PlotStyle style)
{
    draw(f, r, n, s, style, true);
}

void fig_scatter(Fig *f, Rect r, int n, const Series *s, PlotStyle style)
{
    draw(f, r, n, s, style, false);
}
