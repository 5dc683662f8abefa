/* Frames are laid out from the outside in: title, legend and names of vertical references take the top, tick
 * labels and the axis title the bottom and the left, names of lines and of horizontal references the right.
 * The rest is for the data.  Grid lines are faint and horizontal only; ticks are at round numbers. */
#include "plot/frame.h"

#include <math.h>

static const double LINE = 8.6, SWATCH = 13, NAMES_MOST = 0.40, TILT = 35;

/* ---- legend above the plot ---- */

/* Flows the keys over rows of width r.w; draws them if `drawn`; returns the height they take. */
static double legend(Fig *f, Rect r, const FrameSpec *spec, bool drawn)
{
    double x = r.x, y = r.y + LINE / 2;
    if (!spec->keys) return 0;
    for (int k = 0; k < spec->keys; k++) {
        const Key *key = &spec->key[k];
        double text = fmin(text_width(f, key->label, TEXT), r.w - SWATCH - 3), w = SWATCH + 3 + text;
        if (x > r.x && x + w > r.x + r.w) {
            x = r.x;
            y += LINE + 1;
        }
        if (drawn) {
            if (key->line) {
                cairo_set_line_width(f->cr, 1.2);
                if (key->dashed) cairo_set_dash(f->cr, (double[]){3.5, 2}, 2, 0);
                draw_segment(f->cr, x, y, x + SWATCH - 1, y);
                draw_set_colour(f->cr, key->colour, 1);
                cairo_stroke(f->cr);
                cairo_set_dash(f->cr, NULL, 0, 0);
            }
            if (key->block) {
                draw_box(f->cr, (Rect){x + 4, y - 3.2, 8, 6.4});
                draw_set_colour(f->cr, key->colour, 1);
                cairo_fill(f->cr);
            }
            if (key->shape >= 0) draw_marker(f->cr, key->shape, x + SWATCH / 2, y, 2.3, key->colour);
            text_at(f, x + SWATCH + 3, y, key->label, (Type){.colour = colour_grey(0.1), .room = text + 1});
        }
        x += w + 9;
    }
    return y + LINE / 2 + 3 - r.y;
}

/* ---- names in the right margin and above ---- */

static bool named(const RefLine *ref, bool vertical)
{
    return ref->vertical == vertical && ref->label && *ref->label;
}

/* Widest of the names that the right margin holds, and how many there are. */
static double names_width(Fig *f, const FrameSpec *spec, bool direct, int *n)
{
    double most = 0;
    *n = 0;
    for (int k = 0; k < spec->style.refs; k++) {
        if (!named(&spec->style.ref[k], false)) continue;
        most = fmax(most, text_width(f, spec->style.ref[k].label, TEXT));
        ++*n;
    }
    for (int k = 0; direct && k < spec->keys; k++) {
        most = fmax(most, text_width(f, spec->key[k].label, TEXT));
        ++*n;
    }
    return most;
}

/* Names of lines and reference values to the right of the area, moved apart where they would overlap. */
static void draw_names(Fig *f, const PlotFrame *p, const FrameSpec *spec)
{
    enum { MOST = 128 };
    double want[MOST], centre[MOST], size[MOST], right = p->area.x + p->area.w;
    const char *text[MOST];
    Rgb colour[MOST];
    int n = 0;
    for (int k = 0; k < spec->style.refs && n < MOST; k++) {
        const RefLine *ref = &spec->style.ref[k];
        if (!named(ref, false) || !scale_has(&p->y, ref->at)) continue;
        want[n] = scale_at(&p->y, ref->at);
        text[n] = ref->label;
        colour[n++] = colour_grey(0.3);
    }
    for (int k = 0; p->direct && k < spec->keys && n < MOST; k++) {
        want[n] = scale_at(&p->y, spec->key[k].end);
        text[n] = spec->key[k].label;
        colour[n++] = colour_mix(spec->key[k].colour, colour_grey(0), 0.25); /* faint colours stay readable */
    }
    for (int k = 0; k < n; k++) {
        want[k] = fmin(fmax(want[k], p->area.y), p->area.y + p->area.h);
        centre[k] = want[k];
        size[k] = LINE;
    }
    if (!draw_spread(n, centre, size, p->area.y - LINE / 2, p->area.y + p->area.h + LINE / 2)) return;
    cairo_set_line_width(f->cr, 0.4);
    for (int k = 0; k < n; k++) {
        if (fabs(centre[k] - want[k]) > 1) {
            draw_segment(f->cr, right + 1, want[k], right + 6, centre[k]);
            draw_set_colour(f->cr, colour[k], 1);
            cairo_stroke(f->cr);
        }
        text_at(f, right + 7, centre[k], text[k], (Type){.colour = colour[k], .room = p->names + 0.5});
    }
}

