/* The figure: drawing is recorded once and replayed onto an SVG, a PDF and a PNG surface when the figure is
 * closed.  Each file is rendered into memory first and then written whole, so an error in one leaves no half file.
 *
 * Bytes repeat: the PDF carries a fixed date, and the ids of the SVG, which cairo takes from a counter of the
 * process, are renumbered in the order in which they appear. */
#include "plot/draw.h"

#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "plot/svg.h"

#if defined(__SANITIZE_ADDRESS__)
/* fontconfig keeps its tables to the end behind pointers that the leak checker cannot follow. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfontconfig\n";
}
#endif

static const double MARGIN = 5, GUTTER = 10;

Fig *fig_open(const char *path, double w, double h)
{
    Arena arena = arena_open((size_t)1 << 32);
    Fig *f = NEW(&arena, Fig, 1);
    f->path = str_copy(&arena, path, strlen(path));
    f->w = w;
    f->h = h;
    if (!(w >= 10 && h >= 10 && w <= 5000 && h <= 5000)) { /* NaN included */
        f->status = E_CONFIG;
        f->error = str_print(&arena, "%s: a figure of %g x %g points; each side must be 10 to 5000", path, w, h);
        f->w = f->h = 100;
    }
    f->record = cairo_recording_surface_create(CAIRO_CONTENT_COLOR_ALPHA, &(cairo_rectangle_t){0, 0, f->w, f->h});
    f->cr = cairo_create(f->record);
    f->arena = arena;
    text_open(f);
    draw_set_colour(f->cr, colour_grey(1), 1);
    cairo_paint(f->cr);
    return f;
}

Rect fig_whole(const Fig *f)
{
    return (Rect){MARGIN, MARGIN, f->w - 2 * MARGIN, f->h - 2 * MARGIN};
}

Rect fig_cell(const Fig *f, int rows, int cols, int i)
{
    CHECK(rows > 0 && cols > 0 && i >= 0 && i < rows * cols, "panel %d of a grid of %d x %d", i, rows, cols);
    Rect page = fig_whole(f);
    double w = (page.w - GUTTER * (cols - 1)) / cols, h = (page.h - GUTTER * (rows - 1)) / rows;
    return (Rect){page.x + (i % cols) * (w + GUTTER), page.y + (i / cols) * (h + GUTTER), w, h};
}

static cairo_status_t add_bytes(void *buf, const unsigned char *bytes, unsigned n)
{
    buf_add(buf, (const char *)bytes, n);
    return CAIRO_STATUS_SUCCESS;
}

static cairo_status_t replay(const Fig *f, cairo_surface_t *target, double scale)
{
    cairo_t *cr = cairo_create(target);
    cairo_scale(cr, scale, scale);
    cairo_set_source_surface(cr, f->record, 0, 0);
    cairo_paint(cr);
    cairo_show_page(cr);
    cairo_status_t status = cairo_status(cr);
    cairo_destroy(cr);
    return status;
}

/* cairo 1.16 does not write into an SVG that an image's pixels stay squares, as they do in a PDF. */
static Buf with_square_pixels(Arena *a, const Buf *svg)
{
    static const char tag[] = "<image ";
    Buf out = buf_open(a);
    const char *s = svg->text, *end = svg->text + svg->len, *image;
    if (memmem(s, svg->len, "image-rendering", 15)) return *svg;
    while ((image = memmem(s, (size_t)(end - s), tag, sizeof tag - 1)) != NULL) {
        image += sizeof tag - 1;
        buf_add(&out, s, (size_t)(image - s));
        buf_print(&out, "image-rendering=\"pixelated\" ");
        s = image;
    }
    buf_add(&out, s, (size_t)(end - s));
    return out;
}

