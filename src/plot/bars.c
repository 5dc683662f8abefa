/* Grouped bars from zero, with whiskers where limits are given.  A height that is NaN is shown
 * as a word, because a bar of height zero would be a claim. */
#include "plot/frame.h"

#include <math.h>
#include <stdio.h>

typedef struct {
    double x, w;       /* of one bar */
    double y, lo, hi;  /* points; lo and hi NaN: no whisker */
    double value, tip; /* the height, and where its label may start */
} Bar;

static double value_or_nan(Tensor t, int64_t i)
{
    return axis_given(t) ? tensor_get(t, i) : (double)NAN;
}

static Bar bar_at(const PlotFrame *p, const Series *s, int n, int k, int64_t g)
{
    double pitch = fabs(scale_at(&p->x, 1) - scale_at(&p->x, 0)), all = 0.78 * pitch;
    if (n == 1) all = fmin(0.6 * pitch, 40);
    double v = value_or_nan(s->y, g), lo = value_or_nan(s->lo, g), hi = value_or_nan(s->hi, g);
    Bar b = {.w = all / n, .value = v, .lo = NAN, .hi = NAN};
    b.x = scale_at(&p->x, (double)g) - all / 2 + k * b.w;
    b.y = scale_has(&p->y, v) ? scale_at(&p->y, v) : (double)NAN;
    if (scale_has(&p->y, lo) && scale_has(&p->y, hi)) {
        b.lo = scale_at(&p->y, lo);
        b.hi = scale_at(&p->y, hi);
    }
    b.tip = v < 0 ? fmax(b.y, b.lo) : fmin(b.y, b.hi); /* fmin and fmax skip NaN */
    return b;
}

static void draw_bar(Fig *f, const PlotFrame *p, Bar b, Rgb colour)
{
    double zero = p->y.log ? p->y.from : scale_at(&p->y, 0), margin = fmin(0.6, 0.1 * b.w);
    if (isnan(b.y)) return;
    draw_box(f->cr, (Rect){b.x + margin, fmin(zero, b.y), b.w - 2 * margin, fabs(zero - b.y)});
    draw_set_colour(f->cr, colour, 1);
    cairo_fill(f->cr);
    if (isnan(b.lo)) return;
    double x = b.x + b.w / 2, cap = fmin(2, 0.25 * b.w);
    draw_segment(f->cr, x, b.lo, x, b.hi);
    draw_segment(f->cr, x - cap, b.lo, x + cap, b.lo);
    draw_segment(f->cr, x - cap, b.hi, x + cap, b.hi);
    draw_set_colour(f->cr, colour_grey(0.1), 1);
    cairo_set_line_width(f->cr, 0.7);
    cairo_stroke(f->cr);
}

static const char *height_label(char out[32], double v, const PlotStyle *style)
{
    if (isnan(v)) return "n/a";
    if (isinf(v)) return v > 0 ? "\u221E" : "\u2212\u221E";
    int decimals = style->decimals > 0 ? style->decimals : 2;
    snprintf(out, 32, "%s%.*f", v < 0 ? "\u2212" : "", decimals > 9 ? 9 : decimals, fabs(v));
    return out;
}

/* Heights are written over their bars, upright where the bar is narrow, and left out where even that is too wide. */
static void draw_height(Fig *f, const PlotFrame *p, Bar b, bool upright, const PlotStyle *style)
{
    char text[32];
    bool missing = isnan(b.y), down = b.value < 0 && !missing;
    double y = missing ? (p->y.log ? p->y.from : scale_at(&p->y, 0)) - 2 : b.tip + (down ? 2.5 : -2.5);
    Type t = {.along = 0.5, .across = down ? TOP : BASE, .colour = colour_grey(missing ? 0.4 : 0.1)};
    if (upright) t = (Type){.along = down ? 1 : 0, .turn = 90, .colour = t.colour};
    text_at(f, b.x + b.w / 2, y, height_label(text, b.value, style), t);
}

