/* Heat maps.  A row of maps is laid out together: from the left, each has its axis title, span names, tick labels
 * and cells; below the cells the same again; one colour bar closes the row.  The cell size, which all share, and
 * the labels, whose size depends on it, are found by iterating a few times from a guess.
 *
 * Cells overlap their right and lower neighbours by a hair, so that no viewer shows seams; large maps become one
 * image.  Cells without a colour are hatched: masked ones one way, NaN both ways, which the colour bar then says. */
#include "plot/heat.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double SPAN = 12, AXIS_TITLE = 10.5, BAR = 7, GAP = 10, LEAST_TEXT = 5.8;
static const double PAPER = 0.975, HATCH = 0.80; /* greys of cells without a colour */
static const char NONE[] = "n/a";

static bool is_masked(const HeatMap *h, int i, int j)
{
    return h->style.causal && j > i + h->cols - h->rows;
}

static bool is_large(const HeatMap *h) /* drawn as an image */
{
    return (int64_t)h->rows * h->cols > 4096;
}

static double cell_value(const HeatMap *h, int i, int j)
{
    int64_t at = (int64_t)i * h->cols + j;
    if (is_masked(h, i, j)) return (double)NAN;
    return h->wide ? ((const double *)h->value)[at] : (double)((const float *)h->value)[at];
}

static double cell_place(const HeatScale *s, double v)
{
    return s->hi > s->lo ? (v - s->lo) * s->per : 0.5;
}

/* What the scale does not show: values beyond its ends, and NaN.  Masked cells do not count. */
static void look_beyond(HeatScale *s, int n, const HeatMap *h)
{
    double least = INFINITY, most = -INFINITY, hair = 1e-6 * (s->hi - s->lo);
    for (int k = 0; k < n; k++)
        for (int i = 0; i < h[k].rows; i++)
            for (int j = 0; j < h[k].cols && !is_masked(&h[k], i, j); j++) {
                double v = cell_value(&h[k], i, j);
                if (v < least) least = v;
                if (v > most) most = v;
                s->none |= isnan(v);
            }
    s->below = least < s->lo - hair;
    s->above = most > s->hi + hair;
}

/* The scale over all maps: the first style's own limits, or the finite data's. */
static HeatScale scale_of(int n, const HeatMap *h)
{
    const HeatStyle *first = &h[0].style;
    Range r = {INFINITY, -INFINITY};
    HeatScale s = {.map = first->map, .lo = first->lo, .hi = first->hi};
    bool own = isfinite(s.lo) && isfinite(s.hi) && s.lo < s.hi;
    for (int k = 0; k < n && !own; k++)
        for (int i = 0; i < h[k].rows; i++)
            for (int j = 0; j < h[k].cols; j++) range_add(&r, cell_value(&h[k], i, j), false);
    if (!own) {
        Scale fit = scale_over((Axis){0}, r, 0);
        s.lo = fit.lo;
        s.hi = fit.hi;
    }
    if (s.map == MAP_DIVERGING && isfinite(first->centre)) {
        double half = fmax(fabs(s.hi - first->centre), fabs(s.lo - first->centre));
        s.lo = first->centre - half;
        s.hi = first->centre + half;
    }
    s.per = 1 / (s.hi - s.lo);
    look_beyond(&s, n, h);
    return s;
}

static double widest(Fig *f, const char *const *label, int n, double size)
{
    double most = 0;
    for (int i = 0; label && i < n; i++) most = fmax(most, text_width(f, label[i], size));
    return most;
}

/* Labels at a pitch: their size, and how many positions apart they stand. */
static void fit_labels(Labels *l, double pitch, int n, double longest)
{
    l->size = fmin(TEXT, fmax(LEAST_TEXT, pitch));
    l->every = pitch > 0 ? (int)ceil(l->size * 1.0 / pitch - 1e-6) : n;
    if (l->every < 1) l->every = 1;
    l->length = longest * l->size / TEXT;
}