static void draw_top_names(Fig *f, const PlotFrame *p, const FrameSpec *spec)
{
    enum { MOST = 32 };
    double centre[MOST] = {0}, size[MOST] = {0};
    const char *text[MOST];
    int n = 0;
    for (int k = 0; k < spec->style.refs && n < MOST; k++) {
        const RefLine *ref = &spec->style.ref[k];
        if (!named(ref, true) || !scale_has(&p->x, ref->at)) continue;
        centre[n] = scale_at(&p->x, ref->at);
        text[n] = ref->label;
        size[n++] = fmin(text_width(f, ref->label, TEXT), p->area.w) + 6;
    }
    if (!draw_spread(n, centre, size, p->area.x - 10, p->area.x + p->area.w + p->right)) return;
    for (int k = 0; k < n; k++)
        text_at(f, centre[k], p->area.y - 3, text[k],
                (Type){.along = 0.5, .across = BASE, .colour = colour_grey(0.3), .room = size[k] - 5});
}

/* ---- axes ---- */

/* As many x ticks as fit without touching. */
static void choose_x(Fig *f, PlotFrame *p)
{
    for (int most = (int)(p->area.w / 18); most >= 2; most--) {
        ticks_choose(&p->xt, &p->x, most);
        double end = -INFINITY;
        bool apart = true;
        for (int i = 0; i < p->xt.n; i++) {
            if (!p->xt.label[i][0]) continue;
            double w = text_width(f, p->xt.label[i], TEXT), at = scale_at(&p->x, p->xt.at[i]);
            apart &= at - w / 2 > end + 5;
            end = at + w / 2;
        }
        if (apart) return;
    }
    double end = -INFINITY; /* a very narrow plot: the first labels that fit */
    for (int i = 0; i < p->xt.n; i++) {
        double w = text_width(f, p->xt.label[i], TEXT), at = scale_at(&p->x, p->xt.at[i]);
        if (at - w / 2 < end + 3)
            p->xt.label[i][0] = 0;
        else if (w > 0)
            end = at + w / 2;
    }
}

static void draw_axes(Fig *f, const PlotFrame *p, const FrameSpec *spec)
{
    cairo_t *cr = f->cr;
    Rect a = p->area;
    double bottom = a.y + a.h;
    for (int i = 0; i < p->yt.n; i++) {
        double y = scale_at(&p->y, p->yt.at[i]);
        bool major = p->yt.label[i][0];
        if (major) {
            draw_segment(cr, a.x, y, a.x + a.w, y);
            draw_set_colour(cr, colour_grey(0.9), 1);
            cairo_set_line_width(cr, 0.4);
            cairo_stroke(cr);
        }
        draw_segment(cr, a.x - (major ? 3 : 1.8), y, a.x, y);
        draw_set_colour(cr, colour_grey(0.3), 1);
        cairo_set_line_width(cr, major ? 0.5 : 0.35);
        cairo_stroke(cr);
        text_at(f, a.x - 4.5, y, p->yt.label[i], (Type){.along = 1});
    }
    for (int i = 0; !spec->group && i < p->xt.n; i++) {
        double x = scale_at(&p->x, p->xt.at[i]);
        bool major = p->xt.label[i][0];
        draw_segment(cr, x, bottom, x, bottom + (major ? 3 : 1.8));
        draw_set_colour(cr, colour_grey(0.3), 1);
        cairo_set_line_width(cr, major ? 0.5 : 0.35);
        cairo_stroke(cr);
        text_at(f, x, bottom + 4.5, p->xt.label[i], (Type){.along = 0.5, .across = TOP});
    }
    draw_segment(cr, a.x, a.y, a.x, bottom);
    draw_segment(cr, a.x, bottom, a.x + a.w, bottom);
    draw_set_colour(cr, colour_grey(0.3), 1);
    cairo_set_line_width(cr, 0.5);
    cairo_stroke(cr);
}

