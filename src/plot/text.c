/* Text: any bytes in, valid UTF-8 out, set with pango on a baseline that is placed exactly.  Labels are cut to
 * a sane number of characters before layout, then elided to the room they have. */
#include "plot/draw.h"

#include <math.h>
#include <string.h>

#include "base/print.h"
#include "base/str.h"

static const double CAP = 0.73; /* height of a capital of DejaVu Sans, in ems */

static bool is_plain(const char *s)
{
    while (*s >= 0x20 && *s < 0x7F) s++;
    return !*s;
}

const char *text_clean(Arena *a, const char *text)
{
    enum { ACCENTS = 3 }; /* on one letter: they stack, and more would reach into other lines */
    if (!text || is_plain(text)) return text ? text : "";
    Buf out = buf_open(a);
    int accents = 0;
    char escape[16];
    for (size_t at = 0, len = strlen(text); at < len;) {
        Glyph g = glyph_at(text + at, len - at);
        accents = g.valid && g_unichar_ismark(g.code) ? accents + 1 : 0;
        if (!g.valid)
            buf_add(&out, "\xEF\xBF\xBD", 3);
        else if (g.code == '\n' || g.code == '\t')
            buf_add(&out, " ", 1);
        else if (g.obeyed)
            buf_add(&out, escape, glyph_escape(escape, g));
        else if (accents <= ACCENTS)
            buf_add(&out, text + at, g.bytes);
        at += g.bytes;
    }
    return out.text;
}

/* A token of nothing but blanks must still be seen, and so must the blanks at its ends. */
const char *text_visible(Arena *a, const char *token)
{
    size_t len = token ? strlen(token) : 0, lead = token ? strspn(token, " ") : 0, trail = len;
    while (trail > lead && token[trail - 1] == ' ') trail--;
    if (len <= 200 && !lead && trail == len && is_plain(token ? token : "")) return text_clean(a, token);
    Buf out = buf_open(a);
    for (size_t i = 0; i < len; i++) {
        if (i > 200 && ((unsigned char)token[i] & 0xC0) != 0x80) break; /* it is elided long before */
        if (token[i] == '\n')
            buf_print(&out, "\u21B5");
        else if (token[i] == '\t')
            buf_print(&out, "\u21E5");
        else if (token[i] == ' ' && (i < lead || i >= trail))
            buf_print(&out, "\u2423");
        else
            buf_add(&out, token + i, 1);
    }
    return text_clean(a, out.text);
}

/* ---- lines of text ---- */

typedef struct Line {
    PangoLayout *layout;
    double width; /* points */
    struct Line *before;
} Line;

/* Text is laid out without hinting or rounding, so that all formats share one geometry. */
void text_open(Fig *f)
{
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    f->text = pango_cairo_create_context(f->cr);
    pango_cairo_context_set_font_options(f->text, options);
    cairo_font_options_destroy(options);
    pango_context_set_round_glyph_positions(f->text, FALSE);
    f->lines = table_open(&f->arena, 256);
}

void text_close(Fig *f)
{
    for (Line *l = f->last; l; l = l->before) g_object_unref(l->layout);
    g_object_unref(f->text);
}

/* Pango is given at most 400 bytes, cut between characters. */
static PangoLayout *layout_of(Fig *f, const char *text, double size, double room, bool bold)
{
    text = text_clean(&f->arena, text);
    size_t n = strlen(text);
    if (n > 400)
        for (n = 400; n && ((unsigned char)text[n] & 0xC0) == 0x80;) n--;
    PangoLayout *layout = pango_layout_new(f->text);
    PangoFontDescription *font = pango_font_description_new();
    pango_font_description_set_family_static(font, "DejaVu Sans");
    pango_font_description_set_weight(font, bold ? PANGO_WEIGHT_BOLD : PANGO_WEIGHT_NORMAL);
    pango_font_description_set_absolute_size(font, size * PANGO_SCALE);
    pango_layout_set_font_description(layout, font);
    pango_font_description_free(font);
    pango_layout_set_single_paragraph_mode(layout, TRUE);
    pango_layout_set_width(layout, room > 0 ? (int)ceil(room * PANGO_SCALE) : -1);
    pango_layout_set_ellipsize(layout, room > 0 ? PANGO_ELLIPSIZE_END : PANGO_ELLIPSIZE_NONE);
    pango_layout_set_text(layout, text, (int)n);
    return layout;
}

/* A text set the same way is laid out once: the labels of a grid of maps are the same ones in every map. */
static const Line *line_of(Fig *f, const char *text, double size, double room, bool bold)
{
    const double how[] = {size, room, bold};
    char key[256];
    size_t n = strlen(text);
    int64_t *known = NULL;
    if (n <= sizeof key - sizeof how) {
        bool added;
        memcpy(key, how, sizeof how);
        memcpy(key + sizeof how, text, n);
        known = table_add(&f->lines, key, sizeof how + n, &added);
        if (!added) return (const Line *)(intptr_t)*known;
    }
    Line *l = NEW(&f->arena, Line, 1);
    PangoRectangle logical;
    l->layout = layout_of(f, text, size, room, bold);
    pango_layout_line_get_extents(pango_layout_get_line_readonly(l->layout, 0), NULL, &logical);
    l->width = (double)logical.width / PANGO_SCALE;
    l->before = f->last;
    f->last = l;
    if (known) *known = (intptr_t)l;
    return l;
}