static void fit_margins(Fig *f, HeatMap *h, double cw, double ch, Rect r)
{
    const HeatStyle *s = &h->style;
    h->left = (s->row_title ? AXIS_TITLE : 0) + (s->row_spans ? SPAN : 0);
    h->bottom = (s->col_title ? AXIS_TITLE : 0) + (s->col_spans ? SPAN : 0);
    h->top = panel_title_height(s->letter, s->title);
    if (s->row) {
        fit_labels(&h->row, ch, h->rows, h->row_longest);
        h->row.length = fmin(h->row.length, fmin(0.3 * r.w, 90));
        h->left += h->row.length + 4;
    }
    if (s->col) {
        fit_labels(&h->col, cw, h->cols, h->col_longest);
        double level = fmin(TEXT, TEXT * (cw - 1.2) / fmax(h->col_longest, 0.1)); /* size that fits lying flat */
        h->col.upright = level < LEAST_TEXT;
        if (!h->col.upright) {
            h->col.every = 1;
            h->col.size = level;
            h->col.length = TEXT;
        } else {
            h->col.length = fmin(h->col.length, fmin(0.3 * r.h, 90));
        }
        h->bottom += h->col.length + 4;
    }
    (void)f;
}

static double bar_width(Fig *f, const HeatScale *s, const char *title)
{
    Ticks t;
    double most = s->none ? text_width(f, NONE, TEXT) : 0;
    for (int n = 2; n <= 20; n++) { /* the height, and with it the number of ticks, is not known yet */
        ticks_choose(&t, &(Scale){.lo = s->lo, .hi = s->hi}, n);
        for (int i = 0; i < t.n; i++) most = fmax(most, text_width(f, t.label[i], TEXT));
    }
    return 8 + BAR + 5 + most + (title ? AXIS_TITLE + 1 : 0);
}

/* Sets h[k].area, the rectangle of cells, for all maps. */
static void lay_out(Fig *f, Rect r, int n, HeatMap *h, double bar)
{
    int cols = 0, rows = 1;
    for (int k = 0; k < n; k++) {
        cols += h[k].cols > 0 ? h[k].cols : 1;
        if (h[k].rows > rows) rows = h[k].rows;
        h[k].row_longest = widest(f, h[k].style.row, h[k].rows, TEXT);
        h[k].col_longest = widest(f, h[k].style.col, h[k].cols, TEXT);
    }
    double cw = r.w / cols, ch = r.h / rows, left = 0, top = 0, bottom = 0;
    for (int pass = 0; pass < 5; pass++) {
        left = top = bottom = 0;
        for (int k = 0; k < n; k++) {
            fit_margins(f, &h[k], cw, ch, r);
            left += h[k].left;
            top = fmax(top, h[k].top);
            bottom = fmax(bottom, h[k].bottom);
        }
        cw = fmax((r.w - bar - left - GAP * (n - 1)) / cols, 0.01);
        ch = fmax((r.h - top - bottom) / rows, 0.01);
        if (!h[0].style.stretch) cw = ch = fmin(cw, ch);
    }
    double spare = r.w - bar - left - GAP * (n - 1) - cw * cols;
    double x = r.x + (n == 1 ? spare / 2 : 0), gap = GAP + (n > 1 ? spare / (n - 1) : 0);
    if (gap > 3 * GAP) { /* few small maps in a wide page: keep them together, centred */
        x += (gap - 3 * GAP) * (n - 1) / 2;
        gap = 3 * GAP;
    }
    for (int k = 0; k < n; k++) {
        x += h[k].left;
        h[k].area = (Rect){x, r.y + top, cw * (h[k].cols > 0 ? h[k].cols : 1), ch * (h[k].rows > 0 ? h[k].rows : 1)};
        h[k].cw = cw;
        h[k].ch = ch;
        x += h[k].area.w + gap;
    }
}

/* ---- cells ---- */

static double hatch_step(double cell)
{
    return fmin(fmax(0.45 * cell, 2.6), 4.5);
}

/* Over the current path, which ends with it. */
static void hatch_path(cairo_t *cr, Rect r, double step, bool both)
{
    cairo_save(cr);
    set_colour(cr, colour_grey(PAPER), 1);
    cairo_clip_preserve(cr);
    cairo_fill(cr);
    for (double k = step / 2; k < r.w + r.h; k += step) {
        segment(cr, r.x + k, r.y, r.x + k - r.h, r.y + r.h);
        if (both) segment(cr, r.x + r.w - k, r.y, r.x + r.w - k + r.h, r.y + r.h);
    }
    set_colour(cr, colour_grey(HATCH), 1);
    cairo_set_line_width(cr, 0.35);
    cairo_stroke(cr);
    cairo_restore(cr);
}