static void draw_groups(Fig *f, const PlotFrame *p, const FrameSpec *spec, double room)
{
    double pitch = p->area.w / (spec->groups > 0 ? spec->groups : 1), bottom = p->area.y + p->area.h;
    double least = p->tilt > 0 ? TEXT * 1.15 / sin(TILT * 3.14159 / 180) : 0;
    int every = (int)ceil(least / pitch - 1e-6);
    if (every < 1) every = 1;
    for (int g = 0; g < spec->groups; g += every) {
        Type t = {.along = 0.5, .across = TOP, .room = pitch - 1};
        if (p->tilt > 0) t = (Type){.along = 1, .across = MIDDLE, .turn = p->tilt, .room = room};
        text_at(f, scale_at(&p->x, g) + (p->tilt > 0 ? 2 : 0), bottom + (p->tilt > 0 ? 6 : 4.5), spec->group[g], t);
    }
}

/* Reference values as dashed lines across the area. */
static void draw_refs(Fig *f, const PlotFrame *p, const FrameSpec *spec)
{
    Rect a = p->area;
    cairo_save(f->cr);
    cairo_set_dash(f->cr, (double[]){2.2, 1.8}, 2, 0);
    cairo_set_line_width(f->cr, 0.7);
    draw_set_colour(f->cr, colour_grey(0.35), 1);
    for (int k = 0; k < spec->style.refs; k++) {
        const RefLine *ref = &spec->style.ref[k];
        const Scale *s = ref->vertical ? &p->x : &p->y;
        if (!scale_has(s, ref->at) || ref->at < s->lo || ref->at > s->hi) continue;
        double at = scale_at(s, ref->at);
        if (ref->vertical)
            draw_segment(f->cr, at, a.y, at, a.y + a.h);
        else
            draw_segment(f->cr, a.x, at, a.x + a.w, at);
        cairo_stroke(f->cr);
    }
    cairo_restore(f->cr);
}

/* ---- putting it together ---- */

static double group_room(Fig *f, Rect r, const FrameSpec *spec, double *tilt)
{
    double most = 0, pitch = 0.8 * r.w / (spec->groups > 0 ? spec->groups : 1);
    *tilt = 0;
    for (int g = 0; spec->group && g < spec->groups; g++) most = fmax(most, text_width(f, spec->group[g], TEXT));
    if (most > pitch - 3) *tilt = TILT;
    return fmin(most, fmin(80, 0.45 * r.h)) + 0.5;
}

static void choose_scales(PlotFrame *p, FrameSpec *spec)
{
    if (spec->from_zero) range_add(&spec->yr, 0, spec->style.y.log);
    p->x = scale_over(spec->style.x, spec->xr, spec->pad);
    p->y = scale_over(spec->style.y, spec->yr, 0.05);
    bool automatic = !(spec->style.y.lo < spec->style.y.hi);
    if (spec->from_zero && automatic && !p->y.log && spec->yr.lo >= 0) p->y.lo = 0;
    if (spec->from_zero && automatic && !p->y.log && spec->yr.hi <= 0 && p->y.lo < 0) p->y.hi = 0;
}