double text_width(Fig *f, const char *text, double size)
{
    return text && *text ? line_of(f, text, size, 0, false)->width : 0;
}

void text_at(Fig *f, double x, double y, const char *text, Type t)
{
    if (!text || !*text) return;
    if (!(t.size > 0)) t.size = TEXT;
    const Line *line = line_of(f, text, t.size, t.room, t.bold);
    double down = t.across == BASE ? 0 : t.across == TOP ? CAP * t.size : CAP / 2 * t.size;
    cairo_save(f->cr);
    cairo_translate(f->cr, x, y);
    cairo_rotate(f->cr, -t.turn * 3.14159265358979323846 / 180);
    cairo_move_to(f->cr, -t.along * line->width, down);
    draw_set_colour(f->cr, t.colour, 1);
    pango_cairo_show_layout_line(f->cr, pango_layout_get_line_readonly(line->layout, 0));
    cairo_restore(f->cr);
}

void text_upward(Fig *f, double x, double want, double lo, double hi, const char *text)
{
    double half = fmin(text_width(f, text, TEXT), hi - lo) / 2;
    text_at(f, x, fmin(fmax(want, lo + half), hi - half), text,
            (Type){.along = 0.5, .across = TOP, .turn = 90, .room = hi - lo});
}

double panel_title_height(const char *letter, const char *title)
{
    return (letter && *letter) || (title && *title) ? TITLE + 5 : 0;
}

void panel_title(Fig *f, Rect r, const char *letter, const char *title)
{
    double indent = 0;
    if (letter && *letter) {
        text_at(f, r.x, r.y + TITLE * 0.85, letter, (Type){.size = TITLE + 1, .across = BASE, .bold = true});
        indent = 1.2 * text_width(f, letter, TITLE + 1) + 4;
    }
    text_at(f, r.x + indent, r.y + TITLE * 0.85, title,
            (Type){.size = TITLE, .across = BASE, .room = fmax(r.w - indent, 1)});
}

void fig_text(Fig *f, Rect r, const char *utf8)
{
    PangoLayout *layout = layout_of(f, utf8 ? utf8 : "", TEXT, r.w, false);
    pango_layout_set_single_paragraph_mode(layout, FALSE);
    pango_layout_set_height(layout, (int)(fmax(r.h, 1) * PANGO_SCALE));
    pango_layout_set_text(layout, text_clean(&f->arena, utf8), -1);
    cairo_move_to(f->cr, r.x, r.y);
    draw_set_colour(f->cr, colour_grey(0), 1);
    pango_cairo_show_layout(f->cr, layout);
    g_object_unref(layout);
}

/* Pool adjacent violators: labels that would overlap form a block that is centred on the mean of its
 * members' wishes; blocks merge until none overlap.  Labels keep the order of their wishes. */
bool draw_spread(int n, double *centre, const double *size, double lo, double hi)
{
    enum { MOST = 256 };
    double total = 0, mid[MOST], len[MOST];
    int order[MOST], first[MOST + 1], blocks = 0;
    if (n > MOST) return false;
    for (int i = 0; i < n; i++) {
        int j = i;
        for (; j > 0 && centre[order[j - 1]] > centre[i]; j--) order[j] = order[j - 1];
        order[j] = i;
        total += size[i];
    }
    if (total > hi - lo) return false;
    for (int i = 0; i < n; i++) {
        first[blocks] = i;
        len[blocks] = size[order[i]];
        mid[blocks] = fmin(fmax(centre[order[i]], lo + len[blocks] / 2), hi - len[blocks] / 2);
        blocks++;
        while (blocks > 1 && mid[blocks - 2] + len[blocks - 2] / 2 > mid[blocks - 1] - len[blocks - 1] / 2) {
            double a = len[blocks - 2], b = len[blocks - 1];
            /* Each half keeps its own best place relative to the merged block; the mean weighs by length. */
            double m = ((mid[blocks - 2] + b / 2) * a + (mid[blocks - 1] - a / 2) * b) / (a + b);
            blocks--;
            len[blocks - 1] = a + b;
            mid[blocks - 1] = fmin(fmax(m, lo + (a + b) / 2), hi - (a + b) / 2);
        }
    }
    first[blocks] = n;
    for (int b = 0; b < blocks; b++) {
        double at = mid[b] - len[b] / 2;
        for (int i = first[b]; i < first[b + 1]; i++) {
            centre[order[i]] = at + size[order[i]] / 2;
            at += size[order[i]];
        }
    }
    return true;
}