static void hatch(Fig *f, const HeatMap *h, bool masked)
{
    bool any = false;
    if (masked && !h->style.causal) return;
    cairo_new_path(f->cr);
    for (int i = 0; i < h->rows; i++)
        for (int j = 0, from; j < h->cols; j++) { /* runs in a row share one rectangle */
            for (from = j; j < h->cols && isnan(cell_value(h, i, j)) && is_masked(h, i, j) == masked;) j++;
            if (j == from) continue;
            any = true;
            box(f->cr, (Rect){h->area.x + from * h->cw, h->area.y + i * h->ch, (j - from) * h->cw, h->ch});
        }
    if (any) hatch_path(f->cr, h->area, hatch_step(h->cw), !masked);
    cairo_new_path(f->cr);
}

/* Under an image, which is clear where there is no value: single cells would make a long path. */
static void hatch_under(Fig *f, const HeatMap *h, const HeatScale *s)
{
    if (s->none) {
        box(f->cr, h->area);
        hatch_path(f->cr, h->area, hatch_step(h->cw), true);
        cairo_new_path(f->cr);
    }
    hatch(f, h, true);
}

static void paint_cells(Fig *f, const HeatMap *h, const HeatScale *s)
{
    double hair = fmin(0.4, 0.3 * fmin(h->cw, h->ch)); /* more than a pixel of the PNG */
    for (int i = 0; i < h->rows; i++)
        for (int j = 0; j < h->cols; j++) {
            double v = cell_value(h, i, j);
            if (isnan(v)) continue;
            bool right = j + 1 < h->cols && !isnan(cell_value(h, i, j + 1));
            bool under = i + 1 < h->rows && !isnan(cell_value(h, i + 1, j));
            set_colour(f->cr, colour_map(s->map, cell_place(s, v)), 1);
            box(f->cr, (Rect){h->area.x + j * h->cw, h->area.y + i * h->ch, h->cw + (right ? hair : 0),
                              h->ch + (under ? hair : 0)});
            cairo_fill(f->cr);
        }
}

/* Colours of an image: a palette, its first entry clear. */
enum { SHADES = 255 };

static uint32_t pixel(Rgb c)
{
    return 0xFF000000u | (uint32_t)lrint(c.r * 255) << 16 | (uint32_t)lrint(c.g * 255) << 8 |
           (uint32_t)lrint(c.b * 255);
}

static const uint32_t *shades(Arena *a, ColourMap map)
{
    uint32_t *t = NEW(a, uint32_t, SHADES + 1);
    for (int i = 0; i < SHADES; i++) t[i + 1] = pixel(colour_map(map, (double)i / (SHADES - 1)));
    return t;
}

static uint8_t shade(const HeatScale *s, double v)
{
    double at = cell_place(s, v) * (SHADES - 1);
    if (isnan(v)) return 0;
    return (uint8_t)(1.5 + (at < 0 ? 0 : at > SHADES - 1 ? SHADES - 1 : at));
}

/* Mean of the non-NaN cells that fall on pixel (x,y) of a w x h image that has fewer pixels than the map has cells. */
static double pixel_value(const HeatMap *m, int x, int y, int w, int h)
{
    int i0 = (int)((int64_t)y * m->rows / h), i1 = (int)((int64_t)(y + 1) * m->rows / h);
    int j0 = (int)((int64_t)x * m->cols / w), j1 = (int)((int64_t)(x + 1) * m->cols / w);
    double sum = 0;
    int n = 0;
    for (int i = i0; i < i1 || i == i0; i++)
        for (int j = j0; j < j1 || j == j0; j++) {
            double v = cell_value(m, i, j);
            if (isnan(v)) continue;
            sum += v;
            n++;
        }
    return n ? sum / n : (double)NAN;
}

/* The y-th of h rows of w pixels, which lie one after the other: cells as blocks, or means where there are more cells than pixels. */
static void shade_row(uint8_t *out, const HeatMap *m, const HeatScale *s, int y, int w, int h)
{
    if (w < m->cols || h < m->rows) {
        for (int x = 0; x < w; x++) out[x] = shade(s, pixel_value(m, x, y, w, h));
        return;
    }
    int wide = w / m->cols, high = h / m->rows, i = y / high;
    if (y % high) {
        memcpy(out, out - w, (size_t)w);
        return;
    }
    for (int j = 0; j < m->cols; j++) {
        uint8_t one = shade(s, cell_value(m, i, j));
        for (int k = 0; k < wide; k++) *out++ = one;
    }
}