static double widest_height(Fig *f, int n, const Series *s, const PlotStyle *style)
{
    char text[32];
    double most = 0;
    for (int k = 0; k < n; k++)
        for (int64_t g = 0; g < tensor_count(s[k].y); g++)
            most = fmax(most, text_width(f, height_label(text, tensor_get(s[k].y, g), style), TEXT));
    return most;
}

/* Room above the highest bar for its printed height. */
static void raise_top(FrameSpec *spec, double share)
{
    if (!(spec->yr.lo <= spec->yr.hi) || spec->style.y.log) return;
    double low = fmin(spec->yr.lo, 0), high = fmax(spec->yr.hi, 0), extra = share * (high - low);
    if (high > 0) spec->yr.hi = high + extra;
    if (low < 0) spec->yr.lo = low - extra;
}

void fig_bars(Fig *f, Rect r, int n, const Series *s, const char *const *label, PlotStyle style)
{
    FrameSpec spec = {.style = style, .yr = {INFINITY, -INFINITY}, .from_zero = true};
    int64_t groups = 0;
    spec.key = NEW(&f->arena, Key, n);
    for (int k = 0; k < n; k++) {
        int64_t m = tensor_count(s[k].y);
        CHECK(axis_given(s[k].y) && (k == 0 || m == groups), "bars: series %d has %lld groups, the first has %lld", k,
              (long long)m, (long long)groups);
        CHECK((!axis_given(s[k].lo) || tensor_count(s[k].lo) == m) &&
                  (!axis_given(s[k].hi) || tensor_count(s[k].hi) == m),
              "bars: series %d has limits of another length than its heights", k);
        groups = m;
        range_add_all(&spec.yr, s[k].y, style.y.log);
        range_add_all(&spec.yr, s[k].lo, style.y.log);
        range_add_all(&spec.yr, s[k].hi, style.y.log);
        if (!s[k].label) continue;
        Rgb colour = colour_class(s[k].colour > 0 ? s[k].colour - 1 : k);
        spec.key[spec.keys++] = (Key){.label = s[k].label, .colour = colour, .block = true, .shape = -1};
    }
    for (int k = 0; k < style.refs; k++)
        if (!style.ref[k].vertical) range_add(&spec.yr, style.ref[k].at, style.y.log);
    static const char *const unnamed[] = {NULL};
    spec.group = label && groups > 0 ? label : unnamed;
    spec.groups = label ? (int)groups : 0;
    spec.style.x.log = false;
    spec.style.x.lo = -0.5;
    spec.style.x.hi = fmax((double)groups, 1) - 0.5;
    double slot = 0.78 * 0.85 * r.w / fmax((double)groups * n, 1);
    bool roomy = slot > 0.8 * TEXT;
    double most = style.values && roomy ? widest_height(f, n, s, &style) : 0;
    bool upright = most > fmax(slot, n == 1 ? slot * 1.25 : 0) + 1, printed = style.values && roomy;
    if (printed) raise_top(&spec, (upright ? most + 3 : TEXT + 2) / fmax(0.5 * r.h, 30));

    PlotFrame p = frame_open(f, r, &spec);
    cairo_save(f->cr);
    draw_box(f->cr, (Rect){p.area.x, p.area.y - 1, p.area.w, p.area.h + 2});
    cairo_clip(f->cr);
    for (int k = 0; k < n; k++)
        for (int64_t g = 0; g < groups; g++)
            draw_bar(f, &p, bar_at(&p, &s[k], n, k, g), colour_class(s[k].colour > 0 ? s[k].colour - 1 : k));
    cairo_restore(f->cr);
    if (!p.y.log && p.y.lo < 0 && p.y.hi > 0) {
        double zero = scale_at(&p.y, 0);
        draw_segment(f->cr, p.area.x, zero, p.area.x + p.area.w, zero);
        draw_set_colour(f->cr, colour_grey(0.3), 1);
        cairo_set_line_width(f->cr, 0.5);
        cairo_stroke(f->cr);
    }
    for (int k = 0; k < n; k++)
        for (int64_t g = 0; g < groups; g++) {
            Bar b = bar_at(&p, &s[k], n, k, g);
            if (printed || (roomy && isnan(b.y))) draw_height(f, &p, b, upright, &style);
        }
    frame_close(f, &p, &spec);
}