/* The SVG surface of cairo 1.16 never releases its reference to the images it painted; counting releases it. */
static cairo_status_t render_svg(const Fig *f, Buf *out)
{
    unsigned held = cairo_surface_get_reference_count(f->record);
    Buf raw = buf_open(out->arena);
    cairo_surface_t *s = cairo_svg_surface_create_for_stream(add_bytes, &raw, f->w, f->h);
    cairo_status_t status = replay(f, s, 1);
    cairo_surface_finish(s);
    if (!status) status = cairo_surface_status(s);
    cairo_surface_destroy(s);
    while (cairo_surface_get_reference_count(f->record) > held) cairo_surface_destroy(f->record);
    raw = with_square_pixels(out->arena, &raw);
    if (!status) svg_rename_ids(out, raw.text, raw.len, "v");
    return status;
}

static cairo_status_t render_pdf(const Fig *f, Buf *out)
{
    cairo_surface_t *s = cairo_pdf_surface_create_for_stream(add_bytes, out, f->w, f->h);
    cairo_pdf_surface_set_metadata(s, CAIRO_PDF_METADATA_CREATE_DATE, "2000-01-01T00:00:00Z");
    cairo_pdf_surface_set_metadata(s, CAIRO_PDF_METADATA_CREATOR, "Vernier");
    cairo_status_t status = replay(f, s, 1);
    cairo_surface_finish(s);
    if (!status) status = cairo_surface_status(s);
    cairo_surface_destroy(s);
    return status;
}

static cairo_status_t render_png(const Fig *f, Buf *out)
{
    int w = (int)ceil(f->w * PNG_SCALE), h = (int)ceil(f->h * PNG_SCALE);
    cairo_surface_t *s = cairo_image_surface_create(CAIRO_FORMAT_RGB24, w, h);
    cairo_status_t status = replay(f, s, PNG_SCALE);
    if (!status && !png_of_surface(out, s)) status = CAIRO_STATUS_PNG_ERROR;
    cairo_surface_destroy(s);
    return status;
}

typedef struct {
    const char *name;
    cairo_status_t (*render)(const Fig *, Buf *);
} Format;
static const Format FORMAT[FORMATS] = {{"svg", render_svg}, {"pdf", render_pdf}, {"png", render_png}};

static unsigned formats_in(const char *list)
{
    unsigned found = 0;
    for (const char *s = list;; s++) {
        size_t n = strcspn(s, ",");
        int k = 0;
        while (k < FORMATS && (strlen(FORMAT[k].name) != n || memcmp(s, FORMAT[k].name, n) != 0)) k++;
        if (k == FORMATS) return 0;
        found |= 1u << k;
        s += n;
        if (!*s) return found;
    }
}

bool fig_formats(const char *list)
{
    return formats_in(list) != 0;
}

bool fig_render(Fig *f, int format)
{
    if (f->status || f->bytes[format].arena) return !f->status;
    cairo_status_t status = cairo_status(f->cr);
    f->bytes[format] = buf_open(&f->arena);
    if (!status) status = FORMAT[format].render(f, &f->bytes[format]);
    if (!status) return true;
    f->status = E_IO;
    f->error = str_print(&f->arena, "%s: cairo cannot draw it: %s", f->path, cairo_status_to_string(status));
    return false;
}

const char *fig_file(const Fig *f, Arena *a, int format)
{
    const char *dot = strrchr(f->path, '.');
    unsigned formats = dot ? formats_in(dot + 1) : 0;
    size_t stem = formats ? (size_t)(dot - f->path) : strlen(f->path);
    if (formats && !(formats >> format & 1)) return NULL;
    return str_print(a, "%.*s.%s", (int)stem, f->path, FORMAT[format].name);
}

void fig_prepare(Fig *f)
{
    for (int k = 0; k < FORMATS; k++)
        if (fig_file(f, &f->arena, k)) fig_render(f, k);
}

static Status write_all(Fig *f)
{
    fig_prepare(f);
    if (f->status) return err_fail(f->status, "%s", f->error);
    for (int k = 0; k < FORMATS; k++) {
        const char *path = fig_file(f, &f->arena, k);
        if (path) TRY(file_write(path, f->bytes[k].text, f->bytes[k].len));
    }
    return OK;
}

Status fig_close(Fig *f)
{
    Status status = write_all(f);
    text_close(f);
    cairo_destroy(f->cr);
    cairo_surface_destroy(f->record);
    Arena arena = f->arena; /* the figure itself lives in it */
    arena_close(&arena);
    return status;
}