/* The image as cairo has it, with the PNG that an SVG takes over as it is. */
static cairo_surface_t *image_of(Fig *f, const uint8_t *index, const uint32_t *colour, int w, int tall, bool clear)
{
    cairo_surface_t *image = cairo_image_surface_create(clear ? CAIRO_FORMAT_ARGB32 : CAIRO_FORMAT_RGB24, w, tall);
    if (cairo_surface_status(image)) return image;
    unsigned char *data = cairo_image_surface_get_data(image);
    int stride = cairo_image_surface_get_stride(image);
    for (int y = 0; y < tall; y++)
        for (int x = 0; x < w; x++) {
            uint32_t p = colour[index[(int64_t)y * w + x]];
            memcpy(data + (int64_t)y * stride + 4 * x, &p, sizeof p);
        }
    cairo_surface_mark_dirty(image);
    Buf png = buf_open(&f->arena);
    if (png_of_indices(&png, w, tall, index, colour, SHADES + 1))
        cairo_surface_set_mime_data(image, CAIRO_MIME_TYPE_PNG, (const unsigned char *)png.text, png.len, NULL, NULL);
    return image;
}

/* Many cells: an image.  Cells that can be told apart are blocks of a few pixels, so that viewers which smooth images
 * stay sharp; more pixels than that, or than cells too small to tell apart, cost time and bytes and show nothing. */
static void paint_image(Fig *f, const HeatMap *h, const HeatScale *s)
{
    enum { MOST = 2048 };
    double cell = fmin(h->cw, h->ch);
    int zoom = cell < 1.5 ? 1 : (int)fmin(2 * cell, 4);
    int64_t w = (int64_t)h->cols * zoom, tall = (int64_t)h->rows * zoom;
    if (w > MOST) w = h->cols > MOST ? MOST : h->cols * (MOST / h->cols);
    if (tall > MOST) tall = h->rows > MOST ? MOST : h->rows * (MOST / h->rows);
    uint8_t *index = arena_take(&f->arena, (size_t)(w * tall));
    for (int y = 0; y < tall; y++) shade_row(index + y * w, h, s, y, (int)w, (int)tall);
    cairo_surface_t *image = image_of(f, index, s->shade, (int)w, (int)tall, h->style.causal || s->none);
    cairo_save(f->cr);
    cairo_translate(f->cr, h->area.x, h->area.y);
    cairo_scale(f->cr, h->area.w / (double)w, h->area.h / (double)tall);
    cairo_set_source_surface(f->cr, image, 0, 0);
    bool finer =
        (double)w > PNG_SCALE * h->area.w || (double)tall > PNG_SCALE * h->area.h; /* than the PNG's pixels */
    cairo_pattern_set_filter(cairo_get_source(f->cr), finer ? CAIRO_FILTER_GOOD : CAIRO_FILTER_NEAREST);
    cairo_rectangle(f->cr, 0, 0, (double)w, (double)tall);
    cairo_fill(f->cr);
    cairo_restore(f->cr);
    cairo_surface_destroy(image);
}

/* Two decimals, or none in a map of counts; `brief` drops the zero before the point, which makes small cells fit. */
static const char *value_label(char out[32], double v, bool whole, bool brief)
{
    if (whole && fabs(v) < 1e5)
        snprintf(out, 32, "%s%.0f", v < -0.5 ? "\u2212" : "", fabs(v));
    else if (brief && fabs(v) < 0.995) {
        char full[24];
        snprintf(full, sizeof full, "%.2f", fabs(v));
        snprintf(out, 32, "%s%s", v < -0.005 ? "\u2212" : "", full + 1);
    } else if (brief && fabs(v) < 1.005)
        snprintf(out, 32, v < 0 ? "\u22121" : "1");
    else if (isinf(v))
        snprintf(out, 32, v > 0 ? "\u221E" : "\u2212\u221E");
    else if (fabs(v) >= 1e5)
        snprintf(out, 32, "%.0e", v);
    else
        snprintf(out, 32, "%s%.2f", v < -0.005 ? "\u2212" : "", fabs(v));
    return out;
}