PlotFrame frame_open(Fig *f, Rect r, FrameSpec *spec)
{
    const PlotStyle *s = &spec->style;
    PlotFrame p = {.direct = spec->direct};
    int names, top_names = 0;
    double tilt, room = group_room(f, r, spec, &tilt);
    double bottom = (s->x.title ? 10 : 0) + (tilt > 0 ? room * sin(TILT * 3.14159 / 180) + 9 : TEXT + 6);
    double top = panel_title_height(s->letter, s->title);
    for (int k = 0; k < s->refs; k++) top_names += named(&s->ref[k], true);
    if (top_names) top += LINE;
    p.tilt = tilt;

    double widest = names_width(f, spec, p.direct, &names);
    if (p.direct && (names * LINE > r.h - top - bottom || widest > NAMES_MOST * r.w)) {
        p.direct = false;
        widest = names_width(f, spec, false, &names);
    }
    double key = p.direct ? 0 : legend(f, (Rect){0, 0, r.w, 0}, spec, false);
    choose_scales(&p, spec);
    p.area.y = r.y + top + key + 2;
    p.area.h = fmax(r.y + r.h - bottom - p.area.y, 4);
    p.y.from = p.area.y + p.area.h;
    p.y.to = p.area.y;
    ticks_choose(&p.yt, &p.y, (int)(p.area.h / 20));
    double left = 0;
    for (int i = 0; i < p.yt.n; i++) left = fmax(left, text_width(f, p.yt.label[i], TEXT));
    left += 6 + (s->y.title ? 11 : 0);
    p.names = fmin(widest, NAMES_MOST * r.w);
    p.right = p.names > 0 ? p.names + 9 : 6;
    p.area.x = r.x + left;
    p.area.w = fmax(r.w - left - p.right, 4);
    p.x.from = p.area.x;
    p.x.to = p.area.x + p.area.w;
    choose_x(f, &p);

    panel_title(f, r, s->letter, s->title);
    if (!p.direct) legend(f, (Rect){r.x, r.y + panel_title_height(s->letter, s->title), r.w, 0}, spec, true);
    draw_axes(f, &p, spec);
    if (spec->group) draw_groups(f, &p, spec, room);
    text_at(f, p.area.x + p.area.w / 2, r.y + r.h - 1.5, s->x.title,
            (Type){.along = 0.5, .across = BASE, .room = r.w});
    text_upward(f, r.x + 1, p.area.y + p.area.h / 2, r.y + top + key, r.y + r.h, s->y.title);
    if (!spec->from_zero) draw_refs(f, &p, spec);
    return p;
}

void frame_close(Fig *f, const PlotFrame *p, const FrameSpec *spec)
{
    if (spec->from_zero) draw_refs(f, p, spec); /* bars would hide it */
    draw_names(f, p, spec);
    draw_top_names(f, p, spec);
}

/* Eight shapes of about equal weight: circle, square, triangle, diamond, inverted triangle, cross, plus, ring. */
void draw_marker(cairo_t *cr, int shape, double x, double y, double size, Rgb colour)
{
    static const double outline[][8] = {{-.9, -.9, .9, -.9, .9, .9, -.9, .9},
                                        {0, -1.15, 1.05, .8, -1.05, .8, 0, -1.15},
                                        {0, -1.25, 1.05, 0, 0, 1.25, -1.05, 0},
                                        {0, 1.15, 1.05, -.8, -1.05, -.8, 0, 1.15}};
    cairo_save(cr);
    cairo_new_path(cr);
    cairo_translate(cr, x, y);
    cairo_scale(cr, size, size);
    shape %= 8;
    if (shape == 0 || shape == 7) {
        cairo_arc(cr, 0, 0, shape ? 0.85 : 1, 0, 2 * 3.14159265358979323846);
    } else if (shape <= 4) {
        const double *o = outline[shape - 1];
        for (int k = 0; k < 4; k++) cairo_line_to(cr, o[2 * k], o[2 * k + 1]);
        cairo_close_path(cr);
    } else {
        double d = shape == 5 ? 0.85 : 1.1, e = shape == 5 ? 0.85 : 0;
        draw_segment(cr, -d, -e, d, e);
        draw_segment(cr, shape == 5 ? -d : 0, shape == 5 ? d : -d, shape == 5 ? d : 0, shape == 5 ? -d : d);
    }
    draw_set_colour(cr, colour, 1);
    if (shape < 5) {
        cairo_fill_preserve(cr);
        draw_set_colour(cr, colour_grey(1), 0.9); /* a thin white edge keeps overlapping markers apart */
        cairo_set_line_width(cr, 0.35 / size);
    } else {
        cairo_set_line_width(cr, 0.9 / size);
    }
    cairo_stroke(cr);
    cairo_restore(cr);
}
