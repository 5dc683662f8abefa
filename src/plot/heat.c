/* Heat maps.  A row of maps is laid out together: from the left, each has its axis title, span names, tick labels
 * and cells; below the cells the same again; one colour bar closes the row.  The cell size, which all share, and
 * the labels, whose size depends on it, are found by iterating a few times from a guess.
 */
#include "plot/heat.h"

#include <math.h>
#include <string.h>

static const double SPAN = 12, AXIS_TITLE = 10.5, BAR = 7, GAP = 10;
static const char NONE[] = "n/a";

/* The values that the scale does not show: those beyond its ends, and NaN.  Masked cells do not count. */
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
    s.per = isnormal(1 / (s.hi - s.lo)) ? 1 / (s.hi - s.lo) : 0;
    look_beyond(&s, n, h);
    return s;
}

static double widest(Fig *f, const char *const *label, int n, double size)
{
    double most = 0;
    for (int i = 0; label && i < n; i++) most = fmax(most, text_width(f, label[i], size));
    return most;
}

/* Labels at a pitch: their size, and their distance in positions. */
static void fit_labels(Labels *l, double pitch, int n, double longest)
{
    l->size = fmin(TEXT, fmax(LEAST_TEXT, pitch));
    l->every = pitch > 0 ? (int)ceil(l->size * 1.0 / pitch - 1e-6) : n;
    if (l->every < 1) l->every = 1;
    l->length = longest * l->size / TEXT;
}

/* The room that titles, spans and labels take around the cells; labels of columns stand upright where they do not
 * fit. */
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
    for (int n = 2; n <= 20; n++) { /* the height, and with it the number of ticks, is not fixed yet */
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
            draw_segment(f->cr, at, a, at, b);
        else
            draw_segment(f->cr, a, at, b, at);
    }
    cairo_set_line_width(f->cr, 1);
    draw_set_colour(f->cr, colour_grey(0.35), 1);
    cairo_stroke(f->cr);
    double corner = fmin(upright ? h->bottom : h->left, 60); /* below the row labels there is nothing else */
    double before = upright ? 2 : corner, after = upright ? corner : 2;
    if (!draw_spread(n, centre, size, from - before, from + length + after)) /* each keeps to its share */
        for (int k = 0; k < n; k++) size[k] = fmin(size[k], (span[k].to - span[k].from) * cell);
    for (int k = 0; k < n; k++)
        text_at(f, upright ? at - 3 : centre[k], upright ? centre[k] : at + 2.5, span[k].name,
                (Type){.along = 0.5, .across = upright ? BASE : TOP, .turn = upright ? 90 : 0, .room = size[k] - 2});
}

static void draw_rule(cairo_t *cr, double x0, double y0, double x1, double y1)
{
    draw_segment(cr, x0, y0, x1, y1);
    draw_set_colour(cr, colour_grey(1), 0.9);
    cairo_set_line_width(cr, 1.3);
    cairo_stroke(cr);
    draw_segment(cr, x0, y0, x1, y1);
    draw_set_colour(cr, colour_grey(0.15), 1);
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
        draw_cells(f, h, s);
        draw_rules(f, h);
        draw_labels(f, h);
    } else {
        text_at(f, a.x + a.w / 2, a.y + a.h / 2, "no data",
                (Type){.along = 0.5, .colour = colour_grey(0.4), .room = a.w});
    }
    draw_box(f->cr, a);
    draw_set_colour(f->cr, colour_grey(0.3), 1);
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
    draw_set_colour(cr, colour_map(s->map, t), 1);
    cairo_fill_preserve(cr);
    draw_set_colour(cr, colour_grey(0.3), 1);
    cairo_stroke(cr);
}

/* The pattern of cells without a value, below the colours; returns the rest of the bar. */
static Rect draw_none(Fig *f, Rect r)
{
    const double tall = BAR, gap = 4;
    if (r.h < 3 * (tall + gap)) return r;
    Rect key = {r.x, r.y + r.h - tall, BAR, tall};
    draw_box(f->cr, key);
    draw_hatch_path(f->cr, key, 2.6, true);
    draw_box(f->cr, key);
    draw_set_colour(f->cr, colour_grey(0.3), 1);
    cairo_set_line_width(f->cr, 0.5);
    cairo_stroke(f->cr);
    text_at(f, r.x + BAR + 4.5, key.y + tall / 2, NONE, (Type){0});
    return (Rect){r.x, r.y, r.w, r.h - tall - gap};
}

/* The colour scale beside the maps, with arrow heads where values lie beyond it. */
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
    draw_box(f->cr, (Rect){r.x, top, BAR, bottom - top});
    cairo_set_source(f->cr, ramp);
    cairo_fill_preserve(f->cr);
    cairo_pattern_destroy(ramp);
    draw_set_colour(f->cr, colour_grey(0.3), 1);
    cairo_set_line_width(f->cr, 0.5);
    cairo_stroke(f->cr);
    if (s->above) bar_end(f->cr, s, r.x, top, 1, -arrow);
    if (s->below) bar_end(f->cr, s, r.x, bottom, 0, arrow);
    Ticks t;
    ticks_choose(&t, &axis, (int)(r.h / 20));
    for (int i = 0; i < t.n; i++) {
        double y = scale_at(&axis, t.at[i]);
        draw_segment(f->cr, r.x + BAR, y, r.x + BAR + 2.5, y);
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

/* Labels as they are shown; neighbouring maps mostly have the same. */
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
        large |= draw_is_image(&h[k]);
    }
    show_labels(f, n, h, style);
    HeatScale s = scale_of(n, h);
    if (large) s.shade = draw_shades(&f->arena, s.map);
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