/* The largest size at which every value fits its cell, or 0. */
static double value_size(Fig *f, const HeatMap *h, bool brief)
{
    char text[32];
    double most = 1;
    for (int i = 0; i < h->rows; i++)
        for (int j = 0; j < h->cols; j++) {
            double v = cell_value(h, i, j);
            if (isnan(v)) continue;
            if (brief && !(fabs(v) < 1.005)) return 0; /* brief numbers are for maps of shares alone */
            most = fmax(most, text_width(f, value_label(text, v, h->style.whole, brief), TEXT));
        }
    double size = fmin(TEXT, fmin(TEXT * (h->cw - 1.5) / most, h->ch - 1.5));
    return size < LEAST_TEXT ? 0 : size;
}

static void print_values(Fig *f, const HeatMap *h, const HeatScale *s)
{
    char text[32];
    if (h->cw < 8 || h->ch < LEAST_TEXT + 1.5) return; /* no number fits */
    bool brief = false;
    double size = value_size(f, h, false);
    if (!(size > 0)) size = value_size(f, h, brief = true);
    if (!(size > 0)) return;
    for (int i = 0; i < h->rows; i++)
        for (int j = 0; j < h->cols; j++) {
            double v = cell_value(h, i, j);
            if (isnan(v)) continue;
            bool dark = colour_lightness(colour_map(s->map, cell_place(s, v))) < 0.66;
            text_at(f, h->area.x + (j + 0.5) * h->cw, h->area.y + (i + 0.5) * h->ch,
                    value_label(text, v, h->style.whole, brief),
                    (Type){.size = size, .along = 0.5, .colour = colour_grey(dark ? 1 : 0.1)});
        }
}

/* ---- around the cells ---- */

static void draw_labels(Fig *f, const HeatMap *h)
{
    const HeatStyle *s = &h->style;
    double bottom = h->area.y + h->area.h;
    for (int i = 0; s->row && i < h->rows; i += h->row.every)
        text_at(f, h->area.x - 3, h->area.y + (i + 0.5) * h->ch, s->row[i],
                (Type){.size = h->row.size, .along = 1, .room = h->row.length + 0.5});
    for (int j = 0; s->col && j < h->cols; j += h->col.every) {
        Type t = {.size = h->col.size, .along = 0.5, .across = TOP};
        if (h->col.upright) t = (Type){.size = h->col.size, .along = 1, .turn = 90, .room = h->col.length + 0.5};
        text_at(f, h->area.x + (j + 0.5) * h->cw, bottom + 3, s->col[j], t);
    }
}

/* One side's spans: a bracket along each and its name beyond, moved aside where two names would touch. */
static void draw_spans(Fig *f, const HeatMap *h, const Span *span, int n, bool upright)
{
    enum { MOST = 64 };
    double cell = upright ? h->ch : h->cw, from = upright ? h->area.y : h->area.x, centre[MOST], size[MOST];
    double length = upright ? h->area.h : h->area.w;
    double at = upright ? h->area.x - 4 - (h->style.row ? h->row.length + 2 : 0)
                        : h->area.y + h->area.h + 4 + (h->style.col ? h->col.length + 2 : 0);
    if (n > MOST) n = MOST;
    for (int k = 0; k < n; k++) {
        double a = from + span[k].from * cell + 1, b = from + span[k].to * cell - 1;
        centre[k] = (a + b) / 2;
        size[k] = text_width(f, span[k].name, TEXT) + 4;
        if (upright)
            segment(f->cr, at, a, at, b);
        else
            segment(f->cr, a, at, b, at);
    }
    cairo_set_line_width(f->cr, 1);
    set_colour(f->cr, colour_grey(0.35), 1);
    cairo_stroke(f->cr);
    double corner = fmin(upright ? h->bottom : h->left, 60); /* below the row labels nothing else stands */
    double before = upright ? 2 : corner, after = upright ? corner : 2;
    if (!spread(n, centre, size, from - before, from + length + after)) /* each keeps to its share */
        for (int k = 0; k < n; k++) size[k] = fmin(size[k], (span[k].to - span[k].from) * cell);
    for (int k = 0; k < n; k++)
        text_at(f, upright ? at - 3 : centre[k], upright ? centre[k] : at + 2.5, span[k].name,
                (Type){.along = 0.5, .across = upright ? BASE : TOP, .turn = upright ? 90 : 0, .room = size[k] - 2});
}

