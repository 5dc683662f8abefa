/* The cells of a heat map: rectangles that overlap their right and lower neighbours by a hair, so that no viewer
 * shows seams, or, where they are many, one image.  Cells without a colour are hatched: masked ones one way, NaN both
 * ways, which the colour bar then shows. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "plot/heat.h"

static const double PAPER = 0.975, HATCH = 0.80; /* greys of cells without a colour */

bool draw_is_image(const HeatMap *h)
{
    return (int64_t)h->rows * h->cols > 512;
}

static double hatch_step(double cell)
{
    return fmin(fmax(0.45 * cell, 2.6), 4.5);
}

void draw_hatch_path(cairo_t *cr, Rect r, double step, bool both)
{
    cairo_save(cr);
    draw_set_colour(cr, colour_grey(PAPER), 1);
    cairo_clip_preserve(cr);
    cairo_fill(cr);
    for (double k = step / 2; k < r.w + r.h; k += step) {
        draw_segment(cr, r.x + k, r.y, r.x + k - r.h, r.y + r.h);
        if (both) draw_segment(cr, r.x + r.w - k, r.y, r.x + r.w - k + r.h, r.y + r.h);
    }
    draw_set_colour(cr, colour_grey(HATCH), 1);
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
            draw_box(f->cr, (Rect){h->area.x + from * h->cw, h->area.y + i * h->ch, (j - from) * h->cw, h->ch});
        }
    if (any) draw_hatch_path(f->cr, h->area, hatch_step(h->cw), !masked);
    cairo_new_path(f->cr);
}

/* Under an image, which is clear where there is no value: single cells would make a long path. */
static void hatch_under(Fig *f, const HeatMap *h, const HeatScale *s)
{
    if (s->none) {
        draw_box(f->cr, h->area);
        draw_hatch_path(f->cr, h->area, hatch_step(h->cw), true);
        cairo_new_path(f->cr);
    }
    hatch(f, h, true);
}

/* Colours come in shades, of which 0 is none: the palette of an image. */
enum { SHADES = 255 };

static uint32_t pixel(Rgb c)
{
    return 0xFF000000u | (uint32_t)lrint(c.r * 255) << 16 | (uint32_t)lrint(c.g * 255) << 8 |
           (uint32_t)lrint(c.b * 255);
}

const uint32_t *draw_shades(Arena *a, ColourMap map)
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

static bool has_value(const HeatMap *h, int i, int j)
{
    return i < h->rows && j < h->cols && !isnan(cell_value(h, i, j));
}

/* Neighbours in a row of one shade share a rectangle: most of a map of attention is next to nothing. */
static void paint_cells(Fig *f, const HeatMap *h, const HeatScale *s)
{
    double hair = fmin(0.4, 0.3 * fmin(h->cw, h->ch)); /* more than a pixel of the PNG */
    for (int i = 0; i < h->rows; i++)
        for (int j = 0, from; j < h->cols; j++) {
            uint8_t one = shade(s, cell_value(h, i, j));
            if (!one) continue;
            bool under = has_value(h, i + 1, j);
            for (from = j; has_value(h, i, j + 1) && has_value(h, i + 1, j + 1) == under &&
                           shade(s, cell_value(h, i, j + 1)) == one;)
                j++;
            bool right = has_value(h, i, j + 1);
            draw_set_colour(f->cr, colour_map(s->map, (one - 1.0) / (SHADES - 1)), 1);
            draw_box(f->cr, (Rect){h->area.x + from * h->cw, h->area.y + i * h->ch,
                                   (j + 1 - from) * h->cw + (right ? hair : 0), h->ch + (under ? hair : 0)});
            cairo_fill(f->cr);
        }
}

/* Mean of the cells but NaN on pixel (x,y) of a w x h image that has fewer pixels than the map has cells. */
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

/* The y-th of h rows of w pixels, which lie one after the other: cells as blocks, or means where there are more cells
 * than pixels. */
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
        for (int k = 1; k < wide; k++) *out++ = one;
        *out++ = one;
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

/* Many cells: an image.  Cells that can be distinguished are blocks of a few pixels, so that viewers which smooth
 * images stay sharp; more pixels than that, or than cells too small to distinguish, cost time and bytes and show
 * nothing. */
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

void draw_cells(Fig *f, const HeatMap *h, const HeatScale *s)
{
    if (draw_is_image(h)) {
        hatch_under(f, h, s);
        paint_image(f, h, s);
    } else {
        hatch(f, h, true);
        hatch(f, h, false);
        paint_cells(f, h, s);
    }
    if (h->style.values) print_values(f, h, s);
}