static void draw_rule(cairo_t *cr, double x0, double y0, double x1, double y1)
{
    segment(cr, x0, y0, x1, y1);
    set_colour(cr, colour_grey(1), 0.9);
    cairo_set_line_width(cr, 1.3);
    cairo_stroke(cr);
    segment(cr, x0, y0, x1, y1);
    set_colour(cr, colour_grey(0.15), 1);
    cairo_set_line_width(cr, 0.5);
    cairo_stroke(cr);
}

static void draw_rules(Fig *f, const HeatMap *h)
{
    Rect a = h->area;
    for (int k = 0; k < h->style.row_spans; k++) {
        double y = a.y + h->style.row_span[k].from * h->ch;
        if (y > a.y + 0.1 && y < a.y + a.h - 0.1) draw_rule(f->cr, a.x, y, a.x + a.w, y);
    }
    for (int k = 0; k < h->style.col_spans; k++) {
        double x = a.x + h->style.col_span[k].from * h->cw;
        if (x > a.x + 0.1 && x < a.x + a.w - 0.1) draw_rule(f->cr, x, a.y, x, a.y + a.h);
    }
}

static void draw_map(Fig *f, HeatMap *h, const HeatScale *s)
{
    const HeatStyle *st = &h->style;
    Rect a = h->area;
    panel_title(f, (Rect){a.x, a.y - h->top, a.w, h->top}, st->letter, st->title);
    if (h->rows && h->cols) {
        if (is_large(h)) {
            hatch_under(f, h, s);
            paint_image(f, h, s);
        } else {
            hatch(f, h, true);
            hatch(f, h, false);
            paint_cells(f, h, s);
        }
        if (st->values) print_values(f, h, s);
        draw_rules(f, h);
        draw_labels(f, h);
    } else {
        text_at(f, a.x + a.w / 2, a.y + a.h / 2, "no data",
                (Type){.along = 0.5, .colour = colour_grey(0.4), .room = a.w});
    }
    box(f->cr, a);
    set_colour(f->cr, colour_grey(0.3), 1);
    cairo_set_line_width(f->cr, 0.5);
    cairo_stroke(f->cr);
    draw_spans(f, h, st->row_span, st->row_spans, true);
    draw_spans(f, h, st->col_span, st->col_spans, false);
    text_upward(f, a.x - h->left + 2, a.y + a.h / 2, a.y, a.y + a.h + h->bottom, st->row_title);
    text_at(f, a.x + a.w / 2, a.y + a.h + h->bottom - 2, st->col_title,
            (Type){.along = 0.5, .across = BASE, .room = a.w + h->left});
}

/* ---- the colour bar ---- */

static void bar_end(cairo_t *cr, const HeatScale *s, double x, double y, double t, double tall)
{
    cairo_move_to(cr, x, y);
    cairo_line_to(cr, x + BAR, y);
    cairo_line_to(cr, x + BAR / 2, y + tall);
    cairo_close_path(cr);
    set_colour(cr, colour_map(s->map, t), 1);
    cairo_fill_preserve(cr);
    set_colour(cr, colour_grey(0.3), 1);
    cairo_stroke(cr);
}

/* What has no value, below the colours; returns what is left of the bar. */
static Rect draw_none(Fig *f, Rect r)
{
    const double tall = BAR, gap = 4;
    if (r.h < 3 * (tall + gap)) return r;
    Rect key = {r.x, r.y + r.h - tall, BAR, tall};
    box(f->cr, key);
    hatch_path(f->cr, key, 2.6, true);
    box(f->cr, key);
    set_colour(f->cr, colour_grey(0.3), 1);
    cairo_set_line_width(f->cr, 0.5);
    cairo_stroke(f->cr);
    text_at(f, r.x + BAR + 4.5, key.y + tall / 2, NONE, (Type){0});
    return (Rect){r.x, r.y, r.w, r.h - tall - gap};
}

static void draw_bar(Fig *f, Rect r, const HeatScale *s, const char *title)
{
    if (s->none) r = draw_none(f, r);
    double arrow = 5, top = r.y + (s->above ? arrow : 0), bottom = r.y + r.h - (s->below ? arrow : 0);
    Scale axis = {.lo = s->lo, .hi = s->hi, .from = bottom, .to = top};
    cairo_pattern_t *ramp = cairo_pattern_create_linear(0, bottom, 0, top);
    for (int i = 0; i <= 32; i++) {
        Rgb c = colour_map(s->map, i / 32.0);
        cairo_pattern_add_color_stop_rgb(ramp, i / 32.0, c.r, c.g, c.b);
    }
    box(f->cr, (Rect){r.x, top, BAR, bottom - top});
    cairo_set_source(f->cr, ramp);
    cairo_fill_preserve(f->cr);
    cairo_pattern_destroy(ramp);
    set_colour(f->cr, colour_grey(0.3), 1);
    cairo_set_line_width(f->cr, 0.5);
    cairo_stroke(f->cr);
    if (s->above) bar_end(f->cr, s, r.x, top, 1, -arrow);
    if (s->below) bar_end(f->cr, s, r.x, bottom, 0, arrow);
    Ticks t;
    ticks_choose(&t, &axis, (int)(r.h / 20));
    for (int i = 0; i < t.n; i++) {
        double y = scale_at(&axis, t.at[i]);
        segment(f->cr, r.x + BAR, y, r.x + BAR + 2.5, y);
        cairo_stroke(f->cr);
        text_at(f, r.x + BAR + 4.5, y, t.label[i], (Type){0});
    }
    text_at(f, r.x + r.w - 2, r.y + r.h / 2, title, (Type){.along = 0.5, .across = BASE, .turn = 90, .room = r.h});
}

static const char *const *visible(Fig *f, const char *const *label, int n)
{
    if (!label) return NULL;
    const char **out = NEW(&f->arena, const char *, n);
    for (int i = 0; i < n; i++) out[i] = text_visible(&f->arena, label[i]);
    return out;
}

/* Labels as they are shown; maps beside each other mostly have the same. */
static void show_labels(Fig *f, int n, HeatMap *h, const HeatStyle *style)
{
    for (int k = 0; k < n; k++) {
        bool row = k && style[k].row == style[k - 1].row && h[k].rows == h[k - 1].rows;
        bool col = k && style[k].col == style[k - 1].col && h[k].cols == h[k - 1].cols;
        h[k].style.row = row ? h[k - 1].style.row : visible(f, style[k].row, h[k].rows);
        h[k].style.col = col ? h[k - 1].style.col : visible(f, style[k].col, h[k].cols);
    }
}

void fig_heatmaps(Fig *f, Rect r, int n, const Tensor *m, const HeatStyle *style)
{
    CHECK(n > 0, "fig_heatmaps: no map");
    HeatMap *h = NEW(&f->arena, HeatMap, n);
    const HeatStyle *barred = NULL;
    bool large = false;
    for (int k = 0; k < n; k++) {
        CHECK(m[k].rank == 2, "a heat map is a matrix, not %s", tensor_shape(m[k]));
        CHECK(m[k].dim[0] < INT32_MAX / 2 && m[k].dim[1] < INT32_MAX / 2, "heat map %s", tensor_shape(m[k]));
        Tensor x = m[k].dtype == F64 || m[k].dtype == F32 ? m[k] : tensor_cast(&f->arena, m[k], F64);
        h[k] = (HeatMap){x.data, x.dtype == F64, style[k], .rows = (int)x.dim[0], .cols = (int)x.dim[1]};
        if (style[k].bar) barred = &style[k];
        large |= is_large(&h[k]);
    }
    show_labels(f, n, h, style);
    HeatScale s = scale_of(n, h);
    if (large) s.shade = shades(&f->arena, s.map);
    double bar = barred ? bar_width(f, &s, barred->bar_title) : 0;
    lay_out(f, r, n, h, bar);
    for (int k = 0; k < n; k++) draw_map(f, &h[k], &s);
    Rect last = h[n - 1].area;
    double tall = 0;
    for (int k = 0; k < n; k++) tall = fmax(tall, h[k].area.h);
    if (barred) draw_bar(f, (Rect){last.x + last.w + 8, last.y, bar - 8, tall}, &s, barred->bar_title);
}

void fig_heatmap(Fig *f, Rect r, Tensor m, HeatStyle style)
{
    fig_heatmaps(f, r, 1, &m, &style);
}
